package office

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/flow"
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
	// Begun is told through which sequence events are published as it begins, nil for none.
	// Waiting is told once that everything which was in the topics then is handed over, and that
	// what comes is awaited; never with UntilEnd. Both may be nil.
	Begun   func(published *uint64)
	Waiting func()
	// Foreign is told of each message that is not the ledger's, from several; may be nil.
	Foreign func(partition string, offset int64)
}

// followed is a part of the topics that is read.
type followed struct {
	partition string
	from, to  int64
}

// What waits of what the partitions' readers have read, all of them together.
const (
	waitingBytes  = 16 << 20
	waitingEvents = 1024
)

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
	var through *uint64
	switch {
	case err != nil:
		return err
	case noted != nil:
		through = &noted.Through
	case f.UntilEnd: // an empty ledger
		noted = &projections.Noted{}
	}
	parts, err := f.parts(ctx, topics, names, noted)
	if err != nil {
		return err
	}
	if f.Begun != nil {
		f.Begun(through)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := merge{f: f, topics: topics, tenant: tenant}
	if noted != nil {
		m.gate.Set(noted)
	}
	g, gctx := errgroup.WithContext(ctx)
	if f.UntilEnd {
		err = m.inOrder(g, gctx, parts)
	} else {
		g.Go(func() error { return m.notes(gctx, noted) })
		err = m.asItComes(g, gctx, parts)
	}
	if err != nil {
		cancel()
		_ = g.Wait() // nobody reads on behind the caller's back; what ends them is this
		return err
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil {
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
	tenant uuid.UUID // uuid.Nil: of all
	gate   projections.Gate
	behind atomic.Int64 // partitions not read yet to the end that they had as it began
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
func (m *merge) read(ctx context.Context, p followed, to *flow.Queue[schemas.Envelope]) error {
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
			if err := to.Put(ctx, item.Envelope); err != nil {
				return err
			}
		case m.f.Foreign != nil:
			m.f.Foreign(p.partition, item.Offset)
		}
		if item.Offset < p.to-1 {
			continue
		}
		if m.f.UntilEnd {
			return nil
		}
		if p.from < p.to { // it was behind
			m.behind.Add(-1)
			p.from = p.to
		}
	}
	return nil
}

// inOrder hands over everything in ledger order: of what stands first in the partitions, which are
// in that order themselves, the first. What a partition repeats comes again where it stands there.
func (m *merge) inOrder(g *errgroup.Group, ctx context.Context, parts []followed) error {
	firsts := &firsts{}
	var first []*waiting
	for _, part := range parts {
		n := len(parts)
		w := &waiting{items: flow.New(max(waitingBytes/n, 1), max(waitingEvents/n, 1), schemas.Envelope.Size)}
		first = append(first, w)
		g.Go(func() error {
			defer w.items.Close()
			return m.read(ctx, part, w.items)
		})
	}
	for _, w := range first {
		if w.next() {
			heap.Push(firsts, w)
		}
	}
	for firsts.Len() > 0 {
		w := (*firsts)[0]
		if ctx.Err() != nil {
			return nil // a reader says why: what it had left to read is not known
		}
		if err := m.hand(w.first); err != nil {
			return err
		}
		if w.next() {
			heap.Fix(firsts, 0)
		} else {
			heap.Pop(firsts)
		}
	}
	return nil
}

// waiting is what was read of a partition and waits.
type waiting struct {
	items *flow.Queue[schemas.Envelope]
	first schemas.Envelope
}

// next takes the next event, and reports whether there is one.
func (w *waiting) next() (ok bool) {
	if w.first, ok = <-w.items.Items(); ok {
		w.items.Took(w.first)
	}
	return ok
}

// firsts is a heap of partitions by the event that stands first.
type firsts []*waiting

func (f firsts) Len() int           { return len(f) }
func (f firsts) Less(i, j int) bool { return f[i].first.Seq < f[j].first.Seq }
func (f firsts) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *firsts) Push(x any)        { *f = append(*f, x.(*waiting)) }
func (f *firsts) Pop() any {
	old := *f
	w := old[len(old)-1]
	*f = old[:len(old)-1]
	return w
}

// asItComes hands over what comes until nothing does any more, each batch in ledger order.
func (m *merge) asItComes(g *errgroup.Group, ctx context.Context, parts []followed) error {
	items := flow.New(waitingBytes, waitingEvents, schemas.Envelope.Size)
	for _, part := range parts {
		if part.from < part.to {
			m.behind.Add(1)
		}
	}
	for _, part := range parts {
		g.Go(func() error { return m.read(ctx, part, items) })
	}
	told := m.f.Waiting == nil
	go func() { _ = g.Wait(); items.Close() }() // Follow asks for its error
	var batch []schemas.Envelope
	bytes := 0
	flush := func() error {
		slices.SortStableFunc(batch, func(a, b schemas.Envelope) int { return cmp.Compare(a.Seq, b.Seq) })
		for _, r := range batch {
			if err := m.hand(r); err != nil {
				return err
			}
		}
		clear(batch)
		batch, bytes = batch[:0], 0
		return nil
	}
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case r, ok := <-items.Items():
			if !ok {
				return flush()
			}
			items.Took(r)
			batch, bytes = append(batch, r), bytes+r.Size()
			if bytes < waitingBytes {
				continue
			}
		case <-tick.C:
		}
		waits := m.behind.Load() == 0 && len(items.Items()) == 0 // before what is in hand is handed over
		if err := flush(); err != nil {
			return err
		}
		if waits && !told {
			told = true
			m.f.Waiting()
		}
	}
}

// hand hands an event over, where it is one that is followed.
func (m *merge) hand(r schemas.Envelope) error {
	if !strings.HasPrefix(r.Type, m.f.Type) || m.tenant != uuid.Nil && r.Meta().Tenant != m.tenant {
		return nil
	}
	return m.f.Event(r)
}
