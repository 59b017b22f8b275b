package kafka

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What was acknowledged before kill -9 is there after it, at its offset, once,
// with the topics' ids, configs and the groups' offsets; on the same port.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "broker")
	const partitions, rounds = 3, 3
	c := startChild(t, dir, "127.0.0.1:0")
	addr := c.addr
	createTopics(t, newClient(t, addr), ledgerTopic("ledger.thing", partitions),
		kafkago.TopicConfig{Topic: "ledger.position", NumPartitions: 1, ReplicationFactor: 1,
			ConfigEntries: []kafkago.ConfigEntry{
				{ConfigName: "cleanup.policy", ConfigValue: "compact"}}})
	ids := topicIDs(t, addr)
	configs := topicConfigs(t, newClient(t, addr), "ledger.thing")
	want := map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "4194304"}
	if !maps.Equal(configs, want) {
		t.Fatalf("configs %v, want %v", configs, want)
	}

	acked := make([]map[int64]string, partitions) // offset → value, one map per producer
	for p := range acked {
		acked[p] = map[int64]string{}
	}
	for round := range rounds {
		client := newClient(t, addr)
		var producers sync.WaitGroup
		enough := make(chan struct{}, partitions)
		for p := range partitions {
			producers.Go(func() {
				for n := 0; ; n++ {
					batch := make([][]byte, 1+n%7)
					for i := range batch {
						batch[i] = fmt.Appendf(nil, "round %d partition %d batch %d record %d", round, p, n, i)
					}
					base, err := produce(t.Context(), client, "ledger.thing", p, batch...)
					if err != nil {
						return // the broker is gone
					}
					for i, v := range batch {
						acked[p][base+int64(i)] = string(v)
					}
					if n == 20 {
						enough <- struct{}{}
					}
				}
			})
		}
		for range partitions {
			<-enough
		}
		commit, err := client.OffsetCommit(t.Context(), &kafkago.OffsetCommitRequest{GroupID: "g", GenerationID: -1,
			Topics: map[string][]kafkago.OffsetCommit{"ledger.thing": {{Partition: 1, Offset: int64(round + 5)}}}})
		must(t, err)
		must(t, commit.Topics["ledger.thing"][0].Error)
		c.kill(t)
		producers.Wait()

		c = startChild(t, dir, addr)
		if c.addr != addr {
			t.Fatalf("came back on %s, not %s", c.addr, addr)
		}
		client = newClient(t, addr)
		for p := range partitions {
			got := readAll(t, client, "ledger.thing", p)
			for offset, v := range acked[p] {
				if offset >= int64(len(got)) || string(got[offset]) != v {
					t.Fatalf("round %d partition %d: acknowledged record at offset %d is lost (end %d)", round, p,
						offset, len(got))
				}
			}
			// At most the one batch in flight was written and not acknowledged.
			if extra := len(got) - len(acked[p]); extra > 7 {
				t.Fatalf("round %d partition %d: %d records nobody was told of", round, p, extra)
			}
			for i := range got {
				acked[p][int64(i)] = string(got[i]) // the unacknowledged tail stays as well
			}
		}
		if got := topicIDs(t, addr); !maps.Equal(got, ids) {
			t.Fatalf("topic ids %x, before %x", got, ids)
		}
		if got := topicConfigs(t, client, "ledger.thing"); !maps.Equal(got, want) {
			t.Fatalf("configs %v, want %v", got, want)
		}
		fetched, err := client.OffsetFetch(t.Context(), &kafkago.OffsetFetchRequest{GroupID: "g",
			Topics: map[string][]int{"ledger.thing": {1}}})
		must(t, err)
		if got := fetched.Topics["ledger.thing"][0].CommittedOffset; got != int64(round+5) {
			t.Fatalf("committed offset %d, want %d", got, round+5)
		}
	}
}

