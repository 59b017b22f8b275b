package consumers

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Names of topics that are not of a kind.
const (
	topicPrefix     = "ledger."
	PositionTopic   = "ledger.position"
	DeadLetterTopic = "ledger.dead-letter"
	CheckpointTopic = "ledger.checkpoint"
	// OtherTopic holds the events of every kind that has no topic of its own.
	OtherTopic = "ledger.other"
)

// Kinds lists the kinds of streams that have a topic of their own. Kinds are open, and whoever may
// append can make up any number of them, so an unknown one makes no topic.
var Kinds = []string{"device", "adminaction", "remoteaction", "alert", "app", "account", "tenant", "subject",
	"request", "access", "refusal", "diagnostic", "support", "ledger", "role", "connector",
	"configuration", "counts", "registration", "status", "terms", "adminusage", "billing", "correspondence",
	"licence", "platformid"}

var knownTopics = func() map[string]string {
	m := make(map[string]string, len(Kinds))
	for _, kind := range Kinds {
		m[kind] = topicPrefix + kind
	}
	return m
}()

var kindForm = regexp.MustCompile(`^[a-z]{2,20}$`)

// TopicOfKind returns the topic of a kind's events: its own, or OtherTopic. It is never that of
// positions, dead letters or checkpoints.
func TopicOfKind(kind string) string {
	if topic, ok := knownTopics[kind]; ok {
		return topic
	}
	return OtherTopic
}

// EventTopic reports whether topic may hold events: a kind's, this program's or a newer one's, or
// OtherTopic.
func EventTopic(topic string) bool {
	kind, ok := strings.CutPrefix(topic, topicPrefix)
	return ok && kindForm.MatchString(kind) && topic != PositionTopic && topic != CheckpointTopic
}

// EventTopics returns the topics that events are published to, in order of Kinds and OtherTopic
// last.
func EventTopics() []string {
	out := make([]string, 0, len(Kinds)+1)
	for _, kind := range Kinds {
		out = append(out, TopicOfKind(kind))
	}
	return append(out, OtherTopic)
}

// belongs reports whether a kind's events may lie in topic: another version may know more kinds,
// or fewer.
func belongs(kind, topic string) bool {
	return EventTopic(topic) && (topic == OtherTopic || topic == topicPrefix+kind)
}

// Route returns the topic of an event and the key that chooses its partition: the tenant's uuid
// for facts, so that one reader sees a tenant's actions in order, and the stream for states and
// for types the catalogue does not know.
func Route(e schemas.Envelope) (topic, key string) {
	topic = TopicOfKind(e.Stream.Kind())
	if t := schemas.Default().Type(e.Type); t == nil || t.Form != schemas.FormFact {
		return topic, string(e.Stream)
	}
	return topic, e.Meta().Tenant.String()
}

const sourcePrefix = "urn:ledgerline:"

// Header names, in the order in which they are written.
const (
	hContentType = "content-type"
	hSpecVersion = "ce_specversion"
	hID          = "ce_id"
	hSource      = "ce_source"
	hSubject     = "ce_subject"
	hType        = "ce_type"
	hSchema      = "ce_dataschema"
	hTime        = "ce_time"
	hRecorded    = "ce_recordedtime"
	hTenant      = "ce_tenant"
	hSeq         = "ce_ledgerseq"
	hRevision    = "ce_ledgerrevision"
	hLeaf        = "ce_ledgerleaf"
	hMetadata    = "ledger_metadata"
	hPosition    = "ledger_position"
)

var known = map[string]bool{
	hContentType: true, hSpecVersion: true, hID: true, hSource: true, hSubject: true, hType: true,
	hSchema: true, hTime: true, hRecorded: true, hTenant: true, hSeq: true, hRevision: true, hLeaf: true,
	hMetadata: true, hPosition: true,
}

// Delivered is an event as a message delivered it. Its envelope was made of the message's bytes;
// Created is zero, since it is not part of the message.
type Delivered struct {
	schemas.Envelope
	Ledger uuid.UUID // whose event the message says it is
}

// Encode returns the message of an event of that ledger (FORMATS §8), with topic and key but
// without partition, offset and time, which the publisher knows.
func Encode(ledger uuid.UUID, e schemas.Envelope) Message {
	m, leaf := e.Meta(), e.Leaf()
	topic, key := Route(e)
	h, values := make([]Header, 0, len(known)), make([]byte, 0, 512) // all values in one piece of memory
	add := func(k, v string) {
		i := len(values)
		values = append(values, v...)
		h = append(h, Header{k, values[i:len(values):len(values)]})
	}
	add(hContentType, schemas.ContentTypeJSON)
	add(hSpecVersion, "1.0")
	add(hID, e.ID.String())
	add(hSource, sourcePrefix+ledger.String())
	add(hSubject, string(e.Stream))
	add(hType, e.Type)
	if schemas.Default().Type(e.Type) != nil {
		add(hSchema, schemas.SchemaURI(e.Type))
	}
	if t := schemas.KnownTime(m.Occurred); !t.IsZero() {
		add(hTime, schemas.Time(t))
	}
	add(hRecorded, schemas.Time(m.Recorded))
	add(hTenant, m.Tenant.String())
	add(hSeq, strconv.FormatUint(e.Seq, 10))
	add(hRevision, strconv.FormatUint(e.Revision, 10))
	add(hLeaf, hex.EncodeToString(leaf[:]))
	h = append(h, Header{hMetadata, e.Metadata})
	add(hPosition, e.Position.String())
	return Message{Topic: topic, Key: []byte(key), Value: e.Data, Headers: h}
}

