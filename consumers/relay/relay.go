// Package relay follows the ledger and publishes every event to its topic, in rounds
// (docs/FORMATS.md §8).
//
// It owns the order in which events reach a partition and the relay's record in ledger.position.
// It may lose nothing: whatever dies, the next start finds in the partitions themselves what was
// published, and goes on after it; what comes twice lies within one round and is dropped by the
// consumer's rule. It trusts the ledger for the events and their numbering, and the broker only
// for acknowledgements: offsets that went back and topics that are others now stop it. What others
// wrote into its topics, ledger.position included, is told and skipped. DESIGN.md beside this file
// walks through the failures.
package relay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/schemas"
)

// Ledger is what the relay needs of the ledger.
type Ledger interface {
	ID() uuid.UUID
	// At returns the event of a sequence, and false where the ledger does not reach it.
	At(ctx context.Context, seq uint64) (schemas.Envelope, bool, error)
	// Follow hands over the events after the anchor, or all where from is nil, in batches whose
	// sequences are contiguous, and then waits for more, until ctx ends or handle errs, whose
	// error it returns. It errs when the event at the anchor is not the one the anchor names.
	Follow(ctx context.Context, from *schemas.Anchor, handle func(context.Context, []schemas.Envelope) error) error
}

// Publisher is what the relay needs of the broker; consumers/kafka has it.
type Publisher interface {
	// Prepare creates the topics that must exist before any consumer starts.
	Prepare(ctx context.Context) error
	// Route returns an event's topic and key, Partition the partition of a key among n.
	Route(e schemas.Envelope) (topic, key string)
	Partition(key string, n int) int
	// Topics returns the topics that exist of those that events are published to. Describe returns
	// a topic's id and its first and end offsets, none where it does not exist. Ensure creates
	// topics that do not exist; Drop deletes one, ledger.position too, and waits until it is gone.
	Topics(ctx context.Context) ([]string, error)
	Describe(ctx context.Context, topic string) (id uuid.UUID, first, end []int64, err error)
	Ensure(ctx context.Context, topics ...string) error
	Drop(ctx context.Context, topic string) error
	// Publish writes events of one partition in their order, trying once. It returns how many,
	// from the first, were acknowledged, the offset of the first of them and the offset after the
	// last.
	Publish(
		ctx context.Context, ledger uuid.UUID, topic string, partition int, events []schemas.Envelope,
	) (acked int, base, next int64, err error)
	// ReadEvents reads at least one record from offset from on and before to. It returns those
	// that are events of that ledger, with their offsets, and the offset after the last record
	// read.
	ReadEvents(ctx context.Context, ledger uuid.UUID, topic string, partition int, from,
		to int64) (events []schemas.Envelope, offsets []int64, next int64, err error)
	// Positions yields what has the form of a position in ledger.position, the newest first.
	// SavePosition adds one and returns its offset.
	Positions(ctx context.Context) iter.Seq2[consumers.Position, error]
	SavePosition(ctx context.Context, p consumers.Position) (offset int64, err error)
}

// Errors by which callers branch. Both end Run for good.
var (
	// ErrDataLoss: the broker lost what it had acknowledged, or a topic is another one now. Refill
	// repairs it.
	ErrDataLoss = errors.New("the broker lost published events")
	// ErrDiverged: the topics were filled from another ledger, or from one that went on where this
	// one does not. Nothing repairs it without a decision: see RefillAll.
	ErrDiverged = errors.New("published events are not the ledger's")
	// ErrBusy: the relay is running or refilling already.
	ErrBusy = errors.New("the relay is at work already")
)

// Hook points, in the order in which a round passes them. PointPublish and PointPublished come
// once per partition of the round and concurrently.
const (
	PointRecovered = "recovered" // the position is read and the topics exist
	PointPublish   = "publish"   // before a partition's part of a round is sent
	PointPublished = "published" // after it was acknowledged
	PointAcked     = "acked"     // all of the round is acknowledged, its position is not noted
	PointNoted     = "noted"     // the position is noted
	PointDropped   = "dropped"   // refill: a damaged topic is deleted, not yet created
	PointRefilled  = "refilled"  // refill: everything is published, the position is not noted
)

