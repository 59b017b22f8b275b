package intake

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// maxRounds bounds how often a batch is planned anew because somebody else wrote to its streams.
const maxRounds = 20

// take brings a batch of records into the ledger. When it returns nil each entry has its outcome,
// and whatever it reports is durable.
func (in *Intake) take(ctx context.Context, tenant vault.Tenant, left *leftOut, entries []*entry) error {
	// Records of one batch are planned in the order of their observation, so that the
	// order of files matters less: what is known only through a record that changed
	// nothing is known for the batch.
	open := inOrder(entries)
	asked := map[schemas.Stream]bool{} // what planning found missing: it stays needed
	for round := 0; ; round++ {
		open = slices.DeleteFunc(open, func(e *entry) bool { return e.outcome != pending })
		if len(open) == 0 {
			break
		}
		if round == maxRounds {
			for _, e := range open {
				e.outcome, e.field, e.reason = failed, "", "is contended: others wrote to its stream each time"
			}
			break
		}
		more, err := in.round(ctx, tenant, left, open, maps.Clone(asked))
		if err != nil {
			return err
		}
		maps.Copy(asked, more)
	}
	for _, e := range entries {
		if e.wrote && (e.outcome == unchanged || e.outcome == superseded) {
			e.outcome = recorded // planned anew after a part of it was appended
		}
	}
	return in.cfg.Hook(PointDone)
}

// inOrder returns the entries that have no outcome yet, in the order in which they are planned.
func inOrder(entries []*entry) []*entry {
	open := slices.DeleteFunc(slices.Clone(entries), func(e *entry) bool { return e.outcome != pending })
	slices.SortStableFunc(open, func(a, b *entry) int {
		return cmp.Or(a.class()-b.class(), a.when().Compare(b.when()))
	})
	return open
}

// class puts snapshots before actions, so that an action of the same batch
// finds its device and its user.
func (e *entry) class() int {
	if e.fact != nil {
		return 1
	}
	return 0
}

func (e *entry) when() time.Time {
	if e.fact != nil {
		return e.fact.occurred
	}
	return e.snap.observed
}

// round plans every open entry once and appends what was planned.
func (in *Intake) round(
	ctx context.Context, tenant vault.Tenant, left *leftOut, open []*entry, needs map[schemas.Stream]bool,
) (map[schemas.Stream]bool, error) {
	if err := in.look(ctx, tenant, open, needs); err != nil {
		return nil, err
	}
	states, err := in.read(ctx, tenant, left, needs)
	if err != nil {
		return nil, err
	}
	p := &planner{in: in, tenant: tenant, recorded: in.cfg.Clock(), states: states, needs: map[schemas.Stream]bool{},
		minted: map[uuid.UUID]bool{}}
	err = in.cfg.Vault.Update(ctx, tenant.ID, func(tx *vault.Tx) error {
		p.tx = tx
		for _, e := range open {
			if err := p.plan(e); err != nil {
				return err
			}
		}
		return in.cfg.Hook(PointPlanned)
	})
	p.tx = nil
	if err != nil {
		return nil, err
	}
	if err := in.cfg.Hook(PointCommitted); err != nil {
		return nil, err
	}
	stale, err := in.appendAll(ctx, tenant.ID, open)
	if err != nil {
		return nil, err
	}
	now := in.cfg.Clock()
	for s, st := range p.states {
		if !stale[s] && s.Kind() == "device" {
			in.states.put(st, now)
		}
	}
	return p.needs, nil
}

// look finds, without minting anything, which streams the entries will need. It may miss
// one: planning then asks for it.
func (in *Intake) look(ctx context.Context, tenant vault.Tenant, open []*entry, needs map[schemas.Stream]bool) error {
	return in.cfg.Vault.View(ctx, tenant.ID, func(tx *vault.Tx) error {
		device := func(h vault.DeviceHint) (schemas.Stream, error) {
			d, found, err := tx.FindDevice(h)
			if errors.Is(err, vault.ErrErasedSubject) {
				return "", nil
			}
			if err != nil || !found {
				return "", err
			}
			needs[d.Stream] = true
			return d.Stream, nil
		}
		for _, e := range open {
			if e.fact != nil {
				needs[tx.FactStream(in.types.action.Kind(), namespaceAudit, e.fact.id)] = true
				for _, t := range e.fact.targets {
					likely := kindOfTarget(t.kind) == targetDevice || kindOfTarget(t.about) == targetDevice
					if id, ok := asGUID(t.id); ok && likely {
						if _, err := device(vault.DeviceHint{IntuneID: id, At: e.fact.occurred}); err != nil {
							return err
						}
					}
				}
				continue
			}
			stream, err := device(vault.DeviceHint{IntuneID: e.snap.intuneID, DirectoryID: e.snap.directoryID,
				At: e.snap.age()})
			if err != nil {
				return err
			}
			for _, rule := range e.snap.mayRefuse() {
				if stream == "" {
					break
				}
				s, _, err := tx.RefusalStream(stream, rule)
				if errors.Is(err, vault.ErrReadOnly) {
					continue // not refused before
				}
				if err != nil {
					return err
				}
				needs[s] = true
			}
		}
		return nil
	})
}

