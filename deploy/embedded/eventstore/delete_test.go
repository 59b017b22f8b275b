package eventstore

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

func (f *fixture) setMeta(stream, json string) {
	f.t.Helper()
	f.append("$$"+stream, esdb.Any{}, esdb.EventData{EventType: "$metadata", ContentType: esdb.ContentTypeJson,
		Data: []byte(json)})
}

func (f *fixture) wantRevisions(what, stream string, want ...uint64) {
	f.t.Helper()
	got, err := f.readStream(stream, esdb.Forwards, esdb.Start{}, 1000)
	if err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
	if !slices.Equal(revisions(got), want) {
		f.t.Errorf("%s: forwards %v, want %v", what, revisions(got), want)
	}
	got, err = f.readStream(stream, esdb.Backwards, esdb.End{}, 1000)
	if err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
	slices.Reverse(want)
	if !slices.Equal(revisions(got), want) {
		f.t.Errorf("%s: backwards %v, want %v", what, revisions(got), want)
	}
}

// Events older than $maxAge are hidden; when all are, the read is empty and the stream found.
func TestMaxAge(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	advance := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	cfg := testConfig(t.TempDir())
	cfg.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	s := startServer(t, cfg)
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	f.append("s", esdb.Any{}, event(`{}`))
	advance(10 * time.Second)
	f.append("s", esdb.Any{}, event(`{}`))
	f.setMeta("s", `{"$maxAge":5}`)
	f.wantRevisions("10 s later", "s", 1)
	advance(10 * time.Second)
	f.wantRevisions("20 s later", "s")
}

// Streams that the caller protects keep their events and their metadata.
func TestProtectedStreams(t *testing.T) {
	f := newFixture(t)
	const guarded = "device-0b5b6f4e-98a4-4d1c-9d3f-0d9f3f6f2b11"
	f.append(guarded, esdb.NoStream{}, event(`{}`))
	_, err := f.c.DeleteStream(f.ctx, guarded, esdb.DeleteStreamOptions{})
	wantCode(t, err, esdb.ErrorCodeAccessDenied)
	_, err = f.c.TombstoneStream(f.ctx, guarded, esdb.TombstoneStreamOptions{})
	wantCode(t, err, esdb.ErrorCodeAccessDenied)
	_, err = f.c.SetStreamMetadata(f.ctx, guarded, esdb.AppendToStreamOptions{}, esdb.StreamMetadata{})
	wantCode(t, err, esdb.ErrorCodeAccessDenied)
	f.wantRevisions("after", guarded, 0)
	f.append(guarded, esdb.Revision(0), event(`{}`))

	f.append("free", esdb.NoStream{}, event(`{}`))
	f.setMeta("free", `{"$maxCount":1}`)
	if _, err := f.c.TombstoneStream(f.ctx, "free", esdb.TombstoneStreamOptions{}); err != nil {
		t.Errorf("a stream that is not protected: %v", err)
	}
}
