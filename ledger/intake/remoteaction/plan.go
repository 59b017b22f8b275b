package remoteaction

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/audit"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// streamOfAudit is the kind of stream that an audit event has of its own: the devices of one
// request share its uuid.
const streamOfAudit = "adminaction"

const (
	roleActor  = "actor"
	roleTarget = "target"
)

// kind is the kind of remote actions.
type kind struct {
	catalogue                           *schemas.Catalogue
	requestedType, progressed, restated *schemas.Type
	action, state, requestedAt          *schemas.Attribute
	completedAt, group, form, device    *schemas.Attribute
	deviceName, userUPN, failure        *schemas.Attribute
	errorCode, withheld                 *schemas.Attribute
	actorID, actorUPN, actorName        *schemas.Attribute
	outcome                             *schemas.Attribute // of an audit event, as its own kind reads it
}

var (
	_ plan.Linker = (*kind)(nil)
	_ plan.Reader = (*kind)(nil)
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	a := func(id string) *schemas.Attribute { return c.MustAttribute("remoteaction." + id) }
	return &kind{catalogue: c, requestedType: c.MustType("remoteaction.requested.v1"),
		progressed: c.MustType("remoteaction.progressed.v1"), restated: c.MustType("remoteaction.restated.v1"),
		action: a("action"), state: a("state"), requestedAt: a("requested-at"), completedAt: a("completed-at"),
		group: a("group"), form: a("form"), device: a("device"), deviceName: a("device-name"), userUPN: a("user-upn"),
		failure: a("failure"), errorCode: a("error-code"), withheld: a("withheld"), actorID: a("actor-id"),
		actorUPN: a("actor-upn"), actorName: a("actor-name"), outcome: c.MustAttribute("action.result")}
}

func (k *kind) Stream() string { return k.requestedType.Kind() }

// Facts: an action happened, and is planned behind the devices and persons that it names.
func (k *kind) Facts() bool { return true }

func (k *kind) Forms() []plan.KindForm { return []plan.KindForm{{Form: forms[0], Parse: k.audit}} }

// Readings are the records of other kinds that tell of a remote action.
func (k *kind) Readings() []plan.Reading {
	return []plan.Reading{
		{Name: k.Stream(), Of: []string{audit.FormEvent, audit.FormLog}, Tells: isRemoteTask, Parse: k.task},
		{Name: formResult, Of: []string{formDevice}, Member: formResult, Parse: k.result},
	}
}

// Origin is the source, and when what the record tells was so.
func (t *telling) Origin() (string, time.Time) { return t.source, t.observed }

// RefusalStream is told apart by the source's own id, which the vault keeps only as an HMAC.
func (t *telling) RefusalStream(tx *vault.Tx, rule string) (schemas.Stream, bool, error) {
	return tx.MappedStream("refusal", name("refused "+t.kind.Stream(), rule, t.own[0]))
}

func (t *telling) deviceHint() vault.DeviceHint {
	return vault.DeviceHint{IntuneID: t.device, At: t.requested}
}

// at is the hint at the time of the request.
func (t *telling) at(h vault.PersonHint) vault.PersonHint {
	h.At = t.requested
	return h
}

// Look names the streams that the action may have, its device's, and whom it names.
func (t *telling) Look(l *plan.Looking) {
	if t.device != "" {
		l.Device(t.deviceHint())
	}
	for _, h := range []vault.PersonHint{t.actor, t.user} {
		if h != (vault.PersonHint{}) {
			l.Meet(t.at(h))
		}
	}
	all, err := t.candidates(l.Tx)
	if err != nil {
		return // planning asks once more, and has the error
	}
	for _, c := range all {
		l.Need(c.Stream)
	}
}

// Without takes out of what stands beside action, state and times.
func (t *telling) Without(refused func(*schemas.Attribute) bool) (plan.Record, int) {
	kept, n := *t, 0
	kept.values, n = plan.WithoutValues(t.values, refused)
	return &kept, n
}

// on is what is known of the device that an action is on, and of whoever used it then.
type on struct {
	device uuid.UUID
	exists bool // more is known of it than an action
	person uuid.UUID
	erased bool // whom the record names as its user is to be left out
}

// resolve finds the device and its user then. other says that the id is somebody's, and no
// device's.
func (t *telling) resolve(p *plan.Planner, mint bool) (o on, other bool, err error) {
	if t.device != "" {
		d, found, err := p.Tx.FindDevice(t.deviceHint())
		if err != nil {
			return o, false, err
		}
		if found {
			st, err := p.State(d.Stream)
			if err != nil {
				return o, false, err
			}
			o.device, o.exists = d.ID, st.Exists
			o.person = st.UserAt(t.requested)
		} else if _, found, err = p.Tx.FindPerson(vault.PersonHint{ObjectID: t.device, At: t.requested}); found {
			return o, true, err
		} else if err != nil && !errors.Is(err, vault.ErrErasedSubject) {
			return o, false, err
		}
	}
	if o.person == uuid.Nil && t.user != (vault.PersonHint{}) {
		o.person, o.erased, err = p.Whom(t.at(t.user), mint)
	}
	return o, false, err
}

