package semantics

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// oursOnly is what the embedded server promises and another one need not keep.
// Against EVENTSTORE_DSN each of these says why it does not run.
var oursOnly = []struct {
	name, why string
	test      func(t *testing.T, w *world)
}{
	{"OtherServicesAreUnimplemented", "a real server has persistent subscriptions, projections, users and operations",
		otherServices},
	{"SupportedMethodsAreThoseOfThisNode", "a real server lists more services", methodsOfThisNode},
	{"Discovery", "the address that a real server gossips may be one that only its cluster can reach", discovery},
	{"CommitEqualsPrepare", "events of old explicit transactions have a prepare position below their commit position",
		commitEqualsPrepare},
	{"ExactCheckpoints", "a real server counts whole search windows, and names the last window's beginning at the end",
		exactCheckpoints},
	{"CheckpointFromTheEnd", "a real server that has nothing to catch up with sends no checkpoint before it is live",
		checkpointFromTheEnd},
	{"OtherInvalidPositions", "how a real server takes positions that no log has depends on what its log holds there",
		otherInvalidPositions},
	{"ReadsThatMakeNoSense", "a real server answers some with an unknown error, some with an invalid argument",
		senselessReads},
	{"AllIsNotWrittenTo", "a real server without security takes appends to a stream of that name", allIsNotWrittenTo},
	{"MetadataHasNoMetadata", "a real server takes metadata of metastreams, and reads none of it",
		metadataHasNoMetadata},
	{"NoMetadataAfterATombstone", "a real server that still has the metastream's revision in memory, " +
		"from an earlier " +
		"write, takes metadata after the tombstone", noMetadataAfterATombstone},
	{"EmptyAppend", "a real server writes a record for an append without events, and what it answers differs " +
		"with its version", emptyAppend},
	{"ReadOfNoEvents", "not every version of a real server refuses to read a count of none", readOfNoEvents},
	{"StreamNamesAreBytes", "a real server reads names as UTF-8", streamNamesAreBytes},
}

func TestOursOnly(t *testing.T) {
	for _, o := range oursOnly {
		t.Run(o.name, func(t *testing.T) {
			if !startTarget(t).ours {
				t.Skip("ours only:", o.why)
			}
			o.test(t, begin(t))
		})
	}
}

