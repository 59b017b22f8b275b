package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file forgets. The order of an erasure is DESIGN §4's: BeginErasure; the order event with
// the keys; Destroy; the completion event; CompleteErasure. Each step can be repeated, and
// PendingErasures tells which are due.

// BeginErasure blocks all sealing and opening under the keys of the person, and of all who are one
// subject with them, and returns the uuids of the keys to destroy, for the order event. completion
// is the id the event subject.erased will have, by which the erasure is known from now on.
// Repeating it returns the same keys. ErrHeld: a hold on the person, a device that goes with the
// person, or the tenant. ErrErased: done before. ErrErasing: another erasure of the person is
// under way. ErrNotFound.
func (tx *Tx) BeginErasure(person, completion uuid.UUID) ([]uuid.UUID, error) {
	fail := func(err error) ([]uuid.UUID, error) { return nil, fmt.Errorf("begin erasure: %w", err) }
	if err := tx.locked(); err != nil {
		return fail(err)
	}
	if completion == uuid.Nil {
		return fail(errors.New("the id of the completion event is missing"))
	}
	switch e, ok, err := tx.rows.Erasure(completion); {
	case err != nil:
		return fail(err)
	case ok && e.Tenant != tx.tenant, ok && e.Person != uuid.Nil && e.Person != person:
		return fail(fmt.Errorf("the completion event is another erasure's: %w", ErrExists))
	case ok && e.State == store.ErasureBegun:
		return e.Keys, nil
	case ok:
		return fail(ErrErased)
	}
	persons, owners, err := tx.goWith(person)
	if err != nil {
		return fail(err)
	}
	for i := range persons {
		switch row, err := tx.set.Owner(owners[i]); {
		case err != nil:
			return fail(err)
		case row == nil:
			return fail(ErrNotFound)
		case row.State == store.OwnerErasing:
			return fail(fmt.Errorf("another one of the person: %w: %w", ErrErasing, ErrExists))
		default:
			if err := tx.keys.Alive(row); err != nil {
				return fail(err)
			}
		}
	}
	holds, err := tx.rows.Holds()
	if err != nil {
		return fail(err)
	}
	for _, h := range holds {
		if h.Kind == schemas.OwnerTenant || slices.Contains(owners, h) {
			return fail(ErrHeld)
		}
	}
	keys, err := tx.subjectKeys(person)
	if err != nil {
		return fail(err)
	}
	e := store.ErasureRow{Completion: completion, Tenant: tx.tenant, Person: person, State: store.ErasureBegun,
		Begun: store.Cut(tx.v.clock())}
	for _, k := range keys {
		e.Keys = append(e.Keys, k.ID)
	}
	if err := tx.block(owners, keys, store.OwnerErasing, store.KeyErasing); err != nil {
		return fail(err)
	}
	if err := tx.forgetMemories(owners...); err != nil {
		return fail(err)
	}
	if err := tx.rows.PutErasure(e); err != nil {
		return fail(err)
	}
	if err := tx.forget(); err != nil {
		return fail(err)
	}
	return e.Keys, nil
}

// goWith returns the persons of the subject that the person is, and who goes with them: they, and
// their personal devices.
func (tx *Tx) goWith(person uuid.UUID) (persons []uuid.UUID, owners []schemas.Owner, err error) {
	if persons, err = tx.Subject(person); err != nil {
		return nil, nil, err
	}
	for _, p := range persons {
		owners = append(owners, schemas.Owner{Kind: schemas.OwnerPerson, ID: p})
	}
	devices, err := tx.personalDevices(persons)
	return persons, append(owners, devices...), err
}

// block puts owners and keys into a state.
func (tx *Tx) block(owners []schemas.Owner, keys []store.SubjectKeyRow, os store.OwnerState, ks store.KeyState) error {
	for _, o := range owners {
		row, err := tx.set.Owner(o)
		if err != nil {
			return err
		}
		if row == nil || row.State == store.OwnerErased {
			continue
		}
		changed := *row
		changed.State = os
		if err := tx.set.PutOwner(changed); err != nil {
			return err
		}
	}
	for _, k := range keys {
		k.State = ks
		if err := tx.set.PutSubjectKey(k); err != nil {
			return err
		}
	}
	return nil
}

// ErasureOf returns the erasure of the person that has begun and destroyed nothing yet;
// found tells whether there is one.
func (tx *Tx) ErasureOf(person uuid.UUID) (e PendingErasure, found bool, err error) {
	persons, err := tx.Subject(person)
	if err != nil {
		return PendingErasure{}, false, err
	}
	all, err := read(tx, store.Rows.Erasures)
	if err != nil {
		return PendingErasure{}, false, fmt.Errorf("erasure of a person: %w", err)
	}
	for _, row := range all {
		if row.Tenant == tx.tenant && slices.Contains(persons, row.Person) && row.State == store.ErasureBegun {
			return newPending(row), true, nil
		}
	}
	return PendingErasure{}, false, nil
}

