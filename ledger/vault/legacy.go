package vault

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
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
		b, ok, err := store.Setting(rows, settingLegacy)
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
			if _, ok, err := store.Setting(rows, settingRecord); err != nil {
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
					left, err := tx.keys.RewrapSome(tx.rows, rewrapAtOnce)
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
