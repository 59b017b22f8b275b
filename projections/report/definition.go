package report

import (
	"context"
	"iter"
	"slices"
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
	report   string          // the report's id
	known    func() []string // the vocabulary, where it is closed and not the attribute's shape
	held     string          // a value begins one that a device has of this attribute; "" for any
	one      bool            // takes a single value
	devices  bool            // a value is what a device is called: see findDevices
	Flag     bool            // is given, as Set, or not

	// Columns in which a value is looked for as text, upper and lower case alike. What is
	// protected is searched for it, and nothing is where all is masked: such a filter is refused.
	In    []string
	Whole bool                    // is one value with the commas in it
	open  func(value string) bool // beside In: the view is asked for such values, and nothing is searched

	check func(string) Code // beside Attr: "" or what is wrong; nil: anything

	// How the header shows it; nil: each value by its word.
	shown func(l *words.Language, values []string) string
}

// Set is the value of a filter that is given or not.
const Set = content.Set

// Title is what the filter is called.
func (f Filter) Title(l *words.Language) string { return l.Text("filter." + f.ID) }

// Help is what the filter takes.
func (f Filter) Help(l *words.Language) string {
	return l.Text("report." + f.report + ".filter." + f.ID)
}

// text is what the header says of the filter's values: what was typed, where that was looked up
// and may be shown.
func (f *Filter) text(l *words.Language, values []string, typed string, revealed bool) string {
	switch {
	case typed != "" && revealed:
		return typed
	case f.Flag:
		return l.Text("value.yes")
	case f.shown != nil:
		return f.shown(l, values)
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

	rows func(context.Context, *question) iter.Seq2[Row, error]
	keep func(row Row, h heading.Header) bool // of rows that were looked into; nil: all
}

// Definitions returns every report there is, in the order of the officer's page.
func Definitions() []Definition {
	out := []Definition{adminActions, remoteActions, deviceInventory, deviceHistory, personOverview, complianceStatus,
		leavers, deviceExposure, refusedCollection, dataAccess, requestRegister, processingRecord}
	for i, d := range out {
		out[i].Filters = slices.Clone(d.Filters)
		for k := range out[i].Filters {
			out[i].Filters[k].report = d.ID
		}
	}
	return out
}

// shown are the columns of an answer: for people without those that only programs get.
func (d *Definition) shown(people bool) []Column {
	return slices.DeleteFunc(slices.Clone(d.Columns), func(c Column) bool { return people && c.Machine })
}

// forPeople takes what only programs get out of rows.
func (d *Definition) forPeople(rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for row, err := range rows {
			var kept []Cell
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

// Find returns the report of that id.
func Find(id string) (*Definition, bool) {
	for _, d := range Definitions() {
		if d.ID == id {
			return &d, true
		}
	}
	return nil, false
}

// sought reports whether values are looked for as text in what rows say.
func (f *Filter) sought(values []string) bool {
	return len(f.In) > 0 && (f.open == nil || slices.ContainsFunc(values, func(v string) bool { return !f.open(v) }))
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

// question is a validated request as a report's rows function sees it.
type question struct {
	reader Reader
	tenant uuid.UUID
	in     projections.Period
	asOf   projections.AsOf
	filter map[string][]string // a filter's values, canonical
	lang   *words.Language
	made   time.Time
	zone   *time.Location
	keep   content.Keep
	owners func(context.Context, []uuid.UUID) (map[uuid.UUID]uuid.UUID, error)
}

// moment is the one that the report is about: that it was asked for, or when it was made.
func (q *question) moment() time.Time {
	if !q.asOf.Time.IsZero() {
		return q.asOf.Time
	}
	return q.made
}

// split returns the values of a filter: it takes several, separated by commas.
func split(s string) []string {
	var out []string
	for _, p := range strings.Split(s, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// values checks what was given for a filter and returns it canonical. Its error is a *Problem.
func (f *Filter) values(given string) ([]string, error) {
	fail := func(c Code, v string, known ...string) ([]string, error) {
		return nil, &Problem{Field: f.ID, Filter: true, Code: c, Given: v, Known: known}
	}
	vs := split(given)
	if f.Whole {
		vs = slices.DeleteFunc([]string{strings.TrimSpace(given)}, func(s string) bool { return s == "" })
	}
	if len(vs) == 0 {
		return fail(Empty, "")
	}
	if f.one && len(vs) > 1 {
		return fail(TooMany, given)
	}
	if f.Flag && !slices.Equal(vs, []string{Set}) {
		return fail(Unknown, given, Set)
	}
	for i, v := range vs {
		if f.check != nil {
			if c := f.check(v); c != "" {
				return fail(c, v)
			}
		}
		if f.known != nil {
			if known := f.known(); !slices.Contains(known, v) {
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
	Recorded time.Time // zero where the view does not say
	Cells    []Cell    // as many as columns
}

func cells(vs ...Cell) []Cell { return vs }
