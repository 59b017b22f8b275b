// Package register is what a vault keeps outside of tenants' transactions: which ledger it belongs
// to, which tenants are declared, and who may sign in.
//
// Each call is a transaction of its own on the vault's store, and what it did is durable when it
// returns. It knows no person and no device, and holds no subject's key; it trusts its store, and
// the vault that makes it.
package register

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

// Errors by which callers branch.
var (
	ErrExists      = errors.New("exists already")
	ErrNotFound    = store.ErrNotFound
	ErrOtherLedger = errors.New("the vault belongs to another ledger")
)

// Names of the settings, and kinds under which secrets are wrapped.
const (
	settingLedger   = "ledger-id"
	settingAnchor   = "ledger-anchor"
	settingOrders   = "orders-after" // the anchor noted last while no erasure was pending
	settingLost     = "lost"         // what AcceptLoss declared
	settingAccounts = "accounts"     // epoch[4] ‖ wrapped list of those who may sign in
	kindAccounts    = "vault.accounts"
	kindProfile     = "tenant.profile"
	kindTenantName  = "tenant.name"
)

// Config is the vault's own: its id, its keys, and its ways to the store. All of it is needed.
type Config struct {
	ID     uuid.UUID
	KEK    keyring.KEK
	Global *keyring.Key // tenants' names are hashed by it; the vault's, which drops it
	Clock  func() time.Time
	Update func(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error
	View   func(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error
}

// Register is safe for concurrent use.
type Register struct{ c Config }

// New returns the register of a vault.
func New(c Config) *Register { return &Register{c} }