// Erasure returns the tenant's erasure of that completion event, if it is not complete;
// found tells whether there is one.
func (tx *Tx) Erasure(completion uuid.UUID) (e PendingErasure, found bool, err error) {
	var ok bool
	row, err := read(tx, func(rows store.Rows) (row store.ErasureRow, err error) {
		row, ok, err = rows.Erasure(completion)
		return row, err
	})
	if err != nil {
		return PendingErasure{}, false, fmt.Errorf("erasure %s: %w", completion, err)
	}
	if !ok || row.Tenant != tx.tenant || row.State == store.ErasureCompleted {
		return PendingErasure{}, false, nil
	}
	return newPending(row), true, nil
}

// ClaimErasure notes that the caller carries the erasure out until then, so that others answer
// that it is under way; the zero time gives it up. It keeps nobody from anything: two who carry
// out one erasure do each other no harm.
func (tx *Tx) ClaimErasure(completion uuid.UUID, until time.Time) error {
	fail := func(err error) error { return fmt.Errorf("claim erasure: %w", err) }
	if err := tx.locked(); err != nil {
		return fail(err)
	}
	e, ok, err := tx.rows.Erasure(completion)
	switch {
	case err != nil:
		return fail(err)
	case !ok || e.Tenant != tx.tenant || e.State == store.ErasureCompleted:
		return fail(ErrNotFound)
	}
	e.Claimed = store.Cut(until)
	if err := tx.rows.PutErasure(e); err != nil {
		return fail(err)
	}
	return nil
}

// CancelErasure undoes a BeginErasure whose order event is known not to be in the ledger, now or
// later. ErrErased: keys are destroyed already. ErrNotFound: no such erasure.
func (tx *Tx) CancelErasure(completion uuid.UUID) error {
	fail := func(err error) error { return fmt.Errorf("cancel erasure: %w", err) }
	if err := tx.locked(); err != nil {
		return fail(err)
	}
	e, ok, err := tx.rows.Erasure(completion)
	switch {
	case err != nil:
		return fail(err)
	case !ok || e.Tenant != tx.tenant:
		return fail(ErrNotFound)
	case e.State != store.ErasureBegun:
		return fail(ErrErased)
	}
	_, owners, err := tx.goWith(e.Person)
	if err != nil {
		return fail(err)
	}
	keys, err := tx.subjectKeys(e.Person)
	if err != nil {
		return fail(err)
	}
	for _, o := range owners {
		if gone, err := tx.keys.SlotGone(o); err != nil {
			return fail(err)
		} else if gone {
			return fail(ErrErased)
		}
	}
	if err := tx.block(owners, keys, store.OwnerLive, store.KeyLive); err != nil {
		return fail(err)
	}
	if err := tx.forgetMemories(owners...); err != nil {
		return fail(err)
	}
	e.State, e.Person, e.Keys, e.Claimed = store.ErasureCompleted, uuid.Nil, nil, time.Time{}
	if err := tx.rows.PutErasure(e); err != nil {
		return fail(err)
	}
	return tx.forget()
}

// Destroy carries an order out: it destroys the keys, leaves tombstones in place of their aliases,
// and with the key that stands for an owner's mapping it forgets that owner: identities, lookups,
// streams' keys, refusal streams, periods of holding. What is kept of them are hashes of the
// identifiers with the date of erasure. When the Update around it returns nil, the bytes are gone
// from the store's files too. order is the completion event's id, as given to BeginErasure. It can
// be repeated, and works from the keys' uuids alone on a vault restored from before. Of an owner
// that stays and lost some keys, the rest is wrapped anew under another slot. A tenant's own keys
// are no person's: an order that lists one leaves it alone.
func (tx *Tx) Destroy(order uuid.UUID, keys []uuid.UUID) error {
	return tx.destroy(order, keys, time.Time{})
}

// ReplayErasure is Destroy on a restored vault, for an order that the ledger
// says was given at that time.
func (tx *Tx) ReplayErasure(order uuid.UUID, keys []uuid.UUID, ordered time.Time) error {
	return tx.destroy(order, keys, ordered)
}

