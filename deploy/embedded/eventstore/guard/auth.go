// Package guard decides who may do what at one event store: it knows the accounts, certificates
// and access control lists, and refuses everybody else.
//
// It owns which passwords it checked lately and how many failed, and may lose both. It trusts a
// password over TLS, a certificate that a configured authority signed, and the lists that lie in
// the log; of who only reached the port it trusts nothing. See ../DESIGN.md, Access.
package guard

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/watch"
)

// User is somebody who may log in.
type User struct {
	// Name may hold neither ":" nor control characters, and is not a group's.
	Name string
	// PasswordHash is bcrypt's, as HashPassword and htpasswd -B make it: for
	// people's passwords. A user has this or SecretSHA256; without either, a
	// client certificate only.
	PasswordHash string
	// SecretSHA256 is DigestSecret's of a random secret: for programs. It is
	// checked in no time, which a password that can be guessed must not be.
	SecretSHA256 [sha256.Size]byte
	// Groups give rights: "$admins" every right, "$ops" the HTTP endpoints; any
	// other name is what access control lists make of it.
	Groups []string
}

// Groups that the server knows.
const (
	groupAdmins = "$admins"
	groupOps    = "$ops"
	roleAll     = "$all" // everybody who is authenticated
)

// Bounds of authentication. A password costs tens of milliseconds of one core,
// so it is checked once in a while, and by few at a time.
const (
	maxPassword    = 72 // bytes: bcrypt looks at no more
	maxCost        = 15 // of bcrypt: a second or two
	verifiedFor    = 10 * time.Minute
	verifiedMost   = 1024
	attemptsMost   = 64 // different credentials being checked or waiting
	attemptsOfPeer = 8  // those of one address
)

// HashPassword returns the hash of a password for User.PasswordHash. A
// password is at most 72 bytes long.
func HashPassword(password string) (string, error) { return hashPassword(password, bcrypt.DefaultCost) }

func hashPassword(password string, cost int) (string, error) {
	switch {
	case password == "":
		return "", errors.New("hash password: it is empty")
	case len(password) > maxPassword:
		return "", fmt.Errorf("hash password: it is longer than %d bytes", maxPassword)
	}
	h, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return string(h), nil
}

// leastSecret is the least length of a secret: 256 bits in base64.
const leastSecret = 43

// DigestSecret returns the digest of a random secret of 256 bits or more, in
// base64 or hexadecimal, for User.SecretSHA256. It is 43 to 72 characters long.
func DigestSecret(secret string) (digest [sha256.Size]byte, err error) {
	if len(secret) < leastSecret || len(secret) > maxPassword {
		return digest, fmt.Errorf("digest secret: it is not of %d to %d characters; "+
			"a password that a person chose takes HashPassword", leastSecret, maxPassword)
	}
	return sha256.Sum256([]byte(secret)), nil
}

func (u User) hasSecret() bool { return u.SecretSHA256 != [sha256.Size]byte{} }

// Validate returns what is wrong with the user, never quoting the hash.
func (u User) Validate() error {
	var errs []error
	if u.Name == "" || strings.HasPrefix(u.Name, "$") || strings.ContainsFunc(u.Name,
		func(r rune) bool { return r == ':' || r < ' ' || r == 0x7f }) {
		errs = append(errs, fmt.Errorf("user name %q is empty, begins with $ or holds a colon or control character",
			u.Name))
	}
	if u.PasswordHash != "" {
		if cost, err := bcrypt.Cost([]byte(u.PasswordHash)); err != nil {
			errs = append(errs, fmt.Errorf("user %q: the password hash is not bcrypt's", u.Name))
		} else if cost > maxCost {
			errs = append(errs, fmt.Errorf("user %q: the password hash costs 2^%d, more than 2^%d",
				u.Name, cost, maxCost))
		}
	}
	if u.PasswordHash != "" && u.hasSecret() {
		errs = append(errs, fmt.Errorf("user %q has a password hash and a secret's digest: take one away", u.Name))
	}
	for _, g := range u.Groups {
		if g == "" || strings.HasPrefix(g, "$") && g != groupAdmins && g != groupOps {
			errs = append(errs, fmt.Errorf("user %q: there is no group %q", u.Name, g))
		}
	}
	return errors.Join(errs...)
}

