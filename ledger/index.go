package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// sequenceIndex is the append-only file of 16-byte records (commit, prepare): record n is the
// position of the ledger event with sequence n. It is a copy, rebuilt from $all; what stands in it
// was synced before anybody used it.
type sequenceIndex struct {
	file *os.File

	mu     sync.Mutex     // guards what follows and the file's end
	length uint64         // records synced
	sum    uint64         // of the first summed records
	summed uint64         // at most length
	tip    schemas.Anchor // of the last record, without its ledger, where it was written in this run
}

const indexRecord = 16

func openIndex(path string) (*sequenceIndex, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sequence index: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sequence index: %w", err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("sequence index: another process counts with it: %w", err), f.Close())
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && size%indexRecord != 0 {
		size -= size % indexRecord // a torn last record
		err = f.Truncate(size)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sequence index: %w", err), f.Close())
	}
	return &sequenceIndex{file: f, length: uint64(size / indexRecord)}, nil
}

func (ix *sequenceIndex) close() error { return ix.file.Close() }

func (ix *sequenceIndex) len() uint64 {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.length
}

// position returns the position of sequence n; n must be below len.
func (ix *sequenceIndex) position(n uint64) (schemas.Position, error) {
	var b [indexRecord]byte
	if _, err := ix.file.ReadAt(b[:], int64(n)*indexRecord); err != nil {
		return schemas.Position{}, fmt.Errorf("sequence index: record %d: %w", n, err)
	}
	return schemas.Position{Commit: binary.BigEndian.Uint64(b[:8]), Prepare: binary.BigEndian.Uint64(b[8:])}, nil
}

// record writes the positions of the batch, whose first sequence is at most len, and syncs
// them. What the file holds already is compared: a difference means that the file was
// damaged, or is another store's.
func (ix *sequenceIndex) record(batch []schemas.Envelope) error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	var fresh []byte
	for _, r := range batch {
		switch n := ix.length + uint64(len(fresh)/indexRecord); {
		case r.Seq > n:
			return fmt.Errorf("sequence index: sequence %d comes after a gap, the index ends at %d", r.Seq, n)
		case r.Seq < ix.length:
			have, err := ix.position(r.Seq)
			if err != nil {
				return err
			}
			if have != r.Position {
				return &staleIndexError{why: fmt.Sprintf("sequence %d is at %s, the index has %s",
					r.Seq, r.Position, have)}
			}
		default:
			fresh = binary.BigEndian.AppendUint64(fresh, r.Position.Commit)
			fresh = binary.BigEndian.AppendUint64(fresh, r.Position.Prepare)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if _, err := ix.file.WriteAt(fresh, int64(ix.length)*indexRecord); err != nil {
		return fmt.Errorf("sequence index: %w", err)
	}
	if err := ix.file.Sync(); err != nil {
		return fmt.Errorf("sequence index: %w", err)
	}
	if ix.summed == ix.length {
		ix.sum = crc64.Update(ix.sum, sums, fresh)
		ix.summed += uint64(len(fresh) / indexRecord)
	}
	ix.length += uint64(len(fresh) / indexRecord)
	ix.tip = batch[len(batch)-1].Anchor(uuid.Nil)
	return nil
}

// reset empties the index so that it is rebuilt from $all.
func (ix *sequenceIndex) reset() error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if err := ix.file.Truncate(0); err != nil {
		return fmt.Errorf("sequence index: %w", err)
	}
	ix.length, ix.sum, ix.summed, ix.tip = 0, 0, 0, schemas.Anchor{}
	return nil
}
