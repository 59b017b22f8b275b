package device

import "github.com/ledgerline/ledgerline/ledger/entity"

const mebibyte = 1 << 20

// graphDevice is a managedDevice of Graph.
var graphDevice = []entity.Mapping{
	{Field: "id", Attr: "device.intune-id", Unit: 1},
	{Field: "azureADDeviceId", Attr: "device.directory-id", Unit: 1},
	{Field: "azureActiveDirectoryDeviceId", Attr: "device.directory-id", Unit: 1},
	{Field: "deviceName", Attr: "device.name", Unit: 1},
	{Field: "managedDeviceName", Attr: "device.management-name", Unit: 1},
	{Field: "manufacturer", Attr: "device.manufacturer", Unit: 1},
	{Field: "model", Attr: "device.model", Unit: 1},
	{Field: "operatingSystem", Attr: "device.operating-system", Unit: 1},
	{Field: "osVersion", Attr: "device.os-version", Unit: 1},
	{Field: "androidSecurityPatchLevel", Attr: "device.security-patch-level", Unit: 1},
	{Field: "serialNumber", Attr: "device.serial-number", Unit: 1},
	{Field: "imei", Attr: "device.imei", Unit: 1},
	{Field: "meid", Attr: "device.meid", Unit: 1},
	{Field: "udid", Attr: "device.udid", Unit: 1},
	{Field: "iccid", Attr: "device.iccid", Unit: 1},
	{Field: "wiFiMacAddress", Attr: "device.wifi-mac", Unit: 1},
	{Field: "ethernetMacAddress", Attr: "device.ethernet-mac", Unit: 1},
	{Field: "phoneNumber", Attr: "device.phone-number", Unit: 1},
	{Field: "subscriberCarrier", Attr: "device.carrier", Unit: 1},
	{Field: "easDeviceId", Attr: "device.eas-id", Unit: 1},
	{Field: "easActivated", Attr: "device.eas-activated", Unit: 1},
	{Field: "totalStorageSpaceInBytes", Attr: "device.storage-total", Unit: 1},
	{Field: "freeStorageSpaceInBytes", Attr: "device.storage-free", Unit: 1},
	{Field: "physicalMemoryInBytes", Attr: "device.memory", Unit: 1},
	{Field: "processorArchitecture", Attr: "device.processor", Unit: 1},
	{Field: "chassisType", Attr: "device.chassis", Unit: 1},
	{Field: "deviceType", Attr: "device.device-type", Unit: 1},
	{Field: "skuFamily", Attr: "device.sku-family", Unit: 1},
	{Field: "joinType", Attr: "device.join-type", Unit: 1},
	{Field: "deviceEnrollmentType", Attr: "device.enrolment-type", Unit: 1},
	{Field: "managementAgent", Attr: "device.management-agent", Unit: 1},
	{Field: "deviceRegistrationState", Attr: "device.registration-state", Unit: 1},
	{Field: "managementState", Attr: attrManagement, Unit: 1},
	{Field: "deviceCategoryDisplayName", Attr: "device.category", Unit: 1},
	{Field: "isSupervised", Attr: "device.supervised", Unit: 1},
	{Field: "lostModeState", Attr: "device.lost-mode", Unit: 1},
	{Field: "autopilotEnrolled", Attr: "device.autopilot-enrolled", Unit: 1},
	{Field: "enrolledDateTime", Attr: "device.enrolled-at", Unit: 1},
	{Field: "lastSyncDateTime", Attr: "device.last-contact", Unit: 1},
	{Field: "managementCertificateExpirationDate", Attr: "device.certificate-expires", Unit: 1},
	{Field: "retireAfterDateTime", Attr: "device.retire-after", Unit: 1},
	{Field: "notes", Attr: "device.notes", Unit: 1},
	{Field: "complianceState", Attr: "device.compliance-state", Unit: 1},
	{Field: "isEncrypted", Attr: "device.encrypted", Unit: 1},
	{Field: "jailBroken", Attr: "device.jail-broken", Unit: 1},
	{Field: "complianceGracePeriodExpirationDateTime", Attr: "device.grace-until", Unit: 1},
	{Field: "partnerReportedThreatState", Attr: "device.threat-state", Unit: 1},
	{Field: "windowsActiveMalwareCount", Attr: "device.malware-active", Unit: 1},
	{Field: "windowsRemediatedMalwareCount", Attr: "device.malware-remediated", Unit: 1},
	{Field: "managedDeviceOwnerType", Attr: attrOwnership, Unit: 1},
	{Field: "ownerType", Attr: attrOwnership, Unit: 1},
	{Field: "userId", Attr: attrUserID, Unit: 1},
	{Field: "userDisplayName", Attr: "device.user-name", Unit: 1},
	{Field: "userPrincipalName", Attr: attrUserUPN, Unit: 1},
	{Field: "emailAddress", Attr: attrUserEmail, Unit: 1},
}

