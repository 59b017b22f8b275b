package eventlog

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Metadata that is appended to a metastream which was softly deleted brings that
// back and counts for its stream, as any other does.
func TestMetadataAfterItsMetastreamWasDeleted(t *testing.T) {
	fs := vfs.NewMem()
	s := newStore(t, fs)
	put(t, s, "a", 3)
	put(t, s, "$$a", 1)
	submit := func(r *Request) {
		t.Helper()
		if res, err := s.Submit(context.Background(), r); err != nil || res.Outcome != OutcomeWritten {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	submit(&Request{Kind: KindDelete, Stream: "$$a", Expect: ExpectAny})
	meta := appendRequest("$$a", 1)
	meta.Events[0].JSON, meta.Events[0].Type, meta.Events[0].Data = true, layout.TypeMetadata,
		[]byte(`{"$maxCount":1}`)
	submit(meta)
	v := s.Acquire()
	rng, err := v.Stream("a", time.Now())
	if err != nil || rng.First != 2 {
		t.Errorf("the stream is shown from revision %d, %v; want 2, its last", rng.First, err)
	}
	if err := v.Release(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, fs, "s")
}
