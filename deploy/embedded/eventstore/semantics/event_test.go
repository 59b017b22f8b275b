package semantics

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
)

// Data and custom metadata come back byte for byte, with id, type, stream and revision.
func TestEventComesBackAsWritten(t *testing.T) {
	w := begin(t)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	sent := []esdb.EventData{
		{EventID: uuid.New(), EventType: w.prefix + "t\u00e9st", ContentType: esdb.ContentTypeBinary, Data: every,
			Metadata: slices.Repeat(every, 3)},
		{EventID: uuid.New(), EventType: w.prefix + "json", ContentType: esdb.ContentTypeJson,
			Data: []byte("{\"a\" :  1}\n"), Metadata: []byte("{ }")},
		{EventID: uuid.New(), EventType: w.prefix + "not json", ContentType: esdb.ContentTypeJson, Data: []byte("{"),
			Metadata: []byte("\x00")},
		{EventID: uuid.New(), EventType: w.prefix + "empty", ContentType: esdb.ContentTypeBinary},
	}
	w.append("stream \u00e9", esdb.NoStream{}, sent...)
	got, err := w.readStream("stream \u00e9", esdb.Forwards, esdb.Start{}, 10)
	if err != nil || len(got) != len(sent) {
		t.Fatalf("read %d events, %v", len(got), err)
	}
	for name, events := range map[string][]*esdb.RecordedEvent{"stream": got, "$all": w.own()} {
		for i, g := range events {
			s := sent[i]
			if g.EventID != s.EventID || g.EventType != s.EventType || string(g.Data) != string(s.Data) ||
				string(g.UserMetadata) != string(s.Metadata) || g.StreamID != w.stream("stream \u00e9") ||
				g.EventNumber != uint64(i) {
				t.Errorf("%s, event %d: got %+v, want %+v", name, i, g, s)
			}
			for _, key := range []string{"type", "content-type", "created"} {
				if _, ok := g.SystemMetadata[key]; !ok {
					t.Errorf("%s, event %d: no %q in %v", name, i, key, g.SystemMetadata)
				}
			}
		}
	}
}

// Names that begin one another, or hold odd characters, are separate streams.
func TestStreamNamesDoNotMix(t *testing.T) {
	w := begin(t)
	names := []string{"a", "ab", "a\x01", "a-1", "a-10", "A", " ", "a ", "\u00e9", "e\u0301", "$", "%61",
		strings.Repeat("n", 1000)}
	for i, name := range names {
		w.append(name, esdb.NoStream{}, w.events(i+1)...)
	}
	for i, name := range names {
		got, err := w.readStream(name, esdb.Forwards, esdb.Start{}, 100)
		if err != nil || len(got) != i+1 {
			t.Errorf("stream %q: %d events, %v; want %d", name, len(got), err, i+1)
		}
		for _, e := range got {
			if e.StreamID != w.stream(name) {
				t.Errorf("stream %q shows an event of %q", name, e.StreamID)
			}
		}
	}
}

// Only whether the content type is JSON is kept: anything else comes back as octets.
func TestContentTypeIsNormalised(t *testing.T) {
	w := begin(t)
	sent := []string{contentTypeJSON, contentTypeBinary, "text/plain", "application/json; charset=utf-8", ""}
	want := []string{contentTypeJSON, contentTypeBinary, contentTypeBinary, contentTypeBinary, contentTypeBinary}
	msgs := []*streams.AppendReq{appendOptions(w.stream("s"), esdb.NoStream{})}
	for _, contentType := range sent {
		msgs = append(msgs, rawProposal(textID(uuid.New()), map[string]string{"type": "t", "content-type": contentType,
			"mine": "x"}, 1))
	}
	if _, _, err := w.rawAppend(msgs...); err != nil {
		t.Fatal(err)
	}
	got, err := w.readStream("s", esdb.Forwards, esdb.Start{}, 10)
	if err != nil || len(got) != len(want) {
		t.Fatalf("read %d events, %v", len(got), err)
	}
	for i, e := range got {
		if e.ContentType != want[i] || e.SystemMetadata["content-type"] != want[i] {
			t.Errorf("%q came back as %q", sent[i], e.ContentType)
		}
		if _, ok := e.SystemMetadata["mine"]; ok {
			t.Errorf("a system property that no server knows came back: %v", e.SystemMetadata)
		}
	}
}

// created is in ticks of 100 ns since the Unix epoch, of the server's clock:
// the times of one server never fall, and are near ours to within a day.
func TestCreatedIsInTicks(t *testing.T) {
	w := begin(t)
	for range 3 {
		w.append("s", esdb.Any{}, w.events(2)...)
	}
	before := int64(0)
	for i, e := range w.own() {
		ticks, err := strconv.ParseInt(e.SystemMetadata["created"], 10, 64)
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if ticks < before {
			t.Errorf("event %d was created at %d, the one before at %d", i, ticks, before)
		}
		before = ticks
		if created := time.Unix(ticks/1e7, ticks%1e7*100); !e.CreatedDate.Equal(created) ||
			time.Since(created).Abs() > 24*time.Hour {
			t.Errorf("event %d: created %d, which is %v; the client says %v", i, ticks, created, e.CreatedDate)
		}
	}
}

// Ids come as the request asks, as text or as signed halves, and are taken as both.
func TestUUIDOption(t *testing.T) {
	w := begin(t)
	asText, asHalves := uuid.New(), uuid.New()
	asHalves[0] |= 0x80 // a negative half
	halves := func(id uuid.UUID) *shared.UUID {
		return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
			MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
			LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
		}}}
	}
	meta := map[string]string{"type": "t", "content-type": contentTypeJSON}
	if _, _, err := w.rawAppend(appendOptions(w.stream("s"), esdb.NoStream{}), rawProposal(textID(asText), meta, 1),
		rawProposal(halves(asHalves), meta, 1)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		option *streams.ReadReq_Options_UUIDOption
		id     func(uuid.UUID) *shared.UUID
	}{
		"text": {&streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{
			String_: &shared.Empty{},
		}}, textID},
		"structured": {&streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{
			Structured: &shared.Empty{},
		}}, halves},
	} {
		opts := readOptions()
		opts.StreamOption, opts.CountOption, opts.UuidOption = fromStart(w.stream("s")),
			&streams.ReadReq_Options_Count{Count: 10}, c.option
		answer, err := w.rawRead(opts, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, resp := range answer {
			if id := resp.GetEvent().GetEvent().GetId(); id != nil {
				got = append(got, fields(id))
			}
		}
		if want := []string{fields(c.id(asText)), fields(c.id(asHalves))}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
