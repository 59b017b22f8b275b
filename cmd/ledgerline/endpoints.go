package main

import (
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
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
)

// endpoints are the three servers as this process dials them: the configured ones, and for the
// others those of the `up` that runs on the data directory, with its accounts. They hold passwords;
// shown is what may be printed.
type endpoints struct {
	eventStore string // connection string
	kafka      func(account string) (kafka.Config, error)
	clickHouse clickhouse.Config
	shown      map[string]string
}

// endpoints finds the servers of a command, and the accounts of those that
// this machine's `up` runs.
func (a *app) endpoints() (endpoints, error) {
	if a.cfg.EventStore.Address != "" && a.cfg.Kafka.Brokers != "" && a.cfg.ClickHouse.Address != "" {
		return a.endpointsOf(datadir.Running{}, datadir.Secrets{})
	}
	r, err := a.running()
	if err != nil {
		return endpoints{}, err
	}
	secrets, err := a.dir().Secrets()
	if err != nil {
		return endpoints{}, err
	}
	return a.endpointsOf(r, secrets)
}

// check refuses a configuration whose values do not fit together, before anything is opened: what
// is said of the servers that are configured, and of those that are not.
func (a *app) check() error {
	var errs []error
	es, k, ch, e := a.cfg.EventStore, a.cfg.Kafka, a.cfg.ClickHouse, a.cfg.Embedded
	for _, part := range []struct {
		name, address string
		login         login
		tls           tlsFiles
		sasl          string
	}{{"eventstore", es.Address, es.login, tlsFiles{CA: es.CA}, ""}, {"kafka", k.Brokers, k.login, k.tlsFiles, k.SASL},
		{"clickhouse", ch.Address, ch.login, ch.tlsFiles, ""}} {
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
		address, err := a.eventStoreEndpoint(datadir.Running{}, datadir.Secrets{})
		if err == nil {
			if err = (eventstore.Config{Address: address, Logger: a.log}).Validate(); err != nil {
				err = fmt.Errorf("eventstore.address: %w", err)
			}
		}
		errs = append(errs, err)
	}
	if k.Brokers != "" {
		_, err := a.kafkaEndpoint(datadir.Running{}, datadir.Secrets{})
		errs = append(errs, err)
	}
	if ch.Address != "" {
		_, err := a.clickHouseEndpoint(datadir.Running{}, datadir.Secrets{})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return &exitError{exitUsage, err}
	}
	return nil
}

// running is the `up` of the data directory; the error says how to get one.
func (a *app) running() (datadir.Running, error) {
	r, err := a.dir().Running()
	if errors.Is(err, datadir.ErrNotUp) {
		err = fmt.Errorf("%w (%s): start it with `ledgerline up`, name its directory with --data, or configure "+
			"eventstore.address, kafka.brokers and clickhouse.address", err, a.cfg.Data)
	}
	return r, err
}

// endpointsOf puts configuration, addresses and accounts together.
func (a *app) endpointsOf(own datadir.Running, secrets datadir.Secrets) (e endpoints, err error) {
	es, errES := a.eventStoreEndpoint(own, secrets)
	k, errKafka := a.kafkaEndpoint(own, secrets)
	ch, errCH := a.clickHouseEndpoint(own, secrets)
	if err := errors.Join(errES, errKafka, errCH); err != nil {
		return e, err
	}
	e = endpoints{eventStore: es, kafka: k, clickHouse: ch, shown: map[string]string{
		"eventstore": shown(es), "kafka": first(a.cfg.Kafka.Brokers, own.Kafka),
		"clickhouse": first(a.cfg.ClickHouse.Address, own.ClickHouse)}}
	return e, nil
}

func first(configured, own string) string {
	if configured != "" {
		return configured
	}
	return own
}

func (a *app) eventStoreEndpoint(own datadir.Running, secrets datadir.Secrets) (string, error) {
	c := a.cfg.EventStore
	if c.Address == "" {
		if c.CA != "" || c.User != "" {
			return "", usage("eventstore.ca and eventstore.user are for eventstore.address, which is not set")
		}
		password, err := secrets.Password(datadir.EventStore, datadir.Ledger)
		if err != nil {
			return "", err
		}
		return withAccount(own.EventStore, datadir.Ledger, password, "")
	}
	password, err := a.password("eventstore", c.login)
	if err != nil {
		return "", err
	}
	address, err := withAccount(c.Address, c.User, password, c.CA)
	if err != nil {
		return "", usage("eventstore.address: %w", err)
	}
	return address, nil
}

// withAccount returns the connection string with an account and an authority, where they are given;
// it is dialled and never shown.
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

