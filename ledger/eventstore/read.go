package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ledgerline/ledgerline/internal/flow"
	"github.com/ledgerline/ledgerline/schemas"
)

// message is what a read or a subscription brings: that it is open, an event, that it
// has caught up, or why it ended.
type message struct {
	event    *esdb.RecordedEvent
	caughtUp bool
	err      error // io.EOF: the read has come to its end
}

func (m message) size() int {
	if m.event == nil {
		return 0
	}
	return len(m.event.Data) + len(m.event.UserMetadata)
}

// What was received and not yet taken waits up to these.
const (
	waitingBytes    = 1 << 20
	waitingMessages = 64
)

// opener opens a read or a subscription and returns how to receive from it.
type opener func(context.Context, *esdb.Client) (receive func() message, err error)

// pull opens a read and hands over what it brings until its end, an error, or a take that returns
// false. Opening may never return, and receiving may panic, so both run beside. Opening may last
// for the call timeout, and so may the wait for each further message unless live.
func (s *Store) pull(ctx context.Context, live bool, open opener, take func(message) bool) error {
	ctx, cancel := context.WithCancel(toLeader(ctx))
	defer cancel()
	conn, err := s.acquire()
	if err != nil {
		return err
	}
	messages := flow.New(waitingBytes, waitingMessages, message.size)
	send := func(m message) bool { return messages.Put(ctx, m) == nil && m.err == nil }
	go func() {
		var failure error
		defer func() {
			if p := recover(); p != nil {
				failure = recovered(p)
			}
			if failure = errors.Join(failure, s.release(conn)); failure != nil {
				send(message{err: failure})
			}
		}()
		receive, err := open(ctx, conn.client)
		if failure = err; err != nil || !send(message{}) {
			return
		}
		for send(receive()) {
		}
	}()
	timer := time.NewTimer(s.cfg.CallTimeout)
	defer timer.Stop()
	for {
		select {
		case m := <-messages.Items():
			messages.Took(m)
			switch {
			case errors.Is(m.err, io.EOF):
				return nil
			case m.err != nil && ctx.Err() != nil:
				return ctx.Err()
			case m.err != nil:
				return errors.Join(m.err, s.judge(conn, m.err))
			case !take(m):
				return nil
			case live:
				timer.Stop()
			default:
				timer.Reset(s.cfg.CallTimeout)
			}
		case <-timer.C:
			return errors.Join(fmt.Errorf("no answer within %s", s.cfg.CallTimeout), s.retire(conn, false))
		case <-conn.gone:
			return errAbandoned
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func receiver(r *esdb.ReadStream, err error) (func() message, error) {
	if err != nil {
		return nil, err
	}
	return func() message {
		ev, err := r.Recv()
		if err != nil {
			return message{err: err}
		}
		return message{event: ev.OriginalEvent()}
	}, nil
}

// ReadStream implements ledger.Store. A read that is cut goes on after the last event seen.
func (s *Store) ReadStream(
	ctx context.Context, name schemas.Stream, from uint64,
) iter.Seq2[schemas.RecordedEvent, error] {
	return func(yield func(schemas.RecordedEvent, error) bool) {
		next := from
		open := func(ctx context.Context, c *esdb.Client) (func() message, error) {
			return receiver(c.ReadStream(ctx, string(name),
				esdb.ReadStreamOptions{From: esdb.Revision(next)}, math.MaxUint64))
		}
		err := s.retrying(ctx, false, func() (bool, error) {
			before := next
			err := s.pull(ctx, false, open, func(m message) bool {
				if m.event == nil {
					return true
				}
				next = m.event.EventNumber + 1
				return yield(recorded(m.event), nil)
			})
			return next != before, err
		})
		if err != nil && !noStream(err) {
			yield(schemas.RecordedEvent{}, fmt.Errorf("read %s: %w", name, err))
		}
	}
}

// searchWindow is how many events a server considers between two checkpoints of a filtered read;
// the default of 32 makes replays slow.
const searchWindow = 4096

// noSystemStreams lets the server leave out its own streams. Everything else comes: the ledger
// tells of what is not its own.
func noSystemStreams() *esdb.SubscriptionFilter {
	return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: `^[^$]`}
}

// ReadAll implements ledger.Store, by a filtered subscription, since reads of $all have no
// filter. A dropped one is taken up after the last event seen; without live, it ends when the
// server says that it has caught up.
func (s *Store) ReadAll(
	ctx context.Context, after schemas.Position, live bool,
) iter.Seq2[schemas.RecordedEvent, error] {
	return func(yield func(schemas.RecordedEvent, error) bool) {
		last := after
		open := func(ctx context.Context, c *esdb.Client) (func() message, error) {
			var from esdb.AllPosition = esdb.Start{}
			if last != (schemas.Position{}) {
				from = esdb.Position{Commit: last.Commit, Prepare: last.Prepare}
			}
			sub, err := c.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: from, Filter: noSystemStreams(),
				MaxSearchWindow: searchWindow, CheckpointInterval: 1})
			if err != nil {
				return nil, err
			}
			return func() message { return subscribed(sub.Recv()) }, nil
		}
		take := func(m message) bool {
			if m.event == nil {
				return live || !m.caughtUp
			}
			r := recorded(m.event)
			last = r.Position
			return yield(r, nil)
		}
		err := s.retrying(ctx, live, func() (bool, error) {
			before := last
			err := s.pull(ctx, live, open, take)
			if live && err != nil && ctx.Err() == nil && transient(err) {
				s.cfg.Logger.Warn("reading the ledger was cut and is taken up again",
					"after", last.String(), "error", err)
			}
			return last != before, err
		})
		if err != nil {
			yield(schemas.RecordedEvent{}, fmt.Errorf("read the ledger after %s: %w", last, err))
		}
	}
}

// errDropped: the server ended a subscription without saying why.
var errDropped = errors.New("subscription dropped")

func subscribed(ev *esdb.SubscriptionEvent) message {
	switch {
	case ev.SubscriptionDropped != nil:
		err := ev.SubscriptionDropped.Error
		if err == nil || errors.Is(err, io.EOF) { // a subscription has no end
			err = errDropped
		}
		return message{err: err}
	case ev.EventAppeared != nil:
		return message{event: ev.EventAppeared.OriginalEvent()}
	}
	return message{caughtUp: ev.CaughtUp != nil}
}

// Last implements ledger.Store: it reads $all backwards until it meets a ledger event. A read that
// is cut goes on before the last event seen.
func (s *Store) Last(ctx context.Context) (last schemas.RecordedEvent, found bool, err error) {
	var from esdb.AllPosition = esdb.End{}
	open := func(ctx context.Context, c *esdb.Client) (func() message, error) {
		return receiver(c.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: from}, math.MaxUint64))
	}
	err = s.retrying(ctx, false, func() (further bool, err error) {
		err = s.pull(ctx, false, open, func(m message) bool {
			if m.event == nil {
				return true
			}
			from, further = m.event.Position, true
			r := recorded(m.event)
			if !schemas.InLedger(r.Event) {
				return true
			}
			last, found = r, true
			return false
		})
		return further, err
	})
	if err != nil {
		return schemas.RecordedEvent{}, false, fmt.Errorf("read the ledger's last event: %w", err)
	}
	return last, found, nil
}
