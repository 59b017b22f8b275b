package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file asks for many rows in one statement, and stores many.

// chunks are how many keys a statement asks for: few sizes, so that each is prepared once.
var chunks = []int{256, 64, 16, 4, 1}

// chunk returns the largest that n fills.
func chunk(n int) int {
	for _, c := range chunks {
		if c <= n {
			return c
		}
	}
	return 1
}

// each asks for the rows of many keys. The query ends in "IN (", head are its first arguments.
func each[K any](r *rows, query string, head []any, keys []K, arg func([]any, K) []any,
	take func(scan func(...any) error) error) error {
	if err := r.ready(); err != nil {
		return err
	}
	args := make([]any, 0, len(head)+min(len(keys), chunks[0]))
	for len(keys) > 0 {
		n := chunk(len(keys))
		args = append(args[:0], head...)
		for _, k := range keys[:n] {
			args = arg(args, k)
		}
		keys = keys[n:]
		if err := r.query(shape{query, n}, args, take); err != nil {
			return err
		}
	}
	return nil
}

func (r *rows) query(s shape, args []any, take func(scan func(...any) error) error) (err error) {
	st, err := r.c.shaped(s)
	if err != nil {
		return err
	}
	found, err := st.QueryContext(context.Background(), args...)
	if err != nil {
		return translate(err)
	}
	for found.Next() {
		if err := take(found.Scan); err != nil {
			_ = found.Close() // what could not be read is the error
			return translate(err)
		}
	}
	// At the end of the rows, Next has closed them.
	return translate(found.Err())
}

// into appends rows to a list.
func into[T any](list *[]T, dest func(*T) []any) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		*list = append(*list, *new(T))
		return scan(dest(&(*list)[len(*list)-1])...)
	}
}

func argOf[K any](of func(K) any) func([]any, K) []any {
	return func(args []any, k K) []any { return append(args, of(k)) }
}

var byID = argOf(func(u uuid.UUID) any { return u[:] })
var byHash = argOf(func(h []byte) any { return h })
var byOwner = argOf(func(o schemas.Owner) any { return o.ID[:] })

// byKind groups owners by their kind, which is a column of its own, each once.
func byKind(all []schemas.Owner) (out [][]schemas.Owner) {
	all = slices.SortedFunc(slices.Values(all), func(a, b schemas.Owner) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.ID[:], b.ID[:]))
	})
	all = slices.Compact(all)
	from := 0
	for i := range all {
		if i+1 == len(all) || all[i+1].Kind != all[i].Kind {
			out = append(out, all[from:i+1])
			from = i + 1
		}
	}
	return out
}

const (
	ownerColumns      = "kind, id, state, created, identified, ownership, user, generation, slot"
	identityColumns   = "id, owner_kind, owner, kind, hash, value_epoch, value, first, last"
	holdingColumns    = "device, generation, ownership, person, since, until"
	subjectKeyColumns = "id, owner_kind, owner, generation, class, key_epoch, key, state"
	periodKeyColumns  = "id, class, month, key_epoch, key, destroyed, slot"
	aliasColumns      = "id, subject_key, class, month, state"
	mappingColumns    = "hash, stream, concerned"
	streamKeyColumns  = "stream, key_epoch, key, slot"
)

func ownerDest(o *store.OwnerRow) []any {
	return []any{&o.Owner.Kind, idCol{&o.Owner.ID}, &o.State, timeCol{&o.Created}, &o.Identified, &o.Ownership,
		idCol{&o.User}, &o.Generation, &o.Slot}
}

func identityDest(i *store.IdentityRow) []any {
	return []any{idCol{&i.ID}, &i.Owner.Kind, idCol{&i.Owner.ID}, &i.Kind, &i.Hash, &i.Value.Epoch, &i.Value.Bytes,
		timeCol{&i.First}, timeCol{&i.Last}}
}

func holdingDest(h *store.HoldingRow) []any {
	return []any{idCol{&h.Device}, &h.Generation, &h.Ownership, idCol{&h.Person}, timeCol{&h.From}, timeCol{&h.To}}
}

func subjectKeyDest(k *store.SubjectKeyRow) []any {
	return []any{idCol{&k.ID}, &k.Owner.Kind, idCol{&k.Owner.ID}, &k.Generation, &k.Class, &k.Key.Epoch,
		&k.Key.Bytes, &k.State}
}

func periodKeyDest(k *store.PeriodKeyRow) []any {
	return []any{idCol{&k.ID}, &k.Class, &k.Month, &k.Key.Epoch, &k.Key.Bytes, &k.Destroyed, &k.Slot}
}

