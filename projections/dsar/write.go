package dsar

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Format names the package's form; a change that a reader of data/ or the manifest would notice
// changes it.
const Format = "ledgerline-access-package/1"

// Manifest says what is in a package.
type Manifest struct {
	Format   string           `json:"format"`
	Request  string           `json:"request"`
	Tenant   string           `json:"tenant"`
	Sequence uint64           `json:"ledgerSequence"` // what the ledger links to the person was searched up to here
	Made     string           `json:"made"`
	Language string           `json:"language"`
	Events   map[Category]int `json:"events"` // per category
	Values   ValueCounts      `json:"values"`
	Files    []File           `json:"files"` // by path; the manifest itself is not among them

	Hash string `json:"-"` // SHA-256 of manifest.json in hex
}

// ValueCounts counts the values in data/ by what became of them.
type ValueCounts struct {
	Shown    int `json:"shown"`
	Removed  int `json:"removed"` // said to be no longer set
	Masked   int `json:"masked"`
	Erased   int `json:"erased"`
	Expired  int `json:"expired"`
	Withheld int `json:"withheld"`
	Lost     int `json:"lost,omitempty"`

	NotGenuine int `json:"notGenuine,omitempty"` // not sealed for the place in which they stand
}

// File is one file of a package.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// write makes the files, their manifest last, and closes the zip.
func (d *dossier) write(w io.Writer) (Manifest, error) {
	m := Manifest{
		Format: Format, Request: d.p.Request.String(), Tenant: d.p.Tenant.String(), Sequence: d.p.Seq,
		Made: d.made.Format(time.RFC3339), Language: d.c.Lang, Events: map[Category]int{},
	}
	for _, c := range categories {
		m.Events[c] = 0
	}
	for _, it := range d.items {
		m.Events[it.category]++
		for _, x := range it.values {
			switch x.v.State {
			case document.Shown:
				if x.removed {
					m.Values.Removed++
					continue
				}
				m.Values.Shown++
			case document.Masked:
				m.Values.Masked++
			case document.Erased:
				m.Values.Erased++
			case document.Expired:
				m.Values.Expired++
			case document.Withheld:
				m.Values.Withheld++
			case document.Lost:
				m.Values.Lost++
			case document.NotGenuine:
				m.Values.NotGenuine++
			}
		}
	}
	z := zip.NewWriter(w)
	put := func(path string, content []byte) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Deflate, Modified: d.made})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if _, err := f.Write(content); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	type part struct {
		path string
		make func() ([]byte, error)
	}
	var parts []part
	for _, l := range d.c.languages() {
		parts = append(parts, part{pageName(l), func() ([]byte, error) { return d.page(l) }})
	}
	parts = append(parts,
		part{"03-access-log.csv", d.accessLog},
		part{"05-withheld.csv", d.withheldCSV},
		part{"VERIFY.txt", func() ([]byte, error) { return d.verify(), nil }},
		part{"data/dictionary.json", d.dictionary},
		part{"data/schema.json", d.schema},
		part{"data/identity.json", d.identity},
	)
	for _, c := range categories {
		parts = append(parts,
			part{"data/" + string(c) + ".json", func() ([]byte, error) { return d.dataJSON(c) }},
			part{"data/" + string(c) + ".csv", func() ([]byte, error) { return d.dataCSV(c) }})
	}
	for _, p := range parts {
		content, err := p.make()
		if err != nil {
			return m, fmt.Errorf("%s: %w", p.path, err)
		}
		sum := sha256.Sum256(content)
		m.Files = append(m.Files, File{p.path, int64(len(content)), hex.EncodeToString(sum[:])})
		if err := put(p.path, content); err != nil {
			return m, err
		}
	}
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	raw, err := indented(m)
	if err != nil {
		return m, err
	}
	sum := sha256.Sum256(raw)
	m.Hash = hex.EncodeToString(sum[:])
	if err := put("manifest.json", raw); err != nil {
		return m, err
	}
	return m, z.Close()
}

// pageName is the file of the page in a language.
func pageName(l *words.Language) string { return l.Text("dsar.file") }

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