func (tx *Tx) destroy(order uuid.UUID, keys []uuid.UUID, erased time.Time) error {
	fail := func(err error) error { return fmt.Errorf("destroy: %w", err) }
	if err := tx.locked(); err != nil {
		return fail(err)
	}
	if order == uuid.Nil {
		return fail(errors.New("the id of the completion event is missing"))
	}
	e, known, err := tx.rows.Erasure(order)
	switch {
	case err != nil:
		return fail(err)
	case known && e.Tenant != tx.tenant:
		return fail(fmt.Errorf("the order is another tenant's: %w", ErrNotFound))
	case !known:
		e = store.ErasureRow{Completion: order, Tenant: tx.tenant, Begun: store.Cut(tx.v.clock())}
		if !erased.IsZero() {
			e.Begun = store.Cut(erased)
		}
	}
	var mappings []schemas.Owner
	touched := map[schemas.Owner]bool{}
	for _, id := range keys {
		row, err := tx.set.SubjectKeyByID(id)
		if err != nil {
			return fail(err)
		}
		if row != nil && row.State != store.KeyDestroyed {
			if row.Owner.Kind == schemas.OwnerTenant {
				continue
			}
			touched[row.Owner] = true
			if row.Class == classIdentity {
				mappings = append(mappings, row.Owner)
			}
		}
		if err := tx.destroyKey(id); err != nil {
			return fail(err)
		}
	}
	if err := tx.forgetMemories(slices.Collect(maps.Keys(touched))...); err != nil {
		return fail(err)
	}
	for _, o := range mappings {
		if err := tx.forgetOwner(o, e.Begun); err != nil {
			return fail(err)
		}
	}
	if err := tx.rekeyRest(touched); err != nil {
		return fail(err)
	}
	if e.State != store.ErasureCompleted {
		e.State, e.Person, e.Keys = store.ErasureDestroyed, uuid.Nil, keys
		if err := tx.rows.PutErasure(e); err != nil {
			return fail(err)
		}
	}
	tx.keys.Scrub = true
	if err := tx.forget(); err != nil {
		return fail(err)
	}
	return nil
}

// rekeyRest gives new slots to those of the owners that stay.
func (tx *Tx) rekeyRest(touched map[schemas.Owner]bool) error {
	rest := slices.SortedFunc(maps.Keys(touched), func(a, b schemas.Owner) int {
		return slices.Compare(a.ID[:], b.ID[:])
	})
	for _, o := range rest {
		row, err := tx.set.Owner(o)
		if err != nil {
			return err
		}
		if row == nil || row.State == store.OwnerErased {
			continue
		}
		// gone: its own destruction, cut short, is to be repeated
		if gone, err := tx.keys.SlotGone(o); err != nil || gone {
			if err != nil {
				return err
			}
			continue
		}
		if err := tx.keys.Rekey(o); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) destroyKey(id uuid.UUID) error {
	return errors.Join(tx.set.DestroySubjectKey(id), tx.set.BuryAliases(id))
}

// forgetOwner leaves of a person or device its tombstone and the hashes of what it was called.
func (tx *Tx) forgetOwner(o schemas.Owner, erased time.Time) error {
	row, err := tx.set.Owner(o)
	if err != nil {
		return err
	}
	if row != nil && row.Slot > 0 {
		if err := tx.set.DestroySlot(row.Slot); err != nil {
			return err
		}
	}
	// A restored vault may hold more of the owner than the order lists; none
	// of it may outlive the mapping.
	rest, err := tx.set.SubjectKeys(o)
	if err != nil {
		return err
	}
	for _, k := range rest {
		if err := tx.destroyKey(k.ID); err != nil {
			return err
		}
	}
	names, err := tx.set.IdentitiesOf(o)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := tx.set.PutSuppression(n.Hash, erased); err != nil {
			return err
		}
	}
	if err := tx.set.DeleteIdentities(o); err != nil {
		return err
	}
	if o.Kind == schemas.OwnerDevice {
		err = tx.forgetDevice(o.ID)
	} else {
		err = errors.Join(tx.forgetStreams(o.ID), tx.forgetHolder(o.ID, erased))
	}
	if err != nil {
		return err
	}
	return tx.set.PutOwner(store.OwnerRow{Owner: o, State: store.OwnerErased})
}

func (tx *Tx) forgetDevice(device uuid.UUID) error {
	return errors.Join(tx.forgetStreams(device), tx.deleteStreamKey(device), tx.set.DeleteHolders(device))
}

// forgetStreams deletes the way from an owner to its streams, and the keys of their elements.
func (tx *Tx) forgetStreams(owner uuid.UUID) error {
	streams, err := tx.set.MappingsOf(owner)
	if err != nil {
		return err
	}
	named, err := tx.set.MappingsOf(tx.namedBy(owner))
	if err != nil {
		return err
	}
	for _, m := range named { // the streams are not the owner's
		if err := tx.set.DeleteMapping(m.Hash); err != nil {
			return err
		}
	}
	for _, m := range streams {
		if err := errors.Join(tx.deleteStreamKey(m.Stream.UUID()), tx.forgetMerge(m.Stream, owner)); err != nil {
			return err
		}
		if err := tx.set.DeleteMapping(m.Hash); err != nil {
			return err
		}
	}
	return nil
}

