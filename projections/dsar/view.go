package dsar

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/collate"

	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

//go:embed page.html
var pageHTML string

var pageTemplate = render.Frame(pageHTML)

// page is what the template shows: everything is text by now, in the language.
type page struct {
	Lang, Title, Organisation string
	Words                     *words.Language
	Facts, Figures            []term
	Letter, Limits            []string
	Overview                  *table
	Sections                  []section
	Foot                      string
}

type section struct {
	ID, Title   string
	Paras       []string
	After, List []string // below the tables and parts
	Tables      []table
	Parts       []section
	Terms       []term
}

type table struct {
	ID, Caption, Note string
	Of                string // the id of a heading that is read before the caption
	Heads             []head
	Rows              [][]cell
	More              []group // below Rows, each under a title of its own
}

type group struct {
	Title string
	Rows  [][]cell
}

// Short groups are kept on one page, so that no single row is left behind.
func (g group) Short() bool { return len(g.Rows) <= 10 }

// Groups are the table's bodies.
func (t table) Groups() []group {
	if len(t.Rows) == 0 {
		return t.More
	}
	return append([]group{{Rows: t.Rows}}, t.More...)
}

// Short tables are kept on one page.
func (t table) Short() bool {
	n := 0
	for _, g := range t.Groups() {
		n += len(g.Rows)
	}
	return n <= 10
}

type head struct{ Text, Class string }

type cell struct {
	Lines []line
	Head  bool
	Class string
	at    time.Time // of a day or a moment
}

type line = render.Line

type term struct{ Label, Text string }

// maxRows bounds a table of the page; the newest are shown, and data/ has all.
const maxRows = 500

// writer writes the page of one language.
type writer struct {
	d *dossier
	l *words.Language
	n int // tables so far
}

func (d *dossier) page(to io.Writer, l *words.Language) error {
	w := &writer{d: d, l: l}
	return pageTemplate.Execute(to, w.page())
}

func (w *writer) page() page {
	d := w.d
	p := page{
		Lang: w.l.Code(), Title: w.say("title"), Organisation: d.p.TenantName, Words: w.l,
		Letter: []string{w.say("letter.1"), w.say("letter.2")}, Limits: []string{w.say("limits.1"), w.say("limits.2")},
		Foot: w.say("foot", words.Args{
			"request": d.p.Request, "tenant": d.p.Tenant, "sequence": d.p.Seq, "made": w.when(d.made)}),
	}
	if p.Organisation == "" {
		p.Organisation = "Ledgerline"
	}
	if name := w.name(); name != "" {
		p.Facts = append(p.Facts, term{w.say("fact.for"), name})
	}
	p.Facts = append(p.Facts, term{w.say("fact.made"), w.date(d.made)},
		term{w.say("fact.upto"), w.say("upto", words.Args{"sequence": d.p.Seq})},
		term{w.say("fact.zone"), w.say("zone", words.Args{"zone": d.c.Location})})
	devices := w.devices()
	how := section{ID: "how", Title: w.say("how"), Paras: []string{w.say("how.p")}}
	if len(d.items) == 0 && len(d.p.Identity) == 0 && len(devices) == 0 {
		p.Letter, p.Limits = []string{w.say("empty.1"), w.say("empty.2"), w.say("empty.3")}, p.Limits[:1]
		p.Sections = []section{w.refusals(), how}
		p.Overview = w.overview()
		return p
	}
	p.Figures = w.figures(len(devices))
	p.Overview = w.overview()
	p.Sections = []section{w.identity(), w.deviceSection(devices), w.actions(ActionsAbout, "about"),
		w.actions(ActionsBy, "by"), w.refusals(), w.requests(), w.views()}
	if s := w.others(); len(s.Tables) > 0 {
		p.Sections = append(p.Sections, s)
	}
	p.Sections = append(p.Sections, w.withheld())
	glossary := section{ID: "glossary", Title: w.say("glossary"), Terms: w.glossary(p)}
	p.Sections = append(p.Sections, glossary, how)
	return p
}

