package projections

import (
	"testing"
	"time"
)

// Waiting begins when something is published, not when the last rows were written: after a quiet
// hour a note that comes before its rows is no gap, and nothing is read again.
func TestAQuietHourIsNoGap(t *testing.T) {
	const stall = 30 * time.Second
	b, now := &statusBoard{}, time.Unix(0, 0)
	b.progress(newApplied(10), 10, now)
	b.noted(&Noted{Through: 9}, now)
	now = now.Add(time.Hour)
	b.noted(&Noted{Through: 10}, now)
	if _, stalled := b.stalled(now.Add(stall-1), stall); stalled {
		t.Error("a sequence that has just been published counts as one that does not come")
	}
	b.noted(&Noted{Through: 11}, now.Add(stall-1)) // more is published; the first is still missing
	if next, stalled := b.stalled(now.Add(stall), stall); !stalled || next != 10 {
		t.Errorf("after %v without it: missing %d, stalled %v", stall, next, stalled)
	}
}
