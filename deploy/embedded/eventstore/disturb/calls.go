package disturb

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
)

// What a Disturbance does to calls, it does as interceptors: the handlers know nothing of it.

// Options returns the interceptors; none without a disturbance.
func (d *Disturber) Options(stopping <-chan struct{}) []grpc.ServerOption {
	if d == nil {
		return nil
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(d.unary),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo,
			handler grpc.StreamHandler) error {
			refusal := d.refusal(ss.Context(), info.FullMethod)
			if refusal != nil && info.FullMethod != streams.Streams_Append_FullMethodName {
				return refusal
			}
			if info.FullMethod == streams.Streams_BatchAppend_FullMethodName {
				return handler(srv, &disturbedBatch{ServerStream: ss, d: d, wrote: map[string]appended{}})
			}
			return handler(srv, &disturbedStream{ServerStream: ss, d: d, stopping: stopping,
				category: categoryOf(info.FullMethod), refusal: refusal})
		}),
	}
}

func (d *Disturber) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	handler grpc.UnaryHandler) (any, error) {
	if err := d.refusal(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

const streamsPrefix = "/event_store.client.streams.Streams/"

// refusal draws whether a call is answered without having been tried.
func (d *Disturber) refusal(ctx context.Context, method string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.calls <= d.cfg.NotReadyFirst {
		d.done.NotReady++
	} else if !d.notReady() {
		return d.notLeader(ctx, method)
	}
	return status.Error(codes.Unavailable, "Server Is Not Ready")
}

// notReady draws whether the node is not ready. d.mu is held.
func (d *Disturber) notReady() bool {
	_, now := d.due(&d.cfg.NotReadyEvery)
	if now {
		d.done.NotReady++
	}
	return now
}

// notLeader draws whether the node does not lead. d.mu is held.
func (d *Disturber) notLeader(ctx context.Context, method string) error {
	if !strings.HasPrefix(method, streamsPrefix) || !requiresLeader(ctx) {
		return nil
	}
	if _, now := d.due(&d.cfg.NotLeaderEvery); !now {
		return nil
	}
	d.done.NotLeader++
	return protocol.Fail(ctx, codes.NotFound, "Leader info available", "exception", "not-leader",
		"leader-endpoint-host", d.leader.Hostname(), "leader-endpoint-port", d.leader.Port())
}

func requiresLeader(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	return slices.ContainsFunc(md.Get("requires-leader"), func(v string) bool { return strings.EqualFold(v, "true") })
}

// disturbedStream is a call that can be ended at its messages. Appends are
// refused at the end of what the client sends: a real server, too, knows of
// its refusal only then.
type disturbedStream struct {
	grpc.ServerStream
	d        *Disturber
	stopping <-chan struct{}
	category category
	refusal  error // of an append

	wrote      appended
	subscribed bool
}

func (s *disturbedStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if s.category != appendCall {
		return err
	}
	if errors.Is(err, io.EOF) {
		return s.requestEnded()
	}
	if req, ok := m.(*streams.AppendReq); ok && err == nil {
		switch c := req.GetContent().(type) {
		case *streams.AppendReq_Options_:
			s.wrote.stream = string(c.Options.GetStreamIdentifier().GetStreamName())
		case *streams.AppendReq_ProposedMessage_:
			s.wrote.types = append(s.wrote.types, c.ProposedMessage.GetMetadata()[protocol.MetaKeyType])
		}
	}
	return err
}

// requestEnded returns io.EOF where the append may be tried.
func (s *disturbedStream) requestEnded() error {
	if s.refusal != nil {
		return s.refusal
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if turn, now := s.d.timesOut(0); now {
		return timeout(turn)
	}
	return io.EOF
}

// timesOut draws whether an append is answered with a timeout; the even turns are those before
// it was written (part 0), the odd ones after it (1). d.mu is held.
func (d *Disturber) timesOut(part int) (turn int, now bool) {
	if d.turns[&d.cfg.TimeoutsEvery]%2 != part {
		return 0, false
	}
	if turn, now = d.due(&d.cfg.TimeoutsEvery); now {
		d.done.Timeouts++
	}
	return turn, now
}

// timeout is a real server's answer where replication took too long, and a proxy's or deadline's.
func timeout(turn int) error {
	if turn%4 < 2 {
		return status.Error(codes.Aborted, "Operation timed out: commit phase timeout")
	}
	return status.Error(codes.DeadlineExceeded, "deadline exceeded")
}

func (s *disturbedStream) SendMsg(m any) error {
	var err error
	switch s.category {
	case appendCall:
		err = s.answer(m)
	case readCall:
		err = s.message(m)
	}
	if err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

// answer is called with an append's answer, before it is sent.
func (s *disturbedStream) answer(m any) error {
	resp, ok := m.(*streams.AppendResp)
	if !ok || resp.GetSuccess() == nil {
		return nil
	}
	s.wrote.last = resp.GetSuccess().GetCurrentRevision()
	d := s.d
	if err := d.wrote(s.Context(), s.wrote); err != nil {
		return protocol.FailStore(s.Context(), s.wrote.stream, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, now := d.due(&d.cfg.LostAnswersEvery); now {
		d.done.LostAnswers++
		return s.d.cut(s.Context())
	}
	if turn, now := d.timesOut(1); now {
		return timeout(turn)
	}
	return nil
}

// message is called with each message of a read or subscription, before it is sent.
func (s *disturbedStream) message(m any) error {
	if resp, ok := m.(*streams.ReadResp); ok {
		if resp.GetConfirmation() != nil {
			s.subscribed = true
			return nil
		}
		if resp.GetCaughtUp() != nil {
			if err := s.delay(); err != nil {
				return err
			}
		}
	}
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if !s.subscribed {
		turn, now := d.due(&d.cfg.CutsEvery)
		if !now {
			return nil
		}
		d.done.Cuts++
		if turn%2 == 0 {
			return s.d.cut(s.Context())
		}
		return status.Error(codes.Unavailable, "Server Is Too Busy")
	}
	turn, now := d.due(&d.cfg.DropsEvery)
	if !now {
		return nil
	}
	d.done.Drops++
	switch turn % 4 {
	case 0:
		return status.Error(codes.Unavailable, "Server Is Not Ready")
	case 1:
		return status.Error(codes.Aborted, "subscription dropped")
	case 2:
		return status.Error(codes.Canceled, "subscription dropped")
	}
	return s.d.cut(s.Context())
}

// cut ends a call's connection, and with it every call on it. d.mu is held.
func (d *Disturber) cut(ctx context.Context) error {
	if p, ok := peer.FromContext(ctx); ok {
		d.reset(p.Addr.String())
	}
	return status.Error(codes.Unavailable, "connection reset")
}

func (s *disturbedStream) delay() error {
	d := s.d
	if d.cfg.CaughtUpDelay == 0 {
		return nil
	}
	d.mu.Lock()
	wait := time.Duration(d.rnd.Int64N(int64(d.cfg.CaughtUpDelay)) + 1)
	d.done.LateCaughtUps++
	d.mu.Unlock()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.Context().Done():
		return status.FromContextError(s.Context().Err()).Err()
	case <-s.stopping:
		return protocol.ErrStopping
	}
}
