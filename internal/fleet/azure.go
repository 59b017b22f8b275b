package fleet

import (
	"strconv"
	"time"
)

const (
	azureTime = "2006-01-02T15:04:05.0000000Z" // 7 digits
	azureZone = "2006-01-02 15:04:05.0000000"  // UTC, and does not say so
	usDate    = "1/2/2006 3:04:05 PM"
	seconds   = "2006-01-02T15:04:05Z"
)

// head begins an Azure Monitor record.
func (f *Fleet) head(d *doc, when, tenant, category, operation, result string) {
	d.object("")
	d.str("time", when)
	d.str("tenantId", tenant)
	d.str("category", category)
	d.str("operationName", operation)
	d.str("resultType", result)
}

// deviceRow is one line of the Devices export.
func (f *Fleet) deviceRow(d *doc, dev *device, when time.Time, batch string) {
	f.head(d, when.Format(azureTime), f.cfg.Tenant, "Devices", "Devices", "None")
	d.object("properties")
	d.str("DeviceId", dev.id)
	d.str("DeviceName", dev.name)
	upn, display, user := "", "", zeroGUID
	if dev.user >= 0 {
		who := &f.people.all[dev.user]
		upn, display, user = who.upn(f.cfg.Domain), who.display(), who.id
	}
	d.str("UPN", upn)
	d.str("LastContact", dev.contact.Format(azureZone))
	d.str("OSVersion", dev.platform.version(dev.osStep))
	d.str("OS", dev.platform.azure)
	d.str("CompliantState", complianceText[dev.state])
	d.str("Ownership", ownershipText[dev.owner])
	d.str("ManagedBy", "Intune")
	d.str("Model", dev.model)
	d.str("SerialNumber", dev.serial)
	d.str("Manufacturer", dev.maker)
	d.str("CreatedDate", dev.created.Format(azureZone))
	switch dev.pending {
	case "":
		d.str("DeviceState", "Managed")
	case "wipe":
		d.str("DeviceState", "WipePending")
	default:
		d.str("DeviceState", "RetirePending")
	}
	d.str("UserEmail", upn)
	d.str("UserName", display)
	d.str("IMEI", dev.imei)
	d.str("PhoneNumber", dev.phone)
	d.str("DeviceRegistrationState", "Registered")
	d.str("ReferenceId", dev.refID)
	d.str("ManagedDeviceName", dev.managedName)
	d.bool("GraphDeviceIsManaged", true)
	d.str("CategoryName", [...]string{"", "", "Unknown", "Office"}[dev.n%4])
	d.str("EncryptionStatusString", title(dev.encrypted))
	d.str("SubscriberCarrierNetwork", "")
	d.str("JoinType", [...]string{"Azure AD joined", "Azure AD registered", "Unknown"}[dev.owner])
	d.str("SupervisedStatusString", title(dev.owner == company && dev.platform == &platforms[2]))
	d.str("WifiMacAddress", dev.mac)
	d.int("StorageTotal", dev.totalMB)
	d.int("StorageFree", dev.freeMB)
	d.str("AndroidPatchLevel", dev.patch())
	d.str("MEID", dev.meid)
	d.str("InGracePeriodUntil", dev.graceUntil(azureZone))
	d.str("JailBroken", [...]string{"Unknown", "False"}[dev.n%2])
	d.str("SkuFamily", [...]string{"Enterprise", "", ""}[dev.owner])
	d.str("EasID", dev.easID)
	d.str("PrimaryUser", user)
	d.str("BatchId", batch)
	d.str("IntuneAccountId", f.account)
	d.str("AADTenantId", f.cfg.Tenant)
	d.endObject()
	d.endObject()
}

// statsRow ends a Devices export. It is not a device.
func (f *Fleet) statsRow(d *doc, count int, when time.Time, batch string) {
	f.head(d, when.Format(azureTime), f.cfg.Tenant, "Devices", "Devices", "None")
	d.object("properties")
	d.object("Stats")
	d.int("RecordCount", count)
	d.endObject()
	d.str("BatchId", batch)
	d.str("IntuneAccountId", f.account)
	d.endObject()
	d.endObject()
}

