package intake

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
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
	ListItemsUnnamed int            `json:"listItemsUnnamed"` // entries without an id, left out
	ValuesOmitted    int            `json:"valuesOmitted"`    // of erased persons, left out
	ValuesWithheld   int            `json:"valuesWithheld"`   // secrets and scripts, never stored
	ValuesCut        int            `json:"valuesCut"`        // no secrets, and too long or too many to be kept whole
	Supplemented     int            `json:"supplemented"`     // told more of an action than the ledger knew
	Disputed         int            `json:"disputed"`         // records that tell an action otherwise than the ledger
	UnknownFields    map[string]int `json:"unknownFields"`    // not in the catalogue, by name
	EventsLeftOut    map[string]int `json:"eventsLeftOut"`    // in the streams that were read, by why
	LeftOutInMore    bool           `json:"leftOutInMore"`    // there are more of them, in streams too many to count
	Files            []FileSummary  `json:"files"`

	DryRun        bool                    `json:"dryRun"`        // nothing was written: what would become of it
	Decoded       int                     `json:"decoded"`       // records that stood in a text, whole or in part
	Kinds         map[string]*KindSummary `json:"kinds"`         // of known names, as their sources call them
	SourceTenants map[string]int          `json:"sourceTenants"` // declared or not; by id in a dry run
	NamesNoTenant int                     `json:"namesNoTenant"` // records of the kinds taken in that name none

	HeldBack int `json:"heldBack"` // failed for naming none beside others that do

	Failures     []FailureGroup `json:"failures"` // all that failed, equal ones together, the first maxNames kinds
	Notices      []Notice       `json:"notices"`  // wrong and cost no record; the first maxFailures
	NoticeCount  int            `json:"noticeCount"`
	UnknownFiles []UnknownFile  `json:"unknownFiles"` // hold no record of a known name; the first maxFailures
	UnknownCount int            `json:"unknownFileCount"`

	Bytes      int64 `json:"bytes"`      // of the source, read so far
	BytesTotal int64 `json:"bytesTotal"` // as its files were listed
	Looked     int64 `json:"-"`          // bytes read of the look before the import; 0 once it takes records
}

// KindSummary is the part of one kind of records.
type KindSummary struct {
	Read         int `json:"read"`
	Recorded     int `json:"recorded"`
	Unchanged    int `json:"unchanged"`
	Superseded   int `json:"superseded"`
	Refused      int `json:"refused"`
	Unrecognised int `json:"unrecognised"` // a kind that is not taken in
	Failed       int `json:"failed"`
}

// FailureGroup is failures of one reason, and the first of them.
type FailureGroup struct {
	Failure
	Count int `json:"count"`
	Files int `json:"files"` // in how many

	last string // file
}

// Notice is what is wrong with a file and costs no record.
type Notice struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	What string `json:"what"`
}

// UnknownFile is a file none of whose records has a known name.
type UnknownFile struct {
	File      string `json:"file"`
	LooksLike string `json:"looksLike"`
	Help      string `json:"help"`
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
		Failed: []Failure{}, Files: []FileSummary{}, Kinds: map[string]*KindSummary{}, SourceTenants: map[string]int{},
		Failures: []FailureGroup{}, Notices: []Notice{}, UnknownFiles: []UnknownFile{}}
}

// OK reports whether no record failed and each file was understood.
func (s Summary) OK() bool { return s.FailedCount == 0 && s.UnknownCount == 0 }

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

// kind returns where a kind is counted.
func (s *Summary) kind(name string) *KindSummary {
	k := s.Kinds[name]
	if k == nil && len(s.Kinds) >= maxNames {
		name = otherNames
		k = s.Kinds[name]
	}
	if k == nil {
		k = &KindSummary{}
		s.Kinds[name] = k
	}
	return k
}

// add counts an entry that has its outcome.
func (s *Summary) add(e *entry) {
	f, k := s.file(e.file), &KindSummary{}
	if e.named {
		k = s.kind(e.kind)
	}
	s.Read++
	f.Read++
	k.Read++
	s.read(e)
	switch {
	case e.tenant != "" && s.DryRun:
		countName(s.SourceTenants, safeTenant(e.tenant), 1)
	case e.othersTenant:
		s.SourceTenants[otherTenant]++
	case e.tenant != "":
		s.SourceTenants[declaredTenant]++
	case e.named && e.outcome != unrecognised:
		s.NamesNoTenant++
	}
	switch e.outcome {
	case recorded:
		s.Recorded++
		f.Recorded++
		k.Recorded++
	case unchanged:
		s.Unchanged++
		f.Unchanged++
		k.Unchanged++
	case superseded:
		s.Superseded++
		f.Superseded++
		k.Superseded++
	case refusedWhole:
		s.Refused[e.rule]++
		f.Refused++
		k.Refused++
	case unrecognised:
		countName(s.Unrecognised, e.kind, 1)
		f.Unrecognised++
		k.Unrecognised++
	default:
		s.FailedCount++
		f.Failed++
		k.Failed++
		s.failed(Failure{e.file, e.line, e.number, e.field, e.reason})
		if e.heldBack {
			s.HeldBack++
		}
	}
	if e.decoded {
		s.Decoded++
	}
	s.tally(e)
	for name, n := range e.fields {
		countName(s.UnknownFields, name, n)
	}
}

