package office

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// Topics are the ledger's topics. Partitions are named as the relay's notes name them.
type Topics interface {
	Partitions(ctx context.Context) ([]string, error)
	// Bounds returns the first offset that a partition still holds, and its end.
	Bounds(ctx context.Context, partition string) (first, end int64, err error)
	// Read yields the partition's messages from that offset on, and waits for more.
	Read(ctx context.Context, partition string, from int64) iter.Seq2[projections.Item, error]
	// LastNoted returns what the relay noted last, nil for nothing.
	LastNoted(ctx context.Context) (*projections.Noted, error)
	// Noted waits for another note than last.
	Noted(ctx context.Context, last *projections.Noted) (*projections.Noted, error)
}

// Following says which events are followed.
type Following struct {
	FromStart bool   // begin with the ledger's first event, not with what comes next
	UntilEnd  bool   // stop at what is published now
	Type      string // only types that begin with this
	// Event is handed each event, in ledger order, from one goroutine.
	Event func(schemas.Envelope) error
	// Foreign is told of each message that is not the ledger's, from several; may be nil.
	Foreign func(partition string, offset int64)
}

// followed is a part of the topics that is read.
type followed struct {
	partition string
	from, to  int64
}

// flushEvery is how long an event waits for earlier ones of other partitions.
const flushEvery = 100 * time.Millisecond

// Follow hands over the tenant's events from the topics, as any consumer gets them: protected
// values are tokens. The zero tenant asks for those of all. What has come from all partitions
// within a moment is handed over in ledger order, with an end everything; an event is when the
// relay has noted an end above it.
func (o *Office) Follow(ctx context.Context, p access.Principal, tenant uuid.UUID, f Following) error {
	if err := p.Can(access.FollowEvents, tenant); err != nil {
		return err
	}
	topics, err := o.cfg.Topics(ctx)
	if err != nil {
		return err
	}
	names, err := topics.Partitions(ctx)
	if err != nil {
		return err
	}
	noted, err := topics.LastNoted(ctx)
	switch {
	case err != nil:
		return err
	case noted == nil && f.UntilEnd: // an empty ledger
		noted = &projections.Noted{}
	}
	parts, err := f.parts(ctx, topics, names, noted)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := merge{f: f, topics: topics, items: make(chan schemas.Envelope, 1024)}
	if noted != nil {
		m.gate.Set(noted)
	}
	g, gctx := errgroup.WithContext(ctx)
	if !f.UntilEnd {
		g.Go(func() error { return m.notes(gctx, noted) })
	}
	for _, part := range parts {
		g.Go(func() error { return m.read(gctx, part) })
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Wait(); close(m.items) }()
	if err := m.hand(tenant); err != nil {
		return err
	}
	if err := <-ended; err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// parts are what is read of each partition.
func (f Following) parts(
	ctx context.Context, topics Topics, names []string, noted *projections.Noted,
) (parts []followed, err error) {
	for _, name := range names {
		first, end, err := topics.Bounds(ctx, name)
		if err != nil {
			return nil, err
		}
		p := followed{name, end, end}
		if f.UntilEnd {
			p.to = min(p.to, noted.Ends[name]) // what lies above is not published yet
		}
		if f.FromStart {
			p.from = first
		}
		if !f.UntilEnd || p.from < p.to {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

// merge brings the partitions' events together.
type merge struct {
	f      Following
	topics Topics
	gate   projections.Gate
	items  chan schemas.Envelope
}

// notes keeps the gate open as far as the relay has published.
func (m *merge) notes(ctx context.Context, noted *projections.Noted) error {
	for {
		next, err := m.topics.Noted(ctx, noted)
		if err != nil {
			return err
		}
		noted = next
		m.gate.Set(next)
	}
}

var errAbove = errors.New("above what the relay had published")

// read hands on the ledger's own events of one partition.
func (m *merge) read(ctx context.Context, p followed) error {
	for item, err := range m.topics.Read(ctx, p.partition, p.from) {
		if err != nil {
			return err
		}
		if item.Foreign == nil {
			at, err := m.gate.Covering(ctx, p.partition, item.Offset)
			if err != nil {
				return err
			}
			if item.Envelope.Seq > at.Through {
				item.Foreign = errAbove
			}
		}
		switch {
		case item.Foreign == nil:
			select {
			case m.items <- item.Envelope:
			case <-ctx.Done():
				return ctx.Err()
			}
		case m.f.Foreign != nil:
			m.f.Foreign(p.partition, item.Offset)
		}
		if m.f.UntilEnd && item.Offset >= p.to-1 {
			return nil
		}
	}
	return nil
}

// hand hands over what comes until nothing does any more, each batch in ledger order.
func (m *merge) hand(tenant uuid.UUID) error {
	var batch []schemas.Envelope
	flush := func() error {
		slices.SortFunc(batch, func(a, b schemas.Envelope) int { return cmp.Compare(a.Seq, b.Seq) })
		for _, r := range batch {
			if !strings.HasPrefix(r.Type, m.f.Type) || tenant != uuid.Nil && r.Meta().Tenant != tenant {
				continue
			}
			if err := m.f.Event(r); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case r, ok := <-m.items:
			if !ok {
				return flush()
			}
			batch = append(batch, r)
		case <-tick.C:
			if m.f.UntilEnd { // the order is to be exact
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
	}
}
