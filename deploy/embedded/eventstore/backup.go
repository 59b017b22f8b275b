package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/watch"
)

// BackupPath is where a running server gives a copy of itself, as a tar. It
// gives no more than a read of $all does, and asks for the same right.
const BackupPath = "/admin/backup"

// backupsMost bounds the backups at a time: each keeps files that the store
// would remove until its client has read them. A user makes one at a time, so
// that a slow one is in nobody else's way.
const backupsMost = 4

// backups are those being sent.
type backups struct {
	wait sync.WaitGroup // the store is not closed under one

	mu    sync.Mutex
	users map[string]bool
}

// begin makes room for a user's backup. It returns nil where there is none.
func (b *backups) begin(user string) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users[user] || len(b.users) >= backupsMost {
		return nil
	}
	if b.users == nil {
		b.users = map[string]bool{}
	}
	b.users[user] = true
	b.wait.Add(1)
	return func() {
		defer b.wait.Done()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.users, user)
	}
}

func (s *Server) backup() http.Handler {
	return s.auth.Require(http.HandlerFunc(s.serveBackup), "this needs a user who may read $all",
		func(p guard.Principal) (bool, error) { return s.rights.May(p, guard.ActionRead, guard.AllStream) })
}

func (s *Server) serveBackup(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, watch.Help, http.StatusMethodNotAllowed)
		return
	}
	end := s.backups.begin(guard.PrincipalOf(r.Context()).Name)
	if end == nil {
		http.Error(w, "this user's last backup, or too many of others, are still being sent: try again later",
			http.StatusTooManyRequests)
		return
	}
	defer end()
	ctx, release := s.untilStopping(r.Context())
	defer release()
	began := time.Now()
	sent := &countedWriter{w: w}
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Cache-Control", "no-store")
	err := s.store.BackupTo(ctx, sent)
	if err != nil {
		s.cfg.Logger.Warn("a backup was not finished", "bytes", sent.n, "took", time.Since(began), "error", err)
		if sent.n == 0 {
			http.Error(w, "the backup failed: "+err.Error(), http.StatusInternalServerError)
			return
		}
		panic(http.ErrAbortHandler) // a cut connection: nobody takes what came for a whole backup
	}
	s.cfg.Logger.Info("a backup was made", "bytes", sent.n, "took", time.Since(began))
}

// untilStopping is ctx, ended too when the server begins to stop.
func (s *Server) untilStopping(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); watch.Wait() }
}

type countedWriter struct {
	w io.Writer
	n int64
}

func (c *countedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func closedOptions(logger *slog.Logger) eventlog.Options {
	return eventlog.Options{FS: vfs.Default, Logger: logger, Now: time.Now, CacheBytes: defaultCache}
}

// Check reads every record of the store in dir, which no server may have open,
// and reports every contradiction; it changes nothing. progress may be nil.
// Errors are eventlog.Check's.
func Check(ctx context.Context, dir string, logger *slog.Logger,
	progress func(eventlog.Progress)) (eventlog.Report, error) {
	return eventlog.Check(ctx, dir, closedOptions(logger), progress)
}

// Backup writes the store in dir, which no server may have open, to w as a tar
// that Restore reads. A running server gives the same over HTTP.
func Backup(ctx context.Context, dir string, logger *slog.Logger, w io.Writer) error {
	l, err := eventlog.Open(dir, closedOptions(logger))
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return errors.Join(l.BackupTo(ctx, w), l.Close())
}

// Restore makes dir, which is missing or empty, a store from a backup. Errors
// are eventlog.Restore's.
func Restore(ctx context.Context, dir string, logger *slog.Logger, r io.Reader) error {
	return eventlog.Restore(ctx, dir, closedOptions(logger), r)
}