func TestStopAndStartAgain(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir, "127.0.0.1:0")
	client := newClient(t, s.Addr())
	createTopics(t, client, ledgerTopic("ledger.a", 2), ledgerTopic("ledger.b", 1))
	_, err := produce(t.Context(), client, "ledger.a", 1, []byte("one"), []byte("two"))
	must(t, err)
	ids := topicIDs(t, s.Addr())
	md, err := client.Metadata(t.Context(), &kafkago.MetadataRequest{})
	must(t, err)
	if b := md.Brokers[0]; fmt.Sprintf("%s:%d", b.Host, b.Port) != s.Addr() {
		t.Fatalf("broker says it is %s:%d, listens on %s", b.Host, b.Port, s.Addr())
	}
	must(t, s.Stop(t.Context()))
	must(t, s.Stop(t.Context())) // again is harmless
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Fatal("still listening after Stop")
	}

	s2 := startServer(t, dir, s.Addr())
	client = newClient(t, s2.Addr())
	if got := readAll(t, client, "ledger.a", 1); len(got) != 2 || string(got[1]) != "two" {
		t.Fatalf("after restart: %q", got)
	}
	if got := topicIDs(t, s2.Addr()); !maps.Equal(got, ids) {
		t.Fatalf("topic ids %x, before %x", got, ids)
	}
	md2, err := client.Metadata(t.Context(), &kafkago.MetadataRequest{})
	must(t, err)
	if md2.ClusterID != md.ClusterID || md.ClusterID == "" {
		t.Fatalf("cluster id %q, before %q", md2.ClusterID, md.ClusterID)
	}
	if base, err := produce(t.Context(), client, "ledger.a", 1, []byte("three")); err != nil || base != 2 {
		t.Fatalf("next offset %d, %v", base, err)
	}
}

func TestOneOwner(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir, "127.0.0.1:0")
	cfg := Config{Dir: dir, Addr: "127.0.0.1:0", Open: true, Logger: slog.New(slog.DiscardHandler)}
	if _, err := Start(t.Context(), cfg); !errors.Is(err, ErrInUse) {
		t.Fatalf("second owner: %v", err)
	}
	other := cfg
	other.Dir, other.Addr = t.TempDir(), c.addr
	if _, err := Start(t.Context(), other); err == nil || errors.Is(err, ErrInUse) || errors.Is(err, ErrUnreadable) {
		t.Fatalf("port taken: %v", err)
	}
	c.kill(t)
	s, err := Start(t.Context(), cfg) // the kernel has freed the lock
	must(t, err)
	must(t, s.Stop(t.Context()))
}

func TestValidate(t *testing.T) {
	err := Config{Addr: "0.0.0.0:9092"}.Validate()
	for _, want := range []string{"Dir", "127.0.0.1", "Logger"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no mention of %s in %v", want, err)
		}
	}
	for _, addr := range []string{"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"} {
		if err := (Config{Dir: "d", Addr: addr, Open: true, Logger: slog.Default()}).Validate(); err == nil {
			t.Errorf("address %q accepted", addr)
		}
	}
}

func TestUnreadable(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"another layout": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "layout"), []byte("v0\n"), 0o600)
		},
		"no layout": func(dir string) error { return os.Remove(filepath.Join(dir, "layout")) },
		"newer kfake": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "data/meta.json"), []byte(`{"version":99}`), 0o600)
		},
		"meta is no JSON": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "data/meta.json"), []byte("\x00\x00"), 0o600)
		},
		"no meta":   func(dir string) error { return os.Remove(filepath.Join(dir, "data/meta.json")) },
		"no topics": func(dir string) error { return os.Remove(filepath.Join(dir, "data/topics.json")) },
		"topics are no JSON": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "data/topics.json"), []byte("{"), 0o600)
		},
		"topic forgotten": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "data/topics.json"), []byte(`{"version":1,"topics":[]}`), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := startServer(t, dir, "127.0.0.1:0")
			client := newClient(t, s.Addr())
			createTopics(t, client, ledgerTopic("ledger.a", 1))
			_, err := produce(t.Context(), client, "ledger.a", 0, []byte("one"))
			must(t, err)
			must(t, s.Stop(t.Context()))
			must(t, damage(dir))
			before := digest(t, dir)
			_, err = Start(t.Context(), Config{Dir: dir, Addr: s.Addr(), Open: true,
				Logger: slog.New(slog.DiscardHandler)})
			if !errors.Is(err, ErrUnreadable) {
				t.Fatalf("got %v", err)
			}
			if digest(t, dir) != before {
				t.Fatal("Start changed a directory that it could not read")
			}
			must(t, os.Rename(dir, dir+".aside")) // what the caller may do
			must(t, startServer(t, dir, s.Addr()).Stop(t.Context()))
		})
	}
}

