// Package access owns who may do what: principals, their roles, and the table of actions by roles
// that every use case asks.
//
// It keeps no state and may lose none. It trusts the doors that authenticate; office and custody
// refuse by what it says.
package access

import (
	"errors"
	"slices"

	"github.com/google/uuid"
)

// ErrForbidden is returned, in a Denied, where a principal may not do what was asked.
var ErrForbidden = errors.New("not allowed")

// Code says what a principal lacks.
type Code string

// Codes.
const (
	NotSignedIn Code = "nobody is signed in"
	NoRole      Code = "another role is needed"
	NotTheirs   Code = "the tenant is not one of theirs"
	NotAll      Code = "it concerns all tenants, and theirs are some"
)

// Denied is why a principal may not do what was asked, without naming the principal. It unwraps to
// ErrForbidden.
type Denied struct {
	Code   Code
	Action Action
	Roles  []Role // any of which would do
}

func (d *Denied) Error() string {
	return ErrForbidden.Error() + ": " + string(d.Action) + ": " + string(d.Code)
}

func (d *Denied) Unwrap() error { return ErrForbidden }

// Principal is an authenticated actor. Login names the person to the vault (a UPN, an account, or
// an operating system's user); it is personal data: it is never logged and never leaves the vault
// unsealed.
type Principal struct {
	Login   string
	Roles   []Role
	Tenants []uuid.UUID // the tenants it acts for; All lifts the bound
	All     bool
}

// Sees reports whether the tenant is one of the principal's; the zero uuid stands for all.
func (p Principal) Sees(tenant uuid.UUID) bool {
	return p.All || tenant != uuid.Nil && slices.Contains(p.Tenants, tenant)
}

// Can returns nil where the table lets one of the principal's roles do that in the tenant, and
// else a *Denied. The zero uuid asks for what concerns all tenants.
func (p Principal) Can(do Action, tenant uuid.UUID) error {
	may := RolesFor(do)
	refuse := func(code Code) error { return &Denied{Code: code, Action: do, Roles: may} }
	switch {
	case p.Login == "":
		return refuse(NotSignedIn)
	case !slices.ContainsFunc(p.Roles, func(r Role) bool { return slices.Contains(may, r) }):
		return refuse(NoRole)
	case p.Sees(tenant):
		return nil
	case tenant == uuid.Nil:
		return refuse(NotAll)
	}
	return refuse(NotTheirs)
}
