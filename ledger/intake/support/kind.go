// Package support is the kind of cases at support: who contacted it, and how far a case has come.
// No source of Intune tells of them: a CloudEvent does. What becomes of it is package resource.
// The messages of a case are package correspondence.
//
// It keeps nothing, trusts no event, and takes in nothing of what a case is about.
package support

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
		Observed: "support.observed.v1", Changed: "support.changed.v1", Restated: "support.restated.v1",
		Identity: "support.case", Sources: sources,
		Persons: resource.Same("support.contact-", "contact", resource.Person{Attr: "id", By: resource.ByID},
			resource.Person{Attr: "upn", By: resource.ByUPN}, resource.Person{Attr: "email", By: resource.ByEmail},
			resource.Person{Attr: "name"}, resource.Person{Attr: "phone"}),
	})
}

var sources = []resource.Source{{
	Form:  source.OfEvent("support.case.v1", source.Bodies),
	Thing: "case", Table: []entity.Mapping{
		{Field: "caseId", Attr: "support.case", Unit: 1},
		{Field: "state", Attr: "support.state", Unit: 1},
		{Field: "openedAt", Attr: "support.opened-at", Unit: 1},
		{Field: "closedAt", Attr: "support.closed-at", Unit: 1},
	}, Objects: []resource.Object{{Field: "contact", Table: []entity.Mapping{
		{Field: "userId", Attr: "support.contact-id", Unit: 1},
		{Field: "userPrincipalName", Attr: "support.contact-upn", Unit: 1},
		{Field: "name", Attr: "support.contact-name", Unit: 1},
		{Field: "email", Attr: "support.contact-email", Unit: 1},
		{Field: "phone", Attr: "support.contact-phone", Unit: 1},
	}}},
}}
