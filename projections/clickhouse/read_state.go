package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// streamPage is how many devices' states are held at a time: some ten thousand values.
const streamPage = 500

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
func chosen(p params, attributes []string, all bool) string {
	switch p["attributes"] = attributes; {
	case len(attributes) > 0:
		return " AND attribute IN {attributes:Array(String)}"
	case all:
		return ""
	}
	return " AND attribute != 'device.app'"
}

// state returns the values, tombstones included, that the streams from first to last had as of.
// The view of the latest values answers where nothing in it is newer than asOf; else the history
// does. Without attributes: all, or all but the apps.
func (db *DB) state(ctx context.Context, tenant uuid.UUID, first, last string, asOf projections.AsOf,
	all bool, attributes ...string) ([]held, error) {
	p := asOfParams(tenant, asOf).with(params{"first": first, "last": last})
	streams := " WHERE tenant = {tenant:UUID} AND stream >= {first:String} AND stream <= {last:String}" +
		chosen(p, attributes, all)
	if asOf.Time.IsZero() {
		out, err := collectByKey(ctx, db, p, "SELECT "+heldColumns+" FROM attribute_latest"+streams+
			" ORDER BY stream, attribute, element", readHeld)
		if err != nil {
			return nil, err
		}
		newer := false
		for i := range out {
			newer = newer || out[i].Seq > asOf.Seq
		}
		if !newer {
			return out, nil
		}
	}
	return collectByKey(ctx, db, p, "SELECT "+heldColumns+" FROM attribute_history"+streams+
		" AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}"+
		" ORDER BY stream, attribute, element, ledger_seq DESC LIMIT 1 BY stream, attribute, element", readHeld)
}

// Devices implements projections.Reader.
func (db *DB) Devices(ctx context.Context, tenant uuid.UUID, asOf projections.AsOf,
	attributes ...string) iter.Seq2[projections.Device, error] {
	return func(yield func(projections.Device, error) bool) {
		fail := func(err error) { yield(projections.Device{}, fmt.Errorf("devices: %w", err)) }
		p := params{"tenant": tenant, "limit": streamPage}
		// "device-" is before every device's stream, "device." behind them.
		for after := "device-"; ; {
			p["after"] = after
			streams, err := collectPage(ctx, db, p, `SELECT DISTINCT stream FROM attribute_latest
				WHERE tenant = {tenant:UUID} AND stream > {after:String} AND stream < 'device.'
				ORDER BY stream LIMIT {limit:UInt64}`,
				func(scan func(...any) error) (s string, err error) { return s, scan(&s) })
			if err != nil {
				fail(err)
				return
			}
			if len(streams) == 0 {
				return
			}
			after = streams[len(streams)-1]
			values, err := db.state(ctx, tenant, streams[0], after, asOf, false, attributes...)
			if err != nil {
				fail(err)
				return
			}
			for _, d := range devicesOf(values) {
				if !yield(d, nil) {
					return
				}
			}
			if len(streams) < streamPage {
				return
			}
		}
	}
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
func (db *DB) Device(ctx context.Context, tenant uuid.UUID, stream schemas.Stream,
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
func (db *DB) Apps(ctx context.Context, tenant uuid.UUID, stream schemas.Stream,
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
func (db *DB) Tenant(ctx context.Context, tenant uuid.UUID,
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
func (db *DB) DeviceHistory(ctx context.Context, tenant uuid.UUID, stream schemas.Stream, in projections.Period,
	attributes []string,
	asOf projections.AsOf) iter.Seq2[projections.Change, error] {
	p := periodParams(params{}, in)
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
