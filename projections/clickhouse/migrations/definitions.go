package migrations

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Definitions are what this program's migrations make: the statement of every table, and the
// SELECT of every materialized and every plain view, the last one where a later file replaces it.
type Definitions struct {
	Tables map[string]string // by name, x_v2 alike
	Fills  map[string]string // SELECT of the materialized view, by the name of the table that it fills
	Plain  map[string]string // SELECT of the plain view, by its name
	Order  []string          // plain views, each behind those it reads
	// Retired are views that had tables and are read out of events now: what is left of those is
	// of no use.
	Retired []string
}

var (
	tableForm  = regexp.MustCompile(`(?s)^CREATE TABLE IF NOT EXISTS (\w+) `)
	fillForm   = regexp.MustCompile(`(?s)^CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+)_mv TO (\w+) AS\s+(SELECT .*)$`)
	alterForm  = regexp.MustCompile(`(?s)^ALTER TABLE (\w+) MODIFY SETTING (\w+ = \w+)$`)
	refillForm = regexp.MustCompile(`(?s)^ALTER TABLE (\w+)_mv MODIFY QUERY\s+(SELECT .*)$`)
	plainForm  = regexp.MustCompile(`(?s)^CREATE OR REPLACE VIEW (\w+) AS\s+(SELECT .*)$`)
	comment    = regexp.MustCompile(`(?m)^--.*\n?`)
)

// Define parses the embedded migrations once.
var Define = sync.OnceValues(func() (*Definitions, error) {
	migrations, err := Read()
	if err != nil {
		return nil, err
	}
	d := &Definitions{Tables: map[string]string{}, Fills: map[string]string{}, Plain: map[string]string{}}
	for _, m := range migrations {
		for _, s := range m.Statements {
			s = statementText(s)
			if t := tableForm.FindStringSubmatch(s); t != nil {
				d.Tables[t[1]] = s
			} else if f := fillForm.FindStringSubmatch(s); f != nil && f[1] == f[2] {
				d.Fills[f[2]] = f[3]
			} else if table, selects, ok := Refill(s); ok && d.Fills[table] != "" {
				d.Fills[table] = selects
			} else if p := plainForm.FindStringSubmatch(s); p != nil {
				d.retire(d.Plain[p[1]], p[2])
				d.Plain[p[1]] = p[2]
				if !slices.Contains(d.Order, p[1]) {
					d.Order = append(d.Order, p[1])
				}
			} else if a := alterForm.FindStringSubmatch(s); a != nil && d.Tables[a[1]] != "" {
				d.Tables[a[1]] += ", " + a[2] // each ends with its settings
			} else {
				return nil, fmt.Errorf("migration %s: a statement of none of the forms", m.Name)
			}
		}
	}
	return d, nil
})

