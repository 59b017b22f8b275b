package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/working"
)

// Errors of optimistic transactions.
var (
	ErrConflict   = working.ErrConflict   // others changed something meanwhile: nothing happened, begin anew
	ErrOptimistic = working.ErrOptimistic // what is asked for needs the write lock: Update
)

// UpdateOptimistic is Update without the write lock while do runs, so that no other tenant and no
// other writer waits for it: do reads what stood when it began, what it puts is kept aside, and
// only then is the lock taken, to see that nothing was changed meanwhile and to store that. Where
// something was, by whichever process, it errs with ErrConflict, as soon as that is seen, and
// nothing of do happened: whoever calls it again begins anew, with nothing that do brought
// forward. In do, what forgets, expires, holds or completes errs with ErrOptimistic. Optimistic
// transactions of one tenant in one process take turns: do must not begin another. It is safe to
// call Tx's methods from several goroutines, one at a time.
func (v *Vault) UpdateOptimistic(ctx context.Context, tenant uuid.UUID, do func(*Tx) error) error {
	fail := func(err error) error { return fmt.Errorf("optimistic vault update: %w", err) }
	done, err := v.turns.Take(ctx, tenant)
	if err != nil {
		return fail(err)
	}
	defer done()
	tx := &Tx{v: v, ctx: ctx, tenant: tenant, optimistic: true}
	if err := v.view(ctx, tenant, func(rows store.Rows) error { return tx.begin(rows, true) }); err != nil {
		return fail(err)
	}
	defer tx.keys.End()
	if err := do(tx); err != nil {
		return fail(err)
	}
	if err := tx.store(); err != nil {
		return fail(err)
	}
	tx.share()
	return nil
}

// store stores what was kept aside, unless something has changed that it rests on.
func (tx *Tx) store() error {
	if tx.set.Clean() {
		return tx.read(func(store.Rows) error { return nil })
	}
	return tx.v.update(tx.ctx, tx.tenant, func(rows store.Rows) error {
		if err := tx.unchanged(rows); err != nil {
			return err
		}
		return tx.set.Store(rows)
	})
}

// read runs do on rows as the transaction sees them.
func (tx *Tx) read(do func(store.Rows) error) error {
	if !tx.optimistic {
		return do(tx.rows)
	}
	return tx.v.view(tx.ctx, tx.tenant, func(rows store.Rows) error {
		if err := tx.unchanged(rows); err != nil {
			return err
		}
		return do(rows)
	})
}

// read returns what do reads of rows, as the transaction sees them.
func read[T any](tx *Tx, do func(store.Rows) (T, error)) (out T, err error) {
	err = tx.read(func(rows store.Rows) (err error) {
		out, err = do(rows)
		return err
	})
	return out, err
}

// counts returns the store's count of forgettings and, as it is stored, that of the tenant's
// changes.
func (tx *Tx) counts(rows store.Rows) (forgets uint64, changes []byte, err error) {
	name := store.Changes(tx.tenant)
	counts, err := rows.Settings(settingForgets, name)
	if err == nil && len(counts[settingForgets]) != 8 {
		err = ErrUninitialised
	}
	if err != nil {
		return 0, nil, err
	}
	return binary.BigEndian.Uint64(counts[settingForgets]), counts[name], nil
}

// unchanged errs with ErrConflict where the counts are no longer those that the transaction began
// with: as long as they stand, what was read of the tenant's rows is what they are.
func (tx *Tx) unchanged(rows store.Rows) error {
	forgets, changes, err := tx.counts(rows)
	if err == nil && (forgets != tx.forgets || !bytes.Equal(changes, tx.changes)) {
		err = ErrConflict
	}
	return err
}

// locked errs where the transaction does not hold the write lock.
func (tx *Tx) locked() error {
	if tx.optimistic {
		return ErrOptimistic
	}
	return tx.keys.Writable()
}

// begin reads the counts, and begins the working set and the keys.
func (tx *Tx) begin(rows store.Rows, write bool) (err error) {
	if tx.forgets, tx.changes, err = tx.counts(rows); err != nil {
		return err
	}
	tx.hashes = hashes{}
	c := keyring.Config{KEK: tx.v.kek, Clock: tx.v.clock, Shared: tx.v.shared, Tenant: tx.tenant,
		TenantRow: rows.Tenant, Write: write, Forgets: tx.forgets}
	if tx.optimistic {
		tx.set = working.BeginOptimistic(tx.read, tx.tenant, tx.changes, tx.v.rows)
		c.Again = func() error { return tx.read(func(store.Rows) error { return nil }) }
	} else {
		tx.rows, tx.set = rows, working.Begin(rows, write, tx.tenant, tx.changes, tx.v.rows)
	}
	c.Rows = tx.set
	tx.keys, err = keyring.Begin(tx.ctx, c)
	return err
}
