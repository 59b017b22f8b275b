package relay_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ledgerline/ledgerline/consumers/relay"
)

// What a status counts is what was done: each round once, each refused attempt once, and when.
func TestStatusCountsRoundsAndRefusedAttempts(t *testing.T) {
	r := newRig(t, 40)
	r.fill(1000)
	h := r.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 7})
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cfg := r.config()
	cfg.Clock = func() time.Time { return at }
	noted := uint64(0)
	cfg.Hook = func(point string) error {
		if point == relay.PointNoted {
			if noted++; noted == 5 {
				cancel()
			}
		}
		return nil
	}
	re, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s := re.Status(); s.Rounds != 0 || s.Failures != 0 || !s.NotedAt.IsZero() {
		t.Errorf("before it has run: %+v", s)
	}
	if err := re.Run(ctx); err != nil {
		t.Fatal(err)
	}
	s := re.Status()
	if s.Rounds != 5 || s.Published != 1000 || !s.NotedAt.Equal(at) {
		t.Errorf("%d rounds of %d events, noted at %v; want 5 of 1000 at %v", s.Rounds, s.Published, s.NotedAt, at)
	}
	if s.Failures != 7 || h.Hits() != 7 {
		t.Errorf("%d failures, of %d faults, want 7 of 7", s.Failures, h.Hits())
	}
	if s.Err != nil {
		t.Errorf("what failed has succeeded since, and still: %v", s.Err)
	}
}
