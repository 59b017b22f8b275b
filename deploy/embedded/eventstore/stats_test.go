package eventstore

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/watch"
)

func get(t testing.TB, s *Server, path string, want int) string {
	t.Helper()
	return request(t, s, http.MethodGet, path, want)
}

func request(t testing.TB, s *Server, method, path string, want int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), method, "http://"+s.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != want {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, want, body)
	}
	return string(body)
}

// /stats has a real server's names for what exists here, and each part by its path.
func TestStats(t *testing.T) {
	f := newFixture(t)
	f.append("canary-stream", nil, event(`"canary-data"`), event(`"canary-data"`))
	trace(t, f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}}))
	body := get(t, f.s, "/stats", http.StatusOK)
	if strings.Contains(body, "canary") {
		t.Errorf("stats hold event data or names: %s", body)
	}
	var stats struct {
		Proc struct {
			StartTime string
			ID        int
			Mem       int64
			TCP       struct{ Connections int }
		}
		ES struct {
			Checksum uint64
			Writer   struct {
				LastFlushSize                     int
				LastFlushDelayMs, MaxFlushDelayMs float64
			}
			Queue map[string]struct {
				QueueName string
				Length    int
			}
			Node struct {
				ID, Version   string
				Failed        bool
				Events        int
				Position      uint64
				Subscriptions struct {
					Live, Behind int
					MaxLagBytes  uint64
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &stats); err != nil {
		t.Fatal(err)
	}
	end, _ := watch.LogEnd(f.s.store)
	node := stats.ES.Node
	switch {
	case stats.Proc.ID != os.Getpid(), stats.Proc.StartTime == "", stats.Proc.Mem <= 0, stats.Proc.TCP.Connections < 2:
		t.Errorf("proc: %+v", stats.Proc)
	case stats.ES.Checksum != end, stats.ES.Writer.LastFlushSize <= 0, stats.ES.Writer.LastFlushDelayMs <= 0,
		stats.ES.Writer.MaxFlushDelayMs < stats.ES.Writer.LastFlushDelayMs:
		t.Errorf("es: %+v", stats.ES)
	case stats.ES.Queue["Storage Writer"].QueueName != "Storage Writer":
		t.Errorf("queue: %+v", stats.ES.Queue)
	case node.Events != 2, node.Position != end, node.Failed, node.Version != protocol.ServerVersion, node.ID == "":
		t.Errorf("node: %+v", node)
	case node.Subscriptions.Live != 1, node.Subscriptions.Behind != 0:
		t.Errorf("subscriptions: %+v", node.Subscriptions)
	}
	if got := get(t, f.s, "/stats/es/node/events", http.StatusOK); strings.TrimSpace(got) != "2" {
		t.Errorf("one figure: %q", got)
	}
	get(t, f.s, "/stats/es/queue", http.StatusOK)
	get(t, f.s, "/stats/es/nothing", http.StatusNotFound)
	get(t, f.s, "/stats/es/checksum/deeper", http.StatusNotFound)
}

// What is not served over HTTP is refused with what is.
func TestOperationsOverHTTP(t *testing.T) {
	f := newFixture(t)
	f.append("s", nil, event(`{}`))
	body := get(t, f.s, "/metrics", http.StatusOK)
	for _, want := range []string{`eventstore_writes_total{outcome="written"} 1`, "\nprocess_resident_memory_bytes ",
		"\ngo_goroutines "} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics do not hold %q: %.300s", want, body)
		}
	}
	var info struct{ ESVersion, State string }
	if err := json.Unmarshal([]byte(get(t, f.s, "/info", http.StatusOK)), &info); err != nil ||
		info.ESVersion != protocol.ServerVersion || info.State != "leader" {
		t.Errorf("info: %+v, %v", info, err)
	}
	for _, path := range []string{"/", "/streams/s", "/statsx", "/subscriptions", "/gossip"} {
		if body := get(t, f.s, path, http.StatusNotFound); !strings.Contains(body, "/metrics") {
			t.Errorf("%s: %q does not say what there is", path, body)
		}
	}
	for _, path := range []string{"/metrics", "/stats", "/info", "/health/live"} {
		if body := request(t, f.s, http.MethodDelete, path, http.StatusMethodNotAllowed); !strings.Contains(body,
			"GET") {
			t.Errorf("%s: %q does not say what is allowed", path, body)
		}
	}
	request(t, f.s, http.MethodHead, "/stats", http.StatusOK)
}

// The log says where the server listens and what it holds, when it starts and
// when it ends, and holds nothing of events, whatever goes wrong.
func TestLogsTellStartAndStopAndNoEventData(t *testing.T) {
	var log strings.Builder
	cfg := testConfig(t.TempDir() + "/canary-dir")
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	f.append("canary-stream", esdb.NoStream{}, event(`"canary-data"`), event(`"canary-data"`))
	if _, err := f.c.TombstoneStream(f.ctx, "canary-gone", esdb.TombstoneStreamOptions{
		ExpectedRevision: esdb.Any{},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.readStream("canary-gone", esdb.Forwards, esdb.Start{}, 1); err == nil {
		t.Fatal("read a tombstoned stream")
	}
	if _, err := f.readAll(esdb.Forwards, esdb.Position{Commit: 257, Prepare: 257}, 1); err == nil {
		t.Fatal("read from a position that no event has")
	}
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}}) // dropped by the stop
	trace(t, sub)
	stopServer(t, s)
	text := log.String()
	if strings.Contains(text, "canary") {
		t.Errorf("log: %s", text)
	}
	for _, want := range []string{
		"msg=\"event store serves\" addr=" + s.Addr(), "events=0", "took=",
		"msg=\"event store has stopped\" addr=" + s.Addr(), "events=3", "served=",
		"msg=\"read ended by the server\" kind=read_stream code=FailedPrecondition",
		"msg=\"read ended by the server\" kind=subscription_all code=Unavailable",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not say %s: %s", want, text)
		}
	}
}
