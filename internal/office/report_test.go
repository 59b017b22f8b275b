package office

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// A filter on persons takes what somebody is called, and looks for them as what its report names
// them: an officer as who viewed, a person as whatever they stand for.
func TestAFilterOnPersonsLooksForThemInItsRole(t *testing.T) {
	b := newBuilding(t)
	ctx, tenant, upn := t.Context(), b.tenants[0].ID, "anna@contoso.example"
	err := b.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error {
		_, _, err := tx.Person(vault.PersonHint{UPN: upn, At: time.Now()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.OpenRequest(ctx, root, tenant, custody.NewRequest{Right: "access", Identifier: upn,
		Received: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	purpose := custody.Purpose{Tenant: tenant, Report: "data-access", Code: "audit"}
	if _, err := b.cfg.Custody.Access(ctx, root, purpose); err != nil {
		t.Fatal(err)
	}
	named := map[string]map[string][]string{} // role and class → aliases in events
	var all []uuid.UUID
	for _, e := range b.store.Events() {
		m, err := schemas.ParseMetadata(e.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range m.Subjects {
			if named[s.Role] == nil {
				named[s.Role] = map[string][]string{}
			}
			named[s.Role][e.Type] = append(named[s.Role][e.Type], s.ID.String())
			all = append(all, s.ID)
		}
	}
	viewer, requester := named["officer"]["access.unsealed.v2"], named["requester"]["request.opened.v1"]
	for _, c := range []struct {
		filter, given string
		want          []string
	}{
		{"officer", root.Login, viewer}, {"officer", upn, nil}, {"actor", root.Login, nil},
		{"person", root.Login, append(slices.Clone(viewer), named["officer"]["request.opened.v1"]...)},
		{"person", upn, requester}, {"person", requester[0], requester}, {"person", "nobody@contoso.example", nil},
	} {
		got, err := b.named(ctx, tenant, c.given, persons[c.filter])
		slices.Sort(got)
		slices.Sort(c.want)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %q, %v, want %q", c.filter, c.given, got, err, c.want)
		}
	}
	owners, err := b.personsOf(tenant)(ctx, append(all, uuid.New()))
	if err != nil || len(owners) != len(all) {
		t.Errorf("%d of %d aliases have an owner, %v", len(owners), len(all), err)
	}
	if other, err := b.personsOf(b.tenants[1].ID)(ctx, all); err != nil || len(other) != 0 {
		t.Errorf("another tenant is told %d owners, %v", len(other), err)
	}
}
