package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

func newTail(a *app) *cobra.Command {
	o := tailOptions{}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow the stream readably, as any consumer of the topics sees it",
		Long: `tail reads the ledger's Kafka topics, as a SIEM would, and prints an event a line: its sequence, when it
occurred, what it is, and its values that stand open. Sealed values are shown as ●; nothing is unsealed.
It begins with what comes next, or with --from-start with the first event.`,
		Example: `  ledgerline tail
  ledgerline tail --from-start --until-end --type device. --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			d, err := a.openTopics(cmd, o.tenant != "")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			if o.tenant != "" {
				if d.tenant, err = d.office.Tenant(cmd.Context(), d.who, o.tenant); err != nil {
					return err
				}
			}
			var foreign consumers.ForeignCount
			defer func() {
				for _, f := range foreign.List() {
					fmt.Fprintf(cmd.ErrOrStderr(), "left out, not the ledger's: %s\n", f)
				}
			}()
			return d.office.Follow(cmd.Context(), d.who, d.tenant.ID, office.Following{FromStart: o.fromStart,
				UntilEnd: o.untilEnd, Type: o.typ,
				Event: func(r schemas.Recorded) error { return printEvent(cmd.OutOrStdout(), r, o.output) },
				Foreign: func(name string, offset int64) {
					if topic, partition, err := node.SplitPartition(name); err == nil {
						foreign.Add(topic, partition, offset)
					}
				}})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.fromStart, "from-start", false, "begin with the ledger's first event")
	f.BoolVar(&o.untilEnd, "until-end", false, "stop at what is in the topics now")
	f.StringVar(&o.tenant, "tenant", "", "only this tenant's events")
	f.StringVar(&o.typ, "type", "", "only types that begin with this (device., adminaction.recorded.v1)")
	outputFlag(cmd, &o.output)
	return cmd
}

type tailOptions struct {
	fromStart, untilEnd bool
	tenant, typ, output string
}

type tailDoc struct {
	Sequence uint64            `json:"sequence"`
	ID       uuid.UUID         `json:"id"`
	Type     string            `json:"type"`
	Stream   schemas.Stream    `json:"stream"`
	Revision uint64            `json:"revision"`
	Tenant   uuid.UUID         `json:"tenant"`
	Occurred string            `json:"occurredAt,omitempty"`
	Source   string            `json:"source"`
	Subjects []schemas.Subject `json:"subjects"`
	Data     json.RawMessage   `json:"data"`
}

func printEvent(out io.Writer, r schemas.Recorded, output string) error {
	m, err := schemas.ParseMetadata(r.Metadata)
	if err != nil {
		return err
	}
	if output == "json" {
		doc := tailDoc{r.Seq, r.ID, r.Type, r.Stream, r.Revision, m.Tenant, "", m.Source, m.Subjects, r.Data}
		if !m.Occurred.IsZero() {
			doc.Occurred = schemas.Time(m.Occurred)
		}
		_, err := fmt.Fprintf(out, "%s\n", schemas.JSON(doc))
		return err
	}
	when := m.Occurred
	if when.IsZero() {
		when = m.Recorded
	}
	row, err := projections.RowOf(r)
	if err != nil {
		return err
	}
	var values []string
	for _, v := range row.Values {
		name := v.Attribute
		switch {
		case v.Removed:
			values = append(values, "-"+name)
		case schemas.IsSealed(v.Text):
			values = append(values, name+"=●")
		default:
			values = append(values, name+"="+v.Text)
		}
	}
	const most = 8
	if n := len(values); n > most {
		values = append(values[:most], fmt.Sprintf("… %d more", n-most))
	}
	_, err = fmt.Fprintf(out, "%8d  %s  %-28s %s@%d  %s\n", r.Seq, when.Local().Format(time.DateTime), r.Type,
		shortStream(r.Stream), r.Revision, strings.Join(values, " "))
	return err
}

// shortStream abbreviates a stream for reading: its kind and the first eight digits of its uuid.
func shortStream(s schemas.Stream) string {
	return s.Kind() + "-" + s.UUID().String()[:8]
}
