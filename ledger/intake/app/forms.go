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
			Members: [][]string{{"id", "publisher", "publishingState"}},
			SDK:     [][]string{{"publishingState", "publisher"}},
		},
		Thing: managed, Table: mobileApp, Withheld: mobileAppWithheld, Left: mobileAppLeft,
		Objects: []resource.Object{{Field: "installSummary", Table: installSummary}},
		Lists:   []resource.List{assignments, categories, scopeTags},
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
		Form: source.Form{
			Name: "detectedApps", Origin: source.Graph, Collection: "deviceManagement/detectedApps",
			ODataTypes: []string{"detectedApp"},
			Members:    [][]string{{"id", "displayName", "sizeInByte", "deviceCount"}},
			SDK:        [][]string{{"sizeInByte", "deviceCount"}},
		},
		Thing: detected, Table: detectedApp, Says: []resource.Constant{{Attr: "app.kind", Value: "detectedApp"}},
		Left: []string{"managedDevices"},
	},
}
