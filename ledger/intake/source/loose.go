package source

import (
	"bytes"
	"io"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
)

// scanMessage reads the records in a message, all of which stand on that line. number is of the
// records before it.
func (r *Recogniser) scanMessage(body []byte, line int, number *int, to visitor) error {
	w, err := textIn(body, line)
	if err != nil {
		return err
	}
	return r.scanText(w, number, to)
}

// textIn returns a window on what stands on one line, in UTF-8.
func textIn(text []byte, line int) (*window, error) {
	if order, mark := utf16Order(text); order != nil {
		var err error
		if text, err = io.ReadAll(&utf16Reader{src: bytes.NewReader(text[mark:]), order: order}); err != nil {
			return nil, err
		}
	}
	return windowOn(text, line, true), nil
}

// scanLoose reads messages that stand somewhere in a file between bytes of another format, which
// cannot be read any more: as when it went through an editor of texts. What is whole JSON and
// holds a record is one; their lines are their numbers. Where there is none, the file is told as
// broken.
func (r *Recogniser) scanLoose(src io.Reader, to visitor) error {
	s := &scanner{window: newWindow(src), forms: r, to: to, number: new(int), seen: &record.Scanner{}}
	s.one, s.line = true, 1
	found, lost := false, 0
	for lost <= maxSpans && s.skipTo('{') {
		seen := s.look()
		switch {
		case seen.valid && r.holdsRecord(seen.text, 0, false):
			in := s.within(bytes.Clone(seen.text), s.line, true)
			s.skip(len(seen.text))
			if err := in.all(); err != nil {
				return err
			}
			found = true
			s.line++
		case seen.valid: // the schema
			s.skip(len(seen.text))
		default:
			lost += s.w - s.r
			if beginsBatch(s.ahead(lookedAt)) {
				if err := s.fail(s.line, "", "malformed JSON"); err != nil {
					return err
				}
			}
			s.skip(1)
		}
	}
	if err := s.fault(); err != nil {
		return err
	}
	if !found || lost > maxSpans {
		return to.broken(Flaw{Reason: "is a file of Avro whose header is broken: what it held is not read"})
	}
	return to.notice(0, "is a file of Avro whose header is broken: its messages were found by their JSON")
}

// beginsBatch reports whether a text begins as the messages of Azure Monitor do.
func beginsBatch(text []byte) bool {
	text = bytes.TrimLeft(text[1:], " \t\r\n")
	return bytes.HasPrefix(text, []byte(`"records"`))
}

// skipTo goes to the next byte of that value, and reports whether there is one.
func (w *window) skipTo(b byte) bool {
	for {
		if _, ok := w.peek(); !ok {
			return false
		}
		if at := bytes.IndexByte(w.buf[w.r:w.w], b); at >= 0 {
			w.skip(at)
			return true
		}
		w.skip(w.w - w.r)
	}
}
