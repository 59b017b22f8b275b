//go:build siege

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/fleet"
)

// moments is one small ledger at several moments of its life, each a data directory at rest, and
// another ledger. One person was erased in it, and more was imported before and after that.
type moments struct {
	persons string // before half of its persons came
	order   string // before the erasure
	erased  string // after it
	whole   string // the present
	other   string // another ledger's

	upn     string // who was erased
	wal     string // the log of the vault's database in use, as a loss of power leaves it
	tail    string // the present's events, as `tail` tells them
	events  int
	imports []string // the folders that were imported, in that order; the second brings new persons
}

// seed writes one day of a fleet of that many devices; another number makes other people.
func seed(t *testing.T, number uint64, devices int) string {
	t.Helper()
	cfg := fleet.Sized(devices)
	cfg.Days, cfg.Seed = 1, number
	dir := filepath.Join(t.TempDir(), "fleet")
	if _, err := fleet.Write(t.Context(), cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newSiegeNode(t testing.TB) *node { return newNode(t, "LEDGERLINE_LOG_LEVEL=error") }

// keep copies a data directory at rest.
func keep(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func (n *node) serve() {
	n.t.Helper()
	if err := n.start(); err != nil {
		n.dumpLog()
		n.t.Fatal(err)
	}
}

// settle waits until the views hold everything.
func (n *node) settle() { n.must("", "report", "device-inventory", "--masked") }

func besiege(t *testing.T) *moments {
	t.Helper()
	dir := t.TempDir()
	b := &moments{imports: []string{seed(t, 99, 12), seed(t, 7, 12), seed(t, 5, 2)}}
	n := newSiegeNode(t)
	data := filepath.Join(n.dir, "data")
	moment := func(name string) string {
		n.settle()
		n.stop()
		to := filepath.Join(dir, name)
		keep(t, data, to)
		return to
	}
	n.serve()
	n.must("", "tenant", "add", "Contoso", "--source-tenant", "any")
	n.importJSON("Contoso", b.imports[0])
	b.upn = somebody(n.must("", "report", "device-inventory", "--purpose", "review", "--output", "json"))
	if b.upn == "" {
		t.Fatal("the inventory names nobody")
	}
	b.persons = moment("persons")

	n.serve()
	n.importJSON("Contoso", b.imports[1])
	var opened struct{ Request string }
	said := n.must(b.upn+"\n", "dsar", "open", "--subject", "-", "--right", "erasure", "--output", "json")
	if err := json.Unmarshal([]byte(said), &opened); err != nil {
		t.Fatal(err)
	}
	b.order = moment("order")

	n.serve()
	// An erasure waits until nobody can hold a derived key any more.
	// Meanwhile another ledger is made.
	erase := n.command(t.Context(), nil, "dsar", "erase", opened.Request, "--ground", "no-longer-necessary", "--yes")
	if err := erase.Start(); err != nil {
		t.Fatal(err)
	}
	other := newSiegeNode(t)
	other.serve()
	other.must("", "tenant", "add", "Fabrikam", "--source-tenant", "any")
	other.importJSON("Fabrikam", b.imports[2])
	other.settle()
	other.stop()
	b.other = filepath.Join(other.dir, "data")
	if err := erase.Wait(); err != nil {
		t.Fatalf("dsar erase: %v", err)
	}
	b.erased = moment("erased")

	n.serve()
	n.importJSON("Contoso", b.imports[2])
	n.settle()
	b.tail = n.must("", "tail", "--from-start", "--until-end", "--output", "json")
	b.events = strings.Count(b.tail, "\n")
	b.wal = filepath.Join(dir, "vault.db-wal")
	keep(t, filepath.Join(data, "vault.db-wal"), b.wal)
	b.whole = moment("whole")
	return b
}

var siegeUPN = regexp.MustCompile(`[a-z0-9.-]+@[a-z0-9.-]+[a-z]`)

func somebody(inventory string) string {
	for _, u := range siegeUPN.FindAllString(inventory, -1) {
		if u != "operator@test.example" {
			return u
		}
	}
	return ""
}

// harmed is a copy of the present, to which something happens.
type harmed struct {
	*testing.T
	*moments
	*node
}

func (h harmed) path(name string) string { return filepath.Join(h.dir, "data", name) }

func (h harmed) lose(names ...string) {
	h.Helper()
	for _, name := range names {
		if err := os.RemoveAll(h.path(name)); err != nil {
			h.Fatal(err)
		}
	}
}

// put replaces files and folders by those of another moment, or ledger.
func (h harmed) put(from string, names ...string) {
	h.Helper()
	for _, name := range names {
		h.lose(name)
		keep(h, filepath.Join(from, name), h.path(name))
	}
}

// flip changes one bit. at names the byte, of the file's size.
func (h harmed) flip(path string, at func(size int) int) {
	h.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		h.Fatal(err)
	}
	i := at(len(raw))
	raw[i] ^= 1 << 3
	h.Logf("one bit of byte %d of %s was flipped", i, filepath.Base(path))
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		h.Fatal(err)
	}
}

func middle(size int) int { return size / 2 }

func at(i int) func(int) int { return func(int) int { return i } }

// largest is the largest file of that pattern.
func (h harmed) largest(pattern string) (path string) {
	h.Helper()
	names, err := filepath.Glob(h.path(pattern))
	if err != nil {
		h.Fatal(err)
	}
	var size int64 = -1
	for _, name := range names {
		st, err := os.Stat(name)
		if err != nil {
			h.Fatal(err)
		}
		if st.Size() > size {
			path, size = name, st.Size()
		}
	}
	if path == "" {
		h.Fatalf("no file is %s", pattern)
	}
	return path
}

// listed are the stores and keys that are there.
func (h harmed) listed() (out []string) {
	h.Helper()
	for _, pattern := range []string{"*", ".[a-z]*", "keys/*"} {
		names, err := filepath.Glob(h.path(pattern))
		if err != nil {
			h.Fatal(err)
		}
		for _, name := range names {
			rel, err := filepath.Rel(h.path(""), name)
			if err != nil {
				h.Fatal(err)
			}
			// The mark of a stop in order goes with every start.
			if rel != "clean" {
				out = append(out, rel)
			}
		}
	}
	slices.Sort(out)
	return out
}

// refused starts `up`, which must end with exit code 1 and leave what is there as it is,
// and returns what it said.
func (h harmed) refused() string {
	h.Helper()
	before := h.listed()
	log := filepath.Join(h.dir, "up.log")
	if err := os.Truncate(log, 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		h.Fatal(err)
	}
	begun := time.Now()
	err := h.start()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		h.Fatalf("up: %v, want it refused with exit code 1", err)
	}
	if d := time.Since(begun); d > 30*time.Second {
		h.Errorf("it took %s to refuse", d)
	}
	h.node.log.Close()
	if after := h.listed(); !slices.Equal(before, after) {
		h.Errorf("before a refused start there were %v, after it %v", before, after)
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		h.Fatal(err)
	}
	return string(raw)
}

