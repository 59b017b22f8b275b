package report_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas"
)

func TestMain(m *testing.M) { chtest.Main(m) }

// A story is mostly these three, so they are short.
type val = chtest.Val

var id, at = chtest.ID, chtest.At

var (
	anna, fatima = id("anna 2026-10"), id("fatima 2026-10")
	phone, mac   = schemas.NewStream("device", id("phone")), schemas.NewStream("device", id("mac"))
	actorAnna    = []schemas.SubjectRef{{Role: "actor", Alias: anna}}
	annaOnFatima = []schemas.SubjectRef{{Role: "actor", Alias: anna}, {Role: "target", Alias: fatima}}
	userFatima   = []schemas.SubjectRef{{Role: "user", Alias: fatima}}
)

func deviceOf(name string) schemas.Stream { return schemas.NewStream("device", id(name)) }

// theStory: an administrator enrols, changes and wipes; the clock goes back an hour; a device's
// name is a formula.
func theStory(t *testing.T) *chtest.Story {
	s := chtest.NewStory(t)
	zero := []string{"0"}
	s.Add("device.enrolled.v1", phone, "2026-10-01T08:00:00Z", "", userFatima,
		val{Attr: "device.name", V: "=HYPERLINK(\"http://evil\")", Alias: fatima},
		val{Attr: "device.serial-number", V: "F4K3SERIAL1", Alias: fatima},
		val{Attr: "device.manufacturer", V: "Apple"}, val{Attr: "device.model", V: "iPhone 16"},
		val{Attr: "device.operating-system", V: "iOS"},
		val{Attr: "device.os-version", V: "19.0"}, val{Attr: "device.phone-number", V: "+31611111111", Alias: fatima},
		val{Attr: "device.compliance-state", V: "compliant"}, val{Attr: "device.encrypted", V: true},
		val{Attr: "device.ownership", V: "personal"},
		val{Attr: "device.user-upn", V: "fatima@example.test", Alias: fatima},
		val{Attr: "device.enrolled-at", V: "2026-09-30T21:30:00Z", Alias: fatima},
		val{Attr: "device.last-contact", V: "2026-10-01T07:55:00Z", Alias: fatima})
	s.Add("device.enrolled.v1", mac, "2026-10-02T08:00:00Z", "", nil,
		val{Attr: "device.name", V: "MAC-0042", Alias: id("mac key")},
		val{Attr: "device.serial-number", V: "C02FAKE", Alias: id("mac key"), Err: projections.ErrErased},
		val{Attr: "device.manufacturer", V: "Apple"}, val{Attr: "device.model", V: "MacBook Pro"},
		val{Attr: "device.operating-system", V: "macOS"},
		val{Attr: "device.ownership", V: "company"}, val{Attr: "device.compliance-state", V: "noncompliant"},
		val{Attr: "device.enrolled-at", V: "2026-10-02T07:00:00Z", Alias: id("mac key"), Err: projections.ErrExpired})
	s.Add("device.compliance-changed.v1", phone, "2026-10-20T10:00:00Z", "2026-11-03T10:00:00Z", userFatima,
		val{Attr: "device.compliance-state", V: "noncompliant"})
	s.Add("device.inventory-changed.v1", phone, "2026-10-21T10:00:00Z", "", userFatima,
		val{Attr: "device.os-version", V: "19.1"}, val{Attr: "device.phone-number", Gone: true})
	for _, occurred := range []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"} { // 02:30, twice
		s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("wipe"+occurred)), occurred, "",
			annaOnFatima,
			val{Attr: "action.verb", V: "action"}, val{Attr: "action.operation", V: "wipe ManagedDevice"},
			val{Attr: "action.category", V: "device"},
			val{Attr: "action.result", V: "success"}, val{Attr: "action.actor-type", V: "it-pro"},
			val{Attr: "action.delegated", V: false},
			val{Attr: "action.actor-upn", V: "anna@example.test", Alias: anna},
			val{Attr: "action.actor-ip", V: "192.0.2.7", Alias: anna},
			val{Attr: "action.application-name", V: "Intune portal", Alias: anna},
			val{Attr: "action.target-type", Path: zero, V: "ManagedDevice"},
			val{Attr: "action.target-device", Path: zero, V: phone.UUID().String()},
			val{Attr: "action.target-name", Path: zero, V: "iPhone of Fatima", Alias: fatima},
			val{Attr: "action.reason", V: "lost on the train", Alias: fatima})
	}
	s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("policy")), "2026-10-26T09:00:00Z",
		"2026-11-20T00:00:00Z", actorAnna,
		val{Attr: "action.verb", V: "update"}, val{Attr: "action.category", V: "deviceConfiguration"},
		val{Attr: "action.result", V: "failure"},
		val{Attr: "action.actor-type", V: "it-pro"},
		val{Attr: "action.actor-upn", V: "anna@example.test", Alias: anna, Err: projections.ErrErased},
		val{Attr: "action.target-type", Path: zero, V: "DeviceConfiguration"},
		val{Attr: "action.target-name", Path: zero, V: "Wi-Fi \"guests\"", Alias: id("tenant key")},
		val{Attr: "action.changes", Path: zero,
			V: []map[string]any{{"name": "ssid", "old": "guest", "new": "=1+1"}, {"name": "psk", "withheld": true},
				{"name": "hidden", "old": false, "new": true}}, Alias: id("tenant key")})
	// 1 November, 00:00 in Amsterdam.
	s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("edge")), "2026-10-31T23:00:00Z", "",
		actorAnna,
		val{Attr: "action.verb", V: "create"}, val{Attr: "action.actor-upn", V: "anna@example.test", Alias: anna})
	for i, n := range []int{40, 87} {
		s.Add("refusal.recorded.v1", schemas.NewStream("refusal", id("apps of the phone")),
			[]string{"2026-10-05T08:00:00Z", "2026-10-06T08:00:00Z"}[i], "", nil,
			val{Attr: "refusal.rule", V: "apps-on-personal-device"}, val{Attr: "refusal.category", V: "apps"},
			val{Attr: "refusal.count", V: n})
	}
	s.Add("refusal.recorded.v1", schemas.NewStream("refusal", id("location of the phone")), "2026-10-07T08:00:00Z",
		"", nil,
		val{Attr: "refusal.rule", V: "location"}, val{Attr: "refusal.category", V: "location"},
		val{Attr: "refusal.count", V: 1})
	leaving(s)
	handled(s)
	return s
}

