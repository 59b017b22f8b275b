// Package access owns who acts: principals, their roles, and the tenant a read is confined to.
//
// It keeps no state. It trusts the doors that authenticate (on one machine, the operating system's user);
// custody and the readers authorise by what it says.
package access

import (
	"errors"
	"fmt"
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

// ErrForbidden is returned, wrapped, where a principal may not do what was asked.
var ErrForbidden = errors.New("not allowed")

// Principal is an authenticated actor. Login names the person to the vault (a UPN or an operating system's account);
// it is personal data: it is never logged and never leaves the vault unsealed.
type Principal struct {
	Login   string
	Roles   []Role
	Tenants []uuid.UUID // the tenants it may see; All lifts the bound
	All     bool
}

// Can returns an error that names the missing role or tenant, without naming the principal.
func (p Principal) Can(role Role, tenant uuid.UUID) error {
	if p.Login == "" {
		return fmt.Errorf("%w: nobody is signed in", ErrForbidden)
	}
	if !slices.Contains(p.Roles, role) {
		return fmt.Errorf("%w: the role %s is needed", ErrForbidden, role)
	}
	if !p.All && !slices.Contains(p.Tenants, tenant) {
		return fmt.Errorf("%w: the tenant is not one of yours", ErrForbidden)
	}
	return nil
}
