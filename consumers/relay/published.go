package relay

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/schemas"
)

// Topics is what reading back what was published needs of the broker; consumers/kafka has it.
type Topics interface {
	// Positions yields what has the form of a position in ledger.position, the newest first.
	Positions(ctx context.Context) iter.Seq2[consumers.Position, error]
	// Describe returns a topic's id and its first and end offsets, none where it does not exist.
	Describe(ctx context.Context, topic string) (id uuid.UUID, first, end []int64, err error)
	// Read returns records of a partition from that offset on, and the offset to go on from.
	// There is at least one record.
	Read(
		ctx context.Context, topic string, partition int, from int64,
	) (records []consumers.Message, next int64, err error)
}

// Errors of reading back.
var (
	// ErrNothingPublished: ledger.position names nothing that could be read back.
	ErrNothingPublished = errors.New("the topics hold no ledger")
)

// Limits of reading back.
const (
	aheadRecords  = 8192      // of one partition, held while another sequence is looked for
	aheadBytes    = 256 << 20 // of all partitions together; each may hold its part of it
	minAheadBytes = 1 << 20   // of one partition
	maxTail       = 4096      // events after the noted ones: a round
)

// PublishedConfig says what is read back.
type PublishedConfig struct {
	Topics Topics
	// Ledger is whose events are wanted; the zero uuid takes those of the newest position's
	// ledger.
	Ledger uuid.UUID
	// Judge tells whether a holder of the vault made an event where it says it is. It decides
	// where records contradict each other. Without it the first is taken.
	Judge func(context.Context, schemas.Envelope) (bool, error)
	// Ahead and AheadBytes are for tests: the defaults are above.
	Ahead, AheadBytes int
}

// PublishedCounts tells what a pass met beside the ledger's events.
type PublishedCounts struct {
	Foreign  uint64 `json:"foreign"`  // records that are no event of the ledger, or beyond what was noted
	Repeated uint64 `json:"repeated"` // records of a sequence that had come already
	Disputed uint64 `json:"disputed"` // sequences that several records claimed, each with another event
	Tail     uint64 `json:"tail"`     // events after the noted ones: published, and not yet noted
}

// Published reads back everything that was published: what completes an event store that lost its
// newest part. Its records are others' to forge, so order and numbers are taken from no single
// one.
type Published struct {
	cfg     PublishedConfig
	ledger  uuid.UUID
	through schemas.Anchor
	places  []place
	doubted int
	counts  PublishedCounts
}

// place is a partition and how far it is read.
type place struct {
	topic      string
	partition  int
	noted, end int64
}

// OpenPublished finds the position of the highest sequence whose topics are as it says and
// hold its event. It errs with ErrNothingPublished where there is none, with ErrDataLoss where
// the topics lost what each names.
func OpenPublished(ctx context.Context, cfg PublishedConfig) (*Published, error) {
	if cfg.Topics == nil {
		return nil, errors.New("read back: no topics")
	}
	p := &Published{cfg: cfg, ledger: cfg.Ledger}
	p.cfg.Ahead = cmp.Or(cfg.Ahead, aheadRecords)
	p.cfg.AheadBytes = cmp.Or(cfg.AheadBytes, aheadBytes)
	if err := p.choose(ctx); err != nil {
		return nil, fmt.Errorf("read back what was published: %w", err)
	}
	return p, nil
}

// Ledger returns whose events they are.
func (p *Published) Ledger() uuid.UUID { return p.ledger }

// Through returns the anchor up to which they were noted.
func (p *Published) Through() schemas.Anchor { return p.through }

// Counts returns what has been met so far.
func (p *Published) Counts() PublishedCounts { return p.counts }

// Doubted is how many newer positions were passed over: they name what the topics do not hold.
func (p *Published) Doubted() int { return p.doubted }

