package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
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

	changed bool // rows of the tenant: counted before the commit
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

// change is exec of what changes rows of the tenant.
func (r *rows) change(query string, args ...any) error {
	err := r.exec(query, args...)
	r.changed = r.changed || err == nil
	return err
}

// count counts the transaction among those that changed rows of the tenant.
func (r *rows) count() error {
	if !r.changed {
		return nil
	}
	name := store.Changes(r.tenant)
	was, err := r.Settings(name)
	if err != nil {
		return err
	}
	n := uint64(0)
	if b := was[name]; len(b) == 8 {
		n = binary.BigEndian.Uint64(b)
	}
	return r.PutSetting(name, binary.BigEndian.AppendUint64(nil, n+1))
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

func (r *rows) Settings(names ...string) (map[string][]byte, error) {
	out := make(map[string][]byte, len(names))
	err := each(r, "SELECT name, value FROM setting WHERE name IN (", nil, names,
		func(args []any, name string) []any { return append(args, name) }, func(scan func(...any) error) error {
			var name string
			var value []byte
			err := scan(&name, &value)
			out[name] = value
			return err
		})
	return out, err
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

// Forgetting.

func (r *rows) DeleteIdentities(o schemas.Owner) error {
	return r.change("DELETE FROM identity INDEXED BY identity_by_owner WHERE tenant = ? AND owner_kind = "+
		"? AND owner = ?",
		r.t(), string(o.Kind), id(o.ID))
}

func (r *rows) DeleteHolders(device uuid.UUID) error {
	return r.change("DELETE FROM holding WHERE tenant = ? AND device = ?", r.t(), id(device))
}

func (r *rows) DestroySubjectKey(key uuid.UUID) error {
	return r.change(`INSERT INTO subject_key (tenant, id, owner_kind, owner, generation, class, key_epoch, key, state)
		VALUES (?, ?, '', x'', 0, '', 0, x'', 3)
		ON CONFLICT (tenant, id) DO UPDATE SET owner_kind = '', owner = x'', generation = 0, class = '',
		key_epoch = 0, key = x'', state = 3`,
		r.t(), id(key))
}

func (r *rows) BuryAliases(key uuid.UUID) error {
	return r.change("UPDATE alias INDEXED BY alias_by_key SET subject_key = x'', state = 2 WHERE tenant = ? AND "+
		"subject_key = ? AND state = 1", r.t(), id(key))
}

func (r *rows) BuryAliasesOfPeriod(class, month string) error {
	return r.change("UPDATE alias INDEXED BY alias_by_period SET subject_key = x'', state = 3 WHERE tenant = ? AND "+
		"class = ? AND month = ? AND state = 1", r.t(), class, month)
}

func (r *rows) DeleteMappings(hashes [][]byte) error {
	for _, h := range hashes {
		if err := r.change("DELETE FROM mapping WHERE tenant = ? AND hash = ?", r.t(), h); err != nil {
			return err
		}
	}
	return nil
}

func (r *rows) DeleteStreamKey(stream uuid.UUID) error {
	return r.change("DELETE FROM stream_key WHERE tenant = ? AND stream = ?", r.t(), id(stream))
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
	return r.change(`INSERT INTO hold (tenant, id, owner_kind, owner, placed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET owner_kind = excluded.owner_kind, owner = excluded.owner, placed = excluded.placed`,
		r.t(), id(hold), string(o.Kind), id(o.ID), ms(placed))
}

func (r *rows) DeleteHold(hold uuid.UUID) error {
	return r.change("DELETE FROM hold WHERE tenant = ? AND id = ?", r.t(), id(hold))
}

func (r *rows) Count() (c store.Counts, err error) {
	_, err = r.get(`SELECT (SELECT count(*) FROM tenant), (SELECT count(*) FROM owner WHERE kind = 'person'),
		(SELECT count(*) FROM owner WHERE kind = 'device')`, nil, &c.Tenants, &c.Persons, &c.Devices)
	return c, err
}

// Persons implements store.Rows.
func (r *rows) Persons(after uuid.UUID, n int) ([]uuid.UUID, error) {
	return list(r, "SELECT id FROM owner WHERE tenant = ? AND kind = 'person' AND id > ? ORDER BY id LIMIT ?",
		[]any{r.t(), id(after), n}, func(p *uuid.UUID) []any { return []any{idCol{p}} })
}

// PeriodKeyByID implements store.LegacyRows.
func (r *rows) PeriodKeyByID(key uuid.UUID) (k store.PeriodKeyRow, ok bool, err error) {
	ok, err = r.get("SELECT "+periodKeyColumns+" FROM period_key WHERE tenant = ? AND id = ?",
		[]any{r.t(), id(key)}, periodKeyDest(&k)...)
	return k, ok, err
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
