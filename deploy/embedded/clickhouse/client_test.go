package clickhouse

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

func compressions() map[string]*chgo.Compression {
	return map[string]*chgo.Compression{
		"none": nil, "lz4": {Method: chgo.CompressionLZ4}, "zstd": {Method: chgo.CompressionZSTD, Level: 3},
		"gzip": {Method: chgo.CompressionGZIP, Level: 1}, "deflate": {Method: chgo.CompressionDeflate, Level: 1}, "br": {Method: chgo.CompressionBrotli, Level: 1},
	}
}

// Every type the views use goes in and comes back, under every compression the client knows.
func TestClientRoundTrip(t *testing.T) {
	admin := open(t, shared, nil)
	mustExec(t, admin, "CREATE DATABASE round_trip ENGINE = Atomic")
	for name, compression := range compressions() {
		t.Run(name, func(t *testing.T) {
			c := open(t, shared, func(o *chgo.Options) { o.Compression, o.Auth.Database = compression, "round_trip" })
			mustExec(t, c, `CREATE TABLE t_`+name+` (id UUID, n UInt64, flag UInt8, kind LowCardinality(String), at DateTime64(3,'UTC'), hash FixedString(32),
				subjects Array(Tuple(alias UUID, role LowCardinality(String))), next Map(String, Tuple(offset Int64, last_seq UInt64)), tags Array(String), opt Nullable(String))
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
				{uuid.New(), 1, 1, "a", time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC), binary, []subject{{uuid.New(), "actor"}, {uuid.New(), "target"}}, map[string]offset{"topic/0": {"offset": int64(7), "last_seq": uint64(9)}}, []string{"\n\n", ""}, &set},
				{uuid.New(), 1<<64 - 1, 0, "b", time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), strings.Repeat("\x00", 32), []subject{}, map[string]offset{}, []string{}, nil},
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
				if err := batch.Append(r.ID, r.N, r.Flag, r.Kind, r.At, r.Hash, pairs, r.Next, r.Tags, r.Opt); err != nil {
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
			if n := scalar[uint64](t, c, "SELECT count() FROM t_"+name+" WHERE id = {id:UUID} AND kind = {kind:String}",
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
