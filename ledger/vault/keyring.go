package vault

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// cacheAge is how long an unwrapped or derived key may be used without asking the store again
// (DESIGN §4). In transactions it is shorter still: each reads the store's count of forgettings
// first and drops what is older.
const cacheAge = 30 * time.Second

// maxCached bounds the shared keyring; past it the ring is dropped and begun anew.
const maxCached = 200_000

// keyring holds unwrapped and derived keys. It is dropped as a whole cacheAge after it was begun,
// so no key in it is older than that.
type keyring struct {
	begun   time.Time
	forgets uint64 // the store's count when the ring was begun

	tenants map[uuid.UUID]tenantKeys
	owners  map[ownerRef]cipher.AEAD
	subject map[subjectRef]subjectKey
	period  map[periodRef]key
	derived map[derivedRef]derived
	byAlias map[aliasRef]derived
	streams map[streamRef]key
}

type tenantKeys struct{ lookup, record key }

type subjectRef struct {
	tenant     uuid.UUID
	owner      schemas.Owner
	generation int
	class      string
}

type subjectKey struct {
	id     uuid.UUID
	secret key
}

type periodRef struct {
	tenant       uuid.UUID
	class, month string
}

type derivedRef struct {
	subject      uuid.UUID
	class, month string
}

type aliasRef struct{ tenant, alias uuid.UUID }

type streamRef struct{ tenant, stream uuid.UUID }

// derived is D with what was derived from it and whose it is. Its index row is in the store.
type derived struct {
	data         key
	alias        uuid.UUID
	owner        schemas.Owner
	class, month string
}

type sealerRef struct{ alias, event uuid.UUID }

func newKeyring(begun time.Time, forgets uint64) *keyring {
	return &keyring{begun: begun, forgets: forgets,
		tenants: map[uuid.UUID]tenantKeys{}, owners: map[ownerRef]cipher.AEAD{}, subject: map[subjectRef]subjectKey{},
		period:  map[periodRef]key{},
		derived: map[derivedRef]derived{}, byAlias: map[aliasRef]derived{}, streams: map[streamRef]key{}}
}

func (r *keyring) stale(now time.Time) bool {
	age := now.Sub(r.begun)
	return age < 0 || age >= cacheAge
}

// dropStale drops the shared ring where it is too old or the store has forgotten something since.
func (v *Vault) dropStale(forgets uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.shared != nil && (v.shared.forgets != forgets || v.shared.stale(v.clock())) {
		v.shared = nil
	}
}

// share adds what a finished transaction used. A ring begun at another count of forgettings than
// the shared one is left out: which of the two is current, the next transaction will tell.
func (v *Vault) share(local *keyring) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.clock()
	if local.stale(now) {
		return
	}
	s := v.shared
	if s == nil || s.stale(now) || len(s.derived)+len(s.subject)+len(s.streams)+len(s.owners) > maxCached {
		v.shared = local
		return
	}
	if s.forgets != local.forgets {
		return
	}
	merge(s.tenants, local.tenants)
	merge(s.owners, local.owners)
	merge(s.subject, local.subject)
	merge(s.period, local.period)
	merge(s.derived, local.derived)
	merge(s.byAlias, local.byAlias)
	merge(s.streams, local.streams)
	// A key that the local ring read before the shared one was begun makes
	// the shared one as old as itself.
	if local.begun.Before(s.begun) {
		s.begun = local.begun
	}
}

func merge[K comparable, V any](dst, src map[K]V) {
	for k, v := range src {
		dst[k] = v
	}
}

// cached finds a key in this transaction's ring or in the shared one, of the
// same count of forgettings.
func cached[K comparable, V any](tx *Tx, of func(*keyring) map[K]V, k K) (V, bool) {
	if v, ok := of(tx.local)[k]; ok {
		return v, true // fresh: see Tx.fresh
	}
	tx.v.mu.Lock()
	defer tx.v.mu.Unlock()
	var none V
	s := tx.v.shared
	if s == nil || s.forgets != tx.local.forgets || s.stale(tx.v.clock()) {
		return none, false
	}
	v, ok := of(s)[k]
	return v, ok
}

