package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
)

// maxRecordBytes is what one record may measure: a device with some twenty thousand apps. A file,
// a page or a line that holds many records may be of any size. It is also how far a scan looks
// ahead: to learn what an object is before taking it apart, and whether a line is JSON of its own.
const maxRecordBytes = 8 << 20

// maxNesting bounds containers within containers (a list of responses, its body, its value).
const maxNesting = 16

// Item is one record as it stands in a file.
type Item struct {
	// Raw is its text, owned by the receiver. A scan alone checks no more than that its brackets
	// and quotes match.
	Raw     []byte
	Rec     *record.Record // what Raw holds; of a scan nil where it did not look
	Kind    kind           // what it is; a scan alone leaves it out, but for a row of a table
	Context string         // @odata.context of the page or object it stands in
	Line    int            // where it begins, from 1; 0 for a file that is no JSON
	Number  int            // which record of the file it is, from 1; 0 for a file that is no JSON
	Decoded bool           // it stood in a text
}

// Recognise returns the item with what it holds and what it is.
func (r *Recogniser) Recognise(it Item) (Item, error) {
	if it.Rec == nil {
		rec, err := r.decode(it.Raw)
		if err != nil {
			return it, err
		}
		it.Rec = &rec
	}
	if it.Kind.Form == nil {
		it.Kind = r.kind(*it.Rec, it.Context)
	}
	if e := it.Rec.Event; e != nil && e.Fault != nil && e.Never == "" {
		return it, e.Fault
	}
	if it.Rec.Members != nil {
		it.Rec.Parent = parentOf(contextOf(*it.Rec, it.Context))
	}
	return it, nil
}

// Flaw is what should have been a record and is none, or a file that cannot be read.
type Flaw struct {
	Line, Number  int // as an item's; 0 for a file
	Field, Reason string
}

// page is a part of a collection.
type page struct {
	line       int
	collection string
	more       bool // it names a page after it
}

// visitor receives what a scan finds. An error of its own ends the scan and is returned by it.
type visitor interface {
	record(Item) error
	// broken is called for what cannot be read as a record, and the scan goes on.
	broken(Flaw) error
	// foreign is called once, for a file that is no JSON at all.
	foreign(Looks) error
	// notice is called for what is wrong and costs no record.
	notice(line int, what string) error
	page(page) error
}

type scanner struct {
	*window
	forms   *Recogniser
	to      visitor
	number  *int // of records so far
	lines   bool // the file has shown itself to be JSON lines
	decoded bool // what is read stood in a text
	depth   int  // containers around it
	spans   int  // bytes read for spansLines

	seen   *record.Scanner // of the value that look saw last
	saw    sight
	sawAt  int // place of the window
	looked bool
}

// sight is what a value is that begins here.
type sight struct {
	valid bool   // it is JSON, and ends within maxRecordBytes
	text  []byte // it, in the window
}

// look looks once at the value that begins here, unless it was seen already: whether it is JSON,
// where it ends, and where the members of an object stand.
func (s *scanner) look() sight {
	if s.looked && s.sawAt == s.place() {
		if s.saw.valid {
			s.saw.text = s.buf[s.r : s.r+len(s.saw.text)] // the window may have moved
		}
		return s.saw
	}
	s.looked, s.sawAt, s.saw = true, s.place(), sight{}
	for {
		text := s.buf[s.r:s.w]
		n, err := s.seen.Scan(text)
		switch {
		case err == nil && n == len(text) && !endsItself(text[n-1]) && n <= maxRecordBytes &&
			len(s.ahead(min(2*n, maxRecordBytes)+1)) > n: // a number may go on
		case err == nil && n <= maxRecordBytes && (endsItself(text[n-1]) || n == len(text) || endsWord(text[n])):
			s.saw = sight{valid: true, text: s.buf[s.r : s.r+n]}
			return s.saw
		case !errors.Is(err, record.ErrEnds), len(text) > maxRecordBytes,
			len(s.ahead(min(2*len(text), maxRecordBytes)+1)) == len(text):
			return s.saw
		}
	}
}

// endsItself reports whether a JSON value that ends with b ends there whatever follows.
func endsItself(b byte) bool { return b == '}' || b == ']' || b == '"' }

// endsWord reports whether a number or a word ends before b.
func endsWord(b byte) bool { return strings.IndexByte(",]} \n\r\t", b) >= 0 }

// malformed is a fault of what is read, not of reading it.
type malformed struct{ reason string }

