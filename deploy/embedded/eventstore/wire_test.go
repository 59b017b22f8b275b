package eventstore

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// The hand-written encoder says exactly what the generated code would say.
func TestWireEncoderAgreesWithGeneratedCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytesGen := rapid.SliceOfN(rapid.Byte(), 0, 300)
		r := record{
			flags:    byte(rapid.IntRange(0, 1).Draw(t, "json")),
			created:  rapid.Int64Range(0, 1<<60).Draw(t, "created"),
			revision: rapid.Uint64Range(0, 1<<63-1).Draw(t, "revision"),
			stream:   bytesGen.Draw(t, "stream"),
			typ:      []byte(rapid.String().Draw(t, "type")),
			meta:     bytesGen.Draw(t, "meta"),
			data:     bytesGen.Draw(t, "data"),
		}
		copy(r.id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		position := rapid.Uint64().Draw(t, "position")
		enc := &encoder{stringIDs: rapid.Bool().Draw(t, "stringIDs")}

		got := enc.event(nil, position, &r)
		if len(got) != enc.eventSize(position, &r) {
			t.Fatalf("eventSize says %d, event wrote %d", enc.eventSize(position, &r), len(got))
		}
		var resp streams.ReadResp
		if err := proto.Unmarshal(got, &resp); err != nil {
			t.Fatal(err)
		}
		id := structuredUUID(r.id)
		if enc.stringIDs {
			id = &shared.UUID{Value: &shared.UUID_String_{String_: formatUUID(r.id)}}
		}
		contentType := contentTypeBinary
		if r.flags&flagJSON != 0 {
			contentType = contentTypeJSON
		}
		want := &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
			Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: position},
			Event: &streams.ReadResp_ReadEvent_RecordedEvent{
				Id: id, StreamIdentifier: &shared.StreamIdentifier{StreamName: r.stream},
				StreamRevision: r.revision, PreparePosition: position, CommitPosition: position,
				Metadata: map[string]string{
					"type": string(r.typ), "content-type": contentType, "created": formatTicks(r.created),
				},
				CustomMetadata: r.meta, Data: r.data,
			},
		}}}
		if !proto.Equal(&resp, want) {
			t.Fatalf("got %v\nwant %v", &resp, want)
		}
		size := proto.Size(want)
		if size != len(got) {
			t.Fatalf("encoder wrote %d bytes, generated code %d", len(got), size)
		}
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
