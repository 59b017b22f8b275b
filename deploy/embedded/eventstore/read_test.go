package eventstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
)

// More than a page, in both directions, with and without a limit inside a page.
func TestReadsOfManyPages(t *testing.T) {
	f := newFixture(t)
	const n = 3*protocol.PageEvents + 17
	for i := 0; i < n; i += 300 {
		f.append("s", esdb.Any{}, events(min(300, n-i))...)
	}
	for _, count := range []uint64{1, protocol.PageEvents - 1, protocol.PageEvents, protocol.PageEvents + 1,
		2*protocol.PageEvents + 5, n, n + 1} {
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
				t.Fatalf("count %d, direction %v: stream %d events, $all %d, want %d", count, dir, len(got),
					len(all), len(want))
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

// Every way of reading $all finds nothing in an empty store.
func TestReadAllOfAnEmptyStore(t *testing.T) {
	f := newFixture(t)
	for _, dir := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
		for _, from := range []esdb.AllPosition{esdb.Start{}, esdb.End{}, esdb.Position{}} {
			if got, err := f.readAll(dir, from, 10); err != nil || len(got) != 0 {
				t.Errorf("%v from %+v: %d events, %v", dir, from, len(got), err)
			}
		}
	}
}
