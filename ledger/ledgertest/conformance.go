package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// Event returns a small valid ledger event of a new tenant in stream s, whose kind must be
// "refusal". Its origin is that of revision 0.
func Event(t testing.TB, s schemas.Stream, count int) schemas.Event {
	t.Helper()
	c := schemas.Default()
	e, err := c.Encode(schemas.Draft{
		Type: c.MustType("refusal.recorded.v1"), Tenant: uuid.New(), Stream: s, ID: schemas.NewID(),
		Occurred: time.Now(), Recorded: time.Now(), Source: "test",
		Values: []schemas.Value{
			{Attr: c.MustAttribute("refusal.rule"), Plain: schemas.JSON("test")},
			{Attr: c.MustAttribute("refusal.count"), Plain: schemas.JSON(count)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return schemastest.Sign(e, 0)
}

// NewStream returns a stream that nobody has used.
func NewStream() schemas.Stream { return schemas.NewStream("refusal", uuid.New()) }

// unknownOutcomes is how many unknown outcomes in a row a store may give for one append.
const unknownOutcomes = 20

// settle appends as ledger.Store asks its callers to: what has an unknown outcome
// is repeated with the same ids.
func settle(
	ctx context.Context, s ledger.Store, name schemas.Stream, e ledger.Expect, events ...schemas.Event,
) (last uint64, err error) {
	for range unknownOutcomes {
		if last, err = s.Append(ctx, name, e, events); !errors.Is(err, ledger.ErrUnknownOutcome) {
			break
		}
	}
	return last, err
}

// Run checks every promise of ledger.Store on stores that open makes; they may share one server
// and hold other events already. The server may fail now and then, as long as it is there in the
// end.
func Run(t *testing.T, open func(t *testing.T) ledger.Store) {
	ctx := context.Background()
	read := func(t *testing.T, s ledger.Store, name schemas.Stream, from uint64) (out []schemas.RecordedEvent) {
		t.Helper()
		for r, err := range s.ReadStream(ctx, name, from) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, r)
		}
		return out
	}
	must := func(t *testing.T, s ledger.Store, name schemas.Stream, e ledger.Expect, events ...schemas.Event) uint64 {
		t.Helper()
		last, err := settle(ctx, s, name, e, events...)
		if err != nil {
			t.Fatal(err)
		}
		return last
	}

	t.Run("stored bytes come back exactly", func(t *testing.T) {
		s, name := open(t), NewStream()
		a, b := Event(t, name, 1), Event(t, name, 2)
		if last := must(t, s, name, ledger.NoStream, a, b); last != 1 {
			t.Errorf("last revision %d, want 1", last)
		}
		got := read(t, s, name, 0)
		if len(got) != 2 {
			t.Fatalf("%d events, want 2", len(got))
		}
		for i, want := range []schemas.Event{a, b} {
			g := got[i]
			if g.ID != want.ID || g.Type != want.Type || g.Stream != name || string(g.Data) != string(want.Data) ||
				string(g.Metadata) != string(want.Metadata) || g.Revision != uint64(i) {
				t.Errorf("event %d came back as %+v", i, g)
			}
		}
		if rest := read(t, s, name, 1); len(rest) != 1 || rest[0].ID != b.ID {
			t.Errorf("reading from revision 1 gave %d events", len(rest))
		}
	})

	t.Run("a stream that does not exist reads as empty", func(t *testing.T) {
		if got := read(t, open(t), NewStream(), 0); len(got) != 0 {
			t.Errorf("%d events", len(got))
		}
	})

	t.Run("a stale expectation conflicts and appends nothing", func(t *testing.T) {
		s, name := open(t), NewStream()
		must(t, s, name, ledger.NoStream, Event(t, name, 1))
		must(t, s, name, ledger.Exact(0), Event(t, name, 2))
		for _, e := range []ledger.Expect{ledger.NoStream, ledger.Exact(0), ledger.Exact(7)} {
			if _, err := settle(ctx, s, name, e, Event(t, name, 3)); !errors.Is(err, ledger.ErrConflict) {
				t.Errorf("expecting %s: %v, want a conflict", e, err)
			}
		}
		must(t, s, name, ledger.Exact(1), Event(t, name, 4))
		if got := read(t, s, name, 0); len(got) != 3 {
			t.Errorf("%d events, want 3", len(got))
		}
	})

	t.Run("repeating an append with the same ids answers as before", func(t *testing.T) {
		s, name := open(t), NewStream()
		first := []schemas.Event{Event(t, name, 1), Event(t, name, 2)}
		second := []schemas.Event{Event(t, name, 3)}
		must(t, s, name, ledger.NoStream, first...)
		must(t, s, name, ledger.Exact(1), second...)
		if last := must(t, s, name, ledger.NoStream, first...); last != 1 {
			t.Errorf("repeated append answered revision %d, want 1", last)
		}
		if last := must(t, s, name, ledger.Exact(1), second...); last != 2 {
			t.Errorf("repeated append answered revision %d, want 2", last)
		}
		if got := read(t, s, name, 0); len(got) != 3 {
			t.Errorf("%d events, want 3", len(got))
		}
	})

	t.Run("of concurrent appends at one revision exactly one wins", func(t *testing.T) {
		s, name := open(t), NewStream()
		must(t, s, name, ledger.NoStream, Event(t, name, 0))
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			e := Event(t, name, i)
			wg.Go(func() { _, errs[i] = settle(ctx, s, name, ledger.Exact(0), e) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, ledger.ErrConflict) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d appends won", won)
		}
	})

	// Stores may send what comes at once together: no answer is another append's, and none
	// waits for one that fails or whose caller leaves.
	t.Run("of many appends at once each gets its own answer", func(t *testing.T) {
		s := open(t)
		type caller struct {
			name   schemas.Stream
			first  schemas.Event
			leaves context.CancelFunc // before its append; nil where it stays
			stale  error              // of a second append at the same revision
			last   [3]uint64          // of the first append, its repetition, and another behind it
			err    error
		}
		all := make([]caller, 200)
		var wg sync.WaitGroup
		for i := range all {
			c := &all[i]
			c.name = NewStream()
			c.first = Event(t, c.name, i)
			more, other := []schemas.Event{c.first}, Event(t, c.name, 2000+i)
			for n := range i % 4 {
				more = append(more, Event(t, c.name, n))
			}
			behind, ctx := Event(t, c.name, 1000+i), ctx
			if i%5 == 4 {
				ctx, c.leaves = context.WithCancel(ctx)
				c.leaves()
			}
			wg.Go(func() {
				if c.last[0], c.err = settle(ctx, s, c.name, ledger.NoStream, more...); c.err != nil {
					return
				}
				_, c.stale = settle(ctx, s, c.name, ledger.NoStream, other)
				if c.last[1], c.err = settle(ctx, s, c.name, ledger.NoStream, more...); c.err == nil {
					c.last[2], c.err = settle(ctx, s, c.name, ledger.Exact(c.last[0]), behind)
				}
			})
		}
		wg.Wait()
		for i, c := range all {
			n := uint64(i % 4)
			switch {
			case c.leaves != nil && c.err == nil:
				t.Errorf("append %d succeeded for a caller who had left", i)
			case c.leaves != nil:
			case c.err != nil || !errors.Is(c.stale, ledger.ErrConflict) || c.last != [3]uint64{n, n, n + 1}:
				t.Errorf("append %d answered revisions %d (%v), a stale one %v", i, c.last, c.err, c.stale)
			default:
				if got := read(t, s, c.name, 0); uint64(len(got)) != n+2 || got[0].ID != c.first.ID {
					t.Errorf("stream %d has %d events, want %d", i, len(got), n+2)
				}
			}
		}
	})

	t.Run("reading all gives ledger events once, in order, and after a position only later ones", func(t *testing.T) {
		s := open(t)
		var start schemas.Position
		if r, found, err := s.Last(ctx); err != nil {
			t.Fatal(err)
		} else if found {
			start = r.Position
		}
		var want []uuid.UUID
		for i := range 50 {
			name := NewStream()
			e := Event(t, name, i)
			must(t, s, name, ledger.NoStream, e)
			want = append(want, e.ID)
		}
		collect := func(after schemas.Position) (ids []uuid.UUID, at []schemas.Position) {
			for r, err := range s.ReadAll(ctx, after, false) {
				if err != nil {
					t.Fatal(err)
				}
				if !schemas.InLedger(r.Event) {
					continue // somebody else's
				}
				ids, at = append(ids, r.ID), append(at, r.Position)
			}
			return ids, at
		}
		ids, at := collect(start)
		if fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Fatalf("read %d events in another order or number than the %d appended", len(ids), len(want))
		}
		for i := 1; i < len(at); i++ {
			if at[i].Commit <= at[i-1].Commit {
				t.Fatalf("position %s comes after %s", at[i], at[i-1])
			}
		}
		if rest, _ := collect(at[30]); fmt.Sprint(rest) != fmt.Sprint(want[31:]) {
			t.Errorf("after the position of event 30 came %d events, want 19", len(rest))
		}
		if last, found, err := s.Last(ctx); err != nil || !found || last.ID != want[49] {
			t.Errorf("last event is %v (%v, %v), want %v", last.ID, found, err, want[49])
		}
	})

	t.Run("a live read shows what is appended while it waits, and ends with its context", func(t *testing.T) {
		s := open(t)
		var start schemas.Position
		if r, found, err := s.Last(ctx); err == nil && found {
			start = r.Position
		}
		ctx, cancel := context.WithCancel(ctx)
		seen := make(chan uuid.UUID)
		ended := make(chan error, 1)
		go func() {
			for r, err := range s.ReadAll(ctx, start, true) {
				if err != nil {
					ended <- err
					return
				}
				if schemas.InLedger(r.Event) {
					seen <- r.ID
				}
			}
			ended <- nil
		}()
		for i := range 3 {
			name := NewStream()
			e := Event(t, name, i)
			must(t, s, name, ledger.NoStream, e)
			select {
			case id := <-seen:
				if id != e.ID {
					t.Fatalf("saw %s, want %s", id, e.ID)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("an appended event was not shown")
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the read ended with %v, want the context's error", err)
		}
	})
}
