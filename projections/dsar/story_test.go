package dsar_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/schemas"
)

func TestMain(m *testing.M) { chtest.Main(m) }

// A story is mostly these three, so they are short.
type val = chtest.Val

var id, at = chtest.ID, chtest.At

// Two persons and what is theirs. Aliases differ by class and month, as the vault's do.
var (
	fatimaInv, fatimaApps, fatimaTarget = id("fatima inventory"), id("fatima apps"), id("fatima audit-target")
	fatimaRequest, fatimaAccess         = id("fatima request"), id("fatima access")
	fatimaActor                         = id("fatima audit-actor")
	anna, annaNext                      = id("anna audit-actor 10"), id("anna audit-actor 11")
	annaRequest, annaAccess             = id("anna request"), id("anna access")
	bob                                 = id("bob inventory")
	phone                               = schemas.NewStream("device", id("phone"))
	mac                                 = schemas.NewStream("device", id("mac"))
	macKey, tenantKey                   = id("mac key"), id("tenant key")
	aRequest                            = id("the request")
)

func as(role string, alias uuid.UUID) schemas.SubjectRef {
	return schemas.SubjectRef{Role: role, Alias: alias}
}

func subjects(s ...schemas.SubjectRef) []schemas.SubjectRef { return s }

// fatimasStory: her own phone, a company Mac that was Bob's before, what Anna did, a request and
// its viewing.
func fatimasStory(t *testing.T) *chtest.Story {
	s := chtest.NewStory(t)
	zero, one := []string{"0"}, []string{"1"}
	el := func(n string) []string { return []string{id("element " + n).String()} }
	mine := subjects(as("user", fatimaInv), as("owner", fatimaInv))
	s.Add("device.enrolled.v1", mac, "2026-06-01T08:00:00Z", "", subjects(as("user", bob)),
		val{Attr: "device.name", V: "BOBS-MAC", Alias: bob},
		val{Attr: "device.serial-number", V: "C02SECRETBOB", Alias: id("mac key of bob's time")},
		val{Attr: "device.user-upn", V: "bob@example.test", Alias: bob}, val{Attr: "device.ownership", V: "company"})
	s.Add("device.inventory-changed.v1", mac, "2026-07-01T08:00:00Z", "",
		subjects(as("user", bob), as("user", fatimaInv)), // she logged on to Bob's Mac
		val{Attr: "device.meid", V: "MEID-OF-BOBS-TIME", Alias: id("mac key of bob's time")},
		val{Attr: "device.logged-on-user", Path: el("logon fatima"),
			V: map[string]any{"userId": "u-1", "lastLogOn": "2026-07-01T07:00:00Z"}, Alias: fatimaInv})
	s.Add("device.enrolled.v1", phone, "2026-09-14T07:30:00Z", "", mine,
		val{Attr: "device.name", V: "iPhone <b>van</b> Fatima & co", Alias: fatimaInv},
		val{Attr: "device.serial-number", V: "F4K3SERIAL1", Alias: fatimaInv},
		val{Attr: "device.imei", V: "350000000000006", Alias: fatimaInv},
		val{Attr: "device.manufacturer", V: "Apple"}, val{Attr: "device.model", V: "iPhone 16"},
		val{Attr: "device.operating-system", V: "iOS"}, val{Attr: "device.os-version", V: "19.0"},
		val{Attr: "device.wifi-mac", V: "02:00:00:aa:bb:cc", Alias: fatimaInv},
		val{Attr: "device.phone-number", V: "+31611111111", Alias: fatimaInv},
		val{Attr: "device.storage-total", V: 127870000000}, val{Attr: "device.storage-free", V: 64000000000},
		val{Attr: "device.compliance-state", V: "compliant"}, val{Attr: "device.encrypted", V: true},
		val{Attr: "device.ownership", V: "personal"},
		val{Attr: "device.user-name", V: "Fatima el Amrani", Alias: fatimaInv},
		val{Attr: "device.user-upn", V: "fatima@example.test", Alias: fatimaInv},
		val{Attr: "device.enrolled-at", V: "2026-09-14T07:28:11Z", Alias: fatimaInv},
		val{Attr: "device.last-contact", V: "2026-09-14T07:29:00Z", Alias: fatimaInv},
		val{Attr: "device.supervised", V: false},
		val{Attr: "device.notes", V: "gave this to her after the incident with Bob", Alias: fatimaInv},
		val{Attr: "device.intune-id", V: "6f0e2a4c-0000-4000-8000-00000000abcd", Alias: fatimaInv})
	s.Add("refusal.recorded.v1", schemas.NewStream("refusal", id("apps of the phone")), "2026-09-14T07:30:00Z",
		"", nil,
		val{Attr: "refusal.rule", V: "apps-on-personal-device"}, val{Attr: "refusal.category", V: "apps"},
		val{Attr: "refusal.count", V: 87})
	s.Add("device.ownership-changed.v1", mac, "2026-10-01T08:00:00Z", "", subjects(as("user", fatimaInv)),
		val{Attr: "device.user-upn", V: "fatima@example.test", Alias: fatimaInv},
		val{Attr: "device.user-name", V: "Fatima el Amrani", Alias: fatimaInv})
	s.Add("device.restated.v1", mac, "2026-10-01T08:00:00Z", "", subjects(as("user", fatimaInv)),
		val{Attr: "device.name", V: "MAC-0042", Alias: fatimaInv},
		val{Attr: "device.serial-number", V: "C02FAKE", Alias: macKey}, val{Attr: "device.manufacturer", V: "Apple"},
		val{Attr: "device.model", V: "MacBook Pro"}, val{Attr: "device.operating-system", V: "macOS"},
		val{Attr: "device.os-version", V: "16.1"},
		val{Attr: "device.ownership", V: "company"}, val{Attr: "device.compliance-state", V: "compliant"},
		val{Attr: "device.encrypted", V: true},
		val{Attr: "device.user-upn", V: "fatima@example.test", Alias: fatimaInv},
		val{Attr: "device.logged-on-user", Path: el("logon fatima"),
			V: map[string]any{"userId": "u-1", "lastLogOn": "2026-10-01T07:58:00Z"}, Alias: fatimaInv},
		val{Attr: "device.logged-on-user", Path: el("logon bob"),
			V: map[string]any{"userId": "u-2-bob", "lastLogOn": "2026-09-30T16:00:00Z"}, Alias: bob},
		val{Attr: "device.app", Path: el("excel"),
			V: map[string]any{"name": "Microsoft Excel", "version": "16.90", "publisher": "Microsoft Corporation",
				"size": 2150000000, "id": "a1"}, Alias: macKey},
		val{Attr: "device.app", Path: el("zoom"),
			V: map[string]any{"name": "Zoom", "version": "6.2", "publisher": "Zoom Video Communications",
				"size": 180000000, "id": "a2"}, Alias: macKey})
	s.Add("device.apps-changed.v1", mac, "2026-10-12T08:00:00Z", "", subjects(as("user", fatimaApps)),
		val{Attr: "device.app", Path: el("zoom"), Gone: true},
		val{Attr: "device.app", Path: el("signal"),
			V: map[string]any{"name": "Signal", "version": "7.30", "publisher": "Signal Messenger", "size": 310000000,
				"id": "a3"}, Alias: macKey})
	s.Add("device.inventory-changed.v1", mac, "2026-10-15T08:00:00Z", "",
		subjects(as("user", fatimaInv), as("owner", bob)),
		val{Attr: "device.udid", V: "UDID-OF-BOB", Alias: bob},
		val{Attr: "device.notes", V: "Bob dropped it", Alias: macKey})
	s.Add("device.inventory-changed.v1", phone, "2026-10-20T06:10:00Z", "", mine,
		val{Attr: "device.os-version", V: "19.1"}, val{Attr: "device.name", V: "iPhone van Fatima", Alias: fatimaInv},
		val{Attr: "device.last-contact", V: "2026-10-20T06:10:00Z", Alias: fatimaInv})
	s.Add("device.compliance-changed.v1", phone, "2026-10-21T09:00:00Z", "", mine,
		val{Attr: "device.compliance-state", V: "noncompliant"})
	s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("wipe")), "2026-10-25T00:30:00Z", "",
		subjects(as("actor", anna), as("target", fatimaTarget)),
		val{Attr: "action.verb", V: "action"}, val{Attr: "action.operation", V: "wipe ManagedDevice"},
		val{Attr: "action.category", V: "device"}, val{Attr: "action.result", V: "success"},
		val{Attr: "action.actor-type", V: "it-pro"},
		val{Attr: "action.actor-upn", V: "anna@example.test", Alias: anna},
		val{Attr: "action.actor-ip", V: "192.0.2.7", Alias: anna},
		val{Attr: "action.application-name", V: "Intune portal", Alias: anna},
		val{Attr: "action.target-type", Path: zero, V: "ManagedDevice"},
		val{Attr: "action.target-device", Path: zero, V: phone.UUID().String()},
		val{Attr: "action.target-name", Path: zero, V: "iPhone van Fatima", Alias: fatimaTarget},
		val{Attr: "action.reason", V: "Bob saw her lose it", Alias: fatimaTarget},
		val{Attr: "action.changes", Path: zero,
			V: []map[string]any{{"name": "DeviceActionState", "old": "none", "new": "pending"},
				{"name": "PIN", "withheld": true}}, Alias: fatimaTarget})
	s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("group")), "2026-11-02T10:00:00Z", "",
		subjects(as("actor", annaNext), as("target", fatimaTarget), as("target", id("bob target"))),
		val{Attr: "action.verb", V: "assign"}, val{Attr: "action.category", V: "role"},
		val{Attr: "action.result", V: "failure"}, val{Attr: "action.actor-type", V: "it-pro"},
		val{Attr: "action.actor-upn", V: "anna@example.test", Alias: annaNext},
		val{Attr: "action.target-name", Path: zero, V: "Fatima el Amrani", Alias: fatimaTarget},
		val{Attr: "action.target-name", Path: one, V: "Bob Jansen", Alias: id("bob target")})
	s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("hers")), "2026-11-03T13:45:00Z", "",
		subjects(as("actor", fatimaActor)),
		val{Attr: "action.verb", V: "update"}, val{Attr: "action.operation", V: "Patch DeviceCategory"},
		val{Attr: "action.category", V: "device"}, val{Attr: "action.result", V: "success"},
		val{Attr: "action.actor-type", V: "it-pro"},
		val{Attr: "action.actor-upn", V: "fatima@example.test", Alias: fatimaActor},
		val{Attr: "action.actor-ip", V: "198.51.100.4", Alias: fatimaActor},
		val{Attr: "action.target-type", Path: zero, V: "DeviceCategory"},
		val{Attr: "action.target-name", Path: zero, V: "Phones of Bob's team", Alias: tenantKey})
	s.Add("request.opened.v1", schemas.NewStream("request", aRequest), "2026-11-10T09:00:00Z", "",
		subjects(as("requester", fatimaRequest), as("officer", annaRequest)),
		val{Attr: "request.right", V: "access"},
		val{Attr: "request.subject", V: "fatima@example.test", Alias: fatimaRequest},
		val{Attr: "request.received", V: "2026-11-09"},
		val{Attr: "request.due", V: "2026-12-09"}, val{Attr: "request.identity-method", V: "sign-in"})
	s.Add("access.unsealed.v1", schemas.NewStream("access", id("a viewing")), "2026-11-11T14:20:00Z", "",
		subjects(as("target", fatimaAccess), as("officer", annaAccess)),
		val{Attr: "access.report", V: "device-history"},
		val{Attr: "access.purpose", V: "is Bob right about Fatima", Alias: annaAccess},
		val{Attr: "access.officer", V: "anna@example.test", Alias: annaAccess},
		val{Attr: "access.persons", V: 1}, val{Attr: "access.sequence", V: 11})
	s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("not hers")), "2026-11-12T10:00:00Z", "",
		subjects(as("actor", annaNext), as("target", id("bob target"))),
		val{Attr: "action.verb", V: "delete"},
		val{Attr: "action.target-name", Path: zero, V: "Bob Jansen", Alias: id("bob target")})
	s.Add("device.inventory-changed.v1", mac, "2026-05-01T08:00:00Z", "", subjects(as("user", bob)),
		val{Attr: "device.os-version", V: "15.0"})
	s.AddRaw("device.exploded.v9", phone, "2026-11-13T08:00:00Z", []schemas.Subject{{ID: fatimaInv, Role: "user"}},
		`{"set":{"new":"thing"}}`)
	viewing := func(name, purpose string, written ...val) {
		s.Add("access.unsealed.v2", schemas.NewStream("access", id(name)), "2026-11-14T08:00:00Z", "",
			subjects(as("target", fatimaAccess), as("officer", annaAccess)), append(written,
				val{Attr: "access.report", V: "admin-actions"}, val{Attr: "access.purpose-code", V: purpose},
				val{Attr: "access.officer", V: "anna@example.test", Alias: annaAccess},
				val{Attr: "access.persons", V: 1}, val{Attr: "access.sequence", V: 12})...)
	}
	viewing("for an incident", "security-incident", val{Attr: "access.purpose", V: "Bob saw it", Alias: annaAccess})
	viewing("for something else", "other", val{Attr: "access.purpose", V: "is Bob right", Alias: annaAccess})
	return s
}
