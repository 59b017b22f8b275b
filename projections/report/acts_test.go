package report_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// exactly returns what programs get in a column of a report, one a row; "" where nothing stands.
func exactly(t *testing.T, db report.Reader, o projections.Searcher, r report.Request, id string) (out []string) {
	t.Helper()
	rep, err := report.Run(t.Context(), db, o, r)
	if err != nil {
		t.Fatal(err)
	}
	doc := rep.Document()
	for row, err := range doc.Rows {
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range doc.Columns {
			if c.ID != id {
				continue
			}
			text := ""
			for _, v := range row.Cells[i] {
				text += v.Exact()
			}
			out = append(out, text)
		}
	}
	return out
}

// How many days are left is counted by the calendar of the report's zone, from the moment that
// the register is of; what is answered has none.
func TestDaysLeftAreThoseOfTheCalendar(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	for now, want := range map[string][]string{
		"2026-11-24T09:00:00Z":      {"", "-22", "", "27"},
		"2026-11-30T23:30:00+01:00": {"", "-28", "", "21"}, // still the 30th in Amsterdam
		"2026-11-30T23:30:00Z":      {"", "-29", "", "20"}, // the 1st there
	} {
		r := request("requests", "nl")
		r.Now = at(now)
		if got := exactly(t, db, s, r, "daysLeft"); !slices.Equal(got, want) {
			t.Errorf("at %s: %q, want %q", now, got, want)
		}
	}
	r := request("requests", "nl")
	r.AsOf = at("2026-11-01T12:00:00Z")
	if got := exactly(t, db, s, r, "daysLeft"); !slices.Equal(got, []string{"29", "1"}) {
		t.Errorf("as of a moment before its package was made: %q", got)
	}
}

func TestTheRegisterIsNarrowed(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	for name, c := range map[string]struct {
		filters map[string]string
		want    []string
	}{
		"all":     {nil, []string{"package-made", "received", "erased", "erasure-ordered"}},
		"open":    {map[string]string{"open": define.Set}, []string{"received", "erasure-ordered"}},
		"a right": {map[string]string{"right": "erasure"}, []string{"erased", "erasure-ordered"}},
		"states":  {map[string]string{"state": "received,erased"}, []string{"received", "erased"}},
	} {
		r := request("requests", "en")
		r.Filters = c.filters
		if got := exactly(t, db, s, r, "requestState"); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A restatement says again what was observed before: how long a device has not complied goes on.
func TestARestatementDoesNotResetSinceWhen(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	r := request("compliance-status", "en")
	r.Filters = map[string]string{"state": "noncompliant", "ownership": "company"}
	if got := exactly(t, db, s, r, "since"); !slices.Equal(got, []string{"2026-10-02T08:00:00.000Z"}) {
		t.Errorf("since %q", got)
	}
	for least, rows := range map[string]int{"53": 1, "54": 0} {
		r.Filters["days"] = least
		if got := exactly(t, db, s, r, "days"); len(got) != rows {
			t.Errorf("at least %s days: %q", least, got)
		}
	}
}

// A device of which no source told whether it complies is no device that complies.
func TestADeviceThatNobodyJudgedIsListed(t *testing.T) {
	s := chtest.NewStory(t)
	s.Add("device.enrolled.v1", phone, "2026-10-01T08:00:00Z", "", nil, val{Attr: "device.ownership", V: "company"})
	s.Add("device.enrolled.v1", mac, "2026-10-01T08:00:00Z", "", nil,
		val{Attr: "device.compliance-state", V: "compliant"})
	r := request("compliance-status", "en")
	if got := exactly(t, s.Load(), s, r, "compliance"); !slices.Equal(got, []string{"unknown"}) {
		t.Errorf("states %q", got)
	}
	if got := content.Word(words.Default().Base(), "compliance", "unknown"); got != "not told" {
		t.Errorf("it reads %q", got)
	}
}

// Without somebody who can tell whose aliases are, nobody is called a leaver.
func TestLeaversAreThoseWhoseDevicesCanBeTold(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	r := request("leavers", "en")
	if got := exactly(t, db, s, r, "account"); !slices.Equal(got, []string{""}) {
		t.Errorf("without owners: %q", got)
	}
	r.Owners = owners
	if got := exactly(t, db, s, r, "account"); !slices.Equal(got, []string{"disabled", "", "disabled"}) {
		t.Errorf("with owners: %q", got)
	}
	r.AsOf = at("2026-11-05T08:59:00Z") // before the account was seen
	if got := exactly(t, db, s, r, "account"); len(got) != 0 {
		t.Errorf("before: %q", got)
	}
}

// A person's events are those in the period and the roles, each in all its roles.
func TestAPersonsEventsAreNarrowed(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	r := request("person-overview", "en")
	r.Filters = map[string]string{"person": fatima.String(), "role": "target"}
	r.From, r.To = at("2026-10-25T01:30:00Z"), at("2026-11-05T10:00:02Z")
	got := exactly(t, db, s, r, "item")
	if !slices.Equal(got, []string{"adminaction.recorded.v1"}) {
		t.Errorf("events %q", got)
	}
	r.Filters["role"] = "hero"
	if all, _ := problems(r.Validate()); len(all) != 1 || all[0].Code != define.Unknown || len(all[0].Known) < 5 {
		t.Errorf("an unknown role: %v", all)
	}
}

// What is told of an event opens nothing: a value that is not open is not among what leads it.
func TestWhatLeadsAnEventIsOpen(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	r := request("person-overview", "en")
	r.Filters = map[string]string{"person": fatima.String() + "," + id("fatima's account").String()}
	for _, cell := range exactly(t, db, nil, r, "event") {
		for _, secret := range []string{"@", "sealed:", "Fatima"} {
			if strings.Contains(cell, secret) {
				t.Errorf("%q tells %q", cell, secret)
			}
		}
		var members map[string]json.RawMessage
		if cell != "" && (json.Unmarshal([]byte(cell), &members) != nil || len(members) == 0) {
			t.Errorf("%q is no object, or empty", cell)
		}
	}
}

// Each role of the catalogue, and each other word of our own, reads as something.
func TestWordsOfOurOwnAreOfSomething(t *testing.T) {
	want := map[string]bool{"told.account.disabled": true, "told.account.deleted": true,
		"told.compliance.unknown": true}
	for _, state := range []string{"received", "package-made", "erasure-ordered", "erased"} {
		want["told.request-state."+state] = true
	}
	for _, typ := range schemas.Default().Types() {
		for _, r := range typ.Roles {
			want["told.role."+r.Role] = true
		}
	}
	have := words.Default().Keys("told.")
	if !slices.Equal(have, slices.Sorted(maps.Keys(want))) {
		t.Errorf("words %q, want %q", have, slices.Sorted(maps.Keys(want)))
	}
}
