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
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func newEventStore(a *app) *cobra.Command {
	return group("eventstore", "Look after the embedded event store",
		newEventStoreUser(a), newEventStoreFsck(a), newEventStoreBackup(a), newEventStoreRestore(a))
}

func newEventStoreUser(a *app) *cobra.Command {
	return group("user", "Say who else may log in to the embedded event store",
		newUserAdd(a), newUserRemove(a), newUserList(a))
}

func newUserAdd(a *app) *cobra.Command {
	var groups []string
	var replace bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user, or give one a new password or groups",
		Args:  cobra.ExactArgs(1),
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
			fmt.Fprintf(cmd.OutOrStdout(), "user %q is removed; a running `ledgerline up` knows it until it is "+
				"started again\n", args[0])
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
		Args:  cobra.MaximumNArgs(1),
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
		return fmt.Errorf("%w: stop `ledgerline up` first, or look at a restored backup: `ledgerline eventstore "+
			"backup FILE`, `restore FILE --data DIR`, `fsck DIR/eventstore`", err)
	}
	if err != nil {
		return err
	}
	node.WriteCheck(out, r)
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
		Args:  cobra.ExactArgs(1),
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
		Args:  cobra.ExactArgs(1),
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
			p := terminal.NewProgress(out)
			counted := p.Counting(io.Discard, "read %s")
			err = node.RestoreBackup(cmd.Context(), a.node(nil), io.TeeReader(in, counted))
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
	to, err := answer.NewFile(path)
	if err != nil {
		return err
	}
	n, err := a.backup(ctx, to.File, out)
	if err := to.Finish(err); err != nil {
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
