package report_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/content"
)

// What is the tenant's own is told with the filters, as of, and of nobody else's ledger; and no
// more is opened than is shown, though ids and names of apps are looked into.
func TestWhatIsTheTenantsOwnIsNarrowedAndOpenedAsShown(t *testing.T) {
	s := owned(t)
	db := s.Load()
	for _, c := range []struct {
		report  string
		filters map[string]string
		change  func(r *report.Request)
		rows    int
	}{
		{"app-inventory", nil, nil, 2},
		{"app-inventory", map[string]string{"app": "CHESS"}, nil, 1},
		{"app-inventory", map[string]string{"app": "diary"}, nil, 0},
		{"app-inventory", map[string]string{"ownership": "personal"}, nil, 1},
		{"app-inventory", map[string]string{"ownership": "company,personal"}, nil, 3},
		{"app-inventory", nil, func(r *report.Request) { r.Sample, r.Seed = 1, 7 }, 1},
		{"app-inventory", nil, func(r *report.Request) { r.AsOf = at("2026-11-13T08:10:00Z") }, 2},
		{"app-inventory", nil, func(r *report.Request) { r.AsOf = at("2026-11-12T00:00:00Z") }, 0},
		{"admin-rights", nil, nil, 2},
		{"admin-rights", map[string]string{"role": "help desk"}, nil, 2},
		{"admin-rights", map[string]string{"role": "reader"}, nil, 0},
		{"admin-rights", map[string]string{"person": id("anna's account").String()}, nil, 1},
		{"admin-rights", map[string]string{"person": bob.String()}, nil, 0},
		{"admin-rights", nil, func(r *report.Request) { r.AsOf = at("2026-11-12T10:59:00Z") }, 0},
		{"policy-changes", nil, nil, 3},
		{"policy-changes", map[string]string{"policy": "phones"}, nil, 2},
		{"policy-changes", map[string]string{"actor": anna.String()}, nil, 3},
		{"policy-changes", map[string]string{"actor": bob.String()}, nil, 0},
		{"policy-changes", nil, func(r *report.Request) { r.From = at("2026-11-12T10:15:00Z") }, 1},
		{"alerts", nil, nil, 2},
		{"alerts", map[string]string{"category": "enrolment"}, nil, 1},
		{"alerts", map[string]string{"device": string(phone)}, nil, 1},
		{"alerts", map[string]string{"person": bob.String()}, nil, 1},
		{"alerts", map[string]string{"rule": "remain"}, nil, 1},
		{"alerts", nil, func(r *report.Request) { r.To = at("2026-11-01T00:00:00Z") }, 1},
		{"source-disagreements", nil, nil, 2},
		{"source-disagreements", map[string]string{"kind": "device"}, nil, 1},
		{"source-disagreements", map[string]string{"attribute": "device.os-version"}, nil, 0},
		{"source-disagreements", nil, func(r *report.Request) { r.To = at("2026-11-13T08:40:00Z") }, 1},
		{"compliance-status", map[string]string{"rule": "nothing"}, nil, 0},
	} {
		for _, stranger := range []bool{false, true} {
			if stranger && (c.filters != nil || c.change != nil) {
				continue
			}
			r := request(c.report, "en")
			r.Filters, r.Owners = c.filters, owners
			if c.change != nil {
				c.change(&r)
			}
			want := c.rows
			if stranger {
				r.Tenant, want = uuid.New(), 0
			}
			opener := &shownTo{Searcher: s}
			rep, err := report.Run(t.Context(), db, opener, r)
			if err != nil {
				t.Errorf("%s %v: %v", c.report, c.filters, err)
				continue
			}
			rows, protected := 0, 0
			for row, err := range rep.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				rows++
				for _, v := range slices.Concat(row.Cells...) {
					if ofOwn(v) {
						protected++
					}
				}
			}
			if rows != want || len(opener.opened) != protected {
				t.Errorf("%s %v, another tenant %t: %d rows, want %d, with %d protected values, of which %d opened",
					c.report, c.filters, stranger, rows, want, protected, len(opener.opened))
			}
		}
	}
}

// ofOwn reports whether the value stands in the story of what is the tenant's own under a key.
func ofOwn(v content.Value) bool {
	return sealed(v) || slices.Contains([]string{"device.app", "role.member", "role.name", "role.id",
		"configuration.name", "configuration.assignment", "alert.device-name", "alert.failure-reason",
		"alert.user-upn"}, v.Attr)
}

// Where all is masked nothing is looked into: apps cannot be told apart, and rights name nobody.
func TestMaskedReportsOnWhatIsTheTenantsOwnLookIntoNothing(t *testing.T) {
	s := owned(t)
	db := s.Load()
	for id, rows := range map[string]int{"app-inventory": 2, "admin-rights": 2, "policy-changes": 3, "alerts": 2} {
		r := request(id, "en")
		r.Reveal, r.Owners = false, owners
		rep, err := report.Run(t.Context(), db, nil, r)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for row, err := range rep.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			n++
			for _, v := range slices.Concat(row.Cells...) {
				if v.Attr == "device.app" && v.JSON != nil {
					t.Errorf("%s shows an app", id)
				}
			}
		}
		if n != rows {
			t.Errorf("%s: %d rows, want %d", id, n, rows)
		}
	}
}
