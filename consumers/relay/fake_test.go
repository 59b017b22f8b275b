package relay_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

var errLedgerDiverged = errors.New("fake ledger: the anchor does not match")

// fakeLedger holds events in memory and follows them as the ledger does.
type fakeLedger struct {
	id uuid.UUID

	mu     sync.Mutex
	events []schemas.Recorded
	grown  chan struct{} // closed when events grow
	batch  int           // events handed over at once
}

func newLedger() *fakeLedger {
	return &fakeLedger{id: uuid.New(), grown: make(chan struct{}), batch: 1000}
}

func (l *fakeLedger) ID() uuid.UUID { return l.id }

func (l *fakeLedger) append(events ...schemas.Recorded) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		e.Seq = uint64(len(l.events))
		e.Position = schemas.Position{Commit: e.Seq*100 + 7, Prepare: e.Seq*100 + 7}
		l.events = append(l.events, e)
	}
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *fakeLedger) all() []schemas.Recorded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]schemas.Recorded(nil), l.events...)
}

func (l *fakeLedger) Follow(ctx context.Context, from *schemas.Anchor, handle func(context.Context, []schemas.Recorded) error) error {
	next := uint64(0)
	if from != nil {
		events := l.all()
		if from.LedgerID != l.id || from.Seq >= uint64(len(events)) || events[from.Seq].ID != from.EventID {
			return errLedgerDiverged
		}
		if leaf, err := events[from.Seq].Leaf(); err != nil || leaf != from.Leaf {
			return errLedgerDiverged
		}
		next = from.Seq + 1
	}
	for {
		l.mu.Lock()
		batch := l.events[next:]
		grown := l.grown
		l.mu.Unlock()
		if len(batch) > l.batch {
			batch = batch[:l.batch]
		}
		if len(batch) == 0 {
			select {
			case <-grown:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := handle(ctx, batch); err != nil {
			return err
		}
		next += uint64(len(batch))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// generator makes valid events of three kinds, deterministically in their order and kind.
type generator struct {
	rnd       *rand.Rand
	tenants   []uuid.UUID
	revisions map[schemas.Stream]uint64
}

func newGenerator(seed uint64) *generator {
	g := &generator{rnd: rand.New(rand.NewPCG(seed, 1)), revisions: map[schemas.Stream]uint64{}}
	for range 7 {
		g.tenants = append(g.tenants, g.uuid())
	}
	return g
}

func (g *generator) uuid() uuid.UUID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], g.rnd.Uint64())
	binary.BigEndian.PutUint64(b[8:], g.rnd.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b
}

func (g *generator) record(typ string, stream schemas.Stream, tenant uuid.UUID, values map[string]string) schemas.Recorded {
	c := schemas.Default()
	d := schemas.Draft{Type: c.MustType(typ), Tenant: tenant, Stream: stream, ID: g.uuid(), Source: "test",
		Recorded: time.UnixMilli(1_750_000_000_000 + g.rnd.Int64N(1e9))}
	if g.rnd.IntN(4) > 0 {
		d.Occurred = d.Recorded.Add(-time.Duration(g.rnd.IntN(1e9)))
	}
	for _, a := range d.Type.Attributes() {
		if v, ok := values[a.ID]; ok {
			d.Values = append(d.Values, schemas.Value{Attr: a, Plain: json.RawMessage(v)})
		}
	}
	e, err := c.Encode(d)
	if err != nil {
		panic(err)
	}
	r := schemas.Recorded{Event: e, Revision: g.revisions[stream]}
	g.revisions[stream]++
	return r
}

// events returns n events, the first of a ledger being its creation.
func (g *generator) events(n int) []schemas.Recorded {
	out := make([]schemas.Recorded, 0, n)
	for len(out) < n {
		tenant := g.tenants[g.rnd.IntN(len(g.tenants))]
		switch {
		case len(g.revisions) == 0:
			out = append(out, g.record("ledger.created.v1", schemas.LedgerStream, uuid.Nil, map[string]string{"ledger.id": fmt.Sprintf("%q", g.uuid())}))
		case g.rnd.IntN(3) == 0:
			out = append(out, g.record("tenant.policy-changed.v1", schemas.NewStream("tenant", tenant), tenant,
				map[string]string{"policy.number": fmt.Sprint(g.rnd.IntN(1000)), "policy.location": `"refused"`}))
		default:
			out = append(out, g.record("refusal.recorded.v1", schemas.NewStream("refusal", g.uuid()), tenant,
				map[string]string{"refusal.rule": `"personal-apps"`, "refusal.category": `"apps"`, "refusal.count": fmt.Sprint(g.rnd.IntN(500))}))
		}
	}
	return out
}

func (g *generator) fill(tb testing.TB, l *fakeLedger, n int) {
	tb.Helper()
	l.append(g.events(n)...)
}
