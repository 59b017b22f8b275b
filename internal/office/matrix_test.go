package office

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas"
)

// about says what a method concerns, and so for what its action is asked.
type about int

const (
	oneTenant  about = iota // the tenant that is named; the zero one stands for all
	allTenants              // the whole ledger
	theirs                  // what it returns is no more than theirs
)

// methods has a line for every exported method of Office, for each action that it may ask.
var methods = []struct {
	name  string
	do    access.Action
	about about
	// looks: it has to read whose an account is before it knows for which tenant it asks. The role
	// it asks first.
	looks bool
	call  func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error
}{
	{"Tenants", access.ListTenants, theirs, false,
		func(ctx context.Context, o *Office, p access.Principal, _ uuid.UUID) error {
			_, err := o.Tenants(ctx, p)
			return err
		}},
	{"Tenant", access.ListTenants, theirs, false,
		func(ctx context.Context, o *Office, p access.Principal, _ uuid.UUID) error {
			_, err := o.Tenant(ctx, p, "Contoso")
			return err
		}},
	{"AddTenant", access.AddTenant, allTenants, false,
		func(ctx context.Context, o *Office, p access.Principal, _ uuid.UUID) error {
			_, err := o.AddTenant(ctx, p, vault.NewTenant{})
			return err
		}},
	{"SetSources", access.ChangeTenant, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.SetSources(ctx, p, tenant, false, nil)
			return err
		}},
	{"SetPurposes", access.ChangeTenant, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.SetPurposes(ctx, p, tenant, nil)
			return err
		}},
	{"SetPolicy", access.ChangeTenant, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.SetPolicy(ctx, p, tenant, func(of policy.Policy) policy.Policy { return of })
			return err
		}},
	{"PolicyHistory", access.ListTenants, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.PolicyHistory(ctx, p, tenant)
			return err
		}},
	{"Ask", access.ReadMasked, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			return ask(ctx, o, p, tenant, report.Request{Report: "device-inventory"})
		}},
	{"Ask", access.ReadMasked, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			return ask(ctx, o, p, tenant, report.Request{Report: "refused-collection"})
		}},
	{"Ask", access.Reveal, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			return ask(ctx, o, p, tenant, report.Request{Report: "device-inventory", Reveal: true, Purpose: "audit"})
		}},
	{"Follow", access.FollowEvents, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			f := Following{UntilEnd: true, Event: func(schemas.Envelope) error { return nil }}
			return o.Follow(ctx, p, tenant, f)
		}},
	{"OpenRequest", access.OpenRequest, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.OpenRequest(ctx, p, tenant, custody.NewRequest{Right: "access",
				Identifier: "nobody@x.example"})
			return err
		}},
	{"Request", access.ReadRequest, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.Request(ctx, p, tenant, uuid.New())
			return err
		}},
	{"Export", access.MakePackage, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.Export(ctx, p, tenant, uuid.New(), Package{To: (*os.File)(nil)})
			return err
		}},
	{"Erase", access.Erase, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.Erase(ctx, p, tenant, uuid.New(), custody.Grounds[0], nil)
			return err
		}},
	{"MergeCandidates", access.ReadSubjects, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, _, err := o.MergeCandidates(ctx, p, tenant)
			return err
		}},
	{"SubjectHistory", access.ReadSubjects, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.SubjectHistory(ctx, p, tenant, "nobody@x.example")
			return err
		}},
	{"MergeSubjects", access.MergeSubjects, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.MergeSubjects(ctx, p, tenant, custody.NewMerge{Subject: "nobody@x.example", Reason: "x"})
			return err
		}},
	{"UnmergeSubjects", access.MergeSubjects, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.UnmergeSubjects(ctx, p, tenant, uuid.New(), "x")
			return err
		}},
	{"Import", access.Import, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.Import(ctx, p, tenant, intake.Source{}, Pace{}, nil)
			return err
		}},
	{"CheckLedger", access.CheckLedger, allTenants, false,
		func(ctx context.Context, o *Office, p access.Principal, _ uuid.UUID) error {
			return o.CheckLedger(ctx, p, func(ledger.Found) error { return nil })
		}},
	{"Disown", access.Disown, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			_, err := o.Disown(ctx, p, tenant, []uuid.UUID{uuid.New()}, custody.DisownGrounds[0], nil)
			return err
		}},
	{"Officers", access.ListOfficers, theirs, false,
		func(ctx context.Context, o *Office, p access.Principal, _ uuid.UUID) error {
			_, err := o.Officers(ctx, p)
			return err
		}},
	{"AddOfficer", access.ManageOfficer, oneTenant, false,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			return o.AddOfficer(ctx, p, accountOf(tenant), "too short")
		}},
	{"SetOfficer", access.ManageOfficer, oneTenant, true,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			a := accountOf(tenant)
			_, err := o.SetOfficer(ctx, p, a.Name, a.Roles, a.Tenants, a.All)
			return err
		}},
	{"SetPassword", access.ManageOfficer, oneTenant, true,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			return o.SetPassword(ctx, p, accountOf(tenant).Name, "another password")
		}},
	{"RemoveOfficer", access.ManageOfficer, oneTenant, true,
		func(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID) error {
			a := accountOf(tenant)
			err := o.RemoveOfficer(ctx, p, a.Name)
			if err == nil { // the next one finds it again
				err = o.cfg.Accounts.Add(ctx, a, "the same password")
			}
			return err
		}},
	{"SetOwnPassword", access.OwnPassword, theirs, false,
		func(ctx context.Context, o *Office, p access.Principal, _ uuid.UUID) error {
			return o.SetOwnPassword(ctx, p, "another password")
		}},
}

