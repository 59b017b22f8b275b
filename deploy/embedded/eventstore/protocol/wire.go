package protocol

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that wireCodec falls back to
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Events are encoded straight from the stored bytes into the wire form of
// ReadResp: no message structs, no metadata maps. wire_test.go holds the
// encoder against the generated code.
//
// Field numbers are those of streams.proto and shared.proto.

// wireCodec passes frames through and leaves every other message to protobuf.
type wireCodec struct{ encoding.CodecV2 }

// Codec is the codec of a server of this protocol.
func Codec() encoding.CodecV2 { return wireCodec{encoding.GetCodecV2("proto")} }

func (c wireCodec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(f)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// encoder encodes responses for one request.
type encoder struct {
	stringIDs bool // ids as text, otherwise as two signed halves
}

func tagLen(size int) int { return 1 + protowire.SizeBytes(size) } // every field number here is below 16

func appendBytesField(dst []byte, field protowire.Number, b []byte) []byte {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return protowire.AppendBytes(dst, b)
}

func appendStringField(dst []byte, field protowire.Number, s string) []byte {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return protowire.AppendString(dst, s)
}

func appendVarintField(dst []byte, field protowire.Number, v uint64) []byte {
	dst = protowire.AppendTag(dst, field, protowire.VarintType)
	return protowire.AppendVarint(dst, v)
}

func appendMessageHeader(dst []byte, field protowire.Number, size int) []byte {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return protowire.AppendVarint(dst, uint64(size))
}

// eventSizes are the lengths of the nested messages of one recorded event.
type eventSizes struct {
	structured, id, streamID         int
	typeEntry, ctEntry, createdEntry int
	recorded                         int
	contentType                      string
	created                          [20]byte
	createdLen                       int
}

// The metadata that every event has.
const (
	MetaKeyType        = "type"
	metaKeyContentType = "content-type"
	metaKeyCreated     = "created"
)

func entrySize(key string, value int) int { return tagLen(len(key)) + tagLen(value) }

func varintFieldSize(v uint64) int {
	if v == 0 {
		return 0 // proto3 leaves out a plain zero
	}
	return 1 + protowire.SizeVarint(v)
}

func bytesFieldSize(n int) int {
	if n == 0 {
		return 0
	}
	return tagLen(n)
}

func (e *encoder) sizes(s *eventSizes, position uint64, r *eventlog.Record) {
	if e.stringIDs {
		s.id = tagLen(36)
	} else {
		s.structured = varintFieldSize(binary.BigEndian.Uint64(r.ID[:8])) +
			varintFieldSize(binary.BigEndian.Uint64(r.ID[8:]))
		s.id = tagLen(s.structured)
	}
	s.streamID = bytesFieldSize(len(r.Stream))
	s.contentType = contentTypeBinary
	if r.Flags&layout.FlagJSON != 0 {
		s.contentType = contentTypeJSON
	}
	s.createdLen = len(strconv.AppendInt(s.created[:0], r.Created, 10))
	s.typeEntry = entrySize(MetaKeyType, len(r.Type))
	s.ctEntry = entrySize(metaKeyContentType, len(s.contentType))
	s.createdEntry = entrySize(metaKeyCreated, s.createdLen)
	s.recorded = tagLen(s.id) + tagLen(s.streamID) +
		varintFieldSize(r.Revision) + 2*varintFieldSize(position) +
		tagLen(s.typeEntry) + tagLen(s.ctEntry) + tagLen(s.createdEntry) +
		bytesFieldSize(len(r.Meta)) + bytesFieldSize(len(r.Data))
}

// readEventSize is the length of a ReadEvent around recorded events of that
// length, tags included.
func readEventSize(recorded int, position uint64) int {
	return recorded + 1 + protowire.SizeVarint(position)
}

// eventSize is the length of what event appends.
func (e *encoder) eventSize(position uint64, r *eventlog.Record) int {
	var s eventSizes
	e.sizes(&s, position, r)
	return tagLen(readEventSize(tagLen(s.recorded), position))
}

// event appends ReadResp{event: ReadEvent{event: r, commit_position}} to dst.
func (e *encoder) event(dst []byte, position uint64, r *eventlog.Record) []byte {
	var s eventSizes
	e.sizes(&s, position, r)
	dst = appendMessageHeader(dst, 1, readEventSize(tagLen(s.recorded), position))
	dst = e.recorded(dst, 1, &s, position, r)
	return appendVarintField(dst, 3, position)
}

// linkSize is the length of what link appends.
func (e *encoder) linkSize(position uint64, link *eventlog.Record, target uint64, event *eventlog.Record) int {
	var s eventSizes
	e.sizes(&s, position, link)
	recorded := tagLen(s.recorded)
	if event != nil {
		e.sizes(&s, target, event)
		recorded += tagLen(s.recorded)
	}
	return tagLen(readEventSize(recorded, position))
}

// link appends ReadResp{event: ReadEvent{event, link, commit_position}} to dst:
// the position is the link's. Without event, the link leads nowhere.
func (e *encoder) link(dst []byte, position uint64, link *eventlog.Record, target uint64,
	event *eventlog.Record) []byte {
	var s, t eventSizes
	e.sizes(&s, position, link)
	recorded := tagLen(s.recorded)
	if event != nil {
		e.sizes(&t, target, event)
		recorded += tagLen(t.recorded)
	}
	dst = appendMessageHeader(dst, 1, readEventSize(recorded, position))
	if event != nil {
		dst = e.recorded(dst, 1, &t, target, event)
	}
	dst = e.recorded(dst, 2, &s, position, link)
	return appendVarintField(dst, 3, position)
}

// recorded appends a field that is a RecordedEvent, whose sizes are s.
func (e *encoder) recorded(dst []byte, field protowire.Number, s *eventSizes, position uint64,
	r *eventlog.Record) []byte {
	dst = appendMessageHeader(dst, field, s.recorded)
	dst = appendMessageHeader(dst, 1, s.id)
	if e.stringIDs {
		dst = appendStringField(dst, 2, formatUUID(r.ID))
	} else {
		dst = appendMessageHeader(dst, 1, s.structured)
		if v := binary.BigEndian.Uint64(r.ID[:8]); v != 0 {
			dst = appendVarintField(dst, 1, v)
		}
		if v := binary.BigEndian.Uint64(r.ID[8:]); v != 0 {
			dst = appendVarintField(dst, 2, v)
		}
	}
	dst = appendMessageHeader(dst, 2, s.streamID)
	if len(r.Stream) > 0 {
		dst = appendBytesField(dst, 3, r.Stream)
	}
	if r.Revision != 0 {
		dst = appendVarintField(dst, 3, r.Revision)
	}
	if position != 0 {
		dst = appendVarintField(dst, 4, position)
		dst = appendVarintField(dst, 5, position)
	}
	dst = appendMessageHeader(dst, 6, s.typeEntry)
	dst = appendStringField(dst, 1, MetaKeyType)
	dst = appendBytesField(dst, 2, r.Type)
	dst = appendMessageHeader(dst, 6, s.ctEntry)
	dst = appendStringField(dst, 1, metaKeyContentType)
	dst = appendStringField(dst, 2, s.contentType)
	dst = appendMessageHeader(dst, 6, s.createdEntry)
	dst = appendStringField(dst, 1, metaKeyCreated)
	dst = appendBytesField(dst, 2, s.created[:s.createdLen])
	if len(r.Meta) > 0 {
		dst = appendBytesField(dst, 7, r.Meta)
	}
	if len(r.Data) > 0 {
		dst = appendBytesField(dst, 8, r.Data)
	}
	return dst
}

// checkpoint appends ReadResp{checkpoint} to dst. Its time is of protos newer
// than the client module's; older clients skip it.
func (e *encoder) checkpoint(dst []byte, position uint64, at time.Time) []byte {
	var b [maxCheckpointSize]byte
	body := appendTimestampField(appendPosition(b[:0], position), 3, at)
	return appendBytesField(dst, 3, body)
}

const maxCheckpointSize = 2 + 2*11 + maxTimestampSize

// appendPosition appends the two fields of a position in $all.
func appendPosition(dst []byte, position uint64) []byte {
	if position == 0 {
		return dst
	}
	return appendVarintField(appendVarintField(dst, 1, position), 2, position)
}

// appendTimestampField appends a google.protobuf.Timestamp.
func appendTimestampField(dst []byte, field protowire.Number, at time.Time) []byte {
	var b [maxTimestampSize]byte
	body := b[:0]
	if s := at.Unix(); s != 0 {
		body = appendVarintField(body, 1, uint64(s))
	}
	if n := at.Nanosecond(); n != 0 {
		body = appendVarintField(body, 2, uint64(n))
	}
	return appendBytesField(dst, field, body)
}

const maxTimestampSize = 2 + 11 + 6

// caughtUp is what a subscription says when it has become live. When that was,
// and where to resume, is of protos newer than the client module's: fields that
// it does not know, and that older clients skip. resume is one of resumeStream's
// and resumeAll's.
func caughtUp(at time.Time, resume []byte) *streams.ReadResp {
	m := &streams.ReadResp_CaughtUp{}
	m.ProtoReflect().SetUnknown(append(appendTimestampField(nil, 1, at), resume...))
	return &streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: m}}
}

// resumeStream is the newest revision that a subscription has considered, given
// the one that it considers next; nothing where it has considered none.
func resumeStream(next uint64) []byte {
	if next == 0 {
		return nil
	}
	return appendVarintField(nil, 2, next-1)
}

// resumeAll is the newest position that a subscription has considered; nothing
// where $all is empty.
func resumeAll(considered uint64) []byte {
	if considered == 0 {
		return nil
	}
	return appendBytesField(nil, 3, appendPosition(nil, considered))
}

func formatUUID(id [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:])
}
