package intake

import (
	"errors"
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault/taken"
)

// outcome is how a record is counted; each has exactly one.
type outcome int

const (
	pending outcome = iota
	recorded
	unchanged
	superseded
	refusedWhole
	unrecognised
	failed
	noted // no record: something to be told
)

// outcomes are those of planning.
var outcomes = map[plan.Outcome]outcome{plan.Recorded: recorded, plan.Unchanged: unchanged,
	plan.Superseded: superseded,
	plan.Refused:    refusedWhole, plan.Failed: failed}

// String is the outcome as it is counted; like the summary, what is none of the others has failed.
func (o outcome) String() string {
	switch o {
	case recorded:
		return OutcomeRecorded
	case unchanged:
		return OutcomeUnchanged
	case superseded:
		return OutcomeSuperseded
	case refusedWhole:
		return OutcomeRefused
	case unrecognised:
		return OutcomeUnrecognised
	}
	return OutcomeFailed
}

// entry is one record on its way.
type entry struct {
	file         string
	line, number int
	size         int // bytes of its source

	kind         string // what it is, in the source's words
	named        bool   // and the ledger knows that name, or the record says it itself
	tenant       string // source tenant that it names
	othersTenant bool   // which is not declared
	heldBack     bool   // failed for naming none beside others that do
	decoded      bool   // it, or a part of it, stood in a text

	looks             *source.Looks // of a file, where noted
	looked            bool          // only progress of the look before the import
	bytes, bytesTotal int64         // how far the source is read

	record plan.Record
	wave   plan.Wave      // of its kind
	parsed plan.Tally     // what reading it found
	fields map[string]int // unknown, by name
	bar    plan.Bar       // keeps the whole of it out

	parts  []*entry              // what other kinds read of it; they follow it in its batch
	of     *entry                // the record that it is a part of, nil for a record
	before map[string]partBefore // of a record that is known: what became of its parts

	outcome outcome
	rule    string // of a wholly refused one
	field   string // of a failed one
	reason  string

	page      *page          // of the records among which it is remembered; nil for one that never is
	mark      taken.Mark     // likewise
	taken     *outcomeBefore // of a record that is known
	asOf      uint64         // the count of unsettlings of what follows, which planning found
	rests     []taken.Tag    // what becomes of it rests on these
	vague     bool           // and on more
	unsettled []taken.Tag    // no record taken before rests on these any more
	renamed   []taken.Tag    // likewise, names
	at        time.Time      // when what it tells was so

	steps   []plan.Step
	planned outcome    // what it counts as once its steps are done
	events  int        // appended
	wrote   bool       // some of them to the entity or fact itself
	tally   plan.Tally // parsed, and what planning found
}

// settled reports whether the record has its outcome.
func (e *entry) settled() bool { return e.outcome != pending }

// plan settles what becomes of the record. It leaves an entry pending whose streams have to be
// read first, and whose steps have to be appended. An error is one that ends the import.
func (e *entry) plan(p *plan.Planner) error {
	e.steps, e.planned, e.unsettled, e.renamed = nil, pending, nil, nil
	r, err := p.Plan(e.record, e.parsed, e.bar)
	if errors.Is(err, plan.ErrNeedState) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record %d of kind %s: %w", e.number, e.kind, err)
	}
	e.steps, e.planned, e.tally, e.rule = r.Steps, outcomes[r.Becomes], r.Tally, r.Rule
	e.field, e.reason = r.Field, r.Reason
	e.rests, e.vague, e.unsettled, e.renamed = r.Rests, r.Vague, r.Unsettled, r.Renamed
	e.asOf = r.AsOf
	_, e.at = e.record.Origin()
	if len(e.steps) == 0 {
		e.outcome = e.planned
	}
	return nil
}
