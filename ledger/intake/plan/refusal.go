package plan

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/taken"
	"github.com/ledgerline/ledgerline/schemas"
)

// Rules that keep whole records or parts of them out, whatever their kind.
const (
	RuleSealed  = "sealed-prefix"
	RuleErased  = "erased-subject"
	RuleExpired = "retention-expired"

	RuleLocation = "location"
	RuleNever    = "never-collected"
	RulePolicy   = "policy"

	// RulePersonalApps keeps apps of devices out that are not known to be the company's.
	RulePersonalApps = "apps-on-personal-device"
	CategoryApps     = "apps"

	categoryRecord = "record"
)

// KeepApps returns nil where what a record tells of a device's apps may be kept; else the Bar that
// refuses the record where its Plan returns it. What becomes of it rests on whose the device is.
func (p *Planner) KeepApps(h vault.DeviceHint) error {
	d, found, err := p.Tx.FindDevice(h)
	if err != nil {
		return err
	}
	if found {
		p.rests = append(p.rests, taken.TagOf(d.Stream))
	}
	if d.Ownership != vault.OwnershipCompany && d.Ownership != vault.OwnershipSharedCompany {
		return Bar{RulePersonalApps, CategoryApps}
	}
	return nil
}

// RefuseNever returns the refusals of what is never collected, by how much of each category a
// record held.
func RefuseNever(counts map[string]int) (out []Refusal) {
	for _, c := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, Refusal{ruleOf(c), c, counts[c]})
	}
	return out
}

// ruleOf is the rule that keeps out what is never collected, of that category.
func ruleOf(category string) string {
	if category == record.CategoryLocation {
		return RuleLocation
	}
	return RuleNever
}

// without takes out of the record what the tenant's policy refuses, whatever its kind, and counts
// it. What a kind makes beside that goes the same way in Encode.
func (p *Planner) without(r Record) Record {
	p.refusedItems = 0
	if len(p.Tenant.Policy.Items) == 0 {
		return r
	}
	kept, n := r.Without(p.Tenant.Policy.Refuses)
	if p.refusedItems = n; n > 0 {
		p.Tally.RefuseItems(RulePolicy, n)
	}
	return kept
}

// WithoutValues returns the values without those of refused attributes, and how many these are.
func WithoutValues(
	values map[*schemas.Attribute]json.RawMessage, refused func(*schemas.Attribute) bool,
) (kept map[*schemas.Attribute]json.RawMessage, n int) {
	for a := range values {
		if refused(a) {
			n++
		}
	}
	if n == 0 {
		return values, 0
	}
	kept = maps.Clone(values)
	maps.DeleteFunc(kept, func(a *schemas.Attribute, _ json.RawMessage) bool { return refused(a) })
	return kept, n
}

// RefusedItems reports whether the tenant's policy keeps a part of the record being planned out.
func (p *Planner) RefusedItems() bool { return p.refusedItems > 0 }

// Key tells the refusals of one stream apart: each has a stream of its own, which counts it.
func (r Refusal) Key() string {
	if r.Rule == RuleNever {
		return r.Rule + "/" + r.Category
	}
	return r.Rule
}

// barred is a record of which nothing may be looked at but that it is there.
type barred struct {
	source string
	at     time.Time
	digest [sha256.Size]byte
}

// Barred returns what stands for a record of which nothing may be looked at: it can be refused,
// and nothing else. raw tells it from others; the vault keeps its HMAC alone.
func Barred(source string, at time.Time, raw []byte) Record {
	return &barred{source, at, sha256.Sum256(raw)}
}

func (b *barred) Origin() (string, time.Time) { return b.source, b.at }
func (b *barred) Look(*Looking)               {}

func (b *barred) Without(func(*schemas.Attribute) bool) (Record, int) { return b, 0 }

func (b *barred) Plan(*Planner) (Act, Outcome, error) {
	return nil, 0, errors.New("a record that is barred was planned")
}

func (b *barred) RefusalStream(tx *vault.Tx, rule string) (schemas.Stream, bool, error) {
	return tx.MappedStream(streamOfRefusals, schemas.LP(schemas.LP([]byte("barred"), rule), b.digest[:]))
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

// Refusals reports what rules keep out of a stream, the tenant's policy among them: first, and
// when a later count differs. apply brings the states forward, once the record that tells so is
// planned.
func (p *Planner) Refusals(
	concerned schemas.Stream, source string, at time.Time, all []Refusal,
) (steps []Step, apply func(), err error) {
	var applies []func()
	if p.refusedItems > 0 {
		all = append(slices.Clone(all), Refusal{RulePolicy, RulePolicy, p.refusedItems})
	}
	for _, r := range all {
		stream, err := p.minted(p.Tx.RefusalStream(concerned, r.Key()))
		if err != nil {
			return nil, nil, err
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
func (p *Planner) refuse(record Record, parsed Tally, rule, category string) (Result, error) {
	out := Result{Becomes: Refused, Rule: rule, Tally: parsed}
	fail := func(err error) (Result, error) { return Result{}, fmt.Errorf("refuse a record: %w", err) }
	stream, err := p.minted(record.RefusalStream(p.Tx, rule))
	if err != nil {
		return fail(err)
	}
	st, err := p.State(stream)
	switch {
	case err != nil:
		return Result{}, err
	case st.Exists:
		return out, nil
	}
	source, at := record.Origin()
	draft := p.refusalDraft(stream, source, at, Refusal{rule, category, 1})
	if out.Steps, err = p.Encode(st, []schemas.Draft{draft}); err != nil {
		return fail(err)
	}
	st.Advance(out.Steps)
	return out, nil
}
