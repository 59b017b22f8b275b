package report_test

import (
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
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
	return s
}
