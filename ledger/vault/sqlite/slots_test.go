package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
	"github.com/ledgerline/ledgerline/schemas"
)

func fillSlot(s *Store, b byte) (n store.Slot, err error) {
	err = s.Update(context.Background(), uuid.Nil, func(r store.Rows) error {
		if n, err = r.NewSlot(); err != nil {
			return err
		}
		return r.PutSlot(n, store.Wrapped{Epoch: 1, Bytes: bytes.Repeat([]byte{b}, 60)})
	})
	return n, err
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSlotsOfAnother: a vault file opens with its own slots of the same moment only; each other
// file is refused by name, and neither is changed.
func TestSlotsOfAnother(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	grow := func(path string, by int) {
		t.Helper()
		s, err := Open(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range by {
			if _, err := fillSlot(s, byte(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a.db", "b.db"} {
		s, err := Create(ctx, at(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		grow(at(name), 3)
	}
	copyFile(t, at("a.db"), at("old.db"))
	copyFile(t, at("a.slots"), at("old.slots"))
	grow(at("a.db"), 2)
	copyFile(t, at("old.db"), at("fork.db"))
	copyFile(t, at("old.slots"), at("fork.slots"))
	grow(at("fork.db"), 2) // went on from the same copy by itself, as far as the first
	damaged, err := os.ReadFile(at("a.slots"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * recordSize {
		damaged[i] ^= 1
	}
	if err := os.WriteFile(at("damaged"), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("short"), damaged[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		slots string
		want  error
	}{
		{"a.slots", nil}, {"b.slots", ErrSlotsForeign}, {"old.slots", ErrSlotsOlder}, {"fork.slots", ErrSlotsForked},
		{"damaged", ErrSlotsDamaged}, {"short", ErrSlotsDamaged}, {"", ErrSlotsMissing},
	} {
		copyFile(t, at("a.db"), at("try.db"))
		if tc.slots == "" {
			if err := os.Remove(at("try.slots")); err != nil {
				t.Fatal(err)
			}
		} else {
			copyFile(t, at(tc.slots), at("try.slots"))
		}
		s, err := Open(ctx, at("try.db"))
		if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
			t.Errorf("with slots %q: %v, want %v", tc.slots, err, tc.want)
		}
		if err == nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// And the other way about: an older vault file with the present slots.
	copyFile(t, at("old.db"), at("try.db"))
	copyFile(t, at("a.slots"), at("try.slots"))
	if _, err := Open(ctx, at("try.db")); !errors.Is(err, ErrSlotsNewer) {
		t.Errorf("an older vault file with newer slots: %v", err)
	}
	if err := os.Chmod(at("a.slots"), 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, at("a.db")); !errors.Is(err, ErrUnsafe) {
		t.Errorf("slots that others can read: %v", err)
	}
	if err := os.Remove(at("b.db")); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(ctx, at("b.db")); !errors.Is(err, ErrExists) {
		t.Errorf("created beside the slots of a vault that is gone: %v", err)
	}
}

// TestSlotsDamagedWhileOpen: a slot that was changed or moved is called damaged, never read as
// another's or destroyed.
func TestSlotsDamagedWhileOpen(t *testing.T) {
	ctx := context.Background()
	s, err := Create(ctx, filepath.Join(t.TempDir(), "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, err := fillSlot(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	// One bit of a slot: it is damaged, and neither filled with something else nor destroyed.
	for bit := range recordSize {
		b := make([]byte, recordSize)
		if !readFull(s.slots.f, b, slotAt(n)) {
			t.Fatal("short")
		}
		b[bit] ^= 4
		if _, err := s.slots.f.WriteAt(b, slotAt(n)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.slots.read(n); !errors.Is(err, ErrSlotsDamaged) {
			t.Errorf("byte %d changed: %v", bit, err)
		}
		b[bit] ^= 4
		if _, err := s.slots.f.WriteAt(b, slotAt(n)); err != nil {
			t.Fatal(err)
		}
	}
	// A slot in another's place.
	m, err := fillSlot(s, 2)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, recordSize)
	if !readFull(s.slots.f, b, slotAt(n)) {
		t.Fatal("short")
	}
	if _, err := s.slots.f.WriteAt(b, slotAt(m)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.slots.read(m); !errors.Is(err, ErrSlotsDamaged) {
		t.Errorf("a slot in another's place: %v", err)
	}
	if _, err := s.slots.f.WriteAt(make([]byte, 2*recordSize), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := fillSlot(s, 3); !errors.Is(err, ErrSlotsDamaged) {
		t.Errorf("written to a file whose heads are gone: %v", err)
	}
}

// TestCutBetweenSlotsAndRows ends each transaction of a vault once after its slots are written and
// before it commits: the vault opens again, no two owners share a slot, and who was to be erased
// reads as erased until the order is repeated, which ends everything of them.
func TestCutBetweenSlotsAndRows(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "vault.db")
	first, err := Create(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	cut := false
	beforeCommit = func(write bool) error {
		if write && cut {
			cut = false
			return errCut
		}
		return nil
	}
	defer func() { beforeCommit = func(bool) error { return nil } }()
	e := vaulttest.NewEnv(t, func(testing.TB) (store.Store, func(testing.TB) store.Store) {
		return first, func(t testing.TB) store.Store {
			s, err := Open(ctx, path)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
	twice := func(what string, do func(*vault.Tx) error) {
		t.Helper()
		cut = true
		if err := e.V.Update(ctx, e.Tenant.ID, do); !errors.Is(err, errCut) {
			t.Fatalf("%s: not cut: %v", what, err)
		}
		e.V = e.Again() // the files still belong together
		if err := e.V.Update(ctx, e.Tenant.ID, do); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	now := e.Clock.Now()
	var anna, bob uuid.UUID
	var asked []vault.Sealed
	twice("minting", func(tx *vault.Tx) error {
		asked = nil
		anna = e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: now})
		bob = e.Person(tx, vault.PersonHint{UPN: "bob@voorbeeld.nl", At: now})
		for _, p := range []uuid.UUID{anna, bob} {
			d := draft(e.Tenant.ID, p, now)
			if err := tx.Seal(d); err != nil {
				return err
			}
			asked = append(asked, vault.Sealed{Token: d.Values[0].Token, Attr: d.Values[0].Attr.ID, Event: d.ID})
		}
		return nil
	})
	opens := func(what string, want ...error) {
		t.Helper()
		err := e.V.View(ctx, e.Tenant.ID, func(tx *vault.Tx) error {
			got, err := tx.Open(asked)
			for i, o := range got {
				if !errors.Is(o.Err, want[i]) || want[i] == nil && o.Err != nil {
					t.Errorf("%s: value %d: %v, want %v", what, i, o.Err, want[i])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	opens("minted", nil, nil)
	seen := map[store.Slot]bool{}
	err = first.View(ctx, e.Tenant.ID, func(r store.Rows) error {
		for _, p := range []uuid.UUID{anna, bob} {
			row, _, err := storetest.One{Rows: r}.Owner(schemas.Owner{Kind: schemas.OwnerPerson, ID: p})
			if err != nil || row.Slot == 0 || seen[row.Slot] {
				t.Errorf("slot %d, %v", row.Slot, err)
			}
			seen[row.Slot] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	completion := uuid.New()
	var keys []uuid.UUID
	twice("begin", func(tx *vault.Tx) (err error) {
		keys, err = tx.BeginErasure(anna, completion)
		return err
	})
	cut = true
	err = e.V.Update(ctx, e.Tenant.ID, func(tx *vault.Tx) error { return tx.Destroy(completion, keys) })
	if !errors.Is(err, errCut) {
		t.Fatalf("not cut: %v", err)
	}
	e.V = e.Again()
	opens("cut", vault.ErrErased, nil)
	p, err := e.V.PendingErasures(ctx)
	if err != nil || len(p) != 1 || p[0].Destroyed {
		t.Fatalf("pending: %+v, %v", p, err)
	}
	err = e.V.Update(ctx, e.Tenant.ID, func(tx *vault.Tx) error { return tx.CancelErasure(completion) })
	if !errors.Is(err, vault.ErrErased) {
		t.Errorf("taken back though the slot is destroyed: %v", err)
	}
	err = e.V.Update(ctx, e.Tenant.ID, func(tx *vault.Tx) error { return tx.Destroy(completion, keys) })
	if err != nil {
		t.Fatal(err)
	}
	opens("repeated", vault.ErrErased, nil)
	twice("expire", func(tx *vault.Tx) error { return tx.ExpirePeriod("inventory", schemas.Month(now, now)) })
	opens("expired", vault.ErrErased, vault.ErrExpired)
}

// TestRetiredSlotOutlivesOlderViews: a view that began before a slot was retired reads it to its
// end; only then is it overwritten.
func TestRetiredSlotOutlivesOlderViews(t *testing.T) {
	ctx := context.Background()
	s, err := Create(ctx, filepath.Join(t.TempDir(), "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, err := fillSlot(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	points := make(chan string, 16)
	scrubPoint = func(p string) { points <- p }
	defer func() { scrubPoint = func(string) {} }()
	scrubbed := make(chan error, 1)
	err = s.View(ctx, uuid.Nil, func(r store.Rows) error {
		if _, _, err := (storetest.One{Rows: r}).Setting("x"); err != nil { // the snapshot is taken
			return err
		}
		if err := s.Update(ctx, uuid.Nil, func(r store.Rows) error { return r.RetireSlot(n) }); err != nil {
			return err
		}
		go func() { scrubbed <- s.Scrub(ctx) }()
		if p := <-points; p != "waiting for readers" {
			t.Errorf("the scrub begins with %s", p)
		}
		_, err := r.Slot(n)
		if len(points) > 0 {
			t.Errorf("the scrub went on to %s", <-points)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-scrubbed; err != nil {
		t.Fatal(err)
	}
	if _, err := s.slots.read(n); !errors.Is(err, store.ErrSlotDestroyed) {
		t.Errorf("after the scrub: %v", err)
	}
}

// A slot that has changed is counted, one that was destroyed is not; so are
// those that a cut file lacks.
func TestChangedSlotsAreCounted(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "vault.db")
	s, err := Create(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var slots []store.Slot
	for i := range 9 {
		n, err := fillSlot(s, byte(i))
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, n)
	}
	if err := s.Update(ctx, uuid.Nil, func(r store.Rows) error { return r.DestroySlot(slots[2]) }); err != nil {
		t.Fatal(err)
	}
	want := func(what string, n uint64) {
		t.Helper()
		if got, err := s.DamagedSlots(ctx); got != n || err != nil {
			t.Errorf("%s: %d damaged (%v), want %d", what, got, err, n)
		}
	}
	want("whole", 0)
	raw, err := os.ReadFile(SlotsPath(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []store.Slot{slots[0], slots[2], slots[8]} {
		raw[slotAt(n)+40] ^= 4
	}
	write := func(raw []byte) {
		t.Helper()
		if err := os.WriteFile(SlotsPath(path), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(raw)
	want("three changed", 3)
	write(raw[:slotAt(slots[7])+5])
	want("cut", 4)
}
