package eventstore

import (
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// scripted makes a history as a perfect server with one client at a time
// would: stamps 1, 2 for the first call and its answer, and so on.
type scripted struct {
	t *testing.T
	model
	history
	at int64
}

func (s *scripted) op() *modelOp {
	op := &modelOp{number: len(s.ops), call: s.at + 1, ret: s.at + 2, seconds: [2]int64{1, 1}}
	s.at += 2
	s.ops = append(s.ops, op)
	return op
}

func (s *scripted) write(w modelWrite) *modelOp {
	st := s.now(w.stream)
	outcome, last := st.decide(w)
	op := s.op()
	op.write, op.answer = &w, rawAnswer{outcome: outcome, last: st.last()}
	switch outcome {
	case wantWritten:
		events := s.perform(w)
		for i, e := range events {
			if e.id == uuid.Nil {
				e.id = uuid.New()
			}
			e.position = 256 + 100*uint64(len(s.log))
			s.log = append(s.log, storedEvent{e.stream, e.revision, e.position, e.id, e.typ, e.data, e.meta, e.json,
				layout.TicksPerSecond})
			if i == max(1, len(w.events))-1 {
				last = e
			}
		}
	case wantSame:
	default:
		return op
	}
	op.answer = rawAnswer{outcome: wantWritten, last: int64(last.revision), position: last.position}
	return op
}

func (s *scripted) append(stream string, expect eventlog.Expectation, data ...string) *modelOp {
	w := modelWrite{stream: stream, expect: expect}
	for _, d := range data {
		e := modelSent{id: uuid.NewSHA1(uuid.Nil, []byte(strings.TrimSuffix(d, "'"))), typ: "t", data: d}
		if stream[0] == '$' {
			e.typ, e.json = "$metadata", true
		}
		w.events = append(w.events, e)
	}
	return s.write(w)
}

// readStream is a read of a whole stream.
func (s *scripted) readStream(stream string) *modelOp {
	op := s.op()
	op.read = &rawRead{stream: stream, count: 100}
	visible, outcome := s.now(stream).visible(layout.TicksPerSecond)
	op.outcome = outcome
	for _, e := range visible {
		op.got = append(op.got, s.log[s.indexAt(e.position)])
	}
	return op
}

func (s *scripted) readAll() *modelOp {
	op := s.op()
	op.read, op.outcome, op.got = &rawRead{count: 100}, wantRead, slices.Clone(s.log)
	return op
}

func (s *scripted) indexAt(position uint64) int {
	return slices.IndexFunc(s.log, func(e storedEvent) bool { return e.position == position })
}

// subscribe is a subscription that is caught up with $all as it is now.
func (s *scripted) subscribe(r rawRead, more ...storedEvent) *modelSub {
	sub := &modelSub{read: r, call: s.at + 1, confirmed: s.at + 2, seconds: 1}
	s.at += 2
	for _, e := range more {
		s.at++
		sub.messages = append(sub.messages, subMessage{event: e, position: e.position, stamp: s.at, seconds: 1})
	}
	s.at++
	sub.messages = append(sub.messages, subMessage{kind: subCaughtUp, stamp: s.at, seconds: 1})
	s.subs = append(s.subs, sub)
	return sub
}

// script is a history in which everything happens once.
type script struct {
	scripted
	first, second, again, refused, none, tombstone, gone  *modelOp
	early, limited, missing, revived, deleted, everything *modelOp
	subAll, subFiltered, subStream                        *modelSub
}

func newScript(t *testing.T) *script {
	s := &script{scripted: scripted{t: t, model: newModel()}}
	s.none = s.readStream("a")
	s.first = s.append("a", eventlog.ExpectNoStream, "1", "2", "3")
	s.early = s.readAll()
	s.second = s.append("a", 2, "4")
	s.again = s.append("a", eventlog.ExpectNoStream, "1'", "2'", "3'")
	s.refused = s.append("a", 1, "5")
	s.append("b", eventlog.ExpectAny, "6", "7")
	s.append("$$a", eventlog.ExpectAny, `{"$maxCount":2}`)
	s.limited = s.readStream("a")
	s.write(modelWrite{kind: eventlog.KindDelete, stream: "a", expect: eventlog.ExpectAny})
	s.missing = s.readStream("a")
	s.append("a", eventlog.ExpectAny, "8")
	s.revived = s.readStream("a")
	s.subAll = s.subscribe(rawRead{}, s.log...)
	b := slices.DeleteFunc(slices.Clone(s.log), func(e storedEvent) bool { return e.stream != "b" })
	s.subFiltered = s.subscribe(rawRead{filter: &rawFilter{prefix: []string{"b"}}}, b...)
	s.at++
	s.subFiltered.messages = append(s.subFiltered.messages, subMessage{kind: subCheckpoint,
		position: s.log[len(s.log)-1].position, stamp: s.at, seconds: 1})
	s.subStream = s.subscribe(rawRead{stream: "b"}, b...)
	s.tombstone = s.write(modelWrite{kind: eventlog.KindTombstone, stream: "b", expect: eventlog.ExpectAny})
	s.at++
	s.subStream.ended, s.subStream.endStamp = wantDeleted, s.at
	s.gone = s.append("b", eventlog.ExpectAny, "9")
	s.deleted = s.readStream("b")
	s.everything = s.readAll()
	s.images = []crashImage{{before: s.at + 1, after: s.at + 2, events: len(s.log), sum: sumOf(s.log)}}
	return s
}

// The checker itself: it accepts what a perfect server does, and finds every
// lie that a server could tell in each kind of answer.
func TestModelCheckerNotices(t *testing.T) {
	if err := newScript(t).check(); err != nil {
		t.Fatalf("a perfect server: %v", err)
	}
	drop := func(events []storedEvent, i int) []storedEvent { return slices.Delete(slices.Clone(events), i, i+1) }
	for name, lie := range map[string]func(s *script){
		"an acknowledged event is lost":  func(s *script) { s.log = drop(s.log, 3) },
		"an acknowledged delete is lost": func(s *script) { s.log = drop(s.log, s.indexAt(s.missingDelete())) },
		"an append is there in part":     func(s *script) { s.log = drop(s.log, 2) },
		"an event is there twice": func(s *script) {
			s.log = append(s.log, twin(s.log[3], math.MaxInt32))
		},
		"an event nobody wrote":          func(s *script) { s.log[0].data = "else" },
		"custom metadata nobody wrote":   func(s *script) { s.log[0].meta = "{}" },
		"a content type nobody wrote":    func(s *script) { s.log[0].json = true },
		"another id":                     func(s *script) { s.log[0].id[0]++ },
		"a created time before the call": func(s *script) { s.log[0].created = 0 },
		"another revision in the answer": func(s *script) { s.first.answer.last++ },
		"another position in the answer": func(s *script) { s.second.answer.position -= 100 },
		"an acknowledged write is refused": func(s *script) {
			s.second.answer = rawAnswer{outcome: wantWrong, last: 2}
		},
		"a repetition with its own position": func(s *script) { s.again.answer.position += 100 },
		"a repetition is refused": func(s *script) {
			s.again.answer = rawAnswer{outcome: wantWrong, last: 3}
		},
		"a refusal with another revision":  func(s *script) { s.refused.answer.last-- },
		"a refusal of a stream that lives": func(s *script) { s.refused.answer.outcome = wantDeleted },
		"a conflict is acknowledged":       func(s *script) { s.refused.answer = s.second.answer },
		"a tombstoned stream takes an append": func(s *script) {
			s.gone.answer = rawAnswer{outcome: wantWritten, last: 1, position: 256}
		},
		"a tombstoned stream answers conflict": func(s *script) {
			s.gone.answer = rawAnswer{outcome: wantWrong, last: 1}
		},
		"written before an earlier answer":    func(s *script) { s.first.call, s.first.ret = 100, 101 },
		"a read shows the future":             func(s *script) { s.early.got = slices.Clone(s.log[:4]) },
		"a read misses what was acknowledged": func(s *script) { s.everything.got = s.log[:len(s.log)-1] },
		"a read skips an event":               func(s *script) { s.everything.got = drop(s.log, 3) },
		"a read changes the order":            func(s *script) { slices.Reverse(s.everything.got) },
		"a read changes an event":             func(s *script) { s.everything.got[2].data = "else" },
		"a read ignores $maxCount": func(s *script) {
			s.limited.got = append([]storedEvent{s.log[1]}, s.limited.got...)
		},
		"a read applies $maxCount too early": func(s *script) { s.limited.got = s.limited.got[1:] },
		"a read of a deleted stream": func(s *script) {
			s.missing.outcome, s.missing.got = s.limited.outcome, s.limited.got
		},
		"a read shows what was deleted": func(s *script) {
			s.revived.got = append(slices.Clone(s.limited.got), s.revived.got...)
		},
		"a read of a tombstoned stream":        func(s *script) { s.deleted.outcome = wantNotFound },
		"a read of a stream that is not there": func(s *script) { s.none.outcome = wantRead },
		"a subscription skips": func(s *script) {
			s.subAll.messages = slices.Delete(s.subAll.messages, 2, 3)
		},
		"a subscription repeats": func(s *script) {
			s.subAll.messages = slices.Insert(s.subAll.messages, 3, s.subAll.messages[2])
		},
		"a subscription changes the order": func(s *script) {
			m := s.subAll.messages
			m[3].event, m[4].event, m[3].position, m[4].position = m[4].event, m[3].event, m[4].position, m[3].position
		},
		"a subscription sees the future": func(s *script) { s.subAll.messages[4].stamp = 3 },
		"caught up too early": func(s *script) {
			s.subAll.messages = slices.Delete(s.subAll.messages, len(s.log)-2, len(s.log)-1)
		},
		"a checkpoint is ahead of an event": func(s *script) { s.subFiltered.messages = s.subFiltered.messages[3:] },
		"a checkpoint at no event":          func(s *script) { s.subFiltered.messages[3].position++ },
		"a filter lets something else through": func(s *script) {
			s.subFiltered.messages = slices.Insert(s.subFiltered.messages, 0, s.subAll.messages[0])
		},
		"a stream subscription skips": func(s *script) {
			s.subStream.messages = slices.Delete(s.subStream.messages, 0, 1)
		},
		"a stream subscription ends early": func(s *script) { s.subStream.endStamp = s.subStream.call },
		"a subscription fails":             func(s *script) { s.subAll.ended, s.subAll.err = wantUnknown, io.EOF },
		"a power failure loses the last write": func(s *script) {
			s.images[0] = crashImage{before: s.at + 1, after: s.at + 2, events: len(s.log) - 1,
				sum: sumOf(s.log[:len(s.log)-1])}
		},
		"a power failure changes an event": func(s *script) { s.images[0].sum++ },
		"a power failure leaves half an append": func(s *script) {
			s.images[0] = crashImage{before: 3, after: 4, events: 2, sum: sumOf(s.log[:2])}
		},
	} {
		s := newScript(t)
		lie(s)
		if err := s.check(); err == nil {
			t.Errorf("%s: not noticed", name)
		} else if testing.Verbose() {
			t.Logf("%s: %.160s", name, err)
		}
	}
}

// missingDelete is the position of the delete's event.
func (s *script) missingDelete() uint64 {
	for _, op := range s.ops {
		if op.write != nil && op.write.kind == eventlog.KindDelete {
			return op.answer.position
		}
	}
	s.t.Fatal("no delete")
	return 0
}

// twin is the event once more, further on in $all.
func twin(e storedEvent, position uint64) storedEvent {
	e.position = position
	return e
}
