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
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// ForeignEvents tells of the events in the store that do not belong to the ledger (FORMATS §3):
// the sequence skips them, and they harm nothing. System streams are not looked at.
type ForeignEvents struct {
	Count       uint64       `json:"count"`
	First, Last ForeignEvent `json:",omitzero"`
}

// ForeignEvent says where one is. Its stream's name is somebody else's text, and told only where
// it has the form of the ledger's own.
type ForeignEvent struct {
	Position schemas.Position `json:"position"`
	Stream   schemas.Stream   `json:"stream,omitempty"`
	Created  time.Time        `json:"created"`
}

// Add counts one more.
func (f *ForeignEvents) Add(r schemas.RecordedEvent) {
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

// ForgedEvents tells of the events that Follow met, that count in the sequence, and that were not
// written with this vault. Those that were disowned since are in no number.
type ForgedEvents struct {
	Count  uint64        `json:"count"`
	Listed []ForgedEvent `json:"listed,omitempty"` // at most maxForgedListed, in the order of the ledger
}

// ForgedEvent says where one is. Tenant is the one that it names.
type ForgedEvent struct {
	ID     uuid.UUID      `json:"id"`
	Seq    uint64         `json:"sequence"`
	Stream schemas.Stream `json:"stream"`
	Tenant uuid.UUID      `json:"tenant"`
}

// maxForgedListed bounds the forged events that are kept by place, so that disowning
// them takes them out of the count.
const maxForgedListed = 2000

// foreignSuffix is what the notes' file has after the sequence index's name.
const foreignSuffix = ".foreign"

// foreignNotes are kept beside the index, since Follow does not read again what came before its
// anchor. They only tell: losing them loses a count, which `ledger check` makes anew. They are of
// the index's store: where the index is made anew, so are they.
type foreignNotes struct {
	Ledger uuid.UUID     `json:"ledger"`
	Events ForeignEvents `json:"events"`
	Forged ForgedEvents  `json:"forged"`
	Judged uint64        `json:"judged"` // sequences below it have been judged
	// Checkpoint is the index's as the notes were saved, nil where nothing was recorded before.
	Checkpoint *checkpoint `json:"checkpoint,omitempty"`

	path    string
	saved   uint64 // Judged, as it was saved
	changed bool   // since they were saved, in more than Judged
}

// judgedEvery is how many judged sequences may be judged again after a crash, and how many records
// of the index counted again. Tests lower it.
var judgedEvery uint64 = 1 << 16

// loadForeign reads the notes; damaged ones, or another ledger's, are begun anew.
func loadForeign(path string, ledger uuid.UUID) foreignNotes {
	var n foreignNotes
	raw, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(raw, &n) != nil || n.Ledger != ledger {
		n = foreignNotes{Ledger: ledger}
	}
	n.path, n.saved = path, n.Judged
	return n
}

// resetForeign begins the notes anew.
func (l *Ledger) resetForeign() {
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	l.foreign = foreignNotes{Ledger: l.id, path: l.foreign.path, changed: true}
}

// Foreign returns what Follow has met so far, in this and earlier runs on this index.
func (l *Ledger) Foreign() ForeignEvents {
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	return l.foreign.Events
}

// Forged returns the forged events that Follow has met so far, in this and earlier runs on this
// index, and that are not disowned. A process without vault judges none.
func (l *Ledger) Forged() ForgedEvents {
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	f := l.foreign.Forged
	f.Listed = slices.Clone(f.Listed)
	return f
}

// meet notes a foreign event, once however often it is read.
func (l *Ledger) meet(r schemas.RecordedEvent) {
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	if l.foreign.Events.Count > 0 && !earlier(l.foreign.Events.Last.Position, r.Position) {
		return
	}
	if l.foreign.Events.Count == 0 {
		l.cfg.Logger.Warn("the event store holds events that are not the ledger's; they are skipped and counted",
			"position", r.Position.String())
	}
	l.foreign.Events.Add(r)
	l.foreign.changed = true
}

// earlier orders positions as $all does.
func earlier(a, b schemas.Position) bool {
	return a.Commit < b.Commit || a.Commit == b.Commit && a.Prepare < b.Prepare
}

// unjudged returns the first sequence that is still to be judged, and false
// where this process judges none.
func (l *Ledger) unjudged() (uint64, bool) {
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	return l.foreign.Judged, l.cfg.Origin != nil
}

// judgeBatch notes the forged events of a batch, each once, and takes out
// what its genuine ones disown.
func (l *Ledger) judgeBatch(ctx context.Context, batch []schemas.Envelope) error {
	if l.cfg.Origin == nil {
		return nil
	}
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	for _, e := range batch {
		if e.Seq < l.foreign.Judged {
			continue
		}
		v, err := l.Judge(ctx, e)
		if err != nil {
			return err
		}
		l.foreign.Judged = e.Seq + 1
		switch {
		case v == Forged:
			l.noteForged(e)
		case v == Genuine && e.Type == DisownedType && l.foreign.Forged.Count > 0:
			if err := l.noteDisowned(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Ledger) noteForged(e schemas.Envelope) {
	f := &l.foreign.Forged
	if f.Count == 0 {
		l.cfg.Logger.Error("the event store holds an event that counts as the ledger's and was not written "+
			"with its vault", "event", e.ID, "sequence", e.Seq, "stream", e.Stream)
	}
	f.Count++
	l.foreign.changed = true
	if len(f.Listed) < maxForgedListed {
		f.Listed = append(f.Listed, ForgedEvent{e.ID, e.Seq, e.Stream, e.Meta().Tenant})
	}
}

// noteDisowned takes what a genuine event disowns out of the forged ones: its own
// tenant's, and any for the zero tenant.
func (l *Ledger) noteDisowned(ctx context.Context, e schemas.Envelope) error {
	d, v, err := Examine(ctx, l, schemas.Default(), e)
	if err != nil || v != Genuine || e.Stream != DisownedStream(d.Tenant) {
		return err
	}
	gone := map[Place]bool{}
	for _, p := range Places(d) {
		gone[p] = true
	}
	f := &l.foreign.Forged
	n := len(f.Listed)
	f.Listed = slices.DeleteFunc(f.Listed, func(e ForgedEvent) bool {
		return gone[Place{e.ID, e.Seq}] && (d.Tenant == uuid.Nil || d.Tenant == e.Tenant)
	})
	f.Count -= uint64(n - len(f.Listed))
	l.foreign.changed = true
	return nil
}

// saveForeign writes the notes where they have changed; with last, as far as they came.
func (l *Ledger) saveForeign(last bool) error {
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	ahead := max(l.foreign.Judged-l.foreign.saved, l.index.len()-min(l.index.len(), l.foreign.Checkpoint.records()))
	if !l.foreign.changed && ahead < judgedEvery && !(last && ahead > 0) {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("note foreign events: %w", err) }
	switch c, err := l.index.checkpoint(); {
	case err != nil:
		return fail(err)
	case c != nil:
		l.foreign.Checkpoint = c
	}
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
	l.foreign.changed, l.foreign.saved = false, l.foreign.Judged
	return nil
}

// readAll yields the ledger's events after a position, in order; foreign ones go to meet, where
// that is set. It is where the store's bytes enter this process.
func (l *Ledger) readAll(
	ctx context.Context, after schemas.Position, live bool, meet func(schemas.RecordedEvent),
) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		for r, err := range l.cfg.Store.ReadAll(ctx, after, live) {
			if err != nil {
				yield(schemas.Envelope{}, err)
				return
			}
			e, foreign := schemas.NewEnvelope(r)
			switch {
			case foreign == nil:
				if !yield(e, nil) {
					return
				}
			case meet != nil:
				meet(r)
			}
		}
	}
}
