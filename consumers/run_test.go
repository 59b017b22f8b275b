package consumers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/schemas"
)

// script is a Source that hands out given batches and then blocks. It remembers what was
// committed.
type script struct {
	batches   [][]consumers.Message
	committed []consumers.Message
	end       context.CancelFunc // called when all was handed out and committed
	commitErr error
}

func (s *script) Fetch(ctx context.Context) ([]consumers.Message, error) {
	if len(s.batches) == 0 {
		s.end()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	b := s.batches[0]
	s.batches = s.batches[1:]
	return b, nil
}

func (s *script) Commit(_ context.Context, ms []consumers.Message) error {
	if s.commitErr != nil {
		return s.commitErr
	}
	s.committed = append(s.committed, ms...)
	return nil
}

type parked struct {
	messages []consumers.Message
	causes   []error
	err      error
}

func (p *parked) Park(_ context.Context, m consumers.Message, cause error) error {
	if p.err != nil {
		return p.err
	}
	p.messages, p.causes = append(p.messages, m), append(p.causes, cause)
	return nil
}

type positions struct {
	at  map[string][]consumers.Handled
	err error
}

func newPositions() *positions { return &positions{at: map[string][]consumers.Handled{}} }

func (p *positions) Load(_ context.Context, topic string, n int) ([]consumers.Handled, error) {
	return p.at[fmt.Sprint(topic, n)], p.err
}

func (p *positions) Save(_ context.Context, topic string, n int, handled []consumers.Handled) error {
	if p.err != nil {
		return p.err
	}
	k := fmt.Sprint(topic, n)
	p.at[k] = append(p.at[k], handled...)
	p.at[k] = p.at[k][max(0, len(p.at[k])-consumers.MaxRound):]
	return nil
}

// messages returns n events of one partition.
func messages(tb testing.TB, seed uint64, n int) []consumers.Message {
	tb.Helper()
	var out []consumers.Message
	for _, r := range kafkatest.Numbered(0, kafkatest.NewGenerator(seed).Events(4*n+8)) {
		if r.Stream.Kind() == "refusal" && len(out) < n {
			m := encode(r)
			m.Partition, m.Offset = 2, int64(len(out))
			out = append(out, m)
		}
	}
	if len(out) != n {
		tb.Fatal("too few events")
	}
	return out
}

func seqOf(tb testing.TB, m consumers.Message) uint64 {
	tb.Helper()
	d, err := consumers.Decode(m)
	if err != nil {
		tb.Fatal(err)
	}
	return d.Seq
}

func config(src *script, h consumers.Handler) consumers.Config {
	return consumers.Config{Source: src, Handler: h, Retries: 2, Backoff: time.Microsecond,
		MaxBackoff: time.Microsecond,
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// do runs until the source is exhausted.
func do(tb testing.TB, src *script, cfg consumers.Config) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	src.end = cancel
	err := consumers.Run(ctx, cfg)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		tb.Fatal("the run did not end")
	}
	return err
}

// By the consumer's rule, whatever is repeated and however it is cut into batches, the handler
// sees each event once and in order, in one run or in several that find what was handled.
func TestConsumersRule(t *testing.T) {
	all := messages(t, 9, 40)
	rapid.Check(t, func(rt *rapid.T) {
		var stream []consumers.Message
		for i := 0; i < len(all); i++ {
			stream = append(stream, all[i])
			if rapid.IntRange(0, 5).Draw(rt, "repeat") == 0 {
				i -= rapid.IntRange(0, i).Draw(rt, "back") // as far back as a part that was stored late
				if len(stream) > 300 {
					break
				}
			}
		}
		var want, got []uint64
		seen := map[uint64]bool{}
		for _, m := range stream {
			if s := seqOf(t, m); !seen[s] {
				want, seen[s] = append(want, s), true
			}
		}
		cfg := config(nil, func(_ context.Context, es []schemas.Envelope) error {
			for _, e := range es {
				got = append(got, e.Seq)
			}
			return nil
		})
		cfg.Positions = newPositions()
		committed := 0
		for rest := stream; len(rest) > 0; {
			src := &script{}
			for range rapid.IntRange(1, 5).Draw(rt, "batches") {
				n := rapid.IntRange(min(1, len(rest)), len(rest)).Draw(rt, "batch")
				src.batches, rest = append(src.batches, rest[:n]), rest[n:]
			}
			cfg.Source = src
			if err := do(t, src, cfg); err != nil {
				rt.Fatal(err)
			}
			committed += len(src.committed)
		}
		if !slices.Equal(got, want) || committed != len(stream) {
			rt.Fatalf("handled %v, want %v; committed %d of %d", got, want, committed, len(stream))
		}
		// All of it again, in a new run that finds what was handled: nothing is handled, all is
		// committed.
		src := &script{batches: [][]consumers.Message{stream}}
		got, cfg.Source = nil, src
		if err := do(t, src, cfg); err != nil || len(got) != 0 || len(src.committed) != len(stream) {
			rt.Fatalf("%v: handled %v again, committed %d", err, got, len(src.committed))
		}
	})
}

// The window is what FORMATS §8 says, also when it is full: among the last handled, or below all
// of them.
func TestWindowAgainstItsDefinition(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var w consumers.Window
		var model []consumers.Handled
		next := uint64(0)
		for range rapid.IntRange(1, 3*consumers.MaxRound).Draw(rt, "events") {
			if rapid.IntRange(0, 400).Draw(rt, "what") > 0 {
				h := consumers.Handled{Seq: next, Leaf: [32]byte{1}}
				next += 1 + next%3
				if known, err := w.Repeats(h); !known && err == nil { // else it was drawn below
					w.Add(h)
					model = append(model, h)
				}
				continue
			}
			h := consumers.Handled{Seq: rapid.Uint64Range(0, 2*next+5).Draw(rt, "seq"),
				Leaf: [32]byte{byte(rapid.IntRange(1, 2).Draw(rt, "leaf"))}}
			last := model[max(0, len(model)-consumers.MaxRound):]
			below, among := len(last) == consumers.MaxRound, false
			var forged bool
			for _, m := range last {
				below = below && h.Seq < m.Seq
				among = among || m.Seq == h.Seq
				forged = forged || m.Seq == h.Seq && m.Leaf != h.Leaf
			}
			got, err := w.Repeats(h)
			if errors.Is(err, consumers.ErrForged) != forged || !forged && got != (among || below) {
				rt.Fatalf("sequence %d after %d: repeats %v, %v", h.Seq, len(model), got, err)
			}
			if !forged && !got {
				w.Add(h)
				model = append(model, h)
			}
		}
		if got := w.Last(); !slices.Equal(got, model[max(0, len(model)-consumers.MaxRound):]) {
			rt.Fatalf("the window has %d", len(got))
		}
	})
}

