//go:build bench && unix

package clickhouse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/cputime"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/block"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/reconcile"
	"github.com/ledgerline/ledgerline/schemas"
)

// Run with: make bench-views. A fleet's mix, some 13 values and 4.6 KB an event. Nothing is
// asserted.

func print(name string, value float64, unit string) { fmt.Printf("%s %.4g %s\n", name, value, unit) }

// TestBenchProjector puts the projector beside ClickHouse alone, that is blocks of the same events
// out of memory, into all views and into a table that has none; by turns, since a machine's other
// load changes. Each turn has several batches: one is made while another is inserted.
func TestBenchProjector(t *testing.T) {
	db := chtest.Start(t)
	if err := db.Exec(t.Context(), "CREATE TABLE bare AS events"); err != nil {
		t.Fatal(err)
	}
	l := chtest.NewLedger(1, 2, 400)
	for _, size := range []int{2000, 10_000} {
		const rounds, batches = 2, 4
		n := batches * size
		var projector, alone, bare spent
		for round := range rounds + 1 {
			events := l.Events(n)
			took := [3]spent{project(t, db, events, size, fmt.Sprint("bench ", size, round)),
				insertBlocks(t, db, events, "events", size), insertBlocks(t, db, events, "bare", size)}
			if round > 0 { // the first one warms up
				projector.add(took[0])
				alone.add(took[1])
				bare.add(took[2])
			}
		}
		show := func(what string, s spent) {
			print(fmt.Sprint(what, "-", size), float64(rounds*n)/s.wall.Seconds(), "events/s")
			per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(rounds*n) }
			print(fmt.Sprint(what, "-cpu-here-", size), per(s.here), "µs/event")
			print(fmt.Sprint(what, "-cpu-engine-", size), per(s.engine), "µs/event")
		}
		show("projector", projector)
		show("clickhouse-alone", alone)
		show("clickhouse-without-views", bare)
		print(fmt.Sprint("projector-to-clickhouse-", size), 100*alone.wall.Seconds()/projector.wall.Seconds(), "%")
		print(fmt.Sprint("all-views-to-none-", size), 100*bare.wall.Seconds()/alone.wall.Seconds(), "%")
	}
}

// spent is what something took: time, and processor time of this process and of the engine's,
// which is 0 where the system does not tell.
type spent struct{ wall, here, engine time.Duration }

func (s *spent) add(o spent) {
	s.wall, s.here, s.engine = s.wall+o.wall, s.here+o.here, s.engine+o.engine
}

// spend begins to measure, and the function it returns ends it.
func spend() func() spent {
	began, here, engine := time.Now(), cputime.Used(), engineTime()
	return func() spent { return spent{time.Since(began), cputime.Used() - here, engineTime() - engine} }
}

// engineTime is the processor time that the shared engine's process has used so far.
func engineTime() time.Duration { return timeOf(chtest.EnginePID()) }

// timeOf is that of a process.
func timeOf(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on each system that has /proc
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}

// engineMemory is the engine's peak resident memory in MiB since it began or, where the system
// allows it, since resetEngineMemory; 0 where the system does not tell.
func engineMemory() (mib float64) {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", chtest.EnginePID()))
	for line := range strings.Lines(string(raw)) {
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &mib); n == 1 {
			return mib / 1024
		}
	}
	return 0
}

func resetEngineMemory() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", chtest.EnginePID()), []byte("5"), 0)
}

