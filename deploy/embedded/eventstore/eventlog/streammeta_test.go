package eventlog

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A stream's metadata is its newest, as of the view that is asked; a restart and the stream's end
// keep it.
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

// A view says that there are system streams from the write of the first one on, also one that a
// delete makes, and after a restart.
func TestSystemStreamsAreKnown(t *testing.T) {
	for name, c := range map[string]struct {
		kind   Kind
		stream string
		want   bool
	}{
		"an ordinary stream":     {KindAppend, "a", false},
		"the name before":        {KindAppend, "#", false},
		"the name after":         {KindAppend, "%", false},
		"a dollar further on":    {KindAppend, "a$b", false},
		"a system stream":        {KindAppend, "$x", true},
		"the shortest":           {KindAppend, "$", true},
		"metadata":               {KindAppend, "$$a", true},
		"a delete's metadata":    {KindDelete, "first", true},
		"a tombstone needs none": {KindTombstone, "first", false},
	} {
		fs := vfs.NewMem()
		s := newStore(t, fs)
		submit := func(kind Kind, stream string) {
			t.Helper()
			r := &Request{Kind: kind, Stream: stream, Expect: ExpectAny}
			if kind == KindAppend {
				r.Events = []Proposal{{ID: [16]byte{1, byte(len(stream))}, Type: "t"}}
			}
			if res, err := s.Submit(t.Context(), r); err != nil || res.Outcome != OutcomeWritten {
				t.Fatalf("%s: %+v, %v", name, res, err)
			}
		}
		known := func() bool {
			t.Helper()
			v := s.Acquire()
			defer func() {
				if err := v.Release(); err != nil {
					t.Error(err)
				}
			}()
			return v.HasSystemStreams()
		}
		submit(KindAppend, "first")
		if known() {
			t.Errorf("%s: a system stream before it was written", name)
		}
		submit(c.kind, c.stream)
		if known() != c.want {
			t.Errorf("%s: known %v, want %v", name, !c.want, c.want)
		}
		submit(KindAppend, "last")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = reopen(t, fs)
		if known() != c.want {
			t.Errorf("%s: after a restart: known %v, want %v", name, !c.want, c.want)
		}
	}
}
