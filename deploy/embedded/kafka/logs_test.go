package kafka

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
)

// Without a snapshot that tells of its files, kfake holds all records in memory until it has read
// the last. So a start after a kill writes the one that a stop would have written; and segments
// are small.
func TestAStartAfterAKillReadsASegmentAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "broker")
	c := startChild(t, dir, "127.0.0.1:0")
	client := newClient(t, c.addr)
	createTopics(t, client, ledgerTopic("ledger.a", 2))
	mega := bytes.Repeat([]byte("v"), 1<<19)
	fill := func(n int) {
		t.Helper()
		for range n {
			_, err := produce(t.Context(), client, "ledger.a", 0, mega)
			must(t, err)
		}
		_, err := produce(t.Context(), client, "ledger.a", 1, []byte("one"), []byte("two"))
		must(t, err)
	}
	for _, after := range []string{"no stop", "a stop"} { // the first snapshot of all, and one that is old
		fill(20)
		c.kill(t)
		data := filepath.Join(dir, "data")
		logs, err := readLogs(data, func(int64) {})
		must(t, err)
		for _, l := range logs {
			if l.known {
				t.Errorf("%s: %s is as at the last stop already", after, filepath.Base(l.dir))
			}
			if n := len(l.segments); filepath.Base(l.dir) == "ledger.a-0" && n < 2 {
				t.Errorf("%s: 10 MiB lie in %d segments", after, n)
			}
		}
		var mu sync.Mutex
		var checked, total int64
		s, err := Start(t.Context(), Config{Dir: dir, Addr: c.addr, Open: true,
			Logger: slog.New(slog.DiscardHandler), Progress: func(done, all int64) {
				mu.Lock()
				defer mu.Unlock()
				checked, total = max(checked, done), all
			}})
		must(t, err)
		if checked != total || total < 10<<20 {
			t.Errorf("%s: of %d bytes it was told that %d were checked", after, total, checked)
		}
		written := map[string]logSnapshot{}
		logs, err = readLogs(data, func(int64) {})
		must(t, err)
		for _, l := range logs {
			if !l.known {
				t.Errorf("%s: kfake was left to read %s whole", after, filepath.Base(l.dir))
			}
			written[l.dir], _, err = l.snapshot()
			must(t, err)
		}
		must(t, s.Stop(context.Background()))
		for _, l := range logs {
			stopped, _, err := l.snapshot()
			must(t, err)
			got := written[l.dir]
			if !got.CreatedAt.Equal(stopped.CreatedAt) {
				t.Errorf("%s: created at %s and at %s", after, got.CreatedAt, stopped.CreatedAt)
			}
			if got.HighWatermark != stopped.HighWatermark || got.LogStartOffset != stopped.LogStartOffset ||
				got.LastStableOffset != stopped.LastStableOffset || got.Epoch != stopped.Epoch ||
				got.Version != stopped.Version || len(got.Segments) != len(stopped.Segments) {
				t.Errorf("%s: %s: written was %+v, a stop writes %+v", after, filepath.Base(l.dir), got, stopped)
			}
		}
		c = startChild(t, dir, c.addr)
		client = newClient(t, c.addr)
	}
}
