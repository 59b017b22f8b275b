package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
	"github.com/ledgerline/ledgerline/schemas"
)

func FuzzOpen(f *testing.F) { vaulttest.FuzzOpen(f, factory) }

func TestCreateAndOpen(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "with space?and#marks%41", "vault")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path); !errors.Is(err, ErrMissing) {
		t.Errorf("opened what is not there: %v", err)
	}
	s, err := Create(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(ctx, uuid.Nil, func(r store.Rows) error { return r.PutSetting("x", []byte{1}) }); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if len(files) != 4 {
		t.Errorf("%d files stand in the folder, want the vault, its slots, its log and the log's index", len(files))
	}
	if _, err := Create(ctx, path); !errors.Is(err, ErrExists) {
		t.Errorf("created twice: %v", err)
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "secure_delete": "1",
		"foreign_keys": "1", "temp_store": "2"} {
		for range 1 + readers { // on whichever connection
			var got string
			if err := s.db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s = %s, %v; want %s", pragma, got, err, want)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(ctx, uuid.Nil, func(store.Rows) error { return nil }); !errors.Is(err, errClosed) {
		t.Errorf("used after it was closed: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path); !errors.Is(err, ErrUnsafe) {
		t.Errorf("opened a file its group can read: %v", err)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, other); !errors.Is(err, ErrVersion) {
		t.Errorf("opened an empty file: %v", err)
	}
	if err := os.WriteFile(other, bytes.Repeat([]byte("not a database"), 500), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, other); err == nil {
		t.Error("opened a file of another kind")
	}
}

// onDisk tells which of the needles stand in any file of the folder.
func onDisk(t *testing.T, dir string, needles map[string][]byte) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for name, n := range needles {
			if len(n) < 16 {
				t.Fatalf("%s is too short to be looked for", name)
			}
			if bytes.Contains(raw, n) {
				found[name] = f.Name()
			}
		}
	}
	return found
}

// TestErasedBytesAreGone erases persons one by one, as rows come and go around them, and
// looks for what was theirs in every file: wrapped keys and values, and the links from
// aliases and devices to them.
func TestErasedBytesAreGone(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	db, err := Create(ctx, filepath.Join(dir, "vault"))
	if err != nil {
		t.Fatal(err)
	}
	e := vaulttest.NewEnv(t, func(testing.TB) (store.Store, func(testing.TB) store.Store) { return db, nil })
	type person struct {
		id     uuid.UUID
		device vault.Device
		alias  uuid.UUID
		name   string
	}
	now := e.Clock.Now()
	add := func(tx *vault.Tx, i int) (p person) {
		p.name = fmt.Sprintf("unmistakable.person.%d@voorbeeld.nl", i)
		p.id = e.Person(tx, vault.PersonHint{ObjectID: uuid.NewString(), UPN: p.name, At: now})
		if p.device, _, err = tx.Device(vault.DeviceHint{IntuneID: uuid.NewString(), At: now}); err != nil {
			t.Fatal(err)
		}
		if p.device, err = tx.SetHolder(p.device.ID, "personal", p.id, now); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Element(p.device.Stream, "apps", "x"); err != nil {
			t.Fatal(err)
		}
		d := e.Enrolled(e.Tenant.ID, p.device.Stream, p.id, p.device.ID, now)
		if err := tx.Seal(d); err != nil {
			t.Fatal(err)
		}
		p.alias = d.Subjects[0].Alias
		return p
	}
	var all []person
	e.Update(func(tx *vault.Tx) {
		for i := range 150 {
			all = append(all, add(tx, i))
		}
	})
	for i := 0; i < len(all); i += 6 {
		p := all[i]
		needles := map[string][]byte{}
		var keys []uuid.UUID
		e.View(func(tx *vault.Tx) {
			if keys, err = tx.SubjectKeys(p.id); err != nil {
				t.Fatal(err)
			}
		})
		err := db.View(ctx, e.Tenant.ID, func(r store.Rows) error {
			for _, k := range keys {
				row, _, err := storetest.One{Rows: r}.SubjectKeyByID(k)
				if err != nil {
					return err
				}
				needles["key of class "+row.Class+" of a "+string(row.Owner.Kind)] = row.Key.Bytes
				needles["owner of a key of class "+row.Class] = append([]byte("person"), p.id[:]...)
			}
			for _, o := range []schemas.Owner{{Kind: schemas.OwnerPerson, ID: p.id},
				{Kind: schemas.OwnerDevice, ID: p.device.ID}} {
				ids, err := storetest.One{Rows: r}.IdentitiesOf(o)
				if err != nil {
					return err
				}
				for _, id := range ids {
					needles["value of "+id.Kind] = id.Value.Bytes
				}
			}
			w, _, err := storetest.One{Rows: r}.StreamKey(p.device.ID)
			needles["stream key"] = w.Key.Bytes
			a, _, err2 := storetest.One{Rows: r}.Alias(p.alias)
			needles["link from alias to key"] = append(bytes.Clone(a.ID[:]), a.SubjectKey[:]...)
			needles["link from key to alias"] = append(bytes.Clone(a.SubjectKey[:]), a.ID[:]...)
			return errors.Join(err, err2)
		})
		if err != nil {
			t.Fatal(err)
		}
		before := onDisk(t, dir, needles)
		if len(before) != len(needles) || len(needles) < 10 {
			t.Fatalf("before the erasure %d of %d are found: %v", len(before), len(needles), before)
		}
		completion := uuid.New()
		e.Update(func(tx *vault.Tx) {
			if _, err := tx.BeginErasure(p.id, completion); err != nil {
				t.Fatal(err)
			}
		})
		e.Update(func(tx *vault.Tx) {
			if err := tx.Destroy(completion, keys); err != nil {
				t.Fatal(err)
			}
		})
		delete(needles, "owner of a key of class inventory") // the tombstone of the person keeps kind and id
		delete(needles, "owner of a key of class identity")
		if after := onDisk(t, dir, needles); len(after) > 0 {
			t.Fatalf("after erasing person %d: %v", i, after)
		}
		e.Update(func(tx *vault.Tx) { add(tx, 1000+i) })
	}
	var names = map[string][]byte{}
	for _, p := range all {
		names[p.name] = []byte(p.name)
	}
	if found := onDisk(t, dir, names); len(found) > 0 {
		t.Errorf("names stand in the files in plain: %v", found)
	}
	info, err := os.Stat(filepath.Join(dir, "vault-wal"))
	if err != nil || info.Size() == 0 {
		t.Errorf("the log is not in use, so nothing was shown of it: %v, %v", info, err)
	}
}

