package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// model is the store in a few lines: a list of events and each stream's part of it.
type model struct {
	all     []*modelEvent
	streams map[string]*modelStream
}

type modelEvent struct {
	stream   string
	revision uint64
	id       uuid.UUID // zero: the server chose it
	typ      string
	data     string
	position uint64 // learnt from the server, 0 until then
}

type modelStream struct {
	events     []*modelEvent
	tombstoned bool
	maxCount   int
	tb         int64
}

func (m *model) stream(name string) *modelStream {
	s := m.streams[name]
	if s == nil {
		s = &modelStream{}
		m.streams[name] = s
	}
	return s
}

func (m *model) softDeleted(name string) bool { return m.stream(name).tb == math.MaxInt64 }

func (m *model) tombstoned(name string) bool {
	orig, meta := strings.CutPrefix(name, "$$")
	return m.stream(name).tombstoned || meta && m.stream(orig).tombstoned
}

func (m *model) write(name string, id uuid.UUID, typ, data string) {
	s := m.stream(name)
	e := &modelEvent{stream: name, revision: uint64(len(s.events)), id: id, typ: typ, data: data}
	if typ == "$streamDeleted" {
		e.revision, s.tombstoned = math.MaxInt64, true
	} else {
		s.events = append(s.events, e)
	}
	m.all = append(m.all, e)
}

func (m *model) writeMeta(name string, id uuid.UUID, data string) {
	m.write("$$"+name, id, "$metadata", data)
	var doc struct {
		MaxCount int   `json:"$maxCount"`
		TB       int64 `json:"$tb"`
	}
	if err := json.Unmarshal([]byte(data), &doc); err != nil {
		panic(err)
	}
	m.stream(name).maxCount, m.stream(name).tb = doc.MaxCount, doc.TB
}

func (m *model) undelete(name string, first int) {
	metas := m.stream("$$" + name).events
	var doc map[string]any
	if err := json.Unmarshal([]byte(metas[len(metas)-1].data), &doc); err != nil {
		panic(err)
	}
	doc["$tb"] = first
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	m.writeMeta(name, uuid.Nil, string(data))
}

// outcomes of a write in the model
const (
	wantWritten = "written"
	wantSame    = "repeated"
	wantWrong   = "wrong version"
	wantDeleted = "deleted"
)

// expect predicts a write. last is the repeated append's last event.
func (m *model) expect(name string, exp esdb.ExpectedRevision, ids []uuid.UUID) (outcome string, last *modelEvent) {
	s := m.stream(name)
	cur := len(s.events) - 1
	if m.tombstoned(name) {
		return wantDeleted, nil
	}
	if _, ok := exp.(esdb.StreamExists); ok {
		if m.softDeleted(name) {
			return wantDeleted, nil
		}
		if cur < 0 && len(m.stream("$$"+name).events) == 0 {
			return wantWrong, nil
		}
	}
	exact := 0
	switch v := exp.(type) {
	case esdb.Any, esdb.StreamExists:
		for i, id := range ids {
			at := -1
			for j, e := range s.events {
				if e.id == id {
					at = j
				}
			}
			if at < 0 && i == 0 {
				return wantWritten, nil
			}
			if at < 0 {
				return wantWrong, nil
			}
			last = s.events[at]
		}
		return wantSame, last
	case esdb.NoStream:
		exact = -1
	case esdb.StreamRevision:
		exact = int(v.Value)
	}
	switch {
	case exact > cur:
		return wantWrong, nil
	case exact == cur:
		return wantWritten, nil
	}
	for i, id := range ids {
		at := exact + 1 + i
		if at > cur || s.events[at].id != id {
			if i == 0 && exact == -1 && m.softDeleted(name) {
				return wantWritten, nil
			}
			return wantWrong, nil
		}
		last = s.events[at]
	}
	return wantSame, last
}

// visible is what a reader of the stream may see; found is false for "not found".
func (m *model) visible(name string) (events []*modelEvent, found bool) {
	s := m.stream(name)
	if len(s.events) == 0 || m.softDeleted(name) {
		return nil, false
	}
	first := min(s.tb, int64(len(s.events)))
	maxCount := s.maxCount
	if strings.HasPrefix(name, "$$") {
		maxCount = 1
	}
	if maxCount > 0 {
		first = max(first, int64(len(s.events)-maxCount))
	}
	return s.events[first:], true
}

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

