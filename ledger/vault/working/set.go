package working

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// tables are rows by their keys, what is known to be missing too. Rows and lists are never changed
// once they are in one: other transactions may be reading them.
type tables struct {
	owners       map[schemas.Owner]*store.OwnerRow
	names        map[store.Name][]store.IdentityRow // ordered by First, then ID
	suppressions map[string]time.Time               // the zero time: none
	holders      map[uuid.UUID][]store.HoldingRow   // ordered by Generation
	subjectKeys  map[schemas.Owner][]store.SubjectKeyRow
	keys         map[uuid.UUID]*store.SubjectKeyRow
	periods      map[period]*store.PeriodKeyRow // with the zero one, all
	aliases      map[uuid.UUID]*store.AliasRow
	mappings     map[string]*store.MappingRow
	concerned    map[uuid.UUID][]store.MappingRow // ordered by Hash
	streamKeys   map[uuid.UUID]*store.StreamKeyRow
	slots        map[store.Slot]store.SlotRow // of this transaction alone: they may be overwritten any time
}

type period struct{ class, month string }

func newTables() *tables {
	return &tables{owners: map[schemas.Owner]*store.OwnerRow{}, names: map[store.Name][]store.IdentityRow{},
		suppressions: map[string]time.Time{}, holders: map[uuid.UUID][]store.HoldingRow{},
		subjectKeys: map[schemas.Owner][]store.SubjectKeyRow{}, keys: map[uuid.UUID]*store.SubjectKeyRow{},
		periods: map[period]*store.PeriodKeyRow{}, aliases: map[uuid.UUID]*store.AliasRow{},
		mappings: map[string]*store.MappingRow{}, concerned: map[uuid.UUID][]store.MappingRow{},
		streamKeys: map[uuid.UUID]*store.StreamKeyRow{}, slots: map[store.Slot]store.SlotRow{}}
}

func (t *tables) size() int {
	return len(t.owners) + len(t.names) + len(t.suppressions) + len(t.holders) + len(t.subjectKeys) + len(t.keys) +
		len(t.aliases) + len(t.mappings) + len(t.concerned) + len(t.streamKeys)
}

// Set is the rows of one tenant that one transaction works on: it reads each once, and what it
// puts it stores when it is flushed. Use it from one goroutine at a time.
type Set struct {
	rows   store.Rows // nil in an optimistic transaction until that is stored
	read   Reader     // of an optimistic one
	write  bool
	tenant uuid.UUID
	shared *Shared
	begun  time.Time
	count  uint64 // of the tenant's changes, when the transaction began
	alone  bool   // what others read counts no longer: this transaction deleted rows
	kept   *Kept  // where the rows are, once they are shared

	local   *tables
	put     store.Batch     // not yet stored: what the store answers is overlaid with it
	drop    [][]byte        // hashes of mappings not yet deleted
	moved   map[string]bool // hashes of mappings in put or drop
	fills   []fill          // of slots not yet given
	after   []func(store.Rows) error
	ahead   map[schemas.Owner]bool
	expect  int   // so many names may be put
	changed bool  // rows were stored
	err     error // of the store: the transaction is over
}

// Begin returns the working set of a transaction of the tenant. changes is what the store's
// setting store.Changes holds.
func Begin(rows store.Rows, write bool, tenant uuid.UUID, changes []byte, shared *Shared) *Set {
	s := &Set{rows: rows, write: write, tenant: tenant, shared: shared, begun: shared.clock(), local: newTables(),
		moved: map[string]bool{}, ahead: map[schemas.Owner]bool{}, kept: &Kept{}}
	if len(changes) == 8 {
		s.count = binary.BigEndian.Uint64(changes)
	}
	return s
}

// find returns what is known of a key.
func find[K comparable, V any](s *Set, of func(*tables) map[K]V, k K) (V, bool) {
	if v, ok := of(s.local)[k]; ok {
		return v, true
	}
	var none V
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	h := s.sharedRows()
	if h == nil {
		return none, false
	}
	v, ok := of(h.tables)[k]
	return v, ok
}

// get is find, after asking the store for what is not known.
func get[K comparable, V any](s *Set, of func(*tables) map[K]V, k K, ask func() store.Keys) (V, error) {
	v, ok := find(s, of, k)
	if ok || s.err != nil {
		return v, s.err
	}
	if err := s.Fetch(ask()); err != nil {
		return v, err
	}
	return of(s.local)[k], nil
}

