package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/settings"
)

// UsersFile is the default file of the embedded event store's further users, in DATA/keys.
const UsersFile = "eventstore-users"

// UsersPath is the file of the embedded event store's further users.
func (c Config) UsersPath() string {
	if c.Settings.Embedded.EventStoreUsers != "" {
		return c.Settings.Embedded.EventStoreUsers
	}
	return c.Dir().Path("keys", UsersFile)
}

const usersHeader = "# Users of the embedded event store: name:bcrypt hash:groups. " +
	"`ledgerline eventstore user add NAME` writes a line.\n"

// ReadUsers returns the users of a file; its error names every wrong line, and no hash.
func ReadUsers(path string) ([]guard.User, error) {
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
	if slices.Contains(datadir.Accounts(datadir.EventStore), u.Name) ||
		u.Name == WritersGroup || u.Name == ReadersGroup ||
		strings.HasPrefix(u.Name, "#") || u.Name != strings.TrimSpace(u.Name) {
		return fmt.Errorf("a user cannot be called %q", u.Name)
	}
	return u.Validate()
}

// writeUsers replaces a file of users, which is its owner's alone.
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

// Codes of what is wrong with a user to add or remove.
var (
	ErrUserExists = errors.New("there is such a user already")
	ErrNoUser     = errors.New("there is no such user")
)

// LookForUser checks a user who is to be added, or with replace given another password and
// groups. It errs as a settings.Error, or with ErrUserExists.
func (c Config) LookForUser(u guard.User, replace bool) error {
	if err := checkUser(u); err != nil {
		return settings.Invalid(err)
	}
	users, err := ReadUsers(c.UsersPath())
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case !replace && slices.ContainsFunc(users, func(o guard.User) bool { return o.Name == u.Name }):
		return ErrUserExists
	}
	return nil
}

// PutUser adds a user with that password, or replaces the one of the same name.
func (c Config) PutUser(u guard.User, password string) (err error) {
	if u.PasswordHash, err = guard.HashPassword(password); err != nil {
		return err
	}
	users, err := ReadUsers(c.UsersPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if at := slices.IndexFunc(users, func(o guard.User) bool { return o.Name == u.Name }); at >= 0 {
		users[at] = u
	} else {
		users = append(users, u)
	}
	return writeUsers(c.UsersPath(), users)
}

// RemoveUser removes the user of that name, or errs with ErrNoUser.
func (c Config) RemoveUser(name string) error {
	users, err := ReadUsers(c.UsersPath())
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(users), func(u guard.User) bool { return u.Name == name })
	if len(left) == len(users) {
		return ErrNoUser
	}
	return writeUsers(c.UsersPath(), left)
}
