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
		lacks  Code // "" for nothing
	}{
		{"officer of the tenant", officer, Officer, mine, ""},
		{"officer of another tenant", officer, Officer, other, NotTheirs},
		{"officer as operator", officer, Operator, mine, NoRole},
		{"all tenants", Principal{Login: "root", Roles: []Role{Officer}, All: true}, Officer, other, ""},
		{"nobody", Principal{Roles: []Role{Officer}, All: true}, Officer, mine, NotSignedIn},
	} {
		err := c.p.Can(c.role, c.tenant)
		if c.lacks == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		var denied *Denied
		if !errors.As(err, &denied) || denied.Code != c.lacks || denied.Role != c.role ||
			!errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v, want it denied: %s", c.name, err, c.lacks)
		}
	}
}
