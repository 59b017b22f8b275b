package consumers_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

var ledgerID = uuid.MustParse("0f8fad5b-d9cb-469f-a165-70867728950e")

func encode(e schemas.Envelope) consumers.Message { return consumers.Encode(ledgerID, e) }

func clone(m consumers.Message) consumers.Message {
	m.Key, m.Value, m.Headers = bytes.Clone(m.Key), bytes.Clone(m.Value), slices.Clone(m.Headers)
	for i := range m.Headers {
		m.Headers[i].Value = bytes.Clone(m.Headers[i].Value)
	}
	return m
}

// The exact message of one event, written by hand from FORMATS §8. The leaf was computed by
// schemas, whose vectors pin it.
func TestEncodeGolden(t *testing.T) {
	r := schemastest.Envelope(schemas.RecordedEvent{
		Event: schemas.Event{
			ID:     uuid.MustParse("6fa459ea-ee8a-4ca4-894e-db77e160355e"),
			Stream: "refusal-16fd2706-8baf-433b-82eb-8c7fada847da",
			Type:   "refusal.recorded.v1",
			Data:   []byte(`{"rule":"personal-apps","count":3}`),
			Metadata: []byte(`{"v":1,"tenant":"886313e1-3b8a-4372-9b90-0c9aee199e5d",` +
				`"occurredAt":"2025-04-11T21:02:03.387Z","recordedAt":"2025-04-12T00:00:00.000Z",` +
				`"source":"test","policy":1,"subjects":[],` +
				`"origin":"7LBJipTwiCYp45mNjD77em0H786gzkTUkhHEGBoXWGs"}`),
		},
		Revision: 18446744073709551615, Seq: 9007199254740993, Position: schemas.Position{Commit: 70, Prepare: 69},
	})
	leaf := r.Leaf()
	m := encode(r)
	want := "ledger.refusal 886313e1-3b8a-4372-9b90-0c9aee199e5d\n" +
		"content-type: application/json\n" +
		"ce_specversion: 1.0\n" +
		"ce_id: 6fa459ea-ee8a-4ca4-894e-db77e160355e\n" +
		"ce_source: urn:ledgerline:0f8fad5b-d9cb-469f-a165-70867728950e\n" +
		"ce_subject: refusal-16fd2706-8baf-433b-82eb-8c7fada847da\n" +
		"ce_type: refusal.recorded.v1\n" +
		"ce_dataschema: urn:ledgerline:schema:refusal.recorded.v1\n" +
		"ce_time: 2025-04-11T21:02:03.387Z\n" +
		"ce_recordedtime: 2025-04-12T00:00:00.000Z\n" +
		"ce_tenant: 886313e1-3b8a-4372-9b90-0c9aee199e5d\n" +
		"ce_ledgerseq: 9007199254740993\n" +
		"ce_ledgerrevision: 18446744073709551615\n" +
		"ce_ledgerleaf: " + hexOf(leaf[:]) + "\n" +
		"ledger_metadata: " + string(r.Metadata) + "\n" +
		"ledger_position: 70/69\n" +
		`{"rule":"personal-apps","count":3}`
	var b strings.Builder
	b.WriteString(m.Topic + " " + string(m.Key) + "\n")
	for _, h := range m.Headers {
		b.WriteString(h.Key + ": " + string(h.Value) + "\n")
	}
	b.Write(m.Value)
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if !m.Time.IsZero() {
		t.Error("the message has a time before it is produced")
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, x := range b {
		s.WriteByte(digits[x>>4])
		s.WriteByte(digits[x&15])
	}
	return s.String()
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := kafkatest.NewGenerator(rapid.Uint64().Draw(rt, "seed"))
		first := rapid.Uint64Range(0, 1<<63).Draw(rt, "first")
		for _, r := range kafkatest.Numbered(first, g.Events(20)) {
			more := rapid.Uint64Range(0, 1<<63).Draw(rt, "revision")
			r = schemastest.Changed(r, func(r *schemas.RecordedEvent) { r.Revision += more })
			d, err := consumers.Decode(encode(r))
			if err != nil {
				rt.Fatal(err)
			}
			if !reflect.DeepEqual(d.RecordedEvent, r.RecordedEvent) {
				rt.Fatalf("got %+v, want %+v", d.RecordedEvent, r.RecordedEvent)
			}
			if d.Ledger != ledgerID || d.Leaf() != r.Leaf() {
				rt.Fatal("ledger or leaf differ")
			}
		}
	})
}

