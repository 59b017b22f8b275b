package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
)

// batchCall is one BatchAppend call, as clients of other languages keep it open.
type batchCall struct {
	t    testing.TB
	call grpc.BidiStreamingClient[streams.BatchAppendReq, streams.BatchAppendResp]
}

func (f *fixture) batch() *batchCall {
	f.t.Helper()
	call, err := streams.NewStreamsClient(f.rawConn()).BatchAppend(f.ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	return &batchCall{f.t, call}
}

func (c *batchCall) send(reqs ...*streams.BatchAppendReq) {
	c.t.Helper()
	for _, r := range reqs {
		if err := c.call.Send(r); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *batchCall) recv() *streams.BatchAppendResp {
	c.t.Helper()
	resp, err := c.call.Recv()
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// end closes the sending side and returns the answers that still come.
func (c *batchCall) end() []*streams.BatchAppendResp {
	c.t.Helper()
	if err := c.call.CloseSend(); err != nil {
		c.t.Fatal(err)
	}
	var out []*streams.BatchAppendResp
	for {
		resp, err := c.call.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			c.t.Fatal(err)
		}
		out = append(out, resp)
	}
}

func stringUUID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
}

func batchEvents(n, size int) []*streams.BatchAppendReq_ProposedMessage {
	out := make([]*streams.BatchAppendReq_ProposedMessage, n)
	for i := range out {
		out[i] = &streams.BatchAppendReq_ProposedMessage{
			Id: rawUUID(uuid.New()), Metadata: map[string]string{"type": "t", "content-type": "application/json"},
			Data: make([]byte, size),
		}
	}
	return out
}

// batchOptions expects position ≥ 0, or -1 no stream, -2 any, -4 an existing stream.
func batchOptions(stream string, expect int64) *streams.BatchAppendReq_Options {
	o := &streams.BatchAppendReq_Options{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}}
	switch expect {
	case -1:
		o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
	case -2:
		o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}
	case -4:
		o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}
	default:
		o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(expect)}
	}
	return o
}

func within(o *streams.BatchAppendReq_Options, d time.Duration) *streams.BatchAppendReq_Options {
	o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(d)}
	return o
}

func until(o *streams.BatchAppendReq_Options, t time.Time) *streams.BatchAppendReq_Options {
	o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(t)}
	return o
}

func wholeAppend(id uuid.UUID, o *streams.BatchAppendReq_Options,
	events []*streams.BatchAppendReq_ProposedMessage) *streams.BatchAppendReq {
	return &streams.BatchAppendReq{CorrelationId: rawUUID(id), Options: o, ProposedMessages: events, IsFinal: true}
}

func fragment(id uuid.UUID, o *streams.BatchAppendReq_Options, final bool,
	events ...*streams.BatchAppendReq_ProposedMessage) *streams.BatchAppendReq {
	return &streams.BatchAppendReq{CorrelationId: rawUUID(id), Options: o, ProposedMessages: events, IsFinal: final}
}

func wantAnswer(t testing.TB, resp *streams.BatchAppendResp, id uuid.UUID) {
	t.Helper()
	if got, ok := correlationOf(resp.GetCorrelationId()); !ok || got != id {
		t.Fatalf("answer to %x, want one to %x: %v", got, id, resp)
	}
}

func wantBatchWritten(t testing.TB, resp *streams.BatchAppendResp, id uuid.UUID, last uint64) {
	t.Helper()
	wantAnswer(t, resp, id)
	if resp.GetSuccess() == nil || resp.GetSuccess().GetCurrentRevision() != last {
		t.Fatalf("got %v, want success with revision %d", resp, last)
	}
}

// wantPacked checks the code and the packed message, which details receives.
func wantPacked(t testing.TB, resp *streams.BatchAppendResp, id uuid.UUID, c code.Code, details proto.Message) {
	t.Helper()
	wantAnswer(t, resp, id)
	e := resp.GetError()
	if e == nil || e.GetCode() != int32(c) || len(e.GetDetails()) != 1 {
		t.Fatalf("got %v, want an error with code %v and one detail", resp, c)
	}
	if err := e.GetDetails()[0].UnmarshalTo(details); err != nil {
		t.Fatalf("%v: %v", e, err)
	}
	if resp.GetStreamIdentifier() == nil {
		t.Fatalf("an error without a stream identifier: %v", resp)
	}
}

