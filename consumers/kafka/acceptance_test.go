//go:build acceptance

package kafka_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
)

// These need LEDGERLINE_KAFKA, which names what kafkatest/apache-kafka.sh wrote about the node it
// started: one whose ledger topics may be deleted, with the accounts and rights of deploy/kafka.

func apacheKafka(t *testing.T) (kafkatest.ApacheKafka, witness) {
	t.Helper()
	k := kafkatest.FindApacheKafka(t)
	return k, witness{brokers: []string{k.SASL}, opts: []kgo.Opt{
		kgo.SASL(scram.Auth{User: "admin", Pass: k.Accounts["admin"]}.AsSha256Mechanism())}}
}

func TestConformanceOnApacheKafka(t *testing.T) {
	k, w := apacheKafka(t)
	kafkatest.Run(t, k.Logins(), w)
}

func TestRolesOnApacheKafka(t *testing.T) {
	k, w := apacheKafka(t)
	kafkatest.RunRoles(t, k.Logins(), w)
}

// Every way of logging in works, as the account that it says, and as no other.
func TestWaysInToApacheKafka(t *testing.T) {
	k, w := apacheKafka(t)
	relay, err := kafka.New(k.Config("relay", kafka.ScramSHA256))
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	kafkatest.Wipe(t, w)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := relay.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	login := func(m kafka.Mechanism) kafka.SASL { return k.Config("reader", m).SASL }
	with := func(account string) *tls.Config {
		c := k.TLS(t)
		c.Certificates = []tls.Certificate{k.Certificate(t, account)}
		return c
	}
	for name, cfg := range map[string]kafka.Config{
		"scram 512":          k.Config("reader", kafka.ScramSHA512),
		"scram 256 over TLS": {Brokers: []string{k.SASLTLS}, TLS: k.TLS(t), SASL: login(kafka.ScramSHA256)},
		"scram 512 over TLS": {Brokers: []string{k.SASLTLS}, TLS: k.TLS(t), SASL: login(kafka.ScramSHA512)},
		"plain over TLS":     {Brokers: []string{k.SASLTLS}, TLS: k.TLS(t), SASL: login(kafka.Plain)},
		"client certificate": {Brokers: []string{k.MutualTLS}, TLS: with("reader")},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := kafka.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if topics, err := c.Topics(ctx); err != nil || len(topics) == 0 {
				t.Errorf("topics %v %v", topics, err)
			}
			if got, _, err := c.Partitions().Read(ctx, "ledger.device", 0, 0); err != nil || len(got) != 0 {
				t.Errorf("read %d: %v", len(got), err)
			}
			if err := c.Drop(ctx, "ledger.device"); !errors.Is(err, kafka.ErrNotAuthorized) {
				t.Errorf("a reader's drop: %v", err)
			}
		})
	}
	for name, c := range map[string]struct {
		cfg  kafka.Config
		is   error
		says string
	}{
		"plain port, nobody's rights": {kafka.Config{Brokers: []string{k.Plain}}, kafka.ErrNotAuthorized,
			"ledger.device"},
		"login where none is asked": {kafka.Config{Brokers: []string{k.Plain}, SASL: login(kafka.ScramSHA256)},
			kafka.ErrAuthentication, "asks for no login"},
		"no TLS on a TLS port": {kafka.Config{Brokers: []string{k.SASLTLS}, SASL: login(kafka.ScramSHA256)},
			kafka.ErrAuthentication, "speaks TLS"},
		"nothing on a TLS port": {kafka.Config{Brokers: []string{k.MutualTLS}}, kafka.ErrAuthentication,
			"speaks TLS"},
		"TLS on a plain port": {kafka.Config{Brokers: []string{k.SASL}, TLS: k.TLS(t),
			SASL: login(kafka.ScramSHA256)}, nil, "does not speak TLS"},
		"no login over TLS": {kafka.Config{Brokers: []string{k.SASLTLS}, TLS: k.TLS(t)},
			kafka.ErrAuthentication, "wants a login"},
		"unknown authority": {kafka.Config{Brokers: []string{k.SASLTLS}, TLS: &tls.Config{},
			SASL: login(kafka.ScramSHA256)}, kafka.ErrAuthentication, "kafka.ca"},
		"no client certificate": {kafka.Config{Brokers: []string{k.MutualTLS}, TLS: k.TLS(t)},
			kafka.ErrAuthentication, "kafka.cert"},
		"a certificate without rights": {kafka.Config{Brokers: []string{k.MutualTLS}, TLS: with("stranger")},
			kafka.ErrNotAuthorized, "ledger.device"},
		"plain's port has another list": {kafka.Config{Brokers: []string{k.SASL}, SASL: login(kafka.Plain)},
			kafka.ErrAuthentication, "SCRAM-SHA-512"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.RequestTimeout = 5 * time.Second
			client, err := kafka.New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, _, _, err = client.Describe(ctx, "ledger.device")
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; want %q", err, c.says)
			}
		})
	}
}
