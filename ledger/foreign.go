package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// ForeignEvents tells of the events in the store that do not belong to the ledger (FORMATS §3): the
// sequence skips them, and they harm nothing. System streams are not looked at.
type ForeignEvents struct {
	Count       uint64       `json:"count"`
	First, Last ForeignEvent `json:",omitzero"`
}

// ForeignEvent says where one is. Its stream's name is somebody else's text, and told only where it
// has the form of the ledger's own.
type ForeignEvent struct {
	Position schemas.Position `json:"position"`
	Stream   schemas.Stream   `json:"stream,omitempty"`
	Created  time.Time        `json:"created"`
}

// Add counts one more.
func (f *ForeignEvents) Add(r schemas.Recorded) {
	at := ForeignEvent{Position: r.Position, Created: r.Created}
	if r.Stream.Valid() {
		at.Stream = r.Stream
	}
	if f.Count == 0 {
		f.First = at
	}
	f.Last = at
	f.Count++
}

// foreignSuffix is what the notes' file has after the sequence index's name.
const foreignSuffix = ".foreign"

// foreignNotes are kept beside the index, since Follow does not read again what came before its
// anchor. They only tell: losing them loses a count, which reconcile makes anew.
type foreignNotes struct {
	Ledger uuid.UUID     `json:"ledger"`
	Events ForeignEvents `json:"events"`

	path    string
	changed bool // since they were saved
}

// loadForeign reads the notes; damaged ones, or another ledger's, are begun anew.
func loadForeign(path string, ledger uuid.UUID) foreignNotes {
	var n foreignNotes
	raw, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(raw, &n) != nil || n.Ledger != ledger {
		n = foreignNotes{Ledger: ledger}
	}
	n.path = path
	return n
}

// Foreign returns what Follow has met so far, in this and earlier runs on this index.
func (l *Ledger) Foreign() ForeignEvents {
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	return l.foreign.Events
}

// meet notes a foreign event, once however often it is read.
func (l *Ledger) meet(r schemas.Recorded) {
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	if l.foreign.Events.Count > 0 && r.Position.Commit <= l.foreign.Events.Last.Position.Commit {
		return
	}
	if l.foreign.Events.Count == 0 {
		l.cfg.Logger.Warn("the event store holds events that are not the ledger's; they are skipped and counted",
			"position", r.Position.String())
	}
	l.foreign.Events.Add(r)
	l.foreign.changed = true
}

// saveForeign writes the notes where they have changed.
func (l *Ledger) saveForeign() error {
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	if !l.foreign.changed {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("note foreign events: %w", err) }
	f, err := os.CreateTemp(filepath.Dir(l.foreign.path), ".foreign-*")
	if err != nil {
		return fail(err)
	}
	_, err = f.Write(schemas.JSON(l.foreign))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), l.foreign.path)
	}
	if err != nil {
		if gone := os.Remove(f.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return fail(err)
	}
	l.foreign.changed = false
	return nil
}

// readAll yields the ledger's events after a position, in order; foreign ones go to meet, where that is set.
func (l *Ledger) readAll(ctx context.Context, after schemas.Position, live bool, meet func(schemas.Recorded)) iter.Seq2[schemas.Recorded, error] {
	return func(yield func(schemas.Recorded, error) bool) {
		for r, err := range l.cfg.Store.ReadAll(ctx, after, live) {
			if err == nil && !schemas.InLedger(r.Event) {
				if meet != nil {
					meet(r)
				}
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
