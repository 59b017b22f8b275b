package eventstore

import (
	"context"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// level is what a newer client reads of a CaughtUp: -1 where a field is not there.
type level struct {
	at       time.Time
	revision int64
	position int64
}

// readLevel follows a subscription until it has caught up; events is how many came before.
func readLevel(t *testing.T, call streams.Streams_ReadClient) (l level, events int) {
	t.Helper()
	for {
		resp, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if resp.GetEvent() != nil {
			events++
		}
		if resp.GetCaughtUp() == nil {
			continue
		}
		raw, err := proto.Marshal(resp)
		if err != nil {
			t.Fatal(err)
		}
		newer := dynamicpb.NewMessage(newerReadResp())
		if err := proto.Unmarshal(raw, newer); err != nil {
			t.Fatal(err)
		}
		m := newer.Get(newer.Descriptor().Fields().ByName("caught_up")).Message()
		l = level{revision: -1, position: -1}
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch f.Name() {
			case "timestamp":
				fields := v.Message().Descriptor().Fields()
				l.at = time.Unix(v.Message().Get(fields.ByName("seconds")).Int(), v.Message().Get(fields.ByName("nanos")).Int())
			case "stream_revision":
				l.revision = v.Int()
			case "position":
				l.position = int64(v.Message().Get(v.Message().Descriptor().Fields().ByName("commit_position")).Uint())
			}
			return true
		})
		return l, events
	}
}

// CaughtUp names the time, and the revision or position of the newest event that the subscription has considered, shown
// or not; nothing where there was none. A subscription from there goes on without a gap and without a repetition.
func TestCaughtUpSaysFromWhereToResume(t *testing.T) {
	now := time.Date(2026, 5, 6, 7, 8, 9, 123456700, time.UTC)
	cfg := testConfig(t.TempDir())
	cfg.Now = func() time.Time { return now }
	s := startServer(t, cfg)
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	subscribe := func(o *streams.ReadReq_Options) (streams.Streams_ReadClient, context.CancelFunc) {
		t.Helper()
		o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
		if o.FilterOption == nil {
			o.FilterOption = &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}}
		}
		ctx, cancel := context.WithCancel(f.ctx)
		call, err := streams.NewStreamsClient(conn).Read(ctx, &streams.ReadReq{Options: o})
		if err != nil {
			t.Fatal(err)
		}
		return call, cancel
	}
	type startStream = streams.ReadReq_Options_StreamOptions_Start
	type fromRevision = streams.ReadReq_Options_StreamOptions_Revision
	ofStream := func(stream string, from *streams.ReadReq_Options_StreamOptions) *streams.ReadReq_Options {
		from.StreamIdentifier = identifier(stream)
		return &streams.ReadReq_Options{StreamOption: &streams.ReadReq_Options_Stream{Stream: from}}
	}
	ofAll := func(from *streams.ReadReq_Options_AllOptions) *streams.ReadReq_Options {
		return &streams.ReadReq_Options{StreamOption: &streams.ReadReq_Options_All{All: from}}
	}
	start := func() *streams.ReadReq_Options_AllOptions {
		return &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}
	}
	end := func() *streams.ReadReq_Options_AllOptions {
		return &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}}
	}
	filtered := func() *streams.ReadReq_Options {
		o := ofAll(start())
		o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"none"}}},
			Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32}, CheckpointIntervalMultiplier: 1,
		}}
		return o
	}
	check := func(name string, o *streams.ReadReq_Options, revision, position int64, events int) {
		t.Helper()
		call, cancel := subscribe(o)
		defer cancel()
		if l, n := readLevel(t, call); l.revision != revision || l.position != position || !l.at.Equal(now) || n != events {
			t.Errorf("%s: after %d events, %+v; want %d events, revision %d, position %d", name, n, l, events, revision, position)
		}
	}
	fromStart := func() *streams.ReadReq_Options_StreamOptions {
		return &streams.ReadReq_Options_StreamOptions{RevisionOption: &startStream{Start: &shared.Empty{}}}
	}
	fromEnd := func() *streams.ReadReq_Options_StreamOptions {
		return &streams.ReadReq_Options_StreamOptions{RevisionOption: &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}}
	}
	after := func(revision int64) *streams.ReadReq_Options_StreamOptions {
		return &streams.ReadReq_Options_StreamOptions{RevisionOption: &fromRevision{Revision: uint64(revision)}}
	}
	afterPosition := func(p int64) *streams.ReadReq_Options_AllOptions {
		return &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Position{
			Position: &streams.ReadReq_Options_Position{CommitPosition: uint64(p), PreparePosition: uint64(p)}}}
	}

	check("an empty store", ofAll(start()), -1, -1, 0)
	check("the end of an empty store", ofAll(end()), -1, -1, 0)
	check("an empty store, filtered", filtered(), -1, -1, 0)
	check("a stream that is not there", ofStream("s", fromStart()), -1, -1, 0)
	check("the end of a stream that is not there", ofStream("s", fromEnd()), -1, -1, 0)
	f.append("s", nil, events(3)...)
	last := int64(f.append("other", nil, events(2)...).CommitPosition)
	check("a stream", ofStream("s", fromStart()), 2, -1, 3)
	check("a stream's end", ofStream("s", fromEnd()), 2, -1, 0)
	check("a stream from its first event", ofStream("s", after(0)), 2, -1, 2)
	check("a stream of one's first event", ofStream("other", after(0)), 1, -1, 1)
	check("$all", ofAll(start()), -1, last, 5)
	check("the end of $all", ofAll(end()), -1, last, 0)
	check("a filter that matches nothing", filtered(), -1, last, 0)

	live, cancel := subscribe(ofStream("s", after(2)))
	defer cancel()
	before, _ := readLevel(t, live)
	if err := f.write("s", `{}`); err != nil {
		t.Fatal(err)
	}
	check("a stream from where it was level", ofStream("s", after(before.revision)), 3, -1, 1)
	check("$all from where it was level", ofAll(afterPosition(last)), -1, int64(f.positionOf("s", 3)), 1)
}

// positionOf is where an event of a stream is in $all.
func (f *fixture) positionOf(stream string, revision uint64) uint64 {
	f.t.Helper()
	got, err := f.readStream(stream, esdb.Forwards, esdb.Revision(revision), 1)
	if err != nil || len(got) != 1 {
		f.t.Fatalf("%d events, %v", len(got), err)
	}
	return got[0].Position.Commit
}
