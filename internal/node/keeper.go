package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/projections"
)

// OpenRelay makes the relay between the node's ledger and its broker, without starting it.
func (n *Node) OpenRelay() (*relay.Relay, error) {
	cfg, err := n.services.Kafka(datadir.Relay)
	if err != nil {
		return nil, err
	}
	cfg.Foreign = new(consumers.ForeignCount)
	client, err := kafka.New(cfg)
	if err != nil {
		return nil, err
	}
	n.services.OnClose(client.Close)
	rc := relay.Config{Ledger: n.Ledger, Publisher: client, Logger: n.cfg.Log.With("part", "relay"),
		Hook: CrashHook(n.cfg.Log), Foreign: cfg.Foreign, Progress: n.cfg.counting("filling topics again")}
	if s := n.servers.Kafka; s != nil {
		rc.Trim = func(ctx context.Context, before int64) error {
			return s.Trim(ctx, consumers.PositionTopic, 0, before)
		}
	}
	return relay.New(rc)
}

// checkRelay looks at the topics before the relay starts. What this machine's own broker lost is
// filled again at once; a loss elsewhere is shown by status and stops nothing else.
func (n *Node) checkRelay(ctx context.Context) error {
	err := n.relay.Check(ctx)
	switch {
	case errors.Is(err, relay.ErrDataLoss) && n.servers.Kafka != nil:
		n.cfg.Console.Say("the embedded broker has lost topics; they are filled again from the ledger")
		topics, err := n.relay.Refill(ctx)
		if err != nil {
			return err
		}
		n.cfg.Console.Say("filled again: %d topics", len(topics))
	case errors.Is(err, relay.ErrDataLoss):
		n.cfg.Console.Say("PROBLEM: %v\nThe broker is not this machine's own: find out why. "+
			"Nothing is published until then", err)
	default:
		return err
	}
	return nil
}

// keepRelay runs the relay, whatever happens to the topics.
func (n *Node) keepRelay(ctx context.Context) error {
	k := keeper{relay: n.relay, own: n.servers.Kafka != nil, log: n.cfg.Log.With("part", "relay"),
		wait:      10 * time.Second,
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
	wait      time.Duration // at most, before the relay is started again

	refilled map[string]bool // topics filled again because of a conflict: once each
}

// run returns when ctx ends, or where the ledger is not the one that the topics were filled from.
func (k *keeper) run(ctx context.Context) error {
	k.refilled = map[string]bool{}
	again := retry.Policy{First: k.wait, Longest: k.wait}.Begin()
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
		k.log.Error("the relay has stopped and is started again", "error", err, "within", k.wait)
		if again.Wait(ctx) != nil {
			return nil
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
