package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/internal/datadir"
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
(` + "`ledgerline connect eventstore`" + `); further ones stand in a file, a line each: name, bcrypt hash and groups, separated
by colons. It is embedded.eventstore-users, or DATA/keys/` + usersFile + ` where that is not set; a change takes
effect at the next start of ` + "`ledgerline up`" + `. Groups: ` + readersGroup + ` reads everything and writes nothing; ` + writersGroup + ` is
for a ledgerline elsewhere; $ops may ask for the server's statistics; $admins may do everything but delete what
the ledger wrote. Any other user reads what the streams' access control lists allow, and writes streams that are
not the ledger's.`,
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
			if err := a.dir().Make(); err != nil {
				return err
			}
			path := a.usersFile()
			users, err := readUsers(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			u := guard.User{Name: args[0], Groups: groups}
			if err := checkUser(u); err != nil {
				return usage("%w", err)
			}
			at := slices.IndexFunc(users, func(o guard.User) bool { return o.Name == u.Name })
			if at >= 0 && !replace {
				return usage("there is a user %q in %s: --replace gives it a new password and groups", u.Name, path)
			}
			password, err := readPassword(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if u.PasswordHash, err = guard.HashPassword(password); err != nil {
				return err
			}
			if at >= 0 {
				users[at] = u
			} else {
				users = append(users, u)
			}
			if err := writeUsers(path, users); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "user %q stands in %s; `ledgerline up` knows it from its next start\n", u.Name, path)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&groups, "groups", nil, "groups, separated by commas: "+readersGroup+", "+writersGroup+", $ops, $admins, or names of your own for access control lists")
	cmd.Flags().BoolVar(&replace, "replace", false, "give a user that is there a new password and groups")
	return cmd
}

func newUserRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a user",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := a.usersFile()
			users, err := readUsers(path)
			if err != nil {
				return err
			}
			left := slices.DeleteFunc(slices.Clone(users), func(u guard.User) bool { return u.Name == args[0] })
			if len(left) == len(users) {
				return usage("there is no user %q in %s", args[0], path)
			}
			if err := writeUsers(path, left); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "user %q is removed; a running `ledgerline up` knows it until it is started again\n", args[0])
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
			users, err := readUsers(a.usersFile())
			if err != nil {
				return err
			}
			for _, u := range users {
				fmt.Fprintf(cmd.OutOrStdout(), "%-24s %s\n", u.Name, strings.Join(u.Groups, ","))
			}
			return nil
		},
	}
}

// usersFile is the default file of the embedded event store's further users, in DATA/keys.
const usersFile = "eventstore-users"

func (a *app) usersFile() string {
	if a.cfg.Embedded.EventStoreUsers != "" {
		return a.cfg.Embedded.EventStoreUsers
	}
	return filepath.Join(a.cfg.Data, "keys", usersFile)
}

const usersHeader = "# Users of the embedded event store: name:bcrypt hash:groups. `ledgerline eventstore user add NAME` writes a line.\n"

// readUsers returns the users of a file; its error names every wrong line, and no hash.
func readUsers(path string) ([]guard.User, error) {
	raw, err := datadir.ReadPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("users of the event store: %w", err)
	}
	var users []guard.User
	var errs []error
	lines := map[string]int{}
	for i, line := range strings.Split(string(raw), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		u, err := parseUser(line)
		if err == nil && lines[u.Name] > 0 {
			err = fmt.Errorf("user %q stands in line %d already", u.Name, lines[u.Name])
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("users of the event store: %s line %d: %w", path, i+1, err))
			continue
		}
		lines[u.Name] = i + 1
		users = append(users, u)
	}
	return users, errors.Join(errs...)
}

func parseUser(line string) (guard.User, error) {
	parts := strings.Split(line, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return guard.User{}, fmt.Errorf("it has %d fields, want name:hash:group,group", len(parts))
	}
	u := guard.User{Name: parts[0], PasswordHash: parts[1]}
	if len(parts) == 3 && parts[2] != "" {
		for _, g := range strings.Split(parts[2], ",") {
			u.Groups = append(u.Groups, strings.TrimSpace(g))
		}
	}
	return u, checkUser(u)
}

// checkUser refuses what the server would, and the names that are this machine's own.
func checkUser(u guard.User) error {
	for _, g := range u.Groups {
		if strings.ContainsAny(g, ":,\n\r") || slices.Contains(datadir.Accounts(datadir.EventStore), g) {
			return fmt.Errorf("user %q: a group cannot be called %q", u.Name, g)
		}
	}
	if slices.Contains(datadir.Accounts(datadir.EventStore), u.Name) || u.Name == writersGroup || u.Name == readersGroup ||
		strings.HasPrefix(u.Name, "#") || u.Name != strings.TrimSpace(u.Name) {
		return fmt.Errorf("a user cannot be called %q", u.Name)
	}
	return u.Validate()
}

func writeUsers(path string, users []guard.User) error {
	var b bytes.Buffer
	b.WriteString(usersHeader)
	for _, u := range users {
		fmt.Fprintf(&b, "%s:%s:%s\n", u.Name, u.PasswordHash, strings.Join(u.Groups, ","))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return datadir.WritePrivate(path, b.Bytes())
}
