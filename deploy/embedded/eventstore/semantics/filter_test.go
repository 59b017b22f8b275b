package semantics

import (
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

func (w *world) typed(typ string) esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: w.prefix + typ, ContentType: esdb.ContentTypeJson,
		Data: []byte(`{}`)}
}

// Subscriptions to $all are filtered by stream or by type, by prefixes, which
// are ORed, or by a regular expression, which may match anywhere; so they are
// while they catch up and when they are live.
func TestFilters(t *testing.T) {
	w := begin(t)
	write := func() {
		w.append("device-1", esdb.Any{}, w.typed("enrolled"), w.typed("retired"))
		w.append("app-1", esdb.Any{}, w.typed("enrolled"))
		w.append("account-1", esdb.Any{}, w.typed("renamed"))
		w.setMeta("app-1", `{"a":1}`)
	}
	write()
	stream, typ := esdb.StreamFilterType, esdb.EventFilterType
	last := []string{"last/0"} // what every filter lets through, to know when it has been asked about everything
	type row struct {
		name       string
		filter     esdb.SubscriptionFilter
		want, live []string
	}
	rows := []row{
		{"stream prefixes", esdb.SubscriptionFilter{Type: stream,
			Prefixes: []string{w.prefix + "app", w.prefix + "device", w.prefix + "last"}},
			[]string{"device-1/0", "device-1/1", "app-1/0"}, []string{"device-1/2", "device-1/3", "app-1/1"}},
		{"type prefixes", esdb.SubscriptionFilter{Type: typ, Prefixes: []string{w.prefix + "ret", w.prefix + "ren",
			w.prefix + "last"}},
			[]string{"device-1/1", "account-1/0"}, []string{"device-1/3", "account-1/1"}},
		{"stream expression", esdb.SubscriptionFilter{Type: stream, Regex: `^` + w.prefix + `(a.*-\d|last)$`},
			[]string{"app-1/0", "account-1/0"}, []string{"app-1/1", "account-1/1"}},
		{"type expression", esdb.SubscriptionFilter{Type: typ, Regex: `^` + w.prefix + `(.*ed|last)$`},
			[]string{"device-1/0", "device-1/1", "app-1/0", "account-1/0"},
			[]string{"device-1/2", "device-1/3", "app-1/1", "account-1/1"}},
		{"expression in the middle", esdb.SubscriptionFilter{Type: stream, Regex: w.prefix + `(count|acc|last)`},
			[]string{"account-1/0"}, []string{"account-1/1"}},
		{"metadata of streams", esdb.SubscriptionFilter{Type: stream,
			Prefixes: []string{"$$" + w.prefix, w.prefix + "last"}},
			[]string{"$$app-1/0"}, []string{"$$app-1/1"}},
		{"nothing before the last", esdb.SubscriptionFilter{Type: stream, Prefixes: []string{w.prefix + "last"}},
			nil, nil},
	}
	subs := make([]*subscription, len(rows))
	for i, r := range rows {
		subs[i] = w.subscribeAll(esdb.SubscribeToAllOptions{From: w.mark, MaxSearchWindow: 32, CheckpointInterval: 100,
			Filter: &r.filter})
		subs[i].wantCatchUp(r.name, r.want...)
	}
	system := w.subscribeAll(esdb.SubscribeToAllOptions{From: w.mark, MaxSearchWindow: 32, CheckpointInterval: 100,
		Filter: esdb.ExcludeSystemEventsFilter()})
	system.wantCatchUp("without system events", "device-1/0", "device-1/1", "app-1/0", "account-1/0")
	write()
	w.append("last", esdb.Any{}, w.typed("last"))
	for i, r := range rows {
		for _, want := range append(slices.Clone(r.live), last...) {
			subs[i].wantNext(r.name+", live", want)
		}
		// otherwise it matches names that others derive from ours
		anchored := r.filter.Regex == "" || r.filter.Regex[0] == '^'
		if anchored && subs[i].foreign > 0 {
			t.Errorf("%s: let %d events of others through", r.name, subs[i].foreign)
		}
	}
	for _, want := range []string{"device-1/2", "device-1/3", "app-1/1", "account-1/1", "last/0"} {
		system.wantNext("without system events, live", want)
	}
}

