package keyring

import (
	"crypto/cipher"
	"errors"
	"fmt"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// RewrapSome gives up to n owners slots who have none, being from before there were any, and
// returns how many it found.
func (tx *Tx) RewrapSome(all store.Rows, n int) (int, error) {
	rows, ok := all.(store.LegacyRows)
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
			err = tx.Rekey(o)
		}
		if err != nil {
			return 0, fmt.Errorf("%s %s: %w", o.Kind, o.ID, err)
		}
	}
	return len(owners), nil
}

func (tx *Tx) rewrapStream(o schemas.Owner) error {
	stored, err := tx.rows.StreamKey(o.ID)
	if err != nil || stored == nil || stored.Key.Epoch == 0 { // a device's, which its owner took along
		return err
	}
	k := *stored
	plain, err := Unwrap(tx.ctx, tx.kek, tx.tenant, o.ID, KindStreamKey, k.Key)
	if err != nil {
		return err
	}
	n, a, err := tx.NewOwnerKey(o)
	if err != nil {
		return err
	}
	k.Slot, k.Key = n, WrapUnder(a, tx.tenant, o.ID, KindStreamKey, plain)
	return tx.rows.PutStreamKey(k)
}

func (tx *Tx) rewrapPeriod(rows store.LegacyRows, o schemas.Owner) error {
	k, ok, err := rows.PeriodKeyByID(o.ID)
	if err != nil || !ok || k.Slot > 0 || k.Destroyed {
		return err
	}
	plain, err := Unwrap(tx.ctx, tx.kek, tx.tenant, k.ID, k.Class, k.Key)
	if err != nil {
		return err
	}
	var a cipher.AEAD
	if k.Slot, a, err = tx.NewOwnerKey(o); err != nil {
		return err
	}
	k.Key = WrapUnder(a, tx.tenant, k.ID, k.Class, plain)
	return tx.rows.PutPeriodKey(k)
}
