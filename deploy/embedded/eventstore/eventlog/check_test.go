package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

func testRNG(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// streamNames are few, so that operations meet, and of every awkward kind.
var streamNames = []string{"a", "a\x00", "a\x00b", "a\x01", "", "$", "$$", "$x", "\xff", "ledger-1", "ledger-2",
	"ledger-3", "$et-t"}

// randomRequest is any request that a client may send; some are refused.
func randomRequest(rng *rand.Rand) *Request {
	stream := streamNames[rng.IntN(len(streamNames))]
	expect := []Expectation{ExpectAny, ExpectAny, ExpectAny, ExpectExists, ExpectNoStream,
		Expectation(rng.IntN(20))}[rng.IntN(6)]
	switch n := rng.IntN(100); {
	case n < 1:
		return &Request{Kind: KindTombstone, Stream: fmt.Sprintf("%s-%d", stream, rng.IntN(10)), Expect: ExpectAny}
	case n < 8:
		return &Request{Kind: KindDelete, Stream: stream, Expect: expect}
	case n < 20:
		r := appendRequest(layout.MetaPrefix+stream, 1+rng.IntN(2))
		r.Expect = expect
		for i := range r.Events {
			r.Events[i].JSON, r.Events[i].Type = true, layout.TypeMetadata
			r.Events[i].Data = []byte([]string{
				`{"$maxCount":5}`, `{"$maxAge":3600,"$tb":2}`, `{"$acl":{"$r":"x"}}`, `{}`, `no json`,
				`{"$maxCount":-1}`, ``,
			}[rng.IntN(7)])
		}
		return r
	default:
		if rng.IntN(4) == 0 {
			stream = fmt.Sprintf("%s-%d", stream, rng.IntN(10))
		}
		r := appendRequest(stream, rng.IntN(5))
		r.Expect = expect
		for i := range r.Events {
			r.Events[i].Meta = make([]byte, rng.IntN(40))
			r.Events[i].Data = append(r.Events[i].Data, make([]byte, rng.IntN(400))...)
		}
		return r
	}
}

// populate sends n random requests from one caller after another.
func populate(t testing.TB, s *Log, rng *rand.Rand, n int) {
	t.Helper()
	for range n {
		if _, err := s.Submit(context.Background(), randomRequest(rng)); err != nil {
			t.Fatal(err)
		}
	}
}

func checkStore(t testing.TB, fs vfs.FS, dir string) Report {
	t.Helper()
	r, err := Check(testContext(t), dir, testOptions(fs), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantWhole(t testing.TB, fs vfs.FS, dir string) Report {
	t.Helper()
	r := checkStore(t, fs, dir)
	if !r.Whole() {
		t.Fatalf("check of %s: %d findings:\n%s", dir, r.Found, strings.Join(r.Findings, "\n"))
	}
	return r
}

// fileBytes is everything below dir.
func fileBytes(t testing.TB, fs vfs.FS, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			maps.Copy(out, fileBytes(t, fs, path))
			continue
		}
		f, err := fs.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		out[path] = string(b)
	}
	return out
}

// dump is everything that a reader can be told by the log: its end, events,
// stream indexes and heads. An error is one that a reader gets.
func dump(s *Log) (string, error) {
	v := s.Acquire()
	defer v.Release()
	var b strings.Builder
	fmt.Fprintln(&b, s.ID(), v.End(), v.Events())
	names := map[string]bool{}
	if err := v.ScanAll(0, v.End(), false, func(position uint64, r *Record) bool {
		fmt.Fprintf(&b, "%d %+v\n", position, r)
		names[string(r.Stream)] = true
		names[strings.TrimPrefix(string(r.Stream), layout.MetaPrefix)] = true
		return true
	}); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		h, err := readHead(v.snap, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%q %+v\n", name, h)
		if err := v.ScanStream(name, 0, ^uint64(0), false, func(revision uint64, e IndexEntry) (bool, error) {
			fmt.Fprintln(&b, revision, e)
			return true, nil
		}); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// A store that took every kind of request, over several sessions and with its
// tables compacted in between, is whole; and Check writes nothing to it.
func TestCheckOfAWholeStore(t *testing.T) {
	rng := testRNG(t)
	fs := vfs.NewMem()
	s := newStore(t, fs)
	for range 3 {
		populate(t, s, rng, 300)
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
		populate(t, s, rng, 50)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		before := fileBytes(t, fs, "s")
		r := wantWhole(t, fs, "s")
		if !maps.Equal(before, fileBytes(t, fs, "s")) {
			t.Error("check has changed the store's files")
		}
		s = reopen(t, fs)
		v := s.Acquire()
		if r.Events != v.Events() || r.Next != v.End() || r.Streams == 0 || r.Bytes == 0 || r.Commit == 0 ||
			r.Duration <= 0 {
			t.Errorf("report %+v, the store has %d events and ends at %d", r, v.Events(), v.End())
		}
		if err := v.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Check(t.Context(), "s", testOptions(fs), nil); !errors.Is(err, ErrLocked) {
		t.Errorf("check of an open store: %v, want ErrLocked", err)
	}
	if _, err := Check(t.Context(), "nothing", testOptions(fs), nil); !errors.Is(err, ErrMissing) {
		t.Errorf("check of nothing: %v, want ErrMissing", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Check(ctx, "s", testOptions(fs), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("check with an ended context: %v", err)
	}
}

// Whatever is written twice is compared: each change of one of the two is
// found, named by position and revision, and does not end the check.
func TestCheckFindsContradictions(t *testing.T) {
	set := func(key, value []byte) func(db *pebble.DB) error {
		return func(db *pebble.DB) error { return db.Set(key, value, pebble.Sync) }
	}
	del := func(key []byte) func(db *pebble.DB) error {
		return func(db *pebble.DB) error { return db.Delete(key, pebble.Sync) }
	}
	change := func(key []byte, with func(v []byte) []byte) func(db *pebble.DB) error {
		return func(db *pebble.DB) error {
			v, err := disk.Get(db, key)
			if err != nil {
				return err
			}
			return db.Set(key, with(v), pebble.Sync)
		}
	}
	var at [6]uint64 // positions of the fixture's events
	entry := func(stream string, revision uint64) []byte {
		return layout.IndexKey(layout.IndexPrefix(stream), revision)
	}
	rewrite := func(i int, with func(r *Record)) func(db *pebble.DB) error {
		return change(layout.EventKey(at[i]), func(v []byte) []byte {
			r, err := layout.DecodeRecord(at[i], v)
			if err != nil {
				t.Fatal(err)
			}
			with(&r)
			out := make([]byte, r.Size())
			r.Put(out, at[i])
			return out
		})
	}
	withHead := func(stream string, with func(h *layout.Head)) func(db *pebble.DB) error {
		return change(layout.HeadKey(stream), func(v []byte) []byte {
			h, err := layout.DecodeHead(v)
			if err != nil {
				t.Fatal(err)
			}
			with(&h)
			return h.Encode()
		})
	}
	fixture := func() vfs.FS {
		fs := vfs.NewMem()
		s := newStore(t, fs)
		for i, r := range []*Request{
			appendRequest("a", 1), appendRequest("a", 1), appendRequest("b", 1), appendRequest("a", 1),
			{Kind: KindDelete, Stream: "b", Expect: ExpectAny}, {Kind: KindTombstone, Stream: "c", Expect: ExpectAny},
		} {
			res, err := s.Submit(context.Background(), r)
			if err != nil || res.Outcome != OutcomeWritten {
				t.Fatal(res, err)
			}
			at[i] = res.Position
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return fs
	}
	wantWhole(t, fixture(), "s") // and fills in the positions
	for _, c := range []struct {
		name   string
		damage func() func(db *pebble.DB) error
		want   string // %d is the position of the fixture's event below, -1 for one that is none
		event  int
	}{
		{"an event is missing", func() func(*pebble.DB) error { return del(layout.EventKey(at[1])) },
			"the one before ended at %d", 1},
		{"an event has other bytes", func() func(*pebble.DB) error {
			return change(layout.EventKey(at[2]), func(v []byte) []byte { v[30] ^= 1; return v })
		}, "checksum of the event at position %d", 2},
		{"an event is shorter", func() func(*pebble.DB) error {
			return rewrite(2, func(r *Record) { r.Data = r.Data[1:] })
		}, "event at position %d, the one before ended at", 3},
		{"an event has another id", func() func(*pebble.DB) error {
			return rewrite(0, func(r *Record) { r.ID[3] ^= 1 })
		}, "event at position %d, revision 0 of its stream: the stream's index has", 0},
		{"an event is of another stream", func() func(*pebble.DB) error {
			return rewrite(2, func(r *Record) { r.Stream = []byte("a") })
		}, "names position %d, where another event is", 2},
		{"an event has another revision", func() func(*pebble.DB) error {
			return rewrite(3, func(r *Record) { r.Revision = 7 })
		}, "event at position %d, revision 7 of its stream, is not in the stream's index", 3},
		{"an event's time goes back", func() func(*pebble.DB) error {
			return rewrite(3, func(r *Record) { r.Created = 1 })
		}, "event at position %d is older", 3},
		{"a tombstone's flag is gone", func() func(*pebble.DB) error {
			return rewrite(5, func(r *Record) { r.Flags = 0 })
		}, "event at position %d has revision 9223372036854775807 and flags 0x0", 5},
		{"an index entry is missing", func() func(*pebble.DB) error { return del(entry("a", 1)) },
			"event at position %d, revision 1 of its stream, is not in", 1},
		{"an index entry too many", func() func(*pebble.DB) error {
			e := IndexEntry{Position: at[5] + 1, Created: 1 << 62}
			v := make([]byte, layout.IndexEntrySize)
			e.Put(v)
			return set(entry("a", 3), v)
		}, "where no event is", 0},
		{"an index entry names another event", func() func(*pebble.DB) error {
			return change(entry("a", 1), func(v []byte) []byte { v[7] ^= 3; return v })
		}, "event at position %d, revision 1 of its stream: the stream's index has", 1},
		{"an index entry has another id", func() func(*pebble.DB) error {
			return change(entry("b", 0), func(v []byte) []byte { v[9] ^= 1; return v })
		}, "event at position %d, revision 0 of its stream: the stream's index has", 2},
		{"an index entry has another time", func() func(*pebble.DB) error {
			return change(entry("b", 0), func(v []byte) []byte { v[31] ^= 1; return v })
		}, "event at position %d, revision 0 of its stream: the stream's index has", 2},
		{"an index entry is short", func() func(*pebble.DB) error { return set(entry("b", 0), []byte{1}) },
			"stream index entry of 1 bytes", 0},
		{"a tombstone's index entry is missing", func() func(*pebble.DB) error {
			return del(entry("c", layout.TombstoneRevision))
		}, "event at position %d, revision 9223372036854775807 of its stream, is not in", 5},
		{"a head is missing", func() func(*pebble.DB) error { return del(layout.HeadKey("a")) },
			"the stream whose index begins at position %d has no head", 0},
		{"a head too many", func() func(*pebble.DB) error { return set(layout.HeadKey("z"), layout.NoHead.Encode()) },
			"has neither events nor metadata", 0},
		{"a head ends early", func() func(*pebble.DB) error {
			return withHead("a", func(h *layout.Head) { h.Last-- })
		}, "stream whose index begins at position %d: its head says last revision 1,", 0},
		{"a head is not tombstoned", func() func(*pebble.DB) error {
			return withHead("c", func(h *layout.Head) { h.Deleted = false })
		}, "stream whose index begins at position %d: its head says", 5},
		{"a head has other metadata", func() func(*pebble.DB) error {
			return withHead("b", func(h *layout.Head) { h.Meta.TruncateBefore = 0 })
		}, "stream whose index begins at position %d: its head says", 2},
		{"a head has metadata elsewhere", func() func(*pebble.DB) error {
			return withHead("b", func(h *layout.Head) { h.MetaPosition++ })
		}, "stream whose index begins at position %d: its head says", 2},
		{"a head is short", func() func(*pebble.DB) error { return set(layout.HeadKey("b"), []byte{1, 0}) },
			"stream head of 2 bytes", 0},
		{"a commit has fewer events", func() func(*pebble.DB) error {
			return set(layout.CommitKey(1), layout.CommitRecord{First: layout.FirstPosition, Next: at[2], Events: 1,
				Total: 1}.Encode())
		}, "commit 1 has 1 events, 2 are there", 0},
		{"a commit ends elsewhere", func() func(*pebble.DB) error {
			return set(layout.CommitKey(1), layout.CommitRecord{First: layout.FirstPosition, Next: at[1] + 1,
				Events: 1, Total: 1}.Encode())
		}, "commit 1 ends at position %d, where no event ends", -1},
		{"the last commit is missing", func() func(*pebble.DB) error { return del(layout.CommitKey(6)) },
			"the commit counter at", 0},
		{"no format record", func() func(*pebble.DB) error { return del(layout.KeyFormat) }, "no format record", 0},
		{"an unknown key", func() func(*pebble.DB) error { return set([]byte("\x06x"), nil) },
			"unknown key of 2 bytes that begins with 0678", 0},
		{"an unknown key of the system", func() func(*pebble.DB) error { return set([]byte("\x01zz"), nil) },
			"unknown key of 3 bytes", 0},
		{"an index key without a stream", func() func(*pebble.DB) error { return set([]byte("\x04abc"), nil) },
			"stream index key of 4 bytes", 0},
	} {
		fs := fixture()
		rawDB(t, fs, c.damage())
		r := checkStore(t, fs, "s")
		want := c.want
		if strings.Contains(want, "%d") {
			position := at[1] + 1
			if c.event >= 0 {
				position = at[c.event]
			}
			want = fmt.Sprintf(want, position)
		}
		if !slices.ContainsFunc(r.Findings, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("%s: findings %q lack %q", c.name, r.Findings, want)
		}
		if !strings.HasPrefix(c.name, "no format") && r.Events < 4 {
			t.Errorf("%s: the check ended after %d events", c.name, r.Events)
		}
	}
}