// fresh errs with ErrStaleView where a view is older than keys may be used without asking again: it
// holds no lock against an erasure elsewhere, and its snapshot would go on showing the keys. A
// write transaction excludes every other, so nothing can have been destroyed during it.
func (tx *Tx) fresh() error {
	if tx.done {
		return errTooLong
	}
	if !tx.write && tx.local.stale(tx.v.clock()) {
		return ErrStaleView
	}
	return nil
}

func (tx *Tx) tenantKeys() (tenantKeys, error) {
	if k, ok := cached(tx, func(r *keyring) map[uuid.UUID]tenantKeys { return r.tenants }, tx.tenant); ok {
		return k, nil
	}
	row, ok, err := tx.rows.Tenant(tx.tenant)
	if err != nil {
		return tenantKeys{}, err
	}
	if !ok {
		return tenantKeys{}, fmt.Errorf("tenant %s: %w", tx.tenant, ErrNotFound)
	}
	var k tenantKeys
	if k.lookup, err = unwrapKey(tx.ctx, tx.v.kek, row.ID, row.ID, kindLookupKey, row.Lookup); err != nil {
		return tenantKeys{}, err
	}
	if k.record, err = unwrapKey(tx.ctx, tx.v.kek, row.ID, row.ID, kindRecordKey, row.Record); err != nil {
		return tenantKeys{}, err
	}
	tx.local.tenants[tx.tenant] = k
	return k, nil
}

// owner returns the owner's row, or nil where there is none. The row is this
// transaction's own copy.
func (tx *Tx) owner(o schemas.Owner) (*OwnerRow, error) {
	if row, ok := tx.owners[o]; ok {
		return row, nil
	}
	row, ok, err := tx.rows.Owner(o)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, nil
	}
	tx.owners[o] = &row
	return &row, nil
}

func (tx *Tx) putOwner(row OwnerRow) error {
	if err := tx.rows.PutOwner(row); err != nil {
		return err
	}
	tx.owners[row.Owner] = &row
	return nil
}

// living returns the generation of the owner's present keys, ErrErased where its erasure has begun.
func (tx *Tx) living(o schemas.Owner) (generation int, err error) {
	if o.Kind == schemas.OwnerTenant {
		return 0, nil
	}
	row, err := tx.owner(o)
	switch {
	case err != nil:
		return 0, err
	case row == nil:
		return 0, fmt.Errorf("%s %s: %w", o.Kind, o.ID, ErrNotFound)
	}
	if err := tx.alive(row); err != nil {
		return 0, err
	}
	return row.Generation, nil
}

// tenantOwner is the one spelling of the tenant as an owner.
func tenantOwner(o schemas.Owner) schemas.Owner {
	if o.Kind == schemas.OwnerTenant {
		o.ID = uuid.Nil
	}
	return o
}

// subjectKey returns the owner's key of the class, minting it where there is none.
func (tx *Tx) subjectKey(o schemas.Owner, generation int, class string) (subjectKey, error) {
	ref := subjectRef{tx.tenant, o, generation, class}
	if k, ok := cached(tx, func(r *keyring) map[subjectRef]subjectKey { return r.subject }, ref); ok {
		return k, nil
	}
	row, ok, err := tx.rows.SubjectKey(o, generation, class)
	if err != nil {
		return subjectKey{}, err
	}
	k := subjectKey{id: row.ID}
	if ok && row.State != KeyLive {
		return subjectKey{}, ErrErased
	}
	if ok {
		k.secret, err = tx.unwrapOwnedKey(o, row.ID, class, row.Key)
	} else {
		k, err = tx.mintSubjectKey(o, generation, class)
	}
	if err != nil {
		return subjectKey{}, err
	}
	tx.local.subject[ref] = k
	return k, nil
}

func (tx *Tx) mintSubjectKey(o schemas.Owner, generation int, class string) (subjectKey, error) {
	if err := tx.writable(); err != nil {
		return subjectKey{}, err
	}
	k := subjectKey{id: uuid.New()}
	var w Wrapped
	var err error
	if k.secret, err = newKey(); err != nil {
		return subjectKey{}, err
	}
	if w, err = tx.wrapOwned(o, k.id, class, k.secret[:]); err != nil {
		return subjectKey{}, err
	}
	return k, tx.rows.PutSubjectKey(SubjectKeyRow{ID: k.id, Owner: o, Generation: generation, Class: class,
		Key: w, State: KeyLive})
}

