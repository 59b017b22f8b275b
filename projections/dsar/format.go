package dsar

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/projections/report"
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

func (w *writer) source(s string) string { return report.Word(w.lang, "source", s) }

// actor is who did it: the person, a numbered other, or what is no person.
func (d *dossier) actor(it *item, lang string) string {
	t := texts[lang]
	for _, role := range []string{"actor", "officer"} {
		if slices.Contains(it.roles, role) {
			return t["you"]
		}
		for _, o := range it.others {
			if o.role == role {
				return d.labelText(o.label, lang)
			}
		}
	}
	switch it.text("action.actor-type") {
	case "application":
		return t["application"]
	case "system":
		return t["system"]
	}
	return t["nobody"]
}

// labelText is a label in the language: "administrator-1" is "Administrator 1" or "Beheerder 1".
func (d *dossier) labelText(label, lang string) string {
	kind, n, _ := strings.Cut(label, "-")
	return fmt.Sprintf(texts[lang][kind], n)
}

var months = map[string][]string{
	"en": {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	"nl": {"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"},
}

func (w *writer) date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(w.d.c.Location)
	return fmt.Sprintf("%d %s %d", t.Day(), months[w.lang][t.Month()-1], t.Year())
}

func (w *writer) shortDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(w.d.c.Location)
	m := months[w.lang][t.Month()-1]
	if w.lang == "nl" && t.Month() == time.March {
		m = "mrt"
	}
	return fmt.Sprintf("%d %s %d", t.Day(), m[:3], t.Year())
}

// when is a moment for reading. An hour that the clock shows twice carries its offset.
func (w *writer) when(t time.Time) string {
	l := t.In(w.d.c.Location)
	s := w.shortDate(t) + ", " + l.Format("15:04")
	for _, by := range []time.Duration{-time.Hour, time.Hour} {
		if n := l.Add(by); n.Format("2006-01-02 15:04") == l.Format("2006-01-02 15:04") {
			return s + l.Format(" (-07:00)")
		}
	}
	return s
}

func (w *writer) since(t time.Time) string {
	if t.IsZero() {
		return w.t["unknown"]
	}
	return w.shortDate(t)
}

func (w *writer) until(t time.Time) string {
	if t.IsZero() {
		return w.t["now"]
	}
	return w.shortDate(t)
}

// count is a number with the language's thousands mark.
func (w *writer) count(n int) string {
	s := fmt.Sprint(n)
	mark := ","
	if w.lang == "nl" {
		mark = "."
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + mark + s[i:]
	}
	return s
}
