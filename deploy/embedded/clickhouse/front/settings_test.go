package front

import "testing"

// All readers together take half of the machine's memory at most.
func TestReaderShare(t *testing.T) {
	for _, c := range []struct {
		machine    int64
		statements int
		want       int64
	}{{0, 8, readerMemory}, {1 << 30, 8, 1 << 26}, {256 << 30, 8, readerMemory}, {16 << 30, 1, readerMemory},
		{16 << 30, 0, readerMemory}} {
		if got := ReaderShare(c.machine, c.statements); got != c.want {
			t.Errorf("one of %d statements on a machine of %d bytes: %d, want %d", c.statements,
				c.machine, got, c.want)
		}
	}
}
