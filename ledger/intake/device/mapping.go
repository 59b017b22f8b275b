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
	{Field: "exchangeAccessState", Attr: "device.exchange-access", Unit: 1},
	{Field: "exchangeAccessStateReason", Attr: "device.exchange-reason", Unit: 1},
	{Field: "exchangeLastSuccessfulSyncDateTime", Attr: "device.exchange-sync", Unit: 1},
	{Field: "easActivationDateTime", Attr: "device.eas-activated-at", Unit: 1},
	{Field: "requireUserEnrollmentApproval", Attr: "device.approval-required", Unit: 1},
	{Field: "enrollmentProfileName", Attr: "device.enrolment-profile", Unit: 1},
	{Field: "preferMdmOverGroupPolicyAppliedDateTime", Attr: "device.mdm-over-policy-at", Unit: 1},
	{Field: "remoteAssistanceSessionErrorDetails", Attr: "device.assistance-error", Unit: 1},
	{Field: "bootstrapTokenEscrowed", Attr: "device.bootstrap-token", Unit: 1},
	{Field: "deviceFirmwareConfigurationInterfaceManaged", Attr: "device.firmware-managed", Unit: 1},
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
	{Field: "tpmSpecificationVersion", Attr: "device.tpm-specification", Unit: 1},
	{Field: "tpmVersion", Attr: "device.tpm-version", Unit: 1},
	{Field: "tpmManufacturer", Attr: "device.tpm-manufacturer", Unit: 1},
	{Field: "systemManagementBIOSVersion", Attr: "device.bios-version", Unit: 1},
	{Field: "deviceGuardVirtualizationBasedSecurityState", Attr: "device.virtualization-security", Unit: 1},
	{Field: "deviceGuardVirtualizationBasedSecurityHardwareRequirementState", Attr: "device.virtualization-hardware",
		Unit: 1},
	{Field: "deviceGuardLocalSystemAuthorityCredentialGuardState", Attr: "device.credential-guard", Unit: 1},
	{Field: "deviceLicensingStatus", Attr: "device.licensing-state", Unit: 1},
	{Field: "productName", Attr: "device.product-name", Unit: 1},
	{Field: "cellularTechnology", Attr: "device.cellular-technology", Unit: 1},
	{Field: "esimIdentifier", Attr: "device.esim-id", Unit: 1},
	{Field: "isSharedDevice", Attr: "device.shared", Unit: 1},
	{Field: "residentUsersCount", Attr: "device.resident-users", Unit: 1},
	{Field: "batteryHealthPercentage", Attr: "device.battery-health", Unit: 1},
	{Field: "batteryChargeCycles", Attr: "device.battery-cycles", Unit: 1},
	{Field: "batterySerialNumber", Attr: "device.battery-serial", Unit: 1},
}

// graphHealth is its deviceHealthAttestationState.
var graphHealth = []entity.Mapping{
	{Field: "deviceHealthAttestationStatus", Attr: "device.attestation-status", Unit: 1},
	{Field: "issuedDateTime", Attr: "device.attested-at", Unit: 1},
	{Field: "secureBoot", Attr: "device.attested-secure-boot", Unit: 1},
	{Field: "bitLockerStatus", Attr: "device.attested-bitlocker", Unit: 1},
	{Field: "codeIntegrity", Attr: "device.attested-code-integrity", Unit: 1},
	{Field: "bootDebugging", Attr: "device.attested-boot-debugging", Unit: 1},
	{Field: "operatingSystemKernelDebugging", Attr: "device.attested-kernel-debugging", Unit: 1},
	{Field: "testSigning", Attr: "device.attested-test-signing", Unit: 1},
	{Field: "safeMode", Attr: "device.attested-safe-mode", Unit: 1},
	{Field: "windowsPE", Attr: "device.attested-windows-pe", Unit: 1},
	{Field: "earlyLaunchAntiMalwareDriverProtection", Attr: "device.attested-early-launch", Unit: 1},
	{Field: "virtualSecureMode", Attr: "device.attested-virtual-secure-mode", Unit: 1},
	{Field: "dataExcutionPolicy", Attr: "device.attested-execution-prevention", Unit: 1}, // Graph's own spelling
	{Field: "tpmVersion", Attr: "device.tpm-version", Unit: 1},
}

// graphClientHealth is its configurationManagerClientHealthState, graphClient its
// configurationManagerClientInformation.
var (
	graphClientHealth = []entity.Mapping{
		{Field: "state", Attr: "device.config-manager-state", Unit: 1},
		{Field: "errorCode", Attr: "device.config-manager-error", Unit: 1},
		{Field: "lastSyncDateTime", Attr: "device.config-manager-contact", Unit: 1},
	}
	graphClient = []entity.Mapping{
		{Field: "clientIdentifier", Attr: "device.config-manager-id", Unit: 1},
		{Field: "clientVersion", Attr: "device.config-manager-version", Unit: 1},
		{Field: "isBlocked", Attr: "device.config-manager-blocked", Unit: 1},
	}
)

