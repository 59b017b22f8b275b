package projections_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// views is a Sink and Positions in memory. Like the real one it may have a row in its base and
// not in its views, until the row is inserted again.
type views struct {
	mu       sync.Mutex
	base     map[uint64][]projections.Stored
	complete map[uint64]bool
	position map[string]projections.Position
	inserts  int
	fail     func(operation string) error
	broken   []string // what must never be
}

func newViews() *views {
	return &views{base: map[uint64][]projections.Stored{}, complete: map[uint64]bool{},
		position: map[string]projections.Position{}}
}

func (v *views) failure(operation string) error {
	if v.fail == nil {
		return nil
	}
	return v.fail(operation)
}

func (v *views) Insert(_ context.Context, rows []projections.Row) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.inserts++
	if err := v.failure("insert"); err != nil {
		return err
	}
	for _, r := range rows {
		row := projections.Stored{Leaf: r.Leaf, Partition: r.Partition}
		// As in ClickHouse, what has another key stays beside it.
		v.base[r.Seq] = append(slices.DeleteFunc(v.base[r.Seq],
			func(s projections.Stored) bool { return s.Leaf == r.Leaf }), row)
	}
	if err := v.failure("views"); err != nil {
		return err
	}
	for _, r := range rows {
		v.complete[r.Seq] = true
	}
	return v.failure("answer")
}

func (v *views) Stored(_ context.Context, seqs []uint64) (map[uint64][]projections.Stored, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := map[uint64][]projections.Stored{}
	for _, seq := range seqs {
		if rows := v.base[seq]; len(rows) > 0 {
			out[seq] = slices.Clone(rows)
		}
	}
	return out, v.failure("stored")
}

// check verifies that the views hold exactly those events' leaves.
func (v *views) check(t *testing.T, events []chtest.Event) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range events {
		leaf := e.Leaf()
		if !v.complete[e.Seq] || !slices.ContainsFunc(v.base[e.Seq],
			func(s projections.Stored) bool { return s.Leaf == leaf }) {
			t.Errorf("event %d is not in the views", e.Seq)
		}
	}
}

func (v *views) LoadPosition(_ context.Context, name string) (projections.Position, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.position[name]
	p.Next = maps.Clone(p.Next)
	return p, v.failure("load")
}

func (v *views) SavePosition(_ context.Context, name string, p projections.Position) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.failure("save"); err != nil {
		return err
	}
	for seq := range p.Applied {
		if !v.complete[seq] {
			v.broken = append(v.broken, fmt.Sprintf("position says %d are applied, and %d is not", p.Applied, seq))
			break
		}
	}
	if old := v.position[name]; p.Saved < old.Saved { // the same again: its answer was lost
		v.broken = append(v.broken, fmt.Sprintf("saved %d after %d", p.Saved, old.Saved))
	}
	p.Next = maps.Clone(p.Next)
	v.position[name] = p
	return v.failure("saved")
}

