package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/projections"
)

// Status says where each part of a running ledger stands. Sequences count from 0; Events are
// numbers of events.
type Status struct {
	Ledger string             `json:"ledger"`
	Since  time.Time          `json:"since"`
	Relay  RelayStatus        `json:"relay"`
	Views  projections.Status `json:"views"`
	// Comparison is what the last comparison of the views with the ledger came to.
	Comparison    ComparisonStatus     `json:"comparison"`
	Servers       map[string]string    `json:"servers"`
	ForeignEvents ledger.ForeignEvents `json:"foreignEvents"` // in the event store, and not the ledger's: harmless
	Forged        ledger.ForgedEvents  `json:"forged"`        // in the event store, and not disowned
	// Records in the topics that are none of the ledger's: skipped, told, and no problem.
	Foreign []string `json:"foreign,omitempty"`
	// ViewsWaiting is when the first event that is not in the views was recorded; zero: none is
	// missing, or it could not be read.
	ViewsWaiting time.Time `json:"viewsWaitingSince,omitzero"`
	// What the views' part should have done about it, "" for nothing.
	ViewsProblem string `json:"viewsProblem,omitempty"`

	Strangers uint64 `json:"strangers,omitempty"` // events of tenants that the vault did not know at the start

	DamagedKeys uint64 `json:"damagedKeys,omitempty"` // places of keys that cannot be read, at the start

	viewsAgain string // as RelayStatus.again

	Problems []string `json:"problems"` // any of them makes the exit code 1
}

// RelayStatus is how far the relay has come.
type RelayStatus struct {
	State   string  `json:"state"`
	Events  uint64  `json:"events"` // published and noted
	Lag     uint64  `json:"lag"`    // in the ledger and not yet noted
	Rate    float64 `json:"rate"`   // events a second over the last ten seconds
	Problem string  `json:"problem,omitempty"`
	// Waiting is when the first event that is not noted yet was recorded; zero: none is, or it
	// could not be read.
	Waiting time.Time `json:"waitingSince,omitzero"`

	again string // what becomes of an attempt that failed, and what it means until then
}

// Status says where each part stands now. It reads two events at most, of which the first are that
// wait to be published and to be in the views.
func (n *Node) Status(ctx context.Context) Status {
	doc := n.counts()
	if doc.Relay.Lag > 0 {
		doc.Relay.Waiting = n.recorded(ctx, doc.Relay.Events)
	}
	if doc.Behind() > 0 {
		doc.ViewsWaiting = n.recorded(ctx, doc.Views.Applied)
	}
	return doc
}

// counts is Status without the events that wait.
func (n *Node) counts() Status {
	r := n.relay.Status()
	doc := Status{Ledger: n.Ledger.ID().String(), Since: n.started, Views: n.project.Status(),
		Comparison: n.comparison(), Relay: RelayStatus{State: string(r.State), Lag: r.Lag, Rate: r.Rate},
		Servers: n.services.Shown}
	if r.Any {
		doc.Relay.Events = r.Through.Seq + 1
	}
	// The relay knows what is published before the projector has read its note.
	if doc.Relay.Events > doc.Views.Applied {
		doc.Views.Lag = max(doc.Views.Lag, doc.Relay.Events-doc.Views.Applied)
	}
	doc.Relay.Problem, doc.ViewsProblem = r.Problem, viewsProblem(doc.Views)
	doc.Foreign = foreignLines(r.Foreign, doc.Views.Foreign)
	doc.ForeignEvents, doc.Forged = n.Ledger.Foreign(), n.Ledger.Forged()
	doc.Strangers, doc.DamagedKeys = n.strangers.count(), n.damagedKeys
	if r.Err != nil {
		doc.Relay.again = fmt.Sprintf(". It is tried again: see that Kafka at %s runs and can be reached. Events stay "+
			"in the ledger, and what waits comes into topics and views once it succeeds", doc.Servers["kafka"])
	}
	if doc.Views.Problem != "" || doc.Views.LastError != "" {
		doc.viewsAgain = fmt.Sprintf(". It is tried again: see that Kafka at %s and ClickHouse at %s run and can be "+
			"reached. A report waits for what is missing, or lacks it with --no-wait", doc.Servers["kafka"],
			doc.Servers["clickhouse"])
	}
	doc.Problems = doc.problems()
	return doc
}

// recorded is when the event of that sequence was recorded, zero where it cannot be read at once.
func (n *Node) recorded(ctx context.Context, seq uint64) time.Time {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	e, found, err := n.Ledger.At(ctx, seq)
	if err != nil || !found {
		return time.Time{}
	}
	return e.Meta().Recorded
}

