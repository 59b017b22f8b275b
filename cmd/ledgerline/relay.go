package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/projections"
)

func newRelay(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Fill topics again that the broker has lost",
	}
	cmd.AddCommand(newRefill(a))
	return cmd
}

func newRefill(a *app) *cobra.Command {
	everything := false
	cmd := &cobra.Command{
		Use:   "refill [TOPIC…]",
		Short: "Recreate topics that lost something and fill them from the ledger",
		Long: `refill recreates every topic that holds less than what was noted as published, and those named, and fills
each with all of its events from the ledger, in order. What others wrote into them is gone then; ledger.position may be
named too. Consumers see the events again and drop them by their sequence. Nothing else may run on the data directory
meanwhile: stop "ledgerline up" first. It does not lose anything when it is interrupted; run it again.

--everything is for topics that hold what this ledger does not: those of another ledger, or of this one before an older
copy of it was put back. They are all emptied, what only they hold is lost, and the next "ledgerline up" fills them.`,
		Example: `  ledgerline relay refill
  ledgerline relay refill ledger.device`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, topics []string) error {
			for _, t := range topics {
				if t != consumers.PositionTopic && !slices.Contains(consumers.EventTopics(), t) {
					return usage("%q is not a topic of the ledger, such as ledger.device", t)
				}
			}
			if everything && len(topics) > 0 {
				return usage("--everything names every topic: name none beside it")
			}
			return a.refill(cmd.Context(), cmd.OutOrStdout(), everything, topics)
		},
	}
	cmd.Flags().BoolVar(&everything, "everything", false,
		"empty all topics, whatever they hold; the next up fills them")
	return cmd
}

// checkLedger refuses a data directory that holds no ledger, before anything is made in it.
func (a *app) checkLedger() error {
	dir, what := a.cfg.Data, "data directory"
	if a.cfg.EventStore.Address == "" {
		dir, what = a.dir().Path(embedded.EventStoreDir), "event store"
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return usage("there is no ledger in %s (no %s at %s): name the right directory with --data, "+
			"or make a ledger with `ledgerline up`",
			a.cfg.Data, what, dir)
	}
	return err
}

func (a *app) refill(ctx context.Context, out io.Writer, everything bool, topics []string) (err error) {
	if err := a.checkLedger(); err != nil {
		return err
	}
	lock, err := a.dir().Lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	n := a.newNode(lock)
	defer func() { err = errors.Join(err, n.stop()) }()
	if _, err := n.startServers(ctx, out, false); err != nil {
		return err
	}
	if n.ledger, err = a.openFollowing(ctx, n.services, nil, false, out); err != nil {
		return err
	}
	if err := n.openRelay(); err != nil {
		return err
	}
	if everything {
		emptied, err := n.relay.RefillAll(ctx)
		if err == nil {
			fmt.Fprintf(out, "emptied %d topics; the next `ledgerline up` fills them\n", len(emptied))
		}
		return err
	}
	filled, err := n.relay.Refill(ctx, topics...)
	if err != nil {
		return err
	}
	if len(filled) == 0 {
		fmt.Fprintln(out, "no topic has lost anything")
	}
	for _, t := range filled {
		fmt.Fprintf(out, "filled again %s\n", t)
	}
	return nil
}

// openRelay makes the relay between the node's ledger and its broker, without starting it.
func (n *runningNode) openRelay() error {
	cfg, err := n.services.kafka(datadir.Relay)
	if err != nil {
		return err
	}
	cfg.Foreign = new(consumers.ForeignCount)
	client, err := kafka.New(cfg)
	if err != nil {
		return err
	}
	n.services.onClose(client.Close)
	rc := relay.Config{Ledger: n.ledger, Publisher: client, Logger: n.a.log.With("part", "relay"),
		Hook: crashHook(n.a.log), Foreign: cfg.Foreign}
	if s := n.servers.Kafka; s != nil {
		rc.Trim = func(ctx context.Context, before int64) error {
			return s.Trim(ctx, consumers.PositionTopic, 0, before)
		}
	}
	n.relay, err = relay.New(rc)
	return err
}

