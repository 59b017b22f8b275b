package eventstore

import (
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Append, read back, follow $all, restart, read again.
func TestAppendReadSubscribeRestart(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, err := Start(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if e := sub.Recv(); e.CaughtUp == nil {
		t.Fatalf("got %+v, want caught up", e)
	}
	sent := events(3)
	res := f.append("a", esdb.NoStream{}, sent...)
	if res.NextExpectedVersion != 2 || res.CommitPosition == 0 || res.CommitPosition != res.PreparePosition {
		t.Fatalf("append answered %+v", res)
	}
	for i := range sent {
		e := sub.Recv()
		if e.EventAppeared == nil || e.EventAppeared.OriginalEvent().EventID != sent[i].EventID {
			t.Fatalf("subscription got %+v, want event %d", e, i)
		}
	}
	before, err := f.readAll(esdb.Forwards, esdb.Start{}, 100)
	if err != nil || len(before) != 3 {
		t.Fatalf("read %d events, %v", len(before), err)
	}
	stopServer(t, s)

	s = startServer(t, cfg)
	f.s, f.c = s, dial(t, s)
	after, err := f.readAll(esdb.Forwards, esdb.Start{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(positions(before), positions(after)) {
		t.Fatalf("positions %v before the restart, %v after", positions(before), positions(after))
	}
	if res := f.append("a", esdb.Revision(2), event(`{}`)); res.NextExpectedVersion != 3 {
		t.Fatalf("append after the restart answered %+v", res)
	}
}
