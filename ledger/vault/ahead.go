package vault

import (
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// Ahead is what a transaction is about to ask for.
type Ahead struct {
	Devices []DeviceHint
	Persons []PersonHint
	IDs     []string // for which streams may be waiting
	Aliases []uuid.UUID
	Tokens  []schemas.Token // whose aliases
}

// LookAhead asks the store for what the transaction is about to ask for, of all at once. It
// changes no answer: without it, each costs a trip of its own.
func (tx *Tx) LookAhead(a Ahead) error {
	keys := store.Keys{Periods: true, Aliases: named(a)}
	keys.Names = make([]store.Name, 0, 2*len(a.Devices)+3*len(a.Persons))
	keys.Suppressions = make([][]byte, 0, cap(keys.Names))
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
	}
	for _, id := range a.IDs {
		if !schemas.Junk(id) {
			keys.MappingsOf = append(keys.MappingsOf, tx.awaited(id))
		}
	}
	if err := tx.set.Fetch(keys); err != nil {
		return err
	}
	// What follows from the names: what is whose they are, and of devices who has them now.
	var next store.Keys
	seen := map[schemas.Owner]bool{}
	for _, n := range keys.Names {
		rows, err := tx.set.Identities(n)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if seen[r.Owner] {
				continue
			}
			seen[r.Owner] = true
			tx.set.Ahead(r.Owner)
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
				tx.set.Ahead(user)
				next.Owners = append(next.Owners, user)
			}
		}
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
