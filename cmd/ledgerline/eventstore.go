package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func newEventStore(a *app) *cobra.Command {
	return cli.Group("eventstore", "Look after the embedded event store",
		cli.Group("user", "Say who else may log in to the embedded event store",
			newUserAdd(a), newUserRemove(a), newUserList(a)),
		newEventStoreFsck(a), newEventStoreBackup(a), newEventStoreRestore(a))
}

func newUserAdd(a *app) *cobra.Command {
	var u guard.User
	var replace bool
	return cli.New(cli.Command{Use: "add NAME", Short: "Add a user, or give one a new password or groups",
		Args: cobra.ExactArgs(1),
		Flags: func(f cli.Flags) {
			f.StringSliceVar(&u.Groups, "groups", nil, "groups, separated by commas: "+node.ReadersGroup+", "+
				node.WritersGroup+", $ops, $admins, or names of your own for access control lists")
			f.BoolVar(&replace, "replace", false, "give a user that is there a new password and groups")
		},
		Run: func(c *cli.Call) error {
			n := a.node(nil)
			u.Name = c.Args[0]
			if err := n.Dir().Make(); err != nil {
				return err
			}
			if err := n.LookForUser(u, replace); errors.Is(err, node.ErrUserExists) {
				return cli.Usage("there is a user %q in %s: --replace gives it a new password and groups", u.Name,
					n.UsersPath())
			} else if err != nil {
				return err
			}
			password, err := terminal.NewPassword(c.Ctx, c.In, c.Err)
			if err != nil {
				return err
			}
			return c.Tell(n.PutUser(u, password), "user %q stands in %s; `ledgerline up` knows it from its next start",
				u.Name, n.UsersPath())
		}})
}

func newUserRemove(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "remove NAME", Short: "Remove a user", Args: cobra.ExactArgs(1),
		Run: func(c *cli.Call) error {
			err := a.node(nil).RemoveUser(c.Args[0])
			if errors.Is(err, node.ErrNoUser) {
				return cli.Usage("there is no user %q in %s", c.Args[0], a.node(nil).UsersPath())
			}
			return c.Tell(err, "user %q is removed; a running `ledgerline up` knows it until it is started again",
				c.Args[0])
		}})
}

func newUserList(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "list", Short: "List the users and their groups",
		Run: func(c *cli.Call) error {
			users, err := node.ReadUsers(a.node(nil).UsersPath())
			if err != nil {
				return err
			}
			for _, u := range users {
				fmt.Fprintf(c.Out, "%s %s\n", terminal.Left(u.Name, 24), strings.Join(u.Groups, ","))
			}
			return nil
		}})
}

func newEventStoreFsck(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "fsck [DIR]",
		Short: "Read every record of a stopped event store and report every contradiction",
		Args:  cobra.MaximumNArgs(1),
		Run: func(c *cli.Call) error {
			n := a.node(c.Out)
			dir := n.EventStoreDir()
			if len(c.Args) == 1 {
				dir = c.Args[0]
			}
			r, err := node.CheckEventStore(c.Ctx, n, dir)
			if errors.Is(err, eventlog.ErrLocked) {
				return fmt.Errorf("%w: stop `ledgerline up` first, or look at a restored backup: `ledgerline "+
					"eventstore backup FILE`, `restore FILE --data DIR`, `fsck DIR/eventstore`", err)
			} else if err != nil {
				return err
			}
			node.WriteCheck(c.Out, r)
			if !r.Whole() {
				return fmt.Errorf("the event store in %s is damaged: %s findings\n%s", dir, terminal.Count(r.Found),
					n.EventStoreWayOut())
			}
			return c.Tell(nil, "whole")
		}})
}

func newEventStoreBackup(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "backup FILE",
		Short: "Copy the event store into one file, while it runs or not", Args: cobra.ExactArgs(1),
		Run: func(c *cli.Call) error {
			path, began := c.Args[0], time.Now()
			if path == "-" {
				_, err := node.Backup(c.Ctx, a.node(c.Err), c.Out)
				return err
			}
			if _, err := os.Lstat(path); err == nil {
				return cli.Usage("%s exists already", path)
			}
			to, err := answer.NewFile(path)
			if err != nil {
				return err
			}
			n, err := node.Backup(c.Ctx, a.node(c.Out), to)
			return c.Tell(to.Finish(err), "%s: %s in %s", path, terminal.Bytes(n),
				time.Since(began).Round(time.Millisecond))
		}})
}

func newEventStoreRestore(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "restore FILE", Short: "Make the data directory's event store from a backup",
		Args: cobra.ExactArgs(1),
		Run: func(c *cli.Call) error {
			in := c.In
			if c.Args[0] != "-" {
				f, err := os.Open(c.Args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			n := a.node(c.Out)
			read, err := node.RestoreBackup(c.Ctx, n, in)
			if errors.Is(err, eventlog.ErrExists) {
				return fmt.Errorf("%w: %s holds a store already; restore into another --data, or move it away", err,
					n.EventStoreDir())
			}
			return c.Tell(err, "restored %s into %s", terminal.Bytes(read), n.EventStoreDir())
		}})
}