// problems are what somebody has to do something about. Each says what was found, and names what
// to do where there is a command for it.
func (s Status) problems() []string {
	out := []string{}
	tell := func(found bool, format string, args ...any) {
		if found {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	tell(s.Relay.Problem != "", "relay: %s%s", s.Relay.Problem, s.Relay.again)
	tell(s.ViewsProblem != "", "views: %s%s", s.ViewsProblem, s.viewsAgain)
	tell(s.Comparison.Problem != "", "views: %s", s.Comparison.Problem)
	tell(s.Strangers > 0, "vault: %s events are of tenants that it does not know: they are forged, or the vault is "+
		"older than the ledger. `ledgerline restore vault` says more", terminal.Count(s.Strangers))
	tell(s.DamagedKeys > 0, "vault: %s keys of persons, devices or periods have changed on disk and cannot be read; "+
		"nor can what is sealed under them. Stop `ledgerline up`, move the vault's files aside, and put the newest "+
		"copy back: `ledgerline restore vault --from FOLDER`", terminal.Count(s.DamagedKeys))
	if s.Forged.Count > 0 {
		first := "more than are listed"
		if len(s.Forged.Listed) > 0 {
			f := s.Forged.Listed[0]
			first = fmt.Sprintf("the first is %s, sequence %d, %s", f.ID, f.Seq, f.Stream)
		}
		tell(true, "forged events in the store: %s; %s. `ledgerline ledger check` names them all, `ledgerline "+
			"ledger disown` takes them out of views and reports", terminal.Count(s.Forged.Count), first)
	}
	return out
}

// Problem is an error that says how many problems stand, or nil.
func (s Status) Problem() error {
	switch n := len(s.Problems); n {
	case 0:
		return nil
	case 1:
		return errors.New("1 problem stands")
	default:
		return fmt.Errorf("%d problems stand", n)
	}
}

// Behind is how many events of the ledger are not in the views.
func (s Status) Behind() uint64 {
	all := s.Relay.Events + s.Relay.Lag
	return all - min(all, s.Views.Applied)
}

// Holds reports whether a ledger lies in the data directory, running or not.
func (c Config) Holds() bool { return exists(c.VaultPath()) }

// AskStatus asks the `up` of the data directory where it stands. It errs with datadir.ErrNotUp
// where there is none.
func AskStatus(ctx context.Context, c Config) (doc Status, err error) {
	r, err := c.Running()
	if err != nil {
		return doc, err
	}
	secrets, err := c.Dir().Secrets()
	if err != nil {
		return doc, err
	}
	return fetchStatus(ctx, r.Status, secrets)
}

func fetchStatus(ctx context.Context, base string, secrets datadir.Secrets) (doc Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	password, err := secrets.Password(datadir.Status, datadir.Operator)
	if err != nil {
		return doc, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/status", nil)
	if err != nil {
		return doc, err
	}
	req.SetBasicAuth(datadir.Operator, password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return doc, fmt.Errorf("ask the running ledger: %w", err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return doc, fmt.Errorf("ask the running ledger: %s", res.Status)
	}
	return doc, json.NewDecoder(res.Body).Decode(&doc)
}

// viewsProblem says what somebody should do something about, "" for nothing.
func viewsProblem(s projections.Status) string {
	var out []string
	switch {
	case s.Problem != "":
		out = append(out, s.Problem+", since "+s.Since.Local().Format(time.DateTime))
	case s.LastError != "":
		out = append(out, s.LastError)
	}
	for _, c := range s.Conflicts {
		topic, _, _ := strings.Cut(c.Partition, "/")
		other, _, _ := strings.Cut(c.With, "/")
		out = append(out, fmt.Sprintf("%s@%d and a record in %s both have sequence %d: one is forged; to end it: `%s`",
			c.Partition, c.Offset, c.With, c.Seq, consumers.Refill(topic, other)))
	}
	if s.Replaced > 0 {
		out = append(out, fmt.Sprintf("%d events in the views were not those of topics that were made anew; "+
			"`ledgerline views reconcile` finds what they left", s.Replaced))
	}
	return strings.Join(out, "; ")
}

// foreignLines says where records lie that are none of the ledger's, each partition once: relay
// and projector meet the same ones.
func foreignLines(found []consumers.Foreign, views []projections.Foreign) []string {
	all := slices.Clone(found)
	for _, f := range views {
		topic, partition, err := SplitPartition(f.Partition)
		if err != nil {
			continue
		}
		c := consumers.Foreign{Topic: topic, Partition: partition, Count: f.Count, First: f.First, Last: f.Last}
		at := slices.IndexFunc(all, func(o consumers.Foreign) bool {
			return o.Topic == topic && o.Partition == partition
		})
		switch {
		case at < 0:
			all = append(all, c)
		case all[at].Count < c.Count:
			all[at] = c
		}
	}
	lines := make([]string, len(all))
	for i, f := range all {
		lines[i] = f.String()
	}
	slices.Sort(lines)
	return lines
}
