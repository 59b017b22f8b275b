package custody_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// Every act's events name everybody whose data they hold: the person of the request, the officer,
// whose data is seen. The checker, which asks the vault whose each value is, finds nothing
// missing.
func TestEveryActNamesWhoseDataItsEventsHold(t *testing.T) {
	b := newBench(t)
	sealed := []vault.Sealed{b.person("anna@contoso.example"), b.person("bram@contoso.example")}
	s, err := b.custody.Access(b.ctx, officer, custody.Purpose{Tenant: b.tenant.ID, Report: "admin-actions",
		Code: "audit", Text: "yearly audit", Filters: map[string]any{"actor": "anna@contoso.example"}, Seq: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(b.ctx, sealed); err != nil {
		t.Fatal(err)
	}
	r := b.request("access", "anna@contoso.example")
	if err := b.custody.RecordPackage(b.ctx, officer, r, strings.Repeat("0a", 32), 1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.custody.Erase(b.ctx, officer, b.request("erasure", "bram@contoso.example"),
		"no-longer-necessary", nil); err != nil {
		t.Fatal(err)
	}
	held := map[string]int{} // per type, values under the key of a person who is named
	err = b.ledger.Check(b.ctx, []uuid.UUID{b.tenant.ID}, b.owners, func(f ledger.Found) error {
		if f.Verdict != ledger.Genuine || len(f.Naming.Missing) > 0 {
			t.Errorf("a %s is %s and does not name the person of %v", f.Type, f.Verdict, f.Naming.Missing)
		}
		d, err := schemas.Default().Decode(schemastest.Envelope(f.RecordedEvent))
		if err != nil {
			return err
		}
		for _, v := range d.Values {
			if v.Token != "" {
				held[f.Type]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{"access.unsealed.v2", "request.opened.v1"} {
		if held[typ] == 0 {
			t.Errorf("no %s holds anything: %v", typ, held)
		}
	}
}

// owners tells whose aliases are; those that name nobody any more are left out.
func (b *bench) owners(
	ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID,
) (map[uuid.UUID]schemas.Owner, error) {
	out := map[uuid.UUID]schemas.Owner{}
	err := b.vault.View(ctx, tenant, func(tx *vault.Tx) error {
		for _, a := range aliases {
			o, err := tx.AliasOwner(a)
			if err != nil && !errors.Is(err, vault.ErrErased) {
				return err
			}
			if err == nil {
				out[a] = o
			}
		}
		return nil
	})
	return out, err
}
