package node

import (
	"context"
	"time"

	"github.com/ledgerline/ledgerline/internal/terminal"
)

// This file tells whoever starts something what takes its time, so that nobody takes a start for
// one that hangs.

// slow is how long a step of a start may take without a word.
const slow = 2 * time.Second

// saying does a step of a start. Where that takes longer than a moment, the console is told what
// is done, unless the step itself tells how far it is, and how long it took.
func (c Config) saying(ctx context.Context, what string, step func(context.Context) error) error {
	began := time.Now()
	over := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				if c.Console.Quiet() >= slow {
					c.Console.Show("%s: %s so far", what, time.Since(began).Round(time.Second))
				}
			}
		}
	}()
	err := step(ctx)
	close(over)
	<-told
	c.Console.Done()
	if took := time.Since(began); took > slow && err == nil {
		c.Console.Say("%s took %.1f s", what, took.Seconds())
	}
	return err
}

// counting returns what shows of how many events how many are done. Work begins with its first
// call, and anew where less is done than before.
func (c Config) counting(what string) func(done, of uint64) {
	var began time.Time
	var first, last uint64
	return func(done, of uint64) {
		if began.IsZero() || done < last {
			began, first = time.Now(), done
		}
		last = done
		c.Console.Show("%s: %s of %s events%s", what, terminal.Count(done), terminal.Count(of),
			terminal.Remaining(done-first, of-first, time.Since(began)))
	}
}
