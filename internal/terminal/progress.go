package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress shows how far long work is: one line that is rewritten on a terminal, a plain line now
// and then elsewhere. It may be used by several goroutines.
type Progress struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex // guards what follows
	last  time.Time
	asked time.Time // when there was something to be shown, the last time
	shown bool      // something, of the present work
	open  bool      // a rewritten line stands unfinished
}

// How often a line is shown, and how long work takes before its first plain one is.
const (
	terminalEvery = 200 * time.Millisecond
	plainEvery    = 5 * time.Second
	plainFirst    = 2 * time.Second
)

// clearLine goes to the line's begin and empties it.
const clearLine = "\r\x1b[K"

// NewProgress returns a Progress that has shown nothing; short work never does.
func NewProgress(out io.Writer) *Progress {
	return &Progress{out: out, terminal: Is(out), last: time.Now(), asked: time.Now()}
}

// Show replaces the line, unless one was shown a moment ago.
func (p *Progress) Show(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := plainEvery
	switch {
	case p.terminal:
		every = terminalEvery
	case !p.shown:
		every = plainFirst
	}
	now := time.Now()
	p.asked = now
	if now.Sub(p.last) < every {
		return
	}
	p.last, p.shown = now, true
	line := fmt.Sprintf(format, args...)
	if p.terminal {
		fmt.Fprint(p.out, clearLine+line)
		p.open = true
		return
	}
	fmt.Fprintln(p.out, line)
}

// Say writes a line that stays. What follows begins as new work does.
func (p *Progress) Say(format string, args ...any) {
	p.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// Done takes the rewritten line away.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		fmt.Fprint(p.out, clearLine)
		p.open = false
	}
	p.last, p.asked, p.shown = time.Now(), time.Now(), false
}

// Quiet is for how long there was nothing to be shown.
func (p *Progress) Quiet() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.asked)
}

// Remaining returns how long work will take still, as ", 12s left", of which so much is done after
// so long; "" while that cannot be told.
func Remaining[N ~int | ~int64 | ~uint64](done, of N, took time.Duration) string {
	left, ok := Ahead(done, of, took)
	if !ok {
		return ""
	}
	return ", " + left.String() + " left"
}

// Ahead returns how long work will take still, in whole seconds, of which so much is done after so
// long, and whether that can be told.
func Ahead[N ~int | ~int64 | ~uint64](done, of N, took time.Duration) (left time.Duration, ok bool) {
	if took < time.Second || done <= 0 || done >= of { // a rate of less is noise
		return 0, false
	}
	return time.Duration(float64(took) / float64(done) * float64(of-done)).Round(time.Second), true
}

// Counting returns a writer that hands on to w, and shows the bytes so far in the place of the %s
// of the format.
func (p *Progress) Counting(w io.Writer, format string) *Counting {
	return &Counting{w: w, p: p, format: format}
}

// Counting is a writer whose bytes are shown.
type Counting struct {
	w      io.Writer
	p      *Progress
	format string
	N      int64 // bytes written
}

// Write implements io.Writer.
func (c *Counting) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.N += int64(n)
	c.p.Show(c.format, Bytes(c.N))
	return n, err
}
