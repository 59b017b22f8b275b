// Package intake owns how source records come into the ledger: it reads them, lets their kinds
// plan what they add, in batches, appends that, and accounts for each record once.
//
// It may lose nothing that it acknowledged: a record counts as recorded only after its last
// append, and whatever dies before that is found missing and appended when the same source is read
// again. It keeps no state of its own but a bounded, short-lived cache. It trusts the ledger and
// the vault, and nothing of what a source says: every value is parsed, bounded, and sealed unless
// the catalogue lets it stand open. The rules are those of docs/FORMATS.md, §§1 to 4; this
// folder's DESIGN.md says how they are kept.
package intake

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Ledger is what intake needs of the ledger.
type Ledger interface {
	// Append stores the events, all or none; errors as of ledger.Store.
	Append(ctx context.Context, s schemas.Stream, expect ledger.Expect, events []schemas.Event) (last uint64,
		err error)
	// ReadStream yields the stream's events from that revision on, whosever they are; a stream
	// that does not exist yields nothing. Judge tells which are the ledger's own.
	ledger.Reader
}

// Names of the crash points at which Config.Hook is called.
const (
	PointPlanned   = "intake-planned"   // everything planned, the vault's transaction not yet committed
	PointCommitted = "intake-committed" // the vault knows, the ledger does not
	PointRefused   = "intake-refused"   // refusals appended, devices and facts not
	PointAppended  = "intake-appended"  // after each append of a device or fact
	PointDone      = "intake-done"      // a batch is complete
)

// Config is what intake needs.
type Config struct {
	Ledger    Ledger
	Vault     *vault.Vault
	Kinds     []plan.Kind        // what is taken in
	Catalogue *schemas.Catalogue // defaults to schemas.Default()
	Clock     func() time.Time
	Logger    *slog.Logger
	Workers   int // appends at a time; 512 where 0: the event store takes what comes together in one go
	BatchSize int // records a vault transaction; 512 where 0
	// called at the named crash points, from one goroutine at a time; its error ends the import
	Hook     func(point string) error
	Observer Observer // nobody where nil
}

// Validate joins everything that is missing or out of range.
func (c Config) Validate() error {
	var errs []error
	for _, m := range []struct {
		missing bool
		name    string
	}{{c.Ledger == nil, "Ledger"}, {c.Vault == nil, "Vault"}, {c.Clock == nil, "Clock"}, {c.Logger == nil, "Logger"}} {
		if m.missing {
			errs = append(errs, errors.New("intake config: "+m.name+" is missing"))
		}
	}
	if len(c.Kinds) == 0 {
		errs = append(errs, errors.New("intake config: Kinds is empty"))
	}
	if c.Workers < 0 || c.BatchSize < 0 {
		errs = append(errs, errors.New("intake config: Workers and BatchSize may not be negative"))
	}
	return errors.Join(errs...)
}

// Intake takes records in. It is safe for concurrent use.
type Intake struct {
	cfg    Config
	states *stateCache
	kinds  *plan.Kinds
	forms  *source.Recogniser // of all kinds
	large  chan struct{}      // held by who reads a large stream

	unlimited bool // without the daily limit; tests alone set it
	keepEvery int  // likewise
	hands     int  // goroutines that encode beside the planning
	maxKnown  int  // likewise
}

// New returns an intake on the given ledger and vault.
func New(c Config) (*Intake, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Workers, c.BatchSize = cmp.Or(c.Workers, 512), cmp.Or(c.BatchSize, 512)
	if c.Catalogue == nil {
		c.Catalogue = schemas.Default()
	}
	if c.Hook == nil {
		c.Hook = func(string) error { return nil }
	}
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	c.Ledger = observedLedger{c.Ledger, c.Observer, c.Clock}
	all := plan.NewKinds(c.Catalogue, c.Kinds)
	return &Intake{cfg: c, states: newStateCache(), kinds: all, forms: source.NewRecogniser(all.Forms()),
		large: make(chan struct{}, 1), keepEvery: keepEvery, hands: runtime.GOMAXPROCS(0) - 1,
		maxKnown: maxKnownBytes}, nil
}

func sortedKeys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