// Clients append with it only where the server says that it has it, and how deadlines are written.
func TestBatchAppendIsAFeature(t *testing.T) {
	f := newFixture(t)
	resp, err := serverfeatures.NewServerFeaturesClient(f.rawConn()).GetSupportedMethods(f.ctx, &shared.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range resp.GetMethods() {
		if m.GetMethodName() == "batchappend" && m.GetServiceName() == "event_store.client.streams.streams" &&
			m.GetFeatures()[0] == "deadline_duration" {
			return
		}
	}
	t.Errorf("no batchappend in %v", resp)
}

// .NET's way: options with the first events, fragments, an empty last one; ids in halves.
func TestBatchAppendInFragments(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	id := uuid.New()
	ev := batchEvents(3, 10)
	c.send(fragment(id, until(batchOptions("s", -1), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)),
		false, ev[0], ev[1]),
		fragment(id, nil, false, ev[2]), fragment(id, nil, true))
	resp := c.recv()
	wantBatchWritten(t, resp, id, 2)
	if resp.GetCorrelationId().GetStructured() == nil || string(resp.GetStreamIdentifier().GetStreamName()) != "s" ||
		resp.GetNoStream() == nil {
		t.Errorf("the answer does not repeat what was asked for: %v", resp)
	}
	got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 10)
	if err != nil || len(got) != 3 || got[2].Position.Commit != resp.GetSuccess().GetPosition().GetCommitPosition() {
		t.Errorf("read %d events, %v", len(got), err)
	}
	for i, e := range got {
		if rawUUID(e.EventID).String() != ev[i].GetId().String() {
			t.Errorf("event %d: id %v", i, e.EventID)
		}
	}
	if more := c.end(); len(more) != 0 {
		t.Errorf("a second answer: %v", more)
	}
}

// Node's and Java's way: options alone first, ids as text; several appends interleaved.
func TestBatchAppendInterleaved(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	for i, id := range ids {
		c.send(&streams.BatchAppendReq{CorrelationId: stringUUID(id),
			Options: within(batchOptions(fmt.Sprint("s", i), -2), time.Minute)})
	}
	for range 2 {
		for _, id := range ids {
			c.send(&streams.BatchAppendReq{CorrelationId: stringUUID(id), ProposedMessages: batchEvents(2, 3)})
		}
	}
	for _, id := range ids {
		c.send(&streams.BatchAppendReq{CorrelationId: stringUUID(id), IsFinal: true})
	}
	answered := map[string]bool{}
	for _, resp := range c.end() {
		answered[resp.GetCorrelationId().GetString_()] = true
		if resp.GetSuccess().GetCurrentRevision() != 3 {
			t.Errorf("got %v", resp)
		}
	}
	for _, id := range ids {
		if !answered[id.String()] {
			t.Errorf("no answer to %s, written as it was asked", id)
		}
	}
}

// Appends of one call to one stream are written in the order of their last fragments.
func TestBatchAppendKeepsOrder(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	const n = 300
	ids := make([]uuid.UUID, n)
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := range ids {
			ids[i] = uuid.New()
			if err := c.call.Send(wholeAppend(ids[i], batchOptions("s", int64(i)-1), batchEvents(1, 1))); err != nil {
				return
			}
		}
	})
	seen := 0
	for range n {
		if resp := c.recv(); resp.GetSuccess() == nil {
			t.Errorf("each expects what the one before left: %v", resp)
		} else {
			seen++
		}
	}
	sending.Wait()
	if more := c.end(); len(more) != 0 || seen != n {
		t.Errorf("%d written, %d more answers", seen, len(more))
	}
}

