package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Owners says whose the aliases of a tenant are, as its vault knows it. It leaves out those of
// which nothing tells that any more: erased, expired, lost, or never the vault's.
type Owners func(ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID) (map[uuid.UUID]schemas.Owner, error)

// Naming is whether an event's subjects name every person whose data it holds or removes (FORMATS
// §3, every owner in subjects): packages and erasure find a person's events through them alone.
type Naming struct {
	Missing []string // attributes of values whose person is not named, with list elements; sorted
	Untold  int      // values of which nothing tells any more whose they are or were
}

// Limits of what a naming remembers. What goes beyond is forgotten and read again; only tests set
// them.
var (
	maxNamedOwners = 1 << 18
	maxNamedValues = 1 << 19
)

// naming judges events in the ledger's order. It remembers under which alias each value of a state
// stands, so that it can tell whose a removed one was.
type naming struct {
	l      *Ledger
	c      *schemas.Catalogue
	ask    Owners
	owners map[uuid.UUID]schemas.Owner // zero: nothing tells
	states map[schemas.Stream]sealedBy
	values int // in states
}

// sealedBy is, per attribute and element of a state, the alias under which its value is sealed.
type sealedBy map[string]uuid.UUID

func newNaming(l *Ledger, c *schemas.Catalogue, ask Owners) *naming {
	return &naming{l: l, c: c, ask: ask, owners: map[uuid.UUID]schemas.Owner{}, states: map[schemas.Stream]sealedBy{}}
}

// judge tells of a genuine event how it names persons, and brings its stream's state forward.
func (n *naming) judge(ctx context.Context, e schemas.Envelope, d schemas.Draft) (out Naming, err error) {
	named := make([]uuid.UUID, len(d.Subjects))
	for i, s := range d.Subjects {
		named[i] = s.Alias
	}
	var before sealedBy // of the event's stream
	if slices.ContainsFunc(d.Values, func(v schemas.Value) bool { return v.Removed }) {
		if before, err = n.state(ctx, e, d.Tenant); err != nil {
			return out, err
		}
	}
	for _, v := range d.Values {
		alias := before[valueKey(v)]
		if v.Token != "" {
			h, _, err := v.Token.Parse()
			if err != nil {
				continue // no event that fits its type holds such a token
			}
			alias = h.Alias
		} else if !v.Removed {
			continue
		}
		if alias == uuid.Nil || slices.Contains(named, alias) {
			continue
		}
		owner, err := n.owner(ctx, d.Tenant, alias)
		switch {
		case err != nil:
			return out, err
		case owner.Kind == "":
			out.Untold++
		case owner.Kind == schemas.OwnerPerson:
			// A removed value's alias is of the month in which it was set; the event names its
			// own.
			found := false
			for _, a := range named {
				is, err := n.owner(ctx, d.Tenant, a)
				if err != nil {
					return out, err
				}
				found = found || v.Removed && is == owner
			}
			if !found {
				out.Missing = append(out.Missing, valueKey(v))
			}
		}
	}
	slices.Sort(out.Missing)
	if state, known := n.states[e.Stream]; known || e.Revision == 0 {
		n.states[e.Stream] = n.apply(state, d)
	}
	n.trim()
	return out, nil
}

func valueKey(v schemas.Value) string {
	if len(v.Path) == 0 {
		return v.Attr.ID
	}
	return v.Attr.ID + "~" + v.Element()
}

// state returns what stands in the stream before the event, read again where it was forgotten.
func (n *naming) state(ctx context.Context, e schemas.Envelope, tenant uuid.UUID) (sealedBy, error) {
	if state, known := n.states[e.Stream]; known || e.Revision == 0 {
		return state, nil
	}
	var state sealedBy
	var reading Reading
	for own, err := range ReadGenuine(ctx, n.l, n.c, e.Stream, tenant, &reading) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", e.Stream, err)
		}
		if own.Revision >= e.Revision {
			break
		}
		state = n.apply(state, own.Draft)
	}
	n.states[e.Stream] = n.apply(state, schemas.Draft{})
	return n.states[e.Stream], nil
}

// apply brings a state forward by an event.
func (n *naming) apply(state sealedBy, d schemas.Draft) sealedBy {
	if state == nil {
		state = sealedBy{}
	}
	if d.Type == nil || d.Type.Form != schemas.FormState {
		return state
	}
	was := len(state)
	for _, v := range d.Values {
		h, _, err := v.Token.Parse()
		if v.Token == "" || err != nil {
			delete(state, valueKey(v))
		} else {
			state[valueKey(v)] = h.Alias
		}
	}
	n.values += len(state) - was
	return state
}

// owner says whose an alias is.
func (n *naming) owner(ctx context.Context, tenant, alias uuid.UUID) (schemas.Owner, error) {
	if o, known := n.owners[alias]; known {
		return o, nil
	}
	told, err := n.ask(ctx, tenant, []uuid.UUID{alias})
	if err != nil {
		return schemas.Owner{}, fmt.Errorf("whose an alias is: %w", err)
	}
	n.owners[alias] = told[alias]
	return told[alias], nil
}

// trim forgets what has grown too large.
func (n *naming) trim() {
	if len(n.owners) > maxNamedOwners {
		clear(n.owners)
	}
	if n.values > maxNamedValues {
		clear(n.states)
		n.values = 0
	}
}