var (
	shopTablet, worn = schemas.NewStream("device", id("tablet")), schemas.NewStream("device", id("worn phone"))
	bob              = id("bob 2026-11")
	officer          = id("officer 2026-11")
)

// owners are those whom the story's aliases name, as a vault would tell.
func owners(_ context.Context, aliases []uuid.UUID) (map[uuid.UUID]uuid.UUID, error) {
	known := map[uuid.UUID]uuid.UUID{fatima: id("Fatima"), id("fatima's account"): id("Fatima"), bob: id("Bob"),
		anna: id("Anna"), id("anna's account"): id("Anna")}
	out := map[uuid.UUID]uuid.UUID{}
	for _, a := range aliases {
		if who, ok := known[a]; ok {
			out[a] = who
		}
	}
	return out, nil
}

// leaving: Fatima's account is disabled while she has a phone, and another one that was removed;
// Anna stays. A tablet was asked to leave, and its user's account is not known; the mac does not
// comply, and that is stated again.
func leaving(s *chtest.Story) {
	user := func(alias uuid.UUID) []schemas.SubjectRef {
		return []schemas.SubjectRef{{Role: "user", Alias: alias}}
	}
	for _, who := range []string{"anna", "fatima"} {
		alias := id(who + "'s account")
		s.Add("account.observed.v1", schemas.NewStream("account", id(who)), "2026-11-05T09:00:00Z", "", user(alias),
			val{Attr: "account.upn", V: who + "@example.test", Alias: alias},
			val{Attr: "account.enabled", V: who == "anna"})
	}
	s.Add("device.enrolled.v1", worn, "2026-10-03T08:00:00Z", "", userFatima,
		val{Attr: "device.name", V: "Worn phone", Alias: fatima}, val{Attr: "device.ownership", V: "company"},
		val{Attr: "device.user-upn", V: "fatima@example.test", Alias: fatima},
		val{Attr: "device.compliance-state", V: "compliant"})
	s.Add("device.inventory-changed.v1", worn, "2026-11-05T12:00:00Z", "", userFatima, // what leads it says nothing
		val{Attr: "device.last-contact", V: "2026-11-05T11:00:00Z", Alias: fatima},
		val{Attr: "device.phone-number", Gone: true})
	removal(s, "2026-11-06T09:00:00Z", "action", "retire ManagedDevice")
	removal(s, "2026-11-09T09:00:00Z", "delete", "Delete ManagedDevice")
	s.Add("device.enrolled.v1", shopTablet, "2026-10-04T08:00:00Z", "", user(bob),
		val{Attr: "device.name", V: "Tablet of the shop", Alias: bob}, val{Attr: "device.ownership", V: "company"},
		val{Attr: "device.user-upn", V: "bob@example.test", Alias: bob},
		val{Attr: "device.grace-until", V: "2026-11-20T00:00:00Z", Alias: bob},
		val{Attr: "device.compliance-state", V: "inGracePeriod"})
	s.Add("device.retired.v1", shopTablet, "2026-11-10T08:00:00Z", "", user(bob),
		val{Attr: "device.management-state", V: "wipePending"})
	s.Add("device.restated.v1", mac, "2026-11-12T08:00:00Z", "", nil,
		val{Attr: "device.compliance-state", V: "noncompliant", Observed: "2026-10-02T08:00:00Z"})
}

