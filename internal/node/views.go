package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/reconcile"
	"github.com/ledgerline/ledgerline/schemas"
)

// judge asks the ledger whether an event is genuine where it stands.
func judge(l *ledger.Ledger) func(context.Context, schemas.Envelope) (bool, error) {
	return func(ctx context.Context, r schemas.Envelope) (bool, error) {
		verdict, err := l.Judge(ctx, r)
		return verdict == ledger.Genuine, err
	}
}

// reconcileConfig is what a command that compares the views with the ledger, and a running `up`,
// have in common.
func reconcileConfig(l *ledger.Ledger, views *clickhouse.DB, log *slog.Logger) reconcile.Config {
	return reconcile.Config{Ledger: l.ID(), Views: views, Log: log.With("part", "reconcile"), Now: time.Now,
		Events: func(ctx context.Context, from uint64) iter.Seq2[schemas.Envelope, error] {
			return func(yield func(schemas.Envelope, error) bool) {
				for r, err := range l.Events(ctx) {
					if err == nil && r.Seq < from {
						continue // read, but not compared again
					}
					if !yield(r, err) || err != nil {
						return
					}
				}
			}
		}}
}

// prepareViews makes sure that the views are this ledger's, and as this program defines them,
// before the projector goes on.
func (n *Node) prepareViews(ctx context.Context) (err error) {
	if err := n.Views.Bind(ctx, n.Ledger.ID()); err != nil {
		return err
	}
	defer n.cfg.Console.Done()
	if err := n.Views.Upgrade(ctx, clickhouse.RebuildConfig{Progress: func(part, of uint64) {
		n.cfg.Console.Show("views of an older version are made anew: part %s of %s", terminal.Count(part),
			terminal.Count(of))
	}}); err != nil {
		return err
	}
	if err := n.Views.Disown(ctx); err != nil {
		return err
	}
	cfg := reconcileConfig(n.Ledger, n.Views, n.cfg.Log)
	cfg.Name, cfg.Gentle = "up", true
	n.compare, err = reconcile.New(cfg)
	return err
}

// keepViews reads again what another version of the catalogue has read, and then compares the
// views with the ledger: at once after a stop that was not in order, else once a day.
func (n *Node) keepViews(ctx context.Context) error {
	if err := n.Views.Refresh(ctx, nil); err != nil && ctx.Err() == nil {
		n.cfg.Log.Warn("events read by another version of the catalogue could not be read again", "error", err)
	}
	return n.compare.Daily(ctx, !n.clean)
}

// ComparisonStatus is what the last comparison of the views with the ledger came to.
type ComparisonStatus struct {
	reconcile.Status
	Problem string `json:"problem,omitempty"`
}

func (n *Node) comparison() ComparisonStatus {
	s := ComparisonStatus{Status: n.compare.Status()}
	switch {
	case s.LastError != "":
		s.Problem = "the views could not be compared with the ledger: " + s.LastError
	case s.Last != nil && s.Last.Differences > 0:
		s.Problem = fmt.Sprintf("%s differences in %s; `ledgerline views reconcile` names them, `ledgerline views "+
			"rebuild` makes views anew", terminal.Count(s.Last.Differences),
			strings.Join(slices.Sorted(maps.Keys(s.Last.Differing)), ", "))
	}
	return s
}

// Reconcile compares the views with the ledger. With deep ClickHouse recomputes each leaf from the
// bytes that it stores, and each event's origin is checked where the data directory has a vault: a
// machine that only knows the servers has none.
func Reconcile(
	ctx context.Context, c Config, deep bool,
) (_ reconcile.Result, err error) {
	defer c.Console.Done()
	s, err := Dial(c)
	if err != nil {
		return reconcile.Result{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var v *vault.Vault
	if deep && exists(c.VaultPath()) {
		if v, err = s.OpenVault(ctx, false); err != nil {
			return reconcile.Result{}, err
		}
	}
	l, err := s.OpenLedger(ctx, v)
	if err != nil {
		return reconcile.Result{}, err
	}
	views, err := s.OpenViews(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	cfg := reconcileConfig(l, views, c.Log)
	if v != nil {
		cfg.Judge = judge(l)
	}
	cfg.Name, cfg.Deep = "command", deep
	cfg.Progress = func(p reconcile.Progress) { c.Console.Show("%s", p) }
	r, err := reconcile.New(cfg)
	if err != nil {
		return reconcile.Result{}, err
	}
	return r.Run(ctx)
}

// ViewsAway says how the views are removed, so that the next start makes them anew.
func (c Config) ViewsAway() string {
	if c.Settings.ClickHouse.Address != "" {
		return "drop the database " + c.Settings.ClickHouse.Database
	}
	return "move " + c.Dir().Path(embedded.ClickHouseDir) + " away"
}

// NoViewError says that there is no view of a name.
type NoViewError struct {
	Name  string
	Known []string
}

func (e *NoViewError) Error() string {
	return fmt.Sprintf("there is no view %q: name some of %s, or all", e.Name, strings.Join(e.Known, ", "))
}

// Rebuild makes views anew, in that order, each beside the old one; none is all of them. It looks
// whether all are there before it begins, and tells each that is done.
func Rebuild(
	ctx context.Context, c Config, names []string, done func(view string),
) (err error) {
	defer c.Console.Done()
	s, err := Dial(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	views, err := s.OpenViews(ctx)
	if err != nil {
		return err
	}
	all, err := views.Views(ctx)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = all
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return &NoViewError{name, all}
		}
	}
	for _, name := range names {
		cfg := clickhouse.RebuildConfig{Projector: projectorName,
			Progress: func(part, of uint64) {
				c.Console.Show("%s: part %s of %s", name, terminal.Count(part), terminal.Count(of))
			}}
		if err := views.Rebuild(ctx, name, cfg); err != nil {
			return err
		}
		c.Console.Done()
		done(name)
	}
	return nil
}