func aliasDest(a *store.AliasRow) []any {
	return []any{idCol{&a.ID}, idCol{&a.SubjectKey}, &a.Class, &a.Month, &a.State}
}

func mappingDest(m *store.MappingRow) []any {
	return []any{&m.Hash, &m.Stream, idCol{&m.Concerned}}
}

func streamKeyDest(k *store.StreamKeyRow) []any {
	return []any{idCol{&k.Stream}, &k.Key.Epoch, &k.Key.Bytes, &k.Slot}
}

func suppressionDest(s *store.SuppressionRow) []any { return []any{&s.Hash, timeCol{&s.Erased}} }

// Fetch implements store.Rows.
func (r *rows) Fetch(k store.Keys) (b store.Batch, err error) {
	if err := r.ready(); err != nil {
		return b, err
	}
	tenant := []any{r.t()}
	names := map[string][][]byte{}
	for _, n := range k.Names {
		names[n.Kind] = append(names[n.Kind], []byte(n.Hash))
	}
	for kind, hashes := range names {
		if err := each(r, "SELECT "+identityColumns+" FROM identity WHERE tenant = ? AND kind = ? AND hash IN (",
			[]any{r.t(), kind}, hashes, byHash, into(&b.Identities, identityDest)); err != nil {
			return b, err
		}
	}
	follow := slices.Clone(k.Owners)
	for _, i := range b.Identities {
		follow = append(follow, i.Owner)
	}
	for _, of := range byKind(k.IdentitiesOf) {
		if err := each(r, "SELECT "+identityColumns+
			" FROM identity INDEXED BY identity_by_owner WHERE tenant = ? AND owner_kind = ? AND owner IN (",
			[]any{r.t(), string(of[0].Kind)}, of, byOwner, into(&b.Identities, identityDest)); err != nil {
			return b, err
		}
	}
	if err := each(r, "SELECT "+aliasColumns+" FROM alias WHERE tenant = ? AND id IN (",
		tenant, k.Aliases, byID, into(&b.Aliases, aliasDest)); err != nil {
		return b, err
	}
	keys := slices.Clone(k.SubjectKeyIDs)
	for _, a := range b.Aliases {
		if a.State == store.AliasLive {
			keys = append(keys, a.SubjectKey)
		}
	}
	if err := each(r, "SELECT "+subjectKeyColumns+" FROM subject_key WHERE tenant = ? AND id IN (",
		tenant, keys, byID, into(&b.SubjectKeys, subjectKeyDest)); err != nil {
		return b, err
	}
	for _, k := range b.SubjectKeys {
		follow = append(follow, k.Owner)
	}
	for _, of := range byKind(k.SubjectKeys) {
		if err := each(r, "SELECT "+subjectKeyColumns+
			" FROM subject_key INDEXED BY subject_key_by_owner WHERE tenant = ? AND owner_kind = ? AND state < 3 "+
			"AND owner IN (",
			[]any{r.t(), string(of[0].Kind)}, of, byOwner, into(&b.SubjectKeys, subjectKeyDest)); err != nil {
			return b, err
		}
	}
	if k.Periods {
		if err := r.query(shape{"SELECT " + periodKeyColumns + " FROM period_key WHERE tenant = ?", 0},
			tenant, into(&b.PeriodKeys, periodKeyDest)); err != nil {
			return b, err
		}
	}
	for _, of := range []struct {
		query string
		keys  []uuid.UUID
		take  func(func(...any) error) error
	}{
		{holdingColumns + " FROM holding WHERE tenant = ? AND device", k.Holders, into(&b.Holdings, holdingDest)},
		{holdingColumns + " FROM holding INDEXED BY holding_by_person WHERE tenant = ? AND person", k.Holdings,
			into(&b.Holdings, holdingDest)},
		{aliasColumns + " FROM alias INDEXED BY alias_by_key WHERE tenant = ? AND state = 1 AND subject_key",
			k.AliasesOf, into(&b.Aliases, aliasDest)},
		{mappingColumns + " FROM mapping INDEXED BY mapping_by_concerned WHERE tenant = ? AND concerned",
			k.MappingsOf, into(&b.Mappings, mappingDest)},
		{streamKeyColumns + " FROM stream_key WHERE tenant = ? AND stream", k.StreamKeys,
			into(&b.StreamKeys, streamKeyDest)},
	} {
		if err := each(r, "SELECT "+of.query+" IN (", tenant, of.keys, byID, of.take); err != nil {
			return b, err
		}
	}
	if err := each(r, "SELECT "+mappingColumns+" FROM mapping WHERE tenant = ? AND hash IN (",
		tenant, k.Mappings, byHash, into(&b.Mappings, mappingDest)); err != nil {
		return b, err
	}
	if err := each(r, "SELECT hash, erased FROM suppression WHERE tenant = ? AND hash IN (",
		tenant, k.Suppressions, byHash, into(&b.Suppressions, suppressionDest)); err != nil {
		return b, err
	}
	for _, of := range byKind(follow) {
		if err := each(r, "SELECT "+ownerColumns+" FROM owner WHERE tenant = ? AND kind = ? AND id IN (",
			[]any{r.t(), string(of[0].Kind)}, of, byOwner, into(&b.Owners, ownerDest)); err != nil {
			return b, err
		}
	}
	return b, r.heldBy(&b)
}

