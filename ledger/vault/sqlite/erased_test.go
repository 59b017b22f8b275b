package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
	"github.com/ledgerline/ledgerline/schemas"
)

var seed = flag.Uint64("seed", 20261128, "of the test that looks for what is left of the erased")

// haystack finds many needles in files in one pass: each is known by its first eight bytes.
type haystack struct {
	byHead map[uint64][]string
	bytes  map[string][]byte
	secret map[string]bool // stand in no file at any time
	maybe  []uint64        // a bit for each two bytes that a needle begins with
}

func newHaystack() *haystack {
	return &haystack{byHead: map[uint64][]string{}, secret: map[string]bool{}, bytes: map[string][]byte{},
		maybe: make([]uint64, 1<<10)}
}

func (h *haystack) add(t *testing.T, name string, needle []byte) {
	t.Helper()
	if len(needle) < 16 {
		t.Fatalf("%s is too short to be looked for", name)
	}
	if h.bytes[name] != nil {
		return
	}
	h.bytes[name] = bytes.Clone(needle)
	head := binary.BigEndian.Uint64(needle)
	h.byHead[head] = append(h.byHead[head], name)
	two := head >> 48
	h.maybe[two>>6] |= 1 << (two & 63)
}

func (h *haystack) never(t *testing.T, name string, needle []byte) {
	t.Helper()
	h.add(t, name, needle)
	h.secret[name] = true
}

// found tells which needles stand in any file of the folder, and in which.
func (h *haystack) found(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+8 <= len(raw); i++ {
			two := uint(raw[i])<<8 | uint(raw[i+1])
			if h.maybe[two>>6]&(1<<(two&63)) == 0 {
				continue
			}
			for _, name := range h.byHead[binary.BigEndian.Uint64(raw[i:])] {
				if bytes.HasPrefix(raw[i:], h.bytes[name]) {
					out[name] = fmt.Sprintf("%s at %d", f.Name(), i)
				}
			}
		}
	}
	return out
}

// crowd is a vault with many persons in it, whose rows have many sizes.
type crowd struct {
	*testing.T
	e     *vaulttest.Env
	store *Store
	dir   string
	r     *rand.Rand
	n     int
	all   []member
}

type member struct {
	id     uuid.UUID
	device vault.Device
	alias  uuid.UUID
}

// newCrowd draws everything that shapes the pages from the seed, uuids included, so that a failure
// can be seen again.
func newCrowd(t *testing.T, seed uint64) *crowd {
	t.Helper()
	t.Logf("seed %d", seed)
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	uuid.SetRand(rand.NewChaCha8(s))
	t.Cleanup(func() { uuid.SetRand(nil) })
	c := &crowd{T: t, dir: t.TempDir(), r: rand.New(rand.NewPCG(seed, 1))}
	var err error
	if c.store, err = Create(context.Background(), filepath.Join(c.dir, "vault.db")); err != nil {
		t.Fatal(err)
	}
	c.e = vaulttest.NewEnv(t, func(testing.TB) (store.Store, func(testing.TB) store.Store) { return c.store, nil })
	return c
}

// name makes an address of varied length; some are longer than a page keeps in one place.
func (c *crowd) name(what string) string {
	n := c.r.IntN(60)
	switch c.r.IntN(20) {
	case 0:
		n = 300 + c.r.IntN(600)
	case 1:
		n = 1000 + c.r.IntN(6000)
	}
	return fmt.Sprintf("%s.%d.%s@voorbeeld.nl", what, c.n, strings.Repeat("x", n))
}

