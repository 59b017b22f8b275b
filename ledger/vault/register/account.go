package register

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
func (r *Register) Accounts(ctx context.Context) (list []byte, err error) {
	err = r.c.View(ctx, uuid.Nil, func(rows store.Rows) error {
		list, err = r.accounts(ctx, rows)
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
func (r *Register) UpdateAccounts(ctx context.Context, change func(list []byte) ([]byte, error)) error {
	err := r.c.Update(ctx, uuid.Nil, func(rows store.Rows) error {
		list, err := r.accounts(ctx, rows)
		if err != nil {
			return err
		}
		if list, err = change(list); err != nil {
			return err
		}
		w, err := keyring.Wrap(ctx, r.c.KEK, uuid.Nil, r.c.ID, kindAccounts, list)
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

func (r *Register) accounts(ctx context.Context, rows store.Rows) ([]byte, error) {
	raw, ok, err := store.Setting(rows, settingAccounts)
	if err != nil || !ok {
		return nil, err
	}
	if len(raw) < 4 {
		return nil, fmt.Errorf("the list has %d bytes", len(raw))
	}
	return keyring.Unwrap(ctx, r.c.KEK, uuid.Nil, r.c.ID, kindAccounts,
		store.Wrapped{Epoch: binary.BigEndian.Uint32(raw), Bytes: raw[4:]})
}
