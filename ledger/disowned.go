package ledger

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Place is where an event stands in the ledger. An event's id alone does not say: who repeats a
// true event elsewhere repeats its id.
type Place struct {
	Event uuid.UUID
	Seq   uint64
}

// DisownedType is the type of the events that take others out of views, reports and packages.
const DisownedType = "ledger.disowned.v1"

// DisownedStream is where a tenant's events are disowned, for the zero tenant those of any.
func DisownedStream(tenant uuid.UUID) schemas.Stream { return schemas.NewStream("ledger", tenant) }

// Disowned returns what genuine events have disowned of the tenant's: its own, and those of the
// zero tenant, which may name any tenant's.
func Disowned(ctx context.Context, l Reader, c *schemas.Catalogue, tenant uuid.UUID) (map[Place]bool, error) {
	out := map[Place]bool{}
	for _, t := range []uuid.UUID{uuid.Nil, tenant} {
		s := DisownedStream(t)
		var reading Reading
		for own, err := range ReadGenuine(ctx, l, c, s, t, &reading) {
			if err != nil {
				return nil, fmt.Errorf("read what is disowned: %w", err)
			}
			for _, p := range Places(own.Draft) {
				out[p] = true
			}
		}
		if t == tenant {
			break
		}
	}
	return out, nil
}

// Places returns what a draft disowns; nothing where it is of another type.
func Places(d schemas.Draft) (out []Place) {
	if d.Type == nil || d.Type.Name != DisownedType {
		return nil
	}
	by := map[string]*Place{}
	var order []string
	for _, v := range d.Values {
		at := v.Element()
		if by[at] == nil {
			by[at] = &Place{}
			order = append(order, at)
		}
		var err error
		switch v.Attr.ID {
		case "disowned.event":
			by[at].Event, err = schemas.ParseUUID(v.Text())
		case "disowned.sequence":
			by[at].Seq, err = strconv.ParseUint(v.Text(), 10, 64)
		}
		if err != nil {
			by[at].Event = uuid.Nil
		}
	}
	for _, at := range order {
		if by[at].Event != uuid.Nil {
			out = append(out, *by[at])
		}
	}
	return out
}
