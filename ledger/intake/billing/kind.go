// Package billing is the kind of billing accounts: who is the contact for payment, and a reference
// to how it is paid. No source of Intune tells of them: a CloudEvent does. What becomes of it is
// package resource.
//
// It keeps nothing, trusts no event, and takes in no number of a card or of a bank account,
// whatever the member that it stands in.
package billing

import (
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return resource.New(c, resource.Declaration{
		Observed: "billing.observed.v1", Changed: "billing.changed.v1", Restated: "billing.restated.v1",
		Identity: "billing.account", Sources: sources,
		Persons: append(resource.Same("billing.contact-", "contact", resource.Person{Attr: "id", By: resource.ByID},
			resource.Person{Attr: "upn", By: resource.ByUPN}, resource.Person{Attr: "email", By: resource.ByEmail},
			resource.Person{Attr: "name"}, resource.Person{Attr: "phone"}),
			resource.Person{Attr: "billing.payment-reference", Of: "contact"}),
	})
}

var sources = []resource.Source{{
	Form:  source.OfEvent("billing.account.v1", nil),
	Thing: "billingAccount", Table: []entity.Mapping{
		{Field: "accountId", Attr: "billing.account", Unit: 1},
		{Field: "paymentKind", Attr: "billing.payment-kind", Unit: 1},
		{Field: "paymentReference", Attr: "billing.payment-reference", Unit: 1},
	}, Objects: []resource.Object{{Field: "contact", Table: []entity.Mapping{
		{Field: "userId", Attr: "billing.contact-id", Unit: 1},
		{Field: "userPrincipalName", Attr: "billing.contact-upn", Unit: 1},
		{Field: "name", Attr: "billing.contact-name", Unit: 1},
		{Field: "email", Attr: "billing.contact-email", Unit: 1},
		{Field: "phone", Attr: "billing.contact-phone", Unit: 1},
	}}}, Withheld: []resource.Secret{{Field: "cardNumber", Attr: "billing.number-withheld"},
		{Field: "iban", Attr: "billing.number-withheld"}, {Field: "accountNumber", Attr: "billing.number-withheld"}},
	Adapt: withoutNumber,
}}

// withoutNumber leaves out what tells an account apart where that is a number of a card or of a
// bank account: the event then fails by name.
func withoutNumber(m *record.Members, _ *record.Shapes) {
	if record.Payment(m.Text("accountId")) {
		m.Delete("accountId")
	}
}
