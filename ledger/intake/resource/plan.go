package resource

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Origin is the source, and S.
func (s *snapshot) Origin() (string, time.Time) { return s.Source, s.Observed }

// RefusalStream is told apart by thing and age, which the vault keeps only as an HMAC: a copy of
// the file is no other record. By what a device is, each of its records is refused: those of one
// thing are told once.
func (s *snapshot) RefusalStream(tx *vault.Tx, rule string) (schemas.Stream, bool, error) {
	b := schemas.LP(schemas.LP([]byte("refused "+s.kind.Stream()+s.form.Thing), rule), s.id)
	if rule == plan.RulePersonalApps {
		return tx.MappedStream("refusal", b)
	}
	b = binary.BigEndian.AppendUint64(schemas.LP(b, s.Source), uint64(s.Age().Unix()))
	return tx.MappedStream("refusal", b)
}

// mapped is what the thing's stream is found by.
func (s *snapshot) mapped() vault.Mapped {
	return vault.Mapped{Kind: s.kind.Stream(), Canonical: schemas.LP(schemas.LP(nil, s.form.Thing), s.id)}
}

// Look names the thing's stream, those of what may be refused of it, and whom it names.
func (s *snapshot) Look(l *plan.Looking) {
	if s.kind.whose.id != nil {
		l.Person(s.kind.Stream(), s.who)
	} else {
		var rules []string
		for _, r := range s.refused {
			rules = append(rules, r.Key())
		}
		l.Mapped(s.mapped(), rules...)
	}
	if s.form.appsOn != nil {
		l.Ask(s.onDevice())
	}
	for _, of := range s.kind.persons {
		if hint := s.named(of, s.text); hint != (vault.PersonHint{}) {
			l.Meet(hint)
		}
	}
	for _, list := range s.Lists {
		for _, item := range list.Items {
			if item.Person != "" {
				l.Meet(vault.PersonHint{ObjectID: item.Person})
			}
		}
	}
}

// text is what the record tells of an attribute, as text; "" for nothing.
func (s *snapshot) text(a *schemas.Attribute) string {
	t, _ := record.AsText(s.Values[a])
	return t
}

// named is how the values of those attributes name a person; nobody where none is of its form.
func (s *snapshot) named(by []named, text func(*schemas.Attribute) string) (h vault.PersonHint) {
	for _, n := range by {
		switch text := text(n.attr); {
		case n.by == ByID:
			h.ObjectID, _ = record.AsGUID(text)
		case !record.IsAddress(text):
		case n.by == ByUPN:
			h.UPN = text
		case n.by == ByEmail:
			h.Email = text
		}
	}
	if h != (vault.PersonHint{}) {
		h.At = s.Age()
	}
	return h
}

// onDevice is the device whose apps the record tells of.
func (s *snapshot) onDevice() vault.DeviceHint {
	return vault.DeviceHint{IntuneID: s.appsOn, At: s.Age()}
}

// Without takes out of the snapshot: what it told stays known, so that none of it stands open.
func (s *snapshot) Without(refused func(*schemas.Attribute) bool) (plan.Record, int) {
	kept, n := *s, 0
	kept.Snapshot, n = s.Snapshot.Without(refused)
	return &kept, n
}

// Plan compares the snapshot with what is known of the thing.
func (s *snapshot) Plan(p *plan.Planner) (plan.Act, plan.Outcome, error) {
	if err := s.Expired(p.Tx); err != nil {
		return nil, 0, err
	}
	if s.form.appsOn != nil {
		if err := p.KeepApps(s.onDevice()); err != nil {
			return nil, 0, err
		}
	}
	w := &writing{snapshot: s, p: p, kept: s.Clone(), whose: map[*schemas.Attribute]uuid.UUID{}}
	stream, err := w.stream()
	if err != nil {
		return nil, 0, err
	}
	if w.known, err = p.State(stream); err != nil {
		return nil, 0, err
	}
	if err := w.persons(); err != nil {
		return nil, 0, err
	}
	if err := w.entries(stream); err != nil {
		return nil, 0, err
	}
	return w.write, 0, nil
}

// writing is the planning of one snapshot.
type writing struct {
	*snapshot
	p      *plan.Planner
	kept   *entity.Snapshot // what may be kept of it
	known  *plan.StreamState
	person uuid.UUID // whose the thing is, if it is anybody's
	whose  map[*schemas.Attribute]uuid.UUID
	lists  []entity.ResolvedList
}

// stream finds or mints the thing's stream.
func (w *writing) stream() (schemas.Stream, error) {
	if w.kind.whose.id == nil {
		return w.p.Mapped(w.mapped())
	}
	var err error
	if w.person, err = w.p.Person(w.who); err != nil {
		return "", err
	}
	return w.p.PersonStream(w.kind.Stream(), w.person)
}

// persons finds or mints whom single values name, or whom those known do where the record tells of
// somebody without naming them. What names somebody whose erasure is not older than the record is
// left out: the whole record, where the thing is told apart by it. Its error is then
// vault.ErrErasedSubject.
func (w *writing) persons() error {
	st := w.known.Content.(*entity.State)
	for _, of := range w.kind.persons {
		if !slices.ContainsFunc(of, func(n named) bool { return w.kept.Values[n.attr] != nil }) {
			continue
		}
		hint := w.named(of, w.text)
		if hint == (vault.PersonHint{}) {
			hint = w.named(of, st.Text)
		}
		if hint == (vault.PersonHint{}) {
			continue
		}
		who, err := w.p.Person(hint)
		gone := errors.Is(err, vault.ErrErasedSubject)
		isOf := func(n named) bool { return n.attr == w.kind.identity }
		if err != nil && (!gone || slices.ContainsFunc(of, isOf)) {
			return err
		}
		for _, n := range of {
			if w.whose[n.attr] = who; gone && w.kept.Values[n.attr] != nil {
				delete(w.kept.Values, n.attr)
				w.p.Tally.Omitted++
			}
		}
	}
	return nil
}

