package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/internal/datadir"
)

// runCommand runs a command with input and returns what it printed.
func runCommand(t *testing.T, input string, args ...string) (string, int, error) {
	t.Helper()
	a := &app{}
	root := newRoot(a)
	var out bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetIn(strings.NewReader(input))
	code, err := a.execute(t.Context(), root)
	return out.String(), code, err
}

func TestUsersAreAddedReplacedAndRemoved(t *testing.T) {
	dir := dataDir(t)
	const password = "twelve characters"
	user := func(input string, args ...string) (string, int, error) {
		return runCommand(t, input, append([]string{"eventstore", "user", args[0], "--data", dir}, args[1:]...)...)
	}
	for _, args := range [][]string{{"add", "anna", "--groups", "$admins,writers"}, {"add", "piet"}} {
		out, code, err := user(password+"\nnot read\n", args...)
		if err != nil || code != exitOK || strings.Contains(out, password) {
			t.Fatalf("%v: exit %d, %v, %q", args, code, err, out)
		}
	}
	path := filepath.Join(dir, "keys", usersFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if _, code, err := user("another password\n", "add", "anna"); code != exitUsage || err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("adding again: exit %d, %v", code, err)
	}
	if _, _, err := user("another password\n", "add", "anna", "--replace", "--groups", "$ops"); err != nil {
		t.Errorf("replacing: %v", err)
	}
	if _, _, err := user("", "remove", "piet"); err != nil {
		t.Errorf("removing: %v", err)
	}
	if _, code, _ := user("", "remove", "piet"); code != exitUsage {
		t.Errorf("removing nobody: exit %d", code)
	}
	if out, _, err := user("", "list"); err != nil || strings.Fields(out)[0] != "anna" || strings.Fields(out)[1] != "$ops" || len(strings.Fields(out)) != 2 {
		t.Errorf("list: %q, %v", out, err)
	}
	users, err := readUsers(path)
	if err != nil || len(users) != 1 || bcrypt.CompareHashAndPassword([]byte(users[0].PasswordHash), []byte("another password")) != nil {
		t.Errorf("the file holds %d users, %v", len(users), err)
	}
	for _, args := range [][]string{{"add", "short"}, {"add", datadir.Ledger}, {"add", datadir.Reader}, {"add", writersGroup}, {"add", "a:b"}, {"add", "x", "--groups", "$admin"}, {"add", "x", "--groups", datadir.Ledger}} {
		input := password + "\n"
		if args[1] == "short" {
			input = "elevenchars\n"
		}
		if _, code, err := user(input, args...); code != exitUsage || err == nil {
			t.Errorf("%v: exit %d, %v, want it refused", args, code, err)
		}
	}
}

func TestAWrongUsersFileIsRefusedByLineWithoutItsHashes(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users")
	lines := []string{"# a comment", "", "anna:" + string(hash) + ":$admins, writers", "piet", "kees:SECRETHASH:", "anna:" + string(hash), "a:b:c:d", datadir.Ledger + ":" + string(hash), "joop:" + string(hash) + ":$root"}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = readUsers(path)
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, want := range []string{"line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 3 already"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "SECRETHASH") || strings.Contains(err.Error(), string(hash)) || strings.Contains(err.Error(), "line 3:") {
		t.Errorf("the error holds a hash, or blames a right line: %v", err)
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines[:3], "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if users, err := readUsers(path); err != nil || len(users) != 1 || !slices.Equal(users[0].Groups, []string{"$admins", "writers"}) {
		t.Errorf("%+v, %v", users, err)
	}
}

// The event store always has this machine's two accounts, one of which writes nothing, and beside them the users of a file.
func TestWhoMayLogInToTheEventStore(t *testing.T) {
	a := &app{log: slog.New(slog.DiscardHandler)}
	a.cfg.Data = dataDir(t)
	if err := a.dir().Make(); err != nil {
		t.Fatal(err)
	}
	secrets, err := a.dir().MakeSecrets()
	if err != nil {
		t.Fatal(err)
	}
	check := func(want map[string]string) {
		t.Helper()
		users, err := a.eventStoreAccounts(secrets)
		if err != nil || len(users) != len(want) {
			t.Fatalf("%d users, %v", len(users), err)
		}
		for _, u := range users {
			if groups, ok := want[u.Name]; !ok || groups != strings.Join(u.Groups, ",") || u.Validate() != nil {
				t.Errorf("%s in %v: %v", u.Name, u.Groups, u.Validate())
			}
		}
	}
	own := map[string]string{"ledger": "writers", "reader": "readers"}
	check(own)
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	u, err := parseUser("anna:" + string(hash) + ":$ops,readers")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeUsers(a.usersFile(), []guard.User{u}); err != nil {
		t.Fatal(err)
	}
	own["anna"] = "$ops,readers"
	check(own)

	if err := os.Chmod(a.usersFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := a.eventStoreAccounts(secrets); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("hashes that others can read: %v", err)
	}
	a.cfg.Embedded.EventStoreUsers = filepath.Join(a.cfg.Data, "none")
	if _, err := a.eventStoreAccounts(secrets); err == nil || a.exitCode(err) != exitUsage || !strings.Contains(err.Error(), "ledgerline eventstore user add") {
		t.Errorf("a file that was named and is missing: %v", err)
	}
}

func TestAddressesAreShownWithoutCredentials(t *testing.T) {
	for in, want := range map[string]string{
		"esdb://127.0.0.1:2113?tls=false":                       "esdb://127.0.0.1:2113?tls=false",
		"esdb://anna:pass@es:2113?tls=true":                     "esdb://es:2113?tls=true",
		"esdb+discover://anna:p%40ss@a:1,b:2?tls=true":          "esdb+discover://a:1,b:2?tls=true",
		"esdb://anna:p@ss@es:2113":                              "esdb://es:2113",
		"esdb://es:2113?tls=true&tlsCAFile=/srv/x@y/server.crt": "esdb://es:2113?tls=true&tlsCAFile=/srv/x@y/server.crt",
	} {
		if got := shown(in); got != want {
			t.Errorf("%s is shown as %s", in, got)
		}
	}
}

func TestAPasswordIsOneLine(t *testing.T) {
	for in, want := range map[string]string{"twelve chars\nmore": "twelve chars", "twelve chars\r\n": "twelve chars", " a space each end ": " a space each end "} {
		if got, err := readPassword(context.Background(), strings.NewReader(in), nil); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// An address that cannot be used is refused without being repeated: it may hold a password.
func TestAWrongAddressIsNotRepeated(t *testing.T) {
	for _, address := range []string{"esdb://anna:hunter22%zz@es:2113", "anna:hunter22@es", "esdb://anna:hunter22@es:2113?tlsCAFile=/none", "esdb://anna:hunter22@es:2113?tls=perhaps"} {
		for _, ca := range []string{"", "/none"} {
			a := &app{log: slog.New(slog.DiscardHandler)}
			a.cfg.EventStore.Address, a.cfg.EventStore.CA = address, ca
			e, err := a.eventStoreEndpoint(datadir.Running{}, datadir.Secrets{})
			if err == nil {
				_, err = a.ledgerConfig(&services{endpoints: endpoints{eventStore: e}}, nil, "")
			}
			if err == nil || strings.Contains(err.Error(), "hunter22") || !strings.Contains(err.Error(), "eventstore.address") {
				t.Errorf("%v", err)
			}
		}
	}
}
