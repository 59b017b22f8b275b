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
	"google.golang.org/protobuf/encoding/protowire"
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
		l = level{revision: -1, position: -1}
		for n, v := range newerFields(t, resp.GetCaughtUp().ProtoReflect().GetUnknown()) {
			switch n {
			case 1:
				at := newerFields(t, v.message)
				l.at = time.Unix(int64(at[1].number), int64(at[2].number))
			case 2:
				l.revision = int64(v.number)
			case 3:
				l.position = int64(newerFields(t, v.message)[1].number)
			default:
				t.Errorf("CaughtUp has a field %d", n)
			}
		}
		return l, events
	}
}

// newerField is a field of a message that the client module's protos do not have.
type newerField struct {
	number  uint64
	message []byte
}

// newerFields reads numbers and messages as clients of KurrentDB 25's protos do; the
// field numbers are those of its streams.proto.
func newerFields(t *testing.T, raw []byte) map[protowire.Number]newerField {
	t.Helper()
	out := map[protowire.Number]newerField{}
	for len(raw) > 0 {
		field, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		raw = raw[n:]
		var f newerField
		if kind == protowire.VarintType {
			f.number, n = protowire.ConsumeVarint(raw)
		} else {
			f.message, n = protowire.ConsumeBytes(raw)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		raw, out[field] = raw[n:], f
	}
	return out
}

// CaughtUp names the time, and the revision or position of the newest event that the
// subscription has considered, shown or not; nothing where there was none. A subscription
// from there goes on without a gap and without a repetition.
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
		o.CountOption = &streams.ReadReq_Options_Subscription{}
		ctx, cancel := context.WithCancel(f.ctx)
		call, err := streams.NewStreamsClient(conn).Read(ctx, &streams.ReadReq{Options: o})
		if err != nil {
			t.Fatal(err)
		}
		return call, cancel
	}
	check := func(name string, o *streams.ReadReq_Options, revision, position int64, events int) {
		t.Helper()
		call, cancel := subscribe(o)
		defer cancel()
		l, n := readLevel(t, call)
		if l.revision != revision || l.position != position || !l.at.Equal(now) || n != events {
			t.Errorf("%s: after %d events, %+v; want %d, revision %d, position %d", name, n, l, events,
				revision, position)
		}
	}

	check("an empty store", ofAll(allFromStart()), -1, -1, 0)
	check("the end of an empty store", ofAll(allFromEnd()), -1, -1, 0)
	check("an empty store, filtered", filteredOut(), -1, -1, 0)
	check("a stream that is not there", ofStream("s", streamFromStart()), -1, -1, 0)
	check("the end of a stream that is not there", ofStream("s", streamFromEnd()), -1, -1, 0)
	f.append("s", nil, events(3)...)
	last := int64(f.append("other", nil, events(2)...).CommitPosition)
	check("a stream", ofStream("s", streamFromStart()), 2, -1, 3)
	check("a stream's end", ofStream("s", streamFromEnd()), 2, -1, 0)
	check("a stream from its first event", ofStream("s", afterRevision(0)), 2, -1, 2)
	check("a stream of one's first event", ofStream("other", afterRevision(0)), 1, -1, 1)
	check("$all", ofAll(allFromStart()), -1, last, 5)
	check("the end of $all", ofAll(allFromEnd()), -1, last, 0)
	check("a filter that matches nothing", filteredOut(), -1, last, 0)

	live, cancel := subscribe(ofStream("s", afterRevision(2)))
	defer cancel()
	before, _ := readLevel(t, live)
	if err := f.write("s", `{}`); err != nil {
		t.Fatal(err)
	}
	check("a stream from where it was level", ofStream("s", afterRevision(before.revision)), 3, -1, 1)
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

// Where a raw read or subscription begins.

func ofStream(stream string, from *streams.ReadReq_Options_StreamOptions) *streams.ReadReq_Options {
	from.StreamIdentifier = identifier(stream)
	return &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: from},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
	}
}

func streamFromStart() *streams.ReadReq_Options_StreamOptions {
	start := &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}}
	return &streams.ReadReq_Options_StreamOptions{RevisionOption: start}
}

func streamFromEnd() *streams.ReadReq_Options_StreamOptions {
	end := &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
	return &streams.ReadReq_Options_StreamOptions{RevisionOption: end}
}

func afterRevision(r int64) *streams.ReadReq_Options_StreamOptions {
	revision := &streams.ReadReq_Options_StreamOptions_Revision{Revision: uint64(r)}
	return &streams.ReadReq_Options_StreamOptions{RevisionOption: revision}
}

func ofAll(from *streams.ReadReq_Options_AllOptions) *streams.ReadReq_Options {
	return &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: from},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
	}
}

func allFromStart() *streams.ReadReq_Options_AllOptions {
	start := &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
	return &streams.ReadReq_Options_AllOptions{AllOption: start}
}

func allFromEnd() *streams.ReadReq_Options_AllOptions {
	end := &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
	return &streams.ReadReq_Options_AllOptions{AllOption: end}
}

func afterPosition(p int64) *streams.ReadReq_Options_AllOptions {
	at := &streams.ReadReq_Options_Position{CommitPosition: uint64(p), PreparePosition: uint64(p)}
	return &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Position{Position: at}}
}

// filteredOut is $all with a filter that matches nothing.
func filteredOut() *streams.ReadReq_Options {
	none := &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"none"}}
	o := ofAll(allFromStart())
	o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: none},
		Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32}, CheckpointIntervalMultiplier: 1,
	}}
	return o
}
