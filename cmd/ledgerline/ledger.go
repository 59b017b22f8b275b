package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/schemas"
)

func newLedger(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Find events that are not the ledger's own, and disown them",
	}
	cmd.AddCommand(newLedgerCheck(a), newLedgerDisown(a))
	return cmd
}

// maxFindings bounds the events that a check tells one by one.
const maxFindings = 1000

// ledgerCheckDoc says what the event store holds. Foreign events are in no
// sequence, and harm nothing.
type ledgerCheckDoc struct {
	Events    uint64       `json:"events"` // that count in the sequence
	Foreign   uint64       `json:"foreign"`
	Forged    uint64       `json:"forged"`    // and not disowned
	Unfitting uint64       `json:"unfitting"` // and not disowned
	Disowned  uint64       `json:"disowned"`
	Unnaming  uint64       `json:"notNaming"` // hold or remove data of persons whom they do not name
	Untold    uint64       `json:"untold"`    // values of which nothing tells any more whose they are
	Findings  []findingDoc `json:"findings"`
	More      bool         `json:"more"` // there are more findings than are told
}

type findingDoc struct {
	ID       uuid.UUID `json:"id"`
	Sequence *uint64   `json:"sequence,omitempty"` // none of a foreign event
	Stream   string    `json:"stream,omitempty"`   // left out where it is somebody else's text
	Revision uint64    `json:"revision"`
	Verdict  string    `json:"verdict"`
	Disowned bool      `json:"disowned"`
	Missing  []string  `json:"missing,omitempty"` // attributes whose person the event does not name
}

