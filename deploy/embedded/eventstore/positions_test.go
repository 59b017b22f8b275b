package eventstore

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
)

// rawRead reads as other clients do and returns the messages as short words.
func (f *fixture) rawRead(opts *streams.ReadReq_Options) ([]string, error) {
	f.t.Helper()
	opts.FilterOption = &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}}
	call, err := streams.NewStreamsClient(f.rawConn()).Read(f.ctx, &streams.ReadReq{Options: opts})
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for {
		resp, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		switch c := resp.GetContent().(type) {
		case *streams.ReadResp_Event:
			out = append(out, fmt.Sprint(c.Event.GetEvent().GetStreamRevision()))
		case *streams.ReadResp_FirstStreamPosition:
			out = append(out, fmt.Sprint("first ", c.FirstStreamPosition))
		case *streams.ReadResp_LastStreamPosition:
			out = append(out, fmt.Sprint("last ", c.LastStreamPosition))
		case *streams.ReadResp_StreamNotFound_:
			out = append(out, "not found")
		default:
			out = append(out, fmt.Sprintf("%T", c))
		}
	}
}

func streamOptions(stream string, from int64, count uint64, compatibility uint32) *streams.ReadReq_Options {
	o := &streams.ReadReq_Options_StreamOptions{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
		RevisionOption:   &streams.ReadReq_Options_StreamOptions_Revision{Revision: uint64(from)},
	}
	if from < 0 {
		o.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
	}
	return &streams.ReadReq_Options{
		StreamOption:  &streams.ReadReq_Options_Stream{Stream: o},
		CountOption:   &streams.ReadReq_Options_Count{Count: count},
		ControlOption: &streams.ReadReq_Options_ControlOption{Compatibility: compatibility},
	}
}

// Clients that ask for it by compatibility 1 (.NET, Java, Node) are told a
// stream's last revision after a read, and its first before it where the first
// 32 revisions they asked for show nothing; when and how, as by a real server.
func TestStreamPositions(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.NoStream{}, events(3)...)
	f.append("tb", esdb.NoStream{}, events(60)...)
	f.setMeta("tb", `{"$tb":57}`)
	f.append("deleted", esdb.NoStream{}, events(3)...)
	if _, err := f.c.DeleteStream(f.ctx, "deleted", esdb.DeleteStreamOptions{
		ExpectedRevision: esdb.Any{},
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		stream string
		from   int64
		count  uint64
		back   bool
		want   []string
	}{
		{"whole", "s", 0, 10, false, []string{"0", "1", "2", "last 2"}},
		{"a part", "s", 1, 1, false, []string{"1", "last 2"}},
		{"backwards", "s", -1, 2, true, []string{"2", "1", "last 2"}},
		{"at the end", "s", 3, 10, false, []string{"last 2"}},
		{"beyond the end", "s", 9, 10, false, []string{"first 3", "last 2"}},
		{"from the end", "s", -1, 10, false, []string{"last 2"}},
		{"truncated", "tb", 0, 2, false, []string{"first 57", "57", "58", "last 59"}},
		{"truncated, many wanted", "tb", 0, math.MaxUint64, false, []string{"first 57", "57", "58", "59", "last 59"}},
		{"truncated, within the first page", "tb", 30, 100, false, []string{"57", "58", "59", "last 59"}},
		{"truncated, within a small page", "tb", 55, 2, false, []string{"first 57", "57", "58", "last 59"}},
		{"truncated, backwards", "tb", -1, 100, true, []string{"59", "58", "57", "last 59"}},
		{"not there", "none", 0, 10, false, []string{"not found"}},
		{"deleted", "deleted", 0, 10, false, []string{"not found"}},
	} {
		for compatibility := range uint32(3) {
			opts := streamOptions(c.stream, c.from, c.count, compatibility)
			if c.back {
				opts.ReadDirection = streams.ReadReq_Options_Backwards
			}
			want := c.want
			if compatibility == 0 {
				want = slices.DeleteFunc(slices.Clone(want), func(s string) bool {
					return len(s) > 5 && s != "not found"
				})
			}
			if got, err := f.rawRead(opts); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s, compatibility %d: got %v, %v, want %v", c.name, compatibility, got, err, want)
			}
		}
	}
	// A real server has a message for $all too, and never sends it.
	for _, direction := range []streams.ReadReq_Options_ReadDirection{streams.ReadReq_Options_Forwards,
		streams.ReadReq_Options_Backwards} {
		all := &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
				AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}},
			CountOption:   &streams.ReadReq_Options_Count{Count: 1},
			ControlOption: &streams.ReadReq_Options_ControlOption{Compatibility: 1},
			ReadDirection: direction,
		}
		want := []string{"0"}
		if direction == streams.ReadReq_Options_Backwards {
			want = nil
		}
		if got, err := f.rawRead(all); err != nil || !slices.Equal(got, want) {
			t.Errorf("$all %v: got %v, %v", direction, got, err)
		}
	}
}