// glossary explains the words that the page says, in the order of the language. A term may be
// several words, between commas: one of them is enough.
func (w *writer) glossary(p page) []term {
	said := strings.ToLower(p.text())
	var terms []term
	for _, key := range w.d.c.words().Keys("dsar.glossary.of.") {
		name, ok := strings.CutSuffix(key, ".term")
		if !ok {
			continue
		}
		t := term{w.l.Text(key), w.l.Text(name + ".text")}
		if slices.ContainsFunc(strings.Split(strings.ToLower(t.Label), ", "), func(word string) bool {
			return strings.Contains(said, word)
		}) {
			terms = append(terms, t)
		}
	}
	order := collate.New(w.l.Tag(), collate.IgnoreCase)
	slices.SortFunc(terms, func(a, b term) int { return order.CompareString(a.Label, b.Label) })
	return terms
}

// text is what the page says so far, beside numbers and names of files.
func (p page) text() string {
	var b strings.Builder
	say := func(texts ...string) {
		for _, t := range texts {
			b.WriteString(t)
			b.WriteByte('\n')
		}
	}
	say(p.Letter...)
	say(p.Limits...)
	var sections func([]section)
	sections = func(all []section) {
		for _, s := range all {
			say(s.Title)
			say(s.Paras...)
			say(s.After...)
			say(s.List...)
			for _, t := range s.Tables {
				say(t.Caption, t.Note)
				for _, h := range t.Heads {
					say(h.Text)
				}
				for _, g := range t.Groups() {
					for _, row := range g.Rows {
						for _, c := range row {
							for _, l := range c.Lines {
								say(l.Text)
							}
						}
					}
				}
			}
			sections(s.Parts)
		}
	}
	sections(p.Sections)
	return b.String()
}

// name is what the person is called here: as the vault knows them, else as a device last called
// its user, else by how they sign in.
func (w *writer) name() string {
	known := func(kinds ...string) string {
		for _, i := range slices.Backward(w.d.p.Identity) {
			if slices.Contains(kinds, i.Kind) {
				return i.Value
			}
		}
		return ""
	}
	if n := known("name"); n != "" {
		return n
	}
	for _, it := range slices.Backward(w.d.items) {
		if n := it.text("device.user-name"); n != "" {
			return n
		}
	}
	return known("upn", "email")
}

func (w *writer) figures(devices int) []term {
	about, by, views := 0, 0, 0
	actions := map[schemas.Stream]bool{}
	var first time.Time
	for _, it := range w.d.items {
		if isAction(it) && actions[w.d.actionOf(it)] {
			continue // one action, whatever its events
		}
		actions[w.d.actionOf(it)] = true
		switch it.category {
		case ActionsBy:
			by++
		case Views:
			views++
			about++
		default:
			about++
		}
		if first.IsZero() || it.row.Occurred.Before(first) {
			first = it.row.Occurred
		}
	}
	figure := func(key string, n int) term { return term{w.say(key, words.Args{"count": n}), w.l.Count(n)} }
	out := []term{figure("figure.devices", devices), figure("figure.about", about), figure("figure.by", by),
		figure("figure.views", views)}
	if !first.IsZero() {
		out = append(out, term{w.say("figure.since"), w.shortDate(first)})
	}
	return out
}

func (w *writer) overview() *table {
	t := w.table("overview", "category", "records.num", "first.when", "last.when", "source", "file")
	t.Note = w.say("overview.note")
	for _, c := range categories {
		n := 0
		var first, last time.Time
		var sources []string
		for _, it := range w.d.items {
			if it.category != c {
				continue
			}
			n++
			if first.IsZero() || it.row.Occurred.Before(first) {
				first = it.row.Occurred
			}
			if it.row.Occurred.After(last) {
				last = it.row.Occurred
			}
			if s := w.source(it.row.Source); !slices.Contains(sources, s) {
				sources = append(sources, s)
			}
		}
		if c == Other && n == 0 {
			continue
		}
		slices.Sort(sources)
		t.Rows = append(t.Rows, []cell{rowHead(w.say("category." + string(c))),
			{Lines: plain(w.l.Count(n)), Class: "num"}, w.day(first), w.day(last),
			{Lines: plain(sources...)}, text(string(c) + ".csv")})
	}
	return &t
}