// Each refusal is the message by which clients tell errors apart, and the call goes on.
func TestBatchAppendErrorsArePacked(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	meta := map[string]string{"type": "t", "content-type": "application/json"}
	f.append("there", esdb.NoStream{}, events(2)...)
	if _, err := f.c.TombstoneStream(f.ctx, "gone", esdb.TombstoneStreamOptions{
		ExpectedRevision: esdb.Any{},
	}); err != nil {
		t.Fatal(err)
	}
	ask := func(o *streams.BatchAppendReq_Options,
		events ...*streams.BatchAppendReq_ProposedMessage) (*streams.BatchAppendResp, uuid.UUID) {
		id := uuid.New()
		c.send(fragment(id, o, true, events...))
		return c.recv(), id
	}
	one := batchEvents(1, 1)[0]

	for expect, check := range map[int64]func(w *shared.WrongExpectedVersion) bool{
		-1: func(w *shared.WrongExpectedVersion) bool { return w.GetExpectedNoStream() != nil },
		7:  func(w *shared.WrongExpectedVersion) bool { return w.GetExpectedStreamPosition() == 7 },
	} {
		resp, id := ask(batchOptions("there", expect), one)
		w := &shared.WrongExpectedVersion{}
		wantPacked(t, resp, id, code.Code_ALREADY_EXISTS, w)
		if w.GetCurrentStreamRevision() != 1 || !check(w) {
			t.Errorf("expected %d: got %v", expect, w)
		}
	}
	resp, id := ask(batchOptions("not there", -4), one)
	w := &shared.WrongExpectedVersion{}
	wantPacked(t, resp, id, code.Code_ALREADY_EXISTS, w)
	if w.GetCurrentNoStream() == nil || w.GetExpectedStreamExists() == nil {
		t.Errorf("got %v", w)
	}

	resp, id = ask(batchOptions("gone", -2), one)
	deleted := &shared.StreamDeleted{}
	wantPacked(t, resp, id, code.Code_NOT_FOUND, deleted)
	if string(deleted.GetStreamIdentifier().GetStreamName()) != "gone" {
		t.Errorf("got %v", deleted)
	}

	resp, id = ask(batchOptions("$$ab-00000000-0000-0000-0000-000000000000", -2), one)
	wantPacked(t, resp, id, code.Code_PERMISSION_DENIED, &shared.AccessDenied{})

	resp, id = ask(batchOptions("big", -2), batchEvents(2, 600<<10)...)
	size := &shared.MaximumAppendSizeExceeded{}
	wantPacked(t, resp, id, code.Code_INVALID_ARGUMENT, size)
	if size.GetMaxAppendSize() != defaultMaxAppend {
		t.Errorf("got %v", size)
	}

	for name, o := range map[string]*streams.BatchAppendReq_Options{
		"no options": nil, "no stream": batchOptions("", -2),
		"no position": {StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}},
		"position": {StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")},
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: math.MaxInt64 + 1}},
	} {
		resp, id = ask(o, one)
		bad := &shared.BadRequest{}
		wantPacked(t, resp, id, code.Code_INVALID_ARGUMENT, bad)
		if bad.GetMessage() == "" {
			t.Errorf("%s: no message", name)
		}
	}
	for _, ev := range []*streams.BatchAppendReq_ProposedMessage{
		{Metadata: meta}, {Id: &shared.UUID{Value: &shared.UUID_String_{String_: "x"}}, Metadata: meta},
		{Id: rawUUID(uuid.New()), Metadata: map[string]string{"type": "t"}},
		{Id: rawUUID(uuid.New()), Metadata: map[string]string{"type": "", "content-type": "application/json"}},
	} {
		resp, id = ask(batchOptions("s", -2), ev)
		wantPacked(t, resp, id, code.Code_INVALID_ARGUMENT, &shared.BadRequest{})
	}

	for _, bad := range []*shared.UUID{nil, {}, {Value: &shared.UUID_String_{String_: "no uuid"}}} {
		c.send(&streams.BatchAppendReq{CorrelationId: bad, Options: batchOptions("s", -2),
			ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{one}, IsFinal: true})
		resp := c.recv()
		if !proto.Equal(resp.GetCorrelationId(), bad) ||
			resp.GetError().GetCode() != int32(code.Code_INVALID_ARGUMENT) {
			t.Errorf("correlation id %v: got %v", bad, resp)
		}
	}

	resp, id = ask(batchOptions("s", -2), one)
	wantBatchWritten(t, resp, id, 0)
}

