package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Every connection, whoever of the driver's parts asks for it, is made here: TCP, TLS, login. What
// the driver gets may be used at once, and a client that is refused learns why in one place.

// SASL is how a client logs in. The zero value does not.
type SASL struct {
	Mechanism Mechanism
	User      string
	Password  string
}

// Mechanism of a login, as the configuration names it.
type Mechanism string

// The mechanisms. PLAIN sends the password itself, and therefore needs TLS or the loopback
// interface.
const (
	ScramSHA256 Mechanism = "scram-sha-256"
	ScramSHA512 Mechanism = "scram-sha-512"
	Plain       Mechanism = "plain"
)

// String, GoString and MarshalText keep the password out of logs.
func (s SASL) String() string {
	if s == (SASL{}) {
		return "no login"
	}
	return fmt.Sprintf("%s as %q", s.Mechanism, s.User)
}

// GoString is what %#v prints, MarshalText what JSON and structured logs hold.
func (s SASL) GoString() string { return s.String() }

// MarshalText is String.
func (s SASL) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s SASL) driver() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case ScramSHA256:
		return scram.Mechanism(scram.SHA256, s.User, s.Password)
	case ScramSHA512:
		return scram.Mechanism(scram.SHA512, s.User, s.Password)
	case Plain:
		return plain.Mechanism{Username: s.User, Password: s.Password}, nil
	}
	return nil, fmt.Errorf("mechanism %q: want %s, %s or %s", s.Mechanism, ScramSHA256, ScramSHA512, Plain)
}

func (c Config) validateSASL() []error {
	if c.SASL == (SASL{}) {
		return nil
	}
	var errs []error
	if c.SASL.User == "" || c.SASL.Password == "" {
		errs = append(errs, errors.New("kafka: a login needs a user and a password"))
	} else if _, err := c.SASL.driver(); err != nil {
		errs = append(errs, fmt.Errorf("kafka: login: %w", err))
	}
	if c.SASL.Mechanism != Plain || c.TLS != nil {
		return errs
	}
	for _, b := range c.Brokers {
		if host, _, err := net.SplitHostPort(b); err == nil && !loopback(host) {
			errs = append(errs, fmt.Errorf("kafka: %w", errReadable(b)))
		}
	}
	return errs
}

func errReadable(broker string) error {
	return fmt.Errorf("%s would send the password to %s as it is: use TLS or %s", Plain, broker, ScramSHA256)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// dial returns a connection that may be used, and remembers a refusal.
func (c *Client) dial(ctx context.Context, network, broker string) (net.Conn, error) {
	conn, err := c.connect(ctx, network, broker)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut, c.welcomed = nil, c.welcomed || err == nil
	if errors.Is(err, ErrAuthentication) {
		c.shut = err
	}
	return conn, err
}

// connect is bounded by ctx and by DialTimeout.
func (c *Client) connect(ctx context.Context, network, broker string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, broker)
	if err != nil {
		return nil, err
	}
	// Moving the deadline is how a blocked read learns that the context has ended.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	ready, err := c.enter(ctx, conn, broker)
	if !stop() && err == nil {
		err = ctx.Err()
	} else if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	if err != nil {
		_ = conn.Close() // nothing was said on it that matters
		return nil, fmt.Errorf("connect to %s: %w", broker, err)
	}
	return ready, nil
}

func (c *Client) enter(ctx context.Context, conn net.Conn, broker string) (net.Conn, error) {
	conn, err := c.encrypt(ctx, conn, broker)
	if err != nil {
		return nil, err
	}
	if c.cfg.SASL != (SASL{}) {
		err = c.login(ctx, conn, broker)
	} else {
		err = c.greet(conn)
	}
	c.mu.Lock()
	welcomed := c.welcomed
	c.mu.Unlock()
	if errors.Is(err, errEnded) && !welcomed {
		if why := c.whyEnded(ctx, broker, err); why != nil {
			err = why
		}
	}
	return conn, err
}

