//go:build unix && bench

package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/internal/cputime"
)

// hastyFS never syncs: it fills a store that nobody has to trust.
type hastyFS struct{ vfs.FS }

type hastyFile struct{ vfs.File }

func (hastyFile) Sync() error                { return nil }
func (hastyFile) SyncData() error            { return nil }
func (hastyFile) SyncTo(int64) (bool, error) { return false, nil }

func hasty(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return hastyFile{f}, nil
}

func (fs hastyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return hasty(fs.FS.Create(name, c))
}

func (fs hastyFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return hasty(fs.FS.ReuseForWrite(old, name, c))
}

// prefill makes a store of total events, size to an append, by one session.
// They look like a ledger's: 100 bytes of metadata, 400 of data, 10,000 streams.
func prefill(t testing.TB, dir string, total, size int) {
	t.Helper()
	o := eventlog.Options{FS: hastyFS{vfs.Default}, Logger: slog.New(slog.DiscardHandler), Now: time.Now}
	if err := eventlog.Create(dir, o); err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const callers = 4
	var next atomic.Int64
	errs := make(chan error, callers)
	for range callers {
		go func() {
			var err error
			for err == nil {
				first := int(next.Add(int64(size))) - size
				if first >= total {
					break
				}
				r := &eventlog.Request{Stream: fmt.Sprintf("device-%05d", first/size%10_000),
					Expect: eventlog.ExpectAny}
				for n := first; n < min(first+size, total); n++ {
					id := uuid.New()
					r.Events = append(r.Events, eventlog.Proposal{
						ID: id, JSON: true, Type: "device.inventory-changed.v1",
						Meta: fmt.Appendf(nil, `{"correlation":"%s","causation":"%s","n":%d}`, id, id, n),
						Data: fmt.Appendf(nil, `{"device":"%s","os":"Windows 11 10.0.22631.%d","free":%d,"apps":"%s"}`,
							id, n%9973, n*7919, strings.Repeat(id.String()[:12], 25)),
					})
				}
				_, err = l.Submit(context.Background(), r)
			}
			errs <- err
		}()
	}
	var all error
	for range callers {
		all = errors.Join(all, <-errs)
	}
	if err := errors.Join(all, l.Close()); err != nil {
		t.Fatal(err)
	}
	t.Logf("filled %d events, %d to an append, in %s, without fsyncs", total, size,
		time.Since(began).Round(time.Second))
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

func diskUse(t testing.TB, dir string) int64 {
	t.Helper()
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// started starts the server on dir and says how long that took.
func started(t testing.TB, what, dir string) *benchProcess {
	t.Helper()
	began := time.Now()
	p := startProcess(t, kindOurs, dir, 0)
	now, peak := p.memory()
	t.Logf("%s: Start took %s, process and all %s; resident %s, at most %s so far",
		what, p.Opened.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), mib(now), mib(peak))
	return p
}

// TestBenchLargeStore reports start time and memory with BENCH_EVENTS events,
// while all of them are read and ten subscribers catch up; and the start after
// a session that ended with BENCH_COMMITS commits, all of which it walks.
func TestBenchLargeStore(t *testing.T) {
	total := benchNumber(t, "BENCH_EVENTS", 200_000)
	dir := filepath.Join(t.TempDir(), "large")
	prefill(t, dir, total, min(1000, total))
	t.Logf("%d events, %s on disk, %d cores", total, mib(diskUse(t, dir)), runtime.NumCPU())
	started(t, "first start after the fill", dir).stop()
	p := started(t, "second start", dir)

	c := dialString(t, p.Conn)
	r, err := c.ReadAll(context.Background(), esdb.ReadAllOptions{From: esdb.Start{}}, uint64(total))
	if err != nil {
		t.Fatal(err)
	}
	began, cpu, own := time.Now(), p.cpu(), cputime.Used()
	for n := 1; ; n++ {
		_, err := r.Recv()
		if errors.Is(err, io.EOF) && n == total+1 {
			break
		}
		if err != nil {
			t.Fatalf("after %d events: %v", n, err)
		}
		if n%(total/5) == 0 {
			now, peak := p.memory()
			t.Logf("ReadAll, %3d %%: resident %s, at most %s", 100*n/total, mib(now), mib(peak))
		}
	}
	r.Close()
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(total) }
	t.Logf("ReadAll: %.0f events/s; processor time for each event: server %.1f µs, client %.1f µs",
		float64(total)/time.Since(began).Seconds(), each(p.cpu()-cpu), each(cputime.Used()-own))

	last := min(total/5, 100_000) // for each of ten
	for part := range 3 {
		subscribers(t, p, last)
		now, peak := p.memory()
		t.Logf("10 subscribers of the last %d events, time %d: resident %s, at most %s", last, part+1,
			mib(now), mib(peak))
	}
	p.stop()

	commits := benchNumber(t, "BENCH_COMMITS", 20_000)
	dir = filepath.Join(t.TempDir(), "commits")
	oneByOne(t, dir, commits)
	started(t, fmt.Sprintf("start that walks %d commits", commits), dir).stop()
	started(t, "start after that", dir).stop()
}

// subscribers runs ten until each has seen the last n events.
func subscribers(t testing.TB, p *benchProcess, n int) {
	t.Helper()
	c := dialString(t, p.Conn)
	r, err := c.ReadAll(context.Background(), esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}},
		uint64(n))
	if err != nil {
		t.Fatal(err)
	}
	var from esdb.Position
	for range n {
		e, err := r.Recv()
		if err != nil {
			t.Fatal(err)
		}
		from = e.OriginalEvent().Position
	}
	r.Close()
	errs := make(chan error, 10)
	began := time.Now()
	for range 10 {
		go func() {
			sub, err := c.SubscribeToAll(context.Background(), esdb.SubscribeToAllOptions{From: from})
			for seen := 0; err == nil && seen < n-1; {
				switch e := sub.Recv(); {
				case e.EventAppeared != nil:
					seen++
				case e.SubscriptionDropped != nil:
					err = e.SubscriptionDropped.Error
				}
			}
			if sub != nil {
				_ = sub.Close()
			}
			errs <- err
		}()
	}
	var all error
	for range 10 {
		all = errors.Join(all, <-errs)
	}
	if all != nil {
		t.Fatal(all)
	}
	t.Logf("10 subscribers: %.0f events/s together", float64(10*(n-1))/time.Since(began).Seconds())
}

// oneByOne makes a store by a session of n commits, one event each.
func oneByOne(t testing.TB, dir string, n int) {
	t.Helper()
	o := eventlog.Options{FS: hastyFS{vfs.Default}, Logger: slog.New(slog.DiscardHandler), Now: time.Now}
	if err := eventlog.Create(dir, o); err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		r := &eventlog.Request{Stream: "s", Expect: eventlog.ExpectAny,
			Events: []eventlog.Proposal{{ID: uuid.New(), Type: "t", Data: make([]byte, 300)}}}
		if _, err := l.Submit(context.Background(), r); err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
