package semantics

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Where subscriptions begin, and that they go live, is in testdata.

// The first answer to a subscription is its confirmation, before any event and
// before caught-up, and there is one only.
func TestConfirmationComesFirst(t *testing.T) {
	w := begin(t)
	w.append("s", esdb.NoStream{}, w.events(2)...)
	filter := &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{
			StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{
				Prefix: []string{w.prefix},
			},
		},
		Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 1000}, CheckpointIntervalMultiplier: 1000,
	}}
	for name, set := range map[string]func(*streams.ReadReq_Options){
		"stream":         func(o *streams.ReadReq_Options) { o.StreamOption = fromStart(w.stream("s")) },
		"missing stream": func(o *streams.ReadReq_Options) { o.StreamOption = fromStart(w.stream("none")) },
		"$all":           func(o *streams.ReadReq_Options) { o.StreamOption = fromAll(w.mark) },
		"$all's end":     func(o *streams.ReadReq_Options) { o.StreamOption = fromAll(esdb.End{}) },
		"filtered $all": func(o *streams.ReadReq_Options) {
			o.StreamOption, o.FilterOption = fromAll(w.mark), filter
		},
	} {
		opts := readOptions()
		set(opts)
		opts.CountOption = &streams.ReadReq_Options_Subscription{
			Subscription: &streams.ReadReq_Options_SubscriptionOptions{},
		}
		answer, err := w.rawRead(opts, func(resp *streams.ReadResp) bool {
			return resp.GetEvent() != nil || isCaughtUp(resp)
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, resp := range answer {
			if (resp.GetConfirmation() != nil) != (i == 0) {
				t.Errorf("%s: message %d is %v", name, i, resp)
			}
		}
		if answer[0].GetConfirmation().GetSubscriptionId() == "" {
			t.Errorf("%s: the confirmation names no id", name)
		}
	}
}

// Subscriptions from the start of $all begin with its first event, as reads do.
func TestSubscribeFromTheStartOfAll(t *testing.T) {
	w := begin(t)
	w.append("s", esdb.NoStream{}, w.event(`{}`))
	var want *esdb.RecordedEvent
	w.eachOfAll(esdb.Forwards, esdb.Start{}, func(e *esdb.RecordedEvent) bool {
		want = e
		return false
	})
	sub := w.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	for sub.last == nil {
		if _, _, err := sub.recv(); err != nil {
			t.Fatal(err)
		}
	}
	if sub.last.EventID != want.EventID || sub.last.Position != want.Position {
		t.Errorf("got %v at %+v, a read %v at %+v", sub.last.EventID, sub.last.Position, want.EventID, want.Position)
	}
}

// A tombstone is the last event of a live subscription to its stream, which then
// ends as stream deleted. Subscribing to such a stream ends the same way.
func TestTombstoneEndsSubscriptions(t *testing.T) {
	w := begin(t)
	w.append("t\u00f6mb", esdb.NoStream{}, w.event(`{}`)) // a name that trailers cannot hold as it is
	sub := w.subscribeStream("t\u00f6mb", esdb.Start{})
	sub.wantCatchUp("before", "t\u00f6mb/0")
	all := w.subscribeAll(esdb.SubscribeToAllOptions{From: w.mark})
	all.wantCatchUp("$all before", "t\u00f6mb/0")
	if _, err := w.tombstone("t\u00f6mb", esdb.Any{}); err != nil {
		t.Fatal(err)
	}
	if e := sub.next(); e.EventType != "$streamDeleted" || e.EventNumber != math.MaxInt64 {
		t.Errorf("the stream's subscription shows %s, revision %d", e.EventType, e.EventNumber)
	}
	w.wantEnded("live", sub)
	if e := all.next(); e.EventType != "$streamDeleted" || e.StreamID != w.stream("t\u00f6mb") {
		t.Errorf("$all shows %s in %s", e.EventType, e.StreamID)
	}
	opts := readOptions()
	opts.StreamOption, opts.CountOption = fromStart(w.stream("t\u00f6mb")),
		&streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	answer, err := w.rawRead(opts, isCaughtUp)
	if status.Code(err) != codes.FailedPrecondition || slices.ContainsFunc(answer,
		func(resp *streams.ReadResp) bool { return resp.GetEvent() != nil }) {
		t.Errorf("a new subscription: %v after %v", err, answer)
	}
}

func (w *world) wantEnded(what string, s *subscription) {
	w.t.Helper()
	for {
		e, _, err := s.recv()
		if err != nil {
			if !strings.Contains(err.Error(), "FailedPrecondition") && !strings.Contains(err.Error(), "is deleted") {
				w.t.Errorf("%s: ended with %v", what, err)
			}
			return
		}
		if e.EventAppeared != nil {
			w.t.Fatalf("%s: got %s/%d", what, s.last.StreamID, s.last.EventNumber)
		}
	}
}
