package eventstore

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// killLog is what the outside world knows of a server that is killed again
// and again: what was sent to it and what it answered, what it showed to
// readers and subscribers, and what was found in it after earlier kills.
type killLog struct {
	mu       sync.Mutex
	grown    chan struct{} // receives after growth, never blocks
	batches  []*killBatch
	byID     map[uuid.UUID]killPart
	acked    int
	repeated int                   // acknowledged at a later attempt
	refused  int                   // by WrongExpectedVersion
	seen     map[uint64]killRecord // by readers, not yet found in the log

	// What verify has found, in $all order; it only ever grows.
	records  []killRecord
	index    map[uuid.UUID]int
	last     map[string]int64 // newest revision
	unproved []*killBatch     // acknowledged or refused, not yet compared with the log
	follower []*killFollower
}

// killRecord is an event: where it is, and a checksum of all that it is.
type killRecord struct {
	position uint64
	id       uuid.UUID
	sum      uint32
	stream   string
}

func recordOf(e storedEvent) killRecord {
	sum := crc32.ChecksumIEEE(fmt.Appendf(nil, "%s %d %s %s %s %v %d", e.stream, e.revision, e.typ, e.data, e.meta,
		e.json, e.created))
	return killRecord{e.position, e.id, sum, e.stream}
}

// killBatch is one append, with all its attempts.
type killBatch struct {
	modelWrite
	attempts int
	outcome  string // empty while there is no answer
	last     int64
	position uint64
}

type killPart struct {
	batch *killBatch
	i     int
}

func newKillLog() *killLog {
	return &killLog{
		grown: make(chan struct{}, 1), byID: map[uuid.UUID]killPart{}, seen: map[uint64]killRecord{},
		index: map[uuid.UUID]int{}, last: map[string]int64{},
	}
}

func (l *killLog) note(f func()) {
	l.mu.Lock()
	f()
	l.mu.Unlock()
	select {
	case l.grown <- struct{}{}:
	default:
	}
}

// await waits until is, which is called with the lock held, holds.
func (l *killLog) await(ctx context.Context, is func() bool) error {
	for {
		l.mu.Lock()
		ok := is()
		l.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-l.grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *killLog) see(events []storedEvent) {
	l.note(func() {
		for _, e := range events {
			l.seen[e.position] = recordOf(e)
		}
	})
}

func (l *killLog) positionOf(i int) uint64 {
	if i >= len(l.records) {
		return 0
	}
	return l.records[i].position
}

// killWriter writes one stream, one append at a time, and repeats what got no
// answer, with the same ids and the same expectation.
type killWriter struct {
	log       *killLog
	rng       *rand.Rand
	stream    string
	any       bool
	contended bool // another writer's appends may come before
	next      eventlog.Expectation
	pending   *killBatch
	position  uint64 // of the last acknowledged append
}

func (w *killWriter) run(ctx context.Context, c rawClient) error {
	for {
		if err := w.attempt(ctx, c); err != nil {
			return err
		}
	}
}

// attempt sends the pending append, or a new one, and notes the answer. An
// error that is not gone is the server's fault.
func (w *killWriter) attempt(ctx context.Context, c rawClient) error {
	if w.pending == nil {
		b := &killBatch{modelWrite: modelWrite{stream: w.stream, expect: w.next}}
		if w.any {
			b.expect = eventlog.ExpectAny
		}
		for range 1 + w.rng.IntN(4) {
			e := modelSent{typ: fmt.Sprintf("t%d", w.rng.IntN(3)), data: strings.Repeat("x", w.rng.IntN(1500)),
				meta: "{}", json: w.rng.IntN(2) == 0}
			for i := range e.id {
				e.id[i] = byte(w.rng.Uint32())
			}
			b.events = append(b.events, e)
		}
		w.pending = b
		w.log.note(func() {
			w.log.batches = append(w.log.batches, b)
			for i, e := range b.events {
				w.log.byID[e.id] = killPart{b, i}
			}
		})
	}
	b := w.pending
	b.attempts++
	a := c.append(ctx, b.modelWrite)
	switch a.outcome {
	case wantUnknown:
		return a.err
	case wantWritten:
		n := int64(len(b.events))
		if !w.any && a.last != int64(b.expect)+n {
			return fmt.Errorf("%v: answered revision %d", b.modelWrite, a.last)
		}
		if a.position <= w.position {
			return fmt.Errorf("%v: answered position %d, the append before it %d", b.modelWrite,
				a.position, w.position)
		}
		w.position, w.next = a.position, eventlog.Expectation(a.last)
	case wantWrong:
		if !w.contended {
			return fmt.Errorf("%v, attempt %d: refused, the stream is at %d", b.modelWrite, b.attempts, a.last)
		}
		w.next = eventlog.Expectation(a.last)
	default:
		return fmt.Errorf("%v: %v", b.modelWrite, a)
	}
	w.pending = nil
	w.log.note(func() {
		b.outcome, b.last, b.position = a.outcome, a.last, a.position
		w.log.unproved = append(w.log.unproved, b)
		switch {
		case a.outcome == wantWrong:
			w.log.refused++
			return
		case b.attempts > 1:
			w.log.repeated++
		}
		w.log.acked++
	})
	return nil
}

func (l *killLog) acks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// killFollower is a subscriber that resumes, after every kill, from the last
// event that it saw. What it saw, over all rounds, must be the log's beginning.
type killFollower struct {
	log    *killLog
	read   rawRead // where it begins; what is filtered
	seen   []killRecord
	proved int // of seen, compared with the log
	at     int // index in the log after the last one proved
}

func (f *killFollower) run(ctx context.Context, c rawClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := f.read
	if n := len(f.seen); n > 0 {
		r.start, r.at = fromPoint, f.seen[n-1].position
		if r.stream != "" {
			r.at = uint64(n - 1) // it saw every revision from 0
		}
	}
	call, err := c.Read(ctx, r.request(true))
	if err != nil {
		return err
	}
	for {
		resp, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the subscription ended")
		}
		if err != nil {
			return err
		}
		if resp.GetEvent() == nil {
			continue
		}
		e, err := rawEvent(resp.GetEvent())
		if err != nil {
			return err
		}
		f.log.note(func() { f.seen = append(f.seen, recordOf(e)) })
	}
}