var quoted = regexp.MustCompile("`([^`]+)`")

// follow runs the printed command that contains that text, and returns what it said.
func (h harmed) follow(said, command string, code int) string {
	h.Helper()
	for _, m := range quoted.FindAllStringSubmatch(said, -1) {
		if !strings.Contains(m[1], command) {
			continue
		}
		words := strings.Fields(strings.ReplaceAll(m[1], "FOLDER", h.whole))
		if words[0] == "mv" {
			if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
				h.Fatalf("%s: %v: %s", m[1], err, out)
			}
			return said
		}
		if filepath.Base(words[0]) != "ledgerline" && words[0] != h.command(h.Context(), nil).Path {
			h.Fatalf("%q is no command of this program", m[1])
		}
		r := h.run("", words[1:]...)
		if r.code != code {
			h.Fatalf("%s: exit %d, want %d\n%s%s", m[1], r.code, code, r.stdout, r.stderr)
		}
		return r.stdout + r.stderr
	}
	h.Fatalf("no command with %q is printed:\n%s", command, said)
	return ""
}

func (h harmed) says(said string, texts ...string) {
	h.Helper()
	for _, s := range texts {
		if !strings.Contains(said, s) {
			h.Errorf("it does not say %q:\n%s", s, said)
		}
	}
}

// isServed starts `up`, which must serve the same events.
func (h harmed) isServed() {
	h.Helper()
	h.serve()
	h.hasSameEvents()
	h.stop()
}

func (h harmed) hasSameEvents() {
	h.Helper()
	if got := h.must("", "tail", "--from-start", "--until-end", "--output", "json"); got != h.tail {
		h.Errorf("the ledger has other events than before: %d bytes of them, it had %d", len(got), len(h.tail))
	}
}

// isWhole starts `up` and holds the ledger to what it was.
func (h harmed) isWhole() {
	h.Helper()
	h.serve()
	check(h, h.node) // it waits until topics and views hold everything
	h.isSound()
	h.hasSameEvents()
	h.stop()
}

