// Package store says what the vault keeps and what it asks of whoever keeps it: rows of one tenant
// in a transaction, and slots, each written once and overwritten once.
//
// It owns the shapes alone; package sqlite keeps them. It knows no cryptography and trusts nobody:
// secrets and native values reach it wrapped.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Store keeps the vault's rows, and its slots. It knows no cryptography: secrets and native values
// reach it wrapped. What every store must do is written in vaulttest.
//
// Rows may leave copies of themselves behind wherever the store moves them, so what must be
// destroyed for certain is no row: each owner's key lies in a slot, a place of fixed size that
// is written once and overwritten once. A slot's bytes are in no log, no journal and no page
// of rows, in exactly one place.
//
// Times are kept in milliseconds, UTC; the zero time survives.
type Store interface {
	// Update runs do in one write transaction. Write transactions of all processes on the store
	// run one after another; each sees all earlier ones. When Update returns nil the effects
	// are durable; when it returns an error, do's own or the store's, there is none (save where
	// the commit's outcome could not be learned). Rows other than tenants, settings and
	// erasures are those of that tenant alone.
	Update(ctx context.Context, tenant uuid.UUID, do func(Rows) error) error
	// View runs do on one consistent snapshot that holds every transaction that had returned
	// before. Rows that write return an error.
	View(ctx context.Context, tenant uuid.UUID, do func(Rows) error) error
	// Scrub returns once the slots retired so far are overwritten, and deleted rows are gone from
	// every file the store itself writes: from the unused parts of pages too.
	Scrub(ctx context.Context) error
	Close() error
}

// Rows is one transaction on the rows of one tenant. A getter's bool says whether the row exists;
// Put inserts or replaces by the row's primary key (its ID, or the fields said).
//
// A store may be a network away, so the rows that records need are asked for and stored many at a
// time: a Fetch or a Put, however large, is about one trip to the store.
type Rows interface {
	// Settings and tenants are not bound to the transaction's tenant.

	// Settings returns those of the named that exist.
	Settings(names ...string) (map[string][]byte, error)
	PutSetting(name string, value []byte) error
	Tenants() ([]TenantRow, error) // ordered by Created, then ID
	Tenant(id uuid.UUID) (TenantRow, bool, error)
	TenantByName(hash []byte) (TenantRow, bool, error)
	PutTenant(TenantRow) error

	// Fetch returns the rows that the keys name, in any order; one that several keys name may come
	// several times. It sees what this transaction has put.
	Fetch(Keys) (Batch, error)
	// Put stores rows. Those of a batch that stand in one another's way, by keys that are not
	// their primary ones, are an error, as they are one after another.
	Put(Batch) error

	// Persons lists up to n persons of the tenant behind that one, in order of id, their
	// tombstones too.
	Persons(after uuid.UUID, n int) ([]uuid.UUID, error)

	// Slots, of all tenants. A slot's number is stored in the row of its owner.

	// NewSlot gives a slot that no row of the store names; it and PutSlot are no trip to the
	// store, but for the transaction's first. It is the owner's once the transaction has
	// committed: the slot is written and synced before that. Where the transaction fails, another
	// may get the same number.
	NewSlot() (Slot, error)
	// PutSlot fills a slot that this transaction was given.
	PutSlot(Slot, Wrapped) error
	// Slot reads a slot. What it returns is the present, also in a view of the past.
	// ErrSlotDestroyed, or ErrNotFound for one that was never filled.
	Slot(Slot) (Wrapped, error)
	// DestroySlot overwrites the slot when the function given to Update has returned nil, before
	// the transaction commits: the bytes go first, then the rows. Where the commit fails, or a
	// crash comes between, rows stand whose slot is destroyed.
	DestroySlot(Slot) error
	// RetireSlot has the slot overwritten by the first Scrub after this transaction has committed,
	// in whichever process, when no view is left that began before. Until then it can be read.
	RetireSlot(Slot) error

	// Forgetting.

	DeleteIdentities(schemas.Owner) error
	DeleteHolders(device uuid.UUID) error
	// DestroySubjectKey leaves a row of that id that holds no key and names no
	// owner, even where there was none.
	DestroySubjectKey(id uuid.UUID) error
	BuryAliases(subjectKey uuid.UUID) error        // tombstones AliasErased
	BuryAliasesOfPeriod(class, month string) error // live ones to tombstones AliasExpired
	DeleteMappings(hashes [][]byte) error
	DeleteStreamKey(stream uuid.UUID) error // and what is remembered of the stream

	// What is remembered of streams. Each call is about one trip to the store, however many it
	// names.

	Memories(streams []uuid.UUID) ([]MemoryRow, error) // those that there are, in any order
	// MemorySizes returns how many bytes each of those takes.
	MemorySizes(streams []uuid.UUID) (map[uuid.UUID]int, error)
	PutMemories([]MemoryRow) error // key: Stream; of a stream without a key, nothing
	DeleteMemories(streams []uuid.UUID) error
	DeleteAllMemories() error // of the tenant

	KnownRows

	// Erasures and holds.

	Erasure(completion uuid.UUID) (ErasureRow, bool, error)
	Erasures() ([]ErasureRow, error) // of all tenants, the incomplete ones, ordered by Begun, then Completion
	PutErasure(ErasureRow) error     // key: Completion
	Holds() ([]schemas.Owner, error) // owners with a hold, each once, in any order
	PutHold(id uuid.UUID, owner schemas.Owner, placed time.Time) error
	DeleteHold(id uuid.UUID) error

	// Count counts what the store holds, of all tenants.
	Count() (Counts, error)
}

