package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file keeps each owner's key: a random key in a slot of its own, wrapped there by the
// key-encryption key. All that is an owner's, subject keys and native values alike, is wrapped
// under it, with epoch 0. Whatever copies of rows a store leaves behind, the slot is one place,
// and overwriting it ends them all. What can be destroyed on its own is an owner here: persons and
// devices, periods, and streams that are no device's.

type ownerRef struct {
	tenant uuid.UUID
	owner  schemas.Owner
}

// slotKind is the kind under which an owner's key is wrapped: it binds the key to its slot.
func slotKind(o schemas.Owner, n store.Slot) string { return fmt.Sprintf("owner.%s.%d", o.Kind, n) }

func newOwnerAEAD(k Key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// NewOwnerKey mints the owner's key in a new slot. The caller stores the slot's number in the
// owner's row.
func (tx *Tx) NewOwnerKey(o schemas.Owner) (store.Slot, cipher.AEAD, error) {
	if err := tx.Writable(); err != nil {
		return 0, nil, err
	}
	var k Key
	if _, err := rand.Read(k[:]); err != nil {
		return 0, nil, err
	}
	a, err := newOwnerAEAD(k)
	if err != nil {
		return 0, nil, err
	}
	n, err := tx.rows.NewSlot(func(n store.Slot) (store.Wrapped, error) {
		defer clear(k[:])
		return Wrap(tx.ctx, tx.kek, tx.tenant, o.ID, slotKind(o, n), k[:])
	})
	if err != nil {
		return 0, nil, err
	}
	tx.local.owners[ownerRef{tx.tenant, o}] = a
	return n, a, nil
}

// ownerKey returns the key in the owner's slot. ErrErased: it is destroyed, whatever the rows say.
func (tx *Tx) ownerKey(o schemas.Owner, n store.Slot) (cipher.AEAD, error) {
	ref := ownerRef{tx.tenant, o}
	if a, ok := cached(tx, func(r *ring) map[ownerRef]cipher.AEAD { return r.owners }, ref); ok {
		return a, nil
	}
	w, err := tx.rows.Slot(n)
	if errors.Is(err, store.ErrSlotDestroyed) {
		return nil, ErrErased
	} else if err != nil {
		return nil, fmt.Errorf("key of %s %s: %w", o.Kind, o.ID, err)
	}
	k, err := UnwrapKey(tx.ctx, tx.kek, tx.tenant, o.ID, slotKind(o, n), w)
	if err != nil {
		return nil, err
	}
	defer clear(k[:])
	a, err := newOwnerAEAD(k)
	if err != nil {
		return nil, err
	}
	tx.local.owners[ref] = a
	return a, nil
}

// keyOf returns the key of a person or device. One from before there were
// slots gets its own first.
func (tx *Tx) keyOf(o schemas.Owner) (cipher.AEAD, error) {
	row, err := tx.rows.Owner(o)
	switch {
	case err != nil:
		return nil, err
	case row == nil:
		return nil, fmt.Errorf("%s %s: %w", o.Kind, o.ID, store.ErrNotFound)
	case row.State == store.OwnerErased:
		return nil, ErrErased
	case row.Slot == 0:
		if err := tx.Rekey(o); err != nil {
			return nil, err
		}
		if row, err = tx.rows.Owner(o); err != nil {
			return nil, err
		}
	}
	return tx.ownerKey(o, row.Slot)
}

// Alive errs with ErrErased where the owner is erased, is being erased, or has lost its slot: then
// a crash came between the destruction of the slot and that of the rows.
func (tx *Tx) Alive(row *store.OwnerRow) error {
	if row.State != store.OwnerLive {
		return ErrErased
	}
	if row.Slot == 0 {
		return nil
	}
	_, err := tx.ownerKey(row.Owner, row.Slot)
	return err
}

// SlotGone reports whether an owner whose rows stand has lost its slot.
func (tx *Tx) SlotGone(o schemas.Owner) (bool, error) {
	row, err := tx.rows.Owner(o)
	if err != nil || row == nil || row.Slot == 0 {
		return false, err
	}
	_, err = tx.ownerKey(o, row.Slot)
	if errors.Is(err, ErrErased) {
		return true, nil
	}
	return false, err
}

// WrapUnder returns plain wrapped under an owner's key for a row of that kind or class.
func WrapUnder(a cipher.AEAD, tenant, row uuid.UUID, kind string, plain []byte) store.Wrapped {
	return store.Wrapped{Bytes: a.Seal(nil, nil, plain, wrapAD(tenant, row, kind, 0))}
}

// unwrapUnder opens what is wrapped under an owner's key, or, from before there were any,
// under the key-encryption key.
func (tx *Tx) unwrapUnder(owner func() (cipher.AEAD, error), row uuid.UUID, kind string,
	w store.Wrapped) ([]byte, error) {
	if w.Epoch > 0 {
		return Unwrap(tx.ctx, tx.kek, tx.tenant, row, kind, w)
	}
	a, err := owner()
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(nil, nil, w.Bytes, wrapAD(tx.tenant, row, kind, 0))
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w: the value was wrapped by another owner's key or altered", ErrKEK)
	}
	return plain, nil
}

