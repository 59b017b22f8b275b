package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// maxRounds bounds how often a batch is planned anew because somebody else wrote to its streams.
const maxRounds = 20

// maxConflicts bounds how often a batch is planned beside others who change the tenant's vault
// meanwhile: after that it is planned with the write lock held, and gets through.
const maxConflicts = 3

// take brings a batch of records into the ledger. When it returns nil each entry has its outcome,
// and whatever it reports is durable.
func (in *Intake) take(ctx context.Context, tenant vault.Tenant, left *leftOut, before *recognition, b *batch) error {
	anew, err := before.look(ctx, b)
	if err != nil {
		return err
	}
	// Records of one batch are planned in the order of their observation, so that the
	// order of files matters less: what is known only through a record that changed
	// nothing is known for the batch.
	known := b.known
	asked := map[schemas.Stream]bool{} // what planning found missing: it stays needed
	var first []schemas.Stream         // what the next record to be planned lacks: read before others
	conflicts := 0
	for round := 0; ; round++ {
		open := inOrder(b.entries)
		if len(open) == 0 {
			break
		}
		if round == maxRounds {
			for _, e := range open {
				e.outcome, e.field, e.reason = failed, "", "is contended: others wrote to its stream each time"
			}
			break
		}
		if round+conflicts > 0 || anew {
			if known, err = in.know(ctx, tenant, left, open, maps.Clone(asked), nil, first...); err != nil {
				return err
			}
		}
		p, err := in.round(ctx, tenant, left, before, open, known, conflicts)
		if errors.Is(err, vault.ErrConflict) {
			conflicts++ // the states were brought forward for nothing: they are read anew
			round--
			continue
		}
		if err != nil {
			return err
		}
		before.after(b, open)
		for s := range p.States() {
			b.touched[s] = true
		}
		unknown, unread := known.missing(p)
		maps.Copy(asked, unknown)
		if slices.ContainsFunc(open, (*entry).settled) {
			first = nil
		}
		if first = append(first, unread...); len(unread) > 0 {
			round = 0 // nobody else's doing
		}
		known.states, known.memories = nil, nil // in the cache, or let go
	}
	for _, e := range b.entries {
		if e.wrote && (e.outcome == unchanged || e.outcome == superseded) {
			e.outcome = recorded // planned anew after a part of it was appended
		}
	}
	if err := in.cfg.Hook(PointDone); err != nil {
		return err
	}
	return before.conclude(ctx, b)
}

// inOrder returns the entries that have no outcome yet, in the order in which they are planned.
func inOrder(entries []*entry) []*entry {
	open := slices.DeleteFunc(slices.Clone(entries), func(e *entry) bool {
		return e.outcome != pending || e.isKnown()
	})
	slices.SortStableFunc(open, func(a, b *entry) int {
		_, at := a.record.Origin()
		_, bt := b.record.Origin()
		return cmp.Or(int(a.wave)-int(b.wave), at.Compare(bt))
	})
	return open
}