func removal(s *chtest.Story, occurred, verb, operation string) {
	s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("removal"+occurred)), occurred, "", actorAnna,
		val{Attr: "action.verb", V: verb}, val{Attr: "action.operation", V: operation},
		val{Attr: "action.category", V: "device"}, val{Attr: "action.result", V: "success"},
		val{Attr: "action.actor-upn", V: "anna@example.test", Alias: anna},
		val{Attr: "action.target-type", Path: []string{"0"}, V: "ManagedDevice"},
		val{Attr: "action.target-device", Path: []string{"0"}, V: worn.UUID().String()},
		val{Attr: "action.target-name", Path: []string{"0"}, V: "Worn phone", Alias: fatima})
}

// handled: what an officer did with requests, and whose data they looked at.
func handled(s *chtest.Story) {
	by := schemas.SubjectRef{Role: "officer", Alias: officer}
	opened := func(name, right, received, due string) schemas.Stream {
		r, who := schemas.NewStream("request", id(name)), id("requester "+name)
		s.Add("request.opened.v1", r, received+"T10:00:00Z", "",
			[]schemas.SubjectRef{{Role: "requester", Alias: who}, by},
			val{Attr: "request.right", V: right}, val{Attr: "request.received", V: received},
			val{Attr: "request.due", V: due}, val{Attr: "request.identity-method", V: "call-back"},
			val{Attr: "request.subject", V: name + "@example.test", Alias: who})
		return r
	}
	ordered := func(r schemas.Stream, occurred string) uuid.UUID {
		return s.Add("request.erasure-ordered.v1", r, occurred, "", []schemas.SubjectRef{by},
			val{Attr: "request.ground", V: "no-longer-necessary"},
			val{Attr: "request.completion", V: id("completion " + string(r)).String()},
			val{Attr: "request.key", Path: []string{"0"}, V: id("key " + string(r)).String()})
	}
	answered := opened("answered", "access", "2026-10-28", "2026-11-30")
	opened("overdue", "access", "2026-10-01", "2026-11-02")
	s.Add("request.access-packaged.v1", answered, "2026-11-02T10:00:00Z", "", []schemas.SubjectRef{by},
		val{Attr: "request.package", V: strings.Repeat("ab", 32)}, val{Attr: "request.sequence", V: 20},
		val{Attr: "request.files", V: 27})
	gone := opened("gone", "erasure", "2026-11-03", "2026-12-03")
	order := ordered(gone, "2026-11-04T10:00:00Z")
	s.Add("subject.erased.v1", schemas.NewStream("subject", id("completion")), "2026-11-04T10:00:05Z", "", nil,
		val{Attr: "subject.order", V: order.String()}, val{Attr: "subject.keys", V: 4},
		val{Attr: "subject.ground", V: "no-longer-necessary"})
	ordered(opened("waits", "erasure", "2026-11-20", "2026-12-21"), "2026-11-23T10:00:00Z")

	// A viewing that names persons in two events, and one that came between them.
	viewed := func(run, occurred, of string, filters map[string]any, persons ...uuid.UUID) {
		subjects, v := []schemas.SubjectRef{by}, []val{
			{Attr: "access.report", V: of}, {Attr: "access.purpose-code", V: "security-incident"},
			{Attr: "access.purpose", V: "incident 7", Alias: officer},
			{Attr: "access.officer", V: "officer@example.test", Alias: officer},
			{Attr: "access.persons", V: len(persons)}, {Attr: "access.sequence", V: 21}}
		if filters != nil {
			v = append(v, val{Attr: "access.filters", V: filters, Alias: officer})
		}
		for _, p := range persons {
			subjects = append(subjects, schemas.SubjectRef{Role: "target", Alias: p})
		}
		s.Add("access.unsealed.v2", schemas.NewStream("access", id(run)), occurred, "", subjects, v...)
	}
	filters := map[string]any{"actor": anna.String(), "all": define.Set, "name": true, "device": string(phone)}
	viewed("first", "2026-11-05T10:00:00Z", "admin-actions", filters)
	viewed("second", "2026-11-05T10:00:01Z", "access-package", nil)
	viewed("first", "2026-11-05T10:00:02Z", "admin-actions", filters, fatima)
	viewed("first", "2026-11-05T10:00:03Z", "admin-actions", filters, anna, bob)
}
