// Package define is what a report is: columns, filters, and the function from a question to rows;
// what can be wrong with what is asked of it.
//
// It keeps nothing and knows no report: which there are, package report lists.
package define

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/heading"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Reader is what the reports ask of the views; projections.Reader has it.
type Reader interface {
	Through(ctx context.Context) (seq uint64, ok bool, err error)
	SeqOf(ctx context.Context, tenant, event uuid.UUID) (seq uint64, found bool, err error)
	RawEventsAt(ctx context.Context, tenant uuid.UUID, seqs []uint64) iter.Seq2[schemas.Envelope, error]
	Devices(
		ctx context.Context, tenant uuid.UUID, asOf projections.AsOf, attributes ...string,
	) iter.Seq2[projections.Device, error]
	DevicesAt(
		ctx context.Context, tenant uuid.UUID, at []projections.DeviceAt, attributes ...string,
	) ([]projections.Device, error)
	DeviceHistory(
		ctx context.Context, tenant uuid.UUID, stream schemas.Stream, in projections.Period, attributes []string,
		asOf projections.AsOf,
	) iter.Seq2[projections.Change, error]
	AdminActions(
		ctx context.Context, tenant uuid.UUID, in projections.Period, filter projections.ActionFilter,
		asOf projections.AsOf,
	) iter.Seq2[projections.AdminAction, error]
	RemoteActions(
		ctx context.Context, tenant uuid.UUID, f projections.RemoteFilter, asOf projections.AsOf,
	) iter.Seq2[projections.RemoteAction, error]
	Accounts(
		ctx context.Context, tenant uuid.UUID, asOf projections.AsOf, attributes ...string,
	) iter.Seq2[projections.Account, error]
	Access(
		ctx context.Context, tenant uuid.UUID, in projections.Period, filter projections.AccessFilter,
		asOf projections.AsOf,
	) iter.Seq2[projections.AccessRun, error]
	Requests(
		ctx context.Context, tenant uuid.UUID, asOf projections.AsOf,
	) iter.Seq2[projections.RequestAct, error]
	EventsByAliases(
		ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID, asOf projections.AsOf,
	) iter.Seq2[projections.Event, error]
	ApplicationNames(
		ctx context.Context, tenant uuid.UUID, ids []string, in projections.Period, asOf projections.AsOf,
	) (map[string]projections.ApplicationName, error)
	Refusals(
		ctx context.Context, tenant uuid.UUID, in projections.Period, rules []string, asOf projections.AsOf,
	) iter.Seq2[projections.Refusal, error]
}

// Column is one column of a report. Its title is the text "column.<id>".
type Column struct {
	ID    string // never translated: the member of JSON, the head of machine CSV
	Type  document.Type
	List  bool // a cell may hold several values
	Parts bool // what a cell holds are parts of one name

	Machine bool // only programs get it
}

// Filter narrows a report. Its title is the text "filter.<id>", what it takes
// "report.<report>.filter.<id>".
type Filter struct {
	ID       string // the key in Request.Filters
	Required bool
	Attr     string          // the filter's values are values of this attribute; "" for none
	Report   string          // the report's id
	Known    func() []string // the vocabulary, where it is closed and not the attribute's shape
	Held     string          // a value begins one that a device has of this attribute; "" for any
	One      bool            // takes a single value
	Devices  bool            // a value is what a device is called; rows are asked for its stream
	Flag     bool            // is given, as Set, or not

	// Columns in which a value is looked for as text, upper and lower case alike. What is
	// protected is searched for it, and nothing is where all is masked: such a filter is refused.
	In    []string
	Whole bool                    // is one value with the commas in it
	Open  func(value string) bool // beside In: the view is asked for such values, and nothing is searched

	Check func(string) Code // beside Attr: "" or what is wrong; nil: anything

	// How the header shows it; nil: each value by its word.
	Shown func(l *words.Language, values []string) string
}

// Set is the value of a filter that is given or not.
const Set = content.Set

// Title is what the filter is called.
func (f Filter) Title(l *words.Language) string { return l.Text("filter." + f.ID) }

// Help is what the filter takes.
func (f Filter) Help(l *words.Language) string {
	return l.Text("report." + f.Report + ".filter." + f.ID)
}

// Text is what the header says of the filter's values: what was typed, where that was looked up
// and may be shown.
func (f *Filter) Text(l *words.Language, values []string, typed string, revealed bool) string {
	switch {
	case typed != "" && revealed:
		return typed
	case f.Flag:
		return l.Text("value.yes")
	case f.Shown != nil:
		return f.Shown(l, values)
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = content.Word(l, f.Attr, v)
	}
	return strings.Join(texts, ", ")
}

// Scope says which time a report is about.
type Scope int

// Scopes.
const (
	OverPeriod Scope = iota // what occurred in [from, to)
	AtMoment                // what was so at a moment, or is now
)

// Definition describes a report. The set is closed: a new report is one more file, and a line in
// Definitions. Its words are the texts "report.<id>.…".
type Definition struct {
	ID       string
	Scope    Scope
	Personal bool // has protected values: revealing them needs a purpose
	Late     bool // counts late arrivals
	Columns  []Column
	Filters  []Filter

	Rows func(context.Context, *Question) iter.Seq2[Row, error]
	Keep func(row Row, h heading.Header) bool // of rows that were looked into; nil: all
}