// Where all that a stream's first pages hold is too old, the first position is
// the first event that is not, once, also beyond a page of this server.
func TestStreamPositionsWithMaxAge(t *testing.T) {
	f, now := newClockFixture(t)
	f.append("s", esdb.NoStream{}, events(protocol.PageEvents)...)
	for range (protocol.PageConsidered - protocol.PageEvents) / protocol.PageEvents {
		f.append("s", esdb.Any{}, events(protocol.PageEvents)...)
	}
	f.append("s", esdb.Any{}, events(5)...)
	f.setMeta("s", `{"$maxAge":60}`)
	now.advance(120)
	if got, err := f.rawRead(streamOptions("s", 0, 10, 1)); err != nil ||
		!slices.Equal(got, []string{fmt.Sprint("first ", protocol.PageConsidered+5),
			fmt.Sprint("last ", protocol.PageConsidered+4)}) {
		t.Errorf("all too old: got %v, %v", got, err)
	}
	f.append("s", esdb.Any{}, event(`{}`))
	want := []string{fmt.Sprint("first ", protocol.PageConsidered+5), fmt.Sprint(protocol.PageConsidered + 5),
		fmt.Sprint("last ", protocol.PageConsidered+5)}
	if got, err := f.rawRead(streamOptions("s", 0, 10, 1)); err != nil || !slices.Equal(got, want) {
		t.Errorf("one is not: got %v, %v, want %v", got, err, want)
	}
}

// A read of no events is refused, as streams' are by a real server.
func TestReadOfNoEvents(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.NoStream{}, event(`{}`))
	if got, err := f.rawRead(streamOptions("s", 0, 0, 0)); status.Code(err) != codes.InvalidArgument || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

// A live subscriber gets all that is written, whatever $maxCount then hides of it.
func TestLiveSubscriberGetsWhatMetadataHides(t *testing.T) {
	f, now := newClockFixture(t)
	f.append("s", esdb.Any{}, events(2)...)
	f.setMeta("s", `{"$maxCount":1,"$maxAge":60}`)
	sub, meta := f.subscribeStream("s", esdb.Start{}), f.subscribeStream("$$s", esdb.Start{})
	wantTrace(t, "catch-up", trace(t, sub), "s/1", "caught up")
	wantTrace(t, "catch-up of metadata", trace(t, meta), "$$s/0", "caught up")
	f.append("s", esdb.Any{}, events(3)...) // one commit, of which a read shows one event
	now.advance(120)
	for want := uint64(2); want < 5; want++ {
		if e := next(t, sub); e.EventNumber != want {
			t.Fatalf("got revision %d, want %d", e.EventNumber, want)
		}
	}
	if got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 0 {
		t.Errorf("a read shows %d events, %v", len(got), err)
	}
	f.setMeta("s", `{}`)
	if e := next(t, meta); e.EventNumber != 1 {
		t.Errorf("metadata: got revision %d", e.EventNumber)
	}
}

// A tombstone ends subscriptions to its stream: a live one gets the tombstone
// and then the error, a new one the error.
func TestTombstoneEndsSubscriptions(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, event(`{}`))
	sub := f.subscribeStream("s", esdb.Start{})
	wantTrace(t, "catch-up", trace(t, sub), "s/0", "caught up")
	if _, err := f.c.TombstoneStream(f.ctx, "s", esdb.TombstoneStreamOptions{
		ExpectedRevision: esdb.Any{},
	}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, sub); e.EventType != "$streamDeleted" || e.EventNumber != math.MaxInt64 {
		t.Errorf("got %+v", e)
	}
	e := sub.Recv()
	if e.SubscriptionDropped == nil || status.Code(e.SubscriptionDropped.Error) != codes.FailedPrecondition {
		t.Errorf("got %+v", e)
	}
	for _, from := range []esdb.StreamPosition{esdb.Start{}, esdb.End{}, esdb.Revision(0)} {
		_, err := f.c.SubscribeToStream(f.ctx, "s", esdb.SubscribeToStreamOptions{From: from})
		wantCode(t, err, esdb.ErrorCodeStreamDeleted)
	}
}

