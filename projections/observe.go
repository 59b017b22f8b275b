package projections

import (
	"context"
	"time"
)

// Observer is told of each attempt to insert a batch, when it has ended. It may not block.
type Observer interface {
	Inserted(rows int, took time.Duration, err error)
}

// observedSink tells the observer of each insert.
type observedSink struct {
	Sink
	observer Observer
	now      func() time.Time
}

func (s observedSink) Insert(ctx context.Context, rows []Row) error {
	begun := s.now()
	err := s.Sink.Insert(ctx, rows)
	s.observer.Inserted(len(rows), s.now().Sub(begun), err)
	return err
}
