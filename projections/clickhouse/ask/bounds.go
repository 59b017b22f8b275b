package ask

import (
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
)

// Times beyond every event's (projections.MinTime, MaxTime), for a bound that is not set.
var (
	pastTime   = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	futureTime = time.Date(2299, 12, 31, 0, 0, 0, 0, time.UTC)
)

// AsOf are {seq:UInt64} and {time:…}, which every question compares
// ledger_seq and occurred_at with.
func AsOf(tenant uuid.UUID, a projections.AsOf) param.Set {
	p := param.Set{"tenant": tenant, "seq": a.Seq, "time": futureTime}
	if !a.Time.IsZero() {
		p["time"] = Clamp(a.Time)
	}
	return p
}

// Clamp cuts to milliseconds, as the columns are, and keeps within what they hold.
func Clamp(t time.Time) time.Time {
	switch t = t.Truncate(time.Millisecond); {
	case t.Before(pastTime):
		return pastTime
	case t.After(futureTime):
		return futureTime
	}
	return t
}

// ceil is the first millisecond not before t: bounds "from" and "to" of a period
// compare with whole milliseconds.
func ceil(t time.Time) time.Time {
	if c := t.Truncate(time.Millisecond); c.Before(t) {
		return c.Add(time.Millisecond)
	}
	return t
}

// Period are {from:…} and {to:…}, and the key {after_time:…}, {after_seq:UInt64}
// behind which a page begins.
func Period(p param.Set, in projections.Period) param.Set {
	p["from"], p["to"] = pastTime, futureTime
	if !in.From.IsZero() {
		p["from"] = Clamp(ceil(in.From))
	}
	if !in.To.IsZero() {
		p["to"] = Clamp(ceil(in.To))
	}
	return p
}

// NotDisowned holds for events that no disowning event names: one of their own
// tenant, or of the ledger itself.
const NotDisowned = ` (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
	AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq)
		NOT IN (SELECT tenant, event, at_seq FROM disowned)`
