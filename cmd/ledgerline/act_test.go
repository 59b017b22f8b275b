package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// desktop is a ledger in memory, a vault and views at which commands can be run.
type desktop struct {
	t       *testing.T
	store   *ledgertest.Memory
	ledger  *ledger.Ledger
	vault   *vault.Vault
	custody *custody.Custody
	desk    desk.Desk
	device  schemas.Stream
	views   office.Views
	now     time.Time
	told    bytes.Buffer // on standard error, by the last command
}

const annaLogin = "anna@contoso.example"

func newDesktop(t *testing.T) *desktop { return newDesktopIn(t, words.Base) }

// newDesktopIn is newDesktop with a tenant of that language.
func newDesktopIn(t *testing.T, lang string) *desktop {
	t.Helper()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	d := &desktop{t: t, store: ledgertest.NewMemory()}
	dir := t.TempDir()
	kek, err := vault.CreateFileKEK(filepath.Join(dir, "kek"), filepath.Join(dir, "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Create(ctx, filepath.Join(dir, "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Create(ctx, vault.Config{Store: st, KEK: kek, Clock: time.Now, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	l, err := ledger.Create(ctx, ledger.Config{Store: d.store, Origin: v.OriginKey, Logger: log, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c, err := custody.New(custody.Config{Ledger: l, Vault: v, Logger: log, Clock: time.Now, Settle: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	who := access.Principal{Login: "officer@contoso.example",
		Roles: []access.Role{access.TenantAdmin, access.Officer, access.Operator}, All: true}
	tenant, err := c.RegisterTenant(ctx, who, vault.NewTenant{Name: "Contoso", AnySource: true, Language: lang,
		TimeZone: "Europe/Amsterdam"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := accounts.New(accounts.Config{Store: v, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	o, err := office.New(office.Config{Vault: v, Accounts: list, Ledger: l, Custody: c, Clock: time.Now, Logger: log,
		Views:  func(context.Context) (office.Views, error) { return d.views, nil },
		Topics: func(context.Context) (office.Topics, error) { return nil, errors.New("there are no topics here") }})
	if err != nil {
		t.Fatal(err)
	}
	d.ledger, d.vault, d.custody = l, v, c
	d.desk = desk.Desk{Services: node.Local(node.Config{}), Office: o, Tenant: tenant, Who: who}
	var e schemas.Event
	err = v.Update(ctx, tenant.ID, func(tx *vault.Tx) error {
		id, _, err := tx.Person(vault.PersonHint{ObjectID: uuid.NewString(), UPN: annaLogin, At: time.Now()})
		if err != nil {
			return err
		}
		dev, _, err := tx.Device(vault.DeviceHint{IntuneID: uuid.NewString(), At: time.Now()})
		if err != nil {
			return err
		}
		d.device = dev.Stream
		c := schemas.Default()
		draft := schemas.Draft{Type: c.MustType("device.ownership-changed.v1"), Tenant: tenant.ID, Stream: d.device,
			ID:       schemas.NewID(),
			Occurred: time.Now(), Recorded: time.Now(), Source: "test",
			Subjects: []schemas.SubjectRef{{Role: "user", Person: id}},
			Values: []schemas.Value{{Attr: c.MustAttribute("device.user-upn"), Plain: schemas.JSON(annaLogin),
				Owner: schemas.Owner{Kind: schemas.OwnerPerson, ID: id}}}}
		if err := tx.Seal(&draft); err != nil {
			return err
		}
		e, err = c.Encode(draft)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(ctx, d.device, ledger.NoStream, []schemas.Event{e}); err != nil {
		t.Fatal(err)
	}
	d.views = emptyViews{store: d.store}
	return d
}

// run runs a command at the desktop.
func (d *desktop) run(input string, args ...string) (string, int, error) {
	d.t.Helper()
	a := &app{places: desk.Places{
		Office: func(context.Context) (*desk.Desk, error) { c := d.desk; return &c, nil },
	}}
	if !d.now.IsZero() {
		a.places.Clock = func() time.Time { return d.now }
	}
	root := newRoot(a)
	var out bytes.Buffer
	root.SetArgs(append(args, "--data", filepath.Join(d.t.TempDir(), "data")))
	root.SetOut(&out)
	d.told.Reset()
	root.SetErr(&d.told)
	root.SetIn(strings.NewReader(input))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	code, err := a.execute(ctx, root)
	return out.String(), code, err
}

// emptyViews have reached the ledger's end and hold one device.
type emptyViews struct{ store *ledgertest.Memory }

func none[T any](yield func(T, error) bool) {}

func (v emptyViews) Through(context.Context) (uint64, bool, error) {
	return uint64(len(v.store.Events()) - 1), true, nil
}
func (v emptyViews) SeqOf(_ context.Context, _, event uuid.UUID) (uint64, bool, error) {
	i := slices.IndexFunc(v.store.Events(), func(r schemas.RecordedEvent) bool { return r.ID == event })
	return uint64(i), i >= 0, nil
}
func (emptyViews) WaitThrough(context.Context, uint64) error { return nil }
func (emptyViews) RawEventsAt(context.Context, uuid.UUID, []uint64) iter.Seq2[schemas.Envelope, error] {
	return none[schemas.Envelope]
}
func (emptyViews) EventsByStreams(
	context.Context, uuid.UUID, []schemas.Stream, projections.AsOf,
) iter.Seq2[projections.Event, error] {
	return none[projections.Event]
}
func (emptyViews) EventsByAliases(
	context.Context, uuid.UUID, []uuid.UUID, projections.AsOf,
) iter.Seq2[projections.Event, error] {
	return none[projections.Event]
}
func (emptyViews) Devices(
	_ context.Context, _ uuid.UUID, _ projections.AsOf, _ ...string,
) iter.Seq2[projections.Device, error] {
	return none[projections.Device]
}
func (emptyViews) DeviceHistory(
	context.Context, uuid.UUID, schemas.Stream, projections.Period, []string, projections.AsOf,
) iter.Seq2[projections.Change, error] {
	return none[projections.Change]
}
func (emptyViews) AdminActions(
	context.Context, uuid.UUID, projections.Period, projections.ActionFilter, projections.AsOf,
) iter.Seq2[projections.AdminAction, error] {
	return none[projections.AdminAction]
}
func (emptyViews) RemoteActions(
	context.Context, uuid.UUID, projections.RemoteFilter, projections.AsOf,
) iter.Seq2[projections.RemoteAction, error] {
	return none[projections.RemoteAction]
}
func (emptyViews) Entities(
	context.Context, uuid.UUID, string, projections.AsOf, ...string,
) iter.Seq2[projections.Entity, error] {
	return none[projections.Entity]
}
func (emptyViews) Alerts(
	context.Context, uuid.UUID, projections.Period, projections.AlertFilter, projections.AsOf,
) iter.Seq2[projections.Alert, error] {
	return none[projections.Alert]
}
func (emptyViews) Disagreements(
	context.Context, uuid.UUID, projections.Period, []string, projections.AsOf,
) ([]projections.Disagreement, error) {
	return nil, nil
}
func (emptyViews) LastActs(context.Context, uuid.UUID, projections.AsOf) (map[uuid.UUID]time.Time, error) {
	return nil, nil
}
func (emptyViews) Refusals(
	context.Context, uuid.UUID, projections.Period, []string, projections.AsOf,
) iter.Seq2[projections.Refusal, error] {
	return none[projections.Refusal]
}
func (emptyViews) DevicesAt(
	context.Context, uuid.UUID, []projections.DeviceAt, ...string,
) ([]projections.Device, error) {
	return nil, nil
}
func (emptyViews) ApplicationNames(
	context.Context, uuid.UUID, []string, projections.Period, projections.AsOf,
) (map[string]projections.ApplicationName, error) {
	return nil, nil
}
func (emptyViews) Accounts(
	context.Context, uuid.UUID, projections.AsOf, ...string,
) iter.Seq2[projections.Account, error] {
	return none[projections.Account]
}
func (emptyViews) Access(
	context.Context, uuid.UUID, projections.Period, projections.AccessFilter, projections.AsOf,
) iter.Seq2[projections.AccessRun, error] {
	return none[projections.AccessRun]
}
func (emptyViews) Requests(context.Context, uuid.UUID, projections.AsOf) iter.Seq2[projections.RequestAct, error] {
	return none[projections.RequestAct]
}

// openRequest opens a request at the desktop and returns its number.
func (d *desktop) openRequest(right string) string {
	d.t.Helper()
	out, _, err := d.run(annaLogin+"\n", "dsar", "open", "--right", right)
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Fields(out)[1]
}

// Whatever is wrong with a command, it is refused before the first act: nothing is appended, no
// file is left.
func TestNothingIsDoneByACommandThatIsRefused(t *testing.T) {
	d := newDesktop(t)
	accessRequest, erasureRequest := d.openRequest("access"), d.openRequest("erasure")
	folder := t.TempDir()
	file := filepath.Join(folder, "exists")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "dsar-"+accessRequest+".zip"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing, below := filepath.Join(folder, "none", "x"), filepath.Join(file, "x")
	stranger := uuid.NewString()
	actions := []string{"report", "admin-actions", "--purpose", "audit"}
	history := []string{"report", "device-history", "--purpose", "audit", "--device", string(d.device)}
	inventory := []string{"report", "device-inventory", "--purpose", "audit"}
	refusals := []string{"report", "refused-collection"}
	opened := []string{"dsar", "open"}
	export := []string{"dsar", "export", accessRequest}
	erase := []string{"dsar", "erase", erasureRequest, "--ground", "unlawful", "--yes"}
	add := []string{"tenant", "add", "Fabrikam", "--source-tenant", "any"}
	imports := []string{"import", folder}
	for _, tc := range []struct {
		command []string
		wrong   [][]string
	}{
		{actions, [][]string{{"--output", "xml"}, {"--file", file}, {"--file", missing}, {"--file", below},
			{"--file", folder}, {"--lang", "fr"},
			{"--time-zone", "Mars/Olympus"}, {"--from", "yesterday"}, {"--to", "2026-13-01"},
			{"--from", "2026-03-02", "--to", "2026-03-01"},
			{"--from", "2026-10-25T02:30", "--time-zone", "Europe/Amsterdam"}, {"--sample", "-1", "--seed", "1"},
			{"--sample", "3"}, {"--sample", "0", "--seed", "1"}, {"--seed", "3"},
			{"--sample", "1000000", "--seed", "1"}, {"--as-of-seq", "-3"}, {"--as-of-seq", "100000"},
			{"--tenant", "Nobody"}, {"--wait", "0s"},
			{"--verb", "erase"}, {"--verb", ""}, {"--verb", ","}, {"--category", "x"}, {"--result", "x"},
			{"--device", stranger}, {"--device", "device-" + stranger},
			{"--device", string(d.device) + "," + stranger},
			{"--actor", "nobody@contoso.example"}, {"--actor", stranger},
			{"--actor", "-", "--device", "-"}, {"--purpose", ""},
			{"--purpose", " "}, {"--purpose", "x"}, {"--purpose", "curiosity: it is Friday"},
			{"--purpose", "other"}, {"--purpose", "other: "}, {"--masked"},
			{"--platform", "iOS"}, {"extra"}}},
		{history, [][]string{{"--attribute", "device.colour"}, {"--output", "xlsx"},
			{"--device", string(d.device) + "," + string(d.device)}}},
		{inventory, [][]string{{"--platform", "Symbian"}, {"--ownership", "stolen"}, {"--from", "2026-01-01"},
			{"--as-of", "soon"}}},
		{refusals, [][]string{{"--rule", "horoscope"}, {"--purpose", "audit"}}},
		{opened, [][]string{{"--output", "xml"}, {"--right", "oblivion"}, {"--identity-method", "passport"},
			{"--received", "2999-01-01"},
			{"--received", "1 March"}, {"--person", "-1"}, {"--person", "7"}, {"--tenant", "Nobody"}, {"extra"},
			{"--subject", "nobody@contoso.example"}}},
		{export, [][]string{{"--dir", folder}, {"--dir", filepath.Dir(missing)}, {"--dir", file}, {"--lang", "fr"},
			{"--output", "xml"}, {"--tenant", "Nobody"}, {"extra"}}},
		{[]string{"dsar", "export"}, [][]string{{stranger}, {"x"}, {}}},
		{erase, [][]string{{"--ground", "because"}, {"--yes=false"}, {"--output", "xml"},
			{"--tenant", "Nobody"}, {"extra"}}},
		{[]string{"dsar", "erase", "--yes", "--ground", "unlawful"},
			[][]string{{stranger}, {accessRequest}, {"x"}, {}}},
		{add, [][]string{{"--time-zone", "Mars/Olympus"}, {"--language", "fr"}, {"--source-tenant", "x"}, {"extra"}}},
		{[]string{"tenant", "add"}, [][]string{{"Fabrikam"}, {"", "--source-tenant", "any"},
			{"Contoso", "--source-tenant", "any"}, {},
			{"Fabrikam", "--source-tenant", "fabrikam.onmicrosoft.example"}}},
		{[]string{"tenant", "set"}, [][]string{{}, {"Contoso"}, {"Nobody", "--source-tenant", "any"},
			{"", "--source-tenant", "any"},
			{"Contoso", "--source-tenant", "contoso.example"}, {"Contoso", "--source-tenant", uuid.Nil.String()},
			{"Contoso", "--source-tenant", "{" + stranger + "}"}, {"Contoso", "--source-tenant", stranger, "extra"},
			{"Contoso", "--source-tenant", "any", "--source-tenant", stranger}}},
		{imports, [][]string{{"--workers", "-1"}, {"--batch", "-1"}, {"--output", "xml"},
			{"--tenant", "Nobody"}, {missing}}},
		{[]string{"import"}, [][]string{{}}},
	} {
		for _, wrong := range tc.wrong {
			before := len(d.store.Events())
			args := append(slices.Clone(tc.command), wrong...)
			_, code, err := d.run(annaLogin+"\n", args...)
			what := strings.Join(tc.command[:min(2, len(tc.command))], " ") + " … " + strings.Join(wrong, " ")
			if err == nil || code != cli.Wrong && code != cli.Failed {
				t.Errorf("%s: exit %d, %v, want it refused", what, code, err)
			}
			if n := len(d.store.Events()); n != before {
				t.Fatalf("%s: %d events were appended before it was refused: %v", what, n-before, err)
			}
		}
	}
	// To look for a name in protected values is an act, whether or not somebody is found.
	before := len(d.store.Events())
	_, code, err := d.run("", append(slices.Clone(actions), "--device", "nonsense")...)
	if n := len(d.store.Events()) - before; code != cli.Wrong || err == nil || n != 1 {
		t.Errorf("a name that no device has: exit %d, %v, %d events", code, err, n)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 2 {
		t.Errorf("files were left or removed: %v, %v", left, err)
	}
	if raw, err := os.ReadFile(file); err != nil || string(raw) != "mine" {
		t.Errorf("a file that was there: %q, %v", raw, err)
	}
	// Put right, each does what it says, and records it.
	for _, args := range [][]string{append(actions, "--file", filepath.Join(folder, "report")),
		append(export, "--dir", t.TempDir()), append(opened, "--right", "access"), erase, add} {
		before := len(d.store.Events())
		if _, _, err := d.run(annaLogin+"\n", args...); err != nil || len(d.store.Events()) == before {
			t.Errorf("%v: %v, %d events", args, err, len(d.store.Events())-before)
		}
	}
	if info, err := os.Stat(filepath.Join(folder, "report")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the report's file: %v, %v", info, err)
	}
}

// Every command refuses a subcommand that it does not have, with what there is, and arguments that
// it does not take.
func TestUnknownSubcommandsAndExtraArgumentsAreRefused(t *testing.T) {
	var groups, leaves int
	var walk func(*cobra.Command, []string)
	walk = func(c *cobra.Command, path []string) {
		if c.Args == nil {
			t.Errorf("%s says nothing of its arguments", c.CommandPath())
		}
		if !c.HasSubCommands() {
			leaves++
			return
		}
		groups++
		for _, wrong := range [][]string{{"leavrs"}, {"leavrs", "more"}} {
			out, code, err := runCommand(t, "", append(slices.Clone(path), wrong...)...)
			if code != cli.Wrong || err == nil || !strings.Contains(err.Error(), `unknown command "leavrs"`) {
				t.Errorf("%s %v: exit %d, %v, %q", c.CommandPath(), wrong, code, err, out)
				continue
			}
			for _, sub := range c.Commands() {
				if sub.IsAvailableCommand() && !strings.Contains(err.Error(), sub.Name()) {
					t.Errorf("%s %v does not name %s: %v", c.CommandPath(), wrong, sub.Name(), err)
				}
			}
		}
		for _, sub := range c.Commands() {
			walk(sub, append(slices.Clone(path), sub.Name()))
		}
	}
	walk(newRoot(&app{}), nil)
	if groups < 6 || leaves < 20 {
		t.Errorf("%d groups and %d commands were walked", groups, leaves)
	}
	if _, code, err := runCommand(t, "", "help", "leavers"); code != cli.Wrong || err == nil {
		t.Errorf("help on nothing: exit %d, %v", code, err)
	}
	if out, code, err := runCommand(t, "", "help", "report"); code != cli.OK || err != nil ||
		!strings.Contains(out, "device-history") {
		t.Errorf("help on something: exit %d, %v", code, err)
	}
	_, _, err := runCommand(t, "", "report", "device-histroy")
	if err == nil || !strings.Contains(err.Error(), "did you mean device-history?") {
		t.Errorf("the nearest is not named: %v", err)
	}
}

// The day on which a request came in is the tenant's: late in the evening in UTC it is tomorrow in
// Amsterdam.
func TestTheDayOfReceiptIsTheTenants(t *testing.T) {
	d := newDesktop(t)
	d.now = time.Date(2026, 11, 29, 23, 30, 0, 0, time.UTC)
	for _, tc := range []struct{ given, want string }{{"", "received   30 November 2026"},
		{"2026-11-30", "received   30 November 2026"}, {"2026-11-29", "received   29 November 2026"}} {
		args := []string{"dsar", "open"}
		if tc.given != "" {
			args = append(args, "--received", tc.given)
		}
		if out, _, err := d.run(annaLogin+"\n", args...); err != nil || !strings.Contains(out, tc.want) {
			t.Errorf("received %q: %q, %v", tc.given, out, err)
		}
	}
	if _, code, err := d.run(annaLogin+"\n", "dsar", "open", "--received", "2026-12-01"); code != cli.Wrong {
		t.Errorf("tomorrow: exit %d, %v", code, err)
	}
}

// An import that ends early prints how far it came, and its exit code says so.
func TestAnImportThatEndsEarlyPrintsItsSummary(t *testing.T) {
	d := newDesktop(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.json"),
		[]byte(`{"time":"2026-03-01T00:00:00Z","category":"AuditLogs","operationName":"Delete ManagedDevice",`+
			`"properties":{"AuditEventId":"7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051",`+
			`"ActivityDate":"2026-03-01T00:00:00Z"},`+
			`"tenantId":"7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4052"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	d.store.Fail = func(schemas.Stream, []schemas.Event) error { return errors.New("no space left on device") }
	for output, says := range map[string]string{"text": "So far:", "json": `"complete": false`} {
		out, code, err := d.run("", "import", dir, "--output", output)
		if err == nil || code != cli.Failed || !strings.Contains(out, says) ||
			!strings.Contains(err.Error(), "no space") {
			t.Errorf("%s: exit %d, %v, %q", output, code, err, out)
		}
	}
}

// An erasure that is under way and one that was done are answers of their own.
func TestAnErasureUnderWayIsItsOwnAnswer(t *testing.T) {
	under := inFlags(words.Default().Base(), fmt.Errorf("erase: %w", &custody.Problem{
		Field: custody.FieldRequest, Code: custody.ErrUnderWay, Until: time.Now()}))
	if !errors.Is(under, custody.ErrUnderWay) || !strings.Contains(under.Error(), "another call is at it") {
		t.Errorf("under way: %v", under)
	}
	d := newDesktop(t)
	request := d.openRequest("erasure")
	erase := []string{"dsar", "erase", request, "--ground", "unlawful", "--yes"}
	if _, _, err := d.run("", erase...); err != nil {
		t.Fatal(err)
	}
	before := len(d.store.Events())
	if _, code, err := d.run("", erase...); code != cli.Failed || !errors.Is(err, vault.ErrErased) ||
		!strings.Contains(err.Error(), "erased before") {
		t.Errorf("again: exit %d, %v", code, err)
	}
	if len(d.store.Events()) != before {
		t.Error("erasing again appended something")
	}
}
