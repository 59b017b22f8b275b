// Package settings owns what this program can be told: each key once, with its default, its help
// and what its value must be, read strictly from a YAML file and the environment.
//
// It keeps nothing and loses nothing. It trusts nobody's spelling: an unknown key, a key without
// a value and a variable that nothing reads are errors that name the line and the nearest key. A
// file that holds a password must be its owner's alone. No error repeats a password.
package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/internal/datadir"
)

// Settings are what every command may need to know, typed. Each key stands in the YAML file under
// its name below its part's, and in the environment as EnvName says; the environment wins over
// the file, and what the door was told over both. Whether values fit together, who uses them
// says.
type Settings struct {
	Data     string `yaml:"data"`
	KeyFile  string `yaml:"key-file"`
	Operator string `yaml:"operator"`
	// As signs in to act, by the password that the file holds, or that is asked for.
	As             string `yaml:"as"`
	AsPasswordFile string `yaml:"as-password-file"`
	Log            struct {
		Level  string `yaml:"level"`
		Format string `yaml:"format"`
	} `yaml:"log"`
	EventStore struct {
		Address string `yaml:"address"`
		CA      string `yaml:"ca"`
		Login   `yaml:",inline"`
	} `yaml:"eventstore"`
	Kafka struct {
		Brokers           string `yaml:"brokers"`
		Partitions        int    `yaml:"partitions"`
		ReplicationFactor int    `yaml:"replication-factor"`
		SASL              string `yaml:"sasl"`
		TLSFiles          `yaml:",inline"`
		Login             `yaml:",inline"`
	} `yaml:"kafka"`
	ClickHouse struct {
		Address  string `yaml:"address"`
		Database string `yaml:"database"`
		TLSFiles `yaml:",inline"`
		Login    `yaml:",inline"`
	} `yaml:"clickhouse"`
	Embedded struct {
		EventStoreAddr      string `yaml:"eventstore-addr"`
		EventStoreAdvertise string `yaml:"eventstore-advertise"`
		EventStoreCert      string `yaml:"eventstore-cert"`
		EventStoreKey       string `yaml:"eventstore-key"`
		EventStoreClientCA  string `yaml:"eventstore-client-ca"`
		EventStoreUsers     string `yaml:"eventstore-users"`
		KafkaAddr           string `yaml:"kafka-addr"`
		ClickHouseAddr      string `yaml:"clickhouse-addr"`
		ClickHouseCert      string `yaml:"clickhouse-cert"`
		ClickHouseKey       string `yaml:"clickhouse-key"`
		StatusAddr          string `yaml:"status-addr"`
		Library             string `yaml:"library"`
		Uncompressed        bool   `yaml:"uncompressed"`
	} `yaml:"embedded"`
}

// Login is an account at a configured server. The password stands in one of the two.
type Login struct {
	User         string `yaml:"user"`
	Password     string `yaml:"password"`
	PasswordFile string `yaml:"password-file"`
}

