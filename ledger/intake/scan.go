package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxRecordBytes is what one record may measure: a device with some twenty thousand apps. A file, a page or a line that holds many records
// may be of any size.
const maxRecordBytes = 8 << 20

// lookAhead is how far a line is read to learn whether it is JSON of its own; a longer one is read as a stream.
const lookAhead = 256 << 10

// maxNesting bounds containers within containers (a list of responses, its body, its value).
const maxNesting = 8

// item is one record as it stands in a file.
type item struct {
	raw     []byte // its text, owned by the receiver; its brackets and quotes match, the rest is not checked
	context string // @odata.context of the page or object it stands in, if given before it
	line    int    // where it begins, from 1
	number  int    // which record of the file it is, from 1
}

// visitor receives what a scan finds. An error of its own ends the scan and is returned by it.
type visitor interface {
	record(item) error
	// broken is called for a record that cannot be read, and the scan goes on.
	broken(line, number int, reason string) error
	// foreign is called once, for a file that is no JSON at all.
	foreign(kind string) error
}

type scanner struct {
	*window
	to     visitor
	number int
	lines  bool // the file has shown itself to be JSON lines
	seen   bool // something was found
}

// malformed is a fault of what is read, not of reading it.
type malformed struct{ reason string }

func (m malformed) Error() string { return m.reason }

var (
	errEndsInside = malformed{"ends inside a JSON value"}
	errTooLarge   = malformed{fmt.Sprintf("record is larger than %d bytes", maxRecordBytes)}
)

// scan reads one file and recognises by content how its records are held: JSON lines, pages, responses, batches or a single object. It holds one
// record at a time. The error is one of reading, or the visitor's own.
func scan(src io.Reader, to visitor) error {
	s := &scanner{window: newWindow(src), to: to}
	switch {
	case s.startsWith("\xef\xbb\xbf"):
		s.r += 3
	case s.startsWith("\xff\xfe"), s.startsWith("\xfe\xff"):
		return to.foreign("text in UTF-16")
	}
	for {
		b, ok := s.skipSpace()
		if !ok {
			return s.fault()
		}
		if b != '{' && b != '[' && !s.seen {
			return to.foreign("no JSON")
		}
		if err := s.top(b); err != nil {
			return err
		}
		s.seen = true
	}
}

// top reads the value that begins here, and after a fault finds the place to go on.
func (s *scanner) top(b byte) error {
	start := s.line
	line, next, whole := s.lineFrom(0, lookAhead)
	if whole {
		switch {
		case json.Valid(line):
			s.lines = true
		case s.lines, s.lineIsBroken(line, next), b != '{' && b != '[':
			s.skipLine()
			s.number++
			return s.to.broken(start, s.number, brokenReason(line))
		}
	}
	err := s.value(0, "", true)
	var bad malformed
	if !errors.As(err, &bad) {
		return err
	}
	if err := s.fault(); err != nil {
		return err
	}
	s.number++
	if err := s.to.broken(start, s.number, bad.reason); err != nil {
		return err
	}
	return s.resume()
}

// lineIsBroken tells a broken first JSON line from the first line of a document that is written over several.
func (s *scanner) lineIsBroken(line []byte, next int) bool {
	line = bytes.TrimSpace(line)
	if len(line) < 3 || strings.IndexByte("[{,:", line[len(line)-1]) >= 0 {
		return false
	}
	second, _, whole := s.lineFrom(next, lookAhead)
	second = bytes.TrimSpace(second)
	return whole && len(second) > 1 && second[0] == '{' && json.Valid(second)
}

func brokenReason(line []byte) string {
	var v any
	err := json.Unmarshal(line, &v)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		// The error's own text quotes a character of the content.
		return fmt.Sprintf("malformed JSON at byte %d of the line", syntax.Offset)
	}
	return "malformed JSON"
}

// resume goes to the next line that is JSON by itself: what lies between belongs to the value that could not be read.
func (s *scanner) resume() error {
	for {
		s.skipLine()
		if _, ok := s.peek(); !ok {
			return s.fault()
		}
		line, _, whole := s.lineFrom(0, lookAhead)
		if line = bytes.TrimSpace(line); whole && len(line) > 1 && line[0] == '{' && json.Valid(line) {
			s.lines = true
			return nil
		}
	}
}

// value reads what stands here: an array of values, or an object that may hold records.
func (s *scanner) value(depth int, context string, container bool) error {
	b, ok := s.skipSpace()
	switch {
	case !ok:
		return errEndsInside
	case b == '[' && container && depth < maxNesting:
		return s.elements(func() error { return s.value(depth+1, context, true) })
	case b == '{' && container && depth < maxNesting:
		return s.object(depth, context)
	}
	return s.row(context)
}

