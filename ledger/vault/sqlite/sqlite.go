// Package sqlite owns the vault's rows in one SQLite file, for one machine: several processes may use it at once.
//
// It may lose nothing it acknowledged: the write-ahead log is synced before a commit returns. It knows no keys; what
// it holds is wrapped. It trusts the file system to sync, and the file's owner: the file and its log have mode 0600.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/ledgerline/ledgerline/ledger/vault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// version is the number of migrations; the file carries it as user_version.
const version = 1

// appID marks the file as a vault ("LLvt").
const appID = 0x4c4c7674

// busyTimeout is how long a writer waits for another process's transaction.
const busyTimeout = 30 * time.Second

// readers is the number of views that run at once; more wait.
const readers = 4

// Errors of opening and creating.
var (
	ErrExists  = errors.New("a vault file exists already")
	ErrMissing = errors.New("there is no vault file")
	ErrUnsafe  = errors.New("the vault file is accessible to others than its owner")
	ErrVersion = errors.New("the vault file is not of a version this program knows")
)

// Store is a vault.Store in a file.
type Store struct {
	db     *sql.DB
	writer chan *session // holds the one writing session while nobody uses it
	reader chan *session
	path   string
}

var _ vault.Store = (*Store)(nil)

// Create makes the file, with mode 0600, and opens it. It refuses with ErrExists where there is one. The file gets
// its name when it is whole, so that a crash leaves none rather than half of one.
func Create(ctx context.Context, path string) (*Store, error) {
	fail := func(err error) (*Store, error) { return nil, fmt.Errorf("create vault file: %w", err) }
	if _, err := os.Lstat(path); err == nil {
		return fail(ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".vault-*")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	fresh := filepath.Join(dir, "vault")
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fail(err)
	}
	if err := build(ctx, fresh); err != nil {
		return fail(err)
	}
	if err := os.Link(fresh, path); errors.Is(err, fs.ErrExist) { // unlike a rename, refuses an existing name
		return fail(ErrExists)
	} else if err != nil {
		return fail(err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fail(err)
	}
	return Open(ctx, path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// build writes schema and version into an empty file and leaves it without a log beside it.
func build(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	err = func() error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		names, err := fs.Glob(migrations, "migrations/*.sql")
		if err != nil {
			return err
		}
		for _, name := range names {
			text, err := migrations.ReadFile(name)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(name), err)
			}
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", version, appID)); err != nil {
			return err
		}
		return tx.Commit()
	}()
	return errors.Join(err, db.Close())
}

// dsn names the file with what every connection to it needs: a log that is synced at each commit, deleted bytes
// overwritten, nothing spilled to temporary files.
func dsn(path string) string {
	q := url.Values{}
	for _, p := range []string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)", "foreign_keys(ON)", "temp_store(MEMORY)",
		"trusted_schema(OFF)", "cache_size(-16384)",
	} {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

// Open opens a file that Create made. It refuses with ErrMissing where there is none, with ErrUnsafe where others
// can access it, and with ErrVersion where it is no vault or of another version.
func Open(ctx context.Context, path string) (*Store, error) {
	fail := func(err error) (*Store, error) { return nil, fmt.Errorf("open vault file: %w", err) }
	path, err := filepath.Abs(path)
	if err != nil {
		return fail(err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(ErrMissing)
	case err != nil:
		return fail(err)
	case info.Mode().Perm()&0o077 != 0:
		return fail(fmt.Errorf("%w: mode %v", ErrUnsafe, info.Mode().Perm()))
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return fail(err)
	}
	db.SetMaxOpenConns(1 + readers)
	db.SetMaxIdleConns(1 + readers)
	s := &Store{db: db, path: path, writer: make(chan *session, 1), reader: make(chan *session, readers)}
	if err := s.check(ctx); err != nil {
		return fail(errors.Join(err, db.Close()))
	}
	s.writer <- &session{}
	for range readers {
		s.reader <- &session{}
	}
	return s, nil
}

func (s *Store) check(ctx context.Context) error {
	var app, got int
	if err := s.db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return translate(err)
	}
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&got); err != nil {
		return translate(err)
	}
	if app != appID || got != version {
		return fmt.Errorf("%w: application %#x, version %d", ErrVersion, app, got)
	}
	return nil
}

