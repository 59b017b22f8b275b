package report

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/heading"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// LateAfter is how long after the end of what a report covers an event may be recorded before it
// counts as a late arrival: one that a report made on the following day did not have.
const LateAfter = 24 * time.Hour

// MaxSample is the largest sample: it is held in memory.
const MaxSample = 100_000

// chunkRows bounds the rows of the first two chunks of a report, OpenBatch their tokens. Each of
// those behind has twice as many, up to mostTimes the first: every chunk is a trip to the vault
// and to the ledger, and whoever looks at the beginning only had little unsealed for nobody.
const (
	chunkRows = 1000
	mostTimes = 4
)

// Report is a report that can be read once, as a Document or by ranging over Rows.
type Report struct {
	Header  heading.Header
	Columns []Column
	def     *Definition
	opener  projections.Searcher
	rows    iter.Seq2[Row, error]
	lateAt  time.Time // rows recorded after it are late; zero: none can be
	totals  heading.Totals
	read    bool
	done    bool
}

// Run validates the request and asks the views which sequence they have reached; rows are read
// while the report is written, and ctx must live as long. Without an opener, or without Reveal,
// protected values are masked and counted. With one, what is shown is opened, and nothing else:
// rows that a filter or a sample leaves out were at most searched. A sequence that the views have
// not reached is an error: the answer could change.
func Run(ctx context.Context, reader Reader, opener projections.Searcher, r Request) (*Report, error) {
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	d, _ := Find(r.Report)
	fail := func(err error) (*Report, error) { return nil, fmt.Errorf("report %s: %w", d.ID, err) }
	through, any, err := reader.Through(ctx)
	if err != nil {
		return fail(err)
	}
	seq := through
	if r.AsOfSeq != nil {
		seq = *r.AsOfSeq
		if !any || seq > through {
			return fail(ahead(seq, through, any))
		}
	}
	l, _ := r.language()
	if r.Location == nil {
		r.Location = l.Location()
	}
	if r.Now.IsZero() {
		r.Now = time.Now()
	}
	q := &question{
		Reader: reader, Tenant: r.Tenant, In: projections.Period{From: r.From, To: r.To},
		AsOf: projections.AsOf{Seq: seq, Time: r.AsOf}, Filter: map[string][]string{}, Lang: l,
		Made: r.Now, Zone: r.Location, Owners: r.Owners,
	}
	rep := &Report{
		Header: heading.Header{
			Report: d.ID, Title: d.Title(l), Tenant: r.Tenant, TenantName: r.TenantName, Over: d.Scope == OverPeriod,
			From: r.From, To: r.To, Moment: r.AsOf, Location: r.Location, Language: l, Purpose: r.Purpose,
			PurposeWords: r.PurposeWords, By: r.By, Made: r.Now, Empty: !any, Sequence: seq,
			Checkpoint: r.Checkpoint, Personal: d.Personal,
			Revealed: r.Reveal && opener != nil && d.Personal, Sample: r.Sample, Seed: r.Seed,
		},
		Columns: d.Shown(r.ForPeople), def: d,
	}
	if rep.Header.Revealed {
		rep.opener = opener
	}
	for _, f := range d.Filters {
		given, ok := r.Filters[f.ID]
		if !ok {
			continue
		}
		vs, err := f.Read(given)
		if err == nil && f.Devices {
			vs, err = findDevices(ctx, reader, rep.opener, r.Tenant, seq, &f, vs)
		}
		if err != nil {
			return fail(err)
		}
		q.Filter[f.ID] = vs
		rep.Header.Filters = append(rep.Header.Filters, heading.Given{ID: f.ID, Title: f.Title(l), Values: vs,
			Text: f.Text(l, vs, r.Typed[f.ID], rep.Header.Revealed)})
	}
	if d.Late {
		rep.totals.Late = new(uint64)
		if end := cmp.Or(r.To, r.AsOf); !end.IsZero() {
			rep.lateAt = end.Add(LateAfter)
		}
	}
	rows := func(func(Row, error) bool) {}
	if any {
		rows = d.Rows(ctx, q)
	}
	if len(rep.Columns) < len(d.Columns) {
		rows = d.ForPeople(rows)
	}
	if sifts := rep.sieves(); len(sifts) > 0 {
		rows = rep.sifted(ctx, rows, sifts)
	}
	if r.Sample > 0 {
		rows = rep.sample(rows)
	}
	rep.rows = rep.open(ctx, rows)
	return rep, nil
}

