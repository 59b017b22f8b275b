package kafkatest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// Generator makes valid events of three kinds, facts and states, the same for the same seed. Seq
// and Position are not set.
type Generator struct {
	rnd       *rand.Rand
	tenants   []uuid.UUID
	revisions map[schemas.Stream]uint64
}

// NewGenerator returns a generator.
func NewGenerator(seed uint64) *Generator {
	g := &Generator{rnd: rand.New(rand.NewPCG(seed, 1)), revisions: map[schemas.Stream]uint64{}}
	for range 7 {
		g.tenants = append(g.tenants, g.uuid())
	}
	return g
}

func (g *Generator) uuid() uuid.UUID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], g.rnd.Uint64())
	binary.BigEndian.PutUint64(b[8:], g.rnd.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b
}

// Record returns one event with open attributes, as the next of its stream.
func (g *Generator) Record(
	typ string, stream schemas.Stream, tenant uuid.UUID, values map[string]string,
) schemas.Envelope {
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
	r := schemas.RecordedEvent{Event: schemastest.Sign(e, g.revisions[stream]), Revision: g.revisions[stream]}
	g.revisions[stream]++
	return schemastest.Envelope(r)
}

// Events returns the next n events; the very first is the ledger's creation.
func (g *Generator) Events(n int) []schemas.Envelope {
	out := make([]schemas.Envelope, 0, n)
	for len(out) < n {
		tenant := g.tenants[g.rnd.IntN(len(g.tenants))]
		switch {
		case len(g.revisions) == 0:
			out = append(out, g.Record("ledger.created.v1", schemas.LedgerStream, uuid.Nil,
				map[string]string{"ledger.id": fmt.Sprintf("%q", g.uuid())}))
		case g.rnd.IntN(3) == 0:
			out = append(out, g.Record("tenant.policy-changed.v1", schemas.NewStream("tenant", tenant), tenant,
				map[string]string{"policy.number": fmt.Sprint(g.rnd.IntN(1000)), "policy.location": `"refused"`}))
		default:
			out = append(out, g.Record("refusal.recorded.v1", schemas.NewStream("refusal", g.uuid()), tenant,
				map[string]string{"refusal.rule": `"personal-apps"`, "refusal.category": `"apps"`,
					"refusal.count": fmt.Sprint(g.rnd.IntN(500))}))
		}
	}
	return out
}

// Numbered returns the events with sequences from first on and positions that fit them.
func Numbered(first uint64, events []schemas.Envelope) []schemas.Envelope {
	for i := range events {
		events[i].Seq = first + uint64(i)
		events[i].Position = schemas.Position{Commit: events[i].Seq*100 + 7, Prepare: events[i].Seq*100 + 3}
	}
	return events
}
