package node

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	server "github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
)

// Endpoints are the three servers as this process dials them: the configured ones, and for the
// others those of the `up` that runs on the data directory, with its accounts. They hold
// passwords; Shown is what may be printed, by "eventstore", "kafka" and "clickhouse".
type Endpoints struct {
	EventStore string // connection string
	Kafka      func(account string) (kafka.Config, error)
	ClickHouse clickhouse.Config
	Shown      map[string]string
}

// endpoints finds the servers of a command, and the accounts of those that this machine's `up`
// runs.
func (c Config) endpoints() (Endpoints, error) {
	if c.Settings.EventStore.Address != "" && c.Settings.Kafka.Brokers != "" && c.Settings.ClickHouse.Address != "" {
		return c.endpointsOf(datadir.Running{}, datadir.Secrets{})
	}
	r, err := c.Running()
	if err != nil {
		return Endpoints{}, err
	}
	secrets, err := c.Dir().Secrets()
	if err != nil {
		return Endpoints{}, err
	}
	return c.endpointsOf(r, secrets)
}

// Validate refuses settings whose values do not fit together, before anything is opened: what is
// said of the servers that are configured, and of those that are not. It joins all that it finds,
// as a settings.Error.
func (c Config) Validate() error {
	var errs []error
	es, k, ch, e := c.Settings.EventStore, c.Settings.Kafka, c.Settings.ClickHouse, c.Settings.Embedded
	for _, part := range []struct {
		name, address string
		login         settings.Login
		tls           settings.TLSFiles
		sasl          string
	}{
		{"eventstore", es.Address, es.Login, settings.TLSFiles{CA: es.CA}, ""},
		{"kafka", k.Brokers, k.Login, k.TLSFiles, k.SASL},
		{"clickhouse", ch.Address, ch.Login, ch.TLSFiles, ""},
	} {
		address := "address"
		if part.name == "kafka" {
			address = "brokers"
		}
		if part.address != "" {
			continue
		}
		for key, given := range map[string]bool{"user": part.login.User != "", "password": part.login.Password != "",
			"password-file": part.login.PasswordFile != "", "ca": part.tls.CA != "", "cert": part.tls.Cert != "",
			"key": part.tls.Key != "", "sasl": part.sasl != ""} {
			if given {
				errs = append(errs, fmt.Errorf("%s.%s is for %s.%s, which is not set",
					part.name, key, part.name, address))
			}
		}
	}
	if (e.EventStoreCert == "") != (e.EventStoreKey == "") {
		errs = append(errs, errors.New("embedded.eventstore-cert and embedded.eventstore-key go together"))
	}
	if (e.ClickHouseCert == "") != (e.ClickHouseKey == "") {
		errs = append(errs, errors.New("embedded.clickhouse-cert and embedded.clickhouse-key go together"))
	}
	if es.Address != "" {
		address, err := c.eventStoreEndpoint(datadir.Running{}, datadir.Secrets{})
		if err == nil {
			if err = (eventstore.Config{Address: address, Logger: c.Log}).Validate(); err != nil {
				err = fmt.Errorf("eventstore.address: %w", err)
			}
		}
		errs = append(errs, err)
	}
	if k.Brokers != "" {
		_, err := c.kafkaEndpoint(datadir.Running{}, datadir.Secrets{})
		errs = append(errs, err)
	}
	if ch.Address != "" {
		_, err := c.clickHouseEndpoint(datadir.Running{}, datadir.Secrets{})
		errs = append(errs, err)
	}
	return settings.Invalid(errors.Join(errs...))
}

// Running is the `up` of the data directory. Where there is none it errs with datadir.ErrNotUp,
// and names the directory.
func (c Config) Running() (datadir.Running, error) {
	r, err := c.Dir().Running()
	if errors.Is(err, datadir.ErrNotUp) {
		err = fmt.Errorf("%w (%s)", err, c.Settings.Data)
	}
	return r, err
}

// endpointsOf puts configuration, addresses and accounts together.
func (c Config) endpointsOf(own datadir.Running, secrets datadir.Secrets) (e Endpoints, err error) {
	es, errES := c.eventStoreEndpoint(own, secrets)
	k, errKafka := c.kafkaEndpoint(own, secrets)
	ch, errCH := c.clickHouseEndpoint(own, secrets)
	if err := errors.Join(errES, errKafka, errCH); err != nil {
		return e, err
	}
	e = Endpoints{EventStore: es, Kafka: k, ClickHouse: ch, Shown: map[string]string{
		"eventstore": shown(es), "kafka": cmp.Or(c.Settings.Kafka.Brokers, own.Kafka),
		"clickhouse": cmp.Or(c.Settings.ClickHouse.Address, own.ClickHouse)}}
	return e, nil
}

