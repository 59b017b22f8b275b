package configuration

// profiles are the types of configuration profiles that are known by name.
var profiles = []string{"androidCustomConfiguration", "androidDeviceOwnerEnterpriseWiFiConfiguration",
	"androidDeviceOwnerGeneralDeviceConfiguration", "androidDeviceOwnerWiFiConfiguration",
	"androidForWorkGeneralDeviceConfiguration", "androidGeneralDeviceConfiguration",
	"androidWorkProfileCustomConfiguration", "androidWorkProfileGeneralDeviceConfiguration",
	"editionUpgradeConfiguration", "iosCertificateProfile", "iosCustomConfiguration",
	"iosDeviceFeaturesConfiguration", "iosEnterpriseWiFiConfiguration", "iosGeneralDeviceConfiguration",
	"iosScepCertificateProfile", "iosTrustedRootCertificate", "iosUpdateConfiguration", "iosVpnConfiguration",
	"iosWiFiConfiguration", "macOSCustomConfiguration", "macOSDeviceFeaturesConfiguration",
	"macOSEndpointProtectionConfiguration", "macOSExtensionsConfiguration", "macOSGeneralDeviceConfiguration",
	"macOSSoftwareUpdateConfiguration", "macOSWiFiConfiguration", "sharedPCConfiguration",
	"windows10CustomConfiguration", "windows10EndpointProtectionConfiguration",
	"windows10EnterpriseModernAppManagementConfiguration", "windows10GeneralConfiguration",
	"windows10SecureAssessmentConfiguration", "windows10TeamGeneralConfiguration", "windows10VpnConfiguration",
	"windows81GeneralConfiguration", "windows81TrustedRootCertificate",
	"windowsDefenderAdvancedThreatProtectionConfiguration", "windowsDeliveryOptimizationConfiguration",
	"windowsDomainJoinConfiguration", "windowsHealthMonitoringConfiguration",
	"windowsIdentityProtectionConfiguration", "windowsKioskConfiguration", "windowsPhone81CustomConfiguration",
	"windowsPhone81GeneralConfiguration", "windowsUpdateForBusinessConfiguration", "windowsWifiConfiguration",
	"windowsWifiEnterpriseEAPConfiguration"}

// compliancePolicies are those of compliance policies.
var compliancePolicies = []string{"androidCompliancePolicy", "androidDeviceOwnerCompliancePolicy",
	"androidForWorkCompliancePolicy", "androidWorkProfileCompliancePolicy", "aospDeviceOwnerCompliancePolicy",
	"iosCompliancePolicy", "macOSCompliancePolicy", "windows10CompliancePolicy", "windows10MobileCompliancePolicy",
	"windows81CompliancePolicy", "windowsPhone81CompliancePolicy"}
