package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func newEventStore(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "eventstore",
		Short: "Look after the embedded event store",
	}
	cmd.AddCommand(newEventStoreUser(a), newEventStoreFsck(a), newEventStoreBackup(a), newEventStoreRestore(a))
	return cmd
}

func newEventStoreUser(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Say who else may log in to the embedded event store",
		Long: `The embedded event store asks every client for an account, over TLS. Two are this machine's own
(` + "`ledgerline connect eventstore`" + `); further ones stand in a file, a line each: name, bcrypt hash and groups,
separated by colons. It is embedded.eventstore-users, or DATA/keys/` + node.UsersFile + ` where that is not set; a
change takes effect at the next start of ` + "`ledgerline up`" + `. Groups: ` + node.ReadersGroup + ` reads everything and writes
nothing; ` + node.WritersGroup + ` is for a ledgerline elsewhere; $ops may ask for the server's statistics; $admins may do
everything but delete what the ledger wrote. Any other user reads what the streams' access control lists allow, and
writes streams that are not the ledger's.`,
	}
	cmd.AddCommand(newUserAdd(a), newUserRemove(a), newUserList(a))
	return cmd
}

func newUserAdd(a *app) *cobra.Command {
	var groups []string
	var replace bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user, or give one a new password or groups",
		Long: `add asks for the password twice on a terminal, or takes the first line of standard input, and keeps its bcrypt
hash. Single quotes keep the shell from reading $admins as a variable.`,
		Example: `  ledgerline eventstore user add siem --groups readers
  ledgerline eventstore user add anna --groups '$admins'
  pass show ledger/remote | ledgerline eventstore user add remote --groups writers`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, u := a.node(nil), guard.User{Name: args[0], Groups: groups}
			if err := c.Dir().Make(); err != nil {
				return err
			}
			path := c.UsersPath()
			err := c.LookForUser(u, replace)
			if errors.Is(err, node.ErrUserExists) {
				return usage("there is a user %q in %s: --replace gives it a new password and groups", u.Name, path)
			}
			if err != nil {
				return err
			}
			password, err := terminal.NewPassword(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := c.PutUser(u, password); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "user %q stands in %s; `ledgerline up` knows it from its next start\n",
				u.Name, path)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&groups, "groups", nil, "groups, separated by commas: "+node.ReadersGroup+", "+
		node.WritersGroup+", $ops, $admins, or names of your own for access control lists")
	cmd.Flags().BoolVar(&replace, "replace", false, "give a user that is there a new password and groups")
	return cmd
}

func newUserRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a user",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.node(nil).RemoveUser(args[0])
			if errors.Is(err, node.ErrNoUser) {
				return usage("there is no user %q in %s", args[0], a.node(nil).UsersPath())
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "user %q is removed; a running `ledgerline up` knows it until it is started "+
				"again\n", args[0])
			return nil
		},
	}
}

func newUserList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the users and their groups",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			users, err := node.ReadUsers(a.node(nil).UsersPath())
			if err != nil {
				return err
			}
			for _, u := range users {
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", terminal.Left(u.Name, 24), strings.Join(u.Groups, ","))
			}
			return nil
		},
	}
}

func newEventStoreFsck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "fsck [DIR]",
		Short: "Read every record of a stopped event store and report every contradiction",
		Long: `fsck reads every file, event, index entry and stream head of the event store in DIR, by default the one of
the data directory, compares all that is written twice, and names each place that does not agree. It changes nothing
and repairs nothing: restore a backup instead. Nothing may have the store open: stop "ledgerline up" first, or restore
a backup beside it and look at that.

It exits with 1 where it found anything.`,
		Example: `  ledgerline eventstore fsck
  ledgerline eventstore fsck /mnt/restored/eventstore`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := a.node(nil).EventStoreDir()
			if len(args) == 1 {
				dir = args[0]
			}
			return a.fsck(cmd.Context(), cmd.OutOrStdout(), dir)
		},
	}
}