// Plan compares what the record tells of the action with what is known of it.
func (t *telling) Plan(p *plan.Planner) (plan.Act, plan.Outcome, error) {
	stream, err := t.find(p.Tx)
	if err != nil {
		return nil, 0, err
	}
	if stream == "" {
		stream = p.NewStream(t.kind.Stream())
	}
	st, err := p.State(stream)
	if err != nil {
		return nil, 0, err
	}
	o, other, err := t.resolve(p, !st.Exists)
	if err != nil {
		return nil, 0, err
	}
	if other {
		return nil, plan.Unchanged, nil // it was done to no device
	}
	return func() ([]plan.Step, plan.Outcome, error) { return t.write(p, st, o) }, 0, nil
}

// write appends what the record adds, and leads its names to the action.
func (t *telling) write(p *plan.Planner, st *plan.StreamState, o on) ([]plan.Step, plan.Outcome, error) {
	s, k := st.Content.(*state), t.kind
	now := *t
	now.values = make(map[*schemas.Attribute]jsonValue, len(t.values)+4)
	for a, v := range t.values {
		if o.erased && a.Role == roleTarget {
			p.Tally.Omitted++
			continue
		}
		if (a == k.failure || a == k.errorCode) && !(ended(t.state) && t.state != "done") {
			continue
		}
		now.values[a] = v
	}
	now.values[k.action] = schemas.JSON(t.action)
	now.values[k.requestedAt] = schemas.JSON(record.WholeSeconds(t.requested))
	if o.device != uuid.Nil {
		now.values[k.device] = schemas.JSON(o.device.String())
	}
	if g := t.group; g.id != "" {
		now.values[k.group] = schemas.JSON(p.Tx.FactStream(g.kind, g.namespace, g.id).UUID().String())
	}
	actor, erased, err := p.Whom(t.at(t.actor), !st.Exists)
	if err != nil {
		return nil, 0, err
	}
	if erased {
		for a := range now.values {
			if a.Role == roleActor {
				p.Tally.Omitted++
				delete(now.values, a)
			}
		}
	}
	changes, progressed, late := s.news(&now)
	if st.Exists && actor == uuid.Nil && !erased && hasRole(changes, roleActor) { // who is new is made known
		if actor, _, err = p.Whom(t.at(t.actor), true); err != nil {
			return nil, 0, err
		}
	}
	if s.targetGone {
		o.person = uuid.Nil
	}
	d := drafter{p: p, k: k, stream: st.Stream, source: t.source, form: t.form, actor: actor,
		target: cmp.Or(o.person, s.target)}
	drafts := d.restate(s, changes, o, now.observed)
	switch {
	case !st.Exists:
		begun := t.begun(changes)
		drafts = append(drafts, d.draft(k.requestedType, t.requested, begun))
		if further := t.further(changes); len(further) > 0 {
			drafts = append(drafts, d.draft(k.progressed, t.observed, further))
		}
	case len(changes) > 0:
		at := t.requested
		if progressed {
			at = t.observed
		}
		drafts = append(drafts, d.draft(k.progressed, at, changes))
	}
	refusals, apply, err := p.Refusals(st.Stream, t.source, t.observed, t.refused)
	if err != nil {
		return nil, 0, err
	}
	steps, err := p.Encode(st, drafts)
	if st.Exists && (errors.Is(err, vault.ErrExpired) || errors.Is(err, vault.ErrErased)) {
		return nil, plan.Unchanged, nil // it is recorded, and nothing more of it may be kept
	}
	if err != nil {
		return nil, 0, err
	}
	apply()
	if len(drafts) > 0 {
		p.Unsettle(st.Stream)
	}
	st.Advance(steps)
	s.apply(changes, t.form)
	if len(drafts) > 0 && d.target != uuid.Nil {
		s.target, s.targetGone = d.target, false
	}
	if err := t.named(p.Tx, st.Stream, o.device, d.target); err != nil {
		return nil, 0, err
	}
	if t.device != "" && !o.exists {
		if err := p.Tx.Await(t.device, st.Stream); err != nil {
			return nil, 0, err
		}
	}
	steps = append(refusals, steps...)
	switch {
	case len(drafts) > 0:
		return steps, plan.Recorded, nil
	case late:
		return steps, plan.Superseded, nil
	}
	return steps, plan.Unchanged, nil
}

// behind reports whether the attribute tells what became of a request.
func (k *kind) behind(a *schemas.Attribute) bool {
	return slices.Contains([]*schemas.Attribute{k.completedAt, k.failure, k.errorCode, k.withheld}, a)
}

// begun are the changes as of the request: nothing is told yet of what became of it.
func (t *telling) begun(changes []change) []change {
	k := t.kind
	out := make([]change, 0, len(changes))
	for _, c := range changes {
		if c.attr == k.state {
			c.plain = schemas.JSON(stateRequested)
		}
		if !k.behind(c.attr) {
			out = append(out, c)
		}
	}
	return out
}

// further are those that came behind the request.
func (t *telling) further(changes []change) (out []change) {
	k := t.kind
	for _, c := range changes {
		if k.behind(c.attr) || c.attr == k.state && t.state != stateRequested {
			out = append(out, c)
		}
	}
	return out
}

func hasRole(changes []change, role string) bool {
	for _, c := range changes {
		if c.attr.Role == role {
			return true
		}
	}
	return false
}
