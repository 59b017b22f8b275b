package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/disturb"
)

func disturbed(t *testing.T, d disturb.Disturbance) *fixture {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.Disturb = &d
	s := startServer(t, cfg)
	return &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
}

// What a disturbed node adds is really in $all, looks as a real server's does, and is counted;
// what clients wrote is there as ever.
func TestADisturbedNodesAllHoldsWhatARealOneWouldAdd(t *testing.T) {
	f := disturbed(t, disturb.Disturbance{Seed: 1, SystemEvents: true, StatsEvery: 3, LinksEvery: 2, ForeignEvery: 2,
		MetadataEvery: 4, DeletesEvery: 5, TombstonesEvery: 5})
	var mine []string
	for i := range 40 {
		es := events(2)
		f.append(fmt.Sprintf("device-%d", i%7), esdb.Any{}, es...)
		mine = append(mine, es[0].EventID.String(), es[1].EventID.String())
	}
	all, err := f.readAll(esdb.Forwards, esdb.Start{}, 10000)
	if err != nil {
		t.Fatal(err)
	}
	var got disturb.Disturbed
	var seen []string
	for i, e := range all {
		if i > 0 && e.Position.Commit <= all[i-1].Position.Commit {
			t.Fatalf("position %d comes after %d", e.Position.Commit, all[i-1].Position.Commit)
		}
		switch {
		case i < f.s.Disturbed().System:
			got.System++
			if e.StreamID[0] != '$' {
				t.Errorf("event %d of $all is in %s, want a system stream", i, e.StreamID)
			}
		case e.EventType == "$statsCollected":
			got.Stats++
			if e.StreamID != "$stats-"+f.s.Addr() {
				t.Errorf("statistics in %s", e.StreamID)
			}
		case e.EventType == typeLink && e.StreamID[0] == '$':
			got.Links++
			revision, stream, _ := strings.Cut(string(e.Data), "@")
			n, err := strconv.ParseUint(revision, 10, 64)
			if err != nil {
				t.Fatalf("link to %q", e.Data)
			}
			target, err := f.readStream(stream, esdb.Forwards, esdb.Revision(n), 1)
			if err != nil || len(target) != 1 {
				t.Fatalf("link to %q, where nothing is: %v", e.Data, err)
			}
			if e.StreamID != "$ce-device" && e.StreamID != "$et-"+target[0].EventType {
				t.Errorf("link to an event of type %s in %s", target[0].EventType, e.StreamID)
			}
		case e.EventType == "$streamDeleted":
			got.Tombstoned++
			if _, err := f.readStream(e.StreamID, esdb.Forwards, esdb.Start{}, 1); err == nil {
				t.Errorf("%s has a tombstone and can be read", e.StreamID)
			}
		case e.EventType == "$metadata" && strings.HasPrefix(e.StreamID, "$$gone-"):
			got.Deleted++
		case e.EventType == "$metadata":
			got.Metadata++
		case strings.HasPrefix(e.StreamID, "device-"):
			seen = append(seen, e.EventID.String())
		default:
			got.Foreign++
		}
	}
	if !slices.Equal(seen, mine) {
		t.Errorf("%d of the clients' events are in $all, want %d in the order in which they were appended",
			len(seen), len(mine))
	}
	want := f.s.Disturbed()
	got.Foreign -= want.Deleted + want.Tombstoned // a stream that goes had an event before
	if got != want {
		t.Errorf("$all holds %+v, counted was %+v", got, want)
	}
	for what, n := range map[string]int{"system events": want.System, "statistics": want.Stats, "links": want.Links,
		"foreign events": want.Foreign,
		"metadata":       want.Metadata, "deletes": want.Deleted, "tombstones": want.Tombstoned} {
		if n == 0 {
			t.Errorf("no %s", what)
		}
	}
}