// Shown are the columns of an answer: for people without those that only programs get.
func (d *Definition) Shown(people bool) []Column {
	return slices.DeleteFunc(slices.Clone(d.Columns), func(c Column) bool { return people && c.Machine })
}

// ForPeople takes what only programs get out of rows.
func (d *Definition) ForPeople(rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for row, err := range rows {
			var kept []content.Cell
			for i, c := range row.Cells {
				if i < len(d.Columns) && !d.Columns[i].Machine {
					kept = append(kept, c)
				}
			}
			if row.Cells = kept; !yield(row, err) {
				return
			}
		}
	}
}

// Title is what the report is called.
func (d *Definition) Title(l *words.Language) string { return l.Text("report." + d.ID + ".title") }

// About is one sentence on what the report answers.
func (d *Definition) About(l *words.Language) string { return l.Text("report." + d.ID + ".about") }

// Sought reports whether values are looked for as text in what rows say.
func (f *Filter) Sought(values []string) bool {
	return len(f.In) > 0 && (f.Open == nil || slices.ContainsFunc(values, func(v string) bool { return !f.Open(v) }))
}

// Filter returns the definition's filter of that id.
func (d *Definition) Filter(id string) (*Filter, bool) {
	for i := range d.Filters {
		if d.Filters[i].ID == id {
			return &d.Filters[i], true
		}
	}
	return nil, false
}

// Question is a validated request as a report's rows function sees it.
type Question struct {
	Reader Reader
	Tenant uuid.UUID
	In     projections.Period
	AsOf   projections.AsOf
	Filter map[string][]string // a filter's values, canonical
	Lang   *words.Language
	Made   time.Time
	Zone   *time.Location
	Owners func(context.Context, []uuid.UUID) (map[uuid.UUID]uuid.UUID, error)
}

// Moment is the one that the report is about: that it was asked for, or when it was made.
func (q *Question) Moment() time.Time {
	if !q.AsOf.Time.IsZero() {
		return q.AsOf.Time
	}
	return q.Made
}

// Split returns the values of a filter: it takes several, separated by commas.
func Split(s string) []string {
	var out []string
	for _, p := range strings.Split(s, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// Read checks what was given for a filter and returns it canonical. Its error is a *Problem.
func (f *Filter) Read(given string) ([]string, error) {
	fail := func(c Code, v string, known ...string) ([]string, error) {
		return nil, &Problem{Field: f.ID, Filter: true, Code: c, Given: v, Known: known}
	}
	vs := Split(given)
	if f.Whole {
		vs = slices.DeleteFunc([]string{strings.TrimSpace(given)}, func(s string) bool { return s == "" })
	}
	if len(vs) == 0 {
		return fail(Empty, "")
	}
	if f.One && len(vs) > 1 {
		return fail(TooMany, given)
	}
	if f.Flag && !slices.Equal(vs, []string{Set}) {
		return fail(Unknown, given, Set)
	}
	for i, v := range vs {
		if f.Check != nil {
			if c := f.Check(v); c != "" {
				return fail(c, v)
			}
		}
		if f.Known != nil {
			if known := f.Known(); !slices.Contains(known, v) {
				return fail(Unknown, v, known...)
			}
		}
		a := schemas.Default().Attribute(f.Attr)
		if a == nil || a.Shape == nil {
			continue
		}
		if a.Shape.Kind == "enum" {
			c, ok := a.Shape.Canonical(v)
			if !ok {
				return fail(Unknown, v, slices.Sorted(slices.Values(a.Shape.Values))...)
			}
			vs[i] = c
		} else if vs[i] = a.Canonical(v); !a.MayStandOpen(schemas.JSON(vs[i])) {
			return fail(Unfit, v)
		}
	}
	return vs, nil
}

// Row is one line of a report.
type Row struct {
	Key      string // what identifies it in the ledger: an event id, or an entity's stream; a sample is drawn by it
	Seq      uint64
	Recorded time.Time      // zero where the view does not say
	Cells    []content.Cell // as many as columns
}

// Aliases are the values of a filter on a person.
func (q *Question) Aliases(filter string) (ids []uuid.UUID, err error) {
	for _, s := range q.Filter[filter] {
		id, err := schemas.ParseUUID(s)
		if err != nil {
			return nil, fmt.Errorf("filter %s: %w", filter, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// IsUUID checks what is left of a filter on a person once the caller has
// resolved it: the person's aliases.
func IsUUID(s string) Code {
	if _, err := schemas.ParseUUID(s); err != nil {
		return Nobody
	}
	return ""
}

// Somebody stands for the aliases of a filter on a person, where what was typed is not shown.
func Somebody(l *words.Language, _ []string) string { return l.Text("filter.somebody") }

// IsCount checks a filter that takes a number, from 0.
func IsCount(s string) Code {
	if _, err := strconv.ParseUint(s, 10, 31); err != nil {
		return Unfit
	}
	return ""
}
