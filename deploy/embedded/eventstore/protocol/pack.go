package protocol

import (
	"context"
	"errors"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/genproto/googleapis/rpc/code"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// BatchAppend has no trailers to say which error it was: each answer carries a
// message for it. Clients look at the message's type; message and code are a real server's.

func pack(c code.Code, name string, details proto.Message) (*rpcstatus.Status, error) {
	packed, err := anypb.New(details)
	if err != nil {
		return nil, errPack(err)
	}
	return &rpcstatus.Status{Code: int32(c), Message: name, Details: []*anypb.Any{packed}}, nil
}

// packError packs what would be an Append's error.
func packError(err error, stream *shared.StreamIdentifier) (*rpcstatus.Status, error) {
	var r *refusal
	errors.As(err, &r)
	if r != nil {
		switch r.trailer("exception") {
		case "access-denied":
			return pack(code.Code_PERMISSION_DENIED, "AccessDenied", &shared.AccessDenied{})
		case "stream-deleted":
			return pack(code.Code_NOT_FOUND, "StreamDeleted", &shared.StreamDeleted{StreamIdentifier: stream})
		case "maximum-append-size-exceeded":
			limit, err := strconv.ParseUint(r.trailer("maximum-append-size"), 10, 32)
			if err != nil {
				return nil, errPack(err)
			}
			return pack(code.Code_INVALID_ARGUMENT, "MaximumAppendSizeExceeded",
				&shared.MaximumAppendSizeExceeded{MaxAppendSize: uint32(limit)})
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return pack(code.Code_DEADLINE_EXCEEDED, "Timeout", &shared.Timeout{})
	}
	switch st := status.Convert(err); st.Code() {
	case codes.InvalidArgument:
		return pack(code.Code_INVALID_ARGUMENT, "BadRequest", &shared.BadRequest{Message: st.Message()})
	case codes.PermissionDenied, codes.Unauthenticated:
		return pack(code.Code_PERMISSION_DENIED, "AccessDenied", &shared.AccessDenied{})
	case codes.DeadlineExceeded:
		return pack(code.Code_DEADLINE_EXCEEDED, "Timeout", &shared.Timeout{})
	case codes.Unknown:
		return pack(code.Code_UNKNOWN, "Unknown", &shared.Unknown{})
	default:
		return pack(code.Code(st.Code()), st.Message(), &shared.Unknown{})
	}
}

func packWrongVersion(expect eventlog.Expectation, last int64) (*rpcstatus.Status, error) {
	empty := &emptypb.Empty{}
	w := &shared.WrongExpectedVersion{CurrentStreamRevisionOption: &shared.WrongExpectedVersion_CurrentNoStream{
		CurrentNoStream: empty,
	}}
	if last >= 0 {
		w.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{
			CurrentStreamRevision: uint64(last),
		}
	}
	switch expect {
	case eventlog.ExpectAny:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: empty}
	case eventlog.ExpectExists:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: empty}
	case eventlog.ExpectNoStream:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: empty}
	default:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{
			ExpectedStreamPosition: uint64(expect),
		}
	}
	return pack(code.Code_ALREADY_EXISTS, "WrongExpectedVersion", w)
}
