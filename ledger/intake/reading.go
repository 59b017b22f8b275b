package intake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/ledgerline/ledgerline/internal/flow"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Bounds of what is read and not yet planned. A record is held to take, whatever it says,
// perRecord, and for each byte of its text waitingTimes as many: so much takes one of many apps.
const (
	maxWaiting      = 32 << 20 // bytes
	maxWaitingParts = 1024
	waitingTimes    = 4
	perRecord       = 4 << 10
	maxPart         = 64 << 10 // bytes of text in one part, and of records: it ends with the page after that
	maxPartRecords  = 64
)

// reading takes what a walk finds. Records are parsed beside each other, a part of them at a time;
// all is sent in the order in which it was found.
type reading struct {
	*walked
	file          string
	record.Dating // of its records that tell no time

	paging  paging
	part    *part
	waiting *flow.Queue[*part]
	hands   chan struct{} // as many parts are parsed beside the walk
}

// part is some of what was found, in order.
type part struct {
	entries []*entry
	items   []source.Item // what those are parsed from that are records
	dating  []record.Dating
	begins  []bool // a page
	size    int    // of their text
	err     error
	done    chan struct{}
}

func (p *part) weight() int { return waitingTimes*p.size + perRecord*len(p.entries) }

// read sends what is found in the files.
func (w *walked) read(found *folders.Listing) error {
	r := &reading{walked: w, part: newPart(), hands: make(chan struct{}, runtime.GOMAXPROCS(0)-1),
		waiting: flow.New(maxWaiting, maxWaitingParts, (*part).weight)}
	sent := make(chan error, 1)
	go func() { sent <- w.sendAll(r.waiting) }()
	err := w.in.forms.Read(w.ctx, found, r)
	if err == nil {
		err = r.pass()
	}
	r.waiting.Close()
	return cmp.Or(err, <-sent)
}

// sendAll sends what waits until there is no more.
func (w *walked) sendAll(waiting *flow.Queue[*part]) (err error) {
	for p := range waiting.Items() {
		<-p.done
		err = cmp.Or(err, p.err)
		for _, e := range p.entries {
			if err == nil {
				w.holdBack(e)
				err = w.send(e)
			}
		}
		waiting.Took(p)
	}
	return err
}

