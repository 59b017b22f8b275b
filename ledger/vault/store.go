package vault

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Store keeps the vault's rows. It knows no cryptography: secrets and native values reach it wrapped. What every
// store must do is written in vaulttest.
//
// Times are kept in milliseconds, UTC; the zero time survives.
type Store interface {
	// Update runs do in one write transaction. Write transactions of all processes on the store run one after
	// another; each sees all earlier ones. When Update returns nil the effects are durable; when it returns an
	// error, do's own or the store's, there is none (save where the commit's outcome could not be learned).
	// Rows other than tenants, settings and erasures are those of that tenant alone.
	Update(ctx context.Context, tenant uuid.UUID, do func(Rows) error) error
	// View runs do on one consistent snapshot that holds every transaction that had returned before. Rows that
	// write return an error.
	View(ctx context.Context, tenant uuid.UUID, do func(Rows) error) error
	// Scrub returns once deleted bytes are gone from every file the store itself writes.
	Scrub(ctx context.Context) error
	Close() error
}

// Rows is one transaction on the rows of one tenant. A getter's bool says whether the row exists; Put inserts or
// replaces by the row's primary key (its ID, or the fields said).
type Rows interface {
	// Settings and tenants are not bound to the transaction's tenant.

	Setting(name string) ([]byte, bool, error)
	PutSetting(name string, value []byte) error
	Tenants() ([]TenantRow, error) // ordered by Created, then ID
	Tenant(id uuid.UUID) (TenantRow, bool, error)
	TenantByName(hash []byte) (TenantRow, bool, error)
	PutTenant(TenantRow) error

	// Owners: persons and devices.

	Owner(schemas.Owner) (OwnerRow, bool, error)
	PutOwner(OwnerRow) error
	Identities(kind string, hash []byte) ([]IdentityRow, error) // ordered by First, then ID
	IdentitiesOf(schemas.Owner) ([]IdentityRow, error)          // ordered by Kind, First, ID
	PutIdentity(IdentityRow) error
	DeleteIdentities(schemas.Owner) error
	Holdings(person uuid.UUID) ([]HoldingRow, error) // of one person, ordered by Device, Generation
	Holders(device uuid.UUID) ([]HoldingRow, error)  // of one device, ordered by Generation
	PutHolding(HoldingRow) error                     // key: Device, Generation
	DeleteHolders(device uuid.UUID) error

	// Keys and aliases.

	SubjectKey(owner schemas.Owner, generation int, class string) (SubjectKeyRow, bool, error) // not destroyed ones
	SubjectKeyByID(id uuid.UUID) (SubjectKeyRow, bool, error)
	SubjectKeys(owner schemas.Owner) ([]SubjectKeyRow, error) // not destroyed ones, ordered by Generation, Class
	PutSubjectKey(SubjectKeyRow) error
	// DestroySubjectKey leaves a row of that id that holds no key and names no owner, even where there was none.
	DestroySubjectKey(id uuid.UUID) error
	PeriodKey(class, month string) (PeriodKeyRow, bool, error)
	PutPeriodKey(PeriodKeyRow) error // key: Class, Month
	Alias(id uuid.UUID) (AliasRow, bool, error)
	Aliases(subjectKey uuid.UUID) ([]AliasRow, error) // ordered by Class, Month
	PutAlias(AliasRow) error
	BuryAliases(subjectKey uuid.UUID) error        // tombstones AliasErased
	BuryAliasesOfPeriod(class, month string) error // live ones to tombstones AliasExpired

	// Streams.

	Mapping(hash []byte) (MappingRow, bool, error)
	PutMapping(MappingRow) error // key: Hash
	DeleteMappings(concerned uuid.UUID) error
	MappingsOf(concerned uuid.UUID) ([]MappingRow, error)
	StreamKey(stream uuid.UUID) (Wrapped, bool, error)
	PutStreamKey(stream uuid.UUID, w Wrapped) error
	DeleteStreamKey(stream uuid.UUID) error

	// Forgetting.

	Suppression(hash []byte) (time.Time, bool, error)
	PutSuppression(hash []byte, erased time.Time) error // keeps the later of two
	Erasure(completion uuid.UUID) (ErasureRow, bool, error)
	Erasures() ([]ErasureRow, error) // of all tenants, the incomplete ones, ordered by Begun, then Completion
	PutErasure(ErasureRow) error     // key: Completion
	Holds() ([]schemas.Owner, error) // owners with a hold, each once, in any order
	PutHold(id uuid.UUID, owner schemas.Owner, placed time.Time) error
	DeleteHold(id uuid.UUID) error
}

// Wrapped is a secret or native value under the key-encryption key of an epoch.
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

// OwnerRow is a person or a device. The fields after State are a device's.
type OwnerRow struct {
	Owner      schemas.Owner
	State      OwnerState
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

// AliasRow leads from an alias to the key under which it was derived; a tombstone's SubjectKey is uuid.Nil.
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
	Keys       []uuid.UUID
}