// TLSFiles are how a configured server is spoken to over TLS; the files are PEM.
type TLSFiles struct {
	TLS  string `yaml:"tls"`
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Setting is one key of Settings.
type Setting struct {
	Key     string // as in kafka.brokers
	value   any    // points to its field: a *string, an *int or a *bool
	Initial string // the text of its default
	Help    string
	check   func(string) error // of a string that is not empty; nil: any text of one line
}

// All returns every key; setting one changes c.
func (c *Settings) All() []Setting {
	return []Setting{
		{"data", &c.Data, DefaultData(),
			"directory of everything this machine keeps", nil},
		{"key-file", &c.KeyFile, "",
			"file of the key-encryption key; default DATA/keys/kek", nil},
		{"operator", &c.Operator, "",
			"who acts where nobody has an account, as the ledger records it; default the operating system's user at " +
				"this host", trimmed},
		{"as", &c.As, "",
			"act as the account NAME, as `ledgerline officer` makes them; its password is asked for, or is the " +
				"first line of standard input", trimmed},
		{"as-password-file", &c.AsPasswordFile, "",
			"file, 0600, whose first line is that account's password", nil},
		{"log.level", &c.Log.Level, "warn",
			"debug, info, warn or error", oneOf("debug", "info", "warn", "error")},
		{"log.format", &c.Log.Format, "text",
			"text or json", oneOf("text", "json")},
		{"eventstore.address", &c.EventStore.Address, "",
			"EventStoreDB connection string (esdb://…); default the running embedded one", nil},
		{"eventstore.ca", &c.EventStore.CA, "",
			"authority (PEM) that signed its certificate; default the system's", nil},
		{"eventstore.user", &c.EventStore.User, "",
			"user at it, where the connection string names none", nil},
		{"eventstore.password", &c.EventStore.Password, "",
			"that user's password", nil},
		{"eventstore.password-file", &c.EventStore.PasswordFile, "",
			"file whose first line is that password", nil},
		{"kafka.brokers", &c.Kafka.Brokers, "",
			"host:port of the brokers, separated by commas; default the running embedded one", hostPorts},
		{"kafka.partitions", &c.Kafka.Partitions, "4",
			"partitions of a topic when it is created; fixed for its life", nil},
		{"kafka.replication-factor", &c.Kafka.ReplicationFactor, "1",
			"copies of a topic when it is created; 3 on a cluster", nil},
		{"kafka.tls", &c.Kafka.TLS, "auto",
			"whether the brokers speak TLS: on, off, or auto: on where kafka.ca or kafka.cert is set",
			oneOf("auto", "on", "off")},
		{"kafka.ca", &c.Kafka.CA, "",
			"authority (PEM) that signed their certificates; default the system's", nil},
		{"kafka.cert", &c.Kafka.Cert, "",
			"client certificate (PEM), where the brokers ask for one", nil},
		{"kafka.key", &c.Kafka.Key, "",
			"the key of kafka.cert (PEM)", nil},
		{"kafka.sasl", &c.Kafka.SASL, "",
			"how to log in: scram-sha-256, scram-sha-512, or plain (over TLS); default scram-sha-256 where " +
				"kafka.user is set", oneOf("scram-sha-256", "scram-sha-512", "plain")},
		{"kafka.user", &c.Kafka.User, "",
			"user at the brokers", nil},
		{"kafka.password", &c.Kafka.Password, "",
			"that user's password", nil},
		{"kafka.password-file", &c.Kafka.PasswordFile, "",
			"file whose first line is that password", nil},
		{"clickhouse.address", &c.ClickHouse.Address, "",
			"host:port of ClickHouse's HTTP interface, several separated by commas; default the running " +
				"embedded one", hostPorts},
		{"clickhouse.database", &c.ClickHouse.Database, "ledgerline",
			"ClickHouse database of the views", identifier},
		{"clickhouse.tls", &c.ClickHouse.TLS, "auto",
			"whether it speaks HTTPS: on, off, or auto: on where clickhouse.ca or clickhouse.cert is set",
			oneOf("auto", "on", "off")},
		{"clickhouse.ca", &c.ClickHouse.CA, "",
			"authority (PEM) that signed its certificate; default the system's", nil},
		{"clickhouse.cert", &c.ClickHouse.Cert, "",
			"client certificate (PEM), where it asks for one", nil},
		{"clickhouse.key", &c.ClickHouse.Key, "",
			"the key of clickhouse.cert (PEM)", nil},
		{"clickhouse.user", &c.ClickHouse.User, "",
			"ClickHouse user", nil},
		{"clickhouse.password", &c.ClickHouse.Password, "",
			"that user's password", nil},
		{"clickhouse.password-file", &c.ClickHouse.PasswordFile, "",
			"file whose first line is that password", nil},
		{"embedded.eventstore-addr", &c.Embedded.EventStoreAddr, "127.0.0.1:2113",
			"where the embedded event store listens; port 0 takes a free one", hostPort},
		{"embedded.eventstore-advertise", &c.Embedded.EventStoreAdvertise, "",
			"host:port by which clients reach it, where that is not where it listens", hostPort},
		{"embedded.eventstore-cert", &c.Embedded.EventStoreCert, "",
			"its certificate chain (PEM); default one signed by an authority of its own", nil},
		{"embedded.eventstore-key", &c.Embedded.EventStoreKey, "",
			"the key of embedded.eventstore-cert (PEM)", nil},
		{"embedded.eventstore-client-ca", &c.Embedded.EventStoreClientCA, "",
			"authorities (PEM) whose certificates stand for a user's password", nil},
		{"embedded.eventstore-users", &c.Embedded.EventStoreUsers, "",
			"file of further users (`ledgerline eventstore user add`); default DATA/keys/eventstore-users, where " +
				"that exists", nil},
		{"embedded.kafka-addr", &c.Embedded.KafkaAddr, "127.0.0.1:9092",
			"where the embedded broker listens: a loopback address", hostPort},
		{"embedded.clickhouse-addr", &c.Embedded.ClickHouseAddr, "127.0.0.1:8123",
			"where the embedded ClickHouse listens; beyond loopback it speaks HTTPS", hostPort},
		{"embedded.clickhouse-cert", &c.Embedded.ClickHouseCert, "",
			"its certificate chain (PEM) beyond loopback; default one signed by an authority of its own", nil},
		{"embedded.clickhouse-key", &c.Embedded.ClickHouseKey, "",
			"the key of embedded.clickhouse-cert (PEM)", nil},
		{"embedded.status-addr", &c.Embedded.StatusAddr, "127.0.0.1:0",
			"where status and metrics are answered: a loopback address; port 0 takes a free one " +
				"at each start", hostPort},
		{"embedded.library", &c.Embedded.Library, "",
			"an existing libchdb.so, where npm cannot fetch one", nil},
		{"embedded.uncompressed", &c.Embedded.Uncompressed, "false",
			"true: the embedded servers store bytes as they are, so that files can be searched for text", nil},
	}
}

// DefaultData is the data directory where none is named.
func DefaultData() string {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "ledgerline")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "ledgerline")
	}
	return "ledgerline-data"
}

