package consumers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/schemas"
)

// Config of a run. Exactly one of Handler and Raw is set.
type Config struct {
	Source  Source
	Handler Handler
	Raw     RawHandler // for topics that are not the ledger's; nothing is decoded and nothing dropped

	// DeadLetter takes what cannot be handled. Without it such a message ends the run.
	DeadLetter DeadLetter
	// Positions keeps the events handled last of each partition. Without it the run knows only its
	// own.
	Positions Positions
	// Ledger, where set, is the only ledger whose events are handled. Another's are foreign.
	Ledger uuid.UUID

	// Unjudged takes every record as it comes. Otherwise, where Source is Noted, a record waits
	// until the relay has noted an end above it; what is then not the ledger's is skipped and
	// counted. It is the default because a forged record is otherwise handled as a genuine one,
	// and because the wait is that for the end of a round: milliseconds. A run that does not
	// judge parks what it cannot read.
	Unjudged bool
	// Foreign, where set, counts what was skipped, for whoever shows it.
	Foreign *ForeignCount

	Retries    int           // attempts for one message after the first; default 5, -1 for none
	Backoff    time.Duration // bounds the pause before the first repetition, doubled for each; default 100 ms
	MaxBackoff time.Duration // bounds every pause; default 10 s
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
	if c.Raw != nil && (c.Positions != nil || c.Ledger != uuid.Nil || c.Foreign != nil) {
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
	if c.Foreign == nil {
		c.Foreign = new(ForeignCount)
	}
	return c
}

// errStopped says that ctx ended before the batch in hand was handled; it is not committed.
var errStopped = errors.New("stopped")

// Run fetches, handles, persists and commits until ctx ends, and then returns nil after the batch
// in hand.
//
// Within a partition a repetition is dropped (Window). A batch whose handler fails is handled
// message by message; one that still fails after the retries goes to DeadLetter and the stream
// goes on. A parking or a saved position that fails ends the run with its error, and nothing is
// committed. So does ErrForged, after what came before it was handled: the error names the
// command that fills the topic again.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	r := &runner{Config: cfg.withDefaults(), windows: map[partition]*Window{}, held: map[partition][]item{}}
	if noted, ok := cfg.Source.(Noted); ok && cfg.Raw == nil && !cfg.Unjudged {
		r.noted = noted
	}
	for {
		items, err := r.next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("consume: %w", err)
		}
		if len(items) == 0 {
			continue
		}
		err = r.batch(ctx, items)
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

// item is a message and, for topics of the ledger, its event.
type item struct {
	message Message
	event   Delivered
	err     error  // why it is not an event
	since   uint64 // the position that was newest when it was first judged, counted from 1; 0 before
}

// What is held at most until the relay has noted its end. Beyond it nothing is fetched.
const (
	maxHeld   = 20_000
	maxHeldBy = 64 << 20
)

// runner belongs to the goroutine of Run.
type runner struct {
	Config
	windows map[partition]*Window

	noted    Noted // nil where nothing is judged
	position Position
	changes  uint64 // how many positions were seen
	held     map[partition][]item
	holding  int
	bytes    int
	wait     time.Duration
}

// next returns messages that may be handled or skipped now, in their partitions' order; none after
// a while in which there were none.
func (r *runner) next(ctx context.Context) ([]item, error) {
	fetch, cancel := ctx, context.CancelFunc(func() {})
	if r.holding > 0 {
		fetch, cancel = context.WithTimeout(ctx, r.wait)
	}
	defer cancel()
	var messages []Message
	if r.holding >= maxHeld || r.bytes >= maxHeldBy {
		<-fetch.Done()
	} else {
		var err error
		if messages, err = r.Source.Fetch(fetch); err != nil && (r.holding == 0 || fetch.Err() == nil) {
			return nil, fmt.Errorf("fetch: %w", err)
		}
	}
	items := make([]item, len(messages))
	for i, m := range messages {
		items[i] = item{message: m}
		if r.Raw == nil {
			items[i].event, items[i].err = Decode(m)
		}
	}
	if r.noted == nil {
		return items, nil
	}
	return r.judged(ctx, items)
}

const (
	leastWait = 2 * time.Millisecond
	mostWait  = 250 * time.Millisecond
)

// judged holds what was fetched and returns what the newest position lets go.
func (r *runner) judged(ctx context.Context, fetched []item) ([]item, error) {
	for _, it := range fetched {
		p := partition{it.message.Topic, it.message.Partition}
		r.held[p] = append(r.held[p], it)
		r.holding++
		r.bytes += recordSize(it.message)
	}
	if len(fetched) > 0 {
		r.wait = leastWait
	}
	if r.holding == 0 || ctx.Err() != nil {
		return nil, nil
	}
	position, ok, err := r.noted.LastPosition(ctx)
	if err != nil {
		return nil, fmt.Errorf("position of the relay: %w", err)
	}
	if ok && (r.changes == 0 || position.Through != r.position.Through) {
		r.changes++
	}
	if ok {
		r.position = position
	}
	var out []item
	for p, items := range r.held {
		n := 0
		for n < len(items) && r.judge(p, &items[n]) {
			r.bytes -= recordSize(items[n].message)
			n++
		}
		out = append(out, items[:n]...)
		r.holding -= n
		if n == len(items) {
			delete(r.held, p)
		} else {
			r.held[p] = items[n:]
		}
	}
	if len(out) == 0 {
		r.wait = min(2*r.wait, mostWait)
	}
	return out, nil
}

// judge reports whether it is known what a record is, and notes in it why it is not the ledger's.
// What has no event in it never will be; anything else waits for an end above it.
func (r *runner) judge(p partition, it *item) bool {
	if it.err != nil {
		return true
	}
	if r.changes == 0 {
		return false
	}
	foreign := func(format string, args ...any) bool {
		it.err = fmt.Errorf("%w: %s", errForeign, fmt.Sprintf(format, args...))
		return true
	}
	through := r.position.Through
	if it.since == 0 {
		it.since = r.changes
	}
	ends := r.position.Topics[p.topic].Ends
	switch {
	case !EventTopic(p.topic):
		return foreign("the topic is none of events")
	case it.event.Ledger != through.LedgerID:
		return foreign("it is of ledger %s", it.event.Ledger)
	case p.number < len(ends) && it.message.Offset < ends[p.number]:
		if it.event.Seq > through.Seq {
			return foreign("it has sequence %d where the relay had published %d", it.event.Seq, through.Seq)
		}
		return true
	case len(ends) == 0 && r.changes > it.since:
		// A topic is named by the first position after the first event in it.
		return foreign("the relay does not publish to this topic")
	}
	return false
}

var errForeign = errors.New("it is not the relay's")

func recordSize(m Message) int {
	n := 64 + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// batch handles what may be, persists what was handled and commits.
func (r *runner) batch(ctx context.Context, items []item) error {
	// The work goes on for a while after ctx ended: a stop should leave whole batches.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	release := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(r.Drain, cancel)
		context.AfterFunc(work, func() { t.Stop() })
	})
	defer release()

	b, err := r.prepare(ctx, work, items)
	if err != nil {
		return err
	}
	if err := r.handle(ctx, work, b.items); err != nil {
		return err
	}
	for p, handled := range b.handled {
		if r.Positions != nil {
			if err := r.Positions.Save(work, p.topic, p.number, handled); err != nil {
				return fmt.Errorf("save what was handled of %s/%d: %w", p.topic, p.number, err)
			}
		}
	}
	if len(b.passed) > 0 {
		if err := r.Source.Commit(work, b.passed); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	return b.forged
}

// prepared is a batch that is ready to be handled.
type prepared struct {
	items   []item                  // to be handled
	handled map[partition][]Handled // what they are
	passed  []Message               // to be committed when that is done
	forged  error                   // what ends the run then
}

// prepare sets aside what is not the ledger's and drops repetitions.
func (r *runner) prepare(ctx, work context.Context, items []item) (prepared, error) {
	b := prepared{items: make([]item, 0, len(items)), handled: map[partition][]Handled{}}
	stopped := map[partition]bool{}
	for _, it := range items {
		p := partition{it.message.Topic, it.message.Partition}
		if stopped[p] {
			continue
		}
		if r.Raw != nil {
			b.items, b.passed = append(b.items, it), append(b.passed, it.message)
			continue
		}
		if it.err == nil && r.Ledger != uuid.Nil && it.event.Ledger != r.Ledger {
			it.err = fmt.Errorf("%w: it is of ledger %s", errForeign, it.event.Ledger)
		}
		if it.err != nil {
			if err := r.setAside(ctx, work, it); err != nil {
				return b, err
			}
			b.passed = append(b.passed, it.message)
			continue
		}
		w, err := r.window(work, p)
		if err != nil {
			return b, err
		}
		h := Handled{Seq: it.event.Seq, Leaf: it.event.Leaf()}
		repeated, err := w.Repeats(h)
		if err != nil {
			// What came before it is handled and committed first, so that the next run ends here
			// too.
			stopped[p] = true
			b.forged = errors.Join(b.forged, fmt.Errorf("%s/%d@%d: %w; fill the topic again: %s",
				p.topic, p.number, it.message.Offset, err, Refill(p.topic)))
			continue
		}
		b.passed = append(b.passed, it.message)
		if !repeated {
			w.Add(h)
			b.items, b.handled[p] = append(b.items, it), append(b.handled[p], h)
		}
	}
	return b, nil
}

// setAside skips and counts a foreign record where records are judged, and parks it otherwise.
func (r *runner) setAside(ctx, work context.Context, it item) error {
	m := it.message
	if r.noted == nil {
		return r.park(ctx, work, m, it.err)
	}
	if r.Foreign.Add(m.Topic, m.Partition, m.Offset) {
		r.Logger.Warn("skipped a record that is not the ledger's; further ones of the partition are only counted",
			"topic", m.Topic, "partition", m.Partition, "offset", m.Offset, "error", it.err, "remove by",
			Refill(m.Topic))
	}
	return nil
}

func (r *runner) window(ctx context.Context, p partition) (*Window, error) {
	if w := r.windows[p]; w != nil {
		return w, nil
	}
	w := new(Window)
	if r.Positions != nil {
		last, err := r.Positions.Load(ctx, p.topic, p.number)
		if err != nil {
			return nil, fmt.Errorf("load what was handled of %s/%d: %w", p.topic, p.number, err)
		}
		for _, h := range last {
			w.Add(h)
		}
	}
	r.windows[p] = w
	return w, nil
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

// attempt calls the handler, and again up to retries times; without limit while its surroundings
// are unavailable.
func (r *runner) attempt(ctx, work context.Context, items []item, retries int) error {
	for pauses := r.pauses(); ; {
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
		if pauses.Wait(ctx) != nil {
			return errStopped
		}
	}
}

func (r *runner) pauses() *retry.Pauses {
	return retry.Policy{First: r.Backoff, Longest: r.MaxBackoff}.Begin()
}

func (r *runner) call(ctx context.Context, items []item) error {
	if r.Raw != nil {
		messages := make([]Message, len(items))
		for i, it := range items {
			messages[i] = it.message
		}
		return r.Raw(ctx, messages)
	}
	events := make([]schemas.Envelope, len(items))
	for i, it := range items {
		events[i] = it.event.Envelope
	}
	return r.Handler(ctx, events)
}

// park puts a message aside, or fails: then the run ends and the message is not committed.
func (r *runner) park(ctx, work context.Context, m Message, cause error) error {
	where := fmt.Sprintf("%s/%d@%d", m.Topic, m.Partition, m.Offset)
	if r.DeadLetter == nil {
		return fmt.Errorf("%s cannot be handled and there is no dead letter: %w", where, cause)
	}
	pauses := r.pauses()
	for tries := 0; ; tries++ {
		err := r.DeadLetter.Park(work, m, cause)
		if err == nil {
			r.Logger.Error("a message was parked", "topic", m.Topic, "partition", m.Partition, "offset", m.Offset,
				"error", cause)
			return nil
		}
		if tries == r.Retries {
			return fmt.Errorf("park %s, which failed with %w: %w", where, cause, err)
		}
		if work.Err() != nil || pauses.Wait(ctx) != nil {
			return errStopped
		}
	}
}