func (v *views) AppliedAbove(_ context.Context, p projections.Position) iter.Seq2[uint64, error] {
	v.mu.Lock()
	defer v.mu.Unlock()
	var seqs []uint64
	for seq, rows := range v.base {
		for _, row := range rows {
			if place, ok := p.Next[row.Partition]; ok && seq >= p.Applied && seq <= place.LastSeq {
				seqs = append(seqs, seq)
				break
			}
		}
	}
	slices.Sort(seqs)
	return func(yield func(uint64, error) bool) {
		for _, s := range seqs {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// running is a projector that runs until it is stopped or ends.
type running struct {
	*projections.Projector
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, cfg projections.Config) *running {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p, err := projections.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{p, cancel, make(chan error, 1)}
	go func() { r.done <- p.Run(ctx) }()
	return r
}

func (r *running) stop() error {
	r.cancel()
	return <-r.done
}

func TestPositionNeverSaysMoreThanTheViewsHold(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	for round := range 40 {
		t.Logf("SEED=%d round %d", seed, round)
		synctest.Test(t, func(t *testing.T) { crashRound(t, rand.New(rand.NewPCG(seed, uint64(round)))) })
	}
}

// crashRound publishes piece by piece, with repeats, into topics that come and once are lost, to
// a projector that crashes and whose sink and source fail before and after their effect.
func crashRound(t *testing.T, r *rand.Rand) {
	l, topics, v := chtest.NewLedger(r.Uint64(), 2, 3), chtest.NewTopics(1+r.IntN(3)), newViews()
	var mu sync.Mutex // of what faults use
	calm, faults := false, rand.New(rand.NewPCG(r.Uint64(), 2))
	fail := func(operation string) error {
		mu.Lock()
		defer mu.Unlock()
		if !calm && faults.IntN(12) == 0 {
			return errors.New(operation + " failed")
		}
		return nil
	}
	v.fail = fail
	topics.FailWith(fail)
	errCrash := errors.New("crash")
	hook := func(string) error {
		mu.Lock()
		defer mu.Unlock()
		if !calm && faults.IntN(15) == 0 {
			return errCrash
		}
		return nil
	}
	cfg := projections.Config{Source: topics, Sink: v, Positions: v, Hook: hook, BatchRows: 1 + r.IntN(20)}
	p := start(t, cfg)
	var events []chtest.Event
	for step := range 25 {
		if step == 12 && r.IntN(2) == 0 {
			topics.Recreate(1 + r.IntN(3))
			topics.Publish(events...)
		}
		more := l.Events(1 + r.IntN(15))
		events = append(events, more...)
		topics.Publish(more...)
		if r.IntN(3) == 0 {
			topics.Publish(more[r.IntN(len(more)):]...)
		}
		if r.IntN(3) == 0 { // a part of an old round that was stored late
			from := r.IntN(len(events))
			topics.Publish(events[from:min(len(events), from+10)]...)
		}
		if r.IntN(2) == 0 {
			p := topics.Partition(events[r.IntN(len(events))].Stream)
			forged := more[0].Envelope
			forged.Seq = 1_000_000 + r.Uint64N(1e9)
			topics.Write(p, projections.Item{Foreign: errors.New("garbage")}, projections.Item{Envelope: forged})
			if r.IntN(2) == 0 {
				topics.Note()
			}
		}
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond) // the bubble's clock
		select {
		case err := <-p.done:
			p.cancel()
			if !errors.Is(err, errCrash) {
				t.Fatalf("projector ended: %v", err)
			}
			p = start(t, cfg)
		default:
			if r.IntN(8) == 0 {
				if err := p.stop(); err != nil && !errors.Is(err, errCrash) {
					t.Fatalf("projector ended: %v", err)
				}
				p = start(t, cfg)
			}
		}
	}
	mu.Lock()
	calm = true
	mu.Unlock()
	if err := p.stop(); err != nil && !errors.Is(err, errCrash) {
		t.Fatalf("projector ended: %v", err)
	}
	topics.Note()
	p = start(t, cfg)
	time.Sleep(2 * time.Minute) // the bubble's clock: a reread after a stall included
	s := p.Status()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if want := uint64(len(events)); s.Applied != want || s.Ahead != 0 || s.Lag != 0 || s.Published != want ||
		s.LastError != "" {
		t.Errorf("of %d events: %+v", want, s)
	}
	if got := v.position["projector"].Applied; got != s.Applied {
		t.Errorf("position %d, status %d", got, s.Applied)
	}
	if len(s.Conflicts) > 0 {
		t.Errorf("conflicts %v", s.Conflicts)
	}
	for seq := range v.base {
		if seq >= uint64(len(events)) {
			t.Errorf("forged sequence %d is in the views", seq)
		}
	}
	v.check(t, events)
	for _, b := range v.broken {
		t.Error(b)
	}
}

// What is none of the ledger's is skipped, counted and shown, and stops nothing: no headers, an
// event of nobody, a sequence above what the relay published.
func TestForeignRecordsAreSkippedAndShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics, v := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1), newViews()
		events := l.Events(30)
		topics.Publish(events[:10]...)
		ahead := events[3].Envelope
		ahead.Seq = 1_000_000
		name := topics.Partition(events[3].Stream)
		topics.Write(name, projections.Item{Foreign: errors.New("no headers")},
			projections.Item{Foreign: schemas.ErrForeign}, projections.Item{Envelope: ahead})
		p := start(t, projections.Config{Source: topics, Sink: v, Positions: v})
		time.Sleep(time.Second)
		if s := p.Status(); s.Applied != 10 || len(s.Foreign) != 1 || s.Foreign[0].Count != 2 {
			t.Errorf("before an end above them is noted: %+v", s)
		}
		topics.Publish(events[10:]...)
		time.Sleep(5 * time.Second) // kinds that had no event are discovered
		s := p.Status()
		shown, _, _ := strings.Cut(name, "#")
		first := s.Foreign[0].First
		if want := (projections.Foreign{Partition: shown, Count: 3, First: first,
			Last: first + 2}); len(s.Foreign) != 1 || s.Foreign[0] != want ||
			s.Applied != 30 || s.Lag != 0 || s.LastError != "" || len(s.Conflicts) != 0 {
			t.Errorf("%+v, want %+v", s, want)
		}
		v.check(t, events)
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		// A process that begins below them, in them or behind them tells of each once.
		p = start(t, projections.Config{Source: topics, Sink: v, Positions: v})
		time.Sleep(5 * time.Second)
		if again := p.Status(); !slices.Equal(again.Foreign, s.Foreign) {
			t.Errorf("after a restart %+v, before it %+v", again.Foreign, s.Foreign)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A record that looks like the ledger's, with a sequence that was published, contradicts the
// genuine one. Whichever of the two comes first, and whether in its partition or another, the
// partition of the second goes no further and is named, others go on, no restart changes that, and
// topics made anew from the ledger end it.
func TestTwoRecordsOfOneSequence(t *testing.T) {
	for name, genuineFirst := range map[string]bool{"the genuine first": true, "the forged first": false} {
		for where, own := range map[string]bool{"in its partition": true, "in another": false} {
			t.Run(name+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l, topics, v := chtest.NewLedger(1, 2, 3), chtest.NewTopics(2), newViews()
					events := l.Events(60)
					victim := events[40]
					forged := schemastest.Changed(victim.Envelope, func(r *schemas.RecordedEvent) { r.ID[0] ^= 1 })
					at := topics.Partition(victim.Stream)
					if !own {
						for _, e := range events[:40] {
							if e.Stream.Kind() != "ledger" && topics.Partition(e.Stream) != at {
								forged = schemastest.Changed(forged,
									func(r *schemas.RecordedEvent) { r.Stream = e.Stream })
								at = topics.Partition(e.Stream)
								break
							}
						}
					}
					topics.Publish(events[:20]...)
					cfg := projections.Config{Source: topics, Sink: v, Positions: v}
					p := start(t, cfg)
					forge := func() { topics.Write(at, projections.Item{Envelope: forged}) }
					if !genuineFirst {
						forge()
						// What is behind it in the sequence is published and noted at once, as
						// when the projector was away.
						if err := p.stop(); err != nil {
							t.Fatal(err)
						}
						topics.Publish(events...)
						p = start(t, cfg)
					} else {
						topics.Publish(events[20:50]...)
						time.Sleep(time.Second)
						forge()
						topics.Publish(events[50:]...)
					}
					for range 2 {
						time.Sleep(2 * time.Minute)
						s := p.Status()
						if len(s.Conflicts) != 1 || s.Conflicts[0].Seq != 40 || s.LastError != "" {
							t.Fatalf("status %+v", s)
						}
						if s.Applied+uint64(s.Ahead) < 20 {
							t.Errorf("others did not go on: %+v", s)
						}
						if err := p.stop(); err != nil {
							t.Fatal(err)
						}
						p = start(t, cfg)
					}
					topics.Recreate(2)
					topics.Publish(events...)
					time.Sleep(time.Minute)
					if s := p.Status(); len(s.Conflicts) != 0 || s.Applied != 60 || s.Ahead != 0 || s.Lag != 0 {
						t.Errorf("after the topics were filled again: %+v", s)
					}
					v.check(t, events)
					if err := p.stop(); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
	}
}

// After topics were made anew, what they hold stands in the views as theirs: a forged record that
// comes later does not replace it.
func TestWhatWasFilledAgainDoesNotYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics, v := chtest.NewLedger(1, 2, 3), chtest.NewTopics(1), newViews()
		events := l.Events(40)
		topics.Publish(events...)
		cfg := projections.Config{Source: topics, Sink: v, Positions: v}
		p := start(t, cfg)
		time.Sleep(5 * time.Second)
		topics.Recreate(1)
		topics.Publish(events...)
		time.Sleep(5 * time.Second)
		forged := schemastest.Changed(events[30].Envelope, func(r *schemas.RecordedEvent) { r.ID[0] ^= 1 })
		topics.Write(topics.Partition(forged.Stream), projections.Item{Envelope: forged})
		topics.Note()
		for range 2 {
			time.Sleep(5 * time.Second)
			if s := p.Status(); len(s.Conflicts) != 1 || s.Replaced != 0 || s.Applied != 40 {
				t.Errorf("status %+v", s)
			}
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			p = start(t, cfg)
		}
		v.check(t, events)
		if n := len(v.base[30]); n != 1 {
			t.Errorf("%d rows of the sequence", n)
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// Within milliseconds of the note an event is in the views: waiting for it costs no poll.
func TestAnEventIsAppliedAsSoonAsItIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics, v := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1), newViews()
		events := l.Events(20)
		topics.Publish(events...)
		kinds := map[string]bool{}
		for _, e := range events {
			kinds[e.Stream.Kind()] = true
		}
		p := start(t, projections.Config{Source: topics, Sink: v, Positions: v, BatchWait: time.Millisecond})
		time.Sleep(10 * time.Second)
		for i := range 20 {
			more := l.Events(1)
			known := kinds[more[0].Stream.Kind()]
			kinds[more[0].Stream.Kind()] = true
			topics.Publish(more...)
			before := time.Now()
			for p.Status().Applied < uint64(21+i) {
				if time.Sleep(time.Millisecond); time.Since(before) > 5*time.Second {
					t.Fatal("it does not come")
				}
			}
			// A kind's first event waits until its topic is discovered.
			if d := time.Since(before); d > 5*time.Millisecond && known {
				t.Errorf("event %d took %s", i, d)
			}
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// laboured is a sink that takes its time, whatever the size of a batch, and counts.
type laboured struct {
	*views
	takes   time.Duration
	batches []int
}

func (s *laboured) Insert(ctx context.Context, rows []projections.Row) error {
	time.Sleep(s.takes)
	s.batches = append(s.batches, len(rows))
	return s.views.Insert(ctx, rows)
}

// While events keep coming, inserting takes a third of the time at most, however slow the sink,
// and an event waits for its turn two seconds at most.
func TestASlowSinkIsGivenLargerBatches(t *testing.T) {
	const ms = time.Millisecond
	for _, takes := range []time.Duration{ms, 60 * ms, 150 * ms, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			l, topics := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1)
			s := &laboured{views: newViews(), takes: takes}
			p := start(t, projections.Config{Source: topics, Sink: s, Positions: s})
			const rounds = 3000
			for range rounds {
				topics.Publish(l.Events(1)...)
				time.Sleep(10 * time.Millisecond)
			}
			took := rounds * 10 * time.Millisecond
			period := min(max(250*time.Millisecond, 3*takes), 2*time.Second)
			if most := int(took/period) + 2; len(s.batches) > most {
				t.Errorf("an insert takes %s: %d of them in %s, want at most %d", takes, len(s.batches), took, most)
			}
			if lag, most := p.Status().Lag, uint64((period+2*takes)/(10*time.Millisecond))+10; lag > most {
				t.Errorf("an insert takes %s: %d events wait, want at most %d", takes, lag, most)
			}
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What comes one by one waits no longer for a slow sink than for a quick one.
func TestWhatComesAloneDoesNotWaitForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1)
		s := &laboured{views: newViews(), takes: 400 * time.Millisecond}
		p := start(t, projections.Config{Source: topics, Sink: s, Positions: s})
		kinds := map[string]bool{} // the first of a kind waits until its topic is discovered
		for i := range 40 {
			e := l.Events(1)
			known := kinds[e[0].Stream.Kind()]
			kinds[e[0].Stream.Kind()] = true
			topics.Publish(e...)
			before := time.Now()
			for p.Status().Applied < uint64(1+i) {
				if time.Sleep(time.Millisecond); time.Since(before) > 10*time.Second {
					t.Fatal("it does not come")
				}
			}
			if d := time.Since(before); d > 700*time.Millisecond && known {
				t.Errorf("event %d took %s", i, d)
			}
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFailingSinkIsRetriedAndShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics, v := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1), newViews()
		topics.Publish(l.Events(5)...)
		var mu sync.Mutex
		down := true
		v.fail = func(operation string) error {
			mu.Lock()
			defer mu.Unlock()
			if down && operation == "insert" {
				return errors.New("disk full")
			}
			return nil
		}
		p := start(t, projections.Config{Source: topics, Sink: v, Positions: v})
		time.Sleep(time.Minute)
		s := p.Status()
		if !strings.Contains(s.LastError, "disk full") || s.Applied != 0 || s.Lag != 5 || s.LastErrorAt.IsZero() {
			t.Errorf("while it fails: %+v", s)
		}
		v.mu.Lock()
		if v.inserts < 10 || v.inserts > 60 {
			t.Errorf("%d attempts in a minute, want a backoff up to 5 s", v.inserts)
		}
		v.mu.Unlock()
		mu.Lock()
		down = false
		mu.Unlock()
		time.Sleep(time.Minute)
		if s := p.Status(); s.LastError != "" || s.Applied != 5 || s.Lag != 0 || s.Rows != 5 {
			t.Errorf("after it recovered: %+v", s)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStoppingWritesTheBatchInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics, v := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1), newViews()
		topics.Publish(l.Events(9)...)
		p := start(t, projections.Config{Source: topics, Sink: v, Positions: v, BatchWait: time.Hour})
		synctest.Wait() // all nine are in the batch, which waits for more
		if v.inserts != 0 {
			t.Fatal("the batch was written before its time")
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		if got := v.position["projector"].Applied; got != 9 {
			t.Errorf("position %d, want 9", got)
		}
	})
}

func TestAnIdleProjectorSavesItsPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics, v := chtest.NewTopics(1), newViews()
		p := start(t, projections.Config{Source: topics, Sink: v, Positions: v, Heartbeat: time.Second})
		time.Sleep(10500 * time.Millisecond)
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		if got := v.position["projector"].Saved; got != 10 {
			t.Errorf("%d saves in ten seconds, want 10", got)
		}
	})
}

func TestAGapHoldsThePositionAndIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics, v := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1), newViews()
		events := l.Events(20)
		topics.Publish(slices.Concat(events[:7], events[8:])...)
		p := start(t, projections.Config{Source: topics, Sink: v, Positions: v})
		time.Sleep(time.Minute)
		if s := p.Status(); s.Applied != 7 || s.Ahead != 12 || s.Published != 20 || s.Lag != 13 {
			t.Errorf("with a missing sequence: %+v", s)
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestABatchIsBoundedByBytesAndRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1)
		v := &sizes{views: newViews()}
		events := l.Events(50)
		big := events[49]
		for i := range uint64(10) {
			e := schemastest.Changed(big.Envelope, func(r *schemas.RecordedEvent) {
				r.Data = []byte(`{"x":"` + strings.Repeat("x", 40_000) + `"}`)
				r.Stream = "device-11111111-2222-4333-8444-555555555555"
				r.Seq += i
			})
			events = append(events, chtest.Event{Envelope: e, Draft: big.Draft})
		}
		topics.Publish(events...)
		p := start(t, projections.Config{Source: topics, Sink: v, Positions: v, BatchRows: 8, BatchBytes: 100_000})
		time.Sleep(time.Minute)
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		if v.rows > 8 || v.bytes > 150_000 || v.rows < 2 {
			t.Errorf("largest batch: %d rows, %d bytes", v.rows, v.bytes)
		}
	})
}

