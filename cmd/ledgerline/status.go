package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/projections"
)

// statusDoc says where each part of a running ledger stands. Sequences count from 0;
// Events are numbers of events.
type statusDoc struct {
	Ledger string             `json:"ledger"`
	Since  time.Time          `json:"since"`
	Relay  relayStatus        `json:"relay"`
	Views  projections.Status `json:"views"`
	// Comparison is what the last comparison of the views with the ledger came to.
	Comparison    comparisonStatus     `json:"comparison"`
	Servers       map[string]string    `json:"servers"`
	ForeignEvents ledger.ForeignEvents `json:"foreignEvents"` // in the event store, and not the ledger's: harmless
	Forged        ledger.ForgedEvents  `json:"forged"`        // in the event store, and not disowned
	// Records in the topics that are none of the ledger's: skipped, told, and no problem.
	Foreign []string `json:"foreign,omitempty"`
	// What the views' part should have done about it, "" for nothing.
	ViewsProblem string `json:"viewsProblem,omitempty"`

	Strangers uint64 `json:"strangers,omitempty"` // events of tenants that the vault did not know at the start

	DamagedKeys uint64 `json:"damagedKeys,omitempty"` // places of keys that cannot be read, at the start

	Problems []string `json:"problems"` // any of them makes the exit code 1
}

type relayStatus struct {
	State   string  `json:"state"`
	Events  uint64  `json:"events"` // published and noted
	Lag     uint64  `json:"lag"`    // in the ledger and not yet noted
	Rate    float64 `json:"rate"`   // events a second over the last ten seconds
	Problem string  `json:"problem,omitempty"`
}

func (n *runningNode) report() statusDoc {
	r := n.relay.Status()
	doc := statusDoc{Ledger: n.ledger.ID().String(), Since: n.started, Views: n.project.Status(),
		Comparison: n.comparison(), Relay: relayStatus{State: string(r.State), Lag: r.Lag, Rate: r.Rate},
		Servers: n.services.shown}
	if r.Any {
		doc.Relay.Events = r.Through.Seq + 1
	}
	// The relay knows what is published before the projector has read its note.
	if doc.Relay.Events > doc.Views.Applied {
		doc.Views.Lag = max(doc.Views.Lag, doc.Relay.Events-doc.Views.Applied)
	}
	doc.Relay.Problem, doc.ViewsProblem = r.Problem, viewsProblem(doc.Views)
	doc.Foreign = foreignLines(r.Foreign, doc.Views.Foreign)
	doc.ForeignEvents, doc.Forged = n.ledger.Foreign(), n.ledger.Forged()
	doc.Strangers, doc.DamagedKeys = n.strangers.count(), n.damagedKeys
	doc.Problems = doc.problems()
	return doc
}