// plan plans the entries, in their order and as far as what is known goes, in a transaction of the
// tenant's vault: beside others, unless that met so many conflicts already. begin and end are
// called in it. planned are the entries that were planned. vault.ErrConflict: as if nothing was.
func (in *Intake) plan(
	ctx context.Context, tenant vault.Tenant, left *leftOut, open []*entry, known *known, conflicts int,
	begin, end func(*vault.Tx) error,
) (p *plan.Planner, planned []*entry, err error) {
	if err := in.complete(ctx, tenant, left, known); err != nil {
		return nil, nil, err
	}
	if tenant.Policy, err = in.cfg.Vault.Policy(ctx, tenant.ID); err != nil { // it may have changed since
		return nil, nil, err
	}
	p = in.kinds.Planner(tenant, in.cfg.Clock(), known.states)
	p.Unlimited, p.Hands = in.unlimited, in.hands
	update := in.cfg.Vault.UpdateOptimistic
	if conflicts >= maxConflicts {
		update = in.cfg.Vault.Update
	}
	planned = open
	err = update(ctx, tenant.ID, func(tx *vault.Tx) error {
		p.Tx = tx
		if err := begin(tx); err != nil {
			return err
		}
		if err := tx.LookAgain(known.looked); err != nil {
			return err
		}
		for i, e := range open {
			if err := e.plan(p); err != nil {
				return err
			}
			if known.stops(p) {
				planned = open[:i]
				break
			}
		}
		return end(tx)
	})
	p.Tx = nil
	if err != nil {
		in.kinds.Unplanned()
	}
	if errors.Is(err, vault.ErrConflict) {
		for _, e := range open {
			e.outcome = pending
		}
	}
	if failed := p.Finish(); err == nil || errors.Is(err, errJudged) {
		err = cmp.Or(failed, err)
	}
	return p, planned, err
}

// stillHolds errs with vault.ErrConflict where the tenant's policy is no longer the one by which
// the entries were judged: none of them has an outcome then. What planning them stored in the
// vault is used when they are planned anew.
func (in *Intake) stillHolds(ctx context.Context, judged vault.Tenant, planned []*entry) error {
	now, err := in.cfg.Vault.Policy(ctx, judged.ID)
	if err != nil || now.Number == judged.Policy.Number {
		return err
	}
	in.kinds.Unplanned()
	for _, e := range planned {
		e.outcome, e.steps = pending, nil
	}
	return fmt.Errorf("the collection policy has changed: %w", vault.ErrConflict)
}

// round plans every open entry once and appends what was planned. vault.ErrConflict: others
// changed the tenant's vault or policy since it began, and nothing was appended.
func (in *Intake) round(
	ctx context.Context, tenant vault.Tenant, left *leftOut, before *recognition, open []*entry, known *known,
	conflicts int,
) (*plan.Planner, error) {
	p, planned, err := in.plan(ctx, tenant, left, open, known, conflicts, before.keep, func(tx *vault.Tx) error {
		if err := tx.Remember(known.memories); err != nil {
			return err
		}
		return in.cfg.Hook(PointPlanned)
	})
	if err != nil {
		return nil, err
	}
	before.kept()
	if err := in.cfg.Hook(PointCommitted); err != nil {
		return nil, err
	}
	if err := in.stillHolds(ctx, p.Tenant, planned); err != nil {
		return nil, err
	}
	stale, err := in.appendAll(ctx, tenant.ID, planned)
	if err != nil {
		return nil, err
	}
	for _, e := range planned {
		if e.settled() {
			e.record, e.steps = nil, nil // the batch may have others to plan still
		}
	}
	now := in.cfg.Clock()
	for s, st := range p.States() {
		if !stale[s] && in.kinds.Wave(s.Kind()) == plan.WaveEntities {
			in.states.put(st, now)
		}
	}
	return p, nil
}

// maxKnownBytes bounds what is known of the streams of a batch, by what the states say they take.
// The records whose streams are not read then are planned once the others are appended.
const maxKnownBytes = 32 << 20

// known is what is known of the streams that records need.
type known struct {
	needs    map[schemas.Stream]bool
	order    []schemas.Stream // of needs: as they are read
	first    int              // so many of them are read whatever they take
	unread   map[schemas.Stream]bool
	states   map[schemas.Stream]*plan.StreamState
	looked   *vault.Looked  // of the records
	memories []vault.Memory // to be kept by the transaction that plans
	bytes    int            // of states and memories, about
}