func (m malformed) Error() string { return m.reason }

var (
	errEndsInside = malformed{"ends inside a JSON value"}
	errTooLarge   = malformed{fmt.Sprintf("record is larger than %d bytes", maxRecordBytes)}
)

// scan reads one file and recognises by content how its records are held: JSON lines, pages,
// responses, batches, tables, wrappers, a single object, or a table of separated values. It looks
// at most maxRecordBytes ahead.
// The error is one of reading, or the visitor's own.
func (r *Recogniser) scan(src io.Reader, to visitor) error {
	w, err := textOf(src)
	if err != nil {
		return err
	}
	return r.scanText(w, new(int), to)
}

// scanText reads a text, before which so many records stand.
func (r *Recogniser) scanText(w *window, number *int, to visitor) error {
	if w.startsWith("\xef\xbb\xbf") {
		w.r += 3
	}
	b, ok := w.skipSpace()
	s := &scanner{window: w, forms: r, to: to, number: number, seen: &record.Scanner{}}
	switch {
	case !ok, b == '{', b == '[', b == ',' && w.beginsAfterCommas(), b == '"' && s.textHolds():
		return s.all()
	}
	t, looks := s.table()
	if t == nil {
		return to.foreign(looks)
	}
	return t.read()
}

// beginsAfterCommas reports whether JSON follows commas that should not be there, as in a part of
// a list that was cut out; where none does, the file is something else.
func (w *window) beginsAfterCommas() bool {
	rest := bytes.TrimLeft(w.ahead(lookedAt), ", \t\r\n")
	return len(rest) == 0 || rest[0] == '{' || rest[0] == '['
}

// all reads values until the end.
func (s *scanner) all() error {
	for {
		b, ok := s.skipSpace()
		if !ok {
			return s.fault()
		}
		if b == ',' {
			if err := s.comma("stands where no record is before it"); err != nil {
				return err
			}
			continue
		}
		if err := s.top(b); err != nil {
			return err
		}
	}
}

func (s *scanner) comma(what string) error {
	line := s.line
	s.next()
	return s.to.notice(line, "a comma "+what)
}

// fail counts what should have been a record.
func (s *scanner) fail(line int, field, reason string) error {
	*s.number++
	return s.to.broken(Flaw{line, *s.number, field, reason})
}

// top reads the value that begins here, and after a fault finds the place to go on.
func (s *scanner) top(b byte) error {
	start := s.line
	s.look() // first, since it moves the window
	line, next, whole := s.lineFrom(0, maxRecordBytes)
	if whole {
		switch {
		case s.isLine(line):
			s.lines = true
		case s.lines && s.spansLines(line):
		case s.lines, s.lineIsBroken(line, next), b != '{' && b != '[':
			return s.brokenLine()
		}
	}
	err := s.value("", true)
	var bad malformed
	if !errors.As(err, &bad) {
		return err
	}
	if err := s.fault(); err != nil {
		return err
	}
	if err := s.fail(start, "", bad.reason); err != nil {
		return err
	}
	return s.resume()
}

// isLine reports whether the line that begins here is JSON of its own.
func (s *scanner) isLine(line []byte) bool {
	if len(line) > maxRecordBytes {
		return record.Valid(line) // it holds records, or one that is too large
	}
	seen := s.look()
	return seen.valid && len(seen.text) <= len(line) &&
		len(bytes.TrimLeft(line[len(seen.text):], " \t\r\n")) == 0
}

// maxSpans bounds what is read, over a file, to see whether a broken line begins a longer value.
const maxSpans = 256 << 20

// spansLines reports whether the value that begins on a line among JSON lines is whole and JSON,
// only written over several.
func (s *scanner) spansLines(line []byte) bool {
	if s.spans > maxSpans {
		return false
	}
	text, _ := s.valueAhead(maxRecordBytes)
	s.spans += len(text)
	return len(text) > len(line) && s.look().valid
}

// lineIsBroken tells a broken first JSON line from the first line of a document that is written
// over several.
func (s *scanner) lineIsBroken(line []byte, next int) bool {
	line = bytes.TrimSpace(line)
	if len(line) < 3 || strings.IndexByte("[{,:", line[len(line)-1]) >= 0 {
		return false
	}
	second, _, whole := s.lineFrom(next, maxRecordBytes)
	second = bytes.TrimSpace(second)
	return whole && len(second) > 1 && second[0] == '{' && record.Valid(second)
}

