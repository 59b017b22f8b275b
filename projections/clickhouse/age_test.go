package clickhouse_test

import (
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/schemas"
)

// some takes n of an answer, and leaves the rest.
func some[T any](t testing.TB, n int, seq iter.Seq2[T, error]) int {
	t.Helper()
	taken := 0
	for _, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if taken++; taken == n {
			break
		}
	}
	return taken
}

// What a question reads follows from what it asks for: the same answer of a ledger of four times
// as many events costs as many rows, but for where granules begin. Events that lie apart, as
// those of a person do, cost at most a granule each.
func TestWhatAnAnswerReadsDoesNotGrowWithTheLedger(t *testing.T) {
	cfg := chtest.Config(t)
	if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	fill := chtest.Open(t, cfg)
	l := chtest.NewLedger(1, 1, 20)
	events := l.Events(3000)
	if err := fill.Insert(t.Context(), chtest.Rows(events...)); err != nil {
		t.Fatal(err)
	}
	db, reads := chtest.Count(t, cfg)
	tenant := l.Tenants[0]
	device := l.Devices[tenant][0]
	var aliases []uuid.UUID
	for _, e := range events {
		if s := subjectsOf(e); len(s) > 0 && len(aliases) < 3 {
			aliases = append(aliases, s[0].Alias)
		}
	}
	var applications []string
	for _, e := range events {
		if id := text(e, "action.application-id"); id != "" {
			applications = append(applications, string(id))
		}
	}
	asOf := projections.AsOf{Seq: 1 << 60}
	asOfSummer := projections.AsOf{Seq: 1 << 60, Time: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)}
	spring := projections.Period{From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		To: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	ctx := t.Context()
	questions := []struct {
		what string
		ask  func() int
	}{
		{"history", func() int {
			return some(t, -1, db.DeviceHistory(ctx, tenant, device, projections.Period{}, nil, asOf))
		}},
		{"events of a device", func() int {
			return some(t, -1, db.EventsByStreams(ctx, tenant, []schemas.Stream{device}, asOf))
		}},
		{"events of a person", func() int { return some(t, -1, db.EventsByAliases(ctx, tenant, aliases, asOf)) }},
		{"a device", func() int {
			d, _, err := db.Device(ctx, tenant, device, asOf)
			if err != nil {
				t.Fatal(err)
			}
			return len(d.Values)
		}},
		{"a device as of a time", func() int {
			d, _, err := db.Device(ctx, tenant, device, asOfSummer)
			if err != nil {
				t.Fatal(err)
			}
			return len(d.Values)
		}},
		{"the first devices as of a time", func() int {
			return some(t, 20, db.Devices(ctx, tenant, asOfSummer, "device.name"))
		}},
		{"the first devices", func() int { return some(t, 20, db.Devices(ctx, tenant, asOf, "device.name")) }},
		{"actions of a spring", func() int {
			return some(t, -1, db.AdminActions(ctx, tenant, spring, projections.ActionFilter{}, asOf))
		}},
		{"the first actions", func() int {
			return some(t, 20, db.AdminActions(ctx, tenant, projections.Period{}, projections.ActionFilter{}, asOf))
		}},
		{"devices at moments", func() int {
			at := []projections.DeviceAt{{Stream: device, AsOf: asOf}, {Stream: device, AsOf: asOfSummer}}
			found, err := db.DevicesAt(ctx, tenant, at, "device.name", "device.os-version")
			if err != nil {
				t.Fatal(err)
			}
			return len(found[0].Values) + len(found[1].Values)
		}},
		{"names of applications", func() int {
			names, err := db.ApplicationNames(ctx, tenant, applications, spring, asOf)
			if err != nil {
				t.Fatal(err)
			}
			return len(names)
		}},
		{"refusals of a spring", func() int { return some(t, -1, db.Refusals(ctx, tenant, spring, nil, asOf)) }},
		{"the first events", func() int { return some(t, 20, db.RawEvents(ctx, tenant, 1, 40)) }},
	}
	answers, read := make([]int, len(questions)), make([]chtest.Read, len(questions))
	have := uint64(len(events))
	for round, n := range []uint64{12_000, 48_000} {
		have = chtest.Grow(t, cfg, tenant, have, n)
		for i, q := range questions {
			var got int
			r := reads.Of(func() { got = q.ask() })
			t.Logf("%7d %-20s %5d answers: %d questions, %d rows, %d bytes", n, q.what, got, r.Questions, r.Rows,
				r.Bytes)
			if round == 0 {
				answers[i], read[i] = got, r
				continue
			}
			if got != answers[i] {
				t.Errorf("%s: %d answers, %d of the ledger before", q.what, got, answers[i])
			}
			if q.what == "history" && r.Questions > 2 {
				t.Errorf("%s: %d questions: a page of a stream is one, and one says what nobody could read", q.what,
					r.Questions)
			}
			if most := max(read[i].Rows*3/2+granules, uint64(got)*apart); r.Rows > most {
				t.Errorf("%s: %d rows are read of %d events, %d of %d before", q.what, r.Rows, n, read[i].Rows, n/4)
			}
		}
	}
}

// A fleet is read in few questions: each costs some ten milliseconds whatever it reads, and at its
// ends granules of every part.
func TestAFleetIsReadInFewQuestions(t *testing.T) {
	cfg := chtest.Config(t)
	if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	fill := chtest.Open(t, cfg)
	l := chtest.NewLedger(1, 1, 2000)
	tenant := l.Tenants[0]
	events := l.Events(8000)
	for part := range slices.Chunk(events, 2000) {
		if err := fill.Insert(t.Context(), chtest.Rows(part...)); err != nil {
			t.Fatal(err)
		}
	}
	db, reads := chtest.Count(t, cfg)
	var devices, values int
	got := reads.Of(func() {
		for d, err := range db.Devices(t.Context(), tenant, projections.AsOf{Seq: 1 << 60}) {
			if err != nil {
				t.Fatal(err)
			}
			devices++
			for _, v := range d.Values {
				values += len(v)
			}
		}
	})
	t.Logf("%d devices of %d values: %+v", devices, values, got)
	if most := uint64(values/20_000 + 4); devices < 1000 || got.Questions > most {
		t.Errorf("%d devices of %d values are read by %d questions, want at most %d", devices, values, got.Questions,
			most)
	}
}

// Rows of a granule of each of a table's few parts, and of one of events.
const (
	granules = 4 * 8192
	apart    = 1024
)
