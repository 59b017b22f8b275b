package vault

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

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
	var tenants []store.TenantRow
	err := v.view(ctx, uuid.Nil, func(rows store.Rows) error {
		b, ok, err := setting(rows, settingLegacy)
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
	older, ok := v.store.(store.LegacyStore)
	if !ok {
		return errors.New("the store cannot rewrap what an older version of it held")
	}
	set := func(b byte) error {
		return v.update(ctx, uuid.Nil, func(rows store.Rows) error {
			// Nor did a vault have a K_record of its own.
			if _, ok, err := setting(rows, settingRecord); err != nil {
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
	if err := older.Compact(ctx); err != nil {
		return err
	}
	return set(0)
}

// rewrapSome gives up to n owners slots, and returns how many it found without.
func (tx *Tx) rewrapSome(n int) (int, error) {
	rows, ok := tx.rows.(store.LegacyRows)
	if !ok {
		return 0, errors.New("the store cannot list what an older version of it held")
	}
	owners, err := rows.Slotless(n)
	if err != nil {
		return 0, err
	}
	for _, o := range owners {
		switch o.Kind {
		case store.OwnerStream:
			err = tx.rewrapStream(o)
		case store.OwnerPeriod:
			err = tx.rewrapPeriod(rows, o)
		default:
			err = tx.keys.Rekey(o)
		}
		if err != nil {
			return 0, fmt.Errorf("%s %s: %w", o.Kind, o.ID, err)
		}
	}
	return len(owners), nil
}

func (tx *Tx) rewrapStream(o schemas.Owner) error {
	stored, err := tx.set.StreamKey(o.ID)
	if err != nil || stored == nil || stored.Key.Epoch == 0 { // a device's, which its owner took along
		return err
	}
	k := *stored
	plain, err := keyring.Unwrap(tx.ctx, tx.v.kek, tx.tenant, o.ID, keyring.KindStreamKey, k.Key)
	if err != nil {
		return err
	}
	n, a, err := tx.keys.NewOwnerKey(o)
	if err != nil {
		return err
	}
	k.Slot, k.Key = n, keyring.WrapUnder(a, tx.tenant, o.ID, keyring.KindStreamKey, plain)
	return tx.set.PutStreamKey(k)
}

func (tx *Tx) rewrapPeriod(rows store.LegacyRows, o schemas.Owner) error {
	k, ok, err := rows.PeriodKeyByID(o.ID)
	if err != nil || !ok || k.Slot > 0 || k.Destroyed {
		return err
	}
	plain, err := keyring.Unwrap(tx.ctx, tx.v.kek, tx.tenant, k.ID, k.Class, k.Key)
	if err != nil {
		return err
	}
	var a cipher.AEAD
	if k.Slot, a, err = tx.keys.NewOwnerKey(o); err != nil {
		return err
	}
	k.Key = keyring.WrapUnder(a, tx.tenant, k.ID, k.Class, plain)
	return tx.set.PutPeriodKey(k)
}
