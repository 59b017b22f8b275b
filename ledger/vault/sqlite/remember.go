package sqlite

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

// namedAtOnce is how many streams a statement names: few enough to be cheap where one is asked
// for, and one text whatever is asked, so that it is prepared once.
const namedAtOnce = 32

// named runs do for the streams, in statements of one text. What is left of the last is filled up
// with a stream that it names already.
func (r *rows) named(streams []uuid.UUID, do func(args []any) error) error {
	for part := range slices.Chunk(streams, namedAtOnce) {
		args := make([]any, 1, 1+namedAtOnce)
		args[0] = r.t()
		for i := range namedAtOnce {
			args = append(args, id(part[min(i, len(part)-1)]))
		}
		if err := do(args); err != nil {
			return err
		}
	}
	return nil
}

var someStreams = "memory WHERE tenant = ? AND stream IN (?" + strings.Repeat(", ?", namedAtOnce-1) + ")"

func (r *rows) Memories(streams []uuid.UUID) (out []store.MemoryRow, err error) {
	err = r.named(streams, func(args []any) error {
		found, err := list(r, "SELECT stream, sealed FROM "+someStreams, args,
			func(m *store.MemoryRow) []any { return []any{idCol{&m.Stream}, &m.Sealed} })
		out = append(out, found...)
		return err
	})
	return out, err
}

func (r *rows) MemorySizes(streams []uuid.UUID) (map[uuid.UUID]int, error) {
	type row struct {
		stream uuid.UUID
		size   int
	}
	out := map[uuid.UUID]int{}
	err := r.named(streams, func(args []any) error {
		found, err := list(r, "SELECT stream, length(sealed) FROM "+someStreams, args,
			func(m *row) []any { return []any{idCol{&m.stream}, &m.size} })
		for _, m := range found {
			out[m.stream] = m.size
		}
		return err
	})
	return out, err
}

// PutMemories asks for the stream's key in the statement: one that was deleted since takes nothing
// behind it.
func (r *rows) PutMemories(all []store.MemoryRow) error {
	for _, m := range all {
		if err := r.exec(`INSERT INTO memory (tenant, stream, sealed)
			SELECT tenant, stream, ? FROM stream_key WHERE tenant = ? AND stream = ?
			ON CONFLICT DO UPDATE SET sealed = excluded.sealed`, m.Sealed, r.t(), id(m.Stream)); err != nil {
			return err
		}
	}
	return nil
}

func (r *rows) DeleteMemories(streams []uuid.UUID) error {
	return r.named(streams, func(args []any) error { return r.exec("DELETE FROM "+someStreams, args...) })
}

func (r *rows) DeleteAllMemories() error { return r.exec("DELETE FROM memory WHERE tenant = ?", r.t()) }
