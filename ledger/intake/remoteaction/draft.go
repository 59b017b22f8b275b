package remoteaction

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/audit"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

type jsonValue = json.RawMessage

// drafter makes the events of an action.
type drafter struct {
	p             *plan.Planner
	k             *kind
	stream        schemas.Stream
	source, form  string
	actor, target uuid.UUID
}

// draft returns an event that tells the changes. It names the device's user, and who acted where
// it says so.
func (d drafter) draft(t *schemas.Type, at time.Time, changes []change) schemas.Draft {
	out := d.p.Draft(t, d.stream, d.source, at)
	if d.actor != uuid.Nil && hasRole(changes, roleActor) {
		out.Subjects = append(out.Subjects, schemas.SubjectRef{Role: roleActor, Person: d.actor})
	}
	if d.target != uuid.Nil {
		out.Subjects = append(out.Subjects, schemas.SubjectRef{Role: roleTarget, Person: d.target})
	}
	out.Values = append(out.Values, schemas.Value{Attr: d.k.form, Plain: schemas.JSON(d.form)})
	d.into(&out, changes)
	return out
}

// into adds the changes to an event.
func (d drafter) into(out *schemas.Draft, changes []change) {
	for _, c := range changes {
		v := schemas.Value{Attr: c.attr, Plain: c.plain, Removed: c.removed,
			Owner: schemas.Owner{Kind: schemas.OwnerTenant}}
		switch c.attr.Role {
		case roleActor:
			v.Owner = schemas.PersonOrTenant(d.actor)
		case roleTarget:
			v.Owner = schemas.PersonOrTenant(d.target)
		}
		out.Values = append(out.Values, v)
	}
}

// restate tells again what is the device's user's own, under their key, once it is known who that
// is: what one form told stays that form's. It returns no event where nothing changes hands.
func (d drafter) restate(s *state, changes []change, o on, at time.Time) (out []schemas.Draft) {
	_, hadDevice := s.values[d.k.device]
	switch {
	case len(s.values) == 0 || o.person == uuid.Nil || s.targetGone || s.target == o.person:
		return nil
	case s.target != uuid.Nil && (hadDevice || o.device == uuid.Nil):
		return nil // as it was found when the device was known
	}
	by := map[int][]change{}
	for _, a := range d.k.restated.Attributes() {
		h, known := s.values[a]
		told := slices.ContainsFunc(changes, func(c change) bool { return c.attr == a })
		if known && !h.gone && !told && a.Role == roleTarget {
			by[h.rank] = append(by[h.rank], change{attr: a, plain: h.plain})
		}
	}
	for _, form := range []string{audit.FormEvent, formAudit, formResult} {
		if all := by[rank(form)]; len(all) > 0 {
			d.form, d.actor = form, uuid.Nil
			out = append(out, d.draft(d.k.restated, at, all))
		}
	}
	if len(out) == 0 && len(changes) == 0 { // nothing of theirs is told, but that it was their device
		d.form, d.actor = formResult, uuid.Nil
		out = append(out, d.draft(d.k.restated, at, nil))
	}
	return out
}

// Link adds to the actions that waited which device they are on, and names who used it then.
func (k *kind) Link(p *plan.Planner, source string, waits []plan.Waiting) (steps []plan.Step, err error) {
	done := map[uuid.UUID][]schemas.Stream{}
	for _, w := range waits {
		s := w.State.Content.(*state)
		if w.Device == uuid.Nil { // the id is no device's after all
			done[w.Owner()] = append(done[w.Owner()], w.State.Stream)
			continue
		}
		if !w.State.Exists {
			continue // its append did not come about; who tells it again finds the device known
		}
		st, err := p.State(w.Stream)
		if err != nil {
			return nil, err
		}
		o := on{device: w.Device}
		asked := s.time(k.requestedAt)
		o.person = st.UserAt(asked)
		if _, gone, err := erasedThen(p.Tx, w.IDs, asked); err != nil {
			return nil, err
		} else if gone {
			continue // whoever had the id then: it is not whom it names now
		}
		if s.targetGone {
			o.person = uuid.Nil
		}
		var changes []change
		if _, known := s.values[k.device]; !known {
			changes = []change{{attr: k.device, plain: schemas.JSON(w.Device.String())}}
		}
		d := drafter{p: p, k: k, stream: w.State.Stream, source: source, form: formResult, target: s.target}
		if o.person != uuid.Nil {
			d.target = o.person
		}
		drafts := d.restate(s, changes, o, asked)
		if n := len(drafts); n > 0 {
			d.into(&drafts[n-1], changes)
		} else if len(changes) > 0 {
			drafts = append(drafts, d.draft(k.progressed, asked, changes))
		}
		if len(drafts) == 0 {
			if !s.planned { // what may not come about is still waited for
				done[w.Owner()] = append(done[w.Owner()], w.State.Stream)
			}
			continue
		}
		own, err := p.Encode(w.State, drafts)
		if errors.Is(err, vault.ErrExpired) || errors.Is(err, vault.ErrErased) {
			done[w.Owner()] = append(done[w.Owner()], w.State.Stream)
			continue
		}
		if err != nil {
			return nil, err
		}
		w.State.Advance(own)
		s.apply(changes, formResult)
		s.planned = true
		if d.target != uuid.Nil {
			s.target, s.targetGone = d.target, false
		}
		steps = append(steps, own...)
	}
	for owner, streams := range done {
		if err := p.Tx.Forget(owner, streams...); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// erasedThen reports whether whose device had one of the ids at that time was erased since.
func erasedThen(tx *vault.Tx, ids []string, at time.Time) (d vault.Device, erased bool, err error) {
	for _, id := range ids {
		if d, _, err = tx.FindDevice(vault.DeviceHint{IntuneID: id, At: at}); errors.Is(err, vault.ErrErasedSubject) {
			return d, true, nil
		}
		if err != nil {
			return d, false, err
		}
	}
	return d, false, nil
}
