package intake

import (
	"bytes"
	"context"
	"errors"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// reading takes what a walk finds and sends it to be imported.
type reading struct {
	*walked
	file          string
	record.Dating // of its records that tell no time
}

// send sends an entry of that place, unless the import has ended.
func (w *walked) send(at source.Position, e *entry) error {
	e.file, e.bytes, e.bytesTotal = at.File, at.Read, at.Total
	select {
	case w.to <- e:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

func (r *reading) Broken(at source.Position, f source.Flaw) error {
	return r.send(at, &entry{line: f.Line, number: f.Number, outcome: failed, field: f.Field, reason: f.Reason})
}

func (r *reading) Unknown(at source.Position, l source.Looks) error {
	return r.send(at, &entry{outcome: noted, looks: &l})
}

func (r *reading) Notice(at source.Position, line int, what string) error {
	return r.send(at, &entry{line: line, outcome: noted, reason: what})
}

func (r *reading) Record(at source.Position, it source.Item) error {
	if r.file != at.File || r.At.IsZero() {
		r.file, r.Dating = at.File, r.src.date(at.Modified, r.in.cfg.Clock())
	}
	return r.send(at, r.parse(it, r.Dating))
}

// parse puts one record into the ledger's terms, unless it may be another customer's.
func (w *walked) parse(it source.Item, file record.Dating) *entry {
	e := w.in.parse(w.tenant, it, file)
	w.foreign = w.foreign || e.othersTenant
	if w.foreign && !w.src.TakeNameless && e.outcome == pending && e.tenant == "" {
		e.outcome, e.record, e.tally, e.fields, e.heldBack = failed, nil, plan.Tally{}, nil, true
		e.reason = "names no source tenant, and other records beside it name one that is not declared for this " +
			"tenant: it may be another customer's"
	}
	return e
}

// parse puts one record that is recognised into the ledger's terms.
func (in *Intake) parse(tenant vault.Tenant, it source.Item, file record.Dating) *entry {
	m := *it.Rec
	e := &entry{line: it.Line, number: it.Number, size: len(it.Raw), kind: it.Kind.Name, named: it.Kind.Named,
		decoded: it.Decoded || m.Decoded}
	fail := func(err error) *entry {
		var f *record.FieldError
		e.outcome, e.reason, e.parsed = failed, "cannot be understood", plan.Tally{}
		if errors.As(err, &f) {
			e.field, e.reason = f.Field, f.Reason
		}
		return e
	}
	named := source.SourceTenants(m)
	for _, n := range named {
		e.tenant = n.Value
		e.othersTenant = e.othersTenant || !tenant.Takes(n.Value)
	}
	form := it.Kind.Form
	if form == nil {
		e.outcome = unrecognised
		return e
	}
	if err := check(tenant, named); err != nil {
		return fail(err)
	}
	if form.Category != "" && m.Has("properties") && m.Properties == nil {
		return fail(&record.FieldError{Field: "properties", Reason: "is no object, nor a text that holds one"})
	}
	seen := &record.Seen{}
	of := in.kinds.Form(form.Name)
	record, err := of.Parse(plan.Parsing{Record: m, File: file, Now: in.cfg.Clock(), Seen: seen, Tally: &e.parsed})
	e.decoded = e.decoded || seen.Decoded > 0
	if err != nil {
		return fail(err)
	}
	e.record, e.wave, e.tally, e.fields = record, of.Wave, e.parsed, seen.Unknown
	e.forged = bytes.Contains(it.Raw, []byte(`"`+schemas.SealedPrefix))
	return e
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
