// Package retry owns how the project repeats what failed: one policy, exponential with full
// jitter, that ends with its context. What is repeated, and which layer does it, its caller
// decides and says: of the layers above one another, one repeats (docs/DESIGN.md §9).
//
// It keeps nothing, and trusts attempts to end with the context that they are given. It imports
// the standard library alone, so that package consumers may use it.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy says how long the pauses between attempts are: the n-th is anything from 0 to First
// doubled n-1 times, at most Longest. Clients that failed together so do not come back together.
type Policy struct {
	First   time.Duration // bounds the first pause; above 0
	Longest time.Duration // bounds every pause; at least First
}

// Begin returns the policy's pauses from the first on.
func (p Policy) Begin() *Pauses { return &Pauses{policy: p, most: p.First} }

// Pauses are the pauses of one loop. They belong to its goroutine.
type Pauses struct {
	policy Policy
	most   time.Duration // bounds the next pause
}

// Most is how long the next pause is at most.
func (p *Pauses) Most() time.Duration { return min(p.most, p.policy.Longest) }

// Wait makes the next pause. It returns nil after it, or ctx's error where that ended first.
func (p *Pauses) Wait(ctx context.Context) error {
	most := p.Most()
	p.most = min(2*most, p.policy.Longest)
	return Wait(ctx, rand.N(most+1))
}

// Reset begins with the first pause again: what is repeated got further.
func (p *Pauses) Reset() { p.most = p.policy.First }

// Wait waits for d. It returns nil after it, or ctx's error where that ended first or has ended
// already.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() // both may be ready
	case <-ctx.Done():
		return ctx.Err()
	}
}
