package vault

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// OwnershipCompany is the ownership under which a device's identifiers are its own, and so is
// OwnershipShared, of one that many persons use, and OwnershipSharedCompany, where it is a
// company's too; any other is the person's.
const (
	OwnershipCompany       = "company"
	OwnershipShared        = "shared"
	OwnershipSharedCompany = "shared-company"
)

// Shared reports whether many persons use a device of that ownership.
func Shared(ownership string) bool {
	return ownership == OwnershipShared || ownership == OwnershipSharedCompany
}

// Own reports whether a device of that ownership is a subject of its own, and goes with nobody.
func Own(ownership string) bool { return ownership == OwnershipCompany || Shared(ownership) }

// DeviceHint is how a record names a device. A serial is no part of it: it never identifies.
type DeviceHint struct {
	IntuneID    string // identifies
	DirectoryID string // identifies where there is no Intune id
	At          time.Time
}

// Device is a managed device. Its keys are those of Generation, which is 0 until
// SetHolder was first called.
type Device struct {
	ID         uuid.UUID
	Stream     schemas.Stream
	Ownership  string // "company", "personal" or "" for unknown, or one of those shared
	User       uuid.UUID
	Generation int
}

func newDevice(row store.OwnerRow) Device {
	return Device{ID: row.Owner.ID, Stream: schemas.NewStream("device", row.Owner.ID), Ownership: row.Ownership,
		User: row.User, Generation: row.Generation}
}

// Device returns the device a record names, minting one where none is known by it. The Intune id
// identifies; the directory id does where the record, or the device known by it, has no Intune id
// (one directory device can be enrolled anew under another Intune id, and is another device then).
// The zero Device without an error: the hint identifies nothing. ErrErasedSubject: the record is
// not newer than the erasure of the device's person.
func (tx *Tx) Device(h DeviceHint) (d Device, created bool, err error) {
	fail := func(err error) (Device, bool, error) { return Device{}, false, fmt.Errorf("device: %w", err) }
	if err := tx.keys.Writable(); err != nil {
		return fail(err)
	}
	at := store.Cut(schemas.KnownTime(h.At))
	intune, directory := identifier(kindIntuneID, h.IntuneID), identifier(kindDirectoryID, h.DirectoryID)
	if intune == "" && directory == "" {
		return Device{}, false, nil
	}
	row, err := tx.findDevice(intune, directory, at)
	if err != nil {
		return fail(err)
	}
	if row == nil {
		created = true
		row = &store.OwnerRow{Owner: schemas.Owner{Kind: schemas.OwnerDevice, ID: tx.keys.NewID(keyring.Device)},
			Created: store.Cut(tx.v.clock()), Identified: intune != ""}
		if err := tx.mintOwner(*row); err != nil {
			return fail(err)
		}
	} else if intune != "" && !row.Identified {
		row.Identified = true
		if err := tx.set.PutOwner(*row); err != nil {
			return fail(err)
		}
	}
	if err := tx.name(row.Owner, kindIntuneID, h.IntuneID, at, created); err != nil {
		return fail(err)
	}
	if err := tx.name(row.Owner, kindDirectoryID, h.DirectoryID, at, created); err != nil {
		return fail(err)
	}
	return newDevice(*row), created, nil
}

// FindDevice returns the device a record names without minting or recording anything; found tells
// whether there is one. ErrErasedSubject as for Device.
func (tx *Tx) FindDevice(h DeviceHint) (d Device, found bool, err error) {
	row, err := tx.findDevice(identifier(kindIntuneID, h.IntuneID), identifier(kindDirectoryID, h.DirectoryID),
		store.Cut(schemas.KnownTime(h.At)))
	if err != nil {
		return Device{}, false, fmt.Errorf("find device: %w", err)
	}
	if row == nil {
		return Device{}, false, nil
	}
	return newDevice(*row), true, nil
}

func (tx *Tx) findDevice(intune, directory string, at time.Time) (*store.OwnerRow, error) {
	if intune != "" {
		if gone, err := tx.suppressed(kindIntuneID, intune, at); err != nil || gone {
			return nil, orErased(err)
		}
		set, err := tx.identities(kindIntuneID, intune)
		if err != nil {
			return nil, err
		}
		if len(set) > 0 {
			return tx.liveDevice(set[0].Owner)
		}
		tx.known.RestOn(tx.tag(kindIntuneID, intune))
	}
	if directory == "" {
		return nil, nil
	}
	if gone, err := tx.suppressed(kindDirectoryID, directory, at); err != nil || gone {
		return nil, orErased(err)
	}
	set, err := tx.identities(kindDirectoryID, directory)
	if err != nil {
		return nil, err
	}
	tx.known.RestOn(tx.tag(kindDirectoryID, directory))
	if len(set) > 1 {
		tx.known.Vague()
	}
	// Of several enrolments of one directory device, the one seen last.
	rows := slices.SortedFunc(slices.Values(set), func(a, b store.IdentityRow) int {
		return cmp.Or(b.Last.Compare(a.Last), b.First.Compare(a.First), slices.Compare(a.ID[:], b.ID[:]))
	})
	for _, r := range rows {
		row, err := tx.liveDevice(r.Owner)
		if err != nil {
			return nil, err
		}
		if intune == "" || !row.Identified {
			return row, nil
		}
	}
	return nil, nil
}

