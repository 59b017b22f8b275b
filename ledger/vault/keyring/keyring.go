// Package keyring is the vault's cryptography: keys minted, wrapped and derived, values sealed and
// opened under them, and the ring of those that were used lately.
//
// It owns no row: what it mints is stored in the caller's transaction, and it may lose every key
// that it keeps in memory. It trusts its key-encryption key and the rows; of a token it trusts no
// byte. It knows owners by their ids and no person. The bytes are those of docs/FORMATS.md, §§1 to
// 3 and 5; ../DESIGN.md says why.
package keyring

import (
	"context"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/google/uuid"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/working"
	"github.com/ledgerline/ledgerline/schemas"
)

// The kinds under which keys are wrapped that are no owner's of a class.
const (
	KindLookupKey = "tenant.lookup"
	KindRecordKey = "tenant.record"
	KindStreamKey = "stream.key"
)

// Tx is the keys of one transaction of one tenant. Use it from one goroutine.
type Tx struct {
	ctx    context.Context
	kek    KEK
	clock  func() time.Time
	shared *Shared
	tenant uuid.UUID
	rows   *working.Set
	write  bool
	done   bool
	again  func() error // of an optimistic transaction
	asked  time.Time    // when the store was last asked for its counts

	Own    TenantKeys
	lookup hash.Hash      // HMAC under K_lookup
	text   []byte         // what it was last made of
	local  *ring          // keys this transaction used; joins the shared ones when it has committed
	Scrub  bool           // bytes were destroyed
	near   [kinds][2]byte // what the ids that it mints begin with
}

// Config is what the keys of a transaction need.
type Config struct {
	KEK    KEK
	Clock  func() time.Time
	Shared *Shared
	Tenant uuid.UUID
	Rows   *working.Set
	Write  bool
	// TenantRow reads the tenant's row.
	TenantRow func(tenant uuid.UUID) (store.TenantRow, bool, error)
	// Forgets is the store's count of forgettings, as the transaction sees it.
	Forgets uint64
	// Again asks the store once more whether nothing was forgotten since. An optimistic
	// transaction has one: it holds no lock against an erasure elsewhere.
	Again func() error
}

// Begin returns the keys of a transaction, after those that are too old were dropped.
// ErrNotFound: no such tenant.
func Begin(ctx context.Context, c Config) (*Tx, error) {
	tx := &Tx{ctx: ctx, kek: c.KEK, clock: c.Clock, shared: c.Shared, tenant: c.Tenant, rows: c.Rows,
		write: c.Write, again: c.Again, local: newKeyring(c.Clock(), c.Forgets)}
	for k := range tx.near {
		rand.Read(tx.near[k][:])
	}
	tx.asked = tx.local.begun
	tx.shared.dropStale(c.Forgets)
	var err error
	if tx.Own, err = tx.tenantKeys(c.TenantRow); err != nil {
		return nil, err
	}
	return tx, nil
}

// Kind is what an id is minted for.
type Kind int

// Kinds.
const (
	Person Kind = iota
	Device
	keyOfPerson
	keyOfOther
	kinds
)

// NewID returns a random UUIDv4. Those of one kind and one transaction share their first 16 bits,
// which are drawn for it: so their rows lie together in the store's trees, and a transaction
// writes some pages instead of one a row, however large the store is. That two persons, or two
// devices, were minted together is all that it tells: no time, no order, and nothing of one kind
// about another.
func (tx *Tx) NewID(k Kind) uuid.UUID {
	id := uuid.New()
	copy(id[:], tx.near[k][:])
	return id
}

// End makes the transaction's keys unusable: its function has returned.
func (tx *Tx) End() { tx.done = true }

// Share gives what a committed transaction used to those that follow.
func (tx *Tx) Share() { tx.shared.share(tx.local) }

// Forget drops every cached key, here at once; the store counts this forgetting as forgets.
func (tx *Tx) Forget(forgets uint64) {
	tx.local = newKeyring(tx.clock(), forgets)
	tx.shared.dropStale(forgets)
}