func ask(ctx context.Context, o *Office, p access.Principal, tenant uuid.UUID, r report.Request) error {
	_, err := o.Ask(ctx, p, tenant, r, Patience{})
	return err
}

// accountOf is the account in tests that acts for that tenant, or for all.
func accountOf(tenant uuid.UUID) accounts.Account {
	a := accounts.Account{Name: "of " + tenant.String(), Roles: []access.Role{access.Viewer}, All: tenant == uuid.Nil}
	if !a.All {
		a.Tenants = []uuid.UUID{tenant}
	}
	return a
}

// Every method is in the list: a new one fails here until it says which action it asks.
func TestEveryMethodOfTheOfficeIsInTheMatrix(t *testing.T) {
	kind := reflect.TypeFor[*Office]()
	for i := range kind.NumMethod() {
		name := kind.Method(i).Name
		at := slices.IndexFunc(methods, func(m struct {
			name  string
			do    access.Action
			about about
			looks bool
			call  func(context.Context, *Office, access.Principal, uuid.UUID) error
		}) bool {
			return m.name == name
		})
		if at < 0 {
			t.Errorf("Office.%s is in no line: which action does it ask?", name)
		}
		in := kind.Method(i).Type
		if in.NumIn() < 3 || in.In(2) != reflect.TypeFor[access.Principal]() {
			t.Errorf("Office.%s does not take who acts", name)
		}
	}
	asked := map[access.Action]bool{access.AcceptLoss: true} // of restoring, which works without an office
	for _, m := range methods {
		asked[m.do] = true
		if _, ok := kind.MethodByName(m.name); !ok {
			t.Errorf("Office has no method %s", m.name)
		}
	}
	for _, l := range access.Table() {
		if !asked[l.Action] {
			t.Errorf("nothing asks whether somebody may %s", l.Action)
		}
	}
}

// Methods × roles × tenants: each does what the table says, and nothing is read or written before
// it was asked.
func TestEveryMethodDoesWhatTheTableSays(t *testing.T) {
	b := newBuilding(t)
	mine, other := b.tenants[0].ID, b.tenants[1].ID
	manager := accounts.Account{Name: "manager", Roles: []access.Role{access.TenantAdmin}, All: true}
	for _, a := range []accounts.Account{manager, accountOf(mine), accountOf(other), accountOf(uuid.Nil)} {
		if err := b.cfg.Accounts.Add(t.Context(), a, "the same password"); err != nil {
			t.Fatal(err)
		}
	}
	places := []struct {
		name string
		all  bool // the principal acts for all tenants
		asks uuid.UUID
		sees bool
	}{
		{"their own tenant", false, mine, true}, {"another tenant", false, other, false},
		{"all tenants, acting for one", false, uuid.Nil, false}, {"a tenant, acting for all", true, other, true},
		{"all tenants", true, uuid.Nil, true},
	}
	n := 0
	for _, m := range methods {
		var may []access.Role
		for _, l := range access.Table() {
			if l.Action == m.do {
				may = l.Roles
			}
		}
		for _, role := range append(access.Roles(), "") {
			for _, at := range places {
				p := access.Principal{Login: manager.Name, All: at.all, Tenants: []uuid.UUID{mine}}
				if role != "" {
					p.Roles = []access.Role{role}
				}
				has := slices.Contains(may, role)
				want := has && (at.sees || m.about == theirs)
				if m.about == allTenants {
					want = has && at.all
				}
				before := len(b.store.Events())
				err := m.call(t.Context(), b.Office, p, at.asks)
				what := fmt.Sprintf("%s (%s) as %q, %s", m.name, m.do, role, at.name)
				var denied *access.Denied
				switch errors.As(err, &denied) {
				case want:
					t.Errorf("%s: %v, the table says %v", what, err, want)
				case true:
					if denied.Action != m.do {
						t.Errorf("%s: asked whether they may %s", what, denied.Action)
					}
					if len(b.store.Events()) != before {
						t.Errorf("%s: refused, and recorded something", what)
					}
				}
				if !want && (!m.looks || !has) { // an office of nothing panics where it is touched
					if err := m.call(t.Context(), &Office{}, p, at.asks); !errors.As(err, &denied) {
						t.Errorf("%s: something came before asking: %v", what, err)
					}
				}
				n++
			}
		}
	}
	if n != len(methods)*(len(access.Roles())+1)*len(places) {
		t.Errorf("%d cells were tried", n)
	}
}

// Nobody is nobody, whatever roles they claim.
func TestNobodyMayDoAnything(t *testing.T) {
	p := access.Principal{Roles: access.Roles(), All: true}
	for _, m := range methods {
		var denied *access.Denied
		if err := m.call(t.Context(), &Office{}, p, uuid.New()); !errors.As(err, &denied) ||
			denied.Code != access.NotSignedIn {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
