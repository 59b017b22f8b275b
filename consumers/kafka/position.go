package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/consumers"
)

// placedPosition is a position and where it lies.
type placedPosition struct {
	consumers.Position
	offset int64
	raw    []byte
}

// maxPositions is how many records are looked at from the end of ledger.position backwards. What
// lies before them counts as lost, and then everything in the topics is compared with the ledger.
const maxPositions = 1 << 17

// SavePosition notes the end of a round in ledger.position, and returns the offset where it lies.
func (c *Client) SavePosition(ctx context.Context, p consumers.Position) (offset int64, err error) {
	offset, err = c.produce(ctx, consumers.PositionTopic, 0,
		[]consumers.Message{{Key: []byte(consumers.PositionKey), Value: p.Encode()}})
	return offset, translate("note in", consumers.PositionTopic, 0, err)
}

// Positions yields the valid positions in ledger.position, the newest first. Whatever else lies
// there is skipped and counted.
func (c *Client) Positions(ctx context.Context) iter.Seq2[consumers.Position, error] {
	return func(yield func(consumers.Position, error) bool) {
		first, end, err := c.positionEnds(ctx)
		if err != nil {
			yield(consumers.Position{}, err)
			return
		}
		first = max(first, end-maxPositions)
		for size := int64(16); end > first; size = min(4*size, 1024) {
			from := max(first, end-size)
			found, err := c.positionsIn(ctx, from, end)
			if err != nil {
				yield(consumers.Position{}, err)
				return
			}
			for _, p := range slices.Backward(found) {
				if !yield(p.Position, nil) {
					return
				}
			}
			end = from
		}
	}
}

// positionEnds returns the first offset of ledger.position and its end, which are equal where it
// is not there.
func (c *Client) positionEnds(ctx context.Context) (first, end int64, err error) {
	_, firsts, ends, err := c.Describe(ctx, consumers.PositionTopic)
	if err != nil || len(ends) == 0 {
		return 0, 0, err
	}
	if len(ends) != 1 {
		return 0, 0, fmt.Errorf("kafka: %s has %d partitions, want 1; make it anew: %s",
			consumers.PositionTopic, len(ends), consumers.Refill(consumers.PositionTopic))
	}
	return firsts[0], ends[0], nil
}

// positionsIn returns the valid positions at offsets in [from, to), in order.
func (c *Client) positionsIn(ctx context.Context, from, to int64) (found []placedPosition, err error) {
	for from < to {
		messages, next, end, err := c.fetch(ctx, consumers.PositionTopic, 0, from, time.Millisecond)
		if errors.Is(err, ErrUnreadable) {
			// Of positions the newest that can be read will do.
			c.cfg.Foreign.Add(consumers.PositionTopic, 0, from)
			from++
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			if m.Offset >= to {
				return found, nil
			}
			if p, ok := c.positionOf(m); ok {
				found = append(found, p)
			}
		}
		if next == from && end <= to {
			return found, nil // compaction left nothing at the end
		}
		from = max(next, from+1)
	}
	return found, nil
}

// positionOf reads a record of ledger.position, and counts it where it is no position.
func (c *Client) positionOf(m consumers.Message) (placedPosition, bool) {
	if string(m.Key) == consumers.PositionKey {
		if p, err := consumers.ParsePosition(m.Value); err == nil {
			return placedPosition{p, m.Offset, m.Value}, true
		}
	}
	c.cfg.Foreign.Add(consumers.PositionTopic, 0, m.Offset)
	return placedPosition{}, false
}

// LastPosition returns the newest valid position in ledger.position, and false where there is
// none. It reads only what is new since the last call.
func (c *Client) LastPosition(ctx context.Context) (consumers.Position, bool, error) {
	c.mu.Lock()
	known, looked := c.newest, c.looked
	c.mu.Unlock()
	if known != nil {
		newest, next, err := c.newerPosition(ctx, *known, looked)
		if err == nil {
			c.remember(newest, next)
			return newest.Position, true, nil
		}
		// Where the topic is another one now, the long way is taken.
		if !errors.Is(err, ErrOffset) && !errors.Is(err, ErrNoTopic) && !errors.Is(err, ErrUnreadable) {
			return consumers.Position{}, false, err
		}
		looked = 0
	}
	first, end, err := c.positionEnds(ctx)
	if err != nil {
		return consumers.Position{}, false, err
	}
	first = max(first, end-maxPositions)
	if looked <= end {
		first = max(first, looked) // there was none before
	}
	for size, to := int64(1), end; to > first; size = min(8*size, 1024) {
		from := max(first, to-size)
		found, err := c.positionsIn(ctx, from, to)
		if err != nil {
			return consumers.Position{}, false, err
		}
		if n := len(found); n > 0 {
			c.remember(&found[n-1], end)
			return found[n-1].Position, true, nil
		}
		to = from
	}
	c.remember(nil, end)
	return consumers.Position{}, false, nil
}

func (c *Client) remember(p *placedPosition, looked int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest, c.looked = p, looked
}

// newerPosition returns the newest position from the known one on, and up to where it looked. It
// errs with ErrOffset where the known one does not lie where it did.
func (c *Client) newerPosition(ctx context.Context, known placedPosition, looked int64) (*placedPosition, int64,
	error) {
	newest, seen := &known, false
	for from := known.offset; ; {
		messages, next, end, err := c.fetch(ctx, consumers.PositionTopic, 0, from, time.Millisecond)
		if err != nil {
			return nil, 0, err
		}
		for _, m := range messages {
			if !seen {
				if m.Offset != known.offset || !bytes.Equal(m.Value, known.raw) {
					return nil, 0, fmt.Errorf("kafka: %s is another one now: %w", consumers.PositionTopic, ErrOffset)
				}
				seen = true
			} else if m.Offset >= looked {
				if p, ok := c.positionOf(m); ok {
					newest = &p
				}
			}
		}
		if !seen {
			return nil, 0, fmt.Errorf("kafka: %s has lost the newest position: %w", consumers.PositionTopic, ErrOffset)
		}
		nothing := next == from
		from = max(next, looked) // what was looked at already need not be read again
		if nothing || from >= end {
			return newest, from, nil
		}
	}
}
