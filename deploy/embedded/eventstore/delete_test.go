package eventstore

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func (f *fixture) setMeta(stream, json string) {
	f.t.Helper()
	f.append("$$"+stream, esdb.Any{}, esdb.EventData{EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(json)})
}

func (f *fixture) wantRevisions(what, stream string, want ...uint64) {
	f.t.Helper()
	got, err := f.readStream(stream, esdb.Forwards, esdb.Start{}, 1000)
	if err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
	if !slices.Equal(revisions(got), want) {
		f.t.Errorf("%s: forwards %v, want %v", what, revisions(got), want)
	}
	got, err = f.readStream(stream, esdb.Backwards, esdb.End{}, 1000)
	if err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
	slices.Reverse(want)
	if !slices.Equal(revisions(got), want) {
		f.t.Errorf("%s: backwards %v, want %v", what, revisions(got), want)
	}
}

func TestMaxCount(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(10)...)
	f.setMeta("s", `{"$maxCount":3}`)
	f.wantRevisions("after", "s", 7, 8, 9)
	f.append("s", esdb.Revision(9), event(`{}`))
	f.wantRevisions("one more", "s", 8, 9, 10)
	if all, err := f.readAll(esdb.Forwards, esdb.Start{}, 100); err != nil || len(all) != 12 {
		t.Errorf("$all has %d events, %v: metadata hides nothing there", len(all), err)
	}
	// A limited read counts what it shows.
	if got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 2); err != nil || !slices.Equal(revisions(got), []uint64{8, 9}) {
		t.Errorf("two events: %v, %v", revisions(got), err)
	}
}

func TestTruncateBefore(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(5)...)
	f.setMeta("s", `{"$tb":3}`)
	f.wantRevisions("after", "s", 3, 4)
	if got, err := f.readStream("s", esdb.Backwards, esdb.Revision(2), 10); err != nil || len(got) != 0 {
		t.Errorf("below $tb: %v, %v", revisions(got), err)
	}
	f.setMeta("s", `{"$tb":17}`) // everything: empty, not "not found"
	f.wantRevisions("beyond the end", "s")
	f.setMeta("s", `{"$tb":-1,"$maxCount":1}`) // no server accepts that: counts as none
	f.wantRevisions("invalid metadata", "s", 0, 1, 2, 3, 4)
	f.setMeta("s", `no json`)
	f.wantRevisions("no JSON", "s", 0, 1, 2, 3, 4)
}

// Events older than $maxAge are hidden; when all are, the read is empty and the stream found.
func TestMaxAge(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	advance := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	cfg := testConfig(t.TempDir())
	cfg.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	s := startServer(t, cfg)
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	f.append("s", esdb.Any{}, event(`{}`))
	advance(10 * time.Second)
	f.append("s", esdb.Any{}, event(`{}`))
	f.setMeta("s", `{"$maxAge":5}`)
	f.wantRevisions("10 s later", "s", 1)
	advance(10 * time.Second)
	f.wantRevisions("20 s later", "s")
}

func TestStreamMetadataThroughTheClient(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, event(`{}`))
	if m, err := f.c.GetStreamMetadata(f.ctx, "s", esdb.ReadStreamOptions{}); err == nil && m.MaxCount() != nil {
		t.Errorf("metadata of a stream without any: %+v", m)
	}
	for i := range 3 { // a metastream shows its newest event only
		var m esdb.StreamMetadata
		m.SetMaxCount(uint64(i + 1))
		m.SetMaxAge(time.Hour)
		m.SetCacheControl(time.Minute)
		acl := esdb.Acl{}
		acl.AddReadRoles("a", "b")
		m.AddCustomProperty("mine", "x")
		if _, err := f.c.SetStreamMetadata(f.ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m); err != nil {
			t.Fatal(err)
		}
		got, err := f.c.GetStreamMetadata(f.ctx, "s", esdb.ReadStreamOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if *got.MaxCount() != uint64(i+1) || *got.MaxAge() != time.Hour || got.CustomProperty("mine") != "x" {
			t.Errorf("round %d: got %+v", i, got)
		}
	}
	f.wantRevisions("metastream", "$$s", 2)
}

func TestSoftDelete(t *testing.T) {
	f := newFixture(t)
	ev := events(3)
	f.append("s", esdb.Any{}, ev...)
	res, err := f.c.DeleteStream(f.ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(2)})
	if err != nil {
		t.Fatal(err)
	}
	all, err := f.readAll(esdb.Backwards, esdb.End{}, 1)
	if err != nil || len(all) != 1 || all[0].Position != res.Position || all[0].StreamID != "$$s" || string(all[0].Data) != `{"$tb":9223372036854775807}` {
		t.Fatalf("delete answered %+v, newest event %+v, %v", res, all, err)
	}
	_, err = f.readStream("s", esdb.Forwards, esdb.Start{}, 10)
	wantCode(t, err, esdb.ErrorCodeResourceNotFound)
	wantCode(t, f.appendError("s", esdb.StreamExists{}, event(`{}`)), esdb.ErrorCodeStreamDeleted)

	// A new append goes on numbering, and only what is new is seen.
	if res := f.append("s", esdb.NoStream{}, event(`{}`)); res.NextExpectedVersion != 3 {
		t.Errorf("append after delete: %+v", res)
	}
	f.wantRevisions("after delete and append", "s", 3)
	if m, err := f.c.GetStreamMetadata(f.ctx, "s", esdb.ReadStreamOptions{}); err != nil || *m.TruncateBefore() != 3 {
		t.Errorf("metadata after the append: %+v, %v", m, err)
	}
	if res := f.append("s", esdb.Revision(3), event(`{}`)); res.NextExpectedVersion != 4 {
		t.Errorf("next append: %+v", res)
	}
}

