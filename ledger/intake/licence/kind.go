// Package licence is the kind of licences of apps that were bought from Apple in volume: to whom
// or to which device one is assigned, and by which address Apple knows them. It says how Graph
// writes one; what becomes of it is package resource.
//
// It keeps nothing, and trusts no record.
package licence

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
		Observed: "licence.observed.v1", Changed: "licence.changed.v1", Restated: "licence.restated.v1",
		Identity: "licence.id", Sources: sources,
		Persons: append(resource.Same("licence.user-", "user", resource.Person{Attr: "id", By: resource.ByID},
			resource.Person{Attr: "upn", By: resource.ByUPN}, resource.Person{Attr: "email", By: resource.ByEmail},
			resource.Person{Attr: "name"}),
			resource.Person{Attr: "licence.device", Of: "user"},
			resource.Person{Attr: "licence.device-name", Of: "user"}),
	})
}

var sources = []resource.Source{
	assigned("iosVppAppAssignedUserLicense", source.Form{
		Collection: "mobileApps/assignedLicenses",
		Members:    [][]string{{"id", "userEmailAddress", "userName"}},
		SDK:        [][]string{{"userEmailAddress", "userName"}},
	}),
	assigned("iosVppAppAssignedDeviceLicense", source.Form{
		Collection: "microsoft.graph.iosVppApp/assignedLicenses",
		Members:    [][]string{{"id", "userEmailAddress", "managedDeviceId", "deviceName"}},
		SDK:        [][]string{{"userEmailAddress", "managedDeviceId"}},
	}, entity.Mapping{Field: "managedDeviceId", Attr: "licence.device", Unit: 1},
		entity.Mapping{Field: "deviceName", Attr: "licence.device-name", Unit: 1}),
}

// assigned is the source of licences of that type. Of which app one is, the page tells alone.
func assigned(odata string, form source.Form, more ...entity.Mapping) resource.Source {
	form.Name, form.Origin, form.ODataTypes = odata, source.Graph, []string{odata}
	return resource.Source{Form: form, Thing: "licence", Parent: "licence.app",
		Says: []resource.Constant{{Attr: "licence.kind", Value: odata}}, Table: append([]entity.Mapping{
			{Field: "id", Attr: "licence.id", Unit: 1},
			{Field: "userId", Attr: "licence.user-id", Unit: 1},
			{Field: "userPrincipalName", Attr: "licence.user-upn", Unit: 1},
			{Field: "userName", Attr: "licence.user-name", Unit: 1},
			{Field: "userEmailAddress", Attr: "licence.user-email", Unit: 1},
		}, more...)}
}
