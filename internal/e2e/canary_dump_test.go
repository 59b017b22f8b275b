//go:build canary

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// dumpEventStore returns every event of $all, system events included, with all that the
// official client tells of it.
func dumpEventStore(t testing.TB, ctx context.Context, address string) []byte {
	t.Helper()
	conf, err := esdb.ParseConnectionString(address)
	if err != nil {
		t.Fatal(err)
	}
	conf.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stream, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.Start{}, Direction: esdb.Forwards},
		math.MaxInt32)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var out bytes.Buffer
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		r := e.OriginalEvent()
		fmt.Fprintf(&out, "%s %d %s %s %s %v\n%s\n%s\n", r.StreamID, r.EventNumber, r.EventType, r.EventID,
			r.ContentType, r.SystemMetadata, r.Data, r.UserMetadata)
	}
}

// dumpKafka returns every message of every topic that the broker lists: key, headers, value.
func dumpKafka(t testing.TB, ctx context.Context, d door) []byte {
	t.Helper()
	login, err := scram.Mechanism(scram.SHA256, d.User, d.Password)
	if err != nil {
		t.Fatal(err)
	}
	transport := &kafkago.Transport{SASL: login}
	defer transport.CloseIdleConnections()
	client := &kafkago.Client{Addr: kafkago.TCP(d.Brokers), Transport: transport}
	dialer := &kafkago.Dialer{SASLMechanism: login, Timeout: 10 * time.Second}
	all, err := client.Metadata(ctx, &kafkago.MetadataRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Topics) == 0 {
		t.Fatal("the broker lists no topic")
	}
	var out bytes.Buffer
	for _, topic := range all.Topics {
		for _, partition := range topic.Partitions {
			fmt.Fprintf(&out, "topic %s/%d\n", topic.Name, partition.ID)
			conn, err := dialer.DialLeader(ctx, "tcp", d.Brokers, topic.Name, partition.ID)
			if err != nil {
				t.Fatal(err)
			}
			first, end, err := conn.ReadOffsets()
			if err = errors.Join(err, conn.Close()); err != nil {
				t.Fatal(err)
			}
			if first == end {
				continue
			}
			reader := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{d.Brokers}, Dialer: dialer,
				Topic: topic.Name, Partition: partition.ID, MaxWait: 100 * time.Millisecond, MaxBytes: 8 << 20})
			if err := reader.SetOffset(first); err != nil {
				t.Fatal(err)
			}
			for at := first; at < end; {
				m, err := reader.ReadMessage(ctx)
				if err != nil {
					t.Fatalf("%s/%d@%d: %v", topic.Name, partition.ID, at, err)
				}
				at = m.Offset + 1
				fmt.Fprintf(&out, "%s\n%s\n", m.Key, m.Value)
				for _, h := range m.Headers {
					fmt.Fprintf(&out, "%s: %s\n", h.Key, h.Value)
				}
			}
			if err := reader.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out.Bytes()
}

// systemTables of ClickHouse tell of what was asked and what went wrong; whichever of them exist
// are read, and every log table. detached_parts, which no account may read, is left out.
var systemTables = []string{"processes", "errors", "parts", "parts_columns", "columns", "tables", "databases",
	"mutations", "merges", "query_cache",
	"asynchronous_inserts", "settings", "events", "metrics", "warnings", "dropped_tables", "data_skipping_indices",
	"projections", "view_refreshes", "user_processes", "part_moves_between_shards"}

// dumpClickHouse returns every table and view of every database of ours, and what the engine's own
// tables tell, as text and in its native form.
func dumpClickHouse(t testing.TB, ctx context.Context, d door) []byte {
	t.Helper()
	list := askClickHouse(t, ctx, d, "SELECT database, name FROM system.tables WHERE lower(database) != "+
		"'information_schema' ORDER BY database, name FORMAT TSVRaw")
	var out bytes.Buffer
	var ours, theirs int
	for line := range strings.Lines(string(list)) {
		database, table, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			t.Fatalf("list of tables: %q", line)
		}
		if database == "system" && !slices.Contains(systemTables, table) && !strings.HasSuffix(table, "_log") {
			continue
		}
		if database != "system" {
			ours++
		} else {
			theirs++
		}
		fmt.Fprintf(&out, "\ntable %s.%s\n", database, table)
		for _, format := range []string{"TSVRaw", "Native"} {
			out.Write(askClickHouse(t, ctx, d, fmt.Sprintf("SELECT * FROM `%s`.`%s` FORMAT %s", database,
				table, format)))
		}
	}
	if ours < 5 || theirs < 5 {
		t.Fatalf("ClickHouse lists %d tables of ours and %d of its own that are looked at", ours, theirs)
	}
	return out.Bytes()
}

func askClickHouse(t testing.TB, ctx context.Context, d door, query string) []byte {
	t.Helper()
	return d.ask(t, ctx, http.MethodPost, "/", query)
}

// look is one scan of everything: what was found, and which positive controls were found where.
type look struct {
	leaks    []finding
	controls map[string]map[string]bool // place group → control id
	places   int
}

// take sorts the findings of a place. Nobody but standing canaries, and those that
// allowed names, may be there.
func (l *look) take(group string, found []finding, allowed func(*canary) bool) {
	l.places++
	if l.controls[group] == nil {
		l.controls[group] = map[string]bool{}
	}
	for _, f := range found {
		switch {
		case f.canary.in == standing:
			l.controls[group][f.canary.id] = true
		case allowed == nil || !allowed(f.canary):
			f.place = group + ": " + f.place
			l.leaks = append(l.leaks, f)
		}
	}
}

func (l *look) report(t testing.TB, when string) {
	t.Helper()
	for _, f := range l.leaks {
		t.Errorf("%s: LEAK %v", when, f)
	}
}

// mustShow fails where a group does not hold all positive controls, or, with some, at least one.
func (l *look) mustShow(t testing.TB, when string, controls []string, some bool, groups ...string) {
	t.Helper()
	for _, g := range groups {
		found := l.controls[g]
		if len(found) < len(controls) && !some || len(found) == 0 {
			t.Errorf("%s: %s hold %d of %d positive controls (%v): the search would not have seen a leak there", when,
				g, len(found), len(controls), slices.Sorted(maps.Keys(found)))
		}
	}
}

// files looks through every file that the node and its commands left.
func (l *look) files(t testing.TB, s *canaryScanner, n *node, live bool) {
	t.Helper()
	for _, dir := range []string{n.dir + "/data", n.dir + "/tmp"} {
		found, sizes, err := s.scanFiles(dir, live)
		if err != nil {
			t.Fatal(err)
		}
		byTop := map[string][]finding{}
		for _, f := range found {
			top, _, _ := strings.Cut(f.place, "/")
			byTop[top] = append(byTop[top], f)
		}
		for top, found := range byTop {
			l.take("files of "+top, found, nil)
		}
		if strings.HasSuffix(dir, "/data") {
			t.Logf("bytes by folder: %v", sizes)
			for _, must := range []string{"eventstore", "kafka", "clickhouse", "vault.db", "vault.slots",
				"keys", "sequence.index"} {
				if sizes[must] == 0 {
					t.Errorf("no file of %s was read", must)
				}
			}
		}
	}
	log, err := os.ReadFile(n.dir + "/up.log")
	if err != nil || len(log) == 0 {
		t.Fatalf("the log of up: %d bytes, %v", len(log), err)
	}
	l.take("logs", s.scan("up.log", log), nil)
}
