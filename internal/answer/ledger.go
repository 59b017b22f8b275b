package answer

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/schemas"
)

// MaxFindings bounds the events that a check tells one by one.
const MaxFindings = 1000

// LedgerCheck says what a check of the event store found. Foreign events are in no sequence, and
// harm nothing.
type LedgerCheck struct {
	Events    uint64          `json:"events"` // that count in the sequence
	Foreign   uint64          `json:"foreign"`
	Forged    uint64          `json:"forged"`    // and not disowned
	Unfitting uint64          `json:"unfitting"` // and not disowned
	Disowned  uint64          `json:"disowned"`
	Unnaming  uint64          `json:"notNaming"` // hold or remove data of persons whom they do not name
	Untold    uint64          `json:"untold"`    // values of which nothing tells any more whose they are
	Findings  []LedgerFinding `json:"findings"`
	More      bool            `json:"more"` // there are more findings than are told
}

// LedgerFinding is one event that a check tells.
type LedgerFinding struct {
	ID       uuid.UUID `json:"id"`
	Sequence *uint64   `json:"sequence,omitempty"` // none of a foreign event
	Stream   string    `json:"stream,omitempty"`   // left out where it is somebody else's text
	Revision uint64    `json:"revision"`
	Verdict  string    `json:"verdict"`
	Disowned bool      `json:"disowned"`
	Missing  []string  `json:"missing,omitempty"` // attributes whose person the event does not name
}

// Add counts an event, and tells it where something is to be told.
func (d *LedgerCheck) Add(f ledger.Found) {
	if f.Verdict != ledger.Foreign {
		d.Events++
	}
	d.Untold += uint64(f.Naming.Untold)
	verdict := f.Verdict.String()
	switch {
	case len(f.Naming.Missing) > 0:
		d.Unnaming++
		verdict = "not naming"
	case f.Disowned:
		d.Disowned++
	case f.Verdict == ledger.Foreign:
		d.Foreign++
	case f.Verdict == ledger.Forged:
		d.Forged++
	case f.Verdict == ledger.Unfitting:
		d.Unfitting++
	default:
		return
	}
	if len(d.Findings) == MaxFindings {
		d.More = true
		return
	}
	doc := LedgerFinding{ID: f.ID, Revision: f.Revision, Verdict: verdict, Disowned: f.Disowned,
		Missing: f.Naming.Missing}
	if f.Stream.Valid() {
		doc.Stream = string(f.Stream)
	}
	if f.Verdict != ledger.Foreign {
		doc.Sequence = &f.Seq
	}
	d.Findings = append(d.Findings, doc)
}

// WriteText writes the check for a person.
func (d LedgerCheck) WriteText(w io.Writer) {
	fmt.Fprintf(w, "read %s events of the ledger and %s foreign ones\n", terminal.Count(d.Events),
		terminal.Count(d.Foreign))
	for _, f := range d.Findings {
		at := "no sequence"
		if f.Sequence != nil {
			at = fmt.Sprintf("sequence %d", *f.Sequence)
		}
		stream, note := f.Stream, ""
		if stream == "" {
			stream = "a stream of another form"
		}
		if f.Disowned {
			note = ", disowned"
		}
		if len(f.Missing) > 0 {
			note = " the person of " + strings.Join(f.Missing, ", ")
		}
		fmt.Fprintf(w, "%s  %s  %s@%d  %s%s\n", f.ID, at, stream, f.Revision, f.Verdict, note)
	}
	if d.More {
		fmt.Fprintf(w, "… and more; the first %s are told\n", terminal.Count(len(d.Findings)))
	}
	fmt.Fprintf(w, "forged %s, unfitting %s, disowned %s: each event's form and origin were compared, and its data "+
		"with its type\n", terminal.Count(d.Forged), terminal.Count(d.Unfitting), terminal.Count(d.Disowned))
	fmt.Fprintf(w, "not naming everybody %s: each value's key was compared with the event's subjects",
		terminal.Count(d.Unnaming))
	if d.Untold > 0 {
		fmt.Fprintf(w, ", but of %s values nothing tells any more whose they are (erased, expired or lost)",
			terminal.Count(d.Untold))
	}
	fmt.Fprintln(w)
}

// Disowned says what became of a disowning.
type Disowned struct {
	Disowned []DisownedEvent `json:"disowned"`
	Before   []DisownedEvent `json:"before"` // disowned already
}

// DisownedEvent is one event that a disowning named.
type DisownedEvent struct {
	ID       uuid.UUID      `json:"id"`
	Sequence uint64         `json:"sequence"`
	Stream   schemas.Stream `json:"stream"`
	Verdict  string         `json:"verdict"`
}

func disownedEvents(events []custody.DisownedEvent) []DisownedEvent {
	out := []DisownedEvent{}
	for _, e := range events {
		out = append(out, DisownedEvent{e.Event, e.Seq, e.Stream, e.Verdict.String()})
	}
	return out
}

// WriteText writes it for a person.
func (d Disowned) WriteText(w io.Writer) {
	tell := func(what string, events []DisownedEvent) {
		for _, e := range events {
			fmt.Fprintf(w, "%s %s (sequence %d, %s, %s)\n", what, e.ID, e.Sequence, e.Stream, e.Verdict)
		}
	}
	tell("disowned", d.Disowned)
	tell("disowned already:", d.Before)
}

// NewLedgerCheck is a check that has looked at nothing.
func NewLedgerCheck() LedgerCheck { return LedgerCheck{Findings: []LedgerFinding{}} }

// Problem is what somebody has to do something about, nil for nothing.
func (d LedgerCheck) Problem() (err error) {
	if d.Forged > 0 {
		err = fmt.Errorf("PROBLEM: %s events are forged and not disowned", terminal.Count(d.Forged))
	}
	if d.Unnaming > 0 {
		err = errors.Join(err, fmt.Errorf("PROBLEM: %s events do not name every person whose data they hold or "+
			"remove: packages do not find them for those persons", terminal.Count(d.Unnaming)))
	}
	return err
}

// NewDisowned tells what became of a disowning.
func NewDisowned(d custody.Disowning) Disowned {
	return Disowned{disownedEvents(d.Events), disownedEvents(d.Before)}
}
