package office

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// long are topics of any length: one event again and again, each time with bytes of its own. The
// sequences are spread over the partitions, so that in each they ascend.
type long struct {
	of     schemas.Envelope
	events int64 // in each partition
	fails  string
}

const longPartitions = 7

func newLong(t testing.TB, events int64) *long {
	t.Helper()
	c := schemas.Default()
	e, err := c.Encode(schemas.Draft{Type: c.MustType("refusal.recorded.v1"), Tenant: uuid.New(),
		Stream: schemas.NewStream("refusal", uuid.New()), ID: schemas.NewID(), Occurred: time.Now(),
		Recorded: time.Now(), Source: "test",
		Values: []schemas.Value{{Attr: c.MustAttribute("refusal.rule"), Plain: schemas.JSON("test")}}})
	if err != nil {
		t.Fatal(err)
	}
	return &long{of: schemastest.Envelope(schemas.RecordedEvent{Event: schemastest.Sign(e, 0)}), events: events}
}

func (l *long) Partitions(context.Context) (names []string, err error) {
	for i := range longPartitions {
		names = append(names, fmt.Sprintf("ledger.refusal/%d", i))
	}
	return names, nil
}

func (l *long) Bounds(context.Context, string) (first, end int64, err error) { return 0, l.events, nil }

func (l *long) Read(_ context.Context, name string, from int64) iter.Seq2[projections.Item, error] {
	return func(yield func(projections.Item, error) bool) {
		for i := from; i < l.events; i++ {
			if name == l.fails && i == l.events/2 {
				yield(projections.Item{}, errors.New("the broker went away"))
				return
			}
			e := l.of
			e.Seq = uint64(i*longPartitions) + uint64(name[len(name)-1]-'0')
			e.Data = append(bytes.Clone(e.Data), make([]byte, 4<<10)...)
			if !yield(projections.Item{Envelope: e, Offset: i}, nil) {
				return
			}
		}
	}
}

func (l *long) LastNoted(context.Context) (*projections.Noted, error) {
	n := &projections.Noted{Through: uint64(l.events * longPartitions), Ends: map[string]int64{}}
	names, _ := l.Partitions(context.Background())
	for _, name := range names {
		n.Ends[name] = l.events
	}
	return n, nil
}

func (l *long) Noted(ctx context.Context, _ *projections.Noted) (*projections.Noted, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// live is how much memory is held while the topics are followed to their end, at most.
func live(t *testing.T, l *long) (most uint64) {
	t.Helper()
	b := newBuilding(t)
	b.cfg.Topics = func(context.Context) (Topics, error) { return l, nil }
	next := uint64(0)
	all := uint64(l.events * longPartitions)
	err := b.Follow(t.Context(), root, uuid.Nil, Following{FromStart: true, UntilEnd: true,
		Event: func(r schemas.Envelope) error {
			if r.Seq != next {
				return fmt.Errorf("sequence %d comes where %d is next", r.Seq, next)
			}
			if next++; next%(all/8) == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
			return nil
		}})
	if err != nil || next != all {
		t.Fatalf("%d of %d followed: %v", next, all, err)
	}
	return most
}

// Following to the end holds as much of ten times as many events, and hands each over in its
// place.
func TestFollowingHoldsNoMoreOfALongerLedger(t *testing.T) {
	short, far := live(t, newLong(t, 1000)), live(t, newLong(t, 10_000))
	if far > short*3/2 {
		t.Errorf("%d bytes are held of ten times as many events, %d before", far, short)
	}
}

// A partition that cannot be read any more ends it with that error; what came before it is in
// order.
func TestFollowingEndsWithThePartitionThatFails(t *testing.T) {
	b := newBuilding(t)
	l := newLong(t, 400)
	l.fails = "ledger.refusal/3"
	b.cfg.Topics = func(context.Context) (Topics, error) { return l, nil }
	var got []uint64
	err := b.Follow(t.Context(), root, uuid.Nil, Following{FromStart: true, UntilEnd: true,
		Event: func(r schemas.Envelope) error { got = append(got, r.Seq); return nil }})
	if err == nil || !slices.IsSorted(got) || len(got) >= 400*longPartitions {
		t.Errorf("%v after %d events", err, len(got))
	}
}

// stays are topics to which nothing is added.
type stays struct{ *long }

func (s stays) Read(ctx context.Context, name string, from int64) iter.Seq2[projections.Item, error] {
	return func(yield func(projections.Item, error) bool) {
		for item, err := range s.long.Read(ctx, name, from) {
			if !yield(item, err) {
				return
			}
		}
		<-ctx.Done()
	}
}

// That it waits is said once, and not before all is handed over that there was.
func TestFollowingSaysWhenItWaits(t *testing.T) {
	for _, fromStart := range []bool{true, false} {
		b := newBuilding(t)
		l := newLong(t, 300)
		b.cfg.Topics = func(context.Context) (Topics, error) { return stays{l}, nil }
		ctx, cancel := context.WithCancel(t.Context())
		handed, told := 0, 0
		var published uint64
		err := b.Follow(ctx, root, uuid.Nil, Following{FromStart: fromStart,
			Event: func(schemas.Envelope) error { handed++; return nil },
			Begun: func(through *uint64) { published = *through },
			Waiting: func() {
				if told++; told == 1 {
					time.AfterFunc(3*flushEvery, cancel) // time to say it again
				}
			}})
		want := 0
		if fromStart {
			want = 300 * longPartitions
		}
		if err != nil || told != 1 || handed != want || published != 300*longPartitions {
			t.Errorf("from start %v: %d handed over, waiting told %d times, published %d: %v", fromStart, handed, told,
				published, err)
		}
		cancel()
	}
}
