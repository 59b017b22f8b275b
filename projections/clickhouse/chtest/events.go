package chtest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// Event is an event of an invented ledger, with the draft that it was made from. What is no draft
// (an unknown type, data that its type does not have) has a nil Draft.Type.
type Event struct {
	schemas.Envelope
	Draft schemas.Draft
}

// Ledger invents ledgers: the same seed gives the same events. Times lie before and after one
// another at random, some are unknown; protected values are well-formed tokens that no key opens.
type Ledger struct {
	Rand    *rand.Rand
	Tenants []uuid.UUID
	Devices map[uuid.UUID][]schemas.Stream // of a tenant
	Apps    int                            // apps a device may have; 6 by default

	seq      uint64
	revision map[schemas.Stream]uint64
	elements map[schemas.Stream][]string
	actions  map[uuid.UUID][]action       // of a tenant
	viewing  map[uuid.UUID]schemas.Stream // of a tenant
	clock    time.Time
	c        *schemas.Catalogue
}

// NewLedger returns a ledger of that many tenants, with that many devices
// each, that has no event yet.
func NewLedger(seed uint64, tenants, devices int) *Ledger {
	l := &Ledger{
		Rand: rand.New(rand.NewPCG(seed, 1)), Devices: map[uuid.UUID][]schemas.Stream{}, Apps: 6,
		revision: map[schemas.Stream]uint64{}, elements: map[schemas.Stream][]string{},
		actions: map[uuid.UUID][]action{}, viewing: map[uuid.UUID]schemas.Stream{},
		clock: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), c: schemas.Default(),
	}
	for range tenants {
		t := l.uuid()
		l.Tenants = append(l.Tenants, t)
		for range devices {
			l.Devices[t] = append(l.Devices[t], schemas.NewStream("device", l.uuid()))
		}
	}
	return l
}

