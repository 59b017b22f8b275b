package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/internal/retry"
)

// connection is one client of the server. It is replaced when it may be of no use any more, and
// closed when the last call with it has returned: closing it earlier would take the answers of
// calls that are well, or panic in one that waits for ever after a failed discovery. Such a call's
// client is never closed; it holds no connection then.
type connection struct {
	client *esdb.Client
	gone   chan struct{} // closed, under the store's mutex, to let go who waits for this client

	users   int  // calls that have not returned
	retired bool // no new calls
}

var (
	errClosed    = errors.New("the event store connection is closed")
	errAbandoned = errors.New("the event store connection was lost")
)

// acquire returns the present client, or a new one. Whoever gets it releases it when
// its last call has returned.
func (s *Store) acquire() (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.conn == nil {
		conf, err := esdb.ParseConnectionString(s.cfg.Address)
		if err != nil {
			return nil, err
		}
		conf.Logger = esdb.NoopLogging()
		client, err := esdb.NewClient(conf)
		if err != nil {
			return nil, err
		}
		s.conn = &connection{client: client, gone: make(chan struct{})}
	}
	s.conn.users++
	return s.conn, nil
}

func (s *Store) release(conn *connection) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn.users--
	return conn.closeUnused()
}

// retire makes the next call dial anew; the calls under way go on. With letGo, they fail.
func (s *Store) retire(conn *connection, letGo bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == conn {
		s.conn = nil
	}
	conn.retired = true
	if letGo {
		select {
		case <-conn.gone:
		default:
			close(conn.gone)
		}
	}
	return conn.closeUnused()
}

// closeUnused closes a retired client without users; the store's mutex is held.
func (c *connection) closeUnused() error {
	if !c.retired || c.users > 0 {
		return nil
	}
	return c.client.Close() // may come twice
}

// Close closes the connection; calls under way fail, and nothing is read or appended any more.
func (s *Store) Close() error {
	s.mu.Lock()
	conn := s.conn
	s.closed = true
	s.mu.Unlock()
	s.endCalls()
	s.calls.Wait()
	if conn == nil {
		return nil
	}
	return s.retire(conn, true)
}

// judge retires a client that an error says is of no use any more.
func (s *Store) judge(conn *connection, err error) error {
	switch {
	case err == nil, answered(err), isCode(err, esdb.ErrorCodeNotLeader), isCode(err, esdb.ErrorAborted),
		isCode(err, esdb.ErrorCodeDeadlineExceeded):
		return nil // a client that was told of another leader has gone there by itself
	case isCode(err, esdb.ErrorCodeConnectionClosed), errors.Is(err, errPanicked),
		strings.Contains(err.Error(), "maximum discovery attempt count reached"):
		return s.retire(conn, true)
	}
	// The client would discover the server again by itself after some of these errors, and keep
	// the old connection open for ever.
	return s.retire(conn, false)
}

// errPanicked: ReadStream.Recv and Delete panic on answers they do not know, everything on a
// client that is closed too early.
var errPanicked = errors.New("event store client panicked")

func recovered(p any) error { return fmt.Errorf("%w: %v", errPanicked, p) }

// toLeader asks the server to answer only where it leads. The client sets this header, too, but on
// a context that is not sent.
func toLeader(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
}

func isCode(err error, code esdb.ErrorCode) bool {
	var e *esdb.Error
	return errors.As(err, &e) && e.Code() == code
}

// noStream reports the server's answer that the stream does not exist. Other errors with the same
// code are failures of a call.
func noStream(err error) bool {
	return isCode(err, esdb.ErrorCodeResourceNotFound) && statusCode(err) == codes.OK
}

// statusCode returns the code of the gRPC status in err, and OK where there is none.
func statusCode(err error) codes.Code {
	var st interface{ GRPCStatus() *status.Status }
	if errors.As(err, &st) {
		return st.GRPCStatus().Code()
	}
	return codes.OK
}

// answered reports whether err is the answer of a working server, which it would give again.
func answered(err error) bool {
	if isCode(err, esdb.ErrorCodeWrongExpectedVersion) || isCode(err, esdb.ErrorCodeStreamDeleted) || noStream(err) {
		return true
	}
	switch statusCode(err) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.PermissionDenied,
		codes.Unauthenticated, codes.Unimplemented, codes.DataLoss:
		return true
	}
	return false
}

func transient(err error) bool { return !answered(err) && !errors.Is(err, errClosed) }

// How often a call that gets no further is repeated, and the first pause before that; it doubles.
const (
	repetitions = 8
	firstPause  = 20 * time.Millisecond
)

// retrying runs once until it succeeds, fails with an error that does not pass, has got no further
// for so many times unless forever, or ctx ends, whose error is returned then. once reports
// whether it got further than the last time.
func (s *Store) retrying(ctx context.Context, forever bool, once func() (further bool, err error)) error {
	pauses := retry.Policy{First: firstPause, Longest: s.cfg.RetryPause}.Begin()
	for n := 0; ; n++ {
		further, err := once()
		switch {
		case err == nil:
			return nil
		case !transient(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case further:
			n = 0
			pauses.Reset()
		}
		if n == repetitions && !forever {
			return err
		}
		if err := pauses.Wait(ctx); err != nil {
			return err
		}
	}
}
