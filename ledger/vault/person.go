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

// PersonHint is how a record names a person. Any part may be missing or junk.
type PersonHint struct {
	ObjectID string    // directory object id; identifies
	UPN      string    // finds the person who held it at At
	Email    string    // likewise, where there is neither of the others
	IntuneID string    // the service's own id of a user: finds whom a record linked it to, and mints nobody
	At       time.Time // when the record says so; zero when unknown
}

// Person returns the person a record names, minting one where nobody is known by it (FORMATS §1):
// the object id identifies; without it the one person who held the UPN (or, without that, the
// e-mail) at that time; else the one to whom a record linked the service's own id; else a person
// known by that name only, whom nothing but a merge (subject.go) makes one with another.
// Names are recorded with the time they were seen. uuid.Nil without an error: the hint identifies
// nobody. ErrErasedSubject: the record is not newer than the person's erasure, or that erasure is
// under way; leave the person out.
func (tx *Tx) Person(h PersonHint) (id uuid.UUID, created bool, err error) {
	fail := func(err error) (uuid.UUID, bool, error) { return uuid.Nil, false, fmt.Errorf("person: %w", err) }
	if err := tx.keys.Writable(); err != nil {
		return fail(err)
	}
	at := store.Cut(schemas.KnownTime(h.At))
	n := normalisedOf(h)
	o, found, err := tx.findPerson(n, at)
	if err != nil {
		return fail(err)
	}
	if !found && o.ID == uuid.Nil {
		return uuid.Nil, false, nil
	}
	if !found {
		if err := tx.mintOwner(store.OwnerRow{Owner: o, Created: store.Cut(tx.v.clock()),
			Identified: n.object != ""}); err != nil {
			return fail(err)
		}
	}
	for _, use := range []struct{ kind, value, normalised string }{
		{kindObjectID, h.ObjectID, n.object}, {kindUPN, h.UPN, n.upn}, {kindEmail, h.Email, n.email},
		{kindIntuneUserID, h.IntuneID, n.intune},
	} {
		if use.normalised == "" {
			continue
		}
		if err := tx.name(o, use.kind, use.value, at, !found); err != nil {
			return fail(err)
		}
	}
	return o.ID, !found, nil
}

// FindPerson returns the person whom a record names without minting or recording anything; found
// tells whether there is one. ErrErasedSubject as for Person.
func (tx *Tx) FindPerson(h PersonHint) (id uuid.UUID, found bool, err error) {
	o, found, err := tx.findPerson(normalisedOf(h), store.Cut(schemas.KnownTime(h.At)))
	if err != nil {
		return uuid.Nil, false, fmt.Errorf("find person: %w", err)
	}
	if !found {
		return uuid.Nil, false, nil
	}
	return o.ID, true, nil
}

// normalised is a hint as it is looked up; "" for what identifies nobody.
type normalised struct{ object, upn, email, intune string }

func normalisedOf(h PersonHint) normalised {
	return normalised{identifier(kindObjectID, h.ObjectID), identifier(kindUPN, h.UPN),
		identifier(kindEmail, h.Email), identifier(kindIntuneUserID, h.IntuneID)}
}

