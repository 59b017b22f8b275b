package eventstore

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestReadStream(t *testing.T) {
	f := newFixture(t)
	f.append("s", esdb.Any{}, events(10)...)
	f.append("t", esdb.Any{}, events(3)...)
	f.append("s", esdb.Any{}, event(`{}`)) // revision 10
	for _, c := range []struct {
		name  string
		dir   esdb.Direction
		from  esdb.StreamPosition
		count uint64
		want  []uint64
	}{
		{"from the start", esdb.Forwards, esdb.Start{}, 3, []uint64{0, 1, 2}},
		{"from a revision, which is included", esdb.Forwards, esdb.Revision(8), 10, []uint64{8, 9, 10}},
		{"from beyond the end", esdb.Forwards, esdb.Revision(11), 10, nil},
		{"from the end", esdb.Forwards, esdb.End{}, 10, nil},
		{"backwards from the end", esdb.Backwards, esdb.End{}, 3, []uint64{10, 9, 8}},
		{"backwards from a revision, which is included", esdb.Backwards, esdb.Revision(2), 10, []uint64{2, 1, 0}},
		{"backwards from beyond the end", esdb.Backwards, esdb.Revision(99), 2, []uint64{10, 9}},
		{"backwards from the start", esdb.Backwards, esdb.Start{}, 10, []uint64{0}},
		{"all", esdb.Forwards, esdb.Start{}, 1<<64 - 1, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
	} {
		got, err := f.readStream("s", c.dir, c.from, c.count)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !slices.Equal(revisions(got), c.want) {
			t.Errorf("%s: got %v, want %v", c.name, revisions(got), c.want)
		}
	}
}

func TestReadStreamNotFound(t *testing.T) {
	f := newFixture(t)
	for _, dir := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
		_, err := f.readStream("none", dir, esdb.Start{}, 10)
		wantCode(t, err, esdb.ErrorCodeResourceNotFound)
	}
}

// More than a page, in both directions, with and without a limit inside a page.
func TestReadsOfManyPages(t *testing.T) {
	f := newFixture(t)
	const n = 3*pageEvents + 17
	for i := 0; i < n; i += 300 {
		f.append("s", esdb.Any{}, events(min(300, n-i))...)
	}
	for _, count := range []uint64{1, pageEvents - 1, pageEvents, pageEvents + 1, 2*pageEvents + 5, n, n + 1} {
		for _, dir := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
			from := esdb.StreamPosition(esdb.Start{})
			allFrom := esdb.AllPosition(esdb.Start{})
			if dir == esdb.Backwards {
				from, allFrom = esdb.End{}, esdb.End{}
			}
			got, err := f.readStream("s", dir, from, count)
			if err != nil {
				t.Fatal(err)
			}
			all, err := f.readAll(dir, allFrom, count)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]uint64, min(count, n))
			for i := range want {
				want[i] = uint64(i)
				if dir == esdb.Backwards {
					want[i] = n - 1 - uint64(i)
				}
			}
			if !slices.Equal(revisions(got), want) || !slices.Equal(revisions(all), want) {
				t.Fatalf("count %d, direction %v: stream %d events, $all %d, want %d", count, dir, len(got), len(all), len(want))
			}
		}
	}
}

// Pages are bounded in bytes too, and one large event fits in any.
func TestReadsOfLargeEvents(t *testing.T) {
	f := newFixture(t)
	large := strings.Repeat("x", 1<<20-100)
	for i := range 5 {
		f.append("s", esdb.Any{}, event(large))
		f.append("s", esdb.Any{}, event(fmt.Sprint(i)))
	}
	got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 100)
	if err != nil || len(got) != 10 {
		t.Fatalf("read %d events, %v", len(got), err)
	}
	for i, e := range got {
		if want := fmt.Sprint(i / 2); i%2 == 1 && string(e.Data) != want || i%2 == 0 && string(e.Data) != large {
			t.Errorf("event %d has %d bytes", i, len(e.Data))
		}
	}
}

// Names that begin one another, or hold odd bytes, are separate streams.
func TestStreamNamesDoNotMix(t *testing.T) {
	f := newFixture(t)
	names := []string{"a", "ab", "a\x01", "a\xff", "a-1", "a-10", " ", "\u00e9", strings.Repeat("n", 2000)}
	for i, name := range names {
		f.append(name, esdb.NoStream{}, events(i+1)...)
	}
	for i, name := range names {
		got, err := f.readStream(name, esdb.Forwards, esdb.Start{}, 100)
		if err != nil || len(got) != i+1 {
			t.Errorf("stream %q: %d events, %v; want %d", name, len(got), err, i+1)
		}
		for _, e := range got {
			if e.StreamID != name {
				t.Errorf("stream %q shows an event of %q", name, e.StreamID)
			}
		}
	}
}