func (w *writer) identity() section {
	s := section{ID: "identity", Title: w.say("identity"), Paras: []string{w.say("identity.p")}}
	t := w.table("identity.caption", "kind", "value", "seen.when", "last-seen.when")
	for _, i := range w.d.p.Identity {
		kind, ok := w.find("kind." + i.Kind)
		if !ok {
			kind = i.Kind
		}
		t.Rows = append(t.Rows,
			[]cell{rowHead(kind), long(i.Value), when(w.since(i.From)), when(w.until(i.To))})
	}
	if len(t.Rows) == 0 {
		s.Paras = []string{w.say("identity.none")}
		return s
	}
	s.Tables = []table{t}
	return s
}

func (w *writer) actions(c Category, key string) section {
	s := section{ID: key, Title: w.say(key), Paras: []string{w.say(key + ".p")}}
	heads := []string{"when.when", "what", "by", "concerning", "changes", "result"}
	if c == ActionsBy {
		heads = slices.Delete(heads, 2, 3)
	}
	t := w.table(key+".caption", heads...)
	for _, it := range newest(w, &t, string(c), w.d.whole(w.of(c))) {
		row := []cell{w.moment(it.row.Occurred), {Lines: plain(w.what(it)...), Head: true}}
		if c != ActionsBy {
			row = append(row, when(w.actor(it)))
		}
		changes := w.changes(it)
		disputed := func(x value) bool { return x.attr.ID == "action.disputed-attribute" }
		if slices.ContainsFunc(it.values, disputed) {
			changes.Lines = append(changes.Lines, line{Text: w.say("disputed"), State: true})
		}
		changes.Class = "long"
		t.Rows = append(t.Rows, append(row, w.targets(it), changes, w.outcome(it)))
	}
	if len(t.Rows) == 0 {
		s.Paras = []string{w.say(key + ".none")}
		return s
	}
	s.Tables = []table{t}
	return s
}

// actionOf is the stream of the action that an event tells of: what became of it on a device is
// of the action by which that was asked, where the package has that.
func (d *dossier) actionOf(it *item) schemas.Stream {
	if it.row.Stream.Kind() != kindRemote {
		return it.row.Stream
	}
	if d.asked == nil {
		d.asked = map[schemas.Stream]schemas.Stream{}
		there := map[schemas.Stream]bool{}
		for _, it := range d.items {
			there[it.row.Stream] = true
		}
		for _, it := range d.items {
			id, err := schemas.ParseUUID(it.text("remoteaction.group"))
			if act := schemas.NewStream("adminaction", id); err == nil && there[act] {
				d.asked[it.row.Stream] = act
			}
		}
	}
	if act, is := d.asked[it.row.Stream]; is {
		return act
	}
	return it.row.Stream
}

// outcome is the result of an action, and how far what was asked of devices has come: on each as
// it was told last.
func (w *writer) outcome(it *item) cell {
	c := w.value(it, "action.result")
	for _, attr := range []string{"remoteaction.state", "remoteaction.failure"} {
		c.Lines = append(c.Lines, w.value(it, attr).Lines...)
	}
	return w.once(c)
}

// told puts the events of what became of an action on one device together: what was told last.
func told(items []*item) (out []*item) {
	at := map[schemas.Stream]int{}
	for _, it := range items {
		i, known := at[it.row.Stream]
		if it.row.Stream.Kind() != kindRemote || !known {
			at[it.row.Stream] = len(out)
			out = append(out, it)
			continue
		}
		first, later := out[i], it
		if later.row.Seq < first.row.Seq {
			first, later = later, first
		}
		joined := *out[i]
		joined.values = slices.DeleteFunc(slices.Clone(first.values), func(x value) bool {
			return slices.ContainsFunc(later.values, func(y value) bool { return y.attr == x.attr })
		})
		joined.values = append(joined.values, later.values...)
		joined.row.Seq = later.row.Seq
		for _, r := range later.roles {
			if !slices.Contains(joined.roles, r) {
				joined.roles = append(slices.Clone(joined.roles), r)
			}
		}
		for _, o := range it.others {
			if !slices.Contains(joined.others, o) {
				joined.others = append(slices.Clone(joined.others), o)
			}
		}
		out[i] = &joined
	}
	return out
}

