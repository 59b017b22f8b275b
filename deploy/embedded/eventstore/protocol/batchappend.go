package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// Bounds of one BatchAppend call. Appends that have all their fragments wait in
// the writer's queue; when they reach a bound, the call is not read until some
// are answered. Unfinished ones cannot wait for anything but their client, so
// those beyond a bound are refused.
const (
	BatchOpen    = 1024     // unfinished appends
	BatchRefused = 16 << 10 // refused appends whose last fragment has not come
	BatchFlying  = 1024     // appends that wait for their answer
	BatchBytes   = 64 << 20 // of unfinished ones, and again of those that wait
	eventCost    = 128      // bytes that an event takes besides its own
)

// batch is one BatchAppend call. Three goroutines serve it: one receives, one
// (take) collects fragments and queues what is whole, in the order in which it
// became whole, and one (answerAll) waits for the writer in that order and
// sends. The writer answers in its queue's order, so nobody waits for a later one.
type batch struct {
	svc *Streams
	ctx context.Context // ends with the call
	out streams.Streams_BatchAppendServer

	// Of the collecting goroutine.
	open     map[[16]byte]*batchAppend
	refused  map[[16]byte]struct{} // answered; their other fragments are dropped
	held     int                   // bytes of open
	expiries *time.Timer           // at or before the first deadline of open

	flights  chan *batchAppend // to answerAll, in the order of the writer's queue
	answered chan error        // answerAll has ended
	flying   atomic.Int64      // bytes that the writer's queue holds for this call
	freed    chan struct{}     // flying has become less
}

// batchAppend is one append of a call.
type batchAppend struct {
	id       *shared.UUID // as the client wrote it
	opts     *streams.BatchAppendReq_Options
	request  *eventlog.Request
	size     int       // as the limit counts it
	cost     int       // in memory
	deadline time.Time // zero: none
	refusal  error     // it is not in the writer's queue
}

// BatchAppend writes many appends over one call. An append comes in fragments
// of one correlation id; each gets one answer, in any order, errors included:
// they never end the call.
func (svc *Streams) BatchAppend(stream streams.Streams_BatchAppendServer) error {
	ctx, cancel := context.WithCancel(packing(stream.Context()))
	b := &batch{
		svc: svc, ctx: ctx, out: stream,
		open: map[[16]byte]*batchAppend{}, refused: map[[16]byte]struct{}{}, expiries: time.NewTimer(math.MaxInt64),
		flights: make(chan *batchAppend, BatchFlying), answered: make(chan error, 1), freed: make(chan struct{}, 1),
	}
	defer cancel()
	defer b.expiries.Stop()
	go func() { b.answered <- b.answerAll() }()
	err := b.collect()
	close(b.flights) // however the call ends, what is whole is answered while the client listens
	if answering := <-b.answered; err == nil {
		err = answering
	}
	if err == nil && b.stopping() {
		err = ErrStopping
	}
	return err
}

func (b *batch) stopping() bool {
	select {
	case <-b.svc.cfg.Stopping:
		return true
	default:
		return false
	}
}

// received is what one Recv returned.
type received struct {
	req *streams.BatchAppendReq
	err error
}

