package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// kind is the kind of alerts.
type kind struct {
	catalogue *schemas.Catalogue
	recorded  *schemas.Type
}

var _ plan.Kind = (*kind)(nil)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return &kind{catalogue: c, recorded: c.MustType("alert.recorded.v1")}
}

func (k *kind) Stream() string { return k.recorded.Kind() }
func (k *kind) Facts() bool    { return true }

func (k *kind) Forms() []plan.KindForm {
	return []plan.KindForm{{Form: logForm, OwnTime: true, Parse: k.parseLog},
		{Form: eventForm, OwnTime: true, Parse: k.parseEvent}}
}

// Fold returns nothing: a record that is told says all that there is.
func (k *kind) Fold(*vault.Tx, plan.History) (plan.Content, error) { return struct{}{}, nil }

// fact is one record, before anybody in it is known to us.
type fact struct {
	kind      *kind
	source    string
	at        time.Time
	values    map[*schemas.Attribute]json.RawMessage
	device    vault.DeviceHint
	user      vault.PersonHint
	canonical []byte // what tells the record apart
	refused   []plan.Refusal
}

// maxText is the longest that a text is kept, in bytes.
const maxText = 8 << 10

// tell takes in what a field says of an attribute. What an earlier field told stays.
func (f *fact) tell(in plan.Parsing, attr string, raw json.RawMessage) error {
	a := f.kind.catalogue.MustAttribute(attr)
	if f.values[a] != nil {
		return nil
	}
	text, ok := record.AsText(raw)
	if ok && record.SecretText(text) {
		in.Tally.Withheld++
		return nil
	}
	if ok && len(text) > maxText {
		raw = schemas.JSON(record.Clip(text, maxText))
		in.Tally.Cut++
	}
	value, found, err := record.Normalise(a, raw, 1)
	if err != nil {
		return &record.FieldError{Reason: err.Error()}
	}
	if found == record.Reported {
		f.values[a] = value
	}
	return nil
}

// Origin is the source, and when it was told.
func (f *fact) Origin() (string, time.Time) { return f.source, f.at }

func (f *fact) mapped() vault.Mapped {
	return vault.Mapped{Kind: f.kind.Stream(), Canonical: f.canonical}
}

// RefusalStream is told apart as the record is.
func (f *fact) RefusalStream(tx *vault.Tx, rule string) (schemas.Stream, bool, error) {
	return tx.MappedStream("refusal", append(schemas.LP([]byte("refused alert"), rule), f.canonical...))
}

// Look names the record's stream, the device's and the user.
func (f *fact) Look(l *plan.Looking) {
	var rules []string
	for _, r := range f.refused {
		rules = append(rules, r.Key())
	}
	l.Mapped(f.mapped(), rules...)
	l.Device(f.device)
	l.Meet(f.user)
}

// Without takes out of the values.
func (f *fact) Without(refused func(*schemas.Attribute) bool) (plan.Record, int) {
	kept, n := *f, 0
	kept.values, n = plan.WithoutValues(f.values, refused)
	return &kept, n
}

// Plan finds whom and what the record is about. One that is told already tells nothing more.
func (f *fact) Plan(p *plan.Planner) (plan.Act, plan.Outcome, error) {
	stream, err := p.Mapped(f.mapped())
	if err != nil {
		return nil, 0, err
	}
	st, err := p.State(stream)
	if err != nil || st.Exists {
		return nil, plan.Unchanged, err
	}
	who, erased, err := p.Whom(f.user, f.user.UPN != "") // one who is named by a UPN is made known
	if err != nil {
		return nil, 0, err
	}
	device, err := p.Device(f.device)
	if err != nil && !errors.Is(err, vault.ErrErasedSubject) {
		return nil, 0, err
	}
	if err == nil && device.ID != uuid.Nil {
		p.Meet(plan.Met{Device: device.ID, Stream: device.Stream,
			IDs: []string{f.device.IntuneID, f.device.DirectoryID}})
		if who == uuid.Nil && !erased && f.user.UPN == "" {
			known, err := p.State(device.Stream)
			if err != nil {
				return nil, 0, err
			}
			who = known.UserAt(f.at)
		}
	}
	return func() ([]plan.Step, plan.Outcome, error) { return f.write(p, st, who, erased, device.ID) }, 0, nil
}

func (f *fact) write(
	p *plan.Planner, st *plan.StreamState, who uuid.UUID, erased bool, device uuid.UUID,
) ([]plan.Step, plan.Outcome, error) {
	refusals, apply, err := p.Refusals(st.Stream, f.source, f.at, f.refused)
	if err != nil {
		return nil, 0, err
	}
	d := p.Draft(f.kind.recorded, st.Stream, f.source, f.at)
	for _, a := range f.kind.recorded.Attributes() {
		value, owner := f.values[a], schemas.Owner{Kind: schemas.OwnerTenant}
		if a.ID == attrDevice && device != uuid.Nil {
			value = schemas.JSON(device.String())
		}
		if value == nil {
			continue
		}
		if a.Key == schemas.KeyPerson {
			if erased && !a.MayStandOpen(value) {
				p.Tally.Omitted++
				continue
			}
			owner = schemas.PersonOrTenant(who)
		}
		d.Values = append(d.Values, schemas.Value{Attr: a, Plain: value, Owner: owner})
	}
	if who != uuid.Nil {
		d.Subjects = []schemas.SubjectRef{{Role: "user", Person: who}}
	}
	if len(d.Values) == 0 {
		return nil, 0, fmt.Errorf("an alert without values")
	}
	steps, err := p.Encode(st, []schemas.Draft{d})
	if err != nil {
		return nil, 0, err
	}
	apply()
	return append(refusals, steps...), plan.Recorded, nil
}
