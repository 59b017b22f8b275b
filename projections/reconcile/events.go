package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledgerline/ledgerline/projections"
)

// portion is what is held of the ledger at a time: a mark for each sequence
// from from on, without a gap.
type portion struct {
	from  uint64
	marks []projections.Mark
}

func (p *portion) end() uint64 { return p.from + uint64(len(p.marks)) }

// events reads the ledger and compares each event with its row, portion by portion.
func (o *run) events(ctx context.Context) error {
	if o.Read {
		return nil
	}
	last := o.Result.Through
	for _, s := range o.Suspects {
		last = max(last, s.Seq)
	}
	p := portion{from: o.Next, marks: make([]projections.Mark, 0, o.cfg.Portion)}
	for e, err := range o.cfg.Events(ctx, o.Next) {
		if err != nil {
			return err
		}
		if e.Seq != p.end() {
			return fmt.Errorf("the ledger gave sequence %d where %d is due", e.Seq, p.end())
		}
		if e.Seq > last {
			break
		}
		row := projections.RowOf(e)
		if o.cfg.Judge != nil {
			genuine, err := o.cfg.Judge(ctx, e)
			if err != nil {
				return fmt.Errorf("judge the origin of sequence %d: %w", e.Seq, err)
			}
			if !genuine {
				if err := o.forged(ctx, &row); err != nil {
					return err
				}
			}
		}
		m := projections.MarkOf(&row)
		m.Stream = "" // two marks differ in it only where their sums do
		p.marks = append(p.marks, m)
		if uint64(len(p.marks)) == o.cfg.Portion {
			if err := o.compare(ctx, &p); err != nil {
				return err
			}
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err // an iterator may end with ctx and say nothing
	}
	if err := o.compare(ctx, &p); err != nil {
		return err
	}
	if p.from == 0 {
		return errors.New("the ledger has no event")
	}
	if err := o.beyond(ctx, p.from); err != nil {
		return err
	}
	o.Read = true
	return o.save(ctx)
}

// forged is called for an event of the ledger that is not genuine. One that is
// disowned is told and no difference.
func (o *run) forged(ctx context.Context, row *projections.Row) error {
	out, err := o.cfg.Views.Disowned(ctx, row.Tenant, row.EventID, row.Seq)
	if err != nil {
		return err
	}
	if out {
		o.Result.Disowned++
		return nil
	}
	o.found(projections.Finding{View: eventsTable, What: projections.Forged, Tenant: row.Tenant,
		Stream: string(row.Stream), Seq: row.Seq})
	return nil
}

// eventsTable is the name under which what differs from the ledger is told.
const eventsTable = "events"

// compare compares a portion with its rows, and begins the next one.
func (o *run) compare(ctx context.Context, p *portion) error {
	if len(p.marks) == 0 {
		return nil
	}
	last := p.end() - 1
	differing, err := o.differing(ctx, p)
	if err != nil {
		return err
	}
	found := map[uint64]bool{}
	for _, number := range differing {
		if err := o.list(ctx, p, max(p.from, number<<16), min(last, number<<16|0xffff), found); err != nil {
			return err
		}
	}
	if o.cfg.Deep {
		broken, err := o.cfg.Views.BrokenLeaves(ctx, p.from, last, maxListed)
		if err != nil {
			return err
		}
		for _, d := range broken {
			if !found[d.Seq] {
				o.found(projections.Finding{View: eventsTable, What: projections.BrokenLeaf,
					Tenant: d.Tenant, Seq: d.Seq})
			}
		}
	}
	for seq := p.from; seq <= last; seq++ {
		if seq <= o.Result.Through {
			o.Result.Events++
		} else {
			o.Result.Checked++
		}
	}
	p.from, p.marks = p.end(), p.marks[:0]
	o.Next = p.from
	if err := o.save(ctx); err != nil {
		return err
	}
	return o.rest(ctx, Progress{eventsTable, p.from, o.Result.Through + 1})
}

// maxListed is how many broken leaves of one portion are listed.
const maxListed = 1000

// differing returns the numbers of the 65,536 sequences that are to be looked at one by one: whose
// digests differ, and those above Through, of which rows may still be missing.
func (o *run) differing(ctx context.Context, p *portion) (out []uint64, err error) {
	have, err := o.cfg.Views.Marks(ctx, p.from, p.end()-1)
	if err != nil {
		return nil, err
	}
	want := projections.NewMarks()
	for _, m := range p.marks {
		want.Add(m)
	}
	numbers := map[uint64]bool{}
	for _, b := range want.Leaves.Differ(have.Leaves) {
		numbers[b.Number] = true
	}
	for _, b := range want.Rows.Differ(have.Rows) {
		numbers[b.Number] = true
	}
	for n := p.from >> 16; n <= (p.end()-1)>>16; n++ {
		if numbers[n] {
			out = append(out, n)
		}
	}
	return out, nil
}

// listAtOnce is how many sequences are looked at one by one at a time, and rowsAtOnce how
// many rows there may be of them.
const (
	listAtOnce = 8192
	rowsAtOnce = 4 * listAtOnce
)

// list names what differs in a range of a portion.
func (o *run) list(ctx context.Context, p *portion, from, to uint64, found map[uint64]bool) error {
	for ; from <= to; from += listAtOnce {
		last := min(to, from+listAtOnce-1)
		rows, err := o.cfg.Views.MarksOf(ctx, from, last, rowsAtOnce)
		if err != nil {
			return err
		}
		there := map[uint64]bool{}
		var others []projections.Mark
		for _, m := range rows {
			want := p.marks[m.Seq-p.from]
			if m.Sum == want.Sum && m.Leaf == want.Leaf && m.Tenant == want.Tenant {
				there[m.Seq] = true
			} else {
				others = append(others, m)
			}
		}
		for _, m := range others {
			f := projections.Finding{View: eventsTable, What: projections.Extra, Tenant: m.Tenant,
				Stream: m.Stream, Seq: m.Seq}
			want := p.marks[m.Seq-p.from]
			switch {
			case there[m.Seq]:
			case m.Tenant != want.Tenant || m.EventID != want.EventID || m.Leaf != want.Leaf:
				f.What = projections.OtherEvent
			case m.Catalogue != want.Catalogue:
				f.What = projections.Unrefreshed
			default:
				f.What = projections.Other
			}
			there[m.Seq], found[m.Seq] = true, true
			o.found(f)
		}
		if len(rows) == rowsAtOnce {
			continue // so many rows for so few sequences: what is missing among them cannot be told
		}
		for seq := from; seq <= min(last, o.Result.Through); seq++ {
			if !there[seq] {
				o.found(projections.Finding{View: eventsTable, What: projections.Missing,
					Tenant: p.marks[seq-p.from].Tenant, Seq: seq})
			}
		}
	}
	return nil
}

// beyond names the rows that are not the ledger's, which ends before sequence end: all up to
// Through, and of those above it the highest that were there before the ledger was read.
func (o *run) beyond(ctx context.Context, end uint64) error {
	if end <= o.Result.Through {
		rows, err := o.cfg.Views.MarksOf(ctx, end, o.Result.Through, maxListed)
		if err != nil {
			return err
		}
		for _, m := range rows {
			o.found(projections.Finding{View: eventsTable, What: projections.Extra, Tenant: m.Tenant,
				Stream: m.Stream, Seq: m.Seq})
		}
		if len(rows) == 0 {
			// The position says more than there is.
			o.found(projections.Finding{View: eventsTable, What: projections.Missing, Seq: end})
		}
	}
	for _, s := range o.Suspects {
		if s.Seq >= end && s.Seq > o.Result.Through {
			o.found(projections.Finding{View: eventsTable, What: projections.Extra, Tenant: s.Tenant,
				Stream: s.Stream, Seq: s.Seq})
		}
	}
	return nil
}
