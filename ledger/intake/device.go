package intake

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

const (
	attrOwnership   = "device.ownership"
	attrUserID      = "device.user-id"
	attrUserUPN     = "device.user-upn"
	attrUserName    = "device.user-name"
	attrUserEmail   = "device.user-email"
	attrManagement  = "device.management-state"
	attrStorageFree = "device.storage-free"
	attrApp         = "device.app"
	attrLoggedOn    = "device.logged-on-user"
	attrContact     = "device.last-contact"
)

// snapshot is what one record tells of a device, in the catalogue's terms.
type snapshot struct {
	source string
	moment
	proven      bool // the record is of that time: a modification time proves no age
	intuneID    string
	directoryID string
	values      map[*schemas.Attribute]json.RawMessage
	none        map[*schemas.Attribute]bool // present and empty: there is none
	lists       []list
	refused     []refusal // parts that are never collected
	unnamed     int       // entries of lists that cannot be told from others, left out
}

func (s *snapshot) clone() *snapshot {
	c := *s
	c.values, c.none = maps.Clone(s.values), maps.Clone(s.none)
	return &c
}

// list is a list of the device, complete or in part.
type list struct {
	attr     *schemas.Attribute
	complete bool
	items    []listItem
}

type listItem struct {
	key    string // native, the element's identity
	value  json.RawMessage
	person string // object id of the person it is about, where it is about one
}

// refusal is a part that a rule keeps out.
type refusal struct {
	rule, category string
	count          int
}

const (
	rulePersonalApps = "apps-on-personal-device"
	ruleLocation     = "location"
	ruleNever        = "never-collected"
	ruleSealed       = "sealed-prefix"
	ruleErased       = "erased-subject"
	ruleExpired      = "retention-expired"

	categoryApps     = "apps"
	categoryLocation = "location"
	categoryContent  = "content"
	categoryRecord   = "record"
)

// neverCollected names, lower-cased, fields that no record may bring into the ledger, whoever adds them to it: location and the content of a
// person's life. What-info pages of the source promise the same.
var neverCollected = map[string]string{
	"location": categoryLocation, "devicelocation": categoryLocation, "lastknownlocation": categoryLocation, "geolocation": categoryLocation,
	"coordinates": categoryLocation, "latitude": categoryLocation, "longitude": categoryLocation,
	"callhistory": categoryContent, "browsinghistory": categoryContent, "webhistory": categoryContent, "textmessages": categoryContent, "smsmessages": categoryContent,
	"photos": categoryContent, "contacts": categoryContent, "calendar": categoryContent, "files": categoryContent, "clipboard": categoryContent,
}

// source field → attribute. Sizes carry the factor to bytes.
type mapping struct {
	field, attr string
	unit        int64
}

const mebibyte = 1 << 20

