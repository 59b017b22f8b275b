package read

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
	"github.com/ledgerline/ledgerline/schemas"
)

// FirstValues and MostValues are how many values of devices' states are read by one question: on
// the first page, and at most on those behind it, each twice as long. A question costs some ten
// milliseconds whatever it reads, and at each end of its page a granule of every part. What the
// history has to say stays short.
const FirstValues, MostValues = 5_000, 40_000

// held is a row of the attribute views.
type held struct {
	stream, attribute string
	removed           bool
	projections.Held
}

const heldColumns = "stream, attribute, element, value, removed, occurred_at, observed_at, ledger_seq"

func readHeld(scan func(...any) error) (h held, err error) {
	var removed uint8
	var value string
	err = scan(&h.stream, &h.attribute, &h.Element, &value, &removed, &h.Occurred, &h.Observed, &h.Seq)
	h.Text, h.removed = projections.Text(value), removed != 0
	return h, err
}

// chosen keeps the attributes asked for; none named means all, or all but the apps, which are
// many.
func chosen(p param.Set, attributes []string, all bool) string {
	switch p["attributes"] = attributes; {
	case len(attributes) > 0:
		return " AND attribute IN {attributes:Array(String)}"
	case all:
		return ""
	}
	return " AND attribute != 'device.app'"
}

// ofLatest asks for the latest values of streams, tombstones included. Its conditions are on keys.
const (
	ofLatest = "SELECT " + heldColumns + " FROM attribute_latest WHERE tenant = {tenant:UUID}"
	inOrder  = " ORDER BY stream, attribute, element"
)

// state returns the values, tombstones included, that the streams from first to last had as of.
// Their latest values answer where nothing in them is newer than asOf; else the history does.
// Without attributes: all, or all but the apps.
func (db *Views) state(ctx context.Context, tenant uuid.UUID, first, last string, asOf projections.AsOf,
	all bool, attributes ...string) ([]held, error) {
	p := ask.AsOf(tenant, asOf).With(param.Set{"first": first, "last": last})
	streams := " AND stream >= {first:String} AND stream <= {last:String}" + chosen(p, attributes, all)
	if asOf.Time.IsZero() {
		out, err := ask.All(ask.ByKey(ctx), db.Asker, p, ofLatest+streams+inOrder, readHeld)
		if err != nil || !later(out, asOf) {
			return out, err
		}
	}
	return ask.All(ask.ByKey(ctx), db.Asker, p,
		"SELECT "+heldColumns+" FROM attribute_history WHERE tenant = {tenant:UUID}"+
			streams+" AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}"+
			inOrder+", ledger_seq DESC LIMIT 1 BY stream, attribute, element", readHeld)
}

// later reports whether latest values may be others than those as of.
func later(values []held, asOf projections.AsOf) bool {
	return len(values) > 0 && !asOf.Time.IsZero() ||
		slices.ContainsFunc(values, func(v held) bool { return v.Seq > asOf.Seq })
}

// Devices implements projections.Reader.
func (db *Views) Devices(ctx context.Context, tenant uuid.UUID, asOf projections.AsOf,
	attributes ...string) iter.Seq2[projections.Device, error] {
	return db.entities(ctx, tenant, "device", asOf, attributes)
}

// Accounts implements projections.Reader.
func (db *Views) Accounts(ctx context.Context, tenant uuid.UUID, asOf projections.AsOf,
	attributes ...string) iter.Seq2[projections.Account, error] {
	return db.entities(ctx, tenant, "account", asOf, attributes)
}

// entities yields the states of all entities of a kind.
func (db *Views) entities(ctx context.Context, tenant uuid.UUID, kind string, asOf projections.AsOf,
	attributes []string) iter.Seq2[projections.Device, error] {
	return func(yield func(projections.Device, error) bool) {
		// "device-" is before every device's stream, "device." behind them.
		for after, limit := kind+"-", db.First; after != ""; {
			values, last, err := db.latestBehind(ctx, tenant, after, kind+".", limit, attributes)
			after, limit = last, min(2*limit, db.Most)
			if later(values, asOf) {
				values, err = db.state(ctx, tenant, values[0].stream, values[len(values)-1].stream, asOf, false,
					attributes...)
				limit = db.First
			}
			if err != nil {
				yield(projections.Device{}, fmt.Errorf("%ss: %w", kind, err))
				return
			}
			for _, d := range devicesOf(values) {
				if !yield(d, nil) {
					return
				}
			}
		}
	}
}

