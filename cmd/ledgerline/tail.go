package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/internal/node"
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
			s, err := a.connect()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			if o.tenant != "" {
				v, err := a.openVault(cmd.Context(), s, false)
				if err != nil {
					return err
				}
				t, err := findTenant(cmd.Context(), v, o.tenant)
				if err != nil {
					return err
				}
				o.tenantID = t.ID
			}
			client, err := a.openKafka(s, node.Reader)
			if err != nil {
				return err
			}
			return tail(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), newTopicSource(client), o)
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
	tenantID            uuid.UUID
}

// tail merges the partitions: what has come from all of them within a moment is printed in ledger
// order. A record is printed when the relay has noted an end above it; what is then not the
// ledger's is told at the end.
func tail(ctx context.Context, out, errs io.Writer, src *topicSource, o tailOptions) error {
	names, err := src.Partitions(ctx)
	if err != nil {
		return err
	}
	type place struct {
		name     string
		from, to int64
	}
	var places []place
	var gate projections.Gate
	noted, err := firstNote(ctx, src, o.untilEnd)
	if err != nil {
		return err
	}
	if noted != nil {
		gate.Set(noted)
	}
	for _, name := range names {
		topic, partition, err := splitPartition(name)
		if err != nil {
			return err
		}
		_, first, end, err := src.client.Describe(ctx, topic)
		if err != nil {
			return err
		}
		p := place{name, end[partition], end[partition]}
		if o.untilEnd {
			p.to = min(p.to, noted.Ends[name]) // what lies above is not published yet
		}
		if o.fromStart {
			p.from = first[partition]
		}
		if o.untilEnd && p.from >= p.to {
			continue
		}
		places = append(places, p)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	items := make(chan schemas.Envelope, 1024)
	g, gctx := errgroup.WithContext(ctx)
	if !o.untilEnd {
		g.Go(func() error {
			for {
				next, err := src.Noted(gctx, noted)
				if err != nil {
					return err
				}
				noted = next
				gate.Set(next)
			}
		})
	}
	var foreign consumers.ForeignCount
	defer func() {
		for _, f := range foreign.List() {
			fmt.Fprintf(errs, "left out, not the ledger's: %s\n", f)
		}
	}()
	for _, p := range places {
		topic, partition, err := splitPartition(p.name)
		if err != nil {
			return err
		}
		g.Go(func() error {
			for item, err := range src.Read(gctx, p.name, p.from) {
				if err != nil {
					return err
				}
				if item.Foreign == nil {
					at, err := gate.Covering(gctx, p.name, item.Offset)
					if err != nil {
						return err
					}
					if item.Envelope.Seq > at.Through {
						item.Foreign = errors.New("above what the relay had published")
					}
				}
				if item.Foreign != nil {
					foreign.Add(topic, partition, item.Offset)
				} else {
					select {
					case items <- item.Envelope:
					case <-gctx.Done():
						return gctx.Err()
					}
				}
				if o.untilEnd && item.Offset >= p.to-1 {
					return nil
				}
			}
			return nil
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Wait(); close(items) }()
	var batch []schemas.Envelope
	flush := func() error {
		slices.SortFunc(batch, func(a, b schemas.Envelope) int { return cmp.Compare(a.Seq, b.Seq) })
		for _, r := range batch {
			if err := printEvent(out, r, o); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	// Whole batches: without an end, what came within a tenth of a second; with one, everything, so that the order is exact.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case r, ok := <-items:
			if ok {
				batch = append(batch, r)
				continue
			}
			if err := flush(); err != nil {
				return err
			}
			if err := <-ended; err != nil && ctx.Err() == nil {
				return err
			}
			return nil
		case <-tick.C:
			if !o.untilEnd {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
}

// firstNote returns what the relay has noted. Where there is an end to come to, nothing noted is an
// empty ledger.
func firstNote(ctx context.Context, src *topicSource, untilEnd bool) (*projections.Noted, error) {
	p, ok, err := src.partitions.LastPosition(ctx)
	if err != nil || !ok {
		if untilEnd {
			return &projections.Noted{}, err
		}
		return nil, err
	}
	return notedOf(p), nil
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

func printEvent(out io.Writer, r schemas.Envelope, o tailOptions) error {
	m := r.Meta()
	if !strings.HasPrefix(r.Type, o.typ) || (o.tenantID != uuid.Nil && m.Tenant != o.tenantID) {
		return nil
	}
	if o.output == "json" {
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
	row := projections.RowOf(r)
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
	_, err := fmt.Fprintf(out, "%8d  %s  %-28s %s@%d  %s\n", r.Seq, when.Local().Format(time.DateTime), r.Type, shortStream(r.Stream), r.Revision, strings.Join(values, " "))
	return err
}

// shortStream abbreviates a stream for reading: its kind and the first eight digits of its uuid.
func shortStream(s schemas.Stream) string {
	return s.Kind() + "-" + s.UUID().String()[:8]
}
