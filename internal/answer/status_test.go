package answer

import (
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// What is read of a ledger is what was looked at: how many events wait and since when the first of
// them does, how far a report would come, and that nothing is known to be wrong.
func TestStatusReadsAsItStands(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	relay := func(state string, events, lag uint64) node.RelayStatus {
		return node.RelayStatus{State: state, Events: events, Lag: lag}
	}
	behind := node.Status{Relay: relay("following", 1200, 34), Views: projections.Status{Applied: 1000, Rate: 2.25}}
	behind.Relay.Rate, behind.Relay.Waiting = 99.6, now.Add(-2*time.Second)
	for name, c := range map[string]struct {
		s    node.Status
		says []string
		not  string
	}{
		"fresh": {node.Status{Relay: relay("following", 1, 0), Views: projections.Status{Applied: 1}},
			[]string{": 1 event; up for 1m0s\n", "following: 1 of them published to Kafka, none waits\n",
				"1 of them in the views, none waits\n", "complete through ledger sequence 0, its last\n",
				"problems none is known"}, "PROBLEM"},
		"nothing in the views": {
			node.Status{Relay: relay("following", 7, 0), ViewsWaiting: now.Add(-90 * time.Second)},
			[]string{"0 of them in the views; 7 wait, the first for 1m30s; none came through in the last 10 s\n",
				"a report would find nothing yet\n"}, "sequence"},
		"the projector behind": {behind, []string{": 1,234 events",
			"1,200 of them published to Kafka; 34 wait, the first for 2s; 100/s come through\n",
			"1,000 of them in the views; 234 wait; 2.2/s come through\n",
			"a report that does not wait is of ledger sequence 999, the ledger is at 1233\n"}, "complete"},
		"Kafka away": {node.Status{Relay: relay("recovering", 5, 1), Views: projections.Status{Applied: 5},
			Problems: []string{"relay: connection refused. It is tried again"}},
			[]string{"recovering: 5 of them published to Kafka; 1 waits; none came through in the last 10 s\n",
				"PROBLEM  relay: connection refused. It is tried again\n"}, "none is known"},
	} {
		c.s.Since = now.Add(-time.Minute)
		var b strings.Builder
		Status{c.s}.writeText(&b, now)
		for _, want := range c.says {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: %q is not in\n%s", name, want, b.String())
			}
		}
		if strings.Contains(b.String(), c.not) {
			t.Errorf("%s: %q is in\n%s", name, c.not, b.String())
		}
		if err := c.s.Problem(); (err != nil) != (len(c.s.Problems) > 0) {
			t.Errorf("%s: %v with %d problems", name, err, len(c.s.Problems))
		}
	}
}

// Foreign events are told, and are no problem.
func TestStatusTellsForeignEvents(t *testing.T) {
	var s Status
	s.ForeignEvents = ledger.ForeignEvents{Count: 3,
		First: ledger.ForeignEvent{Position: schemas.Position{Commit: 7, Prepare: 7}},
		Last:  ledger.ForeignEvent{Position: schemas.Position{Commit: 9, Prepare: 9}}}
	var b strings.Builder
	s.WriteText(&b)
	if out := b.String(); !strings.Contains(out, "foreign  events in the store: 3, first at 7/7, last at 9/9") ||
		strings.Contains(out, "PROBLEM") {
		t.Error(out)
	}
}