// LookupHash is the hash under which a native value of the tenant is looked up.
func (tx *Tx) LookupHash(kind, normalised string) []byte {
	if tx.lookup == nil {
		tx.lookup = hmac.New(sha256.New, tx.Own.Lookup[:])
	}
	tx.lookup.Reset()
	tx.text = schemas.LP(schemas.LP(tx.text[:0], kind), normalised)
	tx.lookup.Write(tx.text)
	return tx.lookup.Sum(nil)
}

// Writable reports why the transaction cannot write, nil if it can.
func (tx *Tx) Writable() error {
	if tx.done {
		return errTooLong
	}
	if !tx.write {
		return store.ErrReadOnly
	}
	return tx.ctx.Err()
}

// Fresh errs with ErrStaleView where a view is older than keys may be used without asking again:
// it holds no lock against an erasure elsewhere, and its snapshot would go on showing the keys. A
// write transaction excludes every other, so nothing can have been destroyed during it; an
// optimistic one asks again.
func (tx *Tx) Fresh() error {
	if tx.done {
		return errTooLong
	}
	if tx.again != nil {
		now := tx.clock()
		if age := now.Sub(tx.asked); age >= 0 && age < cacheAge {
			return nil
		}
		tx.asked = now
		return tx.again()
	}
	if !tx.write && tx.local.stale(tx.clock()) {
		return ErrStaleView
	}
	return nil
}

func (tx *Tx) tenantKeys(read func(uuid.UUID) (store.TenantRow, bool, error)) (TenantKeys, error) {
	if k, ok := cached(tx, func(r *ring) map[uuid.UUID]TenantKeys { return r.tenants }, tx.tenant); ok {
		return k, nil
	}
	row, ok, err := read(tx.tenant)
	if err != nil {
		return TenantKeys{}, err
	}
	if !ok {
		return TenantKeys{}, fmt.Errorf("tenant %s: %w", tx.tenant, store.ErrNotFound)
	}
	var k TenantKeys
	if k.Lookup, err = UnwrapKey(tx.ctx, tx.kek, row.ID, row.ID, KindLookupKey, row.Lookup); err != nil {
		return TenantKeys{}, err
	}
	if k.Record, err = UnwrapKey(tx.ctx, tx.kek, row.ID, row.ID, KindRecordKey, row.Record); err != nil {
		return TenantKeys{}, err
	}
	tx.local.tenants[tx.tenant] = k
	return k, nil
}

// Living returns the generation of the owner's present keys, ErrErased
// where its erasure has begun.
func (tx *Tx) Living(o schemas.Owner) (generation int, err error) {
	if o.Kind == schemas.OwnerTenant {
		return 0, nil
	}
	row, err := tx.rows.Owner(o)
	switch {
	case err != nil:
		return 0, err
	case row == nil:
		return 0, fmt.Errorf("%s %s: %w", o.Kind, o.ID, store.ErrNotFound)
	}
	if err := tx.Alive(row); err != nil {
		return 0, err
	}
	return row.Generation, nil
}

// TenantOwner is the one spelling of the tenant as an owner.
func TenantOwner(o schemas.Owner) schemas.Owner {
	if o.Kind == schemas.OwnerTenant {
		o.ID = uuid.Nil
	}
	return o
}

// subjectKey returns the owner's key of the class, minting it where there is none.
func (tx *Tx) subjectKey(o schemas.Owner, generation int, class string) (subjectKey, error) {
	ref := subjectRef{tx.tenant, o, generation, class}
	if k, ok := cached(tx, func(r *ring) map[subjectRef]subjectKey { return r.subject }, ref); ok {
		return k, nil
	}
	row, ok, err := tx.rows.SubjectKey(o, generation, class)
	if err != nil {
		return subjectKey{}, err
	}
	k := subjectKey{id: row.ID}
	if ok && row.State != store.KeyLive {
		return subjectKey{}, ErrErased
	}
	if ok {
		k.secret, err = tx.unwrapOwnedKey(o, row.ID, class, row.Key)
	} else {
		k, err = tx.MintSubjectKey(o, generation, class)
	}
	if err != nil {
		return subjectKey{}, err
	}
	tx.local.subject[ref] = k
	return k, nil
}

