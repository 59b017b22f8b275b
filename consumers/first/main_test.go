package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	embedded "github.com/ledgerline/ledgerline/deploy/embedded/kafka"
	"github.com/ledgerline/ledgerline/schemas"
)

// What the README shows is what is compiled and run here.
func TestReadmeShowsThisProgram(t *testing.T) {
	code, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(code)
	text = text[strings.Index(text, "package main"):]
	if !strings.Contains(string(readme), "```go\n"+text+"```\n") {
		t.Error("README.md does not show main.go as it is, from \"package main\" on")
	}
}

// With the consumer's account alone it reads every action once, and goes on where it left off.
func TestFirstConsumer(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	access := start(t)
	relay, err := kafka.New(access[kafka.RoleRelay])
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	if err := relay.Prepare(ctx); err != nil {
		t.Fatal(err)
	}

	var all []schemas.Envelope
	gen, tenants := kafkatest.NewGenerator(11), []uuid.UUID{uuid.New(), uuid.New()}
	for i := range 20 {
		all = append(all, gen.Record("adminaction.recorded.v1", schemas.NewStream("adminaction", uuid.New()),
			tenants[i%2], map[string]string{"action.verb": `"create"`}))
	}
	all = kafkatest.Numbered(0, all)
	ledger, half := uuid.New(), len(all)/2
	for _, part := range [][]schemas.Envelope{all[:half], all[half:]} {
		publish(ctx, t, relay, ledger, part)
		var got []uint64
		run, stop := context.WithCancel(ctx)
		err := follow(run, access[kafka.RoleConsumer], func(ctx context.Context, events []schemas.Envelope) error {
			for _, e := range events {
				got = append(got, e.Seq)
			}
			if len(got) >= len(part) {
				stop()
			}
			return show(ctx, events)
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		for i, e := range part {
			if len(got) != len(part) || got[i] != e.Seq {
				t.Fatalf("handled %v, want the %d events from %d on, each once", got, len(part), part[0].Seq)
			}
		}
	}
}

// start starts the embedded broker with an account for each role.
func start(t *testing.T) kafkatest.Logins {
	t.Helper()
	var accounts []embedded.Account
	for _, role := range kafka.Roles {
		a := embedded.Account{Name: string(role), Password: "a-password-of-" + string(role)}
		for _, r := range kafka.Rights(role) {
			a.Allow = append(a.Allow, embedded.Rule(r))
		}
		accounts = append(accounts, a)
	}
	s, err := embedded.Start(context.Background(), embedded.Config{Dir: filepath.Join(t.TempDir(), "kafka"),
		Addr: "127.0.0.1:0", Accounts: accounts, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	access := kafkatest.Logins{}
	for i, role := range kafka.Roles {
		access[role] = kafka.Config{Brokers: []string{s.Addr()},
			SASL: kafka.SASL{Mechanism: kafka.ScramSHA256, User: string(role), Password: accounts[i].Password}}
	}
	return access
}

// publish publishes the events as the relay does: each to its partition, and then the ends.
func publish(ctx context.Context, t *testing.T, relay *kafka.Client, ledger uuid.UUID, events []schemas.Envelope) {
	t.Helper()
	last := events[len(events)-1]
	p := consumers.Position{Topics: map[string]consumers.TopicPosition{}, Through: last.Anchor(ledger)}
	for _, e := range events {
		topic, key := relay.Route(e)
		_, _, ends, err := relay.Describe(ctx, topic)
		if err != nil {
			t.Fatal(err)
		}
		n := relay.Partition(key, len(ends))
		if _, _, _, err := relay.Publish(ctx, ledger, topic, n, []schemas.Envelope{e}); err != nil {
			t.Fatal(err)
		}
		id, _, ends, err := relay.Describe(ctx, topic)
		if err != nil {
			t.Fatal(err)
		}
		p.Topics[topic] = consumers.TopicPosition{ID: id, Ends: ends}
	}
	if _, err := relay.SavePosition(ctx, p); err != nil {
		t.Fatal(err)
	}
}
