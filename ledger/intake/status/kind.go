// Package status is the kind of states: how a policy or an app stands on one device, or for one
// person. It says how Graph writes one; what becomes of it is package resource.
//
// There are many: 100 policies on 10,000 devices are a million. So a state is told when it
// changes, and confirmed once a month, not daily.
//
// Each state is a thing of its own, found by its id, and what tells of its person or device is
// sealed under that person's key: so it is in their access package, and goes with them. It keeps
// nothing, and trusts no record.
package status

import (
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return resource.New(c, resource.Declaration{
		Observed: "status.observed.v1", Changed: "status.changed.v1", Restated: "status.restated.v1",
		Identity: "status.id", Sources: sources, ConfirmDays: 30,
		Persons: resource.Same("status.", "user", resource.Person{Attr: "user", By: resource.ByID},
			resource.Person{Attr: "user-upn", By: resource.ByUPN}, resource.Person{Attr: "id"},
			resource.Person{Attr: "device"}),
	})
}
