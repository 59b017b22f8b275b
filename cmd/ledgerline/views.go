package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/reconcile"
)

func newViews(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "views",
		Short: "Compare the views with the ledger, and rebuild them",
	}
	cmd.AddCommand(newReconcile(a), newRebuild(a))
	return cmd
}

func newReconcile(a *app) *cobra.Command {
	var deep bool
	var output string
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare the views with the ledger, row by row",
		Long: `reconcile reads the whole ledger and compares each event with its row, and then each view with what its
definition makes of the events. It names what differs: the view, the event or key, and whether it is missing, there in
vain, or another one. With --deep ClickHouse also recomputes each leaf from the bytes it stores, and where the vault
is at hand each event's origin is checked. An interrupted run goes on where it was. The exit code is 1 where anything
differs; what ends it is told.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.connect()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			v, err := vaultForOrigins(cmd.Context(), a.node(nil), s, deep)
			if err != nil {
				return err
			}
			l, err := s.OpenLedger(cmd.Context(), v)
			if err != nil {
				return err
			}
			views, err := s.OpenViews(cmd.Context())
			if err != nil {
				return err
			}
			p := terminal.NewProgress(cmd.ErrOrStderr())
			cfg := node.ReconcileConfig(l, views, a.log)
			if v != nil {
				cfg.Judge = node.Judge(l)
			}
			cfg.Name, cfg.Deep, cfg.Progress = "command", deep, func(at reconcile.Progress) {
				if at.View == "events" {
					p.Show("comparing events: %s of %s", terminal.Count(at.Done), terminal.Count(at.Of))
					return
				}
				p.Show("comparing %s: part %d of %d", at.View, at.Done, at.Of)
			}
			r, err := reconcile.New(cfg)
			if err != nil {
				return err
			}
			res, err := r.Run(cmd.Context())
			p.Done()
			if err != nil {
				return err
			}
			text := func(w io.Writer) { res.WriteText(w, "--deep does both, origins where the vault is") }
			if err := writeOutput(cmd.OutOrStdout(), output, res, text); err != nil {
				return err
			}
			if res.Differences > 0 {
				return fmt.Errorf("PROBLEM: the views differ from the ledger; %s",
					strings.Join(res.Remedies(a.viewsAway()), "; "))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false,
		"let ClickHouse recompute each leaf from the bytes it stores, and check each origin with the vault, "+
			"where there is one")
	outputFlag(cmd, &output)
	return cmd
}

// vaultForOrigins opens the vault for a deep comparison; nil where the data directory has none, as
// on a machine that only knows the servers.
func vaultForOrigins(ctx context.Context, c node.Config, s *node.Services, deep bool) (*vault.Vault, error) {
	if !deep {
		return nil, nil
	}
	if _, err := os.Stat(c.VaultPath()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return s.OpenVault(ctx, false)
}

func newRebuild(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild VIEW…|all",
		Short: "Make views anew from the events beside the old ones, compare, then swap",
		Long: `rebuild makes a view anew while everything goes on: a new table is filled from events, compared with
what its definition makes of them, and put in the old one's place. It may be interrupted anywhere and called again.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := a.connect()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			views, err := s.OpenViews(cmd.Context())
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
			p := terminal.NewProgress(cmd.ErrOrStderr())
			for _, name := range args {
				err := views.Rebuild(cmd.Context(), name,
					clickhouse.RebuildConfig{Projector: node.ProjectorName,
						Progress: func(filled, of uint64) {
							p.Show("%s: %s of %s sequences", name, terminal.Count(filled), terminal.Count(of))
						}})
				p.Done()
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "rebuilt %s\n", name)
			}
			return nil
		},
	}
}

// viewsAway is how the views are removed, so that the next start makes them anew.
func (a *app) viewsAway() string {
	if a.cfg.ClickHouse.Address != "" {
		return "drop the database " + a.cfg.ClickHouse.Database
	}
	return "move " + a.node(nil).Dir().Path(embedded.ClickHouseDir) + " away"
}
