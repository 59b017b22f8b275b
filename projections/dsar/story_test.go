package dsar_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/schemas"
)

func TestMain(m *testing.M) { chtest.Main(m) }

// id is the uuid of a name, random-looking and the same in every run.
func id(name string) uuid.UUID {
	sum := sha256.Sum256([]byte(name))
	u := uuid.UUID(sum[:16])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// story is a ledger written by hand, and what is in its tokens.
type story struct {
	t      *testing.T
	events []schemas.Recorded
	revs   map[schemas.Stream]uint64
	opener
}

// opener knows the plaintexts, and counts how it is asked.
type opener struct {
	plain map[schemas.Token]projections.Opened
	calls []int
}

func (o *opener) Open(_ context.Context, tokens []schemas.Token) ([]projections.Opened, error) {
	o.calls = append(o.calls, len(tokens))
	out := make([]projections.Opened, len(tokens))
	for i, t := range tokens {
		p, ok := o.plain[t]
		if !ok {
			return nil, errors.New("a token that the story does not have")
		}
		out[i] = p
	}
	return out, nil
}

type val struct {
	attr  string
	path  []string
	v     any
	alias uuid.UUID // sealed under this alias; zero: open
	err   error     // what opening it gives
	gone  bool
}

func newStory(t *testing.T) *story {
	s := &story{t: t, revs: map[schemas.Stream]uint64{}}
	s.plain = map[schemas.Token]projections.Opened{}
	s.add("ledger.created.v1", schemas.LedgerStream, "2026-01-01T00:00:00Z", "", nil, val{attr: "ledger.id", v: id("ledger").String()})
	return s
}

// add appends an event; recorded "" is one second after it occurred.
func (s *story) add(typ string, stream schemas.Stream, occurred, recorded string, subjects []schemas.SubjectRef, values ...val) uuid.UUID {
	s.t.Helper()
	c := schemas.Default()
	d := schemas.Draft{Type: c.MustType(typ), Tenant: id("tenant"), Stream: stream, Occurred: at(occurred), Recorded: at(occurred).Add(time.Second),
		Source: "graph", Subjects: subjects, ID: id(typ + string(stream) + occurred + string(rune(len(s.events))))}
	if kind := stream.Kind(); kind == "request" || kind == "access" {
		d.Source = "custody"
	}
	if recorded != "" {
		d.Recorded = at(recorded)
	}
	if stream == schemas.LedgerStream {
		d.Tenant = uuid.Nil
	}
	for _, v := range values {
		x := schemas.Value{Attr: c.MustAttribute(v.attr), Path: v.path, Removed: v.gone}
		switch {
		case v.gone:
		case v.alias == uuid.Nil:
			x.Plain = schemas.JSON(v.v)
		default:
			h := schemas.TokenHeader{Alias: v.alias, Class: x.Attr.Class, Month: schemas.Month(d.Occurred, d.Recorded), Event: d.ID, Attr: v.attr, Path: v.path}
			sum := sha256.Sum256([]byte(h.String()))
			body := append(append(append([]byte{}, sum[:]...), sum[:]...), sum[:28]...)
			x.Token = h.Token(body)
			s.plain[x.Token] = projections.Opened{Plain: schemas.JSON(v.v), Err: v.err}
		}
		d.Values = append(d.Values, x)
	}
	e, err := c.Encode(d)
	if err != nil {
		s.t.Fatal(err)
	}
	s.events = append(s.events, schemas.Recorded{Event: e, Revision: s.revs[stream], Seq: uint64(len(s.events)), Created: d.Recorded})
	s.revs[stream]++
	return d.ID
}

// views projects the story into the real engine.
func (s *story) views() *clickhouse.DB {
	s.t.Helper()
	db := chtest.Start(s.t)
	rows := make([]projections.Row, len(s.events))
	for i, e := range s.events {
		var err error
		if rows[i], err = projections.RowOf(e); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := db.Insert(s.t.Context(), rows); err != nil {
		s.t.Fatal(err)
	}
	if err := db.SavePosition(s.t.Context(), "views", projections.Position{Saved: 1, Applied: uint64(len(rows))}); err != nil {
		s.t.Fatal(err)
	}
	return db
}

// Two persons and what is theirs. Aliases differ by class and month, as the vault's do.
var (
	fatimaInv, fatimaApps, fatimaTarget = id("fatima inventory"), id("fatima apps"), id("fatima audit-target")
	fatimaRequest, fatimaAccess         = id("fatima request"), id("fatima access")
	fatimaActor                         = id("fatima audit-actor")
	anna, annaNext                      = id("anna audit-actor 10"), id("anna audit-actor 11")
	annaRequest, annaAccess             = id("anna request"), id("anna access")
	bob                                 = id("bob inventory")
	phone, mac                          = schemas.NewStream("device", id("phone")), schemas.NewStream("device", id("mac"))
	macKey, tenantKey                   = id("mac key"), id("tenant key")
	aRequest                            = id("the request")
)

func as(role string, alias uuid.UUID) schemas.SubjectRef {
	return schemas.SubjectRef{Role: role, Alias: alias}
}

func subjects(s ...schemas.SubjectRef) []schemas.SubjectRef { return s }

// fatimasStory: her own phone, a company Mac that was Bob's before, what Anna did, a request and its viewing.
func fatimasStory(t *testing.T) *story {
	s := newStory(t)
	zero, one := []string{"0"}, []string{"1"}
	el := func(n string) []string { return []string{id("element " + n).String()} }
	mine := subjects(as("user", fatimaInv), as("owner", fatimaInv))
	s.add("device.enrolled.v1", mac, "2026-06-01T08:00:00Z", "", subjects(as("user", bob)),
		val{attr: "device.name", v: "BOBS-MAC", alias: bob}, val{attr: "device.serial-number", v: "C02SECRETBOB", alias: id("mac key of bob's time")},
		val{attr: "device.user-upn", v: "bob@example.test", alias: bob}, val{attr: "device.ownership", v: "company"})
	s.add("device.inventory-changed.v1", mac, "2026-07-01T08:00:00Z", "", subjects(as("user", bob), as("user", fatimaInv)), // she logged on to Bob's Mac
		val{attr: "device.meid", v: "MEID-OF-BOBS-TIME", alias: id("mac key of bob's time")},
		val{attr: "device.logged-on-user", path: el("logon fatima"), v: map[string]any{"userId": "u-1", "lastLogOn": "2026-07-01T07:00:00Z"}, alias: fatimaInv})
	s.add("device.enrolled.v1", phone, "2026-09-14T07:30:00Z", "", mine,
		val{attr: "device.name", v: "iPhone <b>van</b> Fatima & co", alias: fatimaInv}, val{attr: "device.serial-number", v: "F4K3SERIAL1", alias: fatimaInv},
		val{attr: "device.imei", v: "350000000000006", alias: fatimaInv}, val{attr: "device.manufacturer", v: "Apple"}, val{attr: "device.model", v: "iPhone 16"},
		val{attr: "device.operating-system", v: "iOS"}, val{attr: "device.os-version", v: "19.0"}, val{attr: "device.wifi-mac", v: "02:00:00:aa:bb:cc", alias: fatimaInv},
		val{attr: "device.phone-number", v: "+31611111111", alias: fatimaInv}, val{attr: "device.storage-total", v: 127870000000}, val{attr: "device.storage-free", v: 64000000000},
		val{attr: "device.compliance-state", v: "compliant"}, val{attr: "device.encrypted", v: true}, val{attr: "device.ownership", v: "personal"},
		val{attr: "device.user-name", v: "Fatima el Amrani", alias: fatimaInv}, val{attr: "device.user-upn", v: "fatima@example.test", alias: fatimaInv},
		val{attr: "device.enrolled-at", v: "2026-09-14T07:28:11Z", alias: fatimaInv}, val{attr: "device.last-contact", v: "2026-09-14T07:29:00Z", alias: fatimaInv},
		val{attr: "device.supervised", v: false}, val{attr: "device.notes", v: "gave this to her after the incident with Bob", alias: fatimaInv},
		val{attr: "device.intune-id", v: "6f0e2a4c-0000-4000-8000-00000000abcd", alias: fatimaInv})
	s.add("refusal.recorded.v1", schemas.NewStream("refusal", id("apps of the phone")), "2026-09-14T07:30:00Z", "", nil,
		val{attr: "refusal.rule", v: "apps-on-personal-device"}, val{attr: "refusal.category", v: "apps"}, val{attr: "refusal.count", v: 87})
	s.add("device.ownership-changed.v1", mac, "2026-10-01T08:00:00Z", "", subjects(as("user", fatimaInv)),
		val{attr: "device.user-upn", v: "fatima@example.test", alias: fatimaInv}, val{attr: "device.user-name", v: "Fatima el Amrani", alias: fatimaInv})
	s.add("device.restated.v1", mac, "2026-10-01T08:00:00Z", "", subjects(as("user", fatimaInv)),
		val{attr: "device.name", v: "MAC-0042", alias: fatimaInv}, val{attr: "device.serial-number", v: "C02FAKE", alias: macKey}, val{attr: "device.manufacturer", v: "Apple"},
		val{attr: "device.model", v: "MacBook Pro"}, val{attr: "device.operating-system", v: "macOS"}, val{attr: "device.os-version", v: "16.1"},
		val{attr: "device.ownership", v: "company"}, val{attr: "device.compliance-state", v: "compliant"}, val{attr: "device.encrypted", v: true},
		val{attr: "device.user-upn", v: "fatima@example.test", alias: fatimaInv},
		val{attr: "device.logged-on-user", path: el("logon fatima"), v: map[string]any{"userId": "u-1", "lastLogOn": "2026-10-01T07:58:00Z"}, alias: fatimaInv},
		val{attr: "device.logged-on-user", path: el("logon bob"), v: map[string]any{"userId": "u-2-bob", "lastLogOn": "2026-09-30T16:00:00Z"}, alias: bob},
		val{attr: "device.app", path: el("excel"), v: map[string]any{"name": "Microsoft Excel", "version": "16.90", "publisher": "Microsoft Corporation", "size": 2150000000, "id": "a1"}, alias: macKey},
		val{attr: "device.app", path: el("zoom"), v: map[string]any{"name": "Zoom", "version": "6.2", "publisher": "Zoom Video Communications", "size": 180000000, "id": "a2"}, alias: macKey})
	s.add("device.apps-changed.v1", mac, "2026-10-12T08:00:00Z", "", subjects(as("user", fatimaApps)),
		val{attr: "device.app", path: el("zoom"), gone: true},
		val{attr: "device.app", path: el("signal"), v: map[string]any{"name": "Signal", "version": "7.30", "publisher": "Signal Messenger", "size": 310000000, "id": "a3"}, alias: macKey})
	s.add("device.inventory-changed.v1", mac, "2026-10-15T08:00:00Z", "", subjects(as("user", fatimaInv), as("owner", bob)),
		val{attr: "device.udid", v: "UDID-OF-BOB", alias: bob}, val{attr: "device.notes", v: "Bob dropped it", alias: macKey})
	s.add("device.inventory-changed.v1", phone, "2026-10-20T06:10:00Z", "", mine,
		val{attr: "device.os-version", v: "19.1"}, val{attr: "device.name", v: "iPhone van Fatima", alias: fatimaInv}, val{attr: "device.last-contact", v: "2026-10-20T06:10:00Z", alias: fatimaInv})
	s.add("device.compliance-changed.v1", phone, "2026-10-21T09:00:00Z", "", mine, val{attr: "device.compliance-state", v: "noncompliant"})
	s.add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("wipe")), "2026-10-25T00:30:00Z", "", subjects(as("actor", anna), as("target", fatimaTarget)),
		val{attr: "action.verb", v: "action"}, val{attr: "action.operation", v: "wipe ManagedDevice"}, val{attr: "action.category", v: "device"}, val{attr: "action.result", v: "success"},
		val{attr: "action.actor-type", v: "it-pro"}, val{attr: "action.actor-upn", v: "anna@example.test", alias: anna}, val{attr: "action.actor-ip", v: "192.0.2.7", alias: anna},
		val{attr: "action.application-name", v: "Intune portal", alias: anna}, val{attr: "action.target-type", path: zero, v: "ManagedDevice"},
		val{attr: "action.target-device", path: zero, v: phone.UUID().String()}, val{attr: "action.target-name", path: zero, v: "iPhone van Fatima", alias: fatimaTarget},
		val{attr: "action.reason", v: "Bob saw her lose it", alias: fatimaTarget},
		val{attr: "action.changes", path: zero, v: []map[string]any{{"name": "DeviceActionState", "old": "none", "new": "pending"}, {"name": "PIN", "withheld": true}}, alias: fatimaTarget})
	s.add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("group")), "2026-11-02T10:00:00Z", "", subjects(as("actor", annaNext), as("target", fatimaTarget), as("target", id("bob target"))),
		val{attr: "action.verb", v: "assign"}, val{attr: "action.category", v: "role"}, val{attr: "action.result", v: "failure"}, val{attr: "action.actor-type", v: "it-pro"},
		val{attr: "action.actor-upn", v: "anna@example.test", alias: annaNext},
		val{attr: "action.target-name", path: zero, v: "Fatima el Amrani", alias: fatimaTarget}, val{attr: "action.target-name", path: one, v: "Bob Jansen", alias: id("bob target")})
	s.add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("hers")), "2026-11-03T13:45:00Z", "", subjects(as("actor", fatimaActor)),
		val{attr: "action.verb", v: "update"}, val{attr: "action.operation", v: "Patch DeviceCategory"}, val{attr: "action.category", v: "device"}, val{attr: "action.result", v: "success"},
		val{attr: "action.actor-type", v: "it-pro"}, val{attr: "action.actor-upn", v: "fatima@example.test", alias: fatimaActor}, val{attr: "action.actor-ip", v: "198.51.100.4", alias: fatimaActor},
		val{attr: "action.target-type", path: zero, v: "DeviceCategory"}, val{attr: "action.target-name", path: zero, v: "Phones of Bob's team", alias: tenantKey})
	s.add("request.opened.v1", schemas.NewStream("request", aRequest), "2026-11-10T09:00:00Z", "", subjects(as("requester", fatimaRequest), as("officer", annaRequest)),
		val{attr: "request.right", v: "access"}, val{attr: "request.subject", v: "fatima@example.test", alias: fatimaRequest}, val{attr: "request.received", v: "2026-11-09"},
		val{attr: "request.due", v: "2026-12-09"}, val{attr: "request.identity-method", v: "sign-in"})
	s.add("access.unsealed.v1", schemas.NewStream("access", id("a viewing")), "2026-11-11T14:20:00Z", "", subjects(as("target", fatimaAccess), as("officer", annaAccess)),
		val{attr: "access.report", v: "device-history"}, val{attr: "access.purpose", v: "is Bob right about Fatima", alias: annaAccess}, val{attr: "access.officer", v: "anna@example.test", alias: annaAccess},
		val{attr: "access.persons", v: 1}, val{attr: "access.sequence", v: 11})
	s.add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("not hers")), "2026-11-12T10:00:00Z", "", subjects(as("actor", annaNext), as("target", id("bob target"))),
		val{attr: "action.verb", v: "delete"}, val{attr: "action.target-name", path: zero, v: "Bob Jansen", alias: id("bob target")})
	s.add("device.inventory-changed.v1", mac, "2026-05-01T08:00:00Z", "", subjects(as("user", bob)), val{attr: "device.os-version", v: "15.0"})
	s.raw("device.exploded.v9", phone, "2026-11-13T08:00:00Z", fatimaInv, `{"set":{"new":"thing"}}`)
	return s
}

// raw appends an event that this version cannot read.
func (s *story) raw(typ string, stream schemas.Stream, occurred string, user uuid.UUID, data string) {
	m := schemas.Metadata{Tenant: id("tenant"), Occurred: at(occurred), Recorded: at(occurred), Source: "graph", Subjects: []schemas.Subject{{ID: user, Role: "user"}}}
	meta, err := m.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	s.events = append(s.events, schemas.Recorded{Event: schemas.Event{ID: id(typ + occurred), Stream: stream, Type: typ, Data: []byte(data), Metadata: meta}, Revision: s.revs[stream], Seq: uint64(len(s.events))})
	s.revs[stream]++
}