// latestBehind returns the latest values of the entities between two streams, at most so many but
// for those of one, and the last of these entities, "" where no more follow.
func (db *Views) latestBehind(ctx context.Context, tenant uuid.UUID, after, before string, limit int,
	attributes []string) (values []held, last string, err error) {
	p := param.Set{"tenant": tenant, "after": after, "before": before, "limit": limit}
	values, err = ask.All(ask.PagedByKey(ctx), db.Asker, p,
		ofLatest+" AND stream > {after:String} AND stream < {before:String}"+
			chosen(p, attributes, false)+inOrder+" LIMIT {limit:UInt64}", readHeld)
	if err != nil || len(values) < limit {
		return values, "", err
	}
	cut := values[limit-1].stream // there may be more of it
	at := slices.IndexFunc(values, func(v held) bool { return v.stream == cut })
	if at == 0 {
		values, err = db.state(ctx, tenant, cut, cut, projections.AsOf{Seq: math.MaxUint64}, false, attributes...)
		return values, cut, err
	}
	return values[:at], values[at-1].stream, nil
}

// devicesOf groups values that are ordered by stream. A device of which nothing is set
// yet, or any more, is none.
func devicesOf(values []held) []projections.Device {
	var out []projections.Device
	for _, v := range values {
		if v.removed {
			continue
		}
		if n := len(out); n == 0 || string(out[n-1].Stream) != v.stream {
			out = append(out, projections.Device{Stream: schemas.Stream(v.stream),
				Values: map[string][]projections.Held{}})
		}
		d := out[len(out)-1]
		d.Values[v.attribute] = append(d.Values[v.attribute], v.Held)
	}
	return out
}

// Device implements projections.Reader.
func (db *Views) Device(ctx context.Context, tenant uuid.UUID, stream schemas.Stream,
	asOf projections.AsOf) (projections.Device, bool, error) {
	values, err := db.state(ctx, tenant, string(stream), string(stream), asOf, true)
	if err != nil {
		return projections.Device{}, false, fmt.Errorf("device %s: %w", stream, err)
	}
	if devices := devicesOf(values); len(devices) > 0 {
		return devices[0], true, nil
	}
	return projections.Device{}, false, nil
}

// Apps implements projections.Reader.
func (db *Views) Apps(ctx context.Context, tenant uuid.UUID, stream schemas.Stream,
	asOf projections.AsOf) iter.Seq2[projections.Held, error] {
	return func(yield func(projections.Held, error) bool) {
		// One device's apps are a few hundred: no pages.
		values, err := db.state(ctx, tenant, string(stream), string(stream), asOf, false, "device.app")
		if err != nil {
			yield(projections.Held{}, fmt.Errorf("apps of %s: %w", stream, err))
			return
		}
		for _, v := range values {
			if !v.removed && !yield(v.Held, nil) {
				return
			}
		}
	}
}

// Tenant implements projections.Reader.
func (db *Views) Tenant(ctx context.Context, tenant uuid.UUID,
	asOf projections.AsOf) (map[string]projections.Held, error) {
	values, err := db.state(ctx, tenant, "tenant-", "tenant.", asOf, true)
	if err != nil {
		return nil, fmt.Errorf("state of the tenant: %w", err)
	}
	out := map[string]projections.Held{}
	for _, v := range values {
		if have, ok := out[v.attribute]; !v.removed && (!ok || have.Seq < v.Seq) {
			out[v.attribute] = v.Held
		}
	}
	return out, nil
}

// DeviceHistory implements projections.Reader. It reads the stream's events from their beginning,
// since what a value was before the period is part of the answer, and holds the device's state,
// not its history.
func (db *Views) DeviceHistory(ctx context.Context, tenant uuid.UUID, stream schemas.Stream, in projections.Period,
	attributes []string,
	asOf projections.AsOf) iter.Seq2[projections.Change, error] {
	p := ask.Period(param.Set{}, in)
	from, to := p["from"].(time.Time), p["to"].(time.Time)
	return func(yield func(projections.Change, error) bool) {
		state := map[[2]string]*projections.Held{}
		for e, err := range db.EventsByStreams(ctx, tenant, []schemas.Stream{stream}, asOf) {
			if err != nil {
				yield(projections.Change{}, fmt.Errorf("history of %s: %w", stream, err))
				return
			}
			c := projections.Change{Fact: e.Fact, Recorded: e.Recorded, Source: e.Source, Causation: e.Causation,
				Subjects: e.Subjects}
			slices.SortStableFunc(e.Values, func(a, b projections.Value) int {
				return cmp.Or(strings.Compare(a.Attribute, b.Attribute), strings.Compare(a.Element, b.Element))
			})
			for _, v := range e.Values {
				if len(attributes) > 0 && !slices.Contains(attributes, v.Attribute) {
					continue
				}
				at := [2]string{v.Attribute, v.Element}
				c.Attribute, c.Element, c.Old, c.New = v.Attribute, v.Element, state[at], nil
				if !v.Removed {
					c.New = &projections.Held{Element: v.Element, Text: projections.Text(v.Text), Seq: e.Seq,
						Occurred: e.Occurred, Observed: v.Observed}
				}
				state[at] = c.New
				if !e.Occurred.Before(from) && e.Occurred.Before(to) && !yield(c, nil) {
					return
				}
			}
		}
	}
}
