package connector

import (
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
)

var identity = []entity.Mapping{
	{Field: "id", Attr: "connector.id", Unit: 1},
	{Field: "lastModifiedDateTime", Attr: "connector.modified-at", Unit: 1},
}

var pushCertificate = []entity.Mapping{
	{Field: "appleIdentifier", Attr: "connector.apple-id", Unit: 1},
	{Field: "topicIdentifier", Attr: "connector.topic", Unit: 1},
	{Field: "certificateSerialNumber", Attr: "connector.serial-number", Unit: 1},
	{Field: "expirationDateTime", Attr: "connector.expires-at", Unit: 1},
	{Field: "certificateUploadStatus", Attr: "connector.upload-state", Unit: 1},
	{Field: "certificateUploadFailureReason", Attr: "connector.upload-failure", Unit: 1},
}

var vppToken = []entity.Mapping{
	{Field: "appleId", Attr: "connector.apple-id", Unit: 1},
	{Field: "organizationName", Attr: "connector.organisation", Unit: 1},
	{Field: "displayName", Attr: "connector.name", Unit: 1},
	{Field: "locationName", Attr: "connector.site", Unit: 1},
	{Field: "countryOrRegion", Attr: "connector.country", Unit: 1},
	{Field: "vppTokenAccountType", Attr: "connector.account-type", Unit: 1},
	{Field: "expirationDateTime", Attr: "connector.expires-at", Unit: 1},
	{Field: "lastSyncDateTime", Attr: "connector.synced-at", Unit: 1},
	{Field: "lastSyncStatus", Attr: "connector.sync-state", Unit: 1},
	{Field: "state", Attr: "connector.state", Unit: 1},
	{Field: "automaticallyUpdateApps", Attr: "connector.auto-update", Unit: 1},
	{Field: "dataSharingConsentGranted", Attr: "connector.data-sharing", Unit: 1},
	{Field: "claimTokenManagementFromExternalMdm", Attr: "connector.taken-over", Unit: 1},
}

var depSetting = []entity.Mapping{
	{Field: "appleIdentifier", Attr: "connector.apple-id", Unit: 1},
	{Field: "tokenName", Attr: "connector.name", Unit: 1},
	{Field: "tokenType", Attr: "connector.token-type", Unit: 1},
	{Field: "tokenExpirationDateTime", Attr: "connector.expires-at", Unit: 1},
	{Field: "lastSuccessfulSyncDateTime", Attr: "connector.synced-at", Unit: 1},
	{Field: "lastSyncTriggeredDateTime", Attr: "connector.sync-asked-at", Unit: 1},
	{Field: "lastSyncErrorCode", Attr: "connector.sync-error", Unit: 1},
	{Field: "shareTokenWithSchoolDataSyncService", Attr: "connector.school-data-sync", Unit: 1},
	{Field: "syncedDeviceCount", Attr: "connector.device-count", Unit: 1},
	{Field: "dataSharingConsentGranted", Attr: "connector.data-sharing", Unit: 1},
}

var googlePlay = []entity.Mapping{
	{Field: "ownerUserPrincipalName", Attr: "connector.owner", Unit: 1},
	{Field: "ownerOrganizationName", Attr: "connector.organisation", Unit: 1},
	{Field: "bindStatus", Attr: "connector.state", Unit: 1},
	{Field: "lastAppSyncDateTime", Attr: "connector.synced-at", Unit: 1},
	{Field: "lastAppSyncStatus", Attr: "connector.sync-state", Unit: 1},
	{Field: "enrollmentTarget", Attr: "connector.enrolment-target", Unit: 1},
	{Field: "deviceOwnerManagementEnabled", Attr: "connector.company-owned", Unit: 1},
	{Field: "androidDeviceOwnerFullyManagedEnrollmentEnabled", Attr: "connector.fully-managed", Unit: 1},
}

var scopeTags = resource.List{Attr: "connector.scope-tag", Field: "roleScopeTagIds"}

// targetGroups are those whose members may enrol. The order of members is frozen here and below.
var targetGroups = resource.List{Attr: "connector.target-group", Field: "targetGroupIds", Key: []string{"id"},
	Spread: resource.IDs, Members: []resource.Member{{Name: "id", Field: "id", As: resource.ID}}}

// tokenActions are what was last asked of a token.
var tokenActions = resource.List{Attr: "connector.token-action", Field: "tokenActionResults",
	Key: []string{"action"}, Members: []resource.Member{
		{Name: "action", Field: "actionName"},
		{Name: "state", Field: "actionState"},
		{Name: "startedAt", Field: "startDateTime", As: resource.Time},
		{Name: "updatedAt", Field: "lastUpdatedDateTime", As: resource.Time},
	}}
