package intake

import (
	"encoding/json"
	"errors"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// target resolves what an action was done to. A device that is not known yet is minted, so that the action and the device's later snapshots
// name one stream; its user then is taken from the ledger, never guessed. A person whose erasure is not older than the action is left out.
func (p *planner) target(e *entry, t target) (resolvedTarget, error) {
	r := resolvedTarget{target: t, as: kindOfTarget(t.kind)}
	id, ok := asGUID(t.id)
	switch {
	case !ok:
		return r, nil
	case r.as == targetUser:
		person, _, err := p.tx.Person(vault.PersonHint{ObjectID: id, At: e.fact.occurred})
		if errors.Is(err, vault.ErrErasedSubject) {
			return p.leaveOut(e, r), nil
		}
		r.person = person
		return r, err
	case r.as != targetDevice:
		return r, nil
	}
	device, created, err := p.tx.Device(vault.DeviceHint{IntuneID: id, At: e.fact.occurred})
	if errors.Is(err, vault.ErrErasedSubject) {
		return p.leaveOut(e, r), nil
	}
	if err != nil {
		return r, err
	}
	if created {
		p.minted[device.ID] = true
	}
	st, err := p.state(device.Stream, p.minted[device.ID])
	if err != nil {
		return r, err
	}
	r.device, r.person = device.ID, st.userAt(e.fact.occurred)
	return r, nil
}

func (p *planner) leaveOut(e *entry, r resolvedTarget) resolvedTarget {
	r.erased = true
	for _, there := range []bool{r.id != "", r.name != "", r.changes != nil} {
		if there {
			e.omitted++
		}
	}
	return r
}

// withoutPerson returns the actor's values that are nobody's in person.
func (p *planner) withoutPerson(e *entry, values map[string]json.RawMessage) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for id, raw := range values {
		switch {
		case p.in.cfg.Catalogue.MustAttribute(id).Key != schemas.KeyPerson:
			out[id] = raw
		case !isEmpty(raw):
			e.omitted++
		}
	}
	return out
}
