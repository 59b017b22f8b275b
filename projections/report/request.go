package report

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a report must not depend on which zones a machine knows

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Request is what somebody asks of the ledger.
type Request struct {
	Report       string // id of a Definition
	Tenant       uuid.UUID
	TenantName   string
	By           string    // who runs it; stands in the header
	From, To     time.Time // the period [From, To); a zero end is open
	AsOfSeq      *uint64   // the ledger sequence to compute at; nil: as far as the views are
	AsOf         time.Time // AtMoment reports: the moment; zero: now
	Location     *time.Location
	Lang         string            // code of one of the languages of Words; "" is words.Base
	Words        *words.Set        // nil: the languages of the program
	Filters      map[string]string // by filter id, several values separated by commas
	Typed        map[string]string // of filters whose values were looked up: what people call them
	Purpose      string            // one of Purposes: why protected values are to be seen
	PurposeWords string            // the officer's own, beside it
	Sample       int               // rows to draw at random; 0: all
	Seed         uint64
	Reveal       bool      // show protected values, through the Opener
	ForPeople    bool      // what only programs get is left out, and not opened
	Checkpoint   string    // of the sequence, where one was signed
	Now          time.Time // when it is run; zero: the clock

	// Owners tells whom aliases name, the same id for the same person; one that names nobody any
	// more is left out. nil: nobody can tell, and what hangs on it is not in the report.
	Owners func(context.Context, []uuid.UUID) (map[uuid.UUID]uuid.UUID, error)
}

// languages are those that the report may be in.
func (r Request) languages() *words.Set {
	if r.Words != nil {
		return r.Words
	}
	return words.Default()
}

// language is the one that the report is in.
func (r Request) language() (*words.Language, bool) {
	if r.Lang == "" {
		return r.languages().Base(), true
	}
	return r.languages().Language(r.Lang)
}

// Validate joins everything that is wrong with the request, each a *Problem.
func (r Request) Validate() error {
	var errs []error
	fail := func(p Problem) { errs = append(errs, &p) }
	d, ok := Find(r.Report)
	if !ok {
		ids := []string{}
		for _, d := range Definitions() {
			ids = append(ids, d.ID)
		}
		return &Problem{Field: define.FieldReport, Code: define.Unknown, Given: r.Report, Known: ids}
	}
	if r.Tenant == uuid.Nil {
		fail(Problem{Field: define.FieldTenant, Code: define.Missing})
	}
	if r.By == "" {
		fail(Problem{Field: define.FieldBy, Code: define.Missing})
	}
	if _, ok := r.language(); !ok {
		fail(Problem{Field: define.FieldLang, Code: define.Unknown, Given: r.Lang, Known: r.languages().Codes()})
	}
	if d.Scope == AtMoment && !r.From.IsZero() {
		fail(Problem{Field: define.FieldFrom, Code: define.NotHere, Known: []string{define.FieldAsOf}})
	}
	if d.Scope == AtMoment && !r.To.IsZero() {
		fail(Problem{Field: define.FieldTo, Code: define.NotHere, Known: []string{define.FieldAsOf}})
	}
	if d.Scope == OverPeriod && !r.AsOf.IsZero() {
		fail(Problem{Field: define.FieldAsOf, Code: define.NotHere, Known: []string{define.FieldFrom, define.FieldTo}})
	}
	if !r.From.IsZero() && !r.To.IsZero() && !r.From.Before(r.To) {
		fail(Problem{Field: define.FieldTo, Code: define.Backward, Given: r.To.Format(time.RFC3339),
			Other: define.FieldFrom})
	}
	if r.Reveal && d.Personal {
		if err := CheckPurpose(r.Purpose, r.PurposeWords); err != nil {
			errs = append(errs, err)
		}
	}
	if r.Sample < 0 {
		fail(Problem{Field: define.FieldSample, Code: define.Negative, Given: fmt.Sprint(r.Sample)})
	}
	if r.Sample > MaxSample {
		fail(Problem{Field: define.FieldSample, Code: define.TooMany, Given: fmt.Sprint(r.Sample), Most: MaxSample})
	}
	if r.Sample == 0 && r.Seed != 0 {
		fail(Problem{Field: define.FieldSeed, Code: define.Alone, Other: define.FieldSample})
	}
	for _, id := range slices.Sorted(maps.Keys(r.Filters)) {
		f, ok := d.Filter(id)
		if !ok {
			ids := []string{}
			for _, f := range d.Filters {
				ids = append(ids, f.ID)
			}
			fail(Problem{Field: id, Filter: true, Code: define.NotHere, Known: ids})
			continue
		}
		if f.Sought(define.Split(r.Filters[id])) && d.Personal && !r.Reveal {
			fail(Problem{Field: id, Filter: true, Code: define.Masked})
		} else if vs, err := f.Read(r.Filters[id]); err != nil {
			errs = append(errs, err)
		} else if f.Devices && !r.Reveal && slices.ContainsFunc(vs, isNoStream) {
			fail(Problem{Field: id, Filter: true, Code: define.NoDevice})
		}
	}
	for _, f := range d.Filters {
		if _, given := r.Filters[f.ID]; f.Required && !given {
			fail(Problem{Field: f.ID, Filter: true, Code: define.Missing, Filters: &f})
		}
	}
	return errors.Join(errs...)
}