// .NET's clients write that they expect no stream as the position with all bits set.
func TestBatchAppendNoStreamAsAPosition(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	none := batchOptions("s", 0)
	none.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: math.MaxUint64}
	id := uuid.New()
	c.send(wholeAppend(id, none, batchEvents(1, 1)))
	wantBatchWritten(t, c.recv(), id, 0)
	id = uuid.New()
	c.send(wholeAppend(id, none, batchEvents(1, 1)))
	w := &shared.WrongExpectedVersion{}
	if wantPacked(t, c.recv(), id, code.Code_ALREADY_EXISTS, w); w.GetExpectedNoStream() == nil {
		t.Errorf("got %v", w)
	}
	appendReq := appendOptions("t")
	appendReq.GetOptions().ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: math.MaxUint64}
	call, err := streams.NewStreamsClient(f.rawConn()).Append(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*streams.AppendReq{appendReq, proposed(rawUUID(uuid.New()),
		map[string]string{"type": "t", "content-type": "x"}, 1)} {
		if err := call.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if resp, err := call.CloseAndRecv(); err != nil || resp.GetSuccess() == nil {
		t.Errorf("Append: %v, %v", resp, err)
	}
}

// Repetitions are told from conflicts as in Append, across both.
func TestBatchAppendIsIdempotent(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	ev := batchEvents(2, 5)
	var first *streams.BatchAppendResp
	for range 2 {
		id := uuid.New()
		c.send(wholeAppend(id, batchOptions("s", -1), ev))
		resp := c.recv()
		wantBatchWritten(t, resp, id, 1)
		if first == nil {
			first = resp
		}
		if !proto.Equal(first.GetSuccess(), resp.GetSuccess()) {
			t.Errorf("the repetition is answered with %v, the append with %v", resp, first)
		}
	}
	got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 10)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	res := f.append("s", esdb.NoStream{}, esdb.EventData{EventID: got[0].EventID, EventType: "t"},
		esdb.EventData{EventID: got[1].EventID, EventType: "t"})
	if res.NextExpectedVersion != 1 {
		t.Errorf("Append does not know BatchAppend's events: %+v", res)
	}
}

// A deadline that has passed, in both forms, before the first fragment and
// between fragments, is answered with Timeout, once; nothing is written.
func TestBatchAppendDeadlines(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	for _, o := range []*streams.BatchAppendReq_Options{
		within(batchOptions("s", -2), 0), within(batchOptions("s", -2), -time.Second),
		until(batchOptions("s", -2), time.Now().Add(-time.Hour)),
	} {
		id := uuid.New()
		c.send(fragment(id, o, false, batchEvents(1, 1)...))
		wantPacked(t, c.recv(), id, code.Code_DEADLINE_EXCEEDED, &shared.Timeout{})
		c.send(fragment(id, nil, true, batchEvents(1, 1)...))
	}
	for _, o := range []*streams.BatchAppendReq_Options{
		within(batchOptions("s", -2), time.Millisecond), until(batchOptions("s", -2),
			time.Now().Add(20*time.Millisecond)),
	} {
		id := uuid.New()
		c.send(fragment(id, o, false, batchEvents(1, 1)...))
		wantPacked(t, c.recv(), id, code.Code_DEADLINE_EXCEEDED, &shared.Timeout{})
		c.send(fragment(id, nil, false, batchEvents(1, 1)...), fragment(id, nil, true))
	}
	id := uuid.New()
	c.send(wholeAppend(id, within(batchOptions("s", -1), time.Minute), batchEvents(1, 1)))
	wantBatchWritten(t, c.recv(), id, 0)
	if more := c.end(); len(more) != 0 {
		t.Errorf("answered twice: %v", more)
	}
}

// An append whose deadline passes while the disk is slow is answered with Timeout too.
func TestBatchAppendDeadlineInTheWriter(t *testing.T) {
	cfg := testConfig("store")
	var disk sync.RWMutex // its writer holds the fsyncs of the log
	cfg.fs = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isLogSync(op) {
			disk.RLock()
			defer disk.RUnlock()
		}
		return nil
	}))
	f := &fixture{t: t, ctx: testContext(t), s: startServer(t, cfg)}
	c := f.batch()
	disk.Lock()
	release := sync.OnceFunc(disk.Unlock)
	defer release()
	id := uuid.New()
	c.send(wholeAppend(id, within(batchOptions("s", -1), 10*time.Millisecond), batchEvents(1, 1)))
	wantPacked(t, c.recv(), id, code.Code_DEADLINE_EXCEEDED, &shared.Timeout{})
	release()
	id = uuid.New()
	c.send(wholeAppend(id, batchOptions("t", -1), batchEvents(1, 1)))
	wantBatchWritten(t, c.recv(), id, 0)
}

// An append over the limit is answered at once; its other fragments are dropped
// until its last, after which the id may be used again.
func TestBatchAppendDropsTheRestOfARefusedAppend(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	id := uuid.New()
	c.send(fragment(id, batchOptions("s", -2), false, batchEvents(1, 700<<10)...),
		fragment(id, nil, false, batchEvents(1, 700<<10)...))
	wantPacked(t, c.recv(), id, code.Code_INVALID_ARGUMENT, &shared.MaximumAppendSizeExceeded{})
	c.send(fragment(id, batchOptions("s", -2), false, batchEvents(1, 1)...),
		fragment(id, nil, true, batchEvents(1, 1)...))
	c.send(wholeAppend(id, batchOptions("s", -1), batchEvents(1, 1)))
	wantBatchWritten(t, c.recv(), id, 0)
	if more := c.end(); len(more) != 0 {
		t.Errorf("answered twice: %v", more)
	}
}

