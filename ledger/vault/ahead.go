package vault

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/working"
	"github.com/ledgerline/ledgerline/schemas"
)

// Ahead is what a transaction is about to ask for.
type Ahead struct {
	Devices []DeviceHint
	Persons []PersonHint
	IDs     []string // for which streams may be waiting
	Aliases []uuid.UUID
	Tokens  []schemas.Token // whose aliases
	Streams []Mapped        // of which their keys too
}

// Mapped is what a stream is found by: its kind, and what its record is told apart by.
type Mapped struct {
	Kind      string
	Canonical []byte
}

// Looked is what a transaction has asked for by LookAhead, for one that will ask for the same: it
// need not find out once more what that is. It holds names of persons and devices, as what they
// are looked for by does: drop it with that.
type Looked struct {
	tenant uuid.UUID
	hashes hashes
	keys   store.Keys
	owners []schemas.Owner // of whom it is
	kept   *working.Kept   // of what was read
}

// LookAhead asks the store for what the transaction is about to ask for, of all at once. It
// changes no answer: without it, each costs a trip of its own.
func (tx *Tx) LookAhead(a Ahead) error {
	_, err := tx.Look(a)
	return err
}

// Look is LookAhead, for who will look once more, in a later transaction.
func (tx *Tx) Look(a Ahead) (*Looked, error) {
	keys := store.Keys{Periods: true, Aliases: named(a)}
	keys.Names = make([]store.Name, 0, 2*len(a.Devices)+4*len(a.Persons))
	keys.Suppressions = make([][]byte, 0, cap(keys.Names))
	if len(tx.hashes) == 0 {
		tx.hashes = make(hashes, cap(keys.Names))
	}
	add := func(kind, value string) {
		if n := identifier(kind, value); n != "" {
			name := tx.lookup(kind, n)
			keys.Names = append(keys.Names, name)
			keys.Suppressions = append(keys.Suppressions, []byte(name.Hash))
		}
	}
	for _, h := range a.Devices {
		add(kindIntuneID, h.IntuneID)
		add(kindDirectoryID, h.DirectoryID)
	}
	for _, h := range a.Persons {
		add(kindObjectID, h.ObjectID)
		add(kindUPN, h.UPN)
		add(kindEmail, h.Email)
		add(kindIntuneUserID, h.IntuneID)
	}
	for _, id := range a.IDs {
		if !schemas.Junk(id) {
			keys.MappingsOf = append(keys.MappingsOf, tx.awaited(id))
		}
	}
	for _, m := range a.Streams {
		keys.Mappings = append(keys.Mappings, tx.recordHash(m.Kind, string(m.Canonical)))
	}
	l := &Looked{tenant: tx.tenant, hashes: tx.hashes, keys: keys, kept: tx.set.Kept()}
	return l, tx.fetch(l)
}

// LookAgain is LookAhead for what an earlier transaction, that has committed, looked for. Where
// all that it read still counts, it asks for nothing.
func (tx *Tx) LookAgain(l *Looked) error {
	if l.tenant != tx.tenant {
		return errors.New("what was looked for is another tenant's")
	}
	tx.hashes = l.hashes
	tx.set.Expect(len(l.keys.Names))
	if !tx.set.Has(l.kept) {
		return tx.fetch(l)
	}
	for _, o := range l.owners {
		tx.set.Ahead(o)
	}
	return nil
}

// WaitingFor lists the streams of those kinds that wait for an id that was looked for, or for whom
// was found by one. It adopts none of them, as Awaiting does.
func (tx *Tx) WaitingFor(l *Looked, kinds []string) (out []schemas.Stream, err error) {
	concerned := slices.Clone(l.keys.MappingsOf)
	for _, o := range l.owners {
		concerned = append(concerned, o.ID)
	}
	for _, c := range concerned {
		rows, err := tx.set.MappingsOf(c)
		if err != nil {
			return nil, fmt.Errorf("who waits for an id: %w", err)
		}
		for _, r := range rows {
			if slices.Contains(kinds, r.Stream.Kind()) {
				out = append(out, r.Stream)
			}
		}
	}
	return out, nil
}

// fetch asks the store, and notes whose it is.
func (tx *Tx) fetch(l *Looked) error {
	l.owners = l.owners[:0]
	if err := tx.set.Fetch(l.keys); err != nil {
		return err
	}
	// What follows from the names: what is whose they are, and of devices who has them now.
	var next store.Keys
	seen := map[schemas.Owner]bool{}
	for _, n := range l.keys.Names {
		rows, err := tx.set.Identities(n)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if seen[r.Owner] {
				continue
			}
			seen[r.Owner] = true
			l.owners = append(l.owners, r.Owner)
			next.MappingsOf = append(next.MappingsOf, r.Owner.ID)
			if r.Owner.Kind != schemas.OwnerDevice {
				continue
			}
			next.StreamKeys = append(next.StreamKeys, r.Owner.ID)
			row, err := tx.set.Owner(r.Owner)
			if err != nil {
				return err
			}
			if row != nil && row.User != uuid.Nil {
				user := schemas.Owner{Kind: schemas.OwnerPerson, ID: row.User}
				l.owners = append(l.owners, user)
				next.Owners = append(next.Owners, user)
			}
		}
	}
	for _, hash := range l.keys.Mappings {
		row, err := tx.set.Mapping(hash)
		if err != nil {
			return err
		}
		if row != nil {
			next.StreamKeys = append(next.StreamKeys, row.Stream.UUID())
		}
	}
	for _, o := range l.owners {
		tx.set.Ahead(o)
	}
	return tx.set.Fetch(next)
}

// named returns the aliases, those of tokens too.
func named(a Ahead) []uuid.UUID {
	out, seen := a.Aliases, map[schemas.Token]bool{}
	for _, t := range a.Tokens {
		naming := t.Naming()
		if naming == "" || seen[naming] {
			continue
		}
		seen[naming] = true
		if h, _, err := t.Parse(); err == nil {
			out = append(out, h.Alias)
		}
	}
	return out
}