func (c Config) eventStoreEndpoint(own datadir.Running, secrets datadir.Secrets) (string, error) {
	set := c.Settings.EventStore
	if set.Address == "" {
		if set.CA != "" || set.User != "" {
			return "", settings.Errorf("eventstore.ca and eventstore.user are for eventstore.address, " +
				"which is not set")
		}
		password, err := secrets.Password(datadir.EventStore, datadir.Ledger)
		if err != nil {
			return "", err
		}
		return withAccount(own.EventStore, datadir.Ledger, password, "")
	}
	password, err := c.password("eventstore", set.Login)
	if err != nil {
		return "", err
	}
	address, err := withAccount(set.Address, set.User, password, set.CA)
	if err != nil {
		return "", settings.Errorf("eventstore.address: %w", err)
	}
	return address, nil
}

// withAccount returns the connection string with an account and an authority, where they are
// given; it is dialled and never shown.
func withAccount(address, user, password, ca string) (string, error) {
	if user == "" && ca == "" {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		// The cause would repeat it.
		return "", errors.New("it is no connection string, or a password in it is not escaped")
	}
	if user != "" {
		if u.User != nil {
			return "", errors.New("it names a user, and eventstore.user another")
		}
		u.User = url.UserPassword(user, password)
	}
	if ca != "" {
		q := u.Query()
		q.Set("tlsCAFile", ca)
		u.RawQuery = q.Encode()
	}
	return u.String(), nil
}

// WithAccount returns the connection string of a Door with its account.
func WithAccount(address, user, password string) (string, error) {
	return withAccount(address, user, password, "")
}

// shown is a connection string without the credentials that it may hold.
func shown(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	host, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndex(host, "@"); at >= 0 {
		rest = host[at+1:]
		if query != "" {
			rest += "?" + query
		}
	}
	return scheme + "://" + rest
}

func (c Config) kafkaEndpoint(
	own datadir.Running, secrets datadir.Secrets,
) (func(account string) (kafka.Config, error), error) {
	set := c.Settings.Kafka
	cfg := kafka.Config{Partitions: set.Partitions, ReplicationFactor: set.ReplicationFactor}
	if set.Brokers == "" {
		if set.User != "" || set.SASL != "" || set.CA != "" || set.Cert != "" {
			return nil, settings.Errorf("kafka.user, kafka.sasl, kafka.ca and kafka.cert are for kafka.brokers, " +
				"which is not set")
		}
		cfg.Brokers = []string{own.Kafka}
		return func(account string) (kafka.Config, error) {
			password, err := secrets.Password(datadir.Kafka, account)
			cfg.SASL = kafka.SASL{Mechanism: kafka.ScramSHA256, User: account, Password: password}
			return cfg, err
		}, nil
	}
	cfg.Brokers = strings.Split(set.Brokers, ",")
	var err error
	if cfg.TLS, err = c.tlsConfig("kafka", set.TLSFiles); err != nil {
		return nil, err
	}
	password, err := c.password("kafka", set.Login)
	if err != nil {
		return nil, err
	}
	switch {
	case set.User != "":
		mechanism := kafka.Mechanism(cmp.Or(set.SASL, string(kafka.ScramSHA256)))
		cfg.SASL = kafka.SASL{Mechanism: mechanism, User: set.User, Password: password}
	case set.SASL != "":
		return nil, settings.Errorf("kafka.sasl is set and kafka.user is not")
	}
	if err := cfg.Validate(); err != nil {
		return nil, settings.Invalid(err)
	}
	return func(string) (kafka.Config, error) { return cfg, nil }, nil
}

func (c Config) clickHouseEndpoint(own datadir.Running, secrets datadir.Secrets) (cfg clickhouse.Config, err error) {
	set := c.Settings.ClickHouse
	cfg = clickhouse.Config{Database: set.Database, Uncompressed: c.Settings.Embedded.Uncompressed}
	if set.Address == "" {
		if set.User != "" || set.CA != "" || set.Cert != "" {
			return cfg, settings.Errorf("clickhouse.user, clickhouse.ca and clickhouse.cert are for " +
				"clickhouse.address, which is not set")
		}
		scheme, address, _ := strings.Cut(own.ClickHouse, "://")
		cfg.Addrs, cfg.Username = []string{address}, datadir.Ledger
		if scheme == "https" {
			if cfg.TLS, err = ownTLS(own.CAFile, address); err != nil {
				return cfg, err
			}
		}
		cfg.Password, err = secrets.Password(datadir.ClickHouse, datadir.Ledger)
		return cfg, err
	}
	cfg.Addrs, cfg.Username = strings.Split(set.Address, ","), set.User
	if cfg.TLS, err = c.tlsConfig("clickhouse", set.TLSFiles); err != nil {
		return cfg, err
	}
	if cfg.Password, err = c.password("clickhouse", set.Login); err != nil {
		return cfg, err
	}
	if cfg.Password != "" && cfg.TLS == nil && set.TLS != "off" {
		for _, addr := range cfg.Addrs {
			if beyond, err := server.BeyondLoopback(addr); err != nil || beyond {
				return cfg, settings.Errorf("clickhouse.password would go to %s in plaintext: set clickhouse.tls "+
					"to on, or to off where nobody else is on the way", addr)
			}
		}
	}
	return cfg, nil
}

