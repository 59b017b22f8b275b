package plan

import (
	"slices"
	"sync"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file seals and encodes what was planned, beside the planning and on all cores.

// unencoded is events of which only the bytes are missing: their keys are known, and whatever
// could come of sealing and encoding them but bytes was looked at.
type unencoded struct {
	drafts []schemas.Draft
	seals  []*vault.Sealing
	events []schemas.Event // to be filled in
	size   int             // of the events, at most
}

func (u unencoded) encode(c *schemas.Catalogue) (err error) {
	for i := range u.drafts {
		if u.events[i], err = encode(c, &u.drafts[i], u.seals[i]); err != nil {
			return err
		}
	}
	return nil
}

func encode(c *schemas.Catalogue, d *schemas.Draft, s *vault.Sealing) (schemas.Event, error) {
	if err := s.Seal(); err != nil {
		return schemas.Event{}, err
	}
	return c.Encode(*d)
}

// maxUnencoded bounds what waits to be encoded, in bytes of events: past it, who plans encodes.
const maxUnencoded = 8 << 20

// encoder encodes what it is given, in no order.
type encoder struct {
	catalogue *schemas.Catalogue

	mu      sync.Mutex // guards what follows
	queue   []unencoded
	taken   int // of the queue
	waiting int // bytes of what is not taken
	hands   int // goroutines that encode
	failed  int // number in the queue, from 1, of the first that failed with err
	err     error
	wait    sync.WaitGroup
}

// add gives it events to encode, at once where fewer than most goroutines do so.
func (e *encoder) add(u unencoded, most int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, u)
	e.waiting += u.size
	if e.hands < most {
		e.hands++
		e.wait.Go(e.work)
	}
	for e.waiting > maxUnencoded && e.next() {
	}
}

// work encodes until nothing waits.
func (e *encoder) work() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.next() {
	}
	e.hands--
}

// next encodes the first of what waits, with mu released meanwhile; false where nothing does.
func (e *encoder) next() bool {
	if e.taken == len(e.queue) {
		return false
	}
	u := e.queue[e.taken]
	e.queue[e.taken] = unencoded{} // plaintext is held no longer than needed
	e.taken++
	e.waiting -= u.size
	n := e.taken
	e.mu.Unlock()
	err := u.encode(e.catalogue)
	e.mu.Lock()
	if err != nil && (e.err == nil || n < e.failed) {
		e.err, e.failed = err, n
	}
	return true
}

// finish returns once everything is encoded. Its error is of the first that could not be.
func (e *encoder) finish() error {
	e.mu.Lock()
	e.hands++
	e.mu.Unlock()
	e.work()
	e.wait.Wait()
	return e.err
}

// Encode turns the drafts into appends to one stream, the first behind what is known of it.
// Advance notes that they will be appended. The keys are found here, and whatever becomes of the
// record is decided; the bytes of the events are there after Finish. The drafts are the planner's
// from now on. No value passes that the tenant's policy refuses, whoever made it.
func (p *Planner) Encode(st *StreamState, drafts []schemas.Draft) ([]Step, error) {
	drafts = p.allowed(drafts)
	seals := make([]*vault.Sealing, len(drafts))
	events, sizes := make([]schemas.Event, len(drafts)), make([]int, len(drafts))
	large := false
	for i := range drafts {
		var err error
		if seals[i], err = p.Tx.Prepare(&drafts[i]); err != nil {
			return nil, err
		}
		sizes[i] = maxSize(&drafts[i])
		large = large || sizes[i] > schemas.MaxEventBytes
	}
	all := unencoded{drafts: drafts, seals: seals, events: events}
	for _, n := range sizes {
		all.size += n
	}
	if large { // too large perhaps: that fails the record
		if err := all.encode(p.Catalogue); err != nil {
			return nil, err
		}
		for i, e := range events {
			sizes[i] = e.Size()
		}
	} else if len(drafts) > 0 {
		p.encoder.add(all, p.Hands)
	}
	var steps []Step
	expect, first, size := st.Expect, 0, 0
	for i := range events {
		if i > first && size+sizes[i] > schemas.MaxAppendBytes {
			steps = append(steps, Step{Stream: st.Stream, Expect: expect, Events: events[first:i:i]})
			expect, first, size = expect.After(uint64(i-first)), i, 0
		}
		size += sizes[i]
	}
	if first < len(events) {
		steps = append(steps, Step{Stream: st.Stream, Expect: expect, Events: events[first:]})
	}
	return steps, nil
}

// allowed returns the drafts without values that the tenant's policy refuses, and without those
// that told nothing else.
func (p *Planner) allowed(drafts []schemas.Draft) []schemas.Draft {
	if len(p.Tenant.Policy.Items) == 0 {
		return drafts
	}
	kept := drafts[:0]
	for _, d := range drafts {
		before := len(d.Values)
		d.Values = slices.DeleteFunc(d.Values, func(v schemas.Value) bool {
			return !v.Removed && p.Tenant.Policy.Refuses(v.Attr)
		})
		if n := before - len(d.Values); n > 0 {
			p.Tally.RefuseItems(RulePolicy, n)
		}
		if before == 0 || len(d.Values) > 0 {
			kept = append(kept, d)
		}
	}
	return kept
}

// Finish returns once the events of all steps have their bytes. It is called once, when all is
// planned, be it in vain; it needs no transaction. Its error is one that ends the import.
func (p *Planner) Finish() error { return p.encoder.finish() }

// maxSize returns how many bytes the draft's event takes at most: that of names, times and
// metadata as the formats bound them, of each value as if it were sealed.
func maxSize(d *schemas.Draft) int {
	const (
		fixed   = 8 << 10 // metadata with its 64 subjects, origin, the outermost members
		value   = 400     // a token's header, cipher and padding, quotes, the names around it
		ofToken = 3       // base64 makes four bytes of so many
	)
	n := fixed
	for _, s := range d.Silent {
		n += len(s) + 3
	}
	for i := range d.Values {
		v := &d.Values[i]
		n += value + (len(v.Plain)+ofToken-1)/ofToken*4 + len(v.Token)
		for _, p := range v.Path {
			n += 2 * (len(p) + 3)
		}
	}
	return n
}
