package ledgertest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
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
	return ledger.Config{Store: store, IndexPath: index, Origin: Origin,
		Logger: slog.New(slog.DiscardHandler), Clock: time.Now}
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
func Anchor(t testing.TB, l *ledger.Ledger, r schemas.Envelope) *schemas.Anchor {
	t.Helper()
	a := r.Anchor(l.ID())
	a.Position = schemas.Position{} // a hint, and a right position is found without it
	return &a
}

var errEnough = errors.New("enough")

// takeTimeout bounds a Take that would hang.
const takeTimeout = 30 * time.Second

// Take follows from the anchor until n events came.
func Take(l *ledger.Ledger, from *schemas.Anchor, n int) ([]schemas.Envelope, error) {
	ctx, cancel := context.WithTimeout(context.Background(), takeTimeout)
	defer cancel()
	var got []schemas.Envelope
	err := l.Follow(ctx, from, func(_ context.Context, batch []schemas.Envelope) error {
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

// end comes after every position.
var end = schemas.Position{Commit: math.MaxUint64, Prepare: math.MaxUint64}

// foreignBefore counts the foreign events in the store before a position;
// others may write them too.
func foreignBefore(t *testing.T, s ledger.Store, before schemas.Position) (n uint64) {
	t.Helper()
	for r, err := range s.ReadAll(context.Background(), schemas.Position{}, false) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Position.Commit < before.Commit && !schemas.InLedger(r.Event) {
			n++
		}
	}
	return n
}

// damaged returns what may have become of an index file: bits flipped anywhere, bytes gone or more
// anywhere, cut, another store's.
func damaged(t *rapid.T, whole []byte) []byte {
	b := append([]byte(nil), whole...)
	for range rapid.IntRange(0, 3).Draw(t, "faults") {
		at := rapid.IntRange(0, len(b)).Draw(t, "at")
		faults := []string{"flip", "flip", "cut", "gone", "more", "repeated", "other"}
		switch rapid.SampledFrom(faults).Draw(t, "fault") {
		case "flip":
			if at < len(b) {
				b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			}
		case "cut":
			b = b[:at]
		case "gone":
			b = append(b[:at:at], b[min(len(b), at+rapid.SampledFrom([]int{1, 8, 16, 48}).Draw(t, "bytes")):]...)
		case "more":
			more := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "more")
			b = append(b[:at:at], append(more, b[at:]...)...)
		case "repeated":
			b = append(b, b[at:]...)
		case "other":
			for i := 0; i+16 <= len(b); i += 16 {
				binary.BigEndian.PutUint64(b[i:], uint64(i)*7+3)
				binary.BigEndian.PutUint64(b[i+8:], uint64(i)*7+3)
			}
		}
	}
	return b
}

// RunLedger checks what the ledger makes of a store: one ledger, one sequence, whatever else the
// store holds or does. open returns an empty store each time.
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

	// The index is a copy: whatever happens to its file, following gives the same sequences,
	// and diverged is only what is.
	t.Run("following survives any index file", func(t *testing.T) {
		const n = 30
		store := open(t)
		l, index := Create(t, store)
		Append(t, l, n)
		want, err := Take(l, nil, n+1)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		whole, err := os.ReadFile(index)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(rt *rapid.T) {
			path := filepath.Join(t.TempDir(), "sequence.index")
			if err := os.WriteFile(path, damaged(rt, whole), 0o600); err != nil {
				rt.Fatal(err)
			}
			l, err := ledger.Open(context.Background(), Config(store, path))
			if err != nil {
				rt.Fatal(err)
			}
			defer l.Close()
			from := rapid.IntRange(-1, n-1).Draw(rt, "from")
			var anchor *schemas.Anchor // from the beginning
			if from >= 0 {
				anchor = Anchor(t, l, want[from])
			}
			if anchor != nil && rapid.IntRange(0, 5).Draw(rt, "diverged") == 0 {
				anchor.Leaf[rapid.IntRange(0, 31).Draw(rt, "byte")] ^= 1
				if _, err := Take(l, anchor, 1); !errors.Is(err, ledger.ErrDiverged) {
					rt.Fatalf("a position of another event: %v, want ErrDiverged", err)
				}
				return
			}
			got, err := Take(l, anchor, n-from)
			if err != nil {
				rt.Fatal(err)
			}
			for i, r := range got {
				if r.Seq != want[from+1+i].Seq || r.ID != want[from+1+i].ID {
					rt.Fatalf("event %d after sequence %d is %d", i, from, r.Seq)
				}
			}
			after, err := os.ReadFile(path)
			if err != nil {
				rt.Fatal(err)
			}
			// Records behind the store's end wait for the event that is not where they say.
			if from := (from + 1) * 16; len(after) < len(whole) || !bytes.Equal(after[from:len(whole)], whole[from:]) {
				rt.Fatalf("the index is not mended behind byte %d:\n%x\nwant\n%x", from, after, whole)
			}
		})
	})

	// Foreign events have no sequence, wherever they stand; each is counted
	// once, over restarts and crashes.
	t.Run("foreign events are counted once and leave no gap", func(t *testing.T) {
		store := open(t)
		l, index := Create(t, store)
		r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 5))
		next := map[schemas.Stream]uint64{}
		plant := func() {
			e := schemastest.Foreign(r)
			e.ID, e.Data, e.Metadata = uuid.New(), json.RawMessage(`{"a":1}`), json.RawMessage(`{"b":2}`)
			if e.Type = "noise"; !e.Stream.Valid() || e.Stream == schemas.LedgerStream {
				e.Stream = NewStream()
			}
			expect := ledger.NoStream
			if n := next[e.Stream]; n > 0 {
				expect = ledger.Exact(n - 1)
			}
			if _, err := settle(context.Background(), store, e.Stream, expect, e); err != nil {
				t.Fatal(err)
			}
			next[e.Stream]++
		}
		ids := []uuid.UUID{}
		var anchor *schemas.Anchor
		for round := range 4 {
			for range 10 {
				for range r.IntN(3) {
					plant()
				}
				ids = append(ids, Append(t, l, 1)[0].ID)
			}
			n := len(ids) + 1 // the ledger's first event is one too
			due := uint64(0)
			if anchor != nil {
				due = anchor.Seq + 1
			}
			got, err := Take(l, anchor, n-int(due))
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range got {
				if r.Seq != due+uint64(i) || r.Seq > 0 && r.ID != ids[r.Seq-1] {
					t.Fatalf("round %d: sequence %d is %s, want %d", round, r.Seq, r.ID, due+uint64(i))
				}
			}
			f := l.Foreign()
			least, most := foreignBefore(t, store, got[len(got)-1].Position), foreignBefore(t, store, end)
			if f.Count < least || f.Count > most {
				t.Fatalf("round %d: %d foreign events are counted, want %d, or with what came since %d",
					round, f.Count, least, most)
			}
			if round != 2 { // in one round the position is lost: everything of it comes again
				anchor = Anchor(t, l, got[len(got)-1])
			}
			if round%2 == 0 { // without closing: as after a crash
				copied := filepath.Join(t.TempDir(), "sequence.index")
				for _, suffix := range []string{"", ".foreign"} {
					raw, err := os.ReadFile(index + suffix)
					if err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Fatal(err)
					}
					if err == nil {
						if err := os.WriteFile(copied+suffix, raw, 0o600); err != nil {
							t.Fatal(err)
						}
					}
				}
				index = copied
			}
			l.Close()
			again, err := ledger.Open(context.Background(), Config(store, index))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { again.Close() })
			l = again
		}
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
		for what, from := range map[string]schemas.Anchor{"another leaf": changed, "another ledger": other,
			"a sequence beyond the end": ahead} {
			if _, err := Take(l, &from, 1); !errors.Is(err, ledger.ErrDiverged) {
				t.Errorf("%s: %v, want ErrDiverged", what, err)
			}
		}
	})
}