func (tx *Tx) unwrapKeyUnder(owner func() (cipher.AEAD, error), row uuid.UUID, kind string,
	w store.Wrapped) (Key, error) {
	b, err := tx.unwrapUnder(owner, row, kind, w)
	if err != nil {
		return Key{}, err
	}
	defer clear(b)
	if len(b) != keySize {
		return Key{}, fmt.Errorf("unwrap %s: %d bytes, a key has %d", kind, len(b), keySize)
	}
	return Key(b), nil
}

// WrapOwned wraps a value of a person, device or tenant. The tenant's own, which nothing destroys,
// are wrapped by the key-encryption key.
func (tx *Tx) WrapOwned(o schemas.Owner, row uuid.UUID, kind string, plain []byte) (store.Wrapped, error) {
	if o.Kind == schemas.OwnerTenant {
		return Wrap(tx.ctx, tx.kek, tx.tenant, row, kind, plain)
	}
	a, err := tx.keyOf(o)
	if err != nil {
		return store.Wrapped{}, err
	}
	return WrapUnder(a, tx.tenant, row, kind, plain), nil
}

// UnwrapOwned is the inverse of WrapOwned.
func (tx *Tx) UnwrapOwned(o schemas.Owner, row uuid.UUID, kind string, w store.Wrapped) ([]byte, error) {
	return tx.unwrapUnder(func() (cipher.AEAD, error) { return tx.keyOf(o) }, row, kind, w)
}

func (tx *Tx) unwrapOwnedKey(o schemas.Owner, row uuid.UUID, kind string, w store.Wrapped) (Key, error) {
	return tx.unwrapKeyUnder(func() (cipher.AEAD, error) { return tx.keyOf(o) }, row, kind, w)
}

func newKey() (k Key, err error) {
	_, err = rand.Read(k[:])
	return k, err
}

// Rekey gives a person or device a new key in a new slot and wraps under it all that is left of
// them; the old slot is retired. It ends what copies of destroyed rows hold when only some of an
// owner's keys were destroyed. What was read of the owner's identities in this transaction must
// have been flushed.
func (tx *Tx) Rekey(o schemas.Owner) error {
	row, err := tx.rows.Owner(o)
	if err != nil || row == nil {
		return errors.Join(err, store.ErrNotFound)
	}
	changed := *row
	old := func() (cipher.AEAD, error) { return tx.ownerKey(o, row.Slot) }
	if row.Slot > 0 {
		a, err := old()
		if err != nil {
			return err
		}
		old = func() (cipher.AEAD, error) { return a, nil }
	}
	n, a, err := tx.NewOwnerKey(o)
	if err != nil {
		return err
	}
	changed.Slot = n
	keys, err := tx.rows.SubjectKeys(o)
	if err != nil {
		return err
	}
	for _, k := range keys {
		plain, err := tx.unwrapUnder(old, k.ID, k.Class, k.Key)
		if err != nil {
			return fmt.Errorf("rewrap key %s: %w", k.ID, err)
		}
		k.Key = WrapUnder(a, tx.tenant, k.ID, k.Class, plain)
		clear(plain)
		if err := tx.rows.PutSubjectKey(k); err != nil {
			return err
		}
	}
	names, err := tx.rows.IdentitiesOf(o)
	if err != nil {
		return err
	}
	for _, i := range names {
		plain, err := tx.unwrapUnder(old, i.ID, i.Kind, i.Value)
		if err != nil {
			return fmt.Errorf("rewrap %s %s: %w", i.Kind, i.ID, err)
		}
		i.Value = WrapUnder(a, tx.tenant, i.ID, i.Kind, plain)
		if err := tx.rows.PutIdentity(i); err != nil {
			return err
		}
	}
	if o.Kind == schemas.OwnerDevice {
		stored, err := tx.rows.StreamKey(o.ID)
		if err != nil {
			return err
		}
		if stored != nil && stored.Slot == 0 {
			k := *stored
			plain, err := tx.unwrapUnder(old, o.ID, KindStreamKey, k.Key)
			if err != nil {
				return fmt.Errorf("rewrap stream key %s: %w", o.ID, err)
			}
			k.Key = WrapUnder(a, tx.tenant, o.ID, KindStreamKey, plain)
			if err := tx.rows.PutStreamKey(k); err != nil {
				return err
			}
		}
	}
	if err := tx.rows.PutOwner(changed); err != nil {
		return err
	}
	if row.Slot > 0 {
		tx.Scrub = true
		return tx.rows.RetireSlot(row.Slot)
	}
	return nil
}
