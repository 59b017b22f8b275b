package eventstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
)

// next returns the next event of the subscription, skipping other messages.
func next(t testing.TB, sub *esdb.Subscription) *esdb.RecordedEvent {
	t.Helper()
	for {
		e := sub.Recv()
		if e.SubscriptionDropped != nil {
			t.Fatalf("subscription dropped: %v", e.SubscriptionDropped.Error)
		}
		if e.EventAppeared != nil {
			return e.EventAppeared.OriginalEvent()
		}
	}
}

// trace is a subscription's messages up to the first caught-up, as short words.
func trace(t testing.TB, sub *esdb.Subscription) []string {
	t.Helper()
	var out []string
	for {
		switch e := sub.Recv(); {
		case e.SubscriptionDropped != nil:
			t.Fatalf("subscription dropped after %v: %v", out, e.SubscriptionDropped.Error)
		case e.EventAppeared != nil:
			r := e.EventAppeared.OriginalEvent()
			out = append(out, fmt.Sprintf("%s/%d", r.StreamID, r.EventNumber))
		case e.CheckPointReached != nil:
			out = append(out, fmt.Sprintf("checkpoint %d", e.CheckPointReached.Commit))
		case e.FellBehind != nil:
			out = append(out, "fell behind")
		case e.CaughtUp != nil:
			return append(out, "caught up")
		}
	}
}

func wantTrace(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// A subscription to an empty store is live at once and gets what comes first.
func TestSubscribeToAnEmptyStore(t *testing.T) {
	f := newFixture(t)
	start := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	wantTrace(t, "from the start", trace(t, start), "caught up")
	end := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.End{}})
	wantTrace(t, "from the end", trace(t, end), "caught up")
	filtered := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{},
		Filter: esdb.ExcludeSystemEventsFilter()})
	wantTrace(t, "filtered", trace(t, filtered), "checkpoint 0", "caught up")
	stream := f.subscribeStream("a", esdb.Start{})
	wantTrace(t, "a stream to come", trace(t, stream), "caught up")
	res := f.append("a", esdb.Any{}, events(2)...)
	for name, sub := range map[string]*esdb.Subscription{"start": start, "end": end, "filtered": filtered,
		"stream": stream} {
		if e := next(t, sub); e.EventNumber != 0 {
			t.Errorf("%s: got revision %d first", name, e.EventNumber)
		}
		if e := next(t, sub); e.EventNumber != 1 || e.Position.Commit != res.CommitPosition {
			t.Errorf("%s: got revision %d at %+v second", name, e.EventNumber, e.Position)
		}
	}
}

// What cannot be filtered by is refused with a reason, not ignored.
func TestFilterThatCannotBeApplied(t *testing.T) {
	f := newFixture(t)
	for _, regex := range []string{`[z-a]`, `(`, strings.Repeat("a", protocol.MaxPattern+1)} {
		_, err := f.c.SubscribeToAll(f.ctx, esdb.SubscribeToAllOptions{From: esdb.Start{},
			Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: regex}})
		if e := asError(t, err); status.Code(e.Err()) != codes.InvalidArgument ||
			!strings.Contains(e.Error(), "cannot apply the regular expression") {
			t.Errorf("%s: %v", regex, err)
		}
	}
}

// A live subscriber that does not read falls behind, catches up from disk, and
// is told when it is level again; that it fell behind it is not told, as by
// servers of 24.x. What it was sent is whole and in order.
func TestSlowSubscriber(t *testing.T) {
	f := newFixture(t)
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	wantTrace(t, "empty", trace(t, sub), "caught up")
	// Far more than the transport's windows hold, while the subscriber sleeps.
	const appends, size = 64, 900 << 10
	data := strings.Repeat("x", size)
	for range appends {
		f.append("s", esdb.Any{}, event(data))
	}
	f.append("s", esdb.Any{}, events(2*protocol.PageEvents)...)
	got := trace(t, sub)
	if slices.Contains(got, "fell behind") || got[len(got)-1] != "caught up" {
		t.Fatalf("got %d messages, the last %q, fell behind: %v", len(got), got[len(got)-1],
			slices.Contains(got, "fell behind"))
	}
	got = got[:len(got)-1]
	for i, s := range got {
		if s != fmt.Sprintf("s/%d", i) {
			t.Fatalf("message %d is %s", i, s)
		}
	}
	if len(got) < appends {
		t.Fatalf("got %d events", len(got))
	}
}

// Under 64 appenders each subscriber sees each event once, in $all order, and
// each stream's revisions in order; what it sees had its place already.
func TestSubscribersUnderConcurrentAppenders(t *testing.T) {
	f := newFixture(t)
	const appenders, each, subscribers = 64, 30, 4
	total := 0
	for w := range appenders {
		for i := range each {
			total += 1 + (w+i)%3
		}
	}
	subs := make([]*esdb.Subscription, subscribers)
	for i := range subs {
		subs[i] = f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	}
	var wg sync.WaitGroup
	seen := make([][]esdb.RecordedEvent, subscribers)
	for i, sub := range subs {
		wg.Go(func() {
			for len(seen[i]) < total {
				e := sub.Recv()
				if e.SubscriptionDropped != nil {
					t.Errorf("subscriber %d after %d events: %v", i, len(seen[i]), e.SubscriptionDropped.Error)
					return
				}
				if e.EventAppeared != nil {
					seen[i] = append(seen[i], *e.EventAppeared.OriginalEvent())
				}
			}
		})
	}
	acked := make(chan uuid.UUID, total)
	for w := range appenders {
		wg.Go(func() {
			for i := range each {
				ev := events(1 + (w+i)%3)
				stream := fmt.Sprintf("s-%d", (w+i)%10)
				if _, err := f.c.AppendToStream(context.Background(), stream,
					esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, ev...); err != nil {
					t.Errorf("append: %v", err)
					return
				}
				for _, e := range ev {
					acked <- e.EventID
				}
			}
		})
	}
	wg.Wait()
	close(acked)
	all, err := f.readAll(esdb.Forwards, esdb.Start{}, uint64(total)+10)
	if err != nil || len(all) != total {
		t.Fatalf("store has %d events, %v; want %d", len(all), err, total)
	}
	ids := map[uuid.UUID]bool{}
	last := map[string]uint64{}
	for i, e := range all {
		ids[e.EventID] = true
		if i > 0 && e.Position.Commit <= all[i-1].Position.Commit {
			t.Fatalf("event %d is at %d, the one before at %d", i, e.Position.Commit, all[i-1].Position.Commit)
		}
		if n, ok := last[e.StreamID]; ok && e.EventNumber != n+1 || !ok && e.EventNumber != 0 {
			t.Fatalf("stream %s: revision %d after %d", e.StreamID, e.EventNumber, n)
		}
		last[e.StreamID] = e.EventNumber
	}
	for id := range acked {
		if !ids[id] {
			t.Errorf("event %v was acknowledged and is not there", id)
		}
	}
	for i := range seen {
		for j, e := range seen[i] {
			if e.EventID != all[j].EventID || e.Position != all[j].Position {
				t.Fatalf("subscriber %d: event %d is %v at %v, $all has %v at %v", i, j, e.EventID, e.Position,
					all[j].EventID, all[j].Position)
			}
		}
	}
}