// Writing metadata to a softly deleted stream brings it back, with what the metadata says.
func TestMetadataAfterSoftDelete(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(2)...)
	if _, err := f.c.DeleteStream(f.ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Fatal(err)
	}
	f.setMeta("s", `{"$maxCount":7,"mine":1}`)
	f.wantRevisions("after", "s")
	m, err := f.c.GetStreamMetadata(f.ctx, "s", esdb.ReadStreamOptions{})
	if err != nil || *m.TruncateBefore() != 2 || *m.MaxCount() != 7 {
		t.Errorf("metadata: %+v, %v", m, err)
	}
}

func TestDeleteExpectations(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(2)...)
	for _, expect := range []esdb.ExpectedRevision{esdb.NoStream{}, esdb.Revision(0), esdb.Revision(5)} {
		if _, err := f.c.DeleteStream(f.ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: expect}); err == nil {
			t.Errorf("delete with %T succeeded", expect)
		}
		if _, err := f.c.TombstoneStream(f.ctx, "s", esdb.TombstoneStreamOptions{ExpectedRevision: expect}); err == nil {
			t.Errorf("tombstone with %T succeeded", expect)
		}
	}
	if _, err := f.c.DeleteStream(f.ctx, "none", esdb.DeleteStreamOptions{ExpectedRevision: esdb.StreamExists{}}); err == nil {
		t.Error("delete of no stream with StreamExists succeeded")
	}
	if _, err := f.c.DeleteStream(f.ctx, "none", esdb.DeleteStreamOptions{ExpectedRevision: esdb.NoStream{}}); err != nil {
		t.Errorf("delete of no stream with NoStream: %v", err)
	}
	f.wantRevisions("untouched", "s", 0, 1)

	// On Delete a conflict is FailedPrecondition with trailers.
	var trailer metadata.MD
	_, err := streams.NewStreamsClient(f.rawConn()).Delete(f.ctx, &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("s")},
		ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: 7},
	}}, grpc.Trailer(&trailer))
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("got %v", err)
	}
	for key, want := range map[string]string{"exception": "wrong-expected-version", "stream-name": "s", "expected-version": "7", "actual-version": "1"} {
		if got := strings.Join(trailer.Get(key), ","); got != want {
			t.Errorf("trailer %s is %q, want %q", key, got, want)
		}
	}
}

func TestTombstone(t *testing.T) {
	f := newFixture(t)
	name := "t\u00f6mb" // also in a trailer
	f.append(name, esdb.Any{}, events(2)...)
	sub := f.subscribeStream(name, esdb.Start{})
	res, err := f.c.TombstoneStream(f.ctx, name, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Revision(1)})
	if err != nil {
		t.Fatal(err)
	}
	all, err := f.readAll(esdb.Backwards, esdb.End{}, 1)
	if err != nil || all[0].Position != res.Position || all[0].EventType != "$streamDeleted" || all[0].StreamID != name {
		t.Fatalf("tombstone answered %+v, newest event %+v, %v", res, all, err)
	}
	_, err = f.readStream(name, esdb.Forwards, esdb.Start{}, 10)
	wantCode(t, err, esdb.ErrorCodeStreamDeleted)
	_, err = f.readStream("$$"+name, esdb.Forwards, esdb.Start{}, 10)
	wantCode(t, err, esdb.ErrorCodeStreamDeleted)
	for _, expect := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.StreamExists{}, esdb.Revision(1)} {
		wantCode(t, f.appendError(name, expect, event(`{}`)), esdb.ErrorCodeStreamDeleted)
	}
	wantCode(t, f.appendError("$$"+name, esdb.Any{}, event(`{}`)), esdb.ErrorCodeStreamDeleted)
	_, err = f.c.DeleteStream(f.ctx, name, esdb.DeleteStreamOptions{})
	wantCode(t, err, esdb.ErrorCodeStreamDeleted)
	_, err = f.c.TombstoneStream(f.ctx, name, esdb.TombstoneStreamOptions{})
	wantCode(t, err, esdb.ErrorCodeStreamDeleted)

	for { // a subscription to it ends
		e := sub.Recv()
		if e.SubscriptionDropped != nil {
			if status.Code(e.SubscriptionDropped.Error) != codes.FailedPrecondition {
				t.Errorf("subscription ended with %v", e.SubscriptionDropped.Error)
			}
			break
		}
	}
}

// Streams that the caller protects keep their events and their metadata.
func TestProtectedStreams(t *testing.T) {
	f := newFixture(t)
	const guarded = "device-0b5b6f4e-98a4-4d1c-9d3f-0d9f3f6f2b11"
	f.append(guarded, esdb.NoStream{}, event(`{}`))
	_, err := f.c.DeleteStream(f.ctx, guarded, esdb.DeleteStreamOptions{})
	wantCode(t, err, esdb.ErrorCodeAccessDenied)
	_, err = f.c.TombstoneStream(f.ctx, guarded, esdb.TombstoneStreamOptions{})
	wantCode(t, err, esdb.ErrorCodeAccessDenied)
	_, err = f.c.SetStreamMetadata(f.ctx, guarded, esdb.AppendToStreamOptions{}, esdb.StreamMetadata{})
	wantCode(t, err, esdb.ErrorCodeAccessDenied)
	f.wantRevisions("after", guarded, 0)
	f.append(guarded, esdb.Revision(0), event(`{}`))

	f.append("free", esdb.NoStream{}, event(`{}`))
	f.setMeta("free", `{"$maxCount":1}`)
	if _, err := f.c.TombstoneStream(f.ctx, "free", esdb.TombstoneStreamOptions{}); err != nil {
		t.Errorf("a stream that is not protected: %v", err)
	}
}
