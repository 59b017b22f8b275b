// Package eventstore is the ledger's Store on EventStoreDB, through the official Go client,
// and the only importer of it.
//
// It keeps no state but a connection. It may lose nothing: an append whose outcome it cannot know
// is reported as such, never as failed. It trusts the server for durability and order, and the
// client for nothing: calls run guarded, because a client whose discovery failed never answers
// again, and a dropped subscription is taken up from the last event seen, never from a checkpoint.
// Every call asks for the leader: a follower that lags would show a ledger shorter than a position
// that was saved, which means "diverged".
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
	// Address is an EventStoreDB connection string, "esdb://host:port?tls=false". It may hold a
	// password: no error repeats it.
	Address string
	Logger  *slog.Logger
	// CallTimeout bounds one append and the wait for one message of a
	// bounded read; 30 s when zero.
	CallTimeout time.Duration
	// RetryPause is the longest pause before a dropped live read is taken up again; 2 s when zero.
	RetryPause time.Duration
}

// Validate joins everything that is missing or wrong.
func (c Config) Validate() error {
	var errs []error
	if _, err := esdb.ParseConnectionString(c.Address); err != nil {
		errs = append(errs, errors.New("event store config: the address is not a connection string such as "+
			"esdb://user:password@host:2113?tls=true, or its tlsCAFile cannot be read"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("event store config: Logger is missing"))
	}
	return errors.Join(errs...)
}

// Store is a ledger.Store on EventStoreDB. It is safe for concurrent use.
type Store struct {
	cfg Config

	mu     sync.Mutex // guards conn, closed and every connection's users and retired
	conn   *connection
	closed bool
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

// Append implements ledger.Store.
func (s *Store) Append(ctx context.Context, stream schemas.Stream, expect ledger.Expect,
	events []schemas.Event) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	opts := esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}, Deadline: &s.cfg.CallTimeout}
	if r, ok := expect.Revision(); ok {
		opts.ExpectedRevision = esdb.Revision(r)
	}
	data := make([]esdb.EventData, len(events))
	for i, e := range events {
		data[i] = esdb.EventData{EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeJson, Data: e.Data,
			Metadata: e.Metadata}
	}
	var res *esdb.WriteResult
	err := s.retrying(ctx, persistence{after: notLeader}, func() (further bool, err error) {
		answer := make(chan *esdb.WriteResult, 1)
		err = s.guard(ctx, func(ctx context.Context, c *esdb.Client) error {
			res, err := c.AppendToStream(ctx, string(stream), opts, data...)
			answer <- res
			return err
		})
		if err == nil {
			res = <-answer
		}
		return false, err
	})
	switch {
	case err == nil:
		return res.NextExpectedVersion, nil
	case isCode(err, esdb.ErrorCodeWrongExpectedVersion):
		return 0, fmt.Errorf("append to %s, expecting %s: %w", stream, expect, ledger.ErrConflict)
	case errors.Is(err, errClosed), answered(err):
		return 0, fmt.Errorf("append to %s: %w", stream, err)
	}
	return 0, fmt.Errorf("append to %s: %w", stream, errors.Join(ledger.ErrUnknownOutcome, err))
}

func recorded(e *esdb.RecordedEvent) schemas.RecordedEvent {
	return schemas.RecordedEvent{
		Event: schemas.Event{ID: e.EventID, Stream: schemas.Stream(e.StreamID), Type: e.EventType, Data: e.Data,
			Metadata: e.UserMetadata},
		Revision: e.EventNumber,
		Position: schemas.Position{Commit: e.Position.Commit, Prepare: e.Position.Prepare},
		Created:  e.CreatedDate,
	}
}
