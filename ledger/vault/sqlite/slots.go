package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

// This file keeps the slots: records of one size in a flat file beside the database. SQLite moves
// rows about and leaves copies of them behind; a record here is written in place, and overwritten
// in place.
//
// Records 0 and 1 are heads, the rest slots. Each transaction that changes slots writes the head
// its count falls on (even, odd) and syncs the file before it commits; the database holds the same
// count and token. So the two files belong together exactly when the head of the database's count
// holds the database's token: a crash before the commit leaves that head as it was. The copy of
// another day, or of another vault, does not fit.

const (
	recordSize = 128 // no record lies across two sectors
	slotsMagic = "LLslots\x01"
	slotFilled = "slot\x00\x00\x00\x01"
	slotGone   = "gone\x00\x00\x00\x01"
	crcAt      = recordSize - 4
)

// Errors of opening the slots.
var (
	ErrSlotsMissing = errors.New("the vault's slots file is missing: put back the one that was beside this vault file")
	ErrSlotsForeign = errors.New("the slots file is another vault's: put back the one that was beside this vault file")
	ErrSlotsOlder   = errors.New("the slots file is an older copy than the vault file: put back the one of the " +
		"same moment")
	ErrSlotsForked = errors.New("the slots file and the vault file went on each by itself: put back two of one moment")
	ErrSlotsNewer  = errors.New("the slots file is a newer copy than the vault file: put back the one of the " +
		"same moment")
	ErrSlotsDamaged = errors.New("the slots file is damaged")
)

// SlotsPath returns the path of the slots file of the vault file at that path.
func SlotsPath(path string) string { return strings.TrimSuffix(path, ".db") + ".slots" }

// pairing is what the database and the slots file both hold, and the next slot to give, which the
// database alone does.
type pairing struct {
	id    uuid.UUID // of the slots file, the same for life
	count uint64    // of transactions that changed slots
	token uuid.UUID // random, of the last of them
	next  store.Slot
}

const settingSlots = "slots"

func (p pairing) encode() []byte {
	b := append([]byte(nil), p.id[:]...)
	b = binary.BigEndian.AppendUint64(b, p.count)
	b = append(b, p.token[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(p.next))
}

func decodePairing(b []byte) (p pairing, err error) {
	if len(b) != 48 {
		return p, fmt.Errorf("setting %s has %d bytes, want 48", settingSlots, len(b))
	}
	copy(p.id[:], b)
	p.count = binary.BigEndian.Uint64(b[16:])
	copy(p.token[:], b[24:])
	p.next = store.Slot(binary.BigEndian.Uint64(b[40:]))
	return p, nil
}

// random draws 16 bytes; not from package uuid, whose source tests set.
func random() (u uuid.UUID, err error) {
	_, err = rand.Read(u[:])
	return u, err
}

// slots is the open file. Reading is safe at any time; writing only with the database's write lock
// held.
type slots struct{ f *os.File }

func newPairing() (p pairing, err error) {
	p.next = 1
	if p.id, err = random(); err == nil {
		p.token, err = random()
	}
	return p, err
}

// makeSlots makes the file of a pairing that has given no slot yet, whole and durable under its
// final name. Where one stands there already, it leaves that alone.
func makeSlots(path string, p pairing) error {
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".slots-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	s := slots{f}
	if err := errors.Join(s.writeHead(p), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) { // unlike a rename, never replaces
		return err
	}
	return syncDir(filepath.Dir(path))
}

func openSlots(path string) (*slots, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrSlotsMissing
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w: %s has mode %v", ErrUnsafe, filepath.Base(path), info.Mode())
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &slots{f}, nil
}

func seal(b []byte, record uint64) {
	binary.BigEndian.PutUint32(b[crcAt:], checksum(b, record))
}

func checksum(b []byte, record uint64) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(b[:crcAt]), crc32.IEEETable, binary.BigEndian.AppendUint64(nil, record))
}

func intact(b []byte, record uint64) bool {
	return binary.BigEndian.Uint32(b[crcAt:]) == checksum(b, record)
}