// TestScrubWaitsForReaders: an old snapshot keeps the log; Destroy's Update
// returns once the reader is gone.
func TestScrubWaitsForReaders(t *testing.T) {
	ctx := context.Background()
	s, _ := factory(t)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	put := func(b byte) {
		if err := s.Update(ctx, uuid.Nil, func(r store.Rows) error {
			return r.PutSetting("x", []byte{b})
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	reading, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.View(ctx, uuid.Nil, func(r store.Rows) error {
			_, _, err := storetest.One{Rows: r}.Setting("x")
			close(reading)
			<-release
			return err
		})
	}()
	<-reading
	put(2)
	scrubbed := make(chan error, 1)
	go func() { scrubbed <- s.Scrub(ctx) }()
	close(release)
	if err := errors.Join(<-done, <-scrubbed); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.(*Store).path + "-wal")
	if err != nil || info.Size() != 0 {
		t.Errorf("the log after scrubbing: %v, %v", info, err)
	}
}

// TestEmptyingTheLogWaitsForAnotherProcessThatDoes: of two that empty the log at once, one gets
// the right to, and SQLite tells the other at once that it is taken, however long it would wait
// for a reader. Both succeed once the reader is gone.
func TestEmptyingTheLogWaitsForAnotherProcessThatDoes(t *testing.T) {
	ctx := context.Background()
	s, again := factory(t)
	other := again(t)
	for _, one := range []store.Store{s, other} {
		defer func() {
			if err := one.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	put := func(b byte) {
		if err := s.Update(ctx, uuid.Nil, func(r store.Rows) error {
			return r.PutSetting("x", []byte{b})
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	reading, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.View(ctx, uuid.Nil, func(r store.Rows) error {
			_, _, err := storetest.One{Rows: r}.Setting("x")
			close(reading)
			<-release
			return err
		})
	}()
	<-reading
	put(2)
	emptied := make(chan error, 2)
	for _, one := range []store.Store{s, other} {
		go func() {
			emptied <- one.(*Store).exclusive(ctx, func(c *session) error { return emptyLog(ctx, c) })
		}()
	}
	var first error
	select { // neither can have succeeded: what ended has given up
	case first = <-emptied:
		t.Errorf("one ended while a reader kept the log: %v", first)
		emptied <- first
	case <-time.After(time.Second):
	}
	close(release)
	if err := errors.Join(<-done, <-emptied, <-emptied); err != nil {
		t.Fatal(err)
	}
}
