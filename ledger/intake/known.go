package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/taken"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file recognises records that the ledger took exactly so before, by their bytes alone: such
// a record is neither parsed nor compared. DESIGN.md, "What is known", says what that rests on.

// knownForm is raised with each change of what parsing or planning makes of the same record on the
// same state: what an older program took is then looked at anew. testdata/states.sum is not
// written with other results under the same form.
const knownForm = 7

// Bounds of a page. It ends behind about one record in so many, whichever those are: a record that
// is put in or taken out moves no page but its own.
const (
	maxPageRecords = 128
	maxPageBytes   = 128 << 10
	pageEnds       = 1<<6 - 1 // of a checksum's bits
)

// Ages of pages, in days.
const (
	pageSeenAgain = 7  // from then on it is noted that it is still read
	pageKept      = 90 // since it was read last
)

const (
	maxExpired   = 1024    // pages deleted by one import
	maxUnsettled = 1 << 21 // tags that an import holds; with more, nothing is known any more
)

// paging cuts a file's records into pages, by what they are.
type paging struct {
	records, bytes int
	ended          bool
}

// next reports whether the record begins a page.
func (p *paging) next(raw []byte) (begins bool) {
	if begins = p.records == 0 || p.ended || p.records == maxPageRecords || p.bytes+len(raw) > maxPageBytes; begins {
		*p = paging{}
	}
	p.records, p.bytes = p.records+1, p.bytes+len(raw)
	p.ended = crc32.Checksum(raw, castagnoli)&pageEnds == 0
	return begins
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// outcomeBefore is what became of a record.
type outcomeBefore struct {
	superseded bool
	outcome    *report
	item       source.Item // the record itself: what is unsettled meanwhile is looked at after all
	dating     record.Dating
}

// report is what a summary counts of a record, and what records of a page have in common.
type report struct {
	undated, decoded bool
	kept, withheld   int
	fields           map[string]int        // unknown, by name
	parts            map[string]partBefore // what was read of it beside, by name
}

// partBefore counts what became of parts of one name.
type partBefore struct{ unchanged, superseded int }

func (t *report) is(o *report) bool {
	return t.undated == o.undated && t.decoded == o.decoded && t.kept == o.kept && t.withheld == o.withheld &&
		maps.Equal(t.fields, o.fields) && maps.Equal(t.parts, o.parts)
}

// page is some records of a file that stand one behind the other. It is known by the first of
// them.
type page struct {
	taken.Page
	left   int // records that have no outcome yet
	fresh  bool
	dict   []*report
	places []byte // the records
}

// pageTold bounds the kinds of what is told of a page's records.
const pageTold = 255

// put adds a record.
func (p *page) put(m taken.Mark, superseded bool, t *report, rests []taken.Tag, asOf uint64) {
	at := slices.IndexFunc(p.dict, t.is)
	if at < 0 && len(p.dict) == pageTold || len(rests) > pageTold {
		return
	}
	if at < 0 {
		at = len(p.dict)
		p.dict = append(p.dict, t)
	}
	if len(p.places) == 0 {
		p.AsOf = asOf
	}
	p.AsOf = min(p.AsOf, asOf)
	flags := byte(0)
	if superseded {
		flags = 1
	}
	p.places = append(append(p.places, m[:]...), flags, byte(at), byte(len(rests)))
	for _, r := range rests {
		p.places = binary.BigEndian.AppendUint64(p.places, uint64(r))
	}
}

// encode writes what is told, then the records.
func (p *page) encode() []byte {
	b := []byte{knownForm, byte(len(p.dict))}
	for _, t := range p.dict {
		flags := byte(0)
		if t.undated {
			flags |= 1
		}
		if t.decoded {
			flags |= 2
		}
		b = append(b, flags)
		for _, n := range []int{t.kept, t.withheld, len(t.fields)} {
			b = binary.AppendUvarint(b, uint64(n))
		}
		for _, name := range sortedKeys(t.fields) {
			b = binary.AppendUvarint(b, uint64(len(name)))
			b = binary.AppendUvarint(append(b, name...), uint64(t.fields[name]))
		}
		b = binary.AppendUvarint(b, uint64(len(t.parts)))
		for _, name := range sortedKeys(t.parts) {
			b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
			b = binary.AppendUvarint(b, uint64(t.parts[name].unchanged))
			b = binary.AppendUvarint(b, uint64(t.parts[name].superseded))
		}
	}
	return append(b, p.places...)
}

// place is a record in a page.
type place struct {
	mark       taken.Mark
	superseded bool
	told       *report
	rests      []byte
}

// decodePage returns the records of a page, none where another program wrote it.
func decodePage(b []byte) (out []place) {
	if len(b) < 2 || b[0] != knownForm {
		return nil
	}
	dict := make([]report, b[1])
	b = b[2:]
	ok := true
	number := func() int {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > 1<<40 {
			ok = false
			return 0
		}
		b = b[used:]
		return int(n)
	}
	text := func() string {
		n := number()
		if ok = ok && n <= len(b); !ok {
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	for i := range dict {
		if len(b) == 0 {
			return nil
		}
		t := &dict[i]
		t.undated, t.decoded = b[0]&1 != 0, b[0]&2 != 0
		b = b[1:]
		t.kept, t.withheld = number(), number()
		for range number() {
			if t.fields == nil {
				t.fields = map[string]int{}
			}
			name := text()
			t.fields[name] = number()
			if !ok {
				return nil
			}
		}
		for range number() {
			if t.parts == nil {
				t.parts = map[string]partBefore{}
			}
			name := text()
			t.parts[name] = partBefore{number(), number()}
			if !ok {
				return nil
			}
		}
	}
	const head = len(taken.Mark{}) + 3
	out = make([]place, 0, len(b)/(head+8))
	for ok && len(b) >= head {
		p := place{mark: taken.Mark(b), superseded: b[head-3] != 0}
		at, rests := int(b[head-2]), 8*int(b[head-1])
		if b = b[head:]; at >= len(dict) || rests > len(b) {
			return nil
		}
		p.told, p.rests, b = &dict[at], b[:rests], b[rests:]
		out = append(out, p)
	}
	if !ok {
		return nil
	}
	return out
}

// recognition is what one import knows of the records that were taken before, and what it adds.
type recognition struct {
	in      *Intake
	tenant  vault.Tenant
	by      []byte // what a mark is made over beside the form, the dating and the text
	dry     bool
	basis   taken.Basis
	today   int64
	discard bool // what is unsettled has become too much

	mu    sync.Mutex // guards what follows: parts are recognised side by side
	off   bool
	upto  uint64 // unsettled up to here is in tags
	floor uint64
	tags  map[taken.Tag]uint64
	own   map[taken.Mark]bool // pages that this import kept

	// Of whoever takes the batches.
	pages     []taken.Page // complete, and not yet kept
	unsettled []taken.Tag  // by batches of which nothing is kept yet
}

// remember returns what is known of the tenant's records, once it is sure that the ledger still
// has what that rests on.
func (in *Intake) remember(ctx context.Context, tenant vault.Tenant, left *leftOut, dry bool) (*recognition, error) {
	m := &recognition{in: in, tenant: tenant, dry: dry, off: in.ignorant, tags: map[taken.Tag]uint64{},
		own: map[taken.Mark]bool{}, today: in.cfg.Clock().Unix() / int64(24*time.Hour/time.Second)}
	version := in.cfg.Catalogue.Version()
	m.by = append([]byte{knownForm}, version[:]...)
	m.by = binary.BigEndian.AppendUint64(m.by, tenant.Policy.Number)
	m.by = append(m.by, asByte(in.unlimited))
	m.basis.Disowned = left.mark()
	var had taken.Basis
	err := in.cfg.Vault.View(ctx, tenant.ID, func(tx *vault.Tx) error {
		had = tx.Known().Basis()
		return nil
	})
	if err != nil || m.off || had == (taken.Basis{}) {
		return m, err
	}
	holds, err := in.holds(ctx, had)
	if err != nil {
		return nil, err
	}
	if holds && had.Disowned == m.basis.Disowned {
		return m, nil
	}
	if m.off = dry; dry {
		return m, nil
	}
	return m, in.cfg.Vault.Update(ctx, tenant.ID, func(tx *vault.Tx) error { return tx.Known().Forget() })
}

func asByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// holds reports whether the ledger has the event that it ended with when the newest page was made:
// one that was restored from before that has lost what pages rest on.
func (in *Intake) holds(ctx context.Context, b taken.Basis) (bool, error) {
	for r, err := range in.cfg.Ledger.ReadStream(ctx, b.Stream, b.Revision) {
		if err != nil {
			return false, fmt.Errorf("read %s: %w", b.Stream, err)
		}
		return r.Revision == b.Revision && r.ID == b.Event, nil
	}
	return false, nil
}

// mark tells of which events the import leaves out, as far as that was known when it began.
func (o *leftOut) mark() (m taken.Mark) {
	if len(o.disowned) == 0 {
		return m
	}
	h := sha256.New()
	for _, id := range slices.SortedFunc(maps.Keys(o.disowned), func(a, b uuid.UUID) int {
		return slices.Compare(a[:], b[:])
	}) {
		h.Write(id[:])
	}
	return taken.Mark(h.Sum(nil)[:len(m)])
}

// candidate is a record that may be known.
type candidate struct {
	entry  *entry
	item   source.Item
	dating record.Dating
	form   plan.Parsed
	begins bool // a page
}

// recognise marks the records, which are whole pages, and says what became of those that were
// taken before.
func (m *recognition) recognise(ctx context.Context, all []candidate) error {
	if len(all) == 0 {
		return nil
	}
	m.mu.Lock()
	off := m.off
	m.mu.Unlock()
	if off {
		return nil
	}
	return m.in.cfg.Vault.View(ctx, m.tenant.ID, func(tx *vault.Tx) error {
		marks, err := tx.Known().Marks()
		if err != nil {
			return err
		}
		var firsts []taken.Mark
		var by []byte
		var of *page
		for i := range all {
			c := &all[i]
			by = m.markedBy(by[:0], c.form, c.item, c.dating)
			e := c.entry
			e.mark = marks.Mark(by, c.item.Raw)
			if c.begins || of == nil {
				of = &page{Page: taken.Page{First: e.mark, Seen: m.today}}
				firsts = append(firsts, e.mark)
			}
			e.page = of
			of.left++
		}
		pages, err := tx.Known().Pages(m.others(firsts))
		if err != nil || len(pages) == 0 {
			return err
		}
		count, floor, err := m.settle(tx)
		if err != nil {
			return err
		}
		by1 := make(map[taken.Mark]*taken.Page, len(pages))
		for i := range pages {
			by1[pages[i].First] = &pages[i]
		}
		var places []place
		var from *taken.Page
		of, next := nil, 0
		for _, c := range all {
			e := c.entry
			if e.page != of {
				of, next, places, from = e.page, 0, nil, by1[e.page.First]
				if from != nil && from.AsOf >= floor {
					places = decodePage(from.Text)
					of.fresh = from.Seen+pageSeenAgain <= m.today
				}
			}
			if next >= len(places) || places[next].mark != e.mark {
				next = slices.IndexFunc(places, func(p place) bool { return p.mark == e.mark })
			}
			if next < 0 {
				next = len(places)
				continue
			}
			p := places[next]
			next++
			rests := e.rests[:0]
			for b := p.rests; len(b) >= 8; b = b[8:] {
				rests = append(rests, taken.Tag(binary.BigEndian.Uint64(b)))
			}
			if !m.stands(rests, from.AsOf) {
				continue
			}
			e.rests = rests
			e.taken = &outcomeBefore{superseded: p.superseded, outcome: p.told, item: c.item, dating: c.dating}
			e.taken.item.Rec = nil // parsing takes from it
			e.asOf, e.wave = count, c.form.Wave
			e.tally = plan.Tally{Undated: p.told.undated, Kept: p.told.kept, Withheld: p.told.withheld}
			e.fields, e.decoded = p.told.fields, e.decoded || p.told.decoded
		}
		return nil
	})
}

// others returns the pages that were there when the import began: a record that stands in it twice
// counts the same however far its first was taken when its second is read.
func (m *recognition) others(firsts []taken.Mark) []taken.Mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(firsts, func(p taken.Mark) bool { return m.own[p] })
}

// markedBy appends all by which a record is marked beside its text.
func (m *recognition) markedBy(to []byte, form plan.Parsed, it source.Item, dating record.Dating) []byte {
	to = schemas.LP(append(to, m.by...), form.Name)
	if it.Rec.Parent != "" {
		to = schemas.LP(to, it.Rec.Parent) // a page tells whose its records are
	}
	if to = append(to, asByte(it.Decoded), asByte(form.OwnTime)); form.OwnTime {
		return to
	}
	return append(binary.BigEndian.AppendUint64(to, uint64(dating.At.UnixNano())), asByte(dating.Proven))
}

// settle reads what was unsettled since it was read last, and returns the counts.
func (m *recognition) settle(tx *vault.Tx) (count, floor uint64, err error) {
	count, floor = tx.Known().Count()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.floor = max(m.floor, floor)
	if count <= m.upto {
		return count, floor, nil
	}
	err = tx.Known().Unsettled(m.upto, func(t taken.Tag, at uint64) { m.tags[t] = at })
	m.upto = count
	if len(m.tags) > maxUnsettled {
		m.off, m.discard, m.tags = true, true, map[taken.Tag]uint64{}
		m.floor = count + 1
	}
	return count, m.floor, err
}

// stands reports whether none of what a record rests on was unsettled after that count.
func (m *recognition) stands(rests []taken.Tag, asOf uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return asOf >= m.floor && !slices.ContainsFunc(rests, func(t taken.Tag) bool { return m.tags[t] > asOf })
}

// isKnown reports whether nothing more is to be done for the record.
func (e *entry) isKnown() bool { return e.taken != nil && e.outcome == pending }

// look has those records of the batch looked at after all of which something was unsettled since
// they were recognised, and reports whether there are any.
func (m *recognition) look(ctx context.Context, b *batch) (any bool, err error) {
	if !slices.ContainsFunc(b.entries, (*entry).isKnown) {
		return false, nil
	}
	err = m.in.cfg.Vault.View(ctx, m.tenant.ID, func(tx *vault.Tx) error {
		_, _, err := m.settle(tx)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, e := range b.entries {
		if e.isKnown() && !m.stands(e.rests, e.asOf) {
			m.in.reconsider(m.tenant, e)
			b.addParts(e)
			any = true
		}
	}
	return any, nil
}

// after does the same for records that would have been planned behind those of a round that
// unsettled what they rest on.
func (m *recognition) after(b *batch, planned []*entry) (any bool) {
	type order struct {
		wave plan.Wave
		at   time.Time
		n    int
	}
	compare := func(a, b order) int {
		return cmp.Or(int(a.wave)-int(b.wave), a.at.Compare(b.at), a.n-b.n)
	}
	var place map[*entry]int
	var first map[taken.Tag]order
	for _, e := range planned {
		for _, t := range slices.Concat(e.unsettled, e.renamed) {
			if first == nil {
				first, place = map[taken.Tag]order{}, map[*entry]int{}
				for i, e := range b.entries {
					place[e] = i
				}
			}
			o := order{e.wave, e.at, place[e]}
			if was, told := first[t]; !told || compare(o, was) < 0 {
				first[t] = o
			}
		}
		m.unsettled = append(m.unsettled, e.unsettled...)
		e.unsettled, e.renamed = nil, nil
	}
	if first == nil {
		return false
	}
	for _, e := range b.entries {
		if !e.isKnown() || !slices.ContainsFunc(e.rests, func(t taken.Tag) bool { _, is := first[t]; return is }) {
			continue
		}
		was := *e
		m.in.reconsider(m.tenant, e)
		if e.outcome != pending {
			any = true
			continue
		}
		if len(was.taken.outcome.parts) > 0 || len(e.parts) > 0 { // each has an order of its own
			b.addParts(e)
			any = true
			continue
		}
		_, at := e.record.Origin()
		own := order{e.wave, at, place[e]}
		behind := slices.ContainsFunc(was.rests, func(t taken.Tag) bool {
			o, is := first[t]
			return is && compare(own, o) > 0
		})
		if any = any || behind; !behind {
			*e = was
		}
	}
	return any
}

// reconsider parses a record that was known.
func (in *Intake) reconsider(tenant vault.Tenant, e *entry) {
	it, err := in.forms.Recognise(e.taken.item)
	was := *e
	if *e = *in.head(tenant, it); err != nil {
		e.outcome, e.reason = failed, err.Error() // it was recognised before
	}
	in.parse(e, it, was.taken.dating)
	e.file, e.bytes, e.bytesTotal, e.page, e.mark = was.file, was.bytes, was.bytesTotal, was.page, was.mark
}

// conclude gives the known records of a batch their outcomes and, of an import that writes, takes
// the records of the batch in: all that they add was acknowledged.
func (m *recognition) conclude(ctx context.Context, b *batch) error {
	fresh := false
	for _, e := range b.entries {
		p := e.page
		e.page = nil
		if e.isKnown() {
			if e.outcome = unchanged; e.taken.superseded {
				e.outcome = superseded
			}
			if p != nil {
				p.put(e.mark, e.taken.superseded, e.taken.outcome, e.rests, e.asOf)
			}
			e.before, e.taken = e.taken.outcome.parts, nil
		} else if p != nil && m.lasts(e) {
			t := &report{undated: e.tally.Undated, decoded: e.decoded, kept: e.tally.Kept, withheld: e.tally.Withheld,
				fields: e.fields, parts: e.partsNow()}
			rests, asOf := e.restsOn()
			p.put(e.mark, e.outcome == superseded, t, rests, asOf)
			p.fresh = true
		}
		if e.rests = nil; p == nil {
			continue
		}
		if p.left--; p.left == 0 && p.fresh && !m.dry {
			p.Text = p.encode()
			m.pages, fresh = append(m.pages, p.Page), true
		}
	}
	if !fresh {
		return nil
	}
	last, err := m.in.cfg.Ledger.Last(ctx)
	if err != nil {
		return err
	}
	m.basis = taken.Basis{Disowned: m.basis.Disowned,
		Stream: last.Stream, Revision: last.Revision, Event: last.ID, Position: last.Position}
	return nil
}

// partsNow counts the parts of a record as they would be counted once more.
func (e *entry) partsNow() (out map[string]partBefore) {
	for _, p := range e.parts {
		if out == nil {
			out = map[string]partBefore{}
		}
		n := out[p.kind]
		if p.outcome == superseded {
			n.superseded++
		} else {
			n.unchanged++
		}
		out[p.kind] = n
	}
	return out
}

// restsOn returns what the record and its parts rest on.
func (e *entry) restsOn() (rests []taken.Tag, asOf uint64) {
	rests, asOf = e.rests, e.asOf
	for _, p := range e.parts {
		if asOf = min(asOf, p.asOf); len(rests) > pageTold {
			break // it is not kept
		}
		for _, t := range p.rests {
			if !slices.Contains(rests, t) {
				rests = append(rests, t)
			}
		}
	}
	return rests, asOf
}

// lasts reports whether the same would become of the record once more, as long as what it rests on
// stands, and would be told in the same way.
func (m *recognition) lasts(e *entry) bool {
	switch e.outcome {
	case recorded, unchanged, superseded:
	default:
		return false
	}
	if slices.ContainsFunc(e.parts, func(p *entry) bool { return !m.lasts(p) }) {
		return false
	}
	t := e.tally
	if e.vague || len(e.rests) == 0 || t.SameMoment || t.Disputed || len(t.Refused) > 0 || t.Omitted > 0 ||
		t.Unnamed > 0 || t.Cut > 0 || t.Contradicted > 0 {
		return false
	}
	return !e.at.IsZero()
}

// keep has the pages that are complete kept by the transaction, before it plans anything.
func (m *recognition) keep(tx *vault.Tx) error {
	m.mu.Lock()
	for _, p := range m.pages {
		m.own[p.First] = true // before anybody can find it
	}
	m.mu.Unlock()
	// Others may have planned before what was planned here was appended.
	tx.Known().UnsettleBefore(m.unsettled...)
	return tx.Known().Remember(m.pages, m.basis)
}

// kept notes that the transaction is durable.
func (m *recognition) kept() { m.pages, m.unsettled = nil, nil }

// end keeps what is left, and forgets what was not seen for long.
func (m *recognition) end(ctx context.Context) error {
	if m.dry || len(m.pages) == 0 && len(m.unsettled) == 0 && !m.discard {
		return nil
	}
	return m.in.cfg.Vault.Update(ctx, m.tenant.ID, func(tx *vault.Tx) error {
		if m.discard {
			return tx.Known().Forget()
		}
		if err := m.keep(tx); err != nil {
			return err
		}
		return tx.Known().Expire(m.today-pageKept, maxExpired)
	})
}
