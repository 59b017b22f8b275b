package intake

// Outcome is how a record is counted; each has exactly one.
type Outcome int

// Outcomes. A kind says of its records that they are Recorded, Unchanged or Superseded; the others are
// the engine's.
const (
	pending    Outcome = iota
	Recorded           // it tells something new
	Unchanged          // the ledger says so already
	Superseded         // it is older than what the ledger says
	refusedWhole
	unrecognised
	failed
	noted // no record: something to be told
)

// String is the outcome as it is counted; like the summary, what is none of the others has failed.
func (o Outcome) String() string {
	switch o {
	case Recorded:
		return OutcomeRecorded
	case Unchanged:
		return OutcomeUnchanged
	case Superseded:
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

	looks             *looks // of a file, where noted
	looked            bool   // only progress of the look before the import
	bytes, bytesTotal int64  // how far the source is read

	record Record
	wave   wave           // of its kind
	parsed Tally          // what reading it found
	fields map[string]int // unknown, by name
	forged bool           // holds a text that would be taken for a sealed value

	outcome Outcome
	rule    string // of a wholly refused one
	field   string // of a failed one
	reason  string

	steps   []Step
	planned Outcome // what it counts as once its steps are done
	events  int     // appended
	wrote   bool    // some of them to the entity or fact itself
	tally   Tally   // parsed, and what planning found
}
