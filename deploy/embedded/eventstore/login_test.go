package eventstore

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"golang.org/x/crypto/bcrypt"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
)

const (
	adminName     = "root"
	adminPassword = "correct horse"
)

// testUser is a user whose password is cheap to check.
func testUser(t testing.TB, name, password string, groups ...string) guard.User {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return guard.User{Name: name, PasswordHash: string(hash), Groups: groups}
}

// secureConfig is a server with a certificate of an authority of its own, an
// administrator and the users.
func secureConfig(t testing.TB, users ...guard.User) Config {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.Open, cfg.TLS = false, testTLS(t)
	cfg.Users = append([]guard.User{testUser(t, adminName, adminPassword, "$admins")}, users...)
	return cfg
}

// basic is an Authorization header.
func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
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

// callUnknown calls a service that this node does not have.
func callUnknown(f *fixture) error {
	return f.c.DeletePersistentSubscription(f.ctx, "s", "group", esdb.DeletePersistentSubscriptionOptions{})
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
		_, err = f.c.SubscribeToAll(f.ctx, esdb.SubscribeToAllOptions{})
		wantCode(t, err, esdb.ErrorCodeUnauthenticated)
		err = callUnknown(f)
		wantCode(t, err, esdb.ErrorCodeUnauthenticated) // also what this node does not have
	}
	if n := s.auth.Failures(); n != 15 {
		t.Errorf("%d failures were counted, want 15", n)
	}
	wantCode(t, callUnknown(login(t, s, adminName, adminPassword)), esdb.ErrorCodeUnsupportedFeature)
}

// Clients find the node before they log in: discovery and the server's features ask for
// nothing, everything after does.
func TestDiscoveryWithUsers(t *testing.T) {
	cfg := secureConfig(t)
	cfg.Addr = "0.0.0.0:0"
	s := startServer(t, cfg)
	conn := strings.Replace(as(t, s, adminName, adminPassword), "esdb://", "esdb+discover://", 1)
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dialString(t, conn)}
	f.append("s", nil, event(`{}`))
	f = &fixture{t: t, ctx: testContext(t), s: s, c: dialString(t,
		strings.Replace(s.ConnectionString(), "esdb://", "esdb+discover://", 1))}
	wantCode(t, f.appendError("s", esdb.Any{}, event(`{}`)), esdb.ErrorCodeUnauthenticated)
}

// waitFor polls until ok: for what nothing announces.
func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	ctx := testContext(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("waited in vain")
		}
	}
}