func validateUsers(users []User, clientCerts bool) error {
	var errs []error
	names, groups := map[string]bool{}, map[string]bool{}
	for _, u := range users {
		errs = append(errs, u.Validate())
		if names[u.Name] {
			errs = append(errs, fmt.Errorf("user %q is there twice", u.Name))
		}
		if u.PasswordHash == "" && !u.hasSecret() && !clientCerts {
			errs = append(errs, fmt.Errorf("user %q has no password hash and no secret's digest, "+
				"and there are no client certificates", u.Name))
		}
		names[u.Name] = true
		for _, g := range u.Groups {
			groups[g] = true
		}
	}
	for name := range names {
		if groups[name] {
			errs = append(errs, fmt.Errorf("%q is a user and a group: a list that names one would mean both", name))
		}
	}
	return errors.Join(errs...)
}

// validateReadOnly refuses roles that would bind everybody or administrators.
func validateReadOnly(users []User, roles []string) error {
	var errs []error
	for _, role := range roles {
		if role == "" || strings.HasPrefix(role, "$") {
			errs = append(errs, fmt.Errorf("read-only roles: %q is no user and no group of your own", role))
		}
	}
	for _, u := range users {
		p := Principal{Name: u.Name, groups: u.Groups}
		if p.Admin() && slices.ContainsFunc(roles, p.has) {
			errs = append(errs, fmt.Errorf("user %q is in %s and is to read only: take one away", u.Name, groupAdmins))
		}
	}
	return errors.Join(errs...)
}

// Validate returns what is wrong with the users and the roles that may only read.
// clientCerts says that a user needs no password.
func Validate(users []User, readOnlyRoles []string, clientCerts bool) error {
	return errors.Join(validateUsers(users, clientCerts), validateReadOnly(users, readOnlyRoles))
}

// Principal is who makes a call. On an open server it is everybody, who may do
// everything.
type Principal struct {
	Name     string
	groups   []string
	open     bool // nobody is asked
	readOnly bool // reads everything and changes nothing; bound by no list otherwise
}

// Admin tells whether access control lists do not bind the principal.
func (p Principal) Admin() bool { return p.open || slices.Contains(p.groups, groupAdmins) }

// has tells whether a role of a list means the principal.
func (p Principal) has(role string) bool {
	return role == roleAll || role == p.Name || slices.Contains(p.groups, role)
}

type principalKey struct{}

