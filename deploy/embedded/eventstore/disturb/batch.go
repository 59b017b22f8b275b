package disturb

import (
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/genproto/googleapis/rpc/code"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
)

// disturbedBatch is a BatchAppend call. What befalls one append of it is said in its answer, as by
// a real server. A node that does not lead ends the call, and so does a lost answer, with all that
// is on its way: of these, an occasion is as many appends as are on their way together. Appends of
// several fragments are left alone.
type disturbedBatch struct {
	grpc.ServerStream
	d *Disturber

	sending sync.Mutex // answers of the handler and of this

	mu    sync.Mutex          // guards what follows
	wrote map[string]appended // what is being written, by correlation id
	since int                 // answers since the last occasion of what ends the call
	turn  bool                // the next append is an occasion to end it
}

func (s *disturbedBatch) RecvMsg(m any) error {
	for {
		if err := s.ServerStream.RecvMsg(m); err != nil {
			return err
		}
		req, ok := m.(*streams.BatchAppendReq)
		if !ok || req.GetOptions() == nil || !req.GetIsFinal() {
			return nil
		}
		a := appended{stream: string(req.GetOptions().GetStreamIdentifier().GetStreamName())}
		for _, e := range req.GetProposedMessages() {
			a.types = append(a.types, e.GetMetadata()[protocol.MetaKeyType])
		}
		refusal, err := s.refusal()
		if err != nil {
			return err
		}
		if refusal == nil {
			s.mu.Lock()
			s.wrote[req.GetCorrelationId().String()] = a
			s.mu.Unlock()
			return nil
		}
		if err := s.send(&streams.BatchAppendResp{CorrelationId: req.GetCorrelationId(),
			StreamIdentifier: req.GetOptions().GetStreamIdentifier(),
			Result:           &streams.BatchAppendResp_Error{Error: refusal}}); err != nil {
			return err
		}
	}
}

// refusal draws whether an append is answered without having been tried, or, as an error, the call
// ended.
func (s *disturbedBatch) refusal() (*rpcstatus.Status, error) {
	s.mu.Lock()
	ends := s.turn
	s.turn = false
	s.mu.Unlock()
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.notReady() {
		return packed(code.Code_OK, "Server Is Not Ready", &emptypb.Empty{}), nil // real ones give no code
	}
	if ends {
		if err := d.notLeader(s.Context(), streams.Streams_BatchAppend_FullMethodName); err != nil {
			return nil, err
		}
	}
	if _, now := d.timesOut(0); now {
		return packed(code.Code_DEADLINE_EXCEEDED, "Timeout", &shared.Timeout{}), nil
	}
	return nil, nil
}

func (s *disturbedBatch) SendMsg(m any) error {
	resp, ok := m.(*streams.BatchAppendResp)
	if !ok {
		return s.send(m)
	}
	id := resp.GetCorrelationId().String()
	s.mu.Lock()
	a, known := s.wrote[id]
	delete(s.wrote, id)
	s.since++
	ends := s.since >= len(s.wrote)
	if ends {
		s.since, s.turn = 0, true
	}
	s.mu.Unlock()
	if !known || resp.GetSuccess() == nil {
		return s.send(m)
	}
	a.last = resp.GetSuccess().GetCurrentRevision()
	d := s.d
	if err := d.wrote(s.Context(), a); err != nil {
		return protocol.FailStore(s.Context(), a.stream, err)
	}
	d.mu.Lock()
	lost := false
	if ends {
		_, lost = d.due(&d.cfg.LostAnswersEvery)
	}
	if lost {
		d.done.LostAnswers++
		err := d.cut(s.Context())
		d.mu.Unlock()
		return err
	}
	_, late := d.timesOut(1)
	d.mu.Unlock()
	if late {
		resp.Result = &streams.BatchAppendResp_Error{
			Error: packed(code.Code_DEADLINE_EXCEEDED, "Timeout", &shared.Timeout{})}
	}
	return s.send(resp)
}

func (s *disturbedBatch) send(m any) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	return s.ServerStream.SendMsg(m)
}

func packed(c code.Code, message string, details proto.Message) *rpcstatus.Status {
	d, err := anypb.New(details)
	if err != nil {
		panic(err) // a message without fields
	}
	return &rpcstatus.Status{Code: int32(c), Message: message, Details: []*anypb.Any{d}}
}