func newLedgerCheck(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the whole event store and name what is not the ledger's own",
		Long: `check reads every event of the store, judges by its form whether it belongs to the ledger and by its
origin whether it was written with this vault where it stands, and reads it through its type.

  foreign     not of the ledger's form: it has no sequence, is in no view, and harms nothing
  forged      counts in the sequence, and was not written with this vault at this place (or is a true event, repeated)
  unfitting   written with this vault, and not what its type says
  not naming  holds or removes data under the key of a person whom its subjects do not name: packages and erasure
              find events by those alone

The exit code is 1 where an event is forged and not disowned (see "ledgerline ledger disown"), or does not name
everybody.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			d, err := a.openOffice(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			doc, err := d.check(cmd.Context(), terminal.NewProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			if err := writeOutput(cmd.OutOrStdout(), output, doc, doc.text); err != nil {
				return err
			}
			if doc.Forged > 0 {
				err = fmt.Errorf("PROBLEM: %s events are forged and not disowned", terminal.Count(doc.Forged))
			}
			if doc.Unnaming > 0 {
				err = errors.Join(err, fmt.Errorf("PROBLEM: %s events do not name every person whose data they hold or remove: "+
					"packages do not find them for those persons", terminal.Count(doc.Unnaming)))
			}
			return err
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (d *desk) check(ctx context.Context, p *terminal.Progress) (ledgerCheckDoc, error) {
	defer p.Done()
	doc := ledgerCheckDoc{Findings: []findingDoc{}}
	err := d.office.CheckLedger(ctx, d.who, func(f ledger.Found) error {
		doc.add(f)
		p.Show("reading the event store: %s events of the ledger, %s foreign", terminal.Count(doc.Events),
			terminal.Count(doc.Foreign))
		return nil
	})
	return doc, err
}

func (d *ledgerCheckDoc) add(f ledger.Found) {
	if f.Verdict != ledger.Foreign {
		d.Events++
	}
	d.Untold += uint64(f.Naming.Untold)
	verdict := f.Verdict.String()
	switch {
	case len(f.Naming.Missing) > 0:
		d.Unnaming++
		verdict = "not naming"
	case f.Disowned:
		d.Disowned++
	case f.Verdict == ledger.Foreign:
		d.Foreign++
	case f.Verdict == ledger.Forged:
		d.Forged++
	case f.Verdict == ledger.Unfitting:
		d.Unfitting++
	default:
		return
	}
	if len(d.Findings) == maxFindings {
		d.More = true
		return
	}
	doc := findingDoc{ID: f.ID, Revision: f.Revision, Verdict: verdict, Disowned: f.Disowned,
		Missing: f.Naming.Missing}
	if f.Stream.Valid() {
		doc.Stream = string(f.Stream)
	}
	if f.Verdict != ledger.Foreign {
		doc.Sequence = &f.Seq
	}
	d.Findings = append(d.Findings, doc)
}

func (d ledgerCheckDoc) text(w io.Writer) {
	fmt.Fprintf(w, "read %s events of the ledger and %s foreign ones\n", terminal.Count(d.Events),
		terminal.Count(d.Foreign))
	for _, f := range d.Findings {
		at := "no sequence"
		if f.Sequence != nil {
			at = fmt.Sprintf("sequence %d", *f.Sequence)
		}
		stream, note := f.Stream, ""
		if stream == "" {
			stream = "a stream of another form"
		}
		if f.Disowned {
			note = ", disowned"
		}
		if len(f.Missing) > 0 {
			note = " the person of " + strings.Join(f.Missing, ", ")
		}
		fmt.Fprintf(w, "%s  %s  %s@%d  %s%s\n", f.ID, at, stream, f.Revision, f.Verdict, note)
	}
	if d.More {
		fmt.Fprintf(w, "… and more; the first %s are told\n", terminal.Count(len(d.Findings)))
	}
	fmt.Fprintf(w, "forged %s, unfitting %s, disowned %s: each event's form and origin were compared, and its data "+
		"with its type\n", terminal.Count(d.Forged), terminal.Count(d.Unfitting), terminal.Count(d.Disowned))
	fmt.Fprintf(w, "not naming everybody %s: each value's key was compared with the event's subjects",
		terminal.Count(d.Unnaming))
	if d.Untold > 0 {
		fmt.Fprintf(w, ", but of %s values nothing tells any more whose they are (erased, expired or lost)",
			terminal.Count(d.Untold))
	}
	fmt.Fprintln(w)
}

// disownDoc says what became of a disowning.
type disownDoc struct {
	Disowned []disownedDoc `json:"disowned"`
	Before   []disownedDoc `json:"before"` // disowned already
}

type disownedDoc struct {
	ID       uuid.UUID      `json:"id"`
	Sequence uint64         `json:"sequence"`
	Stream   schemas.Stream `json:"stream"`
	Verdict  string         `json:"verdict"`
}

func newLedgerDisown(a *app) *cobra.Command {
	var tenant, ground, output string
	var yes bool
	cmd := &cobra.Command{
		Use:   "disown EVENT…",
		Short: "Take events that are not the ledger's own out of views, reports and packages",
		Long: `disown records, as an event of the ledger, that events which others wrote are none of its own. They go
out of views, reports and packages; the event store, the sequence and every proof keep them for ever. Folds never used
them.

Only what "ledgerline ledger check" calls forged or unfitting can be disowned, or another tenant's event in a stream.
Where one event id stands at several places, the ledger's own stays. Everything is checked first: where one event must
not be disowned, none is. It reads the whole ledger. Called again it appends nothing.

Without --tenant the operator of the whole ledger disowns events of any tenant; with it only events that name the
tenant. --ground says how they came there, as far as that is known: ` + strings.Join(custody.DisownGrounds, ", ") + `.`,
		Example: `  ledgerline ledger check
  ledgerline ledger disown 5b1c8f0e-94c1-4c77-9d0e-0a2f6f1b7c11 --ground intrusion --yes`,
		Args: cobra.ArbitraryArgs, // custody says that one is missing
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ids, err := parseEventIDs(args)
			if err != nil {
				return err
			}
			if err := custody.CheckDisown(ids, ground); err != nil {
				return err
			}
			if !yes {
				return usage("disowning cannot be undone: add --yes to disown %s events", terminal.Count(len(ids)))
			}
			d, err := a.openOffice(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			if tenant != "" {
				if d.tenant, err = d.office.Tenant(cmd.Context(), d.who, tenant); err != nil {
					return err
				}
			}
			p := terminal.NewProgress(cmd.ErrOrStderr())
			done, err := d.office.Disown(cmd.Context(), d.who, d.tenant.ID, ids, ground, func(read uint64) {
				p.Show("reading the ledger: %s events", terminal.Count(read))
			})
			p.Done()
			if err != nil {
				return err
			}
			doc := disownDoc{disownedDocs(done.Events), disownedDocs(done.Before)}
			return writeOutput(cmd.OutOrStdout(), output, doc, doc.text)
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "",
		"disown as this tenant; without it, as the operator of the whole ledger")
	cmd.Flags().StringVar(&ground, "ground", "", "how they came there: "+strings.Join(custody.DisownGrounds, ", "))
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, disown them")
	outputFlag(cmd, &output)
	return cmd
}

func parseEventIDs(args []string) (ids []uuid.UUID, err error) {
	for _, arg := range args {
		id, err := schemas.ParseUUID(arg)
		if err != nil {
			return nil, usage("event %q is not a uuid, as `ledgerline ledger check` prints it", arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func disownedDocs(events []custody.DisownedEvent) []disownedDoc {
	out := []disownedDoc{}
	for _, e := range events {
		out = append(out, disownedDoc{e.Event, e.Seq, e.Stream, e.Verdict.String()})
	}
	return out
}

func (d disownDoc) text(w io.Writer) {
	tell := func(what string, events []disownedDoc) {
		for _, e := range events {
			fmt.Fprintf(w, "%s %s (sequence %d, %s, %s)\n", what, e.ID, e.Sequence, e.Stream, e.Verdict)
		}
	}
	tell("disowned", d.Disowned)
	tell("disowned already:", d.Before)
}
