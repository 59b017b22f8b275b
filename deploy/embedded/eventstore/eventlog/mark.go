package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markFile lies beside Pebble's directory and says what has been durable there:
// the store's id and a commit. It is written after each group's fsync, and
// fsynced itself only by Create and Close. So it never says more than is true;
// after a kill it is exact, after a power failure it may be old. A recovered
// log that ends before it has lost acknowledged events, whatever Pebble made of
// the damage; a directory that has it and no log has lost all.
const (
	markFile   = "store"
	markUnborn = "store.creating"

	markMagic    = "esmark\x00\x01"
	markSize     = len(markMagic) + 16 + 4*8 + 4
	markDistance = 4096 // between the two slots: no torn write damages both
)

// durableMark is one slot of the file; the slots are written in turn.
type durableMark struct {
	id                  [16]byte
	seq                 uint64 // the newer of two valid slots has the higher one
	commit, next, total uint64
}

func (m durableMark) encode() []byte {
	dst := make([]byte, 0, markSize)
	dst = append(dst, markMagic...)
	dst = append(dst, m.id[:]...)
	for _, v := range [...]uint64{m.seq, m.commit, m.next, m.total} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

func decodeMark(v []byte) (m durableMark, ok bool) {
	body := v[:markSize-4]
	if string(v[:len(markMagic)]) != markMagic || crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(v[len(body):]) {
		return m, false
	}
	body = body[len(markMagic):]
	copy(m.id[:], body)
	n := func(i int) uint64 { return binary.BigEndian.Uint64(body[16+8*i:]) }
	m.seq, m.commit, m.next, m.total = n(0), n(1), n(2), n(3)
	return m, true
}

// readMark returns the mark of the store in dir; ok is false where there is no
// file, as in directories that were made before it was invented.
func readMark(fs vfs.FS, dir string) (m durableMark, ok bool, err error) {
	f, err := fs.Open(fs.PathJoin(dir, markFile))
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
	if len(b) != markDistance+markSize {
		return m, false, fmt.Errorf("%w: file %q has %d bytes", ErrCorrupt, markFile, len(b))
	}
	for _, slot := range [...]int{0, markDistance} {
		if s, valid := decodeMark(b[slot : slot+markSize]); valid && (!ok || s.seq > m.seq) {
			m, ok = s, true
		}
	}
	if !ok {
		return m, false, fmt.Errorf("%w: checksums of file %q", ErrCorrupt, markFile)
	}
	return m, true, nil
}

// createMark writes the file, durably and by one rename.
func createMark(fs vfs.FS, dir string, m durableMark) error {
	unborn := fs.PathJoin(dir, markUnborn)
	f, err := fs.Create(unborn, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	b := make([]byte, markDistance+markSize)
	copy(b, m.encode())
	m.seq++
	copy(b[markDistance:], m.encode())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fs.Rename(unborn, fs.PathJoin(dir, markFile))
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	if err != nil {
		return fmt.Errorf("write the durable mark: %w", err)
	}
	return nil
}

// marker is the open mark of a running log. Used by one goroutine at a time.
type marker struct {
	f    vfs.File
	mark durableMark
	at   int64 // slot to write next
}

// openMarker opens the file to move the mark from m on.
func openMarker(fs vfs.FS, dir string, m durableMark) (*marker, error) {
	f, err := fs.OpenReadWrite(fs.PathJoin(dir, markFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open the durable mark: %w", err)
	}
	k := &marker{f: f, mark: m}
	// The first write must not touch the slot that m came from.
	b := make([]byte, markSize)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("read the durable mark: %w", err), f.Close())
	}
	if first, ok := decodeMark(b); ok && first.seq == m.seq {
		k.at = markDistance
	}
	return k, nil
}

// move says that the log is durable up to a commit.
func (k *marker) move(commit, next, total uint64) error {
	k.mark.seq++
	k.mark.commit, k.mark.next, k.mark.total = commit, next, total
	if _, err := k.f.WriteAt(k.mark.encode(), k.at); err != nil {
		return fmt.Errorf("move the durable mark: %w", err)
	}
	k.at = markDistance - k.at
	return nil
}

// close makes the mark durable and closes its file.
func (k *marker) close() error {
	if err := errors.Join(k.f.Sync(), k.f.Close()); err != nil {
		return fmt.Errorf("close the durable mark: %w", err)
	}
	return nil
}

// compare refuses a log that has lost what the mark says was durable.
func (m durableMark) compare(t tail) error {
	switch {
	case m.id != t.format.id:
		return fmt.Errorf("%w: file %q belongs to another store than %q", ErrCorrupt, markFile, dbDir)
	case t.commit < m.commit:
		return fmt.Errorf("%w: the log ends at commit %d, position %d; it was durable up to commit %d, position %d, with %d events more",
			ErrCorrupt, t.commit, t.next, m.commit, m.next, m.total-min(t.total, m.total))
	case t.commit == m.commit && (t.next != m.next || t.total != m.total):
		return fmt.Errorf("%w: commit %d ends at position %d with %d events; it was durable with position %d and %d events",
			ErrCorrupt, t.commit, t.next, t.total, m.next, m.total)
	}
	return nil
}
