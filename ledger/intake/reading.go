package intake

import (
	"bytes"
	"context"
	"errors"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// reading takes what a walk finds and sends it to be imported.
type reading struct {
	*walked
	file   string
	dating // of its records that tell no time
}

// send sends an entry of that place, unless the import has ended.
func (w *walked) send(at position, e *entry) error {
	e.file, e.bytes, e.bytesTotal = at.file, at.read, at.total
	select {
	case w.to <- e:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

func (r *reading) Broken(at position, f flaw) error {
	return r.send(at, &entry{line: f.line, number: f.number, outcome: failed, field: f.field, reason: f.reason})
}

func (r *reading) Unknown(at position, l looks) error {
	return r.send(at, &entry{outcome: noted, looks: &l})
}

func (r *reading) Notice(at position, line int, what string) error {
	return r.send(at, &entry{line: line, outcome: noted, reason: what})
}

func (r *reading) Record(at position, it item) error {
	if r.file != at.file || r.at.IsZero() {
		r.file, r.dating = at.file, r.src.date(at.modified, r.in.cfg.Clock())
	}
	return r.send(at, r.parse(it, r.dating))
}

// parse puts one record into the ledger's terms, unless it may be another customer's.
func (w *walked) parse(it item, file dating) *entry {
	e := w.in.parse(w.tenant, it, file)
	w.foreign = w.foreign || e.othersTenant
	if w.foreign && !w.src.TakeNameless && e.outcome == pending && e.tenant == "" {
		e.outcome, e.record, e.tally, e.fields, e.heldBack = failed, nil, Tally{}, nil, true
		e.reason = "names no source tenant, and other records beside it name one that is not declared for this " +
			"tenant: it may be another customer's"
	}
	return e
}

// parse puts one record that is recognised into the ledger's terms.
func (in *Intake) parse(tenant vault.Tenant, it item, file dating) *entry {
	m := *it.rec
	e := &entry{line: it.line, number: it.number, size: len(it.raw), kind: it.kind.name, named: it.kind.named,
		decoded: it.decoded || m.decoded}
	fail := func(err error) *entry {
		var f *fieldError
		e.outcome, e.reason, e.parsed = failed, "cannot be understood", Tally{}
		if errors.As(err, &f) {
			e.field, e.reason = f.field, f.reason
		}
		return e
	}
	named := sourceTenants(m)
	for _, n := range named {
		e.tenant = n.value
		e.othersTenant = e.othersTenant || !tenant.Takes(n.value)
	}
	form := it.kind.form
	if form == nil {
		e.outcome = unrecognised
		return e
	}
	if err := check(tenant, named); err != nil {
		return fail(err)
	}
	if form.Category != "" && m.has("properties") && m.properties == nil {
		return fail(&fieldError{"properties", "is no object, nor a text that holds one"})
	}
	seen := &fields{}
	of := in.kinds.Form(form.Name)
	record, err := of.Parse(Parsing{sourceRecord: m, File: file, Now: in.cfg.Clock(), Seen: seen, Tally: &e.parsed})
	e.decoded = e.decoded || seen.decoded > 0
	if err != nil {
		return fail(err)
	}
	e.record, e.wave, e.tally, e.fields = record, of.Wave, e.parsed, seen.unknown
	e.forged = bytes.Contains(it.raw, []byte(`"`+schemas.SealedPrefix))
	return e
}

// check refuses a record of a source tenant that was not declared.
func check(tenant vault.Tenant, named []named) error {
	for _, n := range named {
		if !tenant.Takes(n.value) {
			return &fieldError{n.field, "names a source tenant that is not declared for this tenant"}
		}
	}
	return nil
}
