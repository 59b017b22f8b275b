package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/internal/datadir"
)

// eventStoreDir is where the embedded event store keeps its files.
func (a *app) eventStoreDir() string { return filepath.Join(a.cfg.Data, embedded.EventStoreDir) }

func newEventStoreFsck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "fsck [DIR]",
		Short: "Read every record of a stopped event store and report every contradiction",
		Long: `fsck reads every file, event, index entry and stream head of the event store in DIR, by default the one of the data
directory, compares all that is written twice, and names each place that does not agree. It changes nothing and repairs nothing:
restore a backup instead. Nothing may have the store open: stop "ledgerline up" first, or restore a backup beside it and look at that.

It exits with 1 where it found anything.`,
		Example: `  ledgerline eventstore fsck
  ledgerline eventstore fsck /mnt/restored/eventstore`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := a.eventStoreDir()
			if len(args) == 1 {
				dir = args[0]
			}
			return a.fsck(cmd.Context(), cmd.OutOrStdout(), dir)
		},
	}
}

func (a *app) fsck(ctx context.Context, out io.Writer, dir string) error {
	p := newProgress(out)
	r, err := eventstore.Check(ctx, dir, a.log, func(e eventlog.Progress) {
		if e.Total == 0 {
			p.show("%s: %s", e.Phase, count(int64(e.Done)))
			return
		}
		p.show("%s: %s of %s", e.Phase, count(int64(e.Done)), count(int64(e.Total)))
	})
	p.done()
	if errors.Is(err, eventlog.ErrLocked) {
		return fmt.Errorf("%w: stop `ledgerline up` first, or look at a restored backup: `ledgerline eventstore backup FILE`, `restore FILE --data DIR`, `fsck DIR/eventstore`", err)
	}
	if err != nil {
		return err
	}
	for _, f := range r.Findings {
		fmt.Fprintln(out, f)
	}
	if more := r.Found - uint64(len(r.Findings)); more > 0 {
		fmt.Fprintf(out, "and %s findings more\n", count(int64(more)))
	}
	fmt.Fprintf(out, "%s events in %s streams, %s, ending at position %d, commit %d; read in %s\n", count(int64(r.Events)), count(int64(r.Streams)),
		bytesText(int64(r.Bytes)), r.Next, r.Commit, r.Duration.Round(time.Millisecond))
	if !r.Whole() {
		return fmt.Errorf("the event store in %s is damaged: %s findings\n%s",
			dir, count(int64(r.Found)), a.eventStoreWayOut())
	}
	fmt.Fprintln(out, "whole")
	return nil
}

func newEventStoreBackup(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the event store into one file, while it runs or not",
		Long: `backup writes a consistent copy of the embedded event store to FILE, a tar that "restore" reads. While "ledgerline up" runs it
asks it for the copy, and appends go on meanwhile; everything acknowledged before the backup began is in it. FILE appears only when the copy is
whole; "-" is standard output, where the end of the tar says so.

The copy holds the ledger's events and nothing else: no keys, no vault. Protected data in it can be read only with the vault and its key, and what
has been erased there stays erased.`,
		Example: `  ledgerline eventstore backup ledger-$(date +%F).tar
  ledgerline eventstore backup - | zstd | ssh vault-host 'cat > ledger.tar.zst'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" {
				_, err := a.backup(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
				return err
			}
			return a.backupFile(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
}

// backupFile puts the copy at path, whole or not at all.
func (a *app) backupFile(ctx context.Context, path string, out io.Writer) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return usage("%s exists already", path)
	}
	began := time.Now()
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	n, err := a.backup(ctx, f, out)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename, it never replaces a file
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s in %s\n", path, bytesText(n), time.Since(began).Round(time.Millisecond))
	return nil
}

// backup writes the copy to w and returns its bytes.
func (a *app) backup(ctx context.Context, w, progress io.Writer) (int64, error) {
	p := newProgress(progress)
	defer p.done()
	counted := &progressWriter{w: w, show: func(n int64) { p.show("copied %s", bytesText(n)) }}
	r, err := a.dir().Running()
	if errors.Is(err, datadir.ErrNotUp) {
		return counted.n, eventstore.Backup(ctx, a.eventStoreDir(), a.log, counted)
	}
	if err != nil {
		return 0, err
	}
	secrets, err := a.dir().Secrets()
	if err != nil {
		return 0, err
	}
	password, err := secrets.Password(datadir.EventStore, datadir.Reader)
	if err != nil {
		return 0, err
	}
	address, err := withAccount(r.EventStore, datadir.Reader, password, "")
	if err != nil {
		return 0, err
	}
	err = fetchBackup(ctx, address, counted)
	return counted.n, err
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

func newEventStoreRestore(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Make the data directory's event store from a backup",
		Long: `restore unpacks a backup into the data directory's event store, which must not be there yet, and verifies it on the way: every file
by its checksum, then the log's end. The store appears only when all of it is right. "-" is standard input.

The vault and the key are not in the backup: put those of the same ledger into the data directory, or start where they are. The sequence index,
topics and views are made again from the events.`,
		Example: `  ledgerline eventstore restore ledger-2026-11-24.tar --data /srv/ledger-restored
  ledgerline eventstore fsck /srv/ledger-restored/eventstore`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			lock, err := a.dir().Lock()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, lock.Close()) }()
			out := cmd.OutOrStdout()
			p := newProgress(out)
			counted := &progressWriter{w: io.Discard, show: func(n int64) { p.show("read %s", bytesText(n)) }}
			err = eventstore.Restore(cmd.Context(), a.eventStoreDir(), a.log, io.TeeReader(in, counted))
			p.done()
			if errors.Is(err, eventlog.ErrExists) {
				return fmt.Errorf("%w: %s holds a store already; restore into another --data, or move it away", err, a.eventStoreDir())
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "restored %s into %s\n", bytesText(counted.n), a.eventStoreDir())
			return nil
		},
	}
}

// progressWriter counts what goes to w and shows it.
type progressWriter struct {
	w    io.Writer
	n    int64
	show func(int64)
}

func (p *progressWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.n += int64(n)
	p.show(p.n)
	return n, err
}
