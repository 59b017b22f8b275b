package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// rows is one transaction on one session.
type rows struct {
	c      *session
	ctx    context.Context
	tenant uuid.UUID
	write  bool
	file   *slots
	slots  *slotChanges // nil until the transaction touches slots
}

var _ store.LegacyRows = (*rows)(nil)

var errDone = errors.New("transaction is over")

func (r *rows) ready() error {
	if r.c == nil {
		return errDone
	}
	return r.ctx.Err()
}

func (r *rows) exec(query string, args ...any) error {
	if err := r.ready(); err != nil {
		return err
	}
	if !r.write {
		return store.ErrReadOnly
	}
	return r.c.exec(query, args...)
}

// get scans the one row of a query; false where there is none.
func (r *rows) get(query string, args []any, dest ...any) (bool, error) {
	if err := r.ready(); err != nil {
		return false, err
	}
	st, err := r.c.stmt(query)
	if err != nil {
		return false, err
	}
	err = st.QueryRowContext(context.Background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, translate(err)
}

// list scans every row of a query into a T.
func list[T any](r *rows, query string, args []any, dest func(*T) []any) (out []T, err error) {
	if err := r.ready(); err != nil {
		return nil, err
	}
	st, err := r.c.stmt(query)
	if err != nil {
		return nil, err
	}
	found, err := st.QueryContext(context.Background(), args...)
	if err != nil {
		return nil, translate(err)
	}
	defer func() { err = errors.Join(err, translate(found.Close())) }()
	for found.Next() {
		var t T
		if err := found.Scan(dest(&t)...); err != nil {
			return nil, translate(err)
		}
		out = append(out, t)
	}
	return out, translate(found.Err())
}

// Columns in Go: uuids as 16 bytes, where empty is uuid.Nil too; times as
// milliseconds, NULL for zero.

type idCol struct{ id *uuid.UUID }

func (c idCol) Scan(src any) error {
	b, ok := src.([]byte)
	switch {
	case ok && len(b) == 16:
		copy(c.id[:], b)
	case (ok && len(b) == 0) || src == nil:
		*c.id = uuid.Nil
	default:
		return fmt.Errorf("a uuid column holds %T", src)
	}
	return nil
}

type timeCol struct{ t *time.Time }

func (c timeCol) Scan(src any) error {
	switch ms := src.(type) {
	case nil:
		*c.t = time.Time{}
	case int64:
		*c.t = time.UnixMilli(ms).UTC()
	default:
		return fmt.Errorf("a time column holds %T", src)
	}
	return nil
}

func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func id(u uuid.UUID) []byte { return u[:] }

func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (r *rows) t() []byte { return r.tenant[:] }

// Settings and tenants.

func (r *rows) Setting(name string) (value []byte, ok bool, err error) {
	ok, err = r.get("SELECT value FROM setting WHERE name = ?", []any{name}, &value)
	return value, ok, err
}

func (r *rows) PutSetting(name string, value []byte) error {
	return r.exec("INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
		name, blob(value))
}

const tenantColumns = "id, name_hash, profile_epoch, profile, lookup_epoch, lookup, record_epoch, record, " +
	"policy, created"

func tenantDest(t *store.TenantRow) []any {
	return []any{idCol{&t.ID}, &t.NameHash, &t.Profile.Epoch, &t.Profile.Bytes, &t.Lookup.Epoch, &t.Lookup.Bytes,
		&t.Record.Epoch, &t.Record.Bytes, &t.Policy, timeCol{&t.Created}}
}

func (r *rows) Tenants() ([]store.TenantRow, error) {
	return list(r, "SELECT "+tenantColumns+" FROM tenant ORDER BY created, id", nil, tenantDest)
}

func (r *rows) Tenant(tenant uuid.UUID) (t store.TenantRow, ok bool, err error) {
	ok, err = r.get("SELECT "+tenantColumns+" FROM tenant WHERE id = ?", []any{id(tenant)}, tenantDest(&t)...)
	return t, ok, err
}

func (r *rows) TenantByName(hash []byte) (t store.TenantRow, ok bool, err error) {
	ok, err = r.get("SELECT "+tenantColumns+" FROM tenant WHERE name_hash = ?", []any{hash}, tenantDest(&t)...)
	return t, ok, err
}

func (r *rows) PutTenant(t store.TenantRow) error {
	return r.exec("INSERT INTO tenant ("+tenantColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name_hash = excluded.name_hash, profile_epoch = excluded.profile_epoch,
		profile = excluded.profile, lookup_epoch = excluded.lookup_epoch, lookup = excluded.lookup,
		record_epoch = excluded.record_epoch, record = excluded.record,
		policy = excluded.policy, created = excluded.created`,
		id(t.ID), t.NameHash, t.Profile.Epoch, blob(t.Profile.Bytes), t.Lookup.Epoch, blob(t.Lookup.Bytes),
		t.Record.Epoch, blob(t.Record.Bytes), t.Policy, ms(t.Created))
}

// Owners.

func (r *rows) Owner(o schemas.Owner) (row store.OwnerRow, ok bool, err error) {
	row.Owner = o
	ok, err = r.get("SELECT state, created, identified, ownership, user, generation, slot FROM owner WHERE tenant "+
		"= ? AND kind = ? AND id = ?", []any{r.t(), string(o.Kind), id(o.ID)},
		&row.State, timeCol{&row.Created}, &row.Identified, &row.Ownership, idCol{&row.User},
		&row.Generation, &row.Slot)
	return row, ok, err
}

func (r *rows) PutOwner(o store.OwnerRow) error {
	return r.exec(`INSERT INTO owner (tenant, kind, id, state, created, identified, ownership, user, generation, slot)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET state = excluded.state, created = excluded.created, identified = excluded.identified,
		ownership = excluded.ownership, user = excluded.user, generation = excluded.generation, slot = excluded.slot`,
		r.t(), string(o.Owner.Kind), id(o.Owner.ID), int(o.State), ms(o.Created), o.Identified,
		o.Ownership, id(o.User),
		o.Generation, int64(o.Slot))
}

const identityColumns = "id, owner_kind, owner, kind, hash, value_epoch, value, first, last"

func identityDest(i *store.IdentityRow) []any {
	return []any{idCol{&i.ID}, &i.Owner.Kind, idCol{&i.Owner.ID}, &i.Kind, &i.Hash, &i.Value.Epoch, &i.Value.Bytes,
		timeCol{&i.First}, timeCol{&i.Last}}
}

func (r *rows) Identities(kind string, hash []byte) ([]store.IdentityRow, error) {
	return list(r, "SELECT "+identityColumns+
		" FROM identity WHERE tenant = ? AND kind = ? AND hash = ? ORDER BY first, id",
		[]any{r.t(), kind, hash}, identityDest)
}

func (r *rows) IdentitiesOf(o schemas.Owner) ([]store.IdentityRow, error) {
	return list(r, "SELECT "+identityColumns+" FROM identity INDEXED BY identity_by_owner WHERE tenant = ? AND "+
		"owner_kind = ? AND owner = ? ORDER BY kind, first, id", []any{r.t(), string(o.Kind), id(o.ID)}, identityDest)
}

func (r *rows) PutIdentity(i store.IdentityRow) error {
	return r.exec("INSERT INTO identity (tenant, "+identityColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET owner_kind = excluded.owner_kind, owner = excluded.owner,
		value_epoch = excluded.value_epoch, value = excluded.value, first = excluded.first, last = excluded.last`,
		r.t(), id(i.ID), string(i.Owner.Kind), id(i.Owner.ID), i.Kind, blob(i.Hash), i.Value.Epoch,
		blob(i.Value.Bytes),
		ms(i.First), ms(i.Last))
}

func (r *rows) DeleteIdentities(o schemas.Owner) error {
	return r.exec("DELETE FROM identity INDEXED BY identity_by_owner WHERE tenant = ? AND owner_kind = "+
		"? AND owner = ?",
		r.t(), string(o.Kind), id(o.ID))
}

const holdingColumns = "device, generation, ownership, person, since, until"

func holdingDest(h *store.HoldingRow) []any {
	return []any{idCol{&h.Device}, &h.Generation, &h.Ownership, idCol{&h.Person}, timeCol{&h.From}, timeCol{&h.To}}
}

func (r *rows) Holdings(person uuid.UUID) ([]store.HoldingRow, error) {
	return list(r, "SELECT "+holdingColumns+" FROM holding INDEXED BY holding_by_person WHERE tenant = ? AND "+
		"person = ? ORDER BY device, generation", []any{r.t(), id(person)}, holdingDest)
}

func (r *rows) Holders(device uuid.UUID) ([]store.HoldingRow, error) {
	return list(r, "SELECT "+holdingColumns+" FROM holding WHERE tenant = ? AND device = ? ORDER BY generation",
		[]any{r.t(), id(device)}, holdingDest)
}

func (r *rows) PutHolding(h store.HoldingRow) error {
	return r.exec("INSERT INTO holding (tenant, "+holdingColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET ownership = excluded.ownership, person = excluded.person,
		since = excluded.since, until = excluded.until`,
		r.t(), id(h.Device), h.Generation, h.Ownership, id(h.Person), ms(h.From), ms(h.To))
}

func (r *rows) DeleteHolders(device uuid.UUID) error {
	return r.exec("DELETE FROM holding WHERE tenant = ? AND device = ?", r.t(), id(device))
}

// Keys and aliases.

const subjectKeyColumns = "id, owner_kind, owner, generation, class, key_epoch, key, state"

func subjectKeyDest(k *store.SubjectKeyRow) []any {
	return []any{idCol{&k.ID}, &k.Owner.Kind, idCol{&k.Owner.ID}, &k.Generation, &k.Class, &k.Key.Epoch,
		&k.Key.Bytes, &k.State}
}

func (r *rows) SubjectKey(o schemas.Owner, generation int, class string) (k store.SubjectKeyRow, ok bool, err error) {
	ok, err = r.get("SELECT "+subjectKeyColumns+` FROM subject_key
		WHERE tenant = ? AND owner_kind = ? AND owner = ? AND generation = ? AND class = ? AND state < 3`,
		[]any{r.t(), string(o.Kind), id(o.ID), generation, class}, subjectKeyDest(&k)...)
	return k, ok, err
}

func (r *rows) SubjectKeyByID(key uuid.UUID) (k store.SubjectKeyRow, ok bool, err error) {
	ok, err = r.get("SELECT "+subjectKeyColumns+" FROM subject_key WHERE tenant = ? AND id = ?",
		[]any{r.t(), id(key)}, subjectKeyDest(&k)...)
	return k, ok, err
}

func (r *rows) SubjectKeys(o schemas.Owner) ([]store.SubjectKeyRow, error) {
	return list(r, "SELECT "+subjectKeyColumns+` FROM subject_key
		WHERE tenant = ? AND owner_kind = ? AND owner = ? AND state < 3 ORDER BY generation, class`,
		[]any{r.t(), string(o.Kind), id(o.ID)}, subjectKeyDest)
}

func (r *rows) PutSubjectKey(k store.SubjectKeyRow) error {
	return r.exec("INSERT INTO subject_key (tenant, "+subjectKeyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, id) DO UPDATE SET owner_kind = excluded.owner_kind, owner = excluded.owner,
		generation = excluded.generation, class = excluded.class, key_epoch = excluded.key_epoch,
		key = excluded.key, state = excluded.state`,
		r.t(), id(k.ID), string(k.Owner.Kind), id(k.Owner.ID), k.Generation, k.Class, k.Key.Epoch,
		blob(k.Key.Bytes), int(k.State))
}

func (r *rows) DestroySubjectKey(key uuid.UUID) error {
	return r.exec(`INSERT INTO subject_key (tenant, id, owner_kind, owner, generation, class, key_epoch, key, state)
		VALUES (?, ?, '', x'', 0, '', 0, x'', 3)
		ON CONFLICT (tenant, id) DO UPDATE SET owner_kind = '', owner = x'', generation = 0, class = '',
		key_epoch = 0, key = x'', state = 3`,
		r.t(), id(key))
}

const periodKeyColumns = "id, class, month, key_epoch, key, destroyed, slot"

func periodKeyDest(k *store.PeriodKeyRow) []any {
	return []any{idCol{&k.ID}, &k.Class, &k.Month, &k.Key.Epoch, &k.Key.Bytes, &k.Destroyed, &k.Slot}
}

func (r *rows) PeriodKey(class, month string) (k store.PeriodKeyRow, ok bool, err error) {
	ok, err = r.get("SELECT "+periodKeyColumns+" FROM period_key WHERE tenant = ? AND class = ? AND month = ?",
		[]any{r.t(), class, month}, periodKeyDest(&k)...)
	return k, ok, err
}

func (r *rows) PeriodKeyByID(key uuid.UUID) (k store.PeriodKeyRow, ok bool, err error) {
	ok, err = r.get("SELECT "+periodKeyColumns+" FROM period_key WHERE tenant = ? AND id = ?",
		[]any{r.t(), id(key)}, periodKeyDest(&k)...)
	return k, ok, err
}

func (r *rows) PutPeriodKey(k store.PeriodKeyRow) error {
	return r.exec(`INSERT INTO period_key (tenant, class, month, id, key_epoch, key, destroyed, slot)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET id = excluded.id, key_epoch = excluded.key_epoch, key = excluded.key,
		destroyed = excluded.destroyed, slot = excluded.slot`,
		r.t(), k.Class, k.Month, id(k.ID), k.Key.Epoch, blob(k.Key.Bytes), k.Destroyed, int64(k.Slot))
}

const aliasColumns = "id, subject_key, class, month, state"

func aliasDest(a *store.AliasRow) []any {
	return []any{idCol{&a.ID}, idCol{&a.SubjectKey}, &a.Class, &a.Month, &a.State}
}

func (r *rows) Alias(alias uuid.UUID) (a store.AliasRow, ok bool, err error) {
	ok, err = r.get("SELECT "+aliasColumns+" FROM alias WHERE tenant = ? AND id = ?",
		[]any{r.t(), id(alias)}, aliasDest(&a)...)
	return a, ok, err
}

func (r *rows) Aliases(key uuid.UUID) ([]store.AliasRow, error) {
	return list(r, "SELECT "+aliasColumns+" FROM alias INDEXED BY alias_by_key WHERE tenant = ? AND subject_key = "+
		"? AND state = 1 ORDER BY class, month", []any{r.t(), id(key)}, aliasDest)
}

func (r *rows) PutAlias(a store.AliasRow) error {
	return r.exec("INSERT INTO alias (tenant, "+aliasColumns+`) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET subject_key = excluded.subject_key, class = excluded.class,
		month = excluded.month, state = excluded.state`,
		r.t(), id(a.ID), id(a.SubjectKey), a.Class, a.Month, int(a.State))
}

func (r *rows) BuryAliases(key uuid.UUID) error {
	return r.exec("UPDATE alias INDEXED BY alias_by_key SET subject_key = x'', state = 2 WHERE tenant = ? AND "+
		"subject_key = ? AND state = 1", r.t(), id(key))
}

func (r *rows) BuryAliasesOfPeriod(class, month string) error {
	return r.exec("UPDATE alias INDEXED BY alias_by_period SET subject_key = x'', state = 3 WHERE tenant = ? AND "+
		"class = ? AND month = ? AND state = 1", r.t(), class, month)
}

// Streams.

func mappingDest(m *store.MappingRow) []any {
	return []any{&m.Hash, &m.Stream, idCol{&m.Concerned}}
}

func (r *rows) Mapping(hash []byte) (m store.MappingRow, ok bool, err error) {
	ok, err = r.get("SELECT hash, stream, concerned FROM mapping WHERE tenant = ? AND hash = ?",
		[]any{r.t(), hash}, mappingDest(&m)...)
	return m, ok, err
}

func (r *rows) PutMapping(m store.MappingRow) error {
	return r.exec(`INSERT INTO mapping (tenant, hash, stream, concerned) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET stream = excluded.stream, concerned = excluded.concerned`,
		r.t(), m.Hash, string(m.Stream), id(m.Concerned))
}

func (r *rows) MappingsOf(concerned uuid.UUID) ([]store.MappingRow, error) {
	return list(r, "SELECT hash, stream, concerned FROM mapping INDEXED BY mapping_by_concerned WHERE tenant = ? "+
		"AND concerned = ? ORDER BY hash", []any{r.t(), id(concerned)}, mappingDest)
}

func (r *rows) DeleteMappings(concerned uuid.UUID) error {
	return r.exec("DELETE FROM mapping INDEXED BY mapping_by_concerned WHERE tenant = ? AND concerned = ?",
		r.t(), id(concerned))
}

func (r *rows) StreamKey(stream uuid.UUID) (k store.StreamKeyRow, ok bool, err error) {
	k.Stream = stream
	ok, err = r.get("SELECT key_epoch, key, slot FROM stream_key WHERE tenant = ? AND stream = ?",
		[]any{r.t(), id(stream)}, &k.Key.Epoch, &k.Key.Bytes, &k.Slot)
	return k, ok, err
}

func (r *rows) PutStreamKey(k store.StreamKeyRow) error {
	return r.exec(`INSERT INTO stream_key (tenant, stream, key_epoch, key, slot) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET key_epoch = excluded.key_epoch, key = excluded.key, slot = excluded.slot`,
		r.t(), id(k.Stream), k.Key.Epoch, blob(k.Key.Bytes), int64(k.Slot))
}

func (r *rows) DeleteStreamKey(stream uuid.UUID) error {
	return r.exec("DELETE FROM stream_key WHERE tenant = ? AND stream = ?", r.t(), id(stream))
}

// Forgetting.

func (r *rows) Suppression(hash []byte) (erased time.Time, ok bool, err error) {
	ok, err = r.get("SELECT erased FROM suppression WHERE tenant = ? AND hash = ?",
		[]any{r.t(), hash}, timeCol{&erased})
	return erased, ok, err
}

func (r *rows) PutSuppression(hash []byte, erased time.Time) error {
	return r.exec(`INSERT INTO suppression (tenant, hash, erased) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET erased = max(erased, excluded.erased)`, r.t(), hash, ms(erased))
}

const erasureColumns = "completion, tenant, person, state, begun, claimed, keys"

type keysCol struct{ keys *[]uuid.UUID }

func (c keysCol) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok && src != nil || len(b)%16 != 0 {
		return errors.New("a column of uuids holds something else")
	}
	*c.keys = nil
	for ; len(b) > 0; b = b[16:] {
		*c.keys = append(*c.keys, uuid.UUID(b[:16]))
	}
	return nil
}