// heldBy adds what the slots of the batch hold.
func (r *rows) heldBy(b *store.Batch) error {
	var all []store.Slot
	for _, o := range b.Owners {
		all = append(all, o.Slot)
	}
	for _, k := range b.PeriodKeys {
		all = append(all, k.Slot)
	}
	for _, k := range b.StreamKeys {
		all = append(all, k.Slot)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > 0 && all[0] == 0 {
		all = all[1:]
	}
	ahead := r.file.ahead()
	for _, n := range all {
		held, err := r.slot(n, ahead.read)
		b.Slots = append(b.Slots, store.SlotRow{Slot: n, Held: held, Err: err})
	}
	return nil
}

// table says how rows of one kind are stored.
type table[T any] struct {
	text string // of the statement that stores one
	args func(args []any, tenant any, row *T) []any
}

func newTable[T any](name, columns, conflict string, args func([]any, any, *T) []any) table[T] {
	n := strings.Count(columns, ",") + 2
	return table[T]{text: "INSERT INTO " + name + " (tenant, " + columns + ") VALUES (?" +
		strings.Repeat(", ?", n-1) + ") ON CONFLICT " + conflict, args: args}
}

var (
	ownerTable = newTable("owner", ownerColumns, `DO UPDATE SET state = excluded.state, created = excluded.created,
		identified = excluded.identified, ownership = excluded.ownership, user = excluded.user,
		generation = excluded.generation, slot = excluded.slot`,
		func(a []any, t any, o *store.OwnerRow) []any {
			return append(a, t, string(o.Owner.Kind), o.Owner.ID[:], int64(o.State), ms(o.Created), o.Identified,
				o.Ownership, o.User[:], int64(o.Generation), int64(o.Slot))
		})
	// Whose it is stays: each name that is seen again would move its row in the index too.
	identityTable = newTable("identity", identityColumns, `DO UPDATE SET value_epoch = excluded.value_epoch,
		value = excluded.value, first = excluded.first, last = excluded.last`,
		func(a []any, t any, i *store.IdentityRow) []any {
			return append(a, t, i.ID[:], string(i.Owner.Kind), i.Owner.ID[:], i.Kind, blob(i.Hash),
				int64(i.Value.Epoch), blob(i.Value.Bytes), ms(i.First), ms(i.Last))
		})
	holdingTable = newTable("holding", holdingColumns, `DO UPDATE SET ownership = excluded.ownership,
		person = excluded.person, since = excluded.since, until = excluded.until`,
		func(a []any, t any, h *store.HoldingRow) []any {
			return append(a, t, h.Device[:], int64(h.Generation), h.Ownership, h.Person[:], ms(h.From), ms(h.To))
		})
	subjectKeyTable = newTable("subject_key", subjectKeyColumns, `(tenant, id) DO UPDATE SET
		owner_kind = excluded.owner_kind, owner = excluded.owner, generation = excluded.generation,
		class = excluded.class, key_epoch = excluded.key_epoch, key = excluded.key, state = excluded.state`,
		func(a []any, t any, k *store.SubjectKeyRow) []any {
			return append(a, t, k.ID[:], string(k.Owner.Kind), k.Owner.ID[:], int64(k.Generation), k.Class,
				int64(k.Key.Epoch), blob(k.Key.Bytes), int64(k.State))
		})
	periodKeyTable = newTable("period_key", periodKeyColumns, `DO UPDATE SET id = excluded.id,
		key_epoch = excluded.key_epoch, key = excluded.key, destroyed = excluded.destroyed, slot = excluded.slot`,
		func(a []any, t any, k *store.PeriodKeyRow) []any {
			return append(a, t, k.ID[:], k.Class, k.Month, int64(k.Key.Epoch), blob(k.Key.Bytes), k.Destroyed,
				int64(k.Slot))
		})
	// The column takes no NULL: under another subject key, the statement fails.
	aliasTable = newTable("alias", aliasColumns, `DO UPDATE SET subject_key = NULL
		WHERE subject_key <> excluded.subject_key`,
		func(a []any, t any, r *store.AliasRow) []any {
			return append(a, t, r.ID[:], r.SubjectKey[:], r.Class, r.Month, int64(r.State))
		})
	mappingTable = newTable("mapping", mappingColumns, `DO UPDATE SET stream = excluded.stream,
		concerned = excluded.concerned`,
		func(a []any, t any, m *store.MappingRow) []any {
			return append(a, t, blob(m.Hash), string(m.Stream), m.Concerned[:])
		})
	streamKeyTable = newTable("stream_key", streamKeyColumns, `DO UPDATE SET key_epoch = excluded.key_epoch,
		key = excluded.key, slot = excluded.slot`,
		func(a []any, t any, k *store.StreamKeyRow) []any {
			return append(a, t, k.Stream[:], int64(k.Key.Epoch), blob(k.Key.Bytes), int64(k.Slot))
		})
	suppressionTable = newTable("suppression", "hash, erased", "DO UPDATE SET erased = max(erased, excluded.erased)",
		func(a []any, t any, s *store.SuppressionRow) []any {
			return append(a, t, blob(s.Hash), ms(s.Erased))
		})
)

// put stores the rows, each by a statement of its own. One of many rows may fail between two of
// them, so that SQLite copies every page before it changes it: that costs more than the
// statements.
func put[T any](r *rows, t *table[T], all []T) error {
	if len(all) == 0 {
		return nil
	}
	r.changed = true
	return r.c.repeat(t.text, func(exec func([]any) error) error {
		var args []any
		var tenant any = r.t()
		for i := range all {
			args = t.args(args[:0], tenant, &all[i])
			if err := exec(args); err != nil {
				return err
			}
		}
		return nil
	})
}

// repeat runs do, which executes one statement many times, on the driver's own connection:
// database/sql would copy and look at the arguments of each. They are of the driver's types.
func (c *session) repeat(query string, do func(exec func([]any) error) error) error {
	return translate(c.conn.Raw(func(conn any) error {
		st, err := c.own(conn, query)
		if err != nil {
			return err
		}
		var named []driver.NamedValue
		return do(func(args []any) error {
			named = named[:0]
			for i, a := range args {
				named = append(named, driver.NamedValue{Ordinal: i + 1, Value: a})
			}
			_, err := st.ExecContext(context.Background(), named)
			return err
		})
	}))
}

// own is stmt, of the driver's own statements.
func (c *session) own(conn any, query string) (driver.StmtExecContext, error) {
	if st := c.owned[query]; st != nil {
		return st.(driver.StmtExecContext), nil
	}
	st, err := conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	c.owned[query] = st
	return st.(driver.StmtExecContext), nil
}

// Put implements store.Rows.
func (r *rows) Put(b store.Batch) error {
	if err := r.ready(); err != nil {
		return err
	}
	if !r.write {
		return store.ErrReadOnly
	}
	if len(b.Slots) > 0 {
		return errors.New("what slots hold is put by PutSlot")
	}
	for _, err := range []func() error{
		func() error { return put(r, &ownerTable, b.Owners) }, // before what refers to them
		func() error { return put(r, &identityTable, b.Identities) },
		func() error { return put(r, &holdingTable, b.Holdings) },
		func() error { return put(r, &subjectKeyTable, b.SubjectKeys) },
		func() error { return put(r, &periodKeyTable, b.PeriodKeys) },
		func() error { return put(r, &aliasTable, b.Aliases) },
		func() error { return put(r, &mappingTable, b.Mappings) },
		func() error { return put(r, &streamKeyTable, b.StreamKeys) },
		func() error { return put(r, &suppressionTable, b.Suppressions) },
	} {
		if err := err(); err != nil {
			return err
		}
	}
	return nil
}

// shape is a statement's text, and how many keys it asks for: "?" is written that often behind it,
// before ")".
type shape struct {
	text string
	n    int
}

func (s shape) String() string {
	if s.n == 0 {
		return s.text
	}
	return s.text + strings.Repeat("?, ", s.n-1) + "?)"
}

func (c *session) shaped(s shape) (*sql.Stmt, error) {
	if st := c.shapes[s]; st != nil {
		return st, nil
	}
	st, err := c.stmt(s.String())
	if err == nil {
		c.shapes[s] = st
	}
	return st, err
}
