package kafka_test

import (
	"math/rand/v2"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
)

func TestConformanceOnKfake(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kafkatest.Run(t, c.ListenAddrs(), witness{c.ListenAddrs()})
}

func TestConformanceOnThreeBrokers(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kafkatest.Run(t, c.ListenAddrs(), witness{c.ListenAddrs()})
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
