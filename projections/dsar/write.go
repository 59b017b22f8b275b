package dsar

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
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
const Format = "ledgerline-access-package/2"

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
	// put writes a file as it is made, and returns what the manifest says of it.
	put := func(path string, write func(io.Writer) error) (File, error) {
		f, err := z.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Deflate, Modified: d.made})
		if err != nil {
			return File{}, fmt.Errorf("%s: %w", path, err)
		}
		sum := &summed{to: f, sum: sha256.New()}
		b := bufio.NewWriter(sum)
		if err := errors.Join(write(b), b.Flush()); err != nil {
			return File{}, fmt.Errorf("%s: %w", path, err)
		}
		return File{path, sum.size, hex.EncodeToString(sum.sum.Sum(nil))}, nil
	}
	type part struct {
		path  string
		write func(io.Writer) error
	}
	var parts []part
	for _, l := range d.c.languages() {
		parts = append(parts, part{pageName(l), func(w io.Writer) error { return d.page(w, l) }})
	}
	parts = append(parts,
		part{"03-access-log.csv", d.accessLog},
		part{"05-withheld.csv", d.withheldCSV},
		part{"VERIFY.txt", d.verify},
		part{"data/dictionary.json", d.dictionary},
		part{"data/schema.json", d.schema},
		part{"data/identity.json", d.identity},
	)
	for _, c := range categories {
		parts = append(parts,
			part{"data/" + string(c) + ".json", func(w io.Writer) error { return d.dataJSON(w, c) }},
			part{"data/" + string(c) + ".csv", func(w io.Writer) error { return d.dataCSV(w, c) }})
	}
	for _, p := range parts {
		f, err := put(p.path, p.write)
		if err != nil {
			return m, err
		}
		m.Files = append(m.Files, f)
	}
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	f, err := put("manifest.json", func(w io.Writer) error { return indented(w, m) })
	if err != nil {
		return m, err
	}
	m.Hash = f.SHA256
	return m, z.Close()
}

// summed counts and sums what is written.
type summed struct {
	to   io.Writer
	sum  hash.Hash
	size int64
}

func (s *summed) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.size += int64(n)
	_, _ = s.sum.Write(p[:n]) // a hash takes everything
	return n, err
}

// pageName is the file of the page in a language.
func pageName(l *words.Language) string { return l.Text("dsar.file") }

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// list writes a list as indented does, one after another.
type list struct {
	to   io.Writer
	some bool
}

func (l *list) add(v any) error {
	var b bytes.Buffer
	b.WriteString(",\n  ")
	if !l.some {
		b.Reset()
		b.WriteString("[\n  ")
	}
	l.some = true
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := l.to.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return err
}

func (l *list) end() error {
	text := "\n]\n"
	if !l.some {
		text = "[]\n"
	}
	_, err := io.WriteString(l.to, text)
	return err
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

func (d *dossier) dataJSON(w io.Writer, c Category) error {
	out := list{to: w}
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
		if err := out.add(e); err != nil {
			return err
		}
	}
	return out.end()
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
func recordsCSV(to io.Writer, lines func(record func(cells ...string))) error {
	b := bufio.NewWriter(to)
	w := render.CSV{To: b}
	lines(w.Record)
	return b.Flush()
}

// language is that of the request.
func (d *dossier) language() *words.Language { return d.c.languages()[0] }

func (d *dossier) dataCSV(to io.Writer, c Category) error {
	return recordsCSV(to, func(record func(cells ...string)) {
		record("ledgerSequence", "event", "stream", "type", "occurredAt", "recordedAt", "source", "yourRoles",
			"attribute", "label", "element", "state", "value", "observedAt")
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
				record(append(slices.Clone(head), "", "", "", "", "", "")...)
			}
			for _, x := range it.values {
				observed := ""
				if !x.at.Equal(it.row.Occurred) {
					observed = schemas.Time(x.at)
				}
				record(append(slices.Clone(head), x.attr.ID, x.attr.Label.Of(d.language()), x.element,
					x.state(), x.exact(), observed)...)
			}
		}
	})
}

// peopleCSV writes records for people, in the language of the request.
func (d *dossier) peopleCSV(to io.Writer, lines func(w *writer, record func(cells ...string))) error {
	b := bufio.NewWriter(to)
	w := &writer{d: d, l: d.language()}
	lines(w, render.CSVForPeople(b, w.l).Record)
	return b.Flush()
}

// withheldCSV says how many values were withheld, and why.
func (d *dossier) withheldCSV(to io.Writer) error {
	return d.peopleCSV(to, func(w *writer, record func(cells ...string)) {
		record(w.say("column.category"), w.say("column.count"), w.say("column.why"))
		for _, l := range d.withheld() {
			record(w.say("category."+string(l.Category)), strconv.Itoa(l.Count), w.say("ground."+string(l.Ground)))
		}
	})
}

// inOneLine is what lines of a page say, in a cell of a spreadsheet.
func inOneLine(lines []line) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return strings.Join(out, "; ")
}

// accessLog says when the person's data was viewed, for which report, why, and by whom by number.
func (d *dossier) accessLog(to io.Writer) error {
	return d.peopleCSV(to, func(w *writer, record func(cells ...string)) {
		record(append(render.InstantHeads(w.say("column.when"), w.l), w.say("column.report"), w.say("column.why"),
			w.say("column.by"), w.l.Text("header.sequence"))...)
		for _, it := range w.of(Views) {
			record(append(render.InstantCells(it.row.Occurred, d.c.Location), w.report(it.text("access.report")),
				inOneLine(w.purpose(it)), w.actor(it), strconv.FormatUint(it.row.Seq, 10))...)
		}
	})
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

func (d *dossier) identity(to io.Writer) error {
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
	return indented(to, out)
}

// dictionary says what every attribute and type that occurs in data/ means.
func (d *dossier) dictionary(to io.Writer) error {
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
	for _, g := range grounds {
		out.Grounds[string(g)] = text("ground." + string(g))
	}
	return indented(to, out)
}

//go:embed schema.json
var schemaJSON string

// schema describes data/<category>.json.
func (d *dossier) schema(to io.Writer) error {
	var labels []string
	for _, code := range d.c.words().Codes() {
		labels = append(labels, fmt.Sprintf(`"%s": {"type": "string"}`, code))
	}
	_, err := io.WriteString(to, strings.Replace(schemaJSON, "{LANGUAGES}", "{"+strings.Join(labels, ", ")+"}", 1))
	return err
}
