package semantics

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// world is one test's part of the server: the streams and types whose names
// begin with its prefix, and $all from where it ended when the test began.
type world struct {
	t      testing.TB
	ctx    context.Context
	target target
	conf   *esdb.Configuration
	client *esdb.Client
	prefix string
	mark   esdb.AllPosition

	conn *grpc.ClientConn // of the raw calls; opened by the first
}

// begin opens a world of its own and lets the test run beside others.
func begin(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, target: startTarget(t)}
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	w.ctx = ctx
	var random [6]byte
	if _, err := rand.Read(random[:]); err != nil {
		t.Fatal(err)
	}
	w.prefix = "semantics_" + hex.EncodeToString(random[:]) + "_"
	w.client, w.conf = w.dial(w.target.dsn)
	w.mark = esdb.Start{}
	w.eachOfAll(esdb.Backwards, esdb.End{}, func(e *esdb.RecordedEvent) bool {
		w.mark = e.Position
		return false
	})
	return w
}

func (w *world) dial(dsn string) (*esdb.Client, *esdb.Configuration) {
	w.t.Helper()
	conf, err := esdb.ParseConnectionString(dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	conf.Logger = func(esdb.LogLevel, string, ...any) {}
	c, err := esdb.NewClient(conf)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c, conf
}

// stream is the whole name of a stream that the test calls short; a metastream
// keeps its $$ in front.
func (w *world) stream(short string) string {
	if rest, ok := strings.CutPrefix(short, "$$"); ok {
		return "$$" + w.prefix + rest
	}
	return w.prefix + short
}

// short is the name that the test knows the stream or type by; ok is false for
// what is not this test's.
func (w *world) short(name string) (short string, ok bool) {
	if rest, ok := strings.CutPrefix(name, "$$"+w.prefix); ok {
		return "$$" + rest, true
	}
	return strings.CutPrefix(name, w.prefix)
}

// passing tells whether any server may answer so at any time: not the leader,
// too busy, too late, a subscription dropped.
func passing(err error) bool {
	var e *esdb.Error
	if errors.As(err, &e) {
		if e.Code() == esdb.ErrorCodeNotLeader {
			return true
		}
		err = e.Err() // the client has no code for a call that its own reconnecting cancelled
	}
	// EOF is how the client tells of an append whose connection went.
	return errors.Is(err, errNotLeader) || errors.Is(err, io.EOF) ||
		slices.Contains([]codes.Code{codes.Unavailable, codes.Aborted, codes.Canceled, codes.DeadlineExceeded},
			status.Code(err))
}

var errNotLeader = errors.New("not the leader")

// settled calls do until its answer is more than a passing one. Appends are
// repeated with the same ids, and so once made have the same answer again.
func (w *world) settled(do func() error) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := do()
		if !passing(err) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-w.ctx.Done():
			return err
		}
	}
}

// raw makes a call without the official client, at the leader where the server
// names one, and returns its trailers.
func (w *world) raw(call func(ctx context.Context, conn *grpc.ClientConn) (metadata.MD, error)) (metadata.MD, error) {
	w.t.Helper()
	if w.conn == nil {
		addr := w.conf.Address
		if addr == "" {
			seed := w.conf.GossipSeeds[0]
			addr = net.JoinHostPort(seed.Host, fmt.Sprint(seed.Port))
		}
		w.connect(addr)
	}
	ctx := w.ctx
	if w.conf.Username != "" && !w.conf.DisableTLS {
		basic := base64.StdEncoding.EncodeToString([]byte(w.conf.Username + ":" + w.conf.Password))
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+basic)
	}
	var trailers metadata.MD
	err := w.settled(func() (err error) {
		trailers, err = call(ctx, w.conn)
		if err == nil || strings.Join(trailers.Get("exception"), "") != "not-leader" {
			return err
		}
		host, port := trailers.Get("leader-endpoint-host"), trailers.Get("leader-endpoint-port")
		if len(host) == 1 && len(port) == 1 {
			w.connect(net.JoinHostPort(host[0], port[0]))
		}
		return fmt.Errorf("%w: %w", errNotLeader, err)
	})
	return trailers, err
}

