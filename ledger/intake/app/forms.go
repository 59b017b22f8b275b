package app

import (
	"slices"

	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// Things that apps are.
const (
	managed  = "mobileApp"   // what administrators added
	detected = "detectedApp" // what devices have
)

// sources are how sources write an app. One that administrators manage is told by its own record
// and by the summary of its installations.
var sources = []resource.Source{
	{
		Form: source.Form{
			Name: "mobileApps", Origin: source.Graph, Collection: "mobileApps", Subtypes: true,
			ODataTypes: []string{"mobileApp", "managedApp", "androidForWorkApp", "androidLobApp",
				"androidManagedStoreApp", "androidManagedStoreWebApp", "androidStoreApp", "iosLobApp", "iosStoreApp",
				"iosVppApp", "iosiPadOSWebClip", "macOSDmgApp", "macOSLobApp", "macOSMdatpApp",
				"macOSMicrosoftDefenderApp", "macOSMicrosoftEdgeApp", "macOSOfficeSuiteApp", "macOSPkgApp",
				"macOsVppApp", "macOSWebClip", "managedAndroidLobApp", "managedAndroidStoreApp", "managedIOSLobApp",
				"managedIOSStoreApp", "managedMobileLobApp", "microsoftStoreForBusinessApp", "mobileLobApp",
				"officeSuiteApp", "webApp", "win32CatalogApp", "win32LobApp", "winGetApp", "windowsAppX",
				"windowsMicrosoftEdgeApp", "windowsMobileMSI", "windowsPhone81AppX", "windowsPhone81AppXBundle",
				"windowsPhone81StoreApp", "windowsPhoneXAP", "windowsStoreApp", "windowsUniversalAppX",
				"windowsWebApp"},
			// The last is what Microsoft's export of a person's data leaves of one.
			Members: [][]string{{"id", "publisher", "publishingState"},
				{"id", "displayName", "publisher", "deviceStatuses", "userStatuses"}},
			SDK: [][]string{{"publishingState", "publisher"}},
		},
		Thing: managed, Table: mobileApp, Withheld: mobileAppWithheld, Left: mobileAppLeft,
		Objects: []resource.Object{{Field: "installSummary", Table: installSummary}},
		Lists:   []resource.List{assignments(), categories, scopeTags},
	},
	{
		Form: source.Form{
			Name: "mobileAppInstallSummary", Origin: source.Graph, Collection: "mobileApps/installSummary",
			ODataTypes: []string{"mobileAppInstallSummary"},
			Members:    [][]string{{"id", "installedDeviceCount", "pendingInstallDeviceCount"}},
			SDK:        [][]string{{"installedDeviceCount", "pendingInstallDeviceCount"}},
		},
		Thing: managed, Parent: "app.id", Table: slices.Concat(identity, installSummary),
	},
	{
		Form: source.Form{Name: "mobileApps/assignments", Origin: source.Graph, Collection: "mobileApps/assignments",
			ODataTypes: []string{"mobileAppAssignment"}},
		Thing: managed, Parent: "app.id", Lists: []resource.List{assignment},
	},
	{
		Form: source.Form{
			Name: "detectedApps", Origin: source.Graph, Collection: "deviceManagement/detectedApps",
			ODataTypes: []string{"detectedApp"},
			Members:    [][]string{{"id", "displayName", "sizeInByte", "deviceCount"}},
			SDK:        [][]string{{"sizeInByte", "deviceCount"}},
			Tables: []source.Table{{
				Sets:    [][]string{{"id", "displayName", "deviceCount"}, {"displayName", "deviceCount"}},
				Unlike:  []string{"DeviceId", "DeviceName", "UserName", "PolicyId", "UserCount"},
				Columns: detectedColumns,
			}},
		},
		Thing: detected, Table: detectedApp, Says: []resource.Constant{{Attr: "app.kind", Value: "detectedApp"}},
		Left: []string{"managedDevices", platform, shortVersion},
	},
}

// What is known of an app that was found on devices, and not kept: the operating system, which the
// app's name and version hold, and a shorter form of the version.
const (
	platform     = "platform"
	shortVersion = "shortVersion"
)

// detectedColumns are the columns of the report AppInvAggregate, each app with the count of
// devices that have it: by the names under which an export job is asked for them, and in Dutch.
// Its key is Graph's id.
var detectedColumns = []source.Column{
	{Member: "id", Headers: []string{"ApplicationKey", "ApplicationId"}},
	{Member: "displayName", Headers: []string{"ApplicationName"},
		Dutch: []string{"Naam van toepassing", "Toepassingsnaam"}},
	{Member: "version", Headers: []string{"ApplicationVersion"},
		Dutch: []string{"Toepassingsversie", "Versie van toepassing"}},
	{Member: shortVersion, Headers: []string{"ApplicationShortVersion"}},
	{Member: "publisher", Headers: []string{"ApplicationPublisher"}, Dutch: []string{"Uitgever van toepassing"}},
	{Member: "deviceCount", Dutch: []string{"Aantal apparaten"}},
	{Member: platform},
}
