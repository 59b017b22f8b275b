//go:build canary

package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// canaryNode is a node all of whose commands are listened to.
type canaryNode struct {
	*node
	t        *testing.T
	w        *canaryWorld
	scanner  *canaryScanner
	commands []heard // standard error of each, and standard output where it may show nothing
}

type heard struct {
	what    string
	text    string
	allowed func(*canary) bool
}

// do runs a command and keeps its standard error for the next look.
func (c *canaryNode) do(code int, input string, args ...string) string {
	c.t.Helper()
	r := c.run(input, args...)
	if r.code != code {
		c.t.Fatalf("ledgerline %s: exit %d, not %d\n%s", strings.Join(args[:min(2, len(args))], " "), r.code, code,
			c.redacted(r.stderr))
	}
	c.hear("standard error of "+args[0], r.stderr, nil)
	return r.stdout
}

// redacted replaces canaries by what they stand for: the test's own output names none.
func (c *canaryNode) redacted(text string) string {
	for _, k := range c.w.all {
		text = strings.ReplaceAll(text, k.text, "["+k.id+"]")
	}
	return text
}

func (c *canaryNode) hear(what, text string, allowed func(*canary) bool) {
	c.commands = append(c.commands, heard{what, text, allowed})
}

// take imports folders. What the command says may name files, fields and kinds, and
// nothing that stands in a record.
func (c *canaryNode) take(paths ...string) intake.Summary {
	c.t.Helper()
	r := c.run("", append([]string{"import", "--yes", "--output", "json"}, paths...)...)
	var s intake.Summary
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil || !s.Balanced() {
		c.t.Fatalf("import: exit %d, %v\n%s", r.code, err, c.redacted(r.stderr))
	}
	c.hear("import", r.stdout+r.stderr, func(k *canary) bool { return k.in == shown })
	return s
}