// Of a managedDevice nothing is kept of these, by decision.
var (
	// What deviceRegistrationState, skuFamily and osVersion say, which these are known to
	// contradict or tell by an undocumented code; what has records of its own; and who manages for
	// whom, which is no matter of one device.
	graphDeviceLeft = []string{"aadRegistered", "azureADRegistered", "specificationVersion", "skuNumber",
		"managementFeatures", "deviceActionResults", "deviceCategory", "deviceCompliancePolicyStates",
		"deviceConfigurationStates", "logCollectionRequests", "managedDeviceMobileAppConfigurationStates",
		"users", "windowsProtectionState", "cloudPcRemoteActionResults", "chromeOSDeviceInfo"}
	// The user's language; what the version, the edition and the chassis say; how full a battery
	// was in passing; why Microsoft's licence servers did not answer.
	graphHardwareLeft = []string{"operatingSystemLanguage", "osBuildNumber", "operatingSystemProductType",
		"batteryLevelPercentage", "deviceLicensingLastErrorCode", "deviceLicensingLastErrorDescription"}
	// Measurements that an attestation rests on, and names of keys.
	graphHealthLeft = []string{"lastUpdateDateTime", "contentNamespaceUrl", "contentVersion", "resetCount",
		"restartCount", "attestationIdentityKey", "bootManagerVersion", "codeIntegrityCheckVersion",
		"pcrHashAlgorithm", "bootAppSecurityVersion", "bootManagerSecurityVersion", "pcr0",
		"secureBootConfigurationPolicyFingerPrint", "codeIntegrityPolicy", "bootRevisionListInfo",
		"operatingSystemRevListInfo", "healthStatusMismatchInfo", "healthAttestationSupportedStatus",
		"bootAppSecurityVersion", "firmwareProtection", "memoryAccessProtection", "memoryIntegrityProtection",
		"securedCorePC", "systemManagementMode", "virtualizationBasedSecurity"}
)

// encryptionState is a managedDeviceEncryptionState of Graph, whose id is the device's. What else
// it tells of the device and its user, the device's own record tells; it may be older here.
var encryptionState = []entity.Mapping{
	{Field: "id", Attr: "device.intune-id", Unit: 1},
	{Field: "encryptionReadinessState", Attr: "device.encryption-readiness", Unit: 1},
	{Field: "encryptionState", Attr: "device.encryption-state", Unit: 1},
	{Field: "encryptionPolicySettingState", Attr: "device.encryption-policy-state", Unit: 1},
	{Field: "tpmSpecificationVersion", Attr: "device.tpm-specification", Unit: 1},
}

var encryptionStateLeft = []string{"userPrincipalName", "deviceName", "deviceType", "osVersion"}

// azureCompliance is a record of Azure Monitor's category DeviceComplianceOrg: a device by how it
// complies. Its codes of the management agents and the device's type are not those of Devices, and
// say another thing than they do.
var azureCompliance = []entity.Mapping{
	{Field: reportDeviceID, Attr: "device.intune-id", Unit: 1},
	{Field: "DeviceName", Attr: "device.name", Unit: 1},
	{Field: "OS", Attr: "device.operating-system", Unit: 1},
	{Field: "OSVersion", Attr: "device.os-version", Unit: 1},
	{Field: "SerialNumber", Attr: "device.serial-number", Unit: 1},
	{Field: "IMEI", Attr: "device.imei", Unit: 1},
	{Field: "LastContact", Attr: "device.last-contact", Unit: 1},
	{Field: "RetireAfterDatetime", Attr: "device.retire-after", Unit: 1},
	{Field: "ComplianceState", Attr: "device.compliance-state", Unit: 1},
	{Field: "InGracePeriodUntil", Attr: "device.grace-until", Unit: 1},
	{Field: "DeviceHealthThreatLevel", Attr: "device.threat-level", Unit: 1},
	{Field: "OwnerType", Attr: attrOwnership, Unit: 1},
	{Field: "UserId", Attr: attrUserID, Unit: 1},
	{Field: "UserName", Attr: "device.user-name", Unit: 1},
	{Field: "UPN", Attr: attrUserUPN, Unit: 1},
	{Field: "UserEmail", Attr: attrUserEmail, Unit: 1},
}

var azureComplianceLeft = []string{"BatchId", "IntuneAccountId", "AADTenantId", "OSDescription", "ManagementAgents",
	"DeviceType"}

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
	{Field: "EID", Attr: "device.esim-id", Unit: 1},
	{Field: "CellularTechnology", Attr: "device.cellular-technology", Unit: 1},
	{Field: "ProductName", Attr: "device.product-name", Unit: 1},
	{Field: "SystemManagementBIOSVersion", Attr: "device.bios-version", Unit: 1},
	{Field: "TPMManufacturerId", Attr: "device.tpm-manufacturer", Unit: 1},
	{Field: "TPMManufacturerVersion", Attr: "device.tpm-version", Unit: 1},
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

// zeroMeansUnknown: a device without storage or memory does not exist; and Graph answers false for
// what it looks up only where it is asked for it by name.
var zeroMeansUnknown = map[string]bool{"device.storage-total": true, "device.memory": true,
	"device.bootstrap-token": true, "device.firmware-managed": true}
