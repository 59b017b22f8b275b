package eventstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A client's look-ahead filter is applied, to streams and types.
func TestLookAheadFilter(t *testing.T) {
	f := newFixture(t)
	f.append("device-1", esdb.Any{}, event(`{}`))
	f.append("account-1", esdb.Any{}, event(`{}`))
	f.setMeta("device-1", `{"a":1}`)
	for regex, want := range map[string][]string{
		`^(?!\$\$).*`:           {"device-1/0", "account-1/0"},
		`^(?!account|\$)`:       {"device-1/0"},
		`^(?:(?<!x)account)-\d`: {"account-1/0"},
	} {
		got := trace(t, f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{},
			Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: regex}}))
		got = slices.DeleteFunc(got, func(s string) bool {
			return strings.HasPrefix(s, "checkpoint") || s == "caught up"
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", regex, got, want)
		}
	}
}

// An expression that takes too long ends the subscription and names the event;
// it never counts as no match. What came before it was sent.
func TestFilterThatTakesTooLong(t *testing.T) {
	f := newFixture(t)
	typed := func(typ string) esdb.EventData { return esdb.EventData{EventID: uuid.New(), EventType: typ} }
	f.append("s", esdb.Any{}, typed("aab!"), typed(strings.Repeat("a", 60)+"!"), typed("aab!"))
	all, err := f.readAll(esdb.Forwards, esdb.Start{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{},
		Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: `^(?=(a+)+b)`}})
	var seen []uint64
	for {
		e := sub.Recv()
		if e.EventAppeared != nil {
			seen = append(seen, e.EventAppeared.OriginalEvent().EventNumber)
		}
		if e.CaughtUp != nil || e.CheckPointReached != nil {
			t.Fatal("the event counted as no match")
		}
		if e.SubscriptionDropped != nil {
			want := fmt.Sprintf("position %d", all[1].Position.Commit)
			if err := e.SubscriptionDropped.Error; status.Code(err) != codes.ResourceExhausted ||
				!strings.Contains(err.Error(), want) {
				t.Errorf("dropped with %v, want %s", err, want)
			}
			break
		}
	}
	if !slices.Equal(seen, []uint64{0}) {
		t.Errorf("saw revisions %v before it ended", seen)
	}
}