func (p *Published) choose(ctx context.Context) error {
	var candidates []consumers.Position
	strangers, n := uuid.Nil, 0
	for pos, err := range p.cfg.Topics.Positions(ctx) {
		if err != nil {
			return err
		}
		if n++; n > maxPositions {
			break
		}
		if p.ledger == uuid.Nil {
			p.ledger = pos.Through.LedgerID
		}
		if pos.Through.LedgerID != p.ledger {
			strangers = pos.Through.LedgerID
			continue
		}
		candidates = append(candidates, pos)
	}
	if len(candidates) == 0 {
		if strangers != uuid.Nil {
			return fmt.Errorf("the topics were filled from ledger %s, the vault is of %s: %w",
				strangers, p.ledger, ErrDiverged)
		}
		return ErrNothingPublished
	}
	slices.SortStableFunc(candidates, func(a, b consumers.Position) int {
		return cmp.Compare(b.Through.Seq, a.Through.Seq)
	})
	d := describer{topics: p.cfg.Topics, known: map[string]described{}}
	var why error
	for i, pos := range candidates {
		places, lost, err := d.places(ctx, pos)
		if err != nil {
			return err
		}
		if lost == "" {
			found, err := p.holds(ctx, places, pos.Through)
			if err != nil {
				return err
			}
			if found {
				p.through, p.places, p.doubted = pos.Through, places, i
				return nil
			}
			lost = fmt.Sprintf("no partition holds the event of sequence %d before its noted end", pos.Through.Seq)
		}
		if why == nil {
			why = fmt.Errorf("%s: %w", lost, ErrDataLoss)
		}
	}
	return why
}

// describer asks for each topic once.
type describer struct {
	topics Topics
	known  map[string]described
}

type described struct {
	id         uuid.UUID
	first, end []int64
}

// places returns the partitions of a position, or what the topics lost of what it names.
func (d *describer) places(ctx context.Context, pos consumers.Position) (out []place, lost string, err error) {
	for name, noted := range pos.Topics {
		t, ok := d.known[name]
		if !ok {
			if t.id, t.first, t.end, err = d.topics.Describe(ctx, name); err != nil {
				return nil, "", err
			}
			d.known[name] = t
		}
		if lost := lossOf(name, noted.ID, noted.Ends, t.id, t.first, t.end); lost != "" {
			return nil, lost, nil
		}
		for i, end := range noted.Ends {
			out = append(out, place{topic: name, partition: i, noted: end, end: t.end[i]})
		}
	}
	slices.SortFunc(out, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	return out, "", nil
}

// holds reports whether a partition holds the anchored event before its noted end. It is the last
// of its partition but for repeats and what others wrote.
func (p *Published) holds(ctx context.Context, places []place, a schemas.Anchor) (bool, error) {
	for _, back := range []int64{1, 64, aheadRecords} {
		for _, pl := range places {
			m := merge{p: p}
			l := &lane{place: pl, next: max(0, pl.noted-back), limit: pl.noted}
			for l.next < l.limit {
				if err := m.read(ctx, l); err != nil {
					return false, err
				}
				for _, c := range l.queue {
					if c.is(a) {
						return true, nil
					}
				}
				l.queue = nil
			}
		}
	}
	return false, nil
}

// claim is a record that says it is the event of its sequence.
type claim struct {
	schemas.Envelope
	lane   *lane
	judged bool
	fine   bool // genuine, if judged
}

func (c *claim) is(a schemas.Anchor) bool {
	return c.Seq == a.Seq && c.ID == a.EventID && c.Leaf() == a.Leaf
}

// lane is a partition being read.
type lane struct {
	place
	next, limit int64
	queue       []*claim // read, and not looked at
	waiting     int      // looked at: they wait in merge.waiting
	bytes       int      // of those
	hidden      bool     // what was wanted of it lay behind what was not
}

// merge puts the partitions together by sequence. Of each lane that has not ended at least one
// record waits; more do where a sequence had to be looked for behind records of later ones.
type merge struct {
	p        *Published
	lanes    []*lane
	waiting  map[uint64][]*claim
	next     uint64 // the sequence wanted
	highest  uint64 // beyond it nothing is taken
	counts   PublishedCounts
	position uint64 // commit position that the event before had
	taken    filter // leaves of what was taken
}

// filter is a Bloom filter over leaves, which are random already: 32 bits an event and 8 probes,
// so that one in 200,000 is called taken in vain, which costs a look ahead.
type filter []uint64

func newFilter(events uint64) filter { return make(filter, (events+maxTail)/2+1) }

func (f filter) probe(leaf [32]byte, do func(word, bit uint64) bool) bool {
	for i := 0; i < len(leaf); i += 4 {
		n := uint64(binary.BigEndian.Uint32(leaf[i:])) % (uint64(len(f)) * 64)
		if !do(n/64, 1<<(n%64)) {
			return false
		}
	}
	return true
}

func (f filter) add(leaf [32]byte) {
	f.probe(leaf, func(w, b uint64) bool { f[w] |= b; return true })
}

func (f filter) has(leaf [32]byte) bool {
	return f.probe(leaf, func(w, b uint64) bool { return f[w]&b != 0 })
}

// Events yields every event once, from sequence 0 on without a gap, up to the noted one and
// then on as far as genuine ones follow without a gap. A sequence that is missing below the
// noted one is an error that wraps ErrDataLoss. Each pass reads anew; the counts are those of
// the last one that came to its end.
func (p *Published) Events(ctx context.Context) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		m := merge{p: p, waiting: map[uint64][]*claim{}, highest: p.through.Seq, taken: newFilter(p.through.Seq)}
		for _, pl := range p.places {
			m.lanes = append(m.lanes, &lane{place: pl, limit: pl.noted})
		}
		fail := func(err error) { yield(schemas.Envelope{}, fmt.Errorf("read back sequence %d: %w", m.next, err)) }
		if err := m.fill(ctx); err != nil {
			fail(err)
			return
		}
		for m.next = 0; m.next <= p.through.Seq; m.next++ {
			c, err := m.take(ctx)
			if err != nil {
				fail(err)
				return
			}
			if !yield(c.Envelope, nil) {
				return
			}
		}
		// What was published and not noted: the vault says what of it is genuine.
		if p.cfg.Judge != nil {
			m.highest = p.through.Seq + maxTail
			for _, l := range m.lanes {
				l.limit = l.end
			}
			for ; m.next <= m.highest; m.next++ {
				if err := m.fill(ctx); err != nil {
					fail(err)
					return
				}
				var c *claim
				err := m.look(ctx, false, func() (_ bool, err error) {
					c, err = m.genuine(ctx)
					return c != nil, err
				})
				if err != nil {
					fail(err)
					return
				}
				if c == nil {
					break
				}
				m.pass(c)
				m.counts.Tail++
				if !yield(c.Envelope, nil) {
					return
				}
			}
		}
		p.counts = m.counts
	}
}