// Purposes lists the purposes for which protected values are shown.
func Purposes() []string {
	return slices.Clone(schemas.Default().MustAttribute("access.purpose-code").Shape.Values)
}

// CheckPurpose errs with a *Problem: a purpose is chosen, and where none fits told in words.
func CheckPurpose(purpose, words string) error {
	switch {
	case strings.TrimSpace(purpose) == "":
		return &Problem{Field: define.FieldPurpose, Code: define.Missing, Known: Purposes()}
	case !slices.Contains(Purposes(), purpose):
		return &Problem{Field: define.FieldPurpose, Code: define.Unknown, Given: purpose, Known: Purposes()}
	case purpose == "other" && strings.TrimSpace(words) == "":
		return &Problem{Field: define.FieldWords, Code: define.Missing}
	}
	return nil
}

// Sought reports whether the filter's value is a text that is looked for in protected values.
func (r Request) Sought(filter string) bool {
	d, ok := Find(r.Report)
	if !ok {
		return false
	}
	f, ok := d.Filter(filter)
	values := define.Split(r.Filters[filter])
	return ok && (f.Sought(values) || f.Devices && slices.ContainsFunc(values, isNoStream))
}

// Check asks the views whether they have what the request names, and joins every *Problem: a
// sequence that they have not reached, a value of an open vocabulary that no device has at that
// sequence. A request that passes Validate and Check is answered, so what must not happen in vain
// happens after them.
func (r Request) Check(ctx context.Context, reader Reader) error {
	d, ok := Find(r.Report)
	if !ok {
		return r.Validate()
	}
	through, any, err := reader.Through(ctx)
	if err != nil {
		return fmt.Errorf("report %s: %w", d.ID, err)
	}
	seq := through
	if r.AsOfSeq != nil {
		if seq = *r.AsOfSeq; !any || seq > through {
			return ahead(seq, through, any)
		}
	}
	if !any {
		return nil
	}
	var errs []error
	for _, f := range d.Filters {
		given, ok := r.Filters[f.ID]
		if !ok || f.Held == "" {
			continue
		}
		held, err := heldValues(ctx, reader, r.Tenant, projections.AsOf{Seq: seq, Time: r.AsOf}, f.Held)
		if err != nil {
			return fmt.Errorf("report %s: %w", d.ID, err)
		}
		for _, v := range define.Split(given) {
			if !slices.ContainsFunc(held, func(h string) bool { return hasPrefixFold(h, v) }) {
				errs = append(errs, &Problem{Field: f.ID, Filter: true, Code: define.NoValue, Given: v, Known: held})
			}
		}
	}
	return errors.Join(errs...)
}

func isNoStream(s string) bool {
	_, err := deviceStream(s)
	return err != nil
}

func ahead(seq, through uint64, any bool) *Problem {
	p := &Problem{Field: define.FieldAsOfSeq, Code: define.Ahead, Given: fmt.Sprint(seq)}
	if any {
		p.Through = &through
	}
	return p
}

// maxHeld bounds the values that are listed.
const maxHeld = 100

// heldValues are the values of an open attribute that devices have, sorted.
func heldValues(
	ctx context.Context, reader Reader, tenant uuid.UUID, asOf projections.AsOf, attr string,
) ([]string, error) {
	seen := map[string]bool{}
	for d, err := range reader.Devices(ctx, tenant, asOf, attr) {
		if err != nil {
			return nil, err
		}
		if h, ok := d.Get(attr); ok && !schemas.IsSealed(string(h.Text)) && len(seen) < maxHeld {
			seen[string(h.Text)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// ParseTime reads a date or a time for a field; its error is a *Problem: "2026-03-01" is its
// midnight in loc, a time without an offset is local, and one with an offset is read with or
// without its seconds, as reports write it too. An hour that a zone has twice, or not at all, is
// refused with the way to say it.
func ParseTime(field, s string, loc *time.Location) (time.Time, error) {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00",
		"2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02 15:04 Z07:00"} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	for _, form := range []string{"2006-01-02",
		"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		wall, err := time.Parse(form, s)
		if err != nil {
			continue
		}
		// The instants whose local reading is the wall time: one, none in spring, two in autumn.
		var found []time.Time
		for _, near := range []time.Duration{-26 * time.Hour, 26 * time.Hour} {
			_, offset := wall.Add(near).In(loc).Zone()
			t := wall.Add(-time.Duration(offset) * time.Second).In(loc)
			if t.Format(time.DateTime) == wall.Format(time.DateTime) && !slices.ContainsFunc(found, t.Equal) {
				found = append(found, t)
			}
		}
		switch len(found) {
		case 1:
			return found[0], nil
		case 0:
			return time.Time{}, &Problem{Field: field, Code: define.Skipped, Given: s, Zone: loc.String()}
		}
		return time.Time{}, &Problem{Field: field, Code: define.Twice, Given: s, Zone: loc.String(),
			Known: []string{found[0].Format(time.RFC3339), found[1].Format(time.RFC3339)}}
	}
	return time.Time{}, &Problem{Field: field, Code: define.NoTime, Given: s}
}
