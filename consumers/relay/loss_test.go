package relay_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

func TestMain(m *testing.M) {
	// Each random case starts a broker; the flag given on the command line still wins.
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

const lossy = "ledger.refusal"

// request sends a request that the client has no call for.
func (r *rig) request(tb testing.TB, req kmsg.Request) kmsg.Response {
	tb.Helper()
	cl, err := kgo.NewClient(r.admin...)
	if err != nil {
		tb.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	res, err := cl.Request(ctx, req)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

func (r *rig) drop(tb testing.TB, topic string) {
	tb.Helper()
	if err := r.client.Drop(context.Background(), topic); err != nil {
		tb.Fatal(err)
	}
}

func deleteRecords(topic string, partition int32, before int64) kmsg.Request {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 5000
	t, p := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, before
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func morePartitions(topic string, n int32) kmsg.Request {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 5000
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, n
	req.Topics = append(req.Topics, t)
	return req
}

// truncated is a broker that lost the end of a partition, as after an unclean election or a
// damaged segment.
type truncated struct {
	*kafka.Client
	healed atomic.Bool
}

func (c *truncated) Describe(ctx context.Context, topic string) (uuid.UUID, []int64, []int64, error) {
	id, first, end, err := c.Client.Describe(ctx, topic)
	if topic == lossy && len(end) > 0 && !c.healed.Load() {
		end[0]--
	}
	return id, first, end, err
}

func (c *truncated) Drop(ctx context.Context, topic string) error {
	c.healed.Store(true)
	return c.Client.Drop(ctx, topic)
}

// Each way of losing data is seen at the start, stops the relay, and is repaired by one Refill,
// whatever point it is interrupted at before; the other topics are left alone.
func TestDataLossAndRefill(t *testing.T) { dataLossAndRefill(t, onKfake) }

func dataLossAndRefill(t *testing.T, newRig func(testing.TB, uint64) *rig) {
	for name, lose := range map[string]func(*testing.T, *rig){
		"deleted": func(t *testing.T, r *rig) { r.drop(t, lossy) },
		"recreated": func(t *testing.T, r *rig) {
			r.drop(t, lossy)
			if err := r.client.Ensure(context.Background(), lossy); err != nil {
				t.Fatal(err)
			}
		},
		"records deleted":  func(t *testing.T, r *rig) { r.request(t, deleteRecords(lossy, 1, 5)) },
		"partitions added": func(t *testing.T, r *rig) { r.request(t, morePartitions(lossy, 5)) },
		"truncated":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			r := newRig(t, 11)
			r.fill(800)
			cfg := r.config()
			if err := run(t, cfg, 799); err != nil {
				t.Fatal(err)
			}
			before, err := r.client.Partitions().List(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if lose == nil {
				cfg.Publisher = &truncated{Client: r.client}
			} else {
				lose(t, r)
			}
			r.fill(300)
			for range 2 { // it stays stopped
				if err := run(t, cfg, 1099); !errors.Is(err, relay.ErrDataLoss) ||
					!strings.Contains(err.Error(), lossy) {
					t.Fatalf("%v, want data loss of %s", err, lossy)
				}
			}
			for _, point := range []string{relay.PointDropped, relay.PointPublished, relay.PointRefilled} {
				crash := cfg
				crash.Hook = func(p string) error {
					if p == point {
						return errCrash
					}
					return nil
				}
				re, err := relay.New(crash)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := re.Refill(ctx); !errors.Is(err, errCrash) {
					t.Fatalf("crash at %s: %v", point, err)
				}
				if err := re.Check(ctx); !errors.Is(err, relay.ErrDataLoss) {
					t.Fatalf("after a crash at %s: %v, want data loss still", point, err)
				}
			}
			told := [2]uint64{}
			cfg.Progress = func(done, of uint64) { told = [2]uint64{done, of} }
			re, err := relay.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			got, err := re.Refill(ctx)
			if err != nil || !slices.Equal(got, []string{lossy}) {
				t.Fatalf("refilled %v: %v", got, err)
			}
			if told != [2]uint64{800, 800} {
				t.Errorf("%d of %d events were told", told[0], told[1])
			}
			if err := re.Check(ctx); err != nil {
				t.Fatal(err)
			}
			if got, err := re.Refill(ctx); err != nil || len(got) != 0 {
				t.Errorf("a second refill of %v: %v", got, err)
			}
			r.check(t, 799)
			if err := run(t, cfg, 1099); err != nil {
				t.Fatal(err)
			}
			if got := r.check(t, 1099); len(got.duplicates) != 0 {
				t.Errorf("%d duplicates", len(got.duplicates))
			}
			r.redial(t)
			after, err := r.client.Partitions().List(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range before {
				if changed := !slices.Contains(after, p); changed != (p.Topic == lossy) {
					t.Errorf("%s/%d: recreated %v", p.Topic, p.Partition, changed)
				}
			}
		})
	}
}

// A topic that is lost under a running relay stops it before the next round is noted.
func TestDataLossWhileRunning(t *testing.T) {
	for name, again := range map[string]bool{"deleted": false, "recreated": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 12)
			r.fill(400)
			cfg := r.config()
			var noted int
			cfg.Hook = func(point string) error {
				if point != relay.PointNoted {
					return nil
				}
				if noted++; noted == 2 {
					if err := r.cluster.DeleteTopic(lossy); err != nil {
						return err
					}
					if again {
						if err := r.cluster.CreateTopic(lossy, 3, nil); err != nil {
							return err
						}
					}
					r.fill(400)
				}
				return nil
			}
			if err := run(t, cfg, 799); !errors.Is(err, relay.ErrDataLoss) {
				t.Fatalf("%v, want data loss", err)
			}
			if noted != 2 {
				t.Errorf("%d rounds noted, want 2", noted)
			}
			re, err := relay.New(r.config())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := re.Refill(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := run(t, r.config(), 799); err != nil {
				t.Fatal(err)
			}
			r.check(t, 799)
		})
	}
}

// Without any noted position everything that is in the topics is compared with the ledger and
// left as it is.
func TestLostPosition(t *testing.T) {
	r := newRig(t, 13)
	r.fill(900)
	if err := run(t, r.config(), 899); err != nil {
		t.Fatal(err)
	}
	if err := r.cluster.DeleteTopic(consumers.PositionTopic); err != nil {
		t.Fatal(err)
	}
	r.fill(100)
	if err := run(t, r.config(), 999); err != nil {
		t.Fatal(err)
	}
	if got := r.check(t, 999); len(got.duplicates) != 0 {
		t.Errorf("%d duplicates", len(got.duplicates))
	}
}

// An event that is missing below later ones of its partition is found, and a refill of the topic
// repairs it.
func TestHoleInThePartition(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, 14)
	r.fill(200)
	if err := r.client.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	var part []schemas.Envelope
	for _, e := range r.ledger.all() {
		if topic, key := r.client.Route(e); topic == lossy && r.client.Partition(key, 3) == 0 {
			part = append(part, e)
		}
	}
	if _, _, _, err := r.client.Publish(ctx, r.ledger.id, lossy, 0, append(part[:3:3], part[4])); err != nil {
		t.Fatal(err)
	}
	if err := run(t, r.config(), 199); !errors.Is(err, relay.ErrDataLoss) ||
		!strings.Contains(err.Error(), "refill "+lossy) {
		t.Fatalf("%v, want a hole", err)
	}
	re, err := relay.New(r.config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := re.Refill(ctx, lossy); err != nil {
		t.Fatal(err)
	}
	if err := run(t, r.config(), 199); err != nil {
		t.Fatal(err)
	}
	r.check(t, 199)
}

func TestDiverged(t *testing.T) {
	crashAcked := func(t *testing.T, r *rig) {
		t.Helper()
		cfg := r.config()
		rounds := 0
		cfg.Hook = func(p string) error {
			if p == relay.PointAcked {
				if rounds++; rounds == 3 {
					return errCrash
				}
			}
			return nil
		}
		if err := run(t, cfg, 599); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
	}
	// restore makes the ledger another one from sequence n on.
	restore := func(r *rig, n int) {
		events := r.ledger.all()[:n]
		id := r.ledger.id
		r.ledger = newLedger()
		r.ledger.id = id
		r.ledger.append(events...)
	}
	t.Run("another ledger", func(t *testing.T) {
		r := newRig(t, 15)
		r.fill(100)
		if err := run(t, r.config(), 99); err != nil {
			t.Fatal(err)
		}
		r.ledger.id = uuid.New()
		if err := run(t, r.config(), 99); !errors.Is(err, relay.ErrDiverged) {
			t.Fatalf("%v, want diverged", err)
		}
		re, err := relay.New(r.config())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := re.Refill(context.Background(), lossy); !errors.Is(err, relay.ErrDiverged) {
			t.Fatalf("refill: %v, want diverged", err)
		}
	})
	t.Run("shorter than the position", func(t *testing.T) {
		r := newRig(t, 16)
		r.fill(600)
		crashAcked(t, r)
		restore(r, 300)
		err := run(t, r.config(), 599)
		if !errors.Is(err, relay.ErrDiverged) || !strings.Contains(err.Error(), "ledgerline restore eventstore") ||
			!strings.Contains(err.Error(), "ledgerline relay refill --everything") {
			t.Fatalf("%v, want diverged, and both ways out", err)
		}
	})
	// told runs a relay that passes over what is not the ledger's, and says so.
	told := func(t *testing.T, r *rig, through uint64) {
		t.Helper()
		re, err := relay.New(r.config())
		if err != nil {
			t.Fatal(err)
		}
		if err := runTo(t, re, through); err != nil {
			t.Fatal(err)
		}
		if st := re.Status(); len(st.Forged) == 0 || !strings.Contains(st.Problem, "ledgerline relay refill ledger.") {
			t.Errorf("status %+v, want what is not the ledger's and the command", st)
		}
		r.foreign = true
		r.check(t, through)
	}
	t.Run("other events where a round was not noted", func(t *testing.T) {
		r := newRig(t, 17)
		r.fill(600)
		crashAcked(t, r)
		restore(r, 400) // the position is through 399, the topics hold events to 599
		r.gen = kafkatest.NewGenerator(99)
		r.gen.Events(1)
		r.fill(200)
		told(t, r, 599)
	})
	t.Run("other events later", func(t *testing.T) {
		// Rounds are noted while what lies behind them in the topics is still to be compared: it
		// must not be forgotten.
		r := newRig(t, 18)
		r.fill(600)
		crashAcked(t, r)
		restore(r, 450)
		r.gen = kafkatest.NewGenerator(99)
		r.gen.Events(1)
		told(t, r, 449)
		r.fill(1)
		if err := run(t, r.config(), 450); err != nil {
			t.Fatal(err)
		}
		r.check(t, 450)
	})
	t.Run("refill of a ledger that is shorter", func(t *testing.T) {
		// The topics hold what the ledger lost: nothing may be dropped.
		r := newRig(t, 22)
		r.fill(300)
		if err := run(t, r.config(), 299); err != nil {
			t.Fatal(err)
		}
		full := r.ledger
		restore(r, 200)
		cfg := r.config()
		cfg.Hook = func(p string) error {
			if p == relay.PointDropped {
				t.Error("a topic was dropped")
			}
			return nil
		}
		re, err := relay.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := re.Refill(context.Background(), lossy); !errors.Is(err, relay.ErrDiverged) {
			t.Fatalf("%v, want diverged", err)
		}
		r.ledger = full
		r.check(t, 299)
	})
	t.Run("refill everything", func(t *testing.T) {
		r := newRig(t, 19)
		r.fill(300)
		if err := run(t, r.config(), 299); err != nil {
			t.Fatal(err)
		}
		r.ledger = newLedger()
		r.gen = kafkatest.NewGenerator(99)
		r.fill(40)
		re, err := relay.New(r.config())
		if err != nil {
			t.Fatal(err)
		}
		if err := re.Check(context.Background()); !errors.Is(err, relay.ErrDiverged) {
			t.Fatalf("%v, want diverged", err)
		}
		if names, err := re.RefillAll(context.Background()); err != nil || len(names) != len(consumers.Kinds)+2 {
			t.Fatalf("%v: %v", names, err)
		}
		if err := run(t, r.config(), 39); err != nil {
			t.Fatal(err)
		}
		r.check(t, 39)
	})
}

// Kinds are open: those that nobody knew share one topic, so that whoever may append makes no
// topics.
func TestUnknownKind(t *testing.T) {
	r := newRig(t, 20)
	r.fill(50)
	for i := range 30 {
		meta, err := schemastest.Metadata(schemas.Metadata{Tenant: uuid.New(),
			Recorded: time.UnixMilli(1_750_000_000_000), Source: "test"})
		if err != nil {
			t.Fatal(err)
		}
		kind := []string{"widget", "gadget"}[i%2]
		r.ledger.append(schemastest.Envelope(schemas.RecordedEvent{Event: schemas.Event{ID: uuid.New(),
			Stream: schemas.NewStream(kind, uuid.New()), Type: kind + ".made.v1", Data: []byte(`{}`),
			Metadata: meta}}))
	}
	cfg := r.config()
	cfg.Hook = func(p string) error {
		if p == relay.PointAcked {
			return errCrash
		}
		return nil
	}
	if err := run(t, cfg, 79); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if err := run(t, r.config(), 79); err != nil {
		t.Fatal(err)
	}
	if got := r.check(t, 79); len(got.duplicates) != 0 {
		t.Errorf("%d duplicates", len(got.duplicates))
	}
	pos, _, err := r.client.LastPosition(context.Background())
	if err != nil || len(pos.Topics) != len(consumers.Kinds)+1 || len(pos.Topics[consumers.OtherTopic].Ends) != 3 {
		t.Errorf("noted %v: %v", pos.Topics, err)
	}
}

func TestStatusAndBusy(t *testing.T) {
	r := newRig(t, 21)
	r.fill(500)
	cfg := r.config()
	cfg.Head = func() (uint64, bool) { return 549, true }
	now := time.Unix(1_750_000_000, 0)
	cfg.Clock = func() time.Time { return now }
	ctx, cancel := context.WithCancel(context.Background())
	var re *relay.Relay
	var busy, refill error
	cfg.Hook = func(p string) error {
		if st := re.Status(); p == relay.PointNoted && st.Through.Seq == 499 {
			busy = re.Run(ctx)
			_, refill = re.Refill(ctx)
			cancel()
		}
		return nil
	}
	re, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if st := re.Status(); st.State != relay.StateStopped || st.Any || st.Lag != 550 {
		t.Errorf("before: %+v", st)
	}
	if err := re.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(busy, relay.ErrBusy) || !errors.Is(refill, relay.ErrBusy) {
		t.Errorf("at work: %v, %v", busy, refill)
	}
	st := re.Status()
	if st.State != relay.StateStopped || !st.Any || st.Through.Seq != 499 || st.Lag != 50 || st.Published != 500 ||
		st.Rate != 500 || st.Err != nil {
		t.Errorf("after: %+v", st)
	}
	now = now.Add(11 * time.Second)
	if st := re.Status(); st.Rate != 0 {
		t.Errorf("later: %+v", st)
	}
}
