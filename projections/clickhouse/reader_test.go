package clickhouse_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/schemas"
)

func all[T any](t testing.TB, seq iter.Seq2[T, error]) (out []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// same compares two answers as JSON: times by their instant in UTC,
// pointers by what they point at.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	text := func(v any) string {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	g, w := text(got), text(want)
	if g == w {
		return
	}
	gl, wl := strings.Split(g, "\n"), strings.Split(w, "\n")
	i := 0
	for i < min(len(gl), len(wl)) && gl[i] == wl[i] {
		i++
	}
	from := max(0, i-12)
	t.Fatalf("%s differs at line %d of %d (want %d lines)\n got …%s\nwant …%s", what, i, len(gl), len(wl),
		strings.Join(gl[min(from, len(gl)):min(i+6, len(gl))], "\n"),
		strings.Join(wl[min(from, len(wl)):min(i+6, len(wl))], "\n"))
}

// load inserts the events in batches, some of them again, and out of order.
func load(t testing.TB, db *clickhouse.DB, events []chtest.Event, r *rand.Rand) {
	t.Helper()
	var batches [][]chtest.Event
	for part := range slices.Chunk(events, 1+len(events)/8) {
		batches = append(batches, part)
		if r.IntN(2) == 0 {
			batches = append(batches, part[r.IntN(len(part)):])
		}
	}
	r.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	for _, b := range batches {
		rows := chtest.Rows(b...)
		if err := db.Insert(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryQuestionIsAnsweredAsTheModelDoes(t *testing.T) {
	seed := newSeed(t)
	r := rand.New(rand.NewPCG(seed, 7))
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 2, 5)
	m := model(l.Events(400))
	load(t, db, m, r)
	end := uint64(len(m) - 1)
	moment := func() time.Time { return occurred(m[r.IntN(len(m))]) }

	for round := range 4 {
		tenant := l.Tenants[r.IntN(len(l.Tenants))]
		asOf := projections.AsOf{Seq: end}
		if round&1 != 0 {
			asOf.Seq = end/2 + r.Uint64N(end/2)
		}
		if round&2 != 0 {
			asOf.Time = moment()
		}
		var in projections.Period
		if r.IntN(2) == 0 {
			in.From = moment()
		}
		if r.IntN(2) == 0 {
			in.To = moment()
		}
		checkReader(t, db, l, m, r, tenant, asOf, in)
	}
}

// Wherever pages of devices' states end, within a device or between two, before the present and in
// it, the devices are the model's.
func TestDevicesComeInPagesOfAnySize(t *testing.T) {
	seed := newSeed(t)
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 1, 8)
	m := model(l.Events(150))
	load(t, db, m, rand.New(rand.NewPCG(seed, 7)))
	end, tenant := uint64(len(m)-1), l.Tenants[0]
	wanted := func(p place) bool { return p.attribute == "device.name" || p.attribute == "device.app" }
	for _, size := range [][2]int{{1, 2}, {7, 7}, {10, 80}} {
		db.StateValues(size[0], size[1])
		for _, asOf := range []projections.AsOf{{Seq: end}, {Seq: end - 3}, {Seq: end / 2},
			{Seq: end, Time: occurred(m[end/2])}} {
			same(t, fmt.Sprintf("devices in pages of %v, as of %+v", size, asOf),
				all(t, db.Devices(t.Context(), tenant, asOf, "device.name", "device.app")),
				m.devices(tenant, asOf, wanted))
		}
	}
}

// As of a time, an action is found by whom its later events name only where those had occurred.
func TestAFilterAsOfATimeSeesNoLaterEvent(t *testing.T) {
	db := chtest.Start(t)
	l := chtest.NewLedger(1, 1, 5)
	m := model(l.Events(400))
	if err := db.Insert(t.Context(), chtest.Rows(m...)); err != nil {
		t.Fatal(err)
	}
	tenant, asked := l.Tenants[0], 0
	for _, e := range m {
		actor := firstAlias(e, "actor")
		if !strings.HasPrefix(e.Type, "adminaction.supplemented.") || e.Draft.Tenant != tenant || actor == uuid.Nil {
			continue
		}
		if asked++; asked > 8 {
			break
		}
		for _, at := range []time.Time{occurred(e).Add(-time.Second), occurred(e)} {
			asOf := projections.AsOf{Seq: uint64(len(m) - 1), Time: at}
			f := projections.ActionFilter{Actors: []uuid.UUID{actor}}
			same(t, "actions as of "+at.String(),
				all(t, db.AdminActions(t.Context(), tenant, projections.Period{}, f, asOf)),
				m.actions(tenant, projections.Period{}, f, asOf))
		}
	}
	if asked == 0 {
		t.Fatal("no event names a further actor")
	}
}

// Each device is as of its own moment, whatever others there are: the latest where nothing is
// newer, an earlier state, the first known, or none; and no other tenant's.
func TestDevicesEachAsOfTheirOwnMoment(t *testing.T) {
	seed := newSeed(t)
	r := rand.New(rand.NewPCG(seed, 7))
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 2, 6)
	m := model(l.Events(300))
	load(t, db, m, r)
	tenant, end := l.Tenants[0], uint64(len(m)-1)
	attributes := []string{"device.name", "device.os-version", "device.app"}
	for range 5 {
		at := []projections.DeviceAt{{Stream: schemas.NewStream("device", uuid.New()),
			AsOf: projections.AsOf{Seq: end}}, {Stream: l.Devices[l.Tenants[1]][0], AsOf: projections.AsOf{Seq: end}}}
		for range 40 {
			d := projections.DeviceAt{Stream: l.Devices[tenant][r.IntN(len(l.Devices[tenant]))],
				AsOf: projections.AsOf{Seq: end - r.Uint64N(end)*uint64(r.IntN(2))}}
			switch r.IntN(3) {
			case 0:
				d.AsOf.Time = occurred(m[r.IntN(len(m))])
			case 1:
				d.AsOf.Time = projections.MinTime // before it was first seen
			}
			at = append(at, d)
		}
		got, err := db.DevicesAt(t.Context(), tenant, at, attributes...)
		if err != nil {
			t.Fatal(err)
		}
		var want []projections.Device
		for _, d := range at {
			want = append(want, m.deviceAt(tenant, d, attributes))
		}
		same(t, "devices at moments", got, want)
	}
	many := make([]projections.DeviceAt, projections.MaxDevicesAt+1)
	if _, err := db.DevicesAt(t.Context(), tenant, many); err == nil {
		t.Error("more than MaxDevicesAt were answered")
	}
}

