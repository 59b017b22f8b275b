package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
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
	path := filepath.Join(dir, "keys", node.UsersFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	_, code, err := user("another password\n", "add", "anna")
	if code != exitUsage || err == nil || !strings.Contains(err.Error(), "--replace") {
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
	out, _, err := user("", "list")
	if err != nil || !slices.Equal(strings.Fields(out), []string{"anna", "$ops"}) {
		t.Errorf("list: %q, %v", out, err)
	}
	users, err := node.ReadUsers(path)
	if err != nil || len(users) != 1 ||
		bcrypt.CompareHashAndPassword([]byte(users[0].PasswordHash), []byte("another password")) != nil {
		t.Errorf("the file holds %d users, %v", len(users), err)
	}
	for _, args := range [][]string{{"add", "short"}, {"add", datadir.Ledger}, {"add", datadir.Reader},
		{"add", node.WritersGroup}, {"add", "a:b"}, {"add", "x", "--groups", "$admin"},
		{"add", "x", "--groups", datadir.Ledger}} {
		input := password + "\n"
		if args[1] == "short" {
			input = "elevenchars\n"
		}
		if _, code, err := user(input, args...); code != exitUsage || err == nil {
			t.Errorf("%v: exit %d, %v, want it refused", args, code, err)
		}
	}
}
