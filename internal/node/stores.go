package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/schemas"
)

// openVaultThatIs opens the vault where there is one. Where that belongs to a ledger whose
// event store should be in the data directory and is not, nothing is started: a server
// would begin a new store there.
func (n *Node) openVaultThatIs(ctx context.Context) error {
	c := n.cfg
	if _, err := os.Stat(c.VaultPath()); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var err error
	if n.Vault, err = n.opened.OpenVault(ctx, true); err != nil {
		return err
	}
	id, bound, err := n.Vault.Ledger(ctx)
	if err != nil || !bound || c.Settings.EventStore.Address != "" {
		return err
	}
	if _, err := os.Stat(c.EventStoreDir()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return Together(ctx, uuid.Nil, []Held{{Store: "the vault", Ledger: id, Anchor: n.vaultAnchor(ctx)}}, nil)
}

// vaultAnchor is what the vault noted, nil where it noted nothing.
func (n *Node) vaultAnchor(ctx context.Context) *schemas.Anchor {
	a, found, err := n.Vault.LoadAnchor(ctx)
	if err != nil || !found {
		return nil
	}
	return &a
}

// openStores opens the ledger with its vault and views. It first checks that whatever exists
// belongs together; only where nothing exists yet is anything made.
func (n *Node) openStores(ctx context.Context) error {
	c := n.cfg
	id, err := n.storedLedger(ctx)
	if err != nil {
		return err
	}
	if err := clickhouse.Migrate(ctx, n.services.ClickHouse); err != nil {
		return err
	}
	if n.Views, err = n.services.OpenViews(ctx); err != nil {
		return err
	}
	others, err := n.heldElsewhere(ctx, id)
	if err != nil {
		return err
	}
	// Whose they are comes before what they noted: the ledger can be asked for
	// that only with its own vault.
	owners := make([]Held, len(others))
	for i, h := range others {
		owners[i] = h
		if id != uuid.Nil {
			owners[i].Anchor = nil
		}
	}
	if err := Together(ctx, id, owners, nil); err != nil {
		return err
	}
	if n.Vault == nil {
		if id != uuid.Nil {
			file := c.VaultPath()
			return fmt.Errorf("%w:\nThe event store holds ledger %s, and its vault is missing. No new vault is "+
				"made beside it: that could open nothing. %sPut the newest copy back (%s and %s) and run `ledgerline "+
				"restore vault`",
				ErrApart, id, c.logLeft(), file, sqlite.SlotsPath(file))
		}
		if n.Vault, err = n.opened.OpenVault(ctx, true); err != nil {
			return err
		}
	}
	err = n.Follow(ctx, n.Vault, true)
	if errors.Is(err, ledger.ErrOtherVault) {
		return fmt.Errorf("%w:\n%s did not make the first event of ledger %s: it is new, or another ledger's. Put "+
			"the right one back and run `ledgerline restore vault`", ErrApart,
			c.VaultPath(), id)
	}
	if err != nil {
		return err
	}
	if err := Together(ctx, n.Ledger.ID(), others, n.Ledger.Holds); err != nil {
		return err
	}
	if err := n.Vault.Bind(ctx, n.Ledger.ID()); err != nil {
		return err
	}
	return n.vaultIsOfAge(ctx)
}

// vaultIsOfAge refuses a vault that is older than the ledger: one that lacks keys or erasures of
// events after its own anchor. What names a tenant that it does not know is told only: anybody who
// can write to the event store could forge that.
func (n *Node) vaultIsOfAge(ctx context.Context) error {
	acts, err := n.cfg.Custody(n.Ledger, n.Vault)
	if err != nil {
		return err
	}
	u, err := acts.LookForUnknown(ctx, n.Ledger.ID(), n.sinceVault(ctx))
	if err != nil {
		return err
	}
	n.strangers.noted(u.Strangers)
	if n.damagedKeys, err = n.opened.slots.DamagedSlots(ctx); err != nil {
		return err
	}
	var lacks []string
	if u.Events > 0 {
		lacks = append(lacks, fmt.Sprintf("%s events since %s name keys that it does not hold",
			terminal.Count(u.Events), u.Since.Local().Format(time.DateTime)))
	}
	if u.Orders > 0 {
		lacks = append(lacks, fmt.Sprintf("%s erasures were ordered that it has not carried out",
			terminal.Count(u.Orders)))
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("%w:\nThe vault is older than the ledger: %s. Put a newer copy back, or let `%s` bring this "+
		"one up to date", ErrApart, strings.Join(lacks, ", and "), n.cfg.Command("restore vault"))
}

// sinceVault yields what came after the vault's anchor: of a run that ended, what came in its last
// ten seconds.
func (n *Node) sinceVault(ctx context.Context) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		from, told := uint64(0), n.cfg.counting("asking the vault for what came since its own note")
		a := n.vaultAnchor(ctx)
		if a != nil {
			from = a.Seq + 1
		}
		for e, err := range n.Ledger.After(ctx, a) {
			if !yield(e, err) || err != nil {
				return
			}
			if done := e.Seq + 1 - from; done%1024 == 0 {
				told(done, max(done, n.Ledger.Counted()-min(from, n.Ledger.Counted())))
			}
		}
	}
}