func checkReader(t *testing.T, db *clickhouse.DB, l *chtest.Ledger, m model, r *rand.Rand, tenant uuid.UUID,
	asOf projections.AsOf, in projections.Period) {
	t.Helper()
	t.Logf("tenant %s, as of %+v, period %+v", tenant, asOf, in)
	ctx := t.Context()
	same(t, "devices", all(t, db.Devices(ctx, tenant, asOf)),
		m.devices(tenant, asOf, func(p place) bool { return p.attribute != "device.app" }))
	same(t, "devices' models", all(t, db.Devices(ctx, tenant, asOf, "device.model", "device.app")),
		m.devices(tenant, asOf, func(p place) bool {
			return p.attribute == "device.model" || p.attribute == "device.app"
		}))
	same(t, "accounts", all(t, db.Accounts(ctx, tenant, asOf)),
		m.entities(tenant, "account", asOf, func(place) bool { return true }))
	held, err := db.Tenant(ctx, tenant, asOf)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "tenant", held, m.tenant(tenant, asOf))

	stream := l.Devices[tenant][r.IntN(len(l.Devices[tenant]))]
	one := m.devices(tenant, asOf, func(p place) bool { return p.stream == stream })
	device, found, err := db.Device(ctx, tenant, stream, asOf)
	if err != nil || found != (len(one) > 0) {
		t.Fatalf("device: found %t, %v", found, err)
	}
	var apps []projections.Held
	if found {
		same(t, "device", device, one[0])
		apps = one[0].Values["device.app"]
	}
	same(t, "apps", all(t, db.Apps(ctx, tenant, stream, asOf)), apps)
	same(t, "history", all(t, db.DeviceHistory(ctx, tenant, stream, in, nil, asOf)),
		m.history(tenant, stream, in, nil, asOf))
	some := []string{"device.os-version", "device.user-upn", "device.app"}
	same(t, "history of some", all(t, db.DeviceHistory(ctx, tenant, stream, in, some, asOf)),
		m.history(tenant, stream, in, some, asOf))

	var f projections.ActionFilter
	same(t, "actions", all(t, db.AdminActions(ctx, tenant, in, f, asOf)), m.actions(tenant, in, f, asOf))
	for _, a := range m.actions(tenant, in, f, asOf) {
		// The filters of an action that there is.
		f = projections.ActionFilter{Verbs: []string{string(a.Verb), "create"}, Actors: []uuid.UUID{a.Actor}}
		if len(a.Targets) > 0 && a.Targets[0].Device != "" {
			f.Devices = []string{string(a.Targets[0].Device)}
		}
		if r.IntN(4) == 0 {
			break
		}
	}
	same(t, "filtered actions", all(t, db.AdminActions(ctx, tenant, in, f, asOf)), m.actions(tenant, in, f, asOf))
	f = projections.ActionFilter{Categories: []string{"device", "role"},
		Results: []string{"success", "it's \\ \t\n a quote"}}
	same(t, "actions by category", all(t, db.AdminActions(ctx, tenant, in, f, asOf)), m.actions(tenant, in, f, asOf))

	ids := []string{"no id"}
	f = projections.ActionFilter{Operations: []string{"IPE man", "action.oper"}}
	for _, a := range m.actions(tenant, in, projections.ActionFilter{}, asOf) {
		ids = append(ids, string(a.ApplicationID))
		if a.ApplicationID != "" {
			f.Applications = []string{string(a.ApplicationID)}
		}
		if o := string(a.Operation); len(o) > 6 && !schemas.IsSealed(o) {
			f.Operations = append(f.Operations[:2], strings.ToUpper(o[2:6]))
		}
	}
	same(t, "actions by operation and application", all(t, db.AdminActions(ctx, tenant, in, f, asOf)),
		m.actions(tenant, in, f, asOf))
	f.Applications = nil
	same(t, "actions by operation", all(t, db.AdminActions(ctx, tenant, in, f, asOf)),
		m.actions(tenant, in, f, asOf))
	names, err := db.ApplicationNames(ctx, tenant, ids, in, asOf)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "names of applications", names, m.applicationNames(tenant, ids, in, asOf))

	var remote projections.RemoteFilter
	same(t, "remote actions", all(t, db.RemoteActions(ctx, tenant, remote, asOf)),
		m.remoteActions(tenant, remote, asOf))
	for _, a := range m.remoteActions(tenant, remote, asOf) {
		if a.Request != uuid.Nil {
			remote.Requests = append(remote.Requests, a.Request)
		}
	}
	same(t, "remote actions of requests", all(t, db.RemoteActions(ctx, tenant, remote, asOf)),
		m.remoteActions(tenant, remote, asOf))
	remote = projections.RemoteFilter{In: in, Unaudited: true}
	same(t, "remote actions nobody audited", all(t, db.RemoteActions(ctx, tenant, remote, asOf)),
		m.remoteActions(tenant, remote, asOf))

	same(t, "refusals", all(t, db.Refusals(ctx, tenant, in, nil, asOf)), m.refusals(tenant, in, nil, asOf))
	same(t, "refusals by rule", all(t, db.Refusals(ctx, tenant, in, []string{"personal-apps"}, asOf)),
		m.refusals(tenant, in, []string{"personal-apps"}, asOf))
	var v projections.AccessFilter
	same(t, "access", all(t, db.Access(ctx, tenant, in, v, asOf)), m.access(tenant, in, v, asOf))
	for _, e := range m.seen(tenant, asOf) {
		if targets := aliases(e, "target"); strings.HasPrefix(e.Type, "access.") && len(targets) > 0 {
			v.Persons = targets[:1]
		}
	}
	same(t, "access to a person's data", all(t, db.Access(ctx, tenant, in, v, asOf)), m.access(tenant, in, v, asOf))
	for _, run := range m.access(tenant, in, projections.AccessFilter{}, asOf) {
		v = projections.AccessFilter{Reports: []string{string(run.Report)}, Officers: []uuid.UUID{run.Officer}}
	}
	same(t, "an officer's access", all(t, db.Access(ctx, tenant, in, v, asOf)), m.access(tenant, in, v, asOf))
	same(t, "requests", all(t, db.Requests(ctx, tenant, asOf)), m.requests(tenant, asOf))

	var named []uuid.UUID
	for _, e := range m {
		if s := subjectsOf(e); len(s) > 0 && r.IntN(50) == 0 {
			named = append(named, s[0].Alias)
		}
	}
	same(t, "events by aliases", seqsOf(all(t, db.EventsByAliases(ctx, tenant, named, asOf))),
		m.byAliases(tenant, named, asOf))
	streams := []schemas.Stream{stream, l.Devices[tenant][0], schemas.NewStream("device", uuid.New())}
	var want []uint64
	for _, e := range m.seen(tenant, asOf) {
		if slices.Contains(streams, e.Stream) {
			want = append(want, e.Seq)
		}
	}
	same(t, "events by streams", seqsOf(all(t, db.EventsByStreams(ctx, tenant, streams, asOf))), want)
}

