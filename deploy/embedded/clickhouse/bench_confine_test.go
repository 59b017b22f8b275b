//go:build unix && bench

package clickhouse

import (
	"context"
	"fmt"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
)

// What confinement costs: two engines side by side take turns, so that what else the machine does
// weighs on both.
func TestConfinementCost(t *testing.T) {
	took := map[string]*[2]time.Duration{}
	var servers [2]*Server
	turn := func(what string, rounds int, do func(i int)) {
		took[what] = new([2]time.Duration)
		for n := range rounds {
			for k := range 2 {
				i := (n + k) % 2
				begin := time.Now()
				do(i)
				took[what][i] += time.Since(begin)
			}
		}
	}
	turn("start and stop", 10, func(i int) {
		cfg := testConfig(t.TempDir())
		cfg.Unconfined = i == 1
		s, err := Start(t.Context(), cfg)
		if err == nil {
			err = s.Stop(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	var clients [2]chgo.Conn
	for i := range servers {
		cfg := testConfig(t.TempDir())
		cfg.Unconfined = i == 1
		s, err := Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Stop(context.Background()) }()
		clients[i] = open(t, s, nil)
		mustExec(t, clients[i], "CREATE DATABASE b ENGINE = Atomic",
			`CREATE TABLE b.t (k UInt64, s String, at DateTime64(3))
			ENGINE = ReplacingMergeTree ORDER BY k SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`)
	}
	turn("SELECT 1", 3000, func(i int) { _ = scalar[uint8](t, clients[i], "SELECT 1") })
	n := 0
	turn("insert of 10,000 rows", 300, func(i int) {
		n++
		mustExec(t, clients[i], fmt.Sprintf(`INSERT INTO b.t
			SELECT cityHash64(number, %d), hex(cityHash64(number)), now64() FROM numbers(10000)`, n))
	})
	turn("sum over FINAL", 10, func(i int) {
		_ = scalar[uint64](t, clients[i], "SELECT sum(cityHash64(s)) FROM b.t FINAL")
	})
	for what, d := range took {
		t.Logf("%-22s confined %v, unconfined %v, ratio %.3f", what, d[0].Round(time.Millisecond),
			d[1].Round(time.Millisecond), float64(d[0])/float64(d[1]))
	}
}
