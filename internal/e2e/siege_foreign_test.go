//go:build unix && siege

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// intruder writes into the event store what it likes: it has the ledger's
// account there, and no vault.
type intruder struct {
	t       testing.TB
	ctx     context.Context
	client  *esdb.Client
	mu      sync.Mutex
	foreign int       // events that nobody may take for the ledger's
	named   []planted // events that the check has to name, in the order of the ledger
}

// planted is an event and what the check must call it.
type planted struct {
	ID      uuid.UUID
	Stream  string
	Verdict string
}

func (n *node) intruder(ctx context.Context) *intruder {
	n.t.Helper()
	conf, err := esdb.ParseConnectionString(n.door("eventstore", "ledger").esdb(n.t))
	if err != nil {
		n.t.Fatal(err)
	}
	conf.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(conf)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = client.Close() })
	return &intruder{t: n.t, ctx: ctx, client: client}
}

func (i *intruder) write(e schemas.Event, expect esdb.ExpectedRevision) {
	i.t.Helper()
	if e.ID == uuid.Nil {
		e.ID = uuid.New()
	}
	_, err := i.client.AppendToStream(i.ctx, string(e.Stream), esdb.AppendToStreamOptions{ExpectedRevision: expect},
		esdb.EventData{EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeJson, Data: e.Data,
			Metadata: e.Metadata})
	if err != nil {
		i.t.Errorf("append %s to %s: %v", e.Type, e.Stream, err)
	}
}

// stray writes an event that is none of the ledger's.
func (i *intruder) stray(e schemas.Event) {
	i.t.Helper()
	if schemas.InLedger(e) && e.ID != uuid.Nil {
		i.t.Errorf("%s in %s would count as the ledger's", e.Type, e.Stream)
	}
	i.write(e, esdb.Any{})
	i.mu.Lock()
	defer i.mu.Unlock()
	i.foreign++
}

// plant writes an event that counts in the sequence and that the check has to name.
func (i *intruder) plant(verdict string, e schemas.Event, expect esdb.ExpectedRevision) planted {
	i.t.Helper()
	if e.ID == uuid.Nil {
		e.ID = uuid.New()
	}
	if !schemas.InLedger(e) {
		i.t.Errorf("%s in %s would not count as the ledger's", e.Type, e.Stream)
	}
	i.write(e, expect)
	p := planted{e.ID, string(e.Stream), verdict}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.named = append(i.named, p)
	return p
}

func (i *intruder) forge(e schemas.Event) planted {
	i.t.Helper()
	return i.plant("forged", e, esdb.Any{})
}

// genuine reads the events that were written with the ledger's vault, each with its leaf.
func genuine(
	t testing.TB, ctx context.Context, p parts,
) (events []schemas.Envelope, leaves map[ledger.Place][32]byte) {
	t.Helper()
	leaves = map[ledger.Place][32]byte{}
	for r, err := range p.ledger.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.ledger.Judge(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if v != ledger.Genuine {
			continue
		}
		leaves[ledger.Place{Event: r.ID, Seq: r.Seq}] = r.Leaf()
		events = append(events, r)
	}
	return events, leaves
}