// noted is a script that knows what the relay noted: each time it is asked, a little more.
type noted struct {
	script
	log       []consumers.Message
	positions []consumers.Position
}

// Fetch says when there is nothing more, so that the run asks for positions without waiting.
func (n *noted) Fetch(ctx context.Context) ([]consumers.Message, error) {
	if len(n.batches) == 0 && len(n.committed) < len(n.log) {
		return nil, ctx.Err()
	}
	return n.script.Fetch(ctx)
}

func (n *noted) LastPosition(context.Context) (consumers.Position, bool, error) {
	p := n.positions[0]
	if len(n.positions) > 1 {
		n.positions = n.positions[1:]
	}
	return p, p.Through.LedgerID != uuid.Nil, nil
}

// forge makes another event of a sequence, well-formed and the ledger's by its looks.
func forge(tb testing.TB, seed, seq uint64) consumers.Message {
	g := kafkatest.NewGenerator(1e6 + seed)
	for {
		for _, r := range g.Events(5) {
			if r.Stream.Kind() == "refusal" {
				r.Seq = seq
				return encode(r)
			}
		}
	}
}

// Whatever others write between the records of the relay, no genuine event is lost or comes twice:
// either all of them are handled, once and in order, or the run ends because two records of one
// sequence differ, naming refill. What lies above the relay's own note is never handled.
func TestForeignRecordsHideNothing(t *testing.T) {
	all := messages(t, 9, 40)
	rapid.Check(t, func(rt *rapid.T) {
		src := &noted{}
		leaves := map[uint64]map[string]bool{}
		published, foreign, below := 0, 0, 0
		put := func(m consumers.Message, count bool) {
			m = clone(m)
			m.Topic, m.Partition, m.Offset = "ledger.refusal", 2, int64(len(src.log))
			src.log = append(src.log, m)
			if !count {
				foreign++
				return
			}
			d, err := consumers.Decode(m)
			if err != nil {
				rt.Fatal(err)
			}
			if leaves[d.Seq] == nil {
				leaves[d.Seq] = map[string]bool{}
			}
			leaf := d.Leaf()
			leaves[d.Seq][string(leaf[:])] = true
		}
		last := seqOf(t, all[len(all)-1])
		src.positions = append(src.positions, consumers.Position{}) // nothing noted yet
		note := func() {
			if published == 0 {
				return
			}
			through := seqOf(t, all[published-1])
			if published == len(all) {
				through = last
			}
			src.positions = append(src.positions, consumers.Position{Through: schemas.Anchor{LedgerID: ledgerID,
				Seq: through},
				Topics: map[string]consumers.TopicPosition{"ledger.refusal": {Ends: []int64{0, 0,
					int64(len(src.log))}}}})
		}
		for published < len(all) {
			switch rapid.IntRange(0, 9).Draw(rt, "write") {
			case 0:
				put(consumers.Message{Value: []byte(`{"garbage":1}`)}, false)
			case 1: // of another ledger
				r := kafkatest.Numbered(0, kafkatest.NewGenerator(3).Events(9))
				put(consumers.Encode(uuid.New(), r[8]), false)
			case 2: // above all that will be noted
				put(forge(t, uint64(len(src.log)), last+1+rapid.Uint64Range(0, 1e9).Draw(rt, "ahead")), false)
			case 3:
				if rapid.IntRange(0, 3).Draw(rt, "forge below") == 0 {
					put(forge(t, uint64(len(src.log)), rapid.Uint64Range(0, last).Draw(rt, "seq")), true)
					below++
				}
			case 4: // a repeated part
				if published > 0 {
					from := rapid.IntRange(0, published-1).Draw(rt, "from")
					for _, m := range all[from:rapid.IntRange(from, published).Draw(rt, "to")] {
						put(m, true)
					}
				}
			case 5, 6:
				note()
			default:
				put(all[published], true)
				published++
			}
		}
		note()
		for rest := src.log; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			src.batches, rest = append(src.batches, rest[:n]), rest[n:]
		}
		var got []uint64
		counted := new(consumers.ForeignCount)
		cfg := config(nil, func(_ context.Context, es []schemas.Envelope) error {
			for _, e := range es {
				if e.Seq > last {
					rt.Fatalf("sequence %d was handled, which the relay never published", e.Seq)
				}
				for _, m := range all {
					if d, _ := consumers.Decode(m); d.ID == e.ID {
						got = append(got, e.Seq)
					}
				}
			}
			return nil
		})
		cfg.Source, cfg.Positions, cfg.Foreign = src, newPositions(), counted
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		src.end = cancel
		err := consumers.Run(ctx, cfg)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			rt.Fatalf("the run did not end: committed %d of %d", len(src.committed), len(src.log))
		}
		for i, seq := range got {
			if seq != seqOf(t, all[i]) {
				rt.Fatalf("handled %v: event %d is not the next", got, i)
			}
		}
		two := false
		for _, l := range leaves {
			two = two || len(l) > 1
		}
		if err != nil {
			if !errors.Is(err, consumers.ErrForged) || !two || !strings.Contains(err.Error(),
				"ledgerline relay refill ledger.refusal") {
				rt.Fatalf("%v; two records of one sequence: %v", err, two)
			}
			return
		}
		if len(got) != len(all) {
			rt.Fatalf("handled %d of %d", len(got), len(all))
		}
		n := 0
		for _, f := range counted.List() {
			n += int(f.Count)
		}
		if n < foreign || n > foreign+below { // one below may have been above what was noted when it was judged
			rt.Fatalf("%d foreign records counted, there are %d and %d more forged", n, foreign, below)
		}
	})
}

