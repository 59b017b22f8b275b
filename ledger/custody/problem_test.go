package custody_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// hold puts a hold on a person, as another process would.
func (b *bench) hold(person uuid.UUID) {
	b.t.Helper()
	st, err := sqlite.Open(b.ctx, filepath.Join(b.dir, "vault.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	err = st.Update(b.ctx, b.tenant.ID, func(rows store.Rows) error {
		return rows.PutHold(uuid.New(), schemas.Owner{Kind: schemas.OwnerPerson, ID: person}, time.Now())
	})
	if err := errors.Join(err, st.Close()); err != nil {
		b.t.Fatal(err)
	}
}

// Whatever is wrong with what was asked is a Problem with its field and code, names nobody, and
// appends nothing.
func TestWhatIsWrongWithWhatWasAskedIsACodeAndAField(t *testing.T) {
	b := newBench(t)
	const anna, helpdesk = "anna@contoso.example", "helpdesk@contoso.example"
	b.person(anna)
	b.person(helpdesk)
	b.person(helpdesk)
	b.session() // mints the officer as a person
	forAccess, forErasure := b.request("access", anna), b.request("erasure", anna)
	own := b.store.Events()[0].ID
	ok := custody.NewRequest{Tenant: b.tenant.ID, Right: "access", Identifier: anna, Received: time.Now(),
		Method: "call-back"}
	open := func(change func(*custody.NewRequest)) func() error {
		return func() error {
			n := ok
			change(&n)
			_, err := b.custody.OpenRequest(b.ctx, officer, n)
			return err
		}
	}
	disown := func(tenant uuid.UUID, ground string, ids ...uuid.UUID) func() error {
		return func() error {
			_, err := b.custody.Disown(b.ctx, officer, tenant, ids, ground, nil)
			return err
		}
	}
	erase := func(p access.Principal, r custody.Request, ground string) func() error {
		return func() error {
			_, err := b.custody.Erase(b.ctx, p, r, ground, nil)
			return err
		}
	}
	many := make([]uuid.UUID, custody.MaxDisowned+1)
	for i := range many {
		many[i] = uuid.New()
	}
	const piet, karin = "piet@contoso.example", "karin@contoso.example"
	b.person(piet)
	b.person(karin)
	stale, pietsFirst, held := b.request("erasure", piet), b.request("erasure", piet), b.request("erasure", karin)
	if _, err := b.custody.Erase(b.ctx, officer, pietsFirst, "unlawful", nil); err != nil {
		t.Fatal(err)
	}
	b.hold(held.Person)
	self := access.Principal{Login: anna, Roles: officer.Roles, All: true}
	missing := uuid.New()
	for name, c := range map[string]struct {
		try   func() error
		field string
		code  error
		given string
	}{
		"no purpose": {func() error {
			_, err := b.custody.Access(b.ctx, officer, custody.Purpose{Tenant: b.tenant.ID, Report: "x", Text: " "})
			return err
		}, custody.FieldPurpose, custody.ErrMissing, ""},
		"a login that is a placeholder": {func() error {
			who := access.Principal{Login: "unknown", Roles: officer.Roles, All: true}
			_, err := b.custody.Access(b.ctx, who, custody.Purpose{Tenant: b.tenant.ID, Report: "x", Code: "audit"})
			return err
		}, custody.FieldBy, custody.ErrUnfit, ""},
		"no right": {open(func(n *custody.NewRequest) { n.Right = "" }), custody.FieldRight, custody.ErrMissing, ""},
		"wrong right": {open(func(n *custody.NewRequest) { n.Right = "oblivion" }), custody.FieldRight,
			custody.ErrUnknown, "oblivion"},
		"wrong method": {open(func(n *custody.NewRequest) { n.Method = "passport" }), custody.FieldMethod,
			custody.ErrUnknown, "passport"},
		"nobody": {open(func(n *custody.NewRequest) { n.Identifier = "nobody@contoso.example" }), custody.FieldSubject,
			custody.ErrNoSuchPerson, ""},
		"several": {open(func(n *custody.NewRequest) { n.Identifier = helpdesk }), custody.FieldPerson,
			custody.ErrSeveralPersons, ""},
		"a third of two": {open(func(n *custody.NewRequest) { n.Identifier, n.Person = helpdesk, 3 }),
			custody.FieldPerson,
			custody.ErrUnknown, "3"},
		"one's own": {open(func(n *custody.NewRequest) { n.Identifier = officer.Login }), custody.FieldSubject,
			custody.ErrOwnRequest, ""},
		"no such request": {func() error {
			_, err := b.custody.FindRequest(b.ctx, officer, b.tenant.ID, missing)
			return err
		}, custody.FieldRequest, custody.ErrNoRequest, missing.String()},
		"erase for access":   {erase(officer, forAccess, "unlawful"), custody.FieldRight, custody.ErrUnfit, "access"},
		"erase on no ground": {erase(officer, forErasure, ""), custody.FieldGround, custody.ErrMissing, ""},
		"erase on a wrong ground": {erase(officer, forErasure, "because"), custody.FieldGround, custody.ErrUnknown,
			"because"},
		"erase oneself": {erase(self, forErasure, "unlawful"), custody.FieldRequest, custody.ErrOwnRequest,
			forErasure.ID.String()},
		"erase whom another request erased": {erase(officer, stale, "unlawful"), custody.FieldRequest, vault.ErrErased,
			stale.ID.String()},
		"erase the erased": {func() error { return erase(officer, b.found(stale), "unlawful")() },
			custody.FieldRequest,
			vault.ErrErased, stale.ID.String()},
		"erase who is held": {erase(officer, held, "unlawful"), custody.FieldRequest, vault.ErrHeld,
			held.ID.String()},
		"disown nothing": {disown(uuid.Nil, "test"), custody.FieldEvent, custody.ErrMissing, ""},
		"disown too many": {disown(uuid.Nil, "test", many...), custody.FieldEvent, custody.ErrTooMany,
			"8001"},
		"disown on a wrong ground": {disown(uuid.Nil, "because", own), custody.FieldGround, custody.ErrUnknown,
			"because"},
		"disown the ledger's own": {disown(uuid.Nil, "test", own), custody.FieldEvent, custody.ErrOwnEvent,
			own.String()},
		"disown what is nowhere": {disown(uuid.Nil, "test", missing), custody.FieldEvent, custody.ErrNoEvent,
			missing.String()},
		"accept no loss": {func() error {
			_, err := b.custody.AcceptLoss(b.ctx, officer, custody.Unknown{})
			return err
		}, custody.FieldLoss, custody.ErrMissing, ""},
		"a tenant again": {func() error {
			_, err := b.custody.RegisterTenant(b.ctx, officer, vault.NewTenant{Name: "Contoso", AnySource: true})
			return err
		}, custody.FieldTenant, vault.ErrExists, "Contoso"},
	} {
		before := len(b.store.Events())
		err := c.try()
		var p *custody.Problem
		if !errors.As(err, &p) || p.Field != c.field || p.Code != c.code || p.Given != c.given ||
			!errors.Is(err, c.code) {
			t.Errorf("%s: %v, want the field %s, %v and %q", name, err, c.field, c.code, c.given)
			continue
		}
		text := err.Error()
		for _, no := range []string{anna, helpdesk, piet, karin, officer.Login, "nobody@", "--"} {
			if strings.Contains(text, no) {
				t.Errorf("%s: %q has %q in it", name, text, no)
			}
		}
		if !strings.Contains(text, c.field) || !strings.Contains(text, c.given) {
			t.Errorf("%s: %q does not name the field and what was given", name, text)
		}
		if slices.Contains([]error{custody.ErrOwnEvent, custody.ErrNotTenants}, c.code) != (p.Seq != nil) {
			t.Errorf("%s: sequence %v", name, p.Seq)
		}
		if p.Code == custody.ErrUnknown && len(p.Known) == 0 && p.Most == 0 {
			t.Errorf("%s: what is known is not said", name)
		}
		if len(b.store.Events()) != before {
			t.Errorf("%s: it was refused and appended something", name)
		}
	}
}
