package adminaction

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// resolving finds out whom and what a record names. Without mint it only looks: an action that
// is recorded already makes nobody known.
type resolving struct {
	p    *plan.Planner
	f    *fact
	at   time.Time
	mint bool
}

// person finds a person, and mints one where it may. uuid.Nil: nobody.
func (r resolving) person(h vault.PersonHint) (uuid.UUID, error) {
	h.At = r.at
	if !r.mint {
		id, _, err := r.p.Tx.FindPerson(h)
		return id, err
	}
	return r.p.Person(h)
}

// known finds what the vault knows a GUID to be, whatever it was called.
func (r resolving) known(id string) (device *vault.Device, person uuid.UUID, err error) {
	for _, h := range []vault.DeviceHint{{IntuneID: id, At: r.at}, {DirectoryID: id, At: r.at}} {
		d, found, err := r.p.Tx.FindDevice(h)
		if err != nil || found {
			return &d, uuid.Nil, err
		}
	}
	person, found, err := r.p.Tx.FindPerson(vault.PersonHint{ObjectID: id, At: r.at})
	if err != nil || !found {
		return nil, uuid.Nil, err
	}
	if r.mint { // it was seen again
		person, err = r.person(vault.PersonHint{ObjectID: id})
	}
	return nil, person, err
}

// resolve finds out who acted and what it was done to. Those targets go first that say
// themselves what they are: the others may be the same.
func (r resolving) resolve() (actor uuid.UUID, erased bool, targets []resolvedTarget, err error) {
	f := r.f
	if f.actor.person {
		actor, err = r.person(vault.PersonHint{ObjectID: f.actor.objectID, UPN: f.actor.upn})
		if erased = errors.Is(err, vault.ErrErasedSubject); erased {
			err = nil
		}
		if err != nil {
			return actor, erased, nil, err
		}
	}
	var missing error
	targets = make([]resolvedTarget, len(f.targets))
	for _, typed := range []bool{true, false} {
		for i, t := range f.targets {
			as := kindOfTarget(t.kind)
			if (as == targetDevice || as == targetUser) != typed {
				continue
			}
			one, err := r.target(t, as)
			if errors.Is(err, plan.ErrNeedState) {
				missing = err // all that have to be read are asked for at once
			} else if err != nil {
				return actor, erased, nil, err
			}
			targets[i] = one
		}
	}
	return actor, erased, targets, missing
}

// target resolves what an action was done to. What it is comes from itself: what the vault knows
// its id to be, its own type, its name where that is a user's; never from what the operation is
// called. A device that is not known yet is minted, so that the action and the device's later
// snapshots name one stream; its user then is taken from the ledger, never guessed. A person
// whose erasure is not older than the action is left out.
func (r resolving) target(t target, as targetKind) (resolvedTarget, error) {
	out := resolvedTarget{target: t, as: as}
	id, isID := record.AsGUID(t.id)
	if isID {
		device, person, err := r.known(id)
		switch {
		case errors.Is(err, vault.ErrErasedSubject):
			return r.leaveOut(out), nil
		case err != nil:
			return out, err
		case device != nil:
			return r.onDevice(out, *device, id)
		case person != uuid.Nil:
			out.as, out.person = targetUser, person
			return out, nil
		}
	}
	f := r.f
	hint := vault.PersonHint{}
	switch upn := userName(t.name); {
	case as == targetDevice && isID && r.mint:
		device, err := r.p.Device(vault.DeviceHint{IntuneID: id, At: r.at})
		if err != nil {
			return out, err
		}
		return r.onDevice(out, device, id)
	case as == targetUser:
		if hint = (vault.PersonHint{ObjectID: id, UPN: upn}); !isID && hint.UPN == "" {
			hint.UPN = userName(t.id)
		}
	case as != targetOther || upn == "" || kindOfTarget(t.about) == targetResource:
	case kindOfTarget(t.about) == targetUser:
		hint = vault.PersonHint{ObjectID: id, UPN: upn}
	default:
		// Somebody's sign-in name, if it is one that is known: what has it may also be a thing
		// that was called so.
		person, _, err := r.p.Tx.FindPerson(vault.PersonHint{UPN: upn, At: r.at})
		if errors.Is(err, vault.ErrErasedSubject) {
			return r.leaveOut(out), nil
		}
		out.person = person
		return out, err
	}
	if hint != (vault.PersonHint{}) {
		person, err := r.person(hint)
		if errors.Is(err, vault.ErrErasedSubject) {
			return r.leaveOut(out), nil
		}
		if out.person = person; person != uuid.Nil {
			out.as = targetUser
		}
		return out, err
	}
	if out.as == targetResource && isID && f.named[id] {
		out.as = targetOther // the same record gives the id to a person or device
	}
	return out, nil
}

// onDevice links the target to a device and to whoever used it then.
func (r resolving) onDevice(out resolvedTarget, d vault.Device, id string) (resolvedTarget, error) {
	if r.mint {
		r.p.Meet(plan.Met{Device: d.ID, Stream: d.Stream, IDs: []string{id}})
	}
	st, err := r.p.State(d.Stream)
	if err != nil {
		return out, err
	}
	out.as, out.device, out.person = targetDevice, d.ID, st.UserAt(r.at)
	return out, nil
}

