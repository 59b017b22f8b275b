package front

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
)

// Account is somebody who may use the server.
type Account struct {
	Name string
	// Password is the SHA-256 of the password. Passwords are random and at least 32 bytes long, so
	// a plain hash of one tells nothing.
	Password [sha256.Size]byte
	// ReadOnly accounts read, by whatever method, and stop their own statements. See DESIGN.md.
	ReadOnly bool
}

// openAccount is everybody, where nobody is asked.
var openAccount = Account{Name: "default"}

// ValidateAccounts returns everything that is wrong with them.
func ValidateAccounts(accounts []Account, open bool) error {
	var errs []error
	switch {
	case len(accounts) == 0 && !open:
		errs = append(errs, errors.New("nobody is asked for a password: name Accounts, or set Open, which tests do"))
	case len(accounts) > 0 && open:
		errs = append(errs, errors.New("with Open nobody is asked for a password, so Accounts must be empty"))
	}
	names := make(map[string]bool)
	for i, a := range accounts {
		switch {
		case a.Name == "":
			errs = append(errs, fmt.Errorf("account %d (Accounts) has no Name", i+1))
		case names[a.Name]:
			errs = append(errs, fmt.Errorf("two accounts (Accounts) are called %q", a.Name))
		}
		names[a.Name] = true
		if a.Password == ([sha256.Size]byte{}) || a.Password == sha256.Sum256(nil) {
			errs = append(errs, fmt.Errorf("account %q (Accounts) has no Password", a.Name))
		}
	}
	return errors.Join(errs...)
}

// passports asks requests who sends them.
type passports struct {
	accounts []Account
	open     bool
	failed   rareLog
}

// A refused request says neither whether the name exists nor what was wrong with the password.
var (
	errNoPassword = &exception.Exception{Code: exception.CodeRequiredPassword, Status: http.StatusUnauthorized,
		Text: exception.New(exception.CodeRequiredPassword, "REQUIRED_PASSWORD", "Authentication is required: "+
			"send an account's name and password by HTTP Basic, or as X-ClickHouse-User and X-ClickHouse-Key").Text}
	errWrongPassword = &exception.Exception{Code: exception.CodeAuthenticationFailed, Status: http.StatusUnauthorized,
		Text: exception.New(exception.CodeAuthenticationFailed, "AUTHENTICATION_FAILED", "Authentication failed: "+
			"the password is incorrect, or there is no account with such a name").Text}
	errURLPassword = &exception.Exception{Code: exception.CodeAuthenticationFailed, Status: http.StatusUnauthorized,
		Text: exception.New(exception.CodeAuthenticationFailed, "AUTHENTICATION_FAILED",
			"The parameters user and password are not "+
				"accepted in the URL, since URLs are logged: send HTTP Basic, or X-ClickHouse-User and "+
				"X-ClickHouse-Key").Text}
)

// of returns whose request this is. It reads the request's head only.
func (p *passports) of(r *http.Request, q url.Values) (*Account, error) {
	if q.Has("user") || q.Has("password") {
		return nil, p.refused(errURLPassword)
	}
	name, password, given := credentials(r)
	if p.open {
		if given && (name != openAccount.Name && name != "" || password != "") {
			// Rather refused than ignored: who sends a password believes
			// that it protects something.
			return nil, p.refused(errWrongPassword)
		}
		return &openAccount, nil
	}
	if !given {
		return nil, p.refused(errNoPassword)
	}
	// Each account costs the same, found or not; a name that is nobody's fails
	// as a wrong password does.
	sum := sha256.Sum256([]byte(password))
	var found *Account
	for i := range p.accounts {
		a := &p.accounts[i]
		hit := subtle.ConstantTimeCompare(digest(a.Name), digest(name))
		if hit&subtle.ConstantTimeCompare(a.Password[:], sum[:]) == 1 {
			found = a
		}
	}
	if found == nil {
		return nil, p.refused(errWrongPassword)
	}
	return found, nil
}

func digest(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// credentials are those of ClickHouse's own headers or of HTTP Basic. Both at once, and different,
// are none: a request must not be somebody's by one reading and somebody else's by another.
func credentials(r *http.Request) (name, password string, given bool) {
	basicName, basicPassword, basic := r.BasicAuth()
	name, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	header := name != "" || password != ""
	switch {
	case basic && header && (name != basicName || password != basicPassword):
		return "", "", true
	case basic:
		return basicName, basicPassword, true
	}
	return name, password, header
}

func (p *passports) refused(e *exception.Exception) error {
	p.failed.add()
	return e
}

// rareLog counts what could be made to happen often and tells of it rarely.
type rareLog struct {
	logger *slog.Logger
	text   string

	mu    sync.Mutex
	count int       // since told
	told  time.Time // when it was last told
}

const rarely = time.Minute

func (l *rareLog) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if now := time.Now(); now.Sub(l.told) >= rarely {
		l.logger.Warn(l.text, "count", l.count)
		l.count, l.told = 0, now
	}
}

// What a stranger has sent is read only so far that small requests meet an
// answer, not a closed connection.
const (
	strangerBytes    = 64 << 10
	strangerPatience = 2 * time.Second
)

// turnAway answers a request whose sender is not known. Its connection ends.
func turnAway(w http.ResponseWriter, r *http.Request, err error) {
	e := exception.As(err)
	w.Header().Set("Connection", "close")
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(strangerPatience)) == nil {
		_, _ = io.CopyN(io.Discard, r.Body, strangerBytes) // whatever it was, the answer is the same
	}
	if e.HTTPStatus() == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="ClickHouse", charset="UTF-8"`)
	}
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(e.HTTPStatus())
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, e.Text+"\n") // the client is gone if this fails
	}
}
