package eventstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"sort"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// model is the store in a few lines: a list of events, each stream's part of
// it, and what each stream was after each write. It shares no code with the
// server; eventlog only lends it names for kinds and expectations.
type model struct {
	all     []*modelEvent
	streams map[string]*modelStream
	moment  int // writes so far that wrote something: the model's time
}

func newModel() model { return model{streams: map[string]*modelStream{}} }

type modelEvent struct {
	modelSent
	stream   string
	revision uint64
	moment   int          // the model's time after the write that wrote it
	position uint64       // learnt from the server, 0 until then
	stored   *storedEvent // what the server has for it, where that is known
}

// modelSent is an event as a client sends it.
type modelSent struct {
	id   uuid.UUID // zero: the server chooses it
	typ  string
	data string
	meta string
	json bool
}

// modelWrite is an append, a delete or a tombstone.
type modelWrite struct {
	kind   eventlog.Kind
	stream string
	expect eventlog.Expectation
	events []modelSent // appends only
}

func (w modelWrite) String() string {
	kind := [...]string{eventlog.KindAppend: "append", eventlog.KindDelete: "delete",
		eventlog.KindTombstone: "tombstone"}[w.kind]
	s := fmt.Sprintf("%s %s expecting %s", kind, w.stream, expectationName(w.expect))
	for _, e := range w.events {
		s += fmt.Sprintf(" %.8s", e.id)
	}
	return s
}

func expectationName(e eventlog.Expectation) string {
	switch e {
	case eventlog.ExpectAny:
		return "any"
	case eventlog.ExpectExists:
		return "exists"
	case eventlog.ExpectNoStream:
		return "none"
	}
	return fmt.Sprint(int64(e))
}

type modelStream struct {
	events     []*modelEvent
	tombstoned bool
	limits     modelLimits
	past       []modelVersion // ascending by moment
}

// modelVersion is what a stream was from one moment on.
type modelVersion struct {
	moment     int
	events     int
	tombstoned bool
	limits     modelLimits
}

// modelLimits is what reads honour of a stream's metadata; zero is no limit.
type modelLimits struct{ maxCount, maxAge, tb int64 }

// parseLimits reads metadata. One value that makes no sense makes all of it empty.
func parseLimits(data string) modelLimits {
	var doc map[string]any
	dec := json.NewDecoder(strings.NewReader(data))
	dec.UseNumber()
	if dec.Decode(&doc) != nil {
		return modelLimits{}
	}
	ok := true
	number := func(key string, least int64) int64 {
		v, there := doc[key]
		if !there {
			return 0
		}
		n, isNumber := v.(json.Number)
		i, err := n.Int64()
		if !isNumber || err != nil || i < least {
			ok = false
		}
		return i
	}
	l := modelLimits{maxCount: number("$maxCount", 1), maxAge: number("$maxAge", 1), tb: number("$tb", 0)}
	if !ok {
		return modelLimits{}
	}
	return l
}

func (m *model) stream(name string) *modelStream {
	s := m.streams[name]
	if s == nil {
		s = &modelStream{}
		m.streams[name] = s
	}
	return s
}

// modelState is what is true of a stream at one moment.
type modelState struct {
	name       string
	events     []*modelEvent
	tombstoned bool // it or, for a metastream, its stream
	hasMeta    bool
	limits     modelLimits
}

func (m *model) state(name string, moment int) modelState {
	v, s := m.version(name, moment)
	st := modelState{name: name, tombstoned: v.tombstoned, limits: v.limits}
	if s != nil {
		st.events = s.events[:v.events]
	}
	if orig, meta := strings.CutPrefix(name, "$$"); meta {
		o, _ := m.version(orig, moment)
		st.tombstoned = st.tombstoned || o.tombstoned
	}
	metas, _ := m.version("$$"+name, moment)
	st.hasMeta = metas.events > 0
	return st
}

func (m *model) now(name string) modelState { return m.state(name, m.moment) }

func (m *model) version(name string, moment int) (modelVersion, *modelStream) {
	s := m.streams[name]
	if s == nil {
		return modelVersion{}, nil
	}
	i := sort.Search(len(s.past), func(i int) bool { return s.past[i].moment > moment })
	if i == 0 {
		return modelVersion{}, s
	}
	return s.past[i-1], s
}

func (s modelState) softDeleted() bool { return s.limits.tb == math.MaxInt64 }

// last is the newest revision, -1 for none.
func (s modelState) last() int64 { return int64(len(s.events)) - 1 }

// outcomes of a call
const (
	wantWritten  = "written"
	wantSame     = "repeated"
	wantWrong    = "wrong version"
	wantDeleted  = "deleted"
	wantDenied   = "denied"
	wantNotFound = "not found"
	wantUnknown  = "unknown" // no answer
	wantRead     = "read"
)

