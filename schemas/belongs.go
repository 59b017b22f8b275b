package schemas

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
	"github.com/ledgerline/ledgerline/schemas/internal/looks"
	"github.com/ledgerline/ledgerline/schemas/internal/work"
)

// This file is the one total function that says which events belong to the ledger (FORMATS §3). It
// never changes: the ledger sequence counts what it accepts, and a second implementation that
// counted otherwise would number every later event otherwise. It looks at bytes, never at
// vocabularies, and whatever it accepts every reader takes.

// Limits of the bytes of an event of the ledger.
const (
	maxTypeLength  = 80
	maxTermLength  = 32 // of source and role
	maxPolicyDigit = 9
	maxPolicy      = 999_999_999
	maxDepth       = 100 // of nested objects and arrays in data
)

// metadataHead is how metadata begins; the tenant follows.
const metadataHead = `{"v":1,"tenant":"`

// InLedger reports whether an event belongs to the ledger (FORMATS §3). Anything else in the store
// is foreign: it has no sequence, is in no view, and is told where states are told.
func InLedger(e Event) bool { return examine(e, nil) == nil }

// examine returns nil for an event of the ledger, and else why it is none. What the metadata says
// goes into m, unless that is nil.
func examine(e Event, m *Metadata) error {
	switch {
	case e.ID == uuid.Nil:
		return errZeroID
	case e.Size() > MaxEventBytes:
		return ErrTooLarge
	case !validType(e.Type):
		return errNoType
	case !e.Stream.Valid():
		return errNoStream
	}
	if kind := e.Stream.Kind(); kind == "position" || kind == "checkpoint" {
		return errNoStream // topics of those names are the relay's and the log's own
	}
	var s metadataScanner
	if err := s.scan(e.Metadata, m); err != nil {
		return err
	}
	if s.zeroTenant != (e.Stream == LedgerStream) {
		return errZeroTenant
	}
	if !isObject(e.Data) {
		return errNoObject
	}
	return nil
}

// Why an event does not belong to the ledger, beside its size and its metadata.
var (
	errZeroID     = errors.New("its id is zero")
	errNoType     = errors.New("its type is not of the ledger's form")
	errNoStream   = errors.New("its stream is not of the ledger's form")
	errZeroTenant = errors.New("the zero tenant has the ledger's own stream, and no other tenant has")
	errNoObject   = errors.New("its data is not one JSON object")
)