// whole puts the events of one action together: its first event, with what the others say.
func (d *dossier) whole(items []*item) (out []*item) {
	at := map[schemas.Stream]int{}
	for _, it := range told(items) {
		if !isAction(it) {
			out = append(out, it)
			continue
		}
		i, known := at[d.actionOf(it)]
		if !known {
			at[d.actionOf(it)] = len(out)
			out = append(out, it)
			continue
		}
		lead, more := out[i], it
		if strings.HasPrefix(it.row.Type, firstOfAction) {
			lead, more = it, out[i]
		}
		joined := *lead
		joined.values = slices.Clone(lead.values)
		for _, x := range more.values {
			if x.element != "" { // indices are an event's own
				x.element = fmt.Sprintf("%d~%s", more.row.Seq, x.element)
			} else if more.row.Stream.Kind() != kindRemote &&
				slices.ContainsFunc(lead.values, func(y value) bool { return y.attr == x.attr }) {
				continue // what continues an action repeats what it was
			}
			joined.values = append(joined.values, x)
		}
		joined.others = slices.Clone(lead.others)
		for _, o := range more.others {
			if !slices.Contains(joined.others, o) {
				joined.others = append(joined.others, o)
			}
		}
		joined.roles = slices.Clone(lead.roles)
		for _, r := range more.roles {
			if !slices.Contains(joined.roles, r) {
				joined.roles = append(joined.roles, r)
			}
		}
		out[i] = &joined
	}
	return out
}

// what says in words what an action was.
func (w *writer) what(it *item) []string {
	if it.row.Stream.Kind() == kindRemote {
		return []string{sentence(content.Word(w.l, "remoteaction.action", it.text("remoteaction.action")))}
	}
	if it.row.Stream.Kind() != "adminaction" {
		out := []string{typeLabel(it, w.l)}
		if r := it.text("access.report"); r != "" {
			out = append(out, w.report(r))
		}
		return out
	}
	verb := content.Word(w.l, "action.verb", it.text("action.verb"))
	op := it.text("action.operation")
	if op == "" {
		op = it.text("action.activity-type")
	}
	word := content.Word(w.l, "action.operation", op)
	switch {
	case op == "" && verb == "":
		return []string{typeLabel(it, w.l)}
	case op == "":
		return []string{sentence(verb)}
	case word != op:
		return []string{sentence(word)}
	case verb == "":
		return []string{op}
	}
	return []string{sentence(verb), op}
}

func sentence(s string) string {
	for i, r := range s {
		return strings.ToUpper(string(r)) + s[i+len(string(r)):]
	}
	return s
}

// targets names what an action was done to: the person's own things by name, others by their
// label. What has no name is told by its kind.
func (w *writer) targets(it *item) cell {
	var c cell
	add := func(l line) {
		if !slices.Contains(c.Lines, l) {
			c.Lines = append(c.Lines, l)
		}
	}
	named := map[string]bool{} // elements that have a name
	var hidden []line
	for _, x := range it.values {
		switch {
		case x.attr.ID == "remoteaction.device-name" && it.row.Stream.Kind() != kindRemote: // as the action says
		case x.attr.ID != "action.target-name" && x.attr.ID != "remoteaction.device-name":
		case x.v.State == document.Withheld:
			hidden = append(hidden, w.line(x))
			named[x.element] = true
		default:
			add(w.line(x))
			named[x.element] = true
		}
	}
	for _, x := range it.values {
		if !named[x.element] && x.attr.ID == "action.target-type" {
			add(w.line(x))
		}
	}
	if len(c.Lines) == 0 && slices.Contains(it.roles, "target") {
		add(line{Text: w.say("you")})
	}
	others := 0
	for _, o := range it.others {
		if o.role == "target" {
			others++
			add(line{Text: w.other(o)})
		}
	}
	c.Lines = append(c.Lines, hidden[min(others, len(hidden)):]...)
	if n := it.text("access.persons"); n != "" { // a viewing names nobody
		if count, err := strconv.Atoi(n); err == nil {
			c.Lines = append(c.Lines, line{Text: w.say("persons", words.Args{"count": count})})
		}
	}
	return w.once(c)
}

