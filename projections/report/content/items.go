package content

import (
	"strings"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// What the catalogue says of data items; its words are the texts "item.…" and
// "processing.<vocabulary>.…".
const (
	OfItem            = "item" // by number
	OfSection         = "section"
	OfAim             = "aim"    // by section
	OfGround          = "ground" // by requirement
	OfRecipients      = "recipients"
	OfRetention       = "retention"        // by class and period, as in apps=90d; "none" for not stored
	OfRetentionGround = "retention-ground" // by class
	OfIdentifiability = "identifiability"
	OfRequirement     = "requirement"
	OfOwner           = "owner"
	OfRule            = "rule"
)

// ofItems are those whose words are of processing.
var ofItems = map[string]bool{OfSection: true, OfAim: true, OfGround: true, OfRecipients: true,
	OfRetentionGround: true, OfIdentifiability: true, OfRequirement: true, OfOwner: true, OfRule: true}

// Who receives an item. The ledger registers no consumers and no exports yet.
const (
	recipientsNobody       = "nobody"
	recipientsUnregistered = "unregistered"
)

// Keep says how long a class is kept, and on which ground in somebody's own words; "" for the
// catalogue's.
type Keep func(catalogue.Class) (catalogue.Period, string)

// KeptAs returns a value of OfRetention that says how long the item is kept, and on which ground
// in somebody's own words. A nil keep is the catalogue's.
func KeptAs(i *catalogue.Item, keep Keep) (period, ground string) {
	for _, c := range catalogue.Default().Classes() {
		if c.Name != i.Class {
			continue
		}
		of := c.Keep
		if keep != nil {
			of, ground = keep(c)
		}
		return c.Name + "=" + of.String(), ground
	}
	return i.Class, "" // nothing of it is stored
}

// kept says in words what KeptAs returned.
func kept(l *words.Language, value string) (string, bool) {
	class, period, ok := strings.Cut(value, "=")
	if !ok {
		return l.Find("processing.retention." + value)
	}
	of, err := catalogue.ParsePeriod(period)
	key := "processing.retention.kept"
	switch special := "processing.retention." + class; {
	case err != nil:
		return "", false
	case of == catalogue.Period{}:
		key = "processing.retention.nothing"
	default:
		if _, has := l.Find(special); has {
			key = special
		}
	}
	return l.Text(key, words.Args{"period": duration(l, of)}), true
}

// manyMonths are told as years, where they are whole ones.
const manyMonths = 36

func duration(l *words.Language, p catalogue.Period) string {
	switch {
	case p.Months >= manyMonths && p.Months%12 == 0:
		return l.Text("processing.years", words.Args{"count": p.Months / 12})
	case p.Months > 0:
		return l.Text("processing.months", words.Args{"count": p.Months})
	}
	return l.Text("processing.days", words.Args{"count": p.Days})
}

// Processing is what the record of processing (Art. 30) says of an item, in the order of the
// report's columns.
func Processing(i *catalogue.Item, keep Keep) []Cell {
	period, own := KeptAs(i, keep)
	ground := Text(own)
	if own == "" && strings.Contains(period, "=") {
		ground = Named(OfRetentionGround, i.Class)
	}
	recipients := recipientsUnregistered
	if i.Rule == catalogue.RuleNever || i.Rule == catalogue.RuleWithheld || i.Rule == catalogue.RuleReplaced {
		recipients = recipientsNobody
	}
	return []Cell{Text(i.ID), Named(OfItem, i.ID), Named(OfSection, i.Section), Named(OfAim, i.Section),
		Named(OfGround, i.Requirement), Named(OfRecipients, recipients), Named(OfRetention, period), ground,
		Named(OfIdentifiability, i.Identifiability), Named(OfRequirement, i.Requirement)}
}
