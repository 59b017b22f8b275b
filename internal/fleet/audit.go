package fleet

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// In which forms an action is reported.
const (
	inLines = 1 << iota // audit.ndjson: Azure Monitor, a record a line
	inBatch             // event-hubs.ndjson: Azure Monitor, as Event Hubs wraps it
	inGraph             // graph-audit-*.json
)

// An action is one thing an administrator did, before any form is given to it.
type action struct {
	id, correlation string
	when            time.Time // to 100 µs, as Azure Monitor has it
	operation       string    // "Create DeviceConfiguration"
	verb            int       // Create, Delete, Patch, Action … below
	category        int
	failed          bool
	details         string

	actor       *person // nil: an application did it
	actorIndex  int     // into people
	permissions []string

	targetID, targetName, targetType string
	changed                          []property
	forms                            int
	twice                            bool // its line comes again
}

type property struct{ name, old, new string } // "" is null, "<null>" that text

const (
	verbCreate = iota
	verbDelete
	verbPatch
	verbAction
)

var verbs = [...]string{"Create", "Delete", "Patch", "Action"}

var categories = [...]string{"Other", "Enrollment", "Compliance", "DeviceConfiguration", "Device", "Application",
	"EBookManagement", "ConditionalAccess",
	"OnPremiseAccess", "Role", "SoftwareUpdates", "DeviceSetupConfiguration", "DeviceIntent", "DeviceIntentSetting",
	"DeviceSecurity", "GroupPolicyAnalytics"}

// A subject is a kind of thing that administrators act on.
type subject struct {
	resource string
	category int
	names    []string
	verbs    []string // operation names; the first word tells the verb
}

var subjects = []subject{
	{"DeviceConfiguration", 3, []string{"Windows baseline", "Kiosk mode", "BitLocker", "Wi-Fi head office",
		"VPN profile"},
		[]string{"Create DeviceConfiguration", "Patch DeviceConfiguration", "Delete DeviceConfiguration",
			"assignDeviceConfiguration DeviceConfiguration"}},
	{"DeviceCompliancePolicy", 2, []string{"Minimum OS", "Encryption required", "iOS default", "Android work profile"},
		[]string{"Create DeviceCompliancePolicy", "Patch DeviceCompliancePolicy", "Delete DeviceCompliancePolicy",
			"assignDeviceCompliancePolicy DeviceCompliancePolicy"}},
	{"MobileApp", 5, []string{"Northwind Mail", "Fabrikam Agent 4.2", "Litware VPN.exe", "Adatum Notes"},
		[]string{"Create MobileApp", "Patch MobileApp", "Delete MobileApp", "Create MobileAppAssignment"}},
	{"DeviceManagementScript", 3, []string{"Map drives", "Remove old agent", "Set time zone"},
		[]string{"createDeviceManagementScript DeviceManagementScript",
			"patchDeviceManagementScript DeviceManagementScript",
			"assignDeviceManagementScript DeviceManagementScript"}},
	{"DeviceHealthScript", 3, []string{"Disk space check", "Certificate renewal"},
		[]string{"createDeviceHealthScript DeviceHealthScript", "patchDeviceHealthScript DeviceHealthScript",
			"assignDeviceHealthScript DeviceHealthScript"}},
	{"RoleAssignment", 9, []string{"Help desk Utrecht", "Read only auditors"},
		[]string{"Create RoleAssignment", "Patch RoleAssignment", "Delete RoleAssignment"}},
}

var remoteTasks = []string{"syncDevice ManagedDevice", "syncDevice ManagedDevice", "syncDevice ManagedDevice",
	"rebootNow ManagedDevice",
	"remoteLock ManagedDevice", "locateDevice ManagedDevice", "setDeviceName ManagedDevice", "Patch ManagedDevice"}

var permissionSets = [][]string{{"*"}, {"*"}, {"Microsoft.Intune/ManagedDevices/Read",
	"Microsoft.Intune/ManagedDevices/Update"},
	{"Microsoft.Intune/RemoteTasks/SyncDevice", "Microsoft.Intune/RemoteTasks/Wipe",
		"Microsoft.Intune/RemoteTasks/Retire"}}