func (s *slots) writeHead(p pairing) error {
	b := make([]byte, recordSize)
	copy(b, slotsMagic)
	copy(b[8:], p.id[:])
	binary.BigEndian.PutUint64(b[24:], p.count)
	copy(b[32:], p.token[:])
	seal(b, p.count%2)
	_, err := s.f.WriteAt(b, int64(p.count%2)*recordSize)
	return err
}

// check refuses a file that is not the one of the database's pairing.
func (s *slots) check(want pairing) error {
	b := make([]byte, 2*recordSize)
	if n, err := s.f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if n < recordSize {
		return ErrSlotsDamaged
	}
	newest := pairing{}
	found := false
	for i := range uint64(2) {
		h := b[i*recordSize : (i+1)*recordSize]
		if string(h[:8]) != slotsMagic || !intact(h, i) {
			continue
		}
		var p pairing
		copy(p.id[:], h[8:])
		p.count = binary.BigEndian.Uint64(h[24:])
		copy(p.token[:], h[32:])
		if p.id != want.id {
			return ErrSlotsForeign
		}
		if p.count == want.count && p.token == want.token {
			return nil
		}
		if !found || p.count > newest.count {
			newest, found = p, true
		}
	}
	switch {
	case !found:
		return ErrSlotsDamaged
	case newest.count < want.count:
		return ErrSlotsOlder
	case newest.count == want.count:
		return ErrSlotsForked
	}
	return ErrSlotsNewer
}

func slotAt(n store.Slot) int64 { return (int64(n) + 1) * recordSize }

func slotRecord(n store.Slot, w store.Wrapped) ([]byte, error) {
	b := make([]byte, recordSize)
	if len(w.Bytes) == 0 || len(w.Bytes) > store.MaxSlot {
		return nil, fmt.Errorf("a slot holds 1 to %d bytes, not %d", store.MaxSlot, len(w.Bytes))
	}
	copy(b, slotFilled)
	binary.BigEndian.PutUint32(b[8:], w.Epoch)
	b[12] = byte(len(w.Bytes))
	copy(b[16:], w.Bytes)
	seal(b, uint64(n)+1)
	return b, nil
}

func goneRecord(n store.Slot) []byte {
	b := make([]byte, recordSize)
	copy(b, slotGone)
	seal(b, uint64(n)+1)
	return b
}

func (s *slots) read(n store.Slot) (store.Wrapped, error) {
	if n == 0 {
		return store.Wrapped{}, store.ErrNotFound
	}
	b := make([]byte, recordSize)
	k, err := s.f.ReadAt(b, slotAt(n))
	if err != nil && !errors.Is(err, io.EOF) {
		return store.Wrapped{}, fmt.Errorf("slot %d: %w", n, err)
	}
	return s.held(n, b[:k])
}

// held returns what a slot's record holds.
func (s *slots) held(n store.Slot, b []byte) (store.Wrapped, error) {
	if len(b) < recordSize || bytes.Equal(b, zeroes[:]) {
		return store.Wrapped{}, fmt.Errorf("slot %d: %w", n, store.ErrNotFound)
	}
	size := int(b[12])
	switch {
	case !intact(b, uint64(n)+1):
		// It may be being overwritten just now.
		if again := make([]byte, recordSize); readFull(s.f, again, slotAt(n)) && bytes.Equal(again, goneRecord(n)) {
			return store.Wrapped{}, store.ErrSlotDestroyed
		}
	case string(b[:8]) == slotGone:
		return store.Wrapped{}, store.ErrSlotDestroyed
	case string(b[:8]) == slotFilled && size > 0 && size <= store.MaxSlot:
		return store.Wrapped{Epoch: binary.BigEndian.Uint32(b[8:]), Bytes: bytes.Clone(b[16 : 16+size])}, nil
	}
	return store.Wrapped{}, fmt.Errorf("slot %d: %w", n, ErrSlotsDamaged)
}

var zeroes [recordSize]byte

