package vault

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

// This file keeps the list of those who may sign in, for whoever knows what is in it. To the vault
// it is a text; it lies wrapped, since it names people.

// Accounts returns the list, nil where none was kept.
func (v *Vault) Accounts(ctx context.Context) (list []byte, err error) {
	err = v.view(ctx, uuid.Nil, func(rows store.Rows) error {
		list, err = v.accounts(ctx, rows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return list, nil
}

// UpdateAccounts replaces the list by what change makes of it, in one write transaction: no other
// process changes it meanwhile. Where change returns an error, that is returned and nothing
// changed.
func (v *Vault) UpdateAccounts(ctx context.Context, change func(list []byte) ([]byte, error)) error {
	err := v.update(ctx, uuid.Nil, func(rows store.Rows) error {
		list, err := v.accounts(ctx, rows)
		if err != nil {
			return err
		}
		if list, err = change(list); err != nil {
			return err
		}
		w, err := keyring.Wrap(ctx, v.kek, uuid.Nil, v.id, kindAccounts, list)
		if err != nil {
			return err
		}
		return rows.PutSetting(settingAccounts, append(binary.BigEndian.AppendUint32(nil, w.Epoch), w.Bytes...))
	})
	if err != nil {
		return fmt.Errorf("change accounts: %w", err)
	}
	return nil
}

func (v *Vault) accounts(ctx context.Context, rows store.Rows) ([]byte, error) {
	raw, ok, err := setting(rows, settingAccounts)
	if err != nil || !ok {
		return nil, err
	}
	if len(raw) < 4 {
		return nil, fmt.Errorf("the list has %d bytes", len(raw))
	}
	return keyring.Unwrap(ctx, v.kek, uuid.Nil, v.id, kindAccounts,
		store.Wrapped{Epoch: binary.BigEndian.Uint32(raw), Bytes: raw[4:]})
}