// MintSubjectKey mints the owner's key of the class and stores it.
func (tx *Tx) MintSubjectKey(o schemas.Owner, generation int, class string) (subjectKey, error) {
	if err := tx.Writable(); err != nil {
		return subjectKey{}, err
	}
	kind := keyOfOther
	if o.Kind == schemas.OwnerPerson {
		kind = keyOfPerson
	}
	k := subjectKey{id: tx.NewID(kind)}
	var w store.Wrapped
	var err error
	if k.secret, err = newKey(); err != nil {
		return subjectKey{}, err
	}
	if w, err = tx.WrapOwned(o, k.id, class, k.secret[:]); err != nil {
		return subjectKey{}, err
	}
	return k, tx.rows.PutSubjectKey(store.SubjectKeyRow{ID: k.id, Owner: o, Generation: generation, Class: class,
		Key: w, State: store.KeyLive})
}

// periodKey returns the tenant's key of class and month. Where there is none it mints one, if
// mint is set, and else errs with ErrTampered: no token can have been sealed under a key that
// never was. ErrExpired: destroyed.
func (tx *Tx) periodKey(class, month string, mint bool) (Key, error) {
	ref := periodRef{tx.tenant, class, month}
	if k, ok := cached(tx, func(r *ring) map[periodRef]Key { return r.period }, ref); ok {
		return k, nil
	}
	row, err := tx.rows.PeriodKey(class, month)
	if err != nil {
		return Key{}, err
	}
	var k Key
	switch {
	case row != nil && row.Destroyed:
		return Key{}, ErrExpired
	case row != nil:
		k, err = tx.unwrapKeyUnder(func() (cipher.AEAD, error) {
			return tx.ownerKey(schemas.Owner{Kind: store.OwnerPeriod, ID: row.ID}, row.Slot)
		}, row.ID, class, row.Key)
		if errors.Is(err, ErrErased) { // a crash came between the destruction of the slot and that of the row
			err = ErrExpired
		}
	case !mint:
		return Key{}, ErrTampered
	default:
		if err := tx.Writable(); err != nil {
			return Key{}, err
		}
		k, err = tx.mintPeriodKey(store.PeriodKeyRow{ID: uuid.New(), Class: class, Month: month})
	}
	if err != nil {
		return Key{}, err
	}
	tx.local.period[ref] = k
	return k, nil
}

func (tx *Tx) mintPeriodKey(row store.PeriodKeyRow) (k Key, err error) {
	var a cipher.AEAD
	if row.Slot, a, err = tx.NewOwnerKey(schemas.Owner{Kind: store.OwnerPeriod, ID: row.ID}); err != nil {
		return Key{}, err
	}
	if k, err = newKey(); err != nil {
		return Key{}, err
	}
	row.Key = WrapUnder(a, tx.tenant, row.ID, row.Class, k[:])
	return k, tx.rows.PutPeriodKey(row)
}

// Derive returns D and the alias of a living owner for class and month; the alias's index row is
// in this transaction or an earlier one.
func (tx *Tx) Derive(o schemas.Owner, class, month string) (Derived, error) {
	generation, err := tx.Living(o)
	if err != nil {
		return Derived{}, err
	}
	ks, err := tx.subjectKey(o, generation, class)
	if err != nil {
		return Derived{}, err
	}
	ref := derivedRef{ks.id, class, month}
	if d, ok := cached(tx, func(r *ring) map[derivedRef]Derived { return r.derived }, ref); ok {
		return d, nil
	}
	kp, err := tx.periodKey(class, month, true)
	if err != nil {
		return Derived{}, err
	}
	d := Derived{Owner: o, Class: class, Month: month}
	if d.data, err = dataKey(ks.secret, kp); err != nil {
		return Derived{}, err
	}
	if d.Alias, err = aliasOf(d.data, tx.tenant, class, month); err != nil {
		return Derived{}, err
	}
	if err := tx.index(store.AliasRow{ID: d.Alias, SubjectKey: ks.id, Class: class, Month: month,
		State: store.AliasLive}); err != nil {
		return Derived{}, err
	}
	tx.local.derived[ref] = d
	tx.local.byAlias[aliasRef{tx.tenant, d.Alias}] = d
	return d, nil
}