// Changes is the name of the setting in which the store counts the write transactions that put,
// destroyed or deleted rows of the tenant, eight bytes: as long as it stands, what was read of
// them is what they are.
func Changes(tenant uuid.UUID) string { return "changes." + tenant.String() }

// Setting returns the value of one; found tells whether it exists.
func Setting(rows Rows, name string) (value []byte, found bool, err error) {
	all, err := rows.Settings(name)
	value, found = all[name]
	return value, found, err
}

// Cut brings a time to the precision in which rows keep it: milliseconds, UTC, cut.
func Cut(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// Keys name rows. What a key names may be no row, one, or several. With some rows come those that
// whoever asks for them needs next.
type Keys struct {
	Owners        []schemas.Owner // with what their slots hold
	Names         []Name          // identities under them, with their owners
	IdentitiesOf  []schemas.Owner
	Holders       []uuid.UUID     // holdings of these devices
	Holdings      []uuid.UUID     // of these persons
	SubjectKeys   []schemas.Owner // those of the owners that are not destroyed
	SubjectKeyIDs []uuid.UUID     // with their owners
	Periods       bool            // all period keys, with what their slots hold
	Aliases       []uuid.UUID     // with their subject keys, and the owners of those
	AliasesOf     []uuid.UUID     // the live ones of these subject keys
	Mappings      [][]byte        // by hash
	MappingsOf    []uuid.UUID     // by what they concern
	StreamKeys    []uuid.UUID     // by stream, with what their slots hold
	Suppressions  [][]byte        // by hash
}

// Name is a kind of native value and the hash of one.
type Name struct {
	Kind string
	Hash string // the bytes
}

// Batch is rows of one tenant.
type Batch struct {
	Owners       []OwnerRow
	Identities   []IdentityRow    // whose a row is, no Put changes
	Holdings     []HoldingRow     // key: Device, Generation
	SubjectKeys  []SubjectKeyRow  // never destroyed ones, to Put
	PeriodKeys   []PeriodKeyRow   // key: Class, Month
	Aliases      []AliasRow       // Put adds: a row that is there stays; under another subject key, an error
	Mappings     []MappingRow     // key: Hash
	StreamKeys   []StreamKeyRow   // key: Stream
	Suppressions []SuppressionRow // key: Hash; Put keeps the later of two times
	Slots        []SlotRow        // of Fetch alone: of owners, period keys and stream keys in the batch
}

// SlotRow is what a slot holds. Err is ErrSlotDestroyed, or ErrNotFound, as of Rows.Slot.
type SlotRow struct {
	Slot Slot
	Held Wrapped
	Err  error
}

// SuppressionRow says when the owner of a native value was erased.
type SuppressionRow struct {
	Hash   []byte
	Erased time.Time
}

// LegacyRows is what the rows of a store do that may hold vaults from before there were slots.
type LegacyRows interface {
	// Slotless lists up to n owners of the transaction's tenant that have no slot yet:
	// live or erasing persons and devices; and stream keys and period keys, as owners of
	// kind OwnerStream and OwnerPeriod.
	Slotless(n int) ([]schemas.Owner, error)
	// PeriodKeyByID is PeriodKey by the row's id.
	PeriodKeyByID(id uuid.UUID) (PeriodKeyRow, bool, error)
}

// LegacyStore is such a store. Compact returns once no file of the store
// holds a row as it was before.
type LegacyStore interface {
	Store
	Compact(ctx context.Context) error
}

// Slot is the number of a slot, from 1; zero is none.
type Slot uint64

// ErrReadOnly is returned where a view would change something.
var ErrReadOnly = errors.New("a view cannot mint or change anything")

// ErrNotFound is returned where there is no such row or slot.
var ErrNotFound = errors.New("not found")

// ErrSlotDestroyed is returned where a slot that was read has been overwritten.
var ErrSlotDestroyed = errors.New("the slot is destroyed")

// MaxSlot is the most bytes that a slot holds.
const MaxSlot = 96

// Owners beside persons and devices that have a slot: what can be destroyed on its own.
const (
	OwnerPeriod schemas.KeyKind = "period" // ID is the period key's
	OwnerStream schemas.KeyKind = "stream" // ID is the stream's
)

// Counts is how much a vault holds.
type Counts struct {
	Tenants int
	Persons int // with their erased ones
	Devices int // likewise
}

// Wrapped is a secret or native value under the key-encryption key of an epoch, or, with
// epoch 0, under its owner's key.
type Wrapped struct {
	Epoch uint32
	Bytes []byte
}

// TenantRow is a tenant. Profile holds its name, sources and settings.
type TenantRow struct {
	ID       uuid.UUID
	NameHash []byte
	Profile  Wrapped
	Lookup   Wrapped // K_lookup
	Record   Wrapped // K_record
	Policy   uint64
	Created  time.Time
}

// OwnerState says what may be done with an owner's data.
type OwnerState int

// States of an owner.
const (
	OwnerLive    OwnerState = iota + 1
	OwnerErasing            // an erasure has begun: no seals, no opens
	OwnerErased             // a tombstone: the row holds its id and nothing else
)

// OwnerRow is a person or a device. The fields after Identified are a device's.
type OwnerRow struct {
	Owner      schemas.Owner
	State      OwnerState
	Slot       Slot // holds the owner's key; zero once erased
	Created    time.Time
	Identified bool // has been seen with an identifier that identifies (an object id); else by name only
	Ownership  string
	User       uuid.UUID
	Generation int
}

// IdentityRow says that an owner was seen under a native value from First to Last.
type IdentityRow struct {
	ID    uuid.UUID
	Owner schemas.Owner
	Kind  string
	Hash  []byte
	Value Wrapped
	First time.Time
	Last  time.Time
}

// HoldingRow says who held a device, in which generation of its key. To is zero while it lasts.
type HoldingRow struct {
	Device     uuid.UUID
	Generation int
	Ownership  string
	Person     uuid.UUID
	From, To   time.Time
}

// KeyState says what may be done with a subject key.
type KeyState int

// States of a subject key.
const (
	KeyLive KeyState = iota + 1
	KeyErasing
	KeyDestroyed
)

// SubjectKeyRow is a subject key. A destroyed one has neither owner nor key.
type SubjectKeyRow struct {
	ID         uuid.UUID
	Owner      schemas.Owner
	Generation int
	Class      string
	Key        Wrapped
	State      KeyState
}

// PeriodKeyRow is a period key. A destroyed one has no key and is never minted again.
type PeriodKeyRow struct {
	ID        uuid.UUID
	Class     string
	Month     string
	Slot      Slot // holds the key under which Key is wrapped; zero once destroyed
	Key       Wrapped
	Destroyed bool
}

// AliasState says whether an alias still names its owner's key.
type AliasState int

// States of an alias.
const (
	AliasLive AliasState = iota + 1
	AliasErased
	AliasExpired
)

// AliasRow leads from an alias to the key under which it was derived; a
// tombstone's SubjectKey is uuid.Nil.
type AliasRow struct {
	ID         uuid.UUID
	SubjectKey uuid.UUID
	Class      string
	Month      string
	State      AliasState
}

// MappingRow leads from the hash of a record's canonical form to its stream.
type MappingRow struct {
	Hash      []byte
	Stream    schemas.Stream
	Concerned uuid.UUID // the entity with which the mapping is forgotten; uuid.Nil for none
}

// StreamKeyRow is the random key of a stream's list elements. Slot is zero where the stream is a
// device's: that has a slot of its own.
type StreamKeyRow struct {
	Stream uuid.UUID
	Slot   Slot
	Key    Wrapped
}

// MemoryRow is what is remembered of a stream.
type MemoryRow struct {
	Stream uuid.UUID
	Sealed []byte // under a key that follows from the stream's
}

// ErasureState is how far an erasure has come.
type ErasureState int

// States of an erasure.
const (
	ErasureBegun     ErasureState = iota + 1 // seals and opens are blocked; keys live
	ErasureDestroyed                         // keys are gone; the completion event may not be in the ledger yet
	ErasureCompleted                         // the completion event is in the ledger
)

// ErasureRow is an erasure that a crash must not forget. Person is uuid.Nil once destroyed.
type ErasureRow struct {
	Completion uuid.UUID // the id of the event that will say it is done
	Tenant     uuid.UUID
	Person     uuid.UUID
	State      ErasureState
	Begun      time.Time
	Claimed    time.Time // until then somebody is carrying it out
	Keys       []uuid.UUID
}