func owners(t *tables) map[schemas.Owner]*store.OwnerRow            { return t.owners }
func names(t *tables) map[store.Name][]store.IdentityRow            { return t.names }
func suppressions(t *tables) map[string]time.Time                   { return t.suppressions }
func holders(t *tables) map[uuid.UUID][]store.HoldingRow            { return t.holders }
func subjectKeys(t *tables) map[schemas.Owner][]store.SubjectKeyRow { return t.subjectKeys }
func keys(t *tables) map[uuid.UUID]*store.SubjectKeyRow             { return t.keys }
func periods(t *tables) map[period]*store.PeriodKeyRow              { return t.periods }
func aliases(t *tables) map[uuid.UUID]*store.AliasRow               { return t.aliases }
func mappings(t *tables) map[string]*store.MappingRow               { return t.mappings }
func concerned(t *tables) map[uuid.UUID][]store.MappingRow          { return t.concerned }
func streamKeys(t *tables) map[uuid.UUID]*store.StreamKeyRow        { return t.streamKeys }

// unknown returns those of the keys that are not known, each once, and notes for each that there
// is nothing: what the store returns then says otherwise.
func unknown[K comparable, V, A any](s *Set, of func(*tables) map[K]V, asked []A, key func(A) K) (out []A) {
	if len(asked) == 0 {
		return nil
	}
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	var none V
	var shared map[K]V
	if h := s.sharedRows(); h != nil {
		shared = of(h.tables)
	}
	local := of(s.local)
	for _, a := range asked {
		k := key(a)
		if _, ok := local[k]; ok {
			continue
		}
		if _, ok := shared[k]; !ok {
			local[k] = none
			out = append(out, a)
		}
	}
	return out
}

func itself[K any](k K) K { return k }

func text(b []byte) string { return string(b) }

// Fetch asks the store, at once, for the rows of the keys that are not known yet.
func (s *Set) Fetch(k store.Keys) error {
	if s.err != nil {
		return s.err
	}
	_, all := find(s, periods, period{})
	ask := store.Keys{
		Owners:        unknown(s, owners, k.Owners, itself),
		Names:         unknown(s, names, k.Names, itself),
		Holders:       unknown(s, holders, k.Holders, itself),
		SubjectKeys:   unknown(s, subjectKeys, k.SubjectKeys, itself),
		SubjectKeyIDs: unknown(s, keys, k.SubjectKeyIDs, itself),
		Periods:       k.Periods && !all,
		Aliases:       unknown(s, aliases, k.Aliases, itself),
		Mappings:      unknown(s, mappings, k.Mappings, text),
		MappingsOf:    unknown(s, concerned, k.MappingsOf, itself),
		StreamKeys:    unknown(s, streamKeys, k.StreamKeys, itself),
		Suppressions:  unknown(s, suppressions, k.Suppressions, text),
	}
	if len(ask.Owners)+len(ask.Names)+len(ask.Holders)+len(ask.SubjectKeys)+len(ask.SubjectKeyIDs)+
		len(ask.Aliases)+len(ask.Mappings)+len(ask.MappingsOf)+len(ask.StreamKeys)+len(ask.Suppressions) == 0 &&
		!ask.Periods {
		return nil
	}
	b, err := s.ask(ask)
	if err != nil {
		return err
	}
	s.take(ask, b)
	s.overlay(ask)
	return nil
}

// ask asks the store, which does not know what was put since the last flush.
func (s *Set) ask(k store.Keys) (b store.Batch, err error) {
	s.err = s.reading(func(rows store.Rows) (err error) {
		b, err = rows.Fetch(k)
		return err
	})
	return b, s.err
}

