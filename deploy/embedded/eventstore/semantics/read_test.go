package semantics

import (
	"fmt"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reads by revision, count and direction are in testdata.

// Positions rise with the log, prepare is never above commit, and they are
// offsets in a log of bytes: no closer to one another than what lies between.
// An answer names the position of the last event that it is about.
func TestPositions(t *testing.T) {
	w := begin(t)
	answers := map[string]esdb.Position{} // by the event that each is about
	note := func(name string, commit, prepare uint64) {
		answers[name] = esdb.Position{Commit: commit, Prepare: prepare}
	}
	res := w.append("a", esdb.NoStream{}, w.events(20)...)
	note("a/19", res.CommitPosition, res.PreparePosition)
	res = w.append("b", esdb.NoStream{}, w.events(1)...)
	note("b/0", res.CommitPosition, res.PreparePosition)
	deleted, err := w.delete("a", esdb.Revision(19))
	if err != nil {
		t.Fatal(err)
	}
	note("$$a/0", deleted.Position.Commit, deleted.Position.Prepare)
	last, err := w.tombstone("b", esdb.Revision(0))
	if err != nil {
		t.Fatal(err)
	}
	own := w.own()
	note(w.names(own)[len(own)-1], last.Position.Commit, last.Position.Prepare)
	if len(own) != 23 || own[22].EventType != "$streamDeleted" {
		t.Fatalf("$all has %v", w.names(own))
	}
	for i, e := range own {
		if e.Position.Prepare > e.Position.Commit {
			t.Errorf("event %d is at %+v", i, e.Position)
		}
		if i > 0 && e.Position.Commit < own[i-1].Position.Commit+
			uint64(len(own[i-1].Data)+len(own[i-1].UserMetadata)) {
			t.Errorf("event %d is at %d, the one before of %d bytes at %d", i, e.Position.Commit, len(own[i-1].Data),
				own[i-1].Position.Commit)
		}
		if answer, ok := answers[w.names(own)[i]]; ok && answer != e.Position {
			t.Errorf("%s is at %+v, its answer said %+v", w.names(own)[i], e.Position, answer)
		}
	}
}

// Beyond the end of $all there is nothing yet, and before it everything.
func TestReadAllFromItsEnds(t *testing.T) {
	w := begin(t)
	w.append("s", esdb.NoStream{}, w.events(3)...)
	own := w.own()
	beyond := esdb.Position{Commit: own[2].Position.Commit + 1<<40, Prepare: own[2].Position.Commit + 1<<40}
	for name, c := range map[string]struct {
		dir  esdb.Direction
		from esdb.AllPosition
		want []string
	}{
		"forwards from the end":         {esdb.Forwards, esdb.End{}, nil},
		"backwards from the start":      {esdb.Backwards, esdb.Start{}, nil},
		"forwards from beyond the end":  {esdb.Forwards, beyond, nil},
		"backwards from beyond the end": {esdb.Backwards, beyond, []string{"s/2", "s/1", "s/0"}},
		"backwards from the end":        {esdb.Backwards, esdb.End{}, []string{"s/2", "s/1", "s/0"}},
	} {
		var got []*esdb.RecordedEvent
		w.eachOfAll(c.dir, c.from, func(e *esdb.RecordedEvent) bool {
			if _, ok := w.short(e.StreamID); ok {
				got = append(got, e)
			}
			return len(got) < 3
		})
		if !slices.Equal(w.names(got), c.want) {
			t.Errorf("%s: got %v, want %v", name, w.names(got), c.want)
		}
	}
}

// A position inside an event's bytes is refused as invalid, in reads both ways
// and in subscriptions.
func TestInvalidPosition(t *testing.T) {
	w := begin(t)
	w.append("s", esdb.NoStream{}, w.events(2)...)
	at := w.own()[0].Position
	w.wantInvalid(esdb.Position{Commit: at.Commit + 1, Prepare: at.Prepare + 1})
}

func (w *world) wantInvalid(bad esdb.Position) {
	w.t.Helper()
	for name, dir := range map[string]streams.ReadReq_Options_ReadDirection{
		"forwards": streams.ReadReq_Options_Forwards, "backwards": streams.ReadReq_Options_Backwards,
	} {
		opts := readOptions()
		opts.StreamOption, opts.CountOption, opts.ReadDirection = fromAll(bad),
			&streams.ReadReq_Options_Count{Count: 1}, dir
		if _, err := w.rawRead(opts, nil); status.Code(err) != codes.InvalidArgument {
			w.t.Errorf("read %s from %+v: %v", name, bad, err)
		}
	}
	opts := readOptions()
	opts.StreamOption, opts.CountOption = fromAll(bad), &streams.ReadReq_Options_Subscription{
		Subscription: &streams.ReadReq_Options_SubscriptionOptions{},
	}
	if _, err := w.rawRead(opts, isCaughtUp); status.Code(err) != codes.InvalidArgument {
		w.t.Errorf("subscription from %+v: %v", bad, err)
	}
}

// A read of a stream that is not there says so with its name, as a message and not as an error.
func TestStreamNotFoundIsAMessage(t *testing.T) {
	w := begin(t)
	opts := readOptions()
	opts.StreamOption, opts.CountOption = fromStart(w.stream("none")), &streams.ReadReq_Options_Count{Count: 1}
	got, err := w.rawRead(opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || string(got[0].GetStreamNotFound().GetStreamIdentifier().GetStreamName()) != w.stream("none") {
		t.Errorf("got %v", got)
	}
}

// Reads of $all can be filtered, both ways; the limit counts what matches.
func TestFilteredReads(t *testing.T) {
	w := begin(t)
	for i := range 30 {
		w.append(fmt.Sprintf("%c-%d", 'a'+i%3, i), esdb.NoStream{}, w.event(`{}`))
	}
	for _, c := range []struct {
		name  string
		dir   streams.ReadReq_Options_ReadDirection
		from  esdb.AllPosition
		count uint64
		want  []string
	}{
		{"forwards", streams.ReadReq_Options_Forwards, w.mark, 3, []string{"b-1/0", "b-4/0", "b-7/0"}},
		{"backwards", streams.ReadReq_Options_Backwards, esdb.End{}, 4,
			[]string{"b-28/0", "b-25/0", "b-22/0", "b-19/0"}},
		{"all there are", streams.ReadReq_Options_Forwards, w.own()[22].Position, 100,
			[]string{"b-22/0", "b-25/0", "b-28/0"}},
	} {
		opts := readOptions()
		opts.StreamOption, opts.CountOption, opts.ReadDirection = fromAll(c.from),
			&streams.ReadReq_Options_Count{Count: c.count}, c.dir
		opts.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{
				StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{
					Prefix: []string{w.stream("b-"), w.stream("none")},
				},
			},
			Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: 32},
			CheckpointIntervalMultiplier: 1,
		}}
		answer, err := w.rawRead(opts, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var got []string
		for _, resp := range answer {
			if e := resp.GetEvent().GetEvent(); e != nil {
				short, _ := w.short(string(e.GetStreamIdentifier().GetStreamName()))
				got = append(got, fmt.Sprintf("%s/%d", short, e.GetStreamRevision()))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