func erasureDest(e *store.ErasureRow) []any {
	return []any{idCol{&e.Completion}, idCol{&e.Tenant}, idCol{&e.Person}, &e.State, timeCol{&e.Begun},
		timeCol{&e.Claimed}, keysCol{&e.Keys}}
}

func (r *rows) Erasure(completion uuid.UUID) (e store.ErasureRow, ok bool, err error) {
	ok, err = r.get("SELECT "+erasureColumns+" FROM erasure WHERE completion = ?",
		[]any{id(completion)}, erasureDest(&e)...)
	return e, ok, err
}

func (r *rows) Erasures() ([]store.ErasureRow, error) {
	return list(r, "SELECT "+erasureColumns+" FROM erasure WHERE state < 3 ORDER BY begun, completion",
		nil, erasureDest)
}

func (r *rows) PutErasure(e store.ErasureRow) error {
	keys := make([]byte, 0, 16*len(e.Keys))
	for _, k := range e.Keys {
		keys = append(keys, k[:]...)
	}
	return r.exec("INSERT INTO erasure ("+erasureColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET tenant = excluded.tenant, person = excluded.person, state = excluded.state,
		begun = excluded.begun, claimed = excluded.claimed, keys = excluded.keys`,
		id(e.Completion), id(e.Tenant), id(e.Person), int(e.State), ms(e.Begun), ms(e.Claimed), keys)
}

func (r *rows) Holds() ([]schemas.Owner, error) {
	return list(r, "SELECT DISTINCT owner_kind, owner FROM hold WHERE tenant = ?", []any{r.t()},
		func(o *schemas.Owner) []any { return []any{&o.Kind, idCol{&o.ID}} })
}

func (r *rows) PutHold(hold uuid.UUID, o schemas.Owner, placed time.Time) error {
	return r.exec(`INSERT INTO hold (tenant, id, owner_kind, owner, placed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET owner_kind = excluded.owner_kind, owner = excluded.owner, placed = excluded.placed`,
		r.t(), id(hold), string(o.Kind), id(o.ID), ms(placed))
}

func (r *rows) DeleteHold(hold uuid.UUID) error {
	return r.exec("DELETE FROM hold WHERE tenant = ? AND id = ?", r.t(), id(hold))
}

func (r *rows) Count() (c store.Counts, err error) {
	_, err = r.get(`SELECT (SELECT count(*) FROM tenant), (SELECT count(*) FROM owner WHERE kind = 'person'),
		(SELECT count(*) FROM owner WHERE kind = 'device')`, nil, &c.Tenants, &c.Persons, &c.Devices)
	return c, err
}

// Slotless implements store.LegacyRows.
func (r *rows) Slotless(n int) ([]schemas.Owner, error) {
	dest := func(o *schemas.Owner) []any { return []any{&o.Kind, idCol{&o.ID}} }
	var out []schemas.Owner
	for _, query := range []string{
		"SELECT kind, id FROM owner INDEXED BY owner_slotless WHERE tenant = ? AND slot = 0 AND state < 3 LIMIT ?",
		"SELECT 'stream', stream FROM stream_key INDEXED BY stream_key_slotless WHERE tenant = ? AND key_epoch " +
			"> 0 LIMIT ?",
		"SELECT 'period', id FROM period_key WHERE tenant = ? AND slot = 0 AND destroyed = 0 LIMIT ?",
	} {
		if len(out) == n {
			break
		}
		more, err := list(r, query, []any{r.t(), n - len(out)}, dest)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}
