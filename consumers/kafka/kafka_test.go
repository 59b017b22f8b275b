package kafka_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
)

func TestConformanceOnKfake(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kafkatest.Run(t, kafkatest.WithoutLogin(c.ListenAddrs()), witness{brokers: c.ListenAddrs()})
}

func TestConformanceOnThreeBrokers(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kafkatest.Run(t, kafkatest.WithoutLogin(c.ListenAddrs()), witness{brokers: c.ListenAddrs()})
}

// The hashes are those of Kafka's own UtilsTest.testMurmur2.
func TestMurmur2(t *testing.T) {
	for key, hash := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		const n = 1 << 20
		if want := int(uint32(hash)&0x7fffffff) % n; kafka.Partition([]byte(key), n) != want {
			t.Errorf("%q: partition %d, want %d", key, kafka.Partition([]byte(key), n), want)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	balancer := kafkago.Murmur2Balancer{Consistent: true}
	for range 2000 {
		key := make([]byte, rnd.IntN(50))
		for i := range key {
			key[i] = byte(rnd.Uint32())
		}
		n := 1 + rnd.IntN(60)
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		if got, want := kafka.Partition(key, n), balancer.Balance(kafkago.Message{Key: key}, all...); got != want {
			t.Fatalf("%x of %d: %d, want %d", key, n, got, want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	good := kafka.Config{Brokers: []string{"127.0.0.1:9092"}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*kafka.Config){
		"no brokers":  func(c *kafka.Config) { c.Brokers = nil },
		"no port":     func(c *kafka.Config) { c.Brokers = []string{"localhost"} },
		"partitions":  func(c *kafka.Config) { c.Partitions = -1 },
		"replication": func(c *kafka.Config) { c.ReplicationFactor = 10 },
		"batch":       func(c *kafka.Config) { c.MaxBatchBytes = 5 << 20 },
		"timeout":     func(c *kafka.Config) { c.DialTimeout = -1 },
	} {
		c := good
		change(&c)
		if _, err := kafka.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// calls are the client's calls, each of which needs the broker.
var calls = map[string]func(context.Context, *kafka.Client) error{
	"prepare": func(ctx context.Context, c *kafka.Client) error { return c.Prepare(ctx) },
	"topics":  func(ctx context.Context, c *kafka.Client) error { _, err := c.Topics(ctx); return err },
	"describe": func(ctx context.Context, c *kafka.Client) error {
		_, _, _, err := c.Describe(ctx, "ledger.device")
		return err
	},
	"drop": func(ctx context.Context, c *kafka.Client) error { return c.Drop(ctx, "ledger.device") },
	"list": func(ctx context.Context, c *kafka.Client) error { _, err := c.Partitions().List(ctx); return err },
	"read": func(ctx context.Context, c *kafka.Client) error {
		_, _, err := c.Partitions().Read(ctx, "ledger.device", 0, 0)
		return err
	},
	"position": func(ctx context.Context, c *kafka.Client) error { _, _, err := c.LastPosition(ctx); return err },
	"park": func(ctx context.Context, c *kafka.Client) error {
		return c.Park(ctx, consumers.Message{Value: []byte("x")}, errors.New("x"))
	},
	"group": func(ctx context.Context, c *kafka.Client) error {
		g, err := c.Group(kafka.GroupConfig{Group: "g", Topics: []string{"ledger.device"}})
		if err != nil {
			return err
		}
		// a group waits for its broker until told to stop
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		_, err = g.Fetch(ctx)
		return errors.Join(err, g.Close())
	},
}

// A broker that accepts connections and never answers does not hold a call longer than its time,
// nor longer than the caller's context, and Close leaves nothing behind.
func TestSilentBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	var accepted sync.WaitGroup
	accepted.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 1<<20)) // the request
				_, _ = conn.Read(make([]byte, 1<<20)) // until the client closes
			})
		}
	})
	defer func() {
		_ = l.Close()
		accepted.Wait()
		conns.Wait() // ends only when the client closed its connections
	}()
	for name, call := range calls {
		for _, how := range []string{"request timeout", "context"} {
			if name == "group" && how == "request timeout" {
				continue // a group waits for its broker as long as its caller does
			}
			t.Run(name+" "+how, func(t *testing.T) {
				cfg := kafka.Config{Brokers: []string{l.Addr().String()}, RequestTimeout: time.Minute,
					DialTimeout: 300 * time.Millisecond}
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if how == "context" {
					time.AfterFunc(50*time.Millisecond, cancel)
				} else {
					cfg.RequestTimeout = 200 * time.Millisecond
				}
				c, err := kafka.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := call(ctx, c); err == nil {
					t.Error("no error from a broker that said nothing")
				}
			})
		}
	}
}

// What the clients start ends with them.
func TestCloseLeavesNoGoroutines(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	for range 3 {
		c, err := kafka.New(kafka.Config{Brokers: fake.ListenAddrs()})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Prepare(context.Background()); err != nil {
			t.Fatal(err)
		}
		for name, call := range calls {
			if err := call(context.Background(), c); err != nil && name != "read" && name != "group" {
				t.Errorf("%s: %v", name, err)
			}
			if name == "drop" {
				if err := c.Prepare(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ours := func() string {
		buf := make([]byte, 1<<20)
		var left []string
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "segmentio/kafka-go") {
				left = append(left, g)
			}
		}
		return strings.Join(left, "\n\n")
	}
	deadline := time.Now().Add(10 * time.Second)
	for ours() != "" {
		if time.Now().After(deadline) {
			t.Fatalf("still running:\n%s", ours())
		}
		runtime.Gosched()
	}
}
