// Package sqlite owns the vault's rows in one SQLite file, and its slots in a flat file
// beside that, for one machine: several processes may use them at once. The two belong
// together and are backed up together.
//
// It may lose nothing it acknowledged: slots and write-ahead log are synced before a commit
// returns. It knows no keys; what it holds is wrapped. It trusts the file system to sync and to
// overwrite in place, and the files' owner: they have mode 0600.
package sqlite

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// version is the number of migrations; the file carries it as user_version.
const version = 4

// slotsSince is the version from which there is a slots file.
const slotsSince = 2

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
	ErrNewer   = errors.New("the vault file was written by a newer version of this program")
)

// Store is a store.Store in a file.
type Store struct {
	db     *sql.DB
	writer chan *session // holds the one writing session while nobody uses it
	reader chan *session
	path   string
	slots  *slots
	once   sync.Once
	closed chan struct{} // closed by Close: whoever comes then must not wait for a session
}

var errClosed = errors.New("the vault file is closed")

var _ store.LegacyStore = (*Store)(nil)

// Create makes the file and its slots, with mode 0600, and opens them. It refuses with ErrExists
// where there is one, or the slots of one that is gone. The file gets its name when it is whole,
// so that a crash leaves none rather than half of one; its slots are made when it is opened.
func Create(ctx context.Context, path string) (*Store, error) {
	fail := func(err error) (*Store, error) { return nil, fmt.Errorf("create vault file: %w", err) }
	if _, err := os.Lstat(path); err == nil {
		return fail(ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	if _, err := os.Lstat(SlotsPath(path)); err == nil {
		return fail(fmt.Errorf("%w: its slots stand in %s, its vault file does not",
			ErrExists, filepath.Base(SlotsPath(path))))
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
		if err := migrate(ctx, tx, 0); err != nil {
			return err
		}
		// Nothing in it is from before there were slots.
		last := fmt.Sprintf("PRAGMA application_id = %d; DELETE FROM setting WHERE name = 'legacy'", appID)
		if _, err := tx.ExecContext(ctx, last); err != nil {
			return err
		}
		return tx.Commit()
	}()
	return errors.Join(err, db.Close())
}

// execer is a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// migrate brings the schema from a version to the present one, in the caller's transaction.
func migrate(ctx context.Context, tx execer, from int) error {
	names, err := fs.Glob(migrations, "migrations/*.sql") // in order of their numbers
	if err != nil {
		return err
	}
	if len(names) != version {
		return fmt.Errorf("there are %d migrations, the version is %d", len(names), version)
	}
	for _, name := range names[from:] {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), translate(err))
		}
	}
	if from < slotsSince {
		pair, err := newPairing()
		if err != nil {
			return err
		}
		const put = "INSERT INTO setting (name, value) VALUES (?, ?)"
		if _, err := tx.ExecContext(ctx, put, settingSlots, pair.encode()); err != nil {
			return translate(err)
		}
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
	return translate(err)
}

// migrationHook is called between the steps of a migration, for crash tests.
var migrationHook = func(string) error { return nil }