// intuneID opens a device's Intune id.
func intuneID(
	t testing.TB, ctx context.Context, p parts, events []schemas.Envelope, stream schemas.Stream,
) (id string) {
	t.Helper()
	for _, r := range events {
		if r.Stream != stream {
			continue
		}
		d, err := schemas.Default().Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range d.Values {
			if v.Attr.ID != "device.intune-id" {
				continue
			}
			raw := json.RawMessage(v.Plain)
			if v.Token != "" {
				err := p.vault.View(ctx, d.Tenant, func(tx *vault.Tx) error {
					opened, err := tx.Open([]vault.Sealed{{Token: v.Token, Attr: v.Attr.ID, Event: d.ID}})
					if err == nil {
						raw, err = opened[0].Plain, opened[0].Err
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := json.Unmarshal(raw, &id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if id == "" {
		t.Fatalf("%s has no Intune id", stream)
	}
	return id
}

// siegeFleet writes a fleet and returns the folder of each day, the UPNs of users who administer
// nothing, and the tenant in the sources.
func siegeFleet(t testing.TB, devices, days int) (folders, upns []string, tenant string) {
	t.Helper()
	dir, gen := smallFleet(t, devices, days)
	folders, err := filepath.Glob(filepath.Join(dir, "2*"))
	if err != nil || len(folders) != days {
		t.Fatal(folders, err)
	}
	cfg := fleet.Sized(devices)
	cfg.Days, cfg.Seed, cfg.Malformed, cfg.Foreign = days, 7, 1, 1
	f, err := fleet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for day := range f.Days() {
		for _, file := range day.Files() {
			for range file.Records {
			}
		}
	}
	for a := range f.Accounts() {
		if len(a.Devices) > 0 && a.Actions == 0 { // who was erased is in no later action
			upns = append(upns, a.UPN)
		}
	}
	if len(upns) < 2 {
		t.Fatal("the devices of the fleet have too few users")
	}
	return folders, upns, gen.Tenant
}

var (
	backquoted = regexp.MustCompile("`ledgerline ([^`]+)`")
	anySeq     = regexp.MustCompile(`"sequence":[0-9]+`)
)

// printedCommands are what a message says to run, each as arguments.
func printedCommands(text string) (out [][]string) {
	for _, m := range backquoted.FindAllStringSubmatch(text, -1) {
		out = append(out, strings.Fields(m[1]))
	}
	return out
}

// rowsOf runs a report, masked, and returns its rows in a form that two ledgers which were told
// the same share: without sequences, with random ids blanked out.
func (n *node) rowsOf(args ...string) []string {
	n.t.Helper()
	var rep struct{ Rows []json.RawMessage }
	if err := json.Unmarshal([]byte(n.must("", append(append([]string{"report"}, args...), "--tenant", "Contoso",
		"--masked", "--output", "json")...)), &rep); err != nil {
		n.t.Fatal(err)
	}
	var rows []string
	for _, r := range rep.Rows {
		rows = append(rows, anyUUID.ReplaceAllString(anySeq.ReplaceAllString(string(r), ""), "id"))
	}
	slices.Sort(rows)
	return rows
}

// reports are what people read of a ledger: the rows of each report.
func (n *node) reports(devices []string) map[string][]string {
	n.t.Helper()
	out := map[string][]string{"admin-actions": n.rowsOf("admin-actions"),
		"device-inventory": n.rowsOf("device-inventory")}
	for i, d := range devices {
		out[fmt.Sprintf("device-history %d", i)] = n.rowsOf("device-history", "--all", "--device", d)
	}
	return out
}

func sameReports(t testing.TB, want, got map[string][]string) {
	t.Helper()
	for name, rows := range want {
		if len(rows) == 0 {
			t.Errorf("report %s is empty: it compares nothing", name)
		}
		if !slices.Equal(rows, got[name]) {
			t.Errorf("report %s differs from that of a ledger that nobody attacked: %d rows, want %d%s", name,
				len(got[name]), len(rows), firstDifference(rows, got[name]))
		}
	}
}

// firstDifference shows masked rows: nothing personal is in them.
func firstDifference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			return "\nthere in vain: " + got[i]
		case i >= len(got):
			return "\nmissing: " + want[i]
		case want[i] != got[i]:
			return "\n" + got[i] + "\nwant\n" + want[i]
		}
	}
	return ""
}

// siegeStatus is what status says.
type siegeStatus struct {
	Relay         struct{ Events, Lag uint64 }
	Views         struct{ Applied uint64 }
	ForeignEvents struct{ Count int }
	Forged        struct{ Count int }
	Foreign       []string
	Problems      []string
}

// problem is the one that begins so.
func (s siegeStatus) problem(with string) string {
	for _, p := range s.Problems {
		if strings.HasPrefix(p, with) {
			return p
		}
	}
	return ""
}

func (n *node) siegeStatus() (s siegeStatus, r result) {
	n.t.Helper()
	r = n.run("", "status", "--output", "json")
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		n.t.Fatalf("status: %v\n%s%s", err, r.stdout, r.stderr)
	}
	return s, r
}

// awaitStatus waits until status says something, and fails with the last one where it never does.
func (n *node) awaitStatus(what string, ok func(siegeStatus, result) bool) siegeStatus {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		s, r := n.siegeStatus()
		if ok(s, r) {
			return s
		}
		if retry.Wait(ctx, 5*poll) != nil {
			n.dumpLog()
			n.t.Fatalf("status never says %s; exit %d\n%s%s", what, r.code, r.stdout, r.stderr)
		}
	}
}

func whole(s siegeStatus, r result) bool {
	return r.code == 0 && len(s.Problems) == 0 && s.Relay.Events > 0 && s.Relay.Lag == 0 &&
		s.Views.Applied == s.Relay.Events
}

// checked is what `ledger check` says.
type checked struct {
	Events, Foreign, Forged, Unfitting, Disowned int
	Findings                                     []struct {
		ID       uuid.UUID
		Stream   string
		Verdict  string
		Disowned bool
	}
}

func (n *node) ledgerCheck() (c checked, code int) {
	n.t.Helper()
	r := n.run("", "ledger", "check", "--output", "json")
	if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
		n.t.Fatalf("ledger check: %v\n%s%s", err, r.stdout, r.stderr)
	}
	return c, r.code
}

// notForeign are the findings that were planted to be named.
func (c checked) notForeign(disowned bool) (out []planted) {
	for _, f := range c.Findings {
		if f.Verdict != "foreign" && f.Disowned == disowned {
			out = append(out, planted{f.ID, f.Stream, f.Verdict})
		}
	}
	return out
}

func replaced(raw json.RawMessage, from, to string) json.RawMessage {
	return bytes.Replace(raw, []byte(from), []byte(to), 1)
}

// besieged is a ledger, what it was told, and who attacks it.
type besieged struct {
	*testing.T
	ctx              context.Context
	n                *node
	folders          []string
	source           string // the tenant in the sources
	request          string // an open request for erasure
	device, other    schemas.Stream
	events           []schemas.Envelope // genuine ones of the first day
	leaves           map[ledger.Place][32]byte
	intuneIDs        []string // of the two devices
	imports          [][3]int // read, appended, failed, by day
	tenant, fabrikam uuid.UUID
}

func (b *besieged) importDay(day int) {
	b.Helper()
	s := b.n.importJSON("Contoso", b.folders[day])
	b.imports = append(b.imports, [3]int{s.Read, s.EventsAppended, s.FailedCount})
}

// first is the first event of a type, genuine, of the first day.
func (b *besieged) first(typ string, in schemas.Stream) schemas.Event {
	b.Helper()
	for _, r := range b.events {
		if strings.HasPrefix(r.Type, typ) && (in == "" || r.Stream == in) {
			return r.Event
		}
	}
	b.Fatalf("the first day has no %s in %s", typ, in)
	return schemas.Event{}
}

func (b *besieged) begin(upn string) {
	b.Helper()
	n := b.n
	if err := n.start(); err != nil {
		n.dumpLog()
		b.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", b.source)
	n.must("", "tenant", "add", "Fabrikam", "--source-tenant", uuid.NewString())
	b.importDay(0)
	var req struct{ Request string }
	out := n.must(upn, "dsar", "open", "--tenant", "Contoso", "--subject", "-", "--right", "erasure",
		"--output", "json")
	if err := json.Unmarshal([]byte(out), &req); err != nil {
		b.Fatal(err)
	}
	b.request = req.Request
	p := n.connect(b.ctx)
	b.events, b.leaves = genuine(b, b.ctx, p)
	for _, r := range b.events {
		m := r.Meta()
		switch {
		case r.Type == "tenant.registered.v1" && b.tenant == uuid.Nil:
			b.tenant = m.Tenant
		case r.Type == "tenant.registered.v1":
			b.fabrikam = m.Tenant
		case r.Stream.Kind() == "device" && b.device == "":
			b.device = r.Stream
		case r.Stream.Kind() == "device" && b.other == "" && r.Stream != b.device:
			b.other = r.Stream
		}
	}
	b.intuneIDs = []string{intuneID(b, b.ctx, p, b.events, b.device), intuneID(b, b.ctx, p, b.events, b.other)}
}

// strays writes one of each kind of foreign event.
func (b *besieged) strays(i *intruder) {
	b.Helper()
	e := b.first("device.", b.device)
	in := func(s schemas.Stream, typ string, data, metadata []byte) {
		i.stray(schemas.Event{Stream: s, Type: typ, Data: data, Metadata: metadata})
	}
	in(schemas.NewStream("order", uuid.New()), "created", []byte(`{}`), nil)
	in(schemas.NewStream("position", uuid.New()), e.Type, e.Data, e.Metadata)
	in(schemas.NewStream("checkpoint", uuid.New()), e.Type, e.Data, e.Metadata)
	in(schemas.LedgerStream, "garbage", []byte("\xff\x00"), []byte("garbage"))
	in(b.device, e.Type, e.Data, nil)
	in(b.device, "$>", []byte("0@"+string(b.other)), nil)
	in(b.device, e.Type, []byte(`{"set":{"osVersion":"`+strings.Repeat("6", 300<<10)+`"}}`), e.Metadata)
	in(b.device, e.Type, e.Data, replaced(e.Metadata, `{"v":1,`, `{"v":1,"v":1,`))
	in(b.device, e.Type, e.Data, replaced(e.Metadata, `{"v":1,`, `{ "v":1,`))
	in(b.device, e.Type, e.Data, append(slices.Clone(e.Metadata), '}'))
	in(schemas.NewStream("request", uuid.MustParse(b.request)), "request.erasure-ordered.v1",
		[]byte(`{"keys":"all"}`), nil)
}

// forgeries writes one of each kind of event that counts as the ledger's and is none of its own.
func (b *besieged) forgeries(i *intruder) {
	b.Helper()
	e := b.first("device.", b.device)
	request := schemas.NewStream("request", uuid.MustParse(b.request))
	as := func(e schemas.Event, s schemas.Stream, typ, data string) schemas.Event {
		e.ID, e.Stream = uuid.Nil, s
		if typ != "" {
			e.Type = typ
		}
		if data != "" {
			e.Data = json.RawMessage(data)
		}
		return e
	}
	of := func(tenant uuid.UUID) schemas.Event {
		out := as(e, b.device, "", "")
		out.Metadata = replaced(e.Metadata, b.tenant.String(), tenant.String())
		return out
	}
	i.forge(of(uuid.New()))                                // of a tenant that nobody knows
	i.forge(of(b.fabrikam))                                // of another
	i.forge(as(e, b.device, "", `{"set":7}`))              // unfitting data
	i.forge(as(e, b.device, "device.unheard-of.v1", ""))   // a type of tomorrow
	i.forge(as(e, b.device, "", ""))                       // a true event again, under a new id
	again := e                                             // and under its own id
	again.Stream = b.other                                 // in another device's stream
	i.forge(again)                                         //
	again.Stream = schemas.NewStream("device", uuid.New()) // and in one of its own
	i.forge(again)                                         //
	i.forge(as(e, b.device, "device.inventory-changed.v1", `{"set":{"osVersion":"66.6"}}`))
	i.forge(as(e, b.device, "device.retired.v1", `{}`))
	i.forge(as(e, b.other, "device.compliance-changed.v1", `{"set":{"complianceState":"compliant"}}`))
	act := b.first("adminaction.", "")
	i.forge(as(act, schemas.NewStream("adminaction", uuid.New()), "", ""))
	again = act
	again.Stream = schemas.NewStream("adminaction", uuid.New())
	i.forge(again)
	opened := b.first("request.opened.", "")
	i.forge(as(opened, request, "request.erasure-ordered.v1",
		fmt.Sprintf(`{"keys":[%q],"ground":"unlawful","completion":%q}`, uuid.New(), uuid.New())))
	i.forge(as(opened, request, "request.erasure-ordered.v1", `{"keys":"all"}`))
	// It would take a true event out of the views.
	i.forge(as(b.first("ledger.created.", ""), schemas.LedgerStream, "ledger.disowned.v1",
		fmt.Sprintf(`{"events":[{"id":%q,"sequence":%d}],"ground":"mistake"}`, act.ID, b.seqOf(act.ID))))
}

func (b *besieged) seqOf(id uuid.UUID) uint64 {
	for _, r := range b.events {
		if r.ID == id {
			return r.Seq
		}
	}
	b.Fatal("no such event")
	return 0
}

// unfitting writes what somebody with the vault could sign and no program of ours writes.
func (b *besieged) unfitting(i *intruder) {
	b.Helper()
	p := b.n.connect(b.ctx)
	k, known, err := p.vault.OriginKey(b.ctx, b.tenant)
	if err != nil || !known {
		b.Fatal(known, err)
	}
	var last uint64
	for r, err := range p.ledger.ReadStream(b.ctx, b.other, 0) {
		if err != nil {
			b.Fatal(err)
		}
		last = r.Revision
	}
	e := b.first("device.", b.other)
	m, err := schemas.ParseMetadata(e.Metadata)
	if err != nil {
		b.Fatal(err)
	}
	if e.Metadata, err = m.Encode(); err != nil {
		b.Fatal(err)
	}
	e.ID, e.Data = uuid.New(), json.RawMessage(`{"set":7}`)
	i.plant("unfitting", schemas.Sign(e, last+1, k), esdb.Revision(last))
}

// Whatever others write into the event store: imports, requests and erasures go on, status
// tells it as what it is, and the printed way out leads to a ledger that shows what one
// shows that nobody attacked.
func TestSiegeOfForeignEvents(t *testing.T) {
	t.Parallel()
	folders, upns, source := siegeFleet(t, 15, 4)
	b := &besieged{T: t, ctx: t.Context(), n: newNode(t), folders: folders, source: source}
	b.begin(upns[0])
	n := b.n
	i := n.intruder(b.ctx)

	// Foreign events while devices change.
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for range 40 {
			select {
			case <-stop:
				return
			default:
				b.strays(i)
			}
		}
	})
	b.importDay(1)
	close(stop)
	writing.Wait()
	b.strays(i)
	n.awaitStatus("the foreign events, and no problem", func(s siegeStatus, r result) bool {
		return whole(s, r) && s.ForeignEvents.Count == i.foreign
	})
	if text := n.must("", "status"); !strings.Contains(text, fmt.Sprintf("foreign  events in the store: %d,",
		i.foreign)) {
		t.Errorf("status says\n%s\nwant %d foreign events", text, i.foreign)
	}
	if c, code := n.ledgerCheck(); code != 0 || c.Foreign != i.foreign || c.Forged+c.Unfitting > 0 {
		t.Errorf("the check exits with %d and counts %d foreign, %d forged, %d unfitting events; %d foreign "+
			"ones were written", code, c.Foreign, c.Forged, c.Unfitting, i.foreign)
	}

	// Forged ones. The same devices change again.
	b.forgeries(i)
	b.importDay(2)
	b.unfitting(i)
	forged := 0
	for _, p := range i.named {
		if p.Verdict == "forged" {
			forged++
		}
	}
	tell := func(when string) siegeStatus {
		t.Helper()
		return n.awaitStatus("the forged events "+when, func(s siegeStatus, r result) bool {
			return r.code == 1 && s.Forged.Count == forged && s.problem("forged events") != "" && s.Relay.Lag == 0 &&
				s.Views.Applied == s.Relay.Events
		})
	}
	tell("at once")
	if again := n.importJSON("Contoso", folders[:3]...); again.EventsAppended != 0 {
		t.Errorf("importing again appended %d events", again.EventsAppended)
	}

	// A person is erased; everything is killed between the order and its completion.
	b.eraseAndKill()
	started := make(chan error, 1)
	go func() { started <- n.start() }() // it waits until no process can hold a derived key
	calm := &besieged{T: t, ctx: t.Context(), n: newNode(t), folders: folders, source: source}
	calm.begin(upns[0])
	for day := 1; day < len(folders); day++ {
		calm.importDay(day)
	}
	want := calm.n.reports(b.intuneIDs)
	calm.n.stop()
	if err := <-started; err != nil {
		n.dumpLog()
		t.Fatalf("up does not start again: %v", err)
	}
	if log, err := os.ReadFile(filepath.Join(n.dir, "up.log")); err != nil ||
		!bytes.Contains(log, []byte("erasures that were interrupted: 1 completed, 0 had not begun")) {
		t.Errorf("the start does not say that it completed the erasure (%v)", err)
	}
	if r := n.run("", "dsar", "erase", b.request, "--tenant", "Contoso", "--ground", "unlawful",
		"--yes"); r.code != 1 || !strings.Contains(r.stderr, "erased before") {
		t.Errorf("erasing again: exit %d, %s", r.code, r.stderr)
	}
	var req struct{ Request string }
	if err := json.Unmarshal([]byte(n.must(upns[1], "dsar", "open", "--tenant", "Contoso", "--subject", "-",
		"--output", "json")), &req); err != nil {
		t.Fatal(err)
	}
	// Forged events repeat sealed values and keep nobody from a package or a report: both are
	// made, and say what finds and ends them.
	export := []string{"dsar", "export", req.Request, "--tenant", "Contoso", "--dir", t.TempDir()}
	if r := n.run("", export...); r.code != 0 || !strings.Contains(r.stderr, "`ledgerline ledger check`") {
		t.Errorf("a package while forged events stand: exit %d, %s", r.code, r.stderr)
	}
	masked := n.run("", "report", "admin-actions", "--tenant", "Contoso", "--masked")
	if masked.code != 0 || !strings.Contains(masked.stderr, "warning: this is made while a problem stands: "+
		"forged events") {
		t.Errorf("a report while forged events stand: exit %d, %s", masked.code, masked.stderr)
	}
	b.importDay(3)
	if fmt.Sprint(b.imports) != fmt.Sprint(calm.imports) {
		t.Errorf("read, appended, failed by day: %v, undisturbed %v", b.imports, calm.imports)
	}

	// The printed way out.
	s := tell("after a restart")
	commands := printedCommands(s.problem("forged events"))
	if fmt.Sprint(commands) != "[[ledger check] [ledger disown]]" {
		t.Fatalf("the problem names the commands %v: %q", commands, s.Problems)
	}
	c, code := n.ledgerCheck()
	if got := c.notForeign(false); code != 1 || c.Foreign != i.foreign || !slices.Equal(got, i.named) {
		t.Errorf("the check exits with %d, counts %d foreign events of %d, and names\n%v\nwant\n%v", code, c.Foreign,
			i.foreign, got, i.named)
	}
	args := slices.Clone(commands[1])
	for _, p := range c.notForeign(false) {
		args = append(args, p.ID.String())
	}
	n.must("", append(args, "--ground", "intrusion", "--yes")...)
	// What the start found of tenants that the vault does not know is told until the next one.
	n.awaitStatus("that nothing forged is left", func(s siegeStatus, _ result) bool {
		return s.Forged.Count == 0 && !slices.ContainsFunc(s.Problems, func(p string) bool {
			return !strings.HasPrefix(p, "vault: 1 events are of tenants that it does not know")
		})
	})
	n.stop()
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	n.awaitStatus("that all is well", whole)
	if c, code := n.ledgerCheck(); code != 0 || !slices.Equal(c.notForeign(true), i.named) ||
		len(c.notForeign(false)) > 0 {
		t.Errorf("after disowning the check exits with %d and names %v", code, c.notForeign(false))
	}
	sameReports(t, want, n.reports(b.intuneIDs))
	n.must("", append(export[:len(export)-1:len(export)-1], t.TempDir())...)
	n.must("", "views", "reconcile", "--deep")
	_, leaves := genuine(t, b.ctx, n.connect(b.ctx))
	for at, leaf := range b.leaves {
		if leaves[at] != leaf {
			t.Errorf("event %s, sequence %d, is not what it was", at.Event, at.Seq)
		}
	}
	if text := n.must("", "status"); !strings.Contains(text, "foreign  events in the store") ||
		strings.Contains(text, "PROBLEM") {
		t.Errorf("status says\n%s", text)
	}
	n.stop()
}

