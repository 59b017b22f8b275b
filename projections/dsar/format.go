package dsar

import (
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// This file is how the pages write cells, names, times and numbers.

func plain(lines ...string) []line {
	out := make([]line, 0, len(lines))
	for _, l := range lines {
		if l != "" {
			out = append(out, line{Text: l})
		}
	}
	return out
}

func text(s string) cell    { return cell{Lines: plain(s)} }
func long(s string) cell    { return cell{Lines: plain(s), Class: "long"} }
func rowHead(s string) cell { return cell{Lines: plain(s), Head: true} }
func when(s string) cell    { return cell{Lines: plain(s), Class: "when"} }

func (w *writer) source(s string) string { return report.Word(w.l, "source", s) }

// say is a text of the package's own.
func (w *writer) say(key string, args ...words.Args) string { return w.l.Text("dsar."+key, args...) }

// find is a text that may not be there.
func (w *writer) find(key string) (string, bool) { return w.l.Find("dsar." + key) }

// label is what the value's attribute is called.
func (w *writer) label(x value) string { return x.attr.Label.Of(w.l) }

// actor is who did it: the person, a numbered other, or what is no person.
func (w *writer) actor(it *item) string {
	for _, role := range []string{"actor", "officer"} {
		if slices.Contains(it.roles, role) {
			return w.say("you")
		}
		for _, o := range it.others {
			if o.role == role {
				return w.other(o)
			}
		}
	}
	switch it.text("action.actor-type") {
	case "application":
		return w.say("application")
	case "system":
		return w.say("system")
	}
	return w.say("nobody")
}

// other is somebody else by their label: "administrator-1" is "Administrator 1" or "Beheerder 1".
func (w *writer) other(o other) string {
	kind, n, _ := strings.Cut(o.label, "-")
	return w.say(kind, words.Args{"number": n})
}

func (w *writer) date(t time.Time) string      { return w.l.Date(w.local(t)) }
func (w *writer) shortDate(t time.Time) string { return w.l.ShortDate(w.local(t)) }

// when is a moment for reading. An hour that the clock shows twice carries its offset.
func (w *writer) when(t time.Time) string { return w.l.Moment(t.In(w.d.c.Location)) }

// local is t where times are shown; the zero time stays it.
func (w *writer) local(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(w.d.c.Location)
}

func (w *writer) since(t time.Time) string {
	if t.IsZero() {
		return w.say("unknown")
	}
	return w.shortDate(t)
}

func (w *writer) until(t time.Time) string {
	if t.IsZero() {
		return w.say("now")
	}
	return w.shortDate(t)
}
