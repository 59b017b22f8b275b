package access

import (
	"errors"
	"testing"

	"github.com/google/uuid"
)

func TestAPrincipalActsOnlyInItsRoleAndTenants(t *testing.T) {
	mine, other := uuid.New(), uuid.New()
	officer := Principal{Login: "o@example", Roles: []Role{Officer}, Tenants: []uuid.UUID{mine}}
	for _, c := range []struct {
		name   string
		p      Principal
		role   Role
		tenant uuid.UUID
		ok     bool
	}{
		{"officer of the tenant", officer, Officer, mine, true},
		{"officer of another tenant", officer, Officer, other, false},
		{"officer as operator", officer, Operator, mine, false},
		{"all tenants", Principal{Login: "root", Roles: []Role{Officer}, All: true}, Officer, other, true},
		{"nobody", Principal{Roles: []Role{Officer}, All: true}, Officer, mine, false},
	} {
		if err := c.p.Can(c.role, c.tenant); (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrForbidden)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
