package protocol

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// A reader that may not see a link's stream sees the link alone.
func TestLinksRespectWhatMayBeRead(t *testing.T) {
	o := eventlog.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler), Now: time.Now, CacheBytes: 1 << 20}
	if err := eventlog.Create("store", o); err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := l.Submit(ctx, &eventlog.Request{
		Kind: eventlog.KindAppend, Stream: "secret", Expect: eventlog.ExpectNoStream,
		Events: []eventlog.Proposal{{ID: uuid.New(), JSON: true, Type: "happened", Data: []byte(`{}`)}},
	}); err != nil {
		t.Fatal(err)
	}
	v := l.Acquire()
	defer func() {
		if err := v.Release(); err != nil {
			t.Error(err)
		}
	}()
	for name, l := range map[string]*links{
		"everything": {now: time.Now}, "not this": {now: time.Now,
			mayRead: func(_ *eventlog.View, s string) bool { return s != "secret" }},
	} {
		if _, found, err := l.target(v, "secret", 0); err != nil || found != (name == "everything") {
			t.Errorf("%s: found %v, %v", name, found, err)
		}
	}
}
