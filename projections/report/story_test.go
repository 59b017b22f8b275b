package report_test

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

var (
	anna, fatima = id("anna 2026-10"), id("fatima 2026-10")
	phone, mac   = schemas.NewStream("device", id("phone")), schemas.NewStream("device", id("mac"))
	actorAnna    = []schemas.SubjectRef{{Role: "actor", Alias: anna}}
	annaOnFatima = []schemas.SubjectRef{{Role: "actor", Alias: anna}, {Role: "target", Alias: fatima}}
	userFatima   = []schemas.SubjectRef{{Role: "user", Alias: fatima}}
)

// theStory: an administrator enrols, changes and wipes; the clock goes back an hour; a device's name is a formula.
func theStory(t *testing.T) *story {
	s := newStory(t)
	zero := []string{"0"}
	s.add("device.enrolled.v1", phone, "2026-10-01T08:00:00Z", "", userFatima,
		val{attr: "device.name", v: "=HYPERLINK(\"http://evil\")", alias: fatima}, val{attr: "device.serial-number", v: "F4K3SERIAL1", alias: fatima},
		val{attr: "device.manufacturer", v: "Apple"}, val{attr: "device.model", v: "iPhone 16"}, val{attr: "device.operating-system", v: "iOS"},
		val{attr: "device.os-version", v: "19.0"}, val{attr: "device.phone-number", v: "+31611111111", alias: fatima},
		val{attr: "device.compliance-state", v: "compliant"}, val{attr: "device.encrypted", v: true}, val{attr: "device.ownership", v: "personal"},
		val{attr: "device.user-upn", v: "fatima@example.test", alias: fatima}, val{attr: "device.enrolled-at", v: "2026-09-30T21:30:00Z", alias: fatima},
		val{attr: "device.last-contact", v: "2026-10-01T07:55:00Z", alias: fatima})
	s.add("device.enrolled.v1", mac, "2026-10-02T08:00:00Z", "", nil,
		val{attr: "device.name", v: "MAC-0042", alias: id("mac key")}, val{attr: "device.serial-number", v: "C02FAKE", alias: id("mac key"), err: projections.ErrErased},
		val{attr: "device.manufacturer", v: "Apple"}, val{attr: "device.model", v: "MacBook Pro"}, val{attr: "device.operating-system", v: "macOS"},
		val{attr: "device.ownership", v: "company"}, val{attr: "device.compliance-state", v: "noncompliant"},
		val{attr: "device.enrolled-at", v: "2026-10-02T07:00:00Z", alias: id("mac key"), err: projections.ErrExpired})
	s.add("device.compliance-changed.v1", phone, "2026-10-20T10:00:00Z", "2026-11-03T10:00:00Z", userFatima, val{attr: "device.compliance-state", v: "noncompliant"})
	s.add("device.inventory-changed.v1", phone, "2026-10-21T10:00:00Z", "", userFatima,
		val{attr: "device.os-version", v: "19.1"}, val{attr: "device.phone-number", gone: true})
	for _, occurred := range []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"} { // 02:30, twice
		s.add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("wipe"+occurred)), occurred, "", annaOnFatima,
			val{attr: "action.verb", v: "action"}, val{attr: "action.operation", v: "wipe ManagedDevice"}, val{attr: "action.category", v: "device"},
			val{attr: "action.result", v: "success"}, val{attr: "action.actor-type", v: "it-pro"}, val{attr: "action.delegated", v: false},
			val{attr: "action.actor-upn", v: "anna@example.test", alias: anna}, val{attr: "action.actor-ip", v: "192.0.2.7", alias: anna},
			val{attr: "action.application-name", v: "Intune portal", alias: anna},
			val{attr: "action.target-type", path: zero, v: "ManagedDevice"}, val{attr: "action.target-device", path: zero, v: phone.UUID().String()},
			val{attr: "action.target-name", path: zero, v: "iPhone of Fatima", alias: fatima}, val{attr: "action.reason", v: "lost on the train", alias: fatima})
	}
	s.add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("policy")), "2026-10-26T09:00:00Z", "2026-11-20T00:00:00Z", actorAnna,
		val{attr: "action.verb", v: "update"}, val{attr: "action.category", v: "deviceConfiguration"}, val{attr: "action.result", v: "failure"},
		val{attr: "action.actor-type", v: "it-pro"}, val{attr: "action.actor-upn", v: "anna@example.test", alias: anna, err: projections.ErrErased},
		val{attr: "action.target-type", path: zero, v: "DeviceConfiguration"}, val{attr: "action.target-name", path: zero, v: "Wi-Fi \"guests\"", alias: id("tenant key")},
		val{attr: "action.changes", path: zero, v: []map[string]any{{"name": "ssid", "old": "guest", "new": "=1+1"}, {"name": "psk", "withheld": true}, {"name": "hidden", "old": false, "new": true}}, alias: id("tenant key")})
	s.add("adminaction.recorded.v1", schemas.NewStream("adminaction", id("edge")), "2026-10-31T23:00:00Z", "", actorAnna, // 1 November, 00:00 in Amsterdam
		val{attr: "action.verb", v: "create"}, val{attr: "action.actor-upn", v: "anna@example.test", alias: anna})
	for i, n := range []int{40, 87} {
		s.add("refusal.recorded.v1", schemas.NewStream("refusal", id("apps of the phone")), []string{"2026-10-05T08:00:00Z", "2026-10-06T08:00:00Z"}[i], "", nil,
			val{attr: "refusal.rule", v: "apps-on-personal-device"}, val{attr: "refusal.category", v: "apps"}, val{attr: "refusal.count", v: n})
	}
	s.add("refusal.recorded.v1", schemas.NewStream("refusal", id("location of the phone")), "2026-10-07T08:00:00Z", "", nil,
		val{attr: "refusal.rule", v: "location"}, val{attr: "refusal.category", v: "location"}, val{attr: "refusal.count", v: 1})
	return s
}
