package keyring

import (
	"crypto/cipher"
	"sync"
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

// ring holds unwrapped and derived keys. It is dropped as a whole cacheAge after it was begun,
// so no key in it is older than that.
type ring struct {
	begun   time.Time
	forgets uint64 // the store's count when the ring was begun

	tenants map[uuid.UUID]TenantKeys
	owners  map[ownerRef]cipher.AEAD
	subject map[subjectRef]subjectKey
	period  map[periodRef]Key
	derived map[derivedRef]Derived
	byAlias map[aliasRef]Derived
	streams map[streamRef]Key
}

// TenantKeys are K_lookup and K_record of a tenant.
type TenantKeys struct{ Lookup, Record Key }

type subjectRef struct {
	tenant     uuid.UUID
	owner      schemas.Owner
	generation int
	class      string
}

type subjectKey struct {
	id     uuid.UUID
	secret Key
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

// Derived is D with what was derived from it and whose it is. Its index row is in the store.
type Derived struct {
	data         Key
	Alias        uuid.UUID
	Owner        schemas.Owner
	Class, Month string
}

func newKeyring(begun time.Time, forgets uint64) *ring {
	return &ring{begun: begun, forgets: forgets,
		tenants: map[uuid.UUID]TenantKeys{}, owners: map[ownerRef]cipher.AEAD{}, subject: map[subjectRef]subjectKey{},
		period:  map[periodRef]Key{},
		derived: map[derivedRef]Derived{}, byAlias: map[aliasRef]Derived{}, streams: map[streamRef]Key{}}
}

func (r *ring) stale(now time.Time) bool {
	age := now.Sub(r.begun)
	return age < 0 || age >= cacheAge
}

// Shared are the keys that committed transactions have used, younger than cacheAge. It is safe for
// concurrent use.
type Shared struct {
	clock func() time.Time

	mu   sync.Mutex
	ring *ring // guarded by mu
}

// NewShared returns one that holds no key.
func NewShared(clock func() time.Time) *Shared { return &Shared{clock: clock} }

// Drop forgets every key.
func (v *Shared) Drop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ring = nil
}

// dropStale drops the ring where it is too old or the store has forgotten something since.
func (v *Shared) dropStale(forgets uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ring != nil && (v.ring.forgets != forgets || v.ring.stale(v.clock())) {
		v.ring = nil
	}
}

// share adds what a finished transaction used. A ring begun at another count of forgettings than
// the shared one is left out: which of the two is current, the next transaction will tell.
func (v *Shared) share(local *ring) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.clock()
	if local.stale(now) {
		return
	}
	s := v.ring
	if s == nil || s.stale(now) || len(s.derived)+len(s.subject)+len(s.streams)+len(s.owners) > maxCached {
		v.ring = local
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
func cached[K comparable, V any](tx *Tx, of func(*ring) map[K]V, k K) (V, bool) {
	if v, ok := of(tx.local)[k]; ok {
		return v, true // fresh: see Tx.fresh
	}
	tx.shared.mu.Lock()
	defer tx.shared.mu.Unlock()
	var none V
	s := tx.shared.ring
	if s == nil || s.forgets != tx.local.forgets || s.stale(tx.clock()) {
		return none, false
	}
	v, ok := of(s)[k]
	return v, ok
}
