package sqlite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/schemas"
)

// These tests run this binary again as other processes on one vault file.

const childEnv = "VAULT_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childEnv); mode != "" {
		if err := child(mode, os.Getenv("VAULT_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, mode, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// line is what a child tells its parent.
type line struct {
	Point  string
	Tokens []vault.Sealed
	People map[string]uuid.UUID
}

func tell(l line) error { return json.NewEncoder(os.Stdout).Encode(l) }

// stop tells that the child is at a crash point, and stays there until it is killed.
func stop(point string) error {
	if err := tell(line{Point: point}); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return errors.Join(errors.New("was not killed"), err)
}

// stopsAtScrub is a store whose process dies after a destruction was committed
// and before it is scrubbed.
type stopsAtScrub struct{ *Store }

func (s stopsAtScrub) Scrub(context.Context) error { return stop("committed") }

func openIn(dir string, wrap func(*Store) store.Store) (*vault.Vault, vault.Tenant, error) {
	ctx := context.Background()
	db, err := Open(ctx, filepath.Join(dir, "vault"))
	if err != nil {
		return nil, vault.Tenant{}, err
	}
	kek, err := vault.OpenFileKEK(filepath.Join(dir, "kek"))
	if err != nil {
		return nil, vault.Tenant{}, err
	}
	v, err := vault.Open(ctx, vault.Config{Store: wrap(db), KEK: kek})
	if err != nil {
		return nil, vault.Tenant{}, err
	}
	tenant, err := v.Tenant(ctx, "Voorbeeld")
	return v, tenant, err
}

func plainStore(s *Store) store.Store { return s }

func child(mode, dir string) error {
	wrap := plainStore
	if mode == "destroyed" {
		wrap = func(s *Store) store.Store { return stopsAtScrub{s} }
	}
	v, tenant, err := openIn(dir, wrap)
	if err != nil {
		return err
	}
	ctx := context.Background()
	update := func(do func(*vault.Tx) error) error { return v.Update(ctx, tenant.ID, do) }
	begin := func(tx *vault.Tx) error {
		m, err := tx.FindPersons("anna@voorbeeld.nl")
		if err != nil || len(m) != 1 {
			return fmt.Errorf("found %d: %w", len(m), err)
		}
		_, err = tx.BeginErasure(m[0].ID, uuid.MustParse(completionID))
		return err
	}
	switch mode {
	case "beginning":
		return update(func(tx *vault.Tx) error { return errors.Join(begin(tx), stop("in the transaction")) })
	case "begun":
		return errors.Join(update(begin), stop("begun"))
	case "destroyed":
		p, err := v.PendingErasures(ctx)
		if err != nil {
			return err
		}
		return update(func(tx *vault.Tx) error { return tx.Destroy(p[0].Completion, p[0].Keys) })
	}
	// A worker: all workers meet the same persons, in another order each, and seal for them. An
	// optimist plans without the lock, and anew where the other was first.
	out := line{Point: mode, People: map[string]uuid.UUID{}}
	if strings.HasPrefix(mode, "optimist") {
		update = func(do func(*vault.Tx) error) error {
			for {
				sealed := len(out.Tokens)
				if err := v.UpdateOptimistic(ctx, tenant.ID, do); !errors.Is(err, vault.ErrConflict) {
					return err
				}
				out.Tokens = out.Tokens[:sealed]
			}
		}
	}
	for round := range 25 {
		people := map[string]uuid.UUID{}
		err := update(func(tx *vault.Tx) error {
			clear(people)
			for i := range 8 {
				n := (round*8 + i*len(mode)) % 40
				object := fmt.Sprintf("11111111-2222-4333-8444-%012d", n+1)
				at := time.Now()
				id, _, err := tx.Person(vault.PersonHint{ObjectID: object, At: at})
				if err != nil {
					return err
				}
				people[object] = id
				d := draft(tenant.ID, id, at)
				if err := tx.Seal(d); err != nil {
					return err
				}
				out.Tokens = append(out.Tokens, vault.Sealed{Token: d.Values[0].Token,
					Attr: d.Values[0].Attr.ID, Event: d.ID})
			}
			return nil
		})
		if err != nil {
			return err
		}
		for object, id := range people {
			if have, ok := out.People[object]; ok && have != id {
				return fmt.Errorf("%s became another person", object)
			}
			out.People[object] = id
		}
	}
	return errors.Join(tell(out), v.Close())
}

const completionID = "3c2b1a09-8f7e-4d6c-9b5a-493827160504"

func draft(tenant, person uuid.UUID, at time.Time) *schemas.Draft {
	c := schemas.Default()
	return &schemas.Draft{Type: c.MustType("device.enrolled.v1"), Tenant: tenant,
		Stream: schemas.NewStream("device", uuid.New()), ID: schemas.NewID(),
		Occurred: at, Recorded: at, Source: "graph", Policy: 1,
		Values: []schemas.Value{{Attr: c.MustAttribute("device.user-name"),
			Plain: schemas.JSON("Anna de Vries"), Owner: schemas.Owner{Kind: schemas.OwnerPerson, ID: person}}}}
}

// start runs a child; said returns what it tells first.
func start(t *testing.T, mode, dir string) (c *exec.Cmd, said func() line) {
	t.Helper()
	c = exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childEnv+"="+mode, "VAULT_TEST_DIR="+dir)
	c.Stderr = os.Stderr
	if _, err := c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(pipe)
	return c, func() (l line) {
		t.Helper()
		text, err := r.ReadString('\n')
		if err == nil {
			err = json.NewDecoder(strings.NewReader(text)).Decode(&l)
		}
		if err != nil {
			t.Fatalf("child %s: %v", mode, err)
		}
		return l
	}
}

func kill(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended by %v", err)
	}
}