// One forged record with a high sequence hid every genuine one of its partition.
func TestAHighSequenceHidesNothing(t *testing.T) {
	for name, unjudged := range map[string]bool{"judged": false, "unjudged": true} {
		t.Run(name, func(t *testing.T) {
			log := append([]consumers.Message{forge(t, 1, 1_000_000)}, messages(t, 9, 10)...)
			for i := range log {
				log[i].Partition, log[i].Offset = 0, int64(i)
			}
			p := consumers.Position{Through: schemas.Anchor{LedgerID: ledgerID, Seq: 100},
				Topics: map[string]consumers.TopicPosition{"ledger.refusal": {Ends: []int64{11}}}}
			src := &noted{script: script{batches: [][]consumers.Message{log}}, positions: []consumers.Position{p}}
			handled := 0
			cfg := config(nil, func(_ context.Context, es []schemas.Envelope) error { handled += len(es); return nil })
			cfg.Source, cfg.Unjudged = src, unjudged
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			src.end = cancel
			want := 10
			if unjudged {
				want++
			}
			if err := consumers.Run(ctx, cfg); err != nil || handled != want {
				t.Errorf("%v: handled %d, want %d", err, handled, want)
			}
		})
	}
}

func TestPoisonIsParkedAndTheStreamGoesOn(t *testing.T) {
	all := messages(t, 10, 9)
	broken := clone(all[4])
	broken.Value = []byte(`{}`)
	all[4] = broken
	poison := seqOf(t, all[6])
	calls := map[uint64]int{}
	var handled []uint64
	src := &script{batches: [][]consumers.Message{all[:8], all[8:]}}
	dead := &parked{}
	cfg := config(src, func(_ context.Context, es []schemas.Envelope) error {
		for _, e := range es {
			calls[e.Seq]++
			if e.Seq == poison {
				return errors.New("cannot be handled")
			}
		}
		if len(es) == 1 {
			handled = append(handled, es[0].Seq)
		}
		return nil
	})
	cfg.DeadLetter = dead
	if err := do(t, src, cfg); err != nil {
		t.Fatal(err)
	}
	if len(dead.messages) != 2 || dead.messages[0].Offset != 4 || dead.messages[1].Offset != 6 ||
		!errors.Is(dead.causes[0], consumers.ErrTampered) {
		t.Errorf("parked %v", dead.causes)
	}
	if calls[poison] != 1+1+cfg.Retries { // in the batch, then alone with its retries
		t.Errorf("the poison was tried %d times", calls[poison])
	}
	var want []uint64
	for i, m := range all {
		if i != 4 && i != 6 {
			want = append(want, seqOf(t, m))
		}
	}
	if !slices.Equal(handled, want) || len(src.committed) != len(all) {
		t.Errorf("handled %v, want %v, committed %d", handled, want, len(src.committed))
	}
}

