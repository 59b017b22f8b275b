// Package eventstore is the ledger's Store on EventStoreDB, through the official Go client, and the only importer of it.
//
// It keeps no state but a connection. It may lose nothing: an append whose outcome it cannot know is reported as such, never
// as failed. It trusts the server for durability and order, and the client for nothing: calls run guarded, because a client whose discovery
// failed never answers again, and a dropped subscription is taken up from the last event seen, never from a checkpoint.
package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"
)

// Config names the server.
type Config struct {
	// Address is an EventStoreDB connection string, "esdb://host:port?tls=false".
	Address string
	Logger  *slog.Logger
	// CallTimeout bounds one append and the wait for one message of a bounded read; 30 s when zero.
	CallTimeout time.Duration
	// RetryPause is the longest pause before a dropped live read is taken up again; 2 s when zero.
	RetryPause time.Duration
}

// Validate joins everything that is missing or wrong.
func (c Config) Validate() error {
	var errs []error
	if _, err := esdb.ParseConnectionString(c.Address); err != nil {
		errs = append(errs, fmt.Errorf("event store config: address %q: %w", c.Address, err))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("event store config: Logger is missing"))
	}
	return errors.Join(errs...)
}

// Store is a ledger.Store on EventStoreDB. It is safe for concurrent use.
type Store struct {
	cfg Config

	mu     sync.Mutex // guards conn and closed
	conn   *connection
	closed bool
}

// connection is one client of the server. When one call finds it dead all others waiting on it are let go: after a failed
// discovery they would wait for ever.
type connection struct {
	*esdb.Client
	dead chan struct{} // closed, under the store's mutex, when the connection is abandoned
}

var _ ledger.Store = (*Store)(nil)

// Open returns a store that dials the server at its first use.
func Open(cfg Config) (*Store, error) {
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = 30 * time.Second
	}
	if cfg.RetryPause == 0 {
		cfg.RetryPause = 2 * time.Second
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Store{cfg: cfg}, nil
}

// Close closes the connection; calls under way fail.
func (s *Store) Close() error {
	s.mu.Lock()
	conn := s.conn
	s.conn, s.closed = nil, true
	s.mu.Unlock()
	if conn == nil {
		return nil
	}
	return conn.Close()
}

var (
	errClosed    = errors.New("the event store connection is closed")
	errAbandoned = errors.New("the event store connection was lost")
)

func (s *Store) current() (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.conn != nil {
		return s.conn, nil
	}
	conf, err := esdb.ParseConnectionString(s.cfg.Address)
	if err != nil {
		return nil, err
	}
	conf.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(conf)
	if err != nil {
		return nil, err
	}
	s.conn = &connection{Client: client, dead: make(chan struct{})}
	return s.conn, nil
}

// abandon makes the next call dial anew. A client whose discovery failed must never be closed: that panics the process. What it
// holds then is no connection, only a goroutine that has ended.
func (s *Store) abandon(conn *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == conn {
		s.conn = nil
		close(conn.dead)
	}
}

// guard runs a call of the client that may never return. When ctx ends or the connection is lost first, the call's
// goroutine is left behind with the client it used.
func guard[T any](ctx context.Context, s *Store, call func(context.Context, *connection) (T, error)) (T, error) {
	var none T
	conn, err := s.current()
	if err != nil {
		return none, err
	}
	type answer struct {
		v   T
		err error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // ReadStream.Recv and Delete panic on answers they do not know
				done <- answer{err: fmt.Errorf("event store client: %v", p)}
			}
		}()
		v, err := call(ctx, conn)
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		if connectionLost(a.err) {
			s.abandon(conn)
		}
		return a.v, a.err
	case <-conn.dead:
		return none, errAbandoned
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.abandon(conn) // a caller that merely left says nothing of the connection
		}
		return none, ctx.Err()
	}
}

func code(err error) (esdb.ErrorCode, bool) {
	var e *esdb.Error
	if errors.As(err, &e) {
		return e.Code(), true
	}
	return esdb.ErrorCodeUnknown, false
}

// connectionLost reports whether the client may be of no use any more. Answers of a working server are not among them.
func connectionLost(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	switch c, _ := code(err); c {
	case esdb.ErrorCodeWrongExpectedVersion, esdb.ErrorCodeResourceNotFound, esdb.ErrorCodeStreamDeleted, esdb.ErrorCodeAccessDenied,
		esdb.ErrorCodeUnauthenticated, esdb.ErrorCodeUnsupportedFeature:
		return false
	}
	return true
}

// Append implements ledger.Store.
func (s *Store) Append(ctx context.Context, stream schemas.Stream, expect ledger.Expect, events []schemas.Event) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	opts := esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}, Deadline: &s.cfg.CallTimeout}
	if expect.IsNoStream() {
		opts.ExpectedRevision = esdb.NoStream{}
	} else if r, ok := expect.Revision(); ok {
		opts.ExpectedRevision = esdb.Revision(r)
	}
	data := make([]esdb.EventData, len(events))
	for i, e := range events {
		data[i] = esdb.EventData{EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeJson, Data: e.Data, Metadata: e.Metadata}
	}
	res, err := guard(ctx, s, func(ctx context.Context, c *connection) (*esdb.WriteResult, error) {
		return c.AppendToStream(ctx, string(stream), opts, data...)
	})
	if err == nil {
		return res.NextExpectedVersion, nil
	}
	switch c, known := code(err); {
	case c == esdb.ErrorCodeWrongExpectedVersion:
		return 0, fmt.Errorf("append to %s, expecting %s: %w", stream, expect, ledger.ErrConflict)
	case errors.Is(err, errClosed), known && !connectionLost(err):
		return 0, fmt.Errorf("append to %s: %w", stream, err)
	}
	return 0, fmt.Errorf("append to %s: %w", stream, errors.Join(ledger.ErrUnknownOutcome, err))
}

func recorded(e *esdb.RecordedEvent) schemas.Recorded {
	return schemas.Recorded{
		Event:    schemas.Event{ID: e.EventID, Stream: schemas.Stream(e.StreamID), Type: e.EventType, Data: e.Data, Metadata: e.UserMetadata},
		Revision: e.EventNumber,
		Position: schemas.Position{Commit: e.Position.Commit, Prepare: e.Position.Prepare},
		Created:  e.CreatedDate,
	}
}
