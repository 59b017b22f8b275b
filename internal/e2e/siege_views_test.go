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

// damage is what the account of the views can do to one: a row taken out, a column changed, a row
// invented. "" where that cannot be done.
type damage struct{ deleted, changed, invented string }

// damages of each view. %s is the table behind it.
var damages = map[string]damage{
	"event_seq":         {oldest, newest("size = size + 1"), "generateUUIDv4() AS tenant"},
	"attribute_current": {oldest, newest("value = 'invented'"), "'invented' AS element"},
	"event_subject":     {oldest, newest("type = 'invented'"), atStart},
	"admin_action":      {oldest, newest("verb = 'invented'"), atStart},
	"admin_action_more": {oldest, newest("form = 'invented'"), atStart},
	"alert":             {oldest, newest("setting = 'invented'"), atStart},
	"remote_action":     {oldest, newest("state = 'invented'"), atStart},
	"refusal":           {oldest, newest("count = count + 1"), atStart},
	"access":            {oldest, newest("report = 'invented'"), atStart},
	"request":           {oldest, newest("asked_right = 'invented'"), atStart},
	"disowned_event":    {oldest, newest("ground = 'invented'"), "generateUUIDv4() AS event"},
	// all of it is its key
	"disowned": {deleted: "DELETE WHERE event = (SELECT min(event) FROM %[1]s)",
		invented: "generateUUIDv4() AS event"},
	"events": {oldest, newest("data = '{}'"), "toUInt64(1000000) AS ledger_seq"},
}

const (
	oldest  = "DELETE WHERE ledger_seq = (SELECT min(ledger_seq) FROM %[1]s)"
	atStart = "toUInt64(0) AS ledger_seq" // where the ledger's own first event is
)

func newest(set string) string {
	return "UPDATE " + set + " WHERE ledger_seq = (SELECT max(ledger_seq) FROM %[1]s)"
}

// vandal changes views: it has the ledger's account there.
type vandal struct {
	testing.TB
	ctx context.Context
	d   door
}

func (v vandal) ask(statement string) string {
	v.Helper()
	return strings.TrimSpace(string(v.d.ask(v, v.ctx, http.MethodPost,
		"/?mutations_sync=2&allow_nondeterministic_mutations=1", statement)))
}

// table is the one that readers of a view get.
func (v vandal) table(view string) string {
	v.Helper()
	name := v.ask("SELECT name FROM system.tables WHERE database = 'ledgerline' AND engine LIKE '%MergeTree' AND " +
		"match(name, '^" + view + "(_v[0-9]+.*)?$')")
	if name == "" || strings.Contains(name, "\n") {
		v.Fatalf("the tables of %s are %q", view, name)
	}
	return "ledgerline." + name
}

// do damages a view.
func (v vandal) do(kind, view string) {
	v.Helper()
	d, ok := damages[view]
	table := v.table(view)
	how := map[string]string{"deleted": d.deleted, "changed": d.changed, "invented": d.invented}[kind]
	switch {
	case !ok || how == "":
		v.Fatalf("nobody says how a row of %s is %s: add it to damages", view, kind)
	case kind == "invented":
		v.ask(fmt.Sprintf("INSERT INTO %[1]s SELECT * REPLACE(%[2]s) FROM %[1]s FINAL LIMIT 1", table, how))
	default:
		v.ask("ALTER TABLE " + table + " " + fmt.Sprintf(how, table))
	}
}

// reconciled is what the comparison says.
type reconciled struct {
	Views       []struct{ Name string }
	Differences int
	Differing   map[string]int
	Findings    []viewFinding
}

type viewFinding struct{ View, What string }

// attackedView is a view and what is done to it.
type attackedView struct{ view, kind string }

// told is what the comparison calls it.
var told = map[string]string{"deleted": "missing", "changed": "other", "invented": "extra"}

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

// anEnrolmentThatFailed is a file with an alert, of which so small a fleet has none.
func anEnrolmentThatFailed(t *testing.T, source string) string {
	t.Helper()
	record, err := json.Marshal(map[string]any{"time": "2026-03-02T08:00:00Z", "tenantId": source,
		"category": "OperationalLogs", "operationName": "Enrollment", "resultType": "Failure",
		"properties": map[string]any{"EnrollmentTimeUTC": "2026-03-02T08:00:00.0000Z",
			"EnrollmentType": "WindowsAzureADJoin", "FailureCategory": "Authorization", "AADTenantId": source,
			"FailureReason": "DeviceCapReached", "IntuneDeviceId": uuid.NewString(),
			"OperationalLogCategory": "DeviceEnrollment"}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "operational.ndjson")
	if err := os.WriteFile(path, record, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whatever is taken out of a view, changed in it or put into it: the comparison names that view,
// and what it prints makes it whole again.
func TestSiegeOfViews(t *testing.T) {
	t.Parallel()
	folders, upns, source := siegeFleet(t, 15, 2)
	b := &besieged{T: t, ctx: t.Context(), n: newNode(t), folders: folders, source: source}
	b.begin(upns[0])
	b.importDay(1)
	n := b.n
	n.importJSON("Contoso", anEnrolmentThatFailed(t, source))
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
	n.must("", "report", "admin-actions", "--tenant", "Contoso", "--purpose", "audit", "--output", "json")
	n.awaitStatus("that all is well", whole)
	c, r := n.reconcile()
	if r.code != 0 || c.Differences > 0 {
		t.Fatalf("before anything is damaged: exit %d, %v", r.code, c.Differing)
	}
	var facts []string
	for _, v := range c.Views {
		if !strings.HasPrefix(v.Name, "disowned") {
			facts = append(facts, v.Name)
		}
	}
	// In each round every view is damaged in another way, and exactly those are named:
	// the round before was healed.
	kinds := []string{"deleted", "changed", "invented"}
	turn := func(by int) (out []attackedView) {
		for i, view := range facts {
			out = append(out, attackedView{view, kinds[(i+by)%3]})
		}
		return out
	}
	for _, r := range []struct {
		attacked []attackedView
		others   bool // may be named too: what is disowned says what is in them, and all are made of events
	}{
		{append(turn(0), attackedView{"disowned_event", "changed"}), false},
		{append(turn(1), attackedView{"disowned", "invented"}), false},
		{turn(2), false},
		{[]attackedView{{"disowned_event", "deleted"}}, true},
		{[]attackedView{{"disowned_event", "invented"}}, true},
		{[]attackedView{{"disowned", "deleted"}}, true},
		{[]attackedView{{"events", "changed"}, {"events", "deleted"}, {"events", "invented"}}, true},
	} {
		v := vandal{t, b.ctx, n.door("clickhouse", "ledger")}
		names := map[string]bool{}
		for _, a := range r.attacked {
			v.do(a.kind, a.view)
			names[a.view] = true
		}
		c, res := n.reconcile()
		if got := slices.Sorted(maps.Keys(c.Differing)); res.code != 1 || !r.others && len(got) != len(names) {
			t.Errorf("%v: exit %d, and %v are named", r.attacked, res.code, got)
		}
		for _, a := range r.attacked {
			if !slices.Contains(c.Findings, viewFinding{a.view, told[a.kind]}) {
				t.Errorf("a row was %s in %s, and is not told as %s; %v differ", a.kind, a.view,
					told[a.kind], c.Differing)
			}
		}
		n.follow(res.stderr)
	}
	if c, r := n.reconcile(); r.code != 0 {
		t.Errorf("after the printed ways out: exit %d, %v", r.code, c.Differing)
	}
	n.stop()
}
