package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
)

// testAccounts: the list is kept wrapped, is the same for every process, and changes one at a
// time.
func testAccounts(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	ctx := context.Background()
	if list, err := e.V.Accounts(ctx); err != nil || list != nil {
		t.Errorf("before there are any: %q, %v", list, err)
	}
	err := e.V.UpdateAccounts(ctx, func([]byte) ([]byte, error) { return nil, errRefused })
	if !errors.Is(err, errRefused) {
		t.Errorf("a change that is refused: %v", err)
	}
	again := e.Again()
	var all sync.WaitGroup
	for i := range 20 {
		v := []*vault.Vault{e.V, again}[i%2]
		all.Go(func() {
			if err := v.UpdateAccounts(ctx, func(list []byte) ([]byte, error) {
				return fmt.Appendf(list, "anna%d;", i), nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, v := range []*vault.Vault{e.V, again} {
		if list, err := v.Accounts(ctx); err != nil || bytes.Count(list, []byte("anna")) != 20 {
			t.Errorf("%q, %v", list, err)
		}
	}
	err = e.Store.View(ctx, uuid.Nil, func(r store.Rows) error {
		raw, ok, err := storetest.One{Rows: r}.Setting("accounts")
		if !ok || bytes.Contains(raw, []byte("anna")) {
			t.Errorf("kept as %q", raw)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

var errRefused = errors.New("refused")
