package eventlog

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A stream's metadata is its newest, as of the view that is asked; a restart and the stream's end keep it.
func TestMetadata(t *testing.T) {
	fs := vfs.NewMem()
	s := newStore(t, fs)
	get := func(v *View) string {
		t.Helper()
		got, err := v.Metadata("s")
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			return "none"
		}
		return string(got)
	}
	old := s.Acquire()
	for _, data := range []string{`{"a":1}`, ``, `{"a":2}`} {
		r := appendRequest("$$s", 1)
		r.Expect, r.Events[0].Data = ExpectAny, []byte(data)
		if _, err := s.Submit(testContext(t), r); err != nil {
			t.Fatal(err)
		}
		v := s.Acquire()
		if got := get(v); got != data {
			t.Errorf("got %s, want %s", got, data)
		}
		if err := v.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if got := get(old); got != "none" {
		t.Errorf("a view from before shows %s", got)
	}
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Submit(testContext(t), &Request{Kind: KindTombstone, Stream: "s", Expect: ExpectAny}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, fs)
	v := s.Acquire()
	if got := get(v); got != `{"a":2}` {
		t.Errorf("after the end and a restart: %s", got)
	}
	if err := v.Release(); err != nil {
		t.Fatal(err)
	}
}