// Config of a relay.
type Config struct {
	Ledger    Ledger
	Publisher Publisher
	Logger    *slog.Logger

	MaxEvents  int           // of a round; default 4,000, at most consumers.MaxRound
	MaxBytes   int           // of a round's data and metadata; default 8 MiB
	MaxBackoff time.Duration // bounds the pauses between attempts to publish; default 5 s

	CheckEvery time.Duration // how often the topics are looked at while nothing is published; default 10 s

	// Trim, where set, removes the records of ledger.position before an offset. It is for a broker
	// that does not compact; without it the broker must.
	Trim func(ctx context.Context, before int64) error
	// Foreign, where set, is what the publisher counts foreign records in, for Status.
	Foreign *consumers.ForeignCount

	// Head returns the ledger's newest sequence, false where it is empty. It is asked for Status
	// only; without it the lag counts what the ledger handed over.
	Head func() (seq uint64, ok bool)
	// Progress, where set, is told while topics are filled again, of how many of the ledger's
	// events how many have been gone through.
	Progress func(done, of uint64)
	// Hook is called at the named points, concurrently; its error ends Run as a crash there would.
	Hook  func(point string) error
	Clock func() time.Time // default time.Now
}

// Validate joins all errors of the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Ledger == nil {
		errs = append(errs, errors.New("relay: no ledger"))
	}
	if c.Publisher == nil {
		errs = append(errs, errors.New("relay: no publisher"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("relay: no logger"))
	}
	if c.MaxEvents < 0 || c.MaxBytes < 0 || c.MaxBackoff < 0 || c.CheckEvery < 0 {
		errs = append(errs, errors.New("relay: a limit is negative"))
	}
	if c.MaxEvents > consumers.MaxRound {
		// Consumers tell repetitions by their last MaxRound events.
		errs = append(errs, fmt.Errorf("relay: a round of %d events, at most %d", c.MaxEvents, consumers.MaxRound))
	}
	return errors.Join(errs...)
}

// Relay publishes one ledger to one broker. Two at once are harmless but wasteful: each writes
// every event in order, and consumers drop the second copy.
type Relay struct {
	cfg  Config
	busy sync.Mutex // held by Run and Refill
	work sync.Mutex // held by whoever changes the state of a Run: a round, or the look at idle topics

	status status
	board  board
}

