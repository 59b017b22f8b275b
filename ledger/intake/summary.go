package intake

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/ledgerline/ledgerline/ledger"
)

// Summary accounts for an import: Read = Recorded + Unchanged + Superseded + the sums of Refused
// and Unrecognised + FailedCount, each record once. Names only; no content of any record.
type Summary struct {
	Read         int            `json:"read"`
	Recorded     int            `json:"recorded"`     // appended something
	Unchanged    int            `json:"unchanged"`    // told nothing new
	Superseded   int            `json:"superseded"`   // older than what the ledger says
	Refused      map[string]int `json:"refused"`      // whole records, by rule
	Unrecognised map[string]int `json:"unrecognised"` // by kind
	FailedCount  int            `json:"failedCount"`
	Failed       []Failure      `json:"failed"` // the first maxFailures of them

	SameMoment int `json:"sameMoment"` // of the superseded: told otherwise for the same moment
	Undated    int `json:"undated"`    // snapshots dated by the modification time of their file

	EventsAppended   int            `json:"eventsAppended"`
	ListItemsKept    int            `json:"listItemsKept"`    // allowed by policy: in the ledger, now or before
	ListItemsRefused map[string]int `json:"listItemsRefused"` // by rule
	ValuesOmitted    int            `json:"valuesOmitted"`    // of erased persons, left out
	ValuesWithheld   int            `json:"valuesWithheld"`   // secrets and scripts, never stored
	ValuesCut        int            `json:"valuesCut"`        // no secrets, and too long or too many to be kept whole
	Supplemented     int            `json:"supplemented"`     // records that told more of an action than the ledger knew
	Disputed         int            `json:"disputed"`         // records that tell an action otherwise than the ledger
	Decoded          int            `json:"decoded"`          // records in which JSON stood in a text
	UnknownFields    map[string]int `json:"unknownFields"`    // not in the catalogue, by name
	EventsLeftOut    map[string]int `json:"eventsLeftOut"`    // in the streams that were read and not acted on, by why
	LeftOutInMore    bool           `json:"leftOutInMore"`    // there are more of them, in streams too many to count
	Files            []FileSummary  `json:"files"`
}

