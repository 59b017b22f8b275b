// Package schemas owns the bytes that an immutable ledger cannot take back: stream names,
// event metadata, sealed tokens, leaves, and the catalogue that says of every attribute
// what it is and who may forget it.
//
// It keeps no state, opens no file at run time and holds no key: it may lose nothing. It
// trusts only the catalogue compiled into it; every byte that comes from outside is parsed
// strictly. The formats are those of docs/FORMATS.md, frozen at v1, and
// testdata/vectors.json is their acceptance test.
package schemas

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

// Limits of one event and of what a single append may carry (FORMATS §2). Sizes
// are bytes of data plus metadata.
const (
	MaxEventBytes   = 256 << 10
	MaxAppendBytes  = 768 << 10
	MaxListEntries  = 200 // entries of a list delta in one event
	MaxSubjects     = 64
	ContentTypeJSON = "application/json"
)

// Stream names one stream of the event store, in the form "<kind>-<uuid>"
// when it belongs to the ledger.
type Stream string

var streamForm = regexp.MustCompile(`^[a-z]{2,20}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// StreamPattern is the regular expression of a ledger stream's name, for
// servers that protect such streams.
func StreamPattern() *regexp.Regexp { return streamForm }

// NewStream returns the stream of the entity id of that kind.
func NewStream(kind string, id uuid.UUID) Stream { return Stream(kind + "-" + id.String()) }

// Kind returns the part before the uuid ("device"), or "" when s is not a ledger stream.
func (s Stream) Kind() string {
	if !s.Valid() {
		return ""
	}
	return string(s[:len(s)-37])
}

// UUID returns the entity's uuid, or uuid.Nil when s is not a ledger stream.
func (s Stream) UUID() uuid.UUID {
	if !s.Valid() {
		return uuid.Nil
	}
	return uuid.MustParse(string(s[len(s)-36:]))
}

// Valid reports whether s has the form of a ledger stream. It is StreamPattern written out: every
// event passes it several times.
func (s Stream) Valid() bool {
	kind := len(s) - 37
	if kind < 2 || kind > 20 || s[kind] != '-' {
		return false
	}
	for i := range kind {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	for i, c := range []byte(s[kind+1:]) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// LedgerStream is where the store's first event, ledger.created.v1, lives.
const LedgerStream Stream = "ledger-00000000-0000-0000-0000-000000000000"

// Position is a place in the store's $all order. It is a hint: a persisted position is an Anchor.
type Position struct{ Commit, Prepare uint64 }

// String returns "commit/prepare" in decimal, as the ledger_position header has it.
func (p Position) String() string { return fmt.Sprintf("%d/%d", p.Commit, p.Prepare) }

// ParsePosition is the inverse of Position.String.
func ParsePosition(s string) (Position, error) {
	var p Position
	if _, err := fmt.Sscanf(s, "%d/%d", &p.Commit, &p.Prepare); err != nil || p.String() != s {
		return Position{}, fmt.Errorf("position %q: want commit/prepare in decimal", s)
	}
	return p, nil
}

// Event holds exactly the bytes that are, or will be, stored.
type Event struct {
	ID       uuid.UUID
	Stream   Stream
	Type     string
	Data     json.RawMessage
	Metadata json.RawMessage
}

// Size returns the bytes that count against MaxEventBytes.
func (e Event) Size() int { return len(e.Data) + len(e.Metadata) }

// RecordedEvent is an event as a store holds it, whosever it is: nothing about its bytes was
// checked. NewEnvelope checks one. Seq counts ledger events from 0 in $all order and is meaningful
// only where the ledger, the topics or a view supplied it.
type RecordedEvent struct {
	Event
	Revision uint64
	Seq      uint64
	Position Position
	Created  time.Time
}

// Anchor is a persisted position: the event at Seq must still be EventID with
// that Leaf in ledger LedgerID.
type Anchor struct {
	LedgerID uuid.UUID
	Seq      uint64
	EventID  uuid.UUID
	Leaf     [32]byte
	Position Position // a hint for seeking, never compared
}

// Subject is an entry of the metadata's subjects: an alias, never a person.
type Subject struct {
	ID   uuid.UUID `json:"id"`
	Role string    `json:"role"`
}

// Metadata is an event's metadata (FORMATS §3). Zero Occurred, Correlation
// or Causation are left out.
type Metadata struct {
	Tenant      uuid.UUID
	Occurred    time.Time
	Recorded    time.Time
	Source      string
	Correlation uuid.UUID
	Causation   uuid.UUID
	Policy      uint64
	Subjects    []Subject
	Origin      Origin // as it was read; Encode does not write it, Sign does
}

const timeForm = "2006-01-02T15:04:05.000Z"

// Time writes t as the formats want it: UTC, suffix Z, three decimals, cut and never rounded.
func Time(t time.Time) string { return t.UTC().Truncate(time.Millisecond).Format(timeForm) }

// KnownTime returns t, or the zero time where its year is 0001 or 9999,
// which mean unknown at the source.
func KnownTime(t time.Time) time.Time {
	if y := t.UTC().Year(); y <= 1 || y >= 9999 {
		return time.Time{}
	}
	return t
}

// Month returns the yyyymm under whose period key an event is sealed: that of occurred, and of
// recorded where occurred is absent or later (compared before cutting).
func Month(occurred, recorded time.Time) string {
	if KnownTime(occurred).IsZero() || occurred.After(recorded) {
		return recorded.UTC().Format("200601")
	}
	return occurred.UTC().Format("200601")
}

// Encode returns the metadata's bytes in the frozen member order, without the origin: only who
// knows the revision can make that (Sign).
func (m Metadata) Encode() (json.RawMessage, error) {
	if m.Recorded.IsZero() {
		return nil, errors.New("metadata: recordedAt is missing")
	}
	if !validTerm(m.Source) {
		return nil, errors.New("metadata: source is not 1 to 32 letters and hyphens")
	}
	if m.Policy > maxPolicy {
		return nil, fmt.Errorf("metadata: policy %d has more than %d digits", m.Policy, maxPolicyDigit)
	}
	if len(m.Subjects) > MaxSubjects {
		return nil, fmt.Errorf("metadata: %d subjects, at most %d are allowed in one event",
			len(m.Subjects), MaxSubjects)
	}
	b := make([]byte, 0, 320+96*len(m.Subjects)) // the origin too
	uuidText := func(name string, id uuid.UUID) {
		b = append(append(append(b, name...), id.String()...), '"')
	}
	uuidText(`{"v":1,"tenant":"`, m.Tenant)
	if t := KnownTime(m.Occurred); !t.IsZero() {
		b = append(append(append(b, `,"occurredAt":"`...), Time(t)...), '"')
	}
	b = append(append(b, `,"recordedAt":"`...), Time(m.Recorded)...)
	b = append(append(append(b, `","source":"`...), m.Source...), '"')
	if m.Correlation != uuid.Nil {
		uuidText(`,"$correlationId":"`, m.Correlation)
	}
	if m.Causation != uuid.Nil {
		uuidText(`,"$causationId":"`, m.Causation)
	}
	b = append(strconv.AppendUint(append(b, `,"policy":`...), m.Policy, 10), `,"subjects":[`...)
	for i, s := range m.Subjects {
		if !validTerm(s.Role) {
			return nil, fmt.Errorf("metadata: subjects[%d].role is not 1 to 32 letters and hyphens", i)
		}
		if i > 0 {
			b = append(b, ',')
		}
		uuidText(`{"id":"`, s.ID)
		b = append(append(append(b, `,"role":"`...), s.Role...), `"}`...)
	}
	return append(b, "]}"...), nil
}

// ParseMetadata reads stored metadata. It accepts the one form in which it is written and nothing
// else; an error names the member.
func ParseMetadata(raw []byte) (m Metadata, err error) {
	var s metadataScanner
	err = s.scan(raw, &m)
	return m, err
}

// TenantOf reads the tenant alone out of metadata in its only form; false where it does not begin
// so. It does not check the rest.
func TenantOf(metadata []byte) (uuid.UUID, bool) {
	s := metadataScanner{rest: metadata}
	if !s.literal(metadataHead) {
		return uuid.Nil, false
	}
	return s.uuid()
}

// ParseUUID accepts only the 36-character lower-case form in which the ledger writes uuids.
func ParseUUID(s string) (uuid.UUID, error) {
	u, ok := looks.UUID(s)
	if !ok {
		return uuid.Nil, fmt.Errorf("%q is not a uuid in lower-case form", s)
	}
	return u, nil
}

// UUIDv8 returns the first 16 bytes of x with version and variant bits overwritten (FORMATS,
// head).
func UUIDv8(x []byte) uuid.UUID {
	var u uuid.UUID
	copy(u[:], x[:16])
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u
}

// LowerASCII lower-cases A to Z only; other letters keep their case (FORMATS, head).
func LowerASCII(s string) string { return looks.LowerASCII(s) }

// LP appends lp(x): the length as a big-endian u32, then x.
func LP[T string | []byte](dst []byte, x T) []byte {
	n := uint32(len(x))
	dst = append(dst, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	return append(dst, x...)
}

// JSON returns v as the ledger writes JSON: compact, no HTML escaping. It panics on a value that
// JSON cannot express, which for the types the ledger passes is a programming error.
func JSON(v any) json.RawMessage {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(nil, v)
	case string:
		return JSONText(v)
	}
	return encoded(v)
}

// JSONText returns a text as JSON does.
func JSONText(s string) json.RawMessage { return appendText(make([]byte, 0, len(s)+2), s) }

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(b, encoded(s)...) // it needs an escape, or a closer look
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func encoded(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("schemas: JSON of %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Base64 is the strict base64url without padding in which tokens are written.
var Base64 = base64.RawURLEncoding.Strict()