func TestReadAllBoundaries(t *testing.T) {
	f := newFixture(t)
	for _, dir := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
		for _, from := range []esdb.AllPosition{esdb.Start{}, esdb.End{}, esdb.Position{}} {
			if got, err := f.readAll(dir, from, 10); err != nil || len(got) != 0 {
				t.Errorf("empty store, %v from %+v: %d events, %v", dir, from, len(got), err)
			}
		}
	}
	f.append("a", esdb.Any{}, events(2)...)
	f.append("b", esdb.Any{}, events(2)...)
	all, err := f.readAll(esdb.Forwards, esdb.Start{}, 10)
	if err != nil || len(all) != 4 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	p := positions(all)
	for _, c := range []struct {
		name string
		dir  esdb.Direction
		from esdb.AllPosition
		want []uint64
	}{
		{"forwards includes the position", esdb.Forwards, all[1].Position, p[1:]},
		{"backwards excludes the position", esdb.Backwards, all[2].Position, []uint64{p[1], p[0]}},
		{"backwards from the end", esdb.Backwards, esdb.End{}, []uint64{p[3], p[2], p[1], p[0]}},
		{"forwards from the end", esdb.Forwards, esdb.End{}, nil},
		{"backwards from the start", esdb.Backwards, esdb.Start{}, nil},
		{"forwards from beyond the end", esdb.Forwards, esdb.Position{Commit: p[3] + 1<<20, Prepare: p[3] + 1<<20}, nil},
		{"backwards from beyond the end", esdb.Backwards, esdb.Position{Commit: p[3] + 1<<20, Prepare: p[3] + 1<<20}, []uint64{p[3], p[2], p[1], p[0]}},
		{"before the commit position's event", esdb.Forwards, esdb.Position{Commit: p[1], Prepare: p[1] - 1}, p[1:]},
	} {
		got, err := f.readAll(c.dir, c.from, 10)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !slices.Equal(positions(got), c.want) {
			t.Errorf("%s: got %v, want %v", c.name, positions(got), c.want)
		}
	}
}

// A position inside an event's bytes is refused, for reads and subscriptions.
func TestInvalidPosition(t *testing.T) {
	f := newFixture(t)
	f.append("a", esdb.Any{}, events(2)...)
	all, err := f.readAll(esdb.Forwards, esdb.Start{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []esdb.Position{
		{Commit: all[0].Position.Commit + 1, Prepare: all[0].Position.Commit + 1},
		{Commit: 1, Prepare: 1},
		{Commit: all[0].Position.Commit, Prepare: all[0].Position.Commit + 1},
	} {
		_, err := f.readAll(esdb.Forwards, bad, 10)
		if e := asError(t, err); status.Code(e.Err()) != codes.InvalidArgument {
			t.Errorf("read from %+v: %v", bad, err)
		}
		_, err = f.c.SubscribeToAll(f.ctx, esdb.SubscribeToAllOptions{From: bad})
		if err == nil {
			t.Errorf("subscription from %+v succeeded", bad)
		}
	}
}

// Ids come as the request asks: structured halves or text.
func TestUUIDOption(t *testing.T) {
	f := newFixture(t)
	ev := event(`{}`)
	f.append("s", esdb.Any{}, ev)
	for _, asString := range []bool{false, true} {
		opt := &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}}
		if asString {
			opt.Content = &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}
		}
		call, err := streams.NewStreamsClient(f.rawConn()).Read(f.ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}},
			CountOption:  &streams.ReadReq_Options_Count{Count: 1},
			FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
			UuidOption:   opt,
		}})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		id := resp.GetEvent().GetEvent().GetId()
		if asString && id.GetString_() != ev.EventID.String() {
			t.Errorf("as text: %v, want %v", id, ev.EventID)
		}
		if !asString && id.GetStructured().GetMostSignificantBits() != structuredUUID(ev.EventID).GetStructured().GetMostSignificantBits() {
			t.Errorf("structured: %v, want %v", id, ev.EventID)
		}
		if _, err := call.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after the event: %v, want the end", err)
		}
	}
}

// Other clients filter reads of $all as well; the limit counts what matches.
func TestFilteredRead(t *testing.T) {
	f := newFixture(t)
	for i := range 30 {
		f.append(fmt.Sprintf("%c-%d", 'a'+i%3, i), esdb.Any{}, event(`{}`))
	}
	call, err := streams.NewStreamsClient(f.rawConn()).Read(f.ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}}},
		CountOption:  &streams.ReadReq_Options_Count{Count: 4}, ReadDirection: streams.ReadReq_Options_Backwards,
		FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"b-"}}},
			Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		resp, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(resp.GetEvent().GetEvent().GetStreamIdentifier().GetStreamName()))
	}
	if want := []string{"b-28", "b-25", "b-22", "b-19"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
