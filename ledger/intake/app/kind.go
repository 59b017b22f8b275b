// Package app is the kind of apps in their own record: those that administrators manage, with
// their assignments and the counts of their installations, and those that were found on devices.
// It says how Graph writes them; what becomes of it is package resource.
//
// It keeps nothing, and trusts no record.
package app

import (
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return resource.New(c, resource.Declaration{
		Observed: "app.observed.v1", Changed: "app.changed.v1", Restated: "app.restated.v1",
		Identity: "app.id", Sources: sources,
	})
}