// tally adds what became of the parts of a record.
func (s *Summary) tally(e *entry) {
	t := e.tally
	if t.SameMoment {
		s.SameMoment++
	}
	if t.Undated {
		s.Undated++
	}
	s.EventsAppended += e.events
	s.ListItemsKept += t.Kept
	for rule, n := range t.Refused {
		s.ListItemsRefused[rule] += n
	}
	s.ValuesOmitted += t.Omitted
	s.ListItemsUnnamed += t.Unnamed
	if e.outcome == recorded || e.outcome == unchanged {
		s.ValuesWithheld += t.Withheld
		s.ValuesCut += t.Cut
	}
	if t.Supplemented && e.outcome == recorded {
		s.Supplemented++
	}
	if t.Disputed {
		s.Disputed++
	}
}

// failed notes a failure, and counts it with those of the same reason.
func (s *Summary) failed(f Failure) {
	if len(s.Failed) < maxFailures {
		s.Failed = append(s.Failed, f)
	}
	for i := range s.Failures {
		if g := &s.Failures[i]; g.Field == f.Field && g.Reason == f.Reason {
			g.Count++
			if g.last != f.File {
				g.last = f.File
				g.Files++
			}
			return
		}
	}
	if len(s.Failures) < maxNames {
		s.Failures = append(s.Failures, FailureGroup{Failure: f, Count: 1, Files: 1, last: f.File})
	}
}

// note takes in what is told beside the records.
func (s *Summary) note(e *entry) {
	if e.looked {
		s.Looked, s.BytesTotal = e.bytes, e.bytesTotal
		return
	}
	s.read(e)
	if e.looks != nil {
		if s.UnknownCount++; len(s.UnknownFiles) < maxFailures {
			s.UnknownFiles = append(s.UnknownFiles, UnknownFile{e.file, e.looks.Kind, e.looks.Help})
		}
		return
	}
	if s.NoticeCount++; len(s.Notices) < maxFailures {
		s.Notices = append(s.Notices, Notice{e.file, e.line, e.reason})
	}
}

// read notes how far the source is read.
func (s *Summary) read(e *entry) {
	s.Looked, s.Bytes, s.BytesTotal = 0, max(s.Bytes, e.bytes), max(s.BytesTotal, e.bytesTotal)
}

// What stands for source tenants where the summary need not show their ids: an import's output may
// be kept anywhere. A dry run is asked for them.
const (
	declaredTenant = "declared"
	otherTenant    = "not declared"
)

// safeTenant returns a source tenant's id as it may be shown: only if it has an id's form.
func safeTenant(s string) string {
	if id, ok := record.AsGUID(s); ok {
		return id
	}
	return "(no id of a tenant)"
}

// otherNames is where those are counted that come after maxNames.
const otherNames = "(other names)"

// maxNames bounds the names that sources decide; what comes after them is counted together.
const maxNames = 500

func countName(m map[string]int, name string, n int) {
	if _, known := m[name]; !known && len(m) >= maxNames {
		name = otherNames
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
	c.SourceTenants = copyCounts(s.SourceTenants)
	c.Failures, c.Notices = append([]FailureGroup{}, s.Failures...), append([]Notice{}, s.Notices...)
	c.UnknownFiles = append([]UnknownFile{}, s.UnknownFiles...)
	c.Kinds = make(map[string]*KindSummary, len(s.Kinds))
	for name, k := range s.Kinds {
		of := *k
		c.Kinds[name] = &of
	}
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
	if s.DryRun {
		t.count(s.Recorded, "would be recorded: the ledger does not say so yet")
	} else {
		t.count(s.Recorded, "recorded: new to the ledger")
	}
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
		t.count(s.SameMoment,
			"same-moment: superseded, because another snapshot of the same moment came first. Where "+
				"they are of different times, import each with its time of observation")
	}
	if s.Undated > 0 {
		t.count(s.Undated, "snapshots dated by the modification time of their file, which proves no age; name the "+
			"time of observation where it is known")
	}
	t.count(s.EventsAppended, "events appended")
	t.count(s.ListItemsKept, "apps kept")
	t.counts(s.ListItemsRefused, "apps refused, by rule ")
	if s.ListItemsUnnamed > 0 {
		t.count(s.ListItemsUnnamed, "entries of lists without an id left out: they cannot be told from others")
	}
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
	s.writeKinds(t)
	s.writeAttention(t)
	return t.end()
}

