package protocol

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/watch"
)

// Config is what the service of streams stands on.
type Config struct {
	Log       *eventlog.Log
	Rights    *guard.Rights
	Metrics   *watch.Metrics
	MaxAppend int // bytes of one append's events together
	Now       func() time.Time
	Stopping  <-chan struct{} // closed when the server begins to stop: readers and subscriptions end

	// Paged is called with each page that a subscription has read: who read it, its
	// events and bytes. Tests count them; nil does nothing.
	Paged func(reader any, events, bytes int)
}

// Streams is the service of streams.
type Streams struct {
	streams.UnimplementedStreamsServer
	cfg       Config
	receivers sync.WaitGroup // of calls that receive while they answer; they end with their call
}

// NewStreams returns the service; the caller registers it.
func NewStreams(cfg Config) *Streams { return &Streams{cfg: cfg} }

// Wait waits for what outlives its call's handler by a moment, once all calls have ended.
func (svc *Streams) Wait() { svc.receivers.Wait() }

// authorize returns nil where p may do a with the stream, and the error that a
// client is to get otherwise.
func (svc *Streams) authorize(ctx context.Context, p guard.Principal, a guard.Action, stream string) error {
	ok, err := svc.cfg.Rights.May(p, a, stream)
	if err != nil {
		return FailStore(ctx, stream, err)
	}
	if !ok {
		return failAccessDenied(ctx, "this stream cannot be "+a.String()+" by this user")
	}
	return nil
}

// drainBytes is how much of a refused append is still read, so that the client
// sees the refusal and not only a broken call.
const drainBytes = 64 << 20

// Append writes one client's events to one stream, all or none.
func (svc *Streams) Append(stream streams.Streams_AppendServer) error {
	ctx := stream.Context()
	req, err := stream.Recv()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return status.Error(codes.InvalidArgument, "append without options")
		}
		return err
	}
	opts := req.GetOptions()
	if opts == nil {
		return status.Error(codes.InvalidArgument, "the first message of an append must be its options")
	}
	r := &eventlog.Request{Kind: eventlog.KindAppend, Stream: string(opts.GetStreamIdentifier().GetStreamName())}
	refusal := svc.appendOptions(ctx, r, opts)
	size, drained := 0, 0
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		msg := req.GetProposedMessage()
		if refusal == nil {
			if msg == nil {
				refusal = status.Error(codes.InvalidArgument, "an append has one options message, then events")
			} else {
				refusal = svc.propose(ctx, r, msg, &size)
			}
		}
		if refusal != nil {
			r.Events = nil
			if drained += len(msg.GetData()) + len(msg.GetCustomMetadata()); drained > drainBytes {
				return refusal
			}
		}
	}
	if refusal != nil {
		return refusal
	}
	res, err := svc.cfg.Log.Submit(ctx, r)
	if err != nil {
		return FailStore(ctx, r.Stream, err)
	}
	if res.Outcome == eventlog.OutcomeDeleted {
		return failStreamDeleted(ctx, r.Stream)
	}
	return stream.SendAndClose(appendResponse(r.Expect, res))
}

// appendTarget refuses streams that this client cannot append to.
func (svc *Streams) appendTarget(ctx context.Context, stream string) error {
	if err := checkStreamName(ctx, stream); err != nil {
		return err
	}
	if layout.IsMetastream(stream) && svc.cfg.Rights.Protected(layout.OriginalOf(stream)) {
		return failAccessDenied(ctx, "this stream's metadata cannot be written")
	}
	return svc.authorize(ctx, guard.PrincipalOf(ctx), guard.ActionWrite, stream)
}

func (svc *Streams) appendOptions(ctx context.Context, r *eventlog.Request, opts *streams.AppendReq_Options) error {
	err := svc.appendTarget(ctx, r.Stream)
	if err != nil {
		return err
	}
	switch v := opts.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Revision:
		r.Expect, err = exactRevision(v.Revision)
	case *streams.AppendReq_Options_NoStream:
		r.Expect = eventlog.ExpectNoStream
	case *streams.AppendReq_Options_Any:
		r.Expect = eventlog.ExpectAny
	case *streams.AppendReq_Options_StreamExists:
		r.Expect = eventlog.ExpectExists
	default:
		err = status.Error(codes.InvalidArgument, "append without an expected revision")
	}
	return err
}

