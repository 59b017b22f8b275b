package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/settings"
)

func TestAWrongUsersFileIsRefusedByLineWithoutItsHashes(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users")
	lines := []string{"# a comment", "", "anna:" + string(hash) + ":$admins, writers", "piet", "kees:SECRETHASH:",
		"anna:" + string(hash), "a:b:c:d", datadir.Ledger + ":" + string(hash), "joop:" + string(hash) + ":$root"}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ReadUsers(path)
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, want := range []string{"line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 3 already"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "SECRETHASH") || strings.Contains(err.Error(), string(hash)) ||
		strings.Contains(err.Error(), "line 3:") {
		t.Errorf("the error holds a hash, or blames a right line: %v", err)
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines[:3], "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := ReadUsers(path)
	if err != nil || len(users) != 1 || !slices.Equal(users[0].Groups, []string{"$admins", "writers"}) {
		t.Errorf("%+v, %v", users, err)
	}
}

// The event store always has this machine's two accounts, one of which writes nothing, and beside
// them the users of a file.
func TestWhoMayLogInToTheEventStore(t *testing.T) {
	c := testConfig()
	c.Settings.Data = filepath.Join(t.TempDir(), "data")
	if err := c.Dir().Make(); err != nil {
		t.Fatal(err)
	}
	secrets, err := c.Dir().MakeSecrets()
	if err != nil {
		t.Fatal(err)
	}
	check := func(want map[string]string) {
		t.Helper()
		users, err := c.eventStoreAccounts(secrets)
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
	if err := writeUsers(c.UsersPath(), []guard.User{u}); err != nil {
		t.Fatal(err)
	}
	own["anna"] = "$ops,readers"
	check(own)

	if err := os.Chmod(c.UsersPath(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.eventStoreAccounts(secrets); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("hashes that others can read: %v", err)
	}
	c.Settings.Embedded.EventStoreUsers = c.Dir().Path("none")
	_, err = c.eventStoreAccounts(secrets)
	if wrong := new(settings.Error); !errors.As(err, &wrong) ||
		!strings.Contains(err.Error(), "ledgerline eventstore user add") {
		t.Errorf("a file that was named and is missing: %v", err)
	}
}

func TestAddressesAreShownWithoutCredentials(t *testing.T) {
	for in, want := range map[string]string{
		"esdb://127.0.0.1:2113?tls=false":                  "esdb://127.0.0.1:2113?tls=false",
		"esdb://anna:pass@es:2113?tls=true":                "esdb://es:2113?tls=true",
		"esdb+discover://anna:p%40ss@a:1,b:2?tls=true":     "esdb+discover://a:1,b:2?tls=true",
		"esdb://anna:p@ss@es:2113":                         "esdb://es:2113",
		"esdb://es?tls=true&tlsCAFile=/srv/x@y/server.crt": "esdb://es?tls=true&tlsCAFile=/srv/x@y/server.crt",
	} {
		if got := shown(in); got != want {
			t.Errorf("%s is shown as %s", in, got)
		}
	}
}

// An address that cannot be used is refused without being repeated: it may hold a password.
func TestAWrongAddressIsNotRepeated(t *testing.T) {
	for _, address := range []string{"esdb://anna:hunter22%zz@es:2113", "anna:hunter22@es",
		"esdb://anna:hunter22@es:2113?tlsCAFile=/none", "esdb://anna:hunter22@es:2113?tls=perhaps"} {
		for _, ca := range []string{"", "/none"} {
			c := testConfig()
			c.Settings.EventStore.Address, c.Settings.EventStore.CA = address, ca
			e, err := c.eventStoreEndpoint(datadir.Running{}, datadir.Secrets{})
			if err == nil {
				_, err = (&Services{Endpoints: Endpoints{EventStore: e}, cfg: c}).LedgerConfig(nil, "")
			}
			if err == nil || strings.Contains(err.Error(), "hunter22") ||
				!strings.Contains(err.Error(), "eventstore.address") {
				t.Errorf("%v", err)
			}
		}
	}
}