// isSound says what holds of every ledger that is served.
func (h harmed) isSound() {
	h.Helper()
	h.must("", "views", "reconcile", "--deep")
	if r := h.run("", "status"); r.code != 0 {
		h.Errorf("status: exit %d\n%s", r.code, r.stdout)
	}
	r := h.run(h.upn+"\n", "dsar", "open", "--subject", "-", "--right", "access")
	if r.code != 1 || !strings.Contains(r.stderr, "nobody is known") {
		h.Errorf("the erased person is found again: exit %d, %s", r.code, r.stdout)
	}
}

// siegeCase is what happens to a store.
type siegeCase struct {
	name string
	harm func(h harmed)
	// ways says what up answers and follows its way out; nil: it serves at once.
	ways func(h harmed)
}

// Each store lost, older, swapped or changed: `up` serves what is whole, or refuses by name and
// makes nothing anew; the way out that it prints leads to a ledger that is whole again, and in
// which the erased stay erased.
func TestSiegeOfStores(t *testing.T) {
	b := besiege(t)
	// What stands together happens to one copy, one after the other.
	for _, on := range [][]siegeCase{
		{
			{"nothing", func(harmed) {}, nil},
		},
		{
			{"event store lost", func(h harmed) { h.lose("eventstore") }, func(h harmed) {
				said := h.refused()
				h.says(said, "holds no ledger", "the vault is of ledger", "mounted")
				h.says(h.follow(said, "restore eventstore", 0), fmt.Sprintf("%d were appended", b.events))
			}},
		},
		{
			{"event store older", func(h harmed) { h.put(b.order, "eventstore") }, func(h harmed) {
				said := h.refused()
				h.says(said, "does not hold what the vault noted")
				h.follow(said, "restore eventstore", 0)
			}},
		},
		{
			{"event store of another ledger", func(h harmed) { h.put(b.other, "eventstore") }, func(h harmed) {
				said := h.refused()
				h.says(said, "Put the event store of that ledger back", "move this one away")
				h.lose("eventstore")
				h.follow(said, "restore eventstore", 0)
			}},
		},
		{
			{"event store, a bit of a table",
				func(h harmed) { h.flip(h.largest("eventstore/db/*.sst"), middle) },
				eventStoreDamaged},
		},
		{
			{"event store, a bit of its log",
				func(h harmed) { h.flip(h.largest("eventstore/db/*.log"), middle) },
				eventStoreDamaged},
		},
		{
			{"vault lost", func(h harmed) { h.lose("vault.db", "vault.slots") }, vaultMissing},
			{"vault lost, its slots left", func(h harmed) { h.lose("vault.db") }, vaultMissing},
			{"vault lost, its database's log left",
				func(h harmed) { h.lose("vault.db"); keep(h, h.wal, h.path("vault.db-wal")) },
				func(h harmed) {
					said := h.refused()
					h.says(said, "its vault is missing", "is left of a vault that was not closed")
					h.follow(said, "mv ", 0)
					h.put(h.whole, "vault.db", "vault.slots")
					h.follow(said, "restore vault", 0)
				}},
		},
		{
			{"slots lost", func(h harmed) { h.lose("vault.slots") }, slotsApart("slots file is missing")},
			{"slots older", func(h harmed) { h.put(b.order, "vault.slots") }, slotsApart("older copy")},
			{"slots of another vault",
				func(h harmed) { h.put(b.other, "vault.slots") },
				slotsApart("another vault's")},
			{"slots, a bit of both heads", func(h harmed) {
				h.flip(h.path("vault.slots"), at(20))
				h.flip(h.path("vault.slots"), at(128+20))
			}, slotsApart("slots file is damaged")},
			{"vault's database older", func(h harmed) { h.put(b.order, "vault.db") }, slotsApart("newer copy")},
			{"vault's database, its first page",
				func(h harmed) { h.flip(h.path("vault.db"), at(3)) },
				slotsApart("not a database")},
		},
		{
			{"slots, a bit of one", func(h harmed) {
				h.flip(h.path("vault.slots"), func(size int) int { return 256 + rand.IntN(size-256) })
			}, func(h harmed) {
				// One key is no ground to refuse all others: where there is no
				// copy, that would be for ever.
				h.serve()
				r := h.run("", "status")
				if r.code != 1 {
					h.Errorf("status: exit %d, want the damage told", r.code)
				}
				h.says(r.stdout, "PROBLEM  vault: 1 keys")
				h.stop()
				h.lose("vault.db", "vault.slots")
				h.follow(r.stdout, "restore vault --from", 0)
			}},
		},
		{
			{"vault from before the erasure",
				func(h harmed) { h.put(b.order, "vault.db", "vault.slots") },
				func(h harmed) {
					said := h.refused()
					h.says(said, "older than the ledger", "1 erasures were ordered", "Put a newer copy back")
					// That copy does not know who came since: it says so, and changes
					// nothing. A newer one does.
					h.says(h.follow(said, "restore vault", 1), "Nothing was changed", "Put back a newer copy")
					h.put(b.whole, "vault.db", "vault.slots")
					h.follow(said, "restore vault", 0)
				}},
		},
		{
			{"vault of another ledger", func(h harmed) { h.put(b.other, "vault.db", "vault.slots") }, func(h harmed) {
				said := h.refused()
				h.says(said, "do not fit each other")
				h.put(b.whole, "vault.db", "vault.slots")
				h.follow(said, "restore vault", 0)
			}},
			{"vault and key of another ledger",
				func(h harmed) { h.put(b.other, "vault.db", "vault.slots", "keys/kek") },
				func(h harmed) {
					said := h.refused()
					h.says(said, "The vault is of ledger", "Put this ledger's vault back")
					h.put(b.whole, "vault.db", "vault.slots", "keys/kek")
					h.follow(said, "restore vault", 0)
				}},
			{"key lost", func(h harmed) { h.lose("keys/kek") }, keyBack("The key is missing")},
			{"key of another vault", func(h harmed) { h.put(b.other, "keys/kek") }, keyBack("do not fit each other")},
		},
		{
			{"topics lost", func(h harmed) { h.lose("kafka") }, nil},
		},
		{
			{"topics older", func(h harmed) { h.put(b.order, "kafka") }, nil},
		},
		{
			{"topics of another ledger", func(h harmed) { h.put(b.other, "kafka") }, func(h harmed) {
				said := h.refused()
				h.says(said, "the topics were filled from ledger")
				h.follow(said, "relay refill", 0)
			}},
		},
		{
			{"topics, a bit of a segment",
				func(h harmed) { h.flip(h.largest("kafka/data/partitions/ledger.device-*/0.dat"), middle) },
				nil},
		},
		{
			{"topics, a bit of the positions",
				func(h harmed) { h.flip(h.path("kafka/data/partitions/ledger.position-0/0.dat"), middle) },
				nil},
		},
		{
			{"views lost", func(h harmed) { h.lose("clickhouse") }, nil},
		},
		{
			{"views older", func(h harmed) { h.put(b.order, "clickhouse") }, nil},
		},
		{
			{"views of another ledger", func(h harmed) { h.put(b.other, "clickhouse") }, func(h harmed) {
				h.says(h.refused(), "The views' database is of ledger", "move "+h.path("clickhouse")+" away")
				h.lose("clickhouse")
			}},
		},
		{
			{"index lost", func(h harmed) { h.lose("sequence.index") }, nil},
			{"index with 64 bytes more", func(h harmed) { h.resize("sequence.index", 64) }, nil},
			{"index cut within a record", func(h harmed) { h.resize("sequence.index", -16*b.events/2-5) }, nil},
			{"index of another ledger", func(h harmed) { h.put(b.other, "sequence.index") }, nil},
			{"index, a bit of a record", indexFlipped, func(h harmed) {
				// It is a copy: what it is asked for is compared with the event store.
				// To be what it was, it is made anew.
				h.serve()
				h.settle()
				h.isSound()
				h.stop()
				h.says(h.must("", "reindex"), fmt.Sprintf("%d events", b.events))
			}},
		},
		{
			{"index, a bit of a record, and the topics lost",
				func(h harmed) { indexFlipped(h); h.lose("kafka") },
				nil},
		},
		{
			{"accounts lost", func(h harmed) { h.lose("keys/accounts.json") }, nil},
		},
		{
			{"vault and event store lost",
				func(h harmed) { h.lose("vault.db", "vault.slots", "eventstore") },
				func(h harmed) {
					said := h.refused()
					h.says(said, "holds no ledger, and Kafka is of ledger")
					// The event store is made again with the vault only,
					// and that from a copy only.
					h.says(h.follow(said, "restore eventstore", 1), "no vault", "put it back first")
					r := h.run("", "restore", "vault")
					h.says(r.stderr, "no way to make it again")
					if r.code != 1 {
						h.Errorf("restore vault without one: exit %d", r.code)
					}
					h.put(b.whole, "vault.db", "vault.slots")
					h.follow(said, "restore eventstore", 0)
				}},
		},
		{
			{"only the views are left",
				func(h harmed) { h.lose("vault.db", "vault.slots", "eventstore", "kafka") },
				func(h harmed) {
					said := h.refused()
					h.says(said, "the views' database is of ledger")
					h.says(h.follow(said, "restore eventstore", 1), "no vault")
					h.put(b.whole, "vault.db", "vault.slots", "eventstore")
				}},
		},
	} {
		t.Run(on[0].name, func(t *testing.T) {
			t.Parallel()
			h := harmed{t, b, newSiegeNode(t)}
			keep(t, b.whole, filepath.Join(h.dir, "data"))
			for i, c := range on {
				t.Log(c.name)
				c.harm(h)
				switch {
				case c.ways != nil:
					c.ways(h)
				case i < len(on)-1:
					h.isServed()
				}
			}
			h.isWhole()
		})
	}
	t.Run("vault from before new persons, no other copy", func(t *testing.T) {
		t.Parallel()
		h := harmed{t, b, newSiegeNode(t)}
		keep(t, b.whole, filepath.Join(h.dir, "data"))
		h.put(b.persons, "vault.db", "vault.slots")
		h.accepted(1)
	})
	t.Run("vault from before the erasure, no other copy", func(t *testing.T) {
		t.Parallel()
		h := harmed{t, b, newSiegeNode(t)}
		keep(t, b.whole, filepath.Join(h.dir, "data"))
		h.put(b.order, "vault.db", "vault.slots")
		h.accepted(1)
	})
}

