package projections

import (
	"context"
	"errors"
	"iter"

	"github.com/ledgerline/ledgerline/schemas"
)

// Sink takes rows into the views. Insert returns after all rows are durable in every view, or an
// error after which any part of them may be: inserting the same rows again is harmless, and
// repairs.
type Sink interface {
	Insert(ctx context.Context, rows []Row) error
	// Stored returns, for those of the sequences that have rows, what the rows are.
	Stored(ctx context.Context, seqs []uint64) (map[uint64][]Stored, error)
}

// Stored is a row that the views hold: its leaf, and the partition where it was read.
type Stored struct {
	Leaf      [32]byte
	Partition string
}

// Place is how far one partition has been applied: the offset after the last applied message, and
// that message's sequence.
type Place struct {
	Next    int64
	LastSeq uint64
}

// Position is what a projector has applied. It is saved after the rows that it covers.
type Position struct {
	Saved   uint64           // grows with every save
	Applied uint64           // sequences 0 to Applied-1 are all applied; 0: none
	Next    map[string]Place // per partition
	// Skipped are the foreign records of each partition. Those below its place are not read again.
	Skipped map[string]Foreign
}

// Positions keeps the position of a projector beside the rows it covers.
type Positions interface {
	// LoadPosition returns the last saved position; the zero Position when there is none.
	LoadPosition(ctx context.Context, projector string) (Position, error)
	// SavePosition returns after the position is durable.
	SavePosition(ctx context.Context, projector string, p Position) error
	// AppliedAbove yields, in ascending order and each once, the sequences from p.Applied on that
	// the views hold and that p covers: a row above its partition's place may stand in some views
	// only, and is read again.
	AppliedAbove(ctx context.Context, p Position) iter.Seq2[uint64, error]
}

// ErrReadOnly is wrapped when the account by which the views are asked may not write.
var ErrReadOnly = errors.New("this account may only read the views")

// Item is a message of a partition.
type Item struct {
	Envelope schemas.Envelope // with Seq; meaningful where Foreign is nil
	Offset   int64
	Foreign  error // why the message is no event of the ledger
}

// Noted is what the relay noted: all sequences up to Through lie below these ends of the
// partitions.
type Noted struct {
	Through uint64
	Ends    map[string]int64
}

// ErrNoItem says that the partition holds no message at an offset: it ended before it, or lost it.
var ErrNoItem = errors.New("no message at that offset")

// FirstOffset asks Read for the earliest message that a partition still holds.
const FirstOffset int64 = -2

// Source is the topics, as the projector reads them. Partitions are named by the source
// ("ledger.device/0#8a3c61f2"); a topic that is made anew has other names, since nothing that was
// known of the old one holds for it. People are shown what stands before the #.
type Source interface {
	// Partitions returns every partition of every ledger topic there is now; the projector asks
	// again and again.
	Partitions(ctx context.Context) ([]string, error)
	// Read yields the partition's messages from that offset (or FirstOffset) in offset order and
	// waits for more. It ends with ctx or with an error, after which the projector calls it
	// again.
	Read(ctx context.Context, partition string, from int64) iter.Seq2[Item, error]
	// Fetch returns the message at exactly that offset, or ErrNoItem.
	Fetch(ctx context.Context, partition string, offset int64) (Item, error)
	// Noted returns what the relay noted last, as soon as there is something and it is another
	// than last.
	Noted(ctx context.Context, last *Noted) (*Noted, error)
}