// decide predicts a write. again is the repeated append's last event.
func (s modelState) decide(w modelWrite) (outcome string, again *modelEvent) {
	ids := []uuid.UUID{uuid.New()} // a delete's event is always new
	if w.kind == eventlog.KindAppend {
		ids = ids[:0]
		for _, e := range w.events {
			ids = append(ids, e.id)
		}
	}
	if s.tombstoned {
		return wantDeleted, nil
	}
	if w.kind == eventlog.KindDelete && len(s.events) == 0 && !s.hasMeta {
		return wantWrong, nil
	}
	if w.expect == eventlog.ExpectExists {
		if s.softDeleted() {
			return wantDeleted, nil
		}
		if len(s.events) == 0 && !s.hasMeta {
			return wantWrong, nil
		}
	}
	if w.expect == eventlog.ExpectAny || w.expect == eventlog.ExpectExists {
		return s.decideAny(ids)
	}
	exact, cur := int(w.expect), len(s.events)-1 // NoStream is -1
	switch {
	case exact == cur:
		return wantWritten, nil
	case exact > cur || len(ids) == 0:
		return wantWrong, nil
	}
	for i, id := range ids {
		at := exact + 1 + i
		if at > cur || s.events[at].id != id {
			if i == 0 && exact == -1 && s.softDeleted() {
				return wantWritten, nil
			}
			return wantWrong, nil
		}
		again = s.events[at]
	}
	return wantSame, again
}

func (s modelState) decideAny(ids []uuid.UUID) (outcome string, again *modelEvent) {
	if len(ids) == 0 {
		return wantWritten, nil
	}
	recent := s.events[max(0, len(s.events)-eventlog.RecentIDs):]
	for i, id := range ids {
		at := len(recent) - 1
		for at >= 0 && recent[at].id != id {
			at--
		}
		switch {
		case at < 0 && i == 0:
			return wantWritten, nil
		case at < 0:
			return wantWrong, nil
		}
		again = recent[at]
	}
	return wantSame, again
}

// perform does a write that decide allowed, and returns the events it causes:
// those that were sent, then what the server adds.
func (m *model) perform(w modelWrite) []*modelEvent {
	if w.kind == eventlog.KindAppend && len(w.events) == 0 {
		return nil
	}
	from := len(m.all)
	m.moment++
	s := m.stream(w.stream)
	switch w.kind {
	case eventlog.KindTombstone:
		m.write(w.stream, modelSent{typ: "$streamDeleted"})
	case eventlog.KindDelete:
		m.writeMeta(w.stream, `{"$tb":9223372036854775807}`)
	default:
		deleted, first := s.limits.tb == math.MaxInt64, len(s.events)
		for _, e := range w.events {
			m.write(w.stream, e)
		}
		if deleted {
			m.undelete(w.stream, first)
		} else if orig, meta := strings.CutPrefix(w.stream, "$$"); meta {
			o := m.stream(orig)
			wasDeleted := o.limits.tb == math.MaxInt64
			o.limits = parseLimits(w.events[len(w.events)-1].data)
			if wasDeleted {
				m.undelete(orig, len(o.events))
			}
			m.remember(orig)
		}
	}
	m.remember(w.stream)
	return m.all[from:]
}

func (m *model) write(name string, e modelSent) {
	s := m.stream(name)
	ev := &modelEvent{modelSent: e, stream: name, revision: uint64(len(s.events)), moment: m.moment}
	if e.typ == "$streamDeleted" {
		ev.revision, s.tombstoned = math.MaxInt64, true
	} else {
		s.events = append(s.events, ev)
	}
	m.all = append(m.all, ev)
	m.remember(name)
}

func (m *model) writeMeta(name, data string) {
	m.write("$$"+name, modelSent{typ: "$metadata", data: data, json: true})
	m.stream(name).limits = parseLimits(data)
}

// undelete repeats the newest metadata with another $tb, where it is an object.
func (m *model) undelete(name string, first int) {
	metas := m.stream("$$" + name).events
	var doc map[string]json.RawMessage
	if json.Unmarshal([]byte(metas[len(metas)-1].data), &doc) != nil {
		return
	}
	doc["$tb"] = json.RawMessage(fmt.Sprint(first))
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err) // it was JSON before
	}
	m.writeMeta(name, string(data))
}

// remember notes what the stream is now, for state.
func (m *model) remember(name string) {
	s := m.stream(name)
	v := modelVersion{m.moment, len(s.events), s.tombstoned, s.limits}
	if n := len(s.past); n > 0 && s.past[n-1].moment == m.moment {
		s.past[n-1] = v
		return
	}
	s.past = append(s.past, v)
}

// visible is what a reader of the stream may see at a time, in 100 ns ticks;
// the outcome is wantRead, or why there is nothing.
func (s modelState) visible(now int64) (events []*modelEvent, outcome string) {
	switch {
	case s.tombstoned:
		return nil, wantDeleted
	case len(s.events) == 0 || s.softDeleted():
		return nil, wantNotFound
	}
	for _, e := range s.events[s.first():] {
		if !s.aged(e, now) {
			events = append(events, e)
		}
	}
	return events, wantRead
}

// first is the lowest revision that is not hidden by number.
func (s modelState) first() int {
	first := min(s.limits.tb, int64(len(s.events)))
	maxCount := s.limits.maxCount
	if strings.HasPrefix(s.name, "$$") {
		maxCount = 1 // a metastream shows its newest event
	}
	if maxCount > 0 {
		first = max(first, int64(len(s.events))-maxCount)
	}
	return int(first)
}

// aged tells whether $maxAge hides the event.
func (s modelState) aged(e *modelEvent, now int64) bool {
	return s.limits.maxAge > 0 && e.stored != nil && e.stored.created < now-s.limits.maxAge*10_000_000
}

// sameData compares bytes, or JSON that the server rewrote.
func sameData(a, b string) bool {
	if a == b {
		return true
	}
	var x, y map[string]json.RawMessage
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil &&
		maps.EqualFunc(x, y, func(p, q json.RawMessage) bool { return bytes.Equal(p, q) })
}