func (c *Client) encrypt(ctx context.Context, conn net.Conn, broker string) (net.Conn, error) {
	if c.cfg.TLS == nil {
		return conn, nil
	}
	cfg := c.cfg.TLS.Clone()
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(broker)
		if err != nil {
			return nil, err
		}
		cfg.ServerName = host
	}
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, explainTLS(err)
	}
	return t, nil
}

// errEnded: the broker ended the connection at the first words, errEndedLate: at the first
// question that is only for those who have logged in. Either may mean that the broker is just
// ending.
var (
	errEnded     = errors.New("the broker ended the connection")
	errEndedLate = fmt.Errorf("%w after its greeting", errEnded)
)

// greet asks for what any broker tells anybody who need not log in. A broker that wants a login
// answers the first question and ends the connection at the second; without asking, that would
// come to light as the end of some later request.
func (c *Client) greet(conn net.Conn) error {
	if _, err := c.ask(conn, protocol.ApiVersions, 0, nil); err != nil {
		return c.explain("greeting", err)
	}
	_, err := c.ask(conn, protocol.Metadata, 1, binary.BigEndian.AppendUint32(nil, 0)) // of no topics
	if ended(err) {
		return errEndedLate
	}
	return c.explain("greeting", err)
}

// whyEnded looks, on a connection of its own, for what the broker wanted instead. It returns nil
// where the broker does not show, soon, that it wants something else. A broker that has let this
// client in before is not looked at: it is ending.
func (c *Client) whyEnded(ctx context.Context, broker string, err error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, dialErr := (&net.Dialer{}).DialContext(ctx, "tcp", broker)
	if dialErr != nil {
		return nil
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if errors.Is(err, errEndedLate) {
		if again, err := c.encrypt(ctx, conn, broker); err == nil && c.wantsLogin(again) {
			return fmt.Errorf("the broker wants a login on this port and none is configured: "+
				"set kafka.sasl, kafka.user and kafka.password-file: %w", ErrAuthentication)
		}
		return nil
	}
	if c.cfg.TLS == nil {
		// Only to see whether there is a TLS handshake: nothing is sent over it, so whose
		// certificate it is does not matter.
		err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
		if err == nil || remoteAlert(err) {
			return c.explain("greeting", errTLSAnswer)
		}
	}
	return nil
}

// wantsLogin: a broker that wants a login names its mechanisms to whoever asks for one that does
// not exist, and then ends the connection.
func (c *Client) wantsLogin(conn net.Conn) bool {
	answer, err := c.ask(conn, protocol.SaslHandshake, 1, appendString(nil, "?"))
	if err != nil {
		return false
	}
	r := &wire{b: answer}
	if !errors.Is(codeError(int16(r.u16())), unsupportedMechanism) {
		return false
	}
	_, err = c.ask(conn, protocol.ApiVersions, 0, nil)
	return ended(err)
}

// login is SaslHandshake and SaslAuthenticate (https://kafka.apache.org/protocol#sasl_handshake).
func (c *Client) login(ctx context.Context, conn net.Conn, broker string) error {
	m, err := c.cfg.SASL.driver()
	if err != nil {
		return err
	}
	if c.cfg.SASL.Mechanism == Plain && c.cfg.TLS == nil {
		// The cluster names its further brokers itself.
		if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
			return fmt.Errorf("%w: %w", errReadable(broker), ErrAuthentication)
		}
	}
	answer, err := c.ask(conn, protocol.SaslHandshake, 1, appendString(nil, m.Name()))
	if err != nil {
		return c.explain("login", err)
	}
	r := &wire{b: answer}
	switch code := codeError(int16(r.u16())); {
	case errors.Is(code, illegalSaslState):
		return fmt.Errorf("the broker asks for no login on this port: leave kafka.sasl out, "+
			"or use the port that asks: %w",
			ErrAuthentication)
	case errors.Is(code, unsupportedMechanism):
		return fmt.Errorf("the broker does not offer the login %s, it offers %s: %w",
			m.Name(), strings.Join(r.strs(), ", "), ErrAuthentication)
	case code != nil || r.err != nil:
		return fmt.Errorf("login: %w", errors.Join(code, r.err))
	}
	state, message, err := m.Start(sasl.WithMetadata(ctx, &sasl.Metadata{}))
	for done := false; err == nil && !done; {
		request := append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
		if answer, err = c.ask(conn, protocol.SaslAuthenticate, 0, request); err != nil {
			return c.explain("login", err)
		}
		r := &wire{b: answer}
		code := codeError(int16(r.u16()))
		r.skip(max(0, int(int16(r.u16())))) // its own text, which may hold what we sent; -1 where there is none
		challenge := r.take(max(0, int(int32(r.u32()))))
		switch {
		case errors.Is(code, authenticationFailed):
			return fmt.Errorf("the broker refused the login of %q by %s: the name or the password is not right: %w",
				c.cfg.SASL.User, m.Name(), ErrAuthentication)
		case code != nil || r.err != nil:
			return fmt.Errorf("login: %w", errors.Join(code, r.err))
		}
		done, message, err = state.Next(ctx, challenge)
	}
	if err != nil {
		// The broker could not prove that it knows the password.
		return fmt.Errorf("login of %q by %s: the broker's part of it is not right: %w",
			c.cfg.SASL.User, m.Name(), ErrAuthentication)
	}
	return nil
}