var graphDevice = []mapping{
	{"id", "device.intune-id", 1}, {"azureADDeviceId", "device.directory-id", 1}, {"azureActiveDirectoryDeviceId", "device.directory-id", 1},
	{"deviceName", "device.name", 1}, {"managedDeviceName", "device.management-name", 1},
	{"manufacturer", "device.manufacturer", 1}, {"model", "device.model", 1}, {"operatingSystem", "device.operating-system", 1}, {"osVersion", "device.os-version", 1},
	{"androidSecurityPatchLevel", "device.security-patch-level", 1},
	{"serialNumber", "device.serial-number", 1}, {"imei", "device.imei", 1}, {"meid", "device.meid", 1}, {"udid", "device.udid", 1}, {"iccid", "device.iccid", 1},
	{"wiFiMacAddress", "device.wifi-mac", 1}, {"ethernetMacAddress", "device.ethernet-mac", 1},
	{"phoneNumber", "device.phone-number", 1}, {"subscriberCarrier", "device.carrier", 1},
	{"easDeviceId", "device.eas-id", 1}, {"easActivated", "device.eas-activated", 1},
	{"totalStorageSpaceInBytes", "device.storage-total", 1}, {"freeStorageSpaceInBytes", "device.storage-free", 1}, {"physicalMemoryInBytes", "device.memory", 1},
	{"processorArchitecture", "device.processor", 1}, {"chassisType", "device.chassis", 1}, {"deviceType", "device.device-type", 1}, {"skuFamily", "device.sku-family", 1},
	{"joinType", "device.join-type", 1}, {"deviceEnrollmentType", "device.enrolment-type", 1}, {"managementAgent", "device.management-agent", 1},
	{"deviceRegistrationState", "device.registration-state", 1}, {"managementState", attrManagement, 1}, {"deviceCategoryDisplayName", "device.category", 1},
	{"isSupervised", "device.supervised", 1}, {"lostModeState", "device.lost-mode", 1}, {"autopilotEnrolled", "device.autopilot-enrolled", 1},
	{"enrolledDateTime", "device.enrolled-at", 1}, {"lastSyncDateTime", "device.last-contact", 1},
	{"managementCertificateExpirationDate", "device.certificate-expires", 1}, {"retireAfterDateTime", "device.retire-after", 1}, {"notes", "device.notes", 1},
	{"complianceState", "device.compliance-state", 1}, {"isEncrypted", "device.encrypted", 1}, {"jailBroken", "device.jail-broken", 1},
	{"complianceGracePeriodExpirationDateTime", "device.grace-until", 1}, {"partnerReportedThreatState", "device.threat-state", 1},
	{"windowsActiveMalwareCount", "device.malware-active", 1}, {"windowsRemediatedMalwareCount", "device.malware-remediated", 1},
	{"managedDeviceOwnerType", attrOwnership, 1}, {"ownerType", attrOwnership, 1},
	{"userId", attrUserID, 1}, {"userDisplayName", "device.user-name", 1}, {"userPrincipalName", attrUserUPN, 1}, {"emailAddress", attrUserEmail, 1},
}

// graphHardware only fills what the top level leaves out: it is known to contradict it.
var graphHardware = []mapping{
	{"serialNumber", "device.serial-number", 1}, {"imei", "device.imei", 1}, {"meid", "device.meid", 1}, {"manufacturer", "device.manufacturer", 1}, {"model", "device.model", 1},
	{"totalStorageSpace", "device.storage-total", 1}, {"freeStorageSpace", "device.storage-free", 1},
	{"phoneNumber", "device.phone-number", 1}, {"subscriberCarrier", "device.carrier", 1}, {"wifiMac", "device.wifi-mac", 1},
	{"operatingSystemEdition", "device.os-edition", 1}, {"deviceFullQualifiedDomainName", "device.host-name", 1},
	{"ipAddressV4", "device.ip-address", 1}, {"subnetAddress", "device.subnet", 1},
	{"isSupervised", "device.supervised", 1}, {"isEncrypted", "device.encrypted", 1},
}

var azureDevice = []mapping{
	{"DeviceId", "device.intune-id", 1}, {"ReferenceId", "device.directory-id", 1}, {"DeviceName", "device.name", 1}, {"ManagedDeviceName", "device.management-name", 1},
	{"Manufacturer", "device.manufacturer", 1}, {"Model", "device.model", 1}, {"OS", "device.operating-system", 1}, {"OSVersion", "device.os-version", 1},
	{"AndroidPatchLevel", "device.security-patch-level", 1}, {"SerialNumber", "device.serial-number", 1}, {"IMEI", "device.imei", 1}, {"MEID", "device.meid", 1},
	{"WifiMacAddress", "device.wifi-mac", 1}, {"PhoneNumber", "device.phone-number", 1}, {"SubscriberCarrierNetwork", "device.carrier", 1}, {"EasID", "device.eas-id", 1},
	// Graph gives the same devices' storage in bytes, each a multiple of 2²⁰: the unit here is the mebibyte.
	{"StorageTotal", "device.storage-total", mebibyte}, {"StorageFree", "device.storage-free", mebibyte},
	{"SkuFamily", "device.sku-family", 1}, {"JoinType", "device.join-type", 1}, {"ManagedBy", "device.management-agent", 1},
	{"DeviceRegistrationState", "device.registration-state", 1}, {"DeviceState", attrManagement, 1}, {"CategoryName", "device.category", 1},
	{"SupervisedStatusString", "device.supervised", 1}, {"CreatedDate", "device.enrolled-at", 1}, {"LastContact", "device.last-contact", 1},
	{"CompliantState", "device.compliance-state", 1}, {"EncryptionStatusString", "device.encrypted", 1}, {"JailBroken", "device.jail-broken", 1},
	{"InGracePeriodUntil", "device.grace-until", 1}, {"Ownership", attrOwnership, 1},
	{"PrimaryUser", attrUserID, 1}, {"UserName", "device.user-name", 1}, {"UPN", attrUserUPN, 1}, {"UserEmail", attrUserEmail, 1},
}