func eventStoreDamaged(h harmed) {
	said := h.refused()
	h.says(said, "is damaged")
	h.follow(said, "mv ", 0)
	h.follow(said, "restore eventstore", 0)
}

func vaultMissing(h harmed) {
	said := h.refused()
	h.says(said, "its vault is missing", "No new vault is made beside it")
	h.put(h.whole, "vault.db", "vault.slots")
	h.follow(said, "restore vault", 0)
}

func slotsApart(text string) func(harmed) {
	return func(h harmed) {
		said := h.refused()
		h.says(said, text, "copies of one moment")
		h.put(h.whole, "vault.db", "vault.slots")
		h.follow(said, "restore vault", 0)
	}
}

func keyBack(text string) func(harmed) {
	return func(h harmed) {
		h.says(h.refused(), text, h.path("keys/kek"))
		h.put(h.whole, "keys/kek")
	}
}

func indexFlipped(h harmed) {
	h.flip(h.path("sequence.index"), func(size int) int { return rand.IntN(size) })
}

// resize appends as many bytes, or cuts them off.
func (h harmed) resize(name string, by int) {
	h.Helper()
	raw, err := os.ReadFile(h.path(name))
	if err != nil {
		h.Fatal(err)
	}
	if by < 0 {
		raw = raw[:len(raw)+by]
	}
	for range by {
		raw = append(raw, byte(rand.IntN(256)))
	}
	if err := os.WriteFile(h.path(name), raw, 0o600); err != nil {
		h.Fatal(err)
	}
}