// graphHardware is its hardwareInformation. It only fills what the top level leaves out: it is
// known to contradict it.
var graphHardware = []entity.Mapping{
	{Field: "serialNumber", Attr: "device.serial-number", Unit: 1},
	{Field: "imei", Attr: "device.imei", Unit: 1},
	{Field: "meid", Attr: "device.meid", Unit: 1},
	{Field: "manufacturer", Attr: "device.manufacturer", Unit: 1},
	{Field: "model", Attr: "device.model", Unit: 1},
	{Field: "totalStorageSpace", Attr: "device.storage-total", Unit: 1},
	{Field: "freeStorageSpace", Attr: "device.storage-free", Unit: 1},
	{Field: "phoneNumber", Attr: "device.phone-number", Unit: 1},
	{Field: "subscriberCarrier", Attr: "device.carrier", Unit: 1},
	{Field: "wifiMac", Attr: "device.wifi-mac", Unit: 1},
	{Field: "operatingSystemEdition", Attr: "device.os-edition", Unit: 1},
	{Field: "deviceFullQualifiedDomainName", Attr: "device.host-name", Unit: 1},
	{Field: "ipAddressV4", Attr: "device.ip-address", Unit: 1},
	{Field: "subnetAddress", Attr: "device.subnet", Unit: 1},
	{Field: "isSupervised", Attr: "device.supervised", Unit: 1},
	{Field: "isEncrypted", Attr: "device.encrypted", Unit: 1},
}