// wants tells whether a subscription gets a record.
func (r *rawRead) wants(k killRecord) bool {
	if r.stream != "" {
		return r.stream == k.stream
	}
	return r.filter.match(&storedEvent{stream: k.stream})
}

// matching is how many verified events a subscription from the start gets.
func (l *killLog) matching(r rawRead) (n int) {
	for _, k := range l.records {
		if r.wants(k) {
			n++
		}
	}
	return n
}

// verify compares what a reader found in the log from index from on with all
// that is known. What was found before must still be the same; what comes
// after it becomes known.
func (l *killLog) verify(from int, events []storedEvent) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.records) - from; len(events) < n {
		return fmt.Errorf("%d events from number %d on, there were %d", len(events), from, n)
	}
	for i, e := range events {
		if at := from + i; at < len(l.records) {
			if was := l.records[at]; was != recordOf(e) {
				return fmt.Errorf("event number %d is %v, was %.8s at %d", at, e, was.id, was.position)
			}
			continue
		}
		if err := l.learn(e); err != nil {
			return fmt.Errorf("event number %d, %v: %w", from+i, e, err)
		}
	}
	if len(l.records) > 0 {
		if err := l.whole(l.byID[l.records[len(l.records)-1].id].batch); err != nil {
			return err
		}
	}
	for _, b := range l.unproved {
		if err := l.prove(b); err != nil {
			return fmt.Errorf("%v, attempt %d, answered %s, revision %d, position %d: %w", b.modelWrite, b.attempts,
				b.outcome, b.last, b.position, err)
		}
	}
	l.unproved = nil
	for position, was := range l.seen {
		if i, ok := l.index[was.id]; !ok || l.records[i] != was {
			return fmt.Errorf("a reader saw %.8s of %s at %d, which is not there", was.id, was.stream, position)
		}
	}
	clear(l.seen)
	for _, f := range l.follower {
		if err := f.prove(); err != nil {
			return err
		}
	}
	return nil
}

// learn adds an event to what is known, where it may follow.
func (l *killLog) learn(e storedEvent) error {
	if n := len(l.records); n > 0 && e.position <= l.records[n-1].position {
		return errors.New("it comes after a higher position")
	}
	if i, ok := l.index[e.id]; ok {
		return fmt.Errorf("it is there twice, also at %d", l.records[i].position)
	}
	last, ok := l.last[e.stream]
	if !ok {
		last = -1
	}
	if e.revision != uint64(last+1) {
		return fmt.Errorf("revision %d comes before it", last)
	}
	part, ok := l.byID[e.id]
	if !ok {
		return errors.New("nobody sent it")
	}
	sent := part.batch.events[part.i]
	if e.stream != part.batch.stream || e.typ != sent.typ || e.data != sent.data || e.meta != sent.meta ||
		e.json != sent.json {
		return errors.New("something else was sent")
	}
	if part.i > 0 {
		if before := l.records[len(l.records)-1]; before.id != part.batch.events[part.i-1].id {
			return fmt.Errorf("it is part %d of an append and follows %.8s", part.i, before.id)
		}
	} else if len(l.records) > 0 {
		if err := l.whole(l.byID[l.records[len(l.records)-1].id].batch); err != nil {
			return err
		}
	}
	if x := part.batch.expect; x != eventlog.ExpectAny && last+1 != int64(x)+1+int64(part.i) {
		return fmt.Errorf("its append expected revision %d", x)
	}
	l.index[e.id] = len(l.records)
	l.records = append(l.records, recordOf(e))
	l.last[e.stream] = last + 1
	return nil
}

// whole checks that an append whose events end the log is there to its end.
func (l *killLog) whole(b *killBatch) error {
	if last := b.events[len(b.events)-1].id; l.records[len(l.records)-1].id != last {
		return fmt.Errorf("%v is there in part", b.modelWrite)
	}
	return nil
}

// prove checks that what was acknowledged is there and what was refused is not.
func (l *killLog) prove(b *killBatch) error {
	for n, e := range b.events {
		i, ok := l.index[e.id]
		switch {
		case b.outcome == wantWrong && ok:
			return errors.New("it is there")
		case b.outcome == wantWrong:
			continue
		case !ok:
			return fmt.Errorf("event %.8s is missing", e.id)
		}
		if n == len(b.events)-1 && l.records[i].position != b.position {
			return fmt.Errorf("it ends at position %d", l.records[i].position)
		}
	}
	return nil
}

// prove checks that what the subscriber saw is what the log has, in its order
// and without a gap.
func (f *killFollower) prove() error {
	for ; f.proved < len(f.seen); f.proved++ {
		for f.at < len(f.log.records) && !f.read.wants(f.log.records[f.at]) {
			f.at++
		}
		saw := f.seen[f.proved]
		if f.at == len(f.log.records) {
			return fmt.Errorf("subscriber to %v saw %.8s of %s at %d, which is not there", f.read, saw.id,
				saw.stream, saw.position)
		}
		if is := f.log.records[f.at]; is != saw {
			return fmt.Errorf("subscriber to %v saw %.8s of %s at %d, the log has %.8s of %s at %d", f.read, saw.id,
				saw.stream, saw.position, is.id, is.stream, is.position)
		}
		f.at++
	}
	return nil
}
