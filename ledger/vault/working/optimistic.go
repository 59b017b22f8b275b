package working

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

// This file is what a working set does beside others in an optimistic transaction, which holds no
// lock while it works: it reads through snapshots that hold what it has read so far, keeps all
// that it puts, and stores that at once when it has the lock. Slots are numbered by then: until
// then their rows carry provisional numbers.

// ErrOptimistic is returned where an optimistic transaction would delete or destroy what it does
// not hold, or change what is no row of the tenant.
var ErrOptimistic = errors.New("not in an optimistic transaction: it needs the write lock")

// ErrConflict is returned where others have changed what an optimistic transaction rests on.
var ErrConflict = errors.New("others have changed something since the transaction began")

// Reader runs a function on a snapshot of the store that agrees with all earlier ones; ErrConflict
// where there is none any more.
type Reader func(do func(store.Rows) error) error

// provisional marks the number of a slot that the store has not given yet.
const provisional store.Slot = 1 << 63

// fill says what a slot is to hold, by its number.
type fill func(store.Slot) (store.Wrapped, error)

// BeginOptimistic returns the working set of an optimistic transaction, as Begin does.
func BeginOptimistic(read Reader, tenant uuid.UUID, changes []byte, shared *Shared) *Set {
	s := Begin(nil, true, tenant, changes, shared)
	s.read = read
	return s
}

func (s *Set) reading(do func(store.Rows) error) error {
	if s.rows == nil {
		return s.read(do)
	}
	return do(s.rows)
}

// Slot reads a slot.
func (s *Set) Slot(n store.Slot) (w store.Wrapped, err error) {
	if row, ok := s.local.slots[n]; ok {
		return row.Held, row.Err
	}
	if s.err != nil {
		return w, s.err
	}
	err = s.reading(func(rows store.Rows) error {
		var err error
		w, err = rows.Slot(n)
		return err
	})
	return w, err
}

// NewSlot gives a slot and fills it with what is returned for its number; in an optimistic
// transaction that is asked for once it is stored.
func (s *Set) NewSlot(held func(store.Slot) (store.Wrapped, error)) (store.Slot, error) {
	if err := s.writable(); err != nil {
		return 0, err
	}
	if s.rows == nil {
		s.fills = append(s.fills, held)
		return provisional | store.Slot(len(s.fills)-1), nil
	}
	return s.fill(held)
}

func (s *Set) fill(held fill) (store.Slot, error) {
	n, err := s.rows.NewSlot()
	if err != nil {
		return 0, err
	}
	w, err := held(n)
	if err != nil {
		return 0, err
	}
	return n, s.rows.PutSlot(n, w)
}

// After runs do once what was put by now is stored: at once, or in an optimistic transaction when
// that is.
func (s *Set) After(do func(store.Rows) error) error {
	if s.rows == nil {
		s.after = append(s.after, do)
		return s.writable()
	}
	if err := s.Flush(); err != nil {
		return err
	}
	s.err = do(s.rows)
	return s.err
}

// Clean reports whether an optimistic transaction has nothing to store.
func (s *Set) Clean() bool {
	return s.err == nil && s.empty() && len(s.drop)+len(s.fills)+len(s.after) == 0
}

// Store stores what an optimistic transaction has put, in the write transaction of rows. The
// caller has seen that nothing has changed that was read.
func (s *Set) Store(rows store.Rows) error {
	if s.err != nil {
		return s.err
	}
	s.rows = rows
	if s.err = s.number(); s.err != nil {
		return s.err
	}
	if err := s.Flush(); err != nil {
		return err
	}
	for _, do := range s.after {
		if s.err = do(rows); s.err != nil {
			return s.err
		}
	}
	return nil
}

// number has the slots numbered and filled, and puts their numbers into the rows.
func (s *Set) number() error {
	given := make([]store.Slot, len(s.fills))
	for i, held := range s.fills {
		var err error
		if given[i], err = s.fill(held); err != nil {
			return fmt.Errorf("fill a slot: %w", err)
		}
	}
	number := func(n *store.Slot) bool {
		if *n&provisional == 0 {
			return false
		}
		*n = given[*n&^provisional]
		return true
	}
	// The rows in the tables are this transaction's own where they carry a provisional number.
	for i := range s.put.Owners {
		if r := &s.put.Owners[i]; number(&r.Slot) {
			number(&s.local.owners[r.Owner].Slot)
		}
	}
	for i := range s.put.PeriodKeys {
		if r := &s.put.PeriodKeys[i]; number(&r.Slot) {
			number(&s.local.periods[period{r.Class, r.Month}].Slot)
		}
	}
	for i := range s.put.StreamKeys {
		if r := &s.put.StreamKeys[i]; number(&r.Slot) {
			number(&s.local.streamKeys[r.Stream].Slot)
		}
	}
	s.fills = nil
	return nil
}
