//go:build bench && unix

package office

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/cputime"
	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
)

func TestMain(m *testing.M) { chtest.Main(m) }

// asked is a number from the environment.
func asked(t testing.TB, key string, otherwise int) int {
	s := os.Getenv(key)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

// aged is an office whose views hold a fleet's ledger, one person with many events, and as many
// events of others as a ledger of some age has.
type aged struct {
	*Office
	t       testing.TB
	cfg     clickhouse.Config
	views   *clickhouse.DB // that counts what it reads
	reads   *chtest.Reads
	fill    *clickhouse.DB
	store   *ledgertest.Memory
	ledger  *ledger.Ledger
	vault   *vault.Vault
	custody *custody.Custody
	tenant  vault.Tenant

	projected int    // of the store's events
	next      uint64 // sequence in the views

	admins                  [20]uuid.UUID
	person, device, request uuid.UUID
	upn                     string
}

func newAged(t testing.TB) *aged {
	t.Helper()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	a := &aged{t: t, store: ledgertest.NewMemory(), cfg: chtest.Config(t)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := sqlite.Create(ctx, filepath.Join(t.TempDir(), "vault.db"))
	must(err)
	a.vault, err = vault.Create(ctx, vault.Config{Store: st, KEK: vaulttest.KEK(t), Clock: time.Now, Logger: log})
	must(err)
	t.Cleanup(func() { _ = a.vault.Close() })
	a.ledger, err = ledger.Create(ctx, ledger.Config{Store: a.store, Origin: a.vault.OriginKey, Logger: log,
		Clock: time.Now})
	must(err)
	a.custody, err = custody.New(custody.Config{Ledger: a.ledger, Vault: a.vault, Logger: log, Clock: time.Now,
		Settle: time.Millisecond})
	must(err)
	list, err := accounts.New(accounts.Config{Store: a.vault, Clock: time.Now, Cost: cheap})
	must(err)
	must(clickhouse.Migrate(ctx, a.cfg))
	a.fill = chtest.Open(t, a.cfg)
	a.views, a.reads = chtest.Count(t, a.cfg)
	a.Office, err = New(Config{Vault: a.vault, Accounts: list, Ledger: a.ledger, Custody: a.custody, Clock: time.Now,
		Logger: log, Views: func(context.Context) (Views, error) { return a.views, nil },
		Topics: func(context.Context) (Topics, error) { return nil, nil }})
	must(err)
	a.tenant, err = a.AddTenant(ctx, root, vault.NewTenant{Name: "Contoso", AnySource: true, Language: "en"})
	must(err)

	fc := fleet.Sized(asked(t, "DEVICES", 1000))
	fc.Days = 3
	dir := t.TempDir() + "/fleet"
	_, err = fleet.Write(ctx, fc, dir, nil)
	must(err)
	_, err = a.Import(ctx, root, a.tenant.ID, intake.Source{Paths: []string{dir}}, Pace{}, nil)
	must(err)
	a.subject(asked(t, "SUBJECT", 1000))
	a.actions(asked(t, "ACTIONS", 10000))
	r, err := a.OpenRequest(ctx, root, a.tenant.ID, custody.NewRequest{Right: "access", Identifier: a.upn,
		Method: "in-person", Received: time.Now()})
	must(err)
	a.request = r.ID
	a.project()
	return a
}

// append seals and appends drafts, in portions that fit a transaction.
func (a *aged) append(drafts []schemas.Draft) {
	a.t.Helper()
	revision := map[schemas.Stream]uint64{}
	for len(drafts) > 0 {
		part := drafts[:min(len(drafts), 2000)]
		drafts = drafts[len(part):]
		events := make([]schemas.Event, len(part))
		err := a.vault.Update(context.Background(), a.tenant.ID, func(tx *vault.Tx) error {
			for i := range part {
				if err := tx.Seal(&part[i]); err != nil {
					return err
				}
				var err error
				if events[i], err = schemas.Default().Encode(part[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			a.t.Fatal(err)
		}
		for _, e := range events {
			expect := ledger.NoStream
			if n, ok := revision[e.Stream]; ok {
				expect = ledger.Exact(n)
			}
			last, err := a.ledger.Append(context.Background(), e.Stream, expect, []schemas.Event{e})
			if err != nil {
				a.t.Fatal(err)
			}
			revision[e.Stream] = last
		}
	}
}

func val(attr string, path []string, v any, o schemas.Owner) schemas.Value {
	return schemas.Value{Attr: schemas.Default().MustAttribute(attr), Path: path, Plain: schemas.JSON(v), Owner: o}
}

// subject makes a person with n events: of their device, and actions that concern them.
func (a *aged) subject(n int) {
	a.t.Helper()
	a.upn = "subject@contoso.example"
	start := time.Date(2026, 2, 1, 9, 0, 0, 0, time.UTC)
	var stream schemas.Stream
	err := a.vault.Update(context.Background(), a.tenant.ID, func(tx *vault.Tx) error {
		var err error
		a.person, _, err = tx.Person(vault.PersonHint{ObjectID: uuid.NewString(), UPN: a.upn, At: start})
		if err != nil {
			return err
		}
		d, _, err := tx.Device(vault.DeviceHint{IntuneID: uuid.NewString(), At: start})
		if err != nil {
			return err
		}
		a.device, stream = d.ID, d.Stream
		_, err = tx.SetHolder(d.ID, "company", a.person, start)
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	person := schemas.Owner{Kind: schemas.OwnerPerson, ID: a.person}
	device := schemas.Owner{Kind: schemas.OwnerDevice, ID: a.device}
	var drafts []schemas.Draft
	for i := range n {
		at := start.Add(time.Duration(i) * time.Hour / 2)
		if i%3 == 2 {
			drafts = append(drafts, a.action(at, person))
			continue
		}
		typ := "device.inventory-changed.v1"
		if i == 0 {
			typ = "device.enrolled.v1"
		}
		d := schemas.Draft{Type: schemas.Default().MustType(typ), Tenant: a.tenant.ID,
			Stream: stream, ID: uuid.New(), Occurred: at, Recorded: at.Add(time.Minute), Source: "graph",
			Subjects: []schemas.SubjectRef{{Role: "user", Person: a.person}, {Role: "owner", Person: a.person}},
			Values: []schemas.Value{val("device.name", nil, fmt.Sprintf("LAPTOP-%d", i), person),
				val("device.user-name", nil, "Sam Subject", person), val("device.host-name", nil, "h", person),
				val("device.os-version", nil, fmt.Sprintf("10.%d", i), device),
				val("device.storage-free", nil, i*1000, device),
				val("device.last-contact", nil, schemas.Time(at), device)}}
		d.Values = slices.DeleteFunc(d.Values, func(v schemas.Value) bool {
			return !slices.Contains(d.Type.Attributes(), v.Attr)
		})
		drafts = append(drafts, d)
	}
	a.append(drafts)
}

// action is an admin action on a person's phone.
func (a *aged) action(at time.Time, target schemas.Owner) schemas.Draft {
	actor := schemas.Owner{Kind: schemas.OwnerPerson, ID: a.admin(at)}
	t := []string{"0"}
	return schemas.Draft{Type: schemas.Default().MustType("adminaction.recorded.v1"), Tenant: a.tenant.ID,
		Stream: schemas.NewStream("adminaction", uuid.New()), ID: uuid.New(), Occurred: at,
		Recorded: at.Add(time.Minute), Source: "graph",
		Subjects: []schemas.SubjectRef{{Role: "actor", Person: actor.ID}, {Role: "target", Person: target.ID}},
		Values: []schemas.Value{val("action.verb", nil, "update", schemas.Owner{}),
			val("action.operation", nil, "Patch ManagedDevice", schemas.Owner{}),
			val("action.result", nil, "success", schemas.Owner{}),
			val("action.actor-type", nil, "user", schemas.Owner{}),
			val("action.actor-upn", nil, "admin@contoso.example", actor),
			val("action.actor-ip", nil, "192.0.2.7", actor),
			val("action.application-name", nil, "Intune portal", schemas.Owner{Kind: schemas.OwnerTenant}),
			val("action.target-type", t, "ManagedDevice", schemas.Owner{}),
			val("action.target-name", t, "Sam's phone", target),
			val("action.changes", t, []map[string]any{{"name": "DeviceName", "old": "a", "new": "b"}}, target)}}
}

// admin is one of twenty who act.
func (a *aged) admin(at time.Time) uuid.UUID {
	n := int(at.Unix()/60) % len(a.admins)
	if a.admins[n] != uuid.Nil {
		return a.admins[n]
	}
	err := a.vault.Update(context.Background(), a.tenant.ID, func(tx *vault.Tx) (err error) {
		a.admins[n], _, err = tx.Person(vault.PersonHint{ObjectID: uuid.NewString(),
			UPN: fmt.Sprintf("admin%d@contoso.example", n), At: at})
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return a.admins[n]
}

// actions makes n actions, on a person among a thousand each.
func (a *aged) actions(n int) {
	a.t.Helper()
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	var persons []uuid.UUID
	err := a.vault.Update(context.Background(), a.tenant.ID, func(tx *vault.Tx) error {
		for range min(n, 1000) {
			id, _, err := tx.Person(vault.PersonHint{ObjectID: uuid.NewString(), At: start})
			if err != nil {
				return err
			}
			persons = append(persons, id)
		}
		return nil
	})
	if err != nil {
		a.t.Fatal(err)
	}
	var drafts []schemas.Draft
	for i := range n {
		drafts = append(drafts, a.action(start.Add(time.Duration(i)*time.Minute),
			schemas.Owner{Kind: schemas.OwnerPerson, ID: persons[i%len(persons)]}))
	}
	a.append(drafts)
}

// project brings the views to the ledger's end.
func (a *aged) project() {
	a.t.Helper()
	events := a.store.Events()
	var rows []projections.Row
	for _, e := range events[a.projected:] {
		e.Seq = a.next
		a.next++
		env, err := schemas.NewEnvelope(e)
		if err != nil {
			a.t.Fatal(err)
		}
		rows = append(rows, projections.RowOf(env))
		if len(rows) == 5000 {
			a.insert(rows)
			rows = nil
		}
	}
	a.projected = len(events)
	a.insert(rows)
}

func (a *aged) insert(rows []projections.Row) {
	a.t.Helper()
	if err := a.fill.Insert(context.Background(), rows); err != nil {
		a.t.Fatal(err)
	}
	a.position()
}

func (a *aged) position() {
	a.t.Helper()
	if err := a.fill.SavePosition(context.Background(), "projector", projections.Position{
		Saved: uint64(time.Now().UnixNano()), Applied: a.next}); err != nil {
		a.t.Fatal(err)
	}
}

// grow lets others have events until there are n.
func (a *aged) grow(n uint64) {
	a.t.Helper()
	a.next = chtest.Grow(a.t, a.cfg, a.tenant.ID, a.next, n)
	a.position()
}

// measure runs do three times (ROUNDS) and prints the best time, the least CPU time of this
// process, and what was read of the views. ONLY begins the names of what is measured.
func (a *aged) measure(name string, do func() uint64) (seconds float64) {
	a.t.Helper()
	if only := os.Getenv("ONLY"); !strings.HasPrefix(name, only) {
		return 0
	}
	var best, least time.Duration
	var read chtest.Read
	var rows uint64
	for i := range asked(a.t, "ROUNDS", 3) {
		a.project()
		runtime.GC()
		cpu, began := cputime.Used(), time.Now()
		read = a.reads.Of(func() { rows = do() })
		took, used := time.Since(began), cputime.Used()-cpu
		if i == 0 || took < best {
			best = took
		}
		if i == 0 || used < least {
			least = used
		}
	}
	say := func(what string, v any, unit string) { fmt.Printf("%s%s %v %s\n", name, what, v, unit) }
	say("", fmt.Sprintf("%.3f", best.Seconds()), "s")
	say(".rate", fmt.Sprintf("%.0f", float64(rows)/best.Seconds()), "rows/s")
	say(".cpu", fmt.Sprintf("%.3f", least.Seconds()), "s")
	say(".read", read.Rows, "rows")
	say(".read-bytes", read.Bytes, "B")
	say(".questions", read.Questions, "questions")
	return best.Seconds()
}

// report runs one, opened.
func (a *aged) report(id, form string, filters map[string]string, out io.Writer) uint64 {
	a.t.Helper()
	q, err := a.Ask(context.Background(), root, a.tenant.ID, report.Request{Report: id, Reveal: true,
		Purpose: "audit", Filters: filters, Lang: "en"}, Patience{})
	if err != nil {
		a.t.Fatal(err)
	}
	r, err := q.Answer(context.Background())
	if err != nil {
		a.t.Fatal(err)
	}
	if err := render.Write(form, out, r.Document(), 200); err != nil && !errors.Is(err, errEnough) {
		a.t.Fatal(err)
	}
	t, _ := r.Totals()
	return t.Rows
}

type discard struct{ n int }

func (d *discard) Write(p []byte) (int, error) { d.n += len(p); return len(p), nil }
func (d *discard) Sync() error                 { return nil }

var errEnough = errors.New("enough")

// firstPage takes what a screen shows and no more.
type firstPage struct{ n int }

func (f *firstPage) Write(p []byte) (int, error) {
	if f.n += len(p); f.n > 8<<10 {
		return len(p), errEnough
	}
	return len(p), nil
}

// TestBenchReports prints, of reports and packages, their best time, the least CPU time of this
// process, and what they read of the views: a count, which is the same on every machine. ACTIONS
// are admin actions to report, SUBJECT events of the person whose package is made; EVENTS are the
// ages of the ledger, one behind another, at which what asks for a fixed answer is measured.
func TestBenchReports(t *testing.T) {
	a := newAged(t)
	fmt.Printf("ledger.events %d events\n", a.next)
	for _, form := range []string{"table", "json"} {
		none := map[string]string{}
		a.measure("inventory."+form, func() uint64 { return a.report("device-inventory", form, none, &discard{}) })
		a.measure("admin-actions."+form, func() uint64 { return a.report("admin-actions", form, none, &discard{}) })
	}
	first := map[string]float64{}
	device := map[string]string{"device": a.device.String(), "all": define.Set}
	ages := strings.Fields(cmp.Or(os.Getenv("EVENTS"), "100000 1000000"))
	for _, n := range ages {
		events, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		a.grow(events)
		for _, m := range []struct {
			name string
			do   func() uint64
		}{
			{"package", a.export},
			{"history-first-page", func() uint64 {
				return a.report("device-history", "table", device, &firstPage{})
			}},
			{"history", func() uint64 {
				return a.report("device-history", "table", device, &discard{})
			}},
		} {
			took := a.measure(m.name+".at-"+n, m.do)
			if n == ages[0] || took == 0 {
				first[m.name] = took
				continue
			}
			fmt.Printf("%s.at-%s-to-%s %.2f ratio\n", m.name, n, ages[0], took/first[m.name])
		}
	}
}

// export makes the person's package, and returns its events.
func (a *aged) export() (events uint64) {
	m, err := a.Export(context.Background(), root, a.tenant.ID, a.request, Package{To: &discard{}})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, n := range m.Events {
		events += uint64(n)
	}
	return events
}
