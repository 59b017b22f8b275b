// Package access owns who acts: principals, their roles, and the tenant a read is confined to.
//
// It keeps no state. It trusts the doors that authenticate (on one machine, the operating system's user);
// custody and the readers authorise by what it says.
package access

import (
	"errors"
	"slices"

	"github.com/google/uuid"
)

// Role is what a principal may do.
type Role string

// Roles. An operator runs the system, an officer may unseal personal data and decide on requests.
const (
	Operator Role = "operator"
	Officer  Role = "officer"
)

// ErrForbidden is returned, in a Denied, where a principal may not do what was asked.
var ErrForbidden = errors.New("not allowed")

// Code says what a principal lacks.
type Code string

// Codes.
const (
	NotSignedIn Code = "nobody is signed in"
	NoRole      Code = "the role is needed"
	NotTheirs   Code = "the tenant is not one of theirs"
)

// Denied is why a principal may not do what was asked, without naming the principal. It unwraps to
// ErrForbidden.
type Denied struct {
	Code Code
	Role Role // that is needed
}

func (d *Denied) Error() string {
	text := ErrForbidden.Error() + ": " + string(d.Code)
	if d.Code == NoRole {
		text += " " + string(d.Role)
	}
	return text
}

func (d *Denied) Unwrap() error { return ErrForbidden }

// Principal is an authenticated actor. Login names the person to the vault (a UPN or an operating system's account);
// it is personal data: it is never logged and never leaves the vault unsealed.
type Principal struct {
	Login   string
	Roles   []Role
	Tenants []uuid.UUID // the tenants it may see; All lifts the bound
	All     bool
}

// Can returns nil, or a *Denied.
func (p Principal) Can(role Role, tenant uuid.UUID) error {
	if p.Login == "" {
		return &Denied{NotSignedIn, role}
	}
	if !slices.Contains(p.Roles, role) {
		return &Denied{NoRole, role}
	}
	if !p.All && !slices.Contains(p.Tenants, tenant) {
		return &Denied{NotTheirs, role}
	}
	return nil
}
