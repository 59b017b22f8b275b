package kafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// childEnv makes the test binary a broker on "dir|addr" instead of running tests.
const childEnv = "EMBEDDED_KAFKA_CHILD"

func TestMain(m *testing.M) {
	if v := os.Getenv(childEnv); v != "" {
		if err := runChild(v); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runChild serves until its standard input ends, so that it never outlives its parent.
func runChild(v string) error {
	dir, addr, _ := strings.Cut(v, "|")
	s, err := Start(context.Background(), Config{Dir: dir, Addr: addr, Open: true,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	fmt.Println(s.Addr())
	if os.Getenv(trimEnv) != "" {
		go trimAlways(s)
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return s.Stop(context.Background())
}

// trimEnv makes the child trim ledger.position all the time, so that a kill comes in the middle of
// it.
const (
	trimEnv = "EMBEDDED_KAFKA_TRIM"
	kept    = 20
)

func trimAlways(s *Server) {
	for {
		p := s.cluster.PartitionInfo("ledger.position", 0)
		if p == nil || p.HighWatermark-kept <= p.LogStartOffset {
			time.Sleep(time.Millisecond)
			continue
		}
		if err := s.Trim(context.Background(), "ledger.position", 0, p.HighWatermark-kept); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
}

type child struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startChild(t testing.TB, dir, addr string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir+"|"+addr)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("child said nothing: %v (exit: %v)", err, cmd.Wait())
	}
	c := &child{addr: strings.TrimSpace(line), cmd: cmd, stdin: stdin}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			c.kill(t)
		}
	})
	return c
}

// stop ends it in order.
func (c *child) stop(t testing.TB) {
	t.Helper()
	must(t, c.stdin.Close())
	must(t, c.cmd.Wait())
}

// kill is kill -9, and waits until the process is gone.
func (c *child) kill(t testing.TB) {
	t.Helper()
	must(t, c.cmd.Process.Kill())
	var exit *exec.ExitError
	if err := c.cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("killed child: %v", err)
	}
}

func startServer(t *testing.T, dir, addr string) *Server {
	t.Helper()
	s, err := Start(t.Context(), Config{Dir: dir, Addr: addr, Open: true, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

func newClient(t testing.TB, addr string) *kafkago.Client {
	t.Helper()
	tr := &kafkago.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &kafkago.Client{Addr: kafkago.TCP(addr), Timeout: 10 * time.Second, Transport: tr}
}

// ledgerTopic is configured as a topic that must keep everything is.
func ledgerTopic(name string, partitions int) kafkago.TopicConfig {
	return kafkago.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: 1,
		ConfigEntries: []kafkago.ConfigEntry{
			{ConfigName: "cleanup.policy", ConfigValue: "delete"},
			{ConfigName: "retention.ms", ConfigValue: "-1"},
			{ConfigName: "max.message.bytes", ConfigValue: "4194304"},
		}}
}

func createTopics(t testing.TB, c *kafkago.Client, topics ...kafkago.TopicConfig) {
	t.Helper()
	res, err := c.CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{Topics: topics})
	must(t, err)
	for _, topic := range topics {
		must(t, res.Errors[topic.Topic])
	}
}

func produce(ctx context.Context, c *kafkago.Client, topic string, partition int, values ...[]byte) (int64, error) {
	records := make([]kafkago.Record, len(values))
	for i, v := range values {
		records[i] = kafkago.Record{Time: time.Now(), Key: kafkago.NewBytes([]byte("key")), Value: kafkago.NewBytes(v),
			Headers: []kafkago.Header{{Key: "ce_specversion", Value: []byte("1.0")}}}
	}
	res, err := c.Produce(ctx, &kafkago.ProduceRequest{Topic: topic, Partition: partition,
		RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(records...)})
	if err != nil {
		return 0, err
	}
	return res.BaseOffset, res.Error
}

// readAll returns the values of a partition in the order of their offsets, which
// must be 0, 1, 2, … without a gap.
func readAll(t *testing.T, c *kafkago.Client, topic string, partition int) [][]byte {
	t.Helper()
	end := endOffset(t, c, topic, partition)
	var out [][]byte
	for int64(len(out)) < end {
		res, err := c.Fetch(t.Context(), &kafkago.FetchRequest{Topic: topic, Partition: partition,
			Offset: int64(len(out)), MinBytes: 1, MaxBytes: 16 << 20, MaxWait: time.Second})
		must(t, err)
		must(t, res.Error)
		before := len(out)
		for {
			r, err := res.Records.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			if r.Offset < int64(len(out)) {
				continue // the batch begins before the offset asked for
			}
			if r.Offset != int64(len(out)) {
				t.Fatalf("%s/%d: offset %d, expected %d", topic, partition, r.Offset, len(out))
			}
			v, err := kafkago.ReadAll(r.Value)
			must(t, err)
			out = append(out, v)
		}
		if len(out) == before {
			t.Fatalf("%s/%d: nothing at offset %d, end %d", topic, partition, before, end)
		}
	}
	return out
}

func endOffset(t *testing.T, c *kafkago.Client, topic string, partition int) int64 {
	t.Helper()
	res, err := c.ListOffsets(t.Context(), &kafkago.ListOffsetsRequest{
		Topics: map[string][]kafkago.OffsetRequest{topic: {kafkago.FirstOffsetOf(partition),
			kafkago.LastOffsetOf(partition)}}})
	must(t, err)
	if n := len(res.Topics[topic]); n != 1 {
		t.Fatalf("offsets of %d partitions", n)
	}
	po := res.Topics[topic][0]
	must(t, po.Error)
	if po.FirstOffset != 0 {
		t.Fatalf("first offset %d", po.FirstOffset)
	}
	return po.LastOffset
}

// ask sends one request of franz-go's own encoding, for what kafka-go cannot ask.
func ask[R kmsg.Response](t *testing.T, addr string, req kmsg.Request, version int16) R {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	req.SetVersion(version)
	_, err = conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 7))
	must(t, err)
	var size [4]byte
	_, err = io.ReadFull(conn, size[:])
	must(t, err)
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err = io.ReadFull(conn, body)
	must(t, err)
	body = body[4:] // correlation id
	if req.IsFlexible() {
		body = body[1:] // no tagged fields
	}
	res := req.ResponseKind()
	must(t, res.ReadFrom(body))
	return res.(R)
}

// topicIDs asks with a version of Metadata that carries them (kafka-go stops at 8).
func topicIDs(t *testing.T, addr string) map[string][16]byte {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	ids := map[string][16]byte{}
	for _, topic := range ask[*kmsg.MetadataResponse](t, addr, req, 12).Topics {
		if topic.TopicID == [16]byte{} {
			t.Fatalf("topic %s has no id", *topic.Topic)
		}
		ids[*topic.Topic] = topic.TopicID
	}
	return ids
}

func topicConfigs(t *testing.T, c *kafkago.Client, topic string) map[string]string {
	t.Helper()
	res, err := c.DescribeConfigs(t.Context(),
		&kafkago.DescribeConfigsRequest{Resources: []kafkago.DescribeConfigRequestResource{
			{ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic,
				ConfigNames: []string{"retention.ms", "cleanup.policy", "max.message.bytes"}}}})
	must(t, err)
	out := map[string]string{}
	for _, r := range res.Resources {
		must(t, r.Error)
		for _, e := range r.ConfigEntries {
			out[e.ConfigName] = e.ConfigValue
		}
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
