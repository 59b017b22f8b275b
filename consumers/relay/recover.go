package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/schemas"
)

// found is what a look at the broker shows, before anything is changed.
type found struct {
	position *consumers.Position // nil where none was noted
	skipped  int                 // newer positions that are not the ledger's
	through  *schemas.Anchor
	ids      map[string]uuid.UUID
	ends     map[string][]int64
	lost     map[string]string // topic → what it lost
}

// What is looked at for a position that the ledger knows, at most: so many positions, and so many
// records below each end that one of another ledger names.
const (
	maxPositions  = 10_000
	maxSuspicions = 8
	evidence      = 64
)

// load returns the newest position whose anchor is an event of the ledger; nil where there is
// none. One that is not may be forged, or the ledger may be another, or an older copy of itself.
// In the latter two cases the topics hold what it covers, just below the ends that it notes. It
// returns how many newer ones it skipped.
func (r *Relay) load(ctx context.Context) (_ *consumers.Position, skipped int, _ error) {
	suspicions := 0
	for p, err := range r.cfg.Publisher.Positions(ctx) {
		if err != nil {
			return nil, skipped, err
		}
		ours, err := r.holds(ctx, p.Through)
		if err != nil {
			return nil, skipped, err
		}
		if ours {
			if skipped > 0 {
				r.cfg.Logger.Warn("newer positions in ledger.position are not the ledger's and are skipped",
					"positions", skipped,
					"remove by", consumers.Refill(consumers.PositionTopic))
			}
			return &p, skipped, nil
		}
		if skipped++; skipped > maxPositions {
			break
		}
		if suspicions == maxSuspicions {
			continue
		}
		suspicions++
		if where, err := r.published(ctx, p); err != nil {
			return nil, skipped, err
		} else if where != "" {
			return nil, skipped, divergedError(p.Through, r.cfg.Ledger.ID(), where)
		}
	}
	return nil, skipped, nil
}

func divergedError(a schemas.Anchor, ledger uuid.UUID, where string) error {
	if a.LedgerID != ledger {
		return fmt.Errorf("the topics were filled from ledger %s (%s), this is %s: %w; "+
			"to fill them from this one: `%s`",
			a.LedgerID, where, ledger, ErrDiverged, consumers.RefillAllCommand)
	}
	return fmt.Errorf("the topics were filled through sequence %d and hold a record that the ledger does not (%s): "+
		"an older copy of the event store? %w; `ledgerline restore eventstore` completes it from the topics; "+
		"to give up what only they hold: `%s`",
		a.Seq, where, ErrDiverged, consumers.RefillAllCommand)
}

// holds reports whether the ledger has the event that the anchor names.
func (r *Relay) holds(ctx context.Context, a schemas.Anchor) (bool, error) {
	if a.LedgerID != r.cfg.Ledger.ID() {
		return false, nil
	}
	leaf, ok, err := r.leafAt(ctx, a.Seq)
	return ok && leaf == a.Leaf, err // the leaf covers the event's id
}

// leafAt returns the leaf of the ledger's event of that sequence, and false where it has none.
func (r *Relay) leafAt(ctx context.Context, seq uint64) (leaf [32]byte, ok bool, err error) {
	e, ok, err := r.cfg.Ledger.At(ctx, seq)
	if err != nil || !ok {
		return leaf, false, err
	}
	return e.Leaf(), true, nil
}

// published looks just below the ends that a position notes for records that it covers and the
// ledger does not hold, and says where one is.
func (r *Relay) published(ctx context.Context, p consumers.Position) (string, error) {
	for name, t := range p.Topics {
		_, first, end, err := r.cfg.Publisher.Describe(ctx, name)
		if err != nil {
			return "", err
		}
		for n := range min(len(t.Ends), len(end)) {
			to := min(t.Ends[n], end[n])
			for from := max(first[n], to-evidence); from < to; {
				events, offsets, next, err := r.cfg.Publisher.ReadEvents(ctx, p.Through.LedgerID, name, n, from, to)
				if err != nil {
					return "", err
				}
				for i, e := range events {
					if e.Seq > p.Through.Seq {
						continue
					}
					held, err := r.holds(ctx, e.Anchor(p.Through.LedgerID))
					if err != nil {
						return "", err
					}
					if !held {
						return fmt.Sprintf("%s/%d@%d", name, n, offsets[i]), nil
					}
				}
				from = next
			}
		}
	}
	return "", nil
}

