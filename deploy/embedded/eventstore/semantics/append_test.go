package semantics

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Expected revisions, repetitions and conflicts are in testdata.

// The client names both revisions of a conflict.
func TestConflictThroughTheClient(t *testing.T) {
	w := begin(t)
	w.append("s", esdb.NoStream{}, w.events(2)...)
	for text, expect := range map[string]esdb.ExpectedRevision{
		"expecting 'no_stream' but got '1'": esdb.NoStream{},
		"expecting '0' but got '1'":         esdb.Revision(0),
		"expecting '9' but got '1'":         esdb.Revision(9),
	} {
		_, err := w.tryAppend("s", expect, w.event(`{}`))
		w.wantCode(text, err, esdb.ErrorCodeWrongExpectedVersion)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
}

// An append is all or nothing: its events follow one another in the stream and
// in $all, whatever is appended beside it.
func TestAppendsAreWhole(t *testing.T) {
	w := begin(t)
	const callers, each, size = 8, 4, 5
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				if _, err := w.tryAppend("s", esdb.Any{}, w.events(size)...); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	wg.Wait()
	got, err := w.readStream("s", esdb.Forwards, esdb.Start{}, callers*each*size+1)
	if err != nil || len(got) != callers*each*size {
		t.Fatalf("stream has %d events, %v; want %d", len(got), err, callers*each*size)
	}
	for i, e := range got {
		if want := `{"n":` + strconv.Itoa(i%size) + `}`; string(e.Data) != want || e.EventNumber != uint64(i) {
			t.Fatalf("revision %d is event %s of its append, want %s", e.EventNumber, e.Data, want)
		}
	}
	if all := w.own(); !slices.Equal(revisions(all), revisions(got)) {
		t.Errorf("$all has the stream's revisions as %v", revisions(all))
	}
}

// Concurrent repetitions of one append, as after a timeout, make one event,
// and all are answered alike.
func TestConcurrentRepetitionsWriteOnce(t *testing.T) {
	w := begin(t)
	ev := w.event(`{}`)
	var wg sync.WaitGroup
	results := make([]*esdb.WriteResult, 32)
	errs := make([]error, len(results))
	for i := range results {
		wg.Go(func() { results[i], errs[i] = w.tryAppend("s", esdb.NoStream{}, ev) })
	}
	wg.Wait()
	for i := range results {
		if errs[i] != nil || *results[i] != *results[0] {
			t.Fatalf("caller %d: %+v, %v; caller 0: %+v", i, results[i], errs[i], results[0])
		}
	}
	if got := w.own(); len(got) != 1 {
		t.Fatalf("%d events were written", len(got))
	}
}

// Callers race for each revision of one stream: exactly one wins each.
func TestExactRevisionsUnderConcurrency(t *testing.T) {
	w := begin(t)
	const rounds, callers = 20, 64
	for round := range rounds {
		expect := esdb.ExpectedRevision(esdb.NoStream{})
		if round > 0 {
			expect = esdb.Revision(uint64(round - 1))
		}
		var wg sync.WaitGroup
		errs := make([]error, callers)
		for i := range callers {
			wg.Go(func() { _, errs[i] = w.tryAppend("s", expect, w.event(`{}`)) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				w.wantCode("a loser", err, esdb.ErrorCodeWrongExpectedVersion)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d callers won", round, won)
		}
	}
}

// largestAppend is the server's limit, as it names it when it refuses.
func (w *world) largestAppend() int {
	w.t.Helper()
	_, trailers, err := w.rawAppend(appendOptions(w.stream("limit"), esdb.Any{}), proposal(uuid.New(), "t", 15<<20))
	named := strings.Join(trailers.Get("maximum-append-size"), ",")
	limit, convErr := strconv.Atoi(named)
	if status.Code(err) != codes.InvalidArgument || convErr != nil {
		w.t.Fatalf("15 MiB in one append: %v, limit %q; want a refusal that names the limit", err, named)
	}
	return limit
}

// An append has at most so many bytes in all: data, custom metadata, and two
// bytes for each character of the types. A larger one writes nothing.
func TestLargestAppend(t *testing.T) {
	w := begin(t)
	limit := w.largestAppend()
	if w.target.ours && limit != 1<<20 {
		t.Errorf("the limit is %d, want 1 MiB", limit)
	}
	const overhead = len("tt") * 2
	stream := w.stream("s")
	if _, _, err := w.rawAppend(appendOptions(stream, esdb.Any{}),
		proposal(uuid.New(), "tt", limit-overhead)); err != nil {
		t.Errorf("an event of the limit: %v", err)
	}
	if _, _, err := w.rawAppend(appendOptions(stream, esdb.Any{}), proposal(uuid.New(), "tt", limit/2-overhead),
		proposal(uuid.New(), "tt", limit-limit/2-overhead)); err != nil {
		t.Errorf("two events of the limit: %v", err)
	}
	meta := rawProposal(textID(uuid.New()), map[string]string{"type": "tt", "content-type": contentTypeJSON},
		limit-overhead)
	meta.GetProposedMessage().CustomMetadata = []byte("m")
	for name, msgs := range map[string][]*streams.AppendReq{
		"one event":     {proposal(uuid.New(), "tt", limit-overhead+1)},
		"a longer type": {proposal(uuid.New(), "ttt", limit-overhead)},
		"with metadata": {meta},
		"many events": {proposal(uuid.New(), "tt", limit/2), proposal(uuid.New(), "tt", limit/2),
			proposal(uuid.New(), "tt", limit)},
	} {
		_, trailers, err := w.rawAppend(append([]*streams.AppendReq{appendOptions(stream, esdb.Any{})}, msgs...)...)
		if status.Code(err) != codes.InvalidArgument || strings.Join(trailers.Get("exception"),
			",") != "maximum-append-size-exceeded" ||
			strings.Join(trailers.Get("maximum-append-size"), ",") != strconv.Itoa(limit) {
			t.Errorf("%s: %v, trailers %v", name, err, trailers)
		}
	}
	if _, _, err := w.rawAppend(appendOptions(stream, esdb.Any{}),
		proposal(uuid.New(), "t", 18<<20)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message of 18 MiB: %v", err)
	}
	if got, err := w.readStream("s", esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 3 {
		t.Errorf("stream has %d events, %v; want the three that fit", len(got), err)
	}
}

// An event must name its type and its content type.
func TestEventWithoutTypeOrContentTypeIsRefused(t *testing.T) {
	w := begin(t)
	for missing, meta := range map[string]map[string]string{
		"type":         {"content-type": contentTypeJSON},
		"content-type": {"type": "t"},
	} {
		_, trailers, err := w.rawAppend(appendOptions(w.stream("s"), esdb.Any{}), proposal(uuid.New(), "t", 1),
			rawProposal(textID(uuid.New()), meta, 1))
		if status.Code(err) != codes.InvalidArgument || strings.Join(trailers.Get("exception"),
			",") != "missing-required-metadata-property" {
			t.Errorf("without %s: %v, trailers %v", missing, err, trailers)
		}
		if required := strings.Join(trailers.Get("required-metadata-properties"),
			","); required != "type,content-type" {
			t.Errorf("without %s: required are %q", missing, required)
		}
	}
	if got := w.own(); len(got) != 0 {
		t.Errorf("%d events were written", len(got))
	}
}

// Appends that make no sense are refused whole, whatever the error.
func TestRefusedAppends(t *testing.T) {
	w := begin(t)
	options, id := appendOptions(w.stream("s"), esdb.Any{}), uuid.New()
	for name, msgs := range map[string][]*streams.AppendReq{
		"no messages":   nil,
		"event first":   {proposal(id, "t", 1)},
		"options twice": {options, proposal(id, "t", 1), options},
		"no expected revision": {{Content: &streams.AppendReq_Options_{
			Options: &streams.AppendReq_Options{StreamIdentifier: identifier(w.stream("s"))},
		}}, proposal(id, "t", 1)},
		"id that is none": {options, rawProposal(&shared.UUID{Value: &shared.UUID_String_{String_: "x"}},
			map[string]string{"type": "t", "content-type": contentTypeJSON}, 1)},
		"no id": {options, rawProposal(nil, map[string]string{"type": "t",
			"content-type": contentTypeJSON}, 1)},
		"id of zeros":       {options, proposal(uuid.Nil, "t", 1)},
		"empty stream name": {appendOptions("", esdb.Any{}), proposal(id, "t", 1)},
	} {
		if _, _, err := w.rawAppend(msgs...); err == nil {
			t.Errorf("%s: accepted", name)
		} else if w.target.ours && status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want InvalidArgument", name, err)
		}
	}
	if got := w.own(); len(got) != 0 {
		t.Errorf("%d events were written", len(got))
	}
}
