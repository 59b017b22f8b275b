package semantics

import (
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// What $maxCount and $tb do to reads is in testdata.

// Events older than $maxAge are not shown, and when all are the stream is
// empty, not "not found". They are hidden, not gone.
func TestMaxAge(t *testing.T) {
	w := begin(t)
	w.append("s", esdb.NoStream{}, w.events(2)...)
	w.setMeta("s", `{"$maxAge":1}`)
	for {
		got, err := w.readStream("s", esdb.Forwards, esdb.Start{}, 10)
		if err != nil {
			t.Fatalf("with %d events: %v", len(got), err)
		}
		if len(got) == 0 {
			break
		}
		select { // until a second has passed at the server
		case <-time.After(20 * time.Millisecond):
		case <-w.ctx.Done():
			t.Fatal("the events are still there")
		}
	}
	if got, err := w.readStream("s", esdb.Backwards, esdb.End{}, 10); err != nil || len(got) != 0 {
		t.Errorf("backwards: %d events, %v", len(got), err)
	}
	w.setMeta("s", `{"$maxAge":86400}`)
	if got, err := w.readStream("s", esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 2 {
		t.Errorf("with a greater age: %d events, %v", len(got), err)
	}
}

// Metadata that the client sets comes back through it, each field, and its own too.
func TestStreamMetadataThroughTheClient(t *testing.T) {
	w := begin(t)
	w.append("s", esdb.NoStream{}, w.event(`{}`))
	if m, err := w.client.GetStreamMetadata(w.ctx, w.stream("s"), esdb.ReadStreamOptions{}); err == nil &&
		m.MaxCount() != nil {
		t.Errorf("metadata of a stream without any: %+v", m)
	}
	for i := range 3 {
		var acl esdb.Acl
		acl.AddReadRoles("$admins") // the client does not read back more than one
		acl.AddWriteRoles("$all")
		var m esdb.StreamMetadata
		m.SetMaxCount(uint64(i + 1))
		m.SetMaxAge(time.Hour)
		m.SetTruncateBefore(uint64(i))
		m.SetCacheControl(time.Minute)
		m.SetAcl(acl)
		m.AddCustomProperty("mine", "x")
		err := w.settled(func() error {
			_, err := w.client.SetStreamMetadata(w.ctx, w.stream("s"),
				esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var got *esdb.StreamMetadata
		if err := w.settled(func() (err error) {
			got, err = w.client.GetStreamMetadata(w.ctx, w.stream("s"), esdb.ReadStreamOptions{})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if *got.MaxCount() != uint64(i+1) || *got.MaxAge() != time.Hour || *got.TruncateBefore() != uint64(i) ||
			*got.CacheControl() != time.Minute ||
			got.CustomProperty("mine") != "x" || got.StreamAcl() == nil ||
			!slices.Equal(got.StreamAcl().ReadRoles(), acl.ReadRoles()) ||
			!slices.Equal(got.StreamAcl().WriteRoles(), acl.WriteRoles()) {
			t.Errorf("round %d: got %+v", i, got)
		}
	}
	if got, err := w.readStream("$$s", esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 1 ||
		got[0].EventNumber < 2 {
		t.Errorf("the metastream shows %v, %v; want its newest event", revisions(got), err)
	}
}