// managedBy maps Azure Monitor's words to Graph's managementAgent, so that the two sources agree.
var managedBy = map[string]string{"intune": "mdm", "co-managed": "configurationManagerClientMdm", "configmgr": "configurationManagerClient", "mde": "msSense"}

// zeroMeansUnknown: a device without storage or memory does not exist.
var zeroMeansUnknown = map[string]bool{"device.storage-total": true, "device.memory": true}

type deviceParser struct {
	catalogue *schemas.Catalogue
	snapshot  *snapshot
	seen      *fields
	noFree    bool // the free space is told as 0
}

func newDeviceParser(c *schemas.Catalogue, source string, seen *fields) *deviceParser {
	return &deviceParser{catalogue: c, seen: seen, snapshot: &snapshot{source: source,
		values: map[*schemas.Attribute]json.RawMessage{}, none: map[*schemas.Attribute]bool{}}}
}

// take reads the mapped fields of m. An attribute that an earlier field reported stays.
func (p *deviceParser) take(m members, maps []mapping) error { return p.read(m, maps, false) }

// takeNested does so for an object inside the record. Its false and 0 are what Graph answers where it
// has not looked (a list's hardwareInformation), also beside members that it has looked up: they are
// no values.
func (p *deviceParser) takeNested(m members, maps []mapping) error { return p.read(m, maps, true) }

func (p *deviceParser) read(m members, maps []mapping, nested bool) error {
	for _, f := range maps {
		raw, ok := m[f.field]
		if !ok {
			continue
		}
		if f.field == "ManagedBy" {
			if to := managedBy[strings.ToLower(m.text("ManagedBy"))]; to != "" {
				raw = schemas.JSON(to)
			}
		}
		a := p.catalogue.MustAttribute(f.attr)
		value, found, err := normalise(a, raw, f.unit)
		if err != nil {
			return &fieldError{f.field, err.Error()}
		}
		zero := found == reported && (string(value) == "0" || string(value) == "false")
		if zero && (nested || zeroMeansUnknown[f.attr]) {
			found = unreported
		}
		if f.attr == attrStorageFree {
			n, ok := parseNumber(m.text(f.field))
			p.noFree = p.noFree || ok && n == 0
		}
		_, have := p.snapshot.values[a]
		switch {
		case have:
		case found == reported:
			p.snapshot.values[a] = value
			delete(p.snapshot.none, a)
		case found == emptied:
			p.snapshot.none[a] = true
		}
	}
	return nil
}

// finish checks what a snapshot must have and settles which values belong together.
func (p *deviceParser) finish(idField string, deviceID, directoryID string) (*snapshot, error) {
	s := p.snapshot
	s.intuneID, _ = asGUID(deviceID)
	s.directoryID, _ = asGUID(directoryID)
	if s.intuneID == "" && s.directoryID == "" {
		return nil, &fieldError{idField, "is missing or no id of the source's form, so that the device cannot be told from another"}
	}
	if _, ok := s.values[p.catalogue.MustAttribute("device.storage-total")]; !ok && p.noFree {
		// A free space of 0 is told of devices whose storage is not known at all.
		delete(s.values, p.catalogue.MustAttribute(attrStorageFree))
	}
	if said, ok := asText(s.values[p.catalogue.MustAttribute(attrContact)]); ok {
		s.contact, _ = parseTime(said)
	}
	p.settleUser()
	return s, nil
}

