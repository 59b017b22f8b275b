package relay_test

import (
	"context"
	"errors"
	"hash/fnv"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// fakeTopics holds records per topic and partition, as anybody may have written them.
type fakeTopics struct {
	ledger    uuid.UUID
	parts     int
	ids       map[string]uuid.UUID
	records   map[string][][]consumers.Message
	positions []consumers.Position // the oldest first
	portion   int                  // records of one read
}

func newFakeTopics(ledger uuid.UUID, parts, portion int) *fakeTopics {
	f := &fakeTopics{ledger: ledger, parts: parts, portion: portion, ids: map[string]uuid.UUID{},
		records: map[string][][]consumers.Message{}}
	for _, kind := range consumers.Kinds {
		f.topic("ledger." + kind)
	}
	return f
}

func (f *fakeTopics) topic(name string) [][]consumers.Message {
	if f.records[name] == nil {
		f.ids[name], f.records[name] = uuid.New(), make([][]consumers.Message, f.parts)
	}
	return f.records[name]
}

// put writes a record where the relay would, or to the partition given.
func (f *fakeTopics) put(m consumers.Message, partition int) {
	if partition < 0 {
		h := fnv.New32()
		h.Write(m.Key)
		partition = int(h.Sum32()) % f.parts
		if partition < 0 {
			partition += f.parts
		}
	}
	t := f.topic(m.Topic)
	m.Partition, m.Offset = partition, int64(len(t[partition]))
	t[partition] = append(t[partition], m)
}

func (f *fakeTopics) publish(t interface{ Fatal(...any) }, e schemas.Envelope) {
	f.put(consumers.Encode(f.ledger, e), -1)
}

func (f *fakeTopics) note(e schemas.Envelope) {
	p := consumers.Position{Topics: map[string]consumers.TopicPosition{}, Through: e.Anchor(f.ledger)}
	for name, parts := range f.records {
		tp := consumers.TopicPosition{ID: f.ids[name]}
		for _, records := range parts {
			tp.Ends = append(tp.Ends, int64(len(records)))
		}
		p.Topics[name] = tp
	}
	f.positions = append(f.positions, p)
}

func (f *fakeTopics) Positions(context.Context) iter.Seq2[consumers.Position, error] {
	return func(yield func(consumers.Position, error) bool) {
		for _, p := range slices.Backward(f.positions) {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (f *fakeTopics) Describe(_ context.Context, name string) (uuid.UUID, []int64, []int64, error) {
	parts, ok := f.records[name]
	if !ok {
		return uuid.Nil, nil, nil, nil
	}
	var first, end []int64
	for _, records := range parts {
		first, end = append(first, 0), append(end, int64(len(records)))
	}
	return f.ids[name], first, end, nil
}

func (f *fakeTopics) Read(
	_ context.Context, name string, partition int, from int64,
) ([]consumers.Message, int64, error) {
	records := f.records[name][partition]
	out := records[from:min(from+int64(f.portion), int64(len(records)))]
	return out, from + int64(len(out)), nil
}

func genuine(_ context.Context, r schemas.Envelope) (bool, error) {
	return r.Genuine(schemastest.Key), nil
}

// readBack opens and reads everything.
func readBack(cfg relay.PublishedConfig) ([]schemas.Envelope, *relay.Published, error) {
	p, err := relay.OpenPublished(context.Background(), cfg)
	if err != nil {
		return nil, nil, err
	}
	var out []schemas.Envelope
	for r, err := range p.Events(context.Background()) {
		if err != nil {
			return out, p, err
		}
		out = append(out, r)
	}
	return out, p, nil
}

func sameEvents(t interface {
	Helper()
	Fatalf(string, ...any)
}, got, want []schemas.Envelope) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i].Leaf() != want[i].Leaf() || got[i].Seq != uint64(i) {
			t.Fatalf("sequence %d came back as event %s at %d, published was %s", i, got[i].ID, got[i].Seq, want[i].ID)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d events came back, %d were published", len(got), len(want))
	}
}

// signed returns an event with the origin that another key makes.
func signed(e schemas.Envelope, k schemas.OriginKey) schemas.Envelope {
	return schemastest.Changed(e, func(r *schemas.RecordedEvent) { r.Event = schemas.Sign(r.Event, r.Revision, k) })
}

// forge makes a record whose form is right and whose event no holder of the vault made.
func forge(t *rapid.T, f *fakeTopics, e schemas.Envelope, seq uint64) consumers.Message {
	e = signed(e, schemas.OriginKey{9})
	e.Seq = seq
	return consumers.Encode(f.ledger, e)
}

// Whatever is repeated, forged, copied under other numbers or garbage, in whichever order, what
// was published comes back whole, once, in order; and beyond the note as far as it goes on.
func TestWhatWasPublishedComesBackWhateverOthersWroteBetween(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ledger := uuid.New()
		f := newFakeTopics(ledger, rapid.IntRange(1, 4).Draw(t, "partitions"), rapid.IntRange(1, 7).Draw(t, "portion"))
		events := kafkatest.Numbered(0, kafkatest.NewGenerator(rapid.Uint64().Draw(t, "seed")).Events(rapid.IntRange(1,
			60).Draw(t, "events")))
		noted := rapid.IntRange(0, len(events)-1).Draw(t, "noted")
		// An event of the ledger itself may be one that nobody with the vault made.
		for i := range events[1:] {
			if rapid.IntRange(0, 19).Draw(t, "forged in the ledger") == 0 && i+1 <= noted {
				events[i+1] = signed(events[i+1], schemas.OriginKey{7})
			}
		}
		for i, e := range events {
			for range rapid.IntRange(0, 3).Draw(t, "of others") {
				other := events[rapid.IntRange(0, len(events)-1).Draw(t, "other")]
				partition := rapid.IntRange(-1, f.parts-1).Draw(t, "partition")
				switch rapid.SampledFrom([]string{"garbage", "repeat", "forged", "copy", "far",
					"stranger"}).Draw(t, "what") {
				case "garbage":
					f.put(consumers.Message{Topic: "ledger.refusal", Key: []byte("k"),
						Value: []byte(`{"garbage":1}`)}, partition)
				case "repeat": // a produce stored again
					if other.Seq < uint64(i) {
						f.publish(t, other)
					}
				case "forged": // of a number that a genuine event has
					if events[other.Seq].Genuine(schemastest.Key) {
						f.put(forge(t, f, other, other.Seq), partition)
					}
				case "copy": // a genuine event, seen before, under a number that comes later
					if other.Seq < uint64(i) {
						seq := uint64(rapid.IntRange(i, len(events)-1).Draw(t, "number"))
						if events[seq].Genuine(schemastest.Key) && other.Genuine(schemastest.Key) {
							other.Seq = seq
							if rapid.Bool().Draw(t, "position too") {
								other.Position = events[seq].Position
							}
							f.put(consumers.Encode(ledger, other), partition)
						}
					}
				case "far":
					f.put(forge(t, f, other, 1_000_000), partition)
				case "stranger":
					f.put(consumers.Encode(uuid.New(), other), partition)
				}
			}
			f.publish(t, e)
			if i == noted {
				f.note(e)
			}
		}
		got, p, err := readBack(relay.PublishedConfig{Topics: f, Ledger: ledger, Judge: genuine})
		if err != nil {
			t.Fatalf("%v (%+v)", err, p)
		}
		sameEvents(t, got, events)
		if p.Through().Seq != uint64(noted) || p.Counts().Tail != uint64(len(events)-1-noted) {
			t.Fatalf("noted through %d and %d more, want %d", p.Through().Seq, p.Counts().Tail, noted)
		}
		again := 0
		for _, err := range p.Events(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			again++
		}
		if again != len(events) {
			t.Fatalf("a second pass gave %d events of %d", again, len(events))
		}
	})
}