// New returns a relay that does nothing yet.
func New(cfg Config) (*Relay, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.MaxEvents == 0 {
		cfg.MaxEvents = 4000
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 8 << 20
	}
	if cfg.MaxBackoff == 0 {
		cfg.MaxBackoff = 5 * time.Second
	}
	if cfg.CheckEvery == 0 {
		cfg.CheckEvery = 10 * time.Second
	}
	if cfg.Foreign == nil {
		cfg.Foreign = new(consumers.ForeignCount)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Hook == nil {
		cfg.Hook = func(string) error { return nil }
	}
	return &Relay{cfg: cfg}, nil
}

// Run publishes until ctx ends, and then returns nil, having completed the round it was in unless
// the broker failed. It returns ErrDataLoss, ErrDiverged, the ledger's own error for an anchor
// that does not match, or what the ledger failed with. Once it follows the ledger, it repeats
// while the broker cannot be reached, and Status says so; when it cannot be reached at the start,
// Run returns that error. A broker that refuses the relay's account, or has a right of it missing,
// ends Run.
func (r *Relay) Run(ctx context.Context) error {
	if !r.busy.TryLock() {
		return ErrBusy
	}
	defer r.busy.Unlock()
	r.status.begin(StateRecovering)
	defer r.status.begin(StateStopped)
	err := r.run(ctx)
	if err != nil && ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	if err != nil {
		r.status.failed(err)
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

func (r *Relay) run(ctx context.Context) error {
	s, err := r.recover(ctx)
	if err != nil {
		return err
	}
	if err := r.cfg.Hook(PointRecovered); err != nil {
		return err
	}
	r.status.begin(StateFollowing)
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { r.watch(ctx, s, cancel) })
	defer watching.Wait()
	defer cancel(nil)
	err = r.cfg.Ledger.Follow(ctx, s.through, func(ctx context.Context, batch []schemas.Envelope) error {
		r.status.received(batch)
		return r.each(batch, func(round []schemas.Envelope) error {
			r.work.Lock()
			defer r.work.Unlock()
			return r.round(ctx, s, round)
		})
	})
	if cause := context.Cause(ctx); errors.Is(cause, ErrDataLoss) {
		return cause
	}
	return err
}

// each cuts a batch into rounds.
func (r *Relay) each(batch []schemas.Envelope, do func([]schemas.Envelope) error) error {
	for len(batch) > 0 {
		n, size := 0, 0
		for n < len(batch) && n < r.cfg.MaxEvents && (n == 0 || size+batch[n].Size() <= r.cfg.MaxBytes) {
			size += batch[n].Size()
			n++
		}
		if err := do(batch[:n]); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// round publishes a contiguous range of the sequence and notes the position after it.
func (r *Relay) round(ctx context.Context, s *state, events []schemas.Envelope) error {
	if err := s.contiguous(events); err != nil {
		return err
	}
	if len(events) > consumers.MaxRound {
		return fmt.Errorf("a round of %d events, at most %d", len(events), consumers.MaxRound)
	}
	parts, err := r.split(ctx, s, events, nil)
	if err != nil {
		return err
	}
	if err := r.publish(ctx, s, parts); err != nil {
		return err
	}
	if err := r.cfg.Hook(PointAcked); err != nil {
		return err
	}
	s.through = r.anchor(events[len(events)-1])
	if err := r.note(ctx, s); err != nil {
		return err
	}
	r.status.noted(*s.through, len(events), r.cfg.Clock())
	return r.cfg.Hook(PointNoted)
}

func (r *Relay) anchor(e schemas.Envelope) *schemas.Anchor {
	a := e.Anchor(r.cfg.Ledger.ID())
	return &a
}

// How many positions are kept where they are trimmed, and after how many more they are.
const (
	keptPositions = 100
	trimEvery     = 1000
)

// note writes the position, repeating until it is acknowledged. Where its topic is gone, as a
// whole or with the broker's data, it is made again: the position is all that it holds.
func (r *Relay) note(ctx context.Context, s *state) error {
	if s.tail != nil {
		if err := s.tail.verifyHeads(ctx); err != nil {
			return err
		}
		if s.tail.done() {
			s.tail = nil
		}
	}
	p := s.position()
	var offset int64
	err := r.until(ctx, "note the position", func(ctx context.Context) (bool, error) {
		var err error
		if offset, err = r.cfg.Publisher.SavePosition(ctx, p); err != nil {
			return false, errors.Join(err, r.cfg.Publisher.Ensure(ctx, consumers.PositionTopic))
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	r.board.set(p)
	s.notedAt, s.again = offset, false
	if offset < s.trimmed {
		s.trimmed = 0 // another topic
	}
	if before := offset - keptPositions; r.cfg.Trim != nil && before-s.trimmed >= trimEvery {
		s.trimmed = before // not again at once where it fails
		if err := r.cfg.Trim(context.WithoutCancel(ctx), before); err != nil {
			r.cfg.Logger.Warn("older positions could not be removed", "before", before, "error", err)
		}
	}
	return nil
}

// until repeats an attempt until it succeeds, says that its error is final, or ctx ends. An
// attempt is not interrupted when ctx ends, so that a stop leaves whole rounds; the publisher
// bounds it.
func (r *Relay) until(ctx context.Context, what string, attempt func(context.Context) (final bool, err error)) error {
	pauses := retry.Policy{First: 20 * time.Millisecond, Longest: r.cfg.MaxBackoff}.Begin()
	for {
		final, err := attempt(context.WithoutCancel(ctx))
		if err == nil {
			r.status.recovered()
			return nil
		}
		if final {
			return err
		}
		err = fmt.Errorf("%s: %w", what, err)
		r.status.refused(err)
		if errors.Is(err, consumers.ErrAuthentication) || errors.Is(err, consumers.ErrNotAuthorized) {
			return err // the broker's answer will be the same tomorrow
		}
		r.cfg.Logger.Warn("the relay repeats what the broker did not acknowledge", "error", err,
			"within", pauses.Most())
		if pauses.Wait(ctx) != nil {
			return context.Cause(ctx)
		}
	}
}
