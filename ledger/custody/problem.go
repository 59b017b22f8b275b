package custody

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/ledger/vault"
)

// Codes of a Problem. How each is put into words is the door's business.
var (
	ErrMissing        = errors.New("missing")                  // it is needed
	ErrUnknown        = errors.New("unknown")                  // it is none of Known, or above Most
	ErrUnfit          = errors.New("unfit")                    // it cannot be a value of this field here
	ErrTooMany        = errors.New("too many")                 // more than Most
	ErrNoRequest      = errors.New("no such request")          // of this tenant
	ErrNoSuchPerson   = errors.New("nobody is known by it")    // of this tenant
	ErrSeveralPersons = errors.New("several persons had it")   // Persons are they: one is to be chosen
	ErrOwnRequest     = errors.New("of the person who acts")   // nobody handles their own request
	ErrUnderWay       = errors.New("the erasure is under way") // another call is at it, Until at the latest
	ErrOwnEvent       = errors.New("the ledger's own")         // it stands at Seq, and is not disowned
	ErrNoEvent        = errors.New("not in the ledger")        // it has no sequence, and is in no view
	ErrNotTenants     = errors.New("not of this tenant")       // it stands at Seq: the operator of all may disown it
	ErrOneSubject     = errors.New("one subject already")      // the two persons
	ErrOwnSubject     = errors.New("the person who acts")      // nobody merges themselves
	ErrNoMerge        = errors.New("no such merge")            // of this tenant that holds
)

// Fields of what is asked for.
const (
	FieldTenant  = "tenant"
	FieldBy      = "by" // who acts
	FieldPurpose = "purpose"
	FieldWords   = "purposeWords" // of the officer, beside the purpose
	FieldRequest = "request"
	FieldRight   = "right"
	FieldSubject = "subject" // by what a person is known
	FieldPerson  = "person"  // which of several
	FieldMethod  = "identityMethod"
	FieldGround  = "ground"
	FieldEvent   = "event"
	FieldLoss    = "loss"
	FieldWith    = "with"    // by what the other person is known
	FieldPersons = "persons" // which of several, of two persons
	FieldReason  = "reason"
	FieldMerge   = "merge"
)

// Problem is one thing that is wrong with what somebody asked of custody. It unwraps to its code.
type Problem struct {
	Field string
	// Code is one of the above; vault.ErrErased or ErrHeld of a request, ErrExists of a tenant,
	// ErrTooMany of a subject.
	Code    error
	Given   string // never by what a person is known
	Known   []string
	Most    int
	Seq     *uint64
	Until   time.Time
	Persons [][]vault.PersonMatch // without naming them: what it was to each, and when
}

func (p *Problem) Error() string {
	text := p.Field + ": " + p.Code.Error()
	if p.Given != "" {
		text += " " + strconv.Quote(p.Given)
	}
	if p.Most > 0 {
		text += fmt.Sprintf(" at most %d", p.Most)
	}
	if len(p.Known) > 0 {
		text += " known: " + strings.Join(p.Known, ", ")
	}
	if p.Seq != nil {
		text += fmt.Sprintf(" sequence %d", *p.Seq)
	}
	if !p.Until.IsZero() {
		text += " until " + p.Until.UTC().Format(time.RFC3339)
	}
	return text
}

func (p *Problem) Unwrap() error { return p.Code }

// oneOf returns nil where given is one of known.
func oneOf(field, given string, known []string) error {
	switch {
	case slices.Contains(known, given):
		return nil
	case given == "":
		return &Problem{Field: field, Code: ErrMissing, Known: known}
	}
	return &Problem{Field: field, Code: ErrUnknown, Given: given, Known: known}
}
