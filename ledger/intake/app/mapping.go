package app

import (
	"slices"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
)

var identity = []entity.Mapping{{Field: "id", Attr: "app.id", Unit: 1}}

// mobileApp is what administrators added, of whatever type. Each type spells its version and its
// package in its own way.
var mobileApp = slices.Concat(identity, []entity.Mapping{
	{Field: "@odata.type", Attr: "app.kind", Unit: 1},
	{Field: "displayName", Attr: "app.display-name", Unit: 1},
	{Field: "publisher", Attr: "app.publisher", Unit: 1},
	{Field: "developer", Attr: "app.developer", Unit: 1},
	{Field: "owner", Attr: "app.owner", Unit: 1},
	{Field: "description", Attr: "app.description", Unit: 1},
	{Field: "notes", Attr: "app.notes", Unit: 1},
	{Field: "displayVersion", Attr: "app.version", Unit: 1},
	{Field: "versionName", Attr: "app.version", Unit: 1},
	{Field: "versionNumber", Attr: "app.version", Unit: 1},
	{Field: "bundleVersion", Attr: "app.version", Unit: 1},
	{Field: "primaryBundleVersion", Attr: "app.version", Unit: 1},
	{Field: "productVersion", Attr: "app.version", Unit: 1},
	{Field: "identityVersion", Attr: "app.version", Unit: 1},
	{Field: "packageIdentifier", Attr: "app.package", Unit: 1},
	{Field: "packageId", Attr: "app.package", Unit: 1},
	{Field: "appIdentifier", Attr: "app.package", Unit: 1},
	{Field: "bundleId", Attr: "app.package", Unit: 1},
	{Field: "primaryBundleId", Attr: "app.package", Unit: 1},
	{Field: "identityName", Attr: "app.package", Unit: 1},
	{Field: "productCode", Attr: "app.package", Unit: 1},
	{Field: "fileName", Attr: "app.file-name", Unit: 1},
	{Field: "appUrl", Attr: "app.address", Unit: 1},
	{Field: "size", Attr: "app.size", Unit: 1},
	{Field: "createdDateTime", Attr: "app.created-at", Unit: 1},
	{Field: "lastModifiedDateTime", Attr: "app.modified-at", Unit: 1},
	{Field: "publishingState", Attr: "app.publishing-state", Unit: 1},
	{Field: "isFeatured", Attr: "app.featured", Unit: 1},
	{Field: "isAssigned", Attr: "app.assigned", Unit: 1},
	{Field: "usedLicenseCount", Attr: "app.licences-used", Unit: 1},
	{Field: "totalLicenseCount", Attr: "app.licences-total", Unit: 1},
})

// mobileAppWithheld are fields that hold what runs on devices, where secrets stand in the clear.
var mobileAppWithheld = []resource.Secret{
	{Field: "installCommandLine", Attr: "app.withheld"}, {Field: "uninstallCommandLine", Attr: "app.withheld"},
	{Field: "commandLine", Attr: "app.withheld"}, {Field: "detectionRules", Attr: "app.withheld"},
	{Field: "requirementRules", Attr: "app.withheld"}, {Field: "rules", Attr: "app.withheld"},
	{Field: "officeConfigurationXml", Attr: "app.withheld"}, {Field: "preInstallScript", Attr: "app.withheld"},
	{Field: "postInstallScript", Attr: "app.withheld"},
}

// mobileAppLeft are pictures, pages of the vendor, addresses with their own access, and what a
// connector tells of itself.
var mobileAppLeft = []string{"largeIcon", "privacyInformationUrl", "informationUrl", "appStoreUrl", "packageUrl",
	"contentVersions", "committedContentVersion", "azureStorageUri", "contentUrl", "vppTokenAppleId",
	"vppTokenOrganizationName", "vppTokenId", "vppTokenDisplayName"}

// installSummary are the counts of an app's installations.
var installSummary = []entity.Mapping{
	{Field: "installedDeviceCount", Attr: "app.installed-devices", Unit: 1},
	{Field: "notApplicableDeviceCount", Attr: "app.not-applicable-devices", Unit: 1},
	{Field: "notInstalledDeviceCount", Attr: "app.not-installed-devices", Unit: 1},
	{Field: "pendingInstallDeviceCount", Attr: "app.pending-devices", Unit: 1},
	{Field: "failedDeviceCount", Attr: "app.failed-devices", Unit: 1},
	{Field: "installedUserCount", Attr: "app.installed-users", Unit: 1},
	{Field: "notApplicableUserCount", Attr: "app.not-applicable-users", Unit: 1},
	{Field: "notInstalledUserCount", Attr: "app.not-installed-users", Unit: 1},
	{Field: "pendingInstallUserCount", Attr: "app.pending-users", Unit: 1},
	{Field: "failedUserCount", Attr: "app.failed-users", Unit: 1},
}

// detectedApp is an app that devices have, and on how many.
var detectedApp = slices.Concat(identity, []entity.Mapping{
	{Field: "displayName", Attr: "app.name", Unit: 1},
	{Field: "version", Attr: "app.version", Unit: 1},
	{Field: "publisher", Attr: "app.publisher", Unit: 1},
	{Field: "sizeInByte", Attr: "app.size", Unit: 1},
	{Field: "deviceCount", Attr: "app.device-count", Unit: 1},
})

// assignments are all of an app's.
func assignments() resource.List {
	all := assignment
	all.Field = "assignments"
	return all
}

// assignment tells to whom an app goes, and how.
var assignment = resource.List{Attr: "app.assignment", Key: []string{"id"},
	Members: []resource.Member{
		{Name: "target", Field: "target.@odata.type", As: resource.Type},
		{Name: "group", Field: "target.groupId", As: resource.ID},
		{Name: "intent", Field: "intent"},
		{Name: "filter", Field: "target.deviceAndAppManagementAssignmentFilterId", As: resource.ID},
		{Name: "filterType", Field: "target.deviceAndAppManagementAssignmentFilterType"},
		{Name: "source", Field: "source"},
		{Name: "id", Field: "id", As: resource.ID},
	}}

var categories = resource.List{Attr: "app.category", Field: "categories", Key: []string{"id"},
	Members: []resource.Member{
		{Name: "name", Field: "displayName", As: resource.Name}, {Name: "id", Field: "id", As: resource.ID},
	}}

var scopeTags = resource.List{Attr: "app.scope-tag", Field: "roleScopeTagIds"}
