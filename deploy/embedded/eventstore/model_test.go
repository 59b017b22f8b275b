package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// machine drives a server and the model with the same operations.
type machine struct {
	model
	fs  *vfs.MemFS
	s   *Server
	c   *esdb.Client
	ctx context.Context
}

var modelStreams = []string{"a", "b", "c", "device-0b5b6f4e-98a4-4d1c-9d3f-0d9f3f6f2b11"}

func (m *machine) start(t *rapid.T) {
	cfg := testConfig("s")
	cfg.fs = m.fs
	s, err := Start(m.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := esdb.ParseConnectionString(s.ConnectionString())
	if err != nil {
		t.Fatal(err)
	}
	conf.Logger = func(esdb.LogLevel, string, ...any) {}
	c, err := esdb.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	m.s, m.c = s, c
}

func (m *machine) stop(t *rapid.T) {
	if err := errors.Join(m.c.Close(), m.s.Stop(m.ctx)); err != nil {
		t.Fatal(err)
	}
}

func drawExpect(t *rapid.T, n int) eventlog.Expectation {
	switch rapid.IntRange(0, 4).Draw(t, "expectation") {
	case 0:
		return eventlog.ExpectAny
	case 1:
		return eventlog.ExpectNoStream
	case 2:
		return eventlog.ExpectExists
	case 3:
		return eventlog.Expectation(max(0, n-1)) // usually right
	default:
		return eventlog.Expectation(rapid.IntRange(0, n+1).Draw(t, "revision"))
	}
}

// clientExpectation is how the official client says it.
func clientExpectation(e eventlog.Expectation) esdb.ExpectedRevision {
	switch e {
	case eventlog.ExpectAny:
		return esdb.Any{}
	case eventlog.ExpectNoStream:
		return esdb.NoStream{}
	case eventlog.ExpectExists:
		return esdb.StreamExists{}
	}
	return esdb.Revision(uint64(e))
}

// wantOutcome compares the answer to a write with the prediction.
func wantOutcome(t *rapid.T, what, want string, err error) {
	got := wantWritten
	var e *esdb.Error
	if errors.As(err, &e) {
		got = fmt.Sprint(err)
		switch {
		case e.Code() == esdb.ErrorCodeWrongExpectedVersion, strings.Contains(got, "WrongExpectedVersion"):
			got = wantWrong
		case e.Code() == esdb.ErrorCodeStreamDeleted:
			got = wantDeleted
		case e.Code() == esdb.ErrorCodeAccessDenied:
			got = wantDenied
		}
	}
	if want == wantSame {
		want = wantWritten
	}
	if got != want {
		t.Fatalf("%s: got %s, want %s", what, got, want)
	}
}

func (m *machine) Append(t *rapid.T) {
	name := rapid.SampledFrom(modelStreams).Draw(t, "stream")
	s := m.now(name)
	w := modelWrite{stream: name, expect: drawExpect(t, len(s.events))}
	// Often a piece of what is there, perhaps with something new behind it.
	var ids []uuid.UUID
	if n := len(s.events); n > 0 && rapid.Bool().Draw(t, "repeat") {
		from := rapid.IntRange(0, n-1).Draw(t, "from")
		for _, e := range s.events[from : from+rapid.IntRange(1, min(3, n-from)).Draw(t, "repeated")] {
			ids = append(ids, e.id)
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "new") {
		ids = append(ids, uuid.New())
	}
	var events []esdb.EventData
	for i, id := range ids {
		e := modelSent{id: id, typ: "t", data: fmt.Sprintf("%d of %d", i, len(m.all))}
		w.events = append(w.events, e)
		events = append(events, esdb.EventData{EventID: id, EventType: e.typ, Data: []byte(e.data)})
	}
	want, last := s.decide(w)
	res, err := m.c.AppendToStream(m.ctx, name, esdb.AppendToStreamOptions{
		ExpectedRevision: clientExpectation(w.expect),
	}, events...)
	wantOutcome(t, w.String(), want, err)
	switch {
	case want == wantWritten && len(ids) == 0:
		return
	case want == wantWritten:
		last = m.perform(w)[len(ids)-1]
		last.position = res.CommitPosition
	case want == wantSame:
		if res.CommitPosition != last.position {
			t.Fatalf("repeated append answered position %d, the original is at %d", res.CommitPosition, last.position)
		}
	default:
		return
	}
	if res.NextExpectedVersion != last.revision {
		t.Fatalf("append answered revision %d, want %d", res.NextExpectedVersion, last.revision)
	}
}

func (m *machine) Metadata(t *rapid.T) {
	name := rapid.SampledFrom(modelStreams).Draw(t, "stream")
	doc := map[string]any{"x": len(m.all)}
	if rapid.Bool().Draw(t, "limit") {
		doc["$maxCount"] = rapid.IntRange(1, 5).Draw(t, "maxCount")
	}
	if rapid.Bool().Draw(t, "truncate") {
		doc["$tb"] = rapid.IntRange(0, len(m.now(name).events)+1).Draw(t, "tb")
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	e := modelSent{id: uuid.New(), typ: "$metadata", data: string(data), json: true}
	w := modelWrite{stream: "$$" + name, expect: eventlog.ExpectAny, events: []modelSent{e}}
	want, _ := m.now(w.stream).decide(w)
	if protectLedger.MatchString(name) {
		want = wantDenied
	}
	_, err = m.c.AppendToStream(m.ctx, w.stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}},
		esdb.EventData{EventID: e.id, EventType: e.typ, ContentType: esdb.ContentTypeJson, Data: data})
	wantOutcome(t, "metadata of "+name, want, err)
	if want == wantWritten {
		m.perform(w)
	}
}

func (m *machine) Delete(t *rapid.T) {
	name := rapid.SampledFrom(modelStreams).Draw(t, "stream")
	w := modelWrite{kind: eventlog.KindDelete, stream: name}
	if rapid.IntRange(0, 5).Draw(t, "hard") == 0 {
		w.kind = eventlog.KindTombstone
	}
	s := m.now(name)
	w.expect = drawExpect(t, len(s.events))
	want, _ := s.decide(w)
	if protectLedger.MatchString(name) {
		want = wantDenied
	}
	var res *esdb.DeleteResult
	var err error
	if w.kind == eventlog.KindTombstone {
		res, err = m.c.TombstoneStream(m.ctx, name, esdb.TombstoneStreamOptions{
			ExpectedRevision: clientExpectation(w.expect),
		})
	} else {
		res, err = m.c.DeleteStream(m.ctx, name, esdb.DeleteStreamOptions{
			ExpectedRevision: clientExpectation(w.expect),
		})
	}
	wantOutcome(t, w.String(), want, err)
	if want == wantWritten {
		m.perform(w)[0].position = res.Position.Commit
	}
}

func (m *machine) ReadStream(t *rapid.T) {
	name := rapid.SampledFrom(modelStreams).Draw(t, "stream")
	if rapid.Bool().Draw(t, "metastream") {
		name = "$$" + name
	}
	count := rapid.Uint64Range(1, 12).Draw(t, "count")
	n := len(m.now(name).events)
	from := esdb.StreamPosition(esdb.Start{})
	low, high := uint64(0), uint64(n) // revisions that the direction and start let through
	back := rapid.Bool().Draw(t, "backwards")
	opts := esdb.ReadStreamOptions{}
	if back {
		opts.Direction, from = esdb.Backwards, esdb.End{}
	}
	if rapid.Bool().Draw(t, "revision") {
		r := rapid.Uint64Range(0, uint64(n+1)).Draw(t, "from")
		from = esdb.Revision(r)
		if back {
			high = min(high, r+1)
		} else {
			low = r
		}
	}
	opts.From = from
	r, err := m.c.ReadStream(m.ctx, name, opts, count)
	got, err := receive(t, r, err)
	visible, outcome := m.now(name).visible(math.MaxInt64)
	var e *esdb.Error
	switch {
	case outcome == wantDeleted:
		if !errors.As(err, &e) || e.Code() != esdb.ErrorCodeStreamDeleted {
			t.Fatalf("read of tombstoned %s: %v", name, err)
		}
		return
	case outcome == wantNotFound:
		if !errors.As(err, &e) || e.Code() != esdb.ErrorCodeResourceNotFound {
			t.Fatalf("read of %s, which is not there: %v", name, err)
		}
		return
	case err != nil:
		t.Fatalf("read of %s: %v", name, err)
	}
	visible = slices.DeleteFunc(slices.Clone(visible), func(e *modelEvent) bool {
		return e.revision < low || e.revision >= high
	})
	if back {
		slices.Reverse(visible)
	}
	wantEvents(t, "read of "+name, got, visible[:min(count, uint64(len(visible)))])
}

func (m *machine) ReadAll(t *rapid.T) {
	back := rapid.Bool().Draw(t, "backwards")
	count := rapid.Uint64Range(1, 20).Draw(t, "count")
	want := slices.Clone(m.all)
	opts := esdb.ReadAllOptions{From: esdb.Start{}}
	if back {
		opts = esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}
	}
	if len(want) > 0 && rapid.Bool().Draw(t, "position") {
		i := rapid.IntRange(0, len(want)-1).Draw(t, "from")
		opts.From = esdb.Position{Commit: want[i].position, Prepare: want[i].position}
		if back {
			want = want[:i] // excludes
		} else {
			want = want[i:] // includes
		}
	}
	if back {
		slices.Reverse(want)
	}
	r, err := m.c.ReadAll(m.ctx, opts, count)
	got, err := receive(t, r, err)
	if err != nil {
		t.Fatal(err)
	}
	wantEvents(t, "read of $all", got, want[:min(count, uint64(len(want)))])
}