// project lets a projector take new events from topics in memory.
func project(t *testing.T, db *clickhouse.DB, events []chtest.Event, size int, name string) spent {
	t.Helper()
	topics := chtest.NewTopics(4)
	topics.Publish(events...)
	p, err := projections.New(projections.Config{Name: name, Source: topics, Sink: db, Positions: db,
		Log: slog.New(slog.DiscardHandler), BatchRows: size, BatchBytes: 1 << 30, BatchWait: 100 * time.Millisecond,
		Stall: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	end := spend()
	go func() { done <- p.Run(ctx) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.Status().Rows < uint64(len(events)) {
		<-tick.C
	}
	took := end()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return took
}

func insertBlocks(t *testing.T, db *clickhouse.DB, events []chtest.Event, table string, size int) (took spent) {
	t.Helper()
	for part := range slices.Chunk(events, size) {
		bytes, err := io.ReadAll(block.Reader(chtest.Rows(part...)))
		if err != nil {
			t.Fatal(err)
		}
		end := spend()
		if err := db.InsertBlock(t.Context(), table, bytes); err != nil {
			t.Fatal(err)
		}
		took.add(end())
	}
	return took
}

// TestBenchInsert prints what a small batch costs the engine, merges and the saved position with
// it: processor time, and files that are made. Its directory is on the disk.
func TestBenchInsert(t *testing.T) {
	const inserts, size, listed = 200, 300, 4
	dir := t.TempDir()
	s := chtest.Serve(t, dir, "")
	t.Cleanup(func() { // behind that of the database
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	cfg := clickhouse.Config{Username: chtest.Writer, Password: chtest.WriterPassword, Addrs: []string{s.Addr()}}
	if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	db := chtest.Open(t, cfg)
	var rows []projections.Row // as a fleet's days bring them
	for _, r := range chtest.Rows(chtest.NewLedger(1, 2, 400).Events(12_000)...) {
		if kind, _, _ := strings.Cut(r.Type, "."); kind == "device" || kind == "adminaction" || kind == "refusal" {
			rows = append(rows, r)
		}
	}
	seq, saved := uint64(0), uint64(0)
	insert := func() {
		from := int(seq) % (len(rows) - size)
		batch := slices.Clone(rows[from : from+size])
		for i := range batch {
			batch[i].Seq, seq = seq, seq+1
		}
		saved++
		if err := db.Insert(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: saved, Applied: seq,
			Next: map[string]projections.Place{"ledger.x/0": {Next: 14, LastSeq: seq - 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Exec(t.Context(), "SYSTEM STOP MERGES"); err != nil {
		t.Fatal(err)
	}
	insert()
	before := filesIn(t, dir)
	for range listed {
		insert()
	}
	print("files-an-insert", float64(filesIn(t, dir)-before)/listed, "")
	if err := db.Exec(t.Context(), "SYSTEM START MERGES"); err != nil {
		t.Fatal(err)
	}
	used, began := timeOf(s.PID()), time.Now()
	for range inserts {
		insert()
	}
	print("insert-cpu-engine", float64((timeOf(s.PID())-used).Milliseconds())/inserts, "ms")
	print("insert", float64(time.Since(began).Milliseconds())/inserts, "ms")
}

// filesIn is how many files there are below a directory in which an engine works.
func filesIn(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBenchRowOf prints the processor time of one event → row, its leaf known.
func TestBenchRowOf(t *testing.T) {
	events := chtest.NewLedger(1, 2, 50).Events(1000)
	chtest.Rows(events...) // hashes the leaves
	const rounds = 20
	began := cputime.Used()
	for range rounds {
		for _, e := range events {
			projections.RowOf(e.Envelope)
		}
	}
	print("row-of", float64((cputime.Used()-began).Nanoseconds())/1000/float64(rounds*len(events)), "µs")
}

// TestBenchAge prints at which rate views are compared and made anew, with BENCH_EVENTS events and
// with a third of them, and what is left of the rate where the ledger is larger.
func TestBenchAge(t *testing.T) {
	most := 60_000
	if s := os.Getenv("BENCH_EVENTS"); s != "" {
		var err error
		if most, err = strconv.Atoi(s); err != nil || most < 3 {
			t.Fatalf("BENCH_EVENTS %q", s)
		}
	}
	db := chtest.Start(t)
	l := chtest.NewLedger(1, 2, 400)
	var events []schemas.Envelope
	var rates, costs [2][2]float64
	for i, size := range []int{most / 3, most} {
		for len(events) < size {
			more := l.Events(min(2000, size-len(events)))
			if err := db.Insert(t.Context(), chtest.Rows(more...)); err != nil {
				t.Fatal(err)
			}
			for _, e := range more {
				events = append(events, e.Envelope)
			}
		}
		if err := db.SavePosition(t.Context(), "projector",
			projections.Position{Saved: uint64(i + 1), Applied: uint64(size)}); err != nil {
			t.Fatal(err)
		}
		print(fmt.Sprint("inserted-memory-", size), engineMemory(), "MiB")
		for j, do := range []func() spent{
			func() spent { return compared(t, db, events) },
			func() spent { return rebuilt(t, db) },
		} {
			resetEngineMemory()
			took, what := do(), []string{"reconcile", "rebuild"}[j]
			rates[i][j] = float64(size) / took.wall.Seconds()
			costs[i][j] = float64((took.here + took.engine).Microseconds()) / float64(size)
			print(fmt.Sprint(what, "-", size), rates[i][j], "events/s")
			print(fmt.Sprint(what, "-cpu-", size), costs[i][j], "µs/event")
			print(fmt.Sprint(what, "-memory-", size), engineMemory(), "MiB")
		}
	}
	print("reconcile-age", 100*rates[1][0]/rates[0][0], "%")
	print("rebuild-age", 100*rates[1][1]/rates[0][1], "%")
	print("reconcile-cpu-age", 100*costs[1][0]/costs[0][0], "%")
	print("rebuild-cpu-age", 100*costs[1][1]/costs[0][1], "%")
}

func compared(t *testing.T, db *clickhouse.DB, events []schemas.Envelope) spent {
	t.Helper()
	r, err := reconcile.New(reconcile.Config{Name: "bench", Ledger: chtest.ID("bench"), Views: db,
		Log: slog.New(slog.DiscardHandler),
		Events: func(_ context.Context, from uint64) iter.Seq2[schemas.Envelope, error] {
			return func(yield func(schemas.Envelope, error) bool) {
				for _, e := range events[from:] {
					if !yield(e, nil) {
						return
					}
				}
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	end := spend()
	res, err := r.Run(t.Context())
	if err != nil || res.Differences > 0 || res.Events != uint64(len(events)) {
		t.Fatalf("%+v, %v", res, err)
	}
	return end()
}

func rebuilt(t *testing.T, db *clickhouse.DB) spent {
	t.Helper()
	views, err := db.Views(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	end := spend()
	for _, view := range views {
		if err := db.Rebuild(t.Context(), view, clickhouse.RebuildConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	return end()
}
