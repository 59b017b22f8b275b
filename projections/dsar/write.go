package dsar

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas"
)

// Format names the package's form; a change that a reader of data/ or the manifest would notice changes it.
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
			case report.Shown:
				if x.removed {
					m.Values.Removed++
					continue
				}
				m.Values.Shown++
			case report.Masked:
				m.Values.Masked++
			case report.Erased:
				m.Values.Erased++
			case report.Expired:
				m.Values.Expired++
			case report.Withheld:
				m.Values.Withheld++
			case report.Lost:
				m.Values.Lost++
			case report.NotGenuine:
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
	parts := []part{
		{"02-your-data.html", func() ([]byte, error) { return d.page("en") }},
		{"02-uw-gegevens.html", func() ([]byte, error) { return d.page("nl") }},
		{"03-access-log.csv", d.accessLog},
		{"05-withheld.csv", d.withheldCSV},
		{"VERIFY.txt", func() ([]byte, error) { return d.verify(), nil }},
		{"data/dictionary.json", d.dictionary},
		{"data/schema.json", func() ([]byte, error) { return []byte(dataSchema), nil }},
		{"data/identity.json", d.identity},
	}
	if d.c.Lang == "nl" {
		parts[0], parts[1] = parts[1], parts[0]
	}
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
	Label    labelJSON   `json:"label"`
	Occurred *string     `json:"occurredAt"` // null: the source named no time
	Recorded string      `json:"recordedAt"`
	Source   string      `json:"source"`
	Roles    []string    `json:"yourRoles"`
	Others   []otherJSON `json:"others"`
	Readable bool        `json:"readable"`
	Values   []valueJSON `json:"values"`
}

type labelJSON struct {
	EN string `json:"en"`
	NL string `json:"nl"`
}

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

func (d *dossier) typeLabel(name string) schemas.Label {
	if t := d.c.Catalogue.Type(name); t != nil {
		return t.Label
	}
	return schemas.Label{EN: name, NL: name}
}