// newVault creates the files of a vault with one tenant.
func newVault(t *testing.T) string {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	kek, err := vault.CreateFileKEK(filepath.Join(dir, "kek"), filepath.Join(dir, "vault"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Create(ctx, filepath.Join(dir, "vault"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Create(ctx, vault.Config{Store: s, KEK: kek})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.AddTenant(ctx, vault.NewTenant{Name: "Voorbeeld", AnySource: true})
	if err := errors.Join(err, v.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestKilledErasure kills the process in the transaction that begins an erasure, after it, and
// between the commit of the destruction and its scrubbing. Each time the next process finds it
// not begun, or carries it on.
func TestKilledErasure(t *testing.T) {
	ctx := context.Background()
	dir := newVault(t)
	var asked []vault.Sealed
	var wrapped []byte
	in := func(do func(*vault.Vault, *Store, vault.Tenant)) {
		t.Helper()
		var db *Store
		v, tenant, err := openIn(dir, func(s *Store) store.Store { db = s; return s })
		if err != nil {
			t.Fatal(err)
		}
		do(v, db, tenant)
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(v *vault.Vault, tenant vault.Tenant, pending int, want error) {
		t.Helper()
		if p, err := v.PendingErasures(ctx); err != nil || len(p) != pending {
			t.Errorf("%d pending, %v; want %d", len(p), err, pending)
		}
		err := v.View(ctx, tenant.ID, func(tx *vault.Tx) error {
			got, err := tx.Open(asked)
			if err == nil && !errors.Is(got[0].Err, want) {
				t.Errorf("opens with %v, want %v", got[0].Err, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	in(func(v *vault.Vault, s *Store, tenant vault.Tenant) {
		var keys []uuid.UUID
		err := v.Update(ctx, tenant.ID, func(tx *vault.Tx) error {
			id, _, err := tx.Person(vault.PersonHint{UPN: "anna@voorbeeld.nl", At: time.Now()})
			if err != nil {
				return err
			}
			d := draft(tenant.ID, id, time.Now())
			if err := tx.Seal(d); err != nil {
				return err
			}
			asked = []vault.Sealed{{Token: d.Values[0].Token, Attr: d.Values[0].Attr.ID, Event: d.ID}}
			keys, err = tx.SubjectKeys(id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(ctx, tenant.ID, func(r store.Rows) error {
			k, ok, err := storetest.One{Rows: r}.SubjectKeyByID(keys[0])
			if !ok {
				t.Error("the key has no row")
			}
			wrapped = k.Key.Bytes
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})

	c, said := start(t, "beginning", dir)
	said()
	kill(t, c)
	in(func(v *vault.Vault, _ *Store, tenant vault.Tenant) { expect(v, tenant, 0, nil) })

	c, said = start(t, "begun", dir)
	said()
	kill(t, c)
	in(func(v *vault.Vault, _ *Store, tenant vault.Tenant) { expect(v, tenant, 1, vault.ErrErased) })

	c, said = start(t, "destroyed", dir)
	said()
	kill(t, c)
	needle := map[string][]byte{"wrapped key": wrapped}
	if len(onDisk(t, dir, needle)) == 0 {
		t.Error("the key is gone before it was scrubbed: the test shows nothing")
	}
	in(func(v *vault.Vault, _ *Store, tenant vault.Tenant) {
		expect(v, tenant, 1, vault.ErrErased)
		p, err := v.PendingErasures(ctx)
		if err != nil || !p[0].Destroyed || p[0].Completion.String() != completionID {
			t.Fatalf("pending: %+v, %v", p, err)
		}
		err = v.Update(ctx, tenant.ID, func(tx *vault.Tx) error {
			return errors.Join(tx.Destroy(p[0].Completion, p[0].Keys), tx.CompleteErasure(p[0].Completion))
		})
		if err != nil {
			t.Fatal(err)
		}
		if left := onDisk(t, dir, needle); len(left) > 0 {
			t.Errorf("after the next process carried on: %v", left)
		}
		expect(v, tenant, 0, vault.ErrErased)
	})
}

// TestProcesses: two processes intake at once on one file. Each person is minted once, and
// what either sealed opens.
func TestProcesses(t *testing.T) {
	for _, modes := range [][]string{{"w", "worker"}, {"optimist", "optimists"}, {"optimist", "w"}} {
		t.Run(strings.Join(modes, " and "), func(t *testing.T) { twoProcesses(t, modes) })
	}
}

func twoProcesses(t *testing.T, modes []string) {
	ctx := context.Background()
	dir := newVault(t)
	var cs []*exec.Cmd
	var saids []func() line
	for _, mode := range modes {
		c, said := start(t, mode, dir)
		cs, saids = append(cs, c), append(saids, said)
	}
	people := map[string]uuid.UUID{}
	var asked []vault.Sealed
	for i, said := range saids {
		l := said()
		if err := cs[i].Wait(); err != nil {
			t.Fatal(err)
		}
		for object, id := range l.People {
			if have, ok := people[object]; ok && have != id {
				t.Errorf("%s is two persons", object)
			}
			people[object] = id
		}
		asked = append(asked, l.Tokens...)
	}
	v, tenant, err := openIn(dir, plainStore)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = v.View(ctx, tenant.ID, func(tx *vault.Tx) error {
		got, err := tx.Open(asked)
		for i, o := range got {
			if o.Err != nil || string(o.Plain) != `"Anna de Vries"` {
				t.Errorf("token %d opens to %s, %v", i, o.Plain, o.Err)
			}
		}
		for object, id := range people {
			m, err := tx.FindPersons(object)
			if err != nil || len(m) != 1 || m[0].ID != id {
				t.Errorf("%s finds %v, %v; want %v", object, m, err, id)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 400 || len(people) != 40 {
		t.Errorf("%d tokens of %d persons, want 400 of 40", len(asked), len(people))
	}
}
