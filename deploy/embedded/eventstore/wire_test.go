package eventstore

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

func drawRecord(t *rapid.T) *eventlog.Record {
	bytesGen := rapid.SliceOfN(rapid.Byte(), 0, 300)
	r := &eventlog.Record{
		Flags:    byte(rapid.IntRange(0, 1).Draw(t, "json")),
		Created:  rapid.Int64Range(0, 1<<60).Draw(t, "created"),
		Revision: rapid.Uint64Range(0, 1<<63-1).Draw(t, "revision"),
		Stream:   bytesGen.Draw(t, "stream"),
		Type:     []byte(rapid.String().Draw(t, "type")),
		Meta:     bytesGen.Draw(t, "meta"),
		Data:     bytesGen.Draw(t, "data"),
	}
	copy(r.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	return r
}

// generated is what the generated code makes of a record.
func generated(enc *encoder, position uint64, r *eventlog.Record) *streams.ReadResp_ReadEvent_RecordedEvent {
	id := structuredUUID(r.ID)
	if enc.stringIDs {
		id = &shared.UUID{Value: &shared.UUID_String_{String_: formatUUID(r.ID)}}
	}
	contentType := contentTypeBinary
	if r.Flags&eventlog.FlagJSON != 0 {
		contentType = contentTypeJSON
	}
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id: id, StreamIdentifier: &shared.StreamIdentifier{StreamName: r.Stream},
		StreamRevision: r.Revision, PreparePosition: position, CommitPosition: position,
		Metadata: map[string]string{
			"type": string(r.Type), "content-type": contentType, "created": formatTicks(r.Created),
		},
		CustomMetadata: r.Meta, Data: r.Data,
	}
}

func wantReadEvent(t *rapid.T, got []byte, size int, want *streams.ReadResp_ReadEvent) {
	if len(got) != size {
		t.Fatalf("the size is said to be %d, it is %d", size, len(got))
	}
	var resp streams.ReadResp
	if err := proto.Unmarshal(got, &resp); err != nil {
		t.Fatal(err)
	}
	all := &streams.ReadResp{Content: &streams.ReadResp_Event{Event: want}}
	if !proto.Equal(&resp, all) {
		t.Fatalf("got %v\nwant %v", &resp, all)
	}
	if size := proto.Size(all); size != len(got) {
		t.Fatalf("encoder wrote %d bytes, generated code %d", len(got), size)
	}
}

// The hand-written encoder says exactly what the generated code would say.
func TestWireEncoderAgreesWithGeneratedCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		position := rapid.Uint64().Draw(t, "position")
		enc := &encoder{stringIDs: rapid.Bool().Draw(t, "stringIDs")}
		wantReadEvent(t, enc.event(nil, position, r), enc.eventSize(position, r), &streams.ReadResp_ReadEvent{
			Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: position},
			Event:    generated(enc, position, r),
		})
	})
}

// The same for links, resolved and not.
func TestWireLinkAgreesWithGeneratedCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		link := drawRecord(t)
		position, target := rapid.Uint64().Draw(t, "position"), rapid.Uint64().Draw(t, "target")
		enc := &encoder{stringIDs: rapid.Bool().Draw(t, "stringIDs")}
		want := &streams.ReadResp_ReadEvent{
			Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: position},
			Link:     generated(enc, position, link),
		}
		var event *eventlog.Record
		if rapid.Bool().Draw(t, "resolved") {
			event = drawRecord(t)
			want.Event = generated(enc, target, event)
		}
		wantReadEvent(t, enc.link(nil, position, link, target, event), enc.linkSize(position, link, target, event), want)
	})
}

func TestWireCheckpointAgreesWithGeneratedCode(t *testing.T) {
	for _, position := range []uint64{0, 1, 256, 1<<63 - 1, 1<<64 - 1} {
		got := (&encoder{}).checkpoint(nil, position)
		if len(got) > maxCheckpointSize {
			t.Errorf("checkpoint of %d bytes, bound is %d", len(got), maxCheckpointSize)
		}
		want, err := proto.Marshal(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{
			Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: position, PreparePosition: position},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("position %d: got %x, want %x", position, got, want)
		}
	}
}
