package eventstore

import (
	"net/url"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"golang.org/x/crypto/bcrypt"
)

const (
	adminName     = "root"
	adminPassword = "correct horse"
)

// testUser is a user whose password is cheap to check.
func testUser(t testing.TB, name, password string, groups ...string) User {
	t.Helper()
	hash, err := hashPassword(password, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return User{Name: name, PasswordHash: hash, Groups: groups}
}

// secureConfig is a server with a self-signed certificate, an administrator and the users.
func secureConfig(t testing.TB, users ...User) Config {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.TLS = &TLSConfig{}
	cfg.Users = append([]User{testUser(t, adminName, adminPassword, groupAdmins)}, users...)
	return cfg
}

// as is the connection string with credentials.
func as(t testing.TB, s *Server, name, password string) string {
	t.Helper()
	u, err := url.Parse(s.ConnectionString())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, password)
	return u.String()
}

// login is a client of the server with those credentials, none for an empty name.
func login(t testing.TB, s *Server, name, password string) *fixture {
	t.Helper()
	conn := s.ConnectionString()
	if name != "" {
		conn = as(t, s, name, password)
	}
	return &fixture{t: t, ctx: testContext(t), s: s, c: dialString(t, conn)}
}

// The official client over TLS with its user's password: append, read, $all, subscription.
func TestTLSAndPassword(t *testing.T) {
	s := startServer(t, secureConfig(t))
	f := login(t, s, adminName, adminPassword)
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	f.append("s", esdb.NoStream{}, events(3)...)
	if got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 3 {
		t.Errorf("read %d events, %v", len(got), err)
	}
	if got, err := f.readAll(esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 3 {
		t.Errorf("read %d events of $all, %v", len(got), err)
	}
	for n := 0; n < 3; {
		switch e := sub.Recv(); {
		case e.SubscriptionDropped != nil:
			t.Fatal(e.SubscriptionDropped.Error)
		case e.EventAppeared != nil:
			n++
		}
	}
}

// Wrong and missing credentials end every call, and say so as a real server does.
func TestWrongAndMissingCredentials(t *testing.T) {
	s := startServer(t, secureConfig(t))
	for _, c := range []struct{ name, password string }{{adminName, "wrong"}, {"nobody", adminPassword}, {"", ""}} {
		f := login(t, s, c.name, c.password)
		wantCode(t, f.appendError("s", esdb.Any{}, event(`{}`)), esdb.ErrorCodeUnauthenticated)
		_, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 1)
		wantCode(t, err, esdb.ErrorCodeUnauthenticated)
		_, err = f.c.DeleteStream(f.ctx, "s", esdb.DeleteStreamOptions{})
		wantCode(t, err, esdb.ErrorCodeUnauthenticated)
	}
	if n := s.auth.failures.Load(); n != 9 {
		t.Errorf("%d failures were counted, want 9", n)
	}
}
