package intake

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"
)

// heard is what an observer was told.
type heard struct {
	mu              sync.Mutex
	records         map[string]int
	events, appends int
	failed          []error
	took            time.Duration
}

func (h *heard) Took(outcome string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records[outcome]++
}

func (h *heard) Appended(events int, took time.Duration, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.took += took
	if err != nil {
		h.failed = append(h.failed, err)
		return
	}
	h.appends++
	h.events += events
}

// slowLedger takes a second of the world's clock for each append; where it is full it refuses all.
type slowLedger struct {
	Ledger
	w    *world
	full error
}

func (l *slowLedger) Append(ctx context.Context, s schemas.Stream, expect ledger.Expect, events []schemas.Event) (
	uint64, error) {
	l.w.clock.Advance(time.Second)
	if l.full != nil {
		return 0, l.full
	}
	return l.Ledger.Append(ctx, s, expect, events)
}

// The observer hears of each record what the summary says of it, and of each append what became
// of it.
func TestEachRecordAndAppendIsObserved(t *testing.T) {
	w, h := newWorld(t, false), &heard{records: map[string]int{}}
	slow := &slowLedger{Ledger: w.config.Ledger, w: w}
	w.config.Ledger, w.config.Observer, w.config.Workers = slow, h, 1
	total, read := map[string]int{}, 0
	count := func(s Summary) {
		read += s.Read
		total[OutcomeRecorded] += s.Recorded
		total[OutcomeUnchanged] += s.Unchanged
		total[OutcomeSuperseded] += s.Superseded
		total[OutcomeRefused] += sum(s.Refused)
		total[OutcomeUnrecognised] += sum(s.Unrecognised)
		total[OutcomeFailed] += s.FailedCount
	}
	const at, before = "2026-03-01T08:00:00Z", "2026-02-01T08:00:00Z"
	forged := map[string]any{"osVersion": schemas.SealedPrefix + "x"}
	first := w.importFiles(map[string]string{
		"a": device(1, at, nil) + device(2, at, nil) + device(3, at, nil),
		"b": device(4, at, forged), "c": `{"@odata.type":"#microsoft.graph.group"}`, "d": "{",
		"e": device(5, "never", nil),
	})
	count(first)
	second := w.importFiles(map[string]string{
		"a": device(1, at, nil), "b": device(2, before, map[string]any{"osVersion": "0.9"})})
	count(second)
	for _, outcome := range Outcomes {
		if h.records[outcome] != total[outcome] {
			t.Errorf("%s: heard of %d, the summaries have %d", outcome, h.records[outcome], total[outcome])
		}
		if total[outcome] == 0 {
			t.Errorf("%s: no record of it was made: %+v, %+v", outcome, first, second)
		}
		read -= h.records[outcome]
	}
	if read != 0 {
		t.Errorf("%d records were read and not heard of", read)
	}
	if h.events != first.EventsAppended+second.EventsAppended || h.events != len(w.events()) || len(h.failed) > 0 {
		t.Errorf("heard of %d events, %d failures; the ledger has %d", h.events, len(h.failed), len(w.events()))
	}
	if want := time.Duration(h.appends) * time.Second; h.took != want || h.appends == 0 {
		t.Errorf("%d appends took %v, want %v", h.appends, h.took, want)
	}
	events := h.events
	slow.full = errors.New("the disk is full")
	_, err := w.tryImport(map[string]string{"f": device(6, at, nil)})
	if !errors.Is(err, slow.full) || len(h.failed) != 1 || !errors.Is(h.failed[0], slow.full) || h.events != events {
		t.Errorf("a full ledger: %v, heard %v and of %d events", err, h.failed, h.events-events)
	}
}
