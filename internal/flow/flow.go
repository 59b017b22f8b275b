// Package flow owns the queue between one who reads and one who works: bounded by bytes, so that
// large events fill no memory, and by number.
//
// What waits in it is lost with the process; whoever puts something in can have it again. It
// trusts the size that its user tells.
package flow

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// Queue hands items on in the order in which they were put in. Any number of goroutines may put
// in; one takes out: it receives from Items and calls Took with what it received.
type Queue[T any] struct {
	items chan T
	room  *semaphore.Weighted
	most  int64
	size  func(T) int
}

// New returns a queue in which at most so many bytes wait, as size tells them, and so many items;
// both are above 0. An item that is larger than all of it waits alone.
func New[T any](bytes, items int, size func(T) int) *Queue[T] {
	return &Queue[T]{items: make(chan T, items), room: semaphore.NewWeighted(int64(bytes)), most: int64(bytes),
		size: size}
}

// Put puts an item in as soon as there is room, or returns ctx's error where that ends before.
func (q *Queue[T]) Put(ctx context.Context, item T) error {
	if err := q.room.Acquire(ctx, q.weight(item)); err != nil {
		return err
	}
	select {
	case q.items <- item:
		return nil
	case <-ctx.Done():
		q.room.Release(q.weight(item))
		return ctx.Err()
	}
}

// Items yields what was put in, and is closed by Close.
func (q *Queue[T]) Items() <-chan T { return q.items }

// Took gives the room of an item free that was received from Items.
func (q *Queue[T]) Took(item T) { q.room.Release(q.weight(item)) }

// Close says that nothing is put in any more. What waits is handed on still.
func (q *Queue[T]) Close() { close(q.items) }

func (q *Queue[T]) weight(item T) int64 { return min(max(int64(q.size(item)), 0), q.most) }
