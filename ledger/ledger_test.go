package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
)

func TestMemoryKeepsTheStoresPromises(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) ledger.Store { return ledgertest.NewMemory() })
}

func config(store ledger.Store, index string) ledger.Config {
	return ledger.Config{Store: store, IndexPath: index, Logger: slog.New(slog.DiscardHandler), Clock: time.Now}
}

func create(t *testing.T, store ledger.Store) (*ledger.Ledger, string) {
	t.Helper()
	index := filepath.Join(t.TempDir(), "sequence.index")
	l, err := ledger.Create(context.Background(), config(store, index))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, index
}

func appendSome(t testing.TB, l *ledger.Ledger, n int) {
	t.Helper()
	for i := range n {
		name := ledgertest.NewStream()
		if _, err := l.Append(context.Background(), name, ledger.NoStream, []schemas.Event{ledgertest.Event(t, name, i)}); err != nil {
			t.Fatal(err)
		}
	}
}

var errEnough = errors.New("enough")

// take follows from the anchor until n events came.
func take(l *ledger.Ledger, from *schemas.Anchor, n int) ([]schemas.Recorded, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
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

func anchor(t testing.TB, l *ledger.Ledger, r schemas.Recorded) *schemas.Anchor {
	t.Helper()
	leaf, err := r.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	return &schemas.Anchor{LedgerID: l.ID(), Seq: r.Seq, EventID: r.ID, Leaf: leaf}
}

func TestAStoreHoldsOneLedgerAndNothingComesBeforeIt(t *testing.T) {
	store := ledgertest.NewMemory()
	if _, err := ledger.Open(context.Background(), config(store, "")); !errors.Is(err, ledger.ErrNoLedger) {
		t.Errorf("opening an empty store: %v", err)
	}
	l, _ := create(t, store)
	if _, err := ledger.Create(context.Background(), config(store, "")); !errors.Is(err, ledger.ErrExists) {
		t.Errorf("creating twice: %v", err)
	}
	again, err := ledger.Open(context.Background(), config(store, ""))
	if err != nil || again.ID() != l.ID() {
		t.Errorf("opened ledger %v (%v), created %v", again, err, l.ID())
	}
}

func TestAppendRefusesWhatBreaksALimitBeforeItIsSent(t *testing.T) {
	store := ledgertest.NewMemory()
	l, _ := create(t, store)
	name := ledgertest.NewStream()
	good := ledgertest.Event(t, name, 1)
	big := good
	big.ID, big.Data = schemas.NewID(), schemas.JSON(string(make([]byte, schemas.MaxEventBytes)))
	heavy := make([]schemas.Event, 5)
	for i := range heavy {
		heavy[i] = good
		heavy[i].ID, heavy[i].Data = schemas.NewID(), append([]byte(`"`), append(make([]byte, 200<<10), '"')...)
	}
	noMetadata := good
	noMetadata.ID, noMetadata.Metadata = schemas.NewID(), []byte(`{}`)
	foreign, noID := good, good
	foreign.Stream, noID.ID = "orders-1", uuid.Nil
	for what, events := range map[string][]schemas.Event{
		"no events": nil, "an event of another stream": {foreign}, "an event without id": {noID}, "one id twice": {good, good},
		"metadata that nobody can read": {noMetadata},
		"an event over 256 KiB":         {big}, "an append over 768 KiB": heavy,
	} {
		if _, err := l.Append(context.Background(), name, ledger.NoStream, events); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	if n := len(store.Events()); n != 1 {
		t.Errorf("%d events in the store, want the ledger's own", n)
	}
}

func TestAnUnknownOutcomeIsRepeatedWithTheSameIDsAndAppendsOnce(t *testing.T) {
	store := ledgertest.NewMemory()
	l, _ := create(t, store)
	failures := 2
	store.After = func(schemas.Stream, []schemas.Event) error {
		if failures--; failures >= 0 {
			return fmt.Errorf("connection cut: %w", ledger.ErrUnknownOutcome)
		}
		return nil
	}
	appendSome(t, l, 1)
	if n := len(store.Events()); n != 2 {
		t.Errorf("%d events in the store, want 2", n)
	}
}

func TestFollowHandsOverEveryEventOnceWithContiguousSequences(t *testing.T) {
	store := ledgertest.NewMemory()
	l, _ := create(t, store)
	appendSome(t, l, 100)
	got, err := take(l, nil, 101)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		if r.Seq != uint64(i) {
			t.Fatalf("event %d has sequence %d", i, r.Seq)
		}
	}
	rest, err := take(l, anchor(t, l, got[40]), 60)
	if err != nil || rest[0].Seq != 41 || rest[0].ID != got[41].ID {
		t.Fatalf("after sequence 40 came %v (%v)", rest[0].Seq, err)
	}
	if seq, ok, err := l.Sequence(got[77].Position); err != nil || !ok || seq != 77 {
		t.Errorf("the index answers sequence %d (%v, %v) for the position of 77", seq, ok, err)
	}
}

// The index is a copy: whatever happens to its file, following gives the same sequences.
func TestFollowSurvivesAnyIndexFile(t *testing.T) {
	store := ledgertest.NewMemory()
	l, index := create(t, store)
	appendSome(t, l, 30)
	want, err := take(l, nil, 31)
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
		l, err := ledger.Open(context.Background(), config(store, path))
		if err != nil {
			rt.Fatal(err)
		}
		defer l.Close()
		from := rapid.IntRange(0, 29).Draw(rt, "from")
		got, err := take(l, anchor(t, l, want[from]), 30-from)
		if err != nil {
			rt.Fatal(err)
		}
		for i, r := range got {
			if r.Seq != want[from+1+i].Seq || r.ID != want[from+1+i].ID {
				rt.Fatalf("event %d after sequence %d is %d", i, from, r.Seq)
			}
		}
	})
}

func TestFollowStopsWhereTheLedgerIsNotTheAnchoredOne(t *testing.T) {
	store := ledgertest.NewMemory()
	l, index := create(t, store)
	appendSome(t, l, 10)
	got, err := take(l, nil, 11)
	if err != nil {
		t.Fatal(err)
	}
	a := anchor(t, l, got[5])
	changed := *a
	changed.Leaf[0] ^= 1
	other := *a
	other.LedgerID = uuid.New()
	ahead := *a
	ahead.Seq = 50
	for what, from := range map[string]schemas.Anchor{"another leaf": changed, "another ledger": other, "a sequence beyond the end": ahead} {
		if _, err := take(l, &from, 1); !errors.Is(err, ledger.ErrDiverged) {
			t.Errorf("%s: %v, want ErrDiverged", what, err)
		}
	}
	l.Close()
	store.Corrupt(5)
	if err := os.Remove(index); err != nil {
		t.Fatal(err)
	}
	l, err = ledger.Open(context.Background(), config(store, index))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := take(l, a, 1); !errors.Is(err, ledger.ErrDiverged) {
		t.Errorf("a replaced event: %v, want ErrDiverged", err)
	}
}