func TestRoute(t *testing.T) {
	g := kafkatest.NewGenerator(3)
	for _, r := range g.Events(50) {
		topic, key := consumers.Route(r)
		want := r.Meta().Tenant.String() // facts
		if r.Type == "tenant.policy-changed.v1" {
			want = string(r.Stream)
		}
		if key != want || topic != "ledger."+r.Stream.Kind() {
			t.Errorf("%s: %s %s", r.Type, topic, key)
		}
		unknown := schemastest.Changed(r, func(r *schemas.RecordedEvent) { r.Type = "refusal.unheard-of.v9" })
		if _, key = consumers.Route(unknown); key != string(r.Stream) {
			t.Errorf("an unknown type has key %s", key)
		}
	}
	for _, kind := range []string{"position", "checkpoint", "dead-letter", "", "x", "Device", "a.b", "widget",
		"other"} {
		if topic := consumers.TopicOfKind(kind); topic != consumers.OtherTopic {
			t.Errorf("kind %q has topic %s", kind, topic)
		}
	}
	for _, kind := range consumers.Kinds {
		if topic := consumers.TopicOfKind(kind); topic != "ledger."+kind {
			t.Errorf("kind %q: %s", kind, topic)
		}
	}
	if got := len(consumers.EventTopics()); got != len(consumers.Kinds)+1 {
		t.Errorf("%d topics", got)
	}
	for _, topic := range []string{"ledger.position", "ledger.checkpoint", "ledger.dead-letter", "ledger.",
		"ledger", "other", "ledger.a.b"} {
		if consumers.EventTopic(topic) {
			t.Errorf("%q is taken for a topic of events", topic)
		}
	}
}

// A kind's events may lie in the topic of other kinds, where another version that does not know
// the kind put them, and nowhere else.
func TestAKindsOtherTopic(t *testing.T) {
	g := kafkatest.NewGenerator(5)
	for _, r := range kafkatest.Numbered(0, g.Events(20)) {
		for topic, ok := range map[string]bool{consumers.OtherTopic: true, "ledger." + r.Stream.Kind(): true,
			"ledger.device": false, consumers.PositionTopic: false} {
			m := encode(r)
			m.Topic = topic
			if _, err := consumers.Decode(m); (err == nil) != ok {
				t.Errorf("%s in %s: %v", r.Stream.Kind(), topic, err)
			}
		}
	}
}