func drawExpect(t *rapid.T, n int) esdb.ExpectedRevision {
	switch rapid.IntRange(0, 4).Draw(t, "expectation") {
	case 0:
		return esdb.Any{}
	case 1:
		return esdb.NoStream{}
	case 2:
		return esdb.StreamExists{}
	case 3:
		return esdb.Revision(uint64(max(0, n-1))) // usually right
	default:
		return esdb.Revision(rapid.Uint64Range(0, uint64(n+1)).Draw(t, "revision"))
	}
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
			got = "denied"
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
	s := m.stream(name)
	var events []esdb.EventData
	var ids []uuid.UUID
	// Often a piece of what is there, perhaps with something new behind it.
	if n := len(s.events); n > 0 && rapid.Bool().Draw(t, "repeat") {
		from := rapid.IntRange(0, n-1).Draw(t, "from")
		for _, e := range s.events[from : from+rapid.IntRange(1, min(3, n-from)).Draw(t, "repeated")] {
			ids = append(ids, e.id)
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "new") {
		ids = append(ids, uuid.New())
	}
	if len(ids) == 0 {
		ids = append(ids, uuid.New())
	}
	for i, id := range ids {
		events = append(events, esdb.EventData{EventID: id, EventType: "t", Data: []byte(fmt.Sprintf("%d of %d", i, len(m.all)))})
	}
	expect := drawExpect(t, len(s.events))
	want, last := m.expect(name, expect, ids)
	res, err := m.c.AppendToStream(m.ctx, name, esdb.AppendToStreamOptions{ExpectedRevision: expect}, events...)
	wantOutcome(t, fmt.Sprintf("append of %d to %s (%d) with %T%v", len(ids), name, len(s.events), expect, expect), want, err)
	switch want {
	case wantWritten:
		deleted, first := m.softDeleted(name), len(s.events)
		for i, id := range ids {
			m.write(name, id, "t", string(events[i].Data))
		}
		last = s.events[len(s.events)-1]
		last.position = res.CommitPosition
		if deleted {
			m.undelete(name, first)
		}
	case wantSame:
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
		doc["$tb"] = rapid.IntRange(0, len(m.stream(name).events)+1).Draw(t, "tb")
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.New()
	want, _ := m.expect("$$"+name, esdb.Any{}, []uuid.UUID{id})
	if protectLedger.MatchString(name) {
		want = "denied"
	}
	_, err = m.c.AppendToStream(m.ctx, "$$"+name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.EventData{EventID: id, EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: data})
	wantOutcome(t, "metadata of "+name, want, err)
	if want != wantWritten {
		return
	}
	deleted := m.softDeleted(name)
	m.writeMeta(name, id, string(data))
	if deleted {
		m.undelete(name, len(m.stream(name).events))
	}
}

func (m *machine) Delete(t *rapid.T) {
	name := rapid.SampledFrom(modelStreams).Draw(t, "stream")
	hard := rapid.IntRange(0, 5).Draw(t, "hard") == 0
	expect := drawExpect(t, len(m.stream(name).events))
	want, _ := m.expect(name, expect, []uuid.UUID{uuid.New()})
	if protectLedger.MatchString(name) {
		want = "denied"
	}
	var res *esdb.DeleteResult
	var err error
	if hard {
		res, err = m.c.TombstoneStream(m.ctx, name, esdb.TombstoneStreamOptions{ExpectedRevision: expect})
	} else {
		res, err = m.c.DeleteStream(m.ctx, name, esdb.DeleteStreamOptions{ExpectedRevision: expect})
	}
	wantOutcome(t, fmt.Sprintf("delete of %s with %T%v", name, expect, expect), want, err)
	if want != wantWritten {
		return
	}
	if hard {
		m.write(name, uuid.Nil, "$streamDeleted", "")
	} else {
		m.writeMeta(name, uuid.Nil, `{"$tb":9223372036854775807}`)
	}
	m.all[len(m.all)-1].position = res.Position.Commit
}

func (m *machine) ReadStream(t *rapid.T) {
	name := rapid.SampledFrom(modelStreams).Draw(t, "stream")
	if rapid.Bool().Draw(t, "metastream") {
		name = "$$" + name
	}
	count := rapid.Uint64Range(1, 12).Draw(t, "count")
	n := len(m.stream(name).events)
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
	visible, found := m.visible(name)
	var e *esdb.Error
	switch {
	case m.tombstoned(name):
		if !errors.As(err, &e) || e.Code() != esdb.ErrorCodeStreamDeleted {
			t.Fatalf("read of tombstoned %s: %v", name, err)
		}
		return
	case !found:
		if !errors.As(err, &e) || e.Code() != esdb.ErrorCodeResourceNotFound {
			t.Fatalf("read of %s, which is not there: %v", name, err)
		}
		return
	case err != nil:
		t.Fatalf("read of %s: %v", name, err)
	}
	visible = slices.DeleteFunc(slices.Clone(visible), func(e *modelEvent) bool { return e.revision < low || e.revision >= high })
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
			want = slices.DeleteFunc(slices.Clone(want), func(e *modelEvent) bool { return e.stream != "a" && e.stream != "$$b" })
		}
		sub, err = m.c.SubscribeToAll(m.ctx, opts)
	} else {
		name := rapid.SampledFrom(modelStreams).Draw(t, "stream")
		what = "subscription to " + name
		if m.tombstoned(name) {
			return // a test of its own
		}
		from := esdb.StreamPosition(esdb.Start{})
		low := uint64(0)
		if rapid.Bool().Draw(t, "revision") {
			r := rapid.Uint64Range(0, uint64(len(m.stream(name).events)+1)).Draw(t, "from")
			from, low = esdb.Revision(r), r+1
		}
		want, _ = m.visible(name)
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
		if g.StreamID != w.stream || g.EventNumber != w.revision || g.EventType != w.typ || g.Position.Commit != w.position ||
			w.id != uuid.Nil && g.EventID != w.id || !sameData(string(g.Data), w.data) {
			t.Fatalf("%s: event %d is %s/%d %s %q at %d, want %s/%d %s %q at %d", what, i,
				g.StreamID, g.EventNumber, g.EventType, g.Data, g.Position.Commit, w.stream, w.revision, w.typ, w.data, w.position)
		}
	}
}

// sameData compares bytes, or JSON that the server rewrote.
func sameData(a, b string) bool {
	if a == b {
		return true
	}
	var x, y map[string]any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && maps.EqualFunc(x, y, func(p, q any) bool { return fmt.Sprint(p) == fmt.Sprint(q) })
}

// Random appends with every expectation, repetitions, deletes, metadata, reads,
// subscriptions and restarts answer as the model does. A failure prints its seed.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		m := &machine{model: model{streams: map[string]*modelStream{}}, fs: vfs.NewMem(), ctx: ctx}
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
