package adminaction

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/audit"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// kind is the kind of admin actions.
type kind struct {
	catalogue                                   *schemas.Catalogue
	recorded, continued, supplemented, disputed *schemas.Type
}

var _ plan.Linker = (*kind)(nil)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return &kind{catalogue: c, recorded: c.MustType("adminaction.recorded.v1"),
		continued: c.MustType("adminaction.continued.v1"), supplemented: c.MustType("adminaction.supplemented.v1"),
		disputed: c.MustType("adminaction.disputed.v1")}
}

func (k *kind) Stream() string { return k.recorded.Kind() }
func (k *kind) Facts() bool    { return true }

func (k *kind) Forms() []plan.KindForm {
	return []plan.KindForm{{Form: forms[0], OwnTime: true, Parse: k.parse},
		{Form: forms[1], OwnTime: true, Parse: k.parse},
		{Form: forms[2], OwnTime: true, Parse: parseAuditList}}
}

// Origin is the source, and when the action was.
func (f *fact) Origin() (string, time.Time) { return f.source, f.occurred }

// RefusalStream is derived: the record's id is random at its source.
func (f *fact) RefusalStream(tx *vault.Tx, _ string) (schemas.Stream, bool, error) {
	return tx.FactStream("refusal", audit.Namespace, f.id), false, nil
}

// Without takes out what is told of the action as a whole, and of who acted: a target is told
// apart by all that is kept of it.
func (f *fact) Without(refused func(*schemas.Attribute) bool) (plan.Record, int) {
	kept, n := *f, 0
	for _, values := range []*map[string]json.RawMessage{&kept.open, &kept.actor.values} {
		out := func(id string, v json.RawMessage) bool {
			return refused(f.kind.catalogue.MustAttribute(id)) && !record.IsEmpty(v)
		}
		before := len(*values)
		*values = maps.Clone(*values)
		maps.DeleteFunc(*values, out)
		n += before - len(*values)
	}
	return &kept, n
}

func (f *fact) stream(tx *vault.Tx) schemas.Stream {
	return tx.FactStream(f.kind.Stream(), audit.Namespace, f.id)
}

// Look names the action's own stream, those of the devices that it may be about, and whatever of
// it the vault may know as somebody's.
func (f *fact) Look(l *plan.Looking) {
	l.Need(f.stream(l.Tx))
	l.Refusals(f.stream(l.Tx), f.refused)
	ask := func(id string) {
		l.Ask(vault.DeviceHint{IntuneID: id})
		l.Ask(vault.DeviceHint{DirectoryID: id})
		l.Meet(vault.PersonHint{ObjectID: id})
	}
	if f.actor.person {
		l.Meet(vault.PersonHint{ObjectID: f.actor.objectID, UPN: f.actor.upn})
	}
	for _, values := range []map[string]json.RawMessage{f.open, f.actor.values} {
		for _, raw := range values {
			text, _ := record.AsText(raw)
			if id, ok := record.AsGUID(text); ok {
				ask(id)
			}
		}
	}
	for _, t := range f.targets {
		if id, ok := record.AsGUID(t.id); ok {
			ask(id)
			if kindOfTarget(t.kind) == targetDevice || kindOfTarget(t.about) == targetDevice {
				l.Device(vault.DeviceHint{IntuneID: id, At: f.occurred})
			}
		}
		for _, name := range []string{t.name, t.id} {
			if upn := userName(name); upn != "" {
				l.Meet(vault.PersonHint{UPN: upn})
			}
		}
	}
}