// know looks which streams the entries need beside needs and first, and reads all but the busy
// ones: those in first, and the others in the order of the entries as far as maxKnownBytes go.
func (in *Intake) know(
	ctx context.Context, tenant vault.Tenant, left *leftOut, open []*entry, needs, busy map[schemas.Stream]bool,
	first ...schemas.Stream,
) (*known, error) {
	k := &known{needs: needs, first: len(first), order: first, states: map[schemas.Stream]*plan.StreamState{}}
	for _, s := range sortedKeys(needs) {
		if !slices.Contains(first, s) {
			k.order = append(k.order, s)
		}
	}
	for _, s := range first {
		needs[s] = true
	}
	if err := in.look(ctx, tenant, open, k); err != nil {
		return nil, err
	}
	return k, in.read(ctx, tenant.ID, left, k, busy)
}

// stops reports whether planning found a stream missing that is not read yet. What comes behind
// the record that needs it waits with it, so that the order stays.
func (k *known) stops(p *plan.Planner) bool {
	if len(k.unread) > 0 {
		for s := range p.Needs() {
			if k.unread[s] {
				return true
			}
		}
	}
	return false
}

// missing returns the streams that planning found missing: those that nobody had looked for, and
// those that are not read yet.
func (k *known) missing(p *plan.Planner) (unknown map[schemas.Stream]bool, unread []schemas.Stream) {
	unknown = map[schemas.Stream]bool{}
	for _, s := range sortedKeys(p.Needs()) {
		if k.unread[s] {
			unread = append(unread, s)
		} else {
			unknown[s] = true
		}
	}
	return unknown, unread
}

// complete reads the streams of which nothing is known yet, or what is known has become too old.
func (in *Intake) complete(ctx context.Context, tenant vault.Tenant, left *leftOut, k *known) error {
	now := in.cfg.Clock()
	maps.DeleteFunc(k.states, func(_ schemas.Stream, st *plan.StreamState) bool { return tooOld(st, now) })
	return in.read(ctx, tenant.ID, left, k, nil)
}

// look finds, without minting anything, which streams the entries will need beside those that are
// known to be needed, and adds them. It may miss one: planning then asks for it.
func (in *Intake) look(ctx context.Context, tenant vault.Tenant, open []*entry, k *known) error {
	return in.cfg.Vault.View(ctx, tenant.ID, func(tx *vault.Tx) (err error) {
		l := in.kinds.Looking(tx, k.needs)
		for _, e := range open {
			e.record.Look(l)
		}
		if k.looked, err = l.Find(); err == nil {
			k.order = append(k.order, l.Found()...)
		}
		return err
	})
}

