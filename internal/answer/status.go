package answer

import (
	"fmt"
	"io"
	"time"

	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// Status is where a running ledger stands. It is of all tenants, so that it has the language of
// the command line.
type Status struct {
	node.Status
}

// WriteText writes the status for a person.
func (s Status) WriteText(w io.Writer) { s.writeText(w, time.Now()) }

func (s Status) writeText(w io.Writer, now time.Time) {
	all := s.Relay.Events + s.Relay.Lag
	events := "events"
	if all == 1 {
		events = "event"
	}
	fmt.Fprintf(w, "ledger   %s: %s %s; up for %s\n", s.Ledger, terminal.Count(all), events, since(s.Since, now))
	fmt.Fprintf(w, "relay    %s: %s of them published to Kafka%s\n", s.Relay.State, terminal.Count(s.Relay.Events),
		waiting(s.Relay.Lag, s.Relay.Waiting, s.Relay.Rate, now))
	fmt.Fprintf(w, "views    %s of them in the views%s\n", terminal.Count(min(all, s.Views.Applied)),
		waiting(s.Behind(), s.ViewsWaiting, s.Views.Rate, now))
	switch {
	case s.Views.Applied == 0:
		fmt.Fprintln(w, "         a report would find nothing yet")
	case s.Behind() > 0:
		fmt.Fprintf(w, "         a report that does not wait is of ledger sequence %d, the ledger is at %d\n",
			s.Views.Applied-1, all-1)
	default:
		fmt.Fprintf(w, "         complete through ledger sequence %d, its last\n", s.Views.Applied-1)
	}
	writeComparison(w, s.Comparison)
	for _, f := range s.Foreign {
		fmt.Fprintf(w, "foreign  %s\n", f)
	}
	if f := s.ForeignEvents; f.Count > 0 {
		fmt.Fprintf(w, "foreign  events in the store: %s, first at %s, last at %s; they count for nothing\n",
			terminal.Count(f.Count), f.First.Position, f.Last.Position)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(w, "PROBLEM  %s\n", p)
	}
	if len(s.Problems) == 0 {
		fmt.Fprintln(w, "problems none is known: of the relay, of the views and their last comparison, of forged "+
			"events, and of the vault as it was at the start")
	}
}

// since is for how long something has been, in whole seconds.
func since(t, now time.Time) time.Duration { return max(now.Sub(t), 0).Round(time.Second) }

// waiting says how many events wait, for how long the first of them does, and how fast they go.
func waiting(events uint64, first time.Time, rate float64, now time.Time) string {
	if events == 0 {
		return ", none waits"
	}
	text := fmt.Sprintf("; %s wait", terminal.Count(events))
	if events == 1 {
		text = "; 1 waits"
	}
	if !first.IsZero() {
		text += fmt.Sprintf(", the first for %s", max(since(first, now), time.Second))
	}
	switch {
	case rate == 0:
		return text + "; none came through in the last 10 s"
	case rate < 10:
		return text + fmt.Sprintf("; %.1f/s come through", rate)
	}
	return text + fmt.Sprintf("; %.0f/s come through", rate)
}

// writeComparison says what the last comparison of the views with the ledger came to.
func writeComparison(w io.Writer, s node.ComparisonStatus) {
	switch {
	case s.Running != nil:
		fmt.Fprintf(w, "         being compared with the ledger: %s, %s of %s\n",
			s.Running.View, terminal.Count(s.Running.Done), terminal.Count(s.Running.Of))
	case s.Last == nil:
		fmt.Fprintln(w, "         not compared with the ledger yet: that is done once a day, and by `ledgerline "+
			"views reconcile`")
	}
	if s.Last != nil {
		fmt.Fprintf(w, "         compared on %s: %s events through sequence %d, %d views; %s differences\n",
			s.Last.Finished.Local().Format(time.DateTime),
			terminal.Count(s.Last.Events), s.Last.Through, len(s.Last.Views), terminal.Count(s.Last.Differences))
	}
}