func (c *crowd) add(n int) {
	c.Helper()
	now := c.e.Clock.Now()
	c.e.Update(func(tx *vault.Tx) {
		for range n {
			c.n++
			var p member
			var err error
			hint := vault.PersonHint{ObjectID: uuid.NewString(), UPN: c.name("upn"), At: now}
			for range c.r.IntN(3) {
				p.id = c.e.Person(tx, hint)
				hint.Email = c.name("mail")
			}
			p.id = c.e.Person(tx, hint)
			if p.device, _, err = tx.Device(vault.DeviceHint{IntuneID: uuid.NewString(), DirectoryID: uuid.NewString(),
				At: now}); err != nil {
				c.Fatal(err)
			}
			if p.device, err = tx.SetHolder(p.device.ID, "personal", p.id, now); err != nil {
				c.Fatal(err)
			}
			if _, err := tx.Element(p.device.Stream, "apps", "x"); err != nil {
				c.Fatal(err)
			}
			for range c.r.IntN(3) {
				if _, _, err := tx.RefusalStream(p.device.Stream, fmt.Sprint("rule", c.r.IntN(9))); err != nil {
					c.Fatal(err)
				}
			}
			for month := range 1 + c.r.IntN(4) {
				d := c.e.Enrolled(c.e.Tenant.ID, p.device.Stream, p.id, p.device.ID, now.AddDate(0, -month, 0))
				if err := tx.Seal(d); err != nil {
					c.Fatal(err)
				}
				p.alias = d.Subjects[0].Alias
			}
			c.all = append(c.all, p)
		}
	})
}

// look notes everything by which the vault could open or find something of the person.
func (c *crowd) look(h *haystack, i int) {
	c.Helper()
	p := c.all[i]
	var keys []uuid.UUID
	var err error
	c.e.View(func(tx *vault.Tx) {
		if keys, err = tx.SubjectKeys(p.id); err != nil {
			c.Fatal(err)
		}
	})
	add := func(what string, needle []byte) { h.add(c.T, fmt.Sprintf("%s of person %d", what, i), needle) }
	link := func(what string, parts ...[]byte) { add(what, bytes.Join(parts, nil)) }
	err = c.store.View(context.Background(), c.e.Tenant.ID, func(r store.Rows) error {
		for _, k := range keys {
			row, _, err := storetest.One{Rows: r}.SubjectKeyByID(k)
			if err != nil {
				return err
			}
			add("wrapped key "+row.ID.String(), row.Key.Bytes)
			link("key to owner "+row.ID.String(), k[:], []byte(row.Owner.Kind), row.Owner.ID[:])
			aliases, err := storetest.One{Rows: r}.Aliases(k)
			if err != nil {
				return err
			}
			for _, a := range aliases {
				link("alias to key "+a.ID.String(), a.ID[:], a.SubjectKey[:])
				link("key to alias "+a.ID.String(), a.SubjectKey[:], a.ID[:])
			}
		}
		for _, o := range []schemas.Owner{{Kind: schemas.OwnerPerson, ID: p.id},
			{Kind: schemas.OwnerDevice, ID: p.device.ID}} {
			ids, err := storetest.One{Rows: r}.IdentitiesOf(o)
			if err != nil {
				return err
			}
			for _, id := range ids {
				add("value "+id.ID.String(), id.Value.Bytes[:min(len(id.Value.Bytes), 24)])
				link("identity to owner "+id.ID.String(), id.ID[:], []byte(o.Kind), o.ID[:])
			}
			owner, _, err := storetest.One{Rows: r}.Owner(o)
			if err != nil {
				return err
			}
			w, err := r.Slot(owner.Slot)
			if err != nil {
				return err
			}
			add("wrapped owner key of "+string(o.Kind), w.Bytes)
			ad := append([]byte("ledgerline/v1/wrap"), c.e.Tenant.ID[:]...)
			ad = schemas.LP(append(ad, o.ID[:]...), fmt.Sprintf("owner.%s.%d", o.Kind, owner.Slot))
			plain, err := c.e.KEK.Unwrap(context.Background(), w.Epoch, w.Bytes,
				binary.BigEndian.AppendUint32(ad, w.Epoch))
			if err != nil {
				return err
			}
			h.never(c.T, fmt.Sprintf("owner key of %s of person %d", o.Kind, i), plain)
		}
		w, _, err := storetest.One{Rows: r}.StreamKey(p.device.ID)
		add("stream key", w.Key.Bytes)
		m, err2 := storetest.One{Rows: r}.MappingsOf(p.device.ID)
		for _, m := range m {
			link("mapping "+string(m.Stream), m.Hash, []byte(m.Stream))
		}
		link("holding", []byte("personal"), p.id[:])
		link("holder", p.id[:], p.device.ID[:])
		return errors.Join(err, err2)
	})
	if err != nil {
		c.Fatal(err)
	}
}