// eraseAndKill erases the person of the request and kills everything when the keys are
// gone and nothing says so yet.
func (b *besieged) eraseAndKill() {
	b.Helper()
	cmd := b.n.command(b.ctx, nil, "dsar", "erase", b.request, "--tenant", "Contoso", "--ground", "unlawful", "--yes")
	errs, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(errs); lines.Scan(); {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), "waiting") {
			break
		}
	}
	b.n.kill()
	if err := cmd.Process.Kill(); err != nil {
		b.Fatalf("the erasure ended by itself: %v, %q", err, said)
	}
	_ = cmd.Wait() // killed
}

// partitionsOfATopic is the default of consumers/kafka.
const partitionsOfATopic = 4

// foreignWriter writes into the topics what it likes: it has the relay's account there.
type foreignWriter struct {
	t      testing.TB
	ctx    context.Context
	client *kafkago.Client
}

func (n *node) foreignWriter(ctx context.Context) foreignWriter {
	n.t.Helper()
	d := n.door("kafka", "relay")
	login, err := scram.Mechanism(scram.SHA256, d.User, d.Password)
	if err != nil {
		n.t.Fatal(err)
	}
	transport := &kafkago.Transport{SASL: login}
	n.t.Cleanup(transport.CloseIdleConnections)
	return foreignWriter{n.t, ctx, &kafkago.Client{Addr: kafkago.TCP(d.Brokers), Transport: transport,
		Timeout: 10 * time.Second}}
}

