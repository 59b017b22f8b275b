package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func newEventStore(a *app) *cobra.Command {
	return group("eventstore", "Look after the embedded event store",
		group("user", "Say who else may log in to the embedded event store",
			newUserAdd(a), newUserRemove(a), newUserList(a)),
		newEventStoreFsck(a), newEventStoreBackup(a), newEventStoreRestore(a))
}

func newUserAdd(a *app) *cobra.Command {
	var u guard.User
	var replace bool
	return a.command(command{use: "add NAME", short: "Add a user, or give one a new password or groups",
		args: cobra.ExactArgs(1),
		flags: func(f flags) {
			f.StringSliceVar(&u.Groups, "groups", nil, "groups, separated by commas: "+node.ReadersGroup+", "+
				node.WritersGroup+", $ops, $admins, or names of your own for access control lists")
			f.BoolVar(&replace, "replace", false, "give a user that is there a new password and groups")
		},
		run: func(c *call) error {
			n := c.node(nil)
			u.Name = c.args[0]
			if err := n.Dir().Make(); err != nil {
				return err
			}
			if err := n.LookForUser(u, replace); errors.Is(err, node.ErrUserExists) {
				return usage("there is a user %q in %s: --replace gives it a new password and groups", u.Name,
					n.UsersPath())
			} else if err != nil {
				return err
			}
			password, err := terminal.NewPassword(c.ctx, c.in, c.err)
			if err != nil {
				return err
			}
			if err := n.PutUser(u, password); err != nil {
				return err
			}
			return c.tell("user %q stands in %s; `ledgerline up` knows it from its next start", u.Name, n.UsersPath())
		}})
}

func newUserRemove(a *app) *cobra.Command {
	return a.command(command{use: "remove NAME", short: "Remove a user", args: cobra.ExactArgs(1),
		run: func(c *call) error {
			if err := c.node(nil).RemoveUser(c.args[0]); errors.Is(err, node.ErrNoUser) {
				return usage("there is no user %q in %s", c.args[0], c.node(nil).UsersPath())
			} else if err != nil {
				return err
			}
			return c.tell("user %q is removed; a running `ledgerline up` knows it until it is started again",
				c.args[0])
		}})
}

func newUserList(a *app) *cobra.Command {
	return a.command(command{use: "list", short: "List the users and their groups",
		run: func(c *call) error {
			users, err := node.ReadUsers(c.node(nil).UsersPath())
			if err != nil {
				return err
			}
			for _, u := range users {
				fmt.Fprintf(c.out, "%s %s\n", terminal.Left(u.Name, 24), strings.Join(u.Groups, ","))
			}
			return nil
		}})
}

func newEventStoreFsck(a *app) *cobra.Command {
	return a.command(command{use: "fsck [DIR]",
		short: "Read every record of a stopped event store and report every contradiction",
		args:  cobra.MaximumNArgs(1),
		run: func(c *call) error {
			n := c.node(c.out)
			dir := n.EventStoreDir()
			if len(c.args) == 1 {
				dir = c.args[0]
			}
			r, err := node.CheckEventStore(c.ctx, n, dir)
			if errors.Is(err, eventlog.ErrLocked) {
				return fmt.Errorf("%w: stop `ledgerline up` first, or look at a restored backup: `ledgerline "+
					"eventstore backup FILE`, `restore FILE --data DIR`, `fsck DIR/eventstore`", err)
			} else if err != nil {
				return err
			}
			node.WriteCheck(c.out, r)
			if !r.Whole() {
				return fmt.Errorf("the event store in %s is damaged: %s findings\n%s", dir, terminal.Count(r.Found),
					n.EventStoreWayOut())
			}
			return c.tell("whole")
		}})
}

func newEventStoreBackup(a *app) *cobra.Command {
	return a.command(command{use: "backup FILE", short: "Copy the event store into one file, while it runs or not",
		args: cobra.ExactArgs(1),
		run: func(c *call) error {
			path, began := c.args[0], time.Now()
			if path == "-" {
				_, err := c.backup(c.out, c.err)
				return err
			}
			if _, err := os.Lstat(path); err == nil {
				return usage("%s exists already", path)
			}
			to, err := answer.NewFile(path)
			if err != nil {
				return err
			}
			n, err := c.backup(to, c.out)
			if err := to.Finish(err); err != nil {
				return err
			}
			return c.tell("%s: %s in %s", path, terminal.Bytes(n), time.Since(began).Round(time.Millisecond))
		}})
}

// backup writes the copy to w and returns its bytes.
func (c *call) backup(w, progress io.Writer) (int64, error) {
	p := terminal.NewProgress(progress)
	defer p.Done()
	counted := p.Counting(w, "copied %s")
	err := node.Backup(c.ctx, c.node(nil), counted)
	return counted.N, err
}

func newEventStoreRestore(a *app) *cobra.Command {
	return a.command(command{use: "restore FILE", short: "Make the data directory's event store from a backup",
		args: cobra.ExactArgs(1),
		run: func(c *call) error {
			in := c.in
			if c.args[0] != "-" {
				f, err := os.Open(c.args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			n, p := c.node(nil), terminal.NewProgress(c.out)
			counted := p.Counting(io.Discard, "read %s")
			err := node.RestoreBackup(c.ctx, n, io.TeeReader(in, counted))
			p.Done()
			if errors.Is(err, eventlog.ErrExists) {
				return fmt.Errorf("%w: %s holds a store already; restore into another --data, or move it away", err,
					n.EventStoreDir())
			} else if err != nil {
				return err
			}
			return c.tell("restored %s into %s", terminal.Bytes(counted.N), n.EventStoreDir())
		}})
}
