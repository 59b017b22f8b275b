package office

import (
	"cmp"
	"time"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/report"
)

// Asked is a report as people ask for it, in texts: the flags of a command, the fields of a form.
// What is empty was not asked.
type Asked struct {
	Lang, Zone     string // of the answer; the tenant's where empty
	From, To, AsOf string // dates or times; a date alone as the moment means the end of that day
	Seq            *uint64
	Filters        map[string]string
	Purpose        string
	Masked         bool
	Sample         int
	Seed           uint64
}

// Request is what the report is asked for the tenant. Its error is a *report.Problem or a
// *Problem.
func (a Asked) Request(d report.Definition, t vault.Tenant) (report.Request, error) {
	req := report.Request{Report: d.ID, Tenant: t.ID, TenantName: t.Name, Lang: cmp.Or(a.Lang, t.Language),
		Filters: a.Filters, Purpose: a.Purpose, Sample: a.Sample, Seed: a.Seed, Reveal: d.Personal && !a.Masked,
		AsOfSeq: a.Seq}
	var err error
	if req.Location, err = time.LoadLocation(cmp.Or(a.Zone, t.TimeZone)); err != nil {
		return req, &Problem{Field: FieldZone, Code: ErrUnknown, Given: a.Zone}
	}
	for _, at := range []struct {
		field, given string
		to           *time.Time
	}{{report.FieldFrom, a.From, &req.From}, {report.FieldTo, a.To, &req.To}, {report.FieldAsOf, a.AsOf, &req.AsOf}} {
		if at.given == "" {
			continue
		}
		if *at.to, err = report.ParseTime(at.field, at.given, req.Location); err != nil {
			return req, err
		}
	}
	if _, err := time.Parse(time.DateOnly, a.AsOf); err == nil { // its last moment
		req.AsOf = req.AsOf.AddDate(0, 0, 1).Add(-time.Millisecond)
	}
	return req, nil
}

// Receipt is the day on which a request came in, as the tenant's calendar has it; today where
// none is given. Its error is a *Problem.
func Receipt(day string, now time.Time, t vault.Tenant) (time.Time, error) {
	loc, err := time.LoadLocation(t.TimeZone)
	if err != nil {
		return time.Time{}, err
	}
	if day == "" {
		return now.In(loc), nil
	}
	at, err := time.ParseInLocation(time.DateOnly, day, loc)
	if err != nil || at.After(now) {
		return time.Time{}, &Problem{Field: FieldReceived, Code: ErrUnknown, Given: day,
			Known: []string{now.In(loc).Format(time.DateOnly), loc.String()}}
	}
	return at, nil
}
