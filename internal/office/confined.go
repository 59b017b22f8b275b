package office

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// confined answers from the views for one tenant, and refuses every question about another. The
// projections name the tenant in each query; this is what holds whatever a report asks. A method
// of Views that names a tenant and is not here fails a test.
type confined struct {
	Views
	tenant uuid.UUID
}

func (c confined) refuse(tenant uuid.UUID) error {
	if tenant == c.tenant && tenant != uuid.Nil {
		return nil
	}
	return &access.Denied{Code: access.NotTheirs, Action: access.ReadMasked}
}

// only hands over what seq yields where err is nil, and else err.
func only[T any](err error, seq func() iter.Seq2[T, error]) iter.Seq2[T, error] {
	if err == nil {
		return seq()
	}
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}

func (c confined) SeqOf(ctx context.Context, tenant, event uuid.UUID) (uint64, bool, error) {
	if err := c.refuse(tenant); err != nil {
		return 0, false, err
	}
	return c.Views.SeqOf(ctx, tenant, event)
}

func (c confined) RawEventsAt(
	ctx context.Context, tenant uuid.UUID, seqs []uint64,
) iter.Seq2[schemas.Envelope, error] {
	return only(c.refuse(tenant), func() iter.Seq2[schemas.Envelope, error] {
		return c.Views.RawEventsAt(ctx, tenant, seqs)
	})
}

func (c confined) EventsByStreams(
	ctx context.Context, tenant uuid.UUID, streams []schemas.Stream, asOf projections.AsOf,
) iter.Seq2[projections.Event, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.Event, error] {
		return c.Views.EventsByStreams(ctx, tenant, streams, asOf)
	})
}

func (c confined) EventsByAliases(
	ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID, asOf projections.AsOf,
) iter.Seq2[projections.Event, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.Event, error] {
		return c.Views.EventsByAliases(ctx, tenant, aliases, asOf)
	})
}

func (c confined) Devices(
	ctx context.Context, tenant uuid.UUID, asOf projections.AsOf, attributes ...string,
) iter.Seq2[projections.Device, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.Device, error] {
		return c.Views.Devices(ctx, tenant, asOf, attributes...)
	})
}

func (c confined) DevicesAt(
	ctx context.Context, tenant uuid.UUID, at []projections.DeviceAt, attributes ...string,
) ([]projections.Device, error) {
	if err := c.refuse(tenant); err != nil {
		return nil, err
	}
	return c.Views.DevicesAt(ctx, tenant, at, attributes...)
}

func (c confined) RemoteActions(
	ctx context.Context, tenant uuid.UUID, f projections.RemoteFilter, asOf projections.AsOf,
) iter.Seq2[projections.RemoteAction, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.RemoteAction, error] {
		return c.Views.RemoteActions(ctx, tenant, f, asOf)
	})
}

func (c confined) ApplicationNames(
	ctx context.Context, tenant uuid.UUID, ids []string, in projections.Period, asOf projections.AsOf,
) (map[string]projections.ApplicationName, error) {
	if err := c.refuse(tenant); err != nil {
		return nil, err
	}
	return c.Views.ApplicationNames(ctx, tenant, ids, in, asOf)
}

func (c confined) DeviceHistory(
	ctx context.Context, tenant uuid.UUID, stream schemas.Stream, in projections.Period, attributes []string,
	asOf projections.AsOf,
) iter.Seq2[projections.Change, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.Change, error] {
		return c.Views.DeviceHistory(ctx, tenant, stream, in, attributes, asOf)
	})
}

func (c confined) AdminActions(
	ctx context.Context, tenant uuid.UUID, in projections.Period, filter projections.ActionFilter,
	asOf projections.AsOf,
) iter.Seq2[projections.AdminAction, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.AdminAction, error] {
		return c.Views.AdminActions(ctx, tenant, in, filter, asOf)
	})
}

func (c confined) Refusals(
	ctx context.Context, tenant uuid.UUID, in projections.Period, rules []string, asOf projections.AsOf,
) iter.Seq2[projections.Refusal, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.Refusal, error] {
		return c.Views.Refusals(ctx, tenant, in, rules, asOf)
	})
}

func (c confined) Accounts(
	ctx context.Context, tenant uuid.UUID, asOf projections.AsOf, attributes ...string,
) iter.Seq2[projections.Account, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.Account, error] {
		return c.Views.Accounts(ctx, tenant, asOf, attributes...)
	})
}

func (c confined) Access(
	ctx context.Context, tenant uuid.UUID, in projections.Period, filter projections.AccessFilter,
	asOf projections.AsOf,
) iter.Seq2[projections.AccessRun, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.AccessRun, error] {
		return c.Views.Access(ctx, tenant, in, filter, asOf)
	})
}

func (c confined) Requests(
	ctx context.Context, tenant uuid.UUID, asOf projections.AsOf,
) iter.Seq2[projections.RequestAct, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.RequestAct, error] {
		return c.Views.Requests(ctx, tenant, asOf)
	})
}

func (c confined) Entities(
	ctx context.Context, tenant uuid.UUID, kind string, asOf projections.AsOf, attributes ...string,
) iter.Seq2[projections.Entity, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.Entity, error] {
		return c.Views.Entities(ctx, tenant, kind, asOf, attributes...)
	})
}

func (c confined) Alerts(
	ctx context.Context, tenant uuid.UUID, in projections.Period, f projections.AlertFilter, asOf projections.AsOf,
) iter.Seq2[projections.Alert, error] {
	return only(c.refuse(tenant), func() iter.Seq2[projections.Alert, error] {
		return c.Views.Alerts(ctx, tenant, in, f, asOf)
	})
}

func (c confined) Disagreements(
	ctx context.Context, tenant uuid.UUID, in projections.Period, but []string, asOf projections.AsOf,
) ([]projections.Disagreement, error) {
	if err := c.refuse(tenant); err != nil {
		return nil, err
	}
	return c.Views.Disagreements(ctx, tenant, in, but, asOf)
}

func (c confined) LastActs(
	ctx context.Context, tenant uuid.UUID, asOf projections.AsOf,
) (map[uuid.UUID]time.Time, error) {
	if err := c.refuse(tenant); err != nil {
		return nil, err
	}
	return c.Views.LastActs(ctx, tenant, asOf)
}
