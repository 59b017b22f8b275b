package intake

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
)

// setPolicy gives the tenant a further version of its policy, as custody does behind its event.
func (w *world) setPolicy(items ...string) {
	w.t.Helper()
	p, err := w.vault.Policy(context.Background(), w.tenant.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	p.Number, p.Items = p.Number+1, items
	if _, err := w.vault.SetTenantPolicy(context.Background(), w.tenant.ID, p); err != nil {
		w.t.Fatal(err)
	}
}

// What the tenant's policy refuses is dropped and counted from the next record on: whoever imports
// need not know of the change. What it refuses no more is taken at the next telling.
func TestWhatThePolicyRefusesIsDroppedAndCounted(t *testing.T) {
	w := newWorld(t, true)
	file := map[string]string{"a.json": device(1, "2026-03-02T08:00:00Z", map[string]any{
		"iccid": "8931440300000000001", "phoneNumber": "+31612345678"}) +
		user(1, map[string]any{"mobilePhone": "+31698765432"})}
	w.setPolicy("3", "12", "26")
	s := w.importFiles(file)
	if s.Recorded != 2 || s.ListItemsRefused[plan.RulePolicy] != 4 {
		t.Fatalf("%d recorded, refused %v", s.Recorded, s.ListItemsRefused)
	}
	has := func() (out []string) {
		values := w.values()
		for _, a := range []string{"device.iccid", "device.phone-number", "account.mobile-phone"} {
			if len(values[a]) > 0 {
				out = append(out, a)
			}
		}
		return out
	}
	if got := has(); len(got) > 0 {
		t.Fatalf("the policy refuses them, and %v stand in events", got)
	}
	if got := w.refusedOf(); !slices.Equal(got, []string{plan.RulePolicy, plan.RulePolicy}) {
		t.Errorf("refusals are of %v", got)
	}
	n := len(w.events())
	if w.importFiles(file); len(w.events()) != n {
		t.Errorf("told again, %d further events", len(w.events())-n)
	}
	for _, e := range w.own() {
		if e.Meta().Policy != 2 {
			t.Errorf("%s names policy %d", e.Type, e.Meta().Policy)
		}
	}
	w.setPolicy("3")
	w.importFiles(file)
	if got := has(); !slices.Equal(got, []string{"device.iccid", "account.mobile-phone"}) {
		t.Errorf("the policy refuses item 3 alone, and %v are held", got)
	}
	for _, e := range w.own()[n:] {
		if e.Meta().Policy != 3 {
			t.Errorf("%s names policy %d", e.Type, e.Meta().Policy)
		}
	}
}

// A policy that changes in the midst of an import holds for every record whose appending has not
// begun: what was judged under the one before it is judged anew, wherever the change comes, and no
// event names a version that was over.
func TestAPolicyHoldsFromTheNextRecordOfAnImport(t *testing.T) {
	for _, point := range []string{PointPlanned, PointCommitted, PointDone} {
		w := newWorld(t, true)
		w.config.BatchSize = 4
		files := map[string]string{}
		for n := 1; n <= 12; n++ {
			files[fmt.Sprintf("%02d.json", n)] = device(n, "2026-03-02T08:00:00Z", map[string]any{
				"iccid": fmt.Sprintf("89314403000000000%02d", n)})
		}
		changed, before := false, 0
		w.config.Hook = func(at string) error {
			if at == point && !changed && len(w.events()) > 0 {
				changed, before = true, len(w.own())
				w.setPolicy("12")
			}
			return nil
		}
		s := w.importFiles(files)
		if !changed || s.Recorded != 12 || before == 0 || before >= len(w.own()) {
			t.Fatalf("at %s: changed %v behind %d of %d events: %s", point, changed, before, len(w.own()),
				asJSON(t, s))
		}
		for n, e := range w.own() {
			want := uint64(1)
			if n >= before {
				want = 2
			}
			if got := e.Meta().Policy; got != want {
				t.Errorf("at %s: event %d of %d, a %s, names policy %d", point, n, before, e.Type, got)
			}
		}
		if refused := s.ListItemsRefused[plan.RulePolicy]; refused != 12-len(w.values()["device.iccid"]) {
			t.Errorf("at %s: %d refused, %d held", point, refused, len(w.values()["device.iccid"]))
		}
		if w.importFiles(files); w.toldItems(before)["12"] != "" {
			t.Errorf("at %s: what the policy refuses is told", point)
		}
	}
}
