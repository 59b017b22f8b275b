package define

import (
	"fmt"
	"strconv"
	"strings"
)

// Code says what is wrong with a field of a request.
type Code string

// Codes. How each is put into words, and what a field is called where it is asked for, is the
// door's business.
const (
	Missing  Code = "missing"              // it is needed; Known holds nothing
	Empty    Code = "empty"                // it is given and holds no value
	Unknown  Code = "unknown"              // it is none of Known
	Unfit    Code = "unfit"                // it cannot be a value of this field
	NotHere  Code = "not here"             // this report has no such field; Known are those that it has
	Backward Code = "backward"             // it is not after the field Other
	TooMany  Code = "too many"             // more than one value, or more than Most
	Negative Code = "negative"             // a number below 0, or below 1 where something is counted
	Alone    Code = "alone"                // it needs the field Other beside it
	Masked   Code = "not when masked"      // nothing is to be unsealed, so that it says nothing
	NoTime   Code = "no time"              // neither a date nor a time
	Skipped  Code = "skipped"              // the clock of Zone skips this time
	Twice    Code = "twice"                // the clock of Zone shows this time twice; Known are the two
	Ahead    Code = "ahead of the views"   // Through is how far they are, nil: they are empty
	Nobody   Code = "nobody"               // no person that the ledger knows
	NoDevice Code = "no device"            // no device that the ledger knows
	Several  Code = "several devices"      // that are called so; Known are their streams
	NoValue  Code = "held by no device"    // no device has such a value; Known are those that devices have
	NoName   Code = "not in the catalogue" // no attribute is called so
)

// Fields of a request. A filter is named by its id.
const (
	FieldReport  = "report"
	FieldTenant  = "tenant"
	FieldBy      = "by"
	FieldLang    = "lang"
	FieldFrom    = "from"
	FieldTo      = "to"
	FieldAsOf    = "asOf"
	FieldAsOfSeq = "asOfSeq"
	FieldPurpose = "purpose"
	FieldWords   = "purposeWords"
	FieldSample  = "sample"
	FieldSeed    = "seed"
)

// Problem is one thing that is wrong with a request. Given may hold a name of a person where it
// is a filter's: then no text repeats it.
type Problem struct {
	Field   string
	Filter  bool // Field is the id of a filter
	Code    Code
	Given   string
	Known   []string
	Other   string
	Most    int
	Zone    string
	Through *uint64
	Filters *Filter // of a filter that is missing: what it is
}

func (p *Problem) Error() string {
	parts := []string{"report: " + p.Field + ": " + string(p.Code)}
	if p.Given != "" && !p.Filter {
		parts = append(parts, strconv.Quote(p.Given))
	}
	if p.Other != "" {
		parts = append(parts, p.Other)
	}
	if p.Most > 0 {
		parts = append(parts, fmt.Sprintf("at most %d", p.Most))
	}
	if len(p.Known) > 0 {
		parts = append(parts, "known: "+strings.Join(p.Known, ", "))
	}
	return strings.Join(parts, " ")
}
