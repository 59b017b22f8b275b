package eventstore

import (
	"bytes"
	"fmt"
)

// expectation is what a client requires of the stream: one of these, or an
// exact revision ≥ 0.
type expectation int64

const (
	expectNoStream expectation = -1
	expectAny      expectation = -2
	expectExists   expectation = -4
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
func (w *writer) check(st *streamState, expect expectation, events []proposal) (decision, int64, eventRef, error) {
	var none eventRef
	deleted, err := w.tombstoned(st)
	if err != nil {
		return 0, 0, none, err
	}
	if deleted {
		return decisionDeleted, 0, none, nil
	}
	if expect == expectExists {
		if st.meta.softDeleted() {
			return decisionDeleted, 0, none, nil
		}
		if st.last < 0 && st.metaPosition == 0 {
			return decisionWrongVersion, 0, none, nil
		}
	}
	if expect == expectAny || expect == expectExists {
		return w.checkRecent(st, events)
	}
	switch {
	case int64(expect) > st.last:
		return decisionWrongVersion, 0, none, nil
	case int64(expect) == st.last:
		return decisionOK, 0, none, nil
	}
	// A stale revision: either a repetition, or a conflict.
	revision := int64(expect)
	var ref eventRef
	for i, e := range events {
		revision++
		if revision > st.last {
			return decisionWrongVersion, 0, none, nil
		}
		if ref, err = w.streams.at(st, revision); err != nil {
			return 0, 0, none, err
		}
		if ref.id == e.id {
			continue
		}
		if i == 0 && expect == expectNoStream && st.meta.softDeleted() {
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
func (w *writer) checkRecent(st *streamState, events []proposal) (decision, int64, eventRef, error) {
	var ref eventRef
	var revision int64
	if err := w.streams.load(st); err != nil {
		return 0, 0, ref, err
	}
	for i, e := range events {
		rev, found, ok := st.find(e.id)
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
	if !isMetastream(st.name) {
		return st.deleted, nil
	}
	orig, err := w.streams.get(originalOf(st.name))
	if err != nil {
		return false, err
	}
	return st.deleted || orig.deleted, nil
}

// decide sets the request's result and writes what it causes into the group.
func (w *writer) decide(r *request) error {
	st, err := w.streams.get(r.stream)
	if err != nil {
		return err
	}
	events := r.events
	if r.kind != kindAppend {
		id, err := randomID()
		if err != nil {
			return err
		}
		events = []proposal{{id: id}}
	}
	d, revision, ref, err := w.check(st, r.expect, events)
	if err != nil {
		return err
	}
	switch d {
	case decisionDeleted:
		r.result = result{outcome: outcomeDeleted, last: st.last}
		return nil
	case decisionWrongVersion:
		r.result = result{outcome: outcomeWrongVersion, last: st.last}
		return nil
	case decisionIdempotent:
		r.result = result{last: revision, position: ref.position, hasPosition: true}
		return nil
	}
	switch r.kind {
	case kindDelete:
		position, err := w.writeMeta(st, proposal{id: events[0].id, json: true, typ: typeMetadata, data: softDeleteMeta})
		r.result = result{last: st.last, position: position, hasPosition: true}
		return err
	case kindTombstone:
		position, err := w.write(st, proposal{id: events[0].id, typ: typeTombstone}, flagTombstone)
		r.result = result{last: st.last, position: position, hasPosition: true}
		return err
	default:
		return w.append(st, r)
	}
}

func (w *writer) append(st *streamState, r *request) error {
	r.result = result{last: st.last}
	if len(r.events) == 0 {
		return nil
	}
	revived := st.last + 1
	softDeleted := st.meta.softDeleted()
	for _, p := range r.events {
		position, err := w.write(st, p, 0)
		if err != nil {
			return err
		}
		r.result = result{last: st.last, position: position, hasPosition: true}
	}
	if softDeleted {
		return w.undelete(st, revived)
	}
	if !isMetastream(st.name) {
		return nil
	}
	orig, err := w.streams.get(originalOf(st.name))
	if err != nil {
		return err
	}
	wasDeleted := orig.meta.softDeleted()
	w.adoptMeta(orig, r.events[len(r.events)-1].data, r.result.position)
	if wasDeleted {
		return w.undelete(orig, orig.last+1)
	}
	return nil
}

// undelete writes the stream's metadata again with $tb at the first revision
// that is to be seen.
func (w *writer) undelete(st *streamState, first int64) error {
	raw := st.rawMeta
	if raw == nil && st.metaPosition != 0 {
		v, err := getCopy(w.s.db, eventKey(st.metaPosition))
		if err != nil {
			return fmt.Errorf("metadata at position %d: %w", st.metaPosition, err)
		}
		rec, err := decodeRecord(st.metaPosition, v)
		if err != nil {
			return err
		}
		raw = bytes.Clone(rec.data)
	}
	data, ok := undeleteMeta(raw, first)
	if !ok {
		return nil // no JSON object: the client's own metadata decides
	}
	id, err := randomID()
	if err != nil {
		return err
	}
	_, err = w.writeMeta(st, proposal{id: id, json: true, typ: typeMetadata, data: data})
	return err
}
