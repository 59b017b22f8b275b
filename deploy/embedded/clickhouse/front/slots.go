package front

import (
	"context"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
)

// slots bound the statements that run at a time. A statement takes one when it has been
// read, and its sender's right to it is known; readers share a part of them, so that
// they never hold them all.
type slots struct {
	all, readers chan struct{}
}

func newSlots(all, readers int) slots {
	return slots{make(chan struct{}, all), make(chan struct{}, readers)}
}

// take waits for a slot. The returned function gives it back.
func (s slots) take(ctx context.Context, a *Account) (release func(), err error) {
	var taken []chan struct{}
	release = func() {
		for _, c := range taken {
			<-c
		}
	}
	want := []chan struct{}{s.all}
	if a.ReadOnly {
		want = []chan struct{}{s.readers, s.all} // in this order: waiting for its kind, a reader holds nothing
	}
	for _, c := range want {
		select {
		case c <- struct{}{}:
			taken = append(taken, c)
		case <-ctx.Done():
			release()
			return nil, exception.Cancelled(ctx)
		}
	}
	return release, nil
}