// sizes notes the largest batch.
type sizes struct {
	*views
	rows, bytes int
}

func (s *sizes) Insert(ctx context.Context, rows []projections.Row) error {
	n := 0
	for i := range rows {
		n += rows[i].Size()
	}
	s.rows, s.bytes = max(s.rows, len(rows)), max(s.bytes, n)
	return s.views.Insert(ctx, rows)
}

func TestConfigNamesEverythingThatIsMissing(t *testing.T) {
	_, err := projections.New(projections.Config{BatchRows: -1})
	for _, want := range []string{"source", "sink", "positions", "logger", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %q", err, want)
		}
	}
}

// TestWhatStandsIsAProblemWithItsBeginning stops a sink in each of its acts, by an error
// and by silence, busy and idle.
func TestWhatStandsIsAProblemWithItsBeginning(t *testing.T) {
	for _, act := range []string{"insert", "save"} {
		for _, silent := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				l, topics, v := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1), newViews()
				topics.Publish(l.Events(3)...)
				s := &standing{views: v, act: act, silent: silent}
				p := start(t, projections.Config{Source: topics, Sink: s, Positions: s})
				time.Sleep(time.Minute) // all in the bubble's time
				if s := p.Status(); s.Problem != "" || s.Lag != 0 {
					t.Fatalf("while all is well: %+v", s)
				}
				since := time.Now()
				s.set(true)
				if act == "insert" {
					topics.Publish(l.Events(1)...)
				}
				time.Sleep(20 * time.Second)
				if s := p.Status(); s.Problem != "" {
					t.Errorf("%s, silent %t: a problem after 20 s: %s", act, silent, s.Problem)
				}
				time.Sleep(20 * time.Second)
				got := p.Status()
				if !strings.Contains(got.Problem, act) || got.Since.Sub(since) > 5*time.Second ||
					got.Since.Before(since) {
					t.Errorf("%s, silent %t: problem %q since %s, want one since %s",
						act, silent, got.Problem, got.Since, since)
				}
				s.set(false)
				time.Sleep(20 * time.Second)
				if s := p.Status(); s.Problem != "" || s.Lag != 0 {
					t.Errorf("%s, silent %t: it goes on: %+v", act, silent, s)
				}
				p.cancel()
				if err := <-p.done; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestAPublishedSequenceThatNeverComesIsAProblem notes more than the topics hold.
func TestAPublishedSequenceThatNeverComesIsAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics, v := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1), newViews()
		events := l.Events(5)
		topics.Publish(append(events[:2:2], events[3:]...)...)
		p := start(t, projections.Config{Source: topics, Sink: v, Positions: v})
		time.Sleep(3 * time.Minute)
		if s := p.Status(); s.Lag != 3 || s.Ahead != 2 || !strings.Contains(s.Problem, "sequence 2 ") {
			t.Errorf("%+v", s)
		}
		p.cancel()
		if err := <-p.done; err != nil {
			t.Error(err)
		}
	})
}

// standing is a sink of which one act can be made to stand.
type standing struct {
	*views
	act    string
	silent bool
	mu     sync.Mutex
	on     bool
	off    chan struct{}
}

func (s *standing) set(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on = on; on {
		s.off = make(chan struct{})
	} else {
		close(s.off)
	}
}

func (s *standing) stand(ctx context.Context, act string) error {
	s.mu.Lock()
	on, off := s.on && s.act == act, s.off
	s.mu.Unlock()
	switch {
	case !on:
		return nil
	case !s.silent:
		return errors.New("refused")
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-off:
		return nil
	}
}

func (s *standing) Insert(ctx context.Context, rows []projections.Row) error {
	if err := s.stand(ctx, "insert"); err != nil {
		return err
	}
	return s.views.Insert(ctx, rows)
}

func (s *standing) SavePosition(ctx context.Context, name string, p projections.Position) error {
	if err := s.stand(ctx, "save"); err != nil {
		return err
	}
	return s.views.SavePosition(ctx, name, p)
}
