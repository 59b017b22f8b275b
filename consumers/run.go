package consumers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Config of a run. Exactly one of Handler and Raw is set.
type Config struct {
	Source  Source
	Handler Handler
	Raw     RawHandler // for topics that are not the ledger's; nothing is decoded and nothing dropped

	// DeadLetter takes what cannot be handled. Without it such a message ends the run.
	DeadLetter DeadLetter
	// Positions keeps the highest handled sequence per partition. Without it the run knows only its own.
	Positions Positions
	// Ledger, where set, is the only ledger whose events are handled; another's are not handled but parked.
	Ledger uuid.UUID

	Retries    int           // attempts for one message after the first; default 5, -1 for none
	Backoff    time.Duration // before the first repetition, doubled for each; default 100 ms
	MaxBackoff time.Duration // default 10 s
	Drain      time.Duration // how long the batch in hand may take after ctx ended; default 10 s

	Logger *slog.Logger
}

// Validate joins all errors of the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Source == nil {
		errs = append(errs, errors.New("consumers: no source"))
	}
	if (c.Handler == nil) == (c.Raw == nil) {
		errs = append(errs, errors.New("consumers: want exactly one of handler and raw handler"))
	}
	if c.Raw != nil && (c.Positions != nil || c.Ledger != uuid.Nil) {
		errs = append(errs, errors.New("consumers: a raw handler has no sequences and no ledger"))
	}
	if c.Retries < -1 || c.Backoff < 0 || c.MaxBackoff < 0 || c.Drain < 0 {
		errs = append(errs, errors.New("consumers: a limit is negative"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("consumers: no logger"))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	or := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	switch c.Retries {
	case 0:
		c.Retries = 5
	case -1:
		c.Retries = 0
	}
	or(&c.Backoff, 100*time.Millisecond)
	or(&c.MaxBackoff, 10*time.Second)
	or(&c.Drain, 10*time.Second)
	return c
}

// errStopped says that ctx ended before the batch in hand was handled; it is not committed.
var errStopped = errors.New("stopped")

// Run fetches, handles, persists and commits until ctx ends, and then returns nil after the batch in hand.
//
// Within a partition an event whose sequence is not above the highest handled is dropped: it is a repetition. A batch whose
// handler fails is handled message by message; one that still fails after the retries goes to DeadLetter and the
// stream goes on. A parking or a saved position that fails ends the run with its error, and nothing is committed.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	r := &runner{Config: cfg.withDefaults(), highest: map[partition]mark{}}
	for {
		messages, err := r.Source.Fetch(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("consume: fetch: %w", err)
		}
		if len(messages) == 0 {
			continue
		}
		err = r.batch(ctx, messages)
		if errors.Is(err, errStopped) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("consume: %w", err)
		}
	}
}

type partition struct {
	topic  string
	number int
}

// mark is a highest handled sequence, where there is one.
type mark struct {
	seq uint64
	any bool
}

func (m mark) covers(seq uint64) bool { return m.any && seq <= m.seq }

// runner belongs to the goroutine of Run.
type runner struct {
	Config
	highest map[partition]mark
}

// item is a message and, for topics of the ledger, its event.
type item struct {
	message Message
	event   schemas.Recorded
}

// batch handles what was fetched, persists the positions and commits.
func (r *runner) batch(ctx context.Context, messages []Message) error {
	// The work goes on for a while after ctx ended: a stop should leave whole batches.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	release := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(r.Drain, cancel)
		context.AfterFunc(work, func() { t.Stop() })
	})
	defer release()

	items, reached, err := r.prepare(ctx, work, messages)
	if err != nil {
		return err
	}
	if err := r.handle(ctx, work, items); err != nil {
		return err
	}
	for p, m := range reached {
		if r.Positions != nil && m != r.highest[p] {
			if err := r.Positions.Save(work, p.topic, p.number, m.seq); err != nil {
				return fmt.Errorf("save the position of %s/%d: %w", p.topic, p.number, err)
			}
		}
		r.highest[p] = m
	}
	if err := r.Source.Commit(work, messages); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// prepare decodes messages, parks those that are not the ledger's, and drops repetitions. It returns what is to be