// slotsAhead reads slots in the order of their numbers, those that lie close together at once: who
// came in together lies so.
type slotsAhead struct {
	*slots
	first store.Slot // of the window
	bytes []byte
	full  [64 * recordSize]byte
}

func (s *slots) ahead() *slotsAhead { return &slotsAhead{slots: s} }

func (a *slotsAhead) read(n store.Slot) (store.Wrapped, error) {
	if n == 0 {
		return store.Wrapped{}, store.ErrNotFound
	}
	at := int64(n-a.first) * recordSize
	if a.first == 0 || n < a.first || at+recordSize > int64(len(a.bytes)) {
		k, err := a.f.ReadAt(a.full[:], slotAt(n))
		if err != nil && !errors.Is(err, io.EOF) {
			return store.Wrapped{}, fmt.Errorf("slot %d: %w", n, err)
		}
		a.first, a.bytes, at = n, a.full[:k], 0
	}
	return a.held(n, a.bytes[at:min(at+recordSize, int64(len(a.bytes)))])
}

// DamagedSlots counts the slots that can neither be read nor were destroyed. It reads them all,
// and no row: 13 MB for 100,000 owners.
func (s *Store) DamagedSlots(ctx context.Context) (damaged uint64, err error) {
	var raw []byte
	row := s.db.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = ?", settingSlots)
	if err := row.Scan(&raw); err != nil {
		return 0, fmt.Errorf("look at the slots: %w", translate(err))
	}
	p, err := decodePairing(raw)
	if err != nil {
		return 0, fmt.Errorf("look at the slots: %w", err)
	}
	r := bufio.NewReaderSize(io.NewSectionReader(s.slots.f, slotAt(1), int64(p.next-1)*recordSize), 512<<10)
	b := make([]byte, recordSize)
	for n := store.Slot(1); n < p.next; n++ {
		if err := ctx.Err(); err != nil {
			return damaged, err
		}
		switch _, err := io.ReadFull(r, b); {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return damaged + uint64(p.next-n), nil // the file was cut
		case err != nil:
			return damaged, fmt.Errorf("look at the slots: slot %d: %w", n, err)
		}
		if intact(b, uint64(n)+1) {
			continue
		}
		// It may be being overwritten just now. Zeroes are a number that was given to nothing.
		if _, err := s.slots.read(n); errors.Is(err, ErrSlotsDamaged) {
			damaged++
		}
	}
	return damaged, nil
}

func readFull(f *os.File, b []byte, at int64) bool {
	_, err := f.ReadAt(b, at)
	return err == nil
}

// slotChanges is what one write transaction does to slots. It reaches the file in flush alone.
type slotChanges struct {
	was, now pairing
	fresh    map[store.Slot][]byte // records of slots given by this transaction
	gone     map[store.Slot]bool
}

// flush writes the changes, syncs them, and reads back what it destroyed. The transaction commits
// after it.
func (s *slots) flush(c *slotChanges) error {
	if err := s.check(c.was); err != nil {
		return err
	}
	// The numbers given are one run.
	if n := int(c.now.next - c.was.next); n > 0 {
		run := make([]byte, n*recordSize)
		for slot, record := range c.fresh {
			if c.gone[slot] {
				record = goneRecord(slot)
			}
			copy(run[int(slot-c.was.next)*recordSize:], record)
		}
		if _, err := s.f.WriteAt(run, slotAt(c.was.next)); err != nil {
			return err
		}
	}
	var gone []store.Slot
	for n := range c.gone {
		gone = append(gone, n)
	}
	slices.Sort(gone)
	for _, n := range gone {
		if _, err := s.f.WriteAt(goneRecord(n), slotAt(n)); err != nil {
			return err
		}
	}
	if err := s.writeHead(c.now); err != nil {
		return err
	}
	if err := s.f.Sync(); err != nil {
		return err
	}
	for _, n := range gone {
		if b := make([]byte, recordSize); !readFull(s.f, b, slotAt(n)) || !bytes.Equal(b, goneRecord(n)) {
			return fmt.Errorf("slot %d does not read back as destroyed", n)
		}
	}
	return nil
}

