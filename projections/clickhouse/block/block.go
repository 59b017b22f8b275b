// Package block writes events as a block of ClickHouse's format Native, straight from the rows, a
// column at a time and in the order of the table's key: what comes sorted is not sorted there,
// where each column would be copied for it.
//
// The client's own batch takes each value as an any, looks every word up by it, and holds all
// columns twice before it sends the first: that was most of what an insert cost on this side. Here
// one column is in memory. It keeps nothing, and trusts that the rows are as the projector makes
// them: their times have whole milliseconds.
package block

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
)

// Column is a column of events.
type Column struct {
	Name, Type string
	put        func(w *writer, rows []*projections.Row)
}

// Columns are those of an insert into events, in the order of the block.
var Columns = []Column{
	{"ledger_seq", "UInt64", numbers(func(r *projections.Row) uint64 { return r.Seq })},
	{"tenant", "UUID", ids(func(r *projections.Row) uuid.UUID { return r.Tenant })},
	{"stream", "String", texts(func(r *projections.Row) string { return string(r.Stream) })},
	{"revision", "UInt64", numbers(func(r *projections.Row) uint64 { return r.Revision })},
	{"event_id", "UUID", ids(func(r *projections.Row) uuid.UUID { return r.EventID })},
	{"type", "LowCardinality(String)", words(func(r *projections.Row) string { return r.Type })},
	{"occurred_at", "DateTime64(3, 'UTC')", times(func(r *projections.Row) time.Time { return r.Occurred })},
	{"timed", "UInt8", flags(func(r *projections.Row) bool { return r.Timed })},
	{"recorded_at", "DateTime64(3, 'UTC')", times(func(r *projections.Row) time.Time { return r.Recorded })},
	{"source", "LowCardinality(String)", words(func(r *projections.Row) string { return r.Source })},
	{"correlation", "UUID", ids(func(r *projections.Row) uuid.UUID { return r.Correlation })},
	{"causation", "UUID", ids(func(r *projections.Row) uuid.UUID { return r.Causation })},
	{"data", "String", texts(func(r *projections.Row) []byte { return r.Data })},
	{"metadata", "String", texts(func(r *projections.Row) []byte { return r.Metadata })},
	{"leaf", "FixedString(32)", eachRow(func(b []byte, r *projections.Row) []byte { return append(b, r.Leaf[:]...) })},
	{"subjects.alias", "Array(UUID)", lists(subjectsOf,
		each(func(b []byte, s *projections.Subject) []byte { return appendID(b, s.Alias) }))},
	{"subjects.role", "Array(LowCardinality(String))", wordLists(subjectsOf,
		func(s *projections.Subject) string { return s.Role })},
	{"values.attribute", "Array(LowCardinality(String))", wordLists(valuesOf,
		func(v *projections.Value) string { return v.Attribute })},
	{"values.element", "Array(String)", lists(valuesOf,
		each(func(b []byte, v *projections.Value) []byte { return appendText(b, v.Element) }))},
	{"values.value", "Array(String)", lists(valuesOf,
		each(func(b []byte, v *projections.Value) []byte { return appendText(b, v.Text) }))},
	{"values.removed", "Array(UInt8)", lists(valuesOf,
		each(func(b []byte, v *projections.Value) []byte { return append(b, flag(v.Removed)) }))},
	{"values.observed", "Array(DateTime64(3, 'UTC'))", lists(valuesOf,
		each(func(b []byte, v *projections.Value) []byte { return appendTime(b, v.Observed) }))},
	{"catalogue", "FixedString(8)",
		eachRow(func(b []byte, r *projections.Row) []byte { return append(b, r.Catalogue[:]...) })},
	{"partition", "LowCardinality(String)", words(func(r *projections.Row) string { return r.Partition })},
}

func subjectsOf(r *projections.Row) []projections.Subject { return r.Subjects }
func valuesOf(r *projections.Row) []projections.Value     { return r.Values }

// writer holds the column that is being written.
type writer struct {
	b     []byte
	words map[string]uint32 // of the column, by number
	keys  []uint32          // of its values
}

// reader yields a block, one column in memory at a time.
type reader struct {
	rows []*projections.Row
	next int    // column
	rest []byte // of the column before it, in w
	w    writer
}

// Reader returns the block of the rows, which stay as they are.
func Reader(rows []projections.Row) io.Reader {
	r := &reader{rows: make([]*projections.Row, len(rows))}
	for i := range rows {
		r.rows[i] = &rows[i]
	}
	slices.SortStableFunc(r.rows, byKey)
	r.w.b = binary.AppendUvarint(r.w.b, uint64(len(Columns)))
	r.w.b = binary.AppendUvarint(r.w.b, uint64(len(rows)))
	r.rest = r.w.b
	return r
}

