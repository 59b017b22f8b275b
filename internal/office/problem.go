package office

import "errors"

// Codes of a Problem. How each is put into words is the door's business.
var (
	ErrMissing = errors.New("missing")       // it is needed: one of Known
	ErrUnknown = errors.New("unknown")       // it is none of Known
	ErrNone    = errors.New("there is none") // there is no tenant yet
	ErrUnfit   = errors.New("unfit")         // it cannot be a value of this field
	ErrFuture  = errors.New("to come")       // it names a time that has not come
)

// Fields of what is asked for.
const (
	FieldTenant   = "tenant"   // its name
	FieldName     = "name"     // of a tenant that is declared
	FieldZone     = "zone"     // an IANA name
	FieldReceived = "received" // a day up to today: Known is today, and the tenant's time zone
	FieldTenants  = "tenants"  // of an account: names, or AllTenants alone
	FieldSources  = "sources"  // source tenants of a tenant
	FieldPerson   = "person"   // which of several, from 1
	FieldObserved = "observed" // a time with its zone
	FieldRequest  = "request"  // its number
	FieldMerge    = "merge"    // its number
	FieldEvent    = "event"    // its id
	FieldPath     = "path"     // of what is imported: Given is what is wrong with it
	FieldPolicy   = "policy"   // what of it is to change
	FieldPace     = "pace"     // of an import
	FieldWait     = "wait"     // for the views
)

// Problem is one thing that is wrong with what was asked. It unwraps to its code.
type Problem struct {
	Field string
	Code  error
	Given string
	Known []string // no more than the one who asks may know of
}

func (p *Problem) Error() string { return p.Field + ": " + p.Code.Error() }
func (p *Problem) Unwrap() error { return p.Code }
