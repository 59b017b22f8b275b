package clickhouse

import (
	"context"
	"fmt"
	"iter"
	"slices"
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

// chosen keeps the attributes asked for; none named means all but the apps, which are many.
const chosen = " AND (has({attributes:Array(String)}, attribute) OR empty({attributes:Array(String)}) AND " +
	"({all:Bool} OR attribute != 'device.app'))"

// state returns the values, tombstones included, that the streams in (after, last] had as of. The
// view of the latest values answers where nothing in it is newer than asOf; else the history does.
func (db *DB) state(ctx context.Context, p params, asOf projections.AsOf) ([]held, error) {
	const streams = " WHERE tenant = {tenant:UUID} AND stream >= {first:String} AND stream <= {last:String}" + chosen
	if asOf.Time.IsZero() {
		out, err := collect(ctx, db, p, "SELECT "+heldColumns+" FROM attribute_latest"+streams+
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
	return collect(ctx, db, p, "SELECT "+heldColumns+" FROM attribute_history"+streams+
		" AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}"+
		" ORDER BY stream, attribute, element, ledger_seq DESC LIMIT 1 BY stream, attribute, element", readHeld)
}

// Devices implements projections.Reader.
func (db *DB) Devices(ctx context.Context, tenant uuid.UUID, asOf projections.AsOf,
	attributes ...string) iter.Seq2[projections.Device, error] {
	return func(yield func(projections.Device, error) bool) {
		fail := func(err error) { yield(projections.Device{}, fmt.Errorf("devices: %w", err)) }
		p := asOfParams(tenant, asOf).with(params{"attributes": attributes, "all": false, "limit": streamPage})
		// "device-" is before every device's stream, "device." behind them.
		for after := "device-"; ; {
			p["after"] = after
			streams, err := collect(ctx, db, p, `SELECT DISTINCT stream FROM attribute_latest
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
			p["first"], p["last"] = streams[0], after
			values, err := db.state(ctx, p, asOf)
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
	values, err := db.state(ctx, asOfParams(tenant, asOf).with(params{
		"first": string(stream), "last": string(stream), "attributes": []string{}, "all": true}), asOf)
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
		values, err := db.state(ctx, asOfParams(tenant, asOf).with(params{
			"first": string(stream), "last": string(stream), "attributes": []string{"device.app"}, "all": false}),
			asOf)
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
	values, err := db.state(ctx, asOfParams(tenant, asOf).with(params{
		"first": "tenant-", "last": "tenant.", "attributes": []string{}, "all": true}), asOf)
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

// DeviceHistory implements projections.Reader. It reads the stream's history from its
// beginning, since what a value was before the period is part of the answer, and holds the
// device's state, not its history.
func (db *DB) DeviceHistory(ctx context.Context, tenant uuid.UUID, stream schemas.Stream, in projections.Period,
	attributes []string,
	asOf projections.AsOf) iter.Seq2[projections.Change, error] {
	type key struct {
		seq                uint64
		attribute, element string
	}
	p := periodParams(asOfParams(tenant, asOf), in).with(params{
		"stream": string(stream), "attributes": attributes, "all": true, "limit": pageRows})
	from, to := p["from"].(time.Time), p["to"].(time.Time)
	history := pages(pageRows, func(after key, ok bool) ([]changed, error) {
		p["again"], p["after_seq"], p["after_attribute"], p["after_element"] = ok, after.seq,
			after.attribute, after.element
		values, err := collect(ctx, db, p, "SELECT "+heldColumns+` FROM attribute_history
			WHERE tenant = {tenant:UUID} AND stream = {stream:String}`+chosen+`
			AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}
			AND (NOT {again:Bool} OR (ledger_seq, attribute, element)
				> ({after_seq:UInt64}, {after_attribute:String}, {after_element:String}))
			ORDER BY ledger_seq, attribute, element LIMIT {limit:UInt64}`, readHeld)
		if err != nil {
			return nil, err
		}
		return db.withEvents(ctx, tenant, string(stream), values,
			func(h held) bool { return !h.Occurred.Before(from) && h.Occurred.Before(to) })
	}, func(c changed) key { return key{c.Seq, c.attribute, c.Element} })

	return func(yield func(projections.Change, error) bool) {
		state := map[[2]string]*projections.Held{}
		for h, err := range history {
			if err != nil {
				yield(projections.Change{}, fmt.Errorf("history of %s: %w", stream, err))
				return
			}
			at := [2]string{h.attribute, h.Element}
			old := state[at]
			state[at] = nil
			if !h.removed {
				state[at] = &h.Held
			}
			if h.event == nil {
				continue
			}
			c := *h.event
			c.Attribute, c.Element, c.Old, c.New = h.attribute, h.Element, old, state[at]
			if !yield(c, nil) {
				return
			}
		}
	}
}

// changed is a value with the event that set or removed it, nil where that was not asked for.
type changed struct {
	held
	event *projections.Change
}

// withEvents adds to the values of one stream that want says, which are ordered by sequence,
// the heads of their events.
func (db *DB) withEvents(ctx context.Context, tenant uuid.UUID, stream string, values []held,
	want func(held) bool) ([]changed, error) {
	out := make([]changed, len(values))
	var seqs []uint64
	for i, h := range values {
		out[i].held = h
		if want(h) && (len(seqs) == 0 || seqs[len(seqs)-1] != h.Seq) {
			seqs = append(seqs, h.Seq)
		}
	}
	heads := make(map[uint64]*projections.Change, len(seqs))
	for part := range slices.Chunk(seqs, groupEvents) {
		found, err := collect(ctx, db, params{"tenant": tenant, "stream": stream, "seqs": part},
			"SELECT "+factColumns+`,
			source, causation, subjects.alias, subjects.role
			FROM events FINAL PREWHERE tenant = {tenant:UUID} AND stream = {stream:String}
			AND ledger_seq IN {seqs:Array(UInt64)}`,
			func(scan func(...any) error) (*projections.Change, error) {
				c := new(projections.Change)
				var aliases []uuid.UUID
				var roles []string
				err := scan(into(&c.Fact, &c.Source, &c.Causation, &aliases, &roles)...)
				for i := range aliases {
					c.Subjects = append(c.Subjects, projections.Subject{Alias: aliases[i], Role: roles[i]})
				}
				return c, err
			})
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			heads[c.Seq] = c
		}
	}
	for i := range out {
		if !want(out[i].held) {
			continue
		}
		if out[i].event = heads[out[i].Seq]; out[i].event == nil {
			return nil, fmt.Errorf("the event of sequence %d is not in events: the views disagree, rebuild them",
				out[i].Seq)
		}
	}
	return out, nil
}
