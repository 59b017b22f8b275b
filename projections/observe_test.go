package projections_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

// inserts is what an observer heard.
type inserts struct {
	mu           sync.Mutex
	rows, failed int
	took         []time.Duration
}

func (o *inserts) Inserted(rows int, took time.Duration, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.failed++
		return
	}
	o.rows += rows
	o.took = append(o.took, took)
}

// slow takes its time for every insert, and refuses the first two.
type slow struct {
	*views
	asked int
}

func (s *slow) Insert(ctx context.Context, rows []projections.Row) error {
	time.Sleep(3 * time.Second) // the bubble's clock
	if s.asked++; s.asked <= 2 {
		return errors.New("no answer")
	}
	return s.views.Insert(ctx, rows)
}

// The observer hears of every insert, those that fail too, and how long it took.
func TestEachInsertIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, topics, v, heard := chtest.NewLedger(1, 1, 1), chtest.NewTopics(1), newViews(), &inserts{}
		topics.Publish(l.Events(5)...)
		p := start(t, projections.Config{Source: topics, Sink: &slow{views: v}, Positions: v, Observer: heard})
		time.Sleep(20 * time.Second) // less than Stall, after which everything may be read again
		topics.Publish(l.Events(4)...)
		time.Sleep(time.Minute)
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		if s := p.Status(); uint64(heard.rows) != s.Rows || heard.rows != 9 || heard.failed != 2 {
			t.Errorf("heard of %d rows and %d failures, the status has %d rows; want 9 and 2",
				heard.rows, heard.failed, s.Rows)
		}
		for _, took := range heard.took {
			if took != 3*time.Second {
				t.Errorf("an insert took %v, want 3s", took)
			}
		}
	})
}
