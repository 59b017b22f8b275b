package relay_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/schemas"
)

// write puts records into a partition as somebody does who has the relay's rights and is not the
// relay.
func (r *rig) write(tb testing.TB, topic string, partition int32, records ...*kgo.Record) {
	tb.Helper()
	cl, err := kgo.NewClient(append(r.admin, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		tb.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, rec := range records {
		rec.Topic, rec.Partition = topic, partition
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		tb.Fatal(err)
	}
}

func record(m consumers.Message) *kgo.Record {
	out := &kgo.Record{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return out
}

// garbage is what nobody could take for an event.
func garbage() []*kgo.Record {
	return []*kgo.Record{{Value: []byte(`{"garbage":1}`)}, {Key: []byte("k")}, {},
		{Value: bytes.Repeat([]byte("x"), 1<<19)},
		{Value: []byte(`{}`), Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("x")},
			{Key: "ce_id", Value: nil}}}}
}

// keyed gives garbage a key: a compacted topic takes no record without one.
func keyed(records []*kgo.Record) []*kgo.Record {
	for i, rec := range records {
		rec.Key = []byte([]string{"other", consumers.PositionKey}[i%2])
	}
	return records
}

// forged is a record of the right form, of this ledger by its looks, with that sequence.
func (r *rig) forged(tb testing.TB, seq uint64) *kgo.Record {
	tb.Helper()
	g := kafkatest.NewGenerator(seq + 1000)
	for {
		for _, e := range g.Events(5) {
			if e.Stream.Kind() == "refusal" {
				e.Seq = seq
				return record(consumers.Encode(r.ledger.id, e))
			}
		}
	}
}

// position is a record of ledger.position that claims that events up to seq are published.
func (r *rig) position(tb testing.TB, ledger uuid.UUID, seq uint64) *kgo.Record {
	tb.Helper()
	p, _, err := r.client.LastPosition(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	p.Through = schemas.Anchor{LedgerID: ledger, Seq: seq, EventID: uuid.New(), Leaf: [32]byte{7}}
	return &kgo.Record{Key: []byte(consumers.PositionKey), Value: p.Encode()}
}

// Whatever others write into the topics and into ledger.position, before a start or while the
// relay runs: it goes on, every event of the ledger is published once, the others' records are
// told with the command that removes them, and it does.
func TestForeignRecordsStopNothing(t *testing.T) { foreignRecordsStopNothing(t, onKfake) }

func foreignRecordsStopNothing(t *testing.T, newRig func(testing.TB, uint64) *rig) {
	ctx := context.Background()
	r := newRig(t, 31)
	r.fill(300)
	if err := run(t, r.config(), 299); err != nil {
		t.Fatal(err)
	}
	spoil := func() {
		r.write(t, lossy, 0, garbage()...)
		r.write(t, "ledger.device", 1, garbage()...)
		r.write(t, consumers.OtherTopic, 2, garbage()...)
		for i, seq := range []uint64{1_000_000, 5, 320, 301, 1 << 62} {
			r.write(t, lossy, int32(i%3), r.forged(t, seq))
		}
		r.write(t, consumers.PositionTopic, 0, keyed(garbage())...)
		r.write(t, consumers.PositionTopic, 0, r.position(t, uuid.New(), 10), r.position(t, r.ledger.id, 1_000_000),
			r.position(t, r.ledger.id, 9))
		for range 40 { // more than is read at once
			r.write(t, consumers.PositionTopic, 0, &kgo.Record{Key: []byte(consumers.PositionKey),
				Value: []byte(`{"garbage":1}`)})
		}
		r.redial(t)
	}
	spoil()
	r.foreign = true
	re, err := relay.New(r.config())
	if err != nil {
		t.Fatal(err)
	}
	if err := re.Check(ctx); err != nil {
		t.Fatal(err)
	}
	r.fill(200)
	if err := runTo(t, re, 499); err != nil {
		t.Fatal(err)
	}
	r.check(t, 499)
	if p, ok, err := r.client.LastPosition(ctx); err != nil || !ok || p.Through.Seq != 499 {
		t.Errorf("the newest position is %v %v %v", p.Through, ok, err)
	}
	st := re.Status()
	if !strings.Contains(st.Problem, "ledgerline relay refill "+lossy) ||
		!strings.Contains(st.Problem, "ledgerline relay refill "+consumers.PositionTopic) {
		t.Errorf("problem %q", st.Problem)
	}
	if !slices.ContainsFunc(st.Forged, func(f consumers.Foreign) bool { return f.Topic == lossy }) {
		t.Errorf("forged %v", st.Forged)
	}
	for _, topic := range []string{lossy, "ledger.device", consumers.PositionTopic} {
		if !slices.ContainsFunc(r.client.Foreign(), func(f consumers.Foreign) bool {
			return f.Topic == topic &&
				f.Count >= 5
		}) {
			t.Errorf("garbage of %s is not counted: %v", topic, r.client.Foreign())
		}
	}

	// While it runs, round after round.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- re.Run(ctx) }()
	for through := uint64(499); through < 800; {
		spoil := func() {
			r.write(t, lossy, 1, append(garbage(), r.forged(t, 1_000_000+through))...)
			r.write(t, consumers.PositionTopic, 0, append(keyed(garbage()), r.position(t, r.ledger.id, 1_000_000))...)
		}
		spoil()
		r.fill(100)
		through += 100
		for {
			p, _, changed := re.Noted()
			if p.Through.Seq >= through {
				break
			}
			select {
			case <-changed:
			case err := <-done:
				t.Fatalf("the relay ended: %v", err)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.redial(t)
	r.check(t, 799)

	// Nothing of it is left after the command that was named.
	cfg := r.config()
	if re, err = relay.New(cfg); err != nil {
		t.Fatal(err)
	}
	names, err := re.Refill(context.Background(), lossy, "ledger.device", consumers.OtherTopic,
		consumers.PositionTopic)
	if err != nil || len(names) != 4 {
		t.Fatalf("refilled %v: %v", names, err)
	}
	r.redial(t)
	r.foreign = false
	r.check(t, 799)
	if err := run(t, r.config(), 799); err != nil {
		t.Fatal(err)
	}
	if st := re.Status(); st.Problem != "" || len(st.Forged) != 0 {
		t.Errorf("afterwards: %+v", st)
	}
}

// A forged record that stands before the relay's own, unnoted ones hides none of them and makes no
// second copy.
func TestForgedBeforeTheTail(t *testing.T) {
	r := newRig(t, 32)
	r.fill(100)
	if err := run(t, r.config(), 99); err != nil {
		t.Fatal(err)
	}
	for p := range int32(3) {
		r.write(t, lossy, p, r.forged(t, 160), r.forged(t, 4000), r.forged(t, 99_999))
	}
	r.fill(200)
	cfg := r.config()
	cfg.Hook = func(p string) error {
		if p == relay.PointAcked {
			return errCrash
		}
		return nil
	}
	if err := run(t, cfg, 299); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	r.redial(t)
	if err := run(t, r.config(), 299); err != nil {
		t.Fatal(err)
	}
	r.foreign = true
	if got := r.check(t, 299); len(got.duplicates) != 0 {
		t.Errorf("%d duplicates", len(got.duplicates))
	}
}

// A forged record in the tail that the ledger will not reach for long keeps no end from being
// noted: consumers would wait for it.
func TestAForgedRecordHoldsNoEnd(t *testing.T) {
	r := newRig(t, 33)
	r.fill(50)
	if err := run(t, r.config(), 49); err != nil {
		t.Fatal(err)
	}
	r.write(t, lossy, 0, r.forged(t, 70), r.forged(t, 2000))
	r.fill(1)
	if err := run(t, r.config(), 50); err != nil {
		t.Fatal(err)
	}
	p, _, err := r.client.LastPosition(context.Background())
	ends, err2 := r.client.Partitions().Ends(context.Background(), lossy)
	if err != nil || err2 != nil || !slices.Equal(p.Topics[lossy].Ends, ends) {
		t.Errorf("noted %v, the ends are %v: %v %v", p.Topics[lossy].Ends, ends, err, err2)
	}
}

// A record that was forged while no relay ran, with a sequence that was published long ago, is
// told at the next start, and gets its end noted though nothing is published.
func TestAForgedRepetition(t *testing.T) {
	r := newRig(t, 40)
	r.fill(100)
	if err := run(t, r.config(), 99); err != nil {
		t.Fatal(err)
	}
	r.write(t, lossy, 1, r.forged(t, 50))
	ends, err := r.client.Partitions().Ends(context.Background(), lossy)
	if err != nil {
		t.Fatal(err)
	}
	re, done := r.idle(t, 99)
	waitNoted(t, re, done, func(p consumers.Position) bool { return slices.Equal(p.Topics[lossy].Ends, ends) })
	if st := re.Status(); len(st.Forged) != 1 || !strings.Contains(st.Problem, "ledgerline relay refill "+lossy) {
		t.Errorf("status %+v", st)
	}
}

// spoilt is a batch that says it is compressed and is noise, which kfake stores.
func spoilt(topic string, partition int32) kmsg.Request {
	b := kmsg.RecordBatch{Magic: 2, Attributes: 1, NumRecords: 1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		FirstTimestamp: 1, MaxTimestamp: 1, Records: []byte("this was never compressed")}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, -1, 5000
	t, p := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	t.Topic, p.Partition, p.Records = topic, partition, raw
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// Bytes that no client can take apart are as good as a loss where the relay must read, and in
// nobody's way among the positions; the command that is named heals both.
func TestBytesThatCannotBeRead(t *testing.T) {
	r := newRig(t, 41, kfake.MaxVersions(kversion.V3_0_0()))
	r.fill(100)
	if err := run(t, r.config(), 99); err != nil {
		t.Fatal(err)
	}
	r.request(t, spoilt(consumers.PositionTopic, 0))
	r.redial(t)
	r.fill(10)
	if err := run(t, r.config(), 109); err != nil {
		t.Fatal(err)
	}
	r.request(t, spoilt(lossy, 1))
	r.redial(t)
	re, err := relay.New(r.config())
	if err != nil {
		t.Fatal(err)
	}
	err = runTo(t, re, 110)
	if !errors.Is(err, relay.ErrDataLoss) || !strings.Contains(err.Error(), "ledgerline relay refill "+lossy) {
		t.Fatalf("%v, want a loss and the command", err)
	}
	if names, err := re.Refill(context.Background()); err != nil || !slices.Equal(names, []string{lossy}) {
		t.Fatalf("refilled %v: %v", names, err)
	}
	r.redial(t)
	r.fill(1)
	if err := run(t, r.config(), 110); err != nil {
		t.Fatal(err)
	}
	r.check(t, 110)
}

// Position and record forged together look like a ledger that was put back from an older copy: it
// stops, and says both ways out.
func TestAForgedPositionWithItsRecord(t *testing.T) {
	r := newRig(t, 34)
	r.fill(100)
	if err := run(t, r.config(), 99); err != nil {
		t.Fatal(err)
	}
	r.write(t, lossy, 0, r.forged(t, 150))
	r.write(t, consumers.PositionTopic, 0, func() *kgo.Record {
		p, _, err := r.client.LastPosition(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		p.Through.Seq, p.Through.Leaf = 150, [32]byte{1}
		p.Topics[lossy].Ends[0]++
		return &kgo.Record{Key: []byte(consumers.PositionKey), Value: p.Encode()}
	}())
	r.redial(t)
	err := run(t, r.config(), 99)
	if !errors.Is(err, relay.ErrDiverged) || !strings.Contains(err.Error(), "refill --everything") ||
		!strings.Contains(err.Error(), "restore eventstore") {
		t.Fatalf("%v, want diverged and both ways out", err)
	}
	re, err := relay.New(r.config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := re.RefillAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.redial(t)
	if err := run(t, r.config(), 99); err != nil {
		t.Fatal(err)
	}
	r.check(t, 99)
}

// idle runs a relay that looks at its topics often, and returns when it has noted that sequence.
func (r *rig) idle(t *testing.T, through uint64) (*relay.Relay, chan error) {
	t.Helper()
	cfg := r.config()
	cfg.CheckEvery = 20 * time.Millisecond
	re, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- re.Run(ctx) }()
	waitNoted(t, re, done, func(p consumers.Position) bool { return p.Through.Seq >= through })
	return re, done
}

func waitNoted(t *testing.T, re *relay.Relay, done chan error, enough func(consumers.Position) bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		p, ok, changed := re.Noted()
		if ok && enough(p) {
			return
		}
		select {
		case <-changed:
		case err := <-done:
			t.Fatalf("the relay ended: %v", err)
		case <-late:
			t.Fatalf("not noted: %+v", re.Status())
		}
	}
}

// A topic that is deleted, or deleted and made again, is noticed though nothing is published, and
// the error names the command.
func TestALossIsNoticedWhileIdle(t *testing.T) { lossIsNoticedWhileIdle(t, onKfake) }

func lossIsNoticedWhileIdle(t *testing.T, newRig func(testing.TB, uint64) *rig) {
	for name, again := range map[string]bool{"deleted": false, "made again": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 35)
			r.fill(100)
			re, done := r.idle(t, 99)
			r.drop(t, lossy)
			if again {
				if err := r.client.Ensure(context.Background(), lossy); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case err := <-done:
				if !errors.Is(err, relay.ErrDataLoss) || !strings.Contains(err.Error(),
					"ledgerline relay refill "+lossy) {
					t.Fatalf("%v, want data loss and the command", err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("not noticed")
			}
			if st := re.Status(); !strings.Contains(st.Problem, "ledgerline relay refill "+lossy) {
				t.Errorf("problem %q", st.Problem)
			}
			if _, err := re.Refill(context.Background()); err != nil {
				t.Fatal(err)
			}
			r.redial(t)
			r.check(t, 99)
		})
	}
}

// What others write while nothing is published gets its end noted, so that no consumer waits with
// it; and the newest position is the relay's own again.
func TestForeignRecordsGetAnEnd(t *testing.T) {
	r := newRig(t, 36)
	r.fill(100)
	re, done := r.idle(t, 99)
	r.write(t, lossy, 2, garbage()...)
	ends, err := r.client.Partitions().Ends(context.Background(), lossy)
	if err != nil {
		t.Fatal(err)
	}
	waitNoted(t, re, done, func(p consumers.Position) bool { return slices.Equal(p.Topics[lossy].Ends, ends) })
	_, _, changed := re.Noted() // before the write: what is noted right after it counts
	r.write(t, consumers.PositionTopic, 0, r.position(t, r.ledger.id, 1_000_000),
		&kgo.Record{Key: []byte("x"), Value: []byte("x")})
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("not noted again")
	}
	if p, ok, err := r.client.LastPosition(context.Background()); err != nil || !ok || p.Through.Seq != 99 {
		t.Errorf("the newest position: %+v %v %v", p, ok, err)
	}
	if st := re.Status(); !strings.Contains(st.Problem, "refill "+consumers.PositionTopic) {
		t.Errorf("problem %q", st.Problem)
	}
}

// ledger.position may be lost under the relay: it is made again and noted anew, also while nothing
// is published.
func TestThePositionIsLostWhileIdle(t *testing.T) {
	r := newRig(t, 37)
	r.fill(100)
	re, done := r.idle(t, 99)
	_, _, changed := re.Noted()
	r.drop(t, consumers.PositionTopic)
	select {
	case <-changed:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("not noted again")
	}
	r.redial(t)
	if p, ok, err := r.client.LastPosition(context.Background()); err != nil || !ok || p.Through.Seq != 99 {
		t.Errorf("the newest position: %+v %v %v", p, ok, err)
	}
}

// On a broker that does not compact, positions are trimmed: what is kept does not grow with the
// number of rounds.
func TestPositionsAreBounded(t *testing.T) {
	r := newRig(t, 38)
	r.ledger.batch = 1
	r.fill(2500)
	cfg := r.config()
	cfg.Trim = func(_ context.Context, before int64) error {
		return r.cluster.DeleteRecords(consumers.PositionTopic, 0, before)
	}
	if err := run(t, cfg, 2499); err != nil {
		t.Fatal(err)
	}
	_, first, end, err := r.client.Describe(context.Background(), consumers.PositionTopic)
	if err != nil || end[0] != 2500 || end[0]-first[0] > 1100 || end[0]-first[0] < 100 {
		t.Errorf("positions from %v to %v: %v", first, end, err)
	}
	r.fill(10)
	r.redial(t)
	cfg.Publisher = r.client
	if err := run(t, cfg, 2509); err != nil {
		t.Fatal(err)
	}
	r.check(t, 2509)
}

func TestARoundIsNeverLongerThanConsumersRemember(t *testing.T) {
	r := newRig(t, 39)
	cfg := r.config()
	cfg.MaxEvents = consumers.MaxRound + 1
	if _, err := relay.New(cfg); err == nil {
		t.Error("accepted a longer round")
	}
	cfg.MaxEvents, r.ledger.batch = consumers.MaxRound, 2*consumers.MaxRound
	r.fill(consumers.MaxRound + 10)
	before := uint64(0)
	cfg.Hook = func(point string) error {
		if p, ok, err := r.client.LastPosition(context.Background()); point == relay.PointNoted &&
			(err != nil || !ok || p.Through.Seq >= before+consumers.MaxRound && before > 0 ||
				p.Through.Seq >= consumers.MaxRound && before == 0) {
			t.Errorf("a round from %d to %d: %v", before, p.Through.Seq, err)
		} else if ok {
			before = p.Through.Seq
		}
		return nil
	}
	if err := run(t, cfg, consumers.MaxRound+9); err != nil {
		t.Fatal(err)
	}
}
