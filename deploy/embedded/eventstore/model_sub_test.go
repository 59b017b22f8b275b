package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// modelSub is a subscription and what it delivered.
type modelSub struct {
	number  int
	read    rawRead
	call    int64
	seconds int64 // the server's clock at the call
	least   int   // moment that it must know, set by explain

	mu        sync.Mutex
	confirmed int64 // stamp, 0 until then
	messages  []subMessage
	ended     string // wantDeleted where the server said so, wantUnknown after another error
	endStamp  int64
	err       error
	closed    bool          // by the test, before the end of the run
	news      chan struct{} // receives after growth, never blocks the receiver
}

type subKind int

const (
	subEvent subKind = iota
	subCheckpoint
	subCaughtUp
	subFellBehind
)

type subMessage struct {
	kind     subKind
	event    storedEvent
	position uint64 // of the event or checkpoint
	stamp    int64
	seconds  int64 // the server's clock when it came
}

func (s *modelSub) received() []subMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}

func (s *modelSub) note(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// run receives until ctx ends, the server ends it, or enough events came.
func (s *modelSub) run(ctx context.Context, c rawClient, stamp func() (int64, int64), enough int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := c.Read(ctx, s.read.request(true))
	for events := 0; err == nil; {
		resp, recvErr := call.Recv()
		now, seconds := stamp()
		if err = recvErr; err != nil {
			break
		}
		m := subMessage{stamp: now, seconds: seconds}
		switch {
		case resp.GetConfirmation() != nil:
			s.note(func() { s.confirmed = now })
			continue
		case resp.GetEvent() != nil:
			events++
			m.event, err = rawEvent(resp.GetEvent())
			m.position = m.event.position
		case resp.GetCheckpoint() != nil:
			m.kind, m.position = subCheckpoint, resp.GetCheckpoint().GetCommitPosition()
		case resp.GetCaughtUp() != nil:
			m.kind = subCaughtUp
		case resp.GetFellBehind() != nil:
			m.kind = subFellBehind
		default:
			err = fmt.Errorf("message %T on a subscription", resp.GetContent())
		}
		s.note(func() { s.messages = append(s.messages, m) })
		if events == enough && err == nil {
			s.note(func() { s.closed = true })
			return
		}
	}
	a := rawAnswer{outcome: wantUnknown, err: err}
	if call != nil {
		a = refusedCall(err, call.Trailer())
	}
	now, _ := stamp()
	s.note(func() {
		s.endStamp = now
		switch {
		case a.outcome == wantDeleted:
			s.ended = wantDeleted
		case status.Code(err) == codes.Canceled && ctx.Err() != nil:
		default:
			s.ended, s.err = wantUnknown, err
		}
	})
}

// subWalk follows a subscription through its messages.
type subWalk struct {
	c *checker
	s *modelSub
	// next is the first event that was not considered: an index of $all, or a
	// revision. A subscription from the end began anywhere from next to slack;
	// its first event tells.
	next, slack int
	caughtUp    bool
}

// walk begins a walk; explain has run.
func (c *checker) walk(s *modelSub) *subWalk {
	w := &subWalk{c: c, s: s}
	s.mu.Lock()
	confirmed := s.confirmed
	s.mu.Unlock()
	latest := c.moment
	if confirmed > 0 {
		latest = c.latestAt(confirmed)
	}
	switch name := s.read.stream; {
	case s.read.start == fromStart:
	case name == "" && s.read.start == fromPoint:
		w.next = c.indexOf[s.read.at] + 1
	case name == "":
		w.next, w.slack = c.ends[s.least], c.ends[latest]
	case s.read.start == fromPoint:
		w.next = int(s.read.at) + 1
	default:
		w.next, w.slack = len(c.state(name, s.least).events), len(c.state(name, latest).events)
	}
	return w
}

func (w *subWalk) step(m subMessage) error {
	latest := w.c.latestAt(m.stamp)
	switch {
	case m.kind == subFellBehind:
		return nil
	case m.kind == subCaughtUp:
		if w.caughtUp {
			return nil
		}
		w.caughtUp = true
		if e := w.owed(w.s.least, latest, m.seconds); e != nil {
			return fmt.Errorf("caught up without %v", e)
		}
		return nil
	case m.kind == subCheckpoint && m.position == 0:
		return nil // the start
	}
	i, ok := w.c.indexOf[m.position]
	if !ok || w.c.momentOf(i) > latest {
		return fmt.Errorf("position %d is no event's, or that of one which was not written yet", m.position)
	}
	switch {
	case m.kind == subCheckpoint:
		if e := w.passed(i + 1); e != nil {
			return fmt.Errorf("a checkpoint at %d is ahead of %v, which was not delivered", m.position, e)
		}
		w.next = max(w.next, i+1)
		return nil
	case m.event != w.c.log[i]:
		return fmt.Errorf("delivered %v, which is %v in $all", m.event, w.c.log[i])
	case w.s.read.stream == "":
		return w.stepAll(i)
	}
	return w.stepStream(m, latest)
}

func (w *subWalk) stepAll(i int) error {
	e := &w.c.log[i]
	if i < w.next {
		return fmt.Errorf("delivered %v after something later, or after a checkpoint", e)
	}
	if !w.s.read.filter.match(e) {
		return fmt.Errorf("delivered %v, which the filter does not let through", e)
	}
	if missed := w.passed(i); missed != nil {
		return fmt.Errorf("delivered %v without %v", e, missed)
	}
	w.next, w.slack = i+1, 0
	return nil
}

// passed is the first matching event of $all before index to that was not delivered.
func (w *subWalk) passed(to int) *storedEvent {
	for j := max(w.next, w.slack); j < to; j++ {
		if e := &w.c.log[j]; w.s.read.filter.match(e) {
			return e
		}
	}
	return nil
}

// stepStream takes an event of a stream. One that is live gets also what
// metadata has hidden since it was level, and the stream's tombstone.
func (w *subWalk) stepStream(m subMessage, latest int) error {
	name, r := w.s.read.stream, int(m.event.revision)
	if m.event.stream == name && r == math.MaxInt64 {
		if missed := w.owedBelow(len(w.c.stream(name).events), latest, m.seconds); missed != nil || !w.caughtUp {
			return fmt.Errorf("delivered the tombstone of %s without %v, live %v", name, missed, w.caughtUp)
		}
		return nil
	}
	if m.event.stream != name || r < w.next {
		return fmt.Errorf("delivered %v, want revision %d of %s or above", m.event, w.next, name)
	}
	e := w.c.stream(name).events[r]
	seen := w.c.sometime(name, max(w.s.least, e.moment), latest, func(st modelState) bool {
		return !st.hides(e, w.s.seconds*layout.TicksPerSecond)
	})
	if !seen && !w.caughtUp {
		return fmt.Errorf("delivered %v, which the metadata hid", m.event)
	}
	if missed := w.owedBelow(r, latest, m.seconds); missed != nil {
		return fmt.Errorf("delivered %v without %v", m.event, missed)
	}
	w.next, w.slack = r+1, 0
	return nil
}

// owedBelow is the first undelivered event of the stream below revision to
// that no metadata has hidden up to a moment.
func (w *subWalk) owedBelow(to, latest int, seconds int64) *storedEvent {
	name := w.s.read.stream
	for r := max(w.next, w.slack); r < to; r++ {
		e := w.c.stream(name).events[r]
		hidden := w.c.sometime(name, max(w.s.least, e.moment), latest, func(st modelState) bool {
			return st.hides(e, seconds*layout.TicksPerSecond)
		})
		if !hidden {
			return e.stored
		}
	}
	return nil
}

// owed is the first event up to moment k that is not delivered and should be
// by the latest moment, which came when the server's clock said seconds.
func (w *subWalk) owed(k, latest int, seconds int64) *storedEvent {
	if w.s.read.stream == "" {
		return w.passed(w.c.ends[k])
	}
	st := w.c.state(w.s.read.stream, k)
	if w.c.state(w.s.read.stream, latest).tombstoned {
		return nil
	}
	return w.owedBelow(len(st.events), latest, seconds)
}

// hides tells whether a reader at that time cannot see the event.
func (s modelState) hides(e *modelEvent, now int64) bool {
	return s.softDeleted() || int(e.revision) < s.first() || s.aged(e, now)
}

// sometime tells whether the stream was so at a moment from a to b.
func (c *checker) sometime(name string, a, b int, is func(modelState) bool) bool {
	if is(c.state(name, a)) {
		return true
	}
	for _, v := range c.stream(name).past {
		if v.moment > a && v.moment <= b && is(c.state(name, v.moment)) {
			return true
		}
	}
	return false
}

// complete tells whether nothing more can come, by the end of $all.
func (w *subWalk) complete(seconds int64) bool {
	if w.s.read.stream != "" && w.c.now(w.s.read.stream).tombstoned {
		return false // it has to end
	}
	return w.caughtUp && w.owed(w.c.moment, w.c.moment, seconds) == nil
}

// await waits until the subscription has delivered what it must by the end of
// $all, or is over. What it delivered is checked on the way.
func (c *checker) await(ctx context.Context, s *modelSub, seconds int64) error {
	w := c.walk(s)
	for seen := 0; ; {
		s.mu.Lock()
		messages, over := s.messages, s.closed || s.ended != ""
		s.mu.Unlock()
		for ; seen < len(messages); seen++ {
			if err := w.step(messages[seen]); err != nil {
				return fmt.Errorf("subscription %d to %v: %w", s.number, s.read, err)
			}
		}
		if over || w.complete(seconds) {
			return nil
		}
		select {
		case <-s.news:
		case <-ctx.Done():
			return fmt.Errorf("subscription %d to %v: %w: after %d messages it still owes %v", s.number, s.read,
				ctx.Err(), seen, w.owed(c.moment, c.moment, seconds))
		}
	}
}

// checkSub checks a subscription that is over.
func (c *checker) checkSub(s *modelSub) error {
	w := c.walk(s)
	for i, m := range s.messages {
		if err := w.step(m); err != nil {
			return fmt.Errorf("message %d of %d: %w", i, len(s.messages), err)
		}
	}
	switch s.ended {
	case wantDeleted:
		if name := s.read.stream; name == "" || !c.state(name, c.latestAt(s.endStamp)).tombstoned {
			return errors.New("it ended as if its stream were tombstoned")
		}
	case wantUnknown:
		return fmt.Errorf("it ended: %w", s.err)
	}
	return nil
}