// The room for what waits is bounded: records that nobody with the vault made give way
// to those that are looked for.
func TestRecordsFarAheadDoNotKeepTheGenuineOnesFromComingBack(t *testing.T) {
	f := newFakeTopics(uuid.New(), 1, 16)
	events := kafkatest.Numbered(0, kafkatest.NewGenerator(3).Events(120))
	for i := range 90 { // all numbers that come later, each before its event
		f.publish(t, schemastest.Changed(events[119], func(r *schemas.RecordedEvent) {
			r.Seq, r.ID = uint64(100-i%50), uuid.New()
			r.Event = schemas.Sign(r.Event, r.Revision, schemas.OriginKey{9})
		}))
	}
	for _, e := range events {
		f.publish(t, e)
	}
	f.note(events[119])
	got, _, err := readBack(relay.PublishedConfig{Topics: f, Ledger: f.ledger, Judge: genuine, Ahead: 8})
	if err != nil {
		t.Fatal(err)
	}
	sameEvents(t, got, events)
}

// What the topics do not hold is named, and nothing after it is handed over.
func TestASequenceThatIsMissingIsNamed(t *testing.T) {
	f := newFakeTopics(uuid.New(), 2, 5)
	events := kafkatest.Numbered(0, kafkatest.NewGenerator(4).Events(30))
	for i, e := range events {
		if i != 17 {
			f.publish(t, e)
		}
	}
	f.note(events[29])
	got, _, err := readBack(relay.PublishedConfig{Topics: f, Ledger: f.ledger, Judge: genuine})
	if !errors.Is(err, relay.ErrDataLoss) || !strings.Contains(err.Error(), "sequence 17") || len(got) != 17 {
		t.Errorf("%d events came, then %v", len(got), err)
	}
}

