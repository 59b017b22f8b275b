package intake

import (
	"context"
	"time"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"
)

// Outcomes of records, as Observer hears them and as the summary names them.
const (
	OutcomeRecorded     = "recorded"
	OutcomeUnchanged    = "unchanged"
	OutcomeSuperseded   = "superseded"
	OutcomeRefused      = "refused"
	OutcomeUnrecognised = "unrecognised"
	OutcomeFailed       = "failed"
)

// Outcomes are all of them.
var Outcomes = []string{OutcomeRecorded, OutcomeUnchanged, OutcomeSuperseded, OutcomeRefused, OutcomeUnrecognised,
	OutcomeFailed}

// Observer is told what intake does, and nothing of what a record says. It may not block.
type Observer interface {
	// Took is told of each record that is in the summary, by its outcome.
	Took(outcome string)
	// Appended is told of each append when it has its answer: how many events it was asked to
	// store, how long it took, and what became of it. It is called from several goroutines.
	Appended(events int, took time.Duration, err error)
}

type unobserved struct{}

func (unobserved) Took(string)                        {}
func (unobserved) Appended(int, time.Duration, error) {}

// observedLedger tells the observer of each append.
type observedLedger struct {
	Ledger
	observer Observer
	clock    func() time.Time
}

func (l observedLedger) Append(ctx context.Context, s schemas.Stream, expect ledger.Expect, events []schemas.Event) (
	last uint64, err error) {
	begun := l.clock()
	last, err = l.Ledger.Append(ctx, s, expect, events)
	l.observer.Appended(len(events), l.clock().Sub(begun), err)
	return last, err
}