// findPerson applies the rules of Person. found false with an id: nobody is known, mint that one.
// The zero owner: nothing identifies.
func (tx *Tx) findPerson(n normalised, at time.Time) (o schemas.Owner, found bool, err error) {
	object, upn, email := n.object, n.upn, n.email
	if object == "" && upn == "" && email == "" {
		if n.intune == "" {
			return schemas.Owner{}, false, nil
		}
		return tx.findLinked(n.intune, at)
	}
	if object != "" {
		if gone, err := tx.suppressed(kindObjectID, object, at); err != nil || gone {
			return o, false, orErased(err)
		}
		set, err := tx.identities(kindObjectID, object)
		if err != nil {
			return o, false, err
		}
		if len(set) > 0 {
			return tx.livePerson(set[0].Owner)
		}
		tx.known.RestOn(tx.tag(kindObjectID, object))
	}
	kind, name := kindUPN, upn
	if upn == "" {
		kind, name = kindEmail, email
	}
	if object == "" {
		tx.known.RestOn(tx.tag(kind, name))
	}
	moment := at
	if moment.IsZero() {
		moment = store.Cut(tx.v.clock())
	}
	if at.IsZero() {
		if gone, err := tx.suppressed(kind, name, at); err != nil || gone {
			return o, false, orErased(err)
		}
	}
	if object == "" {
		set, err := tx.identities(kind, name)
		if err != nil {
			return o, false, err
		}
		identified, err := tx.identified(set)
		if err != nil {
			return o, false, err
		}
		holders := set.holders(moment, identified)
		if len(holders) == 1 {
			return tx.livePerson(holders[0])
		}
		if o, found, err := tx.findLinked(n.intune, at); err != nil || found {
			return o, found, err
		}
	}
	// An unknown object id with an erased person's name is taken for that person: it
	// errs towards the erasure.
	for _, n := range [][2]string{{kindUPN, upn}, {kindEmail, email}} {
		if gone, err := tx.suppressed(n[0], n[1], at); err != nil || gone {
			return o, false, orErased(err)
		}
	}
	if object == "" {
		set, err := tx.identities(kind, name)
		if err != nil {
			return o, false, err
		}
		identified, err := tx.identified(set)
		if err != nil {
			return o, false, err
		}
		for i := range set {
			r := &set[i]
			if !identified(r) {
				return tx.livePerson(r.Owner)
			}
		}
	}
	return schemas.Owner{Kind: schemas.OwnerPerson, ID: tx.keys.NewID(keyring.Person)}, false, nil
}

// findLinked returns the one to whom a record linked the service's own id of a user by then; of
// one that no record linked, whom the directory knows by the same id.
func (tx *Tx) findLinked(intune string, at time.Time) (o schemas.Owner, found bool, err error) {
	if intune == "" {
		return o, false, nil
	}
	if at.IsZero() {
		at = store.Cut(tx.v.clock())
	}
	tx.known.RestOn(tx.tag(kindIntuneUserID, intune))
	for _, kind := range []string{kindIntuneUserID, kindObjectID} {
		if gone, err := tx.suppressed(kind, intune, at); err != nil || gone {
			return o, false, orErased(err)
		}
		set, err := tx.identities(kind, intune)
		if err != nil {
			return o, false, err
		}
		holders := set.holders(at, func(*store.IdentityRow) bool { return true })
		if kind == kindObjectID && len(set) > 0 {
			holders = []schemas.Owner{set[0].Owner}
		}
		if len(holders) == 1 {
			return tx.livePerson(holders[0])
		}
		if len(set) > 0 {
			return o, false, nil // it was linked, and to whom at that time nothing says
		}
	}
	return o, false, nil
}

func orErased(err error) error { return cmp.Or(err, ErrErasedSubject) }

func (tx *Tx) livePerson(o schemas.Owner) (schemas.Owner, bool, error) {
	row, err := tx.set.Owner(o)
	if err != nil {
		return o, false, err
	}
	if row == nil {
		return o, false, fmt.Errorf("%w: %w", ErrErasedSubject, ErrErased)
	}
	if err := tx.keys.Alive(row); errors.Is(err, ErrErased) {
		return o, false, fmt.Errorf("%w: %w", ErrErasedSubject, err)
	} else if err != nil {
		return o, false, err
	}
	return o, true, nil
}

// identified returns the predicate of rows whose owner is a person known by an object id. Those
// known by name only hold the name where nobody else does.
func (tx *Tx) identified(set identities) (func(*store.IdentityRow) bool, error) {
	known := map[schemas.Owner]bool{}
	for _, r := range set {
		row, err := tx.set.Owner(r.Owner)
		if err != nil {
			return nil, err
		}
		known[r.Owner] = row != nil && row.Identified
	}
	return func(r *store.IdentityRow) bool { return known[r.Owner] }, nil
}

// mintOwner writes a new owner and the key of class "identity" that stands for its mapping: orders
// of erasure list key uuids, and so name an owner that never had anything sealed.
func (tx *Tx) mintOwner(row store.OwnerRow) error {
	row.State = store.OwnerLive
	var err error
	if row.Slot, _, err = tx.keys.NewOwnerKey(row.Owner); err != nil {
		return err
	}
	if err := tx.set.NewOwner(row); err != nil {
		return err
	}
	_, err = tx.keys.MintSubjectKey(row.Owner, 0, classIdentity)
	return err
}

