package restore

import (
	"context"
	"errors"
	"os"

	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/node"
)

// checkLedger refuses a data directory that holds no ledger, before anything is made in it.
func checkLedger(c node.Config) error {
	dir, what := c.Settings.Data, "data directory"
	if c.Settings.EventStore.Address == "" {
		dir, what = c.Dir().Path(embedded.EventStoreDir), "event store"
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return &Problem{Code: ErrNoLedger, Path: c.Settings.Data, Lacks: what, At: dir}
	}
	return err
}

// Refilled is what became of topics.
type Refilled struct {
	Emptied int      // topics; the next `up` fills them
	Filled  []string // topics that were recreated and filled
}

// Topics recreates those topics that lost something, and those named, and fills them from the
// ledger; or, with everything, empties all of them, whatever they hold. Nothing else may use the
// data directory.
func Topics(ctx context.Context, c node.Config, everything bool, topics []string) (doc Refilled, err error) {
	if err := checkLedger(c); err != nil {
		return doc, err
	}
	err = node.Offline(ctx, c, false, func(n *node.Node) error {
		if err := n.Follow(ctx, nil, false); err != nil {
			return err
		}
		r, err := n.OpenRelay()
		if err != nil {
			return err
		}
		if everything {
			emptied, err := r.RefillAll(ctx)
			doc.Emptied = len(emptied)
			return err
		}
		doc.Filled, err = r.Refill(ctx, topics...)
		return err
	})
	return doc, err
}