func (w *writer) changes(it *item) cell {
	var c cell
	for _, x := range it.values {
		if x.attr.ID != "action.changes" {
			continue
		}
		if x.v.State != document.Shown {
			c.Lines = append(c.Lines, w.line(x))
			continue
		}
		cs := x.v.In(w.l).Changed()
		if cs == nil {
			c.Lines = append(c.Lines, w.line(x))
		}
		for _, p := range cs {
			c.Lines = append(c.Lines, line{Text: p.Line(w.l)})
		}
	}
	return w.once(c)
}

func (w *writer) value(it *item, attr string) cell {
	var c cell
	for _, x := range it.values {
		if x.attr.ID == attr {
			c.Lines = append(c.Lines, w.line(x))
		}
	}
	return c
}

// line is a value as the page shows it.
func (w *writer) line(x value) line {
	switch {
	case x.removed:
		return line{Text: w.say("removed")}
	case x.v.State != document.Shown:
		return line{Text: w.l.Text("state." + x.v.State.Name()), State: true}
	case x.attr.Type == "time":
		if t, err := time.Parse(time.RFC3339Nano, x.exact()); err == nil {
			return line{Text: w.when(t)}
		}
	}
	return line{Text: x.v.People(w.l, w.d.c.Location)}
}

// neverCollected is what no source may bring into the ledger.
var neverCollected = []string{"calls", "mail", "contacts", "passwords", "photos", "location"}

func (w *writer) refusals() section {
	s := section{ID: "refusals", Title: w.say("refusals"), Paras: []string{w.say("refusals.p")},
		After: []string{w.say("never")}}
	for _, what := range neverCollected {
		s.List = append(s.List, w.say("never.of."+what))
	}
	t := w.table("refusals.caption", "rule", "category", "count.num", "when.when", "source")
	latest := map[schemas.Stream]*item{}
	for _, it := range w.of(Refusals) {
		if have := latest[it.row.Stream]; have == nil || it.row.Seq > have.row.Seq {
			latest[it.row.Stream] = it
		}
	}
	for _, it := range w.of(Refusals) {
		if latest[it.row.Stream] != it {
			continue
		}
		rule := w.value(it, "refusal.rule")
		rule.Head = true
		count := w.value(it, "refusal.count")
		count.Class = "num"
		t.Rows = append(t.Rows, []cell{rule, w.value(it, "refusal.category"), count, w.moment(it.row.Occurred),
			text(w.source(it.row.Source))})
	}
	if len(t.Rows) == 0 {
		s.Paras = append(s.Paras, w.say("refusals.none"))
	} else {
		s.Tables = []table{t}
	}
	return s
}

func (w *writer) requests() section {
	s := section{ID: "requests", Title: w.say("requests"), Paras: []string{w.say("requests.p")}}
	t := w.table("requests.caption", "when.when", "what", "details", "by")
	for _, it := range newest(w, &t, string(Requests), w.of(Requests)) {
		var details []string
		if r := it.text("request.right"); r != "" {
			details = append(details, sentence(content.Word(w.l, "request.right", r)))
		}
		for _, f := range []struct{ attr, text string }{{"request.received", "received"}, {"request.due", "due"}} {
			if day, err := time.ParseInLocation(time.DateOnly, it.text(f.attr), w.d.c.Location); err == nil {
				details = append(details, w.say(f.text, words.Args{"date": w.date(day)}))
			}
		}
		if m := it.text("request.identity-method"); m != "" {
			method := content.Word(w.l, "request.identity-method", m)
			details = append(details, w.say("identified", words.Args{"method": method}))
		}
		t.Rows = append(t.Rows, []cell{w.moment(it.row.Occurred), rowHead(typeLabel(it, w.l)),
			{Lines: plain(details...)}, text(w.actor(it))})
	}
	if len(t.Rows) == 0 {
		s.Paras = []string{w.say("requests.none")}
		return s
	}
	s.Tables = []table{t}
	return s
}

func (w *writer) views() section {
	s := section{ID: "views", Title: w.say("views"), Paras: []string{w.say("views.p")}}
	withheld := func(x value) bool { return x.attr.ID == "access.purpose" && x.v.State == document.Withheld }
	if slices.ContainsFunc(w.of(Views), func(it *item) bool { return slices.ContainsFunc(it.values, withheld) }) {
		s.Paras = append(s.Paras, w.say("views.purpose"))
	}
	t := w.table("views.caption", "when.when", "report", "why", "by")
	for _, it := range newest(w, &t, string(Views), w.of(Views)) {
		t.Rows = append(t.Rows, []cell{w.moment(it.row.Occurred), rowHead(w.report(it.text("access.report"))),
			{Lines: w.purpose(it)}, text(w.actor(it))})
	}
	if len(t.Rows) == 0 {
		s.Paras = []string{w.say("views.none")}
		return s
	}
	s.Tables = []table{t}
	return s
}

