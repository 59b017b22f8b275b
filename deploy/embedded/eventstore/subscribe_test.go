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

func TestSubscribeToStream(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(3)...)
	f.append("other", esdb.Any{}, events(3)...)
	start := f.subscribeStream("s", esdb.Start{})
	wantTrace(t, "from the start", trace(t, start), "s/0", "s/1", "s/2", "caught up")
	after := f.subscribeStream("s", esdb.Revision(1)) // excludes the revision
	wantTrace(t, "from a revision", trace(t, after), "s/2", "caught up")
	end := f.subscribeStream("s", esdb.End{})
	wantTrace(t, "from the end", trace(t, end), "caught up")
	empty := f.subscribeStream("new", esdb.Start{})
	wantTrace(t, "an empty stream", trace(t, empty), "caught up")
	ahead := f.subscribeStream("s", esdb.Revision(3))
	wantTrace(t, "from a revision to come", trace(t, ahead), "caught up")

	f.append("other", esdb.Any{}, event(`{}`))
	f.append("s", esdb.Any{}, events(2)...) // 3 and 4
	f.append("new", esdb.Any{}, event(`{}`))
	for name, sub := range map[string]*esdb.Subscription{"start": start, "after": after, "end": end} {
		if e := next(t, sub); e.EventNumber != 3 || e.StreamID != "s" {
			t.Errorf("%s: got %s/%d, want s/3", name, e.StreamID, e.EventNumber)
		}
	}
	if e := next(t, ahead); e.EventNumber != 4 {
		t.Errorf("ahead: got %d, want 4", e.EventNumber)
	}
	if e := next(t, empty); e.StreamID != "new" || e.EventNumber != 0 {
		t.Errorf("empty: got %s/%d", e.StreamID, e.EventNumber)
	}
}

// A subscription honours $maxCount while it catches up and survives a soft delete.
func TestSubscribeToStreamWithMetadata(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(5)...)
	f.setMeta("s", `{"$maxCount":2}`)
	sub := f.subscribeStream("s", esdb.Start{})
	wantTrace(t, "with $maxCount", trace(t, sub), "s/3", "s/4", "caught up")
	if _, err := f.c.DeleteStream(f.ctx, "s", esdb.DeleteStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	f.append("s", esdb.NoStream{}, event(`{}`))
	if e := next(t, sub); e.EventNumber != 5 {
		t.Errorf("after the delete: revision %d, want 5", e.EventNumber)
	}
}

func TestSubscribeToAll(t *testing.T) {
	f := newFixture(t)
	empty := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	wantTrace(t, "an empty store", trace(t, empty), "caught up")
	emptyEnd := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.End{}})
	wantTrace(t, "the end of an empty store", trace(t, emptyEnd), "caught up")
	f.append("a", esdb.Any{}, events(2)...)
	f.append("b", esdb.Any{}, event(`{}`))
	all, err := f.readAll(esdb.Forwards, esdb.Start{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	start := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	wantTrace(t, "from the start", trace(t, start), "a/0", "a/1", "b/0", "caught up")
	after := f.subscribeAll(esdb.SubscribeToAllOptions{From: all[0].Position}) // excludes the position
	wantTrace(t, "from a position", trace(t, after), "a/1", "b/0", "caught up")
	last := f.subscribeAll(esdb.SubscribeToAllOptions{From: all[2].Position})
	wantTrace(t, "from the last position", trace(t, last), "caught up")
	end := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.End{}})
	wantTrace(t, "from the end", trace(t, end), "caught up")
	for _, sub := range []*esdb.Subscription{empty, emptyEnd} {
		if e := next(t, sub); e.Position != all[0].Position {
			t.Errorf("live on a store that was empty: %+v", e)
		}
	}
	f.append("c", esdb.Any{}, event(`{}`))
	for _, sub := range []*esdb.Subscription{start, after, last, end} {
		if e := next(t, sub); e.StreamID != "c" {
			t.Errorf("live: got %s", e.StreamID)
		}
	}
}

