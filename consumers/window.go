package consumers

import (
	"errors"
	"fmt"
)

// MaxRound is the greatest number of events in a round of the relay, and so how far back a
// repetition may reach among the newest of a partition (FORMATS §8).
const MaxRound = 4096

// Handled is what a consumer keeps of an event that it has handled.
type Handled struct {
	Seq  uint64
	Leaf [32]byte
}

// ErrForged says that two records of one sequence differ: at most one of them is the ledger's, and
// a consumer cannot tell which. Filling the topic again from the ledger heals it.
var ErrForged = errors.New("two records of one sequence differ, so one of them is forged")

// Window is the last MaxRound events handled of a partition. By it a repetition is told from an
// event that was not there before, whatever sequences others wrote in between: one record never
// hides another. The zero Window has handled nothing.
type Window struct {
	ring     []Handled // the oldest at next once it is full
	next     int       // where the next one goes
	leaf     map[uint64][32]byte
	low      uint64 // the least of a full ring; meaningful when lowKnown
	lowKnown bool
}

// Repeats reports whether an event was handled before: its sequence is among the last MaxRound
// handled or, once there are so many, below all of them. It errs with ErrForged where that
// sequence was handled with another leaf.
func (w *Window) Repeats(h Handled) (bool, error) {
	if leaf, ok := w.leaf[h.Seq]; ok {
		if leaf != h.Leaf {
			return false, fmt.Errorf("sequence %d: %w", h.Seq, ErrForged)
		}
		return true, nil
	}
	return len(w.ring) == MaxRound && h.Seq < w.least(), nil
}

// least is the lowest sequence of a full ring. It is looked for again only when the lowest has
// left.
func (w *Window) least() uint64 {
	if !w.lowKnown {
		w.low, w.lowKnown = w.ring[0].Seq, true
		for _, h := range w.ring[1:] {
			w.low = min(w.low, h.Seq)
		}
	}
	return w.low
}

// Add notes that an event was handled that Repeats did not know.
func (w *Window) Add(h Handled) {
	if w.leaf == nil {
		w.leaf = map[uint64][32]byte{}
	}
	if len(w.ring) < MaxRound {
		w.ring = append(w.ring, h)
	} else {
		gone := w.ring[w.next].Seq
		delete(w.leaf, gone)
		w.ring[w.next] = h
		w.next = (w.next + 1) % MaxRound
		switch {
		case w.lowKnown && h.Seq < w.low:
			w.low = h.Seq
		case w.lowKnown && gone == w.low:
			w.lowKnown = false
		}
	}
	w.leaf[h.Seq] = h.Leaf
}

// Last returns the events handled, at most MaxRound, the oldest first.
func (w *Window) Last() []Handled {
	return append(append([]Handled(nil), w.ring[w.next:]...), w.ring[:w.next]...)
}