// mayRefuse lists the rules that could keep a part of the snapshot out.
func (s *snapshot) mayRefuse() (rules []string) {
	for _, r := range s.refused {
		rules = append(rules, r.rule)
	}
	for _, l := range s.lists {
		if l.attr.ID == attrApp {
			rules = append(rules, rulePersonalApps)
		}
	}
	return rules
}

// read folds the streams, several at a time.
func (in *Intake) read(
	ctx context.Context, tenant vault.Tenant, left *leftOut, needs map[schemas.Stream]bool,
) (map[schemas.Stream]*state, error) {
	streams := sortedKeys(needs)
	found := make([]*state, len(streams))
	err := in.each(ctx, len(streams), func(ctx context.Context, i int) error {
		s := streams[i]
		if found[i] = in.states.take(s, in.cfg.Clock()); found[i] != nil {
			return nil
		}
		var err error
		if s.Kind() == in.types.action.Kind() {
			found[i], err = in.foldAction(ctx, tenant.ID, left, s)
		} else {
			found[i], err = in.fold(ctx, tenant.ID, left, s)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make(map[schemas.Stream]*state, len(streams))
	for _, st := range found {
		out[st.stream] = st
	}
	return out, nil
}

// each calls do for 0 to n-1, Workers at a time, and waits for all. The
// first error cancels the rest.
func (in *Intake) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(in.cfg.Workers, n) {
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
	step  step
}

// appendAll appends what was planned: refusals first, then devices, then actions; each
// stream's appends in order, the streams side by side. It returns the streams whose
// planned state is not what they hold.
func (in *Intake) appendAll(
	ctx context.Context, tenant uuid.UUID, open []*entry,
) (stale map[schemas.Stream]bool, err error) {
	waves := [3]map[schemas.Stream]*lane{{}, {}, {}}
	for _, e := range open {
		for _, s := range e.steps {
			w := waves[in.wave(s.stream)]
			if w[s.stream] == nil {
				w[s.stream] = &lane{stream: s.stream}
			}
			w[s.stream].work = append(w[s.stream].work, laneStep{e, s})
		}
	}
	var mu sync.Mutex // guards stale, contended and the events of entries that two lanes share
	stale = map[schemas.Stream]bool{}
	contended := map[*entry]bool{}
	var hook sync.Mutex // one crash point at a time
	for i, wave := range waves {
		lanes := make([]*lane, 0, len(wave))
		for _, s := range sortedKeys(wave) {
			lanes = append(lanes, wave[s])
		}
		err := in.each(ctx, len(lanes), func(ctx context.Context, i int) error {
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
					w.entry.events += len(w.step.events)
					w.entry.wrote = w.entry.wrote || in.wave(l.stream) > 0
				}
				mu.Unlock()
				if err != nil {
					return err
				}
				if in.wave(l.stream) > 0 {
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
		if i == 0 && len(lanes) > 0 {
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

// wave is the order of appends: referenced streams, devices, facts (FORMATS §2).
func (in *Intake) wave(s schemas.Stream) int {
	switch s.Kind() {
	case "refusal":
		return 0
	case "device":
		return 1
	}
	return 2
}

// maxBehind bounds how often an append goes behind what others write to its stream meanwhile.
const maxBehind = 256

// append leaves repeating to the ledger, the one layer that does: an outcome that is unknown after
// that ends the import. Where nothing but others' events stands behind what was planned on, it
// goes behind those: who floods a stream with foreign events keeps no record out of it.
func (in *Intake) append(ctx context.Context, tenant uuid.UUID, l *lane, s step) error {
	expect := s.expect
	if r, exact := expect.Revision(); exact {
		expect = ledger.Exact(r + l.shift)
	}
	for try := 0; ; try++ {
		last, err := in.cfg.Ledger.Append(ctx, s.stream, expect, s.events) // its error names the stream
		if err == nil {
			l.shift = last + 1 - uint64(len(s.events)) - first(s.expect)
		}
		if !errors.Is(err, ledger.ErrConflict) || try == maxBehind {
			return err
		}
		behind, own, readErr := in.behind(ctx, tenant, s.stream, expect)
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