// inspect compares the noted position with the topics as they are.
func (r *Relay) inspect(ctx context.Context) (*found, error) {
	position, skipped, err := r.load(ctx)
	if err != nil {
		return nil, err
	}
	r.status.skipped.Store(int64(skipped))
	f := &found{position: position, skipped: skipped, ids: map[string]uuid.UUID{}, lost: map[string]string{}}
	ends := map[string][]int64{}
	f.ends = ends
	if position != nil {
		f.through = &position.Through
		for name, t := range position.Topics {
			f.ids[name], ends[name] = t.ID, t.Ends
		}
	}
	maps.Copy(f.lost, r.status.allUnreadable())
	names, err := r.cfg.Publisher.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for name := range ends {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		id, first, end, err := r.cfg.Publisher.Describe(ctx, name)
		if err != nil {
			return nil, err
		}
		known, noted := ends[name]
		if !noted {
			// Not noted yet: nothing is known of it but that it must begin at its beginning.
			known, f.ids[name] = make([]int64, len(end)), id
		}
		if lost := lossOf(name, f.ids[name], known, id, first, end); lost != "" {
			f.lost[name] = lost
		}
	}
	return f, nil
}

// recover reads the noted position, refuses data loss, creates the topics that are missing, and
// prepares the comparison of what lies after the noted ends.
func (r *Relay) recover(ctx context.Context) (*state, error) {
	r.status.setUnreadable("", "") // it is looked at anew
	f, err := r.inspect(ctx)
	if err != nil {
		return nil, err
	}
	if len(f.lost) > 0 {
		return nil, lossError(f.lost)
	}
	if err := r.cfg.Publisher.Prepare(ctx); err != nil {
		return nil, err
	}
	names, err := r.cfg.Publisher.Topics(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{through: f.through, topics: make(map[string]*topic, len(names)), notedAt: -1, again: f.skipped > 0}
	tl := &tail{r: r}
	for _, name := range names {
		id, first, end, err := r.cfg.Publisher.Describe(ctx, name)
		if err != nil {
			return nil, err
		}
		noted, ok := f.ends[name]
		notedID := f.ids[name]
		if !ok {
			noted, notedID = make([]int64, len(end)), id
		}
		if lost := lossOf(name, notedID, noted, id, first, end); lost != "" {
			return nil, lossError(map[string]string{name: lost})
		}
		s.topics[name] = &topic{id: id, ends: end}
		for p := range end {
			c := &cursor{topic: name, partition: p, next: noted[p], end: end[p]}
			if f.through != nil {
				c.floor = f.through.Seq + 1
			}
			s.again = s.again || noted[p] < end[p] // with an event or without: nobody waits for what is there
			if err := tl.add(ctx, c); err != nil {
				return nil, err
			}
		}
	}
	if !tl.done() {
		s.tail = tl
	}
	if s.through != nil {
		r.status.start(*s.through)
		r.board.set(*f.position)
	}
	return s, nil
}

func lossError(lost map[string]string) error {
	var what []string
	for _, w := range lost {
		what = append(what, w)
	}
	slices.Sort(what)
	return fmt.Errorf("%s: %w; fill again from the ledger: %s", strings.Join(what, "; "), ErrDataLoss,
		consumers.Refill(slices.Collect(maps.Keys(lost))...))
}

// tail is what lies in the partitions after the noted ends: parts of at most one round, or, where
// no position was ever noted, everything; and whatever others wrote there. It is merged by
// sequence while the ledger hands over the same events, so it takes no memory to speak of. What
// is not the ledger's is passed over and counted.
type tail struct {
	r       *Relay
	cursors []*cursor // those that are not at their end
}

type cursor struct {
	topic     string
	partition int
	next, end int64
	floor     uint64 // what is below was noted: a repetition
	heads     []head // read and not yet matched
	asked     int    // repetitions that were compared with the ledger
}

type head struct {
	seq      uint64
	offset   int64
	leaf     [32]byte
	verified bool // the ledger holds it
}

func (t *tail) done() bool { return len(t.cursors) == 0 }

// add takes up a cursor unless there is nothing after its offset.
func (t *tail) add(ctx context.Context, c *cursor) error {
	if err := t.fill(ctx, c); err != nil {
		return err
	}
	if len(c.heads) > 0 {
		t.cursors = append(t.cursors, c)
	}
	return nil
}

// fill reads until there is an event or the end is reached.
func (t *tail) fill(ctx context.Context, c *cursor) error {
	for len(c.heads) == 0 && c.next < c.end {
		events, offsets, next, err := t.r.cfg.Publisher.ReadEvents(ctx, t.r.cfg.Ledger.ID(), c.topic, c.partition,
			c.next, c.end)
		if errors.Is(err, consumers.ErrUnreadable) {
			why := fmt.Sprintf("%s/%d@%d: %v", c.topic, c.partition, c.next, err)
			t.r.status.setUnreadable(c.topic, why)
			return lossError(map[string]string{c.topic: why})
		}
		if err != nil {
			return fmt.Errorf("recover %s/%d from offset %d: %w", c.topic, c.partition, c.next, err)
		}
		if next <= c.next || len(events) != len(offsets) {
			return errors.New("the publisher read nothing where there is something")
		}
		for i, e := range events {
			if e.Seq < c.floor {
				if err := t.repeated(ctx, c, e.Seq, offsets[i], e.Leaf()); err != nil {
					return err
				}
				continue
			}
			c.heads = append(c.heads, head{seq: e.Seq, offset: offsets[i], leaf: e.Leaf()})
		}
		c.next = next
	}
	return nil
}

// maxRepeated bounds how many records of a partition are asked of the ledger though nothing
// depends on them.
const maxRepeated = 1000

// repeated tells of a record whose sequence was noted before, where it is no repetition.
func (t *tail) repeated(ctx context.Context, c *cursor, seq uint64, offset int64, leaf [32]byte) error {
	if c.asked++; c.asked > maxRepeated {
		return nil
	}
	held, ok, err := t.r.leafAt(ctx, seq)
	if err == nil && (!ok || held != leaf) {
		t.tell(c, seq, offset)
	}
	return err
}

// tell counts a forged record.
func (t *tail) tell(c *cursor, seq uint64, offset int64) {
	if t.r.status.forged.Add(c.topic, c.partition, offset) {
		t.r.cfg.Logger.Warn("a published record is not the ledger's and is passed over", "topic", c.topic,
			"partition", c.partition, "offset", offset, "sequence", seq, "remove by", consumers.Refill(c.topic))
	}
}

// pass drops the first head.
func (t *tail) pass(ctx context.Context, c *cursor) error {
	c.heads = c.heads[1:]
	return t.fill(ctx, c)
}

// forged passes over the first head, which is not the ledger's.
func (t *tail) forged(ctx context.Context, c *cursor) error {
	t.tell(c, c.heads[0].seq, c.heads[0].offset)
	return t.pass(ctx, c)
}

// genuine asks the ledger whether the first head is its event.
func (t *tail) genuine(ctx context.Context, c *cursor) (bool, error) {
	h := &c.heads[0]
	if !h.verified {
		leaf, ok, err := t.r.leafAt(ctx, h.seq)
		if err != nil {
			return false, fmt.Errorf("compare %s/%d@%d with the ledger: %w", c.topic, c.partition, h.offset, err)
		}
		h.verified = ok && leaf == h.leaf
	}
	return h.verified, nil
}

// match reports whether the event lies in some partition already, and passes it there. It errs
// with ErrDataLoss where the event is missing before later ones of its partition: published now,
// it would come out of order.
func (t *tail) match(ctx context.Context, e schemas.Envelope, topic string, partition int) (bool, error) {
	leaf := e.Leaf()
	there, later := false, uint64(0)
	for _, c := range t.cursors {
		for len(c.heads) > 0 && c.heads[0].seq <= e.Seq {
			var err error
			if h := c.heads[0]; h.seq == e.Seq && h.leaf != leaf {
				err = t.forged(ctx, c)
			} else { // this event, or a repetition of an earlier one
				there = there || h.seq == e.Seq
				err = t.pass(ctx, c)
			}
			if err != nil {
				return false, err
			}
		}
		if there || c.topic != topic || c.partition != partition {
			continue
		}
		// A forged record may stand before it.
		for len(c.heads) > 0 && later == 0 && !there {
			h := c.heads[0]
			ok, err := h.seq > e.Seq, error(nil)
			if ok {
				ok, err = t.genuine(ctx, c)
			}
			switch {
			case err != nil:
				return false, err
			case ok:
				later = h.seq
			case h.seq == e.Seq && h.leaf == leaf:
				there, err = true, t.pass(ctx, c)
			case h.seq < e.Seq:
				err = t.pass(ctx, c)
			default:
				err = t.forged(ctx, c)
			}
			if err != nil {
				return false, err
			}
		}
	}
	t.cursors = slices.DeleteFunc(t.cursors, func(c *cursor) bool { return len(c.heads) == 0 })
	if !there && later > 0 {
		lost := fmt.Sprintf("%s/%d lacks sequence %d, which it should hold before %d", topic, partition, e.Seq, later)
		return false, lossError(map[string]string{topic: lost})
	}
	return there, nil
}

// verifyHeads passes over what is not the ledger's, so that no forged record keeps an end from
// being noted.
func (t *tail) verifyHeads(ctx context.Context) error {
	for _, c := range t.cursors {
		for len(c.heads) > 0 {
			ok, err := t.genuine(ctx, c)
			if err != nil {
				return err
			}
			if ok {
				break
			}
			if err := t.forged(ctx, c); err != nil {
				return err
			}
		}
	}
	t.cursors = slices.DeleteFunc(t.cursors, func(c *cursor) bool { return len(c.heads) == 0 })
	return nil
}

// limit lowers the ends of a topic's partitions to where their unmatched part begins.
func (t *tail) limit(topic string, ends []int64) {
	for _, c := range t.cursors {
		if c.topic == topic {
			ends[c.partition] = min(ends[c.partition], c.heads[0].offset)
		}
	}
}