// events decodes every event of the ledger and opens what the vault opens.
func (c *canaryNode) events(ctx context.Context) (drafts []schemas.Draft, plain map[schemas.Token]string) {
	c.t.Helper()
	plain = map[schemas.Token]string{}
	ok := c.t.Run("open every token", func(t *testing.T) { // its connections end with it
		on := *c.node
		on.t = t
		p := on.connect(ctx)
		asked := map[uuid.UUID][]vault.Sealed{}
		for r, err := range p.ledger.Events(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			d, err := schemas.Default().Decode(r)
			if err != nil {
				t.Fatal(err)
			}
			drafts = append(drafts, d)
			for _, v := range d.Values {
				if v.Token != "" {
					asked[d.Tenant] = append(asked[d.Tenant], vault.Sealed{Token: v.Token,
						Attr: v.Attr.ID, Event: d.ID})
				}
			}
		}
		for tenant, tokens := range asked {
			err := p.vault.View(ctx, tenant, func(tx *vault.Tx) error {
				opened, err := tx.Open(tokens)
				for i, o := range opened {
					if o.Err == nil {
						plain[tokens[i].Token] = string(o.Plain)
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if !ok {
		c.t.FailNow()
	}
	return drafts, plain
}

// wentThrough checks that each canary stands sealed under each attribute that it was meant for, so
// that its absence elsewhere says something.
func (c *canaryNode) wentThrough(ctx context.Context) {
	c.t.Helper()
	drafts, plain := c.events(ctx)
	sealed := map[string]*strings.Builder{}
	for _, d := range drafts {
		for _, v := range d.Values {
			if sealed[v.Attr.ID] == nil {
				sealed[v.Attr.ID] = &strings.Builder{}
			}
			sealed[v.Attr.ID].WriteString(strings.ToLower(plain[v.Token]) + "\n")
		}
	}
	var n int
	for _, k := range c.w.all {
		for a := range k.attributes {
			n++
			if sealed[a] == nil || !strings.Contains(sealed[a].String(), strings.ToLower(k.text)) {
				c.t.Errorf("%s was planted in %s and is not sealed there", k.id, a)
			}
		}
		if len(k.attributes) == 0 && k.in != native {
			for a, text := range sealed {
				if strings.Contains(text.String(), strings.ToLower(k.text)) && k.in != admin && k.in != chris &&
					k.in != anna && k.in != bram {
					c.t.Errorf("%s may be stored nowhere and is sealed in %s", k.id, a)
				}
			}
		}
	}
	c.t.Logf("%d values of attributes that hold a canary are sealed in the ledger", n)
}

// allPlanted checks that the records hold every canary but those that commands are given, in a
// form in which the scanner sees it.
func (c *canaryNode) allPlanted(given ...*canary) {
	c.t.Helper()
	found, _, err := c.scanner.scanFiles(filepath.Dir(c.w.day1), false)
	if err != nil {
		c.t.Fatal(err)
	}
	seen := map[*canary]bool{}
	for _, k := range given {
		seen[k] = true
	}
	for _, f := range append(found, c.scanner.scan("path", []byte(c.w.day1))...) {
		seen[f.canary] = true
	}
	for _, k := range c.w.all {
		if !seen[k] {
			c.t.Errorf("%s stands in no record", k.id)
		}
	}
}

// everyAttribute checks that no attribute of the catalogue was forgotten.
func (c *canaryNode) everyAttribute() {
	c.t.Helper()
	planted := map[string]bool{}
	for _, k := range c.w.all {
		for a := range k.attributes {
			planted[a] = true
		}
	}
	carried := map[string]bool{}
	for _, typ := range schemas.Default().Types() {
		for _, a := range typ.Attributes() {
			carried[a.ID] = true
		}
	}
	of := excused()
	maps.Copy(of, unreached)
	for _, a := range schemas.Default().Attributes() {
		reason, excused := of[a.ID]
		switch {
		case !carried[a.ID]:
			c.t.Errorf("%s: no event type carries it", a.ID)
		case excused && planted[a.ID]:
			c.t.Errorf("%s has a canary: take it off the list of those that cannot (%s)", a.ID, reason)
		case !excused && !planted[a.ID]:
			c.t.Errorf("%s has no canary", a.ID)
		}
	}
	for id := range unreached {
		if schemas.Default().Attribute(id) == nil {
			c.t.Errorf("%s is excused and not in the catalogue", id)
		}
	}
}

// shows checks what text holds of the canaries: all that it must, none that it may not.
func (c *canaryNode) shows(what, text string, must, may func(*canary) bool) {
	c.t.Helper()
	folded := strings.ToLower(text)
	var n int
	for _, k := range c.w.all {
		holds := strings.Contains(folded, strings.ToLower(k.text))
		switch {
		case must(k) && !holds:
			c.t.Errorf("%s does not show %s", what, k.id)
		case holds && !must(k) && !may(k):
			c.t.Errorf("%s shows %s", what, k.id)
		}
		if holds {
			n++
		}
	}
	c.t.Logf("%s: %d canaries", what, n)
}

func nobody(*canary) bool { return false }

func holding(attributes ...string) func(*canary) bool {
	return func(k *canary) bool {
		return slices.ContainsFunc(attributes, func(a string) bool { return k.attributes[a] })
	}
}

// histories runs the history of every device that is still found and returns all of it.
func (c *canaryNode) histories(purpose *canary, gone ...*canary) string {
	c.t.Helper()
	var out strings.Builder
	for _, d := range c.w.devices {
		if slices.Contains(gone, d) {
			continue
		}
		out.WriteString(c.do(0, d.text+"\n", "report", "device-history", "--all", "--device", "-", "--output", "json",
			"--purpose", "audit: look "+purpose.text))
	}
	return out.String()
}

// lookEverywhere scans files, logs, what commands said, and a dump
// through each server's interface.
func (c *canaryNode) lookEverywhere(ctx context.Context, when string) {
	c.t.Helper()
	begun, before := time.Now(), c.scanner.bytes
	l := &look{controls: map[string]map[string]bool{}}
	status, store, topics, views := c.door("status", "operator"), c.door("eventstore", "reader"),
		c.door("kafka", "reader"), c.door("clickhouse", "ledger")
	tail := c.do(0, "", "tail", "--from-start", "--until-end")
	tailJSON := c.do(0, "", "tail", "--from-start", "--until-end", "--output", "json")
	l.take("tail", c.scanner.scan("standard output", []byte(tail)), nil)
	l.take("tail as JSON", c.scanner.scan("standard output", []byte(tailJSON)), nil)
	masked := c.do(0, "", "report", "device-inventory", "--masked") +
		c.do(0, "", "report", "admin-actions", "--masked", "--output", "json") +
		c.do(0, "", "report", "remote-actions", "--masked", "--output", "json") +
		c.do(0, "", "report", "refused-collection", "--output", "json")
	for _, id := range []string{"requests", "data-access", "compliance-status", "leavers"} {
		masked += c.do(0, "", "report", id, "--masked", "--output", "json")
	}
	masked += c.do(0, strings.ToUpper(c.w.admin.upn.text)+canaryDomain+"\n", "report", "person-overview", "--person",
		"-", "--masked", "--output", "json")
	// their header says whose it is and who asked
	l.take("masked reports", c.scanner.scan("standard output", []byte(masked)),
		func(k *canary) bool { return k == c.w.tenantName || k == c.w.operator })
	l.take("status", c.scanner.scan("standard output", []byte(c.do(0, "", "status")+
		c.do(0, "", "status", "--output", "json"))), nil)
	l.take("status", c.scanner.scan("endpoint", status.ask(c.t, ctx, http.MethodGet, "/status", "")), nil)
	l.take("status", c.scanner.scan("metrics", status.ask(c.t, ctx, http.MethodGet, "/metrics", "")), nil)
	for _, profile := range []string{"goroutine?debug=2", "heap?debug=1"} {
		l.take("status", c.scanner.scan("profile", status.ask(c.t, ctx, http.MethodGet, "/debug/pprof/"+profile, "")),
			nil)
	}
	l.take("event store's dump", c.scanner.scan("$all", dumpEventStore(c.t, ctx, store.esdb(c.t))), nil)
	l.take("Kafka's dump", c.scanner.scan("topics", dumpKafka(c.t, ctx, topics)), nil)
	l.take("ClickHouse's dump", c.scanner.scan("tables", dumpClickHouse(c.t, ctx, views)), nil)
	l.files(c.t, c.scanner, c.node, true)
	c.lookAtCommands(l)
	l.report(c.t, when)
	l.mustShow(c.t, when, c.w.controls, false, "files of eventstore", "files of kafka", "files of clickhouse",
		"event store's dump", "Kafka's dump", "ClickHouse's dump", "tail as JSON")
	l.mustShow(c.t, when, c.w.controls, true, "tail", "masked reports")
	c.t.Logf("%s: %d needles for %d canaries, %d MiB in %d places, %s", when, len(c.scanner.needles), len(c.w.all),
		(c.scanner.bytes-before)>>20, l.places, time.Since(begun).Round(time.Millisecond))
}

func (c *canaryNode) lookAtCommands(l *look) {
	for _, h := range c.commands {
		l.take("commands", c.scanner.scan(h.what, []byte(h.text)), h.allowed)
	}
}

// lookAtRest scans the files of a node that has stopped.
func (c *canaryNode) lookAtRest(when string) {
	c.t.Helper()
	begun, before := time.Now(), c.scanner.bytes
	l := &look{controls: map[string]map[string]bool{}}
	l.files(c.t, c.scanner, c.node, false)
	c.lookAtCommands(l)
	l.report(c.t, when)
	l.mustShow(c.t, when, c.w.controls, false, "files of eventstore", "files of kafka", "files of clickhouse")
	c.t.Logf("%s: %d MiB, %s", when, (c.scanner.bytes-before)>>20, time.Since(begun).Round(time.Millisecond))
}

// export makes a request's package outside the data directory and returns
// the text of all its files.
func (c *canaryNode) export(request string) string {
	c.t.Helper()
	var doc struct{ File string }
	dir := c.t.TempDir()
	if err := json.Unmarshal([]byte(c.do(0, "", "dsar", "export", request, "--dir", dir, "--output", "json")),
		&doc); err != nil {
		c.t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		c.t.Errorf("the export leaves %d files, %v", len(left), err)
	}
	r, err := zip.OpenReader(doc.File)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Close()
	var out bytes.Buffer
	out.WriteString(filepath.Base(doc.File))
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			c.t.Fatal(err)
		}
		out.WriteString(f.Name)
		if _, err := io.Copy(&out, in); err != nil {
			c.t.Fatal(err)
		}
		if err := in.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
	return out.String()
}

func (c *canaryNode) open(right, subject string) string {
	c.t.Helper()
	var doc struct{ Request string }
	if err := json.Unmarshal([]byte(c.do(0, subject+"\n", "dsar", "open", "--subject", "-", "--right", right,
		"--identity-method", "call-back", "--output", "json")), &doc); err != nil {
		c.t.Fatal(err)
	}
	return doc.Request
}

// refused runs a report on what nobody knows. What was asked about is no business of a log
// that keeps standard error.
func (c *canaryNode) refused(input string, args ...string) {
	c.t.Helper()
	r := c.run(input, args...)
	if r.code != 2 {
		c.t.Errorf("ledgerline %s on what nobody knows: exit %d, not 2", strings.Join(args[:2], " "), r.code)
	}
	c.hear("standard error of "+strings.Join(args[:2], " ")+" on what nobody knows", r.stderr, nil)
}

// freeText is shown to nobody before a human has read it.
var freeText = holding("device.notes", "action.details", "action.reason", "access.purpose", "access.filters")

func TestCanary(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	w := newCanaryWorld(t, t.TempDir())
	purpose, stranger := w.word(officer, "purpose"), w.word(never, "subject that nobody knows")
	purpose.of("access.purpose")
	ground := w.word(tenants, "ground of a period")
	ground.of("policy.retention-grounds")
	reason := w.word(officer, "reason of a merge")
	reason.of("subject.reason")
	// What a report is asked for and nobody knows is refused before anything is recorded of it.
	filter, unknownActor, unknownDevice := w.word(never, "filter"), w.word(never, "actor that nobody knows"),
		w.guid(never, "device that nobody knows")
	w.anna.upn.of("request.subject")
	c := &canaryNode{t: t, w: w, scanner: newCanaryScanner(w.all)}
	c.allPlanted(w.tenantName, w.operator, purpose, ground, reason, filter, stranger, unknownActor, unknownDevice)
	c.everyAttribute()
	c.node = newNode(t, "LEDGERLINE_EMBEDDED_UNCOMPRESSED=true", "LEDGERLINE_LOG_LEVEL=debug",
		"LEDGERLINE_OPERATOR="+w.operator.text+"@ops.example")
	c.env = append(c.env, "TMPDIR="+c.dir+"/tmp")
	if err := os.Mkdir(c.dir+"/tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	c.do(0, "", "tenant", "add", w.tenantName.text, "--source-tenant", w.tenantID.text, "--language", "nl")
	c.do(0, "", "tenant", "policy", "set", w.tenantName.text, "--retention", "apps=30d",
		"--ground", ground.text, "--diagnostics", "in")

	declared, secrets := declaredTaken()
	s := c.take(w.day1)
	if s.FailedCount != 7 || len(s.Unrecognised) != 4 || s.Refused["sealed-prefix"] != 1 ||
		s.Recorded != 9+2+1+24+3+2+declared || s.ListItemsRefused["apps-on-personal-device"] != 3 ||
		s.ValuesWithheld != 10+2+secrets {
		t.Errorf("day 1: %d failed, %d kinds unrecognised, %d recorded (%d declared), items refused %v, %d withheld "+
			"(%d declared)", s.FailedCount, len(s.Unrecognised), s.Recorded, declared, s.ListItemsRefused,
			s.ValuesWithheld, secrets)
	}
	if s := c.take(w.day2); s.Recorded != 1 || s.FailedCount > 0 {
		t.Errorf("day 2: %d recorded, %d failed", s.Recorded, s.FailedCount)
	}
	if s := c.take(w.day1, w.day2); s.EventsAppended > 0 {
		t.Errorf("imported again, %d events are appended", s.EventsAppended)
	}

	if s := c.take(w.folder); s.Recorded != markedTaken || s.ValuesWithheld != markedSecrets || s.FailedCount > 0 {
		t.Errorf("marked: %d recorded, %d withheld, %d failed", s.Recorded, s.ValuesWithheld, s.FailedCount)
	}

	history := c.histories(purpose)
	c.shows("the devices' histories", history, func(k *canary) bool {
		return k.in == standing && strings.HasPrefix(k.id, "device.") ||
			k.in != never && slices.ContainsFunc(slices.Collect(maps.Keys(k.attributes)),
				func(a string) bool { return strings.HasPrefix(a, "device.") })
	}, func(k *canary) bool { return k.in != never && k.in != shown && k.in != native })
	inventory := c.do(0, "", "report", "device-inventory", "--output", "json", "--purpose", "audit: "+purpose.text)
	c.shows("the inventory", inventory, func(k *canary) bool {
		return k.in != moved && k.in != bram && holding("device.name", "device.serial-number", "device.enrolled-at",
			"device.last-contact")(k)
	}, func(k *canary) bool { return k.in != never && k.in != shown && k.in != native })
	actions := c.do(0, "", "report", "admin-actions", "--output", "json", "--purpose", "audit: "+purpose.text)
	c.shows("the admin actions", actions, holding("action.actor-upn", "action.target-name", "action.changes",
		"action.actor-ip", "action.application-name", "action.details", "action.verb", "action.category",
		"action.result", "action.operation", "action.actor-type", "action.delegated"),
		func(k *canary) bool { return k.in != never && k.in != shown && k.in != native })
	c.shows("the actions of one actor", c.do(0, strings.ToUpper(w.admin.upn.text)+canaryDomain+"\n", "report",
		"admin-actions", "--actor", "-", "--output", "csv", "--purpose", "audit: "+purpose.text),
		func(k *canary) bool { return k == w.admin.upn }, func(k *canary) bool {
			return k.in != never && k.in != shown && k.in != native
		})
	c.refused("", "report", "device-inventory", "--platform", filter.text, "--output", "csv",
		"--purpose", "audit: "+purpose.text)
	c.do(0, "", "report", "refused-collection", "--output", "json")
	c.do(1, stranger.text+canaryDomain+"\n", "dsar", "open", "--subject", "-", "--right", "access")

	merged := c.do(0, w.bram.id.text+"\n", "subject", "merge", "--subject", "-", "--with", w.admin.id.text,
		"--reason", reason.text)
	c.do(0, "", "subject", "unmerge", anyUUID.FindString(merged), "--reason", reason.text)

	why := "audit: " + purpose.text
	c.refused(unknownDevice.text+"\n", "report", "device-history", "--device", "-", "--purpose", why)
	c.refused("", "report", "admin-actions", "--actor", unknownActor.text+canaryDomain, "--purpose", why)

	request := c.open("access", strings.ToUpper(w.anna.upn.text)+canaryDomain)
	c.shows("the person's package", c.export(request),
		func(k *canary) bool { return (k.in == anna || k.in == annas) && len(k.attributes) > 0 && !freeText(k) },
		func(k *canary) bool {
			return k.in == standing || k.in == tenants || k.in == moved || k.in == anna && !freeText(k)
		})
	for _, other := range []struct {
		person canaryPerson
		his    []keeper
	}{{w.bram, []keeper{bram, brams}}, {w.admin, []keeper{admin}}} {
		his := func(k *canary) bool {
			return slices.Contains(other.his, k.in) && len(k.attributes) > 0 && !freeText(k)
		}
		c.shows("the package of "+string(other.person.in), c.export(c.open("access", other.person.id.text)), his,
			func(k *canary) bool {
				return k.in == standing || k.in == tenants || k.in == moved && other.person.in == bram
			})
	}
	c.wentThrough(ctx)
	c.keptOpen(ctx)
	c.lookEverywhere(ctx, "before erasure")

	c.do(0, "", "dsar", "erase", c.open("erasure", w.anna.id.text), "--ground", "no-longer-necessary", "--yes")
	afterwards := func(when string) {
		t.Helper()
		hers := func(k *canary) bool { return k.in == anna || k.in == annas || k.in == moved }
		c.shows(when+", the person's package", c.export(request), nobody,
			func(k *canary) bool { return k.in == standing || k.in == tenants && !hers(k) })
		notHers := func(k *canary) bool { return k.in != anna && k.in != never && k.in != shown && k.in != native }
		c.shows(when+", the reports", c.histories(purpose, append([]*canary{w.personal, w.devices[4]}, w.gone...)...)+
			c.do(0, "", "report", "device-inventory", "--output", "json", "--purpose", "audit: "+purpose.text)+
			c.do(0, "", "report", "admin-actions", "--output", "json", "--purpose", "audit: "+purpose.text),
			func(k *canary) bool {
				return (k.in == admin || k.in == brams || k.in == annas) &&
					holding("action.actor-upn", "device.name", "device.serial-number")(k)
			}, notHers)
		_, plain := c.events(ctx)
		c.shows(when+", what opens", strings.Join(slices.Collect(maps.Values(plain)), "\n"), func(k *canary) bool {
			return (k.in == admin || k.in == bram || k.in == brams || k.in == chris || k.in == annas ||
				k.in == officer) && len(k.attributes) > 0
		}, notHers)
		c.do(1, w.anna.upn.text+canaryDomain+"\n", "dsar", "open", "--subject", "-", "--right", "access")
	}
	afterwards("after erasure")
	if s := c.take(w.day1, w.day2); s.ValuesOmitted == 0 && s.Refused["erased-subject"] == 0 {
		t.Errorf("the erased person's old records were taken again: %d recorded, no value omitted, none refused",
			s.Recorded)
	}
	c.take(w.folder)
	afterwards("imported again")
	c.lookEverywhere(ctx, "after erasure")
	c.stop()
	c.lookAtRest("stopped")
	if err := c.start("LEDGERLINE_LOG_FORMAT=json"); err != nil {
		t.Fatal(err)
	}
	c.lookEverywhere(ctx, "started again")
	c.kill()
	c.lookAtRest("killed")
	t.Logf("%d needles × %d MiB", len(c.scanner.needles), c.scanner.bytes>>20)
}
