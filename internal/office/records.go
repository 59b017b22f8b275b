package office

import (
	"context"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/schemas"
)

// Pace is how an import goes; zero values are intake's own.
type Pace struct {
	Workers int // appends at a time
	Batch   int // records a transaction of the vault
}

// Import takes records into the tenant's ledger; intake.Import says what it returns.
func (o *Office) Import(
	ctx context.Context, p access.Principal, tenant uuid.UUID, src intake.Source, pace Pace,
	progress func(intake.Summary),
) (intake.Summary, error) {
	if err := p.Can(access.Import, tenant); err != nil {
		return intake.Summary{}, err
	}
	l, _, err := o.acts()
	if err != nil {
		return intake.Summary{}, err
	}
	in, err := intake.New(intake.Config{Kinds: kinds.All(schemas.Default()), Ledger: l, Vault: o.cfg.Vault,
		Clock: o.cfg.Clock, Logger: o.cfg.Logger, Workers: pace.Workers, BatchSize: pace.Batch,
		Hook: o.cfg.ImportHook, Observer: o.cfg.Observer})
	if err != nil {
		return intake.Summary{}, err
	}
	t, err := o.cfg.Vault.TenantByID(ctx, tenant)
	if err != nil {
		return intake.Summary{}, err
	}
	return in.Import(ctx, t, src, progress)
}
