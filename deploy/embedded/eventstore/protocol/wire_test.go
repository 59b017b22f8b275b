package protocol

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/timestamppb" // registers what the description imports
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
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
	if r.Flags&layout.FlagJSON != 0 {
		contentType = contentTypeJSON
	}
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id: id, StreamIdentifier: &shared.StreamIdentifier{StreamName: r.Stream},
		StreamRevision: r.Revision, PreparePosition: position, CommitPosition: position,
		Metadata: map[string]string{
			"type": string(r.Type), "content-type": contentType, "created": strconv.FormatInt(r.Created, 10),
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
		wantReadEvent(t, enc.link(nil, position, link, target, event),
			enc.linkSize(position, link, target, event), want)
	})
}

func TestWireCheckpointAgreesWithGeneratedCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		position, at := rapid.Uint64().Draw(t, "position"), drawTime(t)
		got := (&encoder{}).checkpoint(nil, position, at)
		if len(got) > maxCheckpointSize {
			t.Errorf("checkpoint of %d bytes, bound is %d", len(got), maxCheckpointSize)
		}
		var old streams.ReadResp
		err := proto.Unmarshal(got, &old)
		if c := old.GetCheckpoint(); err != nil || c.GetCommitPosition() != position ||
			c.GetPreparePosition() != position {
			t.Fatalf("an older client reads %v, %v", &old, err)
		}
		want := map[string]any{"commit_position": position, "prepare_position": position, "timestamp": at}
		wantNewer(t, got, want, "checkpoint")
	})
}

func drawTime(t *rapid.T) time.Time {
	seconds, nanos := rapid.Int64Range(0, 1<<34).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")
	return time.Unix(seconds, nanos).UTC()
}

// CaughtUp is an empty message to the clients of the module's protos, and has its fields for
// newer ones.
func TestWireCaughtUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := drawTime(t)
		want, resume := map[string]any{"timestamp": at}, []byte(nil)
		n := rapid.Uint64Range(0, 1<<63-1).Draw(t, "n")
		switch {
		case rapid.Bool().Draw(t, "stream"):
			if resume = resumeStream(n); n > 0 {
				want["stream_revision"] = int64(n - 1)
			}
		default:
			if resume = resumeAll(n); n > 0 {
				want["position"] = n
			}
		}
		got, err := proto.Marshal(caughtUp(at, resume))
		if err != nil {
			t.Fatal(err)
		}
		var old streams.ReadResp
		if err := proto.Unmarshal(got, &old); err != nil || old.GetCaughtUp() == nil {
			t.Fatalf("an older client reads %v, %v", &old, err)
		}
		wantNewer(t, got, want, "caught_up")
	})
}

// wantNewer reads the response as clients of KurrentDB 25's streams.proto do.
func wantNewer(t *rapid.T, raw []byte, want map[string]any, content string) {
	t.Helper()
	resp := dynamicpb.NewMessage(newerReadResp())
	if err := proto.Unmarshal(raw, resp); err != nil {
		t.Fatal(err)
	}
	m := resp.Get(resp.Descriptor().Fields().ByName(protoreflect.Name(content))).Message()
	if len(resp.GetUnknown())+len(m.GetUnknown()) > 0 {
		t.Fatalf("%s has fields that no client knows: %x", content, raw)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		var got any
		switch f.Name() {
		case "timestamp":
			sub := v.Message().Descriptor().Fields()
			seconds, nanos := v.Message().Get(sub.ByName("seconds")), v.Message().Get(sub.ByName("nanos"))
			got = time.Unix(seconds.Int(), nanos.Int()).UTC()
		case "position":
			sub := v.Message().Descriptor().Fields()
			got = v.Message().Get(sub.ByName("commit_position")).Uint()
			if prepare := v.Message().Get(sub.ByName("prepare_position")).Uint(); prepare != got {
				t.Errorf("commit %d, prepare %d", got, prepare)
			}
		default:
			got = v.Interface()
		}
		if got != want[string(f.Name())] {
			t.Errorf("%s is %v, want %v", f.Name(), got, want[string(f.Name())])
		}
		delete(want, string(f.Name()))
		return true
	})
	for name, v := range want {
		if v != uint64(0) {
			t.Errorf("%s lacks %s", content, name)
		}
	}
}

// newerReadResp describes, with presence, what KurrentDB-Client-Go v1.4.2's protos have of
// ReadResp's checkpoint and caught_up.
var newerReadResp = sync.OnceValue(func() protoreflect.MessageDescriptor {
	type kind = descriptorpb.FieldDescriptorProto_Type
	field := func(name string, number int32, k kind, of string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &k}
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
		if of != "" {
			f.TypeName = &of
		}
		return f
	}
	const (
		u64, i64 = descriptorpb.FieldDescriptorProto_TYPE_UINT64, descriptorpb.FieldDescriptorProto_TYPE_INT64
		message  = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
		stamp    = ".google.protobuf.Timestamp"
	)
	messageOf := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: &name, Field: fields}
	}
	commit, prepare := field("commit_position", 1, u64, ""), field("prepare_position", 2, u64, "")
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("newer.proto"), Package: proto.String("newer"), Syntax: proto.String("proto2"),
		Dependency: []string{"google/protobuf/timestamp.proto"},
		MessageType: []*descriptorpb.DescriptorProto{
			messageOf("Position", commit, prepare),
			messageOf("Checkpoint", commit, prepare, field("timestamp", 3, message, stamp)),
			messageOf("CaughtUp", field("timestamp", 1, message, stamp), field("stream_revision", 2, i64, ""),
				field("position", 3, message, ".newer.Position")),
			messageOf("ReadResp", field("checkpoint", 3, message, ".newer.Checkpoint"),
				field("caught_up", 8, message, ".newer.CaughtUp")),
		},
	}, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	return file.Messages().ByName("ReadResp")
})
