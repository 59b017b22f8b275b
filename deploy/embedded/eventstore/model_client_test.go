package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
)

// rawClient speaks the protocol without the official client: that one hides
// the current revision of some refusals, and its calls may never return once
// its server is gone.
type rawClient struct{ streams.StreamsClient }

// dialRaw connects to the server at addr. The caller closes the connection.
func dialRaw(t testing.TB, addr string) (rawClient, *grpc.ClientConn) {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return rawClient{streams.NewStreamsClient(conn)}, conn
}

// rawAnswer is the answer to a write. last is the revision of the written
// event, or the stream's where the version was wrong; -1 for none.
type rawAnswer struct {
	outcome  string // wantWritten also where it was a repetition
	last     int64
	position uint64 // 0 for none
	err      error  // what stands behind wantUnknown
}

func (a rawAnswer) String() string {
	if a.err != nil {
		return fmt.Sprintf("%s (%v)", a.outcome, a.err)
	}
	return fmt.Sprintf("%s, revision %d, position %d", a.outcome, a.last, a.position)
}

// storedEvent is an event as a server shows it.
type storedEvent struct {
	stream   string
	revision uint64
	position uint64
	id       uuid.UUID
	typ      string
	data     string
	meta     string
	json     bool
	created  int64 // 100 ns ticks
}

func (e storedEvent) String() string {
	return fmt.Sprintf("%s/%d %s %.8s at %d", e.stream, e.revision, e.typ, e.id, e.position)
}

func (c rawClient) write(ctx context.Context, w modelWrite) rawAnswer {
	none := &shared.Empty{}
	name := &shared.StreamIdentifier{StreamName: []byte(w.stream)}
	var trailer metadata.MD
	switch w.kind {
	case eventlog.KindDelete:
		o := &streams.DeleteReq_Options{StreamIdentifier: name}
		switch w.expect {
		case eventlog.ExpectAny:
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_Any{Any: none}
		case eventlog.ExpectExists:
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_StreamExists{StreamExists: none}
		case eventlog.ExpectNoStream:
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_NoStream{NoStream: none}
		default:
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_Revision{Revision: uint64(w.expect)}
		}
		resp, err := c.Delete(ctx, &streams.DeleteReq{Options: o}, grpc.Trailer(&trailer))
		if err != nil {
			return refusedCall(err, trailer)
		}
		return rawAnswer{outcome: wantWritten, last: -1, position: resp.GetPosition().GetCommitPosition()}
	case eventlog.KindTombstone:
		o := &streams.TombstoneReq_Options{StreamIdentifier: name}
		switch w.expect {
		case eventlog.ExpectAny:
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Any{Any: none}
		case eventlog.ExpectExists:
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_StreamExists{StreamExists: none}
		case eventlog.ExpectNoStream:
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_NoStream{NoStream: none}
		default:
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Revision{Revision: uint64(w.expect)}
		}
		resp, err := c.Tombstone(ctx, &streams.TombstoneReq{Options: o}, grpc.Trailer(&trailer))
		if err != nil {
			return refusedCall(err, trailer)
		}
		return rawAnswer{outcome: wantWritten, last: -1, position: resp.GetPosition().GetCommitPosition()}
	}
	// About half go by each way; a repetition with another expectation goes by the other.
	if n := len(w.events); n > 0 && (w.events[n-1].id[0]^byte(w.expect))&1 == 0 {
		return c.batchAppend(ctx, w)
	}
	return c.append(ctx, w)
}