// A torn tail is what a kill may leave and is cut off; a hole, or an end before the
// last clean stop's, is damage.
func TestDamagedLogs(t *testing.T) {
	const batches = 12
	segment := func(dir string, base int) string {
		return filepath.Join(dir, fmt.Sprintf("data/partitions/ledger.a-0/%d.dat", base))
	}
	chop := func(path string, by int64) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()-by)
	}
	flip := func(path string, at int) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[at] ^= 1
		return os.WriteFile(path, b, 0o600)
	}
	for name, c := range map[string]struct {
		damage func(dir string) error
		end    int // of the log afterwards, -1 if it is to be refused
	}{
		"torn tail": {func(dir string) error { return chop(segment(dir, 11), 3) }, batches - 1},
		"bytes after the tail": {func(dir string) error {
			return appendTo(segment(dir, 11), "rubbish that is no batch at all")
		}, batches},
		"segment in the middle": {func(dir string) error { return flip(segment(dir, 4), 100) }, -1},
		"segment cut short":     {func(dir string) error { return chop(segment(dir, 4), 3) }, -1},
		"segment gone":          {func(dir string) error { return os.Remove(segment(dir, 4)) }, -1},
		"older than the last stop": {func(dir string) error {
			for base := 8; base < batches; base++ {
				if err := os.Remove(segment(dir, base)); err != nil {
					return err
				}
			}
			return nil
		}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := startServer(t, dir, "127.0.0.1:0")
			topic := ledgerTopic("ledger.a", 1)
			topic.ConfigEntries = append(topic.ConfigEntries, kafkago.ConfigEntry{ConfigName: "segment.bytes",
				ConfigValue: "1"})
			createTopics(t, newClient(t, s.Addr()), topic)
			fill := func(addr string, n int) {
				client := newClient(t, addr)
				for range n {
					_, err := produce(t.Context(), client, "ledger.a", 0, bytes.Repeat([]byte("v"), 200))
					must(t, err)
				}
			}
			fill(s.Addr(), batches-2)
			must(t, s.Stop(t.Context()))
			c2 := startChild(t, dir, s.Addr()) // what follows is in no snapshot
			fill(c2.addr, 2)
			c2.kill(t)
			must(t, c.damage(dir))
			before := digest(t, dir)
			again, err := Start(t.Context(), Config{Dir: dir, Addr: s.Addr(), Open: true,
				Logger: slog.New(slog.DiscardHandler)})
			if c.end < 0 {
				if !errors.Is(err, ErrUnreadable) {
					t.Fatalf("got %v", err)
				}
				if digest(t, dir) != before {
					t.Fatal("Start changed a directory that it could not read")
				}
				return
			}
			must(t, err)
			if got := readAll(t, newClient(t, again.Addr()), "ledger.a", 0); len(got) != c.end {
				t.Fatalf("%d records, want %d", len(got), c.end)
			}
			fill(again.Addr(), 1)
			if end := endOffset(t, newClient(t, again.Addr()), "ledger.a", 0); end != int64(c.end+1) {
				t.Fatalf("end %d after one more, want %d", end, c.end+1)
			}
			must(t, again.Stop(t.Context()))
		})
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func digest(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(b), b)
		return err
	}))
	return fmt.Sprintf("%x", h.Sum(nil))
}

