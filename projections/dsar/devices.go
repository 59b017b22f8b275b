package dsar

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// deviceStory is one device as the person held it: folded from its events in ledger order.
type deviceStory struct {
	stream  schemas.Stream
	held    []Device
	began   time.Time        // when the first event occurred
	current map[string]*fact // by attribute, or attribute and element
	changes []change
	apps    map[string]*app
	gone    []*app
}

type fact struct {
	x      value
	since  time.Time
	source string
}

type change struct {
	at     time.Time
	x      value
	before *value
	source string
}

type app struct {
	x       value
	since   time.Time
	removed time.Time
	source  string
}

// devices folds the person's devices, in the order in which they were first held or seen.
func (w *writer) devices() []*deviceStory {
	by := map[schemas.Stream]*deviceStory{}
	var out []*deviceStory
	get := func(s schemas.Stream) *deviceStory {
		d := by[s]
		if d == nil {
			d = &deviceStory{stream: s, current: map[string]*fact{}, apps: map[string]*app{}}
			by[s] = d
			out = append(out, d)
		}
		return d
	}
	for _, h := range w.d.p.Devices {
		d := get(h.Stream)
		d.held = append(d.held, h)
	}
	for _, it := range w.d.items {
		if it.row.Stream.Kind() == "device" {
			get(it.row.Stream).apply(it)
		}
	}
	return out
}

// apply folds one event. A value that an event states again is no change: a restatement carries
// the same values under other keys.
func (d *deviceStory) apply(it *item) {
	if d.began.IsZero() {
		d.began = it.row.Occurred
	}
	// What is first said of a device when it is first seen, or when all of it is stated again,
	// did not change then.
	initial := it.row.Occurred.Equal(d.began) || strings.HasPrefix(it.row.Type, "device.restated.") ||
		strings.HasPrefix(it.row.Type, "device.enrolled.")
	for i := range it.values {
		x := it.values[i]
		key := x.attr.ID + "\x00" + x.element
		if x.attr.ID == "device.app" {
			d.app(it, x)
			continue
		}
		have := d.current[key]
		switch {
		case x.removed && have == nil:
			continue
		case x.removed:
			delete(d.current, key)
		case have != nil && have.x.state() == x.state() && have.x.exact() == x.exact():
			continue
		default:
			d.current[key] = &fact{x, x.at, it.row.Source}
		}
		if x.attr.Volatile || initial && have == nil {
			continue
		}
		c := change{at: it.row.Occurred, x: x, source: it.row.Source}
		if have != nil {
			c.before = &have.x
		}
		d.changes = append(d.changes, c)
	}
}

func (d *deviceStory) app(it *item, x value) {
	have := d.apps[x.element]
	switch {
	case x.removed && have != nil:
		have.removed = it.row.Occurred
		d.gone = append(d.gone, have)
		delete(d.apps, x.element)
	case x.removed:
	case have != nil:
		have.x = x
	default:
		d.apps[x.element] = &app{x: x, since: x.at, source: it.row.Source}
	}
}

// name is what the device is called; "" where that may not be shown.
func (d *deviceStory) name(l *words.Language, loc *time.Location) string {
	for _, attr := range []string{"device.name", "device.model"} {
		if f := d.current[attr+"\x00"]; f != nil && f.x.v.State == document.Shown {
			if s := f.x.v.People(l, loc); s != "" {
				return s
			}
		}
	}
	return ""
}

func (w *writer) deviceSection(devices []*deviceStory) section {
	s := section{ID: "devices", Title: w.say("devices"), Paras: []string{w.say("devices.p")}}
	if len(devices) == 0 {
		s.Paras = []string{w.say("devices.none")}
		return s
	}
	for i, d := range devices {
		part := section{ID: fmt.Sprintf("device-%d", i+1), Title: w.say("device", words.Args{"number": i + 1})}
		if name := d.name(w.l, w.d.c.Location); name != "" {
			part.Title += ": " + name
		}
		ended := len(d.held) > 0
		for _, h := range d.held {
			text := w.say("device.held", words.Args{"from": w.date(h.From)})
			if !h.To.IsZero() {
				text = w.say("device.heldto", words.Args{"from": w.date(h.From), "to": w.date(h.To)})
			} else {
				ended = false
			}
			if h.From.IsZero() {
				text = ""
			}
			if own, ok := w.find("device.of." + h.Ownership); ok {
				text += " " + own
			}
			if text = strings.TrimSpace(text); text != "" {
				part.Paras = append(part.Paras, text)
			}
		}
		if len(d.current) > 0 {
			part.Tables = append(part.Tables, w.currentTable(d, ended))
		}
		if len(d.changes) > 0 {
			part.Tables = append(part.Tables, w.historyTable(d))
		} else if len(d.current) > 0 {
			part.After = append(part.After, w.say("history.none"))
		}
		if len(d.apps)+len(d.gone) == 0 {
			part.After = append(part.After, w.say("apps.none"))
		}
		part.Tables = append(part.Tables, w.appTables(d)...)
		for j := range part.Tables {
			part.Tables[j].Of = part.ID // each device has such tables
		}
		s.Parts = append(s.Parts, part)
	}
	return s
}

