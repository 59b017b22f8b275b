package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a stranger may ask: which requests are served, and to log in
// (https://kafka.apache.org/protocol#sasl_handshake). Everything else ends the connection, as it
// does at Apache Kafka.

var errNotLoggedIn = errors.New("kafka: a request before the login")

// login returns nil once the connection has an account.
func (g *guard) login(c *guardedConn) error {
	var (
		agreed bool // on the mechanism
		e      *exchange
	)
	for {
		req, corr, err := c.strangerRequest()
		if err != nil {
			return err
		}
		switch req := req.(type) {
		case *kmsg.ApiVersionsRequest:
			if err := c.answer(apiVersions(req), corr); err != nil {
				return err
			}
		case *kmsg.SASLHandshakeRequest:
			res := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
			res.SupportedMechanisms = []string{mechanism}
			switch {
			case req.Version == 0: // after which the login would be bytes without any frame of Kafka's
				res.ErrorCode = kerr.UnsupportedVersion.Code
				return c.refuse(res, corr)
			case agreed:
				res.ErrorCode = kerr.IllegalSaslState.Code
				return c.refuse(res, corr)
			case req.Mechanism != mechanism:
				res.ErrorCode = kerr.UnsupportedSaslMechanism.Code
				return c.refuse(res, corr)
			}
			agreed = true
			if err := c.answer(res, corr); err != nil {
				return err
			}
		case *kmsg.SASLAuthenticateRequest:
			res := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
			var err error
			switch {
			case !agreed:
				res.ErrorCode = kerr.IllegalSaslState.Code
				return c.refuse(res, corr)
			case e == nil:
				e, res.SASLAuthBytes, err = g.logins.first(req.SASLAuthBytes)
			default:
				if res.SASLAuthBytes, err = e.final(req.SASLAuthBytes); err == nil {
					c.account = e.account
					return c.answer(res, corr)
				}
			}
			if err != nil {
				res.ErrorCode = kerr.SaslAuthenticationFailed.Code
				res.ErrorMessage = kmsg.StringPtr(
					"Authentication failed: " + errLogin.Error() + " (" + mechanism + ")")
				return c.refuse(res, corr)
			}
			if err := c.answer(res, corr); err != nil {
				return err
			}
		default:
			return errNotLoggedIn
		}
	}
}

// strangerRequest reads one of the three requests, however small its parts come in.
func (c *guardedConn) strangerRequest() (kmsg.Request, int32, error) {
	size, a, err := c.next(strangerRequest)
	if err != nil {
		return nil, 0, err
	}
	switch a.key {
	case kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate:
	default:
		return nil, 0, errNotLoggedIn
	}
	whole := make([]byte, 4+size)
	copy(whole, c.head[:])
	if _, err := io.ReadFull(c.Conn, whole[requestHead:]); err != nil {
		return nil, 0, err
	}
	return parse(a.key, whole)
}

// parse decodes a whole request. Of ApiVersions in a version from the future it gives the version
// and no more: the answer says which there are.
func parse(key kmsg.Key, whole []byte) (req kmsg.Request, corr int32, err error) {
	a := servedByKey[uint16(key)]
	version := int16(binary.BigEndian.Uint16(whole[6:]))
	corr = int32(binary.BigEndian.Uint32(whole[8:]))
	req = key.Request()
	req.SetVersion(version)
	switch {
	case version > a.max && key == kmsg.ApiVersions:
		return req, corr, nil
	case version < a.min || version > a.max:
		return nil, 0, fmt.Errorf("kafka: version %d of %s is not served", version, key.Name())
	}
	r := kbin.Reader{Src: whole[requestHead:]}
	r.NullableString() // client id
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := errors.Join(r.Complete(), req.ReadFrom(r.Src)); err != nil {
		return nil, 0, fmt.Errorf("kafka: %s: %w", key.Name(), err)
	}
	return req, corr, nil
}

func (c *guardedConn) answer(res kmsg.Response, corr int32) error {
	b := binary.BigEndian.AppendUint32(make([]byte, 4, 256), uint32(corr))
	if res.IsFlexible() && res.Key() != int16(kmsg.ApiVersions) {
		b = append(b, 0) // no tagged fields
	}
	b = res.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := c.Write(b)
	return err
}

// refuse sends the answer and waits a moment for the peer to close, or to go on, which shows that
// it has the answer. A socket that is closed with bytes unread takes the answer back, and a client
// that meets the end of the connection together with the answer may not look at the answer
// (kafka-python does not): it would not learn why.
func (c *guardedConn) refuse(res kmsg.Response, corr int32) error {
	if err := c.answer(res, corr); err != nil {
		return err
	}
	// What fails here costs the peer its answer, and us nothing.
	_ = c.Conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = c.Conn.Read(make([]byte, strangerRequest))
	return errLogin
}

// refusalLog tells of refused connections at most once in a while, by number. Names are not told:
// what was typed as one may be a password.
type refusalLog struct {
	logger *slog.Logger
	every  time.Duration

	mu      sync.Mutex
	told    time.Time
	logins  int
	crowded int
}

func (l *refusalLog) add(logins, crowded int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logins, l.crowded = l.logins+logins, l.crowded+crowded
	if time.Since(l.told) >= l.every {
		l.tell()
	}
}

// last tells what is left to tell.
func (l *refusalLog) last() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logins+l.crowded > 0 {
		l.tell()
	}
}

func (l *refusalLog) tell() {
	l.logger.Warn("the embedded broker refused connections",
		"failed logins", l.logins, "too many of one account", l.crowded)
	l.told, l.logins, l.crowded = time.Now(), 0, 0
}