// periodKey returns the tenant's key of class and month. Where there is none it mints one, if
// mint is set, and else errs with ErrTampered: no token can have been sealed under a key that
// never was. ErrExpired: destroyed.
func (tx *Tx) periodKey(class, month string, mint bool) (key, error) {
	ref := periodRef{tx.tenant, class, month}
	if k, ok := cached(tx, func(r *keyring) map[periodRef]key { return r.period }, ref); ok {
		return k, nil
	}
	row, ok, err := tx.rows.PeriodKey(class, month)
	if err != nil {
		return key{}, err
	}
	var k key
	switch {
	case ok && row.Destroyed:
		return key{}, ErrExpired
	case ok:
		k, err = tx.unwrapKeyUnder(func() (cipher.AEAD, error) {
			return tx.ownerKey(schemas.Owner{Kind: OwnerPeriod, ID: row.ID}, row.Slot)
		}, row.ID, class, row.Key)
		if errors.Is(err, ErrErased) { // a crash came between the destruction of the slot and that of the row
			err = ErrExpired
		}
	case !mint:
		return key{}, ErrTampered
	default:
		if err := tx.writable(); err != nil {
			return key{}, err
		}
		row = PeriodKeyRow{ID: uuid.New(), Class: class, Month: month}
		k, err = tx.mintPeriodKey(&row)
	}
	if err != nil {
		return key{}, err
	}
	tx.local.period[ref] = k
	return k, nil
}

func (tx *Tx) mintPeriodKey(row *PeriodKeyRow) (k key, err error) {
	var a cipher.AEAD
	if row.Slot, a, err = tx.newOwnerKey(schemas.Owner{Kind: OwnerPeriod, ID: row.ID}); err != nil {
		return key{}, err
	}
	if k, err = newKey(); err != nil {
		return key{}, err
	}
	row.Key = wrapUnder(a, tx.tenant, row.ID, row.Class, k[:])
	return k, tx.rows.PutPeriodKey(*row)
}

// derive returns D and the alias of a living owner for class and month; the alias's index row is in
// this transaction or an earlier one.
func (tx *Tx) derive(o schemas.Owner, class, month string) (derived, error) {
	generation, err := tx.living(o)
	if err != nil {
		return derived{}, err
	}
	ks, err := tx.subjectKey(o, generation, class)
	if err != nil {
		return derived{}, err
	}
	ref := derivedRef{ks.id, class, month}
	if d, ok := cached(tx, func(r *keyring) map[derivedRef]derived { return r.derived }, ref); ok {
		return d, nil
	}
	kp, err := tx.periodKey(class, month, true)
	if err != nil {
		return derived{}, err
	}
	d := derived{owner: o, class: class, month: month}
	if d.data, err = dataKey(ks.secret, kp); err != nil {
		return derived{}, err
	}
	if d.alias, err = aliasOf(d.data, tx.tenant, class, month); err != nil {
		return derived{}, err
	}
	row, ok, err := tx.rows.Alias(d.alias)
	if err != nil {
		return derived{}, err
	}
	if !ok {
		if err := tx.writable(); err != nil {
			return derived{}, err
		}
		if err := tx.rows.PutAlias(AliasRow{ID: d.alias, SubjectKey: ks.id, Class: class, Month: month,
			State: AliasLive}); err != nil {
			return derived{}, err
		}
	} else if row.SubjectKey != ks.id {
		return derived{}, fmt.Errorf("alias %s is indexed under another key", d.alias)
	}
	tx.local.derived[ref] = d
	tx.local.byAlias[aliasRef{tx.tenant, d.alias}] = d
	return d, nil
}

// sealer returns the cipher of one owner, class and month in one event.
func (tx *Tx) sealer(d derived, event uuid.UUID) (*sealer, error) {
	ref := sealerRef{d.alias, event}
	if s, ok := tx.sealers[ref]; ok {
		return s, nil
	}
	ek, err := eventKeyOf(d.data, tx.tenant, d.alias, d.class, d.month, event)
	if err != nil {
		return nil, err
	}
	s, err := newSealer(ek, tx.tenant)
	if err != nil {
		return nil, err
	}
	if len(tx.sealers) >= 4096 {
		clear(tx.sealers)
	}
	tx.sealers[ref] = s
	return s, nil
}
