package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// MarkFile lies beside Pebble's directory and says what has been durable there:
// the store's id and a commit. It is written after each group's fsync, and
// fsynced itself only by Create and Close. So it never says more than is true;
// after a kill it is exact, after a power failure it may be old. A recovered
// log that ends before it has lost acknowledged events, whatever Pebble made of
// the damage; a directory that has it and no log has lost all.
const (
	MarkFile   = "store"
	MarkUnborn = "store.creating"

	markMagic    = "esmark\x00\x01"
	markSize     = len(markMagic) + 16 + 4*8 + 4
	MarkDistance = 4096 // between the two slots: no torn write damages both
)

// Mark is one slot of the file; the slots are written in turn.
type Mark struct {
	ID                  [16]byte
	Seq                 uint64 // the newer of two valid slots has the higher one
	Commit, Next, Total uint64
}

func (m Mark) encode() []byte {
	dst := make([]byte, 0, markSize)
	dst = append(dst, markMagic...)
	dst = append(dst, m.ID[:]...)
	for _, v := range [...]uint64{m.Seq, m.Commit, m.Next, m.Total} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, layout.Castagnoli))
}

func decodeMark(v []byte) (m Mark, ok bool) {
	body := v[:markSize-4]
	sum := binary.BigEndian.Uint32(v[len(body):])
	if string(v[:len(markMagic)]) != markMagic || crc32.Checksum(body, layout.Castagnoli) != sum {
		return m, false
	}
	body = body[len(markMagic):]
	copy(m.ID[:], body)
	n := func(i int) uint64 { return binary.BigEndian.Uint64(body[16+8*i:]) }
	m.Seq, m.Commit, m.Next, m.Total = n(0), n(1), n(2), n(3)
	return m, true
}

// ReadMark returns the mark of the store in dir; ok is false where there is no
// file, as in directories that were made before it was invented.
func ReadMark(fs vfs.FS, dir string) (m Mark, ok bool, err error) {
	f, err := fs.Open(fs.PathJoin(dir, MarkFile))
	if errors.Is(err, os.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return m, false, fmt.Errorf("read the durable mark: %w", err)
	}
	if len(b) != MarkDistance+markSize {
		return m, false, fmt.Errorf("%w: file %q has %d bytes", layout.ErrCorrupt, MarkFile, len(b))
	}
	for _, slot := range [...]int{0, MarkDistance} {
		if s, valid := decodeMark(b[slot : slot+markSize]); valid && (!ok || s.Seq > m.Seq) {
			m, ok = s, true
		}
	}
	if !ok {
		return m, false, fmt.Errorf("%w: checksums of file %q", layout.ErrCorrupt, MarkFile)
	}
	return m, true, nil
}

// CreateMark writes the file, durably and by one rename.
func CreateMark(fs vfs.FS, dir string, m Mark) error {
	unborn := fs.PathJoin(dir, MarkUnborn)
	f, err := fs.Create(unborn, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	b := make([]byte, MarkDistance+markSize)
	copy(b, m.encode())
	m.Seq++
	copy(b[MarkDistance:], m.encode())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fs.Rename(unborn, fs.PathJoin(dir, MarkFile))
	}
	if err == nil {
		err = SyncDir(fs, dir)
	}
	if err != nil {
		return fmt.Errorf("write the durable mark: %w", err)
	}
	return nil
}

// Marker is the open mark of a running log. Used by one goroutine at a time.
type Marker struct {
	f    vfs.File
	Mark Mark
	at   int64 // slot to write next
}

// OpenMark opens the file to move the mark from m on.
func OpenMark(fs vfs.FS, dir string, m Mark) (*Marker, error) {
	f, err := fs.OpenReadWrite(fs.PathJoin(dir, MarkFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open the durable mark: %w", err)
	}
	k := &Marker{f: f, Mark: m}
	// The first write must not touch the slot that m came from.
	b := make([]byte, markSize)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("read the durable mark: %w", err), f.Close())
	}
	if first, ok := decodeMark(b); ok && first.Seq == m.Seq {
		k.at = MarkDistance
	}
	return k, nil
}

// Move says that the log is durable up to a commit.
func (k *Marker) Move(commit, next, total uint64) error {
	k.Mark.Seq++
	k.Mark.Commit, k.Mark.Next, k.Mark.Total = commit, next, total
	if _, err := k.f.WriteAt(k.Mark.encode(), k.at); err != nil {
		return fmt.Errorf("move the durable mark: %w", err)
	}
	k.at = MarkDistance - k.at
	return nil
}

// Close makes the mark durable and closes its file.
func (k *Marker) Close() error {
	if err := errors.Join(k.f.Sync(), k.f.Close()); err != nil {
		return fmt.Errorf("close the durable mark: %w", err)
	}
	return nil
}

// Compare refuses a log that has lost what the mark says was durable: where the log ends at this
// commit, with this next position and so many events in total.
func (m Mark) Compare(id [16]byte, commit, next, total uint64) error {
	switch {
	case m.ID != id:
		return fmt.Errorf("%w: file %q belongs to another store than %q", layout.ErrCorrupt, MarkFile, Dir)
	case commit < m.Commit:
		return fmt.Errorf("%w: the log ends at commit %d, position %d; it was durable up to commit %d, position %d, "+
			"with %d events more",
			layout.ErrCorrupt, commit, next, m.Commit, m.Next, m.Total-min(total, m.Total))
	case commit == m.Commit && (next != m.Next || total != m.Total):
		return fmt.Errorf("%w: commit %d ends at position %d with %d events; it was durable with position "+
			"%d and %d events",
			layout.ErrCorrupt, commit, next, total, m.Next, m.Total)
	}
	return nil
}
