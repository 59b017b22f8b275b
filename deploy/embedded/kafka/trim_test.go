package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

func positionTopic() kafkago.TopicConfig {
	return kafkago.TopicConfig{Topic: "ledger.position", NumPartitions: 1, ReplicationFactor: 1,
		ConfigEntries: []kafkago.ConfigEntry{
			{ConfigName: "cleanup.policy", ConfigValue: "compact"},
			{ConfigName: "segment.bytes", ConfigValue: "16384"}}}
}

// bytesOf sums the files of a topic's first partition.
func bytesOf(t *testing.T, dir, topic string) (n int64) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, "data", "partitions", topic+"-0"))
	must(t, err)
	for _, f := range files {
		if info, err := f.Info(); err == nil { // it may be trimmed just now
			n += info.Size()
		}
	}
	return n
}

// readFrom returns offset and value of the records from an offset on.
func readFrom(t *testing.T, c *kafkago.Client, topic string, from, end int64) map[int64]string {
	t.Helper()
	out := map[int64]string{}
	for from < end {
		res, err := c.Fetch(t.Context(), &kafkago.FetchRequest{Topic: topic, Offset: from, MinBytes: 1,
			MaxBytes: 16 << 20, MaxWait: time.Second})
		must(t, err)
		must(t, res.Error)
		before := from
		for {
			r, err := res.Records.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			v, err := kafkago.ReadAll(r.Value)
			must(t, err)
			out[r.Offset] = string(v)
			from = r.Offset + 1
		}
		if from == before {
			t.Fatalf("nothing at offset %d, the end is %d", from, end)
		}
	}
	return out
}

// However often it is killed while it trims, the newest records are there, at their offsets, and
// the topic stays small.
func TestTrimmedTopicSurvivesKills(t *testing.T) {
	t.Setenv(trimEnv, "1")
	dir := filepath.Join(t.TempDir(), "broker")
	c := startChild(t, dir, "127.0.0.1:0")
	createTopics(t, newClient(t, c.addr), positionTopic())
	value := func(n int64) string { return fmt.Sprintf("%d %s", n, strings.Repeat("x", 1400)) }
	next := int64(0)
	for round := range 6 {
		client := newClient(t, c.addr)
		for range 100 + rand.IntN(100) {
			at, err := produce(t.Context(), client, "ledger.position", 0, []byte(value(next)))
			must(t, err)
			if at != next {
				t.Fatalf("round %d: record %d was acknowledged at %d", round, next, at)
			}
			next++
		}
		if n := bytesOf(t, dir, "ledger.position"); n > 6*16384 {
			t.Errorf("round %d: the topic has %d bytes on disk", round, n)
		}
		c.kill(t)
		c = startChild(t, dir, c.addr)
		client = newClient(t, c.addr)
		res, err := client.ListOffsets(t.Context(), &kafkago.ListOffsetsRequest{
			Topics: map[string][]kafkago.OffsetRequest{"ledger.position": {kafkago.LastOffsetOf(0)}}})
		must(t, err)
		if end := res.Topics["ledger.position"][0].LastOffset; end != next {
			t.Fatalf("round %d: the end is %d, want %d", round, end, next)
		}
		got := readFrom(t, client, "ledger.position", next-kept, next)
		for n := next - kept; n < next; n++ {
			if got[n] != value(n) {
				t.Fatalf("round %d: record %d is lost or another", round, n)
			}
		}
	}
}

// Trimming survives an orderly stop, leaves what it should, and is nobody else's:
// no client may ask for it.
func TestTrim(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "broker")
	s := startServer(t, dir, "127.0.0.1:0")
	client := newClient(t, s.Addr())
	createTopics(t, client, positionTopic())
	for n := range 50 {
		_, err := produce(t.Context(), client, "ledger.position", 0, []byte(fmt.Sprint(n)))
		must(t, err)
	}
	must(t, s.Trim(t.Context(), "ledger.position", 0, 40))
	if err := s.Trim(t.Context(), "ledger.position", 0, 51); err == nil {
		t.Error("trimmed beyond the end")
	}
	if err := s.Trim(t.Context(), "ledger.other", 0, 1); err == nil {
		t.Error("trimmed no topic")
	}
	must(t, s.Stop(context.Background()))
	s, err := Start(t.Context(), Config{Dir: dir, Addr: "127.0.0.1:0", Open: true,
		Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer func() { must(t, s.Stop(context.Background())) }()
	got := readFrom(t, newClient(t, s.Addr()), "ledger.position", 40, 50)
	if len(got) != 10 || got[40] != "40" || got[49] != "49" {
		t.Errorf("after a restart: %v", got)
	}
}