// receive passes on what the client sends until the call ends. It is the only
// part of a call that can outlive its handler, by a moment.
func (b *batch) receive(requests chan<- received) {
	for {
		req, err := b.out.Recv()
		select {
		case requests <- received{req, err}:
		case <-b.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// collect takes fragments until the client has sent its last or the server
// stops. What is unfinished then is dropped; what is whole is still answered.
func (b *batch) collect() error {
	requests := make(chan received)
	b.svc.receivers.Go(func() { b.receive(requests) })
	for {
		select {
		case r := <-requests:
			if errors.Is(r.err, io.EOF) {
				return nil
			}
			if r.err != nil {
				return r.err
			}
			if err := b.take(r.req); err != nil {
				return err
			}
		case <-b.expiries.C:
			if err := b.expire(); err != nil {
				return err
			}
		case err := <-b.answered:
			b.answered <- err
			return err
		case <-b.svc.cfg.Stopping:
			return nil
		case <-b.svc.cfg.Log.Failed():
			return FailStore(b.ctx, "", b.svc.cfg.Log.Failure())
		}
	}
}

// take adds one fragment to its append and queues the append when it is whole.
// An error ends the call.
func (b *batch) take(req *streams.BatchAppendReq) error {
	id, err := correlation(req.GetCorrelationId())
	if err != nil {
		return b.answer(&batchAppend{id: req.GetCorrelationId(), opts: req.GetOptions(), refusal: err})
	}
	if _, ok := b.refused[id]; ok {
		if req.GetIsFinal() {
			delete(b.refused, id)
		}
		return nil
	}
	a, known := b.open[id]
	if !known {
		a = &batchAppend{id: req.GetCorrelationId(), opts: req.GetOptions()}
		a.refusal = b.begin(a)
	}
	if a.refusal == nil && !a.deadline.IsZero() && !time.Now().Before(a.deadline) {
		a.refusal = context.DeadlineExceeded
	}
	before := a.cost
	if a.refusal == nil {
		a.refusal = b.add(a, req.GetProposedMessages())
	}
	if known {
		b.held -= before
		delete(b.open, id)
	}
	switch {
	case a.refusal != nil && !req.GetIsFinal():
		return b.refuse(id, a)
	case a.refusal == nil && !req.GetIsFinal():
		b.open[id] = a
		b.held += a.cost
		if !known && !a.deadline.IsZero() {
			b.wake()
		}
		return nil
	case a.refusal == nil:
		return b.submit(a)
	}
	return b.answer(a)
}

// begin reads an append's options, which its first fragment has.
func (b *batch) begin(a *batchAppend) error {
	if a.opts == nil {
		return status.Error(codes.InvalidArgument, "the first fragment of an append must have its options")
	}
	r := &eventlog.Request{Kind: eventlog.KindAppend, Stream: string(a.opts.GetStreamIdentifier().GetStreamName())}
	if err := b.svc.appendTarget(b.ctx, r.Stream); err != nil {
		return err
	}
	var err error
	switch v := a.opts.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		r.Expect, err = exactRevision(v.StreamPosition)
	case *streams.BatchAppendReq_Options_NoStream:
		r.Expect = eventlog.ExpectNoStream
	case *streams.BatchAppendReq_Options_Any:
		r.Expect = eventlog.ExpectAny
	case *streams.BatchAppendReq_Options_StreamExists:
		r.Expect = eventlog.ExpectExists
	default:
		err = status.Error(codes.InvalidArgument, "append without an expected position")
	}
	if err != nil {
		return err
	}
	if len(b.open) >= BatchOpen {
		return status.Errorf(codes.ResourceExhausted, "%d appends of this call are unfinished", BatchOpen)
	}
	a.request = r
	return b.setDeadline(a)
}

// setDeadline turns both forms into a time of the monotonic clock: an instant,
// as clients of servers before 21.10 send it, and a duration from now.
func (b *batch) setDeadline(a *batchAppend) error {
	left := time.Duration(math.MaxInt64)
	switch v := a.opts.GetDeadlineOption().(type) {
	case *streams.BatchAppendReq_Options_Deadline_21_10_0:
		// Clients without a deadline send the end of their calendar, which need
		// not be a valid timestamp.
		left = v.Deadline_21_10_0.AsTime().Sub(b.svc.cfg.Now())
	case *streams.BatchAppendReq_Options_Deadline:
		left = v.Deadline.AsDuration()
	}
	if left <= 0 {
		return context.DeadlineExceeded
	}
	if left < never {
		a.deadline = time.Now().Add(left)
	}
	return nil
}

// never is a time to wait that counts as no deadline.
const never = 365 * 24 * time.Hour

// wake has expire called at the first deadline of the unfinished appends, or before.
func (b *batch) wake() {
	var first time.Time
	for _, a := range b.open {
		if !a.deadline.IsZero() && (first.IsZero() || a.deadline.Before(first)) {
			first = a.deadline
		}
	}
	if !first.IsZero() {
		b.expiries.Reset(time.Until(first))
	}
}

// expire answers unfinished appends whose deadline has passed.
func (b *batch) expire() error {
	now := time.Now()
	for id, a := range b.open {
		if a.deadline.IsZero() || now.Before(a.deadline) {
			continue
		}
		delete(b.open, id)
		b.held -= a.cost
		a.refusal = context.DeadlineExceeded
		if err := b.refuse(id, a); err != nil {
			return err
		}
	}
	b.wake()
	return nil
}

// refuse answers an append of which more fragments will come: they are dropped.
func (b *batch) refuse(id [16]byte, a *batchAppend) error {
	if len(b.refused) >= BatchRefused {
		return status.Errorf(codes.ResourceExhausted, "%d refused appends of this call were never finished",
			BatchRefused)
	}
	b.refused[id] = struct{}{}
	return b.answer(a)
}

// add adds a fragment's events within the limits of Append and of this call.
func (b *batch) add(a *batchAppend, msgs []*streams.BatchAppendReq_ProposedMessage) error {
	for _, msg := range msgs {
		before := a.size
		if err := b.svc.propose(b.ctx, a.request, msg, &a.size); err != nil {
			return err
		}
		a.cost += a.size - before + eventCost
	}
	if b.held+a.cost > BatchBytes {
		return status.Errorf(codes.ResourceExhausted, "unfinished appends of this call hold more than %d bytes",
			BatchBytes)
	}
	return nil
}

// submit queues a whole append with the writer.
func (b *batch) submit(a *batchAppend) error {
	for b.flying.Load() > 0 && b.flying.Load()+int64(a.cost) > BatchBytes {
		select {
		case <-b.freed:
		case err := <-b.answered:
			b.answered <- err
			return err
		}
	}
	b.flying.Add(int64(a.cost))
	if err := b.svc.cfg.Log.Enqueue(b.ctx, a.request); err != nil {
		return FailStore(b.ctx, a.request.Stream, err) // the call or the store has ended
	}
	return b.answer(a)
}

// answer has an append answered. It blocks while too many wait for theirs.
func (b *batch) answer(a *batchAppend) error {
	if a.refusal != nil {
		a.request = nil // its events are of no more use
	}
	select {
	case b.flights <- a:
		return nil
	case err := <-b.answered:
		b.answered <- err
		return err
	}
}

// answerAll answers appends in the order of the writer's queue. An error ends
// the call: the client does not take answers, or the store has failed.
func (b *batch) answerAll() error {
	for a := range b.flights {
		resp := &streams.BatchAppendResp{CorrelationId: a.id}
		b.echo(resp, a.opts)
		var res eventlog.Result
		err := a.refusal
		if err == nil {
			if res, err = b.await(a); err == nil && res.Outcome == eventlog.OutcomeDeleted {
				err = failStreamDeleted(b.ctx, a.request.Stream)
			}
			b.flying.Add(-int64(a.cost))
			select {
			case b.freed <- struct{}{}:
			default:
			}
		}
		switch {
		case b.ctx.Err() != nil:
			return status.FromContextError(b.ctx.Err()).Err()
		case errors.Is(err, eventlog.ErrStopped):
			return FailStore(b.ctx, a.request.Stream, err)
		case err != nil:
			st, err := packError(err, resp.GetStreamIdentifier())
			if err != nil {
				return err
			}
			resp.Result = &streams.BatchAppendResp_Error{Error: st}
		case res.Outcome == eventlog.OutcomeWrongVersion:
			st, err := packWrongVersion(a.request.Expect, res.Last)
			if err != nil {
				return err
			}
			resp.Result = &streams.BatchAppendResp_Error{Error: st}
		default:
			resp.Result = batchSuccess(res)
		}
		if err := b.out.Send(resp); err != nil {
			return err
		}
	}
	return nil
}

// await waits for the writer as long as the client does. Afterwards the append
// may still be written, as with every server that answers Timeout.
func (b *batch) await(a *batchAppend) (eventlog.Result, error) {
	ctx := b.ctx
	if !a.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(b.ctx, a.deadline)
		defer cancel()
	}
	return b.svc.cfg.Log.Await(ctx, a.request)
}

// echo repeats what the client asked for. Clients of other languages read the
// stream's name without looking whether there is one.
func (b *batch) echo(resp *streams.BatchAppendResp, opts *streams.BatchAppendReq_Options) {
	resp.StreamIdentifier = &shared.StreamIdentifier{StreamName: opts.GetStreamIdentifier().GetStreamName()}
	switch v := opts.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_StreamPosition{StreamPosition: v.StreamPosition}
	case *streams.BatchAppendReq_Options_NoStream:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_NoStream{NoStream: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_Any:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_Any{Any: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_StreamExists:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_StreamExists{StreamExists: &emptypb.Empty{}}
	}
}

func batchSuccess(res eventlog.Result) *streams.BatchAppendResp_Success_ {
	empty := &emptypb.Empty{}
	ok := &streams.BatchAppendResp_Success{
		CurrentRevisionOption: &streams.BatchAppendResp_Success_NoStream{NoStream: empty},
		PositionOption:        &streams.BatchAppendResp_Success_NoPosition{NoPosition: empty},
	}
	if res.Last >= 0 {
		ok.CurrentRevisionOption = &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(res.Last)}
	}
	if res.HasPosition {
		ok.PositionOption = &streams.BatchAppendResp_Success_Position{Position: &shared.AllStreamPosition{
			CommitPosition: res.Position, PreparePosition: res.Position,
		}}
	}
	return &streams.BatchAppendResp_Success_{Success: ok}
}

// correlation is the key of an append within its call; zero is a key like any other.
func correlation(v *shared.UUID) (id [16]byte, err error) {
	if s, ok := v.GetValue().(*shared.UUID_String_); ok {
		if id, err = uuid.Parse(s.String_); err != nil {
			return id, status.Errorf(codes.InvalidArgument, "correlation id: %v", err)
		}
		return id, nil
	}
	if v.GetStructured() == nil {
		return id, status.Error(codes.InvalidArgument, "correlation id is missing")
	}
	return structuredID(v.GetStructured()), nil
}

// errPack says that a message of this protocol could not be packed.
func errPack(err error) error { return fmt.Errorf("pack an error: %w", err) }