// What this node does not have it says it does not have.
func otherServices(t *testing.T, w *world) {
	err := w.client.CreatePersistentSubscription(w.ctx, w.stream("s"), "g", esdb.PersistentStreamSubscriptionOptions{})
	w.wantCode("persistent subscription", err, esdb.ErrorCodeUnsupportedFeature)
	if err == nil || !strings.Contains(err.Error(), "no persistent subscriptions") {
		t.Errorf("persistent subscription: %v", err)
	}
	for _, method := range []string{
		"/event_store.client.persistent_subscriptions.PersistentSubscriptions/List",
		"/event_store.client.projections.Projections/Statistics",
		"/event_store.client.users.Users/Details",
		"/event_store.client.operations.Operations/Shutdown",
	} {
		_, err := w.raw(func(ctx context.Context, conn *grpc.ClientConn) (metadata.MD, error) {
			return nil, conn.Invoke(ctx, method, &shared.Empty{}, &shared.Empty{})
		})
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), method) ||
			!strings.Contains(err.Error(), "serves streams only") {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// What is listed is there, as clients choose by it.
func methodsOfThisNode(t *testing.T, w *world) {
	services := map[string]string{
		"event_store.client.streams.streams":                "event_store.client.streams.Streams",
		"event_store.client.gossip.gossip":                  "event_store.client.gossip.Gossip",
		"event_store.client.server_features.serverfeatures": "event_store.client.server_features.ServerFeatures",
	}
	methods := map[string]string{
		"read": "Read", "append": "Append", "batchappend": "BatchAppend", "delete": "Delete", "tombstone": "Tombstone",
		"getsupportedmethods": "GetSupportedMethods",
	}
	for _, m := range w.supportedMethods().GetMethods() {
		service, method := services[m.GetServiceName()], methods[m.GetMethodName()]
		if service == "" || method == "" {
			t.Errorf("lists %v", m)
			continue
		}
		_, err := w.raw(func(ctx context.Context, conn *grpc.ClientConn) (metadata.MD, error) {
			return nil, conn.Invoke(ctx, "/"+service+"/"+method, &shared.Empty{}, &shared.Empty{})
		})
		if status.Code(err) == codes.Unimplemented {
			t.Errorf("lists %v and answers %v", m, err)
		}
	}
}

// Discovery through gossip ends at the one member.
func discovery(t *testing.T, w *world) {
	addr := w.conf.Address
	for _, dsn := range []string{
		"esdb+discover://" + addr + "?tls=false",
		"esdb://" + addr + "," + addr + "?tls=false&nodePreference=leader",
	} {
		c, _ := w.dial(dsn)
		err := w.settled(func() error {
			_, err := c.AppendToStream(w.ctx, w.stream("s"), esdb.AppendToStreamOptions{}, w.event(`{}`))
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func commitEqualsPrepare(t *testing.T, w *world) {
	res := w.append("s", esdb.NoStream{}, w.events(3)...)
	if res.CommitPosition == 0 || res.CommitPosition != res.PreparePosition {
		t.Errorf("answer: %+v", res)
	}
	for _, e := range w.own() {
		if e.Position.Commit != e.Position.Prepare {
			t.Errorf("event %d is at %+v", e.EventNumber, e.Position)
		}
	}
	// From just before the commit position, the event there is read.
	at := w.own()[1].Position
	var got *esdb.RecordedEvent
	w.eachOfAll(esdb.Forwards, esdb.Position{Commit: at.Commit, Prepare: at.Prepare - 1},
		func(e *esdb.RecordedEvent) bool {
			got = e
			return false
		})
	if got == nil || got.Position != at {
		t.Errorf("before %+v: got %+v", at, got)
	}
}

// exactCheckpoints: checkpoints are at exactly every interval-th event that was considered, and
// at the last one when catch-up ends, if that has not been said.
func exactCheckpoints(t *testing.T, w *world) {
	progress, _ := w.undisturbed(w.checkpoints())
	considered := w.considered()
	var got []uint64
	for _, p := range progress {
		if p.checkpoint {
			got = append(got, p.commit)
		}
	}
	if len(got) == 0 {
		t.Fatalf("no checkpoint in %+v", progress)
	}
	end := got[len(got)-1]
	var want []uint64
	last := uint64(0)
	for i, e := range considered {
		if e.Position.Commit > end {
			break
		}
		if last = e.Position.Commit; (i+1)%checkpointInterval == 0 {
			want = append(want, last)
		}
	}
	own := w.own()
	if want = slices.Compact(append(want, last)); !slices.Equal(got, want) || end < own[len(own)-1].Position.Commit {
		t.Errorf("checkpoints at %v, want %v", got, want)
	}
}

func checkpointFromTheEnd(t *testing.T, w *world) {
	w.append("s", esdb.NoStream{}, w.event(`{}`))
	got, _ := w.undisturbed(esdb.SubscribeToAllOptions{From: esdb.End{},
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{w.prefix}}})
	if len(got) != 1 || !got[0].checkpoint || got[0].commit < w.own()[0].Position.Commit {
		t.Errorf("got %+v, want one checkpoint at the end", got)
	}
}

func otherInvalidPositions(_ *testing.T, w *world) {
	w.append("s", esdb.NoStream{}, w.event(`{}`))
	at := w.own()[0].Position
	w.wantInvalid(esdb.Position{Commit: 1, Prepare: 1})
	w.wantInvalid(esdb.Position{Commit: at.Commit, Prepare: at.Commit + 1})
}

func senselessReads(t *testing.T, w *world) {
	all, count := fromAll(esdb.Start{}), &streams.ReadReq_Options_Count{Count: 1}
	sub := &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	nowhere := &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{}}
	filter := &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{}}
	for name, opts := range map[string]*streams.ReadReq_Options{
		"no options":              nil,
		"neither count nor live":  {StreamOption: all},
		"neither stream nor $all": {CountOption: count},
		"subscription backwards": {StreamOption: all, CountOption: sub,
			ReadDirection: streams.ReadReq_Options_Backwards},
		"filter on a stream": {StreamOption: fromStart(w.stream("s")), CountOption: count,
			FilterOption: filter},
		"filter of nothing":            {StreamOption: all, CountOption: count, FilterOption: filter},
		"$all without a position":      {StreamOption: nowhere, CountOption: count},
		"live $all without a position": {StreamOption: nowhere, CountOption: sub},
		"stream without a name": {StreamOption: &streams.ReadReq_Options_Stream{
			Stream: &streams.ReadReq_Options_StreamOptions{},
		}, CountOption: count},
	} {
		if _, err := w.rawRead(opts, nil); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func allIsNotWrittenTo(t *testing.T, w *world) {
	_, trailers, err := w.rawAppend(appendOptions("$all", esdb.Any{}), proposal(uuid.New(), w.prefix+"t", 1))
	if status.Code(err) != codes.PermissionDenied || strings.Join(trailers.Get("exception"), ",") != "access-denied" {
		t.Errorf("%v, trailers %v", err, trailers)
	}
}

func metadataHasNoMetadata(t *testing.T, w *world) {
	if _, _, err := w.rawAppend(appendOptions("$$$$"+w.prefix+"s", esdb.Any{}),
		proposal(uuid.New(), "t", 1)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("append: %v", err)
	}
	_, err := w.raw(func(ctx context.Context, conn *grpc.ClientConn) (metadata.MD, error) {
		_, err := streams.NewStreamsClient(conn).Delete(ctx, deleteRequest(w.stream("$$s"), esdb.Any{}))
		return nil, err
	})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("delete of a metastream: %v", err)
	}
}

// A tombstone ends the metadata with the stream, whether there was some before or not.
func noMetadataAfterATombstone(_ *testing.T, w *world) {
	for _, before := range []bool{false, true} {
		stream := "plain"
		if before {
			stream = "described"
			w.setMeta(stream, `{"a":1}`)
		}
		w.append(stream, esdb.NoStream{}, w.event(`{}`))
		if _, err := w.tombstone(stream, esdb.Any{}); err != nil {
			w.t.Fatal(err)
		}
		for _, expect := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.StreamExists{},
			esdb.Revision(0)} {
			_, err := w.tryAppend("$$"+stream, expect, w.event(`{"b":1}`))
			w.wantCode("metadata of "+stream, err, esdb.ErrorCodeStreamDeleted)
		}
	}
}

// An append without events is answered and writes nothing.
func emptyAppend(t *testing.T, w *world) {
	if res := w.append("s", esdb.NoStream{}); res.CommitPosition != 0 {
		t.Errorf("got %+v", res)
	}
	_, err := w.readStream("s", esdb.Forwards, esdb.Start{}, 1)
	w.wantCode("after an empty append", err, esdb.ErrorCodeResourceNotFound)
	w.append("s", esdb.NoStream{}, w.events(2)...)
	if res := w.append("s", esdb.Revision(1)); res.NextExpectedVersion != 1 {
		t.Errorf("on a stream: %+v", res)
	}
	_, err = w.tryAppend("s", esdb.Revision(0))
	w.wantCode("with a stale revision", err, esdb.ErrorCodeWrongExpectedVersion)
}

func readOfNoEvents(t *testing.T, w *world) {
	w.append("s", esdb.NoStream{}, w.event(`{}`))
	for _, stream := range []string{"s", "none"} {
		if _, err := w.readStream(stream, esdb.Forwards, esdb.Start{}, 0); err == nil ||
			!strings.Contains(err.Error(), "InvalidArgument") {
			t.Errorf("of %s: %v", stream, err)
		}
	}
}

func streamNamesAreBytes(t *testing.T, w *world) {
	for i, name := range []string{"a", "a\xff", "a\xfe", "a\xff\xff"} {
		w.append(name, esdb.NoStream{}, w.events(i+1)...)
	}
	for i, name := range []string{"a", "a\xff", "a\xfe", "a\xff\xff"} {
		if got, err := w.readStream(name, esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != i+1 ||
			got[0].StreamID != w.stream(name) {
			t.Errorf("%q: %d events, %v", name, len(got), err)
		}
	}
}
