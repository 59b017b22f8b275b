package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
)

func newViews(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "views",
		Short: "Compare the views with the ledger, and rebuild them",
	}
	cmd.AddCommand(newReconcile(a), newRebuild(a))
	return cmd
}

// maxDifferences bounds the events that are told one by one.
const maxDifferences = 100

type reconcileDoc struct {
	Through     uint64          `json:"throughSequence"`
	Events      uint64          `json:"events"`
	Buckets     int             `json:"buckets"` // compared, one per tenant and 65,536 sequences
	Deep        bool            `json:"deep"`
	Differences []differenceDoc `json:"differences"` // at most 100
	More        bool            `json:"more"`
}

type differenceDoc struct {
	Tenant uuid.UUID `json:"tenant"`
	Seq    uint64    `json:"sequence"`
	What   string    `json:"what"`
}

func newReconcile(a *app) *cobra.Command {
	var deep bool
	var output string
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare every event in the views with the ledger",
		Long: `reconcile reads the whole ledger, recomputes each event's leaf from its stored bytes, and compares their sums per tenant and
65,536 sequences with what the views hold; where a sum differs it names the events. With --deep ClickHouse also recomputes each leaf from
the bytes it stores. The exit code is 1 where anything differs; "views rebuild" makes views anew.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.connect()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			l, err := a.openLedger(cmd.Context(), s, nil)
			if err != nil {
				return err
			}
			views, err := a.openViews(cmd.Context(), s)
			if err != nil {
				return err
			}
			doc, err := reconcile(cmd.Context(), l, views, deep, newProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			if err := writeOutput(cmd.OutOrStdout(), output, doc, doc.text); err != nil {
				return err
			}
			if len(doc.Differences) > 0 {
				return errors.New("the views differ from the ledger")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "let ClickHouse recompute each leaf from the bytes it stores")
	outputFlag(cmd, &output)
	return cmd
}

func (d reconcileDoc) text(w io.Writer) {
	fmt.Fprintf(w, "compared %s events through ledger sequence %d\n", count(d.Events), d.Through)
	for _, x := range d.Differences {
		fmt.Fprintf(w, "sequence %d of tenant %s: %s\n", x.Seq, x.Tenant, x.What)
	}
	switch {
	case d.More:
		fmt.Fprintln(w, "… and more")
	case len(d.Differences) == 0:
		fmt.Fprintln(w, "the views hold exactly what the ledger holds")
	}
}

func reconcile(ctx context.Context, l *ledger.Ledger, views *clickhouse.DB, deep bool, p *progress) (reconcileDoc, error) {
	doc := reconcileDoc{Deep: deep, Differences: []differenceDoc{}}
	defer p.done()
	seq, ok, err := views.Through(ctx)
	if err != nil {
		return doc, err
	}
	if !ok {
		return doc, errors.New("the views hold nothing yet")
	}
	doc.Through = seq
	want, err := ledgerDigests(ctx, l, seq, func(n uint64) { p.show("reading the ledger: %s of %s events", count(n), count(seq+1)) })
	if err != nil {
		return doc, err
	}
	got, err := views.Digest(ctx, seq)
	if err != nil {
		return doc, err
	}
	doc.Buckets = len(want)
	for _, d := range want {
		doc.Events += d.Count
	}
	if differing := want.Differ(got); len(differing) > 0 {
		if err := doc.differ(ctx, l, views, differing); err != nil {
			return doc, err
		}
	}
	if deep {
		p.show("recomputing leaves in ClickHouse")
		broken, err := views.DeepCheck(ctx)
		if err != nil {
			return doc, err
		}
		for _, d := range broken {
			doc.add(differenceDoc{d.Tenant, d.Seq, "its stored bytes do not give its stored leaf"})
		}
	}
	return doc, nil
}

func (d *reconcileDoc) add(x differenceDoc) {
	if len(d.Differences) == maxDifferences {
		d.More = true
		return
	}
	d.Differences = append(d.Differences, x)
}

// ledgerDigests recomputes every leaf of the ledger up to a sequence.
func ledgerDigests(ctx context.Context, l *ledger.Ledger, through uint64, progress func(uint64)) (projections.Digests, error) {
	out := projections.Digests{}
	for r, err := range l.Events(ctx) {
		if err != nil {
			return nil, err
		}
		if r.Seq > through {
			break
		}
		row, err := projections.RowOf(r)
		if err != nil {
			return nil, err
		}
		out.Add(row.Tenant, r.Seq, row.Leaf)
		progress(r.Seq)
	}
	return out, nil
}

// differ names the events in which buckets differ, reading the ledger once for all of them.
func (d *reconcileDoc) differ(ctx context.Context, l *ledger.Ledger, views *clickhouse.DB, buckets []projections.Bucket) error {
	held := map[projections.Bucket]map[uint64][32]byte{}
	for _, b := range buckets {
		held[b] = map[uint64][32]byte{}
		for leaf, err := range views.Leaves(ctx, b, d.Through) {
			if err != nil {
				return err
			}
			held[b][leaf.Seq] = leaf.Leaf
		}
	}
	for r, err := range l.Events(ctx) {
		if err != nil {
			return err
		}
		if r.Seq > d.Through {
			break
		}
		row, err := projections.RowOf(r)
		if err != nil {
			return err
		}
		leaves, differs := held[projections.BucketOf(row.Tenant, r.Seq)]
		if !differs {
			continue
		}
		leaf, found := leaves[r.Seq]
		delete(leaves, r.Seq)
		switch {
		case !found:
			d.add(differenceDoc{row.Tenant, r.Seq, "missing from the views"})
		case leaf != row.Leaf:
			d.add(differenceDoc{row.Tenant, r.Seq, "another event in the views"})
		}
	}
	for b, leaves := range held {
		for seq := range leaves {
			d.add(differenceDoc{b.Tenant, seq, "in the views and not in the ledger"})
		}
	}
	return nil
}

func newRebuild(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild VIEW…|all",
		Short: "Make views anew from the events beside the old ones, compare, then swap",
		Long: `rebuild makes a view anew while everything goes on: a new table is filled from events, compared with what its definition makes of
them, and put in the old one's place. It may be interrupted anywhere and called again.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := a.connect()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			views, err := a.openViews(cmd.Context(), s)
			if err != nil {
				return err
			}
			all, err := views.Views(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 1 && args[0] == "all" {
				args = all
			}
			for _, name := range args {
				if !slices.Contains(all, name) {
					return usage("there is no view %q: name some of %s, or all", name, strings.Join(all, ", "))
				}
			}
			p := newProgress(cmd.ErrOrStderr())
			for _, name := range args {
				err := views.Rebuild(cmd.Context(), name, clickhouse.RebuildConfig{Projector: projectorName, Progress: func(filled, of uint64) {
					p.show("%s: %s of %s sequences", name, count(filled), count(of))
				}})
				p.done()
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "rebuilt %s\n", name)
			}
			return nil
		},
	}
}
