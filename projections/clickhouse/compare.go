package clickhouse

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/migrations"
)

// notCompared are the tables that hold nothing of the ledger's, each with the reason.
var notCompared = map[string]string{
	"projector_position": "where the projector goes on; it checks it against the topics itself",
	"projector_skipped":  "how many foreign records it skipped",
	"migration":          "which migrations were applied; Open checks it",
	"ledger":             "whose views these are; Bind checks it",
	"reconcile_state":    "how far a comparison has come",
	migrations.Genuine:   "the views are filled through it; it keeps nothing",
}

// heavy bounds a statement of a comparison: the projector and readers go on beside it.
var heavy = ch.WithSettings(ch.Settings{"max_threads": 1, "max_memory_usage": 2 << 30})

// askHeavily is ask.All under those bounds.
func askHeavily[T any](
	ctx context.Context, db *DB, p params, question string, read func(scan func(...any) error) (T, error),
) ([]T, error) {
	return ask.All(ch.Context(ctx, heavy), db.Asker, p, question, read)
}

// Shape returns what the database consists of, with a finding for each view that is
// not as this program defines it.
func (db *DB) Shape(ctx context.Context) (projections.Shape, error) {
	var s projections.Shape
	fail := func(err error) (projections.Shape, error) { return s, fmt.Errorf("shape of the views: %w", err) }
	d, err := migrations.Define()
	if err != nil {
		return fail(err)
	}
	objects, err := db.objects(ctx)
	if err != nil {
		return fail(err)
	}
	differs := func(name string) {
		s.Findings = append(s.Findings, projections.Finding{View: name, What: projections.Definition})
	}
	var names, have, want []string // of SELECTs to be compared
	compare := func(name, in, by string) {
		names, have, want = append(names, name), append(have, in), append(want, by)
	}
	known := map[string]bool{"events": true, disownedTable: true}
	for _, view := range d.Views() {
		f, err := familyOf(d, objects, view)
		if err != nil {
			return fail(err)
		}
		known[f.reader] = true
		switch {
		case f.now == (migrations.Version{}):
			differs(view) // not even a table
		case f.plain.name == "":
			differs(f.reader)
		default:
			compare(f.reader, f.plain.selects, d.PlainAt(f.reader, view, f.now))
		}
		for v, o := range f.tables {
			known[o.name] = true
			by, ok := d.Fill(view, v)
			switch {
			case v == f.now && !ok:
				differs(o.name)
			case v == f.now && f.mvs[v].name == "":
				differs(o.name + "_mv")
			case v == f.now:
				compare(o.name+"_mv", f.mvs[v].selects, by)
			default:
				s.NotCompared = append(s.NotCompared, projections.Uncompared{Name: o.name,
					Why: "no reader uses it: it is being made, or was replaced"})
			}
		}
		for _, o := range f.mvs {
			known[o.name] = true
		}
	}
	known[migrations.Genuine], known[migrations.GenuineFill] = true, true
	if objectOf(objects, migrations.Genuine).name == "" {
		differs(migrations.Genuine)
	} else if o := objectOf(objects, migrations.GenuineFill); o.name == "" {
		differs(migrations.GenuineFill)
	} else {
		compare(migrations.GenuineFill, o.selects, d.Fills[migrations.Genuine])
	}
	for _, name := range d.Order {
		i := slices.IndexFunc(objects, func(o object) bool { return o.name == name && o.engine == "View" })
		s.Plain = append(s.Plain, name)
		switch {
		case known[name]:
		case i < 0:
			differs(name)
		default:
			known[name] = true
			compare(name, objects[i].selects, d.Plain[name])
		}
	}
	if s.Views, err = db.Views(ctx); err != nil {
		return fail(err)
	}
	formatted, err := db.formatted(ctx, want)
	if err != nil {
		return fail(err)
	}
	for i, text := range formatted {
		if db.unqualified(have[i]) != text {
			differs(names[i])
		}
	}
	print := sha256.New()
	for _, o := range objects {
		fmt.Fprintf(print, "%s %s %s\n", o.name, o.id, o.selects)
		switch why := notCompared[o.name]; {
		case why != "":
			s.NotCompared = append(s.NotCompared, projections.Uncompared{Name: o.name, Why: why})
		case !known[o.name]:
			s.NotCompared = append(s.NotCompared, projections.Uncompared{Name: o.name, Why: "not this program's"})
		}
	}
	s.Fingerprint = hex.EncodeToString(print.Sum(nil))
	slices.SortFunc(s.Findings, func(a, b projections.Finding) int { return cmp.Compare(a.View, b.View) })
	slices.SortFunc(s.NotCompared, func(a, b projections.Uncompared) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

// rowSumSQL computes projections.RowSum.
const rowSumSQL = `
WITH
  (x -> concat(reinterpretAsFixedString(toUInt32(length(x))), x)) AS lp,
  (x -> UUIDStringToNum(toString(x))) AS id,
  (x -> reinterpretAsFixedString(toUnixTimestamp64Milli(x))) AS ms,
  SHA256(concat(reinterpretAsFixedString(ledger_seq), id(tenant), lp(stream), reinterpretAsFixedString(revision),
    id(event_id), lp(toString(type)), ms(occurred_at), char(timed), ms(recorded_at), lp(toString(source)),
    id(correlation), id(causation), lp(data), lp(metadata), leaf,
    reinterpretAsFixedString(toUInt32(length(subjects.alias))),
    arrayStringConcat(arrayMap((a, r) -> concat(id(a), lp(toString(r))), subjects.alias, subjects.role)),
    reinterpretAsFixedString(toUInt32(length(values.attribute))),
    arrayStringConcat(arrayMap((a, e, v, r, o) -> concat(lp(toString(a)), lp(e), lp(v), char(r), ms(o)),
      values.attribute, values.element, values.value, values.removed, values.observed)))) AS sum`

// Marks returns the digests of the events with a sequence from from to to. PREWHERE with FINAL is
// right: it names a key column only.
func (db *DB) Marks(ctx context.Context, from, to uint64) (projections.Marks, error) {
	type sum struct {
		bucket       projections.Bucket
		leaves, rows projections.Digest
	}
	sums, err := askHeavily(ctx, db, params{"from": from, "to": to}, rowSumSQL+`
		SELECT tenant, bitShiftRight(ledger_seq, 16) AS bucket, count(),
		reinterpretAsFixedString(sum(reinterpretAsUInt256(leaf))),
		reinterpretAsFixedString(sum(reinterpretAsUInt256(sum)))
		FROM events FINAL PREWHERE ledger_seq >= {from:UInt64} AND ledger_seq <= {to:UInt64} GROUP BY tenant, bucket`,
		func(scan func(...any) error) (s sum, err error) {
			var leaves, rows string
			err = scan(&s.bucket.Tenant, &s.bucket.Number, &s.leaves.Count, &leaves, &rows)
			s.rows.Count = s.leaves.Count
			copy(s.leaves.Sum[:], leaves)
			copy(s.rows.Sum[:], rows)
			return s, err
		})
	if err != nil {
		return projections.Marks{}, fmt.Errorf("digests of events %d to %d: %w", from, to, err)
	}
	out := projections.NewMarks()
	for _, s := range sums {
		out.Leaves[s.bucket], out.Rows[s.bucket] = s.leaves, s.rows
	}
	return out, nil
}

// MarksOf returns the marks of up to limit rows of events with a sequence from from to to, by
// sequence. More rows than sequences are there only where something else wrote them.
func (db *DB) MarksOf(ctx context.Context, from, to uint64, limit int) ([]projections.Mark, error) {
	out, err := askHeavily(ctx, db, params{"from": from, "to": to, "limit": limit}, rowSumSQL+`
		SELECT ledger_seq, tenant, stream, event_id, leaf, sum, catalogue
		FROM events FINAL PREWHERE ledger_seq >= {from:UInt64} AND ledger_seq <= {to:UInt64}
		ORDER BY ledger_seq, tenant, stream LIMIT {limit:UInt64}`, readMark)
	if err != nil {
		return nil, fmt.Errorf("events %d to %d: %w", from, to, err)
	}
	return out, nil
}

// MarksAbove returns how many rows of events have a sequence above seq, and the marks
// of the highest, at most limit.
func (db *DB) MarksAbove(
	ctx context.Context, seq uint64, limit int,
) (count uint64, highest []projections.Mark, err error) {
	p := params{"seq": seq, "limit": limit}
	counts, err := askHeavily(ctx, db, p, "SELECT count() FROM events FINAL PREWHERE ledger_seq > {seq:UInt64}",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err == nil && counts[0] > 0 {
		highest, err = askHeavily(ctx, db, p, rowSumSQL+`
			SELECT ledger_seq, tenant, stream, event_id, leaf, sum, catalogue
			FROM events FINAL PREWHERE ledger_seq > {seq:UInt64}
			ORDER BY ledger_seq DESC LIMIT {limit:UInt64}`, readMark)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("events above %d: %w", seq, err)
	}
	return counts[0], highest, nil
}

func readMark(scan func(...any) error) (m projections.Mark, err error) {
	var leaf, sum, catalogue string
	err = scan(&m.Seq, &m.Tenant, &m.Stream, &m.EventID, &leaf, &sum, &catalogue)
	copy(m.Leaf[:], leaf)
	copy(m.Sum[:], sum)
	copy(m.Catalogue[:], catalogue)
	return m, err
}

// What one statement of a comparison takes in at most, about: rows of a view, and
// tenants. A group by holds as many.
const (
	portionRows    = 250_000
	portionTenants = 1000
)

// Portions cuts a view, and events with it, into parts that one statement can compare. Together
// they hold every row that is there now.
func (db *DB) Portions(ctx context.Context, view string) ([]projections.Portion, error) {
	if view == disownedTable {
		return []projections.Portion{{}}, nil // small: what officers named
	}
	f, err := db.family(ctx, view)
	if err == nil && f.now == (migrations.Version{}) {
		return nil, nil // there is nothing; Shape says so
	}
	if err != nil {
		return nil, fmt.Errorf("portions of %s: %w", view, err)
	}
	out, err := db.portions(ctx, portionRows, view+f.now.Suffix(), "events")
	if err != nil {
		return nil, fmt.Errorf("portions of %s: %w", view, err)
	}
	return out, nil
}

// portions cuts tables into parts of which each has about so many rows in all of them together.
func (db *DB) portions(ctx context.Context, most uint64, tables ...string) ([]projections.Portion, error) {
	type cell struct {
		tenant uuid.UUID
		kind   string
		rows   uint64
	}
	counts := make([]string, len(tables))
	for i, table := range tables {
		counts[i] = "SELECT tenant, splitByChar('-', stream)[1] AS kind, count() AS n FROM " + table +
			" GROUP BY tenant, kind"
	}
	cells, err := askHeavily(ctx, db, nil, "SELECT tenant, kind, sum(n) FROM ("+
		strings.Join(counts, " UNION ALL ")+") GROUP BY tenant, kind ORDER BY tenant, kind",
		func(scan func(...any) error) (c cell, err error) { return c, scan(&c.tenant, &c.kind, &c.rows) })
	if err != nil {
		return nil, err
	}
	var out []projections.Portion
	var group []uuid.UUID
	var rows uint64
	flush := func() {
		if len(group) > 0 {
			out = append(out, projections.Portion{Tenants: group})
		}
		group, rows = nil, 0
	}
	for i := 0; i < len(cells); {
		j, sum := i, uint64(0)
		for ; j < len(cells) && cells[j].tenant == cells[i].tenant; j++ {
			sum += cells[j].rows
		}
		if sum <= most {
			if rows+sum > most || len(group) == portionTenants {
				flush()
			}
			group, rows = append(group, cells[i].tenant), rows+sum
		} else {
			for _, c := range cells[i:j] {
				out = append(out, ranges(c.tenant, c.kind, 1+c.rows/most)...)
			}
		}
		i = j
	}
	flush()
	return out, nil
}

// ranges cuts the streams of one kind into n parts of the space of uuids. '-' is
// before '.', and no kind has either.
func ranges(tenant uuid.UUID, kind string, n uint64) (out []projections.Portion) {
	from := kind
	for i := uint64(1); i <= n; i++ {
		to := kind + "."
		if i < n {
			to = fmt.Sprintf("%s-%08x", kind, (i<<32)/n)
		}
		out = append(out, projections.Portion{Tenants: []uuid.UUID{tenant}, From: from, To: to})
		from = to
	}
	return out
}

// part is a condition on tenant and stream that holds for a view's rows and
// for the events they are made of.
type part struct {
	condition string
	params    params
}

func partOf(p projections.Portion) part {
	out := part{"tenant IN {tenants:Array(UUID)}", params{"tenants": p.Tenants}}
	if p.To != "" {
		out.condition += " AND stream >= {from_stream:String} AND stream < {to_stream:String}"
		out.params["from_stream"], out.params["to_stream"] = p.From, p.To
	}
	return out
}

func partOfStreams(tenants []uuid.UUID, streams []string) part {
	return part{"tenant IN {tenants:Array(UUID)} AND stream IN {streams:Array(String)}",
		params{"tenants": tenants, "streams": streams}}
}

// comparison is one version of one view, ready to be compared with its definition.
type comparison struct {
	db         *DB
	d          *migrations.Definitions
	view       string
	table      object
	selects    string // the program's definition
	columns    []string
	key        string // as the table is ordered
	definition bool   // disowned_event itself: what is in flight elsewhere does not move it
}

func (db *DB) comparison(ctx context.Context, view string, f *family, v migrations.Version) (*comparison, error) {
	d, err := migrations.Define()
	if err != nil {
		return nil, err
	}
	selects, ok := d.Fill(view, v)
	if !ok {
		return nil, fmt.Errorf("this program has no definition of %s%s", view, v.Suffix())
	}
	columns, err := db.columns(ctx, d.Over(selects, "1"))
	if err != nil {
		return nil, err
	}
	return &comparison{db: db, d: d, view: view, table: f.tables[v], selects: selects, columns: columns,
		key: f.tables[v].key, definition: view == disownedView}, nil
}

// definitionOver is the definition applied to the events of a part, each once.
func (c *comparison) definitionOver(condition string) string {
	return c.d.Over(c.selects, condition)
}

// sides yields a row per key: what the definition makes, and what the table holds.
func (c *comparison) sides(condition string) string {
	hash := "sipHash128(`" + strings.Join(c.columns, "`, `") + "`)"
	return "SELECT " + c.key + ", any(_stream) AS _stream, " +
		"countIf(_side = 0) AS _wanted, countIf(_side = 1) AS _held, " +
		"anyIf(_hash, _side = 0) AS _want, anyIf(_hash, _side = 1) AS _have, " +
		"maxIf(_seq, _side = 0) AS _want_seq, maxIf(_seq, _side = 1) AS _have_seq FROM (" +
		"SELECT " + c.key + ", argMax(_hash, _at) AS _hash, max(_at) AS _seq, " +
		"argMax(_s, _at) AS _stream, 0 AS _side FROM (" +
		"SELECT " + c.key + ", " + hash + " AS _hash, ledger_seq AS _at, stream AS _s FROM (" +
		c.definitionOver(condition) + ")) GROUP BY " + c.key +
		" UNION ALL SELECT " + c.key + ", " + hash + " AS _hash, ledger_seq AS _seq, stream AS _stream, " +
		"1 AS _side FROM " + c.table.name + " FINAL WHERE " + condition +
		") GROUP BY " + c.key
}

const sidesDiffer = "_wanted != _held OR _want != _have"

// candidate is a key at which a view and its definition differed when they were looked at.
type candidate struct {
	tenant           uuid.UUID
	key, stream      string
	wanted, held     uint64
	want, have       string
	wantSeq, haveSeq uint64
}

func (k candidate) same(o candidate) bool {
	return k.wanted == o.wanted && k.held == o.held && k.want == o.want && k.have == o.have
}

// candidatesAtOnce bounds the keys of one part that are looked at again.
const candidatesAtOnce = 1000

func (c *comparison) candidates(ctx context.Context, p part) ([]candidate, error) {
	return askHeavily(ctx, c.db, p.params.With(params{"limit": candidatesAtOnce}),
		"SELECT tenant, toString(tuple("+c.key+")), _stream, _wanted, _held, "+
			"hex(_want), hex(_have), _want_seq, _have_seq FROM ("+
			c.sides(p.condition)+") WHERE "+sidesDiffer+" ORDER BY "+c.key+" LIMIT {limit:UInt64}",
		func(scan func(...any) error) (k candidate, err error) {
			return k, scan(&k.tenant, &k.key, &k.stream, &k.wanted, &k.held, &k.want, &k.have, &k.wantSeq, &k.haveSeq)
		})
}

// maxFindings is how many differences of one part are listed.
const maxFindings = 100

// CompareView compares a part of a view with what its definition makes of events. Rows that come
// while it looks are no difference: what differed is looked at again until it is equal, or the
// same twice with its events through.
func (db *DB) CompareView(
	ctx context.Context, view string, portion projections.Portion,
) (projections.Compared, error) {
	var out projections.Compared
	fail := func(err error) (projections.Compared, error) {
		return out, fmt.Errorf("compare %s with its definition: %w", view, err)
	}
	if view == disownedTable {
		out, err := db.compareDisowned(ctx)
		if err != nil {
			return fail(err)
		}
		return out, nil
	}
	f, err := db.family(ctx, view)
	if err != nil || f.now == (migrations.Version{}) {
		return fail(cmp.Or(err, fmt.Errorf("it has no table")))
	}
	c, err := db.comparison(ctx, view, f, f.now)
	if err != nil {
		return fail(err)
	}
	p := partOf(portion)
	type counts struct{ rows, differ uint64 }
	n, err := askHeavily(ctx, db, p.params,
		"SELECT sum(_held), countIf("+sidesDiffer+") FROM ("+c.sides(p.condition)+")",
		func(scan func(...any) error) (n counts, err error) { return n, scan(&n.rows, &n.differ) })
	if err != nil {
		return fail(err)
	}
	out.Rows = n[0].rows
	if n[0].differ == 0 {
		return out, nil
	}
	first, err := c.candidates(ctx, p)
	if err != nil {
		return fail(err)
	}
	if out, err = c.settle(ctx, first, out); err != nil {
		return fail(err)
	}
	if n[0].differ > candidatesAtOnce && out.Count > 0 {
		out.Count = max(out.Count, n[0].differ)
	}
	return out, nil
}

// settleTries and settleWait bound how long rows in flight are waited for:
// some quarter of a minute.
const (
	settleTries = 20
	settleWait  = time.Second
)

// settle judges the candidates.
func (c *comparison) settle(
	ctx context.Context, open []candidate, out projections.Compared,
) (projections.Compared, error) {
	wait := min(c.db.Poll, settleWait)
	for try := 1; len(open) > 0; try++ {
		if retry.Wait(ctx, wait) != nil {
			return out, context.Cause(ctx)
		}
		wait = min(2*wait, settleWait)
		// Both before the question: what is through now was in events and views then.
		through, quiet, err := c.settled(ctx)
		if err != nil {
			return out, err
		}
		var next []candidate
		for group := range slices.Chunk(open, 200) {
			var tenants []uuid.UUID
			var streams []string
			for _, k := range group {
				tenants, streams = append(tenants, k.tenant), append(streams, k.stream)
			}
			slices.SortFunc(tenants, func(a, b uuid.UUID) int { return strings.Compare(string(a[:]), string(b[:])) })
			slices.Sort(streams)
			now, err := c.candidates(ctx, partOfStreams(slices.Compact(tenants), slices.Compact(streams)))
			if err != nil {
				return out, err
			}
			seen := map[string]candidate{}
			for _, k := range now {
				seen[k.key] = k
			}
			for _, k := range group {
				again, still := seen[k.key]
				switch {
				case !still:
				case again.same(k) && quiet && (again.wanted == 0 || again.wantSeq < through):
					out.Count++
					if len(out.Findings) < maxFindings {
						out.Findings = append(out.Findings, c.finding(again))
					}
				default:
					next = append(next, again)
				}
			}
		}
		open = next
		if try == settleTries {
			out.Unsettled += uint64(len(open))
			break
		}
	}
	return out, nil
}

// settled returns below which sequence every event is in all views, and whether every disowning
// event there is has been acted on.
func (c *comparison) settled(ctx context.Context) (through uint64, quiet bool, err error) {
	seq, ok, err := c.db.Through(ctx)
	if err != nil || !ok {
		return 0, false, err
	}
	last, err := ask.All(ctx, c.db.Asker, nil, "SELECT max(ledger_seq) FROM disowned_named",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil {
		return 0, false, err
	}
	return seq + 1, c.definition || last[0] <= seq, nil
}

func (c *comparison) finding(k candidate) projections.Finding {
	out := projections.Finding{View: c.view, What: projections.Other, Tenant: k.tenant, Stream: cut(k.stream, 100),
		Seq: max(k.wantSeq, k.haveSeq), Key: cut(k.key, 300)}
	switch {
	case k.held == 0:
		out.What = projections.Missing
	case k.wanted == 0:
		out.What = projections.Extra
	}
	return out
}

func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// LoadState returns what SaveState last kept under a name, nil where there is none.
func (db *DB) LoadState(ctx context.Context, name string) ([]byte, error) {
	out, err := ask.All(ctx, db.Asker, params{"name": name},
		"SELECT state FROM reconcile_state FINAL WHERE name = {name:String}",
		func(scan func(...any) error) (s string, err error) { return s, scan(&s) })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return []byte(out[0]), nil
}

// Codes of ClickHouse's errors that an account gets which may not write.
const (
	codeReadonly     = 164
	codeAccessDenied = 497
)

var stateColumns = []column{{"name", "String"}, {"saved", "UInt64"}, {"state", "String"}}

// SaveState keeps a small text under a name, or returns ErrReadOnly.
func (db *DB) SaveState(ctx context.Context, name string, state []byte) error {
	saved, err := ask.All(ctx, db.Asker, params{"name": name},
		"SELECT max(saved) FROM reconcile_state WHERE name = {name:String}",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	// In the body of an insert: a parameter's text would stand in the URL, which has a limit.
	err = db.insertOne(ctx, "reconcile_state", stateColumns, name, saved[0]+1, string(state))
	var refused *ch.Exception
	if errors.As(err, &refused) && (refused.Code == codeReadonly || refused.Code == codeAccessDenied) {
		return fmt.Errorf("write %s: %w: %w", name, projections.ErrReadOnly, err)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, db.Asker.Stands(ctx, err))
	}
	return nil
}
