package intake

import (
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
)

// What tells of an app on a device is held to what holds of a device's apps: of one that is not
// known to be the company's it is refused, once however often it is told. Which comes first in a
// file does not matter.
func TestAStatusOfAnAppOnAPersonalDeviceIsRefused(t *testing.T) {
	at := toldAt.Format("2006-01-02T15:04:05Z")
	var statuses, devices []string
	for n := range 3 {
		statuses = append(statuses, asLine(object{"@odata.type": "#microsoft.graph.mobileAppInstallStatus",
			"id": guid(70, 1) + "_" + guid(20, n), "deviceId": guid(20, n), "installState": "installed"}))
		if n < 2 {
			devices = append(devices, device(n, at, map[string]any{
				"managedDeviceOwnerType": []any{"company", "personal"}[n]}))
		}
	}
	w := newWorld(t, true)
	file := strings.Join(slices.Concat(statuses, devices), "\n")
	s := w.importObserved(1, file)
	if s.Recorded != 3 || s.Refused[plan.RulePersonalApps] != 2 || len(w.streams("status")) != 1 {
		t.Errorf("%s", asJSON(t, s))
	}
	if got := w.refusedOf(); !slices.Equal(got, []string{plan.CategoryApps, plan.CategoryApps}) {
		t.Errorf("refusals are of %v", got)
	}
	if s = w.importObserved(1, file); s.EventsAppended != 0 {
		t.Errorf("told again: %s", asJSON(t, s))
	}
	w.importObserved(2, strings.Join(statuses, "\n"))
	if got := w.refusedOf(); len(got) != 2 {
		t.Errorf("told another day, refusals are of %v", got)
	}
	// It becomes the company's.
	w.importObserved(3, device(1, "2026-03-02T08:00:00Z", map[string]any{"managedDeviceOwnerType": "company"}))
	if s = w.importObserved(3, statuses[1]); s.Recorded != 1 {
		t.Errorf("of a device that became the company's: %s", asJSON(t, s))
	}
}
