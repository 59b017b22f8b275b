package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// managedDevice writes one device as Graph's beta does: on a page times have whole
// seconds and missing texts are "", read singly times have seven digits and missing
// texts are null.
func (f *Fleet) managedDevice(d *doc, dev *device, single bool) {
	r := f.cfg.rng(forGraph, dev.n)
	layout := seconds
	text := func(k, v string) { d.str(k, v) }
	if single {
		layout = azureTime
		text = d.opt
	}
	never := func(k string) { d.str(k, "0001-01-01T00:00:00Z") }
	user, upn, display := "", "", ""
	if dev.user >= 0 {
		who := &f.people.all[dev.user]
		user, upn, display = who.id, who.upn(f.cfg.Domain), who.display()
	} else if single {
		user = zeroGUID
	}
	// Another program has already taken the person out of some pages.
	name, mail, serial := dev.name, upn, dev.serial
	if !single && r.chance(0.02) {
		name, mail = "[REDACTED]", "redacted@email.com"
	}
	// In some, hardwareInformation knows what the top level does not.
	inHardware := ""
	if r.chance(0.1) {
		serial, inHardware = "", dev.serial
	}

	d.str("id", dev.id)
	d.str("userId", user)
	text("deviceName", name)
	d.str("ownerType", ownershipGraph[dev.owner])
	d.str("managedDeviceOwnerType", ownershipGraph[dev.owner])
	switch dev.pending {
	case "":
		d.str("managementState", "managed")
	default:
		d.str("managementState", dev.pending+"Pending")
	}
	d.str("enrolledDateTime", dev.created.Format(layout))
	d.str("lastSyncDateTime", dev.contact.Format(layout))
	d.str("chassisType", dev.platform.chassis)
	d.str("operatingSystem", dev.platform.graph)
	d.str("deviceType", dev.platform.deviceType)
	d.str("complianceState", complianceGraph[dev.state])
	d.str("jailBroken", [...]string{"Unknown", "False"}[dev.n%2])
	d.str("managementAgent", "mdm")
	d.str("osVersion", dev.platform.version(dev.osStep))
	d.bool("easActivated", false)
	text("easDeviceId", dev.easID)
	never("easActivationDateTime")
	d.nulls("aadRegistered", "azureADRegistered")
	d.str("deviceEnrollmentType", [...]string{"windowsAzureADJoin", "userEnrollment", "unknown"}[dev.owner])
	d.str("lostModeState", "disabled")
	d.null("activationLockBypassCode")
	text("emailAddress", mail)
	d.str("azureActiveDirectoryDeviceId", dev.refID)
	d.str("azureADDeviceId", dev.refID)
	d.str("deviceRegistrationState", "registered")
	d.str("deviceCategoryDisplayName", [...]string{"", "", "Unknown", "Office"}[dev.n%4])
	d.bool("isSupervised", dev.owner == company && dev.platform == &platforms[2])
	never("exchangeLastSuccessfulSyncDateTime")
	d.str("exchangeAccessState", "none")
	d.str("exchangeAccessStateReason", "none")
	d.nulls("remoteAssistanceSessionUrl", "remoteAssistanceSessionErrorDetails")
	d.bool("isEncrypted", dev.encrypted)
	text("userPrincipalName", upn)
	d.str("model", dev.model)
	d.str("manufacturer", dev.maker)
	text("imei", dev.imei)
	d.str("complianceGracePeriodExpirationDateTime", dev.graceUntil(azureTime))
	text("serialNumber", serial)
	text("phoneNumber", dev.phone)
	text("androidSecurityPatchLevel", dev.patch())
	text("userDisplayName", display)
	d.null("configurationManagerClientEnabledFeatures")
	text("wiFiMacAddress", strings.ToLower(dev.mac))
	d.null("deviceHealthAttestationState")
	d.empties("subscriberCarrier")
	text("meid", dev.meid)
	d.int("totalStorageSpaceInBytes", dev.totalMB<<20)
	d.int("freeStorageSpaceInBytes", dev.freeMB<<20)
	d.str("managedDeviceName", dev.managedName)
	d.str("partnerReportedThreatState", "unknown")
	if single {
		d.str("retireAfterDateTime", "9999-12-31T23:59:59.9999999Z")
	} else {
		never("retireAfterDateTime")
	}
	never("preferMdmOverGroupPolicyAppliedDateTime")
	d.bool("autopilotEnrolled", false)
	d.null("requireUserEnrollmentApproval")
	d.str("managementCertificateExpirationDate", dev.created.AddDate(1, 0, -2).Format(layout))
	d.nulls("iccid", "udid")
	d.array("roleScopeTagIds")
	if single {
		d.str("", "0")
	}
	d.endArray()
	d.int("windowsActiveMalwareCount", 0)
	d.int("windowsRemediatedMalwareCount", 0)
	d.nulls("notes", "configurationManagerClientHealthState", "configurationManagerClientInformation",
		"ethernetMacAddress")
	d.int("physicalMemoryInBytes", 0)
	d.str("processorArchitecture", "unknown")
	d.null("specificationVersion")
	d.str("joinType", [...]string{"azureADJoined", "azureADRegistered", "unknown"}[dev.owner])
	d.str("skuFamily", [...]string{"Enterprise", "", ""}[dev.owner])
	d.int("skuNumber", 0)
	d.str("managementFeatures", "none")
	d.object("hardwareInformation")
	d.opt("serialNumber", inHardware)
	d.int("totalStorageSpace", 0)
	d.int("freeStorageSpace", 0)
	d.opt("imei", dev.imei)
	d.nulls("meid", "manufacturer", "model", "phoneNumber", "subscriberCarrier", "cellularTechnology", "wifiMac",
		"operatingSystemLanguage")
	d.bool("isSupervised", false)
	d.bool("isEncrypted", false) // contradicts the top level and is wrong
	d.null("batterySerialNumber")
	d.int("batteryHealthPercentage", 0)
	d.int("batteryChargeCycles", 0)
	d.bool("isSharedDevice", false)
	d.nulls("tpmSpecificationVersion", "operatingSystemEdition", "deviceFullQualifiedDomainName", "osBuildNumber")
	d.int("operatingSystemProductType", 0)
	d.nulls("ipAddressV4", "subnetAddress")
	d.array("sharedDeviceCachedUsers")
	d.endArray()
	d.endObject()
	d.array("deviceActionResults")
	d.endArray()
	d.array("usersLoggedOn")
	if dev.user >= 0 {
		d.object("")
		d.str("userId", user)
		d.str("lastLogOnDateTime", dev.contact.Format("2006-01-02T15:04:05.00Z"))
		d.endObject()
	}
	d.endArray()
}

