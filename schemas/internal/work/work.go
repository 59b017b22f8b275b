// Package work counts, for tests, how often the costly steps of reading an event are taken. It
// owns one switch and trusts nobody with it but schemas/schemastest; a program never turns it on.
package work

import "sync/atomic"

// Counts are how often each step was taken.
type Counts struct {
	Parsed atomic.Uint64 // metadata was read, as a whole
	Hashed atomic.Uint64 // a leaf was hashed
}

// On counts where it is set.
var On atomic.Pointer[Counts]

// Parsed counts that metadata was read.
func Parsed() {
	if c := On.Load(); c != nil {
		c.Parsed.Add(1)
	}
}

// Hashed counts that a leaf was hashed.
func Hashed() {
	if c := On.Load(); c != nil {
		c.Hashed.Add(1)
	}
}
