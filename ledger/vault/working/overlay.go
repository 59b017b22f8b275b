package working

import (
	"bytes"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

// This file brings what a transaction has put, and not yet stored, into what the store answers. A
// list of which all rows are known is changed as rows are put; one that is asked for later comes
// from the store without them.

func sameIdentity(a, b *store.IdentityRow) bool { return a.ID == b.ID }

func sameHolding(a, b *store.HoldingRow) bool {
	return a.Device == b.Device && a.Generation == b.Generation
}

func sameKey(a, b *store.SubjectKeyRow) bool { return a.ID == b.ID }

func sameAlias(a, b *store.AliasRow) bool { return a.ID == b.ID }

func sameMapping(a, b *store.MappingRow) bool { return bytes.Equal(a.Hash, b.Hash) }

// overlaid returns the rows that the store answered with those that were put since in place of
// older ones, in any order. named tells which of them the question names.
func overlaid[T any](rows, put []T, same func(a, b *T) bool, named func(*T) bool) []T {
	for i := range put {
		at := -1
		for k := range rows {
			if same(&rows[k], &put[i]) {
				at = k
				break
			}
		}
		switch {
		case at >= 0 && named(&put[i]):
			rows[at] = put[i]
		case at >= 0:
			rows = append(rows[:at], rows[at+1:]...)
		case named(&put[i]):
			rows = append(rows, put[i])
		}
	}
	return rows
}

// among returns which keys were asked for, nil where that is not needed: nothing was put.
func among[K comparable](asked []K, put int) map[K]bool {
	if put == 0 || len(asked) == 0 {
		return nil
	}
	out := make(map[K]bool, len(asked))
	for _, k := range asked {
		out[k] = true
	}
	return out
}

// overlay is overlaid, of the lists that have just been taken into the tables.
func (s *Set) overlay(ask store.Keys) {
	t := s.local
	if asked := among(ask.Names, len(s.put.Identities)); asked != nil {
		for _, r := range s.put.Identities {
			if n := (store.Name{Kind: r.Kind, Hash: string(r.Hash)}); asked[n] {
				t.names[n] = replaced(t.names[n], r, sameIdentity, byFirst)
			}
		}
	}
	if asked := among(ask.Holders, len(s.put.Holdings)); asked != nil {
		for _, r := range s.put.Holdings {
			if asked[r.Device] {
				t.holders[r.Device] = replaced(t.holders[r.Device], r, sameHolding, byGeneration)
			}
		}
	}
	if asked := among(ask.SubjectKeys, len(s.put.SubjectKeys)); asked != nil {
		for _, r := range s.put.SubjectKeys {
			if asked[r.Owner] {
				t.subjectKeys[r.Owner] = replaced(t.subjectKeys[r.Owner], r, sameKey, byClass)
			}
		}
	}
	if ask.Periods {
		for i, r := range s.put.PeriodKeys {
			t.periods[period{r.Class, r.Month}] = &s.put.PeriodKeys[i]
		}
	}
	for _, h := range ask.Suppressions {
		for _, r := range s.put.Suppressions {
			if bytes.Equal(r.Hash, h) && r.Erased.After(t.suppressions[string(h)]) {
				t.suppressions[string(h)] = r.Erased
			}
		}
	}
	if asked := among(ask.MappingsOf, len(s.moved)); asked != nil {
		s.overlayMappings(asked)
	}
}

// overlayMappings is overlay, of mappings: one that is put may have moved from one list to
// another.
func (s *Set) overlayMappings(asked map[uuid.UUID]bool) {
	t := s.local
	for who := range asked {
		var left []store.MappingRow
		for _, m := range t.concerned[who] {
			if !s.moved[string(m.Hash)] {
				left = append(left, m)
			}
		}
		t.concerned[who] = left
	}
	for h := range s.moved {
		if m := t.mappings[h]; m != nil && asked[m.Concerned] {
			t.concerned[m.Concerned] = replaced(t.concerned[m.Concerned], *m, sameMapping, byHash)
		}
	}
}
