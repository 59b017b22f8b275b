package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Errors of completing a store by which callers branch.
var (
	// ErrLonger: a stream of the store holds more than the published ledger had there
	// when its next event was appended.
	ErrLonger = errors.New("the stream holds more than the published ledger has")
	// ErrGap: an event's revision is so far beyond the end of its stream that
	// no foreign events explain it.
	ErrGap = errors.New("the event's revision is too far beyond the end of its stream")
)

// FillerType is the type of what takes the place of a foreign event in a store that was completed.
// It has no metadata, so it is foreign itself (FORMATS §3): it keeps a revision and says nothing.
const FillerType = "ledgerline-filler"

// Limits of completing.
const (
	maxRun     = 256       // events in one append
	maxFillers = 1_000_000 // foreign events in one gap of a stream
)

// CompleteConfig says what completes which store.
type CompleteConfig struct {
	Store Store
	// Published yields every published event, from sequence 0 without a gap. Each pass reads anew.
	Published func(context.Context) iter.Seq2[schemas.Envelope, error]
	// Through is the last event that was noted as published. Those after it
	// are taken where they fit.
	Through schemas.Anchor
	// Origin is Config.Origin: the vault must be that of the published ledger.
	Origin func(ctx context.Context, tenant uuid.UUID) (schemas.OriginKey, bool, error)
	// Progress, where not nil, is told how many of the published events are compared or appended.
	Progress func(done uint64, appending bool)
}

// Validate joins everything that is missing.
func (c CompleteConfig) Validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("complete config: Store is missing"))
	}
	if c.Published == nil {
		errs = append(errs, errors.New("complete config: Published is missing"))
	}
	if c.Origin == nil {
		errs = append(errs, errors.New("complete config: Origin is missing"))
	}
	return errors.Join(errs...)
}

// Completed tells what Complete found and did.
type Completed struct {
	Held      uint64 `json:"held"`      // ledger events that the store held before
	Published uint64 `json:"published"` // events read back
	Appended  uint64 `json:"appended"`
	Fillers   uint64 `json:"fillers"` // placeholders for foreign events that the lost store had between
	// of those published: in the sequence, and made by no holder of this vault
	Forged  uint64         `json:"forged"`
	LeftOut uint64         `json:"leftOut"` // of those after the noted end: they do not fit
	Last    schemas.Anchor `json:"-"`       // the last event of the completed ledger; zero where nothing was appended
}

// Complete appends to an older copy of a store, or an empty one, what it lacks of the published
// ledger: the same events in the same order, at their revisions, byte for byte. A first pass
// changes nothing: it reads everything published to its end, and compares with it all that the
// store holds; ErrDiverged names the first sequence that differs, and ErrOtherVault says that the
// vault did not make the first event. A last pass compares the whole completed store. It can be
// repeated after any interruption. The sequence index is not its own: drop it after.
func Complete(ctx context.Context, cfg CompleteConfig) (Completed, error) {
	if err := cfg.Validate(); err != nil {
		return Completed{}, err
	}
	if cfg.Progress == nil {
		cfg.Progress = func(uint64, bool) {}
	}
	c := completion{cfg: cfg}
	err := c.compare(ctx)
	if err == nil && c.done.Held < c.done.Published {
		if err = c.appendRest(ctx); err == nil {
			err = c.verify(ctx)
		}
	}
	if err != nil {
		return c.done, fmt.Errorf("complete the event store: %w", err)
	}
	return c.done, nil
}

type completion struct {
	cfg  CompleteConfig
	done Completed
}

func (c *completion) genuine(ctx context.Context, r schemas.Envelope) (bool, error) {
	k, known, err := c.cfg.Origin(ctx, r.Meta().Tenant)
	if err != nil {
		return false, fmt.Errorf("sequence %d: %w", r.Seq, err)
	}
	return known && r.Genuine(k), nil
}

// compare is the first pass.
func (c *completion) compare(ctx context.Context) error {
	next, stop := iter.Pull2(c.cfg.Store.ReadAll(ctx, schemas.Position{}, false))
	defer stop()
	held := func() (schemas.Envelope, bool, error) { // the store's next ledger event
		for {
			r, err, ok := next()
			if !ok || err != nil {
				return schemas.Envelope{}, false, err
			}
			if e, foreign := schemas.NewEnvelope(r); foreign == nil {
				c.done.Held++
				return e, true, nil
			}
		}
	}
	more := true // in the store
	var anchored bool
	for p, err := range c.cfg.Published(ctx) {
		if err != nil {
			return err
		}
		if p.Seq != c.done.Published {
			return fmt.Errorf("sequence %d was read back where %d follows", p.Seq, c.done.Published)
		}
		c.done.Published++
		want := p.Leaf()
		fine, err := c.genuine(ctx, p)
		if err != nil {
			return err
		}
		if !fine {
			c.done.Forged++
		}
		if p.Seq == 0 {
			if err := c.first(p, fine); err != nil {
				return err
			}
		}
		if p.Seq == c.cfg.Through.Seq {
			if anchored = p.ID == c.cfg.Through.EventID && want == c.cfg.Through.Leaf; !anchored {
				return fmt.Errorf("sequence %d was read back as event %s, noted was %s: %w",
					p.Seq, p.ID, c.cfg.Through.EventID, ErrDiverged)
			}
		}
		if more {
			var r schemas.Envelope
			if r, more, err = held(); err != nil {
				return err
			}
			if more && r.Leaf() != want {
				return fmt.Errorf("at sequence %d the event store holds event %s of %s, the topics event "+
					"%s of %s: %w", p.Seq, r.ID, r.Stream, p.ID, p.Stream, ErrDiverged)
			}
		}
		c.cfg.Progress(c.done.Published, false)
	}
	if !anchored {
		return fmt.Errorf("what was read back ends at sequence %d, noted was %d: %w",
			int64(c.done.Published)-1, c.cfg.Through.Seq, ErrDiverged)
	}
	for more { // the store is longer: that much is told
		var err error
		if _, more, err = held(); err != nil {
			return err
		}
	}
	return nil
}