func (d *dossier) dataJSON(c Category) ([]byte, error) {
	out := []eventJSON{}
	for _, it := range d.items {
		if it.category != c {
			continue
		}
		l := d.typeLabel(it.row.Type)
		e := eventJSON{
			Seq: it.row.Seq, Event: it.row.EventID.String(), Stream: string(it.row.Stream), Type: it.row.Type, Label: labelJSON{l.EN, l.NL},
			Recorded: schemas.Time(it.row.Recorded), Source: it.row.Source, Roles: it.roles, Others: []otherJSON{}, Readable: !it.opaque, Values: []valueJSON{},
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
			if !x.removed && x.v.State == report.Shown {
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
	if x.removed || x.v.State != report.Shown {
		return ""
	}
	var s string
	if json.Unmarshal(x.v.JSON, &s) == nil {
		return s
	}
	return string(x.v.JSON)
}

func writeCSV(lines [][]string) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	err := w.WriteAll(lines)
	return b.Bytes(), err
}

func (d *dossier) dataCSV(c Category) ([]byte, error) {
	lines := [][]string{{"ledgerSequence", "event", "stream", "type", "occurredAt", "recordedAt", "source", "yourRoles", "attribute", "label", "element", "state", "value", "observedAt"}}
	for _, it := range d.items {
		if it.category != c {
			continue
		}
		occurred := ""
		if it.row.Timed {
			occurred = schemas.Time(it.row.Occurred)
		}
		head := []string{strconv.FormatUint(it.row.Seq, 10), it.row.EventID.String(), string(it.row.Stream), it.row.Type, occurred,
			schemas.Time(it.row.Recorded), it.row.Source, strings.Join(it.roles, " ")}
		if len(it.values) == 0 {
			lines = append(lines, append(slices.Clone(head), "", "", "", "", "", ""))
		}
		for _, x := range it.values {
			observed := ""
			if !x.at.Equal(it.row.Occurred) {
				observed = schemas.Time(x.at)
			}
			lines = append(lines, append(slices.Clone(head), x.attr.ID, x.attr.Label.In(d.c.Lang), x.element, x.state(), x.exact(), observed))
		}
	}
	return writeCSV(lines)
}

func (d *dossier) withheldCSV() ([]byte, error) {
	t := texts[d.c.Lang]
	lines := [][]string{{"category", "count", "ground", "explanation"}}
	for _, l := range d.withheld() {
		lines = append(lines, []string{string(l.Category), strconv.Itoa(l.Count), string(l.Ground), t["ground."+string(l.Ground)]})
	}
	return writeCSV(lines)
}

func (d *dossier) accessLog() ([]byte, error) {
	lines := [][]string{{"time", "timeUtc", "report", "viewer", "ledgerSequence"}}
	for _, it := range d.items {
		if it.category == Views {
			lines = append(lines, []string{it.row.Occurred.In(d.c.Location).Format("2006-01-02T15:04:05-07:00"), schemas.Time(it.row.Occurred),
				it.text("access.report"), d.actor(it, d.c.Lang), strconv.FormatUint(it.row.Seq, 10)})
		}
	}
	return writeCSV(lines)
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
		Label           labelJSON `json:"label"`
		Type            string    `json:"type"`
		Identifiability string    `json:"identifiability"`
		Retention       string    `json:"retentionClass"`
		Item            string    `json:"collectionListItem,omitempty"`
	}
	out := struct {
		Attributes map[string]attribute `json:"attributes"`
		Types      map[string]labelJSON `json:"types"`
		Categories map[string]labelJSON `json:"categories"`
		Grounds    map[string]labelJSON `json:"grounds"`
	}{map[string]attribute{}, map[string]labelJSON{}, map[string]labelJSON{}, map[string]labelJSON{}}
	for _, it := range d.items {
		l := d.typeLabel(it.row.Type)
		out.Types[it.row.Type] = labelJSON{l.EN, l.NL}
		for _, x := range it.values {
			a := x.attr
			out.Attributes[a.ID] = attribute{labelJSON{a.Label.EN, a.Label.NL}, a.Type, a.Identifiability, a.Class, a.Item}
		}
	}
	for _, c := range categories {
		out.Categories[string(c)] = labelJSON{texts["en"]["category."+string(c)], texts["nl"]["category."+string(c)]}
	}
	for _, g := range []Ground{GroundOthers, GroundReview, GroundUnreadable} {
		out.Grounds[string(g)] = labelJSON{texts["en"]["ground."+string(g)], texts["nl"]["ground."+string(g)]}
	}
	return indented(out)
}

// dataSchema describes data/<category>.json.
const dataSchema = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Events of one category of an access package",
  "type": "array",
  "items": {
    "type": "object",
    "required": ["ledgerSequence", "event", "stream", "type", "label", "occurredAt", "recordedAt", "source", "yourRoles", "others", "readable", "values"],
    "additionalProperties": false,
    "properties": {
      "ledgerSequence": {"type": "integer", "minimum": 0},
      "event": {"type": "string", "format": "uuid"},
      "stream": {"type": "string"},
      "type": {"type": "string", "description": "see dictionary.json"},
      "label": {"type": "object", "properties": {"en": {"type": "string"}, "nl": {"type": "string"}}},
      "occurredAt": {"type": ["string", "null"], "format": "date-time", "description": "null where the source named no time"},
      "recordedAt": {"type": "string", "format": "date-time"},
      "source": {"type": "string"},
      "yourRoles": {"type": "array", "items": {"type": "string"}, "description": "empty where the event is about a device of yours"},
      "others": {"type": "array", "items": {"type": "object", "properties": {"role": {"type": "string"}, "label": {"type": "string"}}}},
      "readable": {"type": "boolean", "description": "false where this version could not read the event's values"},
      "values": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["attribute", "state"],
          "additionalProperties": false,
          "properties": {
            "attribute": {"type": "string", "description": "see dictionary.json"},
            "element": {"type": "string", "description": "which entry of a list, or which target of an action"},
            "state": {"enum": ["shown", "removed", "masked", "erased", "expired", "withheld", "lost", "not-genuine"]},
            "ground": {"enum": ["others", "review", "unreadable"], "description": "why it is withheld"},
            "value": {},
            "observedAt": {"type": "string", "format": "date-time", "description": "where it is not occurredAt"}
          }
        }
      }
    }
  }
}
`
