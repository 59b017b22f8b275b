package access

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"
)

func TestAPrincipalActsOnlyInItsRoleAndTenants(t *testing.T) {
	mine, other := uuid.New(), uuid.New()
	officer := Principal{Login: "o@example", Roles: []Role{Officer}, Tenants: []uuid.UUID{mine}}
	everywhere := Principal{Login: "root", Roles: []Role{Officer, TenantAdmin}, All: true}
	nameless := officer
	nameless.Tenants = []uuid.UUID{uuid.Nil}
	for _, c := range []struct {
		name   string
		p      Principal
		do     Action
		tenant uuid.UUID
		lacks  Code // "" for nothing
	}{
		{"officer of the tenant", officer, Reveal, mine, ""},
		{"officer of another tenant", officer, Reveal, other, NotTheirs},
		{"officer of one tenant, for all", officer, Reveal, uuid.Nil, NotAll},
		{"officer as operator", officer, Disown, mine, NoRole},
		{"all tenants", everywhere, Reveal, other, ""},
		{"all tenants at once", everywhere, AddTenant, uuid.Nil, ""},
		{"nobody", Principal{Roles: []Role{Officer}, All: true}, Reveal, mine, NotSignedIn},
		{"no role", Principal{Login: "x", All: true}, ReadMasked, mine, NoRole},
		{"an action that is not in the table", everywhere, "fly", mine, NoRole},
		{"the zero tenant is nobody's", nameless, Reveal, uuid.Nil, NotAll},
	} {
		err := c.p.Can(c.do, c.tenant)
		if c.lacks == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		var denied *Denied
		if !errors.As(err, &denied) || denied.Code != c.lacks || denied.Action != c.do ||
			!errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v, want it denied: %s", c.name, err, c.lacks)
		}
	}
}

// The table has each action once, and names no role that does not exist.
func TestTheTableIsWhole(t *testing.T) {
	seen := map[Action]bool{}
	acts := map[Role]bool{}
	for _, l := range Table() {
		if l.Action == OwnPassword || l.Action == ListTenants {
			continue // of everybody, nearly
		}
		if seen[l.Action] || len(l.Roles) == 0 {
			t.Errorf("%q stands twice, or nobody may do it", l.Action)
		}
		seen[l.Action] = true
		for _, r := range l.Roles {
			acts[r] = true
			if !slices.Contains(Roles(), r) {
				t.Errorf("%q: there is no role %q", l.Action, r)
			}
		}
	}
	for _, r := range Roles() {
		idle := r == Reviewer || r == Consumer || r == BreakGlass
		if acts[r] == idle {
			t.Errorf("role %s: may act %v", r, acts[r])
		}
	}
}

// What docs/FIELD.md §3 says of the roles, as far as there are acts.
func TestTheTableSaysWhatTheRolesStandFor(t *testing.T) {
	data := []Action{ReadMasked, FollowEvents, Reveal, MakePackage}
	opens := []Action{Reveal, MakePackage, Erase}
	for _, c := range []struct {
		role  Role
		never []Action
	}{
		{Viewer, opens}, {Auditor, append(opens, Import, Disown, ManageOfficer)}, {DPO, append(opens, Disown, Import)},
		{TenantAdmin, append(data, Erase)}, {Operator, append(data, Erase, ManageOfficer, Import)},
		{Producer, append(data, Erase, ManageOfficer)}, {Reviewer, append(data, Erase)},
	} {
		for _, do := range c.never {
			if slices.Contains(RolesFor(do), c.role) {
				t.Errorf("%s may %s", c.role, do)
			}
		}
	}
}