// KeyPath is the file of the key-encryption key.
func (c *Settings) KeyPath() string {
	if c.KeyFile != "" {
		return c.KeyFile
	}
	return filepath.Join(c.Data, "keys", "kek")
}

// Logger returns the logger that is set, writing to w.
func (c *Settings) Logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}

// Error is what is wrong with settings: their door answers it as it answers a wrong question.
type Error struct{ err error }

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns what was found.
func (e *Error) Unwrap() error { return e.err }

// Errorf returns an Error; it wraps as fmt.Errorf does.
func Errorf(format string, args ...any) error { return &Error{fmt.Errorf(format, args...)} }

// Invalid makes an error one of settings; nil stays nil.
func Invalid(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

// EnvName is the variable of a key: LEDGERLINE_KAFKA_BROKERS for kafka.brokers.
func EnvName(key string) string {
	return EnvPrefix + strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(key))
}

// EnvPrefix begins every variable that is this program's; one that nothing reads is refused.
const EnvPrefix = "LEDGERLINE_"

// FileVariable names the configuration file.
const FileVariable = EnvPrefix + "CONFIG"

// otherVariables are those that are no settings. The tests' own are known to the program because
// it runs under them: the last three are what the acceptance and siege tests are told.
var otherVariables = []string{FileVariable, EnvPrefix + "RECORDS", EnvPrefix + "KAFKA", EnvPrefix + "SIEGE_TARGET"}

// Set gives a setting the value that a text is, or says why it has no such value.
func (s Setting) Set(text string) error {
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			return errors.New("it holds a control character or more than one line")
		}
	}
	switch to := s.value.(type) {
	case *string:
		if text != "" && s.check != nil {
			if err := s.check(text); err != nil {
				return err
			}
		}
		*to = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a number from 1", text)
		}
		*to = n
	case *bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is not true or false", text)
		}
		*to = text == "true"
	}
	return nil
}

func oneOf(values ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(values, s) {
			return fmt.Errorf("%q is not %s", s, Alternatives(values))
		}
		return nil
	}
}

// Alternatives writes "a, b or c".
func Alternatives(values []string) string {
	if len(values) < 2 {
		return strings.Join(values, "")
	}
	return strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
}

func trimmed(s string) error {
	if strings.TrimSpace(s) != s {
		return fmt.Errorf("%q begins or ends with a blank", s)
	}
	return nil
}

func hostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q is not host:port, as in 127.0.0.1:9092", s)
	}
	return nil
}

func hostPorts(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		if err := hostPort(part); err != nil {
			return err
		}
	}
	return nil
}

func identifier(s string) error {
	if !identifierForm.MatchString(s) {
		return fmt.Errorf("%q is not a name of letters, digits and _ that begins with a letter", s)
	}
	return nil
}

var identifierForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 1 << 20

// Load reads defaults, the file (none where path is empty) and the environment (as os.Environ), in
// this order. Each error names the key, where it stands, and what to do. also are variables that
// begin as ours do and that something else of this program reads.
func Load(path string, environ []string, also ...string) (Settings, error) {
	var c Settings
	settings := c.All()
	for _, s := range settings {
		if err := s.Set(s.Initial); err != nil {
			return c, fmt.Errorf("default of %s: %w", s.Key, err)
		}
	}
	others := append(slices.Clone(otherVariables), also...)
	errs := []error{c.readFile(path), readEnvironment(settings, environ, others)}
	for _, s := range settings { // an empty text in a file, like an empty variable, is as if it were not there
		if v, ok := s.value.(*string); ok && *v == "" {
			*v = s.Initial
		}
	}
	return c, errors.Join(errs...)
}

// readFile reads the file: first its tree, whose errors know lines and keys, then strictly into c.
func (c *Settings) readFile(path string) error {
	if path == "" {
		return nil
	}
	raw, err := readAtMost(path, maxConfigBytes)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	at := func(line int, format string, args ...any) error {
		return fmt.Errorf("configuration %s:%d: "+format, append([]any{path, line}, args...)...)
	}
	tree, err := parseYAML(raw)
	if err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	if tree == nil {
		return nil
	}
	scratch := *c
	r := configTree{settings: scratch.All(), at: at, seen: map[string]int{}}
	r.walk("", tree)
	for key, line := range r.seen {
		if !strings.HasSuffix(key, ".password") {
			continue
		}
		if _, err := datadir.ReadPrivate(path); err != nil {
			r.errs = append(r.errs, at(line, "%s: %w (or name a %s-file)", key, err, key))
		}
	}
	if len(r.errs) > 0 {
		return errors.Join(r.errs...)
	}
	strict := yaml.NewDecoder(bytes.NewReader(raw))
	strict.KnownFields(true)
	if err := strict.Decode(c); err != nil || *c != scratch {
		return fmt.Errorf("configuration %s: it cannot be read as settings", path) // the cause could repeat a value
	}
	return nil
}

