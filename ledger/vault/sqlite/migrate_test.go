package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// golden is what testdata/v1/held.json says of the vault of version 1 beside it, and of its key.
// The program of that version made them: synthetic persons of two tenants, one erased, one whose
// erasure has begun, and an expired month.
type golden struct {
	Tenant  uuid.UUID
	Persons map[string]uuid.UUID
	Devices map[string]uuid.UUID
	Values  []struct {
		Token schemas.Token
		Attr  string
		Event uuid.UUID
		Plain string
		Of    string
	}
	Element     uuid.UUID
	Refusal     schemas.Stream
	Mapped      schemas.Stream
	Fact        schemas.Stream
	Pending     uuid.UUID
	PendingKeys []uuid.UUID
}

const goldenVault = "testdata/v1"

// copyGolden lays the vault of version 1 into a folder of the test's own.
func copyGolden(t *testing.T) (dir string, g golden) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"vault.db", "kek"} {
		raw, err := os.ReadFile(filepath.Join(goldenVault, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(goldenVault, "held.json"))
	if err == nil {
		err = json.Unmarshal(raw, &g)
	}
	if err != nil || len(g.Values) < 15 {
		t.Fatal(len(g.Values), err)
	}
	return dir, g
}

// wrappedOf returns every wrapped value in the file of version 1 that is an owner's,
// and so must be rewrapped.
func wrappedOf(t *testing.T, path string) map[string][]byte {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out := map[string][]byte{}
	for _, q := range []string{"SELECT value FROM identity",
		"SELECT key FROM subject_key WHERE state < 3 AND owner_kind <> 'tenant'",
		"SELECT key FROM period_key WHERE destroyed = 0", "SELECT key FROM stream_key"} {
		rows, err := db.Query(q)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var b []byte
			if err := rows.Scan(&b); err != nil {
				t.Fatal(err)
			}
			out[fmt.Sprintf("%s, %d", q, len(out))] = b
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

var goldenNow = time.Date(2026, 3, 20, 9, 0, 0, 0, time.UTC)

func openGolden(dir string, wrap func(*Store) store.Store) (*vault.Vault, error) {
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(dir, "vault.db"))
	if err != nil {
		return nil, err
	}
	kek, err := vault.OpenFileKEK(filepath.Join(dir, "kek"))
	if err == nil {
		var v *vault.Vault
		v, err = vault.Open(ctx, vault.Config{Store: wrap(s), KEK: kek, Clock: func() time.Time { return goldenNow }})
		if err == nil {
			return v, nil
		}
	}
	return nil, errors.Join(err, s.Close())
}

// holdsAll checks that the vault holds everything that the golden file says.
func (g golden) holdsAll(t *testing.T, v *vault.Vault) {
	t.Helper()
	ctx := context.Background()
	err := v.View(ctx, g.Tenant, func(tx *vault.Tx) error {
		var asked []vault.Sealed
		for _, x := range g.Values {
			asked = append(asked, vault.Sealed{Token: x.Token, Attr: x.Attr, Event: x.Event})
		}
		got, err := tx.Open(asked)
		if err != nil {
			return err
		}
		for i, o := range got {
			x := g.Values[i]
			h, _, err := x.Token.Parse()
			var want error
			switch {
			case err != nil:
				return err
			case h.Month == "202601" && h.Class == "inventory":
				want = vault.ErrExpired
			case x.Of == "dave", x.Of == "carol", x.Of == "tablet":
				want = vault.ErrErased
			}
			if !errors.Is(o.Err, want) || want == nil && (o.Err != nil || string(o.Plain) != x.Plain) {
				t.Errorf("%s of %s (%s): %s, %v; want %s, %v", x.Attr, x.Of, h.Month, o.Plain, o.Err, x.Plain, want)
			}
		}
		for i, name := range []string{"anna", "bob", "carol"} {
			m, err := tx.FindPersons(fmt.Sprintf("11111111-2222-4333-8444-%012d", i+1))
			if err != nil || len(m) != 1 || m[0].ID != g.Persons[name] {
				t.Errorf("%s: %v, %v", name, m, err)
			}
		}
		names, err := tx.Identity(g.Persons["anna"])
		if err != nil || len(names) != 3 || names[2].Value != "anna@voorbeeld.nl" {
			t.Errorf("Anna is called %v, %v", names, err)
		}
		phone := schemas.NewStream("device", g.Devices["phone"])
		if e, err := tx.Element(phone, "apps", "com.example"); err != nil || e != g.Element {
			t.Errorf("an element: %v, %v", e, err)
		}
		if s, _, err := tx.RefusalStream(phone, "personal-apps"); err != nil || s != g.Refusal {
			t.Errorf("refusals: %v, %v", s, err)
		}
		if s, _, err := tx.MappedStream("alert", []byte("canonical")); err != nil || s != g.Mapped {
			t.Errorf("a mapping: %v, %v", s, err)
		}
		if s := tx.FactStream("adminaction", "intune/auditEvent",
			"5a14a52f-0f3b-4d12-9fac-2d2b1c1a8e33"); s != g.Fact {
			t.Errorf("a fact: %v", s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []uuid.UUID{uuid.Nil, g.Tenant} {
		if _, known, err := v.OriginKey(ctx, tenant); err != nil || !known {
			t.Errorf("the origin key of tenant %s: %v, %v", tenant, known, err)
		}
	}
	p, err := v.PendingErasures(ctx)
	if err != nil || len(p) != 1 || p[0].Completion != g.Pending || p[0].Person != g.Persons["carol"] ||
		fmt.Sprint(p[0].Keys) != fmt.Sprint(g.PendingKeys) {
		t.Errorf("pending: %+v, %v", p, err)
	}
}

func same(s *Store) store.Store { return s }

// TestVersion1 opens a file of the first version: all it held is there, and can be sealed for and
// erased; what it was wrapped in is in no file any more.
func TestVersion1(t *testing.T) {
	ctx := context.Background()
	dir, g := copyGolden(t)
	old := wrappedOf(t, filepath.Join(dir, "vault.db"))
	if n := len(onDisk(t, dir, old)); n != len(old) || n < 20 {
		t.Fatalf("before the migration %d of %d are found", n, len(old))
	}
	for range 2 { // the second time there is nothing to migrate
		v, err := openGolden(dir, same)
		if err != nil {
			t.Fatal(err)
		}
		g.holdsAll(t, v)
		if found := onDisk(t, dir, old); len(found) > 0 {
			t.Errorf("after the migration: %v", found)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	v, err := openGolden(dir, same)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	anna := schemas.Owner{Kind: schemas.OwnerPerson, ID: g.Persons["anna"]}
	completion := uuid.New()
	var keys []uuid.UUID
	err = v.Update(ctx, g.Tenant, func(tx *vault.Tx) error {
		d := draft(g.Tenant, anna.ID, goldenNow)
		if err := tx.Seal(d); err != nil {
			return err
		}
		if _, _, err := tx.Person(vault.PersonHint{ObjectID: "11111111-2222-4333-8444-000000000004",
			At: goldenNow.AddDate(0, -1, 0)}); !errors.Is(err, vault.ErrErasedSubject) {
			t.Errorf("an old record of the erased Dave: %v", err)
		}
		keys, err = tx.BeginErasure(anna.ID, completion)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = v.Update(ctx, g.Tenant, func(tx *vault.Tx) error {
		return errors.Join(tx.Destroy(completion, keys), tx.Destroy(g.Pending, g.PendingKeys),
			tx.CompleteErasure(completion), tx.CompleteErasure(g.Pending))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = v.View(ctx, g.Tenant, func(tx *vault.Tx) error {
		for _, x := range g.Values {
			got, err := tx.Open([]vault.Sealed{{Token: x.Token, Attr: x.Attr, Event: x.Event}})
			if err != nil {
				return err
			}
			h, _, _ := x.Token.Parse()
			// Bob's keys of the phone went with the phone that is Anna's now.
			living := (x.Of == "bob" || x.Of == "mac" || x.Of == "laptop" || x.Of == "tenant") && h.Month != "202601"
			if living != (got[0].Err == nil) {
				t.Errorf("%s of %s (%s) after erasing Anna and Carol: %s, %v",
					x.Attr, x.Of, h.Month, got[0].Plain, got[0].Err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// failsAt is a store that fails from its nth write transaction on, or at compacting.
type failsAt struct {
	*Store
	left    *int
	compact bool
}

var errCut = errors.New("cut")

func (s failsAt) Update(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error {
	if *s.left--; *s.left < 0 {
		return errCut
	}
	return s.Store.Update(ctx, tenant, do)
}

func (s failsAt) Compact(ctx context.Context) error {
	if s.compact {
		return errCut
	}
	return s.Store.Compact(ctx)
}

// TestMigrationCutShort cuts a migration at each of its steps, then at each write transaction of
// the rewrapping, and before compacting. The next opening finds everything and goes on to the end.
func TestMigrationCutShort(t *testing.T) {
	check := func(t *testing.T, dir string, g golden, old map[string][]byte) {
		t.Helper()
		v, err := openGolden(dir, same)
		if err != nil {
			t.Fatal(err)
		}
		g.holdsAll(t, v)
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		if found := onDisk(t, dir, old); len(found) > 0 {
			t.Errorf("after the migration: %v", found)
		}
	}
	points := []string{"in the transaction", "committed"}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			dir, g := copyGolden(t)
			old := wrappedOf(t, filepath.Join(dir, "vault.db"))
			hit := 0
			migrationHook = func(p string) error {
				if p == point {
					hit++
					return errCut
				}
				return nil
			}
			defer func() { migrationHook = func(string) error { return nil } }()
			if _, err := openGolden(dir, same); !errors.Is(err, errCut) || hit != 1 {
				t.Fatalf("not cut: %v, %d", err, hit)
			}
			migrationHook = func(string) error { return nil }
			check(t, dir, g, old)
		})
	}
	ended := false
	for n := 0; !ended; n++ {
		if n > 50 {
			t.Fatal("the rewrapping does not end")
		}
		t.Run(fmt.Sprintf("after %d transactions", n), func(t *testing.T) {
			dir, g := copyGolden(t)
			old := wrappedOf(t, filepath.Join(dir, "vault.db"))
			left := n
			v, err := openGolden(dir, func(s *Store) store.Store { return failsAt{Store: s, left: &left} })
			if err == nil {
				ended = true
				if err := v.Close(); err != nil {
					t.Fatal(err)
				}
			} else if !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			check(t, dir, g, old)
		})
	}
	t.Run("before compacting", func(t *testing.T) {
		dir, g := copyGolden(t)
		old := wrappedOf(t, filepath.Join(dir, "vault.db"))
		left := 1000
		if _, err := openGolden(dir, func(s *Store) store.Store {
			return failsAt{s, &left, true}
		}); !errors.Is(err, errCut) {
			t.Fatalf("not cut: %v", err)
		}
		check(t, dir, g, old)
	})
}

// TestMigrationOfManyProcesses opens one file of version 1 from several handles at once.
func TestMigrationOfManyProcesses(t *testing.T) {
	dir, g := copyGolden(t)
	errs := make(chan error, 4)
	for range 4 {
		go func() {
			v, err := openGolden(dir, same)
			if err == nil {
				err = v.Close()
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	v, err := openGolden(dir, same)
	if err != nil {
		t.Fatal(err)
	}
	g.holdsAll(t, v)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestVersionsRefused: a file of a newer version, and one of version 1 beside which slots lie, are
// refused by name and left as they are.
func TestVersionsRefused(t *testing.T) {
	ctx := context.Background()
	dir, _ := copyGolden(t)
	path := filepath.Join(dir, "vault.db")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(SlotsPath(path), []byte("of another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path); !errors.Is(err, ErrSlotsForeign) {
		t.Errorf("a file of version 1 with slots beside it: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed, %v", err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err == nil {
		_, err = db.Exec(fmt.Sprintf("PRAGMA user_version = %d", version+1))
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path); !errors.Is(err, ErrNewer) {
		t.Errorf("a file of a newer version: %v", err)
	}
}