func (w foreignWriter) write(m consumers.Message) {
	w.t.Helper()
	r := kafkago.Record{Value: kafkago.NewBytes(m.Value)}
	if m.Key != nil {
		r.Key = kafkago.NewBytes(m.Key)
	}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
	}
	res, err := w.client.Produce(w.ctx, &kafkago.ProduceRequest{Topic: m.Topic, Partition: m.Partition,
		RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(r)})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		w.t.Errorf("produce to %s/%d: %v", m.Topic, m.Partition, err)
	}
}

func (w foreignWriter) deleteTopic(topic string) {
	w.t.Helper()
	res, err := w.client.DeleteTopics(w.ctx, &kafkago.DeleteTopicsRequest{Topics: []string{topic}})
	if err == nil {
		err = res.Errors[topic]
	}
	if err != nil {
		w.t.Errorf("delete %s: %v", topic, err)
	}
}

// forgedRecord is a well-formed record of an event that nobody wrote, in the partition of a
// genuine one.
func forgedRecord(t testing.TB, ledgerID uuid.UUID, like schemas.Envelope, seq uint64) consumers.Message {
	t.Helper()
	r := like.RecordedEvent
	r.ID, r.Seq, r.Type, r.Data = uuid.New(), seq, "device.retired.v1", json.RawMessage(`{}`)
	metadata, err := like.Meta().Encode()
	if err != nil {
		t.Fatal(err)
	}
	r.Metadata = metadata
	r.Event = schemastest.Sign(r.Event, r.Revision)
	out := consumers.Encode(ledgerID, schemastest.Envelope(r))
	out.Partition = kafka.Partition(out.Key, partitionsOfATopic)
	return out
}