// byKey compares as the key of events is ordered, (tenant, stream, ledger_seq). ClickHouse
// compares uuids by their second half first.
func byKey(a, b *projections.Row) int {
	return cmp.Or(bytes.Compare(a.Tenant[8:], b.Tenant[8:]), bytes.Compare(a.Tenant[:8], b.Tenant[:8]),
		strings.Compare(string(a.Stream), string(b.Stream)), cmp.Compare(a.Seq, b.Seq))
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.next == len(Columns) {
			return 0, io.EOF
		}
		c := Columns[r.next]
		r.next++
		r.w.b = appendText(appendText(r.w.b[:0], c.Name), c.Type)
		c.put(&r.w, r.rows)
		r.rest = r.w.b
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// eachRow writes a value of each row.
func eachRow(put func([]byte, *projections.Row) []byte) func(*writer, []*projections.Row) {
	return func(w *writer, rows []*projections.Row) {
		for _, r := range rows {
			w.b = put(w.b, r)
		}
	}
}

// each writes a value of each item.
func each[T any](put func([]byte, *T) []byte) func(*writer, []T) {
	return func(w *writer, items []T) {
		for i := range items {
			w.b = put(w.b, &items[i])
		}
	}
}

func numbers(of func(*projections.Row) uint64) func(*writer, []*projections.Row) {
	return eachRow(func(b []byte, r *projections.Row) []byte { return binary.LittleEndian.AppendUint64(b, of(r)) })
}

func ids(of func(*projections.Row) uuid.UUID) func(*writer, []*projections.Row) {
	return eachRow(func(b []byte, r *projections.Row) []byte { return appendID(b, of(r)) })
}

func times(of func(*projections.Row) time.Time) func(*writer, []*projections.Row) {
	return eachRow(func(b []byte, r *projections.Row) []byte { return appendTime(b, of(r)) })
}

func flags(of func(*projections.Row) bool) func(*writer, []*projections.Row) {
	return eachRow(func(b []byte, r *projections.Row) []byte { return append(b, flag(of(r))) })
}

func texts[T string | []byte](of func(*projections.Row) T) func(*writer, []*projections.Row) {
	return eachRow(func(b []byte, r *projections.Row) []byte { return appendText(b, of(r)) })
}

func words(of func(*projections.Row) string) func(*writer, []*projections.Row) {
	return func(w *writer, rows []*projections.Row) {
		w.beginWords()
		for i := range rows {
			w.word(of(rows[i]))
		}
		w.endWords()
	}
}

// offsets writes where each row's part of an array ends.
func offsets[T any](w *writer, rows []*projections.Row, of func(*projections.Row) []T) {
	end := uint64(0)
	for i := range rows {
		end += uint64(len(of(rows[i])))
		w.b = binary.LittleEndian.AppendUint64(w.b, end)
	}
}

func lists[T any](
	of func(*projections.Row) []T, put func(*writer, []T),
) func(*writer, []*projections.Row) {
	return func(w *writer, rows []*projections.Row) {
		offsets(w, rows, of)
		for i := range rows {
			put(w, of(rows[i]))
		}
	}
}

func wordLists[T any](
	of func(*projections.Row) []T, word func(*T) string,
) func(*writer, []*projections.Row) {
	return func(w *writer, rows []*projections.Row) {
		w.beginWords()
		offsets(w, rows, of)
		for i := range rows {
			items := of(rows[i])
			for j := range items {
				w.word(word(&items[j]))
			}
		}
		w.endWords()
	}
}

// Of LowCardinality: the version of its dictionaries; that a block brings one of its own; and the
// width of its keys.
const (
	wordsVersion = 1
	ownWords     = 1<<9 | 1<<10
	keys8        = 0
	keys16       = 1
	keys32       = 2
)

func (w *writer) beginWords() {
	w.b = binary.LittleEndian.AppendUint64(w.b, wordsVersion)
	if w.words == nil {
		w.words = map[string]uint32{}
	}
	clear(w.words)
	w.keys = w.keys[:0]
}

func (w *writer) word(s string) {
	key, ok := w.words[s]
	if !ok {
		key = uint32(len(w.words)) + 1 // 0 is the type's default
		w.words[s] = key
	}
	w.keys = append(w.keys, key)
}

func (w *writer) endWords() {
	if len(w.keys) == 0 {
		return
	}
	inOrder := make([]string, len(w.words)+1)
	for s, key := range w.words {
		inOrder[key] = s
	}
	width := uint64(keys32)
	if len(w.words) < math.MaxUint8 {
		width = keys8
	} else if len(w.words) < math.MaxUint16 {
		width = keys16
	}
	w.b = binary.LittleEndian.AppendUint64(w.b, ownWords|width)
	w.b = binary.LittleEndian.AppendUint64(w.b, uint64(len(inOrder)))
	for _, s := range inOrder {
		w.b = appendText(w.b, s)
	}
	w.b = binary.LittleEndian.AppendUint64(w.b, uint64(len(w.keys)))
	for _, key := range w.keys {
		switch width {
		case keys8:
			w.b = append(w.b, byte(key))
		case keys16:
			w.b = binary.LittleEndian.AppendUint16(w.b, uint16(key))
		default:
			w.b = binary.LittleEndian.AppendUint32(w.b, key)
		}
	}
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// appendID writes a uuid as two numbers.
func appendID(b []byte, u uuid.UUID) []byte {
	b = binary.LittleEndian.AppendUint64(b, binary.BigEndian.Uint64(u[:8]))
	return binary.LittleEndian.AppendUint64(b, binary.BigEndian.Uint64(u[8:]))
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(t.UnixMilli()))
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