// Subscribe reads a new subscription up to the first caught-up.
func (m *machine) Subscribe(t *rapid.T) {
	var want []*modelEvent
	var sub *esdb.Subscription
	var err error
	what := "subscription to $all"
	if rapid.Bool().Draw(t, "all") {
		opts := esdb.SubscribeToAllOptions{From: esdb.Start{}}
		want = m.all
		if len(want) > 0 && rapid.Bool().Draw(t, "position") {
			i := rapid.IntRange(0, len(want)-1).Draw(t, "from")
			opts.From = esdb.Position{Commit: want[i].position, Prepare: want[i].position}
			want = want[i+1:]
		}
		if rapid.Bool().Draw(t, "filtered") {
			opts.Filter = &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"a", "$$b"}}
			opts.MaxSearchWindow = rapid.IntRange(1, 10).Draw(t, "window")
			want = slices.DeleteFunc(slices.Clone(want), func(e *modelEvent) bool {
				return e.stream != "a" && e.stream != "$$b"
			})
		}
		sub, err = m.c.SubscribeToAll(m.ctx, opts)
	} else {
		name := rapid.SampledFrom(modelStreams).Draw(t, "stream")
		what = "subscription to " + name
		if m.now(name).tombstoned {
			return // a test of its own
		}
		from := esdb.StreamPosition(esdb.Start{})
		low := uint64(0)
		if rapid.Bool().Draw(t, "revision") {
			r := rapid.Uint64Range(0, uint64(len(m.now(name).events)+1)).Draw(t, "from")
			from, low = esdb.Revision(r), r+1
		}
		want, _ = m.now(name).visible(math.MaxInt64)
		want = slices.DeleteFunc(slices.Clone(want), func(e *modelEvent) bool { return e.revision < low })
		sub, err = m.c.SubscribeToStream(m.ctx, name, esdb.SubscribeToStreamOptions{From: from})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	var got []*esdb.RecordedEvent
	for {
		e := sub.Recv()
		if e.SubscriptionDropped != nil {
			t.Fatalf("%s: %v", what, e.SubscriptionDropped.Error)
		}
		if e.EventAppeared != nil {
			got = append(got, e.EventAppeared.OriginalEvent())
		}
		if e.CaughtUp != nil {
			break
		}
	}
	wantEvents(t, what, got, want)
}