// azureDevice is a record of Azure Monitor's category Devices.
var azureDevice = []entity.Mapping{
	{Field: "DeviceId", Attr: "device.intune-id", Unit: 1},
	{Field: "ReferenceId", Attr: "device.directory-id", Unit: 1},
	{Field: "DeviceName", Attr: "device.name", Unit: 1},
	{Field: "ManagedDeviceName", Attr: "device.management-name", Unit: 1},
	{Field: "Manufacturer", Attr: "device.manufacturer", Unit: 1},
	{Field: "Model", Attr: "device.model", Unit: 1},
	{Field: "OS", Attr: "device.operating-system", Unit: 1},
	{Field: "OSVersion", Attr: "device.os-version", Unit: 1},
	{Field: "AndroidPatchLevel", Attr: "device.security-patch-level", Unit: 1},
	{Field: "SerialNumber", Attr: "device.serial-number", Unit: 1},
	{Field: "IMEI", Attr: "device.imei", Unit: 1},
	{Field: "MEID", Attr: "device.meid", Unit: 1},
	{Field: "WifiMacAddress", Attr: "device.wifi-mac", Unit: 1},
	{Field: "PhoneNumber", Attr: "device.phone-number", Unit: 1},
	{Field: "SubscriberCarrierNetwork", Attr: "device.carrier", Unit: 1},
	{Field: "EasID", Attr: "device.eas-id", Unit: 1},
	// Graph gives the same devices' storage in bytes, each a multiple of 2²⁰: the unit here is the
	// mebibyte.
	{Field: "StorageTotal", Attr: "device.storage-total", Unit: mebibyte},
	{Field: "StorageFree", Attr: "device.storage-free", Unit: mebibyte},
	{Field: "SkuFamily", Attr: "device.sku-family", Unit: 1},
	{Field: "JoinType", Attr: "device.join-type", Unit: 1},
	{Field: "ManagedBy", Attr: "device.management-agent", Unit: 1},
	{Field: "DeviceRegistrationState", Attr: "device.registration-state", Unit: 1},
	{Field: "DeviceState", Attr: attrManagement, Unit: 1},
	{Field: "CategoryName", Attr: "device.category", Unit: 1},
	{Field: "SupervisedStatusString", Attr: "device.supervised", Unit: 1},
	{Field: "CreatedDate", Attr: "device.enrolled-at", Unit: 1},
	{Field: "LastContact", Attr: "device.last-contact", Unit: 1},
	{Field: "CompliantState", Attr: "device.compliance-state", Unit: 1},
	{Field: "EncryptionStatusString", Attr: "device.encrypted", Unit: 1},
	{Field: "JailBroken", Attr: "device.jail-broken", Unit: 1},
	{Field: "InGracePeriodUntil", Attr: "device.grace-until", Unit: 1},
	{Field: "Ownership", Attr: attrOwnership, Unit: 1},
	{Field: "PrimaryUser", Attr: attrUserID, Unit: 1},
	{Field: "UserName", Attr: "device.user-name", Unit: 1},
	{Field: "UPN", Attr: attrUserUPN, Unit: 1},
	{Field: "UserEmail", Attr: attrUserEmail, Unit: 1},
}