// Refill reads a statement that gives a table that stays as it is another SELECT to be filled by.
// It holds for the table's rebuilt versions too.
func Refill(statement string) (table, selects string, ok bool) {
	m := refillForm.FindStringSubmatch(statementText(statement))
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// Genuine is the table, without rows, through which the views are filled that leave out what is
// disowned. It belongs to no view and has no version.
const Genuine = "genuine"

// GenuineFill is the materialized view that fills it.
const GenuineFill = Genuine + "_mv"

var fromEvents, fromGenuine = regexp.MustCompile(`\bFROM events\b`), regexp.MustCompile(`\bFROM ` + Genuine + `\b`)

// Over returns a definition that reads the events that condition holds for, each once.
func (d *Definitions) Over(selects, condition string) string {
	once := func(in *regexp.Regexp, by string) string {
		at := in.FindStringIndex(selects)
		if at == nil {
			return selects
		}
		return selects[:at[0]] + by + selects[at[1]:]
	}
	if fromGenuine.MatchString(selects) {
		return once(fromGenuine, "FROM ("+d.Over(d.Fills[Genuine], condition)+") AS "+Genuine)
	}
	return once(fromEvents, "FROM (SELECT * FROM events FINAL PREWHERE "+condition+") AS events")
}

// LeavesOut says whether a definition leaves out what is disowned.
func (d *Definitions) LeavesOut(selects string) bool {
	return fromGenuine.MatchString(selects) || strings.Contains(selects, "FROM disowned)")
}

// retire forgets the tables of a view whose plain view read them and now reads none.
func (d *Definitions) retire(was, is string) {
	if VersionForm.MatchString(is) {
		return
	}
	for _, name := range VersionForm.FindAllString(was, -1) {
		view, _, _, _ := ParseVersion(name)
		of := func(name string, _ string) bool {
			other, _, _, ok := ParseVersion(name)
			return ok && other == view
		}
		maps.DeleteFunc(d.Tables, of)
		maps.DeleteFunc(d.Fills, of)
		d.Retired = append(d.Retired, view)
	}
}

func statementText(s string) string { return strings.TrimSpace(comment.ReplaceAllString(s, "")) }

// Statements are what all migrations together come to, in order: what a new database is made of,
// without the versions that a later one replaces. Each can be repeated.
func (d *Definitions) Statements() (out []string) {
	superseded := func(name string) bool {
		view, v, _, ok := ParseVersion(name)
		return ok && d.Newest(view).Compare(v) > 0
	}
	for _, name := range slices.Sorted(maps.Keys(d.Tables)) {
		if !superseded(name) {
			out = append(out, d.Tables[name])
		}
	}
	for _, name := range d.Order { // before what fills the tables, which reads one of them
		s := d.Plain[name]
		for _, view := range d.Views() {
			if d.Reader(view) == name {
				s = d.PlainAt(name, view, d.Newest(view))
			}
		}
		out = append(out, "CREATE OR REPLACE VIEW "+name+" AS "+s)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Fills)) {
		if !superseded(name) {
			out = append(out, "CREATE MATERIALIZED VIEW IF NOT EXISTS "+name+"_mv TO "+name+" AS "+d.Fills[name])
		}
	}
	return out
}

var codec = regexp.MustCompile(` CODEC\((?:[^()]|\([^()]*\))*\)`)

// Uncompressed makes a statement that creates a table create one whose columns are stored as they
// are.
func Uncompressed(statement string) string {
	if !strings.Contains(statement, "CREATE TABLE") {
		return statement
	}
	return strings.Replace(codec.ReplaceAllString(statement, ""), "SETTINGS ",
		"SETTINGS default_compression_codec = 'NONE', ", 1)
}

// Newest is the highest version of a view that the migrations make.
func (d *Definitions) Newest(view string) (out Version) {
	for name := range d.Fills {
		if of, v, _, ok := ParseVersion(name); ok && of == view && v.Compare(out) > 0 {
			out = v
		}
	}
	return out
}

// Views are those that are filled from events, in order of name.
func (d *Definitions) Views() []string {
	var out []string
	for name := range d.Fills {
		if view, _, _, ok := ParseVersion(name); ok {
			out = append(out, view)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Reader is the plain view by which the tables of a view are read.
func (d *Definitions) Reader(view string) string {
	for _, name := range d.Order {
		for _, found := range VersionForm.FindAllString(d.Plain[name], -1) {
			if of, _, _, ok := ParseVersion(found); ok && of == view {
				return name
			}
		}
	}
	return ""
}

// Table returns the statement that makes a view's table in a version.
func (d *Definitions) Table(view string, v Version) (string, bool) {
	s, ok := d.Tables[view+v.Base().Suffix()]
	return strings.Replace(s, "EXISTS "+view+v.Base().Suffix()+" ", "EXISTS "+view+v.Suffix()+" ", 1), ok
}

// Fill returns the SELECT that fills a view's table in a version.
func (d *Definitions) Fill(view string, v Version) (string, bool) {
	s, ok := d.Fills[view+v.Base().Suffix()]
	return s, ok
}

// PlainAt returns a plain view's SELECT, reading that version wherever it reads the view's tables.
func (d *Definitions) PlainAt(name, view string, v Version) string {
	return VersionForm.ReplaceAllStringFunc(d.Plain[name], func(found string) string {
		if of, _, mv, ok := ParseVersion(found); ok && of == view && !mv {
			return view + v.Suffix()
		}
		return found
	})
}