// take removes the event of the wanted sequence.
func (m *merge) take(ctx context.Context) (*claim, error) {
	c, err := m.find(ctx)
	if err != nil {
		return nil, err
	}
	m.pass(c)
	for _, l := range m.lanes {
		if l.waiting == 0 {
			if _, err := m.advance(ctx, l); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// pass forgets the claims of the wanted sequence, of which c was right.
func (m *merge) pass(c *claim) {
	for i, other := range m.waiting[m.next] {
		other.lane.waiting--
		other.lane.bytes -= other.Size()
		if i == 1 {
			m.counts.Disputed++
		}
	}
	delete(m.waiting, m.next)
	m.position = c.Position.Commit
	m.taken.add(c.Leaf())
}

func (m *merge) find(ctx context.Context) (*claim, error) {
	anchor := m.p.through
	var best *claim
	err := m.look(ctx, false, func() (done bool, err error) {
		claims := m.waiting[m.next]
		if len(claims) == 0 {
			return false, nil
		}
		if m.next == anchor.Seq {
			i := slices.IndexFunc(claims, func(c *claim) bool { return c.is(anchor) })
			if i < 0 {
				return false, nil
			}
			best = claims[i]
			return true, nil
		}
		best, err = m.genuine(ctx)
		return best != nil, err
	})
	if err != nil || best != nil {
		return best, err
	}
	if m.next == anchor.Seq {
		return nil, fmt.Errorf("the topics do not hold event %s, which the relay noted there: %w",
			anchor.EventID, ErrDataLoss)
	}
	if claims := m.waiting[m.next]; len(claims) > 0 {
		return m.likeliest(claims), nil // an event that is in the ledger, though no holder of the vault made it
	}
	// Records that wait take all the room: those go that nobody with the vault made.
	err = m.look(ctx, true, func() (bool, error) { return len(m.waiting[m.next]) > 0, nil })
	if err != nil {
		return nil, err
	}
	if claims := m.waiting[m.next]; len(claims) > 0 {
		return m.likeliest(claims), nil
	}
	return nil, fmt.Errorf("the topics do not hold it: %w", ErrDataLoss)
}

// genuine returns the genuine claim of the wanted sequence, nil where there is none. A genuine
// event can be repeated under another's number: what was taken already is none.
func (m *merge) genuine(ctx context.Context) (*claim, error) {
	var fine []*claim
	for _, c := range m.waiting[m.next] {
		ok, err := m.judge(ctx, c)
		if err != nil {
			return nil, err
		}
		if ok && (m.p.cfg.Judge == nil || !m.taken.has(c.Leaf())) {
			fine = append(fine, c)
		}
	}
	if len(fine) == 0 {
		return nil, nil
	}
	return m.likeliest(fine), nil
}

func (m *merge) judge(ctx context.Context, c *claim) (bool, error) {
	if !c.judged {
		c.fine = true
		if m.p.cfg.Judge != nil {
			var err error
			if c.fine, err = m.p.cfg.Judge(ctx, c.Envelope); err != nil {
				return false, err
			}
		}
		c.judged = true
	}
	return c.fine, nil
}

// likeliest decides between claims of one worth. A genuine event can be copied under another's
// number: it then says that it lay before the event that came last.
func (m *merge) likeliest(claims []*claim) *claim {
	return slices.MinFunc(claims, func(a, b *claim) int {
		after := func(c *claim) int {
			if c.Position.Commit > m.position || m.next == 0 {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(after(a), after(b)), cmp.Compare(a.Position.Commit, b.Position.Commit))
	})
}

// look reads ahead until done says so, or no lane may or can be read further. With force, what
// waits in a full lane makes room.
func (m *merge) look(ctx context.Context, force bool, done func() (bool, error)) error {
	if ok, err := done(); ok || err != nil {
		return err
	}
	// First where what was wanted was found before, behind others.
	for _, only := range []bool{true, false} {
		for {
			moved := false
			for _, l := range m.lanes {
				if only && !l.hidden {
					continue
				}
				if m.full(l) {
					if !force {
						continue
					}
					if room, err := m.makeRoom(ctx, l); err != nil {
						return err
					} else if !room {
						continue
					}
				}
				ok, err := m.advance(ctx, l)
				if err != nil {
					return err
				}
				moved = moved || ok
				if ok && len(m.waiting[m.next]) > 0 {
					found, err := done()
					if err != nil {
						return err
					}
					if found {
						l.hidden = true
						return nil
					}
				}
			}
			if !moved {
				break
			}
		}
	}
	return nil
}

func (m *merge) full(l *lane) bool {
	return l.waiting >= m.p.cfg.Ahead || l.bytes >= max(m.p.cfg.AheadBytes/max(len(m.lanes), 1), minAheadBytes)
}

// makeRoom drops the farther half of what waits of a lane and was made by nobody with the vault.
func (m *merge) makeRoom(ctx context.Context, l *lane) (bool, error) {
	var far []*claim
	for _, claims := range m.waiting {
		for _, c := range claims {
			if c.lane != l {
				continue
			}
			if ok, err := m.judge(ctx, c); err != nil {
				return false, err
			} else if !ok {
				far = append(far, c)
			}
		}
	}
	slices.SortFunc(far, func(a, b *claim) int { return cmp.Compare(b.Seq, a.Seq) })
	far = far[:(len(far)+1)/2]
	for _, c := range far {
		m.waiting[c.Seq] = slices.DeleteFunc(m.waiting[c.Seq], func(o *claim) bool { return o == c })
		if len(m.waiting[c.Seq]) == 0 {
			delete(m.waiting, c.Seq)
		}
		l.waiting--
		l.bytes -= c.Size()
		m.counts.Foreign++
	}
	return len(far) > 0, nil
}

// fill makes one record of each lane wait.
func (m *merge) fill(ctx context.Context) error {
	for _, l := range m.lanes {
		if l.waiting == 0 {
			if _, err := m.advance(ctx, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// advance makes one more record of the lane wait; false where it has no more.
func (m *merge) advance(ctx context.Context, l *lane) (bool, error) {
	for {
		for len(l.queue) > 0 {
			c := l.queue[0]
			l.queue = l.queue[1:]
			switch {
			case c.Seq > m.highest:
				m.counts.Foreign++
				continue
			case c.Seq < m.next, slices.ContainsFunc(m.waiting[c.Seq],
				func(o *claim) bool { return o.Leaf() == c.Leaf() }):
				m.counts.Repeated++
				continue
			}
			m.waiting[c.Seq] = append(m.waiting[c.Seq], c)
			l.waiting++
			l.bytes += c.Size()
			return true, nil
		}
		if l.next >= l.limit {
			return false, nil
		}
		if err := m.read(ctx, l); err != nil {
			return false, err
		}
	}
}

// read queues the next records of the lane that are events of the ledger.
func (m *merge) read(ctx context.Context, l *lane) error {
	records, next, err := m.p.cfg.Topics.Read(ctx, l.topic, l.partition, l.next)
	if err != nil {
		return err
	}
	if next <= l.next {
		return fmt.Errorf("%s/%d: nothing at offset %d, below the end %d: %w",
			l.topic, l.partition, l.next, l.limit, ErrDataLoss)
	}
	for _, r := range records {
		if r.Offset >= l.limit {
			break
		}
		d, err := consumers.Decode(r)
		if err != nil || d.Ledger != m.p.ledger {
			m.counts.Foreign++
			continue
		}
		l.queue = append(l.queue, &claim{Envelope: d.Envelope, lane: l})
	}
	l.next = min(next, l.limit)
	return nil
}
