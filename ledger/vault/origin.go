package vault

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// mintRecordKey gives the vault a K_record of its own, for the events of the zero tenant. It is
// minted with the vault, so that the ledger's first event can have an origin.
func mintRecordKey(ctx context.Context, k keyring.KEK, rows store.Rows, vault uuid.UUID) error {
	_, w, err := keyring.Mint(ctx, k, uuid.Nil, vault, keyring.KindRecordKey)
	if err != nil {
		return err
	}
	return rows.PutSetting(settingRecord, append(binary.BigEndian.AppendUint32(nil, w.Epoch), w.Bytes...))
}

// OriginKey returns the tenant's K_origin (FORMATS §3), for the zero tenant the vault's own, and
// false where the vault knows no such tenant. It is kept in memory: K_record is never rotated.
func (v *Vault) OriginKey(ctx context.Context, tenant uuid.UUID) (k schemas.OriginKey, known bool, err error) {
	v.originMu.Lock()
	defer v.originMu.Unlock()
	if k, known = v.origins[tenant]; known {
		return k, true, nil
	}
	var record keyring.Key
	err = v.view(ctx, uuid.Nil, func(rows store.Rows) error {
		row, w := tenant, store.Wrapped{}
		if tenant == uuid.Nil {
			b, ok, err := store.Setting(rows, settingRecord)
			if err != nil || !ok || len(b) < 4 {
				return err
			}
			row, w = v.id, store.Wrapped{Epoch: binary.BigEndian.Uint32(b), Bytes: b[4:]}
		} else {
			t, ok, err := rows.Tenant(tenant)
			if err != nil || !ok {
				return err
			}
			w = t.Record
		}
		known = true
		record, err = keyring.UnwrapKey(ctx, v.kek, tenant, row, keyring.KindRecordKey, w)
		return err
	})
	if err != nil {
		return k, false, fmt.Errorf("origin key of tenant %s: %w", tenant, err)
	}
	if !known {
		return k, false, nil
	}
	if k, err = schemas.NewOriginKey(record[:]); err != nil {
		return k, false, err
	}
	if v.origins == nil {
		v.origins = map[uuid.UUID]schemas.OriginKey{}
	}
	v.origins[tenant] = k
	return k, true, nil
}