// entries gives the entries of lists their elements, and finds whom they are about: an id in the
// directory that nobody is known by may be a group's.
func (w *writing) entries(stream schemas.Stream) error {
	for _, l := range w.Lists {
		r := l.Resolve()
		for _, item := range l.Items {
			var person uuid.UUID
			if item.Person != "" {
				who, _, err := w.p.Tx.FindPerson(vault.PersonHint{ObjectID: item.Person, At: w.Age()})
				if errors.Is(err, vault.ErrErasedSubject) {
					w.p.Tally.Omitted++
					continue
				}
				if err != nil {
					return err
				}
				person = who
			}
			element, err := w.p.Tx.Element(stream, w.kind.ListName(l.Attr), item.Key)
			if err != nil {
				return err
			}
			r.Add(element, item.Value, person)
		}
		w.lists = append(w.lists, r)
	}
	return nil
}

// write reports what rules keep out, and what the snapshot changes.
func (w *writing) write() ([]plan.Step, plan.Outcome, error) {
	p, st := w.p, w.known.Content.(*entity.State)
	if d := w.kind.deletedAt; d != nil {
		if _, told := st.Value(d); !told {
			delete(w.kept.None, d) // it never was deleted, and that needs no telling
		}
	}
	moved := w.moved(st)
	diff := st.Diff(w.kept, w.lists, entity.Terms{Unlimited: p.Unlimited, ConfirmDays: w.kind.ConfirmDays,
		Restate: len(moved) > 0, Apart: func(a *schemas.Attribute) bool { return !moved[a] }})
	refusals, apply, err := p.Refusals(w.known.Stream, w.Source, w.Observed, w.refused)
	if err != nil {
		return nil, 0, err
	}
	if !diff.Writes() {
		apply()
		return refusals, p.Unwritten(diff.Late, diff.Moments), nil
	}
	if len(moved) > 0 || !st.Newest(w.Moment) {
		p.Unsettle(w.known.Stream)
	}
	if err := st.Former(p.Tx, diff); err != nil {
		return nil, 0, err
	}
	diff.Name(func(a *schemas.Attribute) uuid.UUID { return w.whose[a] })
	diff.Protect(w.whole, st)
	d := w.drafter()
	steps, err := p.Encode(w.known, d.Events(st, w.kept, diff))
	if err != nil {
		return nil, 0, err
	}
	apply()
	w.known.Advance(steps)
	st.Apply(w.kept, diff, d.Owner)
	return append(refusals, steps...), plan.Recorded, nil
}

// moved returns the attributes of which the record says that they are another's than before: what
// is known of them is told again under the new one's key.
func (w *writing) moved(st *entity.State) map[*schemas.Attribute]bool {
	out := map[*schemas.Attribute]bool{}
	for _, of := range w.kind.persons {
		now := uuid.Nil
		for _, n := range of {
			have, known := st.Value(n.attr)
			if n.by != 0 && w.kept.Values[n.attr] != nil && w.whose[n.attr] != st.Whose(n.attr) &&
				(!known || w.Newer(have.Moment)) {
				now = w.whose[n.attr]
			}
		}
		for _, n := range of {
			if now != uuid.Nil && st.Whose(n.attr) != now {
				out[n.attr] = true
			}
		}
	}
	return out
}

// owner says whose key seals a value.
func (w *writing) owner(c entity.Delta) schemas.Owner {
	switch {
	case c.Attr.Key != schemas.KeyPerson:
		return schemas.Owner{Kind: schemas.OwnerTenant}
	case c.Person != uuid.Nil:
		return schemas.PersonOrTenant(c.Person)
	}
	return schemas.PersonOrTenant(w.person)
}

// drafter reports what changes of the thing: on first sight in one type, and its end in another.
func (w *writing) drafter() entity.Drafter {
	k, whole := w.kind, w.kind.changed
	if !w.known.Exists {
		whole = k.observed
	}
	return entity.Drafter{Def: k.Definition, Occurred: w.Observed, Owner: w.owner, Restated: k.restated,
		Confirmed: whole, Contacted: whole, Order: []*schemas.Type{k.observed, k.restated, k.changed, k.deleted},
		New: func(t *schemas.Type, at time.Time) schemas.Draft {
			return w.p.Draft(t, w.known.Stream, w.Source, at)
		},
		Subjects: func(_ *schemas.Type, others []uuid.UUID) (out []schemas.SubjectRef) {
			all := append([]uuid.UUID{w.person}, others...)
			for i, of := range all {
				if of != uuid.Nil && !slices.Contains(all[:i], of) {
					out = append(out, schemas.SubjectRef{Role: k.role, Person: of})
				}
			}
			return out
		},
		Route: func(c entity.Delta) *schemas.Type {
			if c.Attr == k.deletedAt && k.deletedAt != nil && !c.Removed {
				return k.deleted
			}
			return whole
		},
	}
}
