package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// scriptedRelay ends as its script says, and then runs until it is told to stop.
type scriptedRelay struct {
	ends    []error
	runs    int
	refills []string
	broken  int // refills that fail first
}

func (r *scriptedRelay) Run(ctx context.Context) error {
	r.runs++
	if len(r.ends) > 0 {
		err := r.ends[0]
		r.ends = r.ends[1:]
		return err
	}
	<-ctx.Done()
	return nil
}

func (r *scriptedRelay) Refill(_ context.Context, topics ...string) ([]string, error) {
	r.refills = append(r.refills, strings.Join(topics, " "))
	if r.broken--; r.broken >= 0 {
		return nil, errors.New("broker away")
	}
	return topics, nil
}

// Whatever happens to the topics, the relay goes on and nothing else ends; this machine's own
// broker is filled again.
func TestTheRelayIsKept(t *testing.T) {
	loss := fmt.Errorf("topic ledger.device is gone: %w", relay.ErrDataLoss)
	conflict := func() []projections.Conflict {
		return []projections.Conflict{{Seq: 9, Partition: "ledger.device/0", With: "ledger.refusal/3"}}
	}
	none := func() []projections.Conflict { return nil }
	for name, c := range map[string]struct {
		relay     scriptedRelay
		own       bool
		conflicts func() []projections.Conflict
		runs      int
		refills   []string
		ends      error
	}{
		"a loss of our own broker": {scriptedRelay{ends: []error{loss, loss}}, true, none, 3,
			[]string{"", ""}, nil},
		"a refill that fails": {scriptedRelay{ends: []error{loss, loss}, broken: 1}, true, none, 3,
			[]string{"", ""}, nil},
		"a loss elsewhere": {scriptedRelay{ends: []error{loss, loss}}, false, none, 3, nil, nil},
		"a broker that is away": {scriptedRelay{ends: []error{errors.New("refused")}}, false, none, 2, nil,
			nil},
		"a password that was changed": {scriptedRelay{ends: []error{consumers.ErrAuthentication}}, false, none,
			2, nil, nil},
		"a conflict in our own, once": {scriptedRelay{}, true, conflict, 2,
			[]string{"ledger.device ledger.refusal"}, nil},
		"a conflict elsewhere": {scriptedRelay{}, false, conflict, 1, nil, nil},
		"another ledger ends everything": {scriptedRelay{ends: []error{relay.ErrDiverged}}, true, none, 1, nil,
			relay.ErrDiverged},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				k := keeper{relay: &c.relay, own: c.own, conflicts: c.conflicts, log: slog.New(slog.DiscardHandler),
					wait: 10 * time.Second}
				if err := k.run(ctx); !errors.Is(err, c.ends) {
					t.Errorf("%v, want %v", err, c.ends)
				}
				if c.relay.runs != c.runs || !slices.Equal(c.relay.refills, c.refills) {
					t.Errorf("%d runs, refills %q; want %d and %q", c.relay.runs, c.relay.refills, c.runs, c.refills)
				}
			})
		})
	}
}

// Every message about a topic names the command that heals it, and each partition is told of once.
func TestProblemsNameTheWayOut(t *testing.T) {
	s := projections.Status{Conflicts: []projections.Conflict{{Seq: 9, Partition: "ledger.refusal/3", Offset: 7,
		With: "ledger.device/0"}},
		Foreign: []projections.Foreign{{Partition: "ledger.device/0", Count: 3, First: 4, Last: 9}}}
	if p := viewsProblem(s); !strings.Contains(p, "ledgerline relay refill ledger.device ledger.refusal") {
		t.Error(p)
	}
	lines := foreignLines([]consumers.Foreign{{Topic: "ledger.device", Count: 1, First: 4, Last: 4},
		{Topic: "ledger.position", Count: 1, First: 2, Last: 2}}, s.Foreign)
	want := []string{"ledger.device/0@4 to 9 (3), removed by `ledgerline relay refill ledger.device`",
		"ledger.position/0@2 (1), removed by `ledgerline relay refill ledger.position`"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	if p := viewsProblem(projections.Status{Foreign: s.Foreign}); p != "" {
		t.Errorf("foreign records alone are a problem: %s", p)
	}
}

// Foreign events are told and are no problem; forged ones are.
func TestForgedEventsAreAProblemAndForeignOnesAreNot(t *testing.T) {
	var s Status
	s.ForeignEvents = ledger.ForeignEvents{Count: 3,
		First: ledger.ForeignEvent{Position: schemas.Position{Commit: 7, Prepare: 7}},
		Last:  ledger.ForeignEvent{Position: schemas.Position{Commit: 9, Prepare: 9}}}
	s.Problems = s.problems()
	if len(s.Problems) != 0 {
		t.Errorf("foreign events are problems: %v", s.Problems)
	}
	id := uuid.New()
	s.Forged = ledger.ForgedEvents{Count: 2, Listed: []ledger.ForgedEvent{{ID: id, Seq: 12,
		Stream: ledgertest.NewStream()}}}
	s.Relay.Problem, s.ViewsProblem = "the broker is gone", "disk full"
	s.Problems = s.problems()
	all := strings.Join(s.Problems, "\n")
	for _, want := range []string{"relay: the broker is gone\n", "views: disk full\n",
		"forged events in the store: 2; the first is " + id.String() + ", sequence 12"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	if len(s.Problems) != 3 {
		t.Errorf("%d problems", len(s.Problems))
	}
}