func (m *machine) Restart(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "restart") == 0 {
		m.stop(t)
		m.start(t)
	}
}

// Check learns the positions of what was written since the last check, and
// compares it on the way.
func (m *machine) Check(t *rapid.T) {
	known := 0
	for known < len(m.all) && m.all[known].position != 0 {
		known++
	}
	opts := esdb.ReadAllOptions{From: esdb.Start{}}
	from := max(0, known-1)
	if known > 0 {
		opts.From = esdb.Position{Commit: m.all[from].position, Prepare: m.all[from].position}
	}
	r, err := m.c.ReadAll(m.ctx, opts, math.MaxUint64)
	got, err := receive(t, r, err)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(m.all)-from {
		t.Fatalf("$all has %d events from number %d on, want %d", len(got), from, len(m.all)-from)
	}
	for i, e := range got {
		if w := m.all[from+i]; w.position == 0 {
			w.position = e.Position.Commit
		}
		if i > 0 && e.Position.Commit <= got[i-1].Position.Commit {
			t.Fatalf("positions go from %d to %d", got[i-1].Position.Commit, e.Position.Commit)
		}
	}
	wantEvents(t, "$all", got, m.all[from:])
}

func receive(t *rapid.T, r *esdb.ReadStream, err error) ([]*esdb.RecordedEvent, error) {
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []*esdb.RecordedEvent
	for {
		e, err := r.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, e.OriginalEvent())
	}
}

func wantEvents(t *rapid.T, what string, got []*esdb.RecordedEvent, want []*modelEvent) {
	if len(got) != len(want) {
		t.Fatalf("%s: %d events, want %d", what, len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if g.StreamID != w.stream || g.EventNumber != w.revision || g.EventType != w.typ ||
			g.Position.Commit != w.position ||
			w.id != uuid.Nil && g.EventID != w.id || !sameData(string(g.Data), w.data) {
			t.Fatalf("%s: event %d is %s/%d %s %q at %d, want %s/%d %s %q at %d", what, i,
				g.StreamID, g.EventNumber, g.EventType, g.Data, g.Position.Commit, w.stream, w.revision, w.typ,
				w.data, w.position)
		}
	}
}

// Random appends with every expectation, repetitions, deletes, metadata, reads,
// subscriptions and restarts answer as the model does. A failure prints its seed.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		m := &machine{model: newModel(), fs: vfs.NewMem(), ctx: ctx}
		m.start(t)
		defer m.stop(t)
		t.Repeat(map[string]func(*rapid.T){
			"Append": m.Append, "Append again": m.Append, "Append more": m.Append,
			"Metadata": m.Metadata, "Delete": m.Delete,
			"ReadStream": m.ReadStream, "ReadAll": m.ReadAll, "Subscribe": m.Subscribe, "Restart": m.Restart,
			"": m.Check,
		})
	})
}
