//go:build unix

package clickhouse

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/google/uuid"
)

func compressions() map[string]*chgo.Compression {
	return map[string]*chgo.Compression{
		"none": nil, "lz4": {Method: chgo.CompressionLZ4}, "zstd": {Method: chgo.CompressionZSTD, Level: 3},
		"gzip": {Method: chgo.CompressionGZIP, Level: 1}, "deflate": {Method: chgo.CompressionDeflate, Level: 1},
		"br": {Method: chgo.CompressionBrotli, Level: 1},
	}
}

// Every type the views use goes in and comes back, under every compression the client knows.
func TestClientRoundTrip(t *testing.T) {
	admin := open(t, shared, nil)
	mustExec(t, admin, "CREATE DATABASE round_trip ENGINE = Atomic")
	for name, compression := range compressions() {
		t.Run(name, func(t *testing.T) {
			c := open(t, shared, func(o *chgo.Options) { o.Compression, o.Auth.Database = compression, "round_trip" })
			mustExec(t, c, `CREATE TABLE t_`+name+
				` (id UUID, n UInt64, flag UInt8, kind LowCardinality(String), at DateTime64(3,'UTC'),
				hash FixedString(32), subjects Array(Tuple(alias UUID, role LowCardinality(String))),
				next Map(String, Tuple(offset Int64, last_seq UInt64)), tags Array(String), opt Nullable(String))
				ENGINE = MergeTree ORDER BY n SETTINGS fsync_after_insert = 1`)
			type subject struct {
				Alias uuid.UUID `ch:"alias"`
				Role  string    `ch:"role"`
			}
			type offset = map[string]any // the client knows no other form for a tuple inside a map
			type row struct {
				ID       uuid.UUID         `ch:"id"`
				N        uint64            `ch:"n"`
				Flag     uint8             `ch:"flag"`
				Kind     string            `ch:"kind"`
				At       time.Time         `ch:"at"`
				Hash     string            `ch:"hash"`
				Subjects []subject         `ch:"subjects"`
				Next     map[string]offset `ch:"next"`
				Tags     []string          `ch:"tags"`
				Opt      *string           `ch:"opt"`
			}
			// An empty line inside values is what inline data would break on.
			binary := "\n\n\x00\xff'\\" + strings.Repeat("\n", 26)
			set := "value"
			want := []row{
				{uuid.New(), 1, 1, "a", time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC), binary,
					[]subject{{uuid.New(), "actor"}, {uuid.New(), "target"}},
					map[string]offset{"topic/0": {"offset": int64(7), "last_seq": uint64(9)}},
					[]string{"\n\n", ""}, &set},
				{uuid.New(), 1<<64 - 1, 0, "b", time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
					strings.Repeat("\x00", 32), []subject{}, map[string]offset{}, []string{}, nil},
			}
			batch, err := c.PrepareBatch(t.Context(), "INSERT INTO t_"+name)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range want {
				pairs := make([][]any, 0, len(r.Subjects))
				for _, s := range r.Subjects {
					pairs = append(pairs, []any{s.Alias, s.Role})
				}
				if err := batch.Append(r.ID, r.N, r.Flag, r.Kind, r.At, r.Hash, pairs, r.Next, r.Tags,
					r.Opt); err != nil {
					t.Fatal(err)
				}
			}
			if err := batch.Send(); err != nil {
				t.Fatal(err)
			}
			var got []row
			if err := c.Select(t.Context(), &got, "SELECT * FROM t_"+name+" ORDER BY n"); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if n := scalar[uint64](t, c, "SELECT count() FROM t_"+name+
				" WHERE id = {id:UUID} AND kind = {kind:String}",
				chgo.Named("id", want[0].ID.String()), chgo.Named("kind", "a")); n != 1 {
				t.Errorf("parameters found %d rows", n)
			}
			var ex *chgo.Exception
			err = c.Exec(t.Context(), "SELECT * FROM no_such_table")
			if !errors.As(err, &ex) || ex.Code != 60 || ex.CodeName != "UNKNOWN_TABLE" {
				t.Errorf("unknown table: %v", err)
			}
			rows, err := c.Query(t.Context(), "SELECT n, kind FROM t_"+name+" WHERE n = 5")
			if err != nil {
				t.Fatal(err)
			}
			if rows.Next() {
				t.Error("a row that is not there")
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// 2 million rows pass through while the child's memory stays far below the result's size.
func TestBigResultInConstantMemory(t *testing.T) {
	const n = 2_000_000
	pad := strings.Repeat("x", 150) // 330 MB in all
	before := resident(t, shared.PID())
	var peak uint64
	watch := func(got uint64) {
		if got%200_000 == 0 {
			peak = max(peak, resident(t, shared.PID()))
		}
	}
	rows, err := open(t, shared, nil).Query(t.Context(), "SELECT number, {pad:String} FROM numbers({n:UInt64}) "+
		"SETTINGS max_block_size = 8192", chgo.Named("pad", pad), named("n", n))
	if err != nil {
		t.Fatal(err)
	}
	var got, sum uint64
	for rows.Next() {
		var v uint64
		var s string
		if err := rows.Scan(&v, &s); err != nil {
			t.Fatal(err)
		}
		got, sum = got+1, sum+v+uint64(len(s))
		watch(got)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	if want := uint64(n)*(n-1)/2 + n*uint64(len(pad)); got != n || sum != want {
		t.Errorf("%d rows, sum %d, want %d and %d", got, sum, n, want)
	}
	// A format with a head and a foot takes the other way.
	resp, err := rawQuery(t.Context(), shared, "SELECT number, repeat('x', 150) FROM numbers(2000000) FORMAT "+
		"JSONCompact SETTINGS max_block_size = 8192", "big")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	got = 0
	for lines.Scan() {
		if bytes.HasPrefix(lines.Bytes(), []byte("\t\t[")) {
			got++
			watch(got)
		}
	}
	if lines.Err() != nil || got != n {
		t.Errorf("%d rows of JSON, %v", got, lines.Err())
	}
	if peak > before+150<<20 {
		t.Errorf("the child grew from %d to %d bytes", before, peak)
	}
}

// resident is a process's memory in bytes.
func resident(t testing.TB, pid int) uint64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, pages uint64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * uint64(os.Getpagesize())
}

// A chain of materialized views over ReplacingMergeTrees: inserting the same batch again changes
// nothing that FINAL shows, under the settings the projector names.
func TestViewChain(t *testing.T) {
	c := open(t, shared, func(o *chgo.Options) {
		o.Settings = chgo.Settings{"async_insert": 0, "deduplicate_blocks_in_dependent_materialized_views": 1,
			"parallel_view_processing": 1}
	})
	mustExec(t, c, "CREATE DATABASE chain ENGINE = Atomic",
		"CREATE TABLE chain.events (seq UInt64, stream String, vals Array(Tuple(attribute LowCardinality(String), "+
			"value String, removed UInt8))) ENGINE = ReplacingMergeTree ORDER BY (stream, seq) SETTINGS "+
			"fsync_after_insert = 1, fsync_part_directory = 1",
		"CREATE TABLE chain.history (stream String, attribute LowCardinality(String), seq UInt64, value String, "+
			"removed UInt8) ENGINE = ReplacingMergeTree ORDER BY (stream, attribute, seq)",
		"CREATE TABLE chain.current (stream String, attribute LowCardinality(String), value String, removed UInt8, "+
			"seq UInt64) ENGINE = ReplacingMergeTree(seq) ORDER BY (stream, attribute)",
		"CREATE MATERIALIZED VIEW chain.history_mv TO chain.history AS SELECT stream, v.attribute AS attribute, seq, "+
			"v.value AS value, v.removed AS removed FROM chain.events ARRAY JOIN vals AS v",
		"CREATE MATERIALIZED VIEW chain.current_mv TO chain.current AS SELECT stream, attribute, value, removed, seq "+
			"FROM chain.history",
		"CREATE VIEW chain.now AS SELECT * FROM chain.current FINAL WHERE NOT removed")
	for range 3 {
		batch, err := c.PrepareBatch(t.Context(), "INSERT INTO chain.events (seq, stream, vals)")
		if err != nil {
			t.Fatal(err)
		}
		for seq := range uint64(1000) {
			vals := [][]any{{"owner", fmt.Sprint("v", seq), uint8(seq / 990)}, {"model", "m", uint8(0)}}
			if err := batch.Append(seq, fmt.Sprint("device-", seq%100), vals); err != nil {
				t.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]uint64{
			"SELECT count() FROM chain.events FINAL": 1000, "SELECT count() FROM chain.history FINAL": 2000,
			"SELECT count() FROM chain.current FINAL":                 200,
			"SELECT count() FROM chain.now WHERE attribute = 'owner'": 90,
			"SELECT count() FROM chain.now WHERE attribute = 'owner' AND value = concat('v', toString(900 + " +
				"toUInt64(substring(stream, 8))))": 90,
		} {
			if got := scalar[uint64](t, c, query); got != want {
				t.Errorf("%s: %d, want %d", query, got, want)
			}
		}
	}
}

// Settings that the client sends reach the statement, and no other.
func TestSettings(t *testing.T) {
	c := open(t, shared, func(o *chgo.Options) {
		o.Settings = chgo.Settings{"async_insert": 0, "max_block_size": 123}
	})
	ctx := chgo.Context(t.Context(), chgo.WithSettings(chgo.Settings{
		"deduplicate_blocks_in_dependent_materialized_views": 0, "max_block_size": 77,
	}))
	var async, dedup bool
	var block uint64
	query := "SELECT getSetting('async_insert'), getSetting('deduplicate_blocks_in_dependent_materialized_views'), " +
		"toUInt64(getSetting('max_block_size'))"
	if err := c.QueryRow(ctx, query).Scan(&async, &dedup, &block); err != nil {
		t.Fatal(err)
	}
	if async || dedup || block != 77 {
		t.Errorf("async_insert %v, dedup %v, max_block_size %d", async, dedup, block)
	}
	if err := c.QueryRow(t.Context(), query).Scan(&async, &dedup, &block); err != nil {
		t.Fatal(err)
	}
	if async || !dedup || block != 123 {
		t.Errorf("after it: async_insert %v, dedup %v, max_block_size %d", async, dedup, block)
	}
	var ex *chgo.Exception
	err := c.Exec(chgo.Context(t.Context(), chgo.WithSettings(chgo.Settings{"no_such_setting": 1})), "SELECT 1")
	if !errors.As(err, &ex) || ex.Code != 115 {
		t.Errorf("unknown setting: %v", err)
	}
	// A setting decides over an insert, too: over the parsing of its data and over its writing.
	mustExec(t, c, "CREATE DATABASE settings ENGINE = Atomic",
		"CREATE TABLE settings.t (a UInt8, b UInt8 DEFAULT a + 7) ENGINE = MergeTree PARTITION BY a ORDER BY a")
	with := func(name string, value any) context.Context {
		return chgo.Context(t.Context(), chgo.WithSettings(chgo.Settings{name: value}))
	}
	if err := c.Exec(with("format_csv_delimiter", ";"), "INSERT INTO settings.t FORMAT CSV\n1;5\n2;\n"); err != nil {
		t.Error(err)
	}
	if got := scalar[string](t, c, "SELECT toString(groupArray((a, b))) FROM (SELECT * FROM "+
		"settings.t ORDER BY a)"); got != "[(1,5),(2,9)]" {
		t.Errorf("inserted %s", got)
	}
	err = c.Exec(with("max_partitions_per_insert_block", 1), "INSERT INTO settings.t (a) VALUES (3), (4)")
	if !errors.As(err, &ex) || ex.Code != 252 {
		t.Errorf("too many partitions: %v", err)
	}
	// A limit below the server's bound holds, a larger one does not lift the bound.
	if got := scalar[string](t, c, "SELECT toString(getSetting('max_execution_time'))"); got != "3600" {
		t.Errorf("max_execution_time is %s", got)
	}
	err = c.Exec(with("max_execution_time", "0.2"), "SELECT count() FROM numbers(1000000000000) WHERE NOT "+
		"ignore(cityHash64(number)) FORMAT Null")
	if !errors.As(err, &ex) || ex.Code != 159 {
		t.Errorf("a statement without end: %v", err)
	}
}

// A statement whose client has gone is gone from the engine, whichever way its result takes.
func TestCancel(t *testing.T) {
	watch := open(t, shared, nil)
	for i, query := range []string{
		"SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))",
		"SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number)) FORMAT JSON",
		"SELECT number, repeat('x', 1000) FROM numbers(1000000000000)",
		"SELECT number, repeat('x', 1000) FROM numbers(1000000000000) FORMAT CSVWithNames",
		"INSERT INTO FUNCTION null('n UInt64') SELECT number FROM numbers(1000000000000)",
	} {
		id := fmt.Sprint("cancel-", i)
		running := func() uint64 {
			return scalar[uint64](t, watch, "SELECT count() FROM system.processes WHERE Settings['log_comment'] "+
				"LIKE {id:String}", chgo.Named("id", "query_id="+id+" %"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			resp, err := rawQuery(ctx, shared, query, id)
			if err == nil {
				<-ctx.Done() // like a reader that is slow
				_ = resp.Body.Close()
			}
		}()
		for running() == 0 {
			if t.Context().Err() != nil {
				t.Fatal("never started")
			}
		}
		cancel()
		<-done
		for running() != 0 {
			if t.Context().Err() != nil {
				t.Fatal("never ended")
			}
		}
	}
}

func rawQuery(ctx context.Context, s *Server, query, id string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Addr()+"/?query_id="+id,
		strings.NewReader(query))
	if err != nil {
		return nil, err
	}
	return (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
}

// An error after the first megabyte reaches the client as an exception, not as a short result.
func TestErrorInMidResult(t *testing.T) {
	for name, compression := range compressions() {
		c := open(t, shared, func(o *chgo.Options) { o.Compression = compression })
		rows, err := c.Query(t.Context(), "SELECT number, toString(cityHash64(number)), throwIf(number = 300000) "+
			"FROM numbers(100000000) SETTINGS max_threads = 1")
		if err == nil {
			for rows.Next() {
			}
			err = errors.Join(rows.Err(), rows.Close())
		}
		var ex *chgo.Exception
		if !errors.As(err, &ex) || ex.Code != 395 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Inserts and reads side by side, more of them than statements may run at a time.
func TestConcurrent(t *testing.T) {
	c := open(t, shared, func(o *chgo.Options) { o.MaxOpenConns, o.MaxIdleConns = 64, 64 })
	mustExec(t, c, "CREATE DATABASE concurrent ENGINE = Atomic",
		"CREATE TABLE concurrent.t (w UInt32, n UInt32) ENGINE = MergeTree ORDER BY (w, n)")
	var wg sync.WaitGroup
	fail := make(chan error, 64)
	for w := range uint32(48) {
		wg.Go(func() {
			batch, err := c.PrepareBatch(t.Context(), "INSERT INTO concurrent.t")
			for n := uint32(0); err == nil && n < 50; n++ {
				err = batch.Append(w, n)
			}
			if err == nil {
				err = batch.Send()
			}
			var count uint64
			if err == nil {
				err = c.QueryRow(t.Context(), "SELECT count() FROM concurrent.t WHERE w = {w:UInt32}",
					chgo.Named("w", fmt.Sprint(w))).Scan(&count)
			}
			if err == nil && count != 50 {
				err = fmt.Errorf("worker %d reads %d of its own 50 rows", w, count)
			}
			if err != nil {
				fail <- err
			}
		})
	}
	wg.Wait()
	close(fail)
	for err := range fail {
		t.Error(err)
	}
}

// Tables that the client sends along with its query.
func TestExternalTables(t *testing.T) {
	c := open(t, shared, nil)
	table, err := ext.NewTable("wanted", ext.Column("n", "UInt64"), ext.Column("label", "String"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(5) {
		if err := table.Append(n*10, fmt.Sprint("label\n\n", n)); err != nil {
			t.Fatal(err)
		}
	}
	ctx := chgo.Context(t.Context(), chgo.WithExternalTable(table))
	var count uint64
	var labels string
	if err := c.QueryRow(ctx, "SELECT count(), arrayStringConcat(groupArray(label), ',') FROM numbers(25) AS a JOIN "+
		"wanted ON a.number = wanted.n").Scan(&count, &labels); err != nil {
		t.Fatal(err)
	}
	if want := "label\n\n0,label\n\n1,label\n\n2"; count != 3 || labels != want {
		t.Errorf("%d %q, want 3 %q", count, labels, want)
	}
}

// An insert that is refused while its data is still coming is refused with the server's words.
func TestRefusedWhileSending(t *testing.T) {
	c := open(t, shared, nil)
	mustExec(t, c, "CREATE DATABASE refused ENGINE = Atomic")
	for range 10 {
		mustExec(t, c, "CREATE TABLE refused.t (s String) ENGINE = Memory")
		batch, err := c.PrepareBatch(t.Context(), "INSERT INTO refused.t")
		if err != nil {
			t.Fatal(err)
		}
		row := strings.Repeat("x", 10_000)
		for range 2000 {
			if err := batch.Append(row); err != nil {
				t.Fatal(err)
			}
		}
		mustExec(t, c, "DROP TABLE refused.t SYNC")
		var ex *chgo.Exception
		if err := batch.Send(); !errors.As(err, &ex) || ex.Code != 60 {
			t.Fatalf("%v", err)
		}
	}
}