// settleUser reads the user's fields as one: there is no user where the id or the user name is present and empty and nothing else is told of
// one. A name beside an empty id names nobody, so that nothing follows from the emptiness.
func (p *deviceParser) settleUser() {
	s, id, upn := p.snapshot, p.catalogue.MustAttribute(attrUserID), p.catalogue.MustAttribute(attrUserUPN)
	var told bool
	for a := range s.values {
		told = told || a.EmptyIsNone
	}
	gone := s.none[id] || s.none[upn]
	switch {
	case told:
		if _, ok := s.values[id]; !ok {
			clear(s.none)
		}
	case gone:
		for _, a := range p.catalogue.Attributes() {
			if a.EmptyIsNone {
				s.none[a] = true
			}
		}
	default:
		clear(s.none)
	}
}

// never counts and leaves out what no record may bring.
func (p *deviceParser) never(m members) {
	counts := map[string]int{}
	for name, raw := range m {
		if c := neverCollected[strings.ToLower(name)]; c != "" && !isEmpty(raw) {
			counts[c]++
			delete(m, name)
		}
	}
	reader := shapes{seen: p.seen} // of the wrong shape it holds nothing that is collected
	for _, o := range reader.objects(m["deviceActionResults"], "deviceActionResults") {
		if !isEmpty(o["deviceLocation"]) {
			counts[categoryLocation]++
		}
	}
	if n := counts[categoryLocation]; n > 0 {
		p.snapshot.refused = append(p.snapshot.refused, refusal{ruleLocation, categoryLocation, n})
	}
	if n := counts[categoryContent]; n > 0 {
		p.snapshot.refused = append(p.snapshot.refused, refusal{ruleNever, categoryContent, n})
	}
}

func fieldNames(maps []mapping, more ...string) []string {
	for _, m := range maps {
		more = append(more, m.field)
	}
	return more
}

var (
	graphDeviceFields   = fieldNames(graphDevice, "hardwareInformation", "usersLoggedOn", "detectedApps", "activationLockBypassCode")
	graphHardwareFields = fieldNames(graphHardware)
	azureDeviceFields   = fieldNames(azureDevice, "BatchId", "IntuneAccountId", "AADTenantId")
)

// parseManagedDevice reads a Graph managedDevice, with or without its detectedApps. It tells no time
// of its own: file dates it.
func parseManagedDevice(
	c *schemas.Catalogue, r sourceRecord, file dating, now time.Time, seen *fields,
) (*snapshot, error) {
	m := r.members
	p := newDeviceParser(c, sourceGraph, seen)
	p.never(m)
	if err := p.take(m, graphDevice); err != nil {
		return nil, err
	}
	reader := shapes{seen: seen}
	hardware := reader.object(m["hardwareInformation"], "hardwareInformation")
	if reader.err != nil {
		return nil, reader.err
	}
	if err := p.takeNested(hardware, graphHardware); err != nil {
		return nil, within("hardwareInformation.", err)
	}
	seen.use("", m, graphDeviceFields...)
	seen.use("hardwareInformation.", hardware, graphHardwareFields...)
	if !isEmpty(m["activationLockBypassCode"]) {
		p.snapshot.values[c.MustAttribute("device.unlock-code-withheld")] = schemas.JSON(true)
	}
	directory := m.known("azureADDeviceId")
	if directory == "" {
		directory = m.known("azureActiveDirectoryDeviceId")
	}
	s, err := p.finish("id", m.text("id"), directory)
	if err != nil {
		return nil, err
	}
	contact := named{"lastSyncDateTime", m.text("lastSyncDateTime")}
	if err := s.settle(named{}, time.Time{}, file, contact, now); err != nil {
		return nil, err
	}
	if err := p.apps(m); err != nil {
		return nil, err
	}
	return s, p.loggedOn(m)
}

// app is the one value of a list entry. The order of its members is frozen.
type app struct {
	Name      string      `json:"name,omitempty"`
	Version   string      `json:"version,omitempty"`
	Publisher string      `json:"publisher,omitempty"`
	Size      json.Number `json:"size,omitempty"`
	ID        string      `json:"id"`
}

// maxApp is the longest that an app's texts may be together, in bytes.
const maxApp = 8 << 10

