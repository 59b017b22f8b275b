package custody_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// olderVault copies the vault as it is now, and returns how to put the copy
// in the place of the one in use.
func (b *bench) olderVault() (putBack func()) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "vault.db")
	st, err := sqlite.Open(b.ctx, filepath.Join(b.dir, "vault.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := errors.Join(st.Backup(b.ctx, path), st.Close()); err != nil {
		b.t.Fatal(err)
	}
	return func() {
		b.t.Helper()
		kek, err := vault.OpenFileKEK(filepath.Join(b.dir, "kek"))
		if err != nil {
			b.t.Fatal(err)
		}
		st, err := sqlite.Open(b.ctx, path)
		if err != nil {
			b.t.Fatal(err)
		}
		log := slog.New(slog.DiscardHandler)
		if err := b.vault.Close(); err != nil { // the bench closes the one that is there at its end
			b.t.Fatal(err)
		}
		if b.vault, err = vault.Open(b.ctx, vault.Config{Store: st, KEK: kek, Clock: time.Now,
			Logger: log}); err != nil {
			b.t.Fatal(err)
		}
		if b.ledger, err = ledger.Open(b.ctx, ledger.Config{Store: b.store, Origin: b.vault.OriginKey, Logger: log,
			Clock: time.Now}); err != nil {
			b.t.Fatal(err)
		}
		b.newCustody()
		if err := b.vault.Bind(b.ctx, b.ledger.ID()); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) look() custody.Unknown {
	b.t.Helper()
	u, err := b.custody.LookForUnknown(b.ctx, b.ledger.ID(), b.ledger.Events(b.ctx))
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// meet mints a person and appends an event that names the person by an alias
// of their own, and the officer.
func (b *bench) meet(upn string) vault.Sealed {
	b.t.Helper()
	sealed := b.person(upn)
	b.request("access", upn)
	return sealed
}

// A vault that holds every key that the ledger names has lost nothing,
// whatever others wrote into the store.
func TestAVaultThatKnowsEveryAliasHasLostNothing(t *testing.T) {
	b := newBench(t)
	b.meet("anna.devries@contoso.example")
	putBack := b.olderVault()
	putBack()
	foreign := schemastest.Sign(ledgertest.Event(t, ledgertest.NewStream(), 1), 0)
	foreign.Metadata = []byte(`{"v":1}`)
	m, err := schemastest.Metadata(schemas.Metadata{Tenant: b.tenant.ID, Recorded: time.Now(), Source: "test",
		Subjects: []schemas.Subject{{ID: uuid.New(), Role: "user"}}})
	if err != nil {
		t.Fatal(err)
	}
	forged := ledgertest.Event(t, ledgertest.NewStream(), 1)
	forged.Metadata = m
	for _, e := range []schemas.Event{foreign, forged} {
		if _, err := b.store.Append(b.ctx, e.Stream, ledger.NoStream, []schemas.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	u := b.look()
	if u.Any() || u.Forged != 1 || u.Looked == 0 {
		t.Errorf("%+v", u)
	}
	if _, err := b.custody.AcceptLoss(b.ctx, officer, u); err == nil {
		t.Error("a loss of nothing was accepted")
	}
	if err := b.vault.SaveAnchor(b.ctx, u.End); err != nil {
		t.Fatal(err)
	}
	if u := b.look(); u.Looked != 0 {
		t.Errorf("after the vault's own note, %d events were looked at", u.Looked)
	}
}

// What an older vault does not know is counted; once accepted, one event says how many, wherever
// the acceptance was cut, and the values read lost.
func TestALossIsCountedAndOneEventSaysHowMany(t *testing.T) {
	for _, crash := range []string{"", custody.PointLossRecorded, custody.PointLossAccepted} {
		t.Run("cut after "+crash, func(t *testing.T) {
			b := newBench(t)
			kept := b.meet("anna.devries@contoso.example")
			putBack := b.olderVault()
			before := time.Now().Truncate(time.Millisecond)
			lost := b.meet("bram.jansen@contoso.example")
			b.meet("chris.smit@contoso.example")
			// A tenant that the older vault does not know.
			if _, err := b.custody.RegisterTenant(b.ctx, officer,
				vault.NewTenant{Name: "Fabrikam", AnySource: true}); err != nil {
				t.Fatal(err)
			}
			putBack()
			u := b.look()
			// Two persons, each by an alias of the request's class; the officer's alias was known.
			if u.Events != 2 || u.Aliases != 2 || u.Tenants != 1 || u.TenantEvents != 2 || u.Since.Before(before) ||
				u.Since.After(time.Now()) {
				t.Fatalf("%+v", u)
			}
			if _, err := b.open(lost); !errors.Is(err, vault.ErrTampered) {
				t.Errorf("before the loss is accepted: %v", err)
			}
			u = b.look() // the session above is in the ledger too
			if crash != "" {
				b.crashAt = crash
				if _, err := b.custody.AcceptLoss(b.ctx, officer, u); !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				b.crashAt = ""
				if u := b.look(); crash == custody.PointLossAccepted && u.Any() {
					t.Fatalf("what was accepted is asked for again: %+v", u)
				}
			}
			if again := b.look(); again.Any() {
				if _, err := b.custody.AcceptLoss(b.ctx, officer, again); err != nil {
					t.Fatal(err)
				}
			}
			if n := b.count("ledger.keys-lost.v1"); n != 1 {
				t.Errorf("%d events tell of the loss", n)
			}
			if u := b.look(); u.Any() {
				t.Errorf("after the loss was accepted: %+v", u)
			}
			if _, err := b.open(lost); !errors.Is(err, vault.ErrLost) {
				t.Errorf("a value whose key is lost: %v", err)
			}
			if got, err := b.open(kept); err != nil || got != `"anna.devries@contoso.example"` {
				t.Errorf("a value whose key was kept: %s, %v", got, err)
			}
			for _, r := range b.store.Events() {
				if r.Type == "ledger.keys-lost.v1" &&
					string(r.Data) != `{"events":4,"aliases":2,"through":`+through(u)+`}` {
					t.Errorf("the event says %s of %+v", r.Data, u)
				}
			}
		})
	}
}

func through(u custody.Unknown) string { return string(schemas.JSON(u.End.Seq)) }

// A ledger that is shorter than what the vault has noted, or another there,
// is not the vault's to judge.
func TestAVaultThatIsAheadOfTheLedgerSaysSo(t *testing.T) {
	b := newBench(t)
	if err := b.vault.Bind(b.ctx, b.ledger.ID()); err != nil {
		t.Fatal(err)
	}
	end := b.look().End
	for name, a := range map[string]schemas.Anchor{
		"shorter": {LedgerID: end.LedgerID, Seq: end.Seq + 5, EventID: uuid.New(), Leaf: end.Leaf},
	} {
		t.Run(name, func(t *testing.T) {
			if err := b.vault.SaveAnchor(b.ctx, a); err != nil {
				t.Fatal(err)
			}
			if _, err := b.custody.LookForUnknown(context.Background(), b.ledger.ID(),
				b.ledger.Events(b.ctx)); !errors.Is(err, ledger.ErrDiverged) {
				t.Errorf("%v", err)
			}
			if err := b.vault.LowerAnchor(b.ctx, end); err != nil {
				t.Fatal(err)
			}
			if err := b.vault.LowerAnchor(b.ctx, end); err == nil {
				t.Error("an anchor was lowered to itself")
			}
			if after, found, err := b.vault.OrdersAfter(b.ctx); err != nil || found {
				t.Errorf("what is pending comes after %d, which the ledger does not reach: %v", after.Seq, err)
			}
			if u := b.look(); u.Any() {
				t.Errorf("%+v", u)
			}
		})
	}
	other := end
	other.Seq--
	if err := b.vault.LowerAnchor(b.ctx, other); err != nil { // event and leaf are not those of that sequence
		t.Fatal(err)
	}
	_, err := b.custody.LookForUnknown(b.ctx, b.ledger.ID(), b.ledger.Events(b.ctx))
	if !errors.Is(err, ledger.ErrDiverged) {
		t.Errorf("another event at the vault's note: %v", err)
	}
}

// A vault from before an erasure knows every alias and holds the person again: the
// order that it missed shows that it is older, until it is replayed. What came after
// its own note is enough to see it.
func TestAVaultFromBeforeAnErasureIsOlderThanItsOrder(t *testing.T) {
	b := newBench(t)
	b.meet("anna.devries@contoso.example")
	r := b.request("erasure", "anna.devries@contoso.example")
	if err := b.vault.Bind(b.ctx, b.ledger.ID()); err != nil {
		t.Fatal(err)
	}
	if err := b.vault.SaveAnchor(b.ctx, b.look().End); err != nil {
		t.Fatal(err)
	}
	anchor, _, err := b.vault.LoadAnchor(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	putBack := b.olderVault()
	if _, err := b.custody.Erase(b.ctx, officer, b.found(r), custody.Grounds[0], nil); err != nil {
		t.Fatal(err)
	}
	after := func() custody.Unknown {
		t.Helper()
		u, err := b.custody.LookForUnknown(b.ctx, b.ledger.ID(), b.ledger.After(b.ctx, &anchor))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if u := after(); u.Orders != 0 || u.Any() {
		t.Fatalf("the vault that carried it out: %+v", u)
	}
	putBack()
	if u := after(); u.Orders != 1 || u.Any() {
		t.Fatalf("the vault from before: %+v", u)
	}
	b.replay()
	if u := after(); u.Orders != 0 || u.Any() {
		t.Fatalf("once it is replayed: %+v", u)
	}
	if err := b.vault.SaveAnchor(b.ctx, after().End); err != nil {
		t.Fatal(err)
	}
	anchor, _, _ = b.vault.LoadAnchor(b.ctx)
	if u := after(); u.Looked != 0 || u.End != anchor {
		t.Errorf("with nothing after its note: %+v", u)
	}
}

// Whoever can write to the event store can make a vault look older, by a tenant that nobody
// knows: until that is disowned.
func TestADisownedEventOfAnUnknownTenantMakesNoVaultOlder(t *testing.T) {
	b := newBench(t)
	e := ledgertest.Event(t, ledgertest.NewStream(), 1) // of a random tenant
	if _, err := b.store.Append(b.ctx, e.Stream, ledger.NoStream, []schemas.Event{e}); err != nil {
		t.Fatal(err)
	}
	if u := b.look(); u.TenantEvents != 1 || len(u.Strangers) != 1 || u.Strangers[0].Event != e.ID {
		t.Fatalf("%+v", u)
	}
	if _, err := b.custody.Disown(b.ctx, officer, uuid.Nil, []uuid.UUID{e.ID}, "test", nil); err != nil {
		t.Fatal(err)
	}
	if u := b.look(); u.Any() || u.Tenants != 0 && len(u.Strangers) > 0 {
		t.Fatalf("once it is disowned: %+v", u)
	}
}
