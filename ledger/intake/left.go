package intake

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Limits of what an import notes of the events that it leaves out.
const (
	maxLeftStreams = 1 << 16 // beyond them nothing more is counted
	maxLeftLogged  = 100     // named in the log
)

// leftOut accounts for the events that an import left out of the streams it read, each once
// however often its stream was read: a reading replaces what an earlier one of the same stream
// counted.
type leftOut struct {
	logger   *slog.Logger
	disowned map[uuid.UUID]bool // known already, and told apart

	mu      sync.Mutex // guards what follows
	streams map[schemas.Stream]ledger.LeftOut
	full    bool
	logged  map[ledger.LeftEvent]bool
}

func newLeftOut(logger *slog.Logger) *leftOut {
	return &leftOut{logger: logger, disowned: map[uuid.UUID]bool{}, streams: map[schemas.Stream]ledger.LeftOut{},
		logged: map[ledger.LeftEvent]bool{}}
}

// note takes in what a reading of the stream left out.
func (o *leftOut) note(s schemas.Stream, left ledger.LeftOut) {
	if left.Count() == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.streams[s]; !known && len(o.streams) == maxLeftStreams {
		o.full = true
		return
	}
	o.streams[s] = left
	for _, e := range left.First {
		if o.logged[e] || len(o.logged) == maxLeftLogged {
			continue
		}
		o.logged[e] = true
		o.logger.Warn("an event of a stream is not acted on", "event", e.ID, "stream", e.Stream, "revision",
			e.Revision,
			"why", e.Verdict.String())
		if len(o.logged) == maxLeftLogged {
			o.logger.Warn("further events that are not acted on are counted and no longer named",
				"named", maxLeftLogged)
		}
	}
}

// counts returns how many events were left out, by why, and whether there were too
// many streams to count them all.
func (o *leftOut) counts() (by map[string]int, full bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	by = map[string]int{}
	for _, left := range o.streams {
		for v, n := range left.By {
			if n > 0 {
				by[ledger.Verdict(v).String()] += int(n)
			}
		}
		if left.Disowned > 0 {
			by["disowned"] += int(left.Disowned)
		}
	}
	return by, o.full
}

// begin checks, before anything is read from the source, that the vault is the one which the
// tenant's events were written with, and returns the account of what the import leaves out.
func (in *Intake) begin(ctx context.Context, tenant vault.Tenant) (*leftOut, error) {
	o := newLeftOut(in.cfg.Logger)
	s := schemas.NewStream("tenant", tenant.ID)
	genuine := false
	var reading ledger.Reading
	for own, err := range ledger.ReadGenuine(ctx, in.cfg.Ledger, in.cfg.Catalogue, s, tenant.ID, &reading) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", s, err)
		}
		genuine = genuine || own.Type == registered
	}
	if reading.Left.By[ledger.Forged] > 0 && !genuine {
		return nil, fmt.Errorf("the registration of tenant %s in the ledger was not made with this vault: %w",
			tenant.ID, ledger.ErrOtherVault)
	}
	disowned, err := ledger.Disowned(ctx, in.cfg.Ledger, in.cfg.Catalogue, tenant.ID)
	if err != nil {
		return nil, err
	}
	for p := range disowned {
		o.disowned[p.Event] = true
	}
	return o, nil
}

// registered is the type of the event that a tenant begins with.
const registered = "tenant.registered.v1"
