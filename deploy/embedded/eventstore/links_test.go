package eventstore

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// typeLink is the type of an event that stands for another.
const typeLink = "$>"

func linkTo(data string) esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: typeLink, Data: []byte(data)}
}

// resolvedWord is an event as a reader sees it: "event<-link", with - for nothing.
func resolvedWord(e *esdb.ResolvedEvent) string {
	word := func(r *esdb.RecordedEvent) string {
		if r == nil {
			return "-"
		}
		return fmt.Sprintf("%s/%d", r.StreamID, r.EventNumber)
	}
	return word(e.Event) + "<-" + word(e.Link)
}

func resolved(t testing.TB, r *esdb.ReadStream, err error) []*esdb.ResolvedEvent {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []*esdb.ResolvedEvent
	for {
		e, err := r.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
}

func words(events []*esdb.ResolvedEvent) []string {
	var out []string
	for _, e := range events {
		out = append(out, resolvedWord(e))
	}
	return out
}

// linksFixture holds a stream of links to all kinds of targets, and what a
// reader that resolves them sees.
func linksFixture(t *testing.T) (_ *fixture, want []string) {
	f, now := newClockFixture(t)
	f.append("target@x", esdb.NoStream{}, events(3)...)
	f.append("truncated", esdb.NoStream{}, events(3)...)
	f.setMeta("truncated", `{"$tb":2}`)
	f.append("counted", esdb.NoStream{}, events(3)...)
	f.setMeta("counted", `{"$maxCount":1}`)
	f.append("deleted", esdb.NoStream{}, event(`{}`))
	f.append("gone", esdb.NoStream{}, event(`{}`))
	f.append("aged", esdb.NoStream{}, event(`{}`))
	f.setMeta("aged", `{"$maxAge":60}`)
	if _, err := f.c.DeleteStream(f.ctx, "deleted", esdb.DeleteStreamOptions{
		ExpectedRevision: esdb.Any{},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.c.TombstoneStream(f.ctx, "gone", esdb.TombstoneStreamOptions{
		ExpectedRevision: esdb.Any{},
	}); err != nil {
		t.Fatal(err)
	}
	var links []esdb.EventData
	for i, c := range []struct{ data, event string }{
		{"1@target@x", "target@x/1"}, {"3@target@x", "-"}, {"0@nowhere", "-"}, {"-1@target@x", "target@x/2"},
		{"-2@target@x", "-"},
		{"1@truncated", "-"}, {"2@truncated", "truncated/2"}, {"1@counted", "-"}, {"2@counted", "counted/2"},
		{"0@deleted", "-"}, {"0@gone", "-"}, {"0@aged", "-"},
		{"0@links", "links/0"}, // a link's target is not resolved in turn
		{"0@$$truncated", "$$truncated/0"}, {"7", "-"}, {"0@", "-"},
	} {
		links = append(links, linkTo(c.data))
		want = append(want, fmt.Sprintf("%s<-links/%d", c.event, i))
	}
	f.append("links", esdb.NoStream{}, append(links, linkTo("no number@target@x"), event(`{}`))...)
	want = append(want, fmt.Sprintf("links/%d<--", len(links)), fmt.Sprintf("links/%d<--", len(links)+1))
	now.advance(3600)
	return f, want
}

// A link is shown with its event where a read of that event would show it, else
// alone; positions and revisions are the link's. Everywhere that events are read.
func TestLinksAreResolved(t *testing.T) {
	f, want := linksFixture(t)
	r, err := f.c.ReadStream(f.ctx, "links", esdb.ReadStreamOptions{From: esdb.Start{}, ResolveLinkTos: true}, 100)
	got := resolved(t, r, err)
	if !slices.Equal(words(got), want) {
		t.Errorf("stream:\n got %v\nwant %v", words(got), want)
	}
	r, err = f.c.ReadStream(f.ctx, "links", esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{},
		ResolveLinkTos: true}, 100)
	back := words(resolved(t, r, err))
	slices.Reverse(back)
	if !slices.Equal(back, want) {
		t.Errorf("backwards:\n got %v\nwant %v", back, want)
	}

	raw, err := f.readAll(esdb.Forwards, esdb.Start{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	at := map[uuid.UUID]uint64{}
	for _, e := range raw {
		at[e.EventID] = e.Position.Commit
	}
	r, err = f.c.ReadAll(f.ctx, esdb.ReadAllOptions{From: esdb.Start{}, ResolveLinkTos: true}, 100)
	all := resolved(t, r, err)
	var ofLinks []*esdb.ResolvedEvent
	for i, e := range all {
		if e.OriginalEvent().EventID != raw[i].EventID || e.Commit == nil || *e.Commit != raw[i].Position.Commit {
			t.Errorf("$all event %d: %s at %v, want the one at %d", i, resolvedWord(e), e.Commit,
				raw[i].Position.Commit)
		}
		if e.Event != nil && e.Event.Position.Commit != at[e.Event.EventID] {
			t.Errorf("$all event %d: its event has position %d, it is at %d", i, e.Event.Position.Commit,
				at[e.Event.EventID])
		}
		if e.OriginalEvent().StreamID == "links" {
			ofLinks = append(ofLinks, e)
		}
	}
	if !slices.Equal(words(ofLinks), want) {
		t.Errorf("$all:\n got %v\nwant %v", words(ofLinks), want)
	}

	sub, err := f.c.SubscribeToStream(f.ctx, "links", esdb.SubscribeToStreamOptions{From: esdb.Start{},
		ResolveLinkTos: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Close() }()
	// A filter looks at the link, not at what it leads to.
	filtered := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}, ResolveLinkTos: true,
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"links"}}})
	for name, sub := range map[string]*esdb.Subscription{"subscription": sub,
		"filtered subscription to $all": filtered} {
		var seen []*esdb.ResolvedEvent
		for len(seen) < len(want) {
			e := sub.Recv()
			if e.SubscriptionDropped != nil {
				t.Fatal(e.SubscriptionDropped.Error)
			}
			if e.EventAppeared != nil {
				seen = append(seen, e.EventAppeared)
			}
		}
		if !slices.Equal(words(seen), want) {
			t.Errorf("%s:\n got %v\nwant %v", name, words(seen), want)
		}
	}
	f.append("links", esdb.Any{}, linkTo("0@target@x"))
	for {
		e := sub.Recv()
		if e.SubscriptionDropped != nil {
			t.Fatal(e.SubscriptionDropped.Error)
		}
		if e.EventAppeared != nil {
			if got, want := resolvedWord(e.EventAppeared), fmt.Sprintf("target@x/0<-links/%d",
				len(want)); got != want {
				t.Errorf("live: got %s, want %s", got, want)
			}
			return
		}
	}
}

// Without the flag a link is an event like any other.
func TestLinksAreShownAsTheyAre(t *testing.T) {
	f, want := linksFixture(t)
	r, err := f.c.ReadStream(f.ctx, "links", esdb.ReadStreamOptions{From: esdb.Start{}}, 100)
	got := resolved(t, r, err)
	if len(got) != len(want) {
		t.Fatalf("%d events", len(got))
	}
	for i, e := range got {
		if e.Link != nil || e.Event == nil || e.Event.EventNumber != uint64(i) {
			t.Errorf("event %d: %s", i, resolvedWord(e))
		}
	}
	if string(got[0].Event.Data) != "1@target@x" || got[0].Event.EventType != typeLink {
		t.Errorf("got %+v", got[0].Event)
	}
}
