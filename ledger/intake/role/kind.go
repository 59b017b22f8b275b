// Package role is the kind of roles of administrators: what each may do, who has it, and for whom
// and what. It says how Graph writes definitions, assignments and scope tags; what becomes of it
// is package resource.
//
// It keeps nothing, and trusts no record. Who gave a role, and when, is what admin actions tell.
package role

import (
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return resource.New(c, resource.Declaration{
		Observed: "role.observed.v1", Changed: "role.changed.v1", Restated: "role.restated.v1",
		Identity: "role.id", Sources: sources,
	})
}
