package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// forge puts an event into the store that counts as the ledger's and was not written with its key.
func forge(t *testing.T, store *ledgertest.Memory) schemas.Event {
	t.Helper()
	s := ledgertest.NewStream()
	e := schemas.Sign(ledgertest.Event(t, s, 1), 0, schemas.OriginKey{9})
	if err := store.Plant(s, ledger.NoStream, e); err != nil {
		t.Fatal(err)
	}
	return e
}

// disown appends an event that disowns these places, as that tenant or, for
// the zero one, as the ledger.
func disown(t *testing.T, l *ledger.Ledger, tenant uuid.UUID, places ...ledger.Place) {
	t.Helper()
	c := schemas.Default()
	d := schemas.Draft{Type: c.MustType(ledger.DisownedType), Tenant: tenant, Stream: ledger.DisownedStream(tenant),
		ID:       schemas.NewID(),
		Recorded: time.Now(), Source: "test", Values: []schemas.Value{{Attr: c.MustAttribute("disowned.ground"),
			Plain: schemas.JSON("test")}}}
	for i, p := range places {
		at := []string{fmt.Sprint(i)}
		d.Values = append(d.Values, schemas.Value{Attr: c.MustAttribute("disowned.event"), Path: at,
			Plain: schemas.JSON(p.Event.String())},
			schemas.Value{Attr: c.MustAttribute("disowned.sequence"), Path: at, Plain: schemas.JSON(p.Seq)})
	}
	e, err := c.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	var reading ledger.Reading
	for _, err := range ledger.ReadGenuine(context.Background(), l, c, d.Stream, tenant, &reading) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Append(context.Background(), d.Stream, reading.Expect(), []schemas.Event{e}); err != nil {
		t.Fatal(err)
	}
}