func (a *app) kafkaEndpoint(own datadir.Running, secrets datadir.Secrets) (func(string) (kafka.Config, error), error) {
	c := a.cfg.Kafka
	cfg := kafka.Config{Partitions: c.Partitions, ReplicationFactor: c.ReplicationFactor}
	if c.Brokers == "" {
		if c.User != "" || c.SASL != "" || c.CA != "" || c.Cert != "" {
			return nil, usage("kafka.user, kafka.sasl, kafka.ca and kafka.cert are for kafka.brokers, which is not set")
		}
		cfg.Brokers = []string{own.Kafka}
		return func(account string) (kafka.Config, error) {
			password, err := secrets.Password(datadir.Kafka, account)
			cfg.SASL = kafka.SASL{Mechanism: kafka.ScramSHA256, User: account, Password: password}
			return cfg, err
		}, nil
	}
	cfg.Brokers = strings.Split(c.Brokers, ",")
	var err error
	if cfg.TLS, err = a.tlsConfig("kafka", c.tlsFiles); err != nil {
		return nil, err
	}
	password, err := a.password("kafka", c.login)
	if err != nil {
		return nil, err
	}
	switch {
	case c.User != "":
		mechanism := kafka.Mechanism(first(c.SASL, string(kafka.ScramSHA256)))
		cfg.SASL = kafka.SASL{Mechanism: mechanism, User: c.User, Password: password}
	case c.SASL != "":
		return nil, usage("kafka.sasl is set and kafka.user is not")
	}
	if err := cfg.Validate(); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return func(string) (kafka.Config, error) { return cfg, nil }, nil
}

func (a *app) clickHouseEndpoint(own datadir.Running, secrets datadir.Secrets) (cfg clickhouse.Config, err error) {
	c := a.cfg.ClickHouse
	cfg = clickhouse.Config{Database: c.Database, Uncompressed: a.uncompressed()}
	if c.Address == "" {
		if c.User != "" || c.CA != "" || c.Cert != "" {
			return cfg, usage("clickhouse.user, clickhouse.ca and clickhouse.cert are for clickhouse.address, " +
				"which is not set")
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
	cfg.Addrs, cfg.Username = strings.Split(c.Address, ","), c.User
	if cfg.TLS, err = a.tlsConfig("clickhouse", c.tlsFiles); err != nil {
		return cfg, err
	}
	if cfg.Password, err = a.password("clickhouse", c.login); err != nil {
		return cfg, err
	}
	if cfg.Password != "" && cfg.TLS == nil && c.TLS != "off" {
		for _, addr := range cfg.Addrs {
			if beyond, err := server.BeyondLoopback(addr); err != nil || beyond {
				return cfg, usage("clickhouse.password would go to %s in plaintext: set clickhouse.tls to on, "+
					"or to off where nobody else is on the way", addr)
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
func (a *app) tlsConfig(part string, f tlsFiles) (*tls.Config, error) {
	switch f.TLS {
	case "on":
	case "auto":
		if f.CA == "" && f.Cert == "" {
			return nil, nil
		}
	case "off":
		if f.CA != "" || f.Cert != "" {
			return nil, usage("%s.tls is off, but %s.ca or %s.cert is set", part, part, part)
		}
		return nil, nil
	default:
		return nil, usage("%s.tls %q is not auto, on or off", part, f.TLS)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		var err error
		if t.RootCAs, err = authorities(f.CA); err != nil {
			return nil, usage("%s.ca: %w", part, err)
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, usage("%s.cert and %s.key go together", part, part)
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, usage("%s.cert, %s.key: %w", part, part, err)
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
func (a *app) password(part string, l login) (string, error) {
	switch {
	case l.Password != "" && l.PasswordFile != "":
		return "", usage("%s.password and %s.password-file are both set", part, part)
	case l.User == "" && (l.Password != "" || l.PasswordFile != ""):
		return "", usage("%s.password is set and %s.user is not", part, part)
	case l.PasswordFile == "":
		return l.Password, nil
	}
	raw, err := os.ReadFile(l.PasswordFile)
	if err != nil {
		return "", usage("%s.password-file: %w", part, err)
	}
	if info, err := os.Stat(l.PasswordFile); err == nil && info.Mode().Perm()&0o007 != 0 {
		a.log.Warn("a password's file can be reached by every user of this machine",
			"key", part+".password-file", "mode", info.Mode().Perm().String())
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", usage("%s.password-file: its first line is empty", part)
	}
	return line, nil
}

// takeDirectory holds the data directory, where the addresses of those servers that are to run here
// are free. Where one is taken it leaves nothing behind but, in a directory that was there, the
// empty file of the lock.
func (a *app) takeDirectory() (*datadir.Lock, error) {
	if _, err := os.Stat(a.cfg.Data); errors.Is(err, os.ErrNotExist) {
		if err := a.freeAddresses(); err != nil {
			return nil, err
		}
	}
	lock, err := a.dir().Lock()
	if err != nil {
		return nil, err
	}
	if err := a.freeAddresses(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// freeAddresses binds each address for a moment.
func (a *app) freeAddresses() error {
	var errs []error
	for _, s := range []struct{ name, configured, addr string }{
		{"event store", a.cfg.EventStore.Address, a.cfg.Embedded.EventStoreAddr},
		{"broker", a.cfg.Kafka.Brokers, a.cfg.Embedded.KafkaAddr},
		{"ClickHouse", a.cfg.ClickHouse.Address, a.cfg.Embedded.ClickHouseAddr},
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
		err, envName("embedded.clickhouse-addr"))
}
