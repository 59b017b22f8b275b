package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/internal/flow"
	"github.com/ledgerline/ledgerline/internal/retry"
)

// Crash points: Config.Hook is called with each of these names where the projector passes it.
const (
	HookBeforeInsert = "projector.before-insert"
	HookAfterInsert  = "projector.after-insert" // rows durable, position not saved
	HookAfterSave    = "projector.after-save"
)

// Config is what a Projector needs. Zero limits take the defaults named beside them.
type Config struct {
	Name      string // of the position; "projector"
	Source    Source
	Sink      Sink
	Positions Positions
	Log       *slog.Logger
	Now       func() time.Time
	Hook      func(point string) error // crash points of tests; an error ends Run
	Observer  Observer                 // nobody where nil

	BatchBytes int           // 16 MiB: a batch is written when it holds as much, or
	BatchRows  int           // 20,000 rows, or some milliseconds after its first row, but then no sooner than
	BatchWait  time.Duration // 250 ms after the one before was begun, or up to 2 s where inserts are slow
	Discover   time.Duration // 1 s: how often new partitions are looked for
	Heartbeat  time.Duration // 2 s: how often an idle projector saves its position (a rebuild waits for a save)
	Stall      time.Duration // 30 s: so long after a published sequence is missed, everything is read again
	BackoffMin time.Duration // 100 ms: bounds the first wait after an error, doubled up to
	BackoffMax time.Duration // 5 s
}

// Validate joins everything that is missing.
func (c Config) Validate() error {
	var errs []error
	if c.Source == nil {
		errs = append(errs, errors.New("source is missing"))
	}
	if c.Sink == nil {
		errs = append(errs, errors.New("sink is missing"))
	}
	if c.Positions == nil {
		errs = append(errs, errors.New("positions are missing"))
	}
	if c.Log == nil {
		errs = append(errs, errors.New("logger is missing"))
	}
	if c.BatchBytes < 0 || c.BatchRows < 0 || c.BatchWait < 0 || c.Discover < 0 || c.Heartbeat < 0 || c.Stall < 0 ||
		c.BackoffMin < 0 || c.BackoffMax < 0 {
		errs = append(errs, errors.New("a limit is negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("projector: %w", err)
	}
	return nil
}

func orElse[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Projector applies the topics to the views. Run it once.
type Projector struct {
	cfg   Config
	queue *flow.Queue[delivery] // from all partition readers to the one applier; in order within a partition

	gate   Gate
	status statusBoard
}

// delivery is one row with its place in its partition.
type delivery struct {
	offset int64
	row    *Row // of row.Partition
	size   int  // of the row
}

// New returns a projector that has not begun.
func New(cfg Config) (*Projector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	orElse(&cfg.Name, "projector")
	orElse(&cfg.BatchBytes, 16<<20)
	orElse(&cfg.BatchRows, 20_000)
	orElse(&cfg.BatchWait, 250*time.Millisecond)
	orElse(&cfg.Discover, time.Second)
	orElse(&cfg.Heartbeat, 2*time.Second)
	orElse(&cfg.Stall, 30*time.Second)
	orElse(&cfg.BackoffMin, 100*time.Millisecond)
	orElse(&cfg.BackoffMax, 5*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Hook == nil {
		cfg.Hook = func(string) error { return nil }
	}
	if cfg.Observer != nil {
		cfg.Sink = observedSink{cfg.Sink, cfg.Observer, cfg.Now}
	}
	// As much as a batch has, so that the next one is made while this one is inserted.
	queue := flow.New(cfg.BatchBytes, cfg.BatchRows, func(d delivery) int { return d.size })
	return &Projector{cfg: cfg, queue: queue}, nil
}

// Run reads every partition from the saved position and applies until ctx ends, which returns
// nil. It returns an error only where a hook does. Errors of the source or the sink are retried
// for as long as it takes and shown in Status; so is what somebody else wrote into the topics,
// which stops at most the partition that it contradicts.
func (p *Projector) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &applier{p: p}
	if err := p.retry(ctx, "load the position", a.load); err != nil {
		return endOf(ctx, err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.discover(ctx, a.start) })
	wg.Go(func() { p.followNotes(ctx) })
	err := a.run(ctx)
	cancel(err) // readers blocked on the queue leave
	wg.Wait()
	return endOf(ctx, err)
}

// endOf says what ended Run: nil where the caller's context did.
func endOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) &&
		!errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("projector: %w", cause)
	}
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return fmt.Errorf("projector: %w", err)
}

// retry calls do until it succeeds or ctx ends. Every failure shows in Status and, once a run of
// failures, in the log.
func (p *Projector) retry(ctx context.Context, what string, do func(context.Context) error) error {
	p.status.began(what, p.cfg.Now())
	defer p.status.ended(what)
	return p.await(ctx, what, do)
}

// await is retry for what waits for others, and is no problem for as long as it does.
func (p *Projector) await(ctx context.Context, what string, do func(context.Context) error) error {
	pauses := p.pauses()
	for failures := 0; ; failures++ {
		err := do(ctx)
		if err == nil {
			if failures > 0 {
				p.status.recovered(what)
				p.cfg.Log.Info("projector goes on", "operation", what, "failures", failures)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if permanent(err) {
			return err
		}
		p.status.failed(what, err, p.cfg.Now())
		if failures == 0 {
			p.cfg.Log.Warn("projector retries", "operation", what, "error", err)
		}
		if err := pauses.Wait(ctx); err != nil {
			return err
		}
	}
}

func (p *Projector) pauses() *retry.Pauses {
	return retry.Policy{First: p.cfg.BackoffMin, Longest: p.cfg.BackoffMax}.Begin()
}

// permanent errors are those that no retry repairs.
func permanent(err error) bool {
	var h *hookError
	return errors.As(err, &h)
}

type hookError struct{ err error }

func (e *hookError) Error() string { return e.err.Error() }
func (e *hookError) Unwrap() error { return e.err }

func (p *Projector) hook(point string) error {
	if err := p.cfg.Hook(point); err != nil {
		return &hookError{fmt.Errorf("%s: %w", point, err)}
	}
	return nil
}