// PrincipalOf is who makes the call that ctx is of; nobody where nothing
// authenticated it.
func PrincipalOf(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// Why a call is not authenticated. None says whether the user exists.
var (
	errNoCredentials  = errors.New("credentials are required")
	errBadCredentials = errors.New("the user or the password is wrong")
	errTooMany        = errors.New("too many logins are being checked, try again")
)

// Authenticator knows the users. That of an open server lets everybody be anybody.
type Authenticator struct {
	open     bool
	users    map[string]User
	readOnly []string // roles
	dummy    []byte   // hash of nobody's password, as costly as the costliest; nil where nobody has one
	logger   *slog.Logger
	key      [32]byte      // of the digests under which verified headers are remembered
	slots    chan struct{} // as many as may compute at a time

	hearing  chan struct{} // as many as are heard out at a time
	hearers  sync.WaitGroup
	patience time.Duration

	mu       sync.Mutex
	verified map[digest]verified
	attempts map[digest]*attempt
	ofPeer   map[string]int

	failures   atomic.Uint64
	failureLog watch.RareLog
}

type digest [sha256.Size]byte

type verified struct {
	name  string
	until time.Time
}

// attempt is one header being checked; those who bring the same wait for it.
type attempt struct {
	done chan struct{} // closed when ok is set
	name string
	err  error
}

// AuthConfig says whom an Authenticator knows.
type AuthConfig struct {
	Users         []User
	Open          bool     // everybody may do everything
	ReadOnlyRoles []string // users or groups
	Logger        *slog.Logger
	Patience      time.Duration // with a refused append that is still sent; 0 is a second
}

// NewAuthenticator returns one that knows cfg's users, which Validate has passed.
func NewAuthenticator(cfg AuthConfig) (*Authenticator, error) {
	a := &Authenticator{
		open: cfg.Open, users: map[string]User{}, readOnly: cfg.ReadOnlyRoles, logger: cfg.Logger,
		slots:    make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		verified: map[digest]verified{}, attempts: map[digest]*attempt{}, ofPeer: map[string]int{},
		failureLog: watch.RareLog{Gap: watch.FailureLogGap},
		hearing:    make(chan struct{}, hearOutMost), patience: cfg.Patience,
	}
	if a.patience == 0 {
		a.patience = hearOutTime
	}
	cost := 0
	for _, u := range cfg.Users {
		a.users[u.Name] = u
		if c, err := bcrypt.Cost([]byte(u.PasswordHash)); err == nil {
			cost = max(cost, c)
		}
	}
	var nobody [32]byte
	for _, random := range [...][]byte{a.key[:], nobody[:]} {
		if _, err := rand.Read(random); err != nil {
			return nil, err
		}
	}
	if cost == 0 {
		return a, nil
	}
	var err error
	a.dummy, err = bcrypt.GenerateFromPassword(nobody[:], cost)
	return a, err
}

// Failures counts the logins that failed.
func (a *Authenticator) Failures() uint64 { return a.failures.Load() }

// authenticate finds out who brings these credentials: an Authorization header
// of the Basic scheme, or a verified client certificate's common name. Where
// both are there both must be a user's, and the header says who acts: a
// password does not make up for a certificate of nobody here, as on a real
// server. A certificate that nobody vouches for is not there at all.
func (a *Authenticator) authenticate(ctx context.Context, header, certificate, peer string) (Principal, error) {
	if a.open {
		return Principal{open: true}, nil
	}
	p, err := a.identify(ctx, header, certificate, peer)
	if err != nil && ctx.Err() == nil {
		a.failures.Add(1)
		a.failureLog.Log(a.logger, "a login failed", "peer", peer, "why", err.Error())
	}
	return p, err
}

func (a *Authenticator) identify(ctx context.Context, header, certificate, peer string) (Principal, error) {
	name := certificate
	if certificate != "" {
		if _, ok := a.users[certificate]; !ok {
			return Principal{}, errBadCredentials
		}
	}
	switch {
	case header != "":
		var err error
		if name, err = a.verify(ctx, header, peer); err != nil {
			return Principal{}, err
		}
	case certificate == "":
		return Principal{}, errNoCredentials
	}
	u, ok := a.users[name]
	if !ok {
		return Principal{}, errBadCredentials
	}
	p := Principal{Name: u.Name, groups: u.Groups}
	p.readOnly = slices.ContainsFunc(a.readOnly, p.has)
	return p, nil
}

// verify returns the user whom the header authenticates. A secret is compared
// at once, whatever queues for the checks of passwords. A password that was
// right is remembered for a while, by a digest whose key is this process's own.
func (a *Authenticator) verify(ctx context.Context, header, peer string) (string, error) {
	name, password, err := parseBasic(header)
	if err != nil {
		return "", err
	}
	if u := a.users[name]; u.hasSecret() {
		got := sha256.Sum256([]byte(password))
		if subtle.ConstantTimeCompare(got[:], u.SecretSHA256[:]) != 1 {
			return "", errBadCredentials
		}
		return name, nil
	}
	if a.dummy == nil { // nobody has a password, so that no time tells who has one
		return "", errBadCredentials
	}
	mac := hmac.New(sha256.New, a.key[:])
	mac.Write([]byte(header))
	d := digest(mac.Sum(nil))

	a.mu.Lock()
	if v, ok := a.verified[d]; ok && time.Now().Before(v.until) {
		a.mu.Unlock()
		return v.name, nil
	}
	at, under := a.attempts[d]
	if !under {
		if len(a.attempts) >= attemptsMost || a.ofPeer[peer] >= attemptsOfPeer {
			a.mu.Unlock()
			return "", errTooMany
		}
		at = &attempt{done: make(chan struct{})}
		a.attempts[d] = at
		a.ofPeer[peer]++
	}
	a.mu.Unlock()
	if !under {
		// The check belongs to whoever came first and is finished even where
		// that call has gone: others may wait for it.
		at.name, at.err = a.compare(name, password)
		a.settle(d, at, peer)
		return at.name, at.err
	}
	select {
	case <-at.done:
		return at.name, at.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// compare takes as long for a user who is not there as for one who is.
func (a *Authenticator) compare(name, password string) (string, error) {
	a.slots <- struct{}{}
	defer func() { <-a.slots }()
	u, ok := a.users[name]
	hash := []byte(u.PasswordHash)
	if len(hash) == 0 {
		ok, hash = false, a.dummy
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !ok {
		return "", errBadCredentials
	}
	return u.Name, nil
}

func (a *Authenticator) settle(d digest, at *attempt, peer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.attempts, d)
	if a.ofPeer[peer]--; a.ofPeer[peer] == 0 {
		delete(a.ofPeer, peer)
	}
	if at.err == nil {
		if len(a.verified) >= verifiedMost {
			clear(a.verified) // they are verified again when they come back
		}
		a.verified[d] = verified{at.name, time.Now().Add(verifiedFor)}
	}
	close(at.done)
}

// parseBasic splits an Authorization header of the Basic scheme.
func parseBasic(header string) (name, password string, err error) {
	scheme, encoded, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "basic") {
		return "", "", errBadCredentials
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", errBadCredentials
	}
	name, password, ok = strings.Cut(string(raw), ":")
	if !ok || len(password) > maxPassword {
		return "", "", errBadCredentials
	}
	return name, password, nil
}

// anonymousMethods are called by clients before they know with whom they talk.
var anonymousMethods = map[string]bool{
	serverfeatures.ServerFeatures_GetSupportedMethods_FullMethodName: true,
	gossip.Gossip_Read_FullMethodName:                                true,
}

// call authenticates one gRPC call and returns its context with the principal.
func (a *Authenticator) call(ctx context.Context, method string) (context.Context, error) {
	if anonymousMethods[method] {
		return ctx, nil
	}
	var header, certificate, from string
	if v := metadata.ValueFromIncomingContext(ctx, "authorization"); len(v) > 0 {
		header = v[0]
	}
	if p, ok := peer.FromContext(ctx); ok {
		from = HostOf(p.Addr.String())
		if info, ok := p.AuthInfo.(doorInfo); ok {
			certificate = info.user
		}
	}
	p, err := a.authenticate(ctx, header, certificate, from)
	switch {
	case errors.Is(err, errTooMany):
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	case err != nil && ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case err != nil:
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	return context.WithValue(ctx, principalKey{}, p), nil
}

// Unary lets authenticated calls through: an interceptor.
func (a *Authenticator) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	handler grpc.UnaryHandler) (any, error) {
	ctx, err := a.call(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// Stream is Unary for calls that stream. A refused append is heard out.
func (a *Authenticator) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo,
	handler grpc.StreamHandler) error {
	ctx, err := a.call(ss.Context(), info.FullMethod)
	if err != nil {
		if info.IsClientStream && !info.IsServerStream {
			a.hearOut(ss)
		}
		return err
	}
	return handler(srv, &authenticatedStream{ss, ctx})
}

type authenticatedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *authenticatedStream) Context() context.Context { return s.ctx }

// RequireOps lets h answer operators and readers only: users in $admins, $ops
// or a read-only role, and everybody where nobody is asked.
func (a *Authenticator) RequireOps(h http.Handler) http.Handler {
	why := "this needs a user in " + groupOps + " or " + groupAdmins + ", or one who may only read"
	return a.Require(h, why, func(p Principal) (bool, error) {
		return p.Admin() || p.readOnly || p.has(groupOps), nil
	})
}

// Require lets h answer those whom allowed names; the others get why. A page of
// another site is answered to nobody: a browser adds the credentials, or the
// certificate, that its user once gave.
func (a *Authenticator) Require(h http.Handler, why string, allowed func(Principal) (bool, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
			http.Error(w, "another site's page has no answer here", http.StatusForbidden)
			return
		}
		name, _ := r.Context().Value(commonNameKey{}).(string)
		p, err := a.authenticate(r.Context(), r.Header.Get("Authorization"), name, HostOf(r.RemoteAddr))
		switch {
		case errors.Is(err, errTooMany):
			http.Error(w, err.Error(), http.StatusTooManyRequests)
			return
		case err != nil:
			w.Header().Set("WWW-Authenticate", `Basic realm="event store", charset="UTF-8"`)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		switch ok, err := allowed(p); {
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		case !ok:
			http.Error(w, why, http.StatusForbidden)
		default:
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, p)))
		}
	})
}

type commonNameKey struct{}

// WithCommonName is an http.Server's ConnContext: it remembers who the
// client's certificate says it is.
func WithCommonName(ctx context.Context, c net.Conn) context.Context {
	h, ok := c.(handshaken)
	if !ok {
		return ctx
	}
	_, user := h.Handshake()
	return context.WithValue(ctx, commonNameKey{}, user)
}

// HostOf is the host of an address host:port, or all of what is none.
func HostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
