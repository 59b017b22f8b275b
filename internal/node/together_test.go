package node

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Stores belong together where all that hold anything are of the event store's
// ledger, at events that it has.
func TestStoresServeTogetherOrAreNamed(t *testing.T) {
	mine, other := uuid.New(), uuid.New()
	diverged := errors.New("the ledger has 5 events")
	holds := func(_ context.Context, a schemas.Anchor) error {
		if a.Seq < 5 {
			return nil
		}
		return diverged
	}
	at := func(seq uint64) *schemas.Anchor { return &schemas.Anchor{LedgerID: mine, Seq: seq} }
	vault := func(l uuid.UUID, a *schemas.Anchor) Held { return Held{"the vault", l, a, "Put the right one back."} }
	kafka := func(l uuid.UUID, a *schemas.Anchor) Held { return Held{"Kafka", l, a, "Move it away."} }
	for _, c := range []struct {
		name   string
		ledger uuid.UUID
		others []Held
		says   []string // nil: together
	}{
		{"all new", uuid.Nil, []Held{vault(uuid.Nil, nil), kafka(uuid.Nil, nil)}, nil},
		{"all of one", mine, []Held{vault(mine, at(3)), kafka(mine, at(4))}, nil},
		{"nothing noted yet", mine, []Held{vault(mine, nil), kafka(uuid.Nil, nil)}, nil},
		{"copies lost", mine, []Held{vault(mine, at(4)), kafka(uuid.Nil, nil)}, nil},
		{"event store gone", uuid.Nil, []Held{vault(mine, at(4)), kafka(mine, at(4))},
			[]string{"holds no ledger, and the vault is of ledger " + mine.String(), "sequence 4", "and Kafka is of",
				"restore eventstore"}},
		{"event store gone, the vault new", uuid.Nil, []Held{vault(uuid.Nil, nil), kafka(mine, nil)},
			[]string{"holds no ledger, and Kafka"}},
		{"another's vault", mine, []Held{vault(other, at(1)), kafka(mine, at(1))},
			[]string{"The vault is of ledger " + other.String(), "Put the right one back."}},
		{"another's event store", mine, []Held{vault(other, at(1)), kafka(other, at(1))},
			[]string{"The event store is of ledger " + mine.String(),
				"the vault and Kafka are of ledger " + other.String(), "restore eventstore"}},
		{"another's topics", mine, []Held{vault(mine, at(1)), kafka(other, nil)},
			[]string{"Kafka is of ledger " + other.String(), "Move it away."}},
		{"event store older than the vault", mine, []Held{vault(mine, at(7))},
			[]string{"what the vault noted at sequence 7", "has 5 events", "restore eventstore"}},
		{"event store older than the topics", mine, []Held{vault(mine, at(2)), kafka(mine, at(5))},
			[]string{"what Kafka noted at sequence 5"}},
	} {
		err := Together(t.Context(), c.ledger, c.others, holds)
		if (err == nil) != (c.says == nil) || err != nil && !errors.Is(err, ErrApart) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", c.name, err, s)
			}
		}
	}
}
