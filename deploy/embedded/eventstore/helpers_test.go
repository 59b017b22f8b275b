package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// testTimeout bounds a whole test that would otherwise hang; nothing waits for it to pass.
const testTimeout = time.Minute

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

var protectLedger = regexp.MustCompile(`^[a-z]{2,20}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func testConfig(dir string) Config {
	return Config{Dir: dir, Addr: "127.0.0.1:0", Open: true, Logger: slog.New(slog.DiscardHandler),
		ProtectStreams: protectLedger}
}

// startServer runs a server until the test ends and checks that it stops cleanly.
func startServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopServer(t, s) })
	return s
}

func stopServer(t testing.TB, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func dial(t testing.TB, s *Server) *esdb.Client {
	t.Helper()
	return dialString(t, s.ConnectionString())
}

func dialString(t testing.TB, conn string) *esdb.Client {
	t.Helper()
	conf, err := esdb.ParseConnectionString(conn)
	if err != nil {
		t.Fatal(err)
	}
	conf.Logger = func(esdb.LogLevel, string, ...any) {}
	c, err := esdb.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// fixture is a server on a new directory and a client of it.
type fixture struct {
	t   testing.TB
	ctx context.Context
	s   *Server
	c   *esdb.Client
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	s := startServer(t, testConfig(t.TempDir()))
	return &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
}

func event(data string) esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: "happened", ContentType: esdb.ContentTypeJson,
		Data: []byte(data), Metadata: []byte(`{"m":1}`)}
}

func events(n int) []esdb.EventData {
	out := make([]esdb.EventData, n)
	for i := range out {
		out[i] = event(fmt.Sprintf(`{"n":%d}`, i))
	}
	return out
}

func (f *fixture) append(stream string, expect esdb.ExpectedRevision, events ...esdb.EventData) *esdb.WriteResult {
	f.t.Helper()
	res, err := f.c.AppendToStream(f.ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expect}, events...)
	if err != nil {
		f.t.Fatalf("append to %s: %v", stream, err)
	}
	return res
}

func (f *fixture) appendError(stream string, expect esdb.ExpectedRevision, events ...esdb.EventData) *esdb.Error {
	f.t.Helper()
	_, err := f.c.AppendToStream(f.ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expect}, events...)
	return asError(f.t, err)
}

// asError finds the client's error, also where it is wrapped.
func asError(t testing.TB, err error) *esdb.Error {
	t.Helper()
	var e *esdb.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error of the server", err)
	}
	return e
}

func wantCode(t testing.TB, err error, code esdb.ErrorCode) {
	t.Helper()
	if e := asError(t, err); e.Code() != code {
		t.Fatalf("got code %v (%v), want %v", e.Code(), err, code)
	}
}

func collect(t testing.TB, r *esdb.ReadStream, err error) ([]*esdb.RecordedEvent, error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []*esdb.RecordedEvent
	for {
		e, err := r.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, e.OriginalEvent())
	}
}

func (f *fixture) readStream(stream string, dir esdb.Direction, from esdb.StreamPosition,
	count uint64) ([]*esdb.RecordedEvent, error) {
	f.t.Helper()
	r, err := f.c.ReadStream(f.ctx, stream, esdb.ReadStreamOptions{Direction: dir, From: from}, count)
	return collect(f.t, r, err)
}

func (f *fixture) readAll(dir esdb.Direction, from esdb.AllPosition, count uint64) ([]*esdb.RecordedEvent, error) {
	f.t.Helper()
	r, err := f.c.ReadAll(f.ctx, esdb.ReadAllOptions{Direction: dir, From: from}, count)
	return collect(f.t, r, err)
}

func (f *fixture) subscribeAll(opts esdb.SubscribeToAllOptions) *esdb.Subscription {
	f.t.Helper()
	sub, err := f.c.SubscribeToAll(f.ctx, opts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = sub.Close() })
	return sub
}

func (f *fixture) subscribeStream(stream string, from esdb.StreamPosition) *esdb.Subscription {
	f.t.Helper()
	sub, err := f.c.SubscribeToStream(f.ctx, stream, esdb.SubscribeToStreamOptions{From: from})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = sub.Close() })
	return sub
}

// revisions is what a read showed, for comparing.
func revisions(events []*esdb.RecordedEvent) []uint64 {
	out := []uint64{}
	for _, e := range events {
		out = append(out, e.EventNumber)
	}
	return out
}

func positions(events []*esdb.RecordedEvent) []uint64 {
	out := []uint64{}
	for _, e := range events {
		out = append(out, e.Position.Commit)
	}
	return out
}
