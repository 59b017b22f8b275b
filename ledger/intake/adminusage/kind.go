// Package adminusage is the kind of what administrators select in a console: which control, on
// which page. No source of Intune tells of it: a CloudEvent does. What becomes of it is package
// occurrence.
//
// It keeps nothing, and trusts no event. Who it was, an alias says and nothing else.
package adminusage

import (
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/occurrence"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return occurrence.New(c, occurrence.Declaration{Recorded: "adminusage.recorded.v1", Sources: sources})
}

var sources = []occurrence.Source{{
	Form: source.OfEvent("adminusage.control.v1", nil),
	Table: []entity.Mapping{
		{Field: "control", Attr: "adminusage.control", Unit: 1},
		{Field: "page", Attr: "adminusage.page", Unit: 1},
		{Field: "console", Attr: "adminusage.console", Unit: 1},
	},
	Whose: occurrence.Whose{ID: "userId", UPN: "userPrincipalName"},
	Needs: []string{"adminusage.control"},
}}