// handled and the sequence each partition has reached when that is done.
func (r *runner) prepare(ctx, work context.Context, messages []Message) ([]item, map[partition]mark, error) {
	items := make([]item, 0, len(messages))
	reached := map[partition]mark{}
	for _, m := range messages {
		if r.Raw != nil {
			items = append(items, item{message: m})
			continue
		}
		p := partition{m.Topic, m.Partition}
		at, ok := reached[p]
		if !ok {
			var err error
			if at, err = r.load(work, p); err != nil {
				return nil, nil, err
			}
			reached[p] = at
		}
		d, err := Decode(m)
		if err == nil && r.Ledger != uuid.Nil && d.Ledger != r.Ledger {
			err = fmt.Errorf("%s/%d@%d is of ledger %s: %w", m.Topic, m.Partition, m.Offset, d.Ledger, ErrTampered)
		}
		if err != nil {
			if err := r.park(ctx, work, m, err); err != nil {
				return nil, nil, err
			}
			continue
		}
		if at.covers(d.Seq) {
			continue
		}
		reached[p] = mark{d.Seq, true}
		items = append(items, item{m, d.Recorded})
	}
	return items, reached, nil
}

func (r *runner) load(ctx context.Context, p partition) (mark, error) {
	if m, ok := r.highest[p]; ok || r.Positions == nil {
		return m, nil
	}
	seq, ok, err := r.Positions.Load(ctx, p.topic, p.number)
	if err != nil {
		return mark{}, fmt.Errorf("load the position of %s/%d: %w", p.topic, p.number, err)
	}
	m := mark{seq, ok}
	r.highest[p] = m
	return m, nil
}

// handle hands over the batch at once and, where that fails, each message by itself.
func (r *runner) handle(ctx, work context.Context, items []item) error {
	if len(items) == 0 {
		return nil
	}
	err := r.attempt(ctx, work, items, 0)
	if err == nil || errors.Is(err, errStopped) {
		return err
	}
	if len(items) > 1 {
		r.Logger.Warn("a batch failed; its messages are handled one by one", "messages", len(items), "error", err)
	}
	for i := range items {
		one := items[i : i+1]
		err := r.attempt(ctx, work, one, r.Retries)
		if errors.Is(err, errStopped) {
			return err
		}
		if err != nil {
			if err := r.park(ctx, work, one[0].message, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// attempt calls the handler, and again up to retries times; without limit while its surroundings are unavailable.
func (r *runner) attempt(ctx, work context.Context, items []item, retries int) error {
	for wait := r.Backoff; ; wait = min(2*wait, r.MaxBackoff) {
		err := r.call(work, items)
		if err == nil {
			return nil
		}
		if work.Err() != nil {
			return errStopped
		}
		if !errors.Is(err, ErrUnavailable) {
			if retries == 0 {
				return err
			}
			retries--
		}
		if !pause(ctx, wait) {
			return errStopped
		}
	}
}

func (r *runner) call(ctx context.Context, items []item) error {
	if r.Raw != nil {
		messages := make([]Message, len(items))
		for i, it := range items {
			messages[i] = it.message
		}
		return r.Raw(ctx, messages)
	}
	events := make([]schemas.Recorded, len(items))
	for i, it := range items {
		events[i] = it.event
	}
	return r.Handler(ctx, events)
}

// park puts a message aside, or fails: then the run ends and the message is not committed.
func (r *runner) park(ctx, work context.Context, m Message, cause error) error {
	where := fmt.Sprintf("%s/%d@%d", m.Topic, m.Partition, m.Offset)
	if r.DeadLetter == nil {
		return fmt.Errorf("%s cannot be handled and there is no dead letter: %w", where, cause)
	}
	wait := r.Backoff
	for tries := 0; ; tries++ {
		err := r.DeadLetter.Park(work, m, cause)
		if err == nil {
			r.Logger.Error("a message was parked", "topic", m.Topic, "partition", m.Partition, "offset", m.Offset, "error", cause)
			return nil
		}
		if tries == r.Retries {
			return fmt.Errorf("park %s, which failed with %w: %w", where, cause, err)
		}
		if work.Err() != nil || !pause(ctx, wait) {
			return errStopped
		}
		wait = min(2*wait, r.MaxBackoff)
	}
}

// pause waits, and reports false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil // both may be ready
	case <-ctx.Done():
		return false
	}
}
