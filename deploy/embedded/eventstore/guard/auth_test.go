package guard

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	adminName     = "root"
	adminPassword = "correct horse"
)

// testTimeout bounds a whole test that would otherwise hang; nothing waits for it to pass.
const testTimeout = time.Minute

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// testUser is a user whose password is cheap to check.
func testUser(t testing.TB, name, password string, groups ...string) User {
	t.Helper()
	hash, err := hashPassword(password, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return User{Name: name, PasswordHash: hash, Groups: groups}
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

func newTestAuthenticator(t *testing.T, logger *slog.Logger) *Authenticator {
	t.Helper()
	a, err := NewAuthenticator(AuthConfig{Users: []User{testUser(t, "anna", "secret", groupOps),
		testUser(t, "piet", "p")}, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// occupy takes every place at which a password is checked, until release is called.
func occupy(a *Authenticator) (release func()) {
	for range cap(a.slots) {
		a.slots <- struct{}{}
	}
	return func() {
		for range cap(a.slots) {
			<-a.slots
		}
	}
}

// A password that was right is not checked again for a while; a wrong one is checked each time.
func TestVerifiedPasswordsAreRemembered(t *testing.T) {
	a := newTestAuthenticator(t, slog.New(slog.DiscardHandler))
	ctx := testContext(t)
	right := basic("anna", "secret")
	if p, err := a.authenticate(ctx, right, "", "peer"); err != nil || p.Name != "anna" ||
		!p.has(groupOps) || p.Admin() {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, wrong := range []string{basic("anna", "Secret"), basic("nobody", "secret"), basic("anna", ""),
		basic("anna", strings.Repeat("x", 73)), "Bearer x", "Basic %", "Basic", basic("anna", "secret")[:12]} {
		if _, err := a.authenticate(ctx, wrong, "", "peer"); !errors.Is(err, errBadCredentials) {
			t.Errorf("%v", err)
		}
	}
	if len(a.verified) != 1 || len(a.attempts) != 0 || len(a.ofPeer) != 0 {
		t.Errorf("%d are remembered, %d attempts and %d peers are left over", len(a.verified),
			len(a.attempts), len(a.ofPeer))
	}
	release := occupy(a) // from here only what is remembered is answered
	if _, err := a.authenticate(ctx, right, "", "peer"); err != nil {
		t.Error(err)
	}
	release()
	for d, v := range a.verified {
		if strings.Contains(string(d[:]), "secret") {
			t.Error("a password is kept")
		}
		v.until = time.Now().Add(-time.Second)
		a.verified[d] = v
	}
	release = occupy(a)
	ended := make(chan error, 1)
	go func() {
		_, err := a.authenticate(ctx, right, "", "peer")
		ended <- err
	}()
	waitFor(t, func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.attempts) == 1 }) // it is checked again
	release()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Guessing costs a bounded part of the machine: one address has few places in the queue, all
// together not many more, and who is known comes through all the same.
func TestGuessingIsBounded(t *testing.T) {
	a := newTestAuthenticator(t, slog.New(slog.DiscardHandler))
	ctx := testContext(t)
	if _, err := a.authenticate(ctx, basic("piet", "p"), "", "peer"); err != nil {
		t.Fatal(err)
	}
	release := occupy(a)
	var waiting sync.WaitGroup
	queued := func() int { a.mu.Lock(); defer a.mu.Unlock(); return len(a.attempts) }
	refused := func(peer string) {
		t.Helper()
		if _, err := a.authenticate(ctx, basic("anna", "one more"), "", peer); !errors.Is(err, errTooMany) {
			t.Errorf("one more guess by %s: %v", peer, err)
		}
	}
	for i := range attemptsMost {
		peer := fmt.Sprintf("peer %d", i/attemptsOfPeer)
		waiting.Go(func() {
			if _, err := a.authenticate(ctx, basic("anna", fmt.Sprint("guess ", i)), "", peer); !errors.Is(err,
				errBadCredentials) {
				t.Error(err)
			}
		})
		waitFor(t, func() bool { return queued() == i+1 })
		if (i+1)%attemptsOfPeer == 0 {
			refused(peer)
		}
	}
	refused("a peer that did nothing yet")
	if _, err := a.authenticate(ctx, basic("piet", "p"), "", "peer 0"); err != nil {
		t.Errorf("who is known: %v", err)
	}
	release()
	waiting.Wait()
}

// Whoever logs in with the same password as others shares their check: a client that begins with
// many calls at once is no guesser.
func TestOneCheckForManyCalls(t *testing.T) {
	a := newTestAuthenticator(t, slog.New(slog.DiscardHandler))
	ctx := testContext(t)
	release := occupy(a)
	var waiting sync.WaitGroup
	for range 10 * attemptsOfPeer {
		waiting.Go(func() {
			if p, err := a.authenticate(ctx, basic("anna", "secret"), "", "peer"); err != nil || p.Name != "anna" {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	waitFor(t, func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.attempts) == 1 })
	left, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := a.authenticate(left, basic("anna", "secret"), "", "peer"); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was given up: %v", err)
	}
	release()
	waiting.Wait()
	if n := a.Failures(); n != 0 {
		t.Errorf("%d failures", n)
	}
}

// A user who is not there costs what the costliest one does, so that the
// time tells nothing of who is.
func TestUnknownUsersCostAsMuch(t *testing.T) {
	dear, err := hashPassword("x", bcrypt.MinCost+2)
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAuthenticator(AuthConfig{Users: []User{testUser(t, "anna", "x"), {Name: "dear", PasswordHash: dear}},
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost(a.dummy); err != nil || cost != bcrypt.MinCost+2 {
		t.Errorf("nobody's hash costs 2^%d, %v", cost, err)
	}
}

func TestHashPassword(t *testing.T) {
	h, err := HashPassword("correct horse")
	if err != nil || (User{Name: "anna", PasswordHash: h}).Validate() != nil {
		t.Errorf("%v", err)
	}
	for _, p := range []string{"", strings.Repeat("x", 73)} {
		if _, err := HashPassword(p); err == nil {
			t.Errorf("a password of %d bytes was hashed", len(p))
		}
	}
}

// A program's secret is compared at once: it waits behind nobody's password, and is
// right or wrong by itself.
func TestSecretsAreComparedAtOnce(t *testing.T) {
	secret := strings.Repeat("0123456789abcdef", 4)
	digest, err := DigestSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	program := User{Name: "program", SecretSHA256: digest}
	quiet := slog.New(slog.DiscardHandler)
	mixed, err := NewAuthenticator(AuthConfig{Users: []User{testUser(t, "anna", "x"), program}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	only, err := NewAuthenticator(AuthConfig{Users: []User{program}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer occupy(mixed)() // no password can be checked
	for name, a := range map[string]*Authenticator{"beside passwords": mixed, "alone": only} {
		for range 2 {
			if p, err := a.authenticate(testContext(t), basic("program", secret), "", "peer"); err != nil ||
				p.Name != "program" {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
		}
		for _, wrong := range []string{secret[1:] + "0", "", string(digest[:]), secret + " "} {
			if _, err := a.authenticate(testContext(t), basic("program", wrong), "", "peer"); !errors.Is(err,
				errBadCredentials) {
				t.Errorf("%s: a wrong secret: %v", name, err)
			}
		}
		if len(a.attempts)+len(a.verified) != 0 {
			t.Errorf("%s: a secret is queued or remembered", name)
		}
	}
	if _, err := only.authenticate(testContext(t), basic("nobody", secret), "", "peer"); !errors.Is(err,
		errBadCredentials) {
		t.Errorf("nobody: %v", err)
	}
}

func TestDigestSecret(t *testing.T) {
	for _, s := range []string{"", strings.Repeat("x", leastSecret-1), strings.Repeat("x", maxPassword+1)} {
		if _, err := DigestSecret(s); err == nil {
			t.Errorf("a secret of %d characters was taken", len(s))
		}
	}
}

// Failed logins are counted, and logged now and then with the address; never
// with what the client said.
func TestFailedLoginsAreLoggedSparingly(t *testing.T) {
	var out bytes.Buffer
	a := newTestAuthenticator(t, slog.New(slog.NewTextHandler(&out, nil)))
	for i := range 100 {
		if _, err := a.authenticate(testContext(t), basic(fmt.Sprint("somename", i), "somepassword"), "",
			"192.0.2.7"); err == nil {
			t.Fatal("nobody logged in")
		}
	}
	if n := a.Failures(); n != 100 {
		t.Errorf("%d failures were counted", n)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), "192.0.2.7") {
		t.Errorf("%d lines: %s", n, out.String())
	}
	a.failureLog.Gap = 0 // as if a while had passed
	if _, err := a.authenticate(testContext(t), "", "", "192.0.2.8"); !errors.Is(err, errNoCredentials) {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "times=100") || !strings.Contains(out.String(), "192.0.2.8") {
		t.Errorf("the second line does not say how many there were: %s", out.String())
	}
	if strings.Contains(out.String(), "somename") || strings.Contains(out.String(), "somepassword") ||
		strings.Contains(out.String(), "Basic") {
		t.Error("the log holds what the client sent")
	}
}

// The plain endpoints other than health are for operators and
// administrators, by the same credentials.
func TestRequireOps(t *testing.T) {
	a := newTestAuthenticator(t, slog.New(slog.DiscardHandler))
	a.users[adminName] = testUser(t, adminName, adminPassword, groupAdmins)
	a.users["reader"], a.readOnly = testUser(t, "reader", "r", "readers"), []string{"readers"}
	open, err := NewAuthenticator(AuthConfig{Open: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		auth                        *Authenticator
		name, password, certificate string
		want                        int
	}{
		{auth: a, want: http.StatusUnauthorized},
		{auth: a, name: "nobody", password: "x", want: http.StatusUnauthorized},
		{auth: a, name: "anna", password: "secret", want: http.StatusTeapot},
		{auth: a, name: adminName, password: adminPassword, want: http.StatusTeapot},
		{auth: a, name: "reader", password: "r", want: http.StatusTeapot},
		{auth: a, name: "piet", password: "p", want: http.StatusForbidden},
		{auth: a, certificate: "anna", want: http.StatusTeapot},
		{auth: a, certificate: "piet", want: http.StatusForbidden},
		{auth: a, certificate: "nobody", want: http.StatusUnauthorized},
		{auth: open, want: http.StatusTeapot},
		{auth: open, name: "nobody", password: "x", want: http.StatusTeapot},
	} {
		h := tc.auth.RequireOps(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}))
		req := httptest.NewRequestWithContext(context.WithValue(testContext(t), commonNameKey{}, tc.certificate),
			http.MethodGet, "/stats", nil)
		if tc.name != "" {
			req.SetBasicAuth(tc.name, tc.password)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != tc.want {
			t.Errorf("user %q, certificate %q: %d, want %d", tc.name, tc.certificate, rec.Code, tc.want)
		}
		if (rec.Code == http.StatusUnauthorized) != (rec.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("user %q: the answer %d says %q of how to log in", tc.name, rec.Code,
				rec.Header().Get("WWW-Authenticate"))
		}
	}
}

// A page of another site gets nothing, whatever its reader's browser knows.
func TestAnotherSitesPageIsRefused(t *testing.T) {
	a := newTestAuthenticator(t, slog.New(slog.DiscardHandler))
	h := a.RequireOps(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	for site, want := range map[string]int{"": http.StatusTeapot, "none": http.StatusTeapot,
		"same-origin": http.StatusTeapot,
		"same-site":   http.StatusForbidden, "cross-site": http.StatusForbidden, "anything": http.StatusForbidden} {
		for _, certificate := range []string{"", "anna"} {
			ctx := context.WithValue(testContext(t), commonNameKey{}, certificate)
			req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/stats", nil)
			if certificate == "" {
				req.SetBasicAuth("anna", "secret")
			}
			if site != "" {
				req.Header.Set("Sec-Fetch-Site", site)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			if rec.Code != want {
				t.Errorf("Sec-Fetch-Site %q, certificate %q: %d, want %d", site, certificate, rec.Code, want)
			}
		}
	}
}

// hearing serves appends to nobody, with so much patience.
func hearing(t *testing.T, patience time.Duration) (*Authenticator, streams.StreamsClient) {
	t.Helper()
	a, err := NewAuthenticator(AuthConfig{Logger: slog.New(slog.DiscardHandler), Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.StreamInterceptor(a.Stream))
	streams.RegisterStreamsServer(server, streams.UnimplementedStreamsServer{})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // until it is stopped
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		serving.Wait()
		a.Wait()
	})
	return a, streams.NewStreamsClient(conn)
}

// Whoever appends without a login is told so, however much it sends before it looks; one
// that goes on for ever is told after a while, and one too many at once.
func TestARefusedAppendIsHeardOut(t *testing.T) {
	patient, client := hearing(t, testTimeout)
	hasty, impatient := hearing(t, time.Millisecond)
	open := func(c streams.StreamsClient) streams.Streams_AppendClient {
		t.Helper()
		call, err := c.Append(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		return call
	}
	refused := func(name string, err error) {
		t.Helper()
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	call, message := open(client), &streams.AppendReq{}
	waitFor(t, func() bool { return patient.Failures() == 1 })
	for i := range 1000 {
		if err := call.Send(message); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	_, err := call.CloseAndRecv()
	refused("one that sends", err)

	for range cap(patient.hearing) {
		patient.hearing <- struct{}{}
	}
	refused("one too many", open(client).RecvMsg(new(streams.AppendResp)))
	for range cap(patient.hearing) {
		<-patient.hearing
	}
	refused("one that never ends", open(impatient).RecvMsg(new(streams.AppendResp)))
	waitFor(t, func() bool { return len(hasty.hearing) == 0 })
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