// Failure is one record, or what should have been one, that could not be taken in.
type Failure struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`   // where the record begins, from 1
	Record int    `json:"record,omitempty"` // which of the file, from 1
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

// FileSummary is the part of one file.
type FileSummary struct {
	File         string `json:"file"`
	Read         int    `json:"read"`
	Recorded     int    `json:"recorded"`
	Unchanged    int    `json:"unchanged"`
	Superseded   int    `json:"superseded"`
	Refused      int    `json:"refused"`
	Unrecognised int    `json:"unrecognised"`
	Failed       int    `json:"failed"`
}

// maxFailures bounds the failures that are told one by one.
const maxFailures = 1000

func newSummary() *Summary {
	return &Summary{Refused: map[string]int{}, Unrecognised: map[string]int{}, ListItemsRefused: map[string]int{},
		UnknownFields: map[string]int{}, EventsLeftOut: map[string]int{},
		Failed: []Failure{}, Files: []FileSummary{}}
}

// OK reports whether no record failed.
func (s Summary) OK() bool { return s.FailedCount == 0 }

// Balanced reports whether each record was counted exactly once.
func (s Summary) Balanced() bool {
	return s.Read == s.Recorded+s.Unchanged+s.Superseded+sum(s.Refused)+sum(s.Unrecognised)+s.FailedCount
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func (s *Summary) file(name string) *FileSummary {
	if n := len(s.Files); n == 0 || s.Files[n-1].File != name {
		s.Files = append(s.Files, FileSummary{File: name})
	}
	return &s.Files[len(s.Files)-1]
}

// add counts an entry that has its outcome.
func (s *Summary) add(e *entry) {
	f := s.file(e.file)
	s.Read++
	f.Read++
	switch e.outcome {
	case recorded:
		s.Recorded++
		f.Recorded++
	case unchanged:
		s.Unchanged++
		f.Unchanged++
	case superseded:
		s.Superseded++
		f.Superseded++
	case refusedWhole:
		s.Refused[e.rule]++
		f.Refused++
	case unrecognised:
		countName(s.Unrecognised, e.kind, 1)
		f.Unrecognised++
	default:
		s.FailedCount++
		f.Failed++
		if len(s.Failed) < maxFailures {
			s.Failed = append(s.Failed, Failure{e.file, e.line, e.number, e.field, e.reason})
		}
	}
	if e.sameMoment {
		s.SameMoment++
	}
	if e.snap != nil && !e.snap.proven {
		s.Undated++
	}
	s.EventsAppended += e.events
	s.ListItemsKept += e.kept
	if e.refused > 0 {
		s.ListItemsRefused[rulePersonalApps] += e.refused
	}
	s.ValuesOmitted += e.omitted
	if e.fact != nil && (e.outcome == recorded || e.outcome == unchanged) {
		s.ValuesWithheld += e.fact.withheld
		s.ValuesCut += e.cut
	}
	for n, is := range map[*int]bool{&s.Supplemented: e.supplemented && e.outcome == recorded, &s.Disputed: e.disputed,
		&s.Decoded: e.decoded} {
		if is {
			*n++
		}
	}
	for name, n := range e.fields {
		countName(s.UnknownFields, name, n)
	}
}

// maxNames bounds the names that sources decide; what comes after them is counted together.
const maxNames = 500

func countName(m map[string]int, name string, n int) {
	if _, known := m[name]; !known && len(m) >= maxNames {
		name = "(other names)"
	}
	m[name] += n
}

// clone returns a copy that the import no longer changes.
func (s *Summary) clone() Summary {
	c := *s
	c.Refused, c.Unrecognised = copyCounts(s.Refused), copyCounts(s.Unrecognised)
	c.ListItemsRefused, c.UnknownFields = copyCounts(s.ListItemsRefused), copyCounts(s.UnknownFields)
	c.EventsLeftOut = copyCounts(s.EventsLeftOut)
	c.Failed = append([]Failure{}, s.Failed...)
	c.Files = append([]FileSummary{}, s.Files...)
	return c
}

func copyCounts(m map[string]int) map[string]int {
	out := make(map[string]int, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// WriteText writes the summary for a person: what was read, what became of
// it, and what needs attention.
func (s Summary) WriteText(w io.Writer) error {
	t := &textWriter{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight|tabwriter.DiscardEmptyColumns)}
	t.line("%d records read", s.Read)
	t.count(s.Recorded, "recorded: new to the ledger")
	t.count(s.Unchanged, "unchanged: the ledger says so already")
	t.count(s.Superseded, "superseded: older than what the ledger says")
	t.counts(s.Refused, "refused whole, by rule ")
	t.counts(s.Unrecognised, "unrecognised: not taken in, kind ")
	t.count(s.FailedCount, "failed")
	if !s.Balanced() {
		t.line("these do not add up to the records read: please report this as a fault of the program")
	}
	t.line("")
	t.line("Beside that:")
	if s.SameMoment > 0 {
		t.count(s.SameMoment, "same-moment: superseded, because another snapshot of the same moment came first. Where "+
			"they are of different times, import each with --observed TIME")
	}
	if s.Undated > 0 {
		t.count(s.Undated, "snapshots dated by the modification time of their file, which proves no age (--observed TIME)")
	}
	t.count(s.EventsAppended, "events appended")
	t.count(s.ListItemsKept, "apps kept")
	t.counts(s.ListItemsRefused, "apps refused, by rule ")
	if s.ValuesWithheld > 0 {
		t.count(s.ValuesWithheld,
			"secrets or scripts withheld: that they were there is recorded, what they were is not")
	}
	for _, c := range []struct {
		n    int
		what string
	}{
		{s.ValuesCut, "values cut: no secrets, but too long or too many to be kept whole; how many is recorded"},
		{s.Supplemented, "records told more of an action than the ledger knew: it is supplemented"},
		{s.Disputed, "records tell an action otherwise than the ledger: both are kept, and marked"},
		{s.Decoded, "records held JSON in a text, which was decoded"},
	} {
		if c.n > 0 {
			t.count(c.n, c.what)
		}
	}
	if s.ValuesOmitted > 0 {
		t.count(s.ValuesOmitted, "values of erased persons left out")
	}
	if len(s.EventsLeftOut) > 0 {
		t.line("")
		t.line("Events in the streams that were read and that were not acted on:")
		t.counts(s.EventsLeftOut, "")
		if s.LeftOutInMore {
			t.line("  and more, in streams too many to count them")
		}
	}
	if n := s.EventsLeftOut[ledger.Forged.String()]; n > 0 {
		t.line("PROBLEM: %d of them count as the ledger's and were not written with its vault: `ledgerline ledger "+
			"check` names them", n)
	}
	if len(s.UnknownFields) > 0 {
		t.line("")
		t.line("Fields that the catalogue does not know and that were not stored:")
		t.counts(s.UnknownFields, "")
	}
	if len(s.Failed) > 0 {
		t.line("")
		t.line("Failed records:")
		for _, f := range s.Failed {
			at := f.File
			if f.Line > 0 {
				at = fmt.Sprintf("%s, line %d, record %d", f.File, f.Line, f.Record)
			}
			t.line("  %s", strings.TrimSpace(at+": "+strings.TrimSpace(f.Field+" "+f.Reason)))
		}
		if more := s.FailedCount - len(s.Failed); more > 0 {
			t.line("  and %d more", more)
		}
	}
	return t.end()
}

// textWriter keeps the first error.
type textWriter struct {
	w   *tabwriter.Writer
	err error
}

func (t *textWriter) line(format string, args ...any) {
	if t.err == nil {
		t.err = t.w.Flush()
	}
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
	if t.err == nil {
		t.err = t.w.Flush()
	}
}

func (t *textWriter) count(n int, what string) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, "%9d\t  %s\n", n, what)
	}
}

func (t *textWriter) counts(m map[string]int, what string) {
	for _, k := range sortedKeys(m) {
		t.count(m[k], what+k)
	}
}

func (t *textWriter) end() error {
	if t.err != nil {
		return fmt.Errorf("write summary: %w", t.err)
	}
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}