// exactRevision is an expected revision as clients write it; .NET's write that
// there is no stream as the revision with all bits set.
func exactRevision(v uint64) (eventlog.Expectation, error) {
	if v == math.MaxUint64 {
		return eventlog.ExpectNoStream, nil
	}
	if v > math.MaxInt64 {
		return 0, status.Errorf(codes.InvalidArgument, "expected revision %d is out of range", v)
	}
	return eventlog.Expectation(v), nil
}

// wireEvent is an event as Append and BatchAppend carry it.
type wireEvent interface {
	GetId() *shared.UUID
	GetMetadata() map[string]string
	GetCustomMetadata() []byte
	GetData() []byte
}

// propose adds one event to the request. The size is counted as a real server
// counts it: two bytes for each character of the type.
func (svc *Streams) propose(ctx context.Context, r *eventlog.Request, msg wireEvent, size *int) error {
	typ, ok := msg.GetMetadata()[MetaKeyType]
	if !ok {
		return failMissingProperty(ctx, MetaKeyType)
	}
	if typ == "" {
		return status.Error(codes.InvalidArgument, "event type is empty")
	}
	contentType, ok := msg.GetMetadata()[metaKeyContentType]
	if !ok {
		return failMissingProperty(ctx, metaKeyContentType)
	}
	id, err := parseUUID(msg.GetId())
	if err != nil {
		return err
	}
	*size += len(msg.GetData()) + len(msg.GetCustomMetadata()) + 2*len(typ)
	if limit := svc.cfg.MaxAppend; *size > limit {
		return failMaxAppend(ctx, limit)
	}
	r.Events = append(r.Events, eventlog.Proposal{
		ID: id, JSON: contentType == contentTypeJSON, Type: typ,
		Meta: msg.GetCustomMetadata(), Data: msg.GetData(),
	})
	return nil
}

func parseUUID(v *shared.UUID) (id [16]byte, err error) {
	switch u := v.GetValue().(type) {
	case *shared.UUID_Structured_:
		id = structuredID(u.Structured)
	case *shared.UUID_String_:
		parsed, err := uuid.Parse(u.String_)
		if err != nil {
			return id, status.Errorf(codes.InvalidArgument, "event id: %v", err)
		}
		id = parsed
	}
	if id == [16]byte{} {
		return id, status.Error(codes.InvalidArgument, "event id is missing or empty")
	}
	return id, nil
}

func structuredID(v *shared.UUID_Structured) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], uint64(v.GetMostSignificantBits()))
	binary.BigEndian.PutUint64(id[8:], uint64(v.GetLeastSignificantBits()))
	return id
}

func checkStreamName(ctx context.Context, stream string) error {
	switch {
	case stream == "" || stream == layout.MetaPrefix:
		return status.Error(codes.InvalidArgument, "stream name is empty")
	case stream == guard.AllStream:
		return failAccessDenied(ctx, "$all is not written to")
	case layout.IsMetastream(stream) && layout.IsMetastream(layout.OriginalOf(stream)):
		return status.Error(codes.InvalidArgument, "a metadata stream has no metadata")
	case bytes.ContainsRune([]byte(stream), 0):
		return status.Error(codes.InvalidArgument, "stream name contains a zero byte")
	}
	return nil
}