// send sends an entry, unless the import has ended.
func (w *walked) send(e *entry) error {
	select {
	case w.to <- e:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

func newPart() *part { return &part{done: make(chan struct{})} }

// add adds what is found at that place: a record to parse, or with no item an entry as it is. A
// part is of whole pages.
func (r *reading) add(at source.Position, e *entry, it source.Item, d record.Dating) error {
	p := r.part
	begins := it.Rec != nil && r.paging.next(it.Raw)
	ends := len(p.entries) >= maxPartRecords || len(p.entries) > 0 && p.size+len(it.Raw) > maxPart
	if ends && (begins || it.Rec == nil) {
		if err := r.pass(); err != nil {
			return err
		}
		p = r.part
	}
	e.file, e.bytes, e.bytesTotal = at.File, at.Read, at.Total
	p.entries, p.items, p.dating = append(p.entries, e), append(p.items, it), append(p.dating, d)
	p.begins = append(p.begins, begins)
	p.size += len(it.Raw)
	return nil
}

// pass passes on what has been found since it was called last.
func (r *reading) pass() error {
	p := r.part
	r.part = newPart()
	if r.waiting.Put(r.ctx, p) != nil {
		return context.Cause(r.ctx)
	}
	select {
	case r.hands <- struct{}{}:
		go func() {
			r.parse(p)
			<-r.hands
		}()
	default:
		r.parse(p)
	}
	return nil
}

// parse parses the records of a part that are not known.
func (w *walked) parse(p *part) {
	defer close(p.done)
	defer func() { p.items, p.dating = nil, nil }() // the texts
	var may []candidate
	begins := false
	for i, it := range p.items {
		if it.Rec == nil {
			continue
		}
		at := *p.entries[i]
		e := p.entries[i]
		*e = *w.in.head(w.tenant, it)
		e.file, e.bytes, e.bytesTotal = at.file, at.bytes, at.bytesTotal
		begins = begins || p.begins[i]
		if e.outcome == pending && w.before != nil && it.Kind.Form != nil {
			may = append(may, candidate{e, it, p.dating[i], w.in.kinds.Form(it.Kind.Form.Name), begins})
			begins = false
		}
	}
	if p.err = w.before.recognise(w.ctx, may); p.err != nil {
		return
	}
	for i, it := range p.items {
		if e := p.entries[i]; it.Rec != nil && e.taken == nil {
			w.in.parse(e, it, p.dating[i])
		}
	}
}

func (r *reading) Broken(at source.Position, f source.Flaw) error {
	return r.add(at, &entry{line: f.Line, number: f.Number, outcome: failed, field: f.Field, reason: f.Reason},
		source.Item{}, r.Dating)
}

func (r *reading) Unknown(at source.Position, l source.Looks) error {
	return r.add(at, &entry{outcome: noted, looks: &l}, source.Item{}, r.Dating)
}

func (r *reading) Notice(at source.Position, line int, what string) error {
	return r.add(at, &entry{line: line, outcome: noted, reason: what}, source.Item{}, r.Dating)
}

func (r *reading) Record(at source.Position, it source.Item) error {
	if r.file != at.File || r.At.IsZero() {
		r.file, r.Dating, r.paging = at.File, r.src.date(at.Modified, r.in.cfg.Clock()), paging{}
	}
	return r.add(at, &entry{}, it, r.Dating)
}

// holdBack fails a record that may be another customer's. It sees them in the order in which they
// were found.
func (w *walked) holdBack(e *entry) {
	w.foreign = w.foreign || e.othersTenant
	if w.foreign && !w.src.TakeNameless && e.outcome == pending && e.tenant == "" {
		e.outcome, e.record, e.tally, e.fields, e.heldBack, e.parts = failed, nil, plan.Tally{}, nil, true, nil
		e.reason = "names no source tenant, and other records beside it name one that is not declared for this " +
			"tenant: it may be another customer's"
	}
}

// head tells of a record what it is, and whose. What may be taken is pending.
func (in *Intake) head(tenant vault.Tenant, it source.Item) *entry {
	e := &entry{line: it.Line, number: it.Number, size: len(it.Raw), kind: it.Kind.Name, named: it.Kind.Named,
		decoded: it.Decoded || it.Rec.Decoded}
	named := source.SourceTenants(*it.Rec)
	for _, n := range named {
		e.tenant = n.Value
		e.othersTenant = e.othersTenant || !tenant.Takes(n.Value)
	}
	if it.Kind.Form == nil && it.Kind.Never == "" {
		e.outcome = unrecognised
	} else if err := check(tenant, named); err != nil {
		e.fail(err)
	}
	return e
}

// fail has the record fail, with the words of a record.FieldError.
func (e *entry) fail(err error) {
	var f *record.FieldError
	e.outcome, e.reason, e.parsed = failed, "cannot be understood", plan.Tally{}
	if errors.As(err, &f) {
		e.field, e.reason = f.Field, f.Reason
	}
}

// parse puts one record that may be taken into the ledger's terms.
func (in *Intake) parse(e *entry, it source.Item, file record.Dating) {
	if e.outcome != pending {
		return
	}
	m := *it.Rec
	form := it.Kind.Form
	if form == nil {
		e.never(it.Kind.Never, source.Graph, it, file)
		return
	}
	if form.Category != "" && m.Has("properties") && m.Properties == nil {
		e.fail(&record.FieldError{Field: "properties", Reason: "is no object, nor a text that holds one"})
		return
	}
	counts, whole := m.DropNever(form.Never)
	if whole != "" {
		e.never(whole, form.Origin, it, file)
		return
	}
	seen := &record.Seen{Columns: m.Columns}
	of := in.kinds.Form(form.Name)
	parsing := plan.Parsing{Record: m, File: file, Now: in.cfg.Clock(), Seen: seen, Tally: &e.parsed,
		Never: plan.RefuseNever(counts)}
	var beside []plan.Reading
	for _, r := range in.kinds.Readings(form.Name) {
		if r.Reads(m) { // before the form's own parser takes from it
			beside = append(beside, r)
		}
	}
	parsed, err := of.Parse(parsing)
	e.decoded = e.decoded || seen.Decoded > 0
	if err != nil {
		e.fail(err)
		return
	}
	if bytes.Contains(it.Raw, []byte(`"`+schemas.SealedPrefix)) {
		e.bar = plan.Forged
	}
	for _, r := range beside {
		in.parseParts(e, r, parsing)
	}
	e.decoded = e.decoded || seen.Decoded > 0
	e.record, e.wave, e.tally, e.fields = parsed, of.Wave, e.parsed, seen.Unknown
}

// never has the whole record refused: it is what is never collected, and nothing of it is read.
func (e *entry) never(category, origin string, it source.Item, file record.Dating) {
	e.bar, e.record, e.wave = plan.NeverOf(category), plan.Barred(origin, file.At, it.Raw), plan.WaveRefusals
}

// parseParts puts what a reading finds in a record into its kind's terms.
func (in *Intake) parseParts(e *entry, r plan.Reading, parsing plan.Parsing) {
	part := func() *entry {
		p := &entry{line: e.line, number: e.number, kind: r.Name, named: true, wave: r.Wave, bar: e.bar, of: e}
		e.parts = append(e.parts, p)
		return p
	}
	for _, found := range r.Parts(parsing) {
		if found.Err != nil {
			part().fail(found.Err)
			continue
		}
		for i, rec := range found.Records {
			p := part()
			if p.record = rec; i == 0 {
				p.parsed = found.Tally
			}
			p.tally = p.parsed
		}
	}
	if len(e.parts) > plan.MaxParts {
		e.parts = nil
		part().fail(&record.FieldError{Reason: fmt.Sprintf("has more than %d entries", plan.MaxParts)})
	}
}

// check refuses a record of a source tenant that was not declared.
func check(tenant vault.Tenant, named []record.NamedText) error {
	for _, n := range named {
		if !tenant.Takes(n.Value) {
			return &record.FieldError{Field: n.Field,
				Reason: "names a source tenant that is not declared for this tenant"}
		}
	}
	return nil
}