// take puts what was asked for into the tables. A row that comes by another key than the one it is
// asked by here may be older than what this transaction put: it does not count.
func (s *Set) take(ask store.Keys, b store.Batch) {
	t := s.local
	for i, r := range b.Owners {
		if t.owners[r.Owner] == nil {
			t.owners[r.Owner] = &b.Owners[i]
		}
	}
	for _, r := range b.Identities {
		n := store.Name{Kind: r.Kind, Hash: string(r.Hash)}
		t.names[n] = append(t.names[n], r)
	}
	for _, n := range ask.Names {
		slices.SortFunc(t.names[n], byFirst)
	}
	for _, r := range b.Holdings {
		t.holders[r.Device] = append(t.holders[r.Device], r)
	}
	for _, d := range ask.Holders {
		slices.SortFunc(t.holders[d], byGeneration)
	}
	of := make(map[schemas.Owner]bool, len(ask.SubjectKeys))
	for _, o := range ask.SubjectKeys {
		of[o] = true
	}
	for i, r := range b.SubjectKeys {
		if of[r.Owner] && r.State != store.KeyDestroyed && !slices.ContainsFunc(t.subjectKeys[r.Owner],
			func(k store.SubjectKeyRow) bool { return k.ID == r.ID }) {
			t.subjectKeys[r.Owner] = append(t.subjectKeys[r.Owner], r)
		}
		if t.keys[r.ID] == nil {
			t.keys[r.ID] = &b.SubjectKeys[i]
		}
	}
	for _, o := range ask.SubjectKeys {
		slices.SortFunc(t.subjectKeys[o], byClass)
	}
	if ask.Periods {
		for i, r := range b.PeriodKeys {
			t.periods[period{r.Class, r.Month}] = &b.PeriodKeys[i]
		}
		t.periods[period{}] = nil
	}
	for i, r := range b.Aliases {
		t.aliases[r.ID] = &b.Aliases[i]
	}
	asked := make(map[uuid.UUID]bool, len(ask.MappingsOf))
	for _, u := range ask.MappingsOf {
		asked[u] = true
	}
	for i, r := range b.Mappings {
		if asked[r.Concerned] && !slices.ContainsFunc(t.concerned[r.Concerned],
			func(m store.MappingRow) bool { return bytes.Equal(m.Hash, r.Hash) }) {
			t.concerned[r.Concerned] = append(t.concerned[r.Concerned], r)
		}
		if h := string(r.Hash); t.mappings[h] == nil && !s.moved[h] {
			t.mappings[h] = &b.Mappings[i]
		}
	}
	for _, u := range ask.MappingsOf {
		slices.SortFunc(t.concerned[u], byHash)
	}
	for i, r := range b.StreamKeys {
		t.streamKeys[r.Stream] = &b.StreamKeys[i]
	}
	for _, r := range b.Suppressions {
		t.suppressions[string(r.Hash)] = r.Erased
	}
	for _, r := range b.Slots {
		t.slots[r.Slot] = r
	}
}

func byFirst(a, b store.IdentityRow) int {
	return cmp.Or(a.First.Compare(b.First), bytes.Compare(a.ID[:], b.ID[:]))
}

func byGeneration(a, b store.HoldingRow) int { return cmp.Compare(a.Generation, b.Generation) }

func byClass(a, b store.SubjectKeyRow) int {
	return cmp.Or(cmp.Compare(a.Generation, b.Generation), strings.Compare(a.Class, b.Class))
}

func byHash(a, b store.MappingRow) int { return bytes.Compare(a.Hash, b.Hash) }

// replaced returns a copy of the list with the row in place of the one that is the same, or added.
func replaced[T any](list []T, row T, same func(a, b *T) bool, order func(a, b T) int) []T {
	out := make([]T, 0, len(list)+1)
	for i := range list {
		if !same(&list[i], &row) {
			out = append(out, list[i])
		}
	}
	out = append(out, row)
	slices.SortFunc(out, order)
	return out
}

// Ahead names an owner that the transaction is about: what it asks of one of them is fetched of
// all.
func (s *Set) Ahead(o schemas.Owner) { s.ahead[o] = true }

// Expect says how many names may be put: room for them is made at once.
func (s *Set) Expect(names int) { s.expect = names }

// aheadOf returns the owners to ask for where one of them is.
func (s *Set) aheadOf(o schemas.Owner) []schemas.Owner {
	if !s.ahead[o] {
		return []schemas.Owner{o}
	}
	all := make([]schemas.Owner, 0, len(s.ahead))
	for o := range s.ahead {
		all = append(all, o)
	}
	return all
}

// idsAhead is aheadOf, by the ids.
func (s *Set) idsAhead(o schemas.Owner) []uuid.UUID {
	all := s.aheadOf(o)
	out := make([]uuid.UUID, len(all))
	for i, o := range all {
		out[i] = o.ID
	}
	return out
}