func appendResponse(expect eventlog.Expectation, res eventlog.Result) *streams.AppendResp {
	empty := &shared.Empty{}
	if res.Outcome == eventlog.OutcomeWritten {
		ok := &streams.AppendResp_Success{PositionOption: &streams.AppendResp_Success_NoPosition{NoPosition: empty}}
		if res.HasPosition {
			ok.PositionOption = &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
				CommitPosition: res.Position, PreparePosition: res.Position,
			}}
		}
		ok.CurrentRevisionOption = &streams.AppendResp_Success_NoStream{NoStream: empty}
		if res.Last >= 0 {
			ok.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(res.Last)}
		}
		return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: ok}}
	}
	type wrong = streams.AppendResp_WrongExpectedVersion
	w := &wrong{}
	switch expect {
	case eventlog.ExpectAny:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: empty}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: empty}
	case eventlog.ExpectExists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{
			ExpectedStreamExists: empty,
		}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{
			StreamExists_20_6_0: empty,
		}
	case eventlog.ExpectNoStream:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: empty}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{
			ExpectedRevision_20_6_0: math.MaxUint64,
		}
	default:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{
			ExpectedRevision: uint64(expect),
		}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{
			ExpectedRevision_20_6_0: uint64(expect),
		}
	}
	if res.Last < 0 {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: empty}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{
			NoStream_20_6_0: empty,
		}
	} else {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{
			CurrentRevision: uint64(res.Last),
		}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{
			CurrentRevision_20_6_0: uint64(res.Last),
		}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}}
}

// Delete hides a stream's events; a later append goes on numbering.
func (svc *Streams) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	opts := req.GetOptions()
	r := &eventlog.Request{Kind: eventlog.KindDelete, Stream: string(opts.GetStreamIdentifier().GetStreamName())}
	var err error
	switch v := opts.GetExpectedStreamRevision().(type) {
	case *streams.DeleteReq_Options_Revision:
		r.Expect, err = exactRevision(v.Revision)
	case *streams.DeleteReq_Options_NoStream:
		r.Expect = eventlog.ExpectNoStream
	case *streams.DeleteReq_Options_Any:
		r.Expect = eventlog.ExpectAny
	case *streams.DeleteReq_Options_StreamExists:
		r.Expect = eventlog.ExpectExists
	default:
		err = status.Error(codes.InvalidArgument, "delete without an expected revision")
	}
	if err != nil {
		return nil, err
	}
	position, err := svc.remove(ctx, r, "Delete")
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{Position: &streams.DeleteResp_Position{
		CommitPosition: position, PreparePosition: position,
	}}}, nil
}

// Tombstone ends a stream for good.
func (svc *Streams) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	opts := req.GetOptions()
	r := &eventlog.Request{Kind: eventlog.KindTombstone, Stream: string(opts.GetStreamIdentifier().GetStreamName())}
	var err error
	switch v := opts.GetExpectedStreamRevision().(type) {
	case *streams.TombstoneReq_Options_Revision:
		r.Expect, err = exactRevision(v.Revision)
	case *streams.TombstoneReq_Options_NoStream:
		r.Expect = eventlog.ExpectNoStream
	case *streams.TombstoneReq_Options_Any:
		r.Expect = eventlog.ExpectAny
	case *streams.TombstoneReq_Options_StreamExists:
		r.Expect = eventlog.ExpectExists
	default:
		err = status.Error(codes.InvalidArgument, "tombstone without an expected revision")
	}
	if err != nil {
		return nil, err
	}
	position, err := svc.remove(ctx, r, "Tombstone")
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
		Position: &streams.TombstoneResp_Position{CommitPosition: position, PreparePosition: position},
	}}, nil
}

func (svc *Streams) remove(ctx context.Context, r *eventlog.Request, operation string) (position uint64, err error) {
	if err := checkStreamName(ctx, r.Stream); err != nil {
		return 0, err
	}
	if layout.IsMetastream(r.Stream) {
		return 0, status.Error(codes.InvalidArgument, "a metadata stream goes with its stream")
	}
	if svc.cfg.Rights.Protected(r.Stream) {
		return 0, failAccessDenied(ctx, "this stream cannot be deleted")
	}
	if err := svc.authorize(ctx, guard.PrincipalOf(ctx), guard.ActionDelete, r.Stream); err != nil {
		return 0, err
	}
	res, err := svc.cfg.Log.Submit(ctx, r)
	if err != nil {
		return 0, FailStore(ctx, r.Stream, err)
	}
	switch res.Outcome {
	case eventlog.OutcomeDeleted:
		return 0, failStreamDeleted(ctx, r.Stream)
	case eventlog.OutcomeWrongVersion:
		return 0, failWrongVersion(ctx, operation, r.Stream, r.Expect, res.Last)
	}
	return res.Position, nil
}