// The rows' part.

// changes returns the transaction's changes to slots, begun from what the database holds.
func (r *rows) changes() (*slotChanges, error) {
	if err := r.ready(); err != nil {
		return nil, err
	}
	if !r.write {
		return nil, store.ErrReadOnly
	}
	if r.slots != nil {
		return r.slots, nil
	}
	set, err := r.Settings(settingSlots)
	if err != nil {
		return nil, err
	}
	p, err := decodePairing(set[settingSlots])
	if err != nil {
		return nil, err
	}
	r.slots = &slotChanges{was: p, now: p, fresh: map[store.Slot][]byte{}, gone: map[store.Slot]bool{}}
	return r.slots, nil
}

func (r *rows) NewSlot() (store.Slot, error) {
	c, err := r.changes()
	if err != nil {
		return 0, err
	}
	n := c.now.next
	c.now.next++
	c.fresh[n] = nil
	return n, nil
}

func (r *rows) PutSlot(n store.Slot, w store.Wrapped) error {
	c, err := r.changes()
	if err != nil {
		return err
	}
	if _, ok := c.fresh[n]; !ok {
		return fmt.Errorf("slot %d was not given by this transaction", n)
	}
	c.fresh[n], err = slotRecord(n, w)
	return err
}

func (r *rows) Slot(n store.Slot) (store.Wrapped, error) { return r.slot(n, r.file.read) }

// slot reads a slot as the transaction sees it; read is of the file.
func (r *rows) slot(n store.Slot, read func(store.Slot) (store.Wrapped, error)) (store.Wrapped, error) {
	if err := r.ready(); err != nil {
		return store.Wrapped{}, err
	}
	if c := r.slots; c != nil {
		if c.gone[n] {
			return store.Wrapped{}, store.ErrSlotDestroyed
		}
		if b, ok := c.fresh[n]; ok {
			if b == nil {
				return store.Wrapped{}, fmt.Errorf("slot %d: %w", n, store.ErrNotFound)
			}
			return store.Wrapped{Epoch: binary.BigEndian.Uint32(b[8:]), Bytes: bytes.Clone(b[16 : 16+int(b[12])])}, nil
		}
	}
	return read(n)
}

func (r *rows) DestroySlot(n store.Slot) error {
	c, err := r.changes()
	if err != nil {
		return err
	}
	if n == 0 || n >= c.now.next {
		return fmt.Errorf("slot %d: %w", n, store.ErrNotFound)
	}
	c.gone[n] = true
	r.changed = true
	return nil
}

func (r *rows) RetireSlot(n store.Slot) error {
	if n == 0 {
		return fmt.Errorf("slot %d: %w", n, store.ErrNotFound)
	}
	return r.change("INSERT INTO retired_slot (slot) VALUES (?) ON CONFLICT DO NOTHING", int64(n))
}

// flushSlots runs when the transaction's function has returned nil, before the commit.
func (r *rows) flushSlots() error {
	c := r.slots
	if c == nil || c.now.next == c.was.next && len(c.gone) == 0 {
		return nil
	}
	var err error
	c.now.count++
	if c.now.token, err = random(); err != nil {
		return err
	}
	if err := r.PutSetting(settingSlots, c.now.encode()); err != nil {
		return err
	}
	if err := r.file.flush(c); err != nil {
		return fmt.Errorf("slots: %w", err)
	}
	return nil
}

// retired lists the slots that committed transactions have retired.
func (r *rows) retired() ([]int64, error) {
	return list(r, "SELECT slot FROM retired_slot", nil, func(n *int64) []any { return []any{n} })
}

// destroyRetired overwrites those slots.
func (r *rows) destroyRetired(retired []int64) error {
	for _, n := range retired {
		if err := r.DestroySlot(store.Slot(n)); err != nil {
			return err
		}
		if err := r.exec("DELETE FROM retired_slot WHERE slot = ?", n); err != nil {
			return err
		}
	}
	return nil
}
