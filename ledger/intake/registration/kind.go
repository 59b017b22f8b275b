// Package registration is the kind of registrations of managed apps: that a person has an app of
// the organisation on a device, and why it is flagged. It says how Graph writes one; what becomes
// of it is package resource.
//
// A registration is found by its own id, and what tells of its person or device is sealed under
// that person's key. It keeps nothing, and trusts no record.
package registration

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
		Observed: "registration.observed.v1", Changed: "registration.changed.v1",
		Restated: "registration.restated.v1", Identity: "registration.id", Sources: sources,
		Persons: resource.Same("registration.", "user", resource.Person{Attr: "user", By: resource.ByID},
			resource.Person{Attr: "id"}, resource.Person{Attr: "app"}, resource.Person{Attr: "device-tag"},
			resource.Person{Attr: "managed-device"}, resource.Person{Attr: "directory-device"},
			resource.Person{Attr: "device-name"}, resource.Person{Attr: "device-type"},
			resource.Person{Attr: "device-model"}, resource.Person{Attr: "device-manufacturer"}),
	})
}

// sources are how sources write a registration. What stands in its version is no version, but
// tells whether the record is the same.
var sources = []resource.Source{{
	Form: source.Form{
		Name: "managedAppRegistrations", Origin: source.Graph,
		Collection:  "deviceAppManagement/managedAppRegistrations",
		Collections: []string{"users/managedAppRegistrations"}, Subtypes: true,
		ODataTypes: []string{"managedAppRegistration", "androidManagedAppRegistration", "iosManagedAppRegistration",
			"windowsManagedAppRegistration"},
		// The last is what Microsoft's export of a person's data leaves of one.
		Members: [][]string{{"id", "deviceTag", "managementSdkVersion"}, {"id", "deviceTag", "userId", "deviceName"}},
		SDK:     [][]string{{"deviceTag", "managementSdkVersion"}},
	},
	Thing: "managedAppRegistration", Table: table,
	Objects: []resource.Object{{Field: "appIdentifier", Table: []entity.Mapping{
		{Field: "packageId", Attr: "registration.app", Unit: 1},
		{Field: "bundleId", Attr: "registration.app", Unit: 1},
		{Field: "windowsAppId", Attr: "registration.app", Unit: 1},
	}}},
	Lists: []resource.List{{Attr: "registration.flagged-reason", Field: "flaggedReasons"}},
	Left:  []string{"version"},
}}

var table = []entity.Mapping{
	{Field: "id", Attr: "registration.id", Unit: 1},
	{Field: "@odata.type", Attr: "registration.kind", Unit: 1},
	{Field: "userId", Attr: "registration.user", Unit: 1},
	{Field: "deviceTag", Attr: "registration.device-tag", Unit: 1},
	{Field: "managedDeviceId", Attr: "registration.managed-device", Unit: 1},
	{Field: "azureADDeviceId", Attr: "registration.directory-device", Unit: 1},
	{Field: "deviceName", Attr: "registration.device-name", Unit: 1},
	{Field: "deviceType", Attr: "registration.device-type", Unit: 1},
	{Field: "deviceModel", Attr: "registration.device-model", Unit: 1},
	{Field: "deviceManufacturer", Attr: "registration.device-manufacturer", Unit: 1},
	{Field: "platformVersion", Attr: "registration.platform-version", Unit: 1},
	{Field: "applicationVersion", Attr: "registration.app-version", Unit: 1},
	{Field: "managementSdkVersion", Attr: "registration.sdk-version", Unit: 1},
	{Field: "patchVersion", Attr: "registration.patch-version", Unit: 1},
	{Field: "createdDateTime", Attr: "registration.created-at", Unit: 1},
	{Field: "lastSyncDateTime", Attr: "registration.synced-at", Unit: 1},
}
