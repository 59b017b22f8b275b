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

// script is a Source that hands out given batches and then blocks. It remembers what was committed.
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
	at  map[string]uint64
	err error
}

func (p *positions) Load(_ context.Context, topic string, n int) (uint64, bool, error) {
	s, ok := p.at[fmt.Sprint(topic, n)]
	return s, ok, p.err
}

func (p *positions) Save(_ context.Context, topic string, n int, seq uint64) error {
	if p.err != nil {
		return p.err
	}
	k := fmt.Sprint(topic, n)
	p.at[k] = max(p.at[k], seq)
	return nil
}

// messages returns n events of one partition.
func messages(tb testing.TB, seed uint64, n int) []consumers.Message {
	tb.Helper()
	var out []consumers.Message
	for _, r := range kafkatest.Numbered(0, kafkatest.NewGenerator(seed).Events(4*n+8)) {
		if r.Stream.Kind() == "refusal" && len(out) < n {
			m := encode(tb, r)
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
	return consumers.Config{Source: src, Handler: h, Retries: 2, Backoff: time.Microsecond, MaxBackoff: time.Microsecond,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
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

// By the consumer's rule, whatever is repeated and however it is cut into batches, the handler sees each event once
// and in order, provided repetitions come after the first time.
func TestConsumersRule(t *testing.T) {
	all := messages(t, 9, 40)
	rapid.Check(t, func(rt *rapid.T) {
		var stream []consumers.Message
		for i := 0; i < len(all); i++ {
			stream = append(stream, all[i])
			if rapid.IntRange(0, 5).Draw(rt, "repeat") == 0 {
				i -= rapid.IntRange(0, min(i, 7)).Draw(rt, "back")
				if len(stream) > 300 {
					break
				}
			}
		}
		src := &script{}
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			src.batches, rest = append(src.batches, rest[:n]), rest[n:]
		}
		var want, got []uint64
		for _, m := range stream {
			if s := seqOf(t, m); len(want) == 0 || s > want[len(want)-1] {
				want = append(want, s)
			}
		}
		pos := &positions{at: map[string]uint64{}}
		cfg := config(src, func(_ context.Context, es []schemas.Recorded) error {
			for _, e := range es {
				got = append(got, e.Seq)
			}
			return nil
		})
		cfg.Positions = pos
		if err := do(t, src, cfg); err != nil {
			rt.Fatal(err)
		}
		if !slices.Equal(got, want) || len(src.committed) != len(stream) {
			rt.Fatalf("handled %v, want %v; committed %d of %d", got, want, len(src.committed), len(stream))
		}
		// All of it again, in a new run that finds the positions: nothing is handled, all is committed.
		got, src = nil, &script{batches: [][]consumers.Message{stream}}
		cfg.Source = src
		if err := do(t, src, cfg); err != nil || len(got) != 0 || len(src.committed) != len(stream) {
			rt.Fatalf("%v: handled %v again, committed %d", err, got, len(src.committed))
		}
	})
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
	cfg := config(src, func(_ context.Context, es []schemas.Recorded) error {
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
	if len(dead.messages) != 2 || dead.messages[0].Offset != 4 || dead.messages[1].Offset != 6 || !errors.Is(dead.causes[0], consumers.ErrTampered) {
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
	fails := func(context.Context, []schemas.Recorded) error { return errors.New("cannot be handled") }
	works := func(context.Context, []schemas.Recorded) error { return nil }
	for name, c := range map[string]struct {
		handler consumers.Handler
		change  func(*consumers.Config)
		want    string
	}{
		"parking fails":     {fails, func(c *consumers.Config) { c.DeadLetter = &parked{err: down} }, "park"},
		"no dead letter":    {fails, func(*consumers.Config) {}, "no dead letter"},
		"saving fails":      {works, func(c *consumers.Config) { c.Positions = &failsToSave{} }, "save the position"},
		"loading fails":     {works, func(c *consumers.Config) { c.Positions = &positions{err: down} }, "load the position"},
		"a foreign ledger":  {works, func(c *consumers.Config) { c.Ledger = uuid.New() }, "is of ledger"},
		"commit fails":      {works, func(c *consumers.Config) { c.Source.(*script).commitErr = down }, "commit"},
		"both handlers":     {works, func(c *consumers.Config) { c.Raw = func(context.Context, []consumers.Message) error { return nil } }, "exactly one"},
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

func (*failsToSave) Save(context.Context, string, int, uint64) error { return errors.New("disk full") }

func TestUnavailableIsNeverParked(t *testing.T) {
	src := &script{batches: [][]consumers.Message{messages(t, 12, 5)}}
	tries, dead := 0, &parked{}
	cfg := config(src, func(_ context.Context, es []schemas.Recorded) error {
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
		err := consumers.Run(ctx, config(src, func(work context.Context, es []schemas.Recorded) error {
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
		cfg := config(src, func(work context.Context, es []schemas.Recorded) error {
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
		cfg := config(src, func(context.Context, []schemas.Recorded) error {
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
	foreign := []consumers.Message{{Topic: "hub", Offset: 1, Value: []byte("x")}, {Topic: "hub", Offset: 1, Value: []byte("x")}}
	src := &script{batches: [][]consumers.Message{foreign}}
	cfg := config(src, nil)
	var got []consumers.Message
	cfg.Raw = func(_ context.Context, ms []consumers.Message) error { got = append(got, ms...); return nil }
	if err := do(t, src, cfg); err != nil || len(got) != 2 || len(src.committed) != 2 {
		t.Errorf("%v: handled %d, committed %d", err, len(got), len(src.committed))
	}
}