// firstItems lead a device's table; others follow by label.
var firstItems = []string{
	"device.name", "device.manufacturer", "device.model", "device.operating-system", "device.os-version",
	"device.serial-number", "device.phone-number", "device.imei", "device.enrolled-at", "device.last-contact",
	"device.compliance-state", "device.encrypted", "device.ownership", "device.user-name", "device.user-upn",
	"device.user-email", "device.user-id",
}

func rank(id string) int {
	if i := slices.Index(firstItems, id); i >= 0 {
		return i
	}
	return len(firstItems)
}

func (w *writer) currentTable(d *deviceStory, ended bool) table {
	caption := "current.caption"
	if ended {
		caption = "current.ended"
	}
	t := w.table(caption, "item", "value", "since.when", "source")
	for _, name := range []string{"inventory", "compliance", "ownership"} {
		var facts []*fact
		for _, f := range d.current {
			if f.x.attr.Group == name {
				facts = append(facts, f)
			}
		}
		slices.SortFunc(facts, func(a, b *fact) int {
			return cmp.Or(cmp.Compare(rank(a.x.attr.ID), rank(b.x.attr.ID)),
				strings.Compare(w.label(a.x), w.label(b.x)), strings.Compare(a.x.element, b.x.element))
		})
		g := group{Title: w.say("group." + name)}
		for _, f := range facts {
			l := w.line(f.x)
			if f.x.attr.ID == "device.logged-on-user" && f.x.v.State == document.Shown {
				l.Text = w.loggedOn(f.x)
			}
			g.Rows = append(g.Rows, []cell{rowHead(w.label(f.x)), {Lines: []line{l}, Class: "long"},
				w.day(f.since), text(w.source(f.source))})
		}
		if g.Rows = w.gathered(g.Rows); len(g.Rows) > 0 {
			t.More = append(t.More, g)
		}
	}
	return t
}

// loggedOn is a user who logged on: the value is the person's own, or it would be withheld.
func (w *writer) loggedOn(x value) string {
	var u struct{ LastLogOn string }
	if json.Unmarshal(x.v.JSON, &u) == nil {
		if t, err := time.Parse(time.RFC3339Nano, u.LastLogOn); err == nil {
			return w.say("you") + ", " + w.when(t)
		}
	}
	return w.say("you")
}

func (w *writer) historyTable(d *deviceStory) table {
	t := w.table("history.caption", "when.when", "item", "before", "after", "source")
	t.Note = w.say("history.note")
	slices.SortStableFunc(d.changes, func(a, b change) int { return a.at.Compare(b.at) })
	for _, c := range newest(w, &t, string(Devices), d.changes) {
		before := line{Text: w.say("none")}
		if c.before != nil {
			before = w.line(*c.before)
		}
		t.Rows = append(t.Rows, []cell{w.moment(c.at), rowHead(w.label(c.x)),
			{Lines: []line{before}, Class: "long"}, {Lines: []line{w.line(c.x)}, Class: "long"},
			text(w.source(c.source))})
	}
	t.Rows = w.gathered(t.Rows)
	return t
}

func (w *writer) appTables(d *deviceStory) []table {
	present := make([]*app, 0, len(d.apps))
	for _, a := range d.apps {
		present = append(present, a)
	}
	var out []table
	for _, set := range []struct {
		caption string
		apps    []*app
		gone    bool
	}{{"apps.caption", present, false}, {"apps.gone", d.gone, true}} {
		heads := []string{"app", "version", "publisher", "size.num", "seen.when"}
		if set.gone {
			heads = append(heads, "removed.when")
		}
		t := w.table(set.caption, heads...)
		type shown struct {
			name string
			row  []cell
		}
		var rows []shown
		for _, a := range set.apps {
			r := w.app(a)
			if set.gone {
				r = append(r, w.day(a.removed))
			}
			rows = append(rows, shown{strings.ToLower(r[0].Lines[0].Text) + "\x00" + a.x.element, r})
		}
		slices.SortFunc(rows, func(a, b shown) int { return strings.Compare(a.name, b.name) })
		for _, r := range newest(w, &t, string(Apps), rows) {
			t.Rows = append(t.Rows, r.row)
		}
		t.Rows = w.gathered(t.Rows)
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

func (w *writer) app(a *app) []cell {
	var o struct {
		Name, Version, Publisher string
		Size                     json.Number
	}
	name := w.line(a.x)
	if a.x.v.State == document.Shown && json.Unmarshal(a.x.v.JSON, &o) == nil && o.Name != "" {
		name = line{Text: o.Name}
	}
	size := ""
	if n := o.Size.String(); n != "" && n != "0" {
		size = document.Value{Type: document.Bytes, JSON: json.RawMessage(n)}.People(w.l, w.d.c.Location)
	}
	return []cell{{Lines: []line{name}, Head: true}, text(o.Version), text(o.Publisher),
		{Lines: plain(size), Class: "num"}, w.day(a.since)}
}
