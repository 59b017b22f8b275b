package read

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
)

// DevicesAt implements projections.Reader. Latest values answer for every device of which none is
// newer than its moment; what others had is read from the history of all of them by one question.
func (db *Views) DevicesAt(
	ctx context.Context, tenant uuid.UUID, at []projections.DeviceAt, attributes ...string,
) ([]projections.Device, error) {
	if len(at) > projections.MaxDevicesAt {
		return nil, fmt.Errorf("devices at moments: %d, at most %d", len(at), projections.MaxDevicesAt)
	}
	out := make([]projections.Device, len(at))
	streams := make([]string, len(at))
	for i, d := range at {
		out[i], streams[i] = projections.Device{Stream: d.Stream}, string(d.Stream)
	}
	// answer fills in what the values of its stream tell of each device, all of them in order, and
	// returns the streams and the highest sequence of which too little is known.
	answer := func(values []held, complete bool) (open []string, through uint64) {
		of := byStream(values)
		for i, d := range at {
			if out[i].Values != nil {
				continue
			}
			values := of[string(d.Stream)]
			newer := slices.ContainsFunc(values, func(v held) bool { return !v.visible(d.AsOf) })
			if newer && !complete {
				open, through = append(open, string(d.Stream)), max(through, d.AsOf.Seq)
				continue
			}
			out[i].Values = valuesAt(values, d.AsOf)
		}
		return open, through
	}
	slices.Sort(streams)
	p := param.Set{"tenant": tenant, "streams": slices.Compact(streams)}
	of := " AND stream IN {streams:Array(String)}" + chosen(p, attributes, false)
	latest, err := ask.All(ask.ByKey(ctx), db.Asker, p, ofLatest+of+inOrder, readHeld)
	if err != nil {
		return nil, fmt.Errorf("devices at moments: %w", err)
	}
	open, through := answer(latest, false)
	if len(open) == 0 {
		return out, nil
	}
	slices.Sort(open)
	p["streams"], p["seq"] = slices.Compact(open), through
	history, err := ask.All(ask.ByKey(ctx), db.Asker, p, "SELECT "+heldColumns+` FROM attribute_history
		WHERE tenant = {tenant:UUID}`+of+" AND ledger_seq <= {seq:UInt64}"+inOrder+", ledger_seq", readHeld)
	if err != nil {
		return nil, fmt.Errorf("devices at moments: %w", err)
	}
	answer(history, true)
	return out, nil
}

func byStream(values []held) map[string][]held {
	out := map[string][]held{}
	for from := 0; from < len(values); {
		to := from
		for to < len(values) && values[to].stream == values[from].stream {
			to++
		}
		out[values[from].stream] = values[from:to]
		from = to
	}
	return out
}

// visible reports whether a value is one of those as of.
func (v held) visible(a projections.AsOf) bool {
	return v.Seq <= a.Seq && (a.Time.IsZero() || !v.Occurred.After(ask.Clamp(a.Time)))
}

// valuesAt returns what a device had as of, of its values by attribute, element and sequence.
// Where none was known by then, those of the first event up to the sequence that has some.
func valuesAt(values []held, a projections.AsOf) map[string][]projections.Held {
	seen := func(v held) bool { return v.visible(a) }
	if !slices.ContainsFunc(values, seen) {
		first := a.Seq
		for _, v := range values {
			if !v.removed {
				first = min(first, v.Seq)
			}
		}
		seen = func(v held) bool { return v.Seq == first }
	}
	var stands []held // the last of each place
	for _, v := range values {
		switch n := len(stands); {
		case !seen(v):
		case n > 0 && stands[n-1].attribute == v.attribute && stands[n-1].Element == v.Element:
			stands[n-1] = v
		default:
			stands = append(stands, v)
		}
	}
	out := map[string][]projections.Held{}
	for _, v := range stands {
		if !v.removed {
			out[v.attribute] = append(out[v.attribute], v.Held)
		}
	}
	return out
}

// ApplicationNames implements projections.Reader. It reads two columns of the period's actions.
func (db *Views) ApplicationNames(
	ctx context.Context, tenant uuid.UUID, ids []string, in projections.Period, asOf projections.AsOf,
) (map[string]projections.ApplicationName, error) {
	type named struct {
		id string
		projections.ApplicationName
	}
	p := ask.Period(ask.AsOf(tenant, asOf), in).With(param.Set{"ids": ids})
	found, err := ask.All(ctx, db.Asker, p, `SELECT application_id,
		argMax(event_id, ledger_seq), argMax(application_name, ledger_seq) FROM admin_action
		WHERE tenant = {tenant:UUID} AND application_id IN {ids:Array(String)} AND application_name != ''
		AND occurred_at >= {from:DateTime64(3, 'UTC')} AND occurred_at < {to:DateTime64(3, 'UTC')}
		AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')} GROUP BY application_id`,
		func(scan func(...any) error) (n named, err error) {
			return n, scan(&n.id, &n.Event, (*string)(&n.Name))
		})
	if err != nil {
		return nil, fmt.Errorf("names of applications: %w", err)
	}
	out := make(map[string]projections.ApplicationName, len(found))
	for _, n := range found {
		out[n.id] = n.ApplicationName
	}
	return out, nil
}