func (p *deviceParser) apps(m members) error {
	l := list{attr: p.catalogue.MustAttribute(attrApp), complete: isEmpty(m["detectedApps@odata.nextLink"])}
	reader := shapes{seen: p.seen}
	at := map[string]int{}
	for i, o := range reader.objects(m["detectedApps"], "detectedApps") {
		path := fmt.Sprintf("detectedApps[%d].", i)
		p.seen.use("detectedApps.", o, "id", "displayName", "version", "publisher", "sizeInByte", "deviceCount")
		a := app{Name: o.name("displayName"), Version: o.name("version"), Publisher: o.name("publisher"),
			ID: o.known("id")}
		reader.single(path, o, "id", "displayName", "version", "publisher", "sizeInByte")
		var err error
		if a.Size, err = o.size("sizeInByte"); err != nil {
			return within(path, err)
		}
		if len(a.Name)+len(a.Version)+len(a.Publisher)+len(a.ID) > maxApp {
			return &fieldError{strings.TrimSuffix(path, "."), fmt.Sprintf("is longer than %d bytes", maxApp)}
		}
		if a.ID == "" {
			// It may be any of those known: that one is missing from the list says nothing.
			p.snapshot.unnamed++
			l.complete = false
			continue
		}
		item := listItem{key: a.ID, value: schemas.JSON(a)}
		if n, twice := at[a.ID]; !twice {
			at[a.ID] = len(l.items)
			l.items = append(l.items, item)
		} else if string(item.value) > string(l.items[n].value) { // the same one, whatever order they come in
			l.items[n] = item
		}
	}
	if len(l.items) > 0 { // an empty list is not reported
		p.snapshot.lists = append(p.snapshot.lists, l)
	}
	return reader.err
}

type loggedOn struct {
	UserID string `json:"userId"`
	At     string `json:"lastLogOn,omitempty"`
}

func (p *deviceParser) loggedOn(m members) error {
	l := list{attr: p.catalogue.MustAttribute(attrLoggedOn), complete: true}
	reader := shapes{seen: p.seen}
	at := map[string]int{}
	for i, o := range reader.objects(m["usersLoggedOn"], "usersLoggedOn") {
		reader.single(fmt.Sprintf("usersLoggedOn[%d].", i), o, "userId", "lastLogOnDateTime")
		p.seen.use("usersLoggedOn.", o, "userId", "lastLogOnDateTime")
		id, ok := asGUID(o.known("userId"))
		if !ok {
			// A security identifier of the device's own, or none: nobody can be found by it.
			p.snapshot.unnamed++
			l.complete = l.complete && !isEmpty(o["userId"])
			continue
		}
		u := loggedOn{UserID: id}
		if at, ok := parseTime(o.text("lastLogOnDateTime")); ok && !at.IsZero() {
			u.At = wholeSeconds(at)
		}
		item := listItem{key: id, value: schemas.JSON(u), person: id}
		if n, twice := at[id]; !twice {
			at[id] = len(l.items)
			l.items = append(l.items, item)
		} else if string(item.value) > string(l.items[n].value) { // the later one
			l.items[n] = item
		}
	}
	if len(l.items) > 0 {
		p.snapshot.lists = append(p.snapshot.lists, l)
	}
	return reader.err
}

// parseDevice reads an Azure Monitor record of category Devices.
func parseDevice(c *schemas.Catalogue, r sourceRecord, now time.Time, seen *fields) (*snapshot, error) {
	m, properties := r.members, r.properties
	p := newDeviceParser(c, sourceAzureMonitor, seen)
	p.never(properties)
	if err := p.take(properties, azureDevice); err != nil {
		return nil, within("properties.", err)
	}
	seen.use("", m, "category", "properties", "time", "tenantId", "operationName", "resultType")
	seen.use("properties.", properties, azureDeviceFields...)
	s, err := p.finish("properties.DeviceId", properties.text("DeviceId"), properties.known("ReferenceId"))
	if err != nil {
		return nil, err
	}
	told := named{"time", m.text("time")}
	at, err := firstTime(told, named{"properties.ActivityDate", properties.text("ActivityDate")})
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		return nil, &fieldError{"time", "is of a year that means unknown"}
	}
	contact := named{"properties.LastContact", properties.text("LastContact")}
	return s, s.settle(told, at, dating{}, contact, now)
}
