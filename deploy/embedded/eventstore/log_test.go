package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

func testOptions(fs vfs.FS) eventlog.Options {
	return eventlog.Options{FS: fs, Logger: slog.New(slog.DiscardHandler), Now: time.Now, CacheBytes: 8 << 20}
}

func put(t testing.TB, l *eventlog.Log, stream string, n int) eventlog.Result {
	t.Helper()
	r := &eventlog.Request{Stream: stream, Expect: eventlog.ExpectAny}
	for range n {
		id := uuid.New()
		r.Events = append(r.Events, eventlog.Proposal{ID: id, Type: "t", Data: []byte(fmt.Sprintf("data of %x", id))})
	}
	res, err := l.Submit(context.Background(), r)
	if err != nil || res.Outcome != eventlog.OutcomeWritten {
		t.Fatalf("append: %+v, %v", res, err)
	}
	return res
}

// contents is every event of the log by its id, read in $all order; an id that
// is there twice, a stream's gap and a disorder fail the test.
func contents(t testing.TB, l *eventlog.Log) map[[16]byte]uint64 {
	t.Helper()
	v := l.Acquire()
	out := map[[16]byte]uint64{}
	last := map[string]uint64{}
	before := uint64(0)
	err := v.ScanAll(0, v.End(), false, func(position uint64, r *eventlog.Record) bool {
		if position <= before {
			t.Fatalf("position %d follows %d", position, before)
		}
		if n, ok := last[string(r.Stream)]; ok && r.Revision != n+1 || !ok && r.Revision != 0 {
			t.Fatalf("stream %s: revision %d follows %d", r.Stream, r.Revision, n)
		}
		last[string(r.Stream)], before = r.Revision, position
		out[r.ID] = position
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(out)) != v.Events() {
		t.Fatalf("%d different events, the view counts %d", len(out), v.Events())
	}
	if err := v.Release(); err != nil {
		t.Fatal(err)
	}
	return out
}

func isLogSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return strings.HasSuffix(op.Path, ".log")
	}
	return false
}

// failingServer is a server whose disk has just failed the fsync of an append.
func failingServer(t *testing.T) *Server {
	t.Helper()
	var armed atomic.Bool
	cfg := testConfig("s")
	cfg.fs = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && isLogSync(op) {
			return errors.New("disk on fire")
		}
		return nil
	}))
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	_, _ = s.store.Submit(context.Background(), &eventlog.Request{Stream: "a", Expect: eventlog.ExpectAny,
		Events: []eventlog.Proposal{{ID: uuid.New(), Type: "t"}}})
	return s
}

// A failed store ends its server, which says why.
func TestServerEndsWhenItsStoreFails(t *testing.T) {
	s := failingServer(t)
	select {
	case <-s.Done():
	case <-testContext(t).Done():
		t.Fatal("the server goes on")
	}
	if err := s.Wait(); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("the server ended with %v", err)
	}
}

// logEvents returns the log's events from a position on, as a reader sees them.
func logEvents(l *eventlog.Log, from uint64) (events []storedEvent, err error) {
	v := l.Acquire()
	defer func() { err = errors.Join(err, v.Release()) }()
	err = v.ScanAll(from, v.End(), false, func(position uint64, r *eventlog.Record) bool {
		events = append(events, storedEvent{
			stream: string(r.Stream), revision: r.Revision, position: position, id: r.ID, typ: string(r.Type),
			data: string(r.Data), meta: string(r.Meta), json: r.Flags&layout.FlagJSON != 0, created: r.Created,
		})
		return true
	})
	return events, err
}
