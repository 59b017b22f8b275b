package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/internal/node"
)

// config is what every command may need to know. Each key stands in the YAML file under its dotted name, in the environment as
// LEDGERLINE_ and the name in capitals with _ for . and -, and the first few as flags; flags win over the
// environment, and that over the file.
type config struct {
	Data      string
	KeyFile   string
	Operator  string
	LogLevel  string
	LogFormat string

	EventStore struct {
		Address, CA string
		login
	}
	Kafka struct {
		Brokers, Partitions, ReplicationFactor, SASL string
		tlsFiles
		login
	}
	ClickHouse struct {
		Address, Database string
		tlsFiles
		login
	}

	Embedded struct {
		EventStoreAddr, KafkaAddr, ClickHouseAddr, Library, Uncompressed                        string
		EventStoreAdvertise, EventStoreCert, EventStoreKey, EventStoreClientCA, EventStoreUsers string
		ClickHouseCert, ClickHouseKey, StatusAddr                                               string
	}
}

// login is an account at a configured server. The password stands in one of the two.
type login struct{ User, Password, PasswordFile string }

// tlsFiles are how a configured server is spoken to over TLS; the files are PEM.
type tlsFiles struct{ TLS, CA, Cert, Key string }

type setting struct {
	key     string
	value   *string
	initial string
	help    string
}

func (c *config) settings() []setting {
	return []setting{
		{"data", &c.Data, defaultData(), "directory of everything this machine keeps"},
		{"key-file", &c.KeyFile, "", "file of the key-encryption key; default DATA/keys/kek"},
		{"operator", &c.Operator, "", "who acts, as the ledger records it; default the operating system's user at this host"},
		{"log.level", &c.LogLevel, "warn", "debug, info, warn or error"},
		{"log.format", &c.LogFormat, "text", "text or json"},
		{"eventstore.address", &c.EventStore.Address, "", "EventStoreDB connection string (esdb://…); default the running embedded one"},
		{"eventstore.ca", &c.EventStore.CA, "", "authority (PEM) that signed its certificate; default the system's"},
		{"eventstore.user", &c.EventStore.User, "", "user at it, where the connection string names none"},
		{"eventstore.password", &c.EventStore.Password, "", "that user's password"},
		{"eventstore.password-file", &c.EventStore.PasswordFile, "", "file whose first line is that password"},
		{"kafka.brokers", &c.Kafka.Brokers, "", "host:port of the brokers, separated by commas; default the running embedded one"},
		{"kafka.partitions", &c.Kafka.Partitions, "4", "partitions of a topic when it is created; fixed for its life"},
		{"kafka.replication-factor", &c.Kafka.ReplicationFactor, "1", "copies of a topic when it is created; 3 on a cluster"},
		{"kafka.tls", &c.Kafka.TLS, "auto", "whether the brokers speak TLS: on, off, or auto: on where kafka.ca or kafka.cert is set"},
		{"kafka.ca", &c.Kafka.CA, "", "authority (PEM) that signed their certificates; default the system's"},
		{"kafka.cert", &c.Kafka.Cert, "", "client certificate (PEM), where the brokers ask for one"},
		{"kafka.key", &c.Kafka.Key, "", "the key of kafka.cert (PEM)"},
		{"kafka.sasl", &c.Kafka.SASL, "", "how to log in: scram-sha-256, scram-sha-512, or plain (over TLS); default scram-sha-256 where kafka.user is set"},
		{"kafka.user", &c.Kafka.User, "", "user at the brokers"},
		{"kafka.password", &c.Kafka.Password, "", "that user's password"},
		{"kafka.password-file", &c.Kafka.PasswordFile, "", "file whose first line is that password"},
		{"clickhouse.address", &c.ClickHouse.Address, "", "host:port of ClickHouse's HTTP interface, several separated by commas; default the running embedded one"},
		{"clickhouse.database", &c.ClickHouse.Database, "ledgerline", "ClickHouse database of the views"},
		{"clickhouse.tls", &c.ClickHouse.TLS, "auto", "whether it speaks HTTPS: on, off, or auto: on where clickhouse.ca or clickhouse.cert is set"},
		{"clickhouse.ca", &c.ClickHouse.CA, "", "authority (PEM) that signed its certificate; default the system's"},
		{"clickhouse.cert", &c.ClickHouse.Cert, "", "client certificate (PEM), where it asks for one"},
		{"clickhouse.key", &c.ClickHouse.Key, "", "the key of clickhouse.cert (PEM)"},
		{"clickhouse.user", &c.ClickHouse.User, "", "ClickHouse user"},
		{"clickhouse.password", &c.ClickHouse.Password, "", "that user's password"},
		{"clickhouse.password-file", &c.ClickHouse.PasswordFile, "", "file whose first line is that password"},
		{"embedded.eventstore-addr", &c.Embedded.EventStoreAddr, "127.0.0.1:2113", "where the embedded event store listens; port 0 takes a free one"},
		{"embedded.eventstore-advertise", &c.Embedded.EventStoreAdvertise, "", "host:port by which clients reach it, where that is not where it listens"},
		{"embedded.eventstore-cert", &c.Embedded.EventStoreCert, "", "its certificate chain (PEM); default one signed by an authority of its own"},
		{"embedded.eventstore-key", &c.Embedded.EventStoreKey, "", "the key of embedded.eventstore-cert (PEM)"},
		{"embedded.eventstore-client-ca", &c.Embedded.EventStoreClientCA, "", "authorities (PEM) whose certificates stand for a user's password"},
		{"embedded.eventstore-users", &c.Embedded.EventStoreUsers, "", "file of further users (`ledgerline eventstore user add`); default DATA/keys/eventstore-users, where that exists"},
		{"embedded.kafka-addr", &c.Embedded.KafkaAddr, "127.0.0.1:9092", "where the embedded broker listens: a loopback address"},
		{"embedded.clickhouse-addr", &c.Embedded.ClickHouseAddr, "127.0.0.1:8123", "where the embedded ClickHouse listens; beyond loopback it speaks HTTPS"},
		{"embedded.clickhouse-cert", &c.Embedded.ClickHouseCert, "", "its certificate chain (PEM) beyond loopback; default one signed by an authority of its own"},
		{"embedded.clickhouse-key", &c.Embedded.ClickHouseKey, "", "the key of embedded.clickhouse-cert (PEM)"},
		{"embedded.status-addr", &c.Embedded.StatusAddr, "127.0.0.1:0", "where status and metrics are answered: a loopback address; port 0 takes a free one at each start"},
		{"embedded.library", &c.Embedded.Library, "", "an existing libchdb.so, where npm cannot fetch one"},
		{"embedded.uncompressed", &c.Embedded.Uncompressed, "false", "true: the embedded servers store bytes as they are, so that files can be searched for text"},
	}
}