// ErrRead: a report can be written once.
var ErrRead = errors.New("the report was read already: run it again")

// Rows yields the report's rows, opened, and ends at its first error. Totals are complete when it
// has ended.
func (r *Report) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if r.read {
			yield(Row{}, ErrRead)
			return
		}
		r.read = true
		for row, err := range r.rows {
			if err != nil {
				yield(Row{}, fmt.Errorf("report %s: %w", r.def.ID, err))
				return
			}
			if len(row.Cells) != len(r.Columns) {
				yield(Row{}, fmt.Errorf("report %s: a row has %d cells for %d columns", r.def.ID, len(row.Cells),
					len(r.Columns)))
				return
			}
			r.count(row)
			if !yield(row, nil) {
				return
			}
		}
		if r.Header.Sample == 0 {
			r.totals.Population = r.totals.Rows
		}
		r.done = true
	}
}

// Document returns the report as its renderers see it; what it yields are Rows.
func (r *Report) Document() *document.Document {
	l := r.Header.Language
	d := &document.Document{
		Language: l, Location: r.Header.Location, Organisation: r.Header.TenantName, Title: r.Header.Title,
		About: r.def.About(l), Notes: r.notes(), Header: r.Header.Facts(),
		Totals: func() ([]document.Fact, bool) { return r.totals.Facts(r.Header), r.done },
	}
	for _, c := range r.Columns {
		d.Columns = append(d.Columns, document.Column{
			ID: c.ID, Title: l.Text("column." + c.ID), Type: c.Type, List: c.List, Parts: c.Parts,
			Machine: c.Machine})
	}
	d.Rows = func(yield func(document.Row, error) bool) {
		for row, err := range r.Rows() {
			if err != nil {
				yield(document.Row{}, err)
				return
			}
			out := document.Row{Cells: make([]document.Cell, len(row.Cells))}
			for i, c := range row.Cells {
				for _, v := range c {
					out.Cells[i] = append(out.Cells[i], v.In(l))
				}
			}
			if !yield(out, nil) {
				return
			}
		}
	}
	return d
}

// notes say how the report is read.
func (r *Report) notes() (notes []string) {
	l, zone := r.Header.Language, r.Header.Location
	instants := slices.ContainsFunc(r.Columns, func(c Column) bool { return c.Type == document.Instant })
	if instants && zone != time.UTC {
		notes = append(notes, l.Text("note.times", words.Args{"zone": zone}))
	}
	if r.Header.Personal && !r.Header.Revealed {
		notes = append(notes, l.Text("note.masked", words.Args{"mark": document.Bullets}))
	}
	if r.Header.Personal {
		notes = append(notes, l.Text("note.states"))
	}
	return notes
}

// Totals returns what was counted, and whether the last row has been read: before that, and after
// an error, it is not all.
func (r *Report) Totals() (heading.Totals, bool) { return r.totals, r.done }

func (r *Report) count(row Row) {
	r.totals.Rows++
	for _, c := range row.Cells {
		for _, v := range c {
			switch v.State {
			case document.Masked:
				r.totals.Masked++
			case document.Erased:
				r.totals.Erased++
			case document.Expired:
				r.totals.Expired++
			case document.Lost:
				r.totals.Lost++
			case document.NotGenuine:
				r.totals.NotGenuine++
			}
		}
	}
	if r.totals.Late != nil && !r.lateAt.IsZero() && row.Recorded.After(r.lateAt) {
		*r.totals.Late++
	}
}

// open passes rows on in chunks whose tokens are opened in one call. While one chunk is written
// the next is opened, and the one behind it read: one, so that whoever takes no more had no more
// than that unsealed for nobody.
func (r *Report) open(ctx context.Context, rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	opened := readAhead(func(yield func([]Row, error) bool) {
		for chunk, err := range readAhead(chunks(rows)) {
			if err == nil {
				err = r.unseal(ctx, chunk, r.opener)
			}
			if !yield(chunk, err) || err != nil {
				return
			}
		}
	})
	return func(yield func(Row, error) bool) {
		for chunk, err := range opened {
			if err != nil {
				yield(Row{}, err)
				return
			}
			for _, row := range chunk {
				if !yield(row, nil) {
					return
				}
			}
			clear(chunk) // plaintext does not outlive its chunk
		}
	}
}

