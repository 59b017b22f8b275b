// Package eventstore is the ledger's Store on EventStoreDB: reads through the official Go client,
// appends by its protocol's BatchAppend, which the client does not have. It is the only importer.
//
// It keeps no state but two connections. It may lose nothing: an append whose outcome it cannot
// know is reported as such, never as failed. It trusts the server for durability and order, and
// the client for nothing: reads run beside their callers, because a client whose discovery failed
// never answers again, and a dropped subscription is taken up from the last event seen, never from
// a checkpoint.
// Every call asks for the leader: a follower that lags would show a ledger shorter than a position
// that was saved, which means "diverged".
package eventstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"golang.org/x/sync/semaphore"

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

	flying *semaphore.Weighted // bytes of appends under way
	calls  sync.WaitGroup      // appending calls that have not ended
	living context.Context     // of appending calls; ends with the store

	endCalls context.CancelFunc

	mu        sync.Mutex  // guards what follows and every connection's users and retired
	conn      *connection // of reads
	appending *appending  // takes the next append; nil where a call is to be made
	leader    string      // the next call's node, where one that does not lead has named it
	closed    bool
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
	s := &Store{cfg: cfg, flying: semaphore.NewWeighted(flyingBytes)}
	s.living, s.endCalls = context.WithCancel(context.Background())
	return s, nil
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