// actionAt makes the n-th action of a day. target is a device for a remote task.
func (f *Fleet) actionAt(day, n int, when time.Time, target *device, task string, before *action) action {
	r := f.cfg.rng(forAudit, day, n)
	a := action{id: r.guid(), correlation: r.guid(), when: when, failed: r.chance(0.03),
		permissions: permissionSets[r.n(len(permissionSets))]}
	if before != nil && r.chance(0.2) {
		a.correlation = before.correlation // one click, several records
	}
	if !r.chance(0.05) {
		a.actorIndex = f.people.admins[r.n(len(f.people.admins))]
		a.actor = &f.people.all[a.actorIndex]
	}
	if target != nil {
		f.remoteTask(&a, &r, target, task)
	} else {
		f.configure(&a, &r)
	}
	forms := f.cfg.rng(forForms, day, n)
	if forms.chance(0.6) {
		a.forms = inLines
	} else {
		a.forms = inBatch
	}
	if forms.chance(f.cfg.GraphAuditShare) {
		a.forms |= inGraph
		if forms.chance(0.1) {
			a.forms = inGraph // and nowhere else
		}
	}
	switch forms.n(25) {
	case 0:
		a.forms |= inLines | inBatch // delivered by both ways
	case 1:
		a.twice = a.forms&inLines != 0
	}
	return a
}

func (f *Fleet) remoteTask(a *action, r *rng, target *device, task string) {
	a.operation, a.category, a.verb = task, 4, verbAction
	a.targetID, a.targetName, a.targetType = target.id, target.name, "ManagedDevice"
	if r.chance(0.3) {
		a.targetName = ""
	}
	a.changed = []property{{"DeviceManagementAPIVersion", "", "5026-01-14"}}
	switch task {
	case "Patch ManagedDevice":
		a.verb = verbPatch
		a.changed = append(a.changed, property{"ManagedDeviceOwnerType", ownershipText[(target.owner+1)%2],
			ownershipText[target.owner]},
			property{"Notes", "<null>", "Returned by " + f.someone(r).display()})
	case "setDeviceName ManagedDevice":
		a.changed = append(a.changed, property{"DeviceName", target.name, "CONTOSO-" + r.from(upper, 7)})
	case "wipe ManagedDevice", "retire ManagedDevice":
		a.failed = false // it happens, and shows the next day
		a.changed = append(a.changed, property{"KeepUserData", "", "False"})
	}
}

func (f *Fleet) someone(r *rng) *person { return &f.people.all[r.n(f.people.users)] }

