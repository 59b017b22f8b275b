package device

import (
	"slices"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// The forms of a device, as they are counted and named.
const (
	kindManagedDevice = "managedDevices" // Graph
	kindDevice        = "Devices"        // Azure Monitor
	// Tables of Intune's reports, of its portal and its export jobs.
	kindReport = "DevicesWithInventory"
	// Further records of a device, each of a part of its state.
	kindEncryption = "managedDeviceEncryptionStates" // Graph
	kindCompliance = "DeviceComplianceOrg"           // Azure Monitor
	kindAppReport  = "AppInvRawData"
)

// forms are how sources write a device.
var forms = []source.Form{
	{
		Name: kindManagedDevice, Origin: source.Graph,
		ODataTypes: []string{"managedDevice", "windowsManagedDevice"}, Collection: "managedDevices",
		// The last is what Microsoft's export of a person's data leaves of one.
		Members: [][]string{
			{"id", "enrolledDateTime", "managementAgent"}, {"id", "managedDeviceOwnerType", "lastSyncDateTime"},
			{"id", "managedDeviceOwnerType", "azureADDeviceId", "managedDeviceName"},
		},
		SDK: [][]string{{"lastSyncDateTime"}, {"enrolledDateTime"}},
		Fields: entity.FieldNames(slices.Concat(graphDevice, graphHardware, graphHealth, graphClientHealth,
			graphClient), "hardwareInformation", "usersLoggedOn", "lastLogOnDateTime", "detectedApps", "sizeInByte",
			"activationLockBypassCode", "wiredIPv4Addresses", "securityBaselineTemplateId"),
	},
	{
		Name: kindDevice, Origin: source.AzureMonitor, Category: "Devices",
		Overview: source.Overview{Has: "Stats", Lacks: "DeviceId"},
		Table:    "IntuneDevices", Flat: true,
		Columns:  []string{"TimeGenerated", "DeviceId", "LastContact", "CompliantState"},
		Unshared: []string{"DeviceId", "Stats", "BatchId"},
	},
	// Microsoft's export of a person's data has the service's own rows, as objects of such names.
	{Name: kindReport, Origin: source.Graph, Members: [][]string{{reportDeviceID, microsoftID}},
		Tables: []source.Table{{
			Sets: [][]string{
				{reportDeviceID, "LastContact"}, {reportDeviceID, "CreatedDate"}, {reportDeviceID, "SerialNumber"},
				{reportDeviceID, "OwnerType"}, {reportDeviceID, "Ownership"}, {"ReferenceId", "SerialNumber"},
			},
			// Of reports on what became of a policy, an update or an app on a device.
			Unlike: []string{"ApplicationKey", "ApplicationName", "ApplicationId", "PolicyId", "PolicyName", "AlertId",
				"MalwareId", "SettingName", "IntuneDeviceId"},
			Columns: reportColumns,
		}}},
	{Name: kindAppReport, Origin: source.Graph, Tables: []source.Table{{
		Sets: [][]string{{reportDeviceID, appKey, appName}}, Columns: appColumns, Together: reportDeviceID,
	}}},
	{
		Name: kindEncryption, Origin: source.Graph,
		ODataTypes: []string{"managedDeviceEncryptionState"}, Collection: "managedDeviceEncryptionStates",
		Members: [][]string{{"id", "encryptionState", "encryptionReadinessState"}},
		SDK:     [][]string{{"encryptionState", "encryptionReadinessState"}},
		Fields:  entity.FieldNames(encryptionState, "advancedBitLockerStates", "fileVaultStates", "policyDetails"),
	},
	{
		Name: kindCompliance, Origin: source.AzureMonitor, Category: "DeviceComplianceOrg",
		Table: "IntuneDeviceComplianceOrg", Flat: true,
		Columns:  []string{"TimeGenerated", "DeviceId", "LastContact", "ComplianceState"},
		Unshared: []string{"DeviceId", "BatchId"},
	},
}

// reportColumns are the columns of Intune's reports on devices, by the names under which an export
// job is asked for them, and the headers that the portal gives them, in English and Dutch.
var reportColumns = slices.Concat([]source.Column{
	{Member: reportDeviceID, Dutch: []string{"Apparaat-id", "Intune-apparaat-id"}},
	{Member: "ReferenceId", Headers: []string{"Azure AD Device ID", "Microsoft Entra Device ID", "Entra Device ID",
		"AadDeviceId"}, Dutch: []string{"Azure AD-apparaat-id", "Microsoft Entra-apparaat-id", "Entra-apparaat-id"}},
	{Member: "DeviceName", Dutch: []string{"Apparaatnaam", "Naam"}},
	{Member: "ManagedDeviceName", Headers: []string{"Management name"},
		Dutch: []string{"Beheernaam", "Naam van beheer", "Naam van de beheerder"}},
	{Member: "Manufacturer", Dutch: []string{"Fabrikant"}},
	{Member: "OS", Dutch: []string{"Besturingssysteem"}},
	{Member: "OSVersion", Dutch: []string{"Versie van besturingssysteem", "Besturingssysteemversie"}},
	{Member: "AndroidPatchLevel", Headers: []string{"Security patch level"},
		Dutch: []string{"Beveiligingspatchniveau"}},
	{Member: "SerialNumber", Dutch: []string{"Serienummer"}},
	{Member: "WifiMacAddress", Headers: []string{"Wi-Fi MAC"},
		Dutch: []string{"MAC-adres Wi-Fi", "Wi-Fi MAC-adres"}},
	{Member: "EthernetMAC", Dutch: []string{"Ethernet MAC-adres", "MAC-adres Ethernet"}},
	{Member: "PhoneNumber", Dutch: []string{"Telefoonnummer"}},
	{Member: "SubscriberCarrierNetwork", Headers: []string{"Subscriber carrier"},
		Dutch: []string{"Provider van abonnee"}},
	{Member: "EasID", Headers: []string{"EAS activation ID"},
		Dutch: []string{"Activerings-id voor EAS", "EAS-activerings-id"}},
	{Member: "EasActivationStatus", Headers: []string{"EAS activated"}, Dutch: []string{"EAS geactiveerd"}},
	{Member: "StorageTotal", Headers: []string{"Total storage"},
		Dutch: []string{"Totale opslagruimte", "Totale opslag"}},
	{Member: "StorageFree", Headers: []string{"Free storage"},
		Dutch: []string{"Beschikbare opslagruimte", "Vrije opslagruimte", "Beschikbare opslag"}},
	{Member: "CategoryName", Headers: []string{"Category"}, Dutch: []string{"Categorie"}},
	{Member: "CreatedDate", Headers: []string{"Enrollment date"}, Dutch: []string{"Inschrijvingsdatum"}, Time: true},
	{Member: "LastContact", Headers: []string{"Last check-in"},
		Dutch: []string{"Laatste check-in", "Laatst ingecheckt", "Laatste contact"}, Time: true},
	{Member: "CertExpirationDate", Headers: []string{"Management certificate expiration date"},
		Dutch: []string{"Vervaldatum van beheercertificaat"}, Time: true},
	{Member: "InGracePeriodUntil", Headers: []string{"Compliance grace period expiration"},
		Dutch: []string{"Einde van respijtperiode voor naleving"}, Time: true},
	{Member: "CompliantState", Headers: []string{"Compliance", "ComplianceState"},
		Dutch: []string{"Naleving", "Nalevingsstatus"}},
	{Member: "IsEncrypted", Headers: []string{"Encrypted"}, Dutch: []string{"Versleuteld"}},
	{Member: "IsSupervised", Headers: []string{"Supervised"}, Dutch: []string{"Onder supervisie"}},
	{Member: "DeviceRegistrationState", Headers: []string{"Intune registered"},
		Dutch: []string{"Intune geregistreerd"}},
	{Member: "ManagedBy", Headers: []string{"ManagementAgent"}, Dutch: []string{"Beheerd door"}},
	{Member: "Ownership", Dutch: []string{"Eigendom", "Eigenaarschap"}},
	{Member: "DeviceState", Dutch: []string{"Apparaatstatus", "Status van apparaat"}},
	{Member: "JoinType", Dutch: []string{"Type samenvoeging", "Jointype"}},
	{Member: "UserId", Dutch: []string{"Gebruikers-id"}},
	{Member: "UPN", Headers: []string{"Primary user UPN"},
		Dutch: []string{"UPN van primaire gebruiker", "Primaire gebruiker-UPN"}},
	{Member: "UserEmail", Headers: []string{"Primary user email address"},
		Dutch: []string{"E-mailadres van primaire gebruiker"}},
	{Member: "UserName", Headers: []string{"Primary user display name"},
		Dutch: []string{"Weergavenaam van primaire gebruiker"}},
}, membersOf(entity.FieldNames(reportDevice, bypassCode)))

// appColumns are the columns of Intune's reports on discovered apps: a row is an app on a device.
var appColumns = slices.Concat([]source.Column{
	{Member: reportDeviceID, Headers: []string{"Device ID"}, Dutch: []string{"Apparaat-id"}},
	{Member: appName, Headers: []string{"Application name"},
		Dutch: []string{"Naam van toepassing", "Toepassingsnaam"}},
	{Member: appVersion, Headers: []string{"Application version"},
		Dutch: []string{"Toepassingsversie", "Versie van toepassing"}},
	{Member: appPublisher, Headers: []string{"Application publisher"}, Dutch: []string{"Uitgever van toepassing"}},
	{Member: appSize, Headers: []string{"Application size"}, Dutch: []string{"Grootte van toepassing"}},
}, membersOf(appReportFields))

// microsoftID is what tells a device apart to the directory of Microsoft accounts.
const microsoftID = "MSADeviceId"

// membersOf returns columns whose headers are the members' own names.
func membersOf(members []string) (out []source.Column) {
	for _, m := range members {
		out = append(out, source.Column{Member: m})
	}
	return out
}
