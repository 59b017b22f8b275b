package relay_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/consumers/relay"
	embedded "github.com/ledgerline/ledgerline/deploy/embedded/kafka"
)

// onEmbedded runs the relay on the embedded broker, with the rights of its account, or of another
// role's.
func onEmbedded(tb testing.TB, role kafka.Role) *rig {
	tb.Helper()
	dir, addr := filepath.Join(tb.TempDir(), "kafka"), "127.0.0.1:0"
	var accounts []embedded.Account
	access := kafkatest.Logins{}
	for _, role := range kafka.Roles {
		a := embedded.Account{Name: string(role), Password: "a-password-of-" + string(role)}
		for _, r := range kafka.Rights(role) {
			a.Allow = append(a.Allow, embedded.Rule(r))
		}
		accounts = append(accounts, a)
		access[role] = kafka.Config{SASL: kafka.SASL{Mechanism: kafka.ScramSHA256, User: a.Name, Password: a.Password}}
	}
	s, err := embedded.Start(context.Background(),
		embedded.Config{Dir: dir, Addr: addr, Accounts: accounts, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	for r, cfg := range access {
		cfg.Brokers = []string{s.Addr()}
		access[r] = cfg
	}
	asRelay := &rig{access: access, ledger: newLedger(), gen: kafkatest.NewGenerator(5)}
	asRelay.redial(tb)
	if err := asRelay.client.Prepare(context.Background()); err != nil {
		tb.Fatal(err)
	}
	access[kafka.RoleRelay] = access[role]
	asRelay.redial(tb)
	return asRelay
}

func TestPublishesAndRefillsWithTheRelaysRights(t *testing.T) {
	r := onEmbedded(t, kafka.RoleRelay)
	r.fill(500)
	if err := run(t, r.config(), 499); err != nil {
		t.Fatal(err)
	}
	r.drop(t, lossy)
	re, err := relay.New(r.config())
	if err != nil {
		t.Fatal(err)
	}
	if names, err := re.Refill(t.Context()); err != nil || len(names) != 1 || names[0] != lossy {
		t.Errorf("refilled %v: %v", names, err)
	}
	r.check(t, 499)
}

// A relay whose account may not write, or is none, ends instead of repeating for ever, also in the
// middle of its work.
func TestRefusedRelayEnds(t *testing.T) {
	for _, role := range []kafka.Role{kafka.RoleConsumer, kafka.RoleReader} {
		r := onEmbedded(t, role)
		r.fill(10)
		if err := run(t, r.config(), 9); !errors.Is(err, kafka.ErrNotAuthorized) ||
			!strings.Contains(err.Error(), "ledger.") {
			t.Errorf("as %s: %v", role, err)
		}
	}
	r := onEmbedded(t, kafka.RoleRelay)
	r.fill(500)
	cfg := r.config()
	cfg.Publisher = &turnedAway{Client: r.client, after: 1}
	if err := run(t, cfg, 499); !errors.Is(err, kafka.ErrAuthentication) {
		t.Errorf("a password that was changed: %v", err)
	}
}

// turnedAway is a broker that no longer knows the account after some notes.
type turnedAway struct {
	*kafka.Client
	after int
}

func (c *turnedAway) SavePosition(ctx context.Context, p consumers.Position) (int64, error) {
	if c.after--; c.after < 0 {
		return 0, kafka.ErrAuthentication
	}
	return c.Client.SavePosition(ctx, p)
}