// reportDevice is a row of Intune's reports on devices: of the portal's list and of the export
// jobs Devices and DevicesWithInventory, by the names under which a job is asked for them. Of two
// columns for one attribute the text goes before the code.
var reportDevice = []entity.Mapping{
	{Field: reportDeviceID, Attr: "device.intune-id", Unit: 1},
	{Field: "ReferenceId", Attr: "device.directory-id", Unit: 1},
	{Field: "DeviceName", Attr: "device.name", Unit: 1},
	{Field: "ManagedDeviceName", Attr: "device.management-name", Unit: 1},
	{Field: "Manufacturer", Attr: "device.manufacturer", Unit: 1},
	{Field: "Model", Attr: "device.model", Unit: 1},
	{Field: "OS", Attr: "device.operating-system", Unit: 1},
	{Field: "OSVersion", Attr: "device.os-version", Unit: 1},
	{Field: "AndroidPatchLevel", Attr: "device.security-patch-level", Unit: 1},
	{Field: "SerialNumber", Attr: "device.serial-number", Unit: 1},
	{Field: "IMEI", Attr: "device.imei", Unit: 1},
	{Field: "MEID", Attr: "device.meid", Unit: 1},
	{Field: "ICCID", Attr: "device.iccid", Unit: 1},
	{Field: "WifiMacAddress", Attr: "device.wifi-mac", Unit: 1},
	{Field: "EthernetMAC", Attr: "device.ethernet-mac", Unit: 1},
	{Field: "WiFiIPv4Address", Attr: "device.ip-address", Unit: 1},
	{Field: "WiFiSubnetID", Attr: "device.subnet", Unit: 1},
	{Field: "PhoneNumber", Attr: "device.phone-number", Unit: 1},
	{Field: "PhoneNumberE164Format", Attr: "device.phone-number", Unit: 1},
	{Field: "SubscriberCarrierNetwork", Attr: "device.carrier", Unit: 1},
	{Field: "EasID", Attr: "device.eas-id", Unit: 1},
	{Field: "EasActivationStatusString", Attr: "device.eas-activated", Unit: 1},
	{Field: "EasActivationStatus", Attr: "device.eas-activated", Unit: 1},
	{Field: "StorageTotal", Attr: "device.storage-total", Unit: mebibyte},
	{Field: "StorageFree", Attr: attrStorageFree, Unit: mebibyte},
	{Field: "ProcessorArchitecture", Attr: "device.processor", Unit: 1},
	{Field: "DeviceType", Attr: "device.device-type", Unit: 1},
	{Field: "SkuFamily", Attr: "device.sku-family", Unit: 1},
	{Field: "JoinType", Attr: "device.join-type", Unit: 1},
	{Field: "EnrollmentType", Attr: "device.enrolment-type", Unit: 1},
	{Field: "ManagedBy", Attr: "device.management-agent", Unit: 1},
	{Field: "ManagementAgents", Attr: "device.management-agent", Unit: 1},
	{Field: "DeviceRegistrationState", Attr: "device.registration-state", Unit: 1},
	{Field: "DeviceState", Attr: attrManagement, Unit: 1},
	{Field: "ManagementState", Attr: attrManagement, Unit: 1},
	{Field: "CategoryName", Attr: "device.category", Unit: 1},
	{Field: "SupervisedStatusString", Attr: "device.supervised", Unit: 1},
	{Field: "IsSupervised", Attr: "device.supervised", Unit: 1},
	{Field: "SupervisedStatus", Attr: "device.supervised", Unit: 1},
	{Field: "CreatedDate", Attr: "device.enrolled-at", Unit: 1},
	{Field: "LastContact", Attr: "device.last-contact", Unit: 1},
	{Field: "CertExpirationDate", Attr: "device.certificate-expires", Unit: 1},
	{Field: "RetireAfterDatetime", Attr: "device.retire-after", Unit: 1},
	{Field: "CompliantState", Attr: "device.compliance-state", Unit: 1},
	{Field: "EncryptionStatusString", Attr: "device.encrypted", Unit: 1},
	{Field: "IsEncrypted", Attr: "device.encrypted", Unit: 1},
	{Field: "EncryptionStatus", Attr: "device.encrypted", Unit: 1},
	{Field: "JailBroken", Attr: "device.jail-broken", Unit: 1},
	{Field: "InGracePeriodUntil", Attr: "device.grace-until", Unit: 1},
	{Field: "Ownership", Attr: attrOwnership, Unit: 1},
	{Field: "OwnerType", Attr: attrOwnership, Unit: 1},
	{Field: "UserId", Attr: attrUserID, Unit: 1},
	{Field: "PrimaryUser", Attr: attrUserID, Unit: 1},
	{Field: "UserName", Attr: "device.user-name", Unit: 1},
	{Field: "UPN", Attr: attrUserUPN, Unit: 1},
	{Field: "UserEmail", Attr: attrUserEmail, Unit: 1},
}

// Members of a row of a report.
const (
	reportDeviceID = "DeviceId"
	bypassCode     = "ActivationLockBypassCode"
	appKey         = "ApplicationKey"
	appName        = "ApplicationName"
	appPublisher   = "ApplicationPublisher"
	appVersion     = "ApplicationVersion"
	appShort       = "ApplicationShortVersion"
	appSize        = "ApplicationSize"
)

// appReportFields are known of a row of the report on discovered apps. What it says of the device
// and its user beside the id, the reports on devices say; it may be older here.
var appReportFields = []string{reportDeviceID, appKey, appName, appPublisher, appVersion, appShort, appSize,
	"ApplicationId", "DeviceName", "ImeiNumber", "OSDescription", "OSVersion", "Platform", "UserId", "EmailAddress",
	"UserName"}

// untold is what reports write where they have nothing to tell.
var untold = map[string]bool{"-1": true, "-": true, "--": true, "n/a": true, "n.v.t.": true}

// maxUntold is the longest of them, in quotes.
const maxUntold = len(`"n.v.t."`)

// zeroMeansUnknown: a device without storage or memory does not exist.
var zeroMeansUnknown = map[string]bool{"device.storage-total": true, "device.memory": true}