// forgetHolder takes the person out of the periods of devices that stay. One held now passes to
// nobody, which is a change of user like any other.
func (tx *Tx) forgetHolder(person uuid.UUID, erased time.Time) error {
	holdings, err := tx.set.Holdings(person)
	if err != nil {
		return err
	}
	for _, h := range holdings {
		row, err := tx.set.Owner(schemas.Owner{Kind: schemas.OwnerDevice, ID: h.Device})
		if err != nil {
			return err
		}
		if h.To.IsZero() && row != nil && row.State != store.OwnerErased {
			if _, err := tx.beginPeriod(*row, h.Ownership, uuid.Nil, erased, true); err != nil {
				return err
			}
			periods, err := tx.set.Holders(h.Device)
			if err != nil {
				return err
			}
			for _, p := range periods {
				if p.Generation == h.Generation {
					h = p
				}
			}
		}
		h.Person = uuid.Nil
		if err := tx.set.PutHolding(h); err != nil {
			return err
		}
	}
	return nil
}

// CompleteErasure notes that the completion event is in the ledger: the
// erasure is pending no longer.
func (tx *Tx) CompleteErasure(completion uuid.UUID) error {
	fail := func(err error) error { return fmt.Errorf("complete erasure: %w", err) }
	if err := tx.locked(); err != nil {
		return fail(err)
	}
	e, ok, err := tx.rows.Erasure(completion)
	switch {
	case err != nil:
		return fail(err)
	case !ok || e.Tenant != tx.tenant:
		return fail(ErrNotFound)
	case e.State == store.ErasureBegun:
		return fail(errors.New("its keys are not destroyed yet"))
	case e.State == store.ErasureCompleted:
		return nil
	}
	e.State, e.Keys, e.Claimed = store.ErasureCompleted, nil, time.Time{}
	if err := tx.rows.PutErasure(e); err != nil {
		return fail(err)
	}
	return nil
}

// PendingErasure is an erasure to carry on with before serving.
type PendingErasure struct {
	Tenant     uuid.UUID
	Person     uuid.UUID // uuid.Nil once destroyed
	Completion uuid.UUID
	Keys       []uuid.UUID
	Begun      time.Time
	Claimed    time.Time // until then somebody carries it out
	Destroyed  bool      // only the completion event and CompleteErasure are due; repeat Destroy, which also scrubs
}

func newPending(e store.ErasureRow) PendingErasure {
	return PendingErasure{Tenant: e.Tenant, Person: e.Person, Completion: e.Completion, Keys: e.Keys,
		Begun: e.Begun, Claimed: e.Claimed, Destroyed: e.State == store.ErasureDestroyed}
}

// PendingErasures lists the erasures of all tenants that are begun and not complete, oldest first.
func (v *Vault) PendingErasures(ctx context.Context) ([]PendingErasure, error) {
	var out []PendingErasure
	err := v.view(ctx, uuid.Nil, func(rows store.Rows) error {
		all, err := rows.Erasures()
		for _, e := range all {
			out = append(out, newPending(e))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pending erasures: %w", err)
	}
	return out, nil
}

// Expired reports whether the tenant's key of the class and of that time's month was destroyed.
func (tx *Tx) Expired(class string, at time.Time) (bool, error) {
	row, err := tx.set.PeriodKey(class, schemas.Month(at, at))
	if err != nil {
		return false, fmt.Errorf("period of %s: %w", class, err)
	}
	return row != nil && row.Destroyed, nil
}

// ExpirePeriod destroys the tenant's key of a class and month: every value and alias under it is
// expired from now on, and the key is never minted again. ErrHeld while the tenant has any hold.
func (tx *Tx) ExpirePeriod(class, month string) error {
	fail := func(err error) error { return fmt.Errorf("expire %s.%s: %w", class, month, err) }
	if err := tx.locked(); err != nil {
		return fail(err)
	}
	holds, err := tx.rows.Holds()
	if err != nil {
		return fail(err)
	}
	if len(holds) > 0 {
		return fail(ErrHeld)
	}
	had, err := tx.set.PeriodKey(class, month)
	if err != nil {
		return fail(err)
	}
	row := store.PeriodKeyRow{ID: uuid.New()}
	if had != nil {
		row = *had
	}
	if row.Slot > 0 {
		if err := tx.set.DestroySlot(row.Slot); err != nil {
			return fail(err)
		}
	}
	err = errors.Join(
		tx.set.PutPeriodKey(store.PeriodKeyRow{ID: row.ID, Class: class, Month: month, Destroyed: true}),
		tx.set.BuryAliasesOfPeriod(class, month),
		tx.rows.DeleteAllMemories(),
		tx.forget())
	if err != nil {
		return fail(err)
	}
	tx.keys.Scrub = true
	return nil
}