func TestNothingIsCommittedWithoutItsEffect(t *testing.T) {
	down := errors.New("down")
	fails := func(context.Context, []schemas.Envelope) error { return errors.New("cannot be handled") }
	works := func(context.Context, []schemas.Envelope) error { return nil }
	for name, c := range map[string]struct {
		handler consumers.Handler
		change  func(*consumers.Config)
		want    string
	}{
		"parking fails":  {fails, func(c *consumers.Config) { c.DeadLetter = &parked{err: down} }, "park"},
		"no dead letter": {fails, func(*consumers.Config) {}, "no dead letter"},
		"saving fails": {works, func(c *consumers.Config) { c.Positions = &failsToSave{} },
			"save what was handled"},
		"loading fails": {works, func(c *consumers.Config) { c.Positions = &positions{err: down} },
			"load what was handled"},
		"a foreign ledger": {works, func(c *consumers.Config) { c.Ledger = uuid.New() }, "is of ledger"},
		"commit fails":     {works, func(c *consumers.Config) { c.Source.(*script).commitErr = down }, "commit"},
		"both handlers": {works, func(c *consumers.Config) {
			c.Raw = func(context.Context, []consumers.Message) error { return nil }
		}, "exactly one"},
		"a negative number": {works, func(c *consumers.Config) { c.Drain = -1 }, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			src := &script{batches: [][]consumers.Message{messages(t, 11, 3)}}
			cfg := config(src, c.handler)
			c.change(&cfg)
			err := do(t, src, cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error about %q", err, c.want)
			}
			if len(src.committed) != 0 {
				t.Errorf("%d messages are committed", len(src.committed))
			}
		})
	}
}

