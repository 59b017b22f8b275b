package ledger_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
)

// At gives what Follow hands over, whether the index holds it, does not reach it, or does not
// describe the store.
func TestAtGivesWhatFollowHandsOver(t *testing.T) {
	ctx := context.Background()
	store := ledgertest.NewMemory()
	l, index := ledgertest.Create(t, store)
	ledgertest.Append(t, l, 20)
	half, err := ledgertest.Take(l, nil, 10) // the index holds at least these
	if err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, l *ledger.Ledger) {
		t.Helper()
		for seq := range uint64(21) {
			r, ok, err := l.At(ctx, seq)
			if err != nil || !ok || r.Seq != seq {
				t.Fatalf("sequence %d: %d %v %v", seq, r.Seq, ok, err)
			}
			if seq < uint64(len(half)) && (r.ID != half[seq].ID || !bytes.Equal(r.Data, half[seq].Data)) {
				t.Errorf("sequence %d is another event", seq)
			}
		}
		for _, beyond := range []uint64{21, 22, 1 << 40, 1<<64 - 1} {
			if _, ok, err := l.At(ctx, beyond); ok || err != nil {
				t.Errorf("sequence %d: %v %v", beyond, ok, err)
			}
		}
	}
	check(t, l)
	l.Close()
	for name, spoil := range map[string]func(raw []byte) []byte{
		"none":            func([]byte) []byte { return nil },
		"longer":          func(raw []byte) []byte { return append(raw, bytes.Repeat([]byte{7}, 64)...) },
		"one bit flipped": func(raw []byte) []byte { raw[5*16+7] ^= 1; return raw },
		"zeros":           func(raw []byte) []byte { return make([]byte, len(raw)) },
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(index)
			if err != nil {
				t.Fatal(err)
			}
			spoiled := spoil(bytes.Clone(raw))
			if err := os.WriteFile(index, spoiled, 0o600); err != nil {
				t.Fatal(err)
			}
			l, err := ledger.Open(ctx, ledgertest.Config(store, index))
			if err != nil {
				t.Fatal(err)
			}
			check(t, l)
			l.Close()
			if err := os.WriteFile(index, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
}