// userName returns a text that has the form of a sign-in name, "" for any other.
func userName(s string) string {
	local, domain, ok := strings.Cut(strings.TrimSpace(s), "@")
	odd := strings.ContainsAny(strings.TrimSpace(s), " \t\r\n/\\:;,<>()\"") || strings.Contains(domain, "@")
	if !ok || odd || local == "" || !strings.Contains(domain, ".") {
		return ""
	}
	return strings.TrimSpace(s)
}

func (r resolving) leaveOut(out resolvedTarget) resolvedTarget {
	out.erased = true
	for _, there := range []bool{out.id != "", out.name != "", len(out.changes) > 0} {
		if there {
			r.p.Tally.Omitted++
		}
	}
	return out
}

// withoutPerson returns the actor's values that are nobody's in person. An application's id is
// one of them, unless it is the actor's own.
func (f *fact) withoutPerson(a actor, t *plan.Tally) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for id, raw := range a.values {
		attr := f.kind.catalogue.MustAttribute(id)
		text, _ := record.AsText(raw)
		guid, _ := record.AsGUID(text)
		switch {
		case attr.Key != schemas.KeyPerson, attr.Shape != nil && guid != "" && guid != a.objectID:
			out[id] = raw
		case !record.IsEmpty(raw):
			t.Omitted++
		}
	}
	return out
}

// yours tells of ids whether they are a person's or device's: the vault knows them as one's, or
// the record gives them to one; and whether they are the actor's own.
func (r resolving) yours(targets []resolvedTarget) func(id string) (whose, own bool) {
	f := r.f
	return func(id string) (whose, own bool) {
		if f.actor.person && id == f.actor.objectID {
			return true, true
		}
		for _, t := range targets {
			if guid, ok := record.AsGUID(t.id); ok && guid == id && (t.as == targetDevice || t.as == targetUser) {
				return true, false
			}
		}
		device, person, err := resolving{p: r.p, f: f, at: r.at}.known(id)
		return err != nil || device != nil || person != uuid.Nil || f.named[id], false
	}
}

// idIn returns which of the ids a target has.
func idIn(m plan.Met, t *toldTarget) string {
	for _, id := range m.IDs {
		if id != "" && strings.EqualFold(id, t.native()) {
			return id
		}
	}
	return ""
}

// Link supplements the actions that waited: with the device, and with the person, or the
// device's user then. What could be linked already is forgotten: the supplement is in the
// ledger.
func (k *kind) Link(p *plan.Planner, source string, waits []plan.Waiting) (steps []plan.Step, err error) {
	done := map[uuid.UUID][]schemas.Stream{} // by whom they waited for
	for _, w := range waits {
		a := w.State.Content.(*toldAction)
		if !w.State.Exists || a.recorded == uuid.Nil {
			continue // its append did not come about; who tells it again finds the id known
		}
		person := w.Person
		if w.Device != uuid.Nil {
			st, err := p.State(w.Stream)
			if err != nil {
				return nil, err
			}
			person = st.UserAt(a.occurred)
		}
		var n news
		for i, is := range a.targets {
			id := idIn(w.Met, is)
			isDevice := w.Device != uuid.Nil && is.text(attrTargetDevice) == w.Device.String()
			if is.gone(attrTargetID) || id == "" && !isDevice {
				continue
			}
			erased, err := erasedThen(p.Tx, w.Met, a.occurred)
			if err != nil {
				return nil, err
			}
			if erased {
				continue // whoever had the id then: it is not whom it names now
			}
			r := resolvedTarget{target: target{id: cmp.Or(id, w.IDs[0])}, device: w.Device, person: person}
			anew := toldAnew{resolvedTarget: r, idAttr: k.catalogue.MustAttribute(attrTargetID)}
			anew.values, _ = r.values(k.catalogue)
			n.target(a, i, anew)
		}
		if n.none() {
			if !a.planned { // what may not come about is still waited for
				done[w.Owner()] = append(done[w.Owner()], w.State.Stream)
			}
			continue
		}
		draft := drafter(p, w.State.Stream, source, a.occurred)
		own, err := k.encode(p, w.State, k.newsDrafts(draft, a, "", uuid.Nil, n))
		if errors.Is(err, vault.ErrExpired) || errors.Is(err, vault.ErrErased) {
			done[w.Owner()] = append(done[w.Owner()], w.State.Stream)
			continue
		}
		if err != nil {
			return nil, err
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

// erasedThen reports whether who had one of the ids at that time was erased since.
func erasedThen(tx *vault.Tx, m plan.Met, at time.Time) (bool, error) {
	for _, id := range m.IDs {
		var err error
		if m.Person != uuid.Nil {
			_, _, err = tx.FindPerson(vault.PersonHint{ObjectID: id, At: at})
		} else if _, _, err = tx.FindDevice(vault.DeviceHint{IntuneID: id, At: at}); err == nil {
			_, _, err = tx.FindDevice(vault.DeviceHint{DirectoryID: id, At: at})
		}
		if errors.Is(err, vault.ErrErasedSubject) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// encode seals and encodes further events of an action, and brings its state forward.
func (k *kind) encode(p *plan.Planner, st *plan.StreamState, drafts []schemas.Draft) ([]plan.Step, error) {
	notes := make([]said, len(drafts))
	for i, d := range drafts {
		notes[i] = saidByDraft(d)
	}
	steps, err := p.Encode(st, drafts)
	if err != nil {
		return nil, err
	}
	a := st.Content.(*toldAction)
	for _, n := range notes {
		a.note(n, k)
	}
	a.planned = true
	st.Advance(steps)
	return steps, nil
}
