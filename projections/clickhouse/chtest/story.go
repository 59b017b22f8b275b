package chtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// ID returns the uuid of a name, random-looking and the same in every run.
func ID(name string) uuid.UUID {
	sum := sha256.Sum256([]byte(name))
	u := uuid.UUID(sum[:16])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u
}

// At returns the time that s writes in RFC 3339. It panics where s does not: a fault of the test.
func At(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// Story is a ledger written by hand, in the tenant ID("tenant"), and what is in its tokens. A
// Ledger, by contrast, is invented, and nobody can open it.
type Story struct {
	Events []schemas.Envelope // sequences from 0, without a gap
	Opener

	t    testing.TB
	revs map[schemas.Stream]uint64
}

// Opener is a projections.Opener that knows the plaintexts, and notes how it is asked.
type Opener struct {
	Plain map[schemas.Token]projections.Opened // a test may change or delete what opening a token gives
	Calls []int                                // how many tokens each call had
}

// Open implements projections.Opener. A token that is not in Plain is an error.
func (o *Opener) Open(ctx context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	o.Calls = append(o.Calls, len(tokens))
	return o.Search(ctx, tokens)
}

// Search implements projections.Searcher. It is not among Calls.
func (o *Opener) Search(_ context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	out := make([]projections.Opened, len(tokens))
	for i, t := range tokens {
		p, ok := o.Plain[t.Token]
		if !ok {
			return nil, errors.New("a token that the story does not have")
		}
		out[i] = p
	}
	return out, nil
}

// Val is a value of an event of a Story.
type Val struct {
	Attr  string // the attribute's id in the catalogue
	Path  []string
	V     any       // written as JSON
	Alias uuid.UUID // sealed under this alias; zero: open
	Err   error     // what opening it gives
	Gone  bool      // the event removes it

	Observed string // when it was observed, where a restatement carries that over
}

// NewStory returns a story whose only event is ledger.created. Its faults fail the test.
func NewStory(t testing.TB) *Story {
	s := &Story{t: t, revs: map[schemas.Stream]uint64{}, Opener: Opener{Plain: map[schemas.Token]projections.Opened{}}}
	s.Add("ledger.created.v1", schemas.LedgerStream, "2026-01-01T00:00:00Z", "", nil,
		Val{Attr: "ledger.id", V: ID("ledger").String()})
	return s
}

// Add appends an event and returns its id; recorded "" is one second after it occurred. Requests,
// erasures and accesses are custody's own acts, all else comes from Graph.
func (s *Story) Add(typ string, stream schemas.Stream, occurred, recorded string, subjects []schemas.SubjectRef,
	values ...Val) uuid.UUID {
	s.t.Helper()
	source := "graph"
	if kind := stream.Kind(); kind == "request" || kind == "access" || kind == "subject" {
		source = "custody"
	}
	return s.AddFrom(source, typ, stream, occurred, recorded, subjects, values...)
}

// AddFrom is Add of an event from another source.
func (s *Story) AddFrom(source, typ string, stream schemas.Stream, occurred, recorded string,
	subjects []schemas.SubjectRef, values ...Val) uuid.UUID {
	s.t.Helper()
	c := schemas.Default()
	d := schemas.Draft{Type: c.MustType(typ), Tenant: ID("tenant"), Stream: stream, Occurred: At(occurred),
		Recorded: At(occurred).Add(time.Second),
		Source:   source, Subjects: subjects, ID: ID(typ + string(stream) + occurred + string(rune(len(s.Events))))}
	if recorded != "" {
		d.Recorded = At(recorded)
	}
	if stream == schemas.LedgerStream {
		d.Tenant = uuid.Nil
	}
	for _, v := range values {
		x := schemas.Value{Attr: c.MustAttribute(v.Attr), Path: v.Path, Removed: v.Gone}
		if v.Observed != "" {
			x.Observed = At(v.Observed)
		}
		switch {
		case v.Gone:
		case v.Alias == uuid.Nil:
			x.Plain = schemas.JSON(v.V)
		default:
			h := schemas.TokenHeader{Alias: v.Alias, Class: x.Attr.Class, Month: schemas.Month(d.Occurred, d.Recorded),
				Event: d.ID, Attr: v.Attr, Path: v.Path}
			sum := sha256.Sum256([]byte(h.String()))
			body := append(append(append([]byte{}, sum[:]...), sum[:]...), sum[:28]...)
			x.Token = h.Token(body)
			s.Plain[x.Token] = projections.Opened{Plain: schemas.JSON(v.V), Err: v.Err}
		}
		d.Values = append(d.Values, x)
	}
	e, err := c.Encode(d)
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(e, d.Recorded)
	return d.ID
}

// AddRaw appends an event whose type or data this version need not be able to
// read, recorded as it occurred.
func (s *Story) AddRaw(typ string, stream schemas.Stream, occurred string, subjects []schemas.Subject, data string) {
	s.t.Helper()
	m := schemas.Metadata{Tenant: ID("tenant"), Occurred: At(occurred), Recorded: At(occurred), Source: "graph",
		Subjects: subjects}
	meta, err := m.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(schemas.Event{ID: ID(typ + occurred), Stream: stream, Type: typ, Data: []byte(data), Metadata: meta},
		m.Recorded)
}

func (s *Story) append(e schemas.Event, created time.Time) {
	e = schemastest.Sign(e, s.revs[e.Stream])
	s.Events = append(s.Events, schemastest.Envelope(schemas.RecordedEvent{
		Event: e, Revision: s.revs[e.Stream], Seq: uint64(len(s.Events)), Created: created}))
	s.revs[e.Stream]++
}

// Load returns a database of the test's own on the real engine, with the story in its views. It is
// read by the account that only reads.
func (s *Story) Load() *clickhouse.DB {
	s.t.Helper()
	cfg := Config(s.t)
	if err := clickhouse.Migrate(s.t.Context(), cfg); err != nil {
		s.t.Fatal(err)
	}
	Load(s.t, Open(s.t, cfg), s.Events...)
	cfg.Username, cfg.Password = Reader, ReaderPassword
	db, err := clickhouse.Open(s.t.Context(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return db
}