func tenantOf(t *testing.T, e schemas.Event) uuid.UUID {
	t.Helper()
	m, err := schemas.ParseMetadata(e.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	return m.Tenant
}

// Forged events are counted while following, each once, until they are disowned by who may.
func TestForgedEventsAreCountedUntilTheyAreDisowned(t *testing.T) {
	store := ledgertest.NewMemory()
	l, index := ledgertest.Create(t, store) // sequence 0
	a, b := forge(t, store), forge(t, store)
	ledgertest.Append(t, l, 1) // 3
	want := func(what string, n uint64) {
		t.Helper()
		if f := l.Forged(); f.Count != n || uint64(len(f.Listed)) != n {
			t.Fatalf("%s: %+v, want %d", what, f, n)
		}
	}
	reopen := func(origin bool) {
		t.Helper()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		c := ledgertest.Config(store, index)
		if !origin {
			c.Origin = nil
		}
		var err error
		if l, err = ledger.Open(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { l.Close() }()
	got, err := ledgertest.Take(l, nil, 4)
	if err != nil {
		t.Fatal(err)
	}
	want("followed", 2)
	last := ledgertest.Anchor(t, l, got[3])
	if _, err := ledgertest.Take(l, nil, 4); err != nil {
		t.Fatal(err)
	}
	want("followed again", 2)
	reopen(true)
	want("opened again", 2)
	if f := l.Forged().Listed[0]; f.ID != a.ID || f.Seq != 1 || f.Stream != a.Stream || f.Tenant != tenantOf(t, a) {
		t.Errorf("%+v is listed, want %s", f, a.ID)
	}

	// Notes that were lost are made anew, those of a process without vault too.
	if err := os.Remove(index + ".foreign"); err != nil {
		t.Fatal(err)
	}
	reopen(false)
	c := forge(t, store) // 4
	if got, err = ledgertest.Take(l, last, 1); err != nil {
		t.Fatal(err)
	}
	want("without a vault", 0)
	last = ledgertest.Anchor(t, l, got[0])
	reopen(true)
	ledgertest.Append(t, l, 1) // 5
	if got, err = ledgertest.Take(l, last, 1); err != nil || got[0].Seq != 5 {
		t.Fatal(got, err)
	}
	want("behind notes that were lost", 3)

	// Another tenant's event disowns nothing, nor does one that names the event elsewhere.
	disown(t, l, tenantOf(t, b), ledger.Place{Event: a.ID, Seq: 1}, ledger.Place{Event: b.ID, Seq: 1}) // 6
	if got, err = ledgertest.Take(l, ledgertest.Anchor(t, l, got[0]), 1); err != nil {
		t.Fatal(err)
	}
	want("disowned in vain", 3)
	disown(t, l, tenantOf(t, a), ledger.Place{Event: a.ID, Seq: 1})                                    // 7
	disown(t, l, uuid.Nil, ledger.Place{Event: b.ID, Seq: 2}, ledger.Place{Event: uuid.New(), Seq: 2}) // 8
	if _, err = ledgertest.Take(l, ledgertest.Anchor(t, l, got[0]), 2); err != nil {
		t.Fatal(err)
	}
	want("disowned", 1)
	reopen(true)
	want("opened again", 1)
	if l.Forged().Listed[0].ID != c.ID {
		t.Errorf("%+v is left, want %s", l.Forged(), c.ID)
	}
	found := map[ledger.Verdict]int{}
	err = l.Check(context.Background(), []uuid.UUID{tenantOf(t, a)}, nil, func(f ledger.Found) error {
		if !f.Disowned {
			found[f.Verdict]++
		}
		return nil
	})
	if err != nil || found[ledger.Forged] != 1 || found[ledger.Genuine] != 6 {
		t.Errorf("checking finds %v (%v)", found, err)
	}
}

// The index is another store's where it is empty or made anew: what was noted of
// the other store goes with it.
func TestNotesOfAnotherStoreAreNotKept(t *testing.T) {
	store := ledgertest.NewMemory()
	l, index := ledgertest.Create(t, store)
	forge(t, store)
	ledgertest.Append(t, l, 1)
	if _, err := ledgertest.Take(l, nil, 3); err != nil || l.Forged().Count != 1 {
		t.Fatal(l.Forged(), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	copied := ledgertest.NewMemory()
	for _, r := range store.Events() { // without what was forged
		if v, err := l.Judge(context.Background(), schemastest.Envelope(r)); err == nil && v == ledger.Genuine {
			if err := copied.Plant(r.Stream, ledger.NoStream, r.Event); err != nil {
				t.Fatal(err)
			}
		}
	}
	l, err := ledger.Open(context.Background(), ledgertest.Config(copied, index))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := ledgertest.Take(l, nil, 2); err != nil || l.Forged().Count != 0 {
		t.Errorf("%+v (%v)", l.Forged(), err)
	}
}

// A foreign event in the ledger's own stream does not keep a ledger from
// being made, nor from being opened.
func TestALedgerIsMadeBesideForeignEvents(t *testing.T) {
	store := ledgertest.NewMemory()
	noise := schemas.Event{ID: uuid.New(), Type: "noise", Data: []byte("{}")}
	if err := store.Plant(schemas.LedgerStream, ledger.NoStream, noise); err != nil {
		t.Fatal(err)
	}
	l, _ := ledgertest.Create(t, store)
	again, err := ledger.Open(context.Background(), ledgertest.Config(store, ""))
	if err != nil || again.ID() != l.ID() {
		t.Errorf("opened %v (%v), made %s", again, err, l.ID())
	}
	if got, err := ledgertest.Take(l, nil, 1); err != nil || got[0].Seq != 0 || got[0].Type != "ledger.created.v1" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whatever belongs to the ledger is checked, and read past in its stream.
func TestWhateverBelongsPassesChecking(t *testing.T) {
	store := ledgertest.NewMemory()
	l, _ := ledgertest.Create(t, store)
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 7))
	next := map[schemas.Stream]ledger.Expect{}
	want := map[ledger.Verdict]int{ledger.Genuine: 1}
	for range 3000 {
		e := schemastest.Foreign(r)
		expect, known := next[e.Stream]
		if !known {
			expect = ledger.NoStream
			for r := range store.ReadStream(context.Background(), e.Stream, 0) {
				expect = ledger.Exact(r.Revision)
			}
		}
		if err := store.Plant(e.Stream, expect, e); err != nil {
			t.Fatal(err)
		}
		next[e.Stream] = expect.After(1)
		if schemas.InLedger(e) {
			want[ledger.Forged]++
		} else {
			want[ledger.Foreign]++
		}
	}
	got := map[ledger.Verdict]int{}
	err := l.Check(context.Background(), []uuid.UUID{uuid.New()}, nil, func(f ledger.Found) error {
		got[f.Verdict]++
		return nil
	})
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("seed %d: checking tells %v (%v), want %v", seed, got, err, want)
	}
	for s, expect := range next {
		var reading ledger.Reading
		for own, err := range ledger.ReadGenuine(context.Background(), l, schemas.Default(), s, uuid.New(), &reading) {
			t.Fatalf("seed %d: %s gives %+v, %v", seed, s, own, err)
		}
		if reading.Expect() != expect || s != schemas.LedgerStream && reading.Left.Count() != reading.Last+1 {
			t.Errorf("seed %d: reading %s came to %+v, want an end of %s", seed, s, reading, expect)
		}
	}
}
