package projections

import (
	"encoding/binary"
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

var (
	tenant = uuid.MustParse("3b0f8f9a-7a3c-4d6f-9d0e-5f1f1a2b3c4d")
	device = schemas.NewStream("device", uuid.MustParse("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"))
)

func metadata(t *testing.T, m schemas.Metadata) []byte {
	t.Helper()
	m.Recorded, m.Source = time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC), "graph"
	if m.Tenant == uuid.Nil {
		m.Tenant = tenant
	}
	b, err := schemastest.Metadata(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRowOfKeepsWhatItCannotRead(t *testing.T) {
	occurred := time.Date(2026, 2, 28, 9, 0, 0, 0, time.UTC)
	good := metadata(t, schemas.Metadata{Occurred: occurred,
		Subjects: []schemas.Subject{{ID: uuid.New(), Role: "user"}}})
	for name, c := range map[string]struct {
		typ, data string
		values    int
	}{
		"known":            {"device.compliance-changed.v1", `{"set":{"encrypted":true},"unset":["jailBroken"]}`, 2},
		"set and unset":    {"device.compliance-changed.v1", `{"set":{"encrypted":true},"unset":["encrypted"]}`, 1},
		"unknown type":     {"device.exploded.v9", `{"set":{"encrypted":true}}`, 0},
		"unknown member":   {"device.compliance-changed.v1", `{"set":{"encrypted":true,"new":1}}`, 0},
		"twice":            {"device.compliance-changed.v1", `{"set":{},"set":null,"set":3}`, 0},
		"no data":          {"device.compliance-changed.v1", "{}", 0},
		"data of a future": {"device.compliance-changed.v1", `{"v":{"set":[]}}`, 0},
	} {
		e := schemastest.Envelope(schemas.RecordedEvent{Seq: 7, Revision: 3, Event: schemas.Event{
			ID: uuid.New(), Stream: device, Type: c.typ, Data: []byte(c.data), Metadata: good}})
		row := RowOf(e)
		if len(row.Values) != c.values || string(row.Data) != c.data || row.Leaf != e.Leaf() || row.Seq != 7 ||
			row.Revision != 3 || row.Tenant != tenant || !row.Occurred.Equal(occurred) || !row.Timed ||
			len(row.Subjects) != 1 || row.Catalogue != schemas.Default().Version() {
			t.Errorf("%s: %+v", name, row)
		}
		if c.values == 1 && !row.Values[0].Removed {
			t.Errorf("%s: what is set and unset must be removed: %+v", name, row.Values)
		}
	}
}

// Whatever belongs to the ledger has a row, whatever its data, times and roles.
func TestWhateverBelongsToTheLedgerHasARow(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	for made := 0; made < 5000; {
		e, err := schemas.NewEnvelope(schemas.RecordedEvent{Event: schemastest.Foreign(r), Seq: 7})
		if err != nil {
			continue
		}
		made++
		row := RowOf(e)
		if row.Occurred.Before(MinTime) || row.Occurred.After(MaxTime) || row.Recorded.Before(MinTime) ||
			row.Recorded.After(MaxTime) {
			t.Fatalf("times outside what a view can hold: %v, %v of %q", row.Occurred, row.Recorded, e.Metadata)
		}
	}
}

func TestRowOfFindsATimeForEveryEvent(t *testing.T) {
	recorded := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	for _, c := range []struct {
		occurred, want time.Time
		timed          bool
	}{
		{time.Time{}, recorded, false},
		{time.Date(1066, 1, 1, 0, 0, 0, 0, time.UTC), MinTime, true},
		{time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC), MaxTime, true},
		{recorded.Add(-time.Hour), recorded.Add(-time.Hour), true},
	} {
		row := RowOf(schemastest.Envelope(schemas.RecordedEvent{Event: schemas.Event{
			ID: uuid.New(), Stream: device, Type: "device.retired.v1",
			Data:     []byte(`{"set":{"managementState":"managed"}}`),
			Metadata: metadata(t, schemas.Metadata{Occurred: c.occurred})}}))
		if !row.Occurred.Equal(c.want) || row.Timed != c.timed || !row.Values[0].Observed.Equal(c.want) {
			t.Errorf("occurred %v: %v, timed %t, observed %v; want %v, %t", c.occurred, row.Occurred, row.Timed,
				row.Values[0].Observed, c.want, c.timed)
		}
	}
}

func TestRowOfReadsOldTypesInTheirLatestVersion(t *testing.T) {
	attribute := func(id string) string {
		return "{id: " + id + ", identifiability: non-personal, key: tenant, class: account, type: text, " +
			"shape: {kind: own}}"
	}
	attributes := "[" + attribute("x.a") + ", " + attribute("x.b") + "]"
	typ := func(v, attr string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("type: thing.made.v" + v +
			"\nform: fact\nroles: []\nfields: {/x: " + attr + "}\n")}
	}
	c, err := schemas.Load(fstest.MapFS{"attributes/x.yaml": {Data: []byte(attributes)},
		"types/thing.made.v1.yaml": typ("1", "x.a"), "types/thing.made.v2.yaml": typ("2", "x.b")})
	if err != nil {
		t.Fatal(err)
	}
	fail := false
	err = c.RegisterUpcaster("thing.made.v1", schemas.Upcaster{To: "thing.made.v2",
		Apply: func(d schemas.Draft) (schemas.Draft, error) {
			d.Values[0].Attr = c.MustAttribute("x.b")
			if fail {
				return d, errors.New("no such past")
			}
			return d, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	e := schemastest.Envelope(schemas.RecordedEvent{Event: schemas.Event{ID: uuid.New(),
		Stream: schemas.NewStream("thing", uuid.New()), Type: "thing.made.v1",
		Data: []byte(`{"x":"hello"}`), Metadata: metadata(t, schemas.Metadata{})}})
	row := rowOf(c, e)
	if len(row.Values) != 1 || row.Values[0].Attribute != "x.b" || row.Values[0].Text != "hello" ||
		row.Type != "thing.made.v1" {
		t.Errorf("row %+v", row)
	}
	fail = true
	if row = rowOf(c, e); len(row.Values) != 0 {
		t.Errorf("an upcaster that fails: %+v; want a row without values", row.Values)
	}
}

func TestAppliedIsTheContiguousBeginning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Uint64Range(0, 3*65536).Draw(t, "start")
		a, have := newApplied(start), map[uint64]bool{}
		next := start
		// Runs, so that words and blocks are filled and crossed.
		for range rapid.IntRange(1, 12).Draw(t, "runs") {
			from := start + rapid.Uint64Range(0, 200_000).Draw(t, "from")
			if rapid.Bool().Draw(t, "at next") {
				from = next
			}
			length := rapid.SampledFrom([]uint64{1, 2, 63, 64, 65, 1000, 65_536}).Draw(t, "length")
			for seq := from; seq < from+length; seq++ {
				a.add(seq)
				have[seq] = true
			}
			for have[next] {
				next++
			}
			ahead := 0
			for seq := range have {
				if seq > next {
					ahead++
				}
			}
			if a.next != next || a.ahead() != ahead {
				t.Fatalf("next %d, ahead %d; want %d, %d", a.next, a.ahead(), next, ahead)
			}
			for key := range a.blocks {
				if key < next>>16 {
					t.Fatalf("block %d is kept, next is %d", key, next)
				}
			}
		}
	})
}

func TestDigestIsASumModulo2To256(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	want, mod := new(big.Int), new(big.Int).Lsh(big.NewInt(1), 256)
	var d Digest
	for range 1000 {
		var leaf, reversed [32]byte
		for i := 0; i < 32; i += 8 {
			binary.LittleEndian.PutUint64(leaf[i:], r.Uint64()|1<<63)
		}
		for i := range leaf {
			reversed[31-i] = leaf[i]
		}
		d.Add(leaf)
		want.Mod(want.Add(want, new(big.Int).SetBytes(reversed[:])), mod)
	}
	var sum [32]byte
	for i := range d.Sum {
		sum[31-i] = d.Sum[i]
	}
	if d.Count != 1000 || new(big.Int).SetBytes(sum[:]).Cmp(want) != 0 {
		t.Errorf("digest %x of %d, want %x", sum, d.Count, want)
	}
}
