package intake

import (
	"github.com/ledgerline/ledgerline/ledger/intake/record"
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
	CodesOtherwise   int            `json:"codesOtherwise"`   // columns whose code says another thing than its words
	UnknownFields    map[string]int `json:"unknownFields"`    // not in the catalogue, by name
	EventsLeftOut    map[string]int `json:"eventsLeftOut"`    // in the streams that were read, by why
	LeftOutInMore    bool           `json:"leftOutInMore"`    // there are more of them, in streams too many to count
	Files            []FileSummary  `json:"files"`

	// What was read of records beside, by name: a record counts once, as what it is of.
	Parts       map[string]*PartSummary `json:"parts"`
	PartsFailed int                     `json:"partsFailed"` // of them; told among the failures

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

// PartSummary is what became of the parts of one name that records have.
type PartSummary struct {
	Read       int `json:"read"`
	Recorded   int `json:"recorded"`
	Unchanged  int `json:"unchanged"`
	Superseded int `json:"superseded"`
	Refused    int `json:"refused"`
	Failed     int `json:"failed"`
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
	Part   string `json:"part,omitempty"`   // the name of what was read of the record beside: that alone failed
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
		Failures: []FailureGroup{}, Notices: []Notice{}, UnknownFiles: []UnknownFile{},
		Parts: map[string]*PartSummary{}}
}

// OK reports whether no record and no part of one failed, and each file was understood.
func (s Summary) OK() bool { return s.FailedCount == 0 && s.PartsFailed == 0 && s.UnknownCount == 0 }

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
		s.failed(Failure{File: e.file, Line: e.line, Record: e.number, Field: e.field, Reason: e.reason})
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
	for name, n := range e.before {
		p := s.part(name)
		p.Read += n.unchanged + n.superseded
		p.Unchanged += n.unchanged
		p.Superseded += n.superseded
	}
}

// part returns where parts of a name are counted: the kinds' readings name them.
func (s *Summary) part(name string) *PartSummary {
	if s.Parts[name] == nil {
		s.Parts[name] = &PartSummary{}
	}
	return s.Parts[name]
}

// addPart counts a part of a record that has its outcome.
func (s *Summary) addPart(e *entry) {
	p := s.part(e.kind)
	p.Read++
	switch e.outcome {
	case recorded:
		p.Recorded++
	case unchanged:
		p.Unchanged++
	case superseded:
		p.Superseded++
	case refusedWhole:
		p.Refused++
	default:
		p.Failed++
		s.PartsFailed++
		s.failed(Failure{File: e.file, Line: e.line, Record: e.number, Part: e.kind, Field: e.field, Reason: e.reason})
	}
	e.tally.Undated, e.tally.SameMoment = false, false // of the record
	s.tally(e)
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
	s.CodesOtherwise += t.Contradicted
}

// failed notes a failure, and counts it with those of the same reason.
func (s *Summary) failed(f Failure) {
	if len(s.Failed) < maxFailures {
		s.Failed = append(s.Failed, f)
	}
	for i := range s.Failures {
		if g := &s.Failures[i]; g.Part == f.Part && g.Field == f.Field && g.Reason == f.Reason {
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
	noTenantID     = "(no id of a tenant)"
)

// safeTenant returns a source tenant's id as it may be shown: only if it has an id's form.
func safeTenant(s string) string {
	if id, ok := record.AsGUID(s); ok {
		return id
	}
	return noTenantID
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
	c.Parts = make(map[string]*PartSummary, len(s.Parts))
	for name, p := range s.Parts {
		of := *p
		c.Parts[name] = &of
	}
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