func (a *app) fsck(ctx context.Context, out io.Writer, dir string) error {
	p := terminal.NewProgress(out)
	r, err := eventstore.Check(ctx, dir, a.log, func(e eventlog.Progress) {
		if e.Total == 0 {
			p.Show("%s: %s", e.Phase, terminal.Count(int64(e.Done)))
			return
		}
		p.Show("%s: %s of %s", e.Phase, terminal.Count(int64(e.Done)), terminal.Count(int64(e.Total)))
	})
	p.Done()
	if errors.Is(err, eventlog.ErrLocked) {
		return fmt.Errorf("%w: stop `ledgerline up` first, or look at a restored backup: `ledgerline eventstore backup "+
			"FILE`, `restore FILE --data DIR`, `fsck DIR/eventstore`", err)
	}
	if err != nil {
		return err
	}
	for _, f := range r.Findings {
		fmt.Fprintln(out, f)
	}
	if more := r.Found - uint64(len(r.Findings)); more > 0 {
		fmt.Fprintf(out, "and %s findings more\n", terminal.Count(int64(more)))
	}
	fmt.Fprintf(out, "%s events in %s streams, %s, ending at position %d, commit %d; read in %s\n",
		terminal.Count(int64(r.Events)), terminal.Count(int64(r.Streams)), terminal.Bytes(int64(r.Bytes)), r.Next,
		r.Commit, r.Duration.Round(time.Millisecond))
	if !r.Whole() {
		return fmt.Errorf("the event store in %s is damaged: %s findings\n%s",
			dir, terminal.Count(int64(r.Found)), a.node(nil).EventStoreWayOut())
	}
	fmt.Fprintln(out, "whole")
	return nil
}

func newEventStoreBackup(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the event store into one file, while it runs or not",
		Long: `backup writes a consistent copy of the embedded event store to FILE, a tar that "restore" reads. While
"ledgerline up" runs it asks it for the copy, and appends go on meanwhile; everything acknowledged before the backup
began is in it. FILE appears only when the copy is whole; "-" is standard output, where the end of the tar says so.

The copy holds the ledger's events and nothing else: no keys, no vault. Protected data in it can be read only with the
vault and its key, and what has been erased there stays erased.`,
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

func newEventStoreRestore(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Make the data directory's event store from a backup",
		Long: `restore unpacks a backup into the data directory's event store, which must not be there yet, and verifies
it on the way: every file by its checksum, then the log's end. The store appears only when all of it is right. "-" is
standard input.

The vault and the key are not in the backup: put those of the same ledger into the data directory, or start where they
are. The sequence index, topics and views are made again from the events.`,
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
			out, dir := cmd.OutOrStdout(), a.node(nil).EventStoreDir()
			lock, err := a.node(nil).Dir().Lock()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, lock.Close()) }()
			p := terminal.NewProgress(out)
			counted := p.Counting(io.Discard, "read %s")
			err = eventstore.Restore(cmd.Context(), dir, a.log, io.TeeReader(in, counted))
			p.Done()
			if errors.Is(err, eventlog.ErrExists) {
				return fmt.Errorf("%w: %s holds a store already; restore into another --data, or move it away", err,
					dir)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "restored %s into %s\n", terminal.Bytes(counted.N), dir)
			return nil
		},
	}
}

// backupFile puts the copy at path, whole or not at all.
func (a *app) backupFile(ctx context.Context, path string, out io.Writer) error {
	if _, err := os.Lstat(path); err == nil {
		return usage("%s exists already", path)
	}
	began := time.Now()
	to, err := makeTarget(path)
	if err != nil {
		return err
	}
	n, err := a.backup(ctx, to.f, out)
	if err := to.finish(err); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s in %s\n", path, terminal.Bytes(n), time.Since(began).Round(time.Millisecond))
	return nil
}

// backup writes the copy to w and returns its bytes.
func (a *app) backup(ctx context.Context, w, progress io.Writer) (int64, error) {
	p := terminal.NewProgress(progress)
	defer p.Done()
	counted := p.Counting(w, "copied %s")
	err := node.Backup(ctx, a.node(nil), counted)
	return counted.N, err
}