func (l *Ledger) uuid() uuid.UUID {
	var b [16]byte
	for i := range b {
		b[i] = byte(l.Rand.Uint32())
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b
}

func (l *Ledger) chance(percent int) bool { return l.Rand.IntN(100) < percent }

func pick[T any](l *Ledger, of ...T) T { return of[l.Rand.IntN(len(of))] }

// Events returns the next n events. The first ever is ledger.created.
func (l *Ledger) Events(n int) []Event {
	out := make([]Event, 0, n)
	for len(out) < n {
		out = append(out, l.next())
	}
	return out
}

func (l *Ledger) next() Event {
	if l.seq == 0 {
		d := l.draft("ledger.created.v1", uuid.Nil, schemas.LedgerStream)
		l.open(&d, "ledger.id", nil, l.uuid().String())
		return l.record(d)
	}
	t := pick(l, l.Tenants...)
	switch k := l.Rand.IntN(100); {
	case k < 51:
		return l.device(t)
	case k < 55:
		return l.account(t)
	case k < 60:
		return l.remote(t)
	case k < 80:
		return l.action(t)
	case k < 86:
		d := l.draft("refusal.recorded.v1", t, schemas.NewStream("refusal", l.uuid()))
		l.open(&d, "refusal.rule", nil, pick(l, "personal-apps", "erased-subject"))
		l.open(&d, "refusal.category", nil, pick(l, "apps", "device"))
		l.open(&d, "refusal.count", nil, l.Rand.IntN(500))
		return l.record(d)
	case k < 90:
		return l.access(t)
	case k < 93:
		return l.request(t)
	case k < 94:
		return l.alert(t)
	case k < 96:
		d := l.draft("tenant.policy-changed.v1", t, schemas.NewStream("tenant", t))
		l.open(&d, "policy.number", nil, l.Rand.IntN(9))
		l.open(&d, "policy.personal-apps", nil, pick(l, "refused", "kept"))
		return l.record(d)
	case k < 98:
		return l.raw("device.exploded.v9", pick(l, l.Devices[t]...), t, `{"set":{"osVersion":"9"},"new":[1,2]}`)
	default:
		return l.raw(pick(l, "device.inventory-changed.v1", "adminaction.recorded.v1", "tenant.registered.v1"), "", t,
			pick(l, `{"set":{"unheardOf":1}}`, `{"set":null,"set":7}`, `{}`, "{\n\n\t\"'\\u0000\\\\\":{}}"))
	}
}

func (l *Ledger) device(t uuid.UUID) Event {
	stream := pick(l, l.Devices[t]...)
	typ := pick(l, "device.inventory-changed.v1", "device.inventory-changed.v1", "device.compliance-changed.v1",
		"device.ownership-changed.v1", "device.apps-changed.v1", "device.apps-changed.v1", "device.restated.v1")
	if l.revision[stream] == 0 {
		typ = "device.enrolled.v1"
	}
	d := l.draft(typ, t, stream)
	restated := typ == "device.restated.v1"
	for _, a := range d.Type.Attributes() {
		if _, list := d.Type.Member(a); list {
			l.list(&d, a)
			continue
		}
		if !restated && !l.chance(30) {
			continue
		}
		if !restated && l.chance(15) {
			d.Values = append(d.Values, schemas.Value{Attr: a, Removed: true})
			continue
		}
		l.value(&d, a, nil)
		if restated && l.chance(50) {
			ago := time.Duration(l.Rand.IntN(1000)) * time.Hour
			d.Values[len(d.Values)-1].Observed = l.clock.Add(-ago).Truncate(time.Second)
		}
	}
	return l.record(d)
}

// account is of one of three accounts that the tenant has.
func (l *Ledger) account(t uuid.UUID) Event {
	id := schemas.UUIDv8([]byte(fmt.Sprintf("%s account %d", t, l.Rand.IntN(3))))
	d := l.draft("account.changed.v1", t, schemas.NewStream("account", id))
	for _, a := range d.Type.Attributes() {
		if _, list := d.Type.Member(a); list || !l.chance(40) {
			continue
		}
		if l.chance(15) {
			d.Values = append(d.Values, schemas.Value{Attr: a, Removed: true})
			continue
		}
		l.value(&d, a, nil)
	}
	return l.record(d)
}

// remote is of one of four remote actions that the tenant has, of two requests.
func (l *Ledger) remote(t uuid.UUID) Event {
	n := l.Rand.IntN(4)
	id := func(what string, n int) uuid.UUID { return schemas.UUIDv8([]byte(fmt.Sprintf("%s %s %d", t, what, n))) }
	d := l.draft("remoteaction.progressed.v1", t, schemas.NewStream("remoteaction", id("remote action", n)))
	for _, a := range d.Type.Attributes() {
		switch {
		case a.ID == "remoteaction.group" && l.chance(50):
			l.open(&d, a.ID, nil, id("request", n%2).String())
		case a.ID == "remoteaction.requested-at" && l.chance(70):
			l.open(&d, a.ID, nil, d.Recorded.UTC().Truncate(time.Second).Format(time.RFC3339))
		case a.ID == "remoteaction.group", a.ID == "remoteaction.requested-at", !l.chance(40):
		default:
			l.value(&d, a, nil)
		}
	}
	return l.record(d)
}

func (l *Ledger) list(d *schemas.Draft, a *schemas.Attribute) {
	if a.ID != "device.app" {
		return
	}
	have := l.elements[d.Stream]
	for len(have) < l.Apps {
		have = append(have, schemas.UUIDv8(append(l.uuid().NodeID(), make([]byte, 10)...)).String())
	}
	l.elements[d.Stream] = have
	for _, e := range have {
		switch {
		case l.chance(25):
			d.Values = append(d.Values, schemas.Value{Attr: a, Path: []string{e}, Removed: true})
		case l.chance(50):
			l.value(d, a, []string{e})
		}
	}
}

// action is one that has an event already.
type action struct {
	stream  schemas.Stream
	targets int
}

// action is an action's first event, or another of one that is there.
func (l *Ledger) action(t uuid.UUID) Event {
	typ := "adminaction.recorded.v1"
	a := &action{stream: schemas.NewStream("adminaction", l.uuid())}
	if have := l.actions[t]; len(have) > 0 && l.chance(40) {
		typ = pick(l, "adminaction.continued.v1", "adminaction.supplemented.v1", "adminaction.disputed.v1")
		a = &have[l.Rand.IntN(len(have))]
	} else {
		l.actions[t] = append(have, *a)
		a = &l.actions[t][len(have)]
	}
	d := l.draft(typ, t, a.stream)
	for _, attr := range d.Type.Attributes() {
		if !isTarget(attr.ID) && l.chance(70) {
			l.value(&d, attr, nil)
		}
	}
	for i := range l.Rand.IntN(4) {
		path := []string{strconv.Itoa(i)}
		switch typ {
		case "adminaction.disputed.v1":
			l.open(&d, "action.disputed-attribute", path, pick(l, "action.verb", "occurred-at"))
			l.value(&d, l.c.MustAttribute("action.disputed-value"), path)
			continue
		case "adminaction.supplemented.v1":
			n := l.Rand.IntN(a.targets + 1)
			l.open(&d, "action.target-index", path, n)
			a.targets = max(a.targets, n+1)
		default:
			a.targets++
		}
		l.open(&d, "action.target-type", path, pick(l, "ManagedDevice", "DeviceConfiguration"))
		for _, id := range []string{"action.target-device", "action.target-name", "action.changes"} {
			if l.chance(60) {
				l.value(&d, l.c.MustAttribute(id), path)
			}
		}
	}
	return l.record(d)
}

func isTarget(id string) bool {
	return id == "action.changes" || len(id) > 14 && id[:14] == "action.target-" ||
		strings.HasPrefix(id, "action.disputed-")
}

// access begins a viewing, or goes on with the tenant's last one.
func (l *Ledger) access(t uuid.UUID) Event {
	if l.viewing[t] == "" || l.chance(40) {
		l.viewing[t] = schemas.NewStream("access", l.uuid())
	}
	d := l.draft("access.unsealed.v1", t, l.viewing[t])
	for _, a := range d.Type.Attributes() {
		l.value(&d, a, nil)
	}
	return l.record(d)
}

func (l *Ledger) alert(t uuid.UUID) Event {
	d := l.draft("alert.recorded.v1", t, schemas.NewStream("alert", l.uuid()))
	for _, a := range d.Type.Attributes() {
		if l.chance(70) {
			l.value(&d, a, nil)
		}
	}
	return l.record(d)
}

func (l *Ledger) request(t uuid.UUID) Event {
	typ := pick(l, "request.opened.v1", "request.access-packaged.v1", "request.erasure-ordered.v1",
		"subject.erased.v1")
	kind := "request"
	if typ == "subject.erased.v1" {
		kind = "subject"
	}
	d := l.draft(typ, t, schemas.NewStream(kind, l.uuid()))
	for _, a := range d.Type.Attributes() {
		if a.ID == "request.key" {
			for i := range l.Rand.IntN(5) {
				l.value(&d, a, []string{strconv.Itoa(i)})
			}
			continue
		}
		l.value(&d, a, nil)
	}
	return l.record(d)
}

func (l *Ledger) draft(typ string, tenant uuid.UUID, stream schemas.Stream) schemas.Draft {
	l.clock = l.clock.Add(time.Duration(l.Rand.IntN(60_000)) * time.Millisecond)
	d := schemas.Draft{
		Type: l.c.MustType(typ), Tenant: tenant, Stream: stream, ID: l.uuid(), Recorded: l.clock,
		Source:   pick(l, "graph", "azure-monitor"),
		Occurred: l.clock.Add(-time.Duration(l.Rand.IntN(5*3600*1000)) * time.Millisecond),
	}
	switch {
	case l.chance(4):
		d.Occurred = time.Time{}
	case l.chance(2):
		d.Occurred = pick(l, time.Date(1066, 10, 14, 9, 0, 0, 0, time.UTC),
			time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	if l.chance(30) {
		d.Correlation, d.Causation = l.uuid(), l.uuid()
	}
	for _, r := range d.Type.Roles {
		for range l.Rand.IntN(3) {
			d.Subjects = append(d.Subjects, schemas.SubjectRef{Role: r.Role, Alias: l.alias()})
		}
	}
	return d
}

// alias returns one of a few persons' aliases, so that persons have several events.
func (l *Ledger) alias() uuid.UUID {
	return schemas.UUIDv8([]byte(fmt.Sprintf("alias %010d", l.Rand.IntN(12))))
}

func (l *Ledger) open(d *schemas.Draft, attr string, path []string, v any) {
	d.Values = append(d.Values, schemas.Value{Attr: l.c.MustAttribute(attr), Path: path, Plain: schemas.JSON(v)})
}

// value adds an open value where the attribute has a shape that we can invent
// one for, a token otherwise.
func (l *Ledger) value(d *schemas.Draft, a *schemas.Attribute, path []string) {
	var v any
	if a.Shape != nil && l.chance(90) {
		switch a.Shape.Kind {
		case "enum":
			v = pick(l, a.Shape.Values...)
		case "bool":
			v = l.chance(50)
		case "number":
			v = l.Rand.IntN(1000)
		case "version":
			v = fmt.Sprintf("%d.%d", l.Rand.IntN(20), l.Rand.IntN(9))
		case "product":
			v = pick(l, "Pixel 9", "ThinkPad T14", "Größe (XL)")
		case "date":
			v = fmt.Sprintf("2026-%02d-%02d", 1+l.Rand.IntN(12), 1+l.Rand.IntN(28))
		case "uuid":
			v = l.uuid().String()
		case "words":
			v = pick(l, "Create MobileApp", "wipe ManagedDevice", "DeviceConfiguration")
		case "own":
			v = pick(l, "wipe", "manual", "assign")
		}
	}
	if v != nil && a.MayStandOpen(schemas.JSON(v)) {
		d.Values = append(d.Values, schemas.Value{Attr: a, Path: path, Plain: schemas.JSON(v)})
		return
	}
	h := schemas.TokenHeader{Alias: l.alias(), Class: a.Class, Month: schemas.Month(d.Occurred, d.Recorded),
		Event: d.ID, Attr: a.ID, Path: path}
	body := make([]byte, 92+32*l.Rand.IntN(2))
	for i := range body {
		body[i] = byte(l.Rand.Uint32())
	}
	d.Values = append(d.Values, schemas.Value{Attr: a, Path: path, Token: h.Token(body)})
}

func (l *Ledger) record(d schemas.Draft) Event {
	e, err := l.c.Encode(d)
	if err != nil {
		panic(fmt.Sprintf("chtest: %v", err)) // a fault of this generator
	}
	return l.append(e, d)
}

func (l *Ledger) append(e schemas.Event, d schemas.Draft) Event {
	e = schemastest.Sign(e, l.revision[e.Stream])
	r := schemas.RecordedEvent{Event: e, Revision: l.revision[e.Stream], Seq: l.seq, Created: d.Recorded}
	r.Position = schemas.Position{Commit: l.seq * 100, Prepare: l.seq * 100}
	l.revision[e.Stream]++
	l.seq++
	return Event{Envelope: schemastest.Envelope(r), Draft: d}
}

// raw records an event whose data the catalogue cannot read.
func (l *Ledger) raw(typ string, stream schemas.Stream, t uuid.UUID, data string) Event {
	d := l.draft("device.retired.v1", t, stream)
	if stream == "" {
		known := l.c.MustType(typ)
		d.Stream = schemas.NewStream(known.Kind(), l.uuid())
	}
	d.Type, d.Subjects = nil, []schemas.SubjectRef{{Role: "user", Alias: l.alias()}}
	m := schemas.Metadata{Tenant: t, Occurred: d.Occurred, Recorded: d.Recorded, Source: d.Source,
		Correlation: d.Correlation,
		Causation:   d.Causation, Subjects: []schemas.Subject{{ID: d.Subjects[0].Alias, Role: "user"}}}
	meta, err := m.Encode()
	if err != nil {
		panic(fmt.Sprintf("chtest: %v", err))
	}
	return l.append(schemas.Event{ID: d.ID, Stream: d.Stream, Type: typ, Data: []byte(data), Metadata: meta}, d)
}