// unseal opens what a chunk has of tokens, or says what is not genuine where nothing is opened.
func (r *Report) unseal(ctx context.Context, chunk []Row, opener projections.Opener) error {
	var tokens content.Tokens
	if r.opener != nil {
		n := 0
		for i := range chunk {
			n += tokensOf(chunk[i])
		}
		tokens.Grow(min(n, mostTimes*content.OpenBatch))
	}
	for i := range chunk {
		for _, c := range chunk[i].Cells {
			for k := range c {
				if c[k].Token() == "" {
					continue
				}
				if r.opener == nil {
					tokens.Check(&c[k])
				} else if s, genuine := tokens.Parse(&c[k]); genuine {
					tokens.Add(&c[k], s)
				}
				if tokens.Len() == mostTimes*content.OpenBatch { // of a row that has more than that
					if err := tokens.Open(ctx, opener); err != nil {
						return err
					}
				}
			}
		}
	}
	if err := tokens.Open(ctx, opener); err != nil {
		return err
	}
	for i := range chunk {
		for _, c := range chunk[i].Cells {
			for k := range c {
				c[k].Instead()
			}
		}
	}
	return nil
}

// tokensOf counts the row's values that are not open.
func tokensOf(r Row) (n int) {
	for _, c := range r.Cells {
		for i := range c {
			if c[i].Token() != "" {
				n++
			}
		}
	}
	return n
}

// chunks are the rows in portions of chunkRows, or of OpenBatch tokens, and of multiples of both.
func chunks(rows iter.Seq2[Row, error]) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		var chunk []Row
		tokens, times, next := 0, 1, 1
		for row, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			n := tokensOf(row)
			if len(chunk) > 0 && (tokens+n > times*content.OpenBatch || len(chunk) == times*chunkRows) {
				if !yield(chunk, nil) {
					return
				}
				chunk, tokens, times, next = nil, 0, next, min(2*next, mostTimes)
			}
			chunk = append(chunk, row)
			tokens += n
		}
		if len(chunk) > 0 {
			yield(chunk, nil)
		}
	}
}

// readAhead yields what seq does, and makes the next one while the caller works on one. It ends
// when seq has.
func readAhead[T any](seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	type made struct {
		v   T
		err error
	}
	return func(yield func(T, error) bool) {
		next, left, ended := make(chan made), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			defer close(next)
			for v, err := range seq {
				select {
				case next <- made{v, err}:
				case <-left:
					return
				}
			}
		}()
		defer func() { close(left); <-ended }()
		for m := range next {
			if !yield(m.v, m.err) {
				return
			}
		}
	}
}

// sample draws Header.Sample rows and yields them in the report's order. A row's chance hangs on
// the seed and its key alone: the same seed draws the same rows of the same population, however
// it was paged, and an auditor can repeat it: the rows whose SHA-256(seed as 8 bytes, big-endian
// ‖ key) are smallest.
func (r *Report) sample(rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		h := &drawn{}
		for row, err := range rows {
			if err != nil {
				yield(Row{}, err)
				return
			}
			sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, r.Header.Seed), row.Key...))
			d := draw{rank: string(sum[:]), at: r.totals.Population, row: row}
			r.totals.Population++
			switch {
			case h.Len() < r.Header.Sample:
				heap.Push(h, d)
			case d.less((*h)[0]):
				(*h)[0] = d
				heap.Fix(h, 0)
			}
		}
		slices.SortFunc(*h, func(a, b draw) int { return cmp.Compare(a.at, b.at) })
		for _, d := range *h {
			if !yield(d.row, nil) {
				return
			}
		}
	}
}

type draw struct {
	rank string
	at   uint64
	row  Row
}

func (d draw) less(e draw) bool {
	return cmp.Or(strings.Compare(d.rank, e.rank), cmp.Compare(d.at, e.at)) < 0
}

// drawn is a heap with the largest rank on top, the next to be dropped.
type drawn []draw

func (h drawn) Len() int           { return len(h) }
func (h drawn) Less(i, j int) bool { return h[j].less(h[i]) }
func (h drawn) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *drawn) Push(x any)        { *h = append(*h, x.(draw)) }
func (h *drawn) Pop() any {
	old := *h
	d := old[len(old)-1]
	*h = old[:len(old)-1]
	return d
}
