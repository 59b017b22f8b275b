package intake

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// recognised knows the forms of all kinds that are taken in.
var recognised = newRecogniser(slices.Concat(deviceForms, auditForms))

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
		e.outcome, e.fact, e.snap, e.fields, e.heldBack = failed, nil, nil, nil, true
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
		e.outcome, e.reason, e.fact, e.snap = failed, "cannot be understood", nil, nil
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
	var err error
	seen := &fields{}
	switch form.Name {
	case kindAuditLog:
		e.fact, err = parseAuditLog(m, seen)
	case kindAuditEvent:
		e.fact, err = parseAuditEvent(m, seen)
	case kindDevice:
		e.snap, err = parseDevice(in.cfg.Catalogue, m, in.cfg.Clock(), seen)
	default:
		e.snap, err = parseManagedDevice(in.cfg.Catalogue, m, file, in.cfg.Clock(), seen)
	}
	e.decoded = e.decoded || seen.decoded > 0
	if err != nil {
		return fail(err)
	}
	e.fields = seen.unknown
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
