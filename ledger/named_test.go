package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
)

// The checker tells of each event whose data it holds or removes without naming them, as a small
// model does, however little it remembers: what it forgot it reads again.
func TestTheCheckerTellsWhoIsNotNamedHoweverLittleItRemembers(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 3))
	l, _ := ledgertest.Create(t, ledgertest.NewMemory())
	c, tenant := schemas.Default(), uuid.New()
	typ := c.MustType("device.restated.v1")
	attributes := []string{"device.user-upn", "device.serial-number", "device.phone-number", "device.logged-on-user"}

	// Three persons, a device and somebody of whom nothing is told any more, each with two
	// aliases.
	owners := map[uuid.UUID]schemas.Owner{}
	var aliases []uuid.UUID
	for i := range 5 {
		owner := schemas.Owner{Kind: schemas.OwnerPerson, ID: uuid.New()}
		if i == 3 {
			owner.Kind = schemas.OwnerDevice
		}
		for range 2 {
			a := schemas.UUIDv8([]byte(uuid.NewString()))
			aliases = append(aliases, a)
			if i < 4 {
				owners[a] = owner
			}
		}
	}
	ask := func(_ context.Context, of uuid.UUID, ids []uuid.UUID) (map[uuid.UUID]schemas.Owner, error) {
		out := map[uuid.UUID]schemas.Owner{}
		for _, id := range ids {
			if o, told := owners[id]; told && of == tenant {
				out[id] = o
			}
		}
		return out, nil
	}

	type stream struct {
		id     schemas.Stream
		values map[string]uuid.UUID
		expect ledger.Expect
	}
	var streams []*stream
	for range 4 {
		streams = append(streams, &stream{schemas.NewStream("device", uuid.New()), map[string]uuid.UUID{},
			ledger.NoStream})
	}
	want := map[uuid.UUID]ledger.Naming{}
	incomplete := 0
	for range 300 {
		s := streams[rnd.IntN(len(streams))]
		d := schemas.Draft{Type: typ, Tenant: tenant, Stream: s.id, ID: schemas.NewID(), Recorded: time.Now(),
			Source: "test"}
		for _, a := range aliases {
			if rnd.IntN(3) == 0 {
				d.Subjects = append(d.Subjects, schemas.SubjectRef{Role: "user", Alias: a})
			}
		}
		named := func(a uuid.UUID, removed bool) bool {
			return slices.ContainsFunc(d.Subjects, func(s schemas.SubjectRef) bool {
				return s.Alias == a || removed && owners[a] == owners[s.Alias]
			})
		}
		var n ledger.Naming
		for _, id := range attributes {
			v, key := schemas.Value{Attr: c.MustAttribute(id)}, id
			if id == "device.logged-on-user" {
				v.Path = []string{"0aaaaaaa-1111-4222-8333-44444444444" + fmt.Sprint(rnd.IntN(3))}
				key += "~" + v.Path[0]
			}
			var a uuid.UUID
			switch rnd.IntN(3) {
			case 0:
				continue
			case 1:
				v.Removed, a = true, s.values[key]
				delete(s.values, key)
			case 2:
				a = aliases[rnd.IntN(len(aliases))]
				s.values[key] = a
				v.Token = schemas.TokenHeader{Alias: a, Class: v.Attr.Class, Month: "202603", Event: d.ID, Attr: id,
					Path: v.Path}.
					Token(make([]byte, 92))
			}
			d.Values = append(d.Values, v)
			_, told := owners[a]
			switch {
			case a == uuid.Nil, told && named(a, v.Removed), slices.ContainsFunc(d.Subjects,
				func(s schemas.SubjectRef) bool { return s.Alias == a }):
			case !told:
				n.Untold++
			case owners[a].Kind == schemas.OwnerPerson:
				n.Missing = append(n.Missing, key)
				incomplete++
			}
		}
		slices.Sort(n.Missing)
		if len(d.Values) == 0 {
			continue
		}
		e, err := c.Encode(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(context.Background(), s.id, s.expect, []schemas.Event{e}); err != nil {
			t.Fatal(err)
		}
		s.expect, want[d.ID] = s.expect.After(1), n
	}
	if incomplete < 20 {
		t.Fatalf("%d values have a person who is not named", incomplete)
	}
	for _, limit := range []int{1 << 20, 5, 0} {
		restore := ledger.ForgetNames(limit, limit)
		err := l.Check(context.Background(), []uuid.UUID{tenant}, ask, func(f ledger.Found) error {
			if w := want[f.ID]; fmt.Sprint(f.Naming) != fmt.Sprint(w) {
				t.Errorf("remembering %d: an event is told as %+v, want %+v", limit, f.Naming, w)
			}
			return nil
		})
		restore()
		if err != nil {
			t.Fatal(err)
		}
	}
}