const graphRoot = "https://graph.microsoft.com/beta/"

// devicePage is a page of a listing; the next one is named as Graph names it.
func (f *Fleet) devicePage(d *doc, devices []*device, total int, next string) {
	d.object("")
	d.str("@odata.context", graphRoot+"$metadata#deviceManagement/managedDevices")
	d.int("@odata.count", total)
	if next != "" {
		d.str("@odata.nextLink", graphRoot+"deviceManagement/managedDevices?$skiptoken="+next)
	}
	d.array("value")
	for _, dev := range devices {
		d.object("")
		f.managedDevice(d, dev, false)
		d.endObject()
	}
	d.endArray()
	d.endObject()
}

// deviceWithApps is one device read with $expand=detectedApps. It returns the number of apps.
func (f *Fleet) deviceWithApps(d *doc, dev *device) int {
	d.object("")
	d.str("@odata.context", graphRoot+"$metadata#deviceManagement/managedDevices(detectedApps())/$entity")
	f.managedDevice(d, dev, true)
	d.array("detectedApps")
	n := f.appCount(dev)
	for slot := range n {
		f.detectedApp(d, dev, slot)
	}
	d.endArray()
	d.endObject()
	return n
}

func (f *Fleet) appCount(dev *device) int {
	if f.cfg.AppsPerDevice == 0 {
		return 0
	}
	r := f.cfg.rng(forApp, dev.n)
	return r.between((f.cfg.AppsPerDevice+1)/2, f.cfg.AppsPerDevice*3/2)
}

// detectedApp is what one slot of a device holds. The list depends on how often the
// device has reported and on nothing else, so that two readings without a report
// between them agree: every report updates about one app in twelve, and one in
// thirty makes way for another.
func (f *Fleet) detectedApp(d *doc, dev *device, slot int) {
	r := f.cfg.rng(forApp, dev.n, slot)
	generation := (dev.contacts + r.n(30)) / 30
	release := (dev.contacts + r.n(12)) / 12
	// The slot is part of the name, so that no app comes twice on a device.
	pick := f.cfg.rng(forApp, dev.n, slot, generation)
	publisher := pick.pick(publishers)
	name := fmt.Sprintf("%s %s %d", publisher, pick.pick(products), slot)
	version := fmt.Sprintf("%d.%d.%d", 1+pick.n(20), release, pick.n(400))
	if pick.chance(0.05) {
		version = "" // not known
	}
	id := sha256.Sum256([]byte(name + "\x00" + version))
	d.object("")
	d.str("id", hex.EncodeToString(id[:]))
	d.str("displayName", name)
	d.opt("version", version)
	d.int("sizeInByte", pick.n(400<<20))
	d.int("deviceCount", 0)
	d.str("publisher", publisher)
	d.str("platform", [...]string{"windows", "macOS", "ios", "androidWorkProfile"}[indexOf(dev.platform)])
	d.endObject()
}

func indexOf(p *platform) int {
	for i := range platforms {
		if p == &platforms[i] {
			return i
		}
	}
	return 0
}

var (
	publishers = strings.Split("Tailspin,Northwind,Fabrikam,Adatum,Litware,Proseware,Trey,Wingtip,Relecloud,Lucerne,"+
		"Margie,Alpine,Humongous,Woodgrove,Coho", ",")
	products = strings.Split("Mail,Notes,Calendar,Reader,Viewer,Sketch,Sheets,Meet,Chat,Vault,Backup,Scanner,"+
		"Player,Maps,Wallet,Helper,Updater,Agent,Console,Dating,Health,Diary", ",")
)

// nextPage is an opaque token, as Graph's.
func (f *Fleet) nextPage(day, page int) string {
	r := f.cfg.rng(forGraph, day, page)
	return r.from(upper, 24)
}