type failsToSave struct{ positions }

func (*failsToSave) Save(context.Context, string, int, []consumers.Handled) error {
	return errors.New("disk full")
}

func TestUnavailableIsNeverParked(t *testing.T) {
	src := &script{batches: [][]consumers.Message{messages(t, 12, 5)}}
	tries, dead := 0, &parked{}
	cfg := config(src, func(_ context.Context, es []schemas.Envelope) error {
		if tries++; tries < 50 {
			return fmt.Errorf("no connection: %w", consumers.ErrUnavailable)
		}
		return nil
	})
	cfg.DeadLetter = dead
	if err := do(t, src, cfg); err != nil || len(dead.messages) != 0 || len(src.committed) != 5 || tries != 50 {
		t.Errorf("%v: parked %d, committed %d, tries %d", err, len(dead.messages), len(src.committed), tries)
	}
}

func TestStop(t *testing.T) {
	t.Run("completes the batch in hand", func(t *testing.T) {
		src := &script{batches: [][]consumers.Message{messages(t, 13, 5), messages(t, 14, 5)}}
		ctx, cancel := context.WithCancel(context.Background())
		src.end = cancel
		err := consumers.Run(ctx, config(src, func(work context.Context, es []schemas.Envelope) error {
			cancel()
			return work.Err() // still alive
		}))
		if err != nil || len(src.committed) != 5 {
			t.Errorf("%v: committed %d, want the 5 that were in hand", err, len(src.committed))
		}
	})
	t.Run("does not wait for ever", func(t *testing.T) {
		src := &script{batches: [][]consumers.Message{messages(t, 13, 5)}}
		ctx, cancel := context.WithCancel(context.Background())
		src.end = cancel
		cfg := config(src, func(work context.Context, es []schemas.Envelope) error {
			cancel()
			<-work.Done()
			return work.Err()
		})
		cfg.Drain = time.Millisecond
		cfg.DeadLetter = &parked{err: errors.New("must not be asked")}
		if err := consumers.Run(ctx, cfg); err != nil || len(src.committed) != 0 {
			t.Errorf("%v: committed %d, want none", err, len(src.committed))
		}
	})
	t.Run("ends retries", func(t *testing.T) {
		src := &script{batches: [][]consumers.Message{messages(t, 13, 5)}}
		ctx, cancel := context.WithCancel(context.Background())
		src.end = cancel
		tries := 0
		cfg := config(src, func(context.Context, []schemas.Envelope) error {
			if tries++; tries == 3 {
				cancel()
			}
			return consumers.ErrUnavailable
		})
		if err := consumers.Run(ctx, cfg); err != nil || len(src.committed) != 0 || tries != 3 {
			t.Errorf("%v: committed %d after %d tries", err, len(src.committed), tries)
		}
	})
}

func TestRawPassesEverything(t *testing.T) {
	foreign := []consumers.Message{{Topic: "hub", Offset: 1, Value: []byte("x")},
		{Topic: "hub", Offset: 1, Value: []byte("x")}}
	src := &script{batches: [][]consumers.Message{foreign}}
	cfg := config(src, nil)
	var got []consumers.Message
	cfg.Raw = func(_ context.Context, ms []consumers.Message) error { got = append(got, ms...); return nil }
	if err := do(t, src, cfg); err != nil || len(got) != 2 || len(src.committed) != 2 {
		t.Errorf("%v: handled %d, committed %d", err, len(got), len(src.committed))
	}
}