// What a client can leave unfinished is bounded: in number, in bytes, and in refusals.
func TestBatchAppendBounds(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxAppend = maxMessage
	f := &fixture{t: t, ctx: testContext(t), s: startServer(t, cfg)}

	c := f.batch()
	for range protocol.BatchOpen {
		c.send(fragment(uuid.New(), batchOptions("s", -2), false))
	}
	id := uuid.New()
	c.send(fragment(id, batchOptions("s", -2), false))
	wantPacked(t, c.recv(), id, code.Code_RESOURCE_EXHAUSTED, &shared.Unknown{})

	c = f.batch()
	const size = 8 << 20
	for range protocol.BatchBytes/size - 1 {
		c.send(fragment(uuid.New(), batchOptions("s", -2), false, batchEvents(1, size)...))
	}
	id = uuid.New()
	c.send(fragment(id, batchOptions("s", -2), false, batchEvents(1, size)...))
	wantPacked(t, c.recv(), id, code.Code_RESOURCE_EXHAUSTED, &shared.Unknown{})

	c = f.batch()
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		for range protocol.BatchRefused + 1 {
			if c.call.Send(fragment(uuid.New(), nil, false)) != nil {
				return // the call has ended, as it should
			}
		}
	})
	for range protocol.BatchRefused {
		if _, err := c.call.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.call.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}
}

