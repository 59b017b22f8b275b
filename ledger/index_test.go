package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
)

// counted counts the events that are read of $all, and fails behind the last of cut.
type counted struct {
	*ledgertest.Memory
	read, cut int
}

var errGone = errors.New("the store went away")

func (c *counted) ReadAll(
	ctx context.Context, after schemas.Position, live bool,
) iter.Seq2[schemas.RecordedEvent, error] {
	return func(yield func(schemas.RecordedEvent, error) bool) {
		for r, err := range c.Memory.ReadAll(ctx, after, live) {
			if c.read++; c.cut > 0 && c.read > c.cut {
				yield(r, errGone)
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// What the index lost is counted again, and not the ledger: behind what a cut counting had, and
// behind a beginning that is known to be whole.
func TestAnIndexIsMadeAnewFromWhereItHolds(t *testing.T) {
	const events, batch, every = 1000, 10, 50
	defer ledger.Batches(batch, every)()
	ctx := context.Background()
	store := &counted{Memory: ledgertest.NewMemory()}
	l, index := ledgertest.Create(t, store)
	ledgertest.Append(t, l, events-1)
	all, err := ledgertest.Take(l, nil, events)
	if err != nil {
		t.Fatal(err)
	}
	end := ledgertest.Anchor(t, l, all[events-1])
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(index)
	if err != nil || len(whole) != 16*events {
		t.Fatalf("%d bytes: %v", len(whole), err)
	}
	holds := func(cut int) (read int, err error) {
		t.Helper()
		cfg := ledgertest.Config(store, index)
		told := uint64(0)
		cfg.Progress = func(done, of uint64) {
			if done < told || done > of {
				t.Errorf("%d of %d are told behind %d", done, of, told)
			}
			told = done
		}
		l, err := ledger.Open(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		store.read, store.cut = 0, cut
		err = l.Holds(ctx, *end)
		read, store.cut = store.read, 0
		if cut > 0 {
			return read, errors.Join(err, l.Abandon())
		}
		if closeErr := l.Close(); closeErr != nil {
			t.Fatal(closeErr)
		}
		raw, readErr := os.ReadFile(index)
		if readErr != nil || !bytes.Equal(raw, whole) {
			t.Errorf("the index is another than it was: %v", readErr)
		}
		return read, err
	}
	spoil := func(how func(b []byte) []byte) {
		t.Helper()
		if err := os.WriteFile(index, how(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		how  func(b []byte) []byte
		most int
	}{
		"whole":                 {func(b []byte) []byte { return b }, 5},
		"its last record torn":  {func(b []byte) []byte { return b[:len(b)-7] }, 5},
		"zeros at the end":      {func(b []byte) []byte { return append(b, make([]byte, 160)...) }, 10},
		"the last records lost": {func(b []byte) []byte { return b[:16*(events-20)] }, 25},
		"lost":                  {func([]byte) []byte { return nil }, events + 5},
		"bytes lost within":     {func(b []byte) []byte { return append(b[:16*300], b[16*301:]...) }, events + 10},
		"a bit flipped at the end and one within": {func(b []byte) []byte {
			b[16*300+7] ^= 1
			b[len(b)-1] ^= 1
			return b
		}, events + 10},
	} {
		spoil(tc.how)
		if read, err := holds(0); err != nil || read > tc.most {
			t.Errorf("%s: %d events were read, want at most %d: %v", name, read, tc.most, err)
		}
	}
	spoil(func([]byte) []byte { return nil })
	read, err := holds(700)
	if !errors.Is(err, errGone) {
		t.Fatalf("%d events were read: %v", read, err)
	}
	if read, err = holds(0); err != nil || read > events-700+every+batch+5 {
		t.Errorf("after a counting that was cut behind 700 events, %d were read: %v", read, err)
	}
	another := *end
	another.EventID = uuid.New()
	end = &another
	if read, err := holds(0); !errors.Is(err, ledger.ErrDiverged) || read > 2*events+20 {
		t.Errorf("another event at the anchor: %v after %d events", err, read)
	}
}
