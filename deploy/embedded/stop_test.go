package embedded

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A server that never stops takes its own share of the time and no other's: those
// after it drain as they need.
func TestAServerThatHangsStarvesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		drained := 0
		drains := func(ctx context.Context) error {
			select {
			case <-time.After(9 * time.Second):
				drained++
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began := time.Now()
		err := stopEach(ctx, []func(context.Context) error{hangs, drains, drains})
		if !errors.Is(err, context.DeadlineExceeded) || drained != 2 {
			t.Errorf("%v; %d servers drained, want 2", err, drained)
		}
		if d := time.Since(began); d != 28*time.Second {
			t.Errorf("it took %s", d)
		}
		// Without a deadline nobody is hurried.
		if err := stopEach(t.Context(), []func(context.Context) error{drains}); err != nil || drained != 3 {
			t.Errorf("%v; %d servers drained", err, drained)
		}
	})
}
