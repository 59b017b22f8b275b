package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// This file keeps each owner's key: a random key in a slot of its own, wrapped there by the
// key-encryption key. All that is an owner's, subject keys and native values alike, is wrapped
// under it, with epoch 0. Whatever copies of rows a store leaves behind, the slot is one place, and
// overwriting it ends them all. What can be destroyed on its own is an owner here: persons and
// devices, periods, and streams that are no device's.

type ownerRef struct {
	tenant uuid.UUID
	owner  schemas.Owner
}

// slotKind is the kind under which an owner's key is wrapped: it binds the key to its slot.
func slotKind(o schemas.Owner, n Slot) string { return fmt.Sprintf("owner.%s.%d", o.Kind, n) }

func newOwnerAEAD(k key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// newOwnerKey mints the owner's key in a new slot. The caller stores the slot's number in the
// owner's row.
func (tx *Tx) newOwnerKey(o schemas.Owner) (Slot, cipher.AEAD, error) {
	if err := tx.writable(); err != nil {
		return 0, nil, err
	}
	n, err := tx.rows.NewSlot()
	if err != nil {
		return 0, nil, err
	}
	var k key
	if _, err := rand.Read(k[:]); err != nil {
		return 0, nil, err
	}
	defer clear(k[:])
	w, err := wrap(tx.ctx, tx.v.kek, tx.tenant, o.ID, slotKind(o, n), k[:])
	if err != nil {
		return 0, nil, err
	}
	if err := tx.rows.PutSlot(n, w); err != nil {
		return 0, nil, err
	}
	a, err := newOwnerAEAD(k)
	if err != nil {
		return 0, nil, err
	}
	tx.local.owners[ownerRef{tx.tenant, o}] = a
	return n, a, nil
}

// ownerKey returns the key in the owner's slot. ErrErased: it is destroyed, whatever the rows say.
func (tx *Tx) ownerKey(o schemas.Owner, n Slot) (cipher.AEAD, error) {
	ref := ownerRef{tx.tenant, o}
	if a, ok := cached(tx, func(r *keyring) map[ownerRef]cipher.AEAD { return r.owners }, ref); ok {
		return a, nil
	}
	w, err := tx.rows.Slot(n)
	if errors.Is(err, ErrSlotDestroyed) {
		return nil, ErrErased
	} else if err != nil {
		return nil, fmt.Errorf("key of %s %s: %w", o.Kind, o.ID, err)
	}
	k, err := unwrapKey(tx.ctx, tx.v.kek, tx.tenant, o.ID, slotKind(o, n), w)
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

// keyOf returns the key of a person or device. One from before there were slots gets its own first.
func (tx *Tx) keyOf(o schemas.Owner) (cipher.AEAD, error) {
	row, err := tx.owner(o)
	switch {
	case err != nil:
		return nil, err
	case row == nil:
		return nil, fmt.Errorf("%s %s: %w", o.Kind, o.ID, ErrNotFound)
	case row.State == OwnerErased:
		return nil, ErrErased
	case row.Slot == 0:
		if err := tx.rekey(o); err != nil {
			return nil, err
		}
		row = tx.owners[o]
	}
	return tx.ownerKey(o, row.Slot)
}

// alive errs with ErrErased where the owner is erased, is being erased, or has lost its slot: then
// a crash came between the destruction of the slot and that of the rows.
func (tx *Tx) alive(row *OwnerRow) error {
	if row.State != OwnerLive {
		return ErrErased
	}
	if row.Slot == 0 {
		return nil
	}
	_, err := tx.ownerKey(row.Owner, row.Slot)
	return err
}

// slotGone reports whether an owner whose rows stand has lost its slot.
func (tx *Tx) slotGone(o schemas.Owner) (bool, error) {
	row, err := tx.owner(o)
	if err != nil || row == nil || row.Slot == 0 {
		return false, err
	}
	_, err = tx.ownerKey(o, row.Slot)
	if errors.Is(err, ErrErased) {
		return true, nil
	}
	return false, err
}

func wrapUnder(a cipher.AEAD, tenant, row uuid.UUID, kind string, plain []byte) Wrapped {
	return Wrapped{Bytes: a.Seal(nil, nil, plain, wrapAD(tenant, row, kind, 0))}
}

// unwrapUnder opens what is wrapped under an owner's key, or, from before there were any, under the
// key-encryption key.
func (tx *Tx) unwrapUnder(owner func() (cipher.AEAD, error), row uuid.UUID, kind string, w Wrapped) ([]byte, error) {
	if w.Epoch > 0 {
		return unwrap(tx.ctx, tx.v.kek, tx.tenant, row, kind, w)
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

func (tx *Tx) unwrapKeyUnder(owner func() (cipher.AEAD, error), row uuid.UUID, kind string, w Wrapped) (key, error) {
	b, err := tx.unwrapUnder(owner, row, kind, w)
	if err != nil {
		return key{}, err
	}
	defer clear(b)
	if len(b) != keySize {
		return key{}, fmt.Errorf("unwrap %s: %d bytes, a key has %d", kind, len(b), keySize)
	}
	return key(b), nil
}

// wrapOwned wraps a value of a person, device or tenant. The tenant's own, which nothing destroys,
// are wrapped by the key-encryption key.
func (tx *Tx) wrapOwned(o schemas.Owner, row uuid.UUID, kind string, plain []byte) (Wrapped, error) {
	if o.Kind == schemas.OwnerTenant {
		return wrap(tx.ctx, tx.v.kek, tx.tenant, row, kind, plain)
	}
	a, err := tx.keyOf(o)
	if err != nil {
		return Wrapped{}, err
	}
	return wrapUnder(a, tx.tenant, row, kind, plain), nil
}

func (tx *Tx) unwrapOwned(o schemas.Owner, row uuid.UUID, kind string, w Wrapped) ([]byte, error) {
	return tx.unwrapUnder(func() (cipher.AEAD, error) { return tx.keyOf(o) }, row, kind, w)
}

func (tx *Tx) unwrapOwnedKey(o schemas.Owner, row uuid.UUID, kind string, w Wrapped) (key, error) {
	return tx.unwrapKeyUnder(func() (cipher.AEAD, error) { return tx.keyOf(o) }, row, kind, w)
}

func newKey() (k key, err error) {
	_, err = rand.Read(k[:])
	return k, err
}

// rekey gives a person or device a new key in a new slot and wraps under it all that is left of
// them; the old slot is retired. It ends what copies of destroyed rows hold when only some of an
// owner's keys were destroyed. What was read of the owner's identities in this transaction must
// have been flushed.
func (tx *Tx) rekey(o schemas.Owner) error {
	row, err := tx.owner(o)
	if err != nil || row == nil {
		return errors.Join(err, ErrNotFound)
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
	n, a, err := tx.newOwnerKey(o)
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
		k.Key = wrapUnder(a, tx.tenant, k.ID, k.Class, plain)
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
		i.Value = wrapUnder(a, tx.tenant, i.ID, i.Kind, plain)
		if err := tx.rows.PutIdentity(i); err != nil {
			return err
		}
	}
	if o.Kind == schemas.OwnerDevice {
		k, ok, err := tx.rows.StreamKey(o.ID)
		if err != nil {
			return err
		}
		if ok && k.Slot == 0 {
			plain, err := tx.unwrapUnder(old, o.ID, kindStreamKey, k.Key)
			if err != nil {
				return fmt.Errorf("rewrap stream key %s: %w", o.ID, err)
			}
			k.Key = wrapUnder(a, tx.tenant, o.ID, kindStreamKey, plain)
			if err := tx.rows.PutStreamKey(k); err != nil {
				return err
			}
		}
	}
	if err := tx.putOwner(changed); err != nil {
		return err
	}
	if row.Slot > 0 {
		tx.scrub = true
		return tx.rows.RetireSlot(row.Slot)
	}
	return nil
}

// What a store of an older version holds is wrapped by the key-encryption key alone. The setting
// tells: 1, rows are to be rewrapped; 2, they are, and the store is to be compacted, since it may
// hold copies of old ones; else neither.
const (
	settingLegacy = "legacy"
	rewrapAtOnce  = 200 // owners in a transaction
)

// rewrap brings such a store to the present form, in transactions of its own. A crash leaves rows
// of both forms, which read alike, and the next Open goes on.
func (v *Vault) rewrap(ctx context.Context) error {
	state := byte(0)
	var tenants []TenantRow
	err := v.view(ctx, uuid.Nil, func(rows Rows) error {
		b, ok, err := rows.Setting(settingLegacy)
		if err != nil || !ok || len(b) != 1 {
			return err
		}
		state = b[0]
		tenants, err = rows.Tenants()
		return err
	})
	if err != nil || state == 0 {
		return err
	}
	store, ok := v.store.(LegacyStore)
	if !ok {
		return errors.New("the store cannot rewrap what an older version of it held")
	}
	set := func(b byte) error {
		return v.update(ctx, uuid.Nil, func(rows Rows) error {
			// Nor did a vault have a K_record of its own.
			if _, ok, err := rows.Setting(settingRecord); err != nil {
				return err
			} else if !ok {
				if err := mintRecordKey(ctx, v.kek, rows, v.id); err != nil {
					return err
				}
			}
			return rows.PutSetting(settingLegacy, []byte{b})
		})
	}
	if state == 1 {
		owners := 0
		for _, t := range tenants {
			for more := true; more; {
				err := v.Update(ctx, t.ID, func(tx *Tx) error {
					left, err := tx.rewrapSome(rewrapAtOnce)
					more = left > 0
					owners += left
					return err
				})
				if err != nil {
					return err
				}
			}
		}
		v.log.Info("the vault was rewrapped under owners' keys", "owners", owners)
		if err := set(2); err != nil {
			return err
		}
	}
	if err := store.Compact(ctx); err != nil {
		return err
	}
	return set(0)
}

// rewrapSome gives up to n owners slots, and returns how many it found without.
func (tx *Tx) rewrapSome(n int) (int, error) {
	rows, ok := tx.rows.(LegacyRows)
	if !ok {
		return 0, errors.New("the store cannot list what an older version of it held")
	}
	owners, err := rows.Slotless(n)
	if err != nil {
		return 0, err
	}
	for _, o := range owners {
		switch o.Kind {
		case OwnerStream:
			err = tx.rewrapStream(o)
		case OwnerPeriod:
			err = tx.rewrapPeriod(rows, o)
		default:
			err = tx.rekey(o)
		}
		if err != nil {
			return 0, fmt.Errorf("%s %s: %w", o.Kind, o.ID, err)
		}
	}
	return len(owners), nil
}

func (tx *Tx) rewrapStream(o schemas.Owner) error {
	k, ok, err := tx.rows.StreamKey(o.ID)
	if err != nil || !ok || k.Key.Epoch == 0 { // a device's, which its owner took along
		return err
	}
	plain, err := unwrap(tx.ctx, tx.v.kek, tx.tenant, o.ID, kindStreamKey, k.Key)
	if err != nil {
		return err
	}
	n, a, err := tx.newOwnerKey(o)
	if err != nil {
		return err
	}
	k.Slot, k.Key = n, wrapUnder(a, tx.tenant, o.ID, kindStreamKey, plain)
	return tx.rows.PutStreamKey(k)
}

func (tx *Tx) rewrapPeriod(rows LegacyRows, o schemas.Owner) error {
	k, ok, err := rows.PeriodKeyByID(o.ID)
	if err != nil || !ok || k.Slot > 0 || k.Destroyed {
		return err
	}
	plain, err := unwrap(tx.ctx, tx.v.kek, tx.tenant, k.ID, k.Class, k.Key)
	if err != nil {
		return err
	}
	var a cipher.AEAD
	if k.Slot, a, err = tx.newOwnerKey(o); err != nil {
		return err
	}
	k.Key = wrapUnder(a, tx.tenant, k.ID, k.Class, plain)
	return tx.rows.PutPeriodKey(k)
}
