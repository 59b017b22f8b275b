package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
)

// heard is what an observer was told, by kind.
type heard struct {
	began, ended, failed map[vault.TxKind]int
	took                 time.Duration
}

func newHeard() *heard {
	return &heard{map[vault.TxKind]int{}, map[vault.TxKind]int{}, map[vault.TxKind]int{}, 0}
}

func (h *heard) Began(kind vault.TxKind) { h.began[kind]++ }

func (h *heard) Ended(kind vault.TxKind, took time.Duration, err error) {
	h.ended[kind]++
	h.took = took
	if err != nil {
		h.failed[kind]++
	}
}

// The observer hears of each transaction by its kind, of its end also where it fails or panics,
// and how long it took.
func TestEachTransactionIsObserved(t *testing.T) {
	ctx := t.Context()
	store, _ := factory(t)
	clock, h := vaulttest.NewClock(), newHeard()
	v, err := vault.Create(ctx, vault.Config{Store: store, KEK: vaulttest.KEK(t), Clock: clock.Now, Observer: h})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}()
	tenant, err := v.AddTenant(ctx, vault.NewTenant{Name: "Contoso", AnySource: true})
	if err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("refused")
	for _, tc := range []struct {
		name   string
		kind   vault.TxKind
		failed int
		do     func() error
	}{
		{"a tenant is added", vault.TxUpdate, 0, func() error {
			_, err := v.AddTenant(ctx, vault.NewTenant{Name: "Fabrikam", AnySource: true})
			return err
		}},
		{"tenants are listed", vault.TxView, 0, func() error { _, err := v.Tenants(ctx); return err }},
		{"an unknown tenant", vault.TxView, 1, func() error { _, err := v.TenantByID(ctx, uuid.New()); return err }},
		{"an origin key is read", vault.TxView, 0, func() error {
			_, _, err := v.OriginKey(ctx, tenant.ID)
			return err
		}},
		{"erasures are listed", vault.TxView, 0, func() error { _, err := v.PendingErasures(ctx); return err }},
		{"an update", vault.TxUpdate, 0, func() error {
			return v.Update(ctx, tenant.ID, func(*vault.Tx) error { clock.Advance(2 * time.Second); return nil })
		}},
		{"a view", vault.TxView, 0, func() error {
			return v.View(ctx, tenant.ID, func(*vault.Tx) error { return nil })
		}},
		{"an update that is refused", vault.TxUpdate, 1, func() error {
			return v.Update(ctx, tenant.ID, func(*vault.Tx) error { return refusal })
		}},
		{"a view that panics", vault.TxView, 0, func() error {
			defer func() { _ = recover() }()
			return v.View(ctx, tenant.ID, func(*vault.Tx) error { panic("in a test") })
		}},
	} {
		*h = *newHeard()
		err := tc.do()
		if h.began[tc.kind] != 1 || h.ended[tc.kind] != 1 || h.failed[tc.kind] != tc.failed || len(h.began) != 1 {
			t.Errorf("%s (%v): heard %+v, want one %s", tc.name, err, h, tc.kind)
		}
		if tc.name == "an update" && h.took != 2*time.Second {
			t.Errorf("%s took %v, want 2s", tc.name, h.took)
		}
	}
}

// No transaction of an open vault goes past the observer: one file alone asks its store.
func TestOneFileAloneAsksTheStore(t *testing.T) {
	files, err := filepath.Glob("../*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	direct := regexp.MustCompile(`\bv\.store\.(Update|View|Scrub)\(`)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		found := direct.FindAllString(string(raw), -1)
		switch {
		case filepath.Base(f) == "observe.go" && len(found) != 3:
			t.Errorf("%s asks the store %d times, want 3", f, len(found))
		case filepath.Base(f) != "observe.go" && len(found) > 0:
			t.Errorf("%s has %s: use v.update, v.view and v.scrub", f, strings.Join(found, " and "))
		}
	}
}