// row reads one record, whatever it is.
func (s *scanner) row(context string) error {
	line := s.line
	raw, err := s.capture(nil)
	if err != nil && err != errTooLarge {
		return err
	}
	s.number++
	if err == errTooLarge {
		return s.to.broken(line, s.number, errTooLarge.reason)
	}
	return s.emit(raw, context, line)
}

func (s *scanner) emit(raw []byte, context string, line int) error {
	if !utf8.Valid(raw) {
		return s.to.broken(line, s.number, "not valid UTF-8")
	}
	return s.to.record(item{raw: raw, context: context, line: line, number: s.number})
}

// elements reads an array, calling each at every element.
func (s *scanner) elements(each func() error) error {
	s.next()
	for first := true; ; first = false {
		b, ok := s.skipSpace()
		if !ok {
			return errEndsInside
		}
		if b == ']' {
			s.next()
			return nil
		}
		if !first {
			if b != ',' {
				return malformed{"malformed JSON: a comma is missing between records"}
			}
			s.next()
			if b, ok = s.skipSpace(); !ok {
				return errEndsInside
			} else if b == ']' || b == ',' {
				return malformed{"malformed JSON: a record is missing after a comma"}
			}
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// object reads an object: a record, unless a member shows that it holds records.
func (s *scanner) object(depth int, context string) error {
	line := s.line
	s.next()
	raw := []byte{'{'}
	var large, opened bool
	plain := true // only annotations so far
	for first := true; ; first = false {
		b, ok := s.skipSpace()
		if !ok {
			return errEndsInside
		}
		if b == '}' {
			s.next()
			break
		}
		if !first {
			if b != ',' {
				return malformed{"malformed JSON: a comma is missing between members"}
			}
			s.next()
			if b, ok = s.skipSpace(); !ok {
				return errEndsInside
			}
			raw = append(raw, ',')
		}
		if b != '"' {
			return malformed{"malformed JSON: a member's name is missing"}
		}
		from := len(raw)
		var err error
		if raw, err = s.capture(raw); err != nil {
			return err
		}
		var key string
		if json.Unmarshal(raw[from:], &key) != nil {
			return malformed{"malformed JSON: a member's name cannot be read"}
		}
		if b, ok = s.skipSpace(); !ok || b != ':' {
			return malformed{"malformed JSON: a colon is missing after a member's name"}
		}
		s.next()
		raw = append(raw, ':')
		if b, ok = s.skipSpace(); !ok {
			return errEndsInside
		}
		inner := context
		switch {
		case key == "value" && b == '[' && plain, key == "records" && b == '[':
			err, opened = s.elements(func() error { return s.row(inner) }), true
		case key == "responses" && b == '[' && plain:
			err, opened = s.value(depth+1, inner, true), true
		case key == "value" && b == '{' && plain, key == "body" && b == '{':
			err, opened = s.value(depth+1, inner, true), true
		default:
			from = len(raw)
			if raw, err = s.capture(raw); err == errTooLarge {
				raw, large, err = raw[:from], true, nil
			} else if err == nil && key == "@odata.context" {
				_ = json.Unmarshal(raw[from:], &context) // no text: no context
			}
			plain = plain && strings.HasPrefix(key, "@")
		}
		if err != nil {
			return err
		}
		if opened {
			raw = append(raw, "null"...)
		}
	}
	if opened {
		return nil
	}
	s.number++
	if large || len(raw) > maxRecordBytes {
		return s.to.broken(line, s.number, errTooLarge.reason)
	}
	return s.emit(append(raw, '}'), context, line)
}

// capture appends the text of the value that begins here to dst. A value that does not fit is read to its end and errTooLarge returned.
// Only quotes and brackets are looked at; the caller checks the rest.
func (s *scanner) capture(dst []byte) ([]byte, error) {
	var depth int
	var quoted, escaped, large bool
	take := func(b byte) {
		if len(dst) < maxRecordBytes {
			dst = append(dst, b)
		} else {
			large = true
		}
	}
	for n := 0; ; n++ {
		b, ok := s.peek()
		if !ok {
			if n > 0 && depth == 0 && !quoted {
				break // a bare word at the end of the file
			}
			return dst, errEndsInside
		}
		if !quoted && depth == 0 && n > 0 && (b == ',' || b == ']' || b == '}' || b == ' ' || b == '\n' || b == '\r' || b == '\t') {
			break
		}
		s.next()
		take(b)
		switch {
		case escaped:
			escaped = false
		case quoted && b == '\\':
			escaped = true
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			depth--
		}
		if depth <= 0 && !quoted && !escaped && (b == '"' || b == '}' || b == ']') {
			break
		}
	}
	if large {
		return dst, errTooLarge
	}
	return dst, nil
}