// Plan compares the record's telling of the action with what is told already.
func (f *fact) Plan(p *plan.Planner) (plan.Act, plan.Outcome, error) {
	st, err := p.State(f.stream(p.Tx))
	if err != nil {
		return nil, 0, err
	}
	a := st.Content.(*toldAction)
	if st.Exists && a.recorded == uuid.Nil {
		return nil, plan.Unchanged, nil // by a program that knows more
	}
	r := resolving{p: p, f: f, at: f.occurred, mint: !st.Exists}
	t, targets, err := r.telling()
	if err != nil {
		return nil, 0, err
	}
	p.Tally.Cut = t.cut
	var n news
	if st.Exists {
		n = a.compare(t)
		p.Tally.Disputed = n.differs
		if n.none() && len(f.refused) == 0 && !p.RefusedItems() {
			return nil, plan.Unchanged, nil
		}
		// Only what is new makes anybody known.
		p.Tally.Omitted, r.mint = 0, true
		if t, targets, err = r.telling(); err != nil {
			return nil, 0, err
		}
		n = a.compare(t)
	}
	return func() ([]plan.Step, plan.Outcome, error) { return f.write(p, st, t, targets, n) }, 0, nil
}

// write records the action, or what the telling adds to it.
func (f *fact) write(
	p *plan.Planner, st *plan.StreamState, t telling, targets []resolvedTarget, n news,
) ([]plan.Step, plan.Outcome, error) {
	a, k := st.Content.(*toldAction), f.kind
	refusals, apply, err := p.Refusals(st.Stream, f.source, f.occurred, f.refused)
	if err != nil {
		return nil, 0, err
	}
	if st.Exists && n.none() {
		apply()
		return refusals, plan.Unchanged, nil
	}
	draft := drafter(p, st.Stream, f.source, cmp.Or(a.occurred, f.occurred))
	var drafts []schemas.Draft
	known := st.Exists
	if known {
		drafts = k.newsDrafts(draft, a, t.form, t.actor, n)
		p.Tally.Supplemented = len(n.values)+len(n.targets) > 0
	} else {
		var correlation uuid.UUID
		if id, ok := record.AsGUID(f.correlation); ok {
			correlation = p.Tx.Correlation(id)
		}
		drafts = k.recordedDrafts(draft, t, correlation)
	}
	steps, err := k.encode(p, st, drafts)
	if known && (errors.Is(err, vault.ErrExpired) || errors.Is(err, vault.ErrErased)) {
		p.Tally.Supplemented = false
		apply()
		return refusals, plan.Unchanged, nil // it is recorded, and nothing more of it may be kept
	}
	if err != nil {
		return nil, 0, err
	}
	if known {
		p.Unsettle(st.Stream)
	}
	apply()
	return append(refusals, steps...), plan.Recorded, await(p, st.Stream, targets)
}

// drafter returns what makes empty events of the stream.
func drafter(p *plan.Planner, s schemas.Stream, source string, at time.Time) func(*schemas.Type) schemas.Draft {
	return func(t *schemas.Type) schemas.Draft { return p.Draft(t, s, source, at) }
}

// telling puts the record's action into the ledger's terms, with everybody in it whom we know or
// may make known.
func (r resolving) telling() (telling, []resolvedTarget, error) {
	r.p.MeetAnew()
	actor, erased, targets, err := r.resolve()
	if err != nil {
		return telling{}, nil, err
	}
	f := *r.f
	if erased {
		f.actor.values = f.withoutPerson(f.actor, r.p.Tally)
	}
	t, err := f.tell(actor, targets, r.yours(targets))
	return t, targets, err
}

// await remembers the ids among the targets of which nobody knows yet whose they are, and those of
// devices of which nothing is known but an action.
func await(p *plan.Planner, stream schemas.Stream, targets []resolvedTarget) error {
	for _, t := range targets {
		id, ok := record.AsGUID(t.id)
		unknown := t.device == uuid.Nil && t.person == uuid.Nil && t.as != targetResource
		if t.device != uuid.Nil && t.person == uuid.Nil {
			st, err := p.State(schemas.NewStream("device", t.device))
			if err != nil {
				return err
			}
			unknown = !st.Exists
		}
		if !ok || t.erased || !unknown {
			continue
		}
		if err := p.Tx.Await(id, stream); err != nil {
			return err
		}
	}
	return nil
}
