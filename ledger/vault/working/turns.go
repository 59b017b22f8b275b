package working

import (
	"context"
	"sync"

	"github.com/google/uuid"
)

// Turns lets transactions of one tenant in this process run one after another, which would else
// stand in one another's way. It is safe for concurrent use.
type Turns struct {
	mu sync.Mutex
	of map[uuid.UUID]chan struct{} // guarded by mu: one a tenant, never forgotten; full while it is taken
}

// Take waits for the tenant's turn, and returns what ends it; the context's error where that ends
// first.
func (t *Turns) Take(ctx context.Context, tenant uuid.UUID) (done func(), err error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[uuid.UUID]chan struct{}{}
	}
	turn := t.of[tenant]
	if turn == nil {
		turn = make(chan struct{}, 1)
		t.of[tenant] = turn
	}
	t.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
