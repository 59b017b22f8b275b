package intake

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	devicekind "github.com/ledgerline/ledgerline/ledger/intake/device"
	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// sourceTenant is the source tenant id of the fixtures.
const sourceTenant = "7e2e6b8d-1111-4b1b-9b57-8d0a5d1f2a05"

// world is a ledger in memory and a vault on SQLite, with one tenant.
type world struct {
	t      testing.TB
	store  *ledgertest.Memory
	ledger *ledger.Ledger // on the store
	vault  *vault.Vault
	clock  *vaulttest.Clock
	tenant vault.Tenant
	config Config
	path   string // of the vault
	kek    vault.KEK

	unlimited bool   // without the daily limit of what is volatile
	ignorant  bool   // takes no record for known
	keepEvery int    // one event as a rule: then every test goes on from what is remembered
	maxKnown  int    // bytes known of a batch's streams; the usual bound where 0
	close     func() // the vault's files: a property with many worlds closes each
}

func newWorld(t testing.TB, anySource bool) *world {
	t.Helper()
	return newWorldOn(t, anySource, func(s store.Store) store.Store { return s })
}

// newWorldOn puts something between the vault and its store.
func newWorldOn(t testing.TB, anySource bool, between func(store.Store) store.Store) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{t: t, store: ledgertest.NewMemory(), clock: vaulttest.NewClock(), keepEvery: 1,
		path: filepath.Join(t.TempDir(), "vault"), kek: vaulttest.KEK(t)}
	file, err := sqlite.Create(ctx, w.path)
	if err != nil {
		t.Fatal(err)
	}
	if w.vault, err = vault.Create(ctx, vault.Config{Store: between(file), KEK: w.kek,
		Clock: w.clock.Now}); err != nil {
		t.Fatal(err)
	}
	w.close = sync.OnceFunc(func() {
		if err := w.vault.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.close)
	n := vault.NewTenant{Name: "Contoso", AnySource: anySource}
	if !anySource {
		n.Sources = []string{sourceTenant}
	}
	if w.tenant, err = w.vault.AddTenant(ctx, n); err != nil {
		t.Fatal(err)
	}
	l := ledger.Config{Store: w.store, Origin: w.vault.OriginKey,
		Logger: slog.New(slog.DiscardHandler), Clock: w.clock.Now}
	if w.ledger, err = ledger.Create(ctx, l); err != nil {
		t.Fatal(err)
	}
	w.config = Config{Ledger: w.ledger, Vault: w.vault, Kinds: kinds.All(schemas.Default()), Clock: w.clock.Now,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	return w
}

// process is the same world as another process sees it, which has a vault of its own on the files.
func (w *world) process() *world {
	w.t.Helper()
	file, err := sqlite.Open(context.Background(), w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	other := *w
	other.vault, err = vault.Open(context.Background(), vault.Config{Store: file, KEK: w.kek, Clock: w.clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := other.vault.Close(); err != nil {
			w.t.Error(err)
		}
	})
	other.config.Vault, other.config.Hook = other.vault, nil
	return &other
}

// events returns what the store holds after the ledger's first event.
func (w *world) events() []schemas.RecordedEvent { return w.store.Events()[1:] }

// own returns those of them that are the tenant's own.
func (w *world) own() (out []schemas.Envelope) {
	w.t.Helper()
	for _, r := range w.events() {
		e, foreign := schemas.NewEnvelope(r)
		if foreign != nil {
			continue
		}
		d, v, err := ledger.Examine(context.Background(), w.ledger, schemas.Default(), e)
		if err != nil {
			w.t.Fatal(err)
		}
		if v == ledger.Genuine && d.Tenant == w.tenant.ID && d.Type != nil {
			out = append(out, e)
		}
	}
	return out
}

func (w *world) intake() *Intake {
	w.t.Helper()
	in, err := New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	in.unlimited, in.keepEvery, in.maxKnown = w.unlimited, w.keepEvery, cmp.Or(w.maxKnown, in.maxKnown)
	in.ignorant = w.ignorant
	return in
}

// importFiles imports files given as name and content, in the order of their names.
func (w *world) importFiles(files map[string]string) Summary {
	w.t.Helper()
	s, err := w.tryImport(files)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// aFile was modified before any record of the tests was observed: a snapshot in it that tells no
// time is then of its last contact.
func aFile(content string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(content), ModTime: propertyStart.AddDate(-1, 0, 0)}
}

func (w *world) tryImport(files map[string]string) (Summary, error) {
	w.t.Helper()
	return w.tryImportBy(w.intake(), files)
}

func (w *world) tryImportBy(in *Intake, files map[string]string) (Summary, error) {
	w.t.Helper()
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = aFile(content)
	}
	s, err := in.Import(context.Background(), w.tenant, Source{Paths: []string{"."}, FS: fsys}, nil)
	if err == nil && !s.Balanced() {
		w.t.Errorf("the summary does not add up: %+v", s)
	}
	return s, err
}

// labels gives random ids names that are the same in every run.
type labels struct {
	mu    sync.Mutex
	names map[string]string
	count map[string]int
}

func newLabels() *labels { return &labels{names: map[string]string{}, count: map[string]int{}} }

func (l *labels) of(kind, id string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names[id] == "" {
		l.count[kind]++
		l.names[id] = fmt.Sprintf("%s%d", kind, l.count[kind])
	}
	return l.names[id]
}

// dump writes every event readably: opened, and with labels instead of random ids.
func (w *world) dump(l *labels) string { return w.dumpFrom(l, 0) }

// dumpFrom leaves out the first events. Streams come in the order of what they say, since their
// names and the order of their appends are random.
func (w *world) dumpFrom(l *labels, first int) string {
	w.t.Helper()
	type rendered struct {
		d     schemas.Draft
		r     schemas.RecordedEvent
		lines []line
	}
	by := map[schemas.Stream][]rendered{}
	keys := map[string]schemas.Stream{}
	for _, r := range w.events()[first:] {
		d, err := schemas.Default().Decode(schemastest.Envelope(r))
		if err != nil {
			w.t.Fatal(err)
		}
		by[r.Stream] = append(by[r.Stream], rendered{d, r, w.lines(l, d)})
	}
	for s, events := range by {
		key := s.Kind() + schemas.Time(events[0].d.Occurred)
		for _, l := range events[0].lines {
			key += l.name + l.text
		}
		for keys[key] != "" {
			key += "+"
		}
		keys[key] = s
	}
	var b strings.Builder
	for _, key := range sortedKeys(keys) {
		for _, e := range by[keys[key]] {
			at := "no time"
			if !e.d.Occurred.IsZero() {
				at = schemas.Time(e.d.Occurred)
			}
			fmt.Fprintf(&b, "%s %s#%d at %s from %s\n", e.d.Type.Name, l.of(e.r.Stream.Kind(), string(e.r.Stream)),
				e.r.Revision, at, e.d.Source)
			for _, s := range e.d.Subjects {
				fmt.Fprintf(&b, "  %s %s\n", s.Role, w.ownerName(l, s.Alias))
			}
			for _, v := range e.lines {
				b.WriteString("  " + w.lineText(l, v) + "\n")
			}
		}
	}
	return b.String()
}

// line is one value of an event, opened.
type line struct {
	v          schemas.Value
	name, text string
	alias      uuid.UUID
}

// ours are the attributes whose values are random numbers of our own, and of which kind of stream.
var ours = map[string]string{"action.target-device": "device", "remoteaction.device": "device",
	"remoteaction.group": "adminaction", "alert.device": "device"}

// lines returns an event's values, the entries of a list in the order of what they say.
func (w *world) lines(l *labels, d schemas.Draft) []line {
	w.t.Helper()
	var out []line
	for _, v := range d.Values {
		n := line{v: v, name: v.Attr.ID, text: string(v.Plain)}
		if v.Token != "" {
			h, _, err := v.Token.Parse()
			if err != nil {
				w.t.Fatal(err)
			}
			n.alias, n.text = h.Alias, w.openToken(d, v)
		}
		if kind := ours[v.Attr.ID]; kind != "" {
			n.text = kind
		}
		if v.Removed {
			n.text = l.names[v.Element()]
		}
		out = append(out, n)
	}
	slices.SortStableFunc(out, func(a, b line) int {
		if a.name != b.name || len(a.v.Element()) != 36 {
			return 0
		}
		return cmp.Or(strings.Compare(a.text, b.text), boolCompare(a.v.Removed, b.v.Removed))
	})
	return out
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (w *world) lineText(l *labels, n line) string {
	name := n.name
	if e := n.v.Element(); e != "" {
		if len(e) == 36 {
			e = l.of("element", e)
		}
		name += "[" + e + "]"
	}
	if !n.v.Observed.IsZero() {
		name += " (" + n.v.Observed.Format(time.RFC3339) + ")"
	}
	switch {
	case n.v.Removed:
		return "- " + name
	case n.alias != uuid.Nil:
		return fmt.Sprintf("%s = %s  sealed under %s", name, n.text, w.ownerName(l, n.alias))
	case ours[n.name] != "":
		kind := ours[n.name]
		return name + " = " + l.of(kind, kind+"-"+strings.Trim(string(n.v.Plain), `"`))
	}
	return name + " = " + n.text
}

func (w *world) openToken(d schemas.Draft, v schemas.Value) (text string) {
	w.t.Helper()
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		o, err := tx.Open([]vault.Sealed{{Token: v.Token, Attr: v.Attr.ID, Event: d.ID}})
		if err != nil {
			return err
		}
		if text = string(o[0].Plain); o[0].Err != nil {
			text = "<" + o[0].Err.Error() + ">"
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func (w *world) ownerName(l *labels, alias uuid.UUID) (name string) {
	w.t.Helper()
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		o, err := tx.AliasOwner(alias)
		if err != nil {
			name = "<" + err.Error() + ">"
			return nil
		}
		switch o.Kind {
		case schemas.OwnerPerson:
			name = l.of("person", o.ID.String())
		case schemas.OwnerDevice:
			name = "key of " + l.of("device", "device-"+o.ID.String())
		default:
			name = "tenant"
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return name
}

// canonical is what the ledger says in the end, without random ids: per device what is known and
// since when, and the actions and refusals, with persons and devices by their native names. Two
// ledgers that say the same have the same canonical text.
func (w *world) canonical() string {
	w.t.Helper()
	in := w.intake()
	var streams []schemas.Stream
	for _, r := range w.own() {
		if !slices.Contains(streams, r.Stream) {
			streams = append(streams, r.Stream)
		}
	}
	var out []string
	for _, s := range streams {
		switch s.Kind() {
		case "device":
			out = append(out, w.canonicalDevice(in, s))
		default:
			var b strings.Builder
			for _, r := range w.own() {
				if r.Stream == s {
					b.WriteString(w.canonicalEvent(r))
				}
			}
			out = append(out, b.String())
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// foldFrom reads and folds one stream.
func (in *Intake) foldFrom(tenant uuid.UUID, left *leftOut, s schemas.Stream, from *memory) (*unfolded, error) {
	ctx := context.Background()
	u, err := in.readStream(ctx, tenant, left, s, from, nil)
	if err == nil {
		err = in.fold(ctx, tenant, left, []*unfolded{u})
	}
	return u, err
}

// fold returns what the ledger says of a device.
func (w *world) fold(in *Intake, s schemas.Stream) *devicekind.State {
	w.t.Helper()
	u, err := in.foldFrom(w.tenant.ID, newLeftOut(w.config.Logger), s, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.state.Content.(*devicekind.State)
}

func (w *world) canonicalDevice(in *Intake, s schemas.Stream) string {
	st := w.fold(in, s)
	var lines []string
	for a, h := range st.Values() {
		lines = append(lines, fmt.Sprintf("  %s = %s none=%v at %s, contact %s", a.ID, h.Plain, h.None,
			schemas.Time(h.Observed), schemas.Time(h.Contact)))
	}
	for a, e := range st.Entries() {
		lines = append(lines, fmt.Sprintf("  %s[] = %s at %s", a.ID, e.Plain, schemas.Time(e.Observed)))
	}
	lines = append(lines, "  user "+w.personName(st.User))
	// The vault must hold the device for the person and ownership that the ledger says: it erases
	// by that.
	c := schemas.Default()
	hint := vault.DeviceHint{IntuneID: st.Text(c.MustAttribute("device.intune-id")),
		DirectoryID: st.Text(c.MustAttribute("device.directory-id"))}
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		d, _, err := tx.FindDevice(hint)
		own := st.Text(c.MustAttribute("device.ownership"))
		if own != "company" && own != "personal" {
			own = "" // as the vault knows it
		}
		if st.Text(c.MustAttribute("device.shared")) == "true" {
			own = map[bool]string{false: vault.OwnershipShared, true: vault.OwnershipSharedCompany}[own == "company"]
		}
		if err == nil && (d.Stream != s || d.Ownership != own || d.User != st.User) {
			w.t.Errorf("the vault holds the device as %q of %s, the ledger as %q of %s", d.Ownership, d.User, own,
				st.User)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(lines)
	return "device\n" + strings.Join(lines, "\n")
}

func (w *world) personName(p uuid.UUID) (name string) {
	w.t.Helper()
	if p == uuid.Nil {
		return "nobody"
	}
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		values, err := tx.Identity(p)
		for _, v := range values {
			name += v.Kind + " " + v.Value + " "
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return name
}

func (w *world) canonicalEvent(r schemas.Envelope) string {
	d, err := schemas.Default().Decode(r)
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s\n", d.Type.Name, schemas.Time(d.Occurred))
	for _, s := range d.Subjects {
		var owner schemas.Owner
		err := w.vault.View(context.Background(), w.tenant.ID,
			func(tx *vault.Tx) (err error) { owner, err = tx.AliasOwner(s.Alias); return err })
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&b, "  %s %s\n", s.Role, w.personName(owner.ID))
	}
	var lines []string
	for _, v := range d.Values {
		text, at := string(v.Plain), v.Element()
		if v.Token != "" {
			text = w.openToken(d, v)
		}
		if kind := ours[v.Attr.ID]; kind != "" {
			text = "a " + kind
		}
		if _, err := uuid.Parse(at); err == nil {
			at = "" // an element's own, which is random
		}
		lines = append(lines, fmt.Sprintf("  %s[%s] = %s\n", v.Attr.ID, at, text))
	}
	slices.Sort(lines)
	return b.String() + strings.Join(lines, "")
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