// writeKinds says of a dry run what there is, by kind and by source tenant.
func (s Summary) writeKinds(t *textWriter) {
	if !s.DryRun {
		return
	}
	if len(s.Kinds) > 0 {
		t.line("")
		t.line("By kind:")
		for _, name := range sortedKeys(s.Kinds) {
			k := s.Kinds[name]
			var parts []string
			for _, p := range []struct {
				n    int
				what string
			}{{k.Recorded, "would be recorded"}, {k.Unchanged, "unchanged"}, {k.Superseded, "superseded"},
				{k.Refused, "refused"}, {k.Unrecognised, "not taken in"}, {k.Failed, "would fail"}} {
				if p.n > 0 {
					parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
				}
			}
			t.count(k.Read, name+": "+strings.Join(parts, ", "))
		}
	}
	if len(s.SourceTenants) > 0 || s.NamesNoTenant > 0 {
		t.line("")
		t.line("By source tenant:")
		t.counts(s.SourceTenants, "")
		if s.NamesNoTenant > 0 {
			t.count(s.NamesNoTenant, "records of kinds that are taken in and that name none")
		}
	}
}

// writeAttention names what somebody should look at: equal failures in one line.
func (s Summary) writeAttention(t *textWriter) {
	if len(s.UnknownFiles) > 0 {
		t.line("")
		t.line("Files that hold no record of a known name (%s):", source.Understood)
		s.writeUnknownFiles(t)
	}
	if len(s.Failures) > 0 {
		t.line("")
		t.line("Failed records:")
		told := 0
		for _, f := range s.Failures {
			at := f.File
			if f.Line > 0 {
				at = fmt.Sprintf("%s, line %d", f.File, f.Line)
				if f.Record > 0 {
					at += fmt.Sprintf(", record %d", f.Record)
				}
			}
			text := strings.TrimSpace(at + ": " + strings.TrimSpace(f.Field+" "+f.Reason))
			switch {
			case f.Files > 1:
				text += fmt.Sprintf("; and %d more like it, in %d files", f.Count-1, f.Files)
			case f.Count > 1:
				text += fmt.Sprintf("; and %d more like it in the file", f.Count-1)
			}
			t.line("  %s", text)
			told += f.Count
		}
		t.more(s.FailedCount - told)
	}
	if len(s.Notices) > 0 {
		t.line("")
		t.line("To be looked at:")
		s.writeNotices(t)
		t.more(s.NoticeCount - len(s.Notices))
	}
}

// maxNamed is how many files that look alike are named in the text; the JSON form names more.
const maxNamed = 20

// writeUnknownFiles names files by what they look like.
func (s Summary) writeUnknownFiles(t *textWriter) {
	told := map[string]bool{}
	for i, f := range s.UnknownFiles {
		key := f.LooksLike + f.Help
		if told[key] {
			continue
		}
		told[key] = true
		n := 0
		for _, other := range s.UnknownFiles[i:] {
			if other.LooksLike+other.Help != key {
				continue
			}
			switch n++; {
			case n == 1:
				t.line("  %s: looks like %s; %s", f.File, f.LooksLike, f.Help)
			case n <= maxNamed:
				t.line("  %s: likewise", other.File)
			}
		}
		t.more(n - maxNamed)
	}
	if more := s.UnknownCount - len(s.UnknownFiles); more > 0 {
		t.line("  and %d further files", more)
	}
}

// writeNotices writes equal ones in one line.
func (s Summary) writeNotices(t *textWriter) {
	same := map[string]int{}
	for _, n := range s.Notices {
		same[n.What]++
	}
	for _, n := range s.Notices {
		count := same[n.What]
		if count == 0 {
			continue
		}
		same[n.What] = 0
		at := n.File
		if n.Line > 0 {
			at = fmt.Sprintf("%s, line %d", n.File, n.Line)
		}
		if count > 1 {
			t.line("  %s: %s; and %d more like it", at, n.What, count-1)
		} else {
			t.line("  %s: %s", at, n.What)
		}
	}
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

func (t *textWriter) more(n int) {
	if n > 0 {
		t.line("  and %d more", n)
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
