package projections

import (
	"context"
	"fmt"
	"sync"
)

// Gate holds what the relay noted last. A message is judged only when that covers it. The zero
// Gate is closed.
type Gate struct {
	mu      sync.Mutex
	noted   *Noted
	changed chan struct{} // closed when noted is another
}

func (g *Gate) get() (noted *Noted, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.noted, g.changed
}

// Set takes what was noted last.
func (g *Gate) Set(n *Noted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noted = n
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// Covering waits for a note that covers the message at that offset.
func (g *Gate) Covering(ctx context.Context, partition string, offset int64) (*Noted, error) {
	for {
		noted, changed := g.get()
		if noted != nil && offset < noted.Ends[partition] {
			return noted, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// followNotes keeps the gate open as far as the relay has published.
func (p *Projector) followNotes(ctx context.Context) {
	var last *Noted
	for ctx.Err() == nil {
		err := p.await(ctx, "read the position of the relay", func(ctx context.Context) error {
			noted, err := p.cfg.Source.Noted(ctx, last)
			if err != nil {
				return fmt.Errorf("position of the relay: %w", err)
			}
			last = noted
			return nil
		})
		if err != nil {
			return // ctx ended
		}
		p.status.noted(last, p.cfg.Now())
		p.gate.Set(last)
	}
}