// brokenLine reads what can be read of a line that is no JSON: the records of a batch in it whose
// neighbour is broken. The fault stays on the line.
func (s *scanner) brokenLine() error {
	text, next, _ := s.lineFrom(0, maxRecordBytes)
	start, line := s.line, bytes.Clone(text) // the window moves on
	s.skip(next)
	in := s.within(line, start, false)
	for {
		b, ok := in.skipSpace()
		if !ok {
			return nil
		}
		if b == ',' {
			if err := in.comma("stands where no record is before it"); err != nil {
				return err
			}
			continue
		}
		if b != '{' && b != '[' || b == '{' && !in.outline("", true).readable() {
			return s.fail(start, "", brokenReason(line))
		}
		err := in.value("", true)
		if bad := (malformed{}); errors.As(err, &bad) {
			return s.fail(start, "", bad.reason)
		} else if err != nil {
			return err
		}
	}
}

// within returns a scanner of text that stands at that line; one says that all of it does.
func (s *scanner) within(text []byte, line int, one bool) *scanner {
	s.looked = false // it looks with the same eyes
	return &scanner{window: windowOn(text, line, one), forms: s.forms, to: s.to, number: s.number, decoded: s.decoded,
		depth: s.depth, seen: s.seen}
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

// resume goes to the next line that is JSON by itself: what lies between belongs to the value that
// could not be read.
func (s *scanner) resume() error {
	for {
		s.skipLine()
		if _, ok := s.peek(); !ok {
			return s.fault()
		}
		line, _, whole := s.lineFrom(0, maxRecordBytes)
		if line = bytes.TrimSpace(line); whole && len(line) > 1 && line[0] == '{' && record.Valid(line) {
			s.lines = true
			return nil
		}
	}
}

// value reads what stands here: an array of values, or an object that may hold records. In a
// container each object may be one; elsewhere only what a record within shows to be one.
func (s *scanner) value(context string, container bool) error {
	b, ok := s.skipSpace()
	switch {
	case !ok:
		return errEndsInside
	case b == '[' && container && s.depth < maxNesting:
		s.depth++
		defer func() { s.depth-- }()
		return s.elements(context, true, func() error { return s.value(context, true) })
	case b == '{' && s.depth < maxNesting:
		return s.object(context, container)
	case b == '"' && !s.decoded && s.textHolds():
		return s.text(context)
	}
	return s.row(context, nil)
}

// textHolds reports whether a record stands in the JSON text that begins here.
func (s *scanner) textHolds() bool {
	text, whole := s.valueAhead(maxRecordBytes)
	return whole && s.forms.holdsRecord(text, s.depth, false)
}

func (s *scanner) object(context string, container bool) error {
	o := s.outline(context, container)
	switch {
	case o.answer != "":
		if err := s.fail(s.line, o.field, o.answer); err != nil {
			return err
		}
		s.skip(len(o.text))
		return nil
	case o.container():
		return s.open(o)
	}
	return s.row(context, o)
}

// row reads one record, whatever it is. o is what is known of it, if anything.
func (s *scanner) row(context string, o *outline) error {
	line := s.line
	if o != nil && o.valid {
		s.skip(len(o.text))
		return s.emit(Item{Raw: o.text, Rec: &o.rec, Context: context, Line: line, Decoded: s.decoded})
	}
	text, whole := s.valueAhead(maxRecordBytes)
	switch {
	case whole:
		it := Item{Raw: bytes.Clone(text), Context: context, Line: line, Decoded: s.decoded}
		s.skip(len(text))
		return s.emit(it)
	case len(text) <= maxRecordBytes:
		return errEndsInside
	}
	if err := s.skipValue(); err != nil {
		return err
	}
	return s.fail(line, "", errTooLarge.reason)
}

func (s *scanner) emit(it Item) error {
	if !utf8.Valid(it.Raw) {
		return s.fail(it.Line, "", "not valid UTF-8")
	}
	*s.number++
	it.Number = *s.number
	return s.to.record(it)
}

// elements reads an array, calling each at every element. A fault in one costs that one: the
// others are found again behind it.
func (s *scanner) elements(context string, container bool, each func() error) error {
	s.next()
	var like []string // how the elements begin
	comma, any := true, false
	for {
		b, ok := s.skipSpace()
		if !ok {
			return errEndsInside
		}
		switch {
		case b == ']':
			line := s.line
			s.next()
			if comma && any {
				return s.to.notice(line, "a comma stands behind the last record")
			}
			return nil
		case b == ',' && comma:
			if err := s.comma("stands where no record is before it"); err != nil {
				return err
			}
			continue
		case b == ',':
			s.next()
			comma = true
			continue
		case !comma:
			if b == '{' {
				if err := s.to.notice(s.line, "a comma is missing between records"); err != nil {
					return err
				}
			}
		}
		comma, any = false, true
		seen := s.look()
		text, whole := seen.text, seen.valid
		if !seen.valid {
			text, whole = s.valueAhead(maxRecordBytes)
		}
		switch {
		case seen.valid:
			like = s.seen.FirstNames(text, 2, like)
		case b == '[' && container && s.depth < maxNesting,
			b == '{' && s.depth < maxNesting && s.outline(context, container).container():
			// It is a container itself, and finds the fault.
		default:
			done, err := s.brokenElement(text, whole, like)
			if err != nil {
				return err
			}
			if done {
				comma = true // the next one was found by its beginning
				if b, ok := s.skipSpace(); ok && (b == ',' || b == ']') {
					comma = false
				}
				continue
			}
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// brokenElement counts an element that is no JSON, and goes to where the next one begins. It does
// neither (done is false) with one that is only too large.
func (s *scanner) brokenElement(text []byte, whole bool, like []string) (done bool, err error) {
	if len(like) == 0 {
		like = firstNames(text, 2)
	}
	line, end := s.line, len(text)
	closed := whole && end > 0 && s.closedAt(end)
	if !closed {
		end = len(s.ahead(maxRecordBytes))
	}
	at := s.forms.nextElement(s.buf[s.r:s.r+min(end, s.w-s.r)], like)
	switch {
	case at > 0:
	case closed:
		at = len(text)
	case len(text) > maxRecordBytes:
		return false, nil
	case !whole:
		return false, errEndsInside
	default:
		return false, malformed{"malformed JSON: what follows a broken record cannot be told apart"}
	}
	if !utf8.Valid(s.buf[s.r : s.r+at]) {
		err = s.fail(line, "", "not valid UTF-8")
	} else {
		err = s.fail(line, "", "malformed JSON")
	}
	s.skip(at)
	return true, err
}

// closedAt reports whether an element that ends n bytes ahead is followed by what follows one.
func (s *scanner) closedAt(n int) bool {
	for step := n + 64; ; step *= 2 {
		rest := s.ahead(step)
		rest = bytes.TrimLeft(rest[min(n, len(rest)):], " \t\r\n")
		if len(rest) > 0 {
			return rest[0] == ',' || rest[0] == ']'
		}
		if s.err != nil || step > maxRecordBytes {
			return false
		}
	}
}

// Limits of the search for where the next element begins.
const (
	maxTries = 10_000
	maxTried = 64 << 20 // bytes
)

// nextElement returns where behind a broken element the next one begins, or 0: an object behind a
// comma that is JSON, is followed by a comma or the end of the list, and begins with the same
// members as the others, or is a record of a known name.
func (r *Recogniser) nextElement(text []byte, like []string) int {
	tries, tried := 0, 0
	for at := 1; at < len(text); at++ {
		if text[at] != '{' || !bytes.HasSuffix(bytes.TrimRight(text[:at], " \t\r\n"), []byte{','}) {
			continue
		}
		if tries++; tries > maxTries || tried > maxTried {
			return 0
		}
		names := firstNames(text[at:], 2)
		if len(names) == 0 || len(like) > 0 && names[0] != like[0] {
			continue
		}
		in := windowOn(text[at:], 1, true)
		object, whole := in.valueAhead(len(text))
		tried += len(object)
		if !whole {
			continue
		}
		after := bytes.TrimLeft(text[at+len(object):], " \t\r\n")
		if len(after) > 0 && after[0] != ',' && after[0] != ']' {
			continue
		}
		rec, err := r.decode(object)
		if err != nil {
			continue
		}
		same := len(like) > 0 && len(names) == len(like) && names[len(names)-1] == like[len(like)-1]
		if same || r.kind(rec, "").Named {
			return at
		}
	}
	return 0
}

// firstNames returns the names of an object's first members, as far as they can be read.
func firstNames(text []byte, n int) (names []string) {
	eachMember(text, func(name string, _ []byte) bool {
		names = append(names, name)
		return len(names) < n
	})
	return names
}

// eachMember walks an object's members as far as they can be read; the last value may be cut off.
func eachMember(text []byte, visit func(name string, value []byte) bool) {
	w := windowOn(text, 1, true)
	if b, ok := w.next(); !ok || b != '{' {
		return
	}
	for {
		b, ok := w.skipSpace()
		for ok && b == ',' {
			w.next()
			b, ok = w.skipSpace()
		}
		if !ok || b != '"' {
			return
		}
		key, whole := w.valueAhead(len(text))
		name, isName := record.Unquote(key)
		if !whole || !isName {
			return
		}
		w.skip(len(key))
		if b, ok = w.skipSpace(); !ok || b != ':' {
			return
		}
		w.next()
		if _, ok = w.skipSpace(); !ok {
			visit(name, nil)
			return
		}
		value, whole := w.valueAhead(len(text))
		if !visit(name, value) || !whole {
			return
		}
		w.skip(len(value))
	}
}

// open reads the records in an object.
func (s *scanner) open(o *outline) error {
	line := s.line
	s.depth++
	defer func() { s.depth-- }()
	s.next()
	more := o.more
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
		}
		if b != '"' {
			return malformed{"malformed JSON: a member's name is missing"}
		}
		text, whole := s.valueAhead(maxRecordBytes)
		key, isName := record.Unquote(text)
		if !whole || !isName {
			return malformed{"malformed JSON: a member's name cannot be read"}
		}
		s.skip(len(text))
		if b, ok = s.skipSpace(); !ok || b != ':' {
			return malformed{"malformed JSON: a colon is missing after a member's name"}
		}
		s.next()
		if b, ok = s.skipSpace(); !ok {
			return errEndsInside
		}
		if err := s.member(o, key, b, &more); err != nil {
			return err
		}
	}
	if o.page && (o.context != "" || more) {
		return s.to.page(page{line, contextPath(o.context), more})
	}
	return nil
}

// member reads one member of an object that holds records.
func (s *scanner) member(o *outline, key string, b byte, more *bool) error {
	how := o.opens(key, b)
	switch how {
	case openRows:
		return s.elements(o.context, false, func() error { return s.value(o.context, false) })
	case openCells:
		return s.elements("", false, func() error { return s.cells(o.columns) })
	case openValues:
		return s.value(o.context, true)
	case openText:
		return s.text(o.context)
	}
	line := s.line
	text, whole := s.valueAhead(maxRecordBytes)
	if whole && isLink(key) {
		*more = !record.IsEmpty(text)
	}
	if whole && strings.EqualFold(key, "@odata.context") && o.page && o.context == "" {
		if err := s.to.notice(line, fmt.Sprintf("@odata.context stands behind more than %d MiB of records, which "+
			"it would have named: write it before value", maxRecordBytes>>20)); err != nil {
			return err
		}
	}
	return s.skipValue()
}

// text reads the records in a JSON text.
func (s *scanner) text(context string) error {
	line := s.line
	raw, whole := s.valueAhead(maxRecordBytes)
	if !whole {
		return s.row(context, nil)
	}
	inner, is := record.Unquote(raw)
	if !is {
		err := s.fail(line, "", "malformed JSON")
		s.skip(len(raw))
		return err
	}
	s.skip(len(raw))
	in := s.within([]byte(inner), line, true)
	in.decoded = true
	return in.all()
}

// cells reads a row of a table.
func (s *scanner) cells(columns []string) error {
	line := s.line
	text, whole := s.valueAhead(maxRecordBytes)
	cells := record.Elements(text)
	switch {
	case !whole:
		return s.row("", nil)
	case cells == nil || len(cells) != len(columns):
		s.skip(len(text))
		return s.fail(line, "", "row has not one cell for each column of its table")
	}
	m := make(map[string]json.RawMessage, len(cells))
	for i, c := range cells {
		m[columns[i]] = c
	}
	raw, err := json.Marshal(m)
	s.skip(len(text))
	if err != nil {
		return s.fail(line, "", "malformed JSON")
	}
	return s.emit(Item{Raw: raw, Line: line, Decoded: s.decoded})
}

// skipValue goes past the value that begins here, of whatever size.
func (s *scanner) skipValue() error {
	var v bounds
	for {
		b, ok := s.peek()
		switch {
		case !ok && v.word:
			return nil
		case !ok:
			return errEndsInside
		}
		switch v.next(b) {
		case endsBefore:
			return nil
		case endsHere:
			s.next()
			return nil
		}
		s.next()
	}
}
