package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest/subjecttest"
)

func factory(t testing.TB) (store.Store, func(testing.TB) store.Store) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault")
	s, err := Create(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s, func(t testing.TB) store.Store {
		t.Helper()
		s, err := Open(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestStore(t *testing.T) { storetest.RunStore(t, factory) }

func TestVault(t *testing.T) { vaulttest.RunVault(t, factory) }

func TestSubjects(t *testing.T) { subjecttest.Run(t, factory) }

func BenchmarkOpen(b *testing.B) { vaulttest.BenchOpen(b, factory) }