// purpose is why data was viewed: the purpose chosen from a list, which names nobody. Where that
// says too little, what the officer wrote stands beside it: withheld, unless the person wrote it.
func (w *writer) purpose(it *item) (out []line) {
	code := it.text("access.purpose-code")
	if code != "" {
		out = plain(content.Word(w.l, "access.purpose-code", code))
	}
	if code == "" || code == "other" {
		out = append(out, w.value(it, "access.purpose").Lines...)
	}
	return out
}

// report is a report's title.
func (w *writer) report(id string) string {
	if d, ok := report.Find(id); ok {
		return d.Title(w.l)
	}
	if strings.HasPrefix(id, "dsar") || id == "access-package" {
		return w.l.Text("report.access-package.title")
	}
	return id
}

func (w *writer) others() section {
	s := section{ID: "other", Title: w.say("other"), Paras: []string{w.say("other.p")}}
	t := w.table("other.caption", "when.when", "what", "details", "source")
	var items []*item
	for _, it := range w.d.items {
		if it.category == Other || it.opaque {
			items = append(items, it)
		}
	}
	for _, it := range newest(w, &t, string(Other), items) {
		var said cell // whatever kind of record it is, it says what it holds
		for _, x := range it.values {
			l := w.line(x)
			l.Text = w.label(x) + ": " + l.Text
			said.Lines = append(said.Lines, l)
		}
		t.Rows = append(t.Rows, []cell{w.moment(it.row.Occurred), rowHead(typeLabel(it, w.l)), w.once(said),
			text(w.source(it.row.Source))})
	}
	if len(t.Rows) > 0 {
		s.Tables = []table{t}
	}
	return s
}

func (w *writer) withheld() section {
	s := section{ID: "withheld", Title: w.say("withheld"), Paras: []string{w.say("withheld.p")},
		After: []string{w.say("states")}}
	if w.d.any(document.Lost) {
		s.After = append(s.After, w.say("states.lost"))
	}
	if w.d.any(document.NotGenuine) {
		s.After = append(s.After, w.say("states.not-genuine"))
	}
	t := w.table("withheld.caption", "category", "count.num", "why")
	for _, l := range w.d.withheld() {
		t.Rows = append(t.Rows, []cell{rowHead(w.say("category." + string(l.Category))),
			{Lines: plain(w.l.Count(l.Count)), Class: "num"}, text(w.say("ground." + string(l.Ground)))})
	}
	if len(t.Rows) == 0 {
		s.Paras = []string{w.say("withheld.none")}
		return s
	}
	s.Tables = []table{t}
	return s
}

// of returns the events of a category by time, as people read: the ledger's order is that of
// recording.
func (w *writer) of(c Category) []*item {
	var out []*item
	for _, it := range w.d.items {
		if it.category == c {
			out = append(out, it)
		}
	}
	slices.SortStableFunc(out, func(a, b *item) int { return a.row.Occurred.Compare(b.row.Occurred) })
	return out
}

// table begins one: its caption's key, and of each column the key of its head with, after a dot,
// its class.
func (w *writer) table(caption string, columns ...string) table {
	w.n++
	t := table{ID: fmt.Sprintf("t%d", w.n), Caption: w.say(caption)}
	for _, c := range columns {
		key, class, _ := strings.Cut(c, ".")
		t.Heads = append(t.Heads, head{w.say("column." + key), class})
	}
	return t
}

// newest leaves the newest of what a long table would show, and lets it say so.
func newest[T any](w *writer, t *table, file string, all []T) []T {
	n := len(all)
	if n <= maxRows {
		return all
	}
	more := w.say("more", words.Args{"shown": maxRows, "all": n, "file": "data/" + file + ".csv"})
	t.Note = strings.TrimSpace(t.Note + " " + more)
	return all[n-maxRows:]
}