// session is one connection with its prepared statements; conn is nil until first used and after a failure.
type session struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (c *session) open(ctx context.Context, db *sql.DB) error {
	if c.conn != nil {
		return nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	c.conn, c.stmts = conn, map[string]*sql.Stmt{}
	return nil
}

func (c *session) close() error {
	if c.conn == nil {
		return nil
	}
	var errs []error
	for _, st := range c.stmts {
		errs = append(errs, st.Close())
	}
	errs = append(errs, c.conn.Close())
	c.conn, c.stmts = nil, nil
	return errors.Join(errs...)
}

func (c *session) stmt(query string) (*sql.Stmt, error) {
	if st := c.stmts[query]; st != nil {
		return st, nil
	}
	st, err := c.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, translate(err)
	}
	c.stmts[query] = st
	return st, nil
}

// exec runs without the caller's context: a statement here is short, and a context costs a goroutine for each.
// Transactions ask the context between statements and before the commit.
func (c *session) exec(query string, args ...any) error {
	st, err := c.stmt(query)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(context.Background(), args...)
	return translate(err)
}

// Update implements vault.Store.
func (s *Store) Update(ctx context.Context, tenant uuid.UUID, do func(vault.Rows) error) error {
	return s.run(ctx, s.writer, "BEGIN IMMEDIATE", tenant, true, do)
}

// View implements vault.Store.
func (s *Store) View(ctx context.Context, tenant uuid.UUID, do func(vault.Rows) error) error {
	return s.run(ctx, s.reader, "BEGIN", tenant, false, do)
}

func (s *Store) run(ctx context.Context, pool chan *session, begin string, tenant uuid.UUID, write bool, do func(vault.Rows) error) (err error) {
	var c *session
	select {
	case c = <-pool:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { pool <- c }()
	if err := c.open(ctx, s.db); err != nil {
		return translate(err)
	}
	// BEGIN IMMEDIATE may wait for another process; the context ends that wait.
	if _, err := c.conn.ExecContext(ctx, begin); err != nil {
		return errors.Join(translate(err), c.close())
	}
	committed := false
	defer func() {
		if committed {
			return
		}
		if e := c.exec("ROLLBACK"); e != nil {
			// The connection's state is not known: let it go. Closing it rolls back.
			err = errors.Join(err, c.close())
		}
	}()
	r := &rows{c: c, ctx: ctx, tenant: tenant, write: write}
	defer func() { r.c = nil }()
	if err := do(r); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.exec("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	return nil
}

// Scrub implements vault.Store: secure_delete has overwritten deleted bytes in the pages of the log; a truncating
// checkpoint carries those pages into the file and empties the log, which held older ones. It waits for readers.
func (s *Store) Scrub(ctx context.Context) error {
	var c *session
	select {
	case c = <-s.writer:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.writer <- c }()
	if err := c.open(ctx, s.db); err != nil {
		return translate(err)
	}
	for tries := 0; ; tries++ {
		var busy, pages, moved int
		err := c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
		if err != nil {
			return fmt.Errorf("checkpoint: %w", translate(err))
		}
		if busy == 0 {
			return nil
		}
		if tries == 3 { // each has waited for busyTimeout
			return errors.New("checkpoint: a reader has kept the log from being emptied")
		}
	}
}

// Close waits for running transactions and closes the file.
func (s *Store) Close() error {
	var errs []error
	errs = append(errs, (<-s.writer).close())
	for range readers {
		errs = append(errs, (<-s.reader).close())
	}
	errs = append(errs, s.db.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close vault file: %w", err)
	}
	return nil
}

// ErrBusy is returned where another process held the write lock for longer than a writer waits.
var ErrBusy = errors.New("the vault file is busy")

// translate keeps the driver's errors inside the adapter.
func translate(err error) error {
	var e *driver.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}