// batchAppend writes with BatchAppend, a fragment for each event.
func (c rawClient) batchAppend(ctx context.Context, w modelWrite) rawAnswer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := c.BatchAppend(ctx)
	if err != nil {
		return rawAnswer{outcome: wantUnknown, err: err}
	}
	id := uuid.New()
	for i, e := range w.events {
		contentType := "application/octet-stream"
		if e.json {
			contentType = "application/json"
		}
		f := fragment(id, nil, i == len(w.events)-1, &streams.BatchAppendReq_ProposedMessage{
			Id: rawUUID(e.id), Data: []byte(e.data), CustomMetadata: []byte(e.meta),
			Metadata: map[string]string{protocol.MetaKeyType: e.typ, "content-type": contentType},
		})
		if i == 0 {
			f.Options = batchOptions(w.stream, int64(w.expect))
		}
		if err := call.Send(f); err != nil {
			break // the answer says why
		}
	}
	resp, err := call.Recv()
	if err != nil {
		return rawAnswer{outcome: wantUnknown, err: err}
	}
	refused := resp.GetError()
	if refused == nil {
		a := rawAnswer{outcome: wantWritten, last: -1, position: resp.GetSuccess().GetPosition().GetCommitPosition()}
		revision := resp.GetSuccess().GetCurrentRevisionOption()
		if r, ok := revision.(*streams.BatchAppendResp_Success_CurrentRevision); ok {
			a.last = int64(r.CurrentRevision)
		}
		return a
	}
	err = fmt.Errorf("packed %v", refused)
	if len(refused.GetDetails()) != 1 {
		return rawAnswer{outcome: wantUnknown, err: err}
	}
	details, unpackErr := refused.GetDetails()[0].UnmarshalNew()
	switch d := details.(type) {
	case *shared.WrongExpectedVersion:
		a := rawAnswer{outcome: wantWrong, last: -1}
		if r, ok := d.GetCurrentStreamRevisionOption().(*shared.WrongExpectedVersion_CurrentStreamRevision); ok {
			a.last = int64(r.CurrentStreamRevision)
		}
		return a
	case *shared.StreamDeleted:
		return rawAnswer{outcome: wantDeleted}
	case *shared.AccessDenied:
		return rawAnswer{outcome: wantDenied}
	}
	return rawAnswer{outcome: wantUnknown, err: errors.Join(err, unpackErr)}
}

func (c rawClient) append(ctx context.Context, w modelWrite) rawAnswer {
	none := &shared.Empty{}
	o := &streams.AppendReq_Options{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(w.stream)}}
	switch w.expect {
	case eventlog.ExpectAny:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: none}
	case eventlog.ExpectExists:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: none}
	case eventlog.ExpectNoStream:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: none}
	default:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: uint64(w.expect)}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // an abandoned call must not go on
	call, err := c.Append(ctx)
	if err != nil {
		return rawAnswer{outcome: wantUnknown, err: err}
	}
	err = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: o}})
	for _, e := range w.events {
		if err != nil {
			break // the answer says why
		}
		contentType := "application/octet-stream"
		if e.json {
			contentType = "application/json"
		}
		err = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{
			ProposedMessage: &streams.AppendReq_ProposedMessage{
				Id: rawUUID(e.id), Data: []byte(e.data), CustomMetadata: []byte(e.meta),
				Metadata: map[string]string{protocol.MetaKeyType: e.typ, "content-type": contentType},
			},
		}})
	}
	resp, err := call.CloseAndRecv()
	if err != nil {
		return refusedCall(err, call.Trailer())
	}
	if wrong := resp.GetWrongExpectedVersion(); wrong != nil {
		current := wrong.GetCurrentRevisionOption()
		if _, none := current.(*streams.AppendResp_WrongExpectedVersion_CurrentNoStream); none {
			return rawAnswer{outcome: wantWrong, last: -1}
		}
		return rawAnswer{outcome: wantWrong, last: int64(wrong.GetCurrentRevision())}
	}
	a := rawAnswer{outcome: wantWritten, last: -1, position: resp.GetSuccess().GetPosition().GetCommitPosition()}
	if r, ok := resp.GetSuccess().GetCurrentRevisionOption().(*streams.AppendResp_Success_CurrentRevision); ok {
		a.last = int64(r.CurrentRevision)
	}
	return a
}

// refusedCall reads a failed call as the official clients do.
func refusedCall(err error, trailer metadata.MD) rawAnswer {
	get := func(key string) string { return strings.Join(trailer.Get(key), ",") }
	switch get("exception") {
	case "stream-deleted":
		return rawAnswer{outcome: wantDeleted}
	case "access-denied":
		return rawAnswer{outcome: wantDenied}
	case "wrong-expected-version":
		last, err := strconv.ParseInt(get("actual-version"), 10, 64)
		return rawAnswer{outcome: wantWrong, last: last, err: err}
	}
	return rawAnswer{outcome: wantUnknown, err: err}
}

func rawUUID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

// rawRead is a read, or a subscription, of a stream or of $all.
type rawRead struct {
	stream string // empty: $all
	back   bool
	start  rawStart
	at     uint64 // revision or position
	count  uint64
	filter *rawFilter // of $all
}

type rawStart int

const (
	fromStart rawStart = iota
	fromEnd
	fromPoint
)

type rawFilter struct {
	byType bool
	prefix []string
	regex  *regexp.Regexp
	window uint32
}

func (f *rawFilter) match(e *storedEvent) bool {
	if f == nil {
		return true
	}
	subject := e.stream
	if f.byType {
		subject = e.typ
	}
	if f.regex != nil {
		return f.regex.MatchString(subject)
	}
	for _, p := range f.prefix {
		if strings.HasPrefix(subject, p) {
			return true
		}
	}
	return false
}

