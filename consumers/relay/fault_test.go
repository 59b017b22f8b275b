package relay_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/consumers/relay"
)

// cutter ends connections instead of sending an answer: the broker has done the work, the client
// never learns.
type cutter struct {
	cut atomic.Int64 // how many answers are still to be cut
}

func (c *cutter) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return &cutListener{l, c}, err
}

type cutListener struct {
	net.Listener
	c *cutter
}

func (l *cutListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &cutConn{conn, l.c}, nil
}

type cutConn struct {
	net.Conn
	c *cutter
}

func (c *cutConn) Write(b []byte) (int, error) {
	for n := c.c.cut.Load(); n > 0; n = c.c.cut.Load() {
		if c.c.cut.CompareAndSwap(n, n-1) {
			_ = c.Close()
			return 0, net.ErrClosed
		}
	}
	return c.Conn.Write(b)
}

// One produce in each of several rounds is stored and then answered with an error.
func TestProduceFailsAfterPersisting(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend} {
		t.Run(e.Message, func(t *testing.T) {
			r := newRig(t, 4)
			r.fill(1000)
			h := r.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "ledger.refusal", Err: e,
				Count: 4})
			if err := run(t, r.config(), 999); err != nil {
				t.Fatal(err)
			}
			if h.Hits() != 4 {
				t.Fatalf("%d faults were hit, want 4", h.Hits())
			}
			if got := r.check(t, 999); len(got.duplicates) == 0 {
				t.Error("no duplicates, though stored produces were repeated: the fault did not store")
			}
		})
	}
}

// A produce that is refused before anything is stored is repeated without leaving duplicates.
func TestProduceFailsBeforePersisting(t *testing.T) {
	r := newRig(t, 5)
	r.fill(1000)
	h := r.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 7})
	if err := run(t, r.config(), 999); err != nil {
		t.Fatal(err)
	}
	if got := r.check(t, 999); h.Hits() != 7 || len(got.duplicates) != 0 {
		t.Errorf("%d faults, %d duplicates; want 7 and none", h.Hits(), len(got.duplicates))
	}
}

func TestConnectionCutMidRound(t *testing.T) {
	c := &cutter{}
	r := newRig(t, 6, kfake.ListenFn(c.listen))
	r.fill(1200)
	cfg := r.config()
	n := 0
	var mu sync.Mutex
	cfg.Hook = func(point string) error {
		mu.Lock()
		defer mu.Unlock()
		if point == relay.PointPublish {
			if n++; n%5 == 0 {
				c.cut.Add(1)
			}
		}
		return nil
	}
	if err := run(t, cfg, 1199); err != nil {
		t.Fatal(err)
	}
	if got := r.check(t, 1199); len(got.duplicates) == 0 {
		t.Error("no duplicates: no answer of a stored produce was cut")
	}
}

// Whatever combination of crashes, cut connections, errors before and after storing, and growth
// of the ledger: at the end every event is in its partition once by the consumer's rule, in
// order, and repeated at most within its round.
func TestRandomFailures(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		c := &cutter{}
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(c.listen))
		if err != nil {
			rt.Fatal(err)
		}
		defer cluster.Close()
		r := newRigOn(t, seed, cluster)
		r.ledger.batch = rapid.IntRange(1, 120).Draw(rt, "batch")
		rnd := rand.New(rand.NewPCG(seed, 9))
		total := 0
		for life := range rapid.IntRange(1, 5).Draw(rt, "lives") {
			n := rapid.IntRange(1, 150).Draw(rt, "events")
			r.fill(n)
			total += n
			if rapid.Bool().Draw(rt, "fault") {
				cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce},
					Count: rapid.IntRange(1, 3).Draw(rt, "times"),
					Err: rapid.SampledFrom([]*kerr.Error{kerr.RequestTimedOut, kerr.NotLeaderForPartition,
						kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend}).Draw(rt, "error")})
			}
			steps := rapid.IntRange(0, 60).Draw(rt, "steps")
			cuts := rapid.IntRange(0, 40).Draw(rt, "cut at")
			var mu sync.Mutex
			cfg := r.config()
			cfg.MaxEvents = rapid.IntRange(1, 60).Draw(rt, "round")
			cfg.Hook = func(point string) error {
				mu.Lock()
				defer mu.Unlock()
				if steps--; steps < 0 {
					return fmt.Errorf("life %d at %s: %w", life, point, errCrash)
				}
				if steps == cuts {
					c.cut.Add(1 + rnd.Int64N(2))
				}
				return nil
			}
			if err := run(t, cfg, uint64(total-1)); err != nil && !errors.Is(err, errCrash) {
				rt.Fatal(err)
			}
			r.redial(t)
		}
		c.cut.Store(0)
		if err := run(t, r.config(), uint64(total-1)); err != nil {
			rt.Fatal(err)
		}
		r.check(rt, uint64(total-1))
	})
}

// A relay that is told to stop in the middle of a round completes and notes it.
func TestStopCompletesTheRound(t *testing.T) {
	r := newRig(t, 7)
	r.fill(1000)
	ctx, cancel := context.WithCancel(context.Background())
	cfg := r.config()
	var acked atomic.Int64
	cfg.Hook = func(point string) error {
		switch point {
		case relay.PointPublished:
			cancel()
		case relay.PointAcked:
			acked.Add(1)
		}
		return nil
	}
	re, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := re.Run(ctx); err != nil {
		t.Fatal(err)
	}
	st := re.Status()
	if st.State != relay.StateStopped || !st.Any || acked.Load() == 0 {
		t.Fatalf("status %+v", st)
	}
	if got := r.check(t, st.Through.Seq); len(got.duplicates) != 0 || len(got.bySeq) != int(st.Through.Seq)+1 {
		t.Errorf("%d events in the topics, %d noted, %d duplicates", len(got.bySeq), st.Through.Seq+1,
			len(got.duplicates))
	}
}
