package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"
)

// What all appends under way hold together is bounded: their events, and so much for each beside.
const (
	flyingBytes = 16 << 20
	flightCost  = 1 << 10
)

// Append implements ledger.Store. All appends of a store share one BatchAppend call: who appends
// to many streams calls it from as many goroutines.
func (s *Store) Append(ctx context.Context, stream schemas.Stream, expect ledger.Expect,
	events []schemas.Event) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	f := &flight{req: s.request(stream, expect, events), answer: make(chan answer, 1)}
	weight := int64(flightCost)
	for _, e := range events {
		weight += int64(e.Size())
	}
	weight = min(weight, flyingBytes)
	if err := s.flying.Acquire(ctx, weight); err != nil {
		return 0, fmt.Errorf("append to %s: %w", stream, errors.Join(ledger.ErrUnknownOutcome, err))
	}
	defer s.flying.Release(weight)
	last, err := s.fly(ctx, f)
	switch {
	case errors.Is(err, ledger.ErrConflict):
		return 0, fmt.Errorf("append to %s, expecting %s: %w", stream, expect, err)
	case err != nil:
		return 0, fmt.Errorf("append to %s: %w", stream, err)
	}
	return last, nil
}

func (s *Store) request(name schemas.Stream, expect ledger.Expect, events []schemas.Event) *streams.BatchAppendReq {
	opts := &streams.BatchAppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(name)},
		ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
		DeadlineOption:         &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(s.cfg.CallTimeout)},
	}
	if r, ok := expect.Revision(); ok {
		opts.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: r}
	}
	// An append is smaller than what a server takes in one message: it travels whole.
	req := &streams.BatchAppendReq{Options: opts, IsFinal: true}
	for _, e := range events {
		req.ProposedMessages = append(req.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
			Id:             wireID(e.ID),
			Metadata:       map[string]string{"type": e.Type, "content-type": "application/json"},
			CustomMetadata: e.Metadata, Data: e.Data,
		})
	}
	return req
}

func wireID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

// correlation is the number of the flight that an answer is for, in either form of an id.
func correlation(id *shared.UUID) uint64 {
	if text, ok := id.GetValue().(*shared.UUID_String_); ok {
		parsed, err := uuid.Parse(text.String_)
		if err != nil {
			return 0 // nobody's
		}
		return binary.BigEndian.Uint64(parsed[8:])
	}
	return uint64(id.GetStructured().GetLeastSignificantBits())
}

// flight is one append of a call.
type flight struct {
	req    *streams.BatchAppendReq
	answer chan answer // takes one without waiting
}

type answer struct {
	last uint64
	err  error
}

// fly has the present call carry the flight, and waits for its answer, the call's end or ctx's.
func (s *Store) fly(ctx context.Context, f *flight) (uint64, error) {
	call, id, err := s.board(f)
	if err != nil {
		return 0, err
	}
	select {
	case a := <-f.answer:
		return a.last, a.err
	case <-ctx.Done():
	}
	if !call.leave(id) { // it has been answered
		a := <-f.answer
		return a.last, a.err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) { // a caller that merely left says nothing of the call
		s.replace(call)
	}
	return 0, errors.Join(ledger.ErrUnknownOutcome, ctx.Err())
}

// board hands the flight to the present call, or to a new one.
func (s *Store) board(f *flight) (*appending, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, errClosed
	}
	if s.appending != nil {
		if id, ok := s.appending.take(f); ok {
			return s.appending, id, nil
		}
	}
	ctx, cancel := context.WithCancel(s.living)
	call := &appending{store: s, cancel: cancel, flights: map[uint64]*flight{}, wake: make(chan struct{}, 1)}
	id, _ := call.take(f)
	s.appending = call
	leader := s.leader
	s.calls.Go(func() {
		defer cancel()
		call.finish(call.run(ctx, leader))
	})
	return call, id, nil
}

// replace has later appends go to another call. This one ends when nobody waits for it any more.
func (s *Store) replace(call *appending) {
	s.mu.Lock()
	if s.appending == call {
		s.appending = nil
	}
	s.mu.Unlock()
	call.retire()
}

// appending is one BatchAppend call: one goroutine sends, one receives. A server answers in any
// order, by correlation id: here a number.
type appending struct {
	store    *Store
	cancel   context.CancelFunc
	answered bool          // of the goroutine that receives: the server has taken the call
	wake     chan struct{} // something is to be sent

	mu      sync.Mutex         // guards what follows
	flights map[uint64]*flight // those without an answer; nil when the call has ended
	unsent  []uint64           // in their order; who left is in it still
	next    uint64             // id of the next flight
	retired bool               // takes no more, and ends with its last flight
}

