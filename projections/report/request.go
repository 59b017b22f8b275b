package report

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a report must not depend on which zones a machine knows

	"github.com/google/uuid"
)

// Request is what somebody asks of the ledger.
type Request struct {
	Report     string // id of a Definition
	Tenant     uuid.UUID
	TenantName string
	By         string    // who runs it; stands in the header
	From, To   time.Time // the period [From, To); a zero end is open
	AsOfSeq    *uint64   // the ledger sequence to compute at; nil: as far as the views are
	AsOf       time.Time // AtMoment reports: the moment; zero: now
	Location   *time.Location
	Lang       string            // "en" or "nl"; "" is "en"
	Filters    map[string]string // by filter id, several values separated by commas
	Purpose    string
	Sample     int // rows to draw at random; 0: all
	Seed       uint64
	Reveal     bool      // show protected values, through the Opener
	Checkpoint string    // of the sequence, where one was signed
	Now        time.Time // when it is run; zero: the clock
}

// Location returns where a language's people live by default: Amsterdam for Dutch, else UTC.
func Location(lang string) *time.Location {
	if lang == "nl" {
		if l, err := time.LoadLocation("Europe/Amsterdam"); err == nil {
			return l
		}
	}
	return time.UTC
}

// Validate joins everything that is wrong with the request. Each error names the flag and says what to do.
func (r Request) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	d, ok := Find(r.Report)
	if !ok {
		ids := []string{}
		for _, d := range Definitions() {
			ids = append(ids, d.ID)
		}
		return fmt.Errorf("report %q is not known: use one of %s", r.Report, strings.Join(ids, ", "))
	}
	if r.Tenant == uuid.Nil {
		fail("--tenant is missing: name the tenant whose ledger is asked")
	}
	if r.By == "" {
		fail("who runs the report is not known: it stands in its header, so it must be run by somebody who is logged in")
	}
	if r.Lang != "" && r.Lang != "en" && r.Lang != "nl" {
		fail("--lang %q is not known: use en or nl", r.Lang)
	}
	if d.Scope == AtMoment && !(r.From.IsZero() && r.To.IsZero()) {
		fail("--from and --to do not fit %s, which shows one moment: use --as-of", d.ID)
	}
	if d.Scope == OverPeriod && !r.AsOf.IsZero() {
		fail("--as-of does not fit %s, which covers a period: use --from and --to", d.ID)
	}
	if !r.From.IsZero() && !r.To.IsZero() && !r.From.Before(r.To) {
		fail("--to (%s) is not after --from (%s): the period includes its start and ends before --to, so give a later --to",
			r.To.Format(time.RFC3339), r.From.Format(time.RFC3339))
	}
	if r.Reveal && d.Personal && strings.TrimSpace(r.Purpose) == "" {
		fail("--purpose is missing: the report unseals personal data, so say why in a few words; or use --masked, and protected values are shown as ●●●")
	}
	if r.Sample < 0 {
		fail("--sample %d is negative: give the number of rows to draw", r.Sample)
	}
	if r.Sample > MaxSample {
		fail("--sample %d is too many: at most %d rows are drawn", r.Sample, MaxSample)
	}
	if r.Sample == 0 && r.Seed != 0 {
		fail("--seed is given without --sample: add --sample N")
	}
	for _, id := range slices.Sorted(maps.Keys(r.Filters)) {
		f, ok := d.Filter(id)
		if !ok {
			ids := []string{}
			for _, f := range d.Filters {
				ids = append(ids, "--"+f.ID)
			}
			fail("--%s is no filter of %s: it has %s", id, d.ID, strings.Join(ids, ", "))
			continue
		}
		if _, err := f.values(r.Filters[id]); err != nil {
			errs = append(errs, err)
		}
	}
	for _, f := range d.Filters {
		if _, given := r.Filters[f.ID]; f.Required && !given {
			fail("--%s is missing: %s", f.ID, f.Help.EN)
		}
	}
	return errors.Join(errs...)
}

// ParseTime reads a date or a time for a flag: "2026-03-01" is its midnight in loc; a time without an offset is local.
// An hour that a zone has twice, or not at all, is refused with the way to say it.
func ParseTime(flag, s string, loc *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
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
			return time.Time{}, fmt.Errorf("--%s %s does not exist in %s, where the clock skips it: give it with an offset, as in %s+01:00", flag, s, loc, wall.Format("2006-01-02T15:04:05"))
		}
		return time.Time{}, fmt.Errorf("--%s %s happens twice in %s: write %s for the first or %s for the second", flag, s, loc,
			found[0].Format(time.RFC3339), found[1].Format(time.RFC3339))
	}
	return time.Time{}, fmt.Errorf("--%s %q is not a date or time: write 2026-03-01 or 2026-03-01T09:30:00+01:00", flag, s)
}
