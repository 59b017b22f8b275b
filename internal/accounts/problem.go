package accounts

import (
	"errors"
	"time"
)

// Codes of a Problem. How each is put into words is the door's business.
var (
	ErrMissing  = errors.New("missing")
	ErrUnknown  = errors.New("unknown")               // it is none of Known
	ErrUnfit    = errors.New("unfit")                 // it cannot be a name
	ErrExists   = errors.New("exists")                // an account of that name
	ErrNone     = errors.New("no such account")       //
	ErrTooShort = errors.New("too short")             // fewer characters than Bound
	ErrTooMany  = errors.New("too many")              // more than Bound
	ErrFirst    = errors.New("the first")             // has to be able to manage accounts, for all tenants
	ErrLast     = errors.New("the last")              // that can manage accounts for all tenants
	ErrWrong    = errors.New("wrong")                 // the name, or the password: which, is not told
	ErrLocked   = errors.New("too many wrong ones")   // until Until none is looked at
	ErrNobody   = errors.New("nobody has an account") // so nobody can sign in
)

// Fields of what is asked for.
const (
	FieldName     = "name"
	FieldRole     = "role"
	FieldTenant   = "tenant"
	FieldPassword = "password"
)

// Problem is one thing that is wrong with what was asked. It unwraps to its code, and names
// nobody.
type Problem struct {
	Field string
	Code  error
	Given string // never a name or a password
	Known []string
	Bound int
	Until time.Time
}

func (p *Problem) Error() string { return p.Field + ": " + p.Code.Error() }
func (p *Problem) Unwrap() error { return p.Code }