// readAtMost reads a regular file of a bounded size.
func readAtMost(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), most)
	}
	return os.ReadFile(path)
}

// parseYAML returns the one document's root, nil where there is none.
func parseYAML(raw []byte) (root *yaml.Node, err error) {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document: keep one")
	}
	if len(doc.Content) != 1 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	return doc.Content[0], nil
}

// configTree looks at a file's tree before it is decoded.
type configTree struct {
	settings []Setting
	at       func(line int, format string, args ...any) error
	seen     map[string]int // key → line
	errs     []error
}

func (t *configTree) fail(n *yaml.Node, format string, args ...any) {
	t.errs = append(t.errs, t.at(n.Line, format, args...))
}

func (t *configTree) walk(prefix string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		t.fail(n, "%s is not a list of keys with values", cmp.Or(strings.TrimSuffix(prefix, "."), "the file"))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		if name.Kind != yaml.ScalarNode || name.Tag == "!!merge" ||
			value.Kind == yaml.AliasNode || value.Anchor != "" {
			t.fail(name, "anchors, aliases, merges and keys that are no text are not read here: write the value "+
				"itself")
			continue
		}
		if was, twice := t.seen[key]; twice {
			t.fail(name, "%s stands in line %d already: remove one", key, was)
			continue
		}
		t.seen[key] = name.Line
		at := slices.IndexFunc(t.settings, func(s Setting) bool { return s.Key == key })
		switch {
		case at >= 0:
			t.value(t.settings[at], name, value)
		case slices.ContainsFunc(t.settings, func(s Setting) bool { return strings.HasPrefix(s.Key, key+".") }):
			if value.Tag != "!!null" { // a part without keys says nothing
				t.walk(key+".", value)
			}
		default:
			nearest, _ := Nearest(key, keysOf(t.settings))
			t.fail(name, "unknown key %q: did you mean %s?", key, nearest)
		}
	}
}

func (t *configTree) value(s Setting, name, value *yaml.Node) {
	switch {
	case value.Kind != yaml.ScalarNode:
		t.fail(name, "%s holds a list or keys of its own: give it one value", s.Key)
	case value.Tag == "!!null":
		t.fail(name, "%s has no value: give it one, or remove the line", s.Key)
	case value.Tag == "!!binary":
		t.fail(name, "%s is binary: write it as text", s.Key)
	default:
		if _, text := s.value.(*string); !text && value.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			t.fail(name, "%s is no text: write it without quotes", s.Key)
			return
		}
		if err := s.Set(value.Value); err != nil {
			t.fail(name, "%s: %w", s.Key, err)
		}
	}
}

func keysOf(settings []Setting) (keys []string) {
	for _, s := range settings {
		keys = append(keys, s.Key)
	}
	return keys
}

// readEnvironment sets what is given as LEDGERLINE_…, and refuses such a variable that nothing
// reads.
func readEnvironment(settings []Setting, environ, others []string) error {
	names := slices.Clone(others)
	for _, s := range settings {
		names = append(names, EnvName(s.Key))
	}
	var errs []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, EnvPrefix) || slices.Contains(others, name) {
			continue
		}
		at := slices.IndexFunc(settings, func(s Setting) bool { return EnvName(s.Key) == name })
		switch {
		case at < 0:
			nearest, _ := Nearest(name, names)
			errs = append(errs, fmt.Errorf("environment: nothing reads %s: did you mean %s?", name, nearest))
		case value == "": // as if it were not there
		default:
			if err := settings[at].Set(value); err != nil {
				errs = append(errs, fmt.Errorf("environment: %s (%s): %w", name, settings[at].Key, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Nearest is the name that s is most probably a mistyping of, and how many letters are to be
// added, dropped or replaced.
func Nearest(s string, names []string) (best string, least int) {
	for _, name := range names {
		if d := distance(s, name); best == "" || d < least {
			best, least = name, d
		}
	}
	return best, least
}

// distance is the number of letters to add, drop or replace.
func distance(a, b string) int {
	const most = 80 // bounds the work for a name of any length
	ra, rb := []rune(a), []rune(b)
	ra, rb = ra[:min(len(ra), most)], rb[:min(len(rb), most)]
	row := make([]int, len(rb)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range ra {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range rb {
			replace := diagonal
			if x != y {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(rb)]
}
