package account

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// kind is the kind of accounts of a directory. Each is a person's, and all that is told of it is
// sealed under their key.
type kind struct {
	catalogue *schemas.Catalogue
	entity.Definition
	observed, changed, restated, deleted *schemas.Type

	upn, mail, deletedAt, businessPhone, licence *schemas.Attribute
}

var _ plan.Kind = (*kind)(nil)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	k := &kind{catalogue: c,
		observed: c.MustType("account.observed.v1"), changed: c.MustType("account.changed.v1"),
		restated: c.MustType("account.restated.v1"), deleted: c.MustType("account.deleted.v1"),

		upn: c.MustAttribute("account.upn"), mail: c.MustAttribute("account.mail"),
		deletedAt:     c.MustAttribute("account.deleted-at"),
		businessPhone: c.MustAttribute("account.business-phone"), licence: c.MustAttribute("account.licence"),
	}
	k.Definition = entity.Define(k.restated, nil)
	return k
}

func (k *kind) Stream() string { return k.observed.Kind() }
func (k *kind) Facts() bool    { return false }

func (k *kind) Forms() []plan.KindForm { return []plan.KindForm{{Form: forms[0], Parse: k.parseGraph}} }

// Fold returns what the events of an account say now.
func (k *kind) Fold(tx *vault.Tx, h plan.History) (plan.Content, error) {
	return entity.Fold(k.Definition, tx, entity.Past(h), nil)
}

// Ahead implements plan.Remembering.
func (k *kind) Ahead(known []byte, a *vault.Ahead) { entity.Ahead(known, a) }

// Origin is the source, and S.
func (a *account) Origin() (string, time.Time) { return a.Source, a.Observed }

// RefusalStream is told apart by account and age, which the vault keeps only as an HMAC.
func (a *account) RefusalStream(tx *vault.Tx, rule string) (schemas.Stream, bool, error) {
	b := schemas.LP(schemas.LP([]byte("refused account"), rule), a.object)
	b = binary.BigEndian.AppendUint64(schemas.LP(b, a.Source), uint64(a.Age().Unix()))
	return tx.MappedStream("refusal", b)
}

// Look names the stream of whose account it is.
func (a *account) Look(l *plan.Looking) {
	l.Person(a.kind.Stream(), a.hint())
}

func (a *account) hint() vault.PersonHint {
	return vault.PersonHint{ObjectID: a.object, UPN: a.upn, Email: a.mail, At: a.Age()}
}

// Plan compares the snapshot with what is known of the account.
func (a *account) Plan(p *plan.Planner) (plan.Act, plan.Outcome, error) {
	if err := a.Expired(p.Tx); err != nil {
		return nil, 0, err
	}
	kept := *a
	a = &kept
	var refused int
	a.Snapshot, refused = a.Without(p.Tenant.Policy.Refuses)
	a.refused = p.RefusedByPolicy(a.refused, refused)
	person, err := p.Person(a.hint())
	if err != nil {
		return nil, 0, err
	}
	stream, err := p.PersonStream(a.kind.Stream(), person)
	if err != nil {
		return nil, 0, err
	}
	known, err := p.State(stream)
	if err != nil {
		return nil, 0, err
	}
	lists, err := a.lists(p, stream)
	if err != nil {
		return nil, 0, err
	}
	return func() ([]plan.Step, plan.Outcome, error) { return a.write(p, known, person, lists) }, 0, nil
}

func (a *account) lists(p *plan.Planner, stream schemas.Stream) (out []entity.ResolvedList, err error) {
	for _, l := range a.Lists {
		r := l.Resolve()
		for _, item := range l.Items {
			element, err := p.Tx.Element(stream, a.kind.ListName(l.Attr), item.Key)
			if err != nil {
				return nil, err
			}
			r.Add(element, item.Value, uuid.Nil)
		}
		out = append(out, r)
	}
	return out, nil
}

func (a *account) write(
	p *plan.Planner, known *plan.StreamState, person uuid.UUID, lists []entity.ResolvedList,
) ([]plan.Step, plan.Outcome, error) {
	st := known.Content.(*entity.State)
	snap := a.Clone()
	if _, told := st.Value(a.kind.deletedAt); !told {
		delete(snap.None, a.kind.deletedAt) // it never was deleted, and that needs no telling
	}
	diff := st.Diff(snap, lists, entity.Terms{Unlimited: p.Unlimited})
	refusals, apply, err := p.Refusals(known.Stream, a.Source, a.Observed, a.refused)
	if err != nil {
		return nil, 0, err
	}
	if !diff.Writes() {
		apply()
		return refusals, p.Unwritten(diff.Late, diff.Moments), nil
	}
	if !st.Newest(a.Moment) {
		p.Unsettle(known.Stream)
	}
	if err := st.Former(p.Tx, diff); err != nil {
		return nil, 0, err
	}
	diff.Protect(a.Snapshot, st)
	d := a.drafter(p, known, person)
	steps, err := p.Encode(known, d.Events(st, snap, diff))
	if err != nil {
		return nil, 0, err
	}
	apply()
	known.Advance(steps)
	st.Apply(snap, diff, d.Owner)
	return append(refusals, steps...), plan.Recorded, nil
}

// drafter reports what changes of the account: on first sight in one type, and its end in another.
func (a *account) drafter(p *plan.Planner, known *plan.StreamState, person uuid.UUID) entity.Drafter {
	k, whole := a.kind, a.kind.changed
	if !known.Exists {
		whole = k.observed
	}
	return entity.Drafter{Def: k.Definition, Occurred: a.Observed,
		New: func(t *schemas.Type, at time.Time) schemas.Draft {
			return p.Draft(t, known.Stream, a.Source, at)
		},
		Owner: func(entity.Delta) schemas.Owner { return schemas.PersonOrTenant(person) },
		Subjects: func(_ *schemas.Type, others []uuid.UUID) (out []schemas.SubjectRef) {
			all := append([]uuid.UUID{person}, others...)
			for i, of := range all {
				if !slices.Contains(all[:i], of) {
					out = append(out, schemas.SubjectRef{Role: "user", Person: of})
				}
			}
			return out
		},
		Order: []*schemas.Type{k.observed, k.restated, k.changed, k.deleted}, Restated: k.restated, Confirmed: whole,
		Contacted: whole,
		Route: func(c entity.Delta) *schemas.Type {
			if c.Attr == k.deletedAt && !c.Removed {
				return k.deleted
			}
			return whole
		},
	}
}
