package clickhouse

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// definitions are what this program's migrations make: the statement of every table, and the SELECT
// of every materialized and every plain view, the last one where a later file replaces it.
type definitions struct {
	tables map[string]string // by name, x_v2 alike
	fills  map[string]string // SELECT of the materialized view, by the name of the table that it fills
	plain  map[string]string // SELECT of the plain view, by its name
	order  []string          // plain views, each behind those it reads
}

var (
	tableForm = regexp.MustCompile(`(?s)^CREATE TABLE IF NOT EXISTS (\w+) `)
	fillForm  = regexp.MustCompile(`(?s)^CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+)_mv TO (\w+) AS\s+(SELECT .*)$`)
	plainForm = regexp.MustCompile(`(?s)^CREATE OR REPLACE VIEW (\w+) AS\s+(SELECT .*)$`)
	comment   = regexp.MustCompile(`(?m)^--.*\n?`)
)

// readDefinitions parses the embedded migrations once.
var readDefinitions = sync.OnceValues(func() (*definitions, error) {
	migrations, err := readMigrations()
	if err != nil {
		return nil, err
	}
	d := &definitions{tables: map[string]string{}, fills: map[string]string{}, plain: map[string]string{}}
	for _, m := range migrations {
		for _, s := range m.statements {
			s = statementText(s)
			if t := tableForm.FindStringSubmatch(s); t != nil {
				d.tables[t[1]] = s
			} else if f := fillForm.FindStringSubmatch(s); f != nil && f[1] == f[2] {
				d.fills[f[2]] = f[3]
			} else if p := plainForm.FindStringSubmatch(s); p != nil {
				d.plain[p[1]] = p[2]
				if !slices.Contains(d.order, p[1]) {
					d.order = append(d.order, p[1])
				}
			} else {
				return nil, fmt.Errorf("migration %s: a statement that is no table, materialized view or view", m.name)
			}
		}
	}
	return d, nil
})

func statementText(s string) string { return strings.TrimSpace(comment.ReplaceAllString(s, "")) }

// newest is the highest version of a view that the migrations make.
func (d *definitions) newest(view string) (out version) {
	for name := range d.fills {
		if of, v, _, ok := parseVersion(name); ok && of == view && v.compare(out) > 0 {
			out = v
		}
	}
	return out
}

// views are those that are filled from events, in order of name.
func (d *definitions) views() []string {
	var out []string
	for name := range d.fills {
		if view, _, _, ok := parseVersion(name); ok {
			out = append(out, view)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// reader is the plain view by which the tables of a view are read.
func (d *definitions) reader(view string) string {
	for _, name := range d.order {
		for _, found := range versionForm.FindAllString(d.plain[name], -1) {
			if of, _, _, ok := parseVersion(found); ok && of == view {
				return name
			}
		}
	}
	return ""
}

// base is the version as the migration made it: a rebuilt table has its definition.
func (v version) base() version { return version{migration: v.migration} }

// table returns the statement that makes a view's table in a version.
func (d *definitions) table(view string, v version) (string, bool) {
	s, ok := d.tables[view+v.base().suffix()]
	return strings.Replace(s, "EXISTS "+view+v.base().suffix()+" ", "EXISTS "+view+v.suffix()+" ", 1), ok
}

// fill returns the SELECT that fills a view's table in a version.
func (d *definitions) fill(view string, v version) (string, bool) {
	s, ok := d.fills[view+v.base().suffix()]
	return s, ok
}

// plainAt returns a plain view's SELECT, reading that version wherever it reads the view's tables.
func (d *definitions) plainAt(name, view string, v version) string {
	return versionForm.ReplaceAllStringFunc(d.plain[name], func(found string) string {
		if of, _, mv, ok := parseVersion(found); ok && of == view && !mv {
			return view + v.suffix()
		}
		return found
	})
}

// formatted returns SELECTs as ClickHouse writes them in system.tables, but
// for the database's name.
func (db *DB) formatted(ctx context.Context, selects []string) ([]string, error) {
	out, err := collect(ctx, db, params{"texts": selects},
		"SELECT formatQuerySingleLine(text) FROM (SELECT arrayJoin({texts:Array(String)}) AS text)",
		func(scan func(...any) error) (s string, err error) { return s, scan(&s) })
	if err == nil && len(out) != len(selects) {
		err = fmt.Errorf("%d answers to %d", len(out), len(selects))
	}
	if err != nil {
		return nil, fmt.Errorf("format definitions: %w", err)
	}
	return out, nil
}

// unqualified takes this database's name away from what it stands before.
func (db *DB) unqualified(selects string) string {
	return strings.ReplaceAll(selects, db.database+".", "")
}