// siem is a consumer with a group, as other programs are: it keeps what it handled last and
// counts what it is handed.
type siem struct {
	mu      sync.Mutex
	kept    map[string][]consumers.Handled
	handled map[uuid.UUID]int
	ended   []string // why a run ended
}

func (s *siem) Load(_ context.Context, topic string, partition int) ([]consumers.Handled, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept[fmt.Sprint(topic, "/", partition)]), nil
}

func (s *siem) Save(_ context.Context, topic string, partition int, handled []consumers.Handled) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := fmt.Sprint(topic, "/", partition)
	s.kept[at] = append(s.kept[at], handled...)
	if all := s.kept[at]; len(all) > consumers.MaxRound {
		s.kept[at] = all[len(all)-consumers.MaxRound:]
	}
	return nil
}

func (s *siem) handle(_ context.Context, events []schemas.Envelope) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range events {
		s.handled[r.ID]++
	}
	return nil
}

// run consumes until the returned function is called, and begins again where a
// forged record stopped it.
func (s *siem) run(n *node, ctx context.Context) (stop func()) {
	n.t.Helper()
	d := n.door("kafka", "consumer")
	client, err := kafka.New(kafka.Config{Brokers: []string{d.Brokers}, SASL: d.scram()})
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			group, err := client.Group(kafka.GroupConfig{Group: "siem"})
			if err == nil {
				err = consumers.Run(ctx, consumers.Config{Source: group, Handler: s.handle, DeadLetter: client,
					Positions: s, Logger: slog.New(slog.DiscardHandler)})
				_ = group.Close() // the broker may be gone
			}
			if err != nil && ctx.Err() == nil {
				s.mu.Lock()
				s.ended = append(s.ended, err.Error())
				s.mu.Unlock()
			}
			_ = retry.Wait(ctx, 10*poll) // ctx is asked next
		}
	})
	return func() { cancel(); running.Wait(); _ = client.Close() }
}