// What is unfinished when the client ends the call or goes away is not written.
func TestBatchAppendUnfinishedIsDropped(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	c.send(fragment(uuid.New(), batchOptions("s", -2), false, batchEvents(1, 1)...))
	if answers := c.end(); len(answers) != 0 {
		t.Errorf("got %v", answers)
	}
	ctx, cancel := context.WithCancel(f.ctx)
	call, err := streams.NewStreamsClient(f.rawConn()).BatchAppend(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(fragment(uuid.New(), batchOptions("s", -2), false, batchEvents(1, 1)...)); err != nil {
		t.Fatal(err)
	}
	cancel()
	f.append("s", esdb.NoStream{}, event(`{}`))
}

// A server that stops answers what was whole, drops the rest, and ends the call as unavailable.
func TestBatchAppendDrainsOnStop(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	const n = 50
	c.send(fragment(uuid.New(), batchOptions("unfinished", -2), false, batchEvents(1, 1)...))
	for range n {
		c.send(wholeAppend(uuid.New(), batchOptions("s", -2), batchEvents(1, 1)))
	}
	c.recv() // so the others may be under way
	stopServer(t, f.s)
	for {
		resp, err := c.call.Recv()
		if err != nil {
			if status.Code(err) != codes.Unavailable {
				t.Errorf("the call ended with %v", err)
			}
			return
		}
		if resp.GetSuccess() == nil {
			t.Errorf("got %v", resp)
		}
	}
}

// A client that does not take its answers stops being read: it holds a bounded
// part of memory, others go on, and it gets all answers when it takes them.
func TestBatchAppendSlowReceiver(t *testing.T) {
	f := newFixture(t)
	c := f.batch()
	const n = 4 * protocol.BatchFlying
	var sending sync.WaitGroup
	sending.Go(func() {
		ev := batchEvents(1, 1)
		for range n {
			if c.call.Send(wholeAppend(uuid.New(), batchOptions("s", -2), ev)) != nil {
				return
			}
		}
	})
	f.append("other", esdb.NoStream{}, event(`{}`))
	for range n {
		if resp := c.recv(); resp.GetSuccess() == nil {
			t.Fatalf("got %v", resp)
		}
	}
	sending.Wait()
}

// correlationOf is the key of an append within its call; well formed where ok.
func correlationOf(v *shared.UUID) (id uuid.UUID, ok bool) {
	switch u := v.GetValue().(type) {
	case *shared.UUID_String_:
		id, err := uuid.Parse(u.String_)
		return id, err == nil
	case *shared.UUID_Structured_:
		if u.Structured == nil {
			return id, false
		}
		binary.BigEndian.PutUint64(id[:8], uint64(u.Structured.MostSignificantBits))
		binary.BigEndian.PutUint64(id[8:], uint64(u.Structured.LeastSignificantBits))
		return id, true
	}
	return id, false
}

// fakeBatch serves requests to the handler without a network.
type fakeBatch struct {
	grpc.ServerStream
	ctx  context.Context
	reqs []*streams.BatchAppendReq
	got  []*streams.BatchAppendResp
}

func (s *fakeBatch) Context() context.Context { return s.ctx }

func (s *fakeBatch) Recv() (*streams.BatchAppendReq, error) {
	if len(s.reqs) == 0 {
		return nil, io.EOF
	}
	r := s.reqs[0]
	s.reqs = s.reqs[1:]
	return r, nil
}

func (s *fakeBatch) Send(r *streams.BatchAppendResp) error {
	s.got = append(s.got, r)
	return nil
}

// Whatever a client sends: no panic, the call ends well, and each append that
// came to its last fragment is answered exactly once.
func FuzzBatchAppend(f *testing.F) {
	a, b := uuid.New(), uuid.New()
	seed := func(reqs ...*streams.BatchAppendReq) {
		var data []byte
		for _, r := range reqs {
			m, err := proto.Marshal(r)
			if err != nil {
				f.Fatal(err)
			}
			data = append(data, byte(len(m)>>8), byte(len(m)))
			data = append(data, m...)
		}
		f.Add(data)
	}
	seed(wholeAppend(a, batchOptions("s", -2), batchEvents(2, 3)))
	seed(fragment(a, batchOptions("s", -1), false, batchEvents(1, 3)...), fragment(b, batchOptions("t", 3), false),
		fragment(a, nil, true), fragment(b, nil, true))
	seed(fragment(a, nil, false), fragment(a, batchOptions("s", -2), true),
		wholeAppend(a, within(batchOptions("$$s", -4), -1), nil))
	seed(&streams.BatchAppendReq{}, &streams.BatchAppendReq{CorrelationId: &shared.UUID{
		Value: &shared.UUID_String_{String_: "?"},
	}, IsFinal: true})
	cfg := testConfig("store")
	cfg.fs = vfs.NewMem()
	cfg.MaxAppend = 4096
	svc := startServer(f, cfg).streams
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &fakeBatch{ctx: context.Background()}
		want, refused := map[string]int{}, 0
		for len(data) >= 2 {
			n := min(int(data[0])<<8|int(data[1]), len(data)-2)
			req := &streams.BatchAppendReq{}
			if proto.Unmarshal(data[2:2+n], req) == nil {
				s.reqs = append(s.reqs, req)
				if id, ok := correlationOf(req.GetCorrelationId()); !ok {
					refused++
				} else if req.GetIsFinal() {
					want[id.String()]++
				}
			}
			data = data[2+n:]
		}
		if err := svc.BatchAppend(s); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, resp := range s.got {
			if resp.GetSuccess() == nil && len(resp.GetError().GetDetails()) != 1 {
				t.Fatalf("neither success nor a packed error: %v", resp)
			}
			if id, ok := correlationOf(resp.GetCorrelationId()); !ok {
				refused--
			} else {
				got[id.String()]++
			}
		}
		if refused != 0 {
			t.Fatalf("%d fragments without a correlation id have no answer", refused)
		}
		for id, n := range want {
			// One that was refused before its last fragment never came to it.
			if got[id] < n || got[id] > n+1 {
				t.Fatalf("%s: %d answers to %d appends", id, got[id], n)
			}
		}
	})
}

// BenchmarkBatchAppend appends single events over one call, with that many
// under way, beside the same through Append.
func BenchmarkBatchAppend(b *testing.B) {
	s := startServer(b, testConfig(b.TempDir()))
	f := &fixture{t: b, ctx: context.Background(), s: s}
	for _, streamCount := range []int{1, 64} {
		b.Run(fmt.Sprintf("streams=%d", streamCount), func(b *testing.B) {
			c := f.batch()
			window := make(chan struct{}, 512)
			var sending sync.WaitGroup
			sending.Go(func() {
				for i := range b.N {
					window <- struct{}{}
					if c.call.Send(wholeAppend(uuid.New(), batchOptions(fmt.Sprintf("b%d-%d", streamCount,
						i%streamCount), -2), batchEvents(1, 250))) != nil {
						return
					}
				}
			})
			for range b.N {
				if resp := c.recv(); resp.GetSuccess() == nil {
					b.Fatal(resp)
				}
				<-window
			}
			sending.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}
