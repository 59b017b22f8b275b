// Package platformid is the kind of ids by which Apple and Microsoft know whoever uses a device:
// an Apple ID, the id of a Microsoft account. No source of Intune tells of them: a CloudEvent
// does. What becomes of it is package resource.
//
// It keeps nothing, and trusts no event.
package platformid

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
		Observed: "platformid.observed.v1", Changed: "platformid.changed.v1", Restated: "platformid.restated.v1",
		Identity: "platformid.device", Sources: sources,
		Persons: resource.Same("platformid.", "user", resource.Person{Attr: "user-id", By: resource.ByID},
			resource.Person{Attr: "user-upn", By: resource.ByUPN}, resource.Person{Attr: "device"},
			resource.Person{Attr: "apple-id"}, resource.Person{Attr: "windows-id"}),
	})
}

var sources = []resource.Source{{
	Form:  source.OfEvent("platformid.device.v1", nil),
	Thing: "device", Table: []entity.Mapping{
		{Field: "deviceId", Attr: "platformid.device", Unit: 1},
		{Field: "userId", Attr: "platformid.user-id", Unit: 1},
		{Field: "userPrincipalName", Attr: "platformid.user-upn", Unit: 1},
		{Field: "appleId", Attr: "platformid.apple-id", Unit: 1},
		{Field: "windowsId", Attr: "platformid.windows-id", Unit: 1},
	},
}}
