package eventstore

import (
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// The ids that Any is compared with come back from disk after a restart.
func TestIdempotencyWithAnySurvivesRestart(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, err := Start(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	ev := events(3)
	first := f.append("s", esdb.Any{}, ev...)
	stopServer(t, s)
	f.s = startServer(t, cfg)
	f.c = dial(t, f.s)
	f.append("s", esdb.Revision(2), event(`{}`)) // cached now, by a path that loads no ids
	if res := f.append("s", esdb.Any{}, ev...); *res != *first {
		t.Errorf("got %+v, want %+v", res, first)
	}
}

// The per-stream cache of ids is bounded: an id further back counts as new.
func TestIdempotencyWithAnyIsBounded(t *testing.T) {
	f := newFixture(t)
	old, recent := event(`{}`), event(`{}`)
	f.append("s", esdb.Any{}, old)
	f.append("s", esdb.Any{}, recent)
	f.append("s", esdb.Any{}, events(eventlog.RecentIDs-1)...)
	if res := f.append("s", esdb.Any{}, recent); res.NextExpectedVersion != 1 {
		t.Errorf("the %dth newest id: %+v, want the original revision 1", eventlog.RecentIDs, res)
	}
	if res := f.append("s", esdb.Any{}, old); res.NextExpectedVersion != eventlog.RecentIDs+1 {
		t.Errorf("an id further back: %+v, want a new event", res)
	}
	// With an exact revision nothing is forgotten.
	if res := f.append("s", esdb.NoStream{}, old, recent); res.NextExpectedVersion != 1 {
		t.Errorf("exact: %+v", res)
	}
}

// Events' times never go back, even where the clock does.
func TestClockGoingBackwards(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	cfg := testConfig(t.TempDir())
	cfg.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	s, err := Start(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	f.append("s", esdb.Any{}, event(`{}`))
	first := now
	mu.Lock()
	now = now.Add(-time.Hour)
	mu.Unlock()
	f.append("s", esdb.Any{}, event(`{}`))
	stopServer(t, s)
	f.s = startServer(t, cfg)
	f.c = dial(t, f.s)
	f.append("s", esdb.Any{}, event(`{}`))
	got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 10)
	if err != nil || len(got) != 3 {
		t.Fatalf("read %d events, %v", len(got), err)
	}
	for i, e := range got {
		if !e.CreatedDate.Equal(first) {
			t.Errorf("event %d created %v, want %v", i, e.CreatedDate, first)
		}
	}
}

// rawConn speaks the protocol without the official client's comforts.
func (f *fixture) rawConn() *grpc.ClientConn {
	f.t.Helper()
	conn, err := grpc.NewClient(f.s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func appendOptions(stream string) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
		ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}
}

func proposed(id *shared.UUID, meta map[string]string, size int) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{
		ProposedMessage: &streams.AppendReq_ProposedMessage{Id: id, Metadata: meta, Data: make([]byte, size)},
	}}
}
