package dsar

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/projections/report/content"
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

// day and moment are the cells of a time.
func (w *writer) day(t time.Time) cell {
	return cell{Lines: plain(w.shortDate(t)), Class: "when", at: t}
}

func (w *writer) moment(t time.Time) cell {
	return cell{Lines: plain(w.when(t)), Class: "when", at: t}
}

// once says a state that several lines of a cell are in once, with how many they are.
func (w *writer) once(c cell) cell {
	count := map[line]int{}
	var lines []line
	for _, l := range c.Lines {
		if count[l]++; !l.State || count[l] == 1 {
			lines = append(lines, l)
		}
	}
	for i, l := range lines {
		if l.State && count[l] > 1 {
			lines[i].Text = w.times(l.Text, count[l])
		}
	}
	c.Lines = lines
	return c
}

func (w *writer) times(text string, count int) string {
	return w.say("times", words.Args{"text": text, "count": w.l.Count(count)})
}

// gathered says rows that differ in their times alone, and do not show a value, once: with how
// many they are, from the first of them to the last.
func (w *writer) gathered(rows [][]cell) (out [][]cell) {
	type same struct {
		at, count   int // where in out
		first, last []cell
	}
	known := map[string]*same{}
	for _, row := range rows {
		key, hidden := "", false
		for _, c := range row {
			for _, l := range c.Lines {
				hidden = hidden || l.State
				if c.at.IsZero() {
					key += fmt.Sprintf("%q %t,", l.Text, l.State)
				}
			}
			key += ";"
		}
		if !hidden {
			out = append(out, row)
			continue
		}
		s := known[key]
		if s == nil {
			s = &same{at: len(out), first: slices.Clone(row), last: slices.Clone(row)}
			known[key] = s
			out = append(out, row)
		}
		s.count++
		for i, c := range row {
			if c.at.Before(s.first[i].at) {
				s.first[i] = c
			}
			if c.at.After(s.last[i].at) {
				s.last[i] = c
			}
		}
	}
	for _, s := range known {
		if s.count == 1 {
			continue
		}
		row := slices.Clone(s.first)
		said := false
		for i, c := range row {
			if from, to := c.Lines, s.last[i].Lines; !c.at.IsZero() && from[0] != to[0] {
				row[i].Lines = []line{{Text: from[0].Text + " –"}, to[0]}
			}
			if k := slices.IndexFunc(c.Lines, func(l line) bool { return l.State }); k >= 0 && !said {
				said = true
				row[i].Lines = slices.Clone(c.Lines)
				row[i].Lines[k].Text = w.times(c.Lines[k].Text, s.count)
			}
		}
		out[s.at] = row
	}
	return out
}

func (w *writer) source(s string) string { return content.Word(w.l, "source", s) }

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