// take has the flight sent, and returns its id, and false where the call takes none any more.
func (c *appending) take(f *flight) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights == nil || c.retired {
		return 0, false
	}
	c.next++
	id := c.next
	f.req.CorrelationId = &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits: 1, LeastSignificantBits: int64(id)}}}
	c.flights[id] = f
	c.unsent = append(c.unsent, id)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return id, true
}

// leave lets a flight's answer go unheard, and returns false where it is on its way already.
func (c *appending) leave(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, waits := c.flights[id]
	delete(c.flights, id)
	c.endUnused()
	return waits
}

func (c *appending) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	c.endUnused()
}

// endUnused ends a retired call that nobody waits for; c.mu is held.
func (c *appending) endUnused() {
	if c.retired && len(c.flights) == 0 {
		c.cancel()
	}
}

// land gives a flight its answer. What nobody waits for any more is dropped.
func (c *appending) land(id uint64, a answer) {
	c.mu.Lock()
	f := c.flights[id]
	delete(c.flights, id)
	c.endUnused()
	c.mu.Unlock()
	if f != nil {
		f.answer <- a
	}
}

// finish answers who still waits when the call has ended: their outcomes are unknown, but where
// the server refused the call itself.
func (c *appending) finish(err error) {
	c.store.mu.Lock()
	if c.store.appending == c {
		c.store.appending = nil
	}
	c.store.mu.Unlock()
	if c.answered || !answered(err) {
		err = errors.Join(ledger.ErrUnknownOutcome, err)
	}
	c.mu.Lock()
	flights := c.flights
	c.flights = nil
	c.mu.Unlock()
	for _, f := range flights {
		f.answer <- answer{err: err}
	}
}

// run makes the call, and returns why it ended.
func (c *appending) run(ctx context.Context, leader string) (err error) {
	conn, err := c.store.dial(ctx, leader)
	if err != nil {
		return err
	}
	var sending sync.WaitGroup
	defer func() {
		c.cancel()
		sending.Wait()
		err = errors.Join(err, conn.Close())
	}()
	stream, err := streams.NewStreamsClient(conn).BatchAppend(toLeader(ctx))
	if err != nil {
		c.store.follow("") // where the leader was there is nobody, or it was never there
		return err
	}
	sending.Go(func() { c.send(ctx, stream) })
	for {
		resp, err := stream.Recv()
		if err != nil {
			c.store.follow(elsewhere(stream.Trailer()))
			return err
		}
		c.answered = true
		c.land(correlation(resp.GetCorrelationId()), meaning(resp))
	}
}

// follow has the next call go to that leader; "" to ask for it anew.
func (s *Store) follow(leader string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader = leader
}

// send sends what was taken until the call ends; why it did, receiving tells.
func (c *appending) send(ctx context.Context, stream grpc.ClientStream) {
	var ids []uint64
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		ids, c.unsent = c.unsent, ids[:0]
		c.mu.Unlock()
		for _, id := range ids {
			c.mu.Lock()
			f := c.flights[id]
			c.mu.Unlock()
			if f == nil {
				continue // who sent it has left
			}
			if stream.SendMsg(f.req) != nil {
				return
			}
		}
	}
}

// errRefused: the server would answer the same again.
var errRefused = errors.New("the event store refuses the append")

// meaning is what an answer says. What is not known to be a refusal may have been written.
func meaning(resp *streams.BatchAppendResp) answer {
	if ok := resp.GetSuccess(); ok != nil {
		return answer{last: ok.GetCurrentRevision()}
	}
	st := resp.GetError()
	switch name := detail(st); name {
	case "WrongExpectedVersion":
		return answer{err: ledger.ErrConflict}
	case "AccessDenied", "StreamDeleted", "MaximumAppendSizeExceeded", "BadRequest", "InvalidTransaction":
		return answer{err: fmt.Errorf("%w: %s: %s", errRefused, name, st.GetMessage())}
	}
	return answer{err: fmt.Errorf("%w: %s: %s", ledger.ErrUnknownOutcome, codes.Code(st.GetCode()), st.GetMessage())}
}

// detail names the message that says which error an answer packs.
func detail(st *rpcstatus.Status) string {
	for _, d := range st.GetDetails() {
		return string(d.MessageName().Name())
	}
	return ""
}