func seqsOf(events []projections.Event) (out []uint64) {
	for _, e := range events {
		out = append(out, e.Seq)
	}
	return out
}

// told is what views tell of a row.
func told(r projections.Row) projections.Event {
	return projections.Event{
		Fact:  projections.Fact{Seq: r.Seq, EventID: r.EventID, Stream: r.Stream, Type: r.Type, Occurred: r.Occurred},
		Timed: r.Timed, Recorded: r.Recorded, Source: r.Source, Causation: r.Causation,
		Subjects: append([]projections.Subject(nil), r.Subjects...),
		Values:   append([]projections.Value(nil), r.Values...),
		Opaque:   len(r.Values) == 0 && len(r.Data) > 2,
	}
}

func TestRowsComeBackAsTheyWereInserted(t *testing.T) {
	seed := newSeed(t)
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 1, 3)
	events := l.Events(150)
	load(t, db, events, l.Rand)
	tenant := l.Tenants[0]
	var streams []schemas.Stream
	var want []projections.Event
	var raw []schemas.Envelope
	var seqs []uint64
	for _, e := range events[1:] {
		streams, seqs = append(streams, e.Stream), append(seqs, e.Seq)
		want = append(want, told(projections.RowOf(e.Envelope)))
		raw = append(raw, e.Envelope)
	}
	same(t, "events", all(t, db.EventsByStreams(t.Context(), tenant, streams, projections.AsOf{Seq: 1 << 60})), want)
	sameRaw(t, all(t, db.RawEvents(t.Context(), tenant, 0, 1<<60)), raw)
	sameRaw(t, all(t, db.RawEvents(t.Context(), tenant, 40, 90)), raw[39:89])
	slices.Reverse(seqs)
	sameRaw(t, all(t, db.RawEventsAt(t.Context(), tenant, append(seqs, seqs[0]))), raw)
	for _, missing := range [][]uint64{{0}, {3, 9999}} { // another tenant's, and none's
		var failed error
		for _, err := range db.RawEventsAt(t.Context(), tenant, missing) {
			failed = err
		}
		if failed == nil {
			t.Errorf("sequences %v: no error, though one is not the tenant's", missing)
		}
	}
	for _, e := range []chtest.Event{events[1], events[149]} {
		if seq, found, err := db.SeqOf(t.Context(), tenant, e.ID); err != nil || !found || seq != e.Seq {
			t.Errorf("sequence of %s: %d, %t, %v; want %d", e.ID, seq, found, err, e.Seq)
		}
		if _, found, err := db.SeqOf(t.Context(), uuid.New(), e.ID); err != nil || found {
			t.Errorf("another tenant found the event: %t, %v", found, err)
		}
	}
	c, err := db.Counts(t.Context(), tenant, projections.AsOf{Seq: 99})
	if err != nil {
		t.Fatal(err)
	}
	if c.Events != 99 || c.First != 1 || c.Last != 99 {
		t.Errorf("counts: %+v", c)
	}
}

func sameRaw(t *testing.T, got, want []schemas.Envelope) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d raw events, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Leaf() != want[i].Leaf() || got[i].Seq != want[i].Seq {
			t.Fatalf("raw event %d: got %+v, want %+v", i, got[i].RecordedEvent, want[i].RecordedEvent)
		}
	}
}
