package heap

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestASmallHeapHasRoomAndALargeOneDoubles(t *testing.T) {
	for live, want := range map[uint64]int{
		0: most, 1 << 20: most, 64 << 20: 400, 128 << 20: 200, room: 100, 8 * room: 100,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB live: %d percent, want %d", live>>20, got, want)
		}
	}
}

// After each collection the percentage is that of what is live then.
func TestThePaceFollowsTheHeap(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	Roomy()
	stands := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	if got := stands(); got != most {
		t.Fatalf("of a small heap %d percent, want %d", got, most)
	}
	follows := func(what string, is func(int) bool) {
		t.Helper()
		for range 500 {
			runtime.GC()
			if is(stands()) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%s: %d percent", what, stands())
	}
	large := make([]byte, room)
	follows("a large heap", func(p int) bool { return p == 100 })
	runtime.KeepAlive(large)
	large = nil
	follows("once it is small again", func(p int) bool { return p > 100 })
}

func TestGOGCStandsAboveIt(t *testing.T) {
	t.Setenv("GOGC", "100")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	Roomy()
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("%d percent although GOGC is set", got)
	}
}
