package office

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// cheap is a digest's cost in tests.
var cheap = accounts.Cost{Passes: 1, MemoryKB: 8, Lanes: 1}

// root may do everything.
var root = access.Principal{Login: "root@contoso.example",
	Roles: []access.Role{access.TenantAdmin, access.Officer, access.Operator}, All: true}

// building is an office on a ledger in memory, with two tenants.
type building struct {
	*Office
	store   *ledgertest.Memory
	tenants [2]vault.Tenant
	views   *views
	topics  *topics
}

func newBuilding(t testing.TB) *building {
	t.Helper()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	st, err := sqlite.Create(ctx, filepath.Join(t.TempDir(), "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Create(ctx, vault.Config{Store: st, KEK: vaulttest.KEK(t), Clock: time.Now, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	b := &building{store: ledgertest.NewMemory(), topics: &topics{}}
	l, err := ledger.Create(ctx, ledger.Config{Store: b.store, Origin: v.OriginKey, Logger: log, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c, err := custody.New(custody.Config{Ledger: l, Vault: v, Logger: log, Clock: time.Now, Settle: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	list, err := accounts.New(accounts.Config{Store: v, Clock: time.Now, Cost: cheap})
	if err != nil {
		t.Fatal(err)
	}
	b.Office, err = New(Config{Vault: v, Accounts: list, Ledger: l, Custody: c, Clock: time.Now, Logger: log,
		Views:  func(context.Context) (Views, error) { return b.views, nil },
		Topics: func(context.Context) (Topics, error) { return b.topics, nil }})
	if err != nil {
		t.Fatal(err)
	}
	b.views = &views{store: b.store, devices: map[uuid.UUID][]projections.Device{}}
	for i, name := range []string{"Contoso", "Fabrikam"} {
		if b.tenants[i], err = b.AddTenant(ctx, root, vault.NewTenant{Name: name, AnySource: true}); err != nil {
			t.Fatal(err)
		}
		b.views.devices[b.tenants[i].ID] = []projections.Device{{Stream: schemas.NewStream("device", uuid.New())}}
	}
	return b
}

// views have reached the ledger's end and know devices of several tenants.
type views struct {
	Views   // a method that is not here is not expected to be called
	store   *ledgertest.Memory
	devices map[uuid.UUID][]projections.Device
}

func (v *views) Through(context.Context) (uint64, bool, error) {
	return uint64(len(v.store.Events()) - 1), true, nil
}

func (v *views) SeqOf(_ context.Context, _, event uuid.UUID) (uint64, bool, error) {
	for i, r := range v.store.Events() {
		if r.ID == event {
			return uint64(i), true, nil
		}
	}
	return 0, false, nil
}

func (*views) WaitThrough(context.Context, uint64) error { return nil }

func (v *views) Devices(
	_ context.Context, tenant uuid.UUID, _ projections.AsOf, _ ...string,
) iter.Seq2[projections.Device, error] {
	return func(yield func(projections.Device, error) bool) {
		for _, d := range v.devices[tenant] {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// topics hold what a test puts into their partitions; all of it is noted.
type topics struct {
	partitions map[string][]schemas.Envelope
	through    uint64
}

func (t *topics) Partitions(context.Context) (names []string, err error) {
	for name := range t.partitions {
		names = append(names, name)
	}
	return names, nil
}

func (t *topics) Bounds(_ context.Context, name string) (first, end int64, err error) {
	return 0, int64(len(t.partitions[name])), nil
}

func (t *topics) Read(ctx context.Context, name string, from int64) iter.Seq2[projections.Item, error] {
	return func(yield func(projections.Item, error) bool) {
		for i, r := range t.partitions[name] {
			if int64(i) >= from && !yield(projections.Item{Envelope: r, Offset: int64(i)}, nil) {
				return
			}
		}
		<-ctx.Done()
	}
}

func (t *topics) LastNoted(context.Context) (*projections.Noted, error) {
	n := &projections.Noted{Through: t.through, Ends: map[string]int64{}}
	for name, events := range t.partitions {
		n.Ends[name] = int64(len(events))
	}
	return n, nil
}

func (t *topics) Noted(ctx context.Context, _ *projections.Noted) (*projections.Noted, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an office without anything was opened")
	}
	none := &Office{}
	if _, err := none.AddTenant(t.Context(), root, vault.NewTenant{}); !errors.Is(err, errNoLedger) {
		t.Errorf("without a ledger: %v", err)
	}
	if _, err := none.Tenants(t.Context(), root); !errors.Is(err, errNoVault) {
		t.Errorf("without a vault: %v", err)
	}
}

// A tenant of another is as if there were none, in what is found and in what is said.
func TestOnlyOnesOwnTenantsAreNamed(t *testing.T) {
	b := newBuilding(t)
	mine := access.Principal{Login: "x", Roles: []access.Role{access.Viewer}, Tenants: []uuid.UUID{b.tenants[0].ID}}
	if got, err := b.Tenants(t.Context(), mine); err != nil || len(got) != 1 || got[0].ID != b.tenants[0].ID {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := b.Tenant(t.Context(), mine, ""); err != nil || got.ID != b.tenants[0].ID {
		t.Errorf("the only one: %v, %v", got, err)
	}
	_, err := b.Tenant(t.Context(), mine, "fabrikam")
	var p *Problem
	if !errors.As(err, &p) || p.Code != ErrUnknown || len(p.Known) != 1 || p.Known[0] != "Contoso" {
		t.Errorf("another's: %v, %v", err, p)
	}
	if _, err := b.Tenant(t.Context(), root, ""); !errors.Is(err, ErrMissing) {
		t.Errorf("one of two: %v", err)
	}
	mine.Tenants = []uuid.UUID{uuid.New()}
	var d *access.Denied
	if _, err := b.Tenants(t.Context(), mine); !errors.As(err, &d) || d.Code != access.NotTheirs {
		t.Errorf("of none: %v", err)
	}
}