func (w *world) connect(addr string) {
	w.t.Helper()
	transport := insecure.NewCredentials()
	if !w.conf.DisableTLS {
		transport = credentials.NewTLS(&tls.Config{RootCAs: w.conf.RootCAs,
			InsecureSkipVerify: w.conf.SkipCertificateVerification})
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	w.conn = conn
}

// event is one with an id of its own, of the type "happened".
func (w *world) event(data string) esdb.EventData {
	return esdb.EventData{
		EventID: uuid.New(), EventType: w.prefix + "happened", ContentType: esdb.ContentTypeJson,
		Data: []byte(data), Metadata: []byte(`{"m":1}`),
	}
}

func (w *world) events(n int) []esdb.EventData {
	out := make([]esdb.EventData, n)
	for i := range out {
		out[i] = w.event(fmt.Sprintf(`{"n":%d}`, i))
	}
	return out
}

func (w *world) tryAppend(stream string, expect esdb.ExpectedRevision,
	events ...esdb.EventData) (res *esdb.WriteResult, err error) {
	err = w.settled(func() error {
		res, err = w.client.AppendToStream(w.ctx, w.stream(stream),
			esdb.AppendToStreamOptions{ExpectedRevision: expect}, events...)
		return err
	})
	return res, err
}

func (w *world) append(stream string, expect esdb.ExpectedRevision, events ...esdb.EventData) *esdb.WriteResult {
	w.t.Helper()
	res, err := w.tryAppend(stream, expect, events...)
	if err != nil {
		w.t.Fatalf("append to %s: %v", stream, err)
	}
	return res
}

// setMeta writes the stream's metadata as the bytes given.
func (w *world) setMeta(stream, json string) *esdb.WriteResult {
	w.t.Helper()
	return w.append("$$"+stream, esdb.Any{}, esdb.EventData{
		EventID: uuid.New(), EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(json),
	})
}

func (w *world) delete(stream string, expect esdb.ExpectedRevision) (res *esdb.DeleteResult, err error) {
	err = w.settled(func() error {
		res, err = w.client.DeleteStream(w.ctx, w.stream(stream), esdb.DeleteStreamOptions{ExpectedRevision: expect})
		return err
	})
	return res, err
}

func (w *world) tombstone(stream string, expect esdb.ExpectedRevision) (res *esdb.DeleteResult, err error) {
	err = w.settled(func() error {
		res, err = w.client.TombstoneStream(w.ctx, w.stream(stream),
			esdb.TombstoneStreamOptions{ExpectedRevision: expect})
		return err
	})
	return res, err
}

// each calls visit with every event of a read until it returns false.
func each(r *esdb.ReadStream, err error, visit func(*esdb.RecordedEvent) bool) error {
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		e, err := r.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !visit(e.OriginalEvent()) {
			return nil
		}
	}
}

func (w *world) readStream(stream string, dir esdb.Direction, from esdb.StreamPosition,
	count uint64) (out []*esdb.RecordedEvent, err error) {
	err = w.settled(func() error {
		out = nil
		r, err := w.client.ReadStream(w.ctx, w.stream(stream), esdb.ReadStreamOptions{Direction: dir, From: from},
			count)
		return each(r, err, func(e *esdb.RecordedEvent) bool {
			out = append(out, e)
			return true
		})
	})
	return out, err
}

// eachOfAll reads $all until visit returns false. A read that is broken off
// goes on where it was, so that visit sees each event once.
func (w *world) eachOfAll(dir esdb.Direction, from esdb.AllPosition, visit func(*esdb.RecordedEvent) bool) {
	w.t.Helper()
	if err := w.tryEachOfAll(dir, from, visit); err != nil {
		w.t.Fatalf("read $all from %+v: %v", from, err)
	}
}

func (w *world) tryEachOfAll(dir esdb.Direction, from esdb.AllPosition, visit func(*esdb.RecordedEvent) bool) error {
	var seen *esdb.Position
	return w.settled(func() error {
		r, err := w.client.ReadAll(w.ctx, esdb.ReadAllOptions{Direction: dir, From: from}, 1<<62)
		return each(r, err, func(e *esdb.RecordedEvent) bool {
			if seen != nil && *seen == e.Position { // forwards, a read that goes on includes where it begins
				return true
			}
			seen, from = &e.Position, e.Position
			return visit(e)
		})
	})
}

// considered is $all from the test's beginning, others' events included.
func (w *world) considered() (out []*esdb.RecordedEvent) {
	w.t.Helper()
	w.eachOfAll(esdb.Forwards, w.mark, func(e *esdb.RecordedEvent) bool {
		if p, ok := w.mark.(esdb.Position); !ok || e.Position.Commit > p.Commit {
			out = append(out, e)
		}
		return true
	})
	return out
}

// own is what the test has written, in the order of $all.
func (w *world) own() []*esdb.RecordedEvent {
	w.t.Helper()
	return slices.DeleteFunc(w.considered(), func(e *esdb.RecordedEvent) bool {
		_, ok := w.short(e.StreamID)
		return !ok
	})
}

// names are the events as stream/revision, for comparing.
func (w *world) names(events []*esdb.RecordedEvent) []string {
	out := []string{}
	for _, e := range events {
		short, _ := w.short(e.StreamID)
		out = append(out, fmt.Sprintf("%s/%d", short, e.EventNumber))
	}
	return out
}

func revisions(events []*esdb.RecordedEvent) []uint64 {
	out := []uint64{}
	for _, e := range events {
		out = append(out, e.EventNumber)
	}
	return out
}

func (w *world) wantCode(what string, err error, code esdb.ErrorCode) {
	w.t.Helper()
	var e *esdb.Error
	if !errors.As(err, &e) || e.Code() != code {
		w.t.Errorf("%s: got %v, want code %v", what, err, code)
	}
}
