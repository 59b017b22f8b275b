// Package connector is the kind of connectors to third parties: Apple's push certificate, its
// tokens for apps and for enrolment, and managed Google Play. It says how Graph writes whose one
// is and until when; what becomes of it is package resource.
//
// It keeps nothing, trusts no record, and takes in nothing that opens a connector.
package connector

import (
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return resource.New(c, resource.Declaration{
		Observed: "connector.observed.v1", Changed: "connector.changed.v1", Restated: "connector.restated.v1",
		Identity: "connector.id", Sources: sources,
		Persons: []resource.Person{{Attr: "connector.apple-id", By: resource.ByEmail, Of: "Apple ID"},
			{Attr: "connector.owner", By: resource.ByUPN, Of: "owner"}},
	})
}
