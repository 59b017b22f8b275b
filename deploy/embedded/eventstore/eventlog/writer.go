package eventlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Bounds of one group, that is of what one fsync makes durable.
const (
	groupRequests = 1024
	groupBytes    = 8 << 20
)

// Kind says what a request does to its stream.
type Kind int

const (
	KindAppend Kind = iota
	KindDelete
	KindTombstone
)

// Proposal is an event as a client sent it.
type Proposal struct {
	ID   [16]byte
	JSON bool
	Type string
	Meta []byte
	Data []byte
}

// Request is one append, delete or tombstone on its way through the writer.
type Request struct {
	Kind   Kind
	Stream string
	Expect Expectation
	Events []Proposal

	began  time.Time // when it was submitted
	result Result
	done   chan struct{} // closed once result is set
}

// Outcome says how a request ended.
type Outcome int

const (
	OutcomeWritten Outcome = iota // also for an idempotent repetition
	OutcomeWrongVersion
	OutcomeDeleted
)

// Result is the answer to a request; it is durable when it is given.
type Result struct {
	Outcome     Outcome
	Last        int64  // written: revision of the request's last event; wrong version: of the stream; -1 for none
	Position    uint64 // of the request's last event
	HasPosition bool
	Repeated    bool  // written before, by a request with the same ids
	err         error // the outcome is unknown
}

// group is what one fsync makes durable, and who waits for it.
type group struct {
	batch    *pebble.Batch
	requests []*Request
	written  []*streamState
	first    uint64
	events   uint32
	commit   uint64
	view     *View
	applied  time.Time // when its fsync began
	bytes    int
}

// writer decides and numbers every write. All fields belong to its goroutine.
//
// While the fsync of one group is under way the next is decided and encoded in
// memory, and applied when that fsync has ended: so appends share fsyncs, an
// answer never depends on anything that is not durable, and each view's
// snapshot holds whole groups only.
type writer struct {
	s       *Log
	streams *streamCache

	next    uint64 // position of the next event
	commit  uint64 // number of the last group applied
	total   uint64 // events, the group under construction included
	created int64  // newest event's time; never goes back
	system  bool   // there are system streams, the group under construction included

	checked  uint64             // commit at the checked mark
	flushing layout.CheckedMark // the next one, once flushed is closed
	flushed  <-chan struct{}    // nil where no flush for it is under way

	building *group
	syncing  chan *group // to the syncer, at most one at a time
	synced   chan error  // from the syncer
	inFlight bool
}

func newWriter(s *Log, t tail) *writer {
	return &writer{
		s: s, streams: newStreamCache(s.db),
		next: t.next, commit: t.commit, total: t.total, created: t.created, system: t.system, checked: t.checked,
		syncing: make(chan *group, 1), synced: make(chan error, 1),
	}
}

// Submit hands a request to the writer and waits for its answer. An error
// means that the outcome is unknown, except ErrStopped before anything was queued.
func (s *Log) Submit(ctx context.Context, r *Request) (Result, error) {
	if err := s.Enqueue(ctx, r); err != nil {
		return Result{}, err
	}
	return s.Await(ctx, r)
}

// Enqueue hands a request to the writer, which decides requests in the order
// in which they come. After an error the request was not taken.
func (s *Log) Enqueue(ctx context.Context, r *Request) error {
	r.done, r.began = make(chan struct{}), time.Now()
	err := s.enqueue(ctx, r)
	if err != nil {
		s.observer.Answered(r, Result{}, err, time.Since(r.began))
	}
	return err
}

func (s *Log) enqueue(ctx context.Context, r *Request) error {
	if err := s.Failure(); err != nil {
		return err
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.over:
		return s.stopped()
	}
}

// Await waits for the answer to a request that Enqueue has taken. An error
// means that the outcome is unknown.
func (s *Log) Await(ctx context.Context, r *Request) (Result, error) {
	res, err := s.await(ctx, r)
	s.observer.Answered(r, res, err, time.Since(r.began))
	return res, err
}

