package intake

import (
	"fmt"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// account is what one record tells of a directory account.
type account struct {
	*Snapshot
	kind    *accountKind
	object  string // its id in the directory
	upn     string
	mail    string
	refused []Refusal
}

// licence is the one value of an assigned licence. The order of its members is frozen.
type licence struct {
	SKU      string   `json:"sku"`
	Disabled []string `json:"disabledPlans,omitempty"`
}

// maxPlans is the most plans of one licence that are kept.
const maxPlans = 1000

// parseGraph reads a Graph user. It tells no time of its own: its file dates it.
func (k *accountKind) parseGraph(in Parsing) (Record, error) {
	m := in.members
	a := &account{Snapshot: NewSnapshot(sourceGraph), kind: k}
	a.refused = RefuseNever(m.dropNever())
	if err := a.Read(k.catalogue, m, graphUser, nil); err != nil {
		return nil, err
	}
	in.Seen.use("", m, graphUserFields...)
	var ok bool
	if a.object, ok = asGUID(m.text("id")); !ok {
		return nil, &fieldError{"id",
			"is missing or no id of the directory's form, so that the account cannot be told from another"}
	}
	a.upn, _ = asText(a.Values[k.upn])
	a.mail, _ = asText(a.Values[k.mail])
	if _, told := m["deletedDateTime"]; told && a.Values[k.deletedAt] == nil {
		a.None[k.deletedAt] = true // it was restored, if it ever was deleted
	}
	if err := a.phones(in, m); err != nil {
		return nil, err
	}
	if err := a.licences(in, m); err != nil {
		return nil, err
	}
	err := a.Settle(named{}, time.Time{}, in.File, named{"createdDateTime", ""}, in.Now)
	in.Tally.Undated = !a.Proven
	return a, err
}

// phones reads the list of business telephones: a list that is there and empty says that there is none.
func (a *account) phones(in Parsing, m members) error {
	if absent(m["businessPhones"]) {
		return nil
	}
	l := List{Attr: a.kind.businessPhone, Complete: true}
	reader := shapes{seen: in.Seen}
	for i, text := range reader.texts(m["businessPhones"], "businessPhones", true) {
		value, found, err := normalise(l.Attr, schemas.JSON(text), 1)
		if err != nil {
			return &fieldError{fmt.Sprintf("businessPhones[%d]", i), err.Error()}
		}
		if found == reported {
			l.Put(Item{Key: string(value), Value: value})
		}
	}
	a.Lists = append(a.Lists, l)
	return reader.err
}

// licences reads what is assigned to the account.
func (a *account) licences(in Parsing, m members) error {
	if absent(m["assignedLicenses"]) {
		return nil
	}
	l := List{Attr: a.kind.licence, Complete: true}
	reader := shapes{seen: in.Seen}
	for i, o := range reader.objects(m["assignedLicenses"], "assignedLicenses") {
		reader.single(fmt.Sprintf("assignedLicenses[%d].", i), o, "skuId")
		in.Seen.use("assignedLicenses.", o, graphLicenceFields...)
		sku, ok := asGUID(o.known("skuId"))
		if !ok {
			in.Tally.Unnamed++
			l.Complete = false // it may be any of those known
			continue
		}
		plans := reader.words(o["disabledPlans"], "assignedLicenses.disabledPlans")
		if len(plans) > maxPlans {
			return &fieldError{fmt.Sprintf("assignedLicenses[%d].disabledPlans", i),
				fmt.Sprintf("has more than %d entries", maxPlans)}
		}
		l.Put(Item{Key: sku, Value: schemas.JSON(licence{sku, slices.Sorted(slices.Values(plans))})})
	}
	a.Lists = append(a.Lists, l)
	return reader.err
}
