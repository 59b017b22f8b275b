package eventlog

import (
	"bytes"
	"fmt"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Expectation is what a client requires of the stream: one of these, or an
// exact revision ≥ 0.
type Expectation int64

// Expectations other than an exact revision.
const (
	ExpectNoStream Expectation = -1
	ExpectAny      Expectation = -2
	ExpectExists   Expectation = -4
)

type decision int

const (
	decisionOK decision = iota
	decisionIdempotent
	decisionWrongVersion
	decisionDeleted
)

// check compares the expectation and the ids with the stream, as a real
// server's index writer does. For decisionIdempotent it also returns the last
// repeated event.
func (w *writer) check(st *streamState, expect Expectation, events []Proposal) (decision, int64, eventRef, error) {
	var none eventRef
	deleted, err := w.tombstoned(st)
	if err != nil {
		return 0, 0, none, err
	}
	if deleted {
		return decisionDeleted, 0, none, nil
	}
	if expect == ExpectExists {
		if st.Meta.SoftDeleted() {
			return decisionDeleted, 0, none, nil
		}
		if st.Last < 0 && st.MetaPosition == 0 {
			return decisionWrongVersion, 0, none, nil
		}
	}
	if expect == ExpectAny || expect == ExpectExists {
		return w.checkRecent(st, events)
	}
	switch {
	case int64(expect) > st.Last:
		return decisionWrongVersion, 0, none, nil
	case int64(expect) == st.Last:
		return decisionOK, 0, none, nil
	}
	// A stale revision: either a repetition, or a conflict.
	revision := int64(expect)
	var ref eventRef
	for i, e := range events {
		revision++
		if revision > st.Last {
			return decisionWrongVersion, 0, none, nil
		}
		if ref, err = w.streams.at(st, revision); err != nil {
			return 0, 0, none, err
		}
		if ref.id == e.ID {
			continue
		}
		if i == 0 && expect == ExpectNoStream && st.Meta.SoftDeleted() {
			return decisionOK, 0, none, nil
		}
		return decisionWrongVersion, 0, none, nil
	}
	if len(events) == 0 {
		return decisionWrongVersion, 0, none, nil
	}
	return decisionIdempotent, revision, ref, nil
}

// checkRecent finds repetitions among the stream's newest ids.
func (w *writer) checkRecent(st *streamState, events []Proposal) (decision, int64, eventRef, error) {
	var ref eventRef
	var revision int64
	if err := w.streams.load(st); err != nil {
		return 0, 0, ref, err
	}
	for i, e := range events {
		rev, found, ok := st.find(e.ID)
		switch {
		case !ok && i == 0:
			return decisionOK, 0, ref, nil
		case !ok:
			return decisionWrongVersion, 0, ref, nil
		}
		revision, ref = rev, found
	}
	if len(events) == 0 {
		return decisionOK, 0, ref, nil
	}
	return decisionIdempotent, revision, ref, nil
}

// tombstoned tells whether the stream, or for a metastream its stream, has ended.
func (w *writer) tombstoned(st *streamState) (bool, error) {
	if !layout.IsMetastream(st.name) {
		return st.Deleted, nil
	}
	orig, err := w.streams.get(layout.OriginalOf(st.name))
	if err != nil {
		return false, err
	}
	return st.Deleted || orig.Deleted, nil
}

// decide sets the request's result and writes what it causes into the group.
func (w *writer) decide(r *Request) error {
	st, err := w.streams.get(r.Stream)
	if err != nil {
		return err
	}
	events := r.Events
	if r.Kind != KindAppend {
		id, err := randomID()
		if err != nil {
			return err
		}
		events = []Proposal{{ID: id}}
	}
	d, revision, ref, err := w.check(st, r.Expect, events)
	if err != nil {
		return err
	}
	switch d {
	case decisionDeleted:
		r.result = Result{Outcome: OutcomeDeleted, Last: st.Last}
		return nil
	case decisionWrongVersion:
		r.result = Result{Outcome: OutcomeWrongVersion, Last: st.Last}
		return nil
	case decisionIdempotent:
		r.result = Result{Last: revision, Position: ref.position, HasPosition: true, Repeated: true}
		return nil
	}
	switch r.Kind {
	case KindDelete:
		if st.Last < 0 && st.MetaPosition == 0 { // a real server's rule for this alone: a tombstone needs no stream
			r.result = Result{Outcome: OutcomeWrongVersion, Last: st.Last}
			return nil
		}
		position, err := w.writeMeta(st, Proposal{ID: events[0].ID, JSON: true, Type: layout.TypeMetadata,
			Data: layout.SoftDeleteMeta})
		r.result = Result{Last: st.Last, Position: position, HasPosition: true}
		return err
	case KindTombstone:
		position, err := w.write(st, Proposal{ID: events[0].ID, Type: layout.TypeTombstone}, layout.FlagTombstone)
		r.result = Result{Last: st.Last, Position: position, HasPosition: true}
		return err
	default:
		return w.append(st, r)
	}
}

func (w *writer) append(st *streamState, r *Request) error {
	r.result = Result{Last: st.Last}
	if len(r.Events) == 0 {
		return nil
	}
	revived := st.Last + 1
	softDeleted := st.Meta.SoftDeleted()
	for _, p := range r.Events {
		position, err := w.write(st, p, 0)
		if err != nil {
			return err
		}
		r.result = Result{Last: st.Last, Position: position, HasPosition: true}
	}
	if layout.IsMetastream(st.name) {
		orig, err := w.streams.get(layout.OriginalOf(st.name))
		if err != nil {
			return err
		}
		wasDeleted := orig.Meta.SoftDeleted()
		w.adoptMeta(orig, r.Events[len(r.Events)-1].Data, r.result.Position)
		if wasDeleted {
			if err := w.undelete(orig, orig.Last+1); err != nil {
				return err
			}
		}
	}
	if softDeleted {
		return w.undelete(st, revived)
	}
	return nil
}

// undelete writes the stream's metadata again with $tb at the first revision
// that is to be seen.
func (w *writer) undelete(st *streamState, first int64) error {
	raw := st.rawMeta
	if raw == nil && st.MetaPosition != 0 {
		v, err := disk.Get(w.s.db, layout.EventKey(st.MetaPosition))
		if err != nil {
			return fmt.Errorf("metadata at position %d: %w", st.MetaPosition, err)
		}
		rec, err := layout.DecodeRecord(st.MetaPosition, v)
		if err != nil {
			return err
		}
		raw = bytes.Clone(rec.Data)
	}
	data, ok := layout.UndeleteMeta(raw, first)
	if !ok {
		return nil // no JSON object: the client's own metadata decides
	}
	id, err := randomID()
	if err != nil {
		return err
	}
	_, err = w.writeMeta(st, Proposal{ID: id, JSON: true, Type: layout.TypeMetadata, Data: data})
	return err
}
