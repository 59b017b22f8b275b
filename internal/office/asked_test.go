package office

import (
	"errors"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
)

// What is wrong with a report whatever the tenant is found before anything is opened.
func TestAReportIsCheckedBeforeATenantIsKnown(t *testing.T) {
	seed, behind, at := uint64(0), int64(-1), int64(7)
	three, none := 3, 0
	personal, ok := report.Find("admin-actions")
	plain, found := report.Find("refused-collection")
	if !ok || !found || !personal.Personal || plain.Personal {
		t.Fatal("the reports are not what this test takes them for")
	}
	for name, tc := range map[string]struct {
		asked Asked
		d     *report.Definition
		field string // "" for nothing wrong
		code  any
	}{
		"as it should be": {Asked{Purpose: "audit", Wait: 1, Seq: &at}, personal, "", nil},
		"masked":          {Asked{Masked: true, Wait: 1}, personal, "", nil},
		"no purpose needed": {Asked{Wait: 1, Sample: &three, Seed: &seed,
			Filters: map[string]string{"rule": "x"}}, plain,
			"", nil},
		"no purpose":   {Asked{Purpose: " ", Wait: 1}, personal, define.FieldPurpose, define.Missing},
		"both":         {Asked{Purpose: "audit", Masked: true, Wait: 1}, personal, define.FieldPurpose, define.Masked},
		"no seed":      {Asked{Wait: 1, Sample: &three}, plain, define.FieldSample, define.Alone},
		"no row":       {Asked{Wait: 1, Sample: &none, Seed: &seed}, plain, define.FieldSample, define.Negative},
		"no patience":  {Asked{}, plain, FieldWait, ErrUnfit},
		"no sequence":  {Asked{Wait: 1, Seq: &behind}, plain, define.FieldAsOfSeq, define.Negative},
		"empty filter": {Asked{Wait: 1, Filters: map[string]string{"rule": " "}}, plain, "rule", define.Empty},
	} {
		err := tc.asked.Check(*tc.d)
		var p *report.Problem
		var o *Problem
		switch {
		case tc.field == "":
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case errors.As(err, &p):
			if p.Field != tc.field || p.Code != tc.code {
				t.Errorf("%s: %v", name, err)
			}
		case !errors.As(err, &o) || o.Field != tc.field || o.Code != tc.code:
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnImportIsCheckedBeforeItBegins(t *testing.T) {
	now := time.Date(2026, 9, 4, 12, 0, 0, 0, time.UTC)
	for given, code := range map[string]error{"": nil, "2026-09-04T08:00:00Z": nil, "2026-09-04": ErrUnfit,
		"0001-01-01T00:00:00Z": ErrUnknown, "2026-09-04T12:00:01Z": ErrFuture} {
		s, err := AskedImport{Observed: given, Paths: []string{"x"}}.Source(now)
		if !errors.Is(err, code) || err == nil && s.Observed.IsZero() != (given == "") {
			t.Errorf("observed %q: %v, %v", given, s.Observed, err)
		}
	}
	if _, err := (AskedImport{Pace: Pace{Batch: -1}}).Source(now); !errors.Is(err, ErrUnfit) {
		t.Errorf("a batch of less than none: %v", err)
	}
	if err := CheckPaths(nil); !errors.Is(err, ErrMissing) {
		t.Errorf("no path: %v", err)
	}
	if err := CheckPaths([]string{t.TempDir(), "/nothing/is/here"}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a path that is not there: %v", err)
	}
}

func TestATenantIsCheckedBeforeItIsDeclared(t *testing.T) {
	for _, tc := range []struct {
		asked AskedTenant
		zone  string
		code  error
	}{
		{AskedTenant{Name: "X", Language: "nl", Sources: AskedSources{AnySource}}, "Europe/Amsterdam", nil},
		{AskedTenant{Name: "X", Language: "nl", Zone: "Asia/Tokyo", Sources: AskedSources{AnySource}}, "Asia/Tokyo",
			nil},
		{AskedTenant{Name: "X"}, "", ErrMissing},
		{AskedTenant{Name: "X", Zone: "Mars/X", Sources: AskedSources{AnySource}}, "Mars/X", ErrUnknown},
	} {
		if n, err := tc.asked.Tenant(); !errors.Is(err, tc.code) || n.TimeZone != tc.zone {
			t.Errorf("%+v: %+v, %v", tc.asked, n, err)
		}
	}
	if _, err := (AskedTenant{Name: "X", Sources: AskedSources{"contoso.example"}}).Tenant(); err == nil {
		t.Error("a domain is taken for a source tenant")
	}
	if _, _, err := (AskedSources{AnySource, "7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051"}).Check(); err == nil {
		t.Error("any source tenant, and one")
	}
}

func TestARequestIsCheckedBeforeATenantIsKnown(t *testing.T) {
	if err := (AskedRequest{Received: "soon"}).Check(); !errors.Is(err, ErrUnfit) {
		t.Errorf("no day: %v", err)
	}
	if err := (AskedRequest{Person: -1}).Check(); !errors.Is(err, ErrUnfit) {
		t.Errorf("less than nobody: %v", err)
	}
	late := time.Date(2026, 11, 29, 23, 30, 0, 0, time.UTC)
	r, err := AskedRequest{Subject: "x"}.Request(late, vault.Tenant{TimeZone: "Europe/Amsterdam"})
	if err != nil || r.Received.Format(time.DateOnly) != "2026-11-30" || r.Identifier != "x" {
		t.Errorf("%v, %v", r.Received, err)
	}
	if _, err := ParseRequest("x"); !errors.Is(err, ErrUnfit) {
		t.Errorf("a number that is none: %v", err)
	}
	if _, err := ParseEvents([]string{"7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051", "x"}); !errors.Is(err, ErrUnfit) {
		t.Errorf("an event that is none: %v", err)
	}
}
