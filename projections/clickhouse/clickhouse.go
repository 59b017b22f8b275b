package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
	"github.com/ledgerline/ledgerline/projections/clickhouse/read"
)

// Config says where the views are.
type Config struct {
	Addrs    []string // host:port of ClickHouse's HTTP interface; the first that answers is used
	Database string   // "ledgerline" when empty
	Username string
	Password string
	TLS      *tls.Config // nil: plain HTTP

	Uncompressed bool // Migrate creates tables whose files can be searched for text

	Poll time.Duration // how often WaitThrough looks; 50 ms when zero
	// for how long ClickHouse may answer nothing before a question fails
	// with ErrStands; 30 s when zero
	Patience time.Duration
}

// ErrStands is wrapped when ClickHouse answers nothing for as long as Config.Patience.
var ErrStands = ask.ErrStands

var nameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// Validate joins everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	if len(c.Addrs) == 0 {
		errs = append(errs, errors.New("no address"))
	}
	if c.Database != "" && !nameForm.MatchString(c.Database) {
		errs = append(errs, fmt.Errorf("database %q is not a plain name", c.Database))
	}
	if c.Poll < 0 || c.Patience < 0 {
		errs = append(errs, errors.New("poll interval or patience is negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	return nil
}

func (c Config) database() string {
	if c.Database == "" {
		return "ledgerline"
	}
	return c.Database
}

func (c Config) patience() time.Duration {
	if c.Patience == 0 {
		return 30 * time.Second
	}
	return c.Patience
}

func (c Config) dial(database string) (driver.Conn, error) {
	return ch.Open(&ch.Options{
		Protocol: ch.HTTP, Addr: c.Addrs, TLS: c.TLS,
		Auth: ch.Auth{Database: database, Username: c.Username, Password: c.Password},
		// also of the client's hello, without which it asks nothing on a new connection
		DialTimeout:  c.patience(),
		ReadTimeout:  10 * time.Minute, // a rebuild's INSERT … SELECT answers only when it is done
		MaxOpenConns: 16, MaxIdleConns: 8,
	})
}

type views = read.Views

// DB is the views. It is safe for concurrent use.
type DB struct {
	views    // the readers
	cfg      Config
	conn     driver.Conn
	database string

	described sync.Map // columns of definitions, by their text
}

var (
	_ projections.Sink      = (*DB)(nil)
	_ projections.Reader    = (*DB)(nil)
	_ projections.Positions = (*DB)(nil)
)

// newDB is the database that cfg names, whatever is in it.
func newDB(cfg Config, conn driver.Conn) *DB {
	return &DB{cfg: cfg, conn: conn, database: cfg.database(), views: views{
		Asker: ask.Asker{Conn: conn, Addrs: cfg.Addrs, Patience: cfg.patience()},
		Poll:  cfg.Poll, First: read.FirstValues, Most: read.MostValues}}
}

// Open connects to views that Migrate has made. It refuses a database whose migrations
// are not exactly this program's.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	conn, err := cfg.dial(cfg.database())
	if err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	db := newDB(cfg, conn)
	if db.Poll == 0 {
		db.Poll = 50 * time.Millisecond
	}
	if err := db.checkMigrations(ctx); err != nil {
		return nil, errors.Join(db.Asker.Stands(ctx, err), conn.Close())
	}
	return db, nil
}

// Close ends the connections.
func (db *DB) Close() error { return db.conn.Close() }

// Drop destroys the whole database: every view, and the position. Everything
// can be projected again.
func (db *DB) Drop(ctx context.Context) error {
	if err := db.conn.Exec(ctx, "DROP DATABASE IF EXISTS "+db.database+" SYNC"); err != nil {
		return fmt.Errorf("drop database %s: %w", db.database, err)
	}
	return nil
}

// params are a statement's parameters.
type params = param.Set
