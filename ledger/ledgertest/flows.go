package ledgertest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// Config is what a ledger on that store needs; index may be empty.
func Config(store ledger.Store, index string) ledger.Config {
	return ledger.Config{Store: store, IndexPath: index, Origin: Origin, Logger: slog.New(slog.DiscardHandler), Clock: time.Now}
}

// Origin stands for a vault that knows every tenant, each by the same key.
func Origin(context.Context, uuid.UUID) (schemas.OriginKey, bool, error) {
	return schemastest.Key, true, nil
}

// Create makes a ledger in an empty store, and returns it with the path of its index.
func Create(t *testing.T, store ledger.Store) (*ledger.Ledger, string) {
	t.Helper()
	index := filepath.Join(t.TempDir(), "sequence.index")
	l, err := ledger.Create(context.Background(), Config(store, index))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, index
}

// Append appends n events, each to a stream of its own, and returns them.
func Append(t testing.TB, l *ledger.Ledger, n int) (out []schemas.Event) {
	t.Helper()
	for i := range n {
		name := NewStream()
		e := Event(t, name, i)
		if _, err := l.Append(context.Background(), name, ledger.NoStream, []schemas.Event{e}); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// Anchor is the anchor of a recorded event.
func Anchor(t testing.TB, l *ledger.Ledger, r schemas.Recorded) *schemas.Anchor {
	t.Helper()
	leaf, err := r.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	return &schemas.Anchor{LedgerID: l.ID(), Seq: r.Seq, EventID: r.ID, Leaf: leaf}
}

var errEnough = errors.New("enough")

// takeTimeout bounds a Take that would hang.
const takeTimeout = 30 * time.Second

// Take follows from the anchor until n events came.
func Take(l *ledger.Ledger, from *schemas.Anchor, n int) ([]schemas.Recorded, error) {
	ctx, cancel := context.WithTimeout(context.Background(), takeTimeout)
	defer cancel()
	var got []schemas.Recorded
	err := l.Follow(ctx, from, func(_ context.Context, batch []schemas.Recorded) error {
		got = append(got, batch...)
		if len(got) >= n {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return got, err
}

// RunLedger checks what the ledger makes of a store: one ledger, one sequence, whatever else the store holds or does. open returns
// an empty store each time.
func RunLedger(t *testing.T, open func(t *testing.T) ledger.Store) {
	t.Run("a store holds one ledger, and nothing comes before it", func(t *testing.T) {
		store := open(t)
		if _, err := ledger.Open(context.Background(), Config(store, "")); !errors.Is(err, ledger.ErrNoLedger) {
			t.Errorf("opening an empty store: %v", err)
		}
		l, _ := Create(t, store)
		if _, err := ledger.Create(context.Background(), Config(store, "")); !errors.Is(err, ledger.ErrExists) {
			t.Errorf("creating twice: %v", err)
		}
		again, err := ledger.Open(context.Background(), Config(store, ""))
		if err != nil || again.ID() != l.ID() {
			t.Errorf("opened ledger %v (%v), created %v", again, err, l.ID())
		}
	})

	t.Run("following hands over every event once, with contiguous sequences", func(t *testing.T) {
		l, _ := Create(t, open(t))
		want := Append(t, l, 100)
		got, err := Take(l, nil, 101)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 101 {
			t.Fatalf("%d events came, want 101", len(got))
		}
		for i, r := range got {
			if r.Seq != uint64(i) || (i > 0 && r.ID != want[i-1].ID) {
				t.Fatalf("event %d came as sequence %d, id %s", i, r.Seq, r.ID)
			}
		}
		rest, err := Take(l, Anchor(t, l, got[40]), 60)
		if err != nil || rest[0].Seq != 41 || rest[0].ID != got[41].ID {
			t.Fatalf("after sequence 40 came %v (%v)", rest[0].Seq, err)
		}
		if seq, ok, err := l.Sequence(got[77].Position); err != nil || !ok || seq != 77 {
			t.Errorf("the index answers sequence %d (%v, %v) for the position of 77", seq, ok, err)
		}
		seq := 0
		for r, err := range l.Events(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Seq != got[seq].Seq || r.ID != got[seq].ID || r.Position != got[seq].Position {
				t.Fatalf("reading all shows event %d as sequence %d", seq, r.Seq)
			}
			seq++
		}
		if seq != 101 {
			t.Errorf("reading all shows %d events", seq)
		}
		if last, err := l.Last(context.Background()); err != nil || last.ID != got[100].ID {
			t.Errorf("the last event is %s (%v), want %s", last.ID, err, got[100].ID)
		}
	})

	// The index is a copy: whatever happens to its file, following gives the same sequences.
	t.Run("following survives any index file", func(t *testing.T) {
		store := open(t)
		l, index := Create(t, store)
		Append(t, l, 30)
		want, err := Take(l, nil, 31)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		whole, err := os.ReadFile(index)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(rt *rapid.T) {
			content := append([]byte(nil), whole[:rapid.IntRange(0, len(whole)).Draw(rt, "length")]...)
			if len(content) > 0 && rapid.Bool().Draw(rt, "damaged") {
				// Damage to the last record is what a crash or a foreign file leaves; it must be noticed.
				content[len(content)-1-rapid.IntRange(0, min(7, len(content)-1)).Draw(rt, "byte")] ^= 0xff
			}
			path := filepath.Join(t.TempDir(), "sequence.index")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				rt.Fatal(err)
			}
			l, err := ledger.Open(context.Background(), Config(store, path))
			if err != nil {
				rt.Fatal(err)
			}
			defer l.Close()
			from := rapid.IntRange(0, 29).Draw(rt, "from")
			got, err := Take(l, Anchor(t, l, want[from]), 30-from)
			if err != nil {
				rt.Fatal(err)
			}
			for i, r := range got {
				if r.Seq != want[from+1+i].Seq || r.ID != want[from+1+i].ID {
					rt.Fatalf("event %d after sequence %d is %d", i, from, r.Seq)
				}
			}
		})
	})

	t.Run("following stops where the ledger is not the anchored one", func(t *testing.T) {
		l, _ := Create(t, open(t))
		Append(t, l, 10)
		got, err := Take(l, nil, 11)
		if err != nil {
			t.Fatal(err)
		}
		changed, other, ahead := *Anchor(t, l, got[5]), *Anchor(t, l, got[5]), *Anchor(t, l, got[5])
		changed.Leaf[0] ^= 1
		other.LedgerID = uuid.New()
		ahead.Seq = 50
		for what, from := range map[string]schemas.Anchor{"another leaf": changed, "another ledger": other, "a sequence beyond the end": ahead} {
			if _, err := Take(l, &from, 1); !errors.Is(err, ledger.ErrDiverged) {
				t.Errorf("%s: %v, want ErrDiverged", what, err)
			}
		}
	})
}
