package report_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
)

// shownTo notes which tokens were opened, and not which were searched.
type shownTo struct {
	projections.Searcher
	opened []projections.Sealed
}

func (s *shownTo) Open(ctx context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	s.opened = append(s.opened, tokens...)
	return s.Searcher.Open(ctx, tokens)
}

// Only what a report shows is opened, whatever its filters have to look into: to open a value is
// to write into a person's access log.
func TestOnlyWhatIsShownIsOpened(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	for _, c := range []struct {
		report  string
		filters map[string]string
		sample  int
		rows    int
	}{
		{"device-inventory", map[string]string{"name": "mac-"}, 0, 1},
		{"device-inventory", map[string]string{"serial": "f4k3"}, 0, 1},
		{"device-inventory", map[string]string{"name": "mac-,evil"}, 0, 2},
		{"device-inventory", map[string]string{"person": fatima.String()}, 0, 2},
		{"device-inventory", map[string]string{"person": anna.String()}, 0, 0},
		{"device-inventory", map[string]string{"name": "mac-", "serial": "f4k3"}, 0, 0},
		{"device-inventory", nil, 1, 1},
		{"device-history", map[string]string{"device": "mac-0042"}, 0, 1},
		{"device-history", map[string]string{"device": "F4K3serial1"}, 0, 4},
		{"admin-actions", map[string]string{"device": "F4K3SERIAL1"}, 0, 2},
		{"remote-actions", map[string]string{"person": fatima.String()}, 0, 4},
		{"remote-actions", map[string]string{"person": anna.String()}, 0, 0},
		{"compliance-status", map[string]string{"serial": "f4k3"}, 0, 1},
		{"compliance-status", map[string]string{"person": anna.String()}, 0, 0},
		{"leavers", map[string]string{"person": fatima.String()}, 0, 2},
		{"leavers", map[string]string{"person": anna.String()}, 0, 0},
	} {
		for _, people := range []bool{false, true} {
			r := request(c.report, "en")
			r.Filters, r.Sample, r.ForPeople, r.Owners = c.filters, c.sample, people, owners
			opener := &shownTo{Searcher: s}
			rep, err := report.Run(t.Context(), db, opener, r)
			if err != nil {
				t.Errorf("%s %v: %v", c.report, c.filters, err)
				continue
			}
			if people && slices.ContainsFunc(rep.Columns, func(c report.Column) bool { return c.Machine }) {
				t.Errorf("%s for people has columns for programs", c.report)
			}
			rows, protected := 0, 0
			for row, err := range rep.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				rows++
				for _, v := range slices.Concat(row.Cells...) {
					if sealed(v) {
						protected++
					}
				}
			}
			if rows != c.rows || len(opener.opened) != protected {
				t.Errorf("%s %v, for people %t: %d rows with %d protected values, of which %d were opened",
					c.report, c.filters, people, rows, protected, len(opener.opened))
			}
		}
	}
}

// sealed reports whether the value stands in the story under somebody's key.
func sealed(v content.Value) bool {
	return v.State != document.Shown || slices.Contains([]string{"device.name", "device.serial-number",
		"device.phone-number", "device.user-upn", "account.upn",
		"device.enrolled-at", "device.last-contact", "device.intune-id",
		"action.actor-upn", "action.actor-ip", "action.application-name", "action.target-name", "action.reason",
		"action.changes"}, v.Attr)
}

// A name that is no device's, or several devices', is said so, and nothing is opened for it; where
// all is masked nothing is searched.
func TestADeviceIsFoundByWhatItIsCalled(t *testing.T) {
	s := theStory(t)
	second := map[string]bool{}
	for _, of := range []string{"twin 1", "twin 2"} {
		stream := deviceOf(of)
		second[string(stream)] = true
		s.Add("device.enrolled.v1", stream, "2026-10-03T08:00:00Z", "", nil,
			val{Attr: "device.name", V: "TWIN", Alias: id("twin key")})
	}
	db := s.Load()
	run := func(device string, reveal bool) error {
		r := request("device-history", "en")
		r.Filters, r.Reveal = map[string]string{"device": device}, reveal
		opener := &shownTo{Searcher: s}
		_, err := report.Run(t.Context(), db, opener, r)
		if len(opener.opened) > 0 {
			t.Errorf("%s: %d values were opened", device, len(opener.opened))
		}
		return err
	}
	var p *report.Problem
	if err := run("nobody's", true); !errors.As(err, &p) || p.Code != define.NoDevice {
		t.Errorf("a name of no device: %v", err)
	}
	if err := run("MAC-0042", false); !errors.As(err, &p) || p.Code != define.NoDevice {
		t.Errorf("a name where all is masked: %v", err)
	}
	if err := run("twin", true); !errors.As(err, &p) || p.Code != define.Several || len(p.Known) != 2 ||
		!second[p.Known[0]] || !second[p.Known[1]] || strings.Contains(err.Error(), "twin") {
		t.Errorf("a name of two devices: %v", err)
	}
}
