package node

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// A step that takes its time says so, and how long it took; one that tells how far it is keeps the
// line; a quick one says nothing, nor one that failed how long it took.
func TestASlowStepOfAStartIsTold(t *testing.T) {
	failed := errors.New("failed")
	for name, tc := range map[string]struct {
		step func(ctx context.Context, c Config) error
		want string
	}{
		"quick": {func(ctx context.Context, _ Config) error { return retry.Wait(ctx, time.Second) }, ""},
		"slow": {func(ctx context.Context, _ Config) error { return retry.Wait(ctx, 9500*time.Millisecond) },
			"counting: 2s so far\ncounting: 8s so far\ncounting took 9.5 s\n"},
		"slow and failed": {func(ctx context.Context, _ Config) error {
			return errors.Join(retry.Wait(ctx, 3*time.Second), failed)
		}, "counting: 2s so far\n"},
		"telling": {func(ctx context.Context, c Config) error {
			tell := c.counting("events")
			for i := range uint64(9) {
				tell(i, 10)
				if err := retry.Wait(ctx, 990*time.Millisecond); err != nil {
					return err
				}
			}
			return nil
		}, "events: 3 of 10 events, 7s left\ncounting took 8.9 s\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			c := Config{Console: terminal.NewProgress(&out)}
			err := c.saying(t.Context(), "counting", func(ctx context.Context) error { return tc.step(ctx, c) })
			if (err != nil) != errors.Is(err, failed) || out.String() != tc.want {
				t.Errorf("%s: %v\n%s, want\n%s", name, err, out.String(), tc.want)
			}
		})
	}
}
