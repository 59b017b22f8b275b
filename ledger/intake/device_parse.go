package intake

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// snapshot is what one record tells of a device.
type snapshot struct {
	*Snapshot
	kind        *deviceKind
	intuneID    string
	directoryID string
	refused     []Refusal // parts that are never collected
}

// parser reads one record of a device.
type parser struct {
	*snapshot
	in     Parsing
	noFree bool // the free space is told as 0
}

func (k *deviceKind) parser(in Parsing, source string) *parser {
	return &parser{in: in, snapshot: &snapshot{Snapshot: NewSnapshot(source), kind: k}}
}

// take reads the mapped fields of m. What stands nested in the record says nothing with false and 0:
// Graph answers so where it has not looked (a list's hardwareInformation), also beside members that it
// has looked up.
func (p *parser) take(m members, table []Mapping, nested bool) error {
	for _, f := range table {
		if f.Attr == attrStorageFree {
			n, ok := parseNumber(m.text(f.Field))
			p.noFree = p.noFree || ok && n == 0
		}
	}
	return p.Read(p.kind.catalogue, m, table,
		func(a *schemas.Attribute, value json.RawMessage, found finding) finding {
			zero := found == reported && (string(value) == "0" || string(value) == "false")
			if zero && (nested || zeroMeansUnknown[a.ID]) {
				return unreported
			}
			return found
		})
}

// finish checks what a snapshot must have and settles which values belong together.
func (p *parser) finish(idField string, deviceID, directoryID string) error {
	s, k := p.snapshot, p.kind
	s.intuneID, _ = asGUID(deviceID)
	s.directoryID, _ = asGUID(directoryID)
	if s.intuneID == "" && s.directoryID == "" {
		return &fieldError{idField,
			"is missing or no id of the source's form, so that the device cannot be told from another"}
	}
	if _, ok := s.Values[k.storageTotal]; !ok && p.noFree {
		// A free space of 0 is told of devices whose storage is not known at all.
		delete(s.Values, k.storageFree)
	}
	if said, ok := asText(s.Values[k.contact]); ok {
		s.Contact, _ = parseTime(said)
	}
	p.settleUser()
	return nil
}

// settleUser reads the user's fields as one: there is no user where the id or the user name is present
// and empty and nothing else is told of one. A name beside an empty id names nobody, so that nothing
// follows from the emptiness.
func (p *parser) settleUser() {
	s, k := p.snapshot, p.kind
	var told bool
	for a := range s.Values {
		told = told || a.EmptyIsNone
	}
	gone := s.None[k.userID] || s.None[k.userUPN]
	switch {
	case told:
		if _, ok := s.Values[k.userID]; !ok {
			clear(s.None)
		}
	case gone:
		for _, a := range k.whole.Attributes() {
			if a.EmptyIsNone {
				s.None[a] = true
			}
		}
	default:
		clear(s.None)
	}
}

// never counts and leaves out what no record may bring.
func (p *parser) never(m members) {
	counts := m.dropNever()
	reader := shapes{seen: p.in.Seen} // of the wrong shape it holds nothing that is collected
	for _, o := range reader.objects(m["deviceActionResults"], "deviceActionResults") {
		if !isEmpty(o["deviceLocation"]) {
			counts[CategoryLocation]++
		}
	}
	p.refused = RefuseNever(counts)
}

var (
	graphDeviceFields = FieldNames(graphDevice, "hardwareInformation", "usersLoggedOn", "detectedApps",
		"activationLockBypassCode")
	graphHardwareFields = FieldNames(graphHardware)
	azureDeviceFields   = FieldNames(azureDevice, "BatchId", "IntuneAccountId", "AADTenantId")
)

