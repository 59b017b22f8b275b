package storetest

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// Counted is a store that counts the trips which a store over a network would make: each call of
// its rows is one, but for what store.Rows says is none.
type Counted struct {
	store.Store

	mu  sync.Mutex
	txs []Trips // guarded by mu: of tenants' transactions that ended
}

// Trips are those of one transaction.
type Trips struct {
	Write         bool
	All           int
	Fetches, Puts int // of all
}

// Count returns a counting store on another.
func Count(s store.Store) *Counted { return &Counted{Store: s} }

// Taken returns the trips of each tenant's transaction since it was last asked.
func (c *Counted) Taken() []Trips {
	c.mu.Lock()
	defer c.mu.Unlock()
	txs := c.txs
	c.txs = nil
	return txs
}

// Update implements store.Store.
func (c *Counted) Update(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error {
	return c.counted(tenant, Trips{Write: true}, do, func(do func(store.Rows) error) error {
		return c.Store.Update(ctx, tenant, do)
	})
}

// View implements store.Store.
func (c *Counted) View(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error {
	return c.counted(tenant, Trips{}, do, func(do func(store.Rows) error) error {
		return c.Store.View(ctx, tenant, do)
	})
}

func (c *Counted) counted(tenant uuid.UUID, t Trips, do func(store.Rows) error,
	run func(func(store.Rows) error) error) error {
	err := run(func(r store.Rows) error { return do(&countedRows{Rows: r, trips: &t}) })
	if tenant != uuid.Nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.txs = append(c.txs, t)
	}
	return err
}

type countedRows struct {
	store.Rows
	trips *Trips
	slot  bool
}

func (r *countedRows) trip() { r.trips.All++ }

func (r *countedRows) Fetch(k store.Keys) (store.Batch, error) {
	r.trip()
	r.trips.Fetches++
	return r.Rows.Fetch(k)
}

func (r *countedRows) Put(b store.Batch) error {
	r.trip()
	r.trips.Puts++
	return r.Rows.Put(b)
}

func (r *countedRows) Settings(names ...string) (map[string][]byte, error) {
	r.trip()
	return r.Rows.Settings(names...)
}

func (r *countedRows) PutSetting(name string, value []byte) error {
	r.trip()
	return r.Rows.PutSetting(name, value)
}

func (r *countedRows) Tenant(id uuid.UUID) (store.TenantRow, bool, error) {
	r.trip()
	return r.Rows.Tenant(id)
}

func (r *countedRows) NewSlot() (store.Slot, error) {
	if !r.slot {
		r.slot = true
		r.trip()
	}
	return r.Rows.NewSlot()
}

func (r *countedRows) Slot(n store.Slot) (store.Wrapped, error) {
	r.trip()
	return r.Rows.Slot(n)
}

func (r *countedRows) DestroySlot(n store.Slot) error {
	r.trip()
	return r.Rows.DestroySlot(n)
}

func (r *countedRows) RetireSlot(n store.Slot) error {
	r.trip()
	return r.Rows.RetireSlot(n)
}

func (r *countedRows) DeleteMappings(hashes [][]byte) error {
	r.trip()
	return r.Rows.DeleteMappings(hashes)
}

func (r *countedRows) DestroySubjectKey(id uuid.UUID) error {
	r.trip()
	return r.Rows.DestroySubjectKey(id)
}

func (r *countedRows) DeleteIdentities(o schemas.Owner) error {
	r.trip()
	return r.Rows.DeleteIdentities(o)
}

func (r *countedRows) KnownPages(firsts [][]byte) ([]store.KnownPage, error) {
	r.trip()
	return r.Rows.KnownPages(firsts)
}

func (r *countedRows) KnownUnsettled(after uint64) ([]store.KnownUnsettled, error) {
	r.trip()
	return r.Rows.KnownUnsettled(after)
}

func (r *countedRows) PutKnown(b store.KnownBatch) error {
	r.trip()
	return r.Rows.PutKnown(b)
}

func (r *countedRows) ExpireKnown(before int64, atMost int) error {
	r.trip()
	return r.Rows.ExpireKnown(before, atMost)
}

func (r *countedRows) DeleteKnown() error {
	r.trip()
	return r.Rows.DeleteKnown()
}