// awaitHandled waits until the consumer has handled each event, and fails where it handled one
// twice or another.
func (s *siem) awaitHandled(t testing.TB, events []schemas.Envelope) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		s.mu.Lock()
		missing := 0
		for _, r := range events {
			if s.handled[r.ID] == 0 {
				missing++
			}
		}
		s.mu.Unlock()
		if missing == 0 {
			break
		}
		if retry.Wait(ctx, 5*poll) != nil {
			t.Fatalf("the consumer does not handle %d of %d events; its runs ended with %q", missing,
				len(events), s.ended)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, times := range s.handled {
		if times != 1 || !slices.ContainsFunc(events, func(r schemas.Envelope) bool { return r.ID == id }) {
			t.Errorf("the consumer handled event %s %d times, of %d genuine ones", id, times, len(events))
		}
	}
}

// tailed are the sequences that tail prints.
func (n *node) tailed() (seqs []uint64) {
	n.t.Helper()
	for line := range strings.Lines(n.must("", "tail", "--from-start", "--until-end", "--output", "json")) {
		var e struct{ Sequence uint64 }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			n.t.Fatalf("tail: %v: %s", err, line)
		}
		seqs = append(seqs, e.Sequence)
	}
	return seqs
}

func (n *node) tailsAll(events []schemas.Envelope) {
	n.t.Helper()
	seqs := n.tailed()
	for i := range events {
		if i >= len(seqs) || seqs[i] != uint64(i) {
			n.t.Errorf("tail shows the sequences %v of %d", seqs, len(events))
			return
		}
	}
	if len(seqs) != len(events) {
		n.t.Errorf("tail shows %d events of %d", len(seqs), len(events))
	}
}