func (f *Fleet) configure(a *action, r *rng) {
	s := &subjects[r.n(len(subjects))]
	object := f.cfg.rng(forObject, r.n(40), s.category, len(s.names))
	a.operation, a.category, a.targetType = r.pick(s.verbs), s.category, s.resource
	a.targetID, a.targetName = object.guid(), object.pick(s.names)
	if r.chance(0.25) {
		a.targetName = ""
	}
	if r.chance(0.01) {
		a.category = 27 // newer than any list of them
	}
	add := func(name, old, new string) { a.changed = append(a.changed, property{name, old, new}) }
	add("DeviceManagementAPIVersion", "", "5026-01-14")
	verb := strings.ToLower(a.operation)
	switch {
	case strings.HasPrefix(verb, "assign") || strings.HasSuffix(verb, "assignment") && s.resource == "MobileApp":
		a.verb = verbAction
		group := r.guid()
		a.details = "Key = TargetGroupIDsValue = " + group + "\r\n"
		add("TargetGroupIDs", "", group)
		return
	case strings.HasPrefix(verb, "delete"):
		a.verb = verbDelete
		add("DisplayName", a.targetName, "")
		return
	case strings.HasPrefix(verb, "create"):
		a.verb = verbCreate
		add("Id", "", a.targetID)
		add("DisplayName", "", object.pick(s.names))
		add("CreatedDateTime", "", a.when.Format(usDate))
	default:
		a.verb = verbPatch
		add("LastModifiedDateTime", a.when.AddDate(0, 0, -3).Format(usDate), a.when.Format(usDate))
	}
	add("Description", "<null>", "Asked for by "+f.someone(r).display()+" ("+f.someone(r).upn(f.cfg.Domain)+")")
	switch s.resource {
	case "DeviceManagementScript", "DeviceHealthScript":
		add("FileName", "", "script-"+strconv.Itoa(r.n(1000))+".ps1")
		add("RunAsAccount", "User", "System")
		script := f.script(r)
		if s.resource == "DeviceHealthScript" {
			add("DetectionScriptContent", "", script)
			add("RemediationScriptContent", "<null>", f.script(r))
		} else {
			add("ScriptContent", "", script)
		}
	case "DeviceConfiguration":
		add("WifiPreSharedKey", "<null>", "psk-"+r.from(upper, 16))
		for i := range r.between(2, 12) {
			add(fmt.Sprintf("$Collection.OmaSettings.Value[%d]", i), strconv.Itoa(r.n(90)), strconv.Itoa(r.n(90)))
		}
	case "DeviceCompliancePolicy":
		add("OsMinimumVersion", platforms[0].version(r.n(4)), platforms[0].version(4+r.n(4)))
		add("PasswordMinimumLength", "6", strconv.Itoa(8+r.n(8)))
		add("StorageRequireEncryption", "False", "True")
	case "MobileApp":
		add("InstallCommandLine", "", `setup.exe /quiet /log "C:\Users\`+f.someone(r).local+`\setup.log"`)
		add("Publisher", "", r.pick(publishers))
		for i, code := range []string{"0", "1707", "3010", "1641", "1618"} {
			add(fmt.Sprintf("$Collection.ReturnCodes.ReturnCode[%d]", i), "", code)
		}
		add("$Collection.Rules.ScriptContent[0]", "", f.script(r))
		add("MinimumFreeDiskSpaceInMB", "", "<null>")
	case "RoleAssignment":
		add("$Collection.Members[0]", "", f.someone(r).id)
		add("ClientSecret", "", r.from(upper, 40))
	}
}

func (f *Fleet) script(r *rng) string {
	lines := r.between(4, 30)
	if r.chance(0.01) {
		lines = 1500 // tens of kilobytes
	}
	var b strings.Builder
	for range lines {
		fmt.Fprintf(&b, "Write-Output 'checking %s for %s'\r\n", r.from(upper, 8), f.someone(r).local)
	}
	return base64.StdEncoding.EncodeToString([]byte(b.String()))
}

const (
	portalApp     = "7a1d4c0e-52b3-4f8a-9c61-0e9d3b7f2a10"
	portalAppName = "Microsoft Intune portal extension"
	robotName     = "Contoso Provisioning"
)

// auditAzure is an action as an Azure Monitor record of the tenant named.
func (f *Fleet) auditAzure(d *doc, a *action, tenant string) {
	r := f.cfg.rng(forRow, int(a.when.UnixMicro()))
	when := a.when.Format(azureTime)
	if r.chance(0.02) {
		// A time that nothing can read; ActivityDate still tells the second.
		when = when[:len("2006-01-02")] + when[len("2006-01-02T15"):]
	}
	f.head(d, when, tenant, "AuditLogs", a.operation, [...]string{"Success", "Failure"}[bit(a.failed)])
	words := r.chance(0.1) // enumerations as words instead of numbers
	number := func(k string, n int, word string) {
		if words {
			d.str(k, word)
		} else {
			d.int(k, n)
		}
	}
	category := strconv.Itoa(a.category)
	if a.category < len(categories) {
		category = categories[a.category]
	}
	d.object("properties")
	d.str("ActivityDate", a.when.Format(usDate))
	number("ActivityResultStatus", [...]int{1, 2}[bit(a.failed)], [...]string{"Success", "Failure"}[bit(a.failed)])
	number("ActivityType", a.verb, verbs[a.verb])
	d.object("Actor")
	identity := robotName
	if a.actor != nil {
		identity = a.actor.upn(f.cfg.Domain)
		number("ActorType", 1, "ItPro")
		d.str("Application", portalApp)
		d.str("ApplicationName", portalAppName)
		d.bool("IsDelegatedAdmin", false)
		d.null("Name")
		d.str("ObjectId", a.actor.id)
		d.str("PartnerTenantId", zeroGUID)
	} else {
		number("ActorType", 5, "Application")
		d.str("Application", f.robot)
		d.str("ApplicationName", robotName)
		d.bool("IsDelegatedAdmin", false)
		d.null("Name")
		d.str("ObjectId", f.robot)
		d.str("PartnerTenantId", zeroGUID)
	}
	d.array("UserPermissions")
	for _, p := range a.permissions {
		d.str("", p)
	}
	d.endArray()
	if a.actor != nil {
		d.str("UPN", identity)
	} else {
		d.null("UPN")
	}
	d.endObject()
	d.str("AdditionalDetails", a.details)
	d.str("AuditEventId", a.id)
	number("Category", a.category, category)
	d.null("RelationId")
	name := a.targetName
	if name == "" {
		name = "<null>"
	}
	d.array("TargetDisplayNames")
	d.str("", name)
	d.endArray()
	d.array("TargetObjectIds")
	d.str("", a.targetID)
	d.endArray()
	d.array("Targets")
	d.object("")
	d.array("ModifiedProperties")
	absent := r.chance(0.3) // instead of null
	for _, p := range a.changed {
		d.object("")
		d.str("Name", p.name)
		if p.old != "" || !absent {
			d.opt("Old", p.old)
		}
		if p.new != "" || !absent {
			d.opt("New", p.new)
		}
		d.endObject()
	}
	d.endArray()
	d.opt("Name", a.targetName)
	d.endObject()
	d.endArray()
	d.endObject()
	d.str("resultDescription", "None")
	d.str("correlationId", a.correlation)
	d.str("identity", identity)
	d.endObject()
}

// auditGraph is the same action as an element of a Graph page.
func (f *Fleet) auditGraph(d *doc, a *action) {
	category := strconv.Itoa(a.category)
	if a.category < len(categories) {
		category = categories[a.category]
	}
	d.object("")
	d.str("id", a.id)
	d.str("displayName", a.operation)
	d.str("componentName", [...]string{"DeviceConfiguration", "ManagedDevices"}[bit(a.category == 4)])
	d.null("activity")
	d.str("activityDateTime", a.when.Format(azureTime))
	d.str("activityType", a.operation)
	d.str("activityOperationType", verbs[a.verb])
	d.str("activityResult", [...]string{"Success", "Failure"}[bit(a.failed)])
	d.str("correlationId", a.correlation)
	d.str("category", category)
	d.object("actor")
	if a.actor != nil {
		d.str("type", "ItPro")
		d.str("auditActorType", "ItPro")
	} else {
		d.str("type", "Application")
		d.str("auditActorType", "Application")
	}
	d.array("userPermissions")
	for _, p := range a.permissions {
		d.str("", p)
	}
	d.endArray()
	if a.actor != nil {
		d.str("applicationId", portalApp)
		d.str("applicationDisplayName", portalAppName)
		d.str("userPrincipalName", a.actor.upn(f.cfg.Domain))
		d.nulls("servicePrincipalName", "ipAddress")
		d.str("userId", a.actor.id)
	} else {
		d.str("applicationId", f.robot)
		d.str("applicationDisplayName", robotName)
		d.null("userPrincipalName")
		d.str("servicePrincipalName", robotName)
		d.nulls("ipAddress", "userId")
	}
	d.endObject()
	d.array("resources")
	d.object("")
	d.opt("displayName", a.targetName)
	d.str("auditResourceType", "Microsoft.Management.Services.Api."+a.targetType)
	d.str("type", a.targetType)
	d.str("resourceId", a.targetID)
	d.array("modifiedProperties")
	for _, p := range a.changed {
		d.object("")
		d.str("displayName", p.name)
		d.opt("oldValue", p.old)
		d.opt("newValue", p.new)
		d.endObject()
	}
	d.endArray()
	d.endObject()
	d.endArray()
	d.endObject()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