// validType is ^[a-z][a-z0-9.-]{0,79}$.
func validType(t string) bool {
	if len(t) == 0 || len(t) > maxTypeLength || t[0] < 'a' || t[0] > 'z' {
		return false
	}
	for i := 1; i < len(t); i++ {
		if c := t[i]; !lower(c) && !digit(c) && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

func lower(c byte) bool { return c >= 'a' && c <= 'z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }

// metadataScanner reads metadata in its only form: no white space, no escapes, every member in its
// place. An error names the member that is not as it is written.
type metadataScanner struct {
	rest       []byte
	zeroTenant bool
}

// scan checks raw, and puts what it says into m unless m is nil; it then allocates nothing.
func (s *metadataScanner) scan(raw []byte, m *Metadata) error {
	work.Parsed()
	s.rest = raw
	if !s.literal(metadataHead) {
		return notAsWritten("v")
	}
	tenant, ok := s.uuid()
	if !ok || !s.literal(`"`) {
		return notAsWritten("tenant")
	}
	s.zeroTenant = tenant == uuid.Nil
	var occurred, recorded time.Time
	var correlation, causation uuid.UUID
	if s.literal(`,"occurredAt":"`) {
		if occurred, ok = s.time(m != nil); !ok {
			return notAsWritten("occurredAt")
		}
	}
	if !s.literal(`,"recordedAt":"`) {
		return notAsWritten("recordedAt")
	}
	if recorded, ok = s.time(m != nil); !ok {
		return notAsWritten("recordedAt")
	}
	if !s.literal(`,"source":"`) {
		return notAsWritten("source")
	}
	source, ok := s.term()
	if !ok {
		return notAsWritten("source")
	}
	if s.literal(`,"$correlationId":"`) {
		if correlation, ok = s.uuid(); !ok || !s.literal(`"`) {
			return notAsWritten("$correlationId")
		}
	}
	if s.literal(`,"$causationId":"`) {
		if causation, ok = s.uuid(); !ok || !s.literal(`"`) {
			return notAsWritten("$causationId")
		}
	}
	if !s.literal(`,"policy":`) {
		return notAsWritten("policy")
	}
	policy, ok := s.policy()
	if !ok || !s.literal(`,"subjects":[`) {
		return notAsWritten("policy")
	}
	var subjects []Subject
	for n := 0; !s.literal(`]`); n++ {
		if n == MaxSubjects || n > 0 && !s.literal(`,`) || !s.literal(`{"id":"`) {
			return notAsWritten("subjects")
		}
		id, ok := s.uuid()
		if !ok || !s.literal(`","role":"`) {
			return notAsWritten("subjects")
		}
		role, ok := s.term()
		if !ok || !s.literal(`}`) {
			return notAsWritten("subjects")
		}
		if m != nil {
			subjects = append(subjects, Subject{ID: id, Role: word(role)})
		}
	}
	if !s.literal(originHead) {
		return notAsWritten("origin")
	}
	origin, ok := s.origin()
	if !ok || !s.literal(`"}`) {
		return notAsWritten("origin")
	}
	if len(s.rest) > 0 {
		return errors.New("metadata: there is more after its last brace")
	}
	if m != nil {
		*m = Metadata{Tenant: tenant, Occurred: occurred, Recorded: recorded, Source: word(source),
			Correlation: correlation, Causation: causation, Policy: policy, Subjects: subjects, Origin: origin}
	}
	return nil
}

func notAsWritten(member string) error {
	return fmt.Errorf("metadata: %s is missing or not in the one form in which it is written", member)
}

func (s *metadataScanner) literal(text string) bool {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

// uuid reads 36 characters, in lower case.
func (s *metadataScanner) uuid() (u uuid.UUID, ok bool) {
	if len(s.rest) < 36 {
		return u, false
	}
	u, ok = looks.UUID(s.rest[:36])
	if ok {
		s.rest = s.rest[36:]
	}
	return u, ok
}

func validTerm(s string) bool {
	for i := range len(s) {
		if !lower(s[i]) && s[i] != '-' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= maxTermLength
}

// term reads [a-z-]{1,32} and the quotation mark after it.
func (s *metadataScanner) term() (text []byte, ok bool) {
	n := 0
	for n < len(s.rest) && (lower(s.rest[n]) || s.rest[n] == '-') {
		n++
	}
	if n == 0 || n > maxTermLength || n == len(s.rest) || s.rest[n] != '"' {
		return nil, false
	}
	text, s.rest = s.rest[:n], s.rest[n+1:]
	return text, true
}

// word returns a term as a string. Those that events are full of share one piece of memory each.
func word(term []byte) string {
	if w, ok := frequent[string(term)]; ok { // does not allocate
		return w
	}
	return string(term)
}

var frequent = func() map[string]string {
	m := map[string]string{}
	for _, w := range append([]string{"graph", "azure-monitor", "custody", "ledger"}, catalogue.Roles...) {
		m[w] = w
	}
	return m
}()

func (s *metadataScanner) policy() (n uint64, ok bool) {
	i := 0
	for i < len(s.rest) && i < maxPolicyDigit && digit(s.rest[i]) {
		n = n*10 + uint64(s.rest[i]-'0')
		i++
	}
	if i == 0 || i > 1 && s.rest[0] == '0' {
		return 0, false
	}
	s.rest = s.rest[i:]
	return n, true
}

// time reads 2006-01-02T15:04:05.000Z and the quotation mark after it: an instant of the Gregorian
// calendar, years 0000 to 9999, no leap second.
func (s *metadataScanner) time(wanted bool) (t time.Time, ok bool) {
	const form = "0000-00-00T00:00:00.000Z\""
	if len(s.rest) < len(form) {
		return t, false
	}
	b := s.rest[:len(form)]
	for i := range len(form) {
		if form[i] == '0' && !digit(b[i]) || form[i] != '0' && b[i] != form[i] {
			return t, false
		}
	}
	two := func(i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return t, false
	}
	if wanted {
		nanos := (int(b[20]-'0')*100 + two(21)) * int(time.Millisecond)
		t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	}
	s.rest = s.rest[len(form):]
	return t, true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// origin reads 43 characters of strict base64url: the last one has two spare bits, which are zero.
func (s *metadataScanner) origin() (o Origin, ok bool) {
	if len(s.rest) < originText {
		return o, false
	}
	if n, err := Base64.Decode(o[:], s.rest[:originText]); err != nil || n != len(o) {
		return o, false
	}
	s.rest = s.rest[originText:]
	return o, true
}

// isObject reports whether data is one RFC 8259 object from its first byte to its last, valid
// UTF-8, nested at most maxDepth levels. Members may repeat and numbers be of any size: a reader
// that cannot use them says that they do not fit the type.
func isObject(data []byte) bool {
	if len(data) < 2 || data[0] != '{' || data[len(data)-1] != '}' || !utf8.Valid(data) {
		return false
	}
	j := jsonScanner{data: data}
	return j.value() && j.at == len(data)
}

// jsonScanner walks the grammar of RFC 8259. It is not encoding/json's Valid because that knows no
// limit of depth below its own and is several times slower, and every event passes here.
type jsonScanner struct {
	data  []byte
	at    int
	depth int
}

func (j *jsonScanner) space() {
	for j.at < len(j.data) {
		switch j.data[j.at] {
		case ' ', '\t', '\n', '\r':
			j.at++
		default:
			return
		}
	}
}

// take passes c and reports whether it was there.
func (j *jsonScanner) take(c byte) bool {
	if j.at < len(j.data) && j.data[j.at] == c {
		j.at++
		return true
	}
	return false
}

func (j *jsonScanner) value() bool {
	if j.at == len(j.data) {
		return false
	}
	switch c := j.data[j.at]; {
	case c == '{':
		return j.nested('}', true)
	case c == '[':
		return j.nested(']', false)
	case c == '"':
		return j.text()
	case c == '-' || digit(c):
		return j.number()
	case c == 't':
		return j.word("true")
	case c == 'f':
		return j.word("false")
	case c == 'n':
		return j.word("null")
	}
	return false
}

// nested walks an object or an array, from its first bracket to its last.
func (j *jsonScanner) nested(end byte, members bool) bool {
	if j.depth++; j.depth > maxDepth {
		return false
	}
	j.at++
	j.space()
	if j.take(end) {
		j.depth--
		return true
	}
	for {
		if members {
			if j.at == len(j.data) || j.data[j.at] != '"' || !j.text() {
				return false
			}
			j.space()
			if !j.take(':') {
				return false
			}
			j.space()
		}
		if !j.value() {
			return false
		}
		j.space()
		if j.take(end) {
			j.depth--
			return true
		}
		if !j.take(',') {
			return false
		}
		j.space()
	}
}

func (j *jsonScanner) word(w string) bool {
	if !bytes.HasPrefix(j.data[j.at:], []byte(w)) {
		return false
	}
	j.at += len(w)
	return true
}

func (j *jsonScanner) digits() bool {
	from := j.at
	for j.at < len(j.data) && digit(j.data[j.at]) {
		j.at++
	}
	return j.at > from
}

func (j *jsonScanner) number() bool {
	j.take('-')
	if !j.take('0') && !j.digits() {
		return false
	}
	if j.take('.') && !j.digits() {
		return false
	}
	if j.take('e') || j.take('E') {
		if !j.take('+') {
			j.take('-')
		}
		return j.digits()
	}
	return true
}

// text walks a string. Escaped surrogates need no partner: the grammar does not ask for one.
func (j *jsonScanner) text() bool {
	for j.at++; ; j.at++ {
		for j.at+8 <= len(j.data) && ordinary(binary.LittleEndian.Uint64(j.data[j.at:])) {
			j.at += 8
		}
		if j.at >= len(j.data) {
			return false
		}
		switch c := j.data[j.at]; {
		case c == '"':
			j.at++
			return true
		case c < ' ':
			return false
		case c == '\\':
			j.at++
			if j.at == len(j.data) {
				return false
			}
			switch j.data[j.at] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				var four [2]byte
				if len(j.data)-j.at < 5 {
					return false
				}
				if _, err := hex.Decode(four[:], j.data[j.at+1:j.at+5]); err != nil {
					return false
				}
				j.at += 4
			default:
				return false
			}
		}
	}
}

// ordinary reports whether none of eight bytes ends a string, begins an escape or is a control
// character. Most of an event is text, and it is looked at eight bytes at a time: a byte that is
// to be found becomes zero, and a zero byte alone borrows from its highest bit.
func ordinary(eight uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, escape := eight^('"'*ones), eight^('\\'*ones)
	return ((quote-ones)&^quote|(escape-ones)&^escape|(eight-' '*ones)&^eight)&high == 0
}