// first checks the first event: it names the ledger, and this vault made it.
func (c *completion) first(p schemas.Envelope, genuine bool) error {
	id, err := createdID(p)
	if err != nil {
		return err
	}
	if id != c.cfg.Through.LedgerID {
		return fmt.Errorf("the first event read back is of ledger %s, the position of %s: %w",
			id, c.cfg.Through.LedgerID, ErrDiverged)
	}
	if !genuine {
		return fmt.Errorf("ledger %s: %w", id, ErrOtherVault)
	}
	return nil
}

// appendRest is the second pass.
func (c *completion) appendRest(ctx context.Context) error {
	var run []schemas.Envelope
	size := 0
	ids := map[uuid.UUID]bool{}
	flush := func() (fits bool, err error) {
		if len(run) == 0 {
			return true, nil
		}
		err = c.append(ctx, run)
		if err != nil && run[0].Seq > c.cfg.Through.Seq && (errors.Is(err, ErrLonger) || errors.Is(err, ErrGap)) {
			// Published and never noted: a copy of an event that is in the
			// ledger already, or the like.
			c.done.LeftOut = c.done.Published - run[0].Seq
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("sequence %d: %w", run[0].Seq, err)
		}
		c.done.Appended += uint64(len(run))
		c.cfg.Progress(c.done.Held+c.done.Appended, true)
		run, size = run[:0], 0
		clear(ids)
		return true, nil
	}
	for p, err := range c.cfg.Published(ctx) {
		if err != nil {
			return err
		}
		if p.Seq < c.done.Held {
			continue
		}
		if p.Seq >= c.done.Published {
			break // it has come since the first pass
		}
		if n := len(run); n > 0 {
			if last := run[n-1]; last.Stream != p.Stream || last.Revision+1 != p.Revision || n == maxRun ||
				size+p.Size() > schemas.MaxAppendBytes || ids[p.ID] || p.Seq > c.cfg.Through.Seq {
				if fits, err := flush(); err != nil || !fits {
					return err
				}
			}
		}
		run = append(run, p)
		size += p.Size()
		ids[p.ID] = true
	}
	_, err := flush()
	return err
}

// append appends consecutive events of one stream at their revisions. Where others' events lay
// between in the store that was lost, placeholders take their revisions.
func (c *completion) append(ctx context.Context, run []schemas.Envelope) error {
	s, first := run[0].Stream, run[0].Revision
	events := make([]schemas.Event, len(run))
	for i, r := range run {
		events[i] = r.Event
	}
	if run[0].Seq <= c.cfg.Through.Seq {
		_, err := appendRetrying(ctx, c.cfg.Store, s, before(first), events)
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	var next uint64
	for r, err := range c.cfg.Store.ReadStream(ctx, s, 0) {
		if err != nil {
			return err
		}
		next = r.Revision + 1
	}
	switch {
	case next > first, next == first && run[0].Seq <= c.cfg.Through.Seq:
		return fmt.Errorf("%s has %d events, the next of the published ledger is its event %d: %w",
			s, next, first, ErrLonger)
	case first-next > maxFillers:
		return fmt.Errorf("%s has %d events, the next of the published ledger is its event %d: %w",
			s, next, first, ErrGap)
	}
	for next < first {
		var fillers []schemas.Event
		for r := next; r < first && len(fillers) < maxRun; r++ {
			fillers = append(fillers, filler(s, r))
		}
		if _, err := appendRetrying(ctx, c.cfg.Store, s, before(next), fillers); err != nil {
			return err
		}
		next += uint64(len(fillers))
		c.done.Fillers += uint64(len(fillers))
	}
	_, err := appendRetrying(ctx, c.cfg.Store, s, before(first), events)
	return err
}

// before is what an append expects whose first event gets that revision.
func before(revision uint64) Expect {
	if revision == 0 {
		return NoStream
	}
	return Exact(revision - 1)
}

// filler takes a revision of a stream. Its id follows from that, so that
// repeating it is the same append.
func filler(s schemas.Stream, revision uint64) schemas.Event {
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(FillerType+string(s)), revision))
	return schemas.Event{ID: schemas.UUIDv8(h[:]), Stream: s, Type: FillerType, Data: json.RawMessage(`{}`)}
}

// verify compares the whole completed store with what was published, as the first pass did: a
// store answers an append that it takes for a repetition as if it had been done.
func (c *completion) verify(ctx context.Context) error {
	if c.done.Appended == 0 {
		return nil
	}
	again := completion{cfg: c.cfg}
	if err := again.compare(ctx); err != nil {
		return err
	}
	if want := c.done.Held + c.done.Appended; again.done.Held != want {
		return fmt.Errorf("the store holds %d events of the ledger after the last append, not %d: %w",
			again.done.Held, want, ErrDiverged)
	}
	last, err := lastOf(ctx, c.cfg.Store)
	if err != nil {
		return err
	}
	last.Seq = again.done.Held - 1
	c.done.Last = last.Anchor(c.cfg.Through.LedgerID)
	return nil
}
