package intake

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// refusable are the items that a policy may refuse and of which the catalogue has attributes.
func refusable(t *testing.T) (out []string) {
	t.Helper()
	for _, i := range catalogue.Default().Items() {
		p := policy.Default()
		p.Items = []string{i.ID}
		if p.Validate(catalogue.Default()) == nil && len(i.Attributes()) > 0 {
			out = append(out, i.ID)
		}
	}
	if len(out) < 20 {
		t.Fatalf("only %d items can be refused", len(out))
	}
	return out
}

// everyKind are records that together tell of each kind in the list of kinds, with as much as is
// known of it: a device first, then all the others.
func everyKind(t *testing.T) (first, others string) {
	graph, monitor, _ := aDeviceInEveryForm()
	maps.Copy(graph, object{"iccid": "8931440300000000001", "meid": "35209900176148", "udid": "00008030-000A1",
		"ethernetMacAddress": "001122AABBCE", "roleScopeTagIds": []any{"0", "1"}, "hardwareInformation": object{
			"ipAddressV4": "192.0.2.7", "batterySerialNumber": "B1", "wiredIPv4Addresses": []any{"192.0.2.8"},
			"esimIdentifier": "89049032000000000000000000000001"},
		"detectedApps": []any{object{"id": "a1", "displayName": "Reader", "version": "1.2"}}})
	event, log := anActionInBothForms()
	event["actor"].(map[string]any)["userDisplayName"] = "Bob Visser"
	all := []string{asLine(inCategory("Devices", monitor)), asLine(event),
		asLine(inCategory("AuditLogs", with(log, "AuditEventId", guid(30, 2)))), aRemoteAction(),
		things(t)["an alert"].forms["Azure Monitor"], user(1, map[string]any{"mobilePhone": "+31698765432",
			"givenName": "Anna", "surname": "de Vries", "businessPhones": []any{"+31 20 123 4567"}})}
	for _, d := range resources(t) {
		for i := range d.Sources {
			all = append(all, asLine(written(recorder{t, d, &d.Sources[i]}.record(1, 0))))
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(examples(t))) {
		all = append(all, asLine(examples(t)[typ]))
	}
	return asLine(graph), strings.Join(all, "\n")
}

// aRemoteAction is a record of the audit of remote actions that names who asked.
func aRemoteAction() string {
	return asLine(object{"@odata.type": "#microsoft.graph.remoteActionAudit", "id": guid(40, 1),
		"action": "remoteLock", "deviceDisplayName": "LT-1", "managedDeviceId": guid(20, 1),
		"initiatedByUserPrincipalName": "bob@contoso.example", "actionState": "done",
		"requestDateTime": toldAt.Format("2006-01-02T15:04:05Z")})
}

// toldItems returns of which items the events behind the first so many tell a value, with the
// attributes of it and the streams' kinds.
func (w *world) toldItems(behind int) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, e := range w.own()[behind:] {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, v := range d.Values {
			if !v.Removed && v.Attr.Item != "" {
				out[v.Attr.Item] += " " + e.Stream.Kind() + ":" + v.Attr.ID
			}
		}
	}
	return out
}

// judgedUnder fails where an event names another version of the policy, or there is none.
func (w *world) judgedUnder(all []schemas.Envelope, version uint64) {
	w.t.Helper()
	if len(all) == 0 {
		w.t.Error("no event is judged")
	}
	for _, e := range all {
		if got := e.Meta().Policy; got != version {
			w.t.Errorf("%s names version %d of the policy, want %d", e.Type, got, version)
		}
	}
}

// Whatever kind a record is of, no event tells a value of an item that the policy refuses, and
// what was kept out is counted and told; each names the version by which it was judged. Each kind
// in the list is asked: one that joins it is missed here until something tells of it.
func TestNoEventOfAnyKindTellsARefusedItem(t *testing.T) {
	first, others := everyKind(t)
	open := newWorld(t, true)
	open.takeDiagnostics(policy.Kept)
	open.importToldAt(first)
	open.importToldAt(others)
	streams := map[string]bool{}
	for _, e := range open.own() {
		streams[e.Stream.Kind()] = true
	}
	for _, k := range kinds.All(schemas.Default()) {
		if !streams[k.Stream()] {
			t.Errorf("nothing here tells of the kind %s", k.Stream())
		}
	}
	told := open.toldItems(0)
	var ask []string
	for _, id := range refusable(t) {
		if told[id] != "" {
			ask = append(ask, id)
		}
	}
	if len(ask) < 20 {
		t.Fatalf("only %v are told of those that can be refused", ask)
	}
	check := func(items ...string) {
		w := newWorld(t, true)
		defer w.close()
		w.takeDiagnostics(policy.Kept)
		w.setPolicy(items...)
		refused := w.importToldAt(first).ListItemsRefused[plan.RulePolicy] +
			w.importToldAt(others).ListItemsRefused[plan.RulePolicy]
		still := w.toldItems(0)
		for _, id := range items {
			if still[id] != "" {
				t.Errorf("item %s is refused, and told:%s", id, still[id])
			}
		}
		if refused < len(items) || !slices.Contains(w.refusedOf(), plan.RulePolicy) {
			t.Errorf("items %v: %d values are refused, events of %v", items, refused, w.refusedOf())
		}
		w.judgedUnder(w.own(), 3)
		n := len(w.events())
		w.importToldAt(others)
		if w.importToldAt(first); len(w.events()) != n {
			t.Errorf("items %v: told again, there is more:\n%s", items, w.dumpFrom(newLabels(), n))
		}
	}
	check(ask...)
	rapid.Check(t, func(t *rapid.T) { check(rapid.SampledFrom(ask).Draw(t, "item")) })
}

// What the policy refuses by now is not told again under the keys of a device's next user or
// owner: it is known no more.
func TestWhatIsRefusedByNowIsNotRestated(t *testing.T) {
	first, others := everyKind(t)
	w := newWorld(t, true)
	w.importToldAt(first)
	w.importToldAt(others)
	n := len(w.own())
	items := refusable(t)
	w.setPolicy(items...)
	next := objectOf(first)
	maps.Copy(next, object{"userId": guid(10, 2), "userPrincipalName": "pieter@contoso.example",
		"userDisplayName": "Pieter", "emailAddress": "pieter@contoso.example",
		"lastSyncDateTime": toldAt.Add(time.Hour).Format(time.RFC3339)})
	for _, gone := range []string{"iccid", "phoneNumber", "serialNumber", "hardwareInformation"} {
		delete(next, gone) // the record is silent about them
	}
	w.importWith(map[string]string{"a": asLine(next)}, Source{Observed: toldAt.Add(time.Hour), TakeNameless: true})
	w.judgedUnder(w.own()[:n], 1)
	w.judgedUnder(w.own()[n:], 2)
	told := w.toldItems(n)
	if told["2"] == "" {
		t.Fatalf("the next user is not told: %v", told)
	}
	for _, id := range items {
		if told[id] != "" {
			t.Errorf("item %s is refused, and told again:%s", id, told[id])
		}
	}
	st := w.fold(w.intake(), w.entities()[0])
	for a := range st.Values() {
		if h, has := st.Value(a); has && !h.None && slices.Contains(items, a.Item) {
			t.Errorf("%s is held still", a.ID)
		}
	}
}