// each calls do for 0 to n-1, so many at a time, and waits for all. The
// first error cancels the rest.
func (in *Intake) each(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(workers, n) {
		wait.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wait.Wait()
	return context.Cause(ctx)
}

// lane is what one stream gets from a batch, in order.
type lane struct {
	stream schemas.Stream
	work   []laneStep
	shift  uint64 // others' events that came between what was planned on and what was appended
}

type laneStep struct {
	entry *entry
	step  plan.Step
}

// appendAll appends what was planned: refusals first, then devices, then actions; each
// stream's appends in order, the streams side by side. It returns the streams whose
// planned state is not what they hold.
func (in *Intake) appendAll(
	ctx context.Context, tenant uuid.UUID, open []*entry,
) (stale map[schemas.Stream]bool, err error) {
	planned := [plan.Waves]map[schemas.Stream]*lane{{}, {}, {}}
	for _, e := range open {
		for _, s := range e.steps {
			w := planned[in.kinds.Wave(s.Stream.Kind())]
			if w[s.Stream] == nil {
				w[s.Stream] = &lane{stream: s.Stream}
			}
			w[s.Stream].work = append(w[s.Stream].work, laneStep{e, s})
		}
	}
	var mu sync.Mutex // guards stale, contended and the events of entries that two lanes share
	stale = map[schemas.Stream]bool{}
	contended := map[*entry]bool{}
	var hook sync.Mutex // one crash point at a time
	for i, of := range planned {
		lanes := make([]*lane, 0, len(of))
		for _, s := range sortedKeys(of) {
			lanes = append(lanes, of[s])
		}
		err := in.each(ctx, in.cfg.Workers, len(lanes), func(ctx context.Context, i int) error {
			l := lanes[i]
			defer func() {
				if l.shift > 0 { // the stream holds what was planned, at other revisions
					mu.Lock()
					stale[l.stream] = true
					mu.Unlock()
				}
			}()
			for n, w := range l.work {
				mu.Lock()
				// What an earlier wave could not append for the record comes first: planned anew
				// without it, on a device that says so already, it would be taken for told.
				before := contended[w.entry]
				mu.Unlock()
				err := error(ledger.ErrConflict)
				if !before {
					err = in.append(ctx, tenant, l, w.step)
				}
				mu.Lock()
				switch {
				case errors.Is(err, ledger.ErrConflict):
					// Somebody else wrote here. What was planned on top of it is planned
					// anew; an action is known by then.
					stale[l.stream] = true
					for _, later := range l.work[n:] {
						contended[later.entry] = true
					}
					mu.Unlock()
					return nil
				case err == nil:
					w.entry.events += len(w.step.Events)
					w.entry.wrote = w.entry.wrote || in.kinds.Wave(l.stream.Kind()) > plan.WaveRefusals
				}
				mu.Unlock()
				if err != nil {
					return err
				}
				if in.kinds.Wave(l.stream.Kind()) > plan.WaveRefusals {
					hook.Lock()
					err = in.cfg.Hook(PointAppended)
					hook.Unlock()
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if plan.Wave(i) == plan.WaveRefusals && len(lanes) > 0 {
			if err := in.cfg.Hook(PointRefused); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range open {
		if e.outcome == pending && len(e.steps) > 0 && !contended[e] {
			e.outcome = e.planned
		}
	}
	return stale, nil
}

// maxBehind bounds how often an append goes behind what others write to its stream meanwhile.
const maxBehind = 256

// append leaves repeating to the ledger, the one layer that does: an outcome that is unknown after
// that ends the import. Where nothing but others' events stands behind what was planned on, it
// goes behind those: who floods a stream with foreign events keeps no record out of it.
func (in *Intake) append(ctx context.Context, tenant uuid.UUID, l *lane, s plan.Step) error {
	expect := s.Expect
	if r, exact := expect.Revision(); exact {
		expect = ledger.Exact(r + l.shift)
	}
	for try := 0; ; try++ {
		last, err := in.cfg.Ledger.Append(ctx, s.Stream, expect, s.Events) // its error names the stream
		if err == nil {
			l.shift = last + 1 - uint64(len(s.Events)) - first(s.Expect)
		}
		if !errors.Is(err, ledger.ErrConflict) || try == maxBehind {
			return err
		}
		behind, own, readErr := in.behind(ctx, tenant, s.Stream, expect)
		if readErr != nil || own {
			return cmp.Or(readErr, err)
		}
		expect = behind
	}
}

// first is the revision that the first event of an append gets.
func first(e ledger.Expect) uint64 {
	if r, exact := e.Revision(); exact {
		return r + 1
	}
	return 0
}

// behind returns what an append behind the stream's last event expects, and whether one of the
// tenant's own events has come since the one that was expected.
func (in *Intake) behind(
	ctx context.Context, tenant uuid.UUID, s schemas.Stream, expect ledger.Expect,
) (ledger.Expect, bool, error) {
	for r, err := range in.cfg.Ledger.ReadStream(ctx, s, first(expect)) {
		if err != nil {
			return expect, false, err
		}
		if e, foreign := schemas.NewEnvelope(r); foreign == nil {
			d, v, err := ledger.Examine(ctx, in.cfg.Ledger, in.cfg.Catalogue, e)
			if err != nil || v == ledger.Genuine && d.Tenant == tenant {
				return expect, true, err
			}
		}
		expect = ledger.Exact(r.Revision)
	}
	return expect, false, nil
}
