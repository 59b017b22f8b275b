package source

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
)

// tableReader reads a table of separated values: one row at a time, none larger than a record may
// be. A row costs itself alone, whatever is wrong with its quotes: reading goes on at the next
// line.
type tableReader struct {
	*scanner
	head         *header
	feed         *oneRow
	buffer       *bufio.Reader
	strict, lazy *csv.Reader // lazy takes a quote for one where it need not be

	group group
}

// group is rows that are one record, not handed out yet.
type group struct {
	key  string
	line int
	raw  []byte // of the rows so far, with a comma behind each
}

// maxGroup bounds the rows of one record, in bytes: with more they are several.
const maxGroup = 512 << 10

// oneRow gives the text of one row, and ends.
type oneRow struct{ rest []byte }

func (o *oneRow) Read(p []byte) (int, error) {
	if len(o.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

func (s *scanner) reader(separator rune) *tableReader {
	t := &tableReader{scanner: s, feed: &oneRow{}}
	t.buffer = bufio.NewReader(t.feed)
	open := func(lazy bool) *csv.Reader {
		c := csv.NewReader(t.buffer) // a buffer of this size is used as it is
		c.Comma, c.LazyQuotes, c.FieldsPerRecord, c.ReuseRecord = separator, lazy, -1, true
		return c
	}
	t.strict, t.lazy = open(false), open(true)
	return t
}

// cells returns the cells of a row; ok is false where its quotes do not match. They hold until the
// next row is read in the same way.
func (t *tableReader) cells(c *csv.Reader, row []byte) (cells []string, ok bool) {
	t.feed.rest = row
	t.buffer.Reset(t.feed)
	cells, err := c.Read()
	return cells, err == nil && t.buffer.Buffered() == 0 && len(t.feed.rest) == 0
}

// separators are what may stand between cells.
var separators = []rune{',', ';', '\t', '|'}

// table returns a reader of the table that the window begins with, and stands behind its header;
// nil where there is none that is known, with what it looks like.
func (s *scanner) table() (*tableReader, Looks) {
	from, may := 0, separators
	for from < stretch {
		line, next, whole := s.lineFrom(from, stretch)
		if line = bytes.TrimRight(line, "\r"); !whole || next == from {
			break
		}
		sep, says := strings.CutPrefix(strings.Trim(string(line), `"`), "sep=")
		switch {
		case says && len([]rune(sep)) == 1:
			may = []rune(sep)
		case len(line) > 0 && !bytes.HasPrefix(line, []byte("#TYPE ")):
			return s.tableFrom(from, may)
		}
		from = next
	}
	return nil, looksOf(s.ahead(lookedAt))
}

// tableFrom returns the table whose header begins so many bytes ahead.
func (s *scanner) tableFrom(from int, may []rune) (*tableReader, Looks) {
	var best *tableReader
	var names []string
	_, end, whole := s.rowAhead(from, stretch)
	known := false
	for _, separator := range may {
		if !whole || separator == '"' || separator == '\r' || separator == '\n' || separator == utf8.RuneError {
			continue
		}
		t := s.reader(separator)
		row := s.buf[s.r+from : s.r+end]
		cells, ok := t.cells(t.strict, row)
		if !ok {
			cells, ok = t.cells(t.lazy, row)
		}
		if !ok || len(cells) > maxColumns || len(cells) < 2 || !utf8.Valid(row) {
			continue
		}
		cells = slices.Clone(cells)
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		for len(cells) > 0 && cells[len(cells)-1] == "" { // a separator at the end of each line
			cells = cells[:len(cells)-1]
		}
		head, is := ofMembers(cells), false
		if near, meant := s.forms.headerOf(cells); t.isRecord(head, end) {
			head.known, is = len(cells), true
		} else if meant {
			head, is = near, true
		} else if near != nil {
			head.known = near.known
		}
		t.head = head
		if best == nil || is && !known || is == known && head.known > best.head.known {
			best, known, names = t, is, cells
		}
	}
	looks := looksOf(s.ahead(lookedAt))
	switch {
	case known:
		s.skip(end)
		return best, Looks{}
	case best != nil && looks.Kind == "CSV":
		return nil, s.forms.unknownTable(names)
	}
	return nil, looks
}

// isRecord reports whether the first row is a record of a known name, its columns being members.
func (t *tableReader) isRecord(head *header, from int) bool {
	_, end, whole := t.rowAhead(from, maxRecordBytes)
	if !whole {
		return false
	}
	cells, ok := t.cells(t.strict, t.buf[t.r+from:t.r+end])
	if !ok || !head.fits(cells) {
		return false
	}
	raw, m, _ := head.row(cells)
	it, err := t.forms.Recognise(t.item(head, raw, m, 0))
	return err == nil && it.Kind.Named
}

// rowAhead finds the row that begins off bytes ahead: where its first line ends, 0 where it does
// not within limit bytes, and where the row does. whole is false where a quote is not closed by
// then.
func (w *window) rowAhead(off, limit int) (first, end int, whole bool) {
	quotes := 0
	for end = off; ; {
		line, next, ends := w.lineFrom(end, limit)
		if !ends || next-off > limit {
			return first, end, false
		}
		quotes += bytes.Count(line, []byte{'"'})
		if first == 0 {
			first = next
		}
		last := next == end || w.err != nil && next == w.w-w.r
		if end = next; quotes%2 == 0 || last {
			return first, end, quotes%2 == 0
		}
	}
}

// read reads all rows.
func (t *tableReader) read() error {
	line, rows := t.line, *t.number
	for {
		if _, ok := t.peek(); !ok {
			break
		}
		if err := t.next(); err != nil {
			return err
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := t.fault(); err != nil {
		return err
	}
	if *t.number == rows {
		return t.to.notice(line, "the table has headers and no rows")
	}
	return nil
}

// next reads the row that begins here.
func (t *tableReader) next() error {
	start := t.line
	first, end, whole := t.rowAhead(0, maxRecordBytes)
	if !whole {
		if err := t.fault(); err != nil {
			return err
		}
	}
	if first == 0 {
		t.skipLine()
		return t.fail(start, "", errTooLarge.reason)
	}
	row, line := t.buf[t.r:t.r+end], t.buf[t.r:t.r+first]
	if len(bytes.TrimSpace(line)) == 0 {
		t.skip(first)
		return nil
	}
	var cells []string
	var quoted bool
	if whole {
		cells, quoted = t.cells(t.strict, row)
	}
	fits := quoted && t.head.fits(cells)
	if !fits {
		alone, ok := t.cells(t.lazy, line)
		switch {
		case ok && t.head.fits(alone):
			cells, fits, end = alone, true, first
		case !quoted || t.resumes(row[first:]):
			cells, end = alone, first
		}
	}
	valid := utf8.Valid(t.buf[t.r : t.r+end])
	t.skip(end)
	switch {
	case !valid:
		return t.fail(start, "", "not valid UTF-8")
	case fits:
		return t.row(cells, start)
	case !quoted && end == first && !whole:
		return t.fail(start, "", "a quote that opens in the row is not closed")
	case len(cells) < len(t.head.names):
		return t.fail(start, record.SafeHeader(t.head.names[len(cells)]), "the row ends before this column")
	}
	return t.fail(start, record.SafeHeader(t.head.names[len(t.head.names)-1]), "the row goes on behind this column, "+
		"which is the last")
}

// resumes reports whether one of the lines is a whole row: what a quote that is not closed would
// have taken away.
func (t *tableReader) resumes(lines []byte) bool {
	for line := range bytes.Lines(lines) {
		if cells, ok := t.cells(t.lazy, line); ok && t.head.fits(cells) {
			return true
		}
	}
	return false
}

// fits reports whether a row has a cell for each column. Behind the last may stand empty ones.
func (h *header) fits(cells []string) bool {
	return len(cells) >= len(h.names) && !slices.ContainsFunc(cells[len(h.names):],
		func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

// row hands out a row, or keeps it for the record that it is a part of.
func (t *tableReader) row(cells []string, line int) error {
	if !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
		return nil
	}
	raw, m, twice := t.head.row(cells)
	if twice != "" {
		return t.fail(line, record.SafeHeader(twice), "the table has this column twice, and the row tells two things "+
			"there")
	}
	if len(raw) > maxRecordBytes {
		return t.fail(line, "", errTooLarge.reason)
	}
	sheet := t.head.sheet
	if sheet == nil || sheet.Together == "" {
		return t.emit(t.item(t.head, raw, m, line))
	}
	g := &t.group
	key := m.Text(sheet.Together)
	if len(g.raw) > 0 && (g.key != key || len(g.raw)+len(raw) > maxGroup) {
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(g.raw) == 0 {
		g.key, g.line = key, line
	}
	g.raw = append(append(g.raw, raw...), ',')
	return nil
}

// flush hands out the rows that are one record.
func (t *tableReader) flush() error {
	g := &t.group
	if len(g.raw) == 0 {
		return nil
	}
	rows := bytes.TrimSuffix(g.raw, []byte{','})
	m := record.NewMembers(2)
	raw := fmt.Appendf(nil, "{%q:", t.head.sheet.Together)
	from := len(raw)
	raw = appendText(raw, g.key)
	key := len(raw)
	raw = fmt.Appendf(raw, ",%q:[", Rows)
	list := len(raw) - 1
	raw = append(append(raw, rows...), "]}"...)
	m.Set(t.head.sheet.Together, raw[from:key:key])
	m.Set(Rows, raw[list:len(raw)-1:len(raw)-1])
	line := g.line
	g.raw = g.raw[:0]
	return t.emit(t.item(t.head, raw, m, line))
}

// item is a record of a table.
func (t *tableReader) item(h *header, raw []byte, m *record.Members, line int) Item {
	rec := record.Record{Members: m, Columns: true}
	it := Item{Raw: raw, Rec: &rec, Line: line}
	if h.sheet != nil {
		it.Kind = taken(h.sheet.form)
	} else {
		t.forms.settle(&rec)
	}
	return it
}

// row returns the row as a record, and the header of a column that stands twice and tells two
// things. An empty cell tells nothing: where the header names a record's members it is null.
func (h *header) row(cells []string) (raw []byte, m *record.Members, twice string) {
	size := 2
	for i := range h.columns {
		size += len(h.columns[i].begin) + len(cells[i]) + 3
	}
	raw = append(make([]byte, 0, size+size/8), '{')
	m = record.NewMembers(len(h.columns))
	places := make([]struct{ from, to int }, len(h.columns))
	for i := range h.columns {
		c := &h.columns[i]
		cell := strings.TrimSpace(cells[i])
		switch {
		case cell == "" && (h.sheet != nil || c.as != i):
			continue
		case c.as != i:
			if first := strings.TrimSpace(cells[c.as]); first == cell {
				continue
			} else if first != "" {
				return nil, nil, h.names[i]
			}
		}
		if c.dayFirst {
			cell = record.FromDutch(cell)
		}
		if len(raw) > 1 {
			raw = append(raw, ',')
		}
		raw = append(raw, c.begin...)
		places[i].from = len(raw)
		if cell == "" {
			raw = append(raw, "null"...)
		} else {
			raw = appendText(raw, cell)
		}
		places[i].to = len(raw)
	}
	raw = append(raw, '}')
	for i, p := range places {
		if p.to > 0 {
			m.Set(h.columns[i].member, json.RawMessage(raw[p.from:p.to:p.to]))
		}
	}
	return raw, m, ""
}

// appendText appends a text in JSON. It is UTF-8.
func appendText(raw []byte, text string) []byte {
	raw, _ = jsontext.AppendQuote(raw, text)
	return raw
}