// All bits set is the end for some clients: a subscription from there is live.
func TestSubscriptionFromTheLargestPosition(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(2)...)
	all := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Position{Commit: math.MaxUint64,
		Prepare: math.MaxUint64}})
	wantTrace(t, "$all", trace(t, all), "caught up")
	one := f.subscribeStream("s", esdb.Revision(math.MaxUint64))
	wantTrace(t, "stream", trace(t, one), "caught up")
	f.append("s", esdb.Any{}, event(`{}`))
	for _, sub := range []*esdb.Subscription{all, one} {
		if e := next(t, sub); e.EventNumber != 2 {
			t.Errorf("got revision %d", e.EventNumber)
		}
	}
}

// A subscription from where no event is, is refused, also where it is filtered.
func TestSubscriptionFromAnInvalidPosition(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(2)...)
	all, err := f.readAll(esdb.Forwards, esdb.Start{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	at := all[1].Position.Commit
	for _, filter := range []*esdb.SubscriptionFilter{nil, esdb.ExcludeSystemEventsFilter()} {
		for _, p := range []esdb.Position{{Commit: at - 1, Prepare: at - 1}, {Commit: at, Prepare: at + 1}} {
			_, err := f.c.SubscribeToAll(f.ctx, esdb.SubscribeToAllOptions{From: p, Filter: filter})
			if e := asError(t, err); status.Code(e.Err()) != codes.InvalidArgument {
				t.Errorf("%+v: %v", p, err)
			}
		}
	}
}

// No checkpoint is ahead of a matching event that has not been delivered, none
// comes twice, and they rise; under concurrent appenders, caught up or not.
func TestCheckpointsFollowWhatWasDelivered(t *testing.T) {
	f := newFixture(t)
	const appenders, each = 8, 60
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{
		From: esdb.Start{}, MaxSearchWindow: 3, CheckpointInterval: 1,
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: `^s-(?=[02468]$)`},
	})
	var appending sync.WaitGroup
	for w := range appenders {
		appending.Go(func() {
			for range each {
				if _, err := f.c.AppendToStream(f.ctx, fmt.Sprintf("s-%d", w),
					esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events(1+w%2)...); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	type step struct {
		position   uint64
		checkpoint bool
	}
	var steps []step
	for delivered := 0; delivered < appenders/2*each; {
		switch e := sub.Recv(); {
		case e.SubscriptionDropped != nil:
			t.Fatal(e.SubscriptionDropped.Error)
		case e.EventAppeared != nil:
			delivered++
			steps = append(steps, step{e.EventAppeared.OriginalEvent().Position.Commit, false})
		case e.CheckPointReached != nil:
			steps = append(steps, step{e.CheckPointReached.Commit, true})
		}
	}
	appending.Wait()
	var last, lastCheckpoint uint64
	checkpoints := 0
	for i, s := range steps {
		if s.checkpoint {
			if i > 0 && checkpoints > 0 && s.position <= lastCheckpoint {
				t.Fatalf("checkpoint %d after checkpoint %d", s.position, lastCheckpoint)
			}
			lastCheckpoint = s.position
			checkpoints++
		} else if s.position <= lastCheckpoint {
			t.Fatalf("event at %d after a checkpoint at %d", s.position, lastCheckpoint)
		}
		if s.position < last {
			t.Fatalf("position %d after %d", s.position, last)
		}
		last = s.position
	}
	if checkpoints == 0 {
		t.Error("no checkpoint")
	}
}

// A filter without prefixes or expression matches nothing, as in a real server.
func TestEmptyFilterLetsNothingThrough(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(2)...)
	call, err := streams.NewStreamsClient(f.rawConn()).Read(f.ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption: &streams.ReadReq_Options_Count{Count: 10},
		FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_EventType{
				EventType: &streams.ReadReq_Options_FilterOptions_Expression{},
			},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := call.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v", resp, err)
	}
}

// testClock is a clock that a test moves; the server reads it too.
type testClock struct{ offset atomic.Int64 }

func (c *testClock) advance(seconds int64) { c.offset.Add(seconds) }

func newClockFixture(t *testing.T) (*fixture, *testClock) {
	t.Helper()
	clock := &testClock{}
	cfg := testConfig(t.TempDir())
	start := time.Now()
	cfg.Now = func() time.Time { return start.Add(time.Duration(clock.offset.Load()) * time.Second) }
	s := startServer(t, cfg)
	return &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}, clock
}