// problems are what somebody has to do something about. Each says what was found, and names what to
// do where there is a command for it.
func (s statusDoc) problems() []string {
	out := []string{}
	tell := func(found bool, format string, args ...any) {
		if found {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	tell(s.Relay.Problem != "", "relay: %s", s.Relay.Problem)
	tell(s.ViewsProblem != "", "views: %s", s.ViewsProblem)
	tell(s.Comparison.Problem != "", "views: %s", s.Comparison.Problem)
	tell(s.Strangers > 0, "vault: %s events are of tenants that it does not know: they are forged, or the vault is "+
		"older than the ledger. `ledgerline restore vault` says more", count(s.Strangers))
	tell(s.DamagedKeys > 0, "vault: %s keys of persons, devices or periods have changed on disk and cannot be read; "+
		"nor can what is sealed under them. Stop `ledgerline up`, move the vault's files aside, and put the newest "+
		"copy back: `ledgerline restore vault --from FOLDER`", count(s.DamagedKeys))
	if s.Forged.Count > 0 {
		first := "more than are listed"
		if len(s.Forged.Listed) > 0 {
			f := s.Forged.Listed[0]
			first = fmt.Sprintf("the first is %s, sequence %d, %s", f.ID, f.Seq, f.Stream)
		}
		tell(true, "forged events in the store: %s; %s. `ledgerline ledger check` names them all, `ledgerline "+
			"ledger disown` takes them out of views and reports", count(s.Forged.Count), first)
	}
	return out
}

func (s statusDoc) text(w io.Writer) {
	fmt.Fprintf(w, "ledger   %s, up for %s\n", s.Ledger, time.Since(s.Since).Round(time.Second))
	fmt.Fprintf(w, "relay    %s: %s events published, %s behind the ledger, %.0f/s\n",
		s.Relay.State, count(s.Relay.Events), count(s.Relay.Lag), s.Relay.Rate)
	fmt.Fprintf(w, "views    %s events applied, %s behind what is published, %s behind the ledger, %.0f/s\n",
		count(s.Views.Applied), count(s.Views.Lag), count(s.behind()), s.Views.Rate)
	if s.Relay.Events > 0 {
		fmt.Fprintf(w, "         complete through ledger sequence %d of %d\n",
			int64(s.Views.Applied)-1, s.Relay.Events-1+s.Relay.Lag)
	}
	s.Comparison.text(w)
	for _, f := range s.Foreign {
		fmt.Fprintf(w, "foreign  %s\n", f)
	}
	if f := s.ForeignEvents; f.Count > 0 {
		fmt.Fprintf(w, "foreign  events in the store: %s, first at %s, last at %s; they count for nothing\n",
			count(f.Count), f.First.Position, f.Last.Position)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(w, "PROBLEM  %s\n", p)
	}
}

// behind is how many events of the ledger are not in the views.
func (s statusDoc) behind() uint64 {
	all := s.Relay.Events + s.Relay.Lag
	return all - min(all, s.Views.Applied)
}

func newStatus(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say where each part stands: sequence, relay, views, lag",
		Long: `status asks the running ledger where each part stands. The exit code is 1 where a problem stands;
foreign events in the store are told and are none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.running()
			if err != nil {
				return err
			}
			secrets, err := a.dir().Secrets()
			if err != nil {
				return err
			}
			doc, err := fetchStatus(cmd.Context(), r.Status, secrets)
			if err != nil {
				return err
			}
			if err := writeOutput(cmd.OutOrStdout(), output, doc, doc.text); err != nil {
				return err
			}
			if n := len(doc.Problems); n > 0 {
				return fmt.Errorf("%d problems stand", n)
			}
			return nil
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// tellProblems warns of what stands in the running ledger: an answer that is made meanwhile counts
// forged events as true, and lacks what is lost. A ledger on servers of its own is not asked.
func (a *app) tellProblems(ctx context.Context, w io.Writer) {
	r, err := a.dir().Running()
	if errors.Is(err, datadir.ErrNotUp) {
		return
	}
	var doc statusDoc
	secrets, errSecrets := a.dir().Secrets()
	if err = errors.Join(err, errSecrets); err == nil {
		doc, err = fetchStatus(ctx, r.Status, secrets)
	}
	if err != nil {
		fmt.Fprintf(w, "warning: whether a problem stands in the ledger could not be asked: %v\n", err)
	}
	for _, p := range doc.Problems {
		fmt.Fprintf(w, "warning: this is made while a problem stands: %s\n", p)
	}
}

func fetchStatus(ctx context.Context, base string, secrets datadir.Secrets) (doc statusDoc, err error) {
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

func outputFlag(cmd *cobra.Command, output *string) {
	choiceFlag(cmd, output, "output", "o", "text", "text or json", "text", "json")
}

// writeOutput writes doc as indented JSON, or as text.
func writeOutput(w io.Writer, output string, doc any, text func(io.Writer)) error {
	if output == "json" { // the flag took no other
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(doc)
	}
	text(w)
	return nil
}
