package guard

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// testRights are those of a new log, of which nothing is configured.
func testRights(t *testing.T) *Rights {
	t.Helper()
	o := eventlog.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler), Now: time.Now, CacheBytes: 1 << 20}
	if err := eventlog.Create("store", o); err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Rights{Log: l, Now: time.Now}
}

// What a link points to is asked by the same lists as a read.
func TestCanRead(t *testing.T) {
	r := testRights(t)
	for stream, data := range map[string]string{
		"open": `{}`, "closed": `{}`, layout.MetaPrefix + "closed": `{"$acl":{"$r":"auditors"}}`,
	} {
		_, err := r.Log.Submit(testContext(t), &eventlog.Request{
			Kind: eventlog.KindAppend, Stream: stream, Expect: eventlog.ExpectAny,
			Events: []eventlog.Proposal{{ID: uuid.New(), JSON: true, Type: "happened", Data: []byte(data)}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := map[string][]string{}
	for _, p := range []Principal{{Name: "anna", groups: []string{"auditors"}}, {Name: "piet"},
		{Name: adminName, groups: []string{groupAdmins}}, {open: true}, {}} {
		for _, stream := range []string{"open", "closed", "$system"} {
			v := r.Log.Acquire()
			if r.CanRead(v, p, stream) {
				got[p.Name] = append(got[p.Name], stream)
			}
			if err := v.Release(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(got["anna"], []string{"open", "closed"}) || !slices.Equal(got["piet"], []string{"open"}) ||
		len(got[adminName]) != 3 {
		t.Errorf("may read: %v", got)
	}
	// everybody of an open server; nobody of one with users
	if !slices.Equal(got[""], []string{"open", "closed", "$system"}) {
		t.Errorf("without a name: %v", got[""])
	}
}
