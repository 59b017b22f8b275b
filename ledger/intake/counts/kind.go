// Package counts is the kind of what Intune counts of a tenant: how many devices are enrolled, on
// which operating systems, and how many of them Exchange lets in. It says how Graph writes them;
// what becomes of it is package resource.
//
// It keeps nothing, and trusts no record.
package counts

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
		Observed: "counts.observed.v1", Changed: "counts.changed.v1", Restated: "counts.restated.v1",
		Identity: "counts.id", Sources: sources,
	})
}

// sources are how sources write the counts. Models and manufacturers are left: each device tells
// its own. When a count was last made changes with each, and says nothing of it.
var sources = []resource.Source{{
	Form: source.Form{
		Name: "managedDeviceOverview", Origin: source.Graph, Collection: "deviceManagement/managedDeviceOverview",
		ODataTypes: []string{"managedDeviceOverview"},
		Members:    [][]string{{"id", "enrolledDeviceCount", "mdmEnrolledCount"}},
		SDK:        [][]string{{"enrolledDeviceCount", "mdmEnrolledCount"}},
	},
	Thing: "managedDeviceOverview", Table: enrolled,
	Objects: []resource.Object{{Field: "deviceOperatingSystemSummary", Table: systems},
		{Field: "deviceExchangeAccessStateSummary", Table: exchange}},
	Left: []string{"managedDeviceModelsAndManufacturers", "lastModifiedDateTime"},
}}

var enrolled = []entity.Mapping{
	{Field: "id", Attr: "counts.id", Unit: 1},
	{Field: "enrolledDeviceCount", Attr: "counts.enrolled-devices", Unit: 1},
	{Field: "mdmEnrolledCount", Attr: "counts.mdm-enrolled-devices", Unit: 1},
	{Field: "dualEnrolledDeviceCount", Attr: "counts.dual-enrolled-devices", Unit: 1},
}

// systems are the counts of each operating system, which are all that is told of platforms.
var systems = []entity.Mapping{
	{Field: "androidCount", Attr: "counts.android-devices", Unit: 1},
	{Field: "androidDedicatedCount", Attr: "counts.android-dedicated-devices", Unit: 1},
	{Field: "androidDeviceAdminCount", Attr: "counts.android-administrator-devices", Unit: 1},
	{Field: "androidFullyManagedCount", Attr: "counts.android-fully-managed-devices", Unit: 1},
	{Field: "androidWorkProfileCount", Attr: "counts.android-work-profile-devices", Unit: 1},
	{Field: "androidCorporateWorkProfileCount", Attr: "counts.android-corporate-profile-devices", Unit: 1},
	{Field: "aospUserlessCount", Attr: "counts.aosp-userless-devices", Unit: 1},
	{Field: "aospUserAssociatedCount", Attr: "counts.aosp-user-devices", Unit: 1},
	{Field: "iosCount", Attr: "counts.ios-devices", Unit: 1},
	{Field: "macOSCount", Attr: "counts.macos-devices", Unit: 1},
	{Field: "windowsCount", Attr: "counts.windows-devices", Unit: 1},
	{Field: "windowsMobileCount", Attr: "counts.windows-mobile-devices", Unit: 1},
	{Field: "linuxCount", Attr: "counts.linux-devices", Unit: 1},
	{Field: "chromeOSCount", Attr: "counts.chrome-devices", Unit: 1},
	{Field: "configMgrDeviceCount", Attr: "counts.configuration-manager-devices", Unit: 1},
	{Field: "unknownCount", Attr: "counts.unknown-devices", Unit: 1},
}

var exchange = []entity.Mapping{
	{Field: "allowedDeviceCount", Attr: "counts.exchange-allowed-devices", Unit: 1},
	{Field: "blockedDeviceCount", Attr: "counts.exchange-blocked-devices", Unit: 1},
	{Field: "quarantinedDeviceCount", Attr: "counts.exchange-quarantined-devices", Unit: 1},
	{Field: "unknownDeviceCount", Attr: "counts.exchange-unknown-devices", Unit: 1},
	{Field: "unavailableDeviceCount", Attr: "counts.exchange-unavailable-devices", Unit: 1},
}