type eventJSON struct {
	Seq      uint64      `json:"ledgerSequence"`
	Event    string      `json:"event"`
	Stream   string      `json:"stream"`
	Type     string      `json:"type"`
	Label    labels      `json:"label"`
	Occurred *string     `json:"occurredAt"` // null: the source named no time
	Recorded string      `json:"recordedAt"`
	Source   string      `json:"source"`
	Roles    []string    `json:"yourRoles"`
	Others   []otherJSON `json:"others"`
	Readable bool        `json:"readable"`
	Values   []valueJSON `json:"values"`
}

// labels are what something is called, by language.
type labels map[string]string

type otherJSON struct {
	Role  string `json:"role"`
	Label string `json:"label"`
}

type valueJSON struct {
	Attribute string          `json:"attribute"`
	Element   string          `json:"element,omitempty"`
	State     string          `json:"state"`
	Ground    Ground          `json:"ground,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
	Observed  string          `json:"observedAt,omitempty"`
}

// state is what became of a value, as data/ says it.
func (x value) state() string {
	if x.removed {
		return "removed"
	}
	return x.v.State.Name()
}

// typeLabel is what the item's type is called.
func typeLabel(it *item, l *words.Language) string { return schemas.Label("type." + it.row.Type).Of(l) }

// in is a text in every language.
func (d *dossier) in(of func(*words.Language) string) labels {
	out := labels{}
	for _, l := range d.c.languages() {
		out[l.Code()] = of(l)
	}
	return out
}

func (d *dossier) dataJSON(c Category) ([]byte, error) {
	out := []eventJSON{}
	for _, it := range d.items {
		if it.category != c {
			continue
		}
		e := eventJSON{
			Seq: it.row.Seq, Event: it.row.EventID.String(), Stream: string(it.row.Stream), Type: it.row.Type,
			Label:    d.in(func(l *words.Language) string { return typeLabel(it, l) }),
			Recorded: schemas.Time(it.row.Recorded), Source: it.row.Source, Roles: it.roles, Others: []otherJSON{},
			Readable: !it.opaque, Values: []valueJSON{},
		}
		if it.row.Timed {
			s := schemas.Time(it.row.Occurred)
			e.Occurred = &s
		}
		if e.Roles == nil {
			e.Roles = []string{} // about one of the person's devices
		}
		for _, o := range it.others {
			e.Others = append(e.Others, otherJSON{o.role, o.label})
		}
		for _, x := range it.values {
			v := valueJSON{Attribute: x.attr.ID, Element: x.element, State: x.state(), Ground: x.ground}
			if !x.removed && x.v.State == document.Shown {
				v.Value = x.v.JSON
			}
			if !x.at.Equal(it.row.Occurred) {
				v.Observed = schemas.Time(x.at)
			}
			e.Values = append(e.Values, v)
		}
		out = append(out, e)
	}
	return indented(out)
}

// exact is a value as machine CSV has it: a string itself, anything else as JSON.
func (x value) exact() string {
	if x.removed || x.v.State != document.Shown {
		return ""
	}
	var s string
	if json.Unmarshal(x.v.JSON, &s) == nil {
		return s
	}
	return string(x.v.JSON)
}

// recordsCSV writes records for machines: exact, so no cell is guarded against being taken for a
// formula.
func recordsCSV(lines [][]string) ([]byte, error) {
	var out bytes.Buffer
	b := bufio.NewWriter(&out)
	w := render.CSV{To: b}
	for _, line := range lines {
		w.Record(line...)
	}
	err := b.Flush()
	return out.Bytes(), err
}

// language is that of the request.
func (d *dossier) language() *words.Language { return d.c.languages()[0] }

func (d *dossier) dataCSV(c Category) ([]byte, error) {
	lines := [][]string{{"ledgerSequence", "event", "stream", "type", "occurredAt", "recordedAt", "source",
		"yourRoles",
		"attribute", "label", "element", "state", "value", "observedAt"}}
	for _, it := range d.items {
		if it.category != c {
			continue
		}
		occurred := ""
		if it.row.Timed {
			occurred = schemas.Time(it.row.Occurred)
		}
		head := []string{strconv.FormatUint(it.row.Seq, 10), it.row.EventID.String(), string(it.row.Stream),
			it.row.Type, occurred, schemas.Time(it.row.Recorded), it.row.Source, strings.Join(it.roles, " ")}
		if len(it.values) == 0 {
			lines = append(lines, append(slices.Clone(head), "", "", "", "", "", ""))
		}
		for _, x := range it.values {
			observed := ""
			if !x.at.Equal(it.row.Occurred) {
				observed = schemas.Time(x.at)
			}
			lines = append(lines, append(slices.Clone(head), x.attr.ID, x.attr.Label.Of(d.language()), x.element,
				x.state(), x.exact(), observed))
		}
	}
	return recordsCSV(lines)
}

func (d *dossier) withheldCSV() ([]byte, error) {
	lines := [][]string{{"category", "count", "ground", "explanation"}}
	for _, l := range d.withheld() {
		why := d.language().Text("dsar.ground." + string(l.Ground))
		lines = append(lines, []string{string(l.Category), strconv.Itoa(l.Count), string(l.Ground), why})
	}
	return recordsCSV(lines)
}

func (d *dossier) accessLog() ([]byte, error) {
	w := &writer{d: d, l: d.language()}
	lines := [][]string{{"time", "timeUtc", "report", "viewer", "ledgerSequence"}}
	for _, it := range d.items {
		if it.category == Views {
			lines = append(lines, []string{it.row.Occurred.In(d.c.Location).Format("2006-01-02T15:04:05-07:00"),
				schemas.Time(it.row.Occurred), it.text("access.report"), w.actor(it),
				strconv.FormatUint(it.row.Seq, 10)})
		}
	}
	return recordsCSV(lines)
}

// text is the open or opened text of an attribute, "" where it has none or may not be shown.
func (it *item) text(attr string) string {
	for _, x := range it.values {
		if x.attr.ID == attr {
			return x.exact()
		}
	}
	return ""
}

func (d *dossier) identity() ([]byte, error) {
	type known struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
		From  string `json:"from,omitempty"`
		To    string `json:"to,omitempty"`
	}
	type device struct {
		Stream    string `json:"stream"`
		Ownership string `json:"ownership"`
		From      string `json:"from,omitempty"`
		To        string `json:"to,omitempty"`
	}
	out := struct {
		Identifiers []known  `json:"identifiers"`
		Devices     []device `json:"devices"`
	}{[]known{}, []device{}}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return schemas.Time(t)
	}
	for _, i := range d.p.Identity {
		out.Identifiers = append(out.Identifiers, known{i.Kind, i.Value, stamp(i.From), stamp(i.To)})
	}
	for _, v := range d.p.Devices {
		out.Devices = append(out.Devices, device{string(v.Stream), v.Ownership, stamp(v.From), stamp(v.To)})
	}
	return indented(out)
}

// dictionary says what every attribute and type that occurs in data/ means.
func (d *dossier) dictionary() ([]byte, error) {
	type attribute struct {
		Label           labels `json:"label"`
		Type            string `json:"type"`
		Identifiability string `json:"identifiability"`
		Retention       string `json:"retentionClass"`
		Item            string `json:"collectionListItem,omitempty"`
	}
	out := struct {
		Attributes map[string]attribute `json:"attributes"`
		Types      map[string]labels    `json:"types"`
		Categories map[string]labels    `json:"categories"`
		Grounds    map[string]labels    `json:"grounds"`
	}{map[string]attribute{}, map[string]labels{}, map[string]labels{}, map[string]labels{}}
	for _, it := range d.items {
		out.Types[it.row.Type] = d.in(func(l *words.Language) string { return typeLabel(it, l) })
		for _, x := range it.values {
			a := x.attr
			out.Attributes[a.ID] = attribute{d.in(a.Label.Of), a.Type, a.Identifiability, a.Class, a.Item}
		}
	}
	text := func(key string) labels { return d.in(func(l *words.Language) string { return l.Text("dsar." + key) }) }
	for _, c := range categories {
		out.Categories[string(c)] = text("category." + string(c))
	}
	for _, g := range []Ground{GroundOthers, GroundReview, GroundUnreadable} {
		out.Grounds[string(g)] = text("ground." + string(g))
	}
	return indented(out)
}

//go:embed schema.json
var schemaJSON string

// schema describes data/<category>.json.
func (d *dossier) schema() ([]byte, error) {
	var labels []string
	for _, code := range d.c.words().Codes() {
		labels = append(labels, fmt.Sprintf(`"%s": {"type": "string"}`, code))
	}
	return []byte(strings.Replace(schemaJSON, "{LANGUAGES}", "{"+strings.Join(labels, ", ")+"}", 1)), nil
}