// accepted takes the way out that loses something: values under keys that no copy holds.
// That many events say so; all others are what they were, and what was lost is recorded
// again by the next import.
func (h harmed) accepted(events int) {
	h.Helper()
	said := h.refused()
	h.says(said, "older than the ledger", "1 erasures were ordered")
	said = h.follow(said, "restore vault", 1)
	h.says(said, "Nothing was changed", "--accept-loss --yes")
	h.says(h.follow(said, "--accept-loss", 0), "declared lost", "carried out now: 1")
	h.serve()
	h.settle()
	h.isSound()
	got := h.must("", "tail", "--from-start", "--until-end", "--output", "json")
	added, same := strings.CutPrefix(got, h.tail)
	n := strings.Count(strings.TrimSpace(added), "\n") + 1
	if !same || n != events || !strings.Contains(added, "keys-lost") {
		h.Errorf("the ledger is not what it was and %d event more: %q", events, added)
	}
	again := h.importJSON("Contoso", h.imports...)
	if again.EventsAppended == 0 {
		h.Error("what was lost was not recorded again")
	}
	if third := h.importJSON("Contoso", h.imports...); third.EventsAppended != 0 {
		h.Errorf("a third import appended %d events", third.EventsAppended)
	}
	h.settle()
	h.isSound()
	h.stop()
}
