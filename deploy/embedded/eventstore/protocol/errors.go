// Package protocol answers EventStoreDB's gRPC calls from one log: appends, reads, subscriptions,
// discovery.
//
// It owns what the calls under way need, and may lose it: what was not answered was not promised.
// It trusts the log for what is durable and package guard for who may do what, and nothing that a
// client sends: each message, list and wait is bounded. See ../DESIGN.md.
package protocol

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// refusal is a status error with what the official clients tell errors apart
// by: the trailers of the call, or in BatchAppend a message packed into the answer.
type refusal struct {
	status   *status.Status
	trailers []string // keys and values
}

func (r *refusal) Error() string              { return r.status.Err().Error() }
func (r *refusal) GRPCStatus() *status.Status { return r.status }

// trailer is the value of one trailer, empty where it is not set.
func (r *refusal) trailer(key string) string {
	for i := 0; i+1 < len(r.trailers); i += 2 {
		if r.trailers[i] == key {
			return r.trailers[i+1]
		}
	}
	return ""
}

type packsErrors struct{}

// packing marks a call whose errors are packed into its answers: they set no trailers.
func packing(ctx context.Context) context.Context {
	return context.WithValue(ctx, packsErrors{}, true)
}

// Fail returns a status error and sets the trailers by which the official
// clients tell errors apart.
func Fail(ctx context.Context, code codes.Code, message string, trailers ...string) error {
	if len(trailers) > 0 && ctx.Value(packsErrors{}) == nil {
		md := metadata.MD{}
		for i := 0; i < len(trailers); i += 2 {
			md.Set(trailers[i], trailerValue(trailers[i+1]))
		}
		if err := grpc.SetTrailer(ctx, md); err != nil {
			return status.Errorf(codes.Internal, "set trailers: %v", err)
		}
	}
	return &refusal{status: status.New(code, message), trailers: trailers}
}

// trailerValue percent-encodes what HTTP/2 does not carry in a header.
func trailerValue(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c > 0x7E || c == '%' {
			out = fmt.Appendf(out, "%%%02X", c)
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

func failStreamDeleted(ctx context.Context, stream string) error {
	return Fail(ctx, codes.FailedPrecondition, fmt.Sprintf("Event stream '%s' is deleted.", trailerValue(stream)),
		"exception", "stream-deleted", "stream-name", stream)
}

func failWrongVersion(ctx context.Context, operation, stream string, expect eventlog.Expectation, actual int64) error {
	return Fail(ctx, codes.FailedPrecondition,
		fmt.Sprintf("%s failed due to WrongExpectedVersion. Stream: %s, Expected version: %d, Actual version: %d",
			operation, trailerValue(stream), expect, actual),
		"exception", "wrong-expected-version", "stream-name", stream,
		"expected-version", strconv.FormatInt(int64(expect), 10), "actual-version", strconv.FormatInt(actual, 10))
}

func failAccessDenied(ctx context.Context, why string) error {
	return Fail(ctx, codes.PermissionDenied, "Access Denied: "+why, "exception", "access-denied")
}

func failMaxAppend(ctx context.Context, limit int) error {
	return Fail(ctx, codes.InvalidArgument, fmt.Sprintf("Maximum Append Size of %d Exceeded.", limit),
		"exception", "maximum-append-size-exceeded", "maximum-append-size", strconv.Itoa(limit))
}

func failMissingProperty(ctx context.Context, name string) error {
	return Fail(ctx, codes.InvalidArgument, fmt.Sprintf("Required Metadata Property '%s' is missing", name),
		"exception", "missing-required-metadata-property", "required-metadata-properties", "type,content-type")
}

// FailStore translates what the store returned.
func FailStore(ctx context.Context, stream string, err error) error {
	var gaveUp *filterError
	switch {
	case errors.As(err, &gaveUp):
		return status.Error(codes.ResourceExhausted, gaveUp.Error())
	case errors.Is(err, eventlog.ErrStreamDeleted):
		return failStreamDeleted(ctx, stream)
	case errors.Is(err, errInvalidPosition):
		return status.Error(codes.InvalidArgument, "Trying to read from an invalid position.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	case errors.Is(err, eventlog.ErrStopped):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, eventlog.ErrCorrupt):
		return status.Error(codes.DataLoss, err.Error())
	}
	// not status.FromError: it repeats the error in the message where it is joined
	var decided interface{ GRPCStatus() *status.Status }
	if errors.As(err, &decided) {
		return decided.GRPCStatus().Err()
	}
	return status.Error(codes.Internal, err.Error())
}

// ErrStopping ends calls of a server that stops.
var ErrStopping = status.Error(codes.Unavailable, "server is shutting down")

// UnknownService answers calls of services that this node does not have.
func UnknownService(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "this single node has no %s: it serves streams only; no persistent "+
		"subscriptions, projections, users or operations", method)
}
