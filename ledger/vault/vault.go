// Package vault is the one mutable place of the ledger, and so the only one that can forget:
// it knows which person, device or tenant stands behind an id, holds the keys their data is
// sealed under, and destroys them.
//
// It may lose nothing that it acknowledged: what an Update did is durable when Update returns.
// Losing the vault loses the ability to read protected data, so it is backed up on its own,
// without its key-encryption key. It trusts its process, its KEK and its store, but not the
// tokens it is asked to open: every byte of them is authenticated, and the tenant is always
// the session's. The bytes are those of docs/FORMATS.md, §§1, 2, 4 and 5; the guarantees and
// trade-offs are in this folder's DESIGN.md.
package vault

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/tenant"
	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/register"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/taken"
	"github.com/ledgerline/ledgerline/ledger/vault/working"
	"github.com/ledgerline/ledgerline/schemas"
)

// Errors by which callers branch.
var (
	ErrNotFound  = store.ErrNotFound
	ErrReadOnly  = store.ErrReadOnly
	ErrErased    = keyring.ErrErased    // the owner's key was destroyed, or its erasure has begun
	ErrExpired   = keyring.ErrExpired   // the period's key was destroyed
	ErrTampered  = keyring.ErrTampered  // not sealed by this vault for this tenant, attribute and event
	ErrStaleView = keyring.ErrStaleView // begin another view
	ErrLost      = keyring.ErrLost      // the vault was declared to have lost keys, and knows no such alias
	ErrKEK       = keyring.ErrKEK       // see OpenFileKEK

	ErrExists      = register.ErrExists
	ErrOtherLedger = register.ErrOtherLedger

	// ErrErasedSubject: the record is not newer than the erasure of the one it names.
	ErrErasedSubject = errors.New("erased-subject")

	ErrErasing       = errors.New("erasure under way")        // begun, and neither done nor taken back
	ErrHeld          = errors.New("held")                     // a hold forbids it
	ErrUninitialised = errors.New("the store holds no vault") // Create has not been run on it
)

// What a tenant is declared as stands in its own package, what a vault has lost in its register.
type (
	Tenant    = tenant.Tenant
	NewTenant = tenant.New
	Loss      = register.Loss
)

// KEK is the key-encryption key, and FileKEK one in a file.
type (
	KEK     = keyring.KEK
	FileKEK = keyring.FileKEK
)

// CreateFileKEK writes a new key to path and returns it; see package keyring.
func CreateFileKEK(path, vaultPath string) (*FileKEK, error) {
	return keyring.CreateFileKEK(path, vaultPath)
}

// OpenFileKEK reads the key from path; see package keyring.
func OpenFileKEK(path string) (*FileKEK, error) { return keyring.OpenFileKEK(path) }

// Config is what a vault needs. Clock defaults to time.Now, Logger to one that
// discards, Observer to nobody.
type Config struct {
	Store    store.Store
	KEK      KEK
	Clock    func() time.Time
	Logger   *slog.Logger
	Observer Observer
}

// Validate joins all that is missing.
func (c Config) Validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("vault: Store is missing"))
	}
	if c.KEK == nil {
		errs = append(errs, errors.New("vault: KEK is missing"))
	}
	return errors.Join(errs...)
}

// Names of the settings.
const (
	settingID      = "vault-id"
	settingLookup  = "lookup-key"   // epoch[4] ‖ wrapped global K_lookup, for tenants' names
	settingRecord  = "record-key"   // epoch[4] ‖ wrapped K_record of the vault's own, for the zero tenant
	settingForgets = "forgets"      // counts what may invalidate a cached key
	kindGlobalKey  = "vault.lookup" // kind under which the global key is wrapped
	classIdentity  = "identity"     // class of the key that stands for an owner's mapping; it seals nothing
	kindObjectID   = "person.object-id"
	kindUPN        = "person.upn"
	kindEmail      = "person.email"
	// The service's own id of a user. Nothing says that it is the directory's.
	kindIntuneUserID = "person.intune-user-id"
	kindIntuneID     = "device.intune-id"
	kindDirectoryID  = "device.directory-id"
)

// Vault gives tenants transactions on what only it knows. It is safe for concurrent use, by
// several processes on one store too.
type Vault struct {
	*register.Register // its ledger, its tenants, its accounts

	store store.Store
	kek   KEK
	clock func() time.Time
	log   *slog.Logger

	observer Observer

	id     uuid.UUID
	global keyring.Key // for tenants' names

	shared *keyring.Shared // keys that committed transactions have used
	rows   *working.Shared // rows that they have read

	turns working.Turns // of optimistic transactions

	originMu sync.Mutex
	origins  map[uuid.UUID]schemas.OriginKey // guarded by originMu: one a tenant, never forgotten
}

// Create initialises the vault in an empty store and opens it. It errs with
// ErrExists where one is already.
func Create(ctx context.Context, c Config) (*Vault, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	err := c.Store.Update(ctx, uuid.Nil, func(rows store.Rows) error {
		if _, ok, err := store.Setting(rows, settingID); err != nil || ok {
			return errors.Join(err, ErrExists)
		}
		id := uuid.New()
		_, w, err := keyring.Mint(ctx, c.KEK, uuid.Nil, id, kindGlobalKey)
		if err != nil {
			return err
		}
		if err := rows.PutSetting(settingID, id[:]); err != nil {
			return err
		}
		if err := rows.PutSetting(settingForgets, make([]byte, 8)); err != nil {
			return err
		}
		if err := rows.PutSetting(settingLookup, append(binary.BigEndian.AppendUint32(nil, w.Epoch),
			w.Bytes...)); err != nil {
			return err
		}
		return mintRecordKey(ctx, c.KEK, rows, id)
	})
	if err != nil {
		return nil, fmt.Errorf("create vault: %w", err)
	}
	return Open(ctx, c)
}