// One seed and one caller give one history.
func TestOneSeedDisturbsInOneWay(t *testing.T) {
	history := func(seed uint64) (out []string) {
		f := disturbed(t, disturb.Disturbance{Seed: seed, StatsEvery: 3, LinksEvery: 2, ForeignEvery: 3,
			TombstonesEvery: 6})
		for range 20 {
			f.append("device-1", esdb.Any{}, events(1)...)
		}
		all, err := f.readAll(esdb.Forwards, esdb.Start{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			out = append(out, strings.ReplaceAll(e.StreamID, f.s.Addr(), "here")+" "+e.EventType)
		}
		return out
	}
	a, b, c := history(5), history(5), history(6)
	if !slices.Equal(a, b) {
		t.Errorf("seed 5 gave\n%v\nand\n%v", a, b)
	}
	if slices.Equal(a, c) {
		t.Error("another seed gave the same history")
	}
}

// Only who asks for the leader is told where it is; the client then goes there and is served.
func TestNotLeaderIsAnsweredToWhoRequiresTheLeader(t *testing.T) {
	f := disturbed(t, disturb.Disturbance{Seed: 1, NotLeaderEvery: 1})
	f.append("s-1", esdb.Any{}, events(1)...)
	if n := f.s.Disturbed().NotLeader; n != 0 {
		t.Fatalf("%d calls that do not ask for the leader were sent away", n)
	}
	ctx := metadata.AppendToOutgoingContext(f.ctx, "requires-leader", "true")
	_, err := f.c.AppendToStream(ctx, "s-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events(1)...)
	wantCode(t, err, esdb.ErrorCodeNotLeader)
	r, err := f.c.ReadStream(ctx, "s-1", esdb.ReadStreamOptions{}, 10)
	if err == nil {
		_, err = collect(t, r, err)
	}
	wantCode(t, err, esdb.ErrorCodeNotLeader)
	_, err = f.c.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{})
	wantCode(t, err, esdb.ErrorCodeNotLeader)
	if got, err := f.readStream("s-1", esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 1 {
		t.Errorf("%d events (%v), want the one that was not refused", len(got), err)
	}
	if n := f.s.Disturbed().NotLeader; n != 3 {
		t.Errorf("%d calls counted, want 3", n)
	}
}

// An append without an answer may have been written or not; repeating it with the same ids
// settles that, and writes once.
func TestAppendsWithoutAnAnswerAreSettledByRepeating(t *testing.T) {
	f := disturbed(t, disturb.Disturbance{Seed: 3, NotReadyFirst: 2, NotReadyEvery: 7, TimeoutsEvery: 3,
		LostAnswersEvery: 3})
	codes := map[esdb.ErrorCode]int{}
	for i := range 60 {
		es := events(2)
		expect := esdb.ExpectedRevision(esdb.NoStream{})
		if i > 0 {
			expect = esdb.Revision(uint64(2*i - 1))
		}
		for {
			res, err := f.c.AppendToStream(f.ctx, "s-1", esdb.AppendToStreamOptions{ExpectedRevision: expect}, es...)
			if err == nil {
				if res.NextExpectedVersion != uint64(2*i+1) {
					t.Fatalf("append %d ended at revision %d", i, res.NextExpectedVersion)
				}
				break
			}
			codes[asError(t, err).Code()]++
			if f.ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	var n int
	for { // reads, too, meet a server that is not ready
		got, err := f.readStream("s-1", esdb.Forwards, esdb.Start{}, 1000)
		if n = len(got); err == nil || f.ctx.Err() != nil {
			break
		}
	}
	if n != 120 {
		t.Errorf("%d events, want 120", n)
	}
	d := f.s.Disturbed()
	if d.NotReady < 3 || d.Timeouts < 4 || d.LostAnswers == 0 {
		t.Errorf("done was only %+v", d)
	}
	for _, c := range []esdb.ErrorCode{esdb.ErrorAborted, esdb.ErrorCodeDeadlineExceeded, esdb.ErrorUnavailable} {
		if codes[c] == 0 {
			t.Errorf("no append ended with code %d: %v", c, codes)
		}
	}
}

// Subscriptions end in each of the ways, reads are cut in both; taken up again from the last
// event, each shows everything once.
func TestDroppedSubscriptionsAndCutReadsCanBeTakenUp(t *testing.T) {
	f := disturbed(t, disturb.Disturbance{Seed: 2, DropsEvery: 6, CutsEvery: 9, CaughtUpDelay: 2_000_000})
	const n = 100
	f.append("s-1", esdb.Any{}, events(n)...)
	var next uint64
	ends := map[codes.Code]int{}
	for next < n {
		var from esdb.StreamPosition = esdb.Start{}
		if next > 0 {
			from = esdb.Revision(next - 1)
		}
		sub, err := f.c.SubscribeToStream(f.ctx, "s-1", esdb.SubscribeToStreamOptions{From: from})
		for err == nil {
			ev := sub.Recv()
			if ev.SubscriptionDropped != nil {
				err = ev.SubscriptionDropped.Error
				ends[status.Code(err)]++
			}
			if ev.EventAppeared != nil {
				if got := ev.EventAppeared.OriginalEvent().EventNumber; got != next {
					t.Fatalf("revision %d came where %d was due", got, next)
				}
				if next++; next == n {
					break
				}
			}
		}
		if errors.Is(f.ctx.Err(), context.DeadlineExceeded) {
			t.Fatal("the subscriptions never got to the end")
		}
	}
	for _, c := range []codes.Code{codes.Unavailable, codes.Aborted, codes.Canceled} {
		if ends[c] == 0 {
			t.Errorf("no subscription ended with %s: %v", c, ends)
		}
	}
	cut := 0
	for next = 0; next < n; {
		got, err := f.readStream("s-1", esdb.Forwards, esdb.Revision(next), 1000)
		for _, e := range got {
			if e.EventNumber != next {
				t.Fatalf("revision %d was read where %d was due", e.EventNumber, next)
			}
			next++
		}
		if err != nil {
			cut++
		}
		if f.ctx.Err() != nil {
			t.Fatal("the reads never got to the end")
		}
	}
	if d := f.s.Disturbed(); cut == 0 || d.Cuts < cut || d.Drops < 5 {
		t.Errorf("%d reads were cut; counted was %+v", cut, d)
	}
}

// CaughtUp comes late, not never, and a server that stops does not wait for it.
func TestALateCaughtUpIsCounted(t *testing.T) {
	f := disturbed(t, disturb.Disturbance{Seed: 1, CaughtUpDelay: 5_000_000})
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	for {
		ev := sub.Recv()
		if ev.SubscriptionDropped != nil {
			t.Fatal(ev.SubscriptionDropped.Error)
		}
		if ev.CaughtUp != nil {
			break
		}
	}
	if f.s.Disturbed().LateCaughtUps == 0 {
		t.Error("not counted")
	}
}
