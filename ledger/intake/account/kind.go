// Package account is the kind of a directory's accounts: how Graph writes a user. Each account is
// a person's: its stream is found by the person, all that tells of them is sealed under their key,
// and both are forgotten with them. What becomes of a record is package resource.
//
// It keeps nothing, and trusts the record for nothing but what it says of its own account.
package account

import (
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return resource.New(c, resource.Declaration{
		Observed: "account.observed.v1", Changed: "account.changed.v1", Restated: "account.restated.v1",
		Deleted: "account.deleted.v1", DeletedAt: "account.deleted-at", Identity: "account.id",
		Whose:   resource.Whose{ID: "account.id", UPN: "account.upn", Email: "account.mail"},
		Sources: sources,
	})
}