// parseGraph reads a Graph managedDevice, with or without its detectedApps. It tells no time of its
// own: its file dates it.
func (k *deviceKind) parseGraph(in Parsing) (Record, error) {
	m := in.members
	p := k.parser(in, sourceGraph)
	p.never(m)
	if err := p.take(m, graphDevice, false); err != nil {
		return nil, err
	}
	reader := shapes{seen: in.Seen}
	hardware := reader.object(m["hardwareInformation"], "hardwareInformation")
	if reader.err != nil {
		return nil, reader.err
	}
	if err := p.take(hardware, graphHardware, true); err != nil {
		return nil, within("hardwareInformation.", err)
	}
	in.Seen.use("", m, graphDeviceFields...)
	in.Seen.use("hardwareInformation.", hardware, graphHardwareFields...)
	if !isEmpty(m["activationLockBypassCode"]) {
		p.Values[k.unlockCode] = schemas.JSON(true)
	}
	directory := m.known("azureADDeviceId")
	if directory == "" {
		directory = m.known("azureActiveDirectoryDeviceId")
	}
	if err := p.finish("id", m.text("id"), directory); err != nil {
		return nil, err
	}
	contact := named{"lastSyncDateTime", m.text("lastSyncDateTime")}
	if err := p.Settle(named{}, time.Time{}, in.File, contact, in.Now); err != nil {
		return nil, err
	}
	if err := p.apps(m); err != nil {
		return nil, err
	}
	if err := p.loggedOn(m); err != nil {
		return nil, err
	}
	in.Tally.Undated = !p.Proven
	return p.snapshot, nil
}

// parseAzureMonitor reads an Azure Monitor record of category Devices.
func (k *deviceKind) parseAzureMonitor(in Parsing) (Record, error) {
	m, properties := in.members, in.properties
	p := k.parser(in, sourceAzureMonitor)
	p.never(properties)
	if to := managedBy[strings.ToLower(properties.text("ManagedBy"))]; to != "" {
		properties["ManagedBy"] = schemas.JSON(to)
	}
	if err := p.take(properties, azureDevice, false); err != nil {
		return nil, within("properties.", err)
	}
	in.Seen.use("", m, "category", "properties", "time", "tenantId", "operationName", "resultType")
	in.Seen.use("properties.", properties, azureDeviceFields...)
	err := p.finish("properties.DeviceId", properties.text("DeviceId"), properties.known("ReferenceId"))
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
	if err := p.Settle(told, at, dating{}, contact, in.Now); err != nil {
		return nil, err
	}
	in.Tally.Undated = !p.Proven
	return p.snapshot, nil
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

func (p *parser) apps(m members) error {
	l := List{Attr: p.kind.app, Complete: isEmpty(m["detectedApps@odata.nextLink"])}
	reader := shapes{seen: p.in.Seen}
	for i, o := range reader.objects(m["detectedApps"], "detectedApps") {
		path := fmt.Sprintf("detectedApps[%d].", i)
		p.in.Seen.use("detectedApps.", o, "id", "displayName", "version", "publisher", "sizeInByte", "deviceCount")
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
			p.in.Tally.Unnamed++
			l.Complete = false
			continue
		}
		l.Put(Item{Key: a.ID, Value: schemas.JSON(a)})
	}
	if len(l.Items) > 0 { // an empty list is not reported
		p.Lists = append(p.Lists, l)
	}
	return reader.err
}

type loggedOn struct {
	UserID string `json:"userId"`
	At     string `json:"lastLogOn,omitempty"`
}

func (p *parser) loggedOn(m members) error {
	l := List{Attr: p.kind.loggedOn, Complete: true}
	reader := shapes{seen: p.in.Seen}
	for i, o := range reader.objects(m["usersLoggedOn"], "usersLoggedOn") {
		reader.single(fmt.Sprintf("usersLoggedOn[%d].", i), o, "userId", "lastLogOnDateTime")
		p.in.Seen.use("usersLoggedOn.", o, "userId", "lastLogOnDateTime")
		id, ok := asGUID(o.known("userId"))
		if !ok {
			// A security identifier of the device's own, or none: nobody can be found by it.
			p.in.Tally.Unnamed++
			l.Complete = l.Complete && !isEmpty(o["userId"])
			continue
		}
		u := loggedOn{UserID: id}
		if at, ok := parseTime(o.text("lastLogOnDateTime")); ok && !at.IsZero() {
			u.At = wholeSeconds(at)
		}
		l.Put(Item{Key: id, Value: schemas.JSON(u), Person: id}) // of two the later one
	}
	if len(l.Items) > 0 {
		p.Lists = append(p.Lists, l)
	}
	return reader.err
}
