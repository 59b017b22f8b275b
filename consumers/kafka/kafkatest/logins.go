package kafkatest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/schemas"
)

// Logins are what each role reaches the brokers with.
type Logins map[kafka.Role]kafka.Config

// WithoutLogin is for brokers that ask nobody for an account.
func WithoutLogin(brokers []string) Logins {
	a := Logins{}
	for _, role := range kafka.Roles {
		a[role] = kafka.Config{Brokers: brokers}
	}
	return a
}

// ApacheKafka describes a node that apache-kafka.sh started.
type ApacheKafka struct {
	SASL      string // address of the port for SASL on plain TCP
	SASLTLS   string // for SASL on TLS
	MutualTLS string // for TLS with client certificates, each of which is an account
	Plain     string // for whoever comes: nobody has a right there

	CA       string            // PEM file of the authority of the node's certificate
	Certs    string            // folder with <account>.pem and <account>.key
	Accounts map[string]string // passwords of admin and of each role
}

// FindApacheKafka reads the description that LEDGERLINE_KAFKA names.
func FindApacheKafka(tb testing.TB) ApacheKafka {
	tb.Helper()
	path := os.Getenv("LEDGERLINE_KAFKA")
	if path == "" {
		tb.Fatal("LEDGERLINE_KAFKA is not set: it names the file that apache-kafka.sh wrote about its node")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	var k ApacheKafka
	if err := json.Unmarshal(raw, &k); err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return k
}

// Config is the access of an account by SCRAM on plain TCP.
func (k ApacheKafka) Config(account string, m kafka.Mechanism) kafka.Config {
	return kafka.Config{Brokers: []string{k.SASL},
		SASL: kafka.SASL{Mechanism: m, User: account, Password: k.Accounts[account]}}
}

// Logins is that of all roles.
func (k ApacheKafka) Logins() Logins {
	a := Logins{}
	for _, role := range kafka.Roles {
		a[role] = k.Config(string(role), kafka.ScramSHA256)
	}
	return a
}

// TLS trusts the node's authority.
func (k ApacheKafka) TLS(tb testing.TB) *tls.Config {
	tb.Helper()
	pem, err := os.ReadFile(k.CA)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		tb.Fatalf("%s holds no certificate", k.CA)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// Certificate is the client certificate of an account.
func (k ApacheKafka) Certificate(tb testing.TB, account string) tls.Certificate {
	tb.Helper()
	cert, err := tls.LoadX509KeyPair(k.Certs+"/"+account+".pem", k.Certs+"/"+account+".key")
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// dial returns a client of the role.
func dial(tb testing.TB, cfg kafka.Config) *kafka.Client {
	tb.Helper()
	cfg.Partitions, cfg.TopicRefresh = 3, 100*time.Millisecond
	c, err := kafka.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// RunRoles checks that each role can do what it is for, and that what it must not do is refused,
// named, soon, and leaves no trace. Every ledger topic there is deleted first.
func RunRoles(t *testing.T, logins Logins, w Witness) {
	Wipe(t, w)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s := &suite{ctx: ctx, witness: w, gen: NewGenerator(3), ledger: uuid.New()}
	relay := dial(t, logins[kafka.RoleRelay])
	if err := relay.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	const topic = "ledger.refusal"
	events := s.refusals(0, 10)
	if _, _, _, err := relay.Publish(ctx, s.ledger, topic, 0, events); err != nil {
		t.Fatal(err)
	}
	through := schemas.Anchor{LedgerID: s.ledger, Seq: 9, EventID: events[9].ID}
	if _, err := relay.SavePosition(ctx, consumers.Position{Through: through}); err != nil {
		t.Fatal(err)
	}
	if err := relay.Ensure(ctx, "ledger.novelty"); err != nil {
		t.Fatal(err)
	}
	if err := relay.Drop(ctx, "ledger.novelty"); err != nil {
		t.Fatal(err)
	}
	before := state(t, s, relay)

	for _, role := range []kafka.Role{kafka.RoleConsumer, kafka.RoleReader} {
		t.Run(string(role), func(t *testing.T) {
			c := dial(t, logins[role])
			if names := must(c.Topics(ctx))(t); len(names) != len(consumers.EventTopics()) {
				t.Errorf("sees topics %v", names)
			}
			if list := must(c.Partitions().List(ctx))(t); len(list) != 3*len(consumers.EventTopics()) {
				t.Errorf("sees %d partitions", len(list))
			}
			if got, _, err := c.Partitions().Read(ctx, topic, 0, 0); err != nil || len(got) != 10 {
				t.Errorf("reads %d messages: %v", len(got), err)
			}
			if p, ok, err := c.LastPosition(ctx); err != nil || !ok || p.Through != through {
				t.Errorf("position %+v %v %v", p, ok, err)
			}
			// What exists is found, so a program that prepares may run with fewer rights.
			if err := c.Prepare(ctx); err != nil {
				t.Errorf("prepare where all is there: %v", err)
			}
			group := func(ctx context.Context) error {
				g, err := c.Group(kafka.GroupConfig{Group: "test-" + uuid.NewString(), Topics: []string{topic}})
				if err != nil {
					return err
				}
				messages, err := g.Fetch(ctx)
				if err == nil {
					err = g.Commit(ctx, messages)
				}
				return errors.Join(err, g.Close())
			}
			park := func(ctx context.Context) error {
				return c.Park(ctx, consumers.Message{Topic: topic, Value: []byte("x")}, errors.New("no good"))
			}
			forbidden := map[string]struct {
				names string // what the error must name
				try   func(context.Context) error
			}{
				"a forged event": {topic, func(ctx context.Context) error {
					_, _, _, err := c.Publish(ctx, s.ledger, topic, 0, s.refusals(10, 1))
					return err
				}},
				"a forged position": {consumers.PositionTopic, func(ctx context.Context) error {
					_, err := c.SavePosition(ctx, consumers.Position{Through: schemas.Anchor{LedgerID: s.ledger,
						Seq: 99}})
					return err
				}},
				"a new topic": {"ledger.novelty", func(ctx context.Context) error {
					return c.Ensure(ctx, "ledger.novelty")
				}},
				"a deletion": {topic, func(ctx context.Context) error { return c.Drop(ctx, topic) }},
			}
			allowed := map[string]func(context.Context) error{}
			if role == kafka.RoleConsumer {
				allowed["a group"], allowed["a dead letter"] = group, park
			} else {
				forbidden["a group"] = struct {
					names string
					try   func(context.Context) error
				}{"group test-", group}
				forbidden["a dead letter"] = struct {
					names string
					try   func(context.Context) error
				}{consumers.DeadLetterTopic, park}
			}
			for name, try := range allowed {
				if err := try(ctx); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, f := range forbidden {
				began := time.Now()
				err := f.try(ctx)
				if !errors.Is(err, kafka.ErrNotAuthorized) || !strings.Contains(err.Error(), f.names) {
					t.Errorf("%s: %v; want a refusal that names %s", name, err, f.names)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("%s: the refusal took %s", name, took)
				}
			}
		})
	}
	if after := state(t, s, relay); !maps.Equal(before, after) {
		t.Errorf("topics and ends were %v, are %v", before, after)
	}
	RunStrangers(t, logins[kafka.RoleReader])
}

// state is the id and the end of every topic, as text, but for dead letters.
func state(t *testing.T, s *suite, c *kafka.Client) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name := range must(s.witness.Topics(s.ctx))(t) {
		if !strings.HasPrefix(name, "ledger.") || name == consumers.DeadLetterTopic {
			continue
		}
		id, _, ends, err := c.Describe(s.ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(ends)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = id.String() + string(raw)
	}
	return out
}

// RunStrangers checks that whoever has no account, or not its password, is told so at every call,
// soon, and that no error holds a password.
func RunStrangers(t *testing.T, good kafka.Config) {
	calls := map[string]func(context.Context, *kafka.Client) error{
		"topics":   func(ctx context.Context, c *kafka.Client) error { _, err := c.Topics(ctx); return err },
		"prepare":  func(ctx context.Context, c *kafka.Client) error { return c.Prepare(ctx) },
		"position": func(ctx context.Context, c *kafka.Client) error { _, _, err := c.LastPosition(ctx); return err },
		"drop":     func(ctx context.Context, c *kafka.Client) error { return c.Drop(ctx, "ledger.refusal") },
		"read": func(ctx context.Context, c *kafka.Client) error {
			_, _, err := c.Partitions().Read(ctx, "ledger.refusal", 0, 0)
			return err
		},
		"park": func(ctx context.Context, c *kafka.Client) error {
			return c.Park(ctx, consumers.Message{Value: []byte("x")}, errors.New("x"))
		},
		"group": func(ctx context.Context, c *kafka.Client) error {
			g, err := c.Group(kafka.GroupConfig{Group: "strangers", Topics: []string{"ledger.refusal"}})
			if err != nil {
				return err
			}
			_, err = g.Fetch(ctx)
			return errors.Join(err, g.Close())
		},
	}
	const wrong = "not-the-password-of-anybody"
	for name, c := range map[string]struct {
		change func(*kafka.Config)
		says   string
	}{
		"wrong password": {func(c *kafka.Config) { c.SASL.Password = wrong }, "the name or the password is not right"},
		"unknown account": {func(c *kafka.Config) {
			c.SASL = kafka.SASL{Mechanism: c.SASL.Mechanism, User: "nobody", Password: wrong}
		}, "the name or the password is not right"},
		"other mechanism": {func(c *kafka.Config) { c.SASL.Mechanism = kafka.Plain }, "it offers SCRAM-SHA-"},
		"no login": {func(c *kafka.Config) { c.SASL = kafka.SASL{} },
			"wants a login on this port and none is configured"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			for call, do := range calls {
				client := dial(t, cfg)
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				began := time.Now()
				err := do(ctx, client)
				cancel()
				if !errors.Is(err, kafka.ErrAuthentication) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v; want %q", call, err, c.says)
				}
				if err != nil && (strings.Contains(err.Error(), wrong) ||
					strings.Contains(err.Error(), good.SASL.Password)) {
					t.Errorf("%s: a password in an error: %v", call, err)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("%s: the refusal took %s", call, took)
				}
			}
		})
	}
}
