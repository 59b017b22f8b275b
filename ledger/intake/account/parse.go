package account

import (
	"fmt"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// account is what one record tells of a directory account.
type account struct {
	*entity.Snapshot
	kind    *kind
	object  string // its id in the directory
	upn     string
	mail    string
	refused []plan.Refusal
}

// licence is the one value of an assigned licence. The order of its members is frozen.
type licence struct {
	SKU      string   `json:"sku"`
	Disabled []string `json:"disabledPlans,omitempty"`
}

// maxPlans is the most plans of one licence that are kept.
const maxPlans = 1000

// parseGraph reads a Graph user. It tells no time of its own: its file dates it.
func (k *kind) parseGraph(in plan.Parsing) (plan.Record, error) {
	m := in.Members
	a := &account{Snapshot: entity.NewSnapshot(source.Graph), kind: k}
	a.refused = in.Never
	if err := a.Read(k.catalogue, m, graphUser, nil); err != nil {
		return nil, err
	}
	in.Seen.Use("", m, graphUserNames)
	var ok bool
	if a.object, ok = record.AsGUID(m.Text("id")); !ok {
		return nil, &record.FieldError{Field: "id",
			Reason: "is missing or no id of the directory's form, so that the account cannot be told from another"}
	}
	a.upn, _ = record.AsText(a.Values[k.upn])
	a.mail, _ = record.AsText(a.Values[k.mail])
	if m.Has("deletedDateTime") && a.Values[k.deletedAt] == nil {
		a.None[k.deletedAt] = true // it was restored, if it ever was deleted
	}
	if err := a.phones(in, m); err != nil {
		return nil, err
	}
	if err := a.licences(in, m); err != nil {
		return nil, err
	}
	err := a.Settle(record.NamedText{}, time.Time{}, in.File, record.NamedText{Field: "createdDateTime", Value: ""},
		in.Now)
	in.Tally.Undated = !a.Proven
	return a, err
}

// phones reads the list of business telephones: a list that is there and empty says that there is
// none.
func (a *account) phones(in plan.Parsing, m *record.Members) error {
	if record.Absent(m.Get("businessPhones")) {
		return nil
	}
	l := entity.List{Attr: a.kind.businessPhone, Complete: true}
	reader := record.Shapes{Seen: in.Seen}
	for i, text := range reader.Texts(m.Get("businessPhones"), "businessPhones", true) {
		value, found, err := record.Normalise(l.Attr, schemas.JSON(text), 1)
		if err != nil {
			return &record.FieldError{Field: fmt.Sprintf("businessPhones[%d]", i), Reason: err.Error()}
		}
		if found == record.Reported {
			l.Put(entity.Item{Key: string(value), Value: value})
		}
	}
	a.Lists = append(a.Lists, l)
	return reader.Err
}

// licences reads what is assigned to the account.
func (a *account) licences(in plan.Parsing, m *record.Members) error {
	if record.Absent(m.Get("assignedLicenses")) {
		return nil
	}
	l := entity.List{Attr: a.kind.licence, Complete: true}
	reader := record.Shapes{Seen: in.Seen}
	for i, o := range reader.Objects(m.Get("assignedLicenses"), "assignedLicenses") {
		reader.Single(fmt.Sprintf("assignedLicenses[%d].", i), o, "skuId")
		in.Seen.Use("assignedLicenses.", o, graphLicenceNames)
		sku, ok := record.AsGUID(o.Known("skuId"))
		if !ok {
			in.Tally.Unnamed++
			l.Complete = false // it may be any of those known
			continue
		}
		plans := reader.Words(o.Get("disabledPlans"), "assignedLicenses.disabledPlans")
		if len(plans) > maxPlans {
			return &record.FieldError{Field: fmt.Sprintf("assignedLicenses[%d].disabledPlans", i),
				Reason: fmt.Sprintf("has more than %d entries", maxPlans)}
		}
		l.Put(entity.Item{Key: sku, Value: schemas.JSON(licence{sku, slices.Sorted(slices.Values(plans))})})
	}
	a.Lists = append(a.Lists, l)
	return reader.Err
}
