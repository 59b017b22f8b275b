package relay_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/schemas"
)

var _ relay.Publisher = (*kafka.Client)(nil)

type rig struct {
	cluster *kfake.Cluster // nil where the brokers are real
	access  kafkatest.Logins
	admin   []kgo.Opt // how the tests themselves reach the brokers
	client  *kafka.Client
	ledger  *fakeLedger
	gen     *kafkatest.Generator
	foreign bool // whether others wrote into the topics
}

// isForeign reports whether a record of the right form is not the ledger's.
func (r *rig) isForeign(d consumers.Delivered, events []schemas.Envelope) bool {
	return d.Ledger != r.ledger.id || d.Seq >= uint64(len(events)) || events[d.Seq].Leaf() != d.Leaf()
}

func newRig(tb testing.TB, seed uint64, opts ...kfake.Opt) *rig {
	tb.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return newRigOn(tb, seed, c)
}

func newRigOn(tb testing.TB, seed uint64, c *kfake.Cluster) *rig {
	r := &rig{cluster: c, access: kafkatest.WithoutLogin(c.ListenAddrs()),
		admin: []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, ledger: newLedger(), gen: kafkatest.NewGenerator(seed)}
	r.redial(tb)
	return r
}

// redial replaces the client, as a new process would.
func (r *rig) redial(tb testing.TB) {
	tb.Helper()
	if r.client != nil {
		_ = r.client.Close()
	}
	cfg := r.access[kafka.RoleRelay]
	cfg.Partitions, cfg.RequestTimeout = 3, 5*time.Second
	client, err := kafka.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	r.client = client
}

// checker is what check needs of a test.
type checker interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func (r *rig) config() relay.Config {
	return relay.Config{Ledger: r.ledger, Publisher: r.client, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		MaxEvents: 200, MaxBackoff: 50 * time.Millisecond}
}

// fill appends n events to the ledger.
func (r *rig) fill(n int) { r.ledger.append(r.gen.Events(n)...) }

var errCrash = errors.New("crash")

// run starts a relay and returns when it has noted sequence through, or has ended by itself, with
// its error.
func run(tb testing.TB, cfg relay.Config, through uint64) error {
	tb.Helper()
	re, err := relay.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return runTo(tb, re, through)
}

func runTo(tb testing.TB, re *relay.Relay, through uint64) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- re.Run(ctx) }()
	for {
		p, ok, changed := re.Noted()
		if ok && p.Through.Seq >= through {
			cancel()
			changed = nil
		}
		select {
		case <-changed:
		case err := <-done:
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				tb.Fatalf("the relay did not reach sequence %d: %+v", through, re.Status())
			}
			return err
		}
	}
}

// published is what a strict consumer sees in a topic's partitions.
type published struct {
	bySeq      map[uint64]schemas.Envelope // after the consumer's rule
	duplicates []uint64
}

