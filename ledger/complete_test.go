package ledger_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// foreignEvent is what anybody may have appended.
func foreignEvent(s schemas.Stream) schemas.Event {
	return schemas.Event{ID: uuid.New(), Stream: s, Type: "created", Data: []byte(`{}`)}
}

// grow appends n drawn events to a few streams, foreign ones and forged ones between.
func grow(
	tb testing.TB, t *rapid.T, store ledger.Store, streams []schemas.Stream, revisions map[schemas.Stream]uint64,
	n int,
) {
	for i := range n {
		s := rapid.SampledFrom(streams).Draw(t, "stream")
		r := revisions[s]
		expect := ledger.NoStream
		if r > 0 {
			expect = ledger.Exact(r - 1)
		}
		e := schemastest.Sign(ledgertest.Event(tb, s, i), r)
		switch rapid.IntRange(0, 9).Draw(t, "whose") {
		case 0, 1:
			e = foreignEvent(s)
		case 2:
			e = schemas.Sign(ledgertest.Event(tb, s, i), r, schemas.OriginKey{5})
		}
		if _, err := store.Append(context.Background(), s, expect, []schemas.Event{e}); err != nil {
			t.Fatal(err)
		}
		revisions[s]++
	}
}

// published are the ledger's events of a store, numbered.
func published(store *ledgertest.Memory) (out []schemas.Envelope) {
	for _, r := range store.Events() {
		if e, foreign := schemas.NewEnvelope(r); foreign == nil {
			e.Seq = uint64(len(out))
			out = append(out, e)
		}
	}
	return out
}

