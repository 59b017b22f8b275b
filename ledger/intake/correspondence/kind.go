// Package correspondence is the kind of messages that were exchanged with support: when, with
// which team, for which case. No source of Intune tells of them: a CloudEvent does. What becomes
// of it is package occurrence.
//
// It keeps nothing, trusts no event, and refuses whatever a message says.
package correspondence

import (
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/occurrence"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return occurrence.New(c, occurrence.Declaration{Recorded: "correspondence.recorded.v1", Sources: sources})
}

var sources = []occurrence.Source{{
	Form: source.OfEvent("support.message.v1", source.Bodies),
	Table: []entity.Mapping{
		{Field: "caseId", Attr: "correspondence.case", Unit: 1},
		{Field: "team", Attr: "correspondence.team", Unit: 1},
		{Field: "direction", Attr: "correspondence.direction", Unit: 1},
		{Field: "channel", Attr: "correspondence.channel", Unit: 1},
	},
	Whose: occurrence.Whose{ID: "userId", UPN: "userPrincipalName", Email: "email"},
	Needs: []string{"correspondence.case"},
}}
