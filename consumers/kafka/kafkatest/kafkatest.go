// Package kafkatest is the conformance suite of package consumers/kafka against any broker: kfake
// in every test run, Apache Kafka in `make acceptance` (see apache-kafka.sh). It checks what the
// relay and the consumers rely on, with a second, independent client as witness.
//
// It owns the ledger's topics of the broker it is pointed at, and deletes them.
package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// Witness is another client for the same brokers, independent of the one under test.
type Witness interface {
	// Topics returns every topic with its id and number of partitions, Configs a topic's
	// configuration.
	Topics(ctx context.Context) (map[string]Topic, error)
	Configs(ctx context.Context, topic string) (map[string]string, error)
	// Delete deletes topics, DeleteRecords the records of a partition below an offset.
	Delete(ctx context.Context, topics ...string) error
	DeleteRecords(ctx context.Context, topic string, partition int, below int64) error
	// Produce writes a record as Java's default partitioner places it, and returns where.
	Produce(ctx context.Context, topic, key, value string) (partition int, err error)
	// Spoil writes records that are no events to a partition, in every form in which a client
	// may: each compression, with and without key, value and headers, and in transactions,
	// committed and aborted. It returns how many it wrote.
	Spoil(ctx context.Context, topic string, partition int) (records int, err error)
	// Read returns the record at an offset.
	Read(
		ctx context.Context, topic string, partition int, offset int64,
	) (headers map[string]string, value string, err error)
}

// Topic as the witness sees it.
type Topic struct {
	ID         uuid.UUID
	Partitions int
}

// Wipe deletes every topic whose name begins with "ledger." and returns when they are gone.
func Wipe(tb testing.TB, w Witness) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		topics, err := w.Topics(ctx)
		if err != nil {
			tb.Fatal(err)
		}
		names := slices.DeleteFunc(slices.Collect(maps.Keys(topics)),
			func(n string) bool { return !strings.HasPrefix(n, "ledger.") })
		if len(names) == 0 {
			return
		}
		if err := w.Delete(ctx, names...); err != nil {
			tb.Fatal(err)
		}
	}
}

// suite is what each test gets: a client of each role, a witness and a deadline.
type suite struct {
	ctx     context.Context
	config  kafka.Config
	client  *kafka.Client // the relay's
	follows *kafka.Client // a consumer's
	reads   *kafka.Client // a reader's
	witness Witness
	gen     *Generator
	ledger  uuid.UUID
}