func source(events []schemas.Envelope) func(context.Context) iter.Seq2[schemas.Envelope, error] {
	return func(context.Context) iter.Seq2[schemas.Envelope, error] {
		return func(yield func(schemas.Envelope, error) bool) {
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

type tester interface {
	Helper()
	Fatalf(string, ...any)
}

func completion(t tester, id uuid.UUID, store ledger.Store, events []schemas.Envelope) ledger.CompleteConfig {
	t.Helper()
	last := events[len(events)-1]
	return ledger.CompleteConfig{Store: store, Published: source(events), Origin: ledgertest.Origin,
		Through: last.Anchor(id)}
}

func sameLedger(t tester, got, want []schemas.Envelope) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i].Leaf() != want[i].Leaf() {
			t.Fatalf("sequence %d is event %s of %s, was %s of %s",
				i, got[i].ID, got[i].Stream, want[i].ID, want[i].Stream)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("the ledger has %d events, had %d", len(got), len(want))
	}
}

var errCut = errors.New("cut")

// A store is lost in part or whole, and completed from what was published: the ledger is the same
// byte for byte, with the same revisions, whatever others had appended between, and wherever a
// completion is cut and run again.
func TestACompletedStoreHoldsTheSameLedgerWhereverItWasCut(tb *testing.T) {

	rapid.Check(tb, func(t *rapid.T) {
		ctx := context.Background()
		whole := ledgertest.NewMemory()
		l, err := ledger.Create(ctx, ledgertest.Config(whole, ""))
		if err != nil {
			t.Fatal(err)
		}
		var streams []schemas.Stream
		for range rapid.IntRange(1, 4).Draw(t, "streams") {
			streams = append(streams, ledgertest.NewStream())
		}
		grow(tb, t, whole, streams, map[schemas.Stream]uint64{}, rapid.IntRange(0, 40).Draw(t, "events"))
		want := published(whole)
		forged := 0
		for _, r := range want {
			if !r.Genuine(schemastest.Key) {
				forged++
			}
		}

		// The copy: the beginning of the store, foreign events and all.
		copied := ledgertest.NewMemory()
		revisions := map[schemas.Stream]uint64{}
		for _, r := range whole.Events()[:rapid.IntRange(0, len(whole.Events())).Draw(t, "copied")] {
			expect := ledger.NoStream
			if r.Revision > 0 {
				expect = ledger.Exact(r.Revision - 1)
			}
			if _, err := copied.Append(ctx, r.Stream, expect, []schemas.Event{r.Event}); err != nil {
				t.Fatal(err)
			}
			revisions[r.Stream]++
		}
		held := len(published(copied))
		cfg := completion(t, l.ID(), copied, want)
		for cuts := 0; ; cuts++ {
			// Cut before or after each append in turn: at the next one.
			left := rapid.IntRange(0, 2).Draw(t, "appends before the cut")
			when := rapid.SampledFrom([]string{"before", "after", "never"}).Draw(t, "when")
			cut := func(schemas.Stream, []schemas.Event) error {
				if left--; left < 0 {
					return errCut
				}
				return nil
			}
			copied.Fail, copied.After = nil, nil
			switch {
			case cuts > 200 || when == "never":
			case when == "before":
				copied.Fail = cut
			default:
				copied.After = cut
			}
			done, err := ledger.Complete(ctx, cfg)
			if errors.Is(err, errCut) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if cuts == 0 && (done.Held != uint64(held) || done.Appended != uint64(len(want)-held)) ||
				done.Forged != uint64(forged) {
				t.Fatalf("%+v, want %d held of %d, %d forged", done, held, len(want), forged)
			}
			break
		}
		sameLedger(t, published(copied), want)
		done, err := ledger.Complete(ctx, cfg)
		if err != nil || done.Appended != 0 || done.Held != uint64(len(want)) {
			t.Fatalf("again: %+v, %v", done, err)
		}
		if _, err := ledger.Open(ctx, ledgertest.Config(copied, "")); err != nil {
			t.Fatal(err)
		}
	})
}

// storeWith makes a store of a new ledger with n events in one stream.
func storeWith(t *testing.T, n int) (*ledgertest.Memory, *ledger.Ledger, schemas.Stream) {
	t.Helper()
	store := ledgertest.NewMemory()
	l, err := ledger.Create(context.Background(), ledgertest.Config(store, ""))
	if err != nil {
		t.Fatal(err)
	}
	s := ledgertest.NewStream()
	for i := range n {
		expect := ledger.NoStream
		if i > 0 {
			expect = ledger.Exact(uint64(i - 1))
		}
		if _, err := l.Append(context.Background(), s, expect,
			[]schemas.Event{ledgertest.Event(t, s, i)}); err != nil {
			t.Fatal(err)
		}
	}
	return store, l, s
}

// copyOf is a store with the first n events of another.
func copyOf(t *testing.T, store *ledgertest.Memory, n int) *ledgertest.Memory {
	t.Helper()
	out := ledgertest.NewMemory()
	for _, r := range store.Events()[:n] {
		expect := ledger.NoStream
		if r.Revision > 0 {
			expect = ledger.Exact(r.Revision - 1)
		}
		if _, err := out.Append(context.Background(), r.Stream, expect, []schemas.Event{r.Event}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Nothing is appended where the copy, the topics and the vault are not of one ledger.
func TestNothingIsAppendedToACopyThatIsNoBeginningOfWhatWasPublished(t *testing.T) {
	ctx := context.Background()
	store, l, s := storeWith(t, 10)
	want := published(store)
	for name, c := range map[string]struct {
		copy   *ledgertest.Memory
		change func(*ledger.CompleteConfig)
		err    error
		after  int // events that the copy may hold more afterwards
	}{
		"another event": {copy: func() *ledgertest.Memory {
			m := copyOf(t, store, 6)
			m.Corrupt(4)
			return m
		}(), err: ledger.ErrDiverged},
		"another ledger": {copy: func() *ledgertest.Memory {
			m, _, _ := storeWith(t, 3)
			return m
		}(), err: ledger.ErrDiverged},
		"another vault": {copy: ledgertest.NewMemory(), err: ledger.ErrOtherVault,
			change: func(c *ledger.CompleteConfig) {
				c.Origin = func(context.Context, uuid.UUID) (schemas.OriginKey, bool, error) {
					return schemas.OriginKey{8}, true, nil
				}
			}},
		"another anchor": {copy: ledgertest.NewMemory(), err: ledger.ErrDiverged,
			change: func(c *ledger.CompleteConfig) {
				c.Through.EventID = uuid.New()
			}},
		"topics that end before the anchor": {copy: ledgertest.NewMemory(), err: ledger.ErrDiverged,
			change: func(c *ledger.CompleteConfig) {
				c.Published = source(want[:8])
			}},
		"a reading that fails": {copy: ledgertest.NewMemory(), err: errCut, change: func(c *ledger.CompleteConfig) {
			c.Published = func(ctx context.Context) iter.Seq2[schemas.Envelope, error] {
				return func(yield func(schemas.Envelope, error) bool) {
					for r, err := range source(want[:9])(ctx) {
						if !yield(r, err) {
							return
						}
					}
					yield(schemas.Envelope{}, errCut)
				}
			}
		}},
		"a stream that has grown otherwise": {copy: func() *ledgertest.Memory {
			m := copyOf(t, store, 6)
			if _, err := m.Append(ctx, s, ledger.Exact(4), []schemas.Event{foreignEvent(s)}); err != nil {
				t.Fatal(err)
			}
			return m
		}(), err: ledger.ErrLonger},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(c.copy.Events())
			cfg := completion(t, l.ID(), c.copy, want)
			if c.change != nil {
				c.change(&cfg)
			}
			if _, err := ledger.Complete(ctx, cfg); !errors.Is(err, c.err) {
				t.Errorf("%v, want %v", err, c.err)
			}
			if n := len(c.copy.Events()); n != before {
				t.Errorf("the copy had %d events and has %d", before, n)
			}
		})
	}
}

// A store that holds more than was published is compared and left as it is.
func TestAStoreThatIsLongerIsLeftAsItIs(t *testing.T) {
	store, l, _ := storeWith(t, 10)
	want := published(store)
	done, err := ledger.Complete(context.Background(), completion(t, l.ID(), store, want[:7]))
	if err != nil || done.Appended != 0 || done.Held != uint64(len(want)) || done.Published != 7 {
		t.Errorf("%+v, %v", done, err)
	}
	sameLedger(t, published(store), want)
}

// Events after the noted end are taken where they fit; a repeated one, under a number
// that comes later, is left out.
func TestWhatWasPublishedAndNotNotedIsTakenWhereItFits(t *testing.T) {
	store, l, _ := storeWith(t, 10)
	want := published(store)
	cfg := completion(t, l.ID(), ledgertest.NewMemory(), want[:8])
	repeated := want[3]
	repeated.Seq = uint64(len(want))
	cfg.Published = source(append(slices.Clone(want), repeated))
	done, err := ledger.Complete(context.Background(), cfg)
	if err != nil || done.Appended != uint64(len(want)) || done.LeftOut != 1 || done.Last.Seq != uint64(len(want)-1) {
		t.Errorf("%+v, %v", done, err)
	}
	sameLedger(t, published(cfg.Store.(*ledgertest.Memory)), want)
}

// A repeated event that was noted leaves no ledger that would count otherwise: the store takes its
// append for a repetition, and what was appended is compared again.
func TestARepeatedEventAmongThoseNotedIsFound(t *testing.T) {
	store, l, _ := storeWith(t, 10)
	want := published(store)
	repeated := want[3]
	repeated.Seq = uint64(len(want))
	last := schemastest.Changed(want[0], func(r *schemas.RecordedEvent) {
		r.Event, r.Revision = schemastest.Sign(ledgertest.Event(t, ledgertest.NewStream(), 1), 0), 0
		r.Seq = repeated.Seq + 1
	})
	cfg := completion(t, l.ID(), ledgertest.NewMemory(), append(slices.Clone(want), repeated, last))
	if _, err := ledger.Complete(context.Background(), cfg); !errors.Is(err, ledger.ErrDiverged) {
		t.Errorf("%v", err)
	}
}

// An event whose revision no foreign events explain does not fill a stream without end.
func TestAGapThatNothingExplainsIsNamed(t *testing.T) {
	store, l, s := storeWith(t, 3)
	want := published(store)
	far := schemastest.Envelope(schemas.RecordedEvent{Event: schemastest.Sign(ledgertest.Event(t, s, 9), 1<<40),
		Revision: 1 << 40, Seq: uint64(len(want))})
	if _, err := ledger.Complete(context.Background(), completion(t, l.ID(), store,
		append(want, far))); !errors.Is(err, ledger.ErrGap) {
		t.Errorf("%v", err)
	}
}

// Reindex counts the whole ledger and every foreign event anew; DropIndex leaves
// that to whoever follows next.
func TestReindexCountsTheWholeLedgerAnew(t *testing.T) {
	ctx := context.Background()
	store := ledgertest.NewMemory()
	l, index := ledgertest.Create(t, store)
	ledgertest.Append(t, l, 20)
	for range 3 {
		s := schemas.Stream("order-1")
		if _, err := store.Append(ctx, schemas.Stream(string(s)+uuid.NewString()), ledger.NoStream,
			[]schemas.Event{foreignEvent(s)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ledgertest.Take(l, nil, 10); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n, err := l.Reindex(ctx, nil)
		if err != nil || n != 21 || l.Foreign().Count != 3 {
			t.Fatalf("%d events and %d foreign ones: %v", n, l.Foreign().Count, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ledger.DropIndex(index); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ctx, ledgertest.Config(store, index))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n := l.Foreign().Count; n != 0 {
		t.Errorf("notes of %d foreign events are left", n)
	}
	if got, err := ledgertest.Take(l, nil, 21); err != nil || len(got) != 21 {
		t.Errorf("%d events follow: %v", len(got), err)
	}
}