// upgrade migrates the file in one transaction, with the write lock held so that one process does
// it. A crash before the commit leaves everything as it was.
func (s *Store) upgrade(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return translate(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return translate(err)
	}
	err = func() error {
		var from int
		if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&from); err != nil {
			return translate(err)
		}
		if from >= version { // another process has done it meanwhile
			return nil
		}
		if from < slotsSince {
			if _, err := os.Lstat(SlotsPath(s.path)); err == nil {
				return fmt.Errorf("%w: a vault file of version %d has none", ErrSlotsForeign, from)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := migrate(ctx, conn, from); err != nil {
			return err
		}
		return migrationHook("in the transaction")
	}()
	if err != nil {
		_, e := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return errors.Join(err, translate(e))
	}
	if _, err = conn.ExecContext(ctx, "COMMIT"); err != nil {
		return translate(err)
	}
	return migrationHook("committed")
}

// dsn names the file with what every connection to it needs: a log that is synced at each commit,
// deleted bytes overwritten, nothing spilled to temporary files, nor to the log before the commit.
func dsn(path string) string {
	q := url.Values{}
	for _, p := range []string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)", "foreign_keys(ON)", "temp_store(MEMORY)",
		"trusted_schema(OFF)", "cache_size(-16384)",
		"cache_spill(OFF)", // what a transaction changes is written once, at its commit: a batch's is some ten MB
	} {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

// Open opens a file that Create made, and brings one of an older version to the present one. It
// refuses with ErrMissing where there is none, with ErrUnsafe where others can access it, with
// ErrVersion where it is no vault, with ErrNewer where a newer program wrote it, and with one of
// ErrSlotsMissing and those beside it where the slots file is not the one that goes with it.
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
	db.SetMaxOpenConns(1 + readers + 1) // one more for what works beside a transaction, a backup
	db.SetMaxIdleConns(1 + readers)
	s := &Store{db: db, path: path, closed: make(chan struct{}),
		writer: make(chan *session, 1), reader: make(chan *session, readers)}
	err = s.check(ctx)
	if err == nil {
		err = s.pair(ctx)
	}
	if err != nil {
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
	switch {
	case app != appID || got == 0:
		return fmt.Errorf("%w: application %#x, version %d", ErrVersion, app, got)
	case got > version:
		return fmt.Errorf("%w: it is of version %d, this program knows versions up to %d", ErrNewer, got, version)
	case got < version:
		if err := s.upgrade(ctx); err != nil {
			return fmt.Errorf("migrate from version %d: %w", got, err)
		}
	}
	return nil
}

// pair opens the slots and checks that database and slots belong together. Other
// processes may be writing both.
func (s *Store) pair(ctx context.Context) error {
	read := func() (pairing, error) {
		var raw []byte
		err := s.db.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = ?", settingSlots).Scan(&raw)
		if err != nil {
			return pairing{}, translate(err)
		}
		return decodePairing(raw)
	}
	p, err := read()
	if err != nil {
		return err
	}
	if p.next == 1 {
		// No slot was given yet: a crash may have come between making this file and its slots.
		if err := makeSlots(SlotsPath(s.path), p); err != nil {
			return err
		}
	}
	if s.slots, err = openSlots(SlotsPath(s.path)); err != nil {
		return err
	}
	for {
		wrong := s.slots.check(p)
		if wrong == nil {
			return nil
		}
		again, err := read()
		if err == nil && again == p {
			err = wrong
		}
		if err != nil {
			return errors.Join(err, s.slots.f.Close())
		}
		p = again
	}
}

// session is one connection with its prepared statements; conn is nil until
// first used and after a failure.
type session struct {
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt
	shapes map[shape]*sql.Stmt // some of those
	owned  map[string]sqldriver.Stmt
}

func (c *session) open(ctx context.Context, db *sql.DB) error {
	if c.conn != nil {
		return nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	c.conn, c.stmts, c.shapes = conn, map[string]*sql.Stmt{}, map[shape]*sql.Stmt{}
	c.owned = map[string]sqldriver.Stmt{}
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
	err := c.conn.Raw(func(any) (err error) {
		for _, st := range c.owned {
			err = errors.Join(err, st.Close())
		}
		return err
	})
	errs = append(errs, err, c.conn.Close())
	c.conn, c.stmts, c.shapes, c.owned = nil, nil, nil, nil
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

// exec runs without the caller's context: a statement here is short, and a context costs a
// goroutine for each. Transactions ask the context between statements and before the commit.
func (c *session) exec(query string, args ...any) error {
	st, err := c.stmt(query)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(context.Background(), args...)
	return translate(err)
}

// beforeCommit is called between the writing of slots and the commit, for crash tests.
var beforeCommit = func(write bool) error { return nil }

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error {
	return s.run(ctx, s.writer, "BEGIN IMMEDIATE", tenant, true, do)
}

// View implements store.Store.
func (s *Store) View(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error {
	return s.run(ctx, s.reader, "BEGIN", tenant, false, do)
}

func (s *Store) run(
	ctx context.Context, pool chan *session, begin string, tenant uuid.UUID, write bool, do func(store.Rows) error,
) (err error) {
	var c *session
	select {
	case c = <-pool:
	case <-s.closed:
		return errClosed
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
	r := &rows{c: c, ctx: ctx, tenant: tenant, write: write, file: s.slots}
	defer func() { r.c = nil }()
	if err := do(r); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.count(); err != nil {
		return err
	}
	if err := r.flushSlots(); err != nil {
		return err
	}
	if err := beforeCommit(write); err != nil {
		return err
	}
	if err := c.exec("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	return nil
}

// scrubPoint is called at the steps of a scrub, for tests.
var scrubPoint = func(string) {}

// Scrub implements store.Store: retired slots are overwritten, then the unused parts of pages;
// a truncating checkpoint carries the pages into the file and empties the log, which held
// older ones. It waits for readers, and for those of older rows before a retired slot goes:
// their rows still name it.
func (s *Store) Scrub(ctx context.Context) error {
	var retired []int64
	err := s.View(ctx, uuid.Nil, func(r store.Rows) (err error) {
		retired, err = r.(*rows).retired()
		return err
	})
	if err == nil && len(retired) > 0 {
		if err = s.exclusive(ctx, func(c *session) error { return emptyLog(ctx, c) }); err == nil {
			scrubPoint("destroying")
			err = s.Update(ctx, uuid.Nil, func(r store.Rows) error { return r.(*rows).destroyRetired(retired) })
		}
	}
	if err != nil {
		return fmt.Errorf("retired slots: %w", err)
	}
	return s.exclusive(ctx, func(c *session) error {
		if err := s.clearUnused(ctx, c); err != nil {
			return err
		}
		return emptyLog(ctx, c)
	})
}

// Compact implements store.LegacyStore: it writes the file anew from its rows.
// It needs memory for all of it.
func (s *Store) Compact(ctx context.Context) error {
	return s.exclusive(ctx, func(c *session) error {
		if _, err := c.conn.ExecContext(ctx, "VACUUM"); err != nil {
			return fmt.Errorf("rebuild: %w", translate(err))
		}
		return emptyLog(ctx, c)
	})
}

// exclusive runs do with this process's writing session.
func (s *Store) exclusive(ctx context.Context, do func(*session) error) error {
	var c *session
	select {
	case c = <-s.writer:
	case <-s.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.writer <- c }()
	if err := c.open(ctx, s.db); err != nil {
		return translate(err)
	}
	return do(c)
}

// emptyPatience is how long emptying the log waits for readers and for others that empty it.
const emptyPatience = 4 * busyTimeout

// emptyLog empties the log. SQLite waits for readers by busyTimeout, and not at all for another
// process that empties the log too: there each answer comes at once.
func emptyLog(ctx context.Context, c *session) error {
	scrubPoint("waiting for readers")
	began := time.Now()
	pauses := retry.Policy{First: 5 * time.Millisecond, Longest: 250 * time.Millisecond}.Begin()
	for {
		var busy, pages, moved int
		err := c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
		switch {
		case err != nil:
			return fmt.Errorf("checkpoint: %w", translate(err))
		case busy == 0:
			return nil
		case time.Since(began) >= emptyPatience:
			return errors.New("checkpoint: a reader, or another process that empties it, " +
				"has kept the log from being emptied")
		}
		if err := pauses.Wait(ctx); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
}

// Close waits for running transactions and closes the file. Closing again does nothing.
func (s *Store) Close() (err error) {
	s.once.Do(func() { err = s.close() })
	return err
}

func (s *Store) close() error {
	var errs []error
	close(s.closed)
	errs = append(errs, (<-s.writer).close())
	for range readers {
		errs = append(errs, (<-s.reader).close())
	}
	errs = append(errs, s.db.Close(), s.slots.f.Close())
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