// storedLedger returns the id of the ledger that the event store holds, the
// zero uuid where it holds none.
func (n *Node) storedLedger(ctx context.Context) (id uuid.UUID, err error) {
	probe := &Services{Endpoints: n.services.Endpoints, cfg: n.cfg}
	defer func() { err = errors.Join(err, probe.Close()) }()
	cfg, err := probe.LedgerConfig(nil, "")
	if err != nil {
		return id, err
	}
	l, err := ledger.Open(ctx, cfg)
	if errors.Is(err, ledger.ErrNoLedger) {
		return id, nil
	}
	if err != nil {
		return id, err
	}
	return l.ID(), l.Close()
}

// heldElsewhere gathers what vault, topics and views say of the ledger that they belong to; id
// is that of the event store's.
func (n *Node) heldElsewhere(ctx context.Context, id uuid.UUID) (out []Held, err error) {
	if n.Vault != nil {
		id, _, err := n.Vault.Ledger(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, Held{Store: "the vault", Ledger: id, Anchor: n.vaultAnchor(ctx),
			Remedy: "Put this ledger's vault back and run `ledgerline restore vault`"})
	}
	if id == uuid.Nil {
		// Beside a ledger the relay judges what was noted: it can tell a
		// forged note from an older ledger.
		topics, err := n.services.OpenKafka(datadir.Reader)
		if err != nil {
			return nil, err
		}
		for p, err := range topics.Positions(ctx) {
			if err != nil {
				return nil, fmt.Errorf("what Kafka noted: %w", err)
			}
			out = append(out, Held{Store: "Kafka", Ledger: p.Through.LedgerID, Anchor: &p.Through})
			break
		}
	}
	remedy := "Name this ledger's database (clickhouse.address, clickhouse.database)"
	if n.servers.ClickHouse != nil {
		remedy = fmt.Sprintf("The views are copies: move %s away, and they are filled from the topics",
			n.cfg.Dir().Path(embedded.ClickHouseDir))
	}
	switch anchor, ok, err := n.Views.Anchor(ctx); {
	case errors.Is(err, clickhouse.ErrOtherLedger):
		return nil, fmt.Errorf("%w:\n%w. %s", ErrApart, err, remedy)
	case err != nil: // views that contradict themselves are found by the comparison with the ledger
		n.cfg.Log.Warn("the views do not say how far they are", "error", err)
	case ok:
		out = append(out, Held{Store: "the views' database", Ledger: anchor.LedgerID,
			Anchor: &anchor, Remedy: remedy})
	}
	return out, nil
}

// anchorEvery is how often the vault notes how far the ledger has come.
const anchorEvery = 10 * time.Second

// anchorVault lets the vault note the ledger's end, every ten seconds and at the end: at the next
// start whatever came after it must name aliases that the vault knows.
func (n *Node) anchorVault(ctx context.Context) error {
	tick := time.NewTicker(anchorEvery)
	defer tick.Stop()
	var noted uint64
	for {
		select {
		case <-ctx.Done():
			return n.noteAnchor(context.WithoutCancel(ctx), &noted)
		case <-tick.C:
		}
		switch err := n.noteAnchor(ctx, &noted); {
		case errors.Is(err, vault.ErrOtherLedger):
			return err
		case err != nil && ctx.Err() == nil: // a busy vault; the next look repeats it
			n.cfg.Log.Warn("the vault did not note how far the ledger has come", "error", err)
		}
		if err := n.strangers.settle(ctx, n.Ledger); err != nil && ctx.Err() == nil {
			n.cfg.Log.Warn("events of unknown tenants could not be looked for among those that are disowned",
				"error", err)
		}
	}
}

// strangers are the events of tenants that the vault did not know at the start, until they are
// disowned.
type strangers struct {
	mu     sync.Mutex
	places []ledger.Place // guarded by mu
	forged uint64         // of settle's goroutine: the forged events when it looked last
}

func (s *strangers) noted(places []ledger.Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places = places
}

func (s *strangers) count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.places))
}

// settle takes out what was disowned since, which shows in the number of forged events.
func (s *strangers) settle(ctx context.Context, l *ledger.Ledger) error {
	forged := l.Forged().Count
	if s.count() == 0 || forged == s.forged {
		return nil
	}
	s.forged = forged
	disowned, err := ledger.Disowned(ctx, l, schemas.Default(), uuid.Nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places = slices.DeleteFunc(s.places, func(p ledger.Place) bool { return disowned[p] })
	return nil
}

// noteAnchor notes the last event that is published, where that is another than the one noted;
// noted is its number of events.
func (n *Node) noteAnchor(ctx context.Context, noted *uint64) error {
	s := n.relay.Status()
	if !s.Any || s.Through.Seq+1 == *noted {
		return nil
	}
	if err := n.Vault.SaveAnchor(ctx, s.Through); err != nil {
		return err
	}
	*noted = s.Through.Seq + 1
	return nil
}