// dir is the data directory.
func (a *app) dir() node.Dir { return node.Dir(a.cfg.Data) }

func (a *app) uncompressed() bool { return a.cfg.Embedded.Uncompressed == "true" }

func defaultData() string {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "ledgerline")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "ledgerline")
	}
	return "ledgerline-data"
}

func envName(key string) string {
	return "LEDGERLINE_" + strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(key))
}

// loadConfig reads defaults, the file (none where path is empty) and the environment, in this order. An unknown key is an error.
func loadConfig(path string, getenv func(string) (string, bool)) (config, error) {
	var c config
	settings := c.settings()
	for _, s := range settings {
		*s.value = s.initial
	}
	var errs []error
	if path != "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("configuration: %w", err)
		}
		var doc map[string]any
		if err := yaml.NewDecoder(bytes.NewReader(raw)).Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("configuration %s: %w", path, err)
		}
		flat := map[string]string{}
		flatten("", doc, flat)
		for key, value := range flat {
			i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
			if i < 0 {
				errs = append(errs, fmt.Errorf("configuration %s: unknown key %q", path, key))
				continue
			}
			*settings[i].value = value
			if strings.HasSuffix(key, ".password") && value != "" {
				if _, err := node.ReadPrivate(path); err != nil {
					errs = append(errs, fmt.Errorf("configuration: %s: %w (or name a %s-file)", key, err, key))
				}
			}
		}
	}
	for _, s := range settings {
		if v, ok := getenv(envName(s.key)); ok {
			*s.value = v
		}
	}
	return c, errors.Join(errs...)
}

func flatten(prefix string, doc map[string]any, into map[string]string) {
	for key, v := range doc {
		if sub, ok := v.(map[string]any); ok {
			flatten(prefix+key+".", sub, into)
			continue
		}
		into[prefix+key] = fmt.Sprint(v)
	}
}

// app is what the commands share: the configuration once it is loaded.
type app struct {
	configFile string
	overrides  map[string]*string
	cfg        config
	log        *slog.Logger
}

func (a *app) flags(root *cobra.Command) {
	a.overrides = map[string]*string{}
	f := root.PersistentFlags()
	f.StringVar(&a.configFile, "config", "", "YAML file; every key is also an environment variable LEDGERLINE_…")
	for _, s := range new(config).settings() {
		if s.key != "data" && s.key != "log.level" {
			continue
		}
		v := new(string)
		a.overrides[s.key] = v
		f.StringVar(v, strings.ReplaceAll(s.key, ".", "-"), s.initial, s.help)
	}
}

func (a *app) load(cmd *cobra.Command) error {
	path := a.configFile
	if path == "" {
		path = os.Getenv("LEDGERLINE_CONFIG")
	}
	c, err := loadConfig(path, os.LookupEnv)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	for _, s := range c.settings() {
		if v := a.overrides[s.key]; v != nil && cmd.Flags().Changed(strings.ReplaceAll(s.key, ".", "-")) {
			*s.value = *v
		}
	}
	if c.KeyFile == "" {
		c.KeyFile = filepath.Join(c.Data, "keys", "kek")
	}
	a.cfg = c
	if c.Embedded.Uncompressed != "true" && c.Embedded.Uncompressed != "false" {
		return usage("embedded.uncompressed %q is not true or false", c.Embedded.Uncompressed)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return usage("log.level %q is not debug, info, warn or error", c.LogLevel)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch c.LogFormat {
	case "text":
		a.log = slog.New(slog.NewTextHandler(os.Stderr, opts))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(os.Stderr, opts))
	default:
		return usage("log.format %q is not text or json", c.LogFormat)
	}
	return nil
}
