package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
)

// TestBackup backs a vault up while it is written to: each copy opens, its two files belong
// together, and it holds what had been sealed when it was begun.
func TestBackup(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	db, err := Create(ctx, filepath.Join(dir, "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	e := vaulttest.NewEnv(t, func(testing.TB) (store.Store, func(testing.TB) store.Store) { return db, nil })
	var asked []vault.Sealed
	add := func() error {
		return e.V.Update(ctx, e.Tenant.ID, func(tx *vault.Tx) error {
			p, _, err := tx.Person(vault.PersonHint{ObjectID: uuid.NewString(), At: e.Clock.Now()})
			if err != nil {
				return err
			}
			d := draft(e.Tenant.ID, p, e.Clock.Now())
			if err := tx.Seal(d); err != nil {
				return err
			}
			asked = append(asked, vault.Sealed{Token: d.Values[0].Token, Attr: d.Values[0].Attr.ID, Event: d.ID})
			return nil
		})
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	for range 5 {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}
	sure := asked[:len(asked):len(asked)]
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := add(); err != nil {
				stopped <- err
				return
			}
		}
	}()
	// With all views in use too.
	reading, release := make(chan struct{}), make(chan struct{})
	views := make(chan error, readers)
	for range readers {
		go func() {
			views <- db.View(ctx, uuid.Nil, func(r store.Rows) error {
				_, _, err := storetest.One{Rows: r}.Setting("x")
				reading <- struct{}{}
				<-release
				return err
			})
		}()
		<-reading
	}
	for i := range 5 {
		path := filepath.Join(dir, string(rune('a'+i))+".db")
		if err := db.Backup(ctx, path); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, SlotsPath(path)} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", filepath.Base(name), info, err)
			}
		}
		copied, err := Open(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		v, err := vault.Open(ctx, vault.Config{Store: copied, KEK: e.KEK, Clock: e.Clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		err = v.View(ctx, e.Tenant.ID, func(tx *vault.Tx) error {
			got, err := tx.Open(sure)
			for i, o := range got {
				if o.Err != nil {
					t.Errorf("value %d of the copy: %v", i, o.Err)
				}
			}
			return err
		})
		if err := errors.Join(err, v.Close()); err != nil {
			t.Fatal(err)
		}
		if err := db.Backup(ctx, path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a backup over another: %v", err)
		}
	}
	close(release)
	for range readers {
		if err := <-views; err != nil {
			t.Error(err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(ctx, filepath.Join(dir, "nowhere", "x.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a backup into a folder that is not there: %v", err)
	}
}