// erase erases persons, and scrubs once.
func (c *crowd) erase(persons ...int) {
	c.Helper()
	keys := map[uuid.UUID][]uuid.UUID{}
	c.e.Update(func(tx *vault.Tx) {
		for _, i := range persons {
			completion := uuid.New()
			var err error
			if keys[completion], err = tx.BeginErasure(c.all[i].id, completion); err != nil {
				c.Fatal(err)
			}
			c.all[i].id = uuid.Nil
		}
	})
	c.e.Update(func(tx *vault.Tx) {
		for completion, keys := range keys {
			if err := errors.Join(tx.Destroy(completion, keys), tx.CompleteErasure(completion)); err != nil {
				c.Fatal(err)
			}
		}
	})
}

// churn makes pages split and merge: rows of other owners come and go, in runs next to each other
// and scattered.
func (c *crowd) churn() {
	c.Helper()
	ctx := context.Background()
	var owners []schemas.Owner
	for range 20 {
		owners = append(owners, schemas.Owner{Kind: schemas.OwnerPerson, ID: uuid.New()})
	}
	hash := make([]byte, 32)
	binary.BigEndian.PutUint64(hash, c.r.Uint64())
	err := c.store.Update(ctx, c.e.Tenant.ID, func(r store.Rows) error {
		for _, o := range owners {
			if err := (storetest.One{Rows: r}).PutOwner(store.OwnerRow{Owner: o, State: store.OwnerLive}); err != nil {
				return err
			}
			for range c.r.IntN(8) {
				if c.r.IntN(3) > 0 { // in a run behind the last one
					binary.BigEndian.PutUint64(hash, binary.BigEndian.Uint64(hash)+1)
				} else {
					binary.BigEndian.PutUint64(hash, c.r.Uint64())
				}
				size := 60 + c.r.IntN(100)
				if c.r.IntN(8) == 0 {
					size = 500 + c.r.IntN(3000)
				}
				kind := []string{"person.upn", "person.object-id", "device.intune-id"}[c.r.IntN(3)]
				row := store.IdentityRow{ID: uuid.New(), Owner: o, Kind: kind, Hash: hash,
					Value: store.Wrapped{Epoch: 1, Bytes: make([]byte, size)}}
				if err := (storetest.One{Rows: r}).PutIdentity(row); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		err = c.store.Update(ctx, c.e.Tenant.ID, func(r store.Rows) error {
			for _, o := range owners {
				if c.r.IntN(4) > 0 {
					if err := r.DeleteIdentities(o); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err != nil {
		c.Fatal(err)
	}
}

// TestNothingOfTheErasedIsInAnyFile erases hundreds of persons among thousands, in page trees that
// split and merge around them, and looks for what was theirs in every file.
func TestNothingOfTheErasedIsInAnyFile(t *testing.T) {
	c := newCrowd(t, *seed)
	for range 8 {
		c.add(250)
	}
	failed, erased, needles := map[string]bool{}, 0, 0
	for round := range 18 {
		h := newHaystack()
		var gone []int
		for len(gone) < 12 {
			i := c.r.IntN(len(c.all))
			if c.all[i].id != uuid.Nil && !slices.Contains(gone, i) {
				gone = append(gone, i)
				c.look(h, i)
			}
		}
		if round%10 == 0 {
			if n := len(h.found(t, c.dir)); n != len(h.bytes)-len(h.secret) {
				t.Fatalf("before the erasures %d of %d needles are found", n, len(h.bytes))
			}
		}
		// Two by themselves, the rest together.
		c.erase(gone[0])
		c.erase(gone[1])
		c.erase(gone[2:]...)
		erased += len(gone)
		needles += len(h.bytes)
		for name, where := range h.found(t, c.dir) {
			if len(failed) < 20 {
				t.Errorf("round %d: %s: in %s", round, name, where)
			}
			_, person, _ := strings.Cut(name, " of person ")
			failed[person] = true
		}
		c.churn()
		c.add(5 + c.r.IntN(10))
	}
	var whole string
	if err := c.store.db.QueryRow("PRAGMA integrity_check").Scan(&whole); err != nil || whole != "ok" {
		t.Errorf("after clearing pages the file is %s, %v", whole, err)
	}
	t.Logf("%d needles of %d erasures were looked for; of %d persons something was left", needles, erased, len(failed))
}