func (s *Log) await(ctx context.Context, r *Request) (Result, error) {
	select {
	case <-r.done:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	case <-s.over: // nobody may be left to answer
		select {
		case <-r.done: // answered just before
		default:
			return Result{}, s.stopped()
		}
	}
	return r.result, r.result.err
}

func (s *Log) stopped() error {
	if err := s.Failure(); err != nil {
		return err
	}
	return ErrStopped
}

func (w *writer) run() {
	syncerDone := make(chan struct{})
	go func() {
		defer close(syncerDone)
		for g := range w.syncing {
			w.synced <- w.s.finish(g)
		}
	}()
	w.startGroup()
	err := w.loop()
	close(w.syncing)
	select {
	case <-syncerDone:
	case <-w.s.halt.Halted(): // the syncer may be parked
	}
	if err != nil {
		w.s.fail(err)
		answer(w.building.requests, w.s.Failure())
	}
	if w.building.batch != nil {
		_ = w.building.batch.Close() // never committed; nothing to lose
	}
	close(w.s.done)
	w.s.overOnce.Do(func() { close(w.s.over) })
}

func (w *writer) startGroup() {
	w.building = &group{batch: w.s.db.NewBatch(), first: w.next}
}

func (w *writer) loop() error {
	closing := w.s.closing
	for {
		if !w.inFlight {
			w.pause()
		}
		if !w.inFlight && len(w.building.requests) > 0 {
			// One look at the queue first: callers that the last group answered
			// are on their way back, and share this fsync if they are here.
			if err := w.takeQueued(); err != nil {
				return err
			}
			if err := w.flush(); err != nil {
				return err
			}
			continue
		}
		if closing == nil && !w.inFlight && len(w.building.requests) == 0 {
			if err := w.takeQueued(); err != nil {
				return err
			}
			if len(w.building.requests) == 0 {
				return nil
			}
			continue
		}
		queue := w.s.queue
		if w.full() {
			queue = nil
		}
		pauses := w.s.pauses
		if w.inFlight {
			pauses = nil
		}
		select {
		case f := <-pauses:
			f()
		case r := <-queue:
			if err := w.take(r); err != nil {
				return err
			}
		case err := <-w.synced:
			w.inFlight = false
			if err != nil {
				return err
			}
		case <-w.s.failed:
			return w.s.err
		case <-closing:
			closing = nil
		}
	}
}

// pause runs what waits for a moment in which nothing is being written.
func (w *writer) pause() {
	select {
	case f := <-w.s.pauses:
		f()
	default:
	}
}

func (w *writer) full() bool {
	return len(w.building.requests) >= groupRequests || w.building.batch.Len() >= groupBytes
}

