package intake

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// accountKind is the kind of accounts of a directory. Each is a person's, and all that is told of it is
// sealed under their key.
type accountKind struct {
	catalogue *schemas.Catalogue
	Definition
	observed, changed, restated, deleted *schemas.Type

	upn, mail, deletedAt, businessPhone, licence *schemas.Attribute
}

var _ Kind = (*accountKind)(nil)

// NewAccountKind returns the kind, in the terms of the catalogue.
func NewAccountKind(c *schemas.Catalogue) Kind {
	k := &accountKind{catalogue: c,
		observed: c.MustType("account.observed.v1"), changed: c.MustType("account.changed.v1"),
		restated: c.MustType("account.restated.v1"), deleted: c.MustType("account.deleted.v1"),

		upn: c.MustAttribute("account.upn"), mail: c.MustAttribute("account.mail"),
		deletedAt:     c.MustAttribute("account.deleted-at"),
		businessPhone: c.MustAttribute("account.business-phone"), licence: c.MustAttribute("account.licence"),
	}
	k.Definition = Definition{Whole: k.restated}
	return k
}

func (k *accountKind) Stream() string { return k.observed.Kind() }
func (k *accountKind) Facts() bool    { return false }

func (k *accountKind) Forms() []KindForm { return []KindForm{{accountForms[0], k.parseGraph}} }

// Fold returns what the events of an account say now.
func (k *accountKind) Fold(tx *vault.Tx, events []ledger.Own, left *ledger.LeftOut) (Content, error) {
	return Fold(k.Definition, tx, events, left)
}

// Origin is the source, and S.
func (a *account) Origin() (string, time.Time) { return a.Source, a.Observed }

// RefusalStream is told apart by account and age, which the vault keeps only as an HMAC.
func (a *account) RefusalStream(tx *vault.Tx, rule string) (schemas.Stream, bool, error) {
	b := schemas.LP(schemas.LP([]byte("refused account"), rule), a.object)
	b = binary.BigEndian.AppendUint64(schemas.LP(b, a.Source), uint64(a.Age().Unix()))
	return tx.MappedStream("refusal", b)
}

// Look finds nothing: whose stream it is, is known once the person is.
func (a *account) Look(*Looking) error { return nil }

// Plan compares the snapshot with what is known of the account.
func (a *account) Plan(p *Planner) (Act, Outcome, error) {
	if err := a.Expired(p.Tx); err != nil {
		return nil, 0, err
	}
	person, err := p.Person(vault.PersonHint{ObjectID: a.object, UPN: a.upn, Email: a.mail, At: a.Age()})
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
	return func() ([]Step, Outcome, error) { return a.write(p, known, person, lists) }, 0, nil
}

func (a *account) lists(p *Planner, stream schemas.Stream) (out []ResolvedList, err error) {
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
	p *Planner, known *StreamState, person uuid.UUID, lists []ResolvedList,
) ([]Step, Outcome, error) {
	st := known.Content.(*State)
	snap := a.Clone()
	if _, told := st.Value(a.kind.deletedAt); !told {
		delete(snap.None, a.kind.deletedAt) // it never was deleted, and that needs no telling
	}
	diff := st.Diff(snap, lists, Terms{Unlimited: p.Unlimited})
	refusals, apply, err := p.Refusals(known.Stream, a.Source, a.Observed, a.refused)
	if err != nil {
		return nil, 0, err
	}
	if !diff.Writes() {
		apply()
		if diff.Late {
			p.Tally.SameMoment = diff.Moments
			return refusals, Superseded, nil
		}
		return refusals, Unchanged, nil
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
	return append(refusals, steps...), Recorded, nil
}

// drafter reports what changes of the account: on first sight in one type, and its end in another.
func (a *account) drafter(p *Planner, known *StreamState, person uuid.UUID) Drafter {
	k, whole := a.kind, a.kind.changed
	if !known.Exists {
		whole = k.observed
	}
	return Drafter{Def: k.Definition, Occurred: a.Observed,
		New: func(t *schemas.Type, at time.Time) schemas.Draft {
			return p.Draft(t, known.Stream, a.Source, at)
		},
		Owner: func(Delta) schemas.Owner { return schemas.PersonOrTenant(person) },
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
		Route: func(c Delta) *schemas.Type {
			if c.Attr == k.deletedAt && !c.Removed {
				return k.deleted
			}
			return whole
		},
	}
}