// ask sends a request with a body of an old, inflexible form and returns the answer's body.
func (c *Client) ask(conn net.Conn, key protocol.ApiKey, version int16, body []byte) ([]byte, error) {
	b := make([]byte, 4, 64+len(body))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 1) // correlation id
	b = appendString(b, c.cfg.ClientID)
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	answer, err := exchange(conn, b)
	if err == nil && len(answer) < 4 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return answer[4:], nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// ended reports whether the other side ended the connection.
func ended(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// explain says what an error in the first words with a broker means. The end of the connection may
// mean that the broker is just ending: it is no refusal.
func (c *Client) explain(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTLSAnswer):
		return fmt.Errorf("the broker speaks TLS on this port: set kafka.tls to on: %w", ErrAuthentication)
	case remoteAlert(err):
		return explainTLS(err)
	case ended(err):
		return fmt.Errorf("%s: %w (%w); where it goes on doing so, check kafka.tls and kafka.sasl", op, errEnded, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

func explainTLS(err error) error {
	var (
		record  tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		invalid *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("the broker does not speak TLS on this port: set kafka.tls to off, "+
			"or use the port that does: %w",
			ErrAuthentication)
	case errors.As(err, &unknown):
		return fmt.Errorf("the broker's certificate is of an unknown authority: "+
			"name the authority's in kafka.ca: %w: %w",
			ErrAuthentication, err)
	case errors.As(err, &invalid):
		return fmt.Errorf("the broker's certificate: %w: %w", ErrAuthentication, err)
	case remoteAlert(err):
		return fmt.Errorf("the broker refused the TLS connection, most likely for the client's certificate "+
			"(kafka.cert, kafka.key): %w: %w", ErrAuthentication, err)
	case ended(err):
		return fmt.Errorf("the broker ended the connection in the TLS handshake; where it goes on doing so, "+
			"it does not speak TLS on this port (kafka.tls): %w", err)
	}
	return fmt.Errorf("TLS handshake: %w; where no answer comes, the broker may not speak TLS "+
		"on this port (kafka.tls)",
		err)
}

// remoteAlert reports whether the other side refused TLS. The library has no type for it.
func remoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// errTLSAnswer: the bytes of the answer are a TLS alert, which is what a TLS port says to
// everything else.
var errTLSAnswer = errors.New("the answer is TLS")

func tlsAlert(head []byte) bool { return bytes.HasPrefix(head, []byte{0x15, 0x03}) }
