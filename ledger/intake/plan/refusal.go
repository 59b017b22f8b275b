package plan

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Rules that keep whole records or parts of them out, whatever their kind.
const (
	RuleSealed  = "sealed-prefix"
	RuleErased  = "erased-subject"
	RuleExpired = "retention-expired"

	RuleLocation = "location"
	RuleNever    = "never-collected"

	categoryRecord = "record"
)

// RefuseNever returns the refusals of what is never collected, by how many fields of a record held
// some of each category.
func RefuseNever(counts map[string]int) (out []Refusal) {
	if n := counts[record.CategoryLocation]; n > 0 {
		out = append(out, Refusal{RuleLocation, record.CategoryLocation, n})
	}
	if n := counts[record.CategoryContent]; n > 0 {
		out = append(out, Refusal{RuleNever, record.CategoryContent, n})
	}
	return out
}

// streamOfRefusals is the kind of the streams in which refusals are told.
const streamOfRefusals = "refusal"

// refusals is the kind of refusals: no record tells of them, the engine does.
type refusals struct{ typ *schemas.Type }

var _ Kind = refusals{}

func (refusals) Forms() []KindForm { return nil }
func (refusals) Stream() string    { return streamOfRefusals }
func (refusals) Facts() bool       { return true }

// refused is what was last told of one rule's refusals.
type refused struct {
	count int
	at    time.Time // when that was observed
}

func (refusals) Fold(_ *vault.Tx, h History) (Content, error) {
	r := &refused{}
	for _, own := range h.Events {
		for _, v := range own.Draft.Values {
			if v.Attr.ID == "refusal.count" {
				_ = json.Unmarshal(v.Plain, &r.count) // not a count: the next one differs
				r.at = own.Draft.Occurred
			}
		}
	}
	return r, nil
}

func (p *Planner) refusalDraft(s schemas.Stream, source string, at time.Time, r Refusal) schemas.Draft {
	draft := p.Draft(p.kinds.refusals.typ, s, source, at)
	draft.Values = []schemas.Value{
		{Attr: p.Catalogue.MustAttribute("refusal.rule"), Plain: schemas.JSON(r.Rule)},
		{Attr: p.Catalogue.MustAttribute("refusal.category"), Plain: schemas.JSON(r.Category)},
		{Attr: p.Catalogue.MustAttribute("refusal.count"), Plain: schemas.JSON(r.Count)},
	}
	return draft
}

// Refusals reports what rules keep out of a stream: first, and when a later count differs. apply
// brings the states forward, once the record that tells so is planned.
func (p *Planner) Refusals(
	concerned schemas.Stream, source string, at time.Time, all []Refusal,
) (steps []Step, apply func(), err error) {
	var applies []func()
	for _, r := range all {
		stream, created, err := p.Tx.RefusalStream(concerned, r.Rule)
		if err != nil {
			return nil, nil, err
		}
		if created {
			p.empty[stream] = true
		}
		st, err := p.State(stream)
		if err != nil {
			return nil, nil, err
		}
		before := st.Content.(*refused)
		if st.Exists && (before.count == r.Count || !at.After(before.at)) {
			continue
		}
		own, err := p.Encode(st, []schemas.Draft{p.refusalDraft(stream, source, at, r)})
		if err != nil {
			return nil, nil, err
		}
		steps = append(steps, own...)
		applies = append(applies, func() {
			st.Advance(own)
			before.count, before.at = r.Count, at
		})
	}
	return steps, func() {
		for _, a := range applies {
			a()
		}
	}, nil
}

// refuse keeps a whole record out: a fact of its own, without content and without anybody.
func (p *Planner) refuse(record Record, parsed Tally, rule string) (Result, error) {
	out := Result{Becomes: Refused, Rule: rule, Tally: parsed}
	fail := func(err error) (Result, error) { return Result{}, fmt.Errorf("refuse a record: %w", err) }
	stream, created, err := record.RefusalStream(p.Tx, rule)
	if err != nil {
		return fail(err)
	}
	if created {
		p.empty[stream] = true
	}
	st, err := p.State(stream)
	switch {
	case err != nil:
		return Result{}, err
	case st.Exists:
		return out, nil
	}
	source, at := record.Origin()
	draft := p.refusalDraft(stream, source, at, Refusal{rule, categoryRecord, 1})
	if out.Steps, err = p.Encode(st, []schemas.Draft{draft}); err != nil {
		return fail(err)
	}
	st.Advance(out.Steps)
	return out, nil
}