func (w *writer) takeQueued() error {
	for !w.full() {
		select {
		case r := <-w.s.queue:
			if err := w.take(r); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// take decides one request. Its answer waits for the group, also where it
// writes nothing: what it was decided on may not be durable yet.
func (w *writer) take(r *Request) error {
	w.building.requests = append(w.building.requests, r)
	if err := w.decide(r); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	return nil
}

// flush applies the group and hands it to the syncer. The caller has seen that
// no other group is in flight.
func (w *writer) flush() error {
	g := w.building
	if g.batch.Empty() {
		answer(g.requests, nil)
		g.requests = nil
		return nil
	}
	if err := w.advanceChecked(g); err != nil {
		return fmt.Errorf("move checked mark: %w", err)
	}
	w.commit++
	g.commit = w.commit
	c := layout.CommitRecord{First: g.first, Next: w.next, Events: g.events, Total: w.total}
	if err := g.batch.Set(layout.CommitKey(w.commit), c.Encode(), nil); err != nil {
		return err
	}
	for _, st := range g.written {
		if err := g.batch.Set(layout.HeadKey(st.name), st.Head.Encode(), nil); err != nil {
			return err
		}
		w.system = w.system || strings.HasPrefix(st.name, layout.SystemPrefix)
	}
	w.observeSyncing(g)
	// Visible to this process from here on; the fsync has begun.
	if err := w.s.db.ApplyNoSyncWait(g.batch, pebble.Sync); err != nil {
		return fmt.Errorf("write ahead log: %w", err)
	}
	g.view = w.s.newView(w.next, w.total, w.system)
	w.streams.settle(g.written)
	w.startGroup()
	w.inFlight = true
	w.syncing <- g
	return nil
}

// finish waits for the group's fsync, shows the group and answers it. A failed
// fsync is never retried: the kernel may have dropped the pages.
func (s *Log) finish(g *group) error {
	err := g.batch.SyncWait()
	if err == nil {
		s.observeSynced(g)
		err = s.Failure() // nothing is acknowledged after a failure elsewhere
	}
	if err != nil {
		err = fmt.Errorf("fsync of the write ahead log: %w", err)
		s.fail(err)
		answer(g.requests, s.Failure())
		return errors.Join(err, g.view.Release())
	}
	if err = s.mark.Move(g.commit, g.view.end, g.view.events); err == nil {
		if err = s.publish(g.view); err != nil {
			err = fmt.Errorf("publish durable view: %w", err)
		}
	}
	if err != nil {
		s.fail(err)
		answer(g.requests, s.Failure())
		return err
	}
	answer(g.requests, nil)
	return g.batch.Close()
}

func answer(requests []*Request, err error) {
	for _, r := range requests {
		if err != nil {
			r.result = Result{err: err}
		}
		close(r.done)
	}
}

// write numbers one event and adds it to the group under construction.
func (w *writer) write(st *streamState, p Proposal, flags byte) (position uint64, err error) {
	position = w.next
	revision := uint64(st.Last + 1)
	if p.JSON {
		flags |= layout.FlagJSON
	}
	if flags&layout.FlagTombstone != 0 {
		revision = layout.TombstoneRevision
	}
	w.created = max(w.created, layout.Ticks(w.s.now()))
	rec := Record{
		Flags: flags, ID: p.ID, Created: w.created, Revision: revision,
		Stream: []byte(st.name), Type: []byte(p.Type), Meta: p.Meta, Data: p.Data,
	}
	b := w.building.batch
	n := rec.Size()
	op := b.SetDeferred(9, n)
	layout.AppendEventKey(op.Key[:0], position)
	rec.Put(op.Value, position)
	if err := op.Finish(); err != nil {
		return 0, err
	}
	prefix := layout.IndexPrefix(st.name)
	op = b.SetDeferred(len(prefix)+8, layout.IndexEntrySize)
	copy(op.Key, layout.IndexKey(prefix, revision))
	IndexEntry{Position: position, ID: p.ID, Created: w.created}.Put(op.Value)
	if err := op.Finish(); err != nil {
		return 0, err
	}
	if flags&layout.FlagTombstone != 0 {
		st.Deleted = true
	} else {
		st.push(eventRef{p.ID, position})
	}
	w.next += layout.LogSize(n)
	w.total++
	w.building.events++
	w.touch(st)
	return position, nil
}

func (w *writer) touch(st *streamState) {
	if !st.dirty {
		st.dirty = true
		w.building.written = append(w.building.written, st)
	}
}

// writeMeta adds a metadata event to the stream's metastream and makes it count.
func (w *writer) writeMeta(st *streamState, p Proposal) (position uint64, err error) {
	ms, err := w.streams.get(layout.MetaPrefix + st.name)
	if err != nil {
		return 0, err
	}
	if position, err = w.write(ms, p, 0); err != nil {
		return 0, err
	}
	w.adoptMeta(st, p.Data, position)
	return position, nil
}

func (w *writer) adoptMeta(st *streamState, raw []byte, position uint64) {
	st.Meta = layout.ParseMeta(raw)
	st.rawMeta = raw
	st.MetaPosition = position
	w.touch(st)
}

func randomID() (id [16]byte, err error) {
	if _, err := rand.Read(id[:]); err != nil {
		return id, err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id, nil
}
