package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	engine "github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
)

// progress shows how far long work is: one line that is rewritten on a terminal, a plain line now and then elsewhere.
type progress struct {
	out      io.Writer
	terminal bool

	mu   sync.Mutex // guards what follows
	last time.Time
	open bool // a rewritten line stands unfinished
}

// How often a line is shown.
const (
	terminalEvery = 200 * time.Millisecond
	plainEvery    = 5 * time.Second
)

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && isTerminal(f), last: time.Now()} // short work shows nothing
}

// show replaces the line, unless one was shown a moment ago.
func (p *progress) show(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := plainEvery
	if p.terminal {
		every = terminalEvery
	}
	now := time.Now()
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	line := fmt.Sprintf(format, args...)
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
		p.open = true
		return
	}
	fmt.Fprintln(p.out, line)
}

// done ends the rewritten line.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.open = false
	}
	p.last = time.Now()
}

func (p *progress) fetch(f engine.FetchProgress) {
	if f.Total > 0 {
		p.show("ClickHouse's engine, once for this machine: %s %s of %s", f.Stage, bytesText(f.Done), bytesText(f.Total))
	} else {
		p.show("ClickHouse's engine, once for this machine: %s", f.Stage)
	}
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// count writes a number with thin groups of three, so that people can read it.
func count[T ~int | ~int64 | ~uint64](n T) string {
	s := fmt.Sprint(n)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), ",")
}
