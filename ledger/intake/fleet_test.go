package intake

import (
	"context"
	"testing"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/schemas"
)

// TestAFleetComesToWhatItSaysOfItself imports an invented fleet, with broken lines and records of
// another tenant in it, and compares what the ledger holds with what the generator, which knows
// nothing of the ledger, says there is.
func TestAFleetComesToWhatItSaysOfItself(t *testing.T) {
	cfg := fleet.Sized(80)
	cfg.Days, cfg.Tenant, cfg.Malformed, cfg.Foreign, cfg.DetailPerDay, cfg.GraphShare = 8, sourceTenant, 2, 2, 6, 0.5
	dir := t.TempDir() + "/fleet"
	truth, err := fleet.Write(context.Background(), cfg, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, false)
	w.config.BatchSize = 100
	in := w.intake()
	s, err := in.Import(context.Background(), w.tenant, Source{Paths: []string{dir}, TakeNameless: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := truth.Expected
	facts, devices := 0, map[schemas.Stream]bool{}
	for _, r := range w.events() {
		switch {
		case r.Type == "adminaction.recorded.v1":
			facts++
		case r.Stream.Kind() == "device":
			devices[r.Stream] = true
		}
	}
	check := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, the fleet says %d", what, got, want)
		}
	}
	check("records read", s.Read, want.Read)
	check("failed", s.FailedCount, want.Failed)
	check("unrecognised", sum(s.Unrecognised), want.Unrecognised)
	check("codes that say another thing than the word beside them", s.CodesOtherwise, 0)
	check("admin actions", facts, want.AuditFacts)
	check("devices", len(devices), want.Devices)
	own := schemas.Default().MustAttribute("device.ownership")
	apps := schemas.Default().MustAttribute("device.app")
	owners, kept := map[string]int{}, 0
	for stream := range devices {
		st := w.fold(in, stream)
		owners[st.Text(own)]++
		for a := range st.Entries() {
			if a == apps {
				kept++
			}
		}
	}
	check("company devices", owners["company"], want.Company)
	check("personal devices", owners["personal"], want.Personal)
	check("apps of company devices", kept, want.Apps.Company)
	if !s.Balanced() || len(s.Files) != truth.Files || s.ValuesWithheld == 0 {
		t.Errorf("balanced %v, %d files of %d, %d values withheld", s.Balanced(), len(s.Files), truth.Files,
			s.ValuesWithheld)
	}
	for range 2 {
		again, err := w.intake().Import(context.Background(), w.tenant,
			Source{Paths: []string{dir}, TakeNameless: true}, nil)
		if err != nil || again.EventsAppended != 0 {
			t.Errorf("importing again appended %d events, %v", again.EventsAppended, err)
		}
	}
}

// fleetDir writes an invented fleet and returns its folder and the number of records in it.
func fleetDir(tb testing.TB, devices, days int) string {
	tb.Helper()
	cfg := fleet.Sized(devices)
	cfg.Days = days
	cfg.Tenant = sourceTenant
	dir := tb.TempDir() + "/fleet"
	if _, err := fleet.Write(context.Background(), cfg, dir, nil); err != nil {
		tb.Fatal(err)
	}
	return dir
}