// awaitLog waits until the log of `up` says something so many times.
func (n *node) awaitLog(text string, times int) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		log, err := os.ReadFile(filepath.Join(n.dir, "up.log"))
		if err == nil && bytes.Count(log, []byte(text)) >= times {
			return
		}
		if retry.Wait(ctx, 5*poll) != nil {
			n.dumpLog()
			n.t.Fatalf("the log of up does not say %q %d times (%v)", text, times, err)
		}
	}
}

// Whatever others write into the topics or delete there: `up` goes on, now and after a
// restart, every genuine event reaches views and consumers, and the printed way out removes
// what is not the ledger's.
func TestSiegeOfForeignRecords(t *testing.T) {
	t.Parallel()
	folders, upns, source := siegeFleet(t, 15, 4)
	b := &besieged{T: t, ctx: t.Context(), n: newNode(t), folders: folders, source: source}
	b.begin(upns[0])
	n := b.n
	reader := &siem{kept: map[string][]consumers.Handled{}, handled: map[uuid.UUID]int{}}
	stop := reader.run(n, b.ctx)
	p := n.connect(b.ctx)
	var like schemas.Envelope
	for _, r := range b.events {
		if r.Stream == b.device {
			like = r
		}
	}
	all := func() []schemas.Envelope {
		t.Helper()
		events, _ := genuine(t, b.ctx, p)
		return events
	}

	// Foreign records.
	foreign := func(w foreignWriter) {
		t.Helper()
		for partition := range partitionsOfATopic {
			w.write(consumers.Message{Topic: "ledger.device", Partition: partition, Value: []byte(`{"garbage":1}`)})
		}
		ahead := forgedRecord(t, p.ledger.ID(), like, 1_000_000)
		w.write(ahead)
		ahead.Headers = append(slices.Clone(ahead.Headers), ahead.Headers[0])
		w.write(ahead)
		ahead.Value = []byte("\xff")
		w.write(ahead)
		w.write(consumers.Message{Topic: consumers.PositionTopic, Key: []byte("x"), Value: []byte(`{"garbage":1}`)})
		w.write(consumers.Message{Topic: consumers.PositionTopic, Key: []byte(consumers.PositionKey),
			Value: []byte("\x00")})
		w.write(consumers.Message{Topic: consumers.PositionTopic, Key: []byte(consumers.PositionKey),
			Value: consumers.Position{Through: schemas.Anchor{LedgerID: p.ledger.ID(), Seq: 1_000_000,
				EventID: uuid.New()}}.Encode()})
	}
	w := n.foreignWriter(b.ctx)
	foreign(w)
	b.importDay(1)
	const wayOut = "`ledgerline relay refill ledger.device`"
	told := func(s siegeStatus, r result) bool {
		return whole(s, r) && strings.Contains(strings.Join(s.Foreign, "\n"), wayOut)
	}
	n.awaitStatus("foreign records, and no problem", told)
	reader.awaitHandled(t, all())
	n.tailsAll(all())
	stop()
	n.stop()
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatalf("up does not start among foreign records: %v", err)
	}
	p = n.connect(b.ctx)
	stop = reader.run(n, b.ctx)
	b.importDay(2)
	// In a partition without a genuine record since, the relay itself comes upon what
	// has a record's form and is not in the ledger. It cannot tell a forgery from an
	// event that the ledger lost.
	s := n.awaitStatus("foreign records after a restart, and no other problem", func(s siegeStatus, r result) bool {
		for _, p := range s.Problems {
			if !strings.Contains(p, "a record that is not the ledger's") || !strings.Contains(p, wayOut) {
				return false
			}
		}
		return len(s.Problems) > 0 && r.code == 1 || told(s, r)
	})
	reader.awaitHandled(t, all())
	n.must("", "views", "reconcile", "--deep")

	// Records that contradict the ledger's: the embedded broker's topic is filled again, once,
	// and then somebody is told.
	w = n.foreignWriter(b.ctx)
	w.write(forgedRecord(t, p.ledger.ID(), like, like.Seq))
	n.awaitLog("somebody else's records contradict the ledger's", 1)
	n.awaitStatus("that it healed itself", whole)
	w.write(forgedRecord(t, p.ledger.ID(), like, like.Seq))
	s = n.awaitStatus("a record that contradicts the ledger's",
		func(s siegeStatus, r result) bool { return r.code == 1 && len(s.Problems) > 0 })
	commands := printedCommands(strings.Join(append(s.Problems, s.Foreign...), "\n"))
	if len(commands) == 0 {
		t.Errorf("the problem names no command: %q", s.Problems)
	}
	stop()
	n.stop()
	for _, c := range commands {
		n.must("", c...)
	}
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	p = n.connect(b.ctx)
	n.awaitStatus("that the topic is clean", func(s siegeStatus, r result) bool {
		return whole(s, r) && len(s.Foreign) == 0
	})

	// A topic is deleted while nothing is published.
	n.foreignWriter(b.ctx).deleteTopic("ledger.adminaction")
	n.awaitLog("the embedded broker has lost topics; they are filled again from the ledger", 1)
	stop = reader.run(n, b.ctx)
	b.importDay(3)
	n.awaitStatus("that all is well", whole)
	reader.awaitHandled(t, all())
	n.tailsAll(all())
	stop()
	check(t, n) // topics, views, index and vault, byte for byte
	n.must("", "views", "reconcile", "--deep")
	n.stop()
	t.Logf("the consumer's runs ended with %q", reader.ended)
}