// checkRelay looks at the topics before the relay starts. What this machine's own broker lost is
// filled again at once; a loss elsewhere is shown by status and stops nothing else.
func (n *runningNode) checkRelay(ctx context.Context, out io.Writer) error {
	err := n.relay.Check(ctx)
	switch {
	case errors.Is(err, relay.ErrDataLoss) && n.servers.Kafka != nil:
		fmt.Fprintln(out, "the embedded broker has lost topics; they are filled again from the ledger")
		topics, err := n.relay.Refill(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "filled again: %d topics\n", len(topics))
	case errors.Is(err, relay.ErrDataLoss):
		fmt.Fprintf(out, "PROBLEM: %v\nThe broker is not this machine's own: find out why. "+
			"Nothing is published until then\n", err)
	default:
		return err
	}
	return nil
}

// keepRelay runs the relay, whatever happens to the topics.
func (n *runningNode) keepRelay(ctx context.Context) error {
	k := keeper{relay: n.relay, own: n.servers.Kafka != nil, log: n.a.log.With("part", "relay"), wait: 10 * time.Second,
		conflicts: func() []projections.Conflict { return n.project.Status().Conflicts }}
	return k.run(ctx)
}

// keeper starts a relay again that ended, and fills topics of this machine's own broker again.
// Owned by run's goroutine.
type keeper struct {
	relay interface {
		Run(ctx context.Context) error
		Refill(ctx context.Context, topics ...string) ([]string, error)
	}
	own       bool // the broker is this machine's own: its topics are disposable
	conflicts func() []projections.Conflict
	log       *slog.Logger
	wait      time.Duration // before the relay is started again

	refilled map[string]bool // topics filled again because of a conflict: once each
}

// run returns when ctx ends, or where the ledger is not the one that the topics were filled from.
func (k *keeper) run(ctx context.Context) error {
	k.refilled = map[string]bool{}
	for {
		err := k.runOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, relay.ErrDiverged), errors.Is(err, ledger.ErrDiverged):
			return err
		case errors.Is(err, relay.ErrDataLoss) && k.own:
			k.log.Warn("the embedded broker has lost topics; they are filled again from the ledger", "error", err)
			if err = k.refill(ctx); err == nil {
				continue
			}
		}
		if err == nil {
			continue
		}
		k.log.Error("the relay has stopped and is started again", "error", err, "wait", k.wait)
		t := time.NewTimer(k.wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// runOnce runs the relay until it ends, or until a conflict is to be ended by filling its topics
// again, which it does.
func (k *keeper) runOnce(ctx context.Context) error {
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- k.relay.Run(run) }()
	look := time.NewTicker(min(k.wait, time.Second))
	defer look.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-look.C:
			topics := k.contradicted()
			if len(topics) == 0 {
				continue
			}
			cancel()
			if err := <-done; err != nil {
				return err
			}
			k.log.Warn("somebody else's records contradict the ledger's; the topics are filled again, once",
				"topics", topics)
			return k.refill(ctx, topics...)
		}
	}
}

// contradicted returns the topics of conflicts, where they are this machine's own and were not
// filled again before.
func (k *keeper) contradicted() (topics []string) {
	if !k.own {
		return nil
	}
	for _, c := range k.conflicts() {
		for _, partition := range []string{c.Partition, c.With} {
			topic, _, _ := strings.Cut(partition, "/")
			if slices.Contains(consumers.EventTopics(), topic) && !k.refilled[topic] {
				k.refilled[topic] = true
				topics = append(topics, topic)
			}
		}
	}
	return topics
}

func (k *keeper) refill(ctx context.Context, topics ...string) error {
	filled, err := k.relay.Refill(ctx, topics...)
	if err == nil {
		k.log.Info("filled again from the ledger", "topics", filled)
	}
	return err
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

// foreignLines says where records lie that are none of the ledger's, each partition once: relay and
// projector meet the same ones.
func foreignLines(found []consumers.Foreign, views []projections.Foreign) []string {
	all := slices.Clone(found)
	for _, f := range views {
		topic, partition, err := splitPartition(f.Partition)
		if err != nil {
			continue
		}
		c := consumers.Foreign{Topic: topic, Partition: partition, Count: f.Count, First: f.First, Last: f.Last}
		at := slices.IndexFunc(all, func(o consumers.Foreign) bool {
			return o.Topic == topic &&
				o.Partition == partition
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