// index adds an alias's row, where it is not there yet; a view looks whether it is.
func (tx *Tx) index(row store.AliasRow) error {
	if err := tx.Writable(); err == nil {
		return tx.rows.AddAlias(row)
	} else if !errors.Is(err, store.ErrReadOnly) {
		return err
	}
	have, err := tx.rows.Alias(row.ID)
	switch {
	case err != nil:
		return err
	case have == nil:
		return store.ErrReadOnly
	case have.SubjectKey != row.SubjectKey:
		return fmt.Errorf("alias %s is indexed under another key", row.ID)
	}
	return nil
}

// Rederive computes D of a live alias anew.
func (tx *Tx) Rederive(row store.AliasRow) (Derived, error) {
	ks, err := tx.rows.SubjectKeyByID(row.SubjectKey)
	if err != nil {
		return Derived{}, err
	}
	if ks == nil {
		return Derived{}, fmt.Errorf("alias %s: its subject key is missing from the store", row.ID)
	}
	if ks.State != store.KeyLive {
		return Derived{}, ErrErased
	}
	secret, err := tx.unwrapOwnedKey(ks.Owner, ks.ID, ks.Class, ks.Key)
	if err != nil {
		return Derived{}, err
	}
	kp, err := tx.periodKey(row.Class, row.Month, false)
	if err != nil {
		return Derived{}, err
	}
	d := Derived{Owner: ks.Owner, Class: row.Class, Month: row.Month}
	if d.data, err = dataKey(secret, kp); err != nil {
		return Derived{}, err
	}
	if d.Alias, err = aliasOf(d.data, tx.tenant, row.Class, row.Month); err != nil {
		return Derived{}, err
	}
	if d.Alias != row.ID {
		return Derived{}, ErrTampered
	}
	tx.local.derived[derivedRef{ks.ID, row.Class, row.Month}] = d
	tx.local.byAlias[aliasRef{tx.tenant, d.Alias}] = d
	return d, nil
}

// CachedOf returns D for an alias, where it is cached.
func (tx *Tx) CachedOf(alias uuid.UUID) (Derived, bool) {
	return cached(tx, func(r *ring) map[aliasRef]Derived { return r.byAlias }, aliasRef{tx.tenant, alias})
}

// StreamKey returns the random key of a stream's list elements, minting it where there is none.
func (tx *Tx) StreamKey(stream schemas.Stream) (Key, error) {
	ref := streamRef{tx.tenant, stream.UUID()}
	if k, ok := cached(tx, func(r *ring) map[streamRef]Key { return r.streams }, ref); ok {
		return k, nil
	}
	k, err := tx.storedStreamKey(stream)
	if err != nil {
		return Key{}, err
	}
	tx.local.streams[ref] = k
	return k, nil
}

func (tx *Tx) storedStreamKey(stream schemas.Stream) (Key, error) {
	id := stream.UUID()
	stored, err := tx.rows.StreamKey(id)
	if err != nil {
		return Key{}, err
	}
	own, device := schemas.Owner{Kind: store.OwnerStream, ID: id}, schemas.Owner{Kind: schemas.OwnerDevice, ID: id}
	if stored != nil {
		return tx.unwrapKeyUnder(func() (cipher.AEAD, error) {
			if stored.Slot > 0 {
				return tx.ownerKey(own, stored.Slot)
			}
			return tx.keyOf(device)
		}, id, KindStreamKey, stored.Key)
	}
	if err := tx.Writable(); err != nil {
		return Key{}, err
	}
	row := store.StreamKeyRow{Stream: id}
	var a cipher.AEAD
	var entity *store.OwnerRow
	if stream.Kind() == "device" {
		if entity, err = tx.rows.Owner(device); err != nil {
			return Key{}, err
		}
	}
	if entity != nil { // ErrErased for an erased device: a key minted now would outlive it
		a, err = tx.keyOf(device)
	} else {
		row.Slot, a, err = tx.NewOwnerKey(own)
	}
	if err != nil {
		return Key{}, err
	}
	k, err := newKey()
	if err != nil {
		return Key{}, err
	}
	row.Key = WrapUnder(a, tx.tenant, id, KindStreamKey, k[:])
	return k, tx.rows.PutStreamKey(row)
}