func TestFilters(t *testing.T) {
	f := newFixture(t)
	typed := func(typ string) esdb.EventData {
		return esdb.EventData{EventID: uuid.New(), EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
	}
	f.append("device-1", esdb.Any{}, typed("enrolled"), typed("retired"))
	f.append("app-1", esdb.Any{}, typed("enrolled"))
	f.append("account-1", esdb.Any{}, typed("renamed"))
	f.setMeta("app-1", `{"a":1}`)
	stream, typ := esdb.StreamFilterType, esdb.EventFilterType
	for _, c := range []struct {
		name   string
		filter esdb.SubscriptionFilter
		want   []string
	}{
		{"stream prefixes are ORed", esdb.SubscriptionFilter{Type: stream, Prefixes: []string{"app", "device"}}, []string{"device-1/0", "device-1/1", "app-1/0"}},
		{"type prefixes are ORed", esdb.SubscriptionFilter{Type: typ, Prefixes: []string{"ret", "ren"}}, []string{"device-1/1", "account-1/0"}},
		{"stream expression", esdb.SubscriptionFilter{Type: stream, Regex: `^a.*-\d$`}, []string{"app-1/0", "account-1/0"}},
		{"type expression", esdb.SubscriptionFilter{Type: typ, Regex: `ed$`}, []string{"device-1/0", "device-1/1", "app-1/0", "account-1/0"}},
		{"without system events", *esdb.ExcludeSystemEventsFilter(), []string{"device-1/0", "device-1/1", "app-1/0", "account-1/0"}},
		{"nothing", esdb.SubscriptionFilter{Type: stream, Prefixes: []string{"x"}}, nil},
	} {
		got := trace(t, f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &c.filter}))
		got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "checkpoint") || s == "caught up" })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// What cannot be filtered by is refused with a reason, not ignored.
func TestFilterThatCannotBeApplied(t *testing.T) {
	f := newFixture(t)
	for _, regex := range []string{`[z-a]`, `(`, strings.Repeat("a", maxPattern+1)} {
		_, err := f.c.SubscribeToAll(f.ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: regex}})
		if e := asError(t, err); status.Code(e.Err()) != codes.InvalidArgument || !strings.Contains(e.Error(), "cannot apply the regular expression") {
			t.Errorf("%s: %v", regex, err)
		}
	}
}

// A checkpoint every window × multiplier considered events, and one at the end of catch-up.
func TestCheckpoints(t *testing.T) {
	f := newFixture(t)
	for i := range 25 {
		f.append(fmt.Sprintf("%c", 'a'+i%5), esdb.Any{}, event(`{}`))
	}
	all, err := f.readAll(esdb.Forwards, esdb.Start{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return fmt.Sprintf("checkpoint %d", all[i].Position.Commit) }
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{
		From: esdb.Start{}, MaxSearchWindow: 5, CheckpointInterval: 2,
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"c"}},
	})
	wantTrace(t, "catch-up", trace(t, sub), "c/0", "c/1", at(9), "c/2", "c/3", at(19), "c/4", at(24), "caught up")

	// Live, the count starts at the end of catch-up; unmatched events count.
	var lastAppend *esdb.WriteResult
	for range 10 {
		lastAppend = f.append("other", esdb.Any{}, event(`{}`))
	}
	if e := sub.Recv(); e.CheckPointReached == nil || e.CheckPointReached.Commit != lastAppend.CommitPosition {
		t.Errorf("live: got %+v, want a checkpoint at %d", e, lastAppend.CommitPosition)
	}
	// A checkpoint is a position to resume from.
	resumed := f.subscribeAll(esdb.SubscribeToAllOptions{
		From: esdb.Position{Commit: all[19].Position.Commit, Prepare: all[19].Position.Commit}, MaxSearchWindow: 1000,
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"c"}},
	})
	wantTrace(t, "resumed", trace(t, resumed), "c/4", fmt.Sprintf("checkpoint %d", lastAppend.CommitPosition), "caught up")
	// An empty rest still gives one.
	atEnd := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.End{}, Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"c"}}})
	wantTrace(t, "at the end", trace(t, atEnd), fmt.Sprintf("checkpoint %d", lastAppend.CommitPosition), "caught up")
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
	f.append("s", esdb.Any{}, events(2*pageEvents)...)
	got := trace(t, sub)
	if slices.Contains(got, "fell behind") || got[len(got)-1] != "caught up" {
		t.Fatalf("got %d messages, the last %q, fell behind: %v", len(got), got[len(got)-1], slices.Contains(got, "fell behind"))
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
				if _, err := f.c.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, ev...); err != nil {
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
				t.Fatalf("subscriber %d: event %d is %v at %v, $all has %v at %v", i, j, e.EventID, e.Position, all[j].EventID, all[j].Position)
			}
		}
	}
}