// Decode is the inverse of Encode. It is strict: every header of the format once and in its form
// (ErrMalformed), the leaf recomputed from the bytes, and topic, key, tenant and times as the
// bytes say (ErrTampered). Headers that the format does not know are ignored, since brokers and
// tracers add their own. The result shares memory with m.
func Decode(m Message) (Delivered, error) {
	fail := func(kind, why error) (Delivered, error) {
		return Delivered{}, fmt.Errorf("decode %s/%d@%d: %w: %w", m.Topic, m.Partition, m.Offset, kind, why)
	}
	bad := func(format string, args ...any) (Delivered, error) {
		return fail(ErrMalformed, fmt.Errorf(format, args...))
	}
	tampered := func(format string, args ...any) (Delivered, error) {
		return fail(ErrTampered, fmt.Errorf(format, args...))
	}
	h := make(map[string][]byte, len(known))
	for _, x := range m.Headers {
		if !known[x.Key] {
			continue
		}
		if _, twice := h[x.Key]; twice {
			return bad("header %s comes twice", x.Key)
		}
		h[x.Key] = x.Value
	}
	for k := range known {
		if _, ok := h[k]; !ok && k != hTime && k != hSchema {
			return bad("header %s is missing", k)
		}
	}
	if s := string(h[hContentType]); s != schemas.ContentTypeJSON {
		return bad("header %s is %q", hContentType, s)
	}
	if s := string(h[hSpecVersion]); s != "1.0" {
		return bad("header %s is %q", hSpecVersion, s)
	}
	if len(m.Value) == 0 {
		return bad("no value")
	}
	var r schemas.RecordedEvent
	var err error
	if r.ID, err = schemas.ParseUUID(string(h[hID])); err != nil {
		return bad("%s: %w", hID, err)
	}
	source, ok := strings.CutPrefix(string(h[hSource]), sourcePrefix)
	if !ok {
		return bad("%s: not a ledger's", hSource)
	}
	ledger, err := schemas.ParseUUID(source)
	if err != nil {
		return bad("%s: %w", hSource, err)
	}
	tenant, err := schemas.ParseUUID(string(h[hTenant]))
	if err != nil {
		return bad("%s: %w", hTenant, err)
	}
	if r.Seq, err = decimal(h[hSeq]); err != nil {
		return bad("%s: %w", hSeq, err)
	}
	if r.Revision, err = decimal(h[hRevision]); err != nil {
		return bad("%s: %w", hRevision, err)
	}
	if r.Position, err = schemas.ParsePosition(string(h[hPosition])); err != nil {
		return bad("%s: %w", hPosition, err)
	}
	r.Stream, r.Type = schemas.Stream(h[hSubject]), string(h[hType])
	r.Data, r.Metadata = m.Value, h[hMetadata]
	e, err := schemas.NewEnvelope(r)
	if err != nil {
		return bad("%s, %s, %s and value are not an event of the ledger", hSubject, hType, hMetadata)
	}
	if leaf := e.Leaf(); hex.EncodeToString(leaf[:]) != string(h[hLeaf]) {
		return tampered("%s does not follow from the bytes", hLeaf)
	}
	meta := e.Meta()
	if meta.Tenant != tenant {
		return tampered("%s is not the metadata's", hTenant)
	}
	occurred := ""
	if t := schemas.KnownTime(meta.Occurred); !t.IsZero() {
		occurred = schemas.Time(t)
	}
	if _, given := h[hTime]; given != (occurred != "") || string(h[hTime]) != occurred {
		return tampered("%s is not the metadata's", hTime)
	}
	if string(h[hRecorded]) != schemas.Time(meta.Recorded) {
		return tampered("%s is not the metadata's", hRecorded)
	}
	// A relay that does not know the type gives no schema, nor did relays before there were any.
	if uri, given := h[hSchema]; given && string(uri) != schemas.SchemaURI(e.Type) {
		return tampered("%s is not the type's", hSchema)
	}
	if kind := e.Stream.Kind(); !belongs(kind, m.Topic) {
		return tampered("stream of kind %q does not belong to this topic", kind)
	}
	// Which of the two it is depends on the catalogue of the relay that wrote it, which may be
	// newer than ours.
	if k := string(m.Key); k != string(e.Stream) && k != tenant.String() {
		return tampered("key is neither the stream nor the tenant")
	}
	return Delivered{e, ledger}, nil
}

// decimal reads a number as Encode writes it: no sign, no leading zero.
func decimal(b []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != string(b) {
		return 0, fmt.Errorf("%q is not a decimal number", b)
	}
	return n, nil
}
