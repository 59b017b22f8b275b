//go:build unix && siege

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// damage is what the account of the views can do to one: a row taken out, a column changed, a row invented. "" where
// that cannot be done.
type damage struct{ deleted, changed, invented string }

// damages of each view. %s is the table behind it.
var damages = map[string]damage{
	"event_seq":         {oldest, newest("size = size + 1"), atStart},
	"attribute_history": {oldest, newest("value = 'invented'"), "'invented' AS element"},
	"attribute_current": {oldest, newest("value = 'invented'"), "'invented' AS element"},
	"event_subject":     {oldest, newest("type = 'invented'"), atStart},
	"admin_action":      {oldest, newest("verb = 'invented'"), atStart},
	"refusal":           {oldest, newest("count = count + 1"), atStart},
	"access":            {oldest, newest("report = 'invented'"), atStart},
	"request":           {oldest, newest("asked_right = 'invented'"), atStart},
	"disowned_event":    {oldest, newest("ground = 'invented'"), "generateUUIDv4() AS event"},
	"disowned":          {"DELETE WHERE event = (SELECT min(event) FROM %[1]s)", "", "generateUUIDv4() AS event"}, // all of it is its key
	"events":            {newestOf("DELETE WHERE"), newest("data = '{}'"), "toUInt64(0) AS ledger_seq"},
}

const (
	oldest  = "DELETE WHERE ledger_seq = (SELECT min(ledger_seq) FROM %[1]s)"
	atStart = "toUInt64(0) AS ledger_seq" // where the ledger's own first event is
)

func newest(set string) string { return newestOf("UPDATE " + set + " WHERE") }

func newestOf(act string) string { return act + " ledger_seq = (SELECT max(ledger_seq) FROM %[1]s)" }

// vandal changes views: it has the ledger's account there.
type vandal struct {
	testing.TB
	ctx context.Context
	d   door
}

func (v vandal) ask(statement string) string {
	v.Helper()
	return strings.TrimSpace(string(v.d.ask(v, v.ctx, http.MethodPost, "/?mutations_sync=2&allow_nondeterministic_mutations=1", statement)))
}

// table is the one that readers of a view get.
func (v vandal) table(view string) string {
	v.Helper()
	name := v.ask("SELECT name FROM system.tables WHERE database = 'ledgerline' AND engine LIKE '%MergeTree' AND match(name, '^" + view + "(_v[0-9]+.*)?$')")
	if name == "" || strings.Contains(name, "\n") {
		v.Fatalf("the tables of %s are %q", view, name)
	}
	return "ledgerline." + name
}

// do damages a view, and says whether it could.
func (v vandal) do(kind, view string) bool {
	v.Helper()
	d, ok := damages[view]
	if !ok {
		v.Fatalf("nobody says how to damage the view %s: add it to damages", view)
	}
	table := v.table(view)
	alter := map[string]string{"deleted": d.deleted, "changed": d.changed}[kind]
	switch {
	case kind == "invented":
		v.ask(fmt.Sprintf("INSERT INTO %[1]s SELECT * REPLACE(%[2]s) FROM %[1]s FINAL LIMIT 1", table, d.invented))
	case alter == "":
		return false
	default:
		v.ask("ALTER TABLE " + table + " " + fmt.Sprintf(alter, table))
	}
	return true
}

// reconciled is what the comparison says.
type reconciled struct {
	Views       []struct{ Name string }
	Differences int
	Differing   map[string]int
}

func (n *node) reconcile() (c reconciled, r result) {
	n.t.Helper()
	r = n.run("", "views", "reconcile", "--output", "json")
	if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
		n.t.Fatalf("views reconcile: %v\n%s%s", err, r.stdout, r.stderr)
	}
	return c, r
}

var movedAway = regexp.MustCompile(`stop .ledgerline up., move (\S+) away and start it again`)

// follow does what the comparison printed: commands, or making all views anew.
func (n *node) follow(printed string) {
	n.t.Helper()
	if m := movedAway.FindStringSubmatch(printed); m != nil {
		n.stop()
		if err := os.Rename(m[1], filepath.Join(n.t.TempDir(), "away")); err != nil {
			n.t.Fatal(err)
		}
		if err := n.start(); err != nil {
			n.dumpLog()
			n.t.Fatal(err)
		}
		n.awaitStatus("that the views are whole", whole)
		return
	}
	commands := printedCommands(printed)
	if len(commands) == 0 {
		n.t.Errorf("no way out is printed: %s", printed)
	}
	for _, c := range commands {
		n.must("", c...)
	}
}

// Whatever is taken out of a view, changed in it or put into it: the comparison names that view, and what it prints makes
// it whole again.
func TestSiegeOfViews(t *testing.T) {
	t.Parallel()
	folders, upns, source := siegeFleet(t, 15, 2)
	b := &besieged{T: t, ctx: t.Context(), n: newNode(t), folders: folders, source: source}
	b.begin(upns[0])
	b.importDay(1)
	n := b.n
	// A row for every view: something is disowned, and protected values are seen.
	i := n.intruder(b.ctx)
	e := b.first("device.", b.device)
	e.ID = uuid.Nil
	named := []string{}
	for range 2 {
		e.Stream = schemas.NewStream("device", uuid.New())
		named = append(named, i.forge(e).ID.String())
	}
	n.must("", append(append([]string{"ledger", "disown"}, named...), "--ground", "test", "--yes")...)
	n.must("", "report", "admin-actions", "--tenant", "Contoso", "--purpose", "siege", "--output", "json")
	n.awaitStatus("that all is well", whole)
	c, r := n.reconcile()
	if r.code != 0 || c.Differences > 0 {
		t.Fatalf("before anything is damaged: exit %d, %v", r.code, c.Differing)
	}
	// What is disowned says what is in the others: it is damaged by itself. All are made of events.
	var facts []string
	for _, v := range c.Views {
		if !strings.HasPrefix(v.Name, "disowned") {
			facts = append(facts, v.Name)
		}
	}
	for _, kind := range []string{"deleted", "changed", "invented"} {
		for _, views := range [][]string{facts, {"disowned_event"}, {"disowned"}, {"events"}} {
			v := vandal{t, b.ctx, n.door("clickhouse", "ledger")}
			if !slices.ContainsFunc(views, func(view string) bool { return v.do(kind, view) }) {
				continue
			}
			if len(views) > 1 {
				for _, view := range views[1:] {
					if !v.do(kind, view) {
						t.Errorf("%s cannot be %s", view, kind)
					}
				}
			}
			c, r := n.reconcile()
			got := slices.Sorted(maps.Keys(c.Differing))
			if r.code != 1 {
				t.Errorf("a row was %s in %v: exit %d", kind, views, r.code)
			}
			for _, view := range views {
				if !slices.Contains(got, view) {
					t.Errorf("a row was %s in %v; the comparison names %v", kind, views, got)
				}
			}
			if len(views) > 1 && len(got) != len(views) {
				t.Errorf("a row was %s in %v; the comparison names %v", kind, views, got)
			}
			n.follow(r.stderr)
			if c, r := n.reconcile(); r.code != 0 {
				t.Errorf("a row was %s in %v; after the printed way out the comparison names %v", kind, views, c.Differing)
			}
		}
	}
	n.must("", "status")
	n.stop()
}
