package eventstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

func TestExpectedRevisions(t *testing.T) {
	f := newFixture(t)
	f.append("one", esdb.NoStream{}, event(`{}`)) // last revision 0
	for _, c := range []struct {
		name   string
		stream string
		expect esdb.ExpectedRevision
		want   string // text of the conflict; empty: success
	}{
		{"any on a new stream", "n1", esdb.Any{}, ""},
		{"no stream on a new stream", "n2", esdb.NoStream{}, ""},
		{"exists on a new stream", "n3", esdb.StreamExists{}, "expecting 'stream_exists' but got 'no_stream'"},
		{"revision on a new stream", "n4", esdb.Revision(0), "expecting '0' but got 'no_stream'"},
		{"no stream on a stream", "one", esdb.NoStream{}, "expecting 'no_stream' but got '0'"},
		{"too new a revision", "one", esdb.Revision(1), "expecting '1' but got '0'"},
		{"the revision", "one", esdb.Revision(0), ""},
		{"a stale revision", "one", esdb.Revision(0), "expecting '0' but got '1'"},
		{"exists on a stream", "one", esdb.StreamExists{}, ""},
		{"any on a stream", "one", esdb.Any{}, ""},
	} {
		_, err := f.c.AppendToStream(f.ctx, c.stream, esdb.AppendToStreamOptions{ExpectedRevision: c.expect}, event(`{}`))
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		e := asError(t, err)
		if e.Code() != esdb.ErrorCodeWrongExpectedVersion || !strings.Contains(e.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// StreamExists is satisfied by metadata alone, as in a real server.
func TestStreamExistsByMetadata(t *testing.T) {
	f := newFixture(t)
	f.append("$$s", esdb.NoStream{}, esdb.EventData{EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(`{"a":1}`)})
	if res := f.append("s", esdb.StreamExists{}, event(`{}`)); res.NextExpectedVersion != 0 {
		t.Fatalf("got %+v", res)
	}
}

func TestIdempotencyWithExactRevisions(t *testing.T) {
	f := newFixture(t)
	ev := events(4)
	first := f.append("s", esdb.NoStream{}, ev[0], ev[1])
	second := f.append("s", esdb.Revision(1), ev[2])

	if res := f.append("s", esdb.NoStream{}, ev[0], ev[1]); *res != *first {
		t.Errorf("repeated with NoStream: %+v, want %+v", res, first)
	}
	if res := f.append("s", esdb.Revision(1), ev[2]); *res != *second {
		t.Errorf("repeated with a revision: %+v, want %+v", res, second)
	}
	// A part of an append that was made is a repetition too, at its own place.
	if res := f.append("s", esdb.Revision(0), ev[1]); res.NextExpectedVersion != 1 || res.CommitPosition != first.CommitPosition {
		t.Errorf("repeated part: %+v", res)
	}
	wantCode(t, f.appendError("s", esdb.NoStream{}, ev[0], ev[3]), esdb.ErrorCodeWrongExpectedVersion)  // some equal
	wantCode(t, f.appendError("s", esdb.Revision(1), ev[2], ev[3]), esdb.ErrorCodeWrongExpectedVersion) // reaches past the end
	wantCode(t, f.appendError("s", esdb.Revision(0), ev[2]), esdb.ErrorCodeWrongExpectedVersion)        // right id, wrong place
	wantCode(t, f.appendError("s", esdb.NoStream{}, ev[1], ev[0]), esdb.ErrorCodeWrongExpectedVersion)  // wrong order
	if got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 3 {
		t.Errorf("stream has %d events, %v; want 3", len(got), err)
	}
}

func TestIdempotencyWithAnyAndExists(t *testing.T) {
	f := newFixture(t)
	for _, expect := range []esdb.ExpectedRevision{esdb.Any{}, esdb.StreamExists{}} {
		stream := fmt.Sprintf("s-%T", expect)
		ev := events(5)
		first := f.append(stream, esdb.NoStream{}, ev[0], ev[1])
		f.append(stream, expect, ev[2])
		if res := f.append(stream, expect, ev[0], ev[1]); *res != *first {
			t.Errorf("%T: repeated: %+v, want %+v", expect, res, first)
		}
		wantCode(t, f.appendError(stream, expect, ev[1], ev[3]), esdb.ErrorCodeWrongExpectedVersion)
		// Only the first id decides whether an append is new.
		if res := f.append(stream, expect, ev[4], ev[0]); res.NextExpectedVersion != 4 {
			t.Errorf("%T: new then known id: %+v", expect, res)
		}
	}
}

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

func TestSameIDInAnotherStream(t *testing.T) {
	f := newFixture(t)
	ev := event(`{}`)
	a, b := f.append("a", esdb.Any{}, ev), f.append("b", esdb.Any{}, ev)
	if b.NextExpectedVersion != 0 || b.CommitPosition == a.CommitPosition {
		t.Errorf("got %+v after %+v", b, a)
	}
}

// Concurrent repetitions of one append, as after a timeout, make one event.
func TestConcurrentRepetitionsWriteOnce(t *testing.T) {
	f := newFixture(t)
	ev := event(`{}`)
	var wg sync.WaitGroup
	results := make([]*esdb.WriteResult, 32)
	errs := make([]error, len(results))
	for i := range results {
		wg.Go(func() {
			results[i], errs[i] = f.c.AppendToStream(f.ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, ev)
		})
	}
	wg.Wait()
	for i := range results {
		if errs[i] != nil || *results[i] != *results[0] {
			t.Fatalf("caller %d: %+v, %v; caller 0: %+v", i, results[i], errs[i], results[0])
		}
	}
	if got, err := f.readAll(esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 1 {
		t.Fatalf("store has %d events, %v", len(got), err)
	}
}

func TestEmptyAppend(t *testing.T) {
	f := newFixture(t)
	if res := f.append("s", esdb.NoStream{}); res.CommitPosition != 0 {
		t.Errorf("got %+v", res)
	}
	if _, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 1); err == nil {
		t.Error("an empty append made a stream")
	}
}

// What was stored comes back byte for byte, with type, content type and time.
func TestEventComesBackAsWritten(t *testing.T) {
	f := newFixture(t)
	before := time.Now().Add(-time.Second)
	binary := esdb.EventData{EventID: uuid.New(), EventType: "t\u00e9st", ContentType: esdb.ContentTypeBinary, Data: []byte{0, 1, 0xff}, Metadata: []byte{0xfe, 0}}
	json := event(`{"a": 1}`)
	empty := esdb.EventData{EventID: uuid.New(), EventType: "t", ContentType: esdb.ContentTypeBinary}
	sent := []esdb.EventData{binary, json, empty}
	f.append("stream \u00e9", esdb.NoStream{}, sent...)
	got, err := f.readStream("stream \u00e9", esdb.Forwards, esdb.Start{}, 10)
	if err != nil || len(got) != len(sent) {
		t.Fatalf("read %d events, %v", len(got), err)
	}
	for i, g := range got {
		w := sent[i]
		wantType := "application/octet-stream"
		if w.ContentType == esdb.ContentTypeJson {
			wantType = "application/json"
		}
		if g.EventID != w.EventID || g.EventType != w.EventType || string(g.Data) != string(w.Data) ||
			string(g.UserMetadata) != string(w.Metadata) || g.ContentType != wantType || g.StreamID != "stream \u00e9" || g.EventNumber != uint64(i) {
			t.Errorf("event %d: got %+v, want %+v", i, g, w)
		}
		if g.CreatedDate.Before(before) || g.CreatedDate.After(time.Now().Add(time.Second)) {
			t.Errorf("event %d: created %v", i, g.CreatedDate)
		}
		for _, key := range []string{"type", "content-type", "created"} {
			if _, ok := g.SystemMetadata[key]; !ok {
				t.Errorf("event %d: no %q in %v", i, key, g.SystemMetadata)
			}
		}
	}
}

// Positions are sparse, as byte offsets are, and commit equals prepare.
func TestPositionsAreSparse(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(20)...)
	got, err := f.readAll(esdb.Forwards, esdb.Start{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range got {
		if e.Position.Commit != e.Position.Prepare {
			t.Errorf("event %d at %+v", i, e.Position)
		}
		if i > 0 && e.Position.Commit < got[i-1].Position.Commit+uint64(len(e.Data)) {
			t.Errorf("event %d at %d, the one before at %d", i, e.Position.Commit, got[i-1].Position.Commit)
		}
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
	conn, err := grpc.NewClient(f.s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))
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
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id: id, Metadata: meta, Data: make([]byte, size),
	}}}
}

// rawAppend sends the messages and returns the answer, its trailers and its status.
func (f *fixture) rawAppend(msgs ...*streams.AppendReq) (*streams.AppendResp, metadata.MD, error) {
	f.t.Helper()
	call, err := streams.NewStreamsClient(f.rawConn()).Append(f.ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, m := range msgs {
		if err := call.Send(m); err != nil {
			break // the answer says why
		}
	}
	resp, err := call.CloseAndRecv()
	return resp, call.Trailer(), err
}

func TestLargestAppend(t *testing.T) {
	f := newFixture(t)
	meta := map[string]string{"type": "t", "content-type": "application/json"}
	id := func() *shared.UUID { return structuredUUID(uuid.New()) }
	const overhead = 2 // the type, at two bytes a character
	if _, _, err := f.rawAppend(appendOptions("s"), proposed(id(), meta, 1<<20-overhead)); err != nil {
		t.Errorf("exactly 1 MiB: %v", err)
	}
	for name, msgs := range map[string][]*streams.AppendReq{
		"one event":   {appendOptions("s"), proposed(id(), meta, 1<<20-overhead+1)},
		"many events": {appendOptions("s"), proposed(id(), meta, 1<<19), proposed(id(), meta, 1<<19), proposed(id(), meta, 1<<22)},
	} {
		_, trailer, err := f.rawAppend(msgs...)
		if status.Code(err) != codes.InvalidArgument || trailer.Get("exception")[0] != "maximum-append-size-exceeded" || trailer.Get("maximum-append-size")[0] != "1048576" {
			t.Errorf("%s: %v, trailers %v", name, err, trailer)
		}
	}
	if _, _, err := f.rawAppend(appendOptions("s"), proposed(id(), meta, 17<<20)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message above 16 MiB: %v", err)
	}
	if got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 1 {
		t.Errorf("stream has %d events, %v; want the one that fits", len(got), err)
	}
}

func TestRefusedAppends(t *testing.T) {
	f := newFixture(t)
	meta := map[string]string{"type": "t", "content-type": "application/json"}
	id := structuredUUID(uuid.New())
	for _, c := range []struct {
		name      string
		msgs      []*streams.AppendReq
		code      codes.Code
		exception string
	}{
		{"no messages", nil, codes.InvalidArgument, ""},
		{"event first", []*streams.AppendReq{proposed(id, meta, 1)}, codes.InvalidArgument, ""},
		{"options twice", []*streams.AppendReq{appendOptions("s"), appendOptions("s")}, codes.InvalidArgument, ""},
		{"no type", []*streams.AppendReq{appendOptions("s"), proposed(id, map[string]string{"content-type": "application/json"}, 1)}, codes.InvalidArgument, "missing-required-metadata-property"},
		{"no content type", []*streams.AppendReq{appendOptions("s"), proposed(id, map[string]string{"type": "t"}, 1)}, codes.InvalidArgument, "missing-required-metadata-property"},
		{"no id", []*streams.AppendReq{appendOptions("s"), proposed(nil, meta, 1)}, codes.InvalidArgument, ""},
		{"no uuid", []*streams.AppendReq{appendOptions("s"), proposed(&shared.UUID{Value: &shared.UUID_String_{String_: "x"}}, meta, 1)}, codes.InvalidArgument, ""},
		{"empty stream name", []*streams.AppendReq{appendOptions(""), proposed(id, meta, 1)}, codes.InvalidArgument, ""},
		{"metadata of metadata", []*streams.AppendReq{appendOptions("$$$$s"), proposed(id, meta, 1)}, codes.InvalidArgument, ""},
		{"$all", []*streams.AppendReq{appendOptions("$all"), proposed(id, meta, 1)}, codes.PermissionDenied, "access-denied"},
	} {
		_, trailer, err := f.rawAppend(c.msgs...)
		if status.Code(err) != c.code {
			t.Errorf("%s: %v, want %v", c.name, err, c.code)
		}
		if got := strings.Join(trailer.Get("exception"), ","); got != c.exception {
			t.Errorf("%s: exception %q, want %q", c.name, got, c.exception)
		}
	}
	if got, err := f.readAll(esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 0 {
		t.Errorf("store has %d events, %v", len(got), err)
	}
}

// A conflict is an OK answer with every field that old and new clients read.
func TestConflictAnswer(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.NoStream{}, events(3)...)
	opts := appendOptions("s")
	opts.GetOptions().ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	resp, _, err := f.rawAppend(opts, proposed(structuredUUID(uuid.New()), map[string]string{"type": "t", "content-type": "application/json"}, 1))
	if err != nil {
		t.Fatal(err)
	}
	w := resp.GetWrongExpectedVersion()
	if w.GetCurrentRevision() != 2 || w.GetCurrentRevision_20_6_0() != 2 || w.GetExpectedNoStream() == nil || w.GetExpectedRevision_20_6_0() != 1<<64-1 {
		t.Errorf("got %v", resp)
	}
}

// 64 callers race for each revision of one stream: exactly one wins each.
func TestExactRevisionsUnderConcurrency(t *testing.T) {
	f := newFixture(t)
	const rounds, callers = 20, 64
	for round := range rounds {
		expect := esdb.ExpectedRevision(esdb.NoStream{})
		if round > 0 {
			expect = esdb.Revision(uint64(round - 1))
		}
		var wg sync.WaitGroup
		errs := make([]error, callers)
		for i := range callers {
			wg.Go(func() {
				_, errs[i] = f.c.AppendToStream(context.Background(), "s", esdb.AppendToStreamOptions{ExpectedRevision: expect}, event(`{}`))
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				wantCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d callers won", round, won)
		}
	}
}