// Every change of a message is refused, with the error that says which kind of change it is.
func TestDecodeRefuses(t *testing.T) {
	g := kafkatest.NewGenerator(4)
	g.Events(1)
	var r schemas.Envelope
	for r.Type != "refusal.recorded.v1" || !strings.Contains(string(r.Metadata), "occurredAt") {
		r = g.Events(1)[0]
	}
	r.Seq, r.Position = 41, schemas.Position{Commit: 3, Prepare: 3}
	good := encode(r)
	set := func(key, value string) func(*consumers.Message) {
		return func(m *consumers.Message) {
			i := slices.IndexFunc(m.Headers, func(h consumers.Header) bool { return h.Key == key })
			m.Headers[i].Value = []byte(value)
		}
	}
	other := uuid.New().String()
	cases := []struct {
		name   string
		change func(*consumers.Message)
		want   error
	}{
		{"value", func(m *consumers.Message) { m.Value = []byte(`{"other":1}`) }, consumers.ErrTampered},
		{"value that is no object", func(m *consumers.Message) {
			m.Value = []byte(`{"other":1`)
		}, consumers.ErrMalformed},
		{"tombstone", func(m *consumers.Message) { m.Value = nil }, consumers.ErrMalformed},
		{"metadata", set("ledger_metadata", strings.Replace(string(r.Metadata), `"policy":0`, `"policy":1`, 1)),
			consumers.ErrTampered},
		{"metadata cut", set("ledger_metadata", `{"v":1`), consumers.ErrMalformed},
		{"id", set("ce_id", other), consumers.ErrTampered},
		{"id upper", set("ce_id", strings.ToUpper(other)), consumers.ErrMalformed},
		{"stream", set("ce_subject", "refusal-"+other), consumers.ErrTampered},
		{"stream form", set("ce_subject", "refusal"), consumers.ErrMalformed},
		{"type", set("ce_type", "refusal.recorded.v2"), consumers.ErrTampered},
		{"schema", set("ce_dataschema", "urn:ledgerline:schema:refusal.recorded.v2"), consumers.ErrTampered},
		{"no schema", set("ce_dataschema", ""), consumers.ErrTampered},
		{"revision", set("ce_ledgerrevision", "7"), consumers.ErrTampered},
		{"revision zero", set("ce_ledgerrevision", "00"), consumers.ErrMalformed},
		{"leaf", set("ce_ledgerleaf", strings.Repeat("0", 64)), consumers.ErrTampered},
		{"seq", set("ce_ledgerseq", "+41"), consumers.ErrMalformed},
		{"tenant", set("ce_tenant", other), consumers.ErrTampered},
		{"time", set("ce_time", "2025-01-01T00:00:00.000Z"), consumers.ErrTampered},
		{"recorded", set("ce_recordedtime", "2025-01-01T00:00:00.000Z"), consumers.ErrTampered},
		{"source", set("ce_source", "urn:other:"+other), consumers.ErrMalformed},
		{"version", set("ce_specversion", "1.1"), consumers.ErrMalformed},
		{"content type", set("content-type", "text/plain"), consumers.ErrMalformed},
		{"position", set("ledger_position", "3"), consumers.ErrMalformed},
		{"key", func(m *consumers.Message) { m.Key = []byte("x") }, consumers.ErrTampered},
		{"topic", func(m *consumers.Message) { m.Topic = "ledger.device" }, consumers.ErrTampered},
		{"twice", func(m *consumers.Message) { m.Headers = append(m.Headers, m.Headers[3]) }, consumers.ErrMalformed},
	}
	for i, h := range good.Headers {
		if h.Key == "ce_dataschema" {
			continue // may be absent: see below
		}
		want := consumers.ErrMalformed
		if h.Key == "ce_time" {
			want = consumers.ErrTampered // may be absent, but only where the metadata has no time
		}
		cases = append(cases, struct {
			name   string
			change func(*consumers.Message)
			want   error
		}{"without " + h.Key, func(m *consumers.Message) { m.Headers = slices.Delete(m.Headers, i, i+1) }, want})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := clone(good)
			c.change(&m)
			if _, err := consumers.Decode(m); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	m := clone(good)
	m.Headers = append(m.Headers, consumers.Header{Key: "traceparent", Value: []byte("00-0-0-00")})
	if _, err := consumers.Decode(m); err != nil {
		t.Errorf("a foreign header: %v", err)
	}
}

// Only a type that the relay knows has a schema; and what a relay wrote that knew of none is the
// same event.
func TestAMessageWithoutASchemaIsStillTheEvent(t *testing.T) {
	named := func(h consumers.Header) bool { return h.Key == "ce_dataschema" }
	for _, e := range kafkatest.Numbered(0, kafkatest.NewGenerator(6).Events(40)) {
		m := encode(e)
		i := slices.IndexFunc(m.Headers, named)
		if i < 0 || string(m.Headers[i].Value) != schemas.SchemaURI(e.Type) {
			t.Fatalf("%s names no schema of its type", e.Type)
		}
		m.Headers = slices.Delete(m.Headers, i, i+1)
		if d, err := consumers.Decode(m); err != nil || !reflect.DeepEqual(d.RecordedEvent, e.RecordedEvent) {
			t.Errorf("%s, as older relays wrote it: %v", e.Type, err)
		}
		unknown := schemastest.Changed(e, func(r *schemas.RecordedEvent) { r.Type = "refusal.unheard-of.v9" })
		if m := encode(unknown); slices.ContainsFunc(m.Headers, named) {
			t.Error("an unknown type has a schema")
		}
	}
}

// Whatever belongs to the ledger becomes a message, and that message the same event.
func TestWhateverBelongsToTheLedgerPassesTheTopics(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	ledger := uuid.New()
	for passed := 0; passed < 5000; {
		e := schemas.RecordedEvent{Event: schemastest.Foreign(r), Seq: r.Uint64(), Revision: r.Uint64(),
			Position: schemas.Position{Commit: r.Uint64()}}
		read, err := schemas.NewEnvelope(e)
		if belongs := schemas.InLedger(e.Event); belongs != (err == nil) {
			t.Fatalf("belongs to the ledger: %v, read with %v: %+v", belongs, err, e)
		}
		if err != nil {
			continue
		}
		passed++
		d, err := consumers.Decode(consumers.Encode(ledger, read))
		if err != nil {
			t.Fatalf("%v of %q %q", err, e.Data, e.Metadata)
		}
		if !reflect.DeepEqual(d.RecordedEvent, e) {
			t.Fatalf("came back as %+v, was %+v", d.RecordedEvent, e)
		}
	}
}

// What Decode accepts, Encode writes again, byte for byte but for the key's choice and foreign
// headers.
func FuzzDecode(f *testing.F) {
	for _, r := range kafkatest.Numbered(0, kafkatest.NewGenerator(5).Events(6)) {
		m := encode(r)
		f.Add(m.Topic, m.Key, m.Value, flatten(m.Headers))
	}
	f.Fuzz(func(t *testing.T, topic string, key, value, headers []byte) {
		m := consumers.Message{Topic: topic, Key: key, Value: value, Headers: unflatten(headers)}
		d, err := consumers.Decode(m)
		if err != nil {
			if !errors.Is(err, consumers.ErrMalformed) && !errors.Is(err, consumers.ErrTampered) {
				t.Fatalf("an error of neither kind: %v", err)
			}
			return
		}
		again := consumers.Encode(d.Ledger, d.Envelope)
		known := map[string]bool{}
		for _, h := range again.Headers {
			known[h.Key] = true
		}
		mine := map[string]string{}
		for _, h := range m.Headers {
			if known[h.Key] {
				mine[h.Key] = string(h.Value)
			}
		}
		for _, h := range again.Headers {
			if _, given := mine[h.Key]; h.Key == "ce_dataschema" && !given {
				continue // older relays wrote none
			}
			if mine[h.Key] != string(h.Value) {
				t.Fatalf("header %s: %q, was %q", h.Key, h.Value, mine[h.Key])
			}
		}
		if own := "ledger." + d.Stream.Kind(); topic != again.Topic && topic != own &&
			topic != consumers.OtherTopic || !bytes.Equal(again.Value, value) {
			t.Fatal("topic or value differ")
		}
	})
}

func flatten(hs []consumers.Header) []byte {
	var b []byte
	for _, h := range hs {
		b = schemas.LP(schemas.LP(b, h.Key), h.Value)
	}
	return b
}

func unflatten(b []byte) []consumers.Header {
	next := func() []byte {
		if len(b) < 4 {
			b = nil
			return nil
		}
		n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		b = b[4:]
		n = min(n, len(b))
		out := b[:n:n]
		b = b[n:]
		return out
	}
	var hs []consumers.Header
	for len(b) > 0 && len(hs) < 64 {
		hs = append(hs, consumers.Header{Key: string(next()), Value: next()})
	}
	return hs
}

func TestPositionRoundTrip(t *testing.T) {
	p := consumers.Position{
		Through: schemas.Anchor{LedgerID: ledgerID, Seq: 1<<63 + 1, EventID: uuid.New(), Leaf: [32]byte{1, 31: 2},
			Position: schemas.Position{Commit: 9, Prepare: 8}},
		Topics: map[string]consumers.TopicPosition{
			"ledger.device": {ID: uuid.New(), Ends: []int64{0, 5, 1 << 40}},
			"ledger.tenant": {Ends: []int64{1}},
		},
	}
	got, err := consumers.ParsePosition(p.Encode())
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Fatalf("%+v, %v", got, err)
	}
	raw := string(p.Encode())
	for _, bad := range []string{
		"", "{}", "null", raw + "{}", raw + "}", raw + " ", " " + raw, strings.Repeat("[", 300<<10),
		strings.Replace(raw, `"v":1,`, `"v":1,"v":1,`, 1), strings.Replace(raw, `"v":1`, `"v":2`, 1),
		strings.Replace(raw, `"v":1`, `"v":1,"w":1`, 1),
		strings.Replace(raw, "ledger.device", "other", 1), strings.Replace(raw, "[1]", "[]", 1),
		strings.Replace(raw, "[1]", "[-1]", 1),
		strings.Replace(raw, `"9/8"`, `"9"`, 1), strings.Replace(raw, `"leaf":"01`, `"leaf":"`, 1),
	} {
		if _, err := consumers.ParsePosition([]byte(bad)); err == nil {
			t.Errorf("accepted %s", bad)
		}
	}
}

// What ParsePosition accepts is what Encode writes, byte for byte.
func FuzzParsePosition(f *testing.F) {
	p := consumers.Position{Through: schemas.Anchor{LedgerID: ledgerID, Seq: 7, EventID: ledgerID},
		Topics: map[string]consumers.TopicPosition{"ledger.device": {ID: ledgerID, Ends: []int64{3, 0}}}}
	f.Add(p.Encode())
	f.Add(consumers.Position{}.Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := consumers.ParsePosition(raw)
		if err == nil && !bytes.Equal(p.Encode(), raw) {
			t.Fatalf("%s became %s", raw, p.Encode())
		}
	})
}
