package semantics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What the tests say in the protocol's own messages.

const (
	contentTypeJSON   = "application/json"
	contentTypeBinary = "application/octet-stream"
)

func identifier(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func appendOptions(stream string, expect esdb.ExpectedRevision) *streams.AppendReq {
	o := &streams.AppendReq_Options{StreamIdentifier: identifier(stream)}
	switch v := expect.(type) {
	case esdb.NoStream:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	case esdb.StreamExists:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	case esdb.StreamRevision:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: v.Value}
	default:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: &shared.Empty{}}
	}
	return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: o}}
}

func deleteRequest(stream string, expect esdb.ExpectedRevision) *streams.DeleteReq {
	o := &streams.DeleteReq_Options{StreamIdentifier: identifier(stream)}
	switch v := expect.(type) {
	case esdb.NoStream:
		o.ExpectedStreamRevision = &streams.DeleteReq_Options_NoStream{NoStream: &shared.Empty{}}
	case esdb.StreamExists:
		o.ExpectedStreamRevision = &streams.DeleteReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	case esdb.StreamRevision:
		o.ExpectedStreamRevision = &streams.DeleteReq_Options_Revision{Revision: v.Value}
	default:
		o.ExpectedStreamRevision = &streams.DeleteReq_Options_Any{Any: &shared.Empty{}}
	}
	return &streams.DeleteReq{Options: o}
}

func tombstoneRequest(stream string, expect esdb.ExpectedRevision) *streams.TombstoneReq {
	o := &streams.TombstoneReq_Options{StreamIdentifier: identifier(stream)}
	switch v := expect.(type) {
	case esdb.NoStream:
		o.ExpectedStreamRevision = &streams.TombstoneReq_Options_NoStream{NoStream: &shared.Empty{}}
	case esdb.StreamExists:
		o.ExpectedStreamRevision = &streams.TombstoneReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	case esdb.StreamRevision:
		o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Revision{Revision: v.Value}
	default:
		o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}}
	}
	return &streams.TombstoneReq{Options: o}
}

func textID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
}

// proposal is an event of size zero bytes.
func proposal(id uuid.UUID, typ string, size int) *streams.AppendReq {
	return rawProposal(textID(id), map[string]string{"type": typ, "content-type": contentTypeBinary}, size)
}

func rawProposal(id *shared.UUID, meta map[string]string, size int) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{
		ProposedMessage: &streams.AppendReq_ProposedMessage{Id: id, Metadata: meta, Data: make([]byte, size)},
	}}
}

// rawAppend sends the messages and returns the answer, its trailers and its status.
func (w *world) rawAppend(msgs ...*streams.AppendReq) (resp *streams.AppendResp, trailers metadata.MD, err error) {
	w.t.Helper()
	trailers, err = w.raw(func(ctx context.Context, conn *grpc.ClientConn) (metadata.MD, error) {
		call, err := streams.NewStreamsClient(conn).Append(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			if err := call.Send(m); err != nil {
				break // the answer says why
			}
		}
		resp, err = call.CloseAndRecv()
		return call.Trailer(), err
	})
	return resp, trailers, err
}

// rawRead returns what a read answers, up to the first message that is last, or
// until the server ends the read; last may be nil. A read that is broken off is begun again.
func (w *world) rawRead(opts *streams.ReadReq_Options, last func(*streams.ReadResp) bool) (out []*streams.ReadResp,
	err error) {
	w.t.Helper()
	_, err = w.raw(func(ctx context.Context, conn *grpc.ClientConn) (metadata.MD, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		out = nil
		call, err := streams.NewStreamsClient(conn).Read(ctx, &streams.ReadReq{Options: opts})
		if err != nil {
			return nil, err
		}
		for {
			resp, err := call.Recv()
			if errors.Is(err, io.EOF) {
				return nil, nil
			}
			if err != nil {
				return call.Trailer(), err
			}
			if out = append(out, resp); last != nil && last(resp) {
				return nil, nil
			}
		}
	})
	return out, err
}

func isCaughtUp(resp *streams.ReadResp) bool { return resp.GetCaughtUp() != nil }

// readOptions are what every client sends with a read; the caller adds what and how much.
func readOptions() *streams.ReadReq_Options {
	return &streams.ReadReq_Options{
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{
			String_: &shared.Empty{},
		}},
	}
}

func fromAll(p esdb.AllPosition) *streams.ReadReq_Options_All {
	o := &streams.ReadReq_Options_AllOptions{}
	switch v := p.(type) {
	case esdb.Position:
		o.AllOption = &streams.ReadReq_Options_AllOptions_Position{
			Position: &streams.ReadReq_Options_Position{CommitPosition: v.Commit, PreparePosition: v.Prepare},
		}
	case esdb.End:
		o.AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
	default:
		o.AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
	}
	return &streams.ReadReq_Options_All{All: o}
}

func fromStart(stream string) *streams.ReadReq_Options_Stream {
	return &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
		StreamIdentifier: identifier(stream),
		RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
	}}
}

// fields are a message's fields by name, one on a line.
func fields(m proto.Message) string {
	var lines []string
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		text := v.String()
		if f.Message() != nil {
			text = "{" + fields(v.Message().Interface()) + "}"
		}
		lines = append(lines, fmt.Sprintf("%s: %s", f.Name(), text))
		return true
	})
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func statusName(err error) string { return status.Code(err).String() }