// complianceRow is one line of the DeviceComplianceOrg export: numbers as text, with
// their meaning in a field beside them.
func (f *Fleet) complianceRow(d *doc, dev *device, when time.Time, batch string) {
	f.head(d, when.Format(azureTime), f.cfg.Tenant, "DeviceComplianceOrg", "DeviceCompliance", "None")
	d.object("properties")
	upn, display, user := "", "", zeroGUID
	if dev.user >= 0 {
		who := &f.people.all[dev.user]
		upn, display, user = who.upn(f.cfg.Domain), who.display(), who.id
	}
	d.str("DeviceName", dev.name)
	d.str("UPN", upn)
	d.str("ComplianceState", strconv.Itoa([...]int{1, 2, 254, 0}[dev.state]))
	d.str("ComplianceState_loc", complianceText[dev.state])
	d.str("OSDescription", dev.platform.azure)
	d.str("OSVersion", dev.platform.version(dev.osStep))
	d.str("OS", dev.platform.azure)
	d.str("OS_loc", dev.platform.azure)
	d.int("OwnerType", [...]int{1, 2, 0}[dev.owner])
	d.str("OwnerType_loc", [...]string{"Company", "Personal", "Unknown"}[dev.owner])
	d.str("DeviceId", dev.id)
	d.str("LastContact", dev.contact.Format("2006-01-02T15:04:05.0000000"))
	d.str("UserId", user)
	d.str("IMEI", dev.imei)
	d.str("SerialNumber", dev.serial)
	d.null("RetireAfterDatetime")
	d.int("ManagementAgents", 514)
	d.str("ManagementAgents_loc", "Not Available")
	d.int("DeviceType", 1)
	d.str("UserName", display)
	d.str("InGracePeriodUntil", dev.graceUntil("2006-01-02T15:04:05.0000000"))
	d.null("DeviceHealthThreatLevel")
	d.str("DeviceHealthThreatLevel_loc", "Unknown")
	d.str("UserEmail", upn)
	d.str("BatchId", batch)
	d.str("IntuneAccountId", f.account)
	d.str("AADTenantId", f.cfg.Tenant)
	d.endObject()
	d.endObject()
}

// operationalRow is an enrolment or, for a device that is not compliant, the alert.
func (f *Fleet) operationalRow(d *doc, dev *device, when time.Time) {
	user := zeroGUID
	who := &person{given: "Unknown", family: "User", local: "unknown"}
	if dev.user >= 0 {
		who = &f.people.all[dev.user]
		user = who.id
	}
	if dev.state != noncompliant {
		f.head(d, when.Format(azureTime), f.cfg.Tenant, "OperationalLogs", "Enrollment", "Success")
		d.object("properties")
		d.str("AADDeviceId", dev.refID)
		d.str("AADTenantId", f.cfg.Tenant)
		d.str("EnrollmentTimeUTC", dev.created.Format("2006-01-02T15:04:05.0000Z"))
		d.str("EnrollmentType", "WindowsAzureADJoin")
		d.str("FailureCategory", "Not Applicable")
		d.str("FailureReason", "Unknown")
		d.str("IntuneAccountId", f.account)
		d.str("IntuneDeviceId", dev.id)
		d.str("IntuneUserId", user)
		d.str("OperationalLogCategory", "DeviceEnrollment")
		d.str("Os", dev.platform.graph)
		d.str("OsVersion", dev.platform.version(dev.osStep))
		d.str("ScaleUnit", "AMSUB0901")
		d.str("ScenarioName", "Microsoft.Management.Services.Diagnostics.SLAEvents.EnrollmentSLAEvent")
	} else {
		f.head(d, when.Format(azureTime), f.cfg.Tenant, "OperationalLogs", "Compliance", "None")
		d.object("properties")
		d.str("AADTenantId", f.cfg.Tenant)
		d.str("AlertDisplayName", "Managed Device "+dev.name+" is not Compliant")
		d.str("AlertType", "Managed Device Not Compliant")
		d.str("Description", "DefaultDeviceCompliancePolicy.RequireRemainContact||Expected recent contact. "+
			"Last contact: "+dev.contact.Format("2006-01-02 15:04:05Z"))
		d.str("DeviceDnsDomain", "")
		d.str("DeviceHostName", dev.name)
		d.str("DeviceName", dev.name)
		d.str("DeviceOperatingSystem", dev.platform.graph+" "+dev.platform.version(dev.osStep))
		d.str("IntuneAccountId", f.account)
		d.str("IntuneDeviceId", dev.id)
		d.str("IntuneUserId", user)
		d.str("OperationalLogCategory", "DeviceCompliance")
		d.str("ScaleUnit", "AMSUB0901")
		d.str("StartTimeUtc", when.Format("2006-01-02T15:04:05.0000Z"))
		d.str("UPNSuffix", f.cfg.Domain)
		d.str("UserDisplayName", who.display())
		d.str("UserName", who.local)
	}
	d.endObject()
	d.endObject()
}

func title(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func (dev *device) patch() string {
	if dev.platform != &platforms[3] {
		return ""
	}
	return time.Date(2026, time.Month(1+dev.osStep), 1, 0, 0, 0, 0, time.UTC).Format("2006-01-02")
}

func (dev *device) graceUntil(layout string) string {
	switch dev.state {
	case inGrace:
		return dev.created.AddDate(0, 0, 400).Format(layout)
	case noncompliant:
		return time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Format(layout)
	}
	return time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC).Format(layout)
}