// ownTLS trusts what this machine's authority signed, for whatever address of the
// machine the server listens on.
func ownTLS(caFile, address string) (*tls.Config, error) {
	roots, err := authorities(caFile)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if host, _, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsUnspecified() {
		t.ServerName = "localhost"
	}
	return t, nil
}

// tlsConfig is how a configured server is spoken to; nil is plaintext.
func (c Config) tlsConfig(part string, f settings.TLSFiles) (*tls.Config, error) {
	switch f.TLS {
	case "on":
	case "auto":
		if f.CA == "" && f.Cert == "" {
			return nil, nil
		}
	case "off":
		if f.CA != "" || f.Cert != "" {
			return nil, settings.Errorf("%s.tls is off, but %s.ca or %s.cert is set", part, part, part)
		}
		return nil, nil
	default:
		return nil, settings.Errorf("%s.tls %q is not auto, on or off", part, f.TLS)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		var err error
		if t.RootCAs, err = authorities(f.CA); err != nil {
			return nil, settings.Errorf("%s.ca: %w", part, err)
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, settings.Errorf("%s.cert and %s.key go together", part, part)
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, settings.Errorf("%s.cert, %s.key: %w", part, part, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// password is a configured account's, from its key or its file.
func (c Config) password(part string, l settings.Login) (string, error) {
	switch {
	case l.Password != "" && l.PasswordFile != "":
		return "", settings.Errorf("%s.password and %s.password-file are both set", part, part)
	case l.User == "" && (l.Password != "" || l.PasswordFile != ""):
		return "", settings.Errorf("%s.password is set and %s.user is not", part, part)
	case l.PasswordFile == "":
		return l.Password, nil
	}
	raw, err := os.ReadFile(l.PasswordFile)
	if err != nil {
		return "", settings.Errorf("%s.password-file: %w", part, err)
	}
	if info, err := os.Stat(l.PasswordFile); err == nil && info.Mode().Perm()&0o007 != 0 {
		c.Log.Warn("a password's file can be reached by every user of this machine",
			"key", part+".password-file", "mode", info.Mode().Perm().String())
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", settings.Errorf("%s.password-file: its first line is empty", part)
	}
	return line, nil
}

// takeDirectory holds the data directory, where the addresses of those servers that are to run
// here are free. Where one is taken it leaves nothing behind but, in a directory that was there,
// the empty file of the lock.
func (c Config) takeDirectory() (*datadir.Lock, error) {
	if !exists(c.Settings.Data) {
		if err := c.freeAddresses(); err != nil {
			return nil, err
		}
	}
	lock, err := c.Dir().Lock()
	if err != nil {
		return nil, err
	}
	if err := c.freeAddresses(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// freeAddresses binds each address for a moment.
func (c Config) freeAddresses() error {
	var errs []error
	for _, s := range []struct{ name, configured, addr string }{
		{"event store", c.Settings.EventStore.Address, c.Settings.Embedded.EventStoreAddr},
		{"broker", c.Settings.Kafka.Brokers, c.Settings.Embedded.KafkaAddr},
		{"ClickHouse", c.Settings.ClickHouse.Address, c.Settings.Embedded.ClickHouseAddr},
	} {
		if s.configured != "" {
			continue
		}
		l, err := net.Listen("tcp", s.addr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			continue
		}
		errs = append(errs, l.Close())
	}
	return explainTaken(errors.Join(errs...))
}

// explainTaken says what to do where another program has an address.
func explainTaken(err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return fmt.Errorf("%w\nAnother program listens there. Give other addresses with embedded.eventstore-addr, "+
		"embedded.kafka-addr and embedded.clickhouse-addr (or %s and so on); port 0 takes a free one",
		err, settings.EnvName("embedded.clickhouse-addr"))
}