// The limit is on a batch, as in Kafka: of one record or of many.
func TestMessageSizes(t *testing.T) {
	s := startServer(t, t.TempDir(), "127.0.0.1:0")
	client := newClient(t, s.Addr())
	createTopics(t, client, ledgerTopic("ledger.big", 1), kafkago.TopicConfig{Topic: "plain", NumPartitions: 1,
		ReplicationFactor: 1})
	const limit = 4 << 20
	big := bytes.Repeat([]byte("0123456789abcdef"), limit/16)
	_, err := produce(t.Context(), client, "ledger.big", 0, big[:limit-1024])
	must(t, err)
	for name, values := range map[string][][]byte{
		"one record":   {big},
		"many records": {big[:limit/2], big[:limit/2]},
	} {
		if _, err := produce(t.Context(), client, "ledger.big", 0, values...); !errors.Is(err,
			kafkago.MessageSizeTooLarge) {
			t.Fatalf("%s over the limit: %v", name, err)
		}
	}
	if _, err := produce(t.Context(), client, "plain", 0, big[:1<<20+1024]); !errors.Is(err,
		kafkago.MessageSizeTooLarge) {
		t.Fatalf("over Kafka's own default: %v", err)
	}
	if got := readAll(t, client, "ledger.big", 0); len(got) != 1 || !bytes.Equal(got[0], big[:limit-1024]) {
		t.Fatalf("read back %d records", len(got))
	}
}

func TestTopicsAreNotMadeByAsking(t *testing.T) {
	s := startServer(t, t.TempDir(), "127.0.0.1:0")
	if _, err := produce(t.Context(), newClient(t, s.Addr()), "nowhere", 0, []byte("x")); err == nil ||
		!strings.Contains(err.Error(), "topic not found") {
		t.Fatalf("produce: %v", err)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("nowhere")}}
	code := ask[*kmsg.MetadataResponse](t, s.Addr(), req, 12).Topics[0].ErrorCode
	if code != int16(kafkago.UnknownTopicOrPartition) {
		t.Fatalf("metadata: error code %d", code)
	}
	if ids := topicIDs(t, s.Addr()); len(ids) != 0 {
		t.Fatalf("topics %v", ids)
	}
}

// The cleaner must stay off, also where an older run wrote another interval.
func TestCleanerIsOff(t *testing.T) {
	s := startServer(t, t.TempDir(), "127.0.0.1:0")
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker,
		ResourceName: "0",
		ConfigNames:  []string{"log.cleaner.backoff.ms"}}}
	res := ask[*kmsg.DescribeConfigsResponse](t, s.Addr(), req, 4)
	if len(res.Resources) != 1 || len(res.Resources[0].Configs) != 1 ||
		*res.Resources[0].Configs[0].Value != "9223372036854" {
		t.Fatalf("%+v", res.Resources)
	}
}

// Bytes that are not Kafka's end their connection and nothing else.
func TestStrangersOnThePort(t *testing.T) {
	c := startChild(t, t.TempDir(), "127.0.0.1:0") // a panic must not take the tests along
	frame := func(size uint32, key uint16) string {
		return string([]byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size), byte(key >> 8),
			byte(key), 0, 0, 0, 0, 0, 1})
	}
	for name, bytes := range map[string]string{
		"HTTP":             "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"TLS":              "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijkl",
		"unknown api key":  frame(8, 9999),
		"a gap in the api": frame(8, 93),
		"negative api key": frame(8, 0xffff),
		"huge":             frame(1<<31, 3),
		"too short":        frame(4, 3),
	} {
		conn, err := net.Dial("tcp", c.addr)
		must(t, err)
		must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = io.WriteString(conn, bytes)
		must(t, err)
		var timeout net.Error
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil ||
			errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: connection goes on: %d, %v", name, n, err)
		}
		conn.Close()
	}
	createTopics(t, newClient(t, c.addr), ledgerTopic("still.here", 1))
}

// kfake only logs that it could not write its topic list; Stop returns it.
func TestStopReturnsFailedWrites(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir, "127.0.0.1:0")
	must(t, os.Mkdir(filepath.Join(dir, "data/topics.json.tmp"), 0o700)) // where the new list would go
	createTopics(t, newClient(t, s.Addr()), ledgerTopic("ledger.a", 1))
	if err := s.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "topics") {
		t.Fatalf("Stop: %v", err)
	}
}

func TestStartRespectsItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Open: true,
		Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}
