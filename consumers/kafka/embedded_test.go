package kafka_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	embedded "github.com/ledgerline/ledgerline/deploy/embedded/kafka"
)

// startEmbedded starts the embedded broker with the roles' accounts, and one that may do what the
// tests' witness does.
func startEmbedded(tb testing.TB) (kafkatest.Logins, witness) {
	tb.Helper()
	var accounts []embedded.Account
	for _, role := range kafka.Roles {
		a := embedded.Account{Name: string(role), Password: "a-password-of-" + string(role)}
		for _, r := range kafka.Rights(role) {
			a.Allow = append(a.Allow, embedded.Rule(r))
		}
		accounts = append(accounts, a)
	}
	admin := embedded.Account{Name: "admin", Password: "a-password-of-admin", Allow: []embedded.Rule{
		{Resource: "topic", Name: "*", Operations: []string{"Create", "Delete", "Describe", "DescribeConfigs", "Read",
			"Write"}},
		{Resource: "group", Name: "*", Operations: []string{"Read"}}}}
	s, err := embedded.Start(context.Background(),
		embedded.Config{Dir: filepath.Join(tb.TempDir(), "kafka"), Addr: "127.0.0.1:0",
			Accounts: append(accounts, admin), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	access := kafkatest.Logins{}
	for i, role := range kafka.Roles {
		access[role] = kafka.Config{Brokers: []string{s.Addr()},
			SASL: kafka.SASL{Mechanism: kafka.ScramSHA256, User: string(role), Password: accounts[i].Password}}
	}
	return access, witness{brokers: []string{s.Addr()}, opts: []kgo.Opt{
		kgo.SASL(scram.Auth{User: admin.Name, Pass: admin.Password}.AsSha256Mechanism())}}
}

func TestRolesOnEmbedded(t *testing.T) {
	access, w := startEmbedded(t)
	kafkatest.RunRoles(t, access, w)
}

// Nothing that a configuration is printed with shows its password.
func TestPasswordIsNotPrinted(t *testing.T) {
	cfg := kafka.Config{SASL: kafka.SASL{Mechanism: kafka.Plain, User: "u", Password: "hunter2"}}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "sasl", cfg.SASL, "config", cfg.SASL.String())
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "sasl", cfg.SASL, "config", cfg)
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		log.WriteString(fmt.Sprintf(form, cfg) + fmt.Sprintf(form, &cfg) + fmt.Sprintf(form, cfg.SASL))
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Error(log.String())
	}
}

// Whatever a message measures, one Fetch of a group hands out no more than 8 MiB and one of them.
func TestAFetchIsBoundedByBytes(t *testing.T) {
	const topic, messages, size, most = "ledger.refusal", 40, 500_000, 8 << 20
	access, w := startEmbedded(t)
	ctx := t.Context()
	clients := map[kafka.Role]*kafka.Client{}
	for _, role := range []kafka.Role{kafka.RoleRelay, kafka.RoleConsumer} {
		c, err := kafka.New(access[role])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients[role] = c
	}
	if err := clients[kafka.RoleRelay].Ensure(ctx, topic); err != nil {
		t.Fatal(err)
	}
	for n := range messages {
		if _, err := w.Produce(ctx, topic, fmt.Sprint(n), strings.Repeat("x", size)); err != nil {
			t.Fatal(err)
		}
	}
	g, err := clients[kafka.RoleConsumer].Group(kafka.GroupConfig{Group: "bounded", Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for left := messages; left > 0; {
		got, err := g.Fetch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, m := range got {
			bytes += len(m.Value)
		}
		if bytes >= most+size {
			t.Errorf("%d messages of %d bytes were handed out at once", len(got), bytes)
		}
		left -= len(got)
		if err := g.Commit(ctx, got); err != nil {
			t.Fatal(err)
		}
	}
}
