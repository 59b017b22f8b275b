// Package terms is the kind of acceptances of terms and conditions: who accepted which version,
// and when. It says how Graph writes one; what becomes of it is package resource.
//
// What names a person is sealed under the key of whom the UPN names. It keeps nothing, and trusts
// no record.
package terms

import (
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return resource.New(c, resource.Declaration{
		Observed: "terms.observed.v1", Changed: "terms.changed.v1", Restated: "terms.restated.v1",
		Identity: "terms.id", Sources: sources,
		Persons: resource.Same("terms.", "user", resource.Person{Attr: "user-upn", By: resource.ByUPN},
			resource.Person{Attr: "id"}, resource.Person{Attr: "user-name"}),
	})
}

// sources are how sources write an acceptance. Which terms were accepted the page tells alone.
var sources = []resource.Source{{
	Form: source.Form{
		Name: "termsAndConditionsAcceptanceStatuses", Origin: source.Graph,
		Collection: "termsAndConditions/acceptanceStatuses",
		ODataTypes: []string{"termsAndConditionsAcceptanceStatus"},
		Members:    [][]string{{"id", "acceptedVersion", "acceptedDateTime"}},
		SDK:        [][]string{{"acceptedVersion", "acceptedDateTime"}},
	},
	Thing: "acceptance", Parent: "terms.document", Table: []entity.Mapping{
		{Field: "id", Attr: "terms.id", Unit: 1},
		{Field: "userDisplayName", Attr: "terms.user-name", Unit: 1},
		{Field: "userPrincipalName", Attr: "terms.user-upn", Unit: 1},
		{Field: "acceptedVersion", Attr: "terms.version", Unit: 1},
		{Field: "acceptedDateTime", Attr: "terms.accepted-at", Unit: 1},
	},
}}