// progress is what a filtered subscription sent before its first caught-up.
type progress struct {
	commit     uint64
	checkpoint bool
}

// undisturbed is the progress of a subscription that was not dropped on its way.
func (w *world) undisturbed(opts esdb.SubscribeToAllOptions) (out []progress, sub *subscription) {
	w.t.Helper()
	for {
		sub, out = w.subscribeAll(opts), nil
		for disturbed := false; !disturbed; {
			e, again, err := sub.recv()
			switch {
			case err != nil:
				w.t.Fatal(err)
			case again:
				disturbed = true
			case e.CheckPointReached != nil:
				out = append(out, progress{e.CheckPointReached.Commit, true})
			case e.EventAppeared != nil:
				out = append(out, progress{sub.last.Position.Commit, false})
			case e.CaughtUp != nil:
				return out, sub
			}
		}
	}
}

// checkpoints are 50 events in five streams, and the subscription to one of them.
func (w *world) checkpoints() esdb.SubscribeToAllOptions {
	w.t.Helper()
	for i := range 50 {
		w.append(string(rune('a'+i%5)), esdb.Any{}, w.event(`{}`))
	}
	return esdb.SubscribeToAllOptions{
		From: w.mark, MaxSearchWindow: checkpointWindow, CheckpointInterval: checkpointMultiplier,
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{w.stream("c")}},
	}
}

const (
	checkpointWindow     = 5
	checkpointMultiplier = 2
	checkpointInterval   = checkpointWindow * checkpointMultiplier
)

// A checkpoint comes every window × multiplier events that were considered,
// and one when catching up ends. A server looks at a window at a time, so it
// may be late by one. Whoever resumes from a checkpoint misses nothing and
// gets nothing twice.
func TestCheckpoints(t *testing.T) {
	w := begin(t)
	opts := w.checkpoints()
	got, sub := w.undisturbed(opts)
	considered := w.considered()
	upTo := func(commit uint64) (all, matching int) {
		for _, e := range considered {
			if e.Position.Commit <= commit {
				all++
				if e.StreamID == w.stream("c") {
					matching++
				}
			}
		}
		return all, matching
	}
	sent, before, allBefore, checkpoints := 0, uint64(0), 0, 0
	for _, p := range got {
		if p.commit < before {
			t.Fatalf("%+v after %d", p, before)
		}
		before = p.commit
		if !p.checkpoint {
			sent++
			continue
		}
		all, matching := upTo(p.commit)
		if matching != sent {
			t.Errorf("the checkpoint at %d came after %d events of the %d up to there", p.commit, sent, matching)
		}
		if all-allBefore > checkpointInterval+checkpointWindow {
			t.Errorf("no checkpoint for %d events", all-allBefore)
		}
		checkpoints++
		allBefore = all
	}
	if sent != 10 || checkpoints < 50/(checkpointInterval+checkpointWindow) || !got[len(got)-1].checkpoint {
		t.Fatalf("%d events, %d checkpoints: %+v", sent, checkpoints, got)
	}

	// Live it goes on with events that do not match.
	var first uint64
	for i := range 2*checkpointInterval + checkpointWindow {
		w.append("other", esdb.Any{}, w.event(`{}`))
		if i == 0 {
			own := w.own()
			first = own[len(own)-1].Position.Commit
		}
	}
	for reached := uint64(0); reached < first; {
		e, _, err := sub.recv()
		if err != nil {
			t.Fatal(err)
		}
		if e.CheckPointReached != nil {
			reached = e.CheckPointReached.Commit
		}
	}

	// Resumed from each of them.
	for _, p := range got {
		if !p.checkpoint {
			continue
		}
		resume := opts
		resume.From = esdb.Position{Commit: p.commit, Prepare: p.commit}
		_, matching := upTo(p.commit)
		if rest := w.subscribeAll(resume).catchUp(); len(rest) != 10-matching ||
			len(rest) > 0 && rest[0].EventNumber != uint64(matching) {
			t.Errorf("resumed at %d: %v, want the events from c/%d", p.commit, w.names(rest), matching)
		}
	}
}