// Run checks the client against the brokers, each part of it as the role that does it. Every
// ledger topic there is deleted first. The witness may do everything.
func Run(t *testing.T, logins Logins, w Witness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"Topics", testTopics}, {"PublishAndRead", testPublishAndRead}, {"Offsets", testOffsets},
		{"Chunks", testChunks},
		{"Position", testPosition}, {"DeadLetter", testDeadLetter}, {"RecreatedTopic", testRecreated},
		{"GroupFollowsNewTopics", testGroup}, {"GroupMemberDies", testMemberDies},
		{"PartitionerIsJavas", testPartitioner},
		{"ForeignRecords", testForeign},
	} {
		t.Run(c.name, func(t *testing.T) {
			Wipe(t, w)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			t.Cleanup(cancel)
			cfg := logins[kafka.RoleRelay]
			cfg.Partitions, cfg.TopicRefresh = 3, 100*time.Millisecond
			c.test(t, &suite{ctx: ctx, config: cfg, witness: w,
				client: dial(t, cfg), follows: dial(t, logins[kafka.RoleConsumer]),
				reads: dial(t, logins[kafka.RoleReader]),
				gen:   NewGenerator(uint64(len(c.name))), ledger: uuid.New()})
		})
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// refusals returns n events of topic ledger.refusal, numbered from first.
func (s *suite) refusals(first uint64, n int) []schemas.Envelope {
	var out []schemas.Envelope
	for len(out) < n {
		for _, e := range s.gen.Events(n) {
			if e.Stream.Kind() == "refusal" && len(out) < n {
				out = append(out, e)
			}
		}
	}
	return Numbered(first, out)
}

// note notes, as the relay does, that all up to that event lies below the present ends.
func (s *suite) note(t *testing.T, through schemas.Envelope) {
	t.Helper()
	p := consumers.Position{Topics: map[string]consumers.TopicPosition{}, Through: through.Anchor(s.ledger)}
	for _, topic := range must(s.client.Topics(s.ctx))(t) {
		id, _, ends, err := s.client.Describe(s.ctx, topic)
		if err != nil {
			t.Fatal(err)
		}
		p.Topics[topic] = consumers.TopicPosition{ID: id, Ends: ends}
	}
	if err := s.client.Ensure(s.ctx, consumers.PositionTopic); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.SavePosition(s.ctx, p); err != nil {
		t.Fatal(err)
	}
}

func testTopics(t *testing.T, s *suite) {
	if err := s.client.Prepare(s.ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Prepare(s.ctx); err != nil {
		t.Fatalf("again: %v", err)
	}
	if err := s.client.Ensure(s.ctx, "ledger.novelty"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"other", "ledger.", "ledger.a.b", "ledger.UP", "ledger.a-b"} {
		if err := s.client.Ensure(s.ctx, bad); err == nil {
			t.Errorf("created %q", bad)
		}
	}
	seen := must(s.witness.Topics(s.ctx))(t)
	want := []string{consumers.OtherTopic}
	for _, k := range consumers.Kinds {
		want = append(want, "ledger."+k)
	}
	slices.Sort(want)
	if got := must(s.reads.Topics(s.ctx))(t); !slices.Equal(got, want) {
		t.Errorf("topics %v, want %v", got, want)
	}
	want = append(want, "ledger.novelty") // whose kind another version may know
	list := must(s.reads.Partitions().List(s.ctx))(t)
	if len(list) != 3*len(want) {
		t.Errorf("%d partitions listed, want %d", len(list), 3*len(want))
	}
	for _, p := range list {
		if p.TopicID != seen[p.Topic].ID || p.TopicID == uuid.Nil {
			t.Errorf("%s has id %s, the broker says %s", p.Topic, p.TopicID, seen[p.Topic].ID)
		}
	}
	for name, config := range map[string]map[string]string{
		"ledger.device": {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "4194304",
			"unclean.leader.election.enable": "false", "message.timestamp.type": "CreateTime"},
		"ledger.novelty":          {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "4194304"},
		consumers.PositionTopic:   {"cleanup.policy": "compact"},
		consumers.DeadLetterTopic: {"cleanup.policy": "delete", "retention.ms": "-1"},
		consumers.CheckpointTopic: {"cleanup.policy": "delete", "retention.ms": "-1"},
	} {
		parts := 3
		if !consumers.EventTopic(name) {
			parts = 1
		}
		if n := seen[name].Partitions; n != parts {
			t.Errorf("%s has %d partitions, want %d", name, n, parts)
		}
		got := must(s.witness.Configs(s.ctx, name))(t)
		for k, v := range config {
			if got[k] != v {
				t.Errorf("%s: %s is %q, want %q", name, k, got[k], v)
			}
		}
	}
}

func testPublishAndRead(t *testing.T, s *suite) {
	if err := s.client.Prepare(s.ctx); err != nil {
		t.Fatal(err)
	}
	events := s.refusals(100, 300)
	before := time.Now().Add(-time.Minute)
	acked, base, next, err := s.client.Publish(s.ctx, s.ledger, "ledger.refusal", 1, events)
	if err != nil || acked != 300 || base != 0 || next != 300 {
		t.Fatalf("published %d at %d to %d: %v", acked, base, next, err)
	}
	if _, _, _, err := s.client.Publish(s.ctx, s.ledger, "ledger.device", 1, events[:1]); err == nil {
		t.Error("published to another kind's topic")
	}
	var got []schemas.Envelope
	for at := int64(0); at < next; {
		ms, _, err := s.reads.Partitions().Read(s.ctx, "ledger.refusal", 1, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			if m.Offset != at || m.Time.Before(before) || m.Time.After(time.Now().Add(time.Minute)) {
				t.Fatalf("offset %d at %d, produced at %s", m.Offset, at, m.Time)
			}
			d := must(consumers.Decode(m))(t)
			got = append(got, d.Envelope)
			at++
		}
	}
	for i := range events {
		if events[i].Leaf() != got[i].Leaf() || got[i].Seq != events[i].Seq || got[i].Position != events[i].Position {
			t.Fatalf("event %d came back as another", i)
		}
	}
	es, offsets, after, err := s.client.ReadEvents(s.ctx, s.ledger, "ledger.refusal", 1, 290, 295)
	if err != nil || len(es) != 5 || after != 295 || offsets[0] != 290 || offsets[4] != 294 || es[0].Seq != 390 {
		t.Errorf("read back %d from %v: %v", len(es), offsets, err)
	}
	// At the end of the partition a read returns nothing, soon.
	if ms, to, err := s.reads.Partitions().Read(s.ctx, "ledger.refusal", 1, next); err != nil || len(ms) != 0 ||
		to != next {
		t.Errorf("%d messages after the end, to %d: %v", len(ms), to, err)
	}
	// The witness sees the CloudEvents headers as they are.
	header, value, err := s.witness.Read(s.ctx, "ledger.refusal", 1, 7)
	if err != nil {
		t.Fatal(err)
	}
	if header["ce_id"] != events[7].ID.String() || header["ce_ledgerseq"] != "107" || value != string(events[7].Data) {
		t.Errorf("the witness read %v", header)
	}
}

func testOffsets(t *testing.T, s *suite) {
	if err := s.client.Ensure(s.ctx, "ledger.refusal"); err != nil {
		t.Fatal(err)
	}
	parts := s.reads.Partitions()
	if _, _, _, err := s.client.Publish(s.ctx, s.ledger, "ledger.refusal", 0, s.refusals(0, 10)); err != nil {
		t.Fatal(err)
	}
	if ends := must(parts.Ends(s.ctx, "ledger.refusal"))(t); !slices.Equal(ends, []int64{10, 0, 0}) {
		t.Errorf("ends %v", ends)
	}
	if m := must(parts.FetchOne(s.ctx, "ledger.refusal", 0, 9))(t); m.Offset != 9 {
		t.Errorf("fetched offset %d", m.Offset)
	}
	for _, at := range []int64{10, 11} {
		if m, err := parts.FetchOne(s.ctx, "ledger.refusal", 0, at); !errors.Is(err, kafka.ErrOffset) {
			t.Errorf("offset %d: %v %v", at, m.Offset, err)
		}
	}
	if _, _, err := parts.Read(s.ctx, "ledger.refusal", 0, 11); !errors.Is(err, kafka.ErrOffset) {
		t.Errorf("a read beyond the end: %v", err)
	}
	if _, err := parts.Ends(s.ctx, "ledger.absent"); !errors.Is(err, kafka.ErrNoTopic) {
		t.Errorf("ends of no topic: %v", err)
	}
	id, _, ends, err := s.client.Describe(s.ctx, "ledger.absent")
	if id != uuid.Nil || len(ends) != 0 || err != nil {
		t.Errorf("an absent topic: %s %v %v", id, ends, err)
	}
	// Removed records are an error, not a jump.
	if err := s.witness.DeleteRecords(s.ctx, "ledger.refusal", 0, 4); err != nil {
		t.Fatal(err)
	}
	if _, _, err := parts.Read(s.ctx, "ledger.refusal", 0, 3); !errors.Is(err, kafka.ErrOffset) {
		t.Errorf("a read of removed records: %v", err)
	}
	if _, first, _, err := s.client.Describe(s.ctx, "ledger.refusal"); err != nil || first[0] != 4 {
		t.Errorf("first offsets %v: %v", first, err)
	}
}

func testChunks(t *testing.T, s *suite) {
	if err := s.client.Ensure(s.ctx, "ledger.refusal"); err != nil {
		t.Fatal(err)
	}
	// 12 MiB in one call, in requests a broker takes.
	events := s.refusals(0, 60)
	for i := range events {
		events[i] = schemastest.Changed(events[i], func(r *schemas.RecordedEvent) {
			r.Data = []byte(fmt.Sprintf(`{"rule":"personal-apps","pad":%q}`, strings.Repeat("x", 200<<10)))
		})
	}
	acked, base, next, err := s.client.Publish(s.ctx, s.ledger, "ledger.refusal", 2, events)
	if err != nil || acked != 60 || base != 0 || next != 60 {
		t.Fatalf("%d at %d to %d: %v", acked, base, next, err)
	}
	var got int
	for at := int64(0); at < next; {
		ms, _, err := s.reads.Partitions().Read(s.ctx, "ledger.refusal", 2, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			if d := must(consumers.Decode(m))(t); d.Seq != uint64(got) {
				t.Fatalf("sequence %d at %d", d.Seq, got)
			}
			got++
			at = m.Offset + 1
		}
	}
}

func testPosition(t *testing.T, s *suite) {
	if _, ok, err := s.client.LastPosition(s.ctx); ok || err != nil {
		t.Fatalf("without the topic: %v %v", ok, err)
	}
	if err := s.client.Prepare(s.ctx); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.client.LastPosition(s.ctx); ok || err != nil {
		t.Fatalf("an empty topic: %v %v", ok, err)
	}
	id := uuid.New()
	for i := range 20 {
		a := schemas.Anchor{LedgerID: s.ledger, Seq: uint64(i), EventID: uuid.New(), Leaf: [32]byte{byte(i)}}
		p := consumers.Position{Through: a, Topics: map[string]consumers.TopicPosition{"ledger.device": {ID: id,
			Ends: []int64{int64(i), 0}}}}
		if at, err := s.client.SavePosition(s.ctx, p); err != nil || at != int64(i) {
			t.Fatalf("noted at %d: %v", at, err)
		}
		p, ok, err := s.reads.Partitions().LastPosition(s.ctx)
		if err != nil || !ok || p.Through != a || p.Topics["ledger.device"].ID != id ||
			p.Topics["ledger.device"].Ends[0] != int64(i) {
			t.Fatalf("%+v %v %v, want %+v", p, ok, err, a)
		}
	}
	// Another key after it does not hide it.
	for range 12 {
		if _, err := s.witness.Produce(s.ctx, consumers.PositionTopic, "other", "{}"); err != nil {
			t.Fatal(err)
		}
	}
	fresh := must(kafka.New(s.config))(t)
	defer fresh.Close()
	for name, c := range map[string]*kafka.Client{"that saw it before": s.client, "a new one": fresh} {
		if p, ok, err := c.LastPosition(s.ctx); err != nil || !ok || p.Through.Seq != 19 {
			t.Fatalf("client %s: %+v %v %v", name, p, ok, err)
		}
	}
	// A recreated topic does not leave the old position, nor hide the new.
	if err := s.witness.Delete(s.ctx, consumers.PositionTopic); err != nil {
		t.Fatal(err)
	}
	for gone := false; !gone; {
		topics := must(s.witness.Topics(s.ctx))(t)
		_, there := topics[consumers.PositionTopic]
		gone = !there
	}
	if err := s.client.Prepare(s.ctx); err != nil {
		t.Fatal(err)
	}
	if p, ok, err := s.client.LastPosition(s.ctx); ok || err != nil {
		t.Fatalf("of a new topic: %+v %v", p, err)
	}
	a := schemas.Anchor{LedgerID: s.ledger, Seq: 77}
	if _, err := s.client.SavePosition(s.ctx, consumers.Position{Through: a}); err != nil {
		t.Fatal(err)
	}
	if p, ok, err := s.client.LastPosition(s.ctx); err != nil || !ok || p.Through != a {
		t.Fatalf("in a new topic: %+v %v %v", p, ok, err)
	}
}

func testDeadLetter(t *testing.T, s *suite) {
	if err := s.client.Prepare(s.ctx); err != nil {
		t.Fatal(err)
	}
	m := consumers.Message{Topic: "hub", Partition: 3, Offset: 77, Key: []byte("k"), Value: []byte("v"),
		Headers: []consumers.Header{{Key: "a", Value: []byte("b")}}}
	if err := s.follows.Park(s.ctx, m, errors.New("no good")); err != nil {
		t.Fatal(err)
	}
	got := must(s.reads.Partitions().FetchOne(s.ctx, consumers.DeadLetterTopic, 0, 0))(t)
	h := map[string]string{}
	for _, x := range got.Headers {
		h[x.Key] = string(x.Value)
	}
	if string(got.Key) != "k" || string(got.Value) != "v" || h["a"] != "b" || h["deadletter_topic"] != "hub" ||
		h["deadletter_partition"] != "3" || h["deadletter_offset"] != "77" || h["deadletter_error"] != "no good" {
		t.Errorf("parked as %v", h)
	}
}

func testRecreated(t *testing.T, s *suite) {
	const topic = "ledger.refusal"
	if err := s.client.Ensure(s.ctx, topic); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.client.Publish(s.ctx, s.ledger, topic, 0, s.refusals(0, 5)); err != nil {
		t.Fatal(err)
	}
	id, _, _, err := s.client.Describe(s.ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.client.Drop(s.ctx, topic); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Drop(s.ctx, topic); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := s.client.Drop(s.ctx, consumers.DeadLetterTopic); err == nil {
		t.Error("dropped the dead letters")
	}
	if _, _, ends, err := s.client.Describe(s.ctx, topic); err != nil || len(ends) != 0 {
		t.Fatalf("after the deletion: %v %v", ends, err)
	}
	if err := s.client.Ensure(s.ctx, topic); err != nil {
		t.Fatal(err)
	}
	now, _, ends, err := s.client.Describe(s.ctx, topic)
	if err != nil || now == id || now == uuid.Nil || !slices.Equal(ends, []int64{0, 0, 0}) {
		t.Fatalf("recreated as %s (was %s) with %v: %v", now, id, ends, err)
	}
	// The driver's cached metadata must not be in the way for long: the relay repeats, so does
	// this.
	events := s.refusals(5, 5)
	for {
		acked, base, _, err := s.client.Publish(s.ctx, s.ledger, topic, 0, events)
		if err == nil {
			if acked != 5 || base != 0 {
				t.Errorf("%d at %d in a new topic", acked, base)
			}
			return
		}
		if s.ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func testGroup(t *testing.T, s *suite) {
	if err := s.client.Ensure(s.ctx, "ledger.refusal", consumers.DeadLetterTopic); err != nil {
		t.Fatal(err)
	}
	group := "test-" + uuid.NewString()
	publish := func(topic string, partition int, events []schemas.Envelope) {
		t.Helper()
		for {
			_, _, _, err := s.client.Publish(s.ctx, s.ledger, topic, partition, events)
			if err == nil {
				s.note(t, events[len(events)-1])
				return
			}
			if s.ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	publish("ledger.refusal", 0, s.refusals(0, 20))
	publish("ledger.refusal", 2, s.refusals(20, 20))

	var mu sync.Mutex
	seen := map[uint64]int{}
	consume := func(want int, after func(n int)) {
		t.Helper()
		g := must(s.follows.Group(kafka.GroupConfig{Group: group}))(t)
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		err := consumers.Run(ctx, consumers.Config{Source: g, DeadLetter: s.follows, Ledger: s.ledger,
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			Handler: func(_ context.Context, es []schemas.Envelope) error {
				mu.Lock()
				for _, e := range es {
					seen[e.Seq]++
				}
				n := len(seen)
				mu.Unlock()
				after(n)
				if n >= want {
					cancel()
				}
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if s.ctx.Err() != nil {
			t.Fatalf("%d of %d events came", len(seen), want)
		}
	}
	var once sync.Once
	consume(50, func(n int) {
		if n >= 40 {
			// A topic that appears while the group is reading.
			once.Do(func() {
				if err := s.client.Ensure(s.ctx, "ledger.tenant"); err != nil {
					t.Error(err)
				}
				var es []schemas.Envelope
				for len(es) < 10 {
					for _, e := range s.gen.Events(20) {
						if e.Stream.Kind() == "tenant" && len(es) < 10 {
							es = append(es, e)
						}
					}
				}
				publish("ledger.tenant", 1, Numbered(40, es))
			})
		}
	})
	// What was committed does not come again to the next member.
	publish("ledger.refusal", 0, s.refusals(50, 5))
	consume(55, func(int) {})
	for seq, n := range seen {
		if n != 1 {
			t.Errorf("sequence %d came %d times", seq, n)
		}
	}
}

// uncommitted is a group whose member dies before each commit.
type uncommitted struct{ *kafka.Group }

var errDied = errors.New("died")

func (uncommitted) Commit(context.Context, []consumers.Message) error { return errDied }

type positions map[string][]consumers.Handled

func (p positions) Load(_ context.Context, topic string, n int) ([]consumers.Handled, error) {
	return p[fmt.Sprint(topic, n)], nil
}

func (p positions) Save(_ context.Context, topic string, n int, handled []consumers.Handled) error {
	p[fmt.Sprint(topic, n)] = append(p[fmt.Sprint(topic, n)], handled...)
	return nil
}

// What a member handled and did not commit comes again to the next, which drops it by its
// positions and goes on.
func testMemberDies(t *testing.T, s *suite) {
	if err := s.client.Ensure(s.ctx, "ledger.refusal", consumers.DeadLetterTopic); err != nil {
		t.Fatal(err)
	}
	group, events := "test-"+uuid.NewString(), s.refusals(0, 60)
	for p := range 3 {
		if _, _, _, err := s.client.Publish(s.ctx, s.ledger, "ledger.refusal", p, events[20*p:20*p+20]); err != nil {
			t.Fatal(err)
		}
	}
	s.note(t, events[len(events)-1])
	handled, pos := map[uint64]int{}, positions{}
	live := func(source consumers.Source, g *kafka.Group) error {
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		err := consumers.Run(ctx, consumers.Config{Source: source, Positions: pos, DeadLetter: s.follows,
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			Handler: func(_ context.Context, es []schemas.Envelope) error {
				for _, e := range es {
					handled[e.Seq]++
				}
				if len(handled) == len(events) {
					cancel()
				}
				return nil
			}})
		return errors.Join(err, g.Close())
	}
	first := must(s.follows.Group(kafka.GroupConfig{Group: group, MaxMessages: 7}))(t)
	if err := live(uncommitted{first}, first); !errors.Is(err, errDied) || len(handled) == 0 {
		t.Fatalf("%v after %d events", err, len(handled))
	}
	second := must(s.follows.Group(kafka.GroupConfig{Group: group, MaxMessages: 7}))(t)
	if err := live(second, second); err != nil || s.ctx.Err() != nil {
		t.Fatalf("%v; %d of %d events came", err, len(handled), len(events))
	}
	for seq, n := range handled {
		if n != 1 {
			t.Errorf("sequence %d was handled %d times", seq, n)
		}
	}
}

// The witness partitions by its own port of Java's default partitioner.
func testPartitioner(t *testing.T, s *suite) {
	if err := s.client.Ensure(s.ctx, "ledger.refusal"); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.refusals(0, 40) {
		_, key := consumers.Route(e)
		want := must(s.witness.Produce(s.ctx, "ledger.refusal", key, "{}"))(t)
		if got := s.client.Partition(key, 3); got != want {
			t.Errorf("key %s: partition %d, Java's is %d", key, got, want)
		}
	}
}

// Whatever others write between the events: recovery and consumers read all of the events and
// nothing else, and count the rest; the newest position is found.
func testForeign(t *testing.T, s *suite) {
	const topic = "ledger.refusal"
	if err := s.client.Prepare(s.ctx); err != nil {
		t.Fatal(err)
	}
	events := s.refusals(0, 40)
	spoiled := 0
	for i := range 4 {
		if _, _, _, err := s.client.Publish(s.ctx, s.ledger, topic, 0, events[10*i:10*i+10]); err != nil {
			t.Fatal(err)
		}
		spoiled += must(s.witness.Spoil(s.ctx, topic, 0))(t)
		s.note(t, events[10*i+9])
		must(s.witness.Spoil(s.ctx, consumers.PositionTopic, 0))(t)
	}
	for name, c := range map[string]*kafka.Client{"that noted": s.client, "a new one": s.reads} {
		if p, ok, err := c.LastPosition(s.ctx); err != nil || !ok || p.Through.Seq != 39 {
			t.Fatalf("client %s: through %d %v %v", name, p.Through.Seq, ok, err)
		}
		n := uint64(0)
		for p, err := range c.Positions(s.ctx) {
			if n++; err != nil || p.Through.Seq != 49-10*n {
				t.Fatalf("client %s: position %d is through %d: %v", name, n, p.Through.Seq, err)
			}
		}
	}
	ends := must(s.client.Partitions().Ends(s.ctx, topic))(t)
	var got []schemas.Envelope
	for at := int64(0); at < ends[0]; {
		es, _, next, err := s.client.ReadEvents(s.ctx, s.ledger, topic, 0, at, ends[0])
		if err != nil {
			t.Fatal(err)
		}
		got, at = append(got, es...), next
	}
	if len(got) != len(events) {
		t.Errorf("recovery reads %d events of %d", len(got), len(events))
	}
	if es, _, _, err := s.client.ReadEvents(s.ctx, uuid.New(), topic, 0, 0, ends[0]); err != nil || len(es) != 0 {
		t.Errorf("another ledger's events: %d, %v", len(es), err)
	}
	g := must(s.follows.Group(kafka.GroupConfig{Group: "test-" + uuid.NewString(), Topics: []string{topic}}))(t)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	foreign := new(consumers.ForeignCount)
	handled := 0
	err := consumers.Run(ctx, consumers.Config{Source: g, Foreign: foreign,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Handler: func(_ context.Context, es []schemas.Envelope) error {
			for _, e := range es {
				if e.Seq != uint64(handled) {
					t.Errorf("sequence %d after %d events", e.Seq, handled)
				}
				handled++
			}
			if handled == len(events) {
				cancel()
			}
			return nil
		}})
	if err = errors.Join(err, g.Close()); err != nil || s.ctx.Err() != nil {
		t.Fatalf("%v; handled %d of %d", err, handled, len(events))
	}
	// What came after the last event need not have been looked at yet.
	if l := foreign.List(); len(l) != 1 || l[0].Topic != topic || int(l[0].Count) < spoiled*3/4 {
		t.Errorf("foreign %v, %d were written", l, spoiled)
	}
}