// A position is believed where the topics are as it says: newer ones that name what is not
// there are passed over and told.
func TestOnlyAPositionThatTheTopicsBearOutIsTaken(t *testing.T) {
	build := func() (*fakeTopics, []schemas.Envelope) {
		f := newFakeTopics(uuid.New(), 2, 5)
		events := kafkatest.Numbered(0, kafkatest.NewGenerator(5).Events(30))
		for i, e := range events {
			f.publish(t, e)
			if i%10 == 9 {
				f.note(e)
			}
		}
		return f, events
	}
	cfg := func(f *fakeTopics) relay.PublishedConfig {
		return relay.PublishedConfig{Topics: f, Ledger: f.ledger, Judge: genuine}
	}
	t.Run("a forged one with ends that are not there", func(t *testing.T) {
		f, events := build()
		bad := f.positions[2]
		bad.Through.Seq, bad.Topics = 500,
			map[string]consumers.TopicPosition{"ledger.refusal": {ID: f.ids["ledger.refusal"], Ends: []int64{999, 0}}}
		f.positions = append(f.positions, bad)
		got, p, err := readBack(cfg(f))
		if err != nil || p.Doubted() != 1 {
			t.Fatalf("%v, %+v", err, p)
		}
		sameEvents(t, got, events)
	})
	t.Run("a forged one whose event is not there", func(t *testing.T) {
		f, events := build()
		bad := f.positions[2]
		bad.Through.Seq, bad.Through.EventID = 31, uuid.New()
		f.positions = append(f.positions, bad)
		got, p, err := readBack(cfg(f))
		if err != nil || p.Doubted() != 1 {
			t.Fatalf("%v, %+v", err, p)
		}
		sameEvents(t, got, events)
	})
	t.Run("an older one that was written again", func(t *testing.T) {
		f, events := build()
		f.positions = append(f.positions, f.positions[0])
		got, p, err := readBack(cfg(f))
		if err != nil || p.Through().Seq != 29 {
			t.Fatalf("%v, %+v", err, p)
		}
		sameEvents(t, got, events)
	})
	t.Run("another ledger's", func(t *testing.T) {
		f, _ := build()
		c := cfg(f)
		c.Ledger = uuid.New()
		if _, _, err := readBack(c); !errors.Is(err, relay.ErrDiverged) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a topic that is another one now", func(t *testing.T) {
		f, _ := build()
		f.ids["ledger.refusal"] = uuid.New()
		if _, _, err := readBack(cfg(f)); !errors.Is(err, relay.ErrDataLoss) {
			t.Errorf("%v", err)
		}
	})
	t.Run("none", func(t *testing.T) {
		f, _ := build()
		f.positions = nil
		if _, _, err := readBack(cfg(f)); !errors.Is(err, relay.ErrNothingPublished) {
			t.Errorf("%v", err)
		}
	})
}