// PersonMatch is a person who was known under an identifier. To is zero while
// nobody else has taken it over.
type PersonMatch struct {
	ID      uuid.UUID
	One     uuid.UUID // the same for all persons of one subject
	Kind    string    // "object-id", "upn", "email" or "intune-user-id"
	From    time.Time
	To      time.Time
	Current bool // nobody else has taken it over
}

var personKinds = map[string]string{kindObjectID: "object-id", kindUPN: "upn", kindEmail: "email",
	kindIntuneUserID: "intune-user-id"}

// FindPersons lists who is or was known under an object id, UPN, e-mail or Intune user id, the
// latest first. It takes no id of the vault's own: those leave it nowhere, and whoever shows one
// has not shown who they are.
func (tx *Tx) FindPersons(identifierText string) ([]PersonMatch, error) {
	var out []PersonMatch
	for _, kind := range []string{kindObjectID, kindUPN, kindEmail, kindIntuneUserID} {
		n := identifier(kind, identifierText)
		if n == "" {
			return nil, nil
		}
		set, err := tx.identities(kind, n)
		if err != nil {
			return nil, fmt.Errorf("find persons: %w", err)
		}
		for i := range set {
			r := &set[i]
			if gone, err := tx.keys.SlotGone(r.Owner); err != nil {
				return nil, fmt.Errorf("find persons: %w", err)
			} else if gone {
				continue
			}
			one, err := tx.One(r.Owner.ID)
			if err != nil {
				return nil, fmt.Errorf("find persons: %w", err)
			}
			end := set.until(r, func(*store.IdentityRow) bool { return true })
			out = append(out, PersonMatch{ID: r.Owner.ID, One: one, Kind: personKinds[kind], From: r.First, To: end,
				Current: end.IsZero()})
		}
	}
	slices.SortStableFunc(out, func(a, b PersonMatch) int { return b.From.Compare(a.From) })
	return out, nil
}

// NativeValue is what a person is or was called in the sources, and when
// it was first and last seen.
type NativeValue struct {
	Kind  string // "object-id", "upn", "email" or "intune-user-id"
	Value string
	From  time.Time
	To    time.Time
}

// Identity returns the native values of the subject that the person is, for the head of a report
// or package: of each of its persons by kind, then time. ErrNotFound: no such person. ErrErased:
// its erasure has begun.
func (tx *Tx) Identity(person uuid.UUID) ([]NativeValue, error) {
	all, err := tx.Subject(person)
	var out []NativeValue
	for _, p := range all {
		values, nameErr := tx.namesOf(p)
		if err = errors.Join(err, nameErr); err != nil {
			return nil, err
		}
		for _, v := range values {
			same := func(o NativeValue) bool { return o.Kind == v.Kind && o.Value == v.Value }
			if i := slices.IndexFunc(out, same); i >= 0 && len(all) > 1 {
				out[i].From, out[i].To = earlier(out[i].From, v.From), later(out[i].To, v.To)
				continue
			}
			out = append(out, v)
		}
	}
	return out, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (tx *Tx) namesOf(person uuid.UUID) ([]NativeValue, error) {
	o := schemas.Owner{Kind: schemas.OwnerPerson, ID: person}
	fail := func(err error) ([]NativeValue, error) { return nil, fmt.Errorf("identity: %w", err) }
	if err := tx.keys.Fresh(); err != nil {
		return fail(err)
	}
	if _, err := tx.keys.Living(o); err != nil {
		return fail(err)
	}
	rows, err := tx.set.IdentitiesOf(o)
	if err != nil {
		return fail(err)
	}
	var out []NativeValue
	for _, r := range rows {
		raw, err := tx.keys.UnwrapOwned(o, r.ID, r.Kind, r.Value)
		if err != nil {
			return fail(err)
		}
		out = append(out, NativeValue{Kind: personKinds[r.Kind], Value: string(raw), From: r.First, To: r.Last})
	}
	return out, nil
}