func (tx *Tx) liveDevice(o schemas.Owner) (*store.OwnerRow, error) {
	row, err := tx.set.Owner(o)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, fmt.Errorf("%w: %w", ErrErasedSubject, ErrErased)
	}
	if err := tx.keys.Alive(row); errors.Is(err, ErrErased) {
		return nil, fmt.Errorf("%w: %w", ErrErasedSubject, err)
	} else if err != nil {
		return nil, err
	}
	copied := *row
	return &copied, nil
}

// SetHolder says who holds the device, and under which ownership, from that time on; uuid.Nil is
// nobody. A change begins a new generation of the device's keys and a new period. An observation
// older than the present period changes nothing. It returns the device as it is now. ErrErased,
// ErrNotFound: of the device or the user.
func (tx *Tx) SetHolder(device uuid.UUID, ownership string, user uuid.UUID, at time.Time) (Device, error) {
	fail := func(err error) (Device, error) { return Device{}, fmt.Errorf("set holder: %w", err) }
	if err := tx.keys.Writable(); err != nil {
		return fail(err)
	}
	o := schemas.Owner{Kind: schemas.OwnerDevice, ID: device}
	if _, err := tx.keys.Living(o); err != nil {
		return fail(err)
	}
	if user != uuid.Nil {
		if _, err := tx.keys.Living(schemas.Owner{Kind: schemas.OwnerPerson, ID: user}); err != nil {
			return fail(err)
		}
	}
	row, err := tx.set.Owner(o)
	if err != nil {
		return fail(err)
	}
	now := *row
	if now.Generation > 0 && now.Ownership == ownership && now.User == user {
		return newDevice(now), nil
	}
	if at = store.Cut(schemas.KnownTime(at)); at.IsZero() {
		at = store.Cut(tx.v.clock())
	}
	if now, err = tx.beginPeriod(now, ownership, user, at, false); err != nil {
		return fail(err)
	}
	return newDevice(now), nil
}

// beginPeriod ends the device's present period and begins another, with a new
// generation of keys. Where the present one began later, it does nothing, unless
// forced: then the new one begins with it.
func (tx *Tx) beginPeriod(now store.OwnerRow, ownership string, user uuid.UUID, at time.Time,
	force bool) (store.OwnerRow, error) {
	periods, err := tx.set.Holders(now.Owner.ID)
	if err != nil {
		return now, err
	}
	if n := len(periods); n > 0 {
		last := periods[n-1]
		if at.Before(last.From) {
			if !force {
				return now, nil
			}
			at = last.From
		}
		last.To = at
		if err := tx.set.PutHolding(last); err != nil {
			return now, err
		}
	}
	now.Generation, now.Ownership, now.User = now.Generation+1, ownership, user
	if err := tx.set.PutOwner(now); err != nil {
		return now, err
	}
	return now, tx.set.PutHolding(store.HoldingRow{Device: now.Owner.ID, Generation: now.Generation,
		Ownership: ownership, Person: user, From: at})
}

// Holding is a period in which a person held a device. To is zero while it lasts.
type Holding struct {
	Device     uuid.UUID
	Stream     schemas.Stream
	Ownership  string
	Generation int
	From, To   time.Time
}

// DevicesOf lists the devices that the person, or another of their subject, holds or held, with
// periods: of each person by device, then time.
func (tx *Tx) DevicesOf(person uuid.UUID) ([]Holding, error) {
	all, err := tx.Subject(person)
	if err != nil {
		return nil, err
	}
	rows, err := tx.holdings(all)
	if err != nil {
		return nil, fmt.Errorf("devices of a person: %w", err)
	}
	out := make([]Holding, 0, len(rows))
	for _, r := range rows {
		out = append(out, Holding{Device: r.Device, Stream: schemas.NewStream("device", r.Device),
			Ownership:  r.Ownership,
			Generation: r.Generation, From: r.From, To: r.To})
	}
	return out, nil
}