// check reads everything back and verifies it against the ledger: by the consumer's rule every
// event up to and including through is there once, in its partition, byte for byte; the noted
// ends hold them all.
func (r *rig) check(tb checker, through uint64) published {
	tb.Helper()
	ctx := context.Background()
	parts := r.client.Partitions()
	pos, ok, err := parts.LastPosition(ctx)
	if err != nil || !ok {
		tb.Fatalf("position: %v, %v", ok, err)
	}
	if pos.Through.Seq < through {
		tb.Fatalf("noted through %d, want %d", pos.Through.Seq, through)
	}
	events := r.ledger.all()
	out := published{bySeq: map[uint64]schemas.Envelope{}}
	topics, err := r.client.Topics(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	below := map[uint64]bool{}
	for _, topic := range topics {
		ends, err := parts.Ends(ctx, topic)
		if err != nil {
			tb.Fatal(err)
		}
		for p, end := range ends {
			var window consumers.Window
			for at := int64(0); at < end; {
				ms, next, err := parts.Read(ctx, topic, p, at)
				if err != nil {
					tb.Fatal(err)
				}
				at = next
				for _, m := range ms {
					d, err := consumers.Decode(m)
					if err != nil || r.isForeign(d, events) {
						if !r.foreign {
							tb.Fatalf("%s/%d@%d is not an event of the ledger: %v", topic, p, m.Offset, err)
						}
						continue
					}
					want := events[d.Seq]
					if d.ID != want.ID || d.Ledger != r.ledger.id || d.Position != want.Position {
						tb.Fatalf("%s/%d@%d is not event %d", topic, p, m.Offset, d.Seq)
					}
					if kafka.Partition(m.Key, len(ends)) != p {
						tb.Fatalf("%s/%d@%d has a key of another partition", topic, p, m.Offset)
					}
					if repeated, err := window.Repeats(consumers.Handled{Seq: d.Seq, Leaf: d.Leaf()}); err != nil {
						tb.Fatal(err)
					} else if repeated {
						out.duplicates = append(out.duplicates, d.Seq)
						continue
					}
					if last := window.Last(); len(last) > 0 && last[len(last)-1].Seq > d.Seq {
						tb.Fatalf("%s/%d@%d has sequence %d after %d", topic, p, m.Offset, d.Seq,
							last[len(last)-1].Seq)
					}
					window.Add(consumers.Handled{Seq: d.Seq, Leaf: d.Leaf()})
					if _, twice := out.bySeq[d.Seq]; twice {
						tb.Fatalf("sequence %d is handled twice", d.Seq)
					}
					out.bySeq[d.Seq] = d.Envelope
					if m.Offset < pos.Topics[topic].Ends[p] {
						below[d.Seq] = true
					}
				}
			}
		}
	}
	for s := uint64(0); s <= pos.Through.Seq; s++ {
		if _, ok := out.bySeq[s]; !ok {
			tb.Fatalf("sequence %d is missing", s)
		}
		if !below[s] {
			tb.Fatalf("sequence %d lies at or above the noted end, though the position is through %d", s,
				pos.Through.Seq)
		}
	}
	return out
}

func onKfake(tb testing.TB, seed uint64) *rig { return newRig(tb, seed) }

func TestPublishesEverything(t *testing.T) { publishesEverything(t, onKfake) }

func publishesEverything(t *testing.T, newRig func(testing.TB, uint64) *rig) {
	r := newRig(t, 1)
	r.fill(1500)
	if err := run(t, r.config(), 1499); err != nil {
		t.Fatal(err)
	}
	if got := r.check(t, 1499); len(got.duplicates) != 0 {
		t.Errorf("%d duplicates without any failure", len(got.duplicates))
	}
	r.fill(700)
	if err := run(t, r.config(), 2199); err != nil {
		t.Fatal(err)
	}
	if got := r.check(t, 2199); len(got.duplicates) != 0 {
		t.Errorf("%d duplicates after an orderly restart", len(got.duplicates))
	}
}

// Each hook point is crashed at each time it is passed, early on, and a new relay goes on.
func TestCrashAtEveryPoint(t *testing.T) { crashAtEveryPoint(t, onKfake) }

func crashAtEveryPoint(t *testing.T, newRig func(testing.TB, uint64) *rig) {
	for _, point := range []string{relay.PointRecovered, relay.PointPublish, relay.PointPublished, relay.PointAcked,
		relay.PointNoted} {
		t.Run(point, func(t *testing.T) {
			r := newRig(t, 2)
			r.fill(900)
			hits := make(chan struct{}, 1)
			for nth := 1; nth <= 4; nth++ {
				count := 0
				cfg := r.config()
				cfg.MaxEvents = 50
				cfg.Hook = func(p string) error {
					if p != point {
						return nil
					}
					hits <- struct{}{} // serialises the counter
					count++
					n := count
					<-hits
					if n >= nth {
						return errCrash
					}
					return nil
				}
				if point == relay.PointRecovered && nth > 1 {
					break
				}
				if err := run(t, cfg, 899); !errors.Is(err, errCrash) {
					t.Fatalf("crash %d: %v", nth, err)
				}
			}
			if err := run(t, r.config(), 899); err != nil {
				t.Fatal(err)
			}
			got := r.check(t, 899)
			if len(got.duplicates) != 0 {
				t.Errorf("%d duplicates, though every produce that was made was answered", len(got.duplicates))
			}
		})
	}
}
