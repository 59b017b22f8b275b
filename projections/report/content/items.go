package content

import "github.com/ledgerline/ledgerline/schemas/catalogue"

// What the catalogue says of data items; its words are the texts "item.…" and
// "processing.<vocabulary>.…".
const (
	OfItem            = "item" // by number
	OfSection         = "section"
	OfAim             = "aim"    // by section
	OfGround          = "ground" // by requirement
	OfRecipients      = "recipients"
	OfRetention       = "retention" // by class
	OfIdentifiability = "identifiability"
	OfRequirement     = "requirement"
	OfOwner           = "owner"
	OfRule            = "rule"
)

// ofItems are those whose words are of processing.
var ofItems = map[string]bool{OfSection: true, OfAim: true, OfGround: true, OfRecipients: true, OfRetention: true,
	OfIdentifiability: true, OfRequirement: true, OfOwner: true, OfRule: true}

// Who receives an item. The ledger registers no consumers and no exports yet.
const (
	recipientsNobody       = "nobody"
	recipientsUnregistered = "unregistered"
)

// Processing is what the record of processing (Art. 30) says of an item, in the order of the
// report's columns.
func Processing(i *catalogue.Item) []Cell {
	recipients := recipientsUnregistered
	if i.Rule == catalogue.RuleNever || i.Rule == catalogue.RuleWithheld || i.Rule == catalogue.RuleReplaced {
		recipients = recipientsNobody
	}
	return []Cell{Text(i.ID), Named(OfItem, i.ID), Named(OfSection, i.Section), Named(OfAim, i.Section),
		Named(OfGround, i.Requirement), Named(OfRecipients, recipients), Named(OfRetention, i.Class),
		Named(OfIdentifiability, i.Identifiability), Named(OfRequirement, i.Requirement)}
}