// Open opens the vault in the store. It errs with ErrUninitialised where there is none and with
// ErrKEK where the key-encryption key is not the vault's.
func Open(ctx context.Context, c Config) (*Vault, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	v := &Vault{store: c.Store, kek: c.KEK, clock: c.Clock, log: c.Logger, observer: c.Observer}
	if v.observer == nil {
		v.observer = unobserved{}
	}
	if v.clock == nil {
		v.clock = time.Now
	}
	v.shared, v.rows = keyring.NewShared(v.clock), working.NewShared(v.clock)
	if v.log == nil {
		v.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	err := c.Store.View(ctx, uuid.Nil, func(rows store.Rows) error {
		set, err := rows.Settings(settingID, settingLookup)
		if err != nil {
			return err
		}
		id, w := set[settingID], set[settingLookup]
		if len(id) != 16 || len(w) < 4 {
			return ErrUninitialised
		}
		v.id = uuid.UUID(id)
		v.global, err = keyring.UnwrapKey(ctx, v.kek, uuid.Nil, v.id, kindGlobalKey,
			store.Wrapped{Epoch: binary.BigEndian.Uint32(w), Bytes: w[4:]})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v.Register = register.New(register.Config{ID: v.id, KEK: v.kek, Global: &v.global, Clock: v.clock,
		Update: v.update, View: v.view})
	if err := v.rewrap(ctx); err != nil {
		return nil, fmt.Errorf("open vault: rewrap what an older version wrote: %w", err)
	}
	return v, nil
}

// ID returns the vault's own random id, the same after every Open.
func (v *Vault) ID() uuid.UUID { return v.id }

// Close drops the cached keys and closes the store.
func (v *Vault) Close() error {
	v.shared.Drop()
	v.rows.Drop()
	v.global = keyring.Key{}
	v.originMu.Lock()
	v.origins = nil
	v.originMu.Unlock()
	if err := v.store.Close(); err != nil {
		return fmt.Errorf("close vault: %w", err)
	}
	return nil
}

// Tx is one transaction of one tenant. Use it only inside the function it was
// given to, from one goroutine at a time.
type Tx struct {
	v          *Vault
	ctx        context.Context
	tenant     uuid.UUID
	optimistic bool
	rows       store.Rows   // for what is not the tenant's rows; nil in an optimistic transaction
	set        *working.Set // the tenant's rows
	keys       *keyring.Tx
	hashes     hashes

	forgets uint64 // the store's count of forgettings
	changes []byte // its count of the tenant's changes, as it is stored
	forgot  bool   // cached keys may have become invalid
	known   *taken.Tx
}

// Update runs do in one write transaction for the tenant. When it returns nil, everything do did
// is durable; when it returns an error, do's own included, nothing of it happened (an error of
// the commit itself, or of scrubbing after a Destroy, leaves that open: doing the same again is
// safe). ErrNotFound: no such tenant.
func (v *Vault) Update(ctx context.Context, tenant uuid.UUID, do func(*Tx) error) error {
	tx := &Tx{v: v, ctx: ctx, tenant: tenant}
	err := v.update(ctx, tenant, func(rows store.Rows) error {
		return tx.run(rows, true, do)
	})
	if err != nil {
		return fmt.Errorf("vault update: %w", err)
	}
	if tx.forgot {
		v.shared.Drop()
		v.rows.Drop()
	} else {
		tx.share()
	}
	if tx.keys.Scrub {
		if err := v.scrub(ctx); err != nil {
			return fmt.Errorf("vault update: destroyed, but not yet scrubbed from the files: %w", err)
		}
	}
	return nil
}

// View runs do on one snapshot of the tenant's data. Whatever would mint or change something errs
// with ErrReadOnly. ErrNotFound: no such tenant.
func (v *Vault) View(ctx context.Context, tenant uuid.UUID, do func(*Tx) error) error {
	tx := &Tx{v: v, ctx: ctx, tenant: tenant}
	err := v.view(ctx, tenant, func(rows store.Rows) error {
		return tx.run(rows, false, do)
	})
	if err != nil {
		return fmt.Errorf("vault view: %w", err)
	}
	tx.share()
	return nil
}

// share gives what the transaction read to those that follow.
func (tx *Tx) share() {
	tx.keys.Share()
	tx.set.Share()
}

func (tx *Tx) run(rows store.Rows, write bool, do func(*Tx) error) error {
	if err := tx.begin(rows, write); err != nil {
		return err
	}
	defer tx.keys.End()
	if err := do(tx); err != nil {
		return err
	}
	return errors.Join(tx.set.Flush(), tx.flushKnown(rows))
}

// Known is the transaction on which records were taken.
func (tx *Tx) Known() *taken.Tx { return tx.known }

// flushKnown puts what the transaction adds to which records were taken.
func (tx *Tx) flushKnown(rows store.Rows) error {
	if tx.known.Clean() {
		return nil
	}
	said, _, err := store.Setting(rows, store.Known(tx.tenant))
	if err != nil {
		return err
	}
	return tx.known.Flush(rows, said)
}

// Tenant returns the id of the transaction's tenant.
func (tx *Tx) Tenant() uuid.UUID { return tx.tenant }

// forget makes every process drop its cached keys at its next transaction, and this one at once.
func (tx *Tx) forget() error {
	tx.forgot = true
	tx.forgets++
	tx.keys.Forget(tx.forgets)
	return errors.Join(tx.known.Forget(),
		tx.rows.PutSetting(settingForgets, binary.BigEndian.AppendUint64(nil, tx.forgets)))
}