func (r rawRead) String() string {
	s := r.stream
	if s == "" {
		s = "$all"
	}
	s += [...]string{" from the start", " from the end", fmt.Sprint(" from ", r.at)}[r.start]
	if r.back {
		s += " backwards"
	}
	if r.filter != nil {
		s += fmt.Sprintf(" filtered by %+v", *r.filter)
	}
	return fmt.Sprintf("%s, count %d", s, r.count)
}

func (r rawRead) request(subscription bool) *streams.ReadReq {
	none := &shared.Empty{}
	o := &streams.ReadReq_Options{
		CountOption:  &streams.ReadReq_Options_Count{Count: r.count},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: none},
		UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{
			Structured: none,
		}},
	}
	if subscription {
		o.CountOption = &streams.ReadReq_Options_Subscription{
			Subscription: &streams.ReadReq_Options_SubscriptionOptions{},
		}
	}
	if r.back {
		o.ReadDirection = streams.ReadReq_Options_Backwards
	}
	if r.stream != "" {
		s := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: &shared.StreamIdentifier{
			StreamName: []byte(r.stream),
		}}
		switch r.start {
		case fromStart:
			s.RevisionOption = &streams.ReadReq_Options_StreamOptions_Start{Start: none}
		case fromEnd:
			s.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: none}
		default:
			s.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: r.at}
		}
		o.StreamOption = &streams.ReadReq_Options_Stream{Stream: s}
		return &streams.ReadReq{Options: o}
	}
	a := &streams.ReadReq_Options_AllOptions{}
	switch r.start {
	case fromStart:
		a.AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: none}
	case fromEnd:
		a.AllOption = &streams.ReadReq_Options_AllOptions_End{End: none}
	default:
		a.AllOption = &streams.ReadReq_Options_AllOptions_Position{
			Position: &streams.ReadReq_Options_Position{CommitPosition: r.at, PreparePosition: r.at},
		}
	}
	o.StreamOption = &streams.ReadReq_Options_All{All: a}
	if r.filter != nil {
		f := &streams.ReadReq_Options_FilterOptions{
			Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: r.filter.window},
			CheckpointIntervalMultiplier: 1,
		}
		e := &streams.ReadReq_Options_FilterOptions_Expression{Prefix: r.filter.prefix}
		if r.filter.regex != nil {
			e.Regex = r.filter.regex.String()
		}
		f.Filter = &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: e}
		if r.filter.byType {
			f.Filter = &streams.ReadReq_Options_FilterOptions_EventType{EventType: e}
		}
		o.FilterOption = &streams.ReadReq_Options_Filter{Filter: f}
	}
	return &streams.ReadReq{Options: o}
}

// read returns what a read showed and how it ended.
func (c rawClient) read(ctx context.Context, r rawRead) (events []storedEvent, outcome string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := c.Read(ctx, r.request(false))
	if err != nil {
		return nil, wantUnknown, err
	}
	for {
		resp, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return events, wantRead, nil
		}
		if err != nil {
			a := refusedCall(err, call.Trailer())
			return events, a.outcome, a.err
		}
		if resp.GetStreamNotFound() != nil {
			return events, wantNotFound, nil
		}
		if e := resp.GetEvent(); e != nil {
			stored, err := rawEvent(e)
			if err != nil {
				return events, wantUnknown, err
			}
			events = append(events, stored)
		}
	}
}

func rawEvent(r *streams.ReadResp_ReadEvent) (storedEvent, error) {
	e := r.GetEvent()
	id := e.GetId().GetStructured()
	out := storedEvent{
		stream: string(e.GetStreamIdentifier().GetStreamName()), revision: e.GetStreamRevision(),
		position: e.GetCommitPosition(),
		typ:      e.GetMetadata()[protocol.MetaKeyType], json: e.GetMetadata()["content-type"] == "application/json",
		data: string(e.GetData()), meta: string(e.GetCustomMetadata()),
	}
	binary.BigEndian.PutUint64(out.id[:8], uint64(id.GetMostSignificantBits()))
	binary.BigEndian.PutUint64(out.id[8:], uint64(id.GetLeastSignificantBits()))
	var err error
	out.created, err = strconv.ParseInt(e.GetMetadata()["created"], 10, 64)
	if err == nil && (e.GetPreparePosition() != out.position || r.GetCommitPosition() != out.position) {
		err = fmt.Errorf("an event's positions differ: commit %d, prepare %d, beside it %d", out.position,
			e.GetPreparePosition(), r.GetCommitPosition())
	}
	return out, err
}
