package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// Backup writes a consistent copy of the embedded event store to w, while it runs or not: a tar.
func Backup(ctx context.Context, c Config, w io.Writer) error {
	r, err := c.Dir().Running()
	if errors.Is(err, datadir.ErrNotUp) {
		return eventstore.Backup(ctx, c.EventStoreDir(), c.Log, w)
	}
	if err != nil {
		return err
	}
	secrets, err := c.Dir().Secrets()
	if err != nil {
		return err
	}
	password, err := secrets.Password(datadir.EventStore, datadir.Reader)
	if err != nil {
		return err
	}
	address, err := withAccount(r.EventStore, datadir.Reader, password, "")
	if err != nil {
		return err
	}
	return fetchBackup(ctx, address, w)
}

// fetchBackup asks the event store at a connection string for its copy.
func fetchBackup(ctx context.Context, address string, w io.Writer) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("backup: the event store's address is no connection string")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	target := url.URL{Scheme: "https", Host: u.Host, Path: eventstore.BackupPath}
	if ca := u.Query().Get("tlsCAFile"); ca != "" {
		if transport.TLSClientConfig.RootCAs, err = authorities(ca); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	if u.User != nil {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return errors.Join(fmt.Errorf("backup: the event store answers %s: %s", resp.Status, why), resp.Body.Close())
	}
	_, err = io.Copy(w, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("backup: it was cut: %w", err)
	}
	return nil
}

// WriteCheck writes for a person what a check of an event store's files found.
func WriteCheck(w io.Writer, r eventlog.Report) {
	for _, f := range r.Findings {
		fmt.Fprintln(w, f)
	}
	if more := r.Found - uint64(len(r.Findings)); more > 0 {
		fmt.Fprintf(w, "and %s findings more\n", terminal.Count(more))
	}
	fmt.Fprintf(w, "%s events in %s streams, %s, ending at position %d, commit %d; read in %s\n",
		terminal.Count(uint64(r.Events)), terminal.Count(uint64(r.Streams)), terminal.Bytes(int64(r.Bytes)), r.Next,
		r.Commit, r.Duration.Round(time.Millisecond))
}

// RestoreBackup makes the data directory's event store from a copy. It errs with
// eventlog.ErrExists where there is one.
func RestoreBackup(ctx context.Context, c Config, from io.Reader) (err error) {
	lock, err := c.Dir().Lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return eventstore.Restore(ctx, c.EventStoreDir(), c.Log, from)
}
