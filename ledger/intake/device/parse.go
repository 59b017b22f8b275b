package device

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// snapshot is what one record tells of a device.
type snapshot struct {
	*entity.Snapshot
	whole       *entity.Snapshot // with all that may not be kept of it
	kind        *kind
	intuneID    string
	directoryID string
	refused     []plan.Refusal // parts that are never collected
	user        vault.PersonHint
	alone       bool // it says that the device is not shared, where it was
}

// parser reads one record of a device.
type parser struct {
	*snapshot
	in     plan.Parsing
	noFree bool // the free space is told as 0
	looked bool // Graph has looked at the hardware's guards
}

func (k *kind) parser(in plan.Parsing, source string) *parser {
	told := entity.NewSnapshot(source)
	return &parser{in: in, snapshot: &snapshot{Snapshot: told, whole: told, kind: k,
		refused: in.Never}}
}

// take reads the mapped fields of m. What stands nested in the record says nothing with false and
// 0: Graph answers so where it has not looked (a list's hardwareInformation), also beside members
// that it has looked up.
func (p *parser) take(m *record.Members, table []entity.Mapping, nested bool) error {
	for _, f := range table {
		if f.Attr == attrStorageFree {
			n, ok := record.ParseNumber(m.Text(f.Field))
			p.noFree = p.noFree || ok && n == 0
		}
	}
	return p.Read(p.kind.catalogue, m, table,
		func(a *schemas.Attribute, value json.RawMessage, found record.Finding) record.Finding {
			zero := found == record.Reported && (string(value) == "0" || string(value) == "false")
			if zero && (nested || zeroMeansUnknown[a.ID]) {
				return record.Unreported
			}
			if usual := defaults[a.ID]; usual != "" && !p.looked {
				return record.Unreported
			}
			return found
		})
}

// finish checks what a snapshot must have and settles which values belong together.
func (p *parser) finish(idField string, deviceID, directoryID string) error {
	s, k := p.snapshot, p.kind
	s.intuneID, _ = record.AsGUID(deviceID)
	s.directoryID, _ = record.AsGUID(directoryID)
	if s.intuneID == "" && s.directoryID == "" {
		return &record.FieldError{Field: idField,
			Reason: "is missing or no id of the source's form, so that the device cannot be told from another"}
	}
	if _, ok := s.Values[k.storageTotal]; !ok && p.noFree {
		// A free space of 0 is told of devices whose storage is not known at all.
		delete(s.Values, k.storageFree)
	}
	if said, ok := record.AsText(s.Values[k.contact]); ok {
		s.Contact, _ = record.ParseTime(said)
	}
	p.settleUser()
	return nil
}

// settleUser reads the user's fields as one: there is no user where the id or the user name is
// present and empty and nothing else is told of one. A name beside an empty id names nobody, so
// that nothing follows from the emptiness.
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

var (
	graphDeviceFields = record.NamesOf(entity.FieldNames(graphDevice, append(graphDeviceLeft, "hardwareInformation",
		"usersLoggedOn", "detectedApps", "activationLockBypassCode", "remoteAssistanceSessionUrl", "roleScopeTagIds",
		"securityBaselineStates", "deviceHealthAttestationState", "configurationManagerClientHealthState",
		"configurationManagerClientInformation", "configurationManagerClientEnabledFeatures")...)...)
	graphHardwareFields = record.NamesOf(entity.FieldNames(graphHardware, append(graphHardwareLeft,
		"wiredIPv4Addresses", "sharedDeviceCachedUsers")...)...)
	graphHealthFields       = record.NamesOf(entity.FieldNames(graphHealth, graphHealthLeft...)...)
	graphClientHealthFields = record.NamesOf(entity.FieldNames(graphClientHealth)...)
	graphClientFields       = record.NamesOf(entity.FieldNames(graphClient)...)
	graphBaselineFields     = record.NamesOf("id", "securityBaselineTemplateId", "displayName", "state",
		"userPrincipalName", "settingStates")
	graphFeatureFields = record.NamesOf("inventory", "modernApps", "resourceAccess", "deviceConfiguration",
		"compliancePolicy", "windowsUpdateForBusiness", "endpointProtection", "officeApps")
	graphCachedFields = record.NamesOf("userPrincipalName", "dataToSync", "dataQuota", "dataUsed")
	graphPolicyFields = record.NamesOf("policyId", "policyName")
	encryptionFields  = record.NamesOf(entity.FieldNames(encryptionState, append(encryptionStateLeft,
		"advancedBitLockerStates", "fileVaultStates", "policyDetails")...)...)
	graphAppFields      = record.NamesOf("id", "displayName", "version", "publisher", "sizeInByte", "deviceCount")
	graphLoggedOnFields = record.NamesOf("userId", "lastLogOnDateTime")
	azureDeviceFields   = record.NamesOf(entity.FieldNames(azureDevice, "BatchId", "IntuneAccountId",
		"AADTenantId", "GraphDeviceIsManaged")...)
	// As of a report, the twins that a code leaves are known by codes.
	azureComplianceFields = record.NamesOf(entity.FieldNames(azureCompliance, append(azureComplianceLeft,
		"ManagementAgents"+twin, "DeviceType"+twin)...)...)
	azureFields = record.NamesOf("category", "properties", "time", "tenantId", "operationName", "resultType")
)

// parseGraph reads a Graph managedDevice, with or without its detectedApps. It tells no time of
// its own: its file dates it.
func (k *kind) parseGraph(in plan.Parsing) (plan.Record, error) {
	m := in.Members
	p := k.parser(in, source.Graph)
	if err := p.take(m, graphDevice, false); err != nil {
		return nil, err
	}
	reader := record.Shapes{Seen: in.Seen}
	hardware := reader.Object(m.Get("hardwareInformation"), "hardwareInformation")
	if reader.Err != nil {
		return nil, reader.Err
	}
	p.looked = looked(hardware)
	// Graph says false where it has not looked, too; with the hardware's serial number it has.
	p.alone = strings.EqualFold(hardware.Known("isSharedDevice"), "false") && hardware.Known("serialNumber") != ""
	if err := p.take(hardware, graphHardware, true); err != nil {
		return nil, record.Within("hardwareInformation.", err)
	}
	in.Seen.Use("", m, graphDeviceFields)
	in.Seen.Use("hardwareInformation.", hardware, graphHardwareFields)
	if err := p.details(m, hardware, &reader); err != nil {
		return nil, err
	}
	if !record.IsEmpty(m.Get("activationLockBypassCode")) {
		p.Values[k.unlockCode] = schemas.JSON(true)
	}
	directory := m.Known("azureADDeviceId")
	if directory == "" {
		directory = m.Known("azureActiveDirectoryDeviceId")
	}
	if err := p.finish("id", m.Text("id"), directory); err != nil {
		return nil, err
	}
	contact := record.NamedText{Field: "lastSyncDateTime", Value: m.Text("lastSyncDateTime")}
	if err := p.Settle(record.NamedText{}, time.Time{}, in.File, contact, in.Now); err != nil {
		return nil, err
	}
	if err := p.apps(m); err != nil {
		return nil, err
	}
	if err := p.loggedOn(m); err != nil {
		return nil, err
	}
	p.user = p.userHint()
	in.Tally.Undated = !p.Proven
	return p.snapshot, nil
}

// parseEncryption reads Graph's state of a device's encryption. It tells no time of its own.
func (k *kind) parseEncryption(in plan.Parsing) (plan.Record, error) {
	m := in.Members
	p := k.parser(in, source.Graph)
	if err := p.take(m, encryptionState, false); err != nil {
		return nil, err
	}
	in.Seen.Use("", m, encryptionFields)
	if err := p.finish("id", m.Text("id"), ""); err != nil {
		return nil, err
	}
	reader := record.Shapes{Seen: in.Seen}
	p.encryption(m, &reader)
	if reader.Err != nil {
		return nil, reader.Err
	}
	if err := p.Settle(record.NamedText{}, time.Time{}, in.File, record.NamedText{Field: "id"}, in.Now); err != nil {
		return nil, err
	}
	in.Tally.Undated = !p.Proven
	return p.snapshot, nil
}

// parseAzureMonitor reads an Azure Monitor record of category Devices.
func (k *kind) parseAzureMonitor(in plan.Parsing) (plan.Record, error) {
	return k.parser(in, source.AzureMonitor).monitor(azureDevice, azureDeviceFields)
}

// parseCompliance reads one of category DeviceComplianceOrg.
func (k *kind) parseCompliance(in plan.Parsing) (plan.Record, error) {
	p := k.parser(in, source.AzureMonitor)
	p.codes(in.Properties, azureCompliance, complianceTwins)
	return p.monitor(azureCompliance, azureComplianceFields)
}

// monitor reads a record of Azure Monitor by that table.
func (p *parser) monitor(table []entity.Mapping, known record.Names) (plan.Record, error) {
	in := p.in
	m, properties := in.Members, in.Properties
	if err := p.take(properties, table, false); err != nil {
		return nil, record.Within("properties.", err)
	}
	in.Seen.Use("", m, azureFields)
	in.Seen.Use("properties.", properties, known)
	err := p.finish("properties.DeviceId", properties.Text("DeviceId"), properties.Known("ReferenceId"))
	if err != nil {
		return nil, err
	}
	told := record.NamedText{Field: "time", Value: m.Text("time")}
	at, err := record.FirstTime(told, record.NamedText{Field: "properties.ActivityDate",
		Value: properties.Text("ActivityDate")})
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		return nil, &record.FieldError{Field: "time", Reason: "is of a year that means unknown"}
	}
	contact := record.NamedText{Field: "properties.LastContact", Value: properties.Text("LastContact")}
	if err := p.Settle(told, at, record.Dating{}, contact, in.Now); err != nil {
		return nil, err
	}
	p.user = p.userHint()
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

func (p *parser) apps(m *record.Members) error {
	l := entity.List{Attr: p.kind.app, Complete: record.IsEmpty(m.Get("detectedApps@odata.nextLink"))}
	reader := record.Shapes{Seen: p.in.Seen}
	for i, o := range reader.Objects(m.Get("detectedApps"), "detectedApps") {
		path := fmt.Sprintf("detectedApps[%d].", i)
		p.in.Seen.Use("detectedApps.", o, graphAppFields)
		a := app{Name: o.Name("displayName"), Version: o.Name("version"), Publisher: o.Name("publisher"),
			ID: o.Known("id")}
		reader.Single(path, o, "id", "displayName", "version", "publisher", "sizeInByte")
		var err error
		if a.Size, err = o.Size("sizeInByte"); err != nil {
			return record.Within(path, err)
		}
		if err := p.put(&l, a, strings.TrimSuffix(path, ".")); err != nil {
			return err
		}
	}
	if len(l.Items) > 0 { // an empty list is not reported
		p.Lists = append(p.Lists, l)
	}
	return reader.Err
}

// put adds an app to the list, and counts one that cannot be told from others.
func (p *parser) put(l *entity.List, a app, field string) error {
	if len(a.Name)+len(a.Version)+len(a.Publisher)+len(a.ID) > maxApp {
		return &record.FieldError{Field: field, Reason: fmt.Sprintf("is longer than %d bytes", maxApp)}
	}
	if a.ID == "" {
		// It may be any of those known: that one is missing from the list says nothing.
		p.in.Tally.Unnamed++
		l.Complete = false
		return nil
	}
	l.Put(entity.Item{Key: a.ID, Value: schemas.JSON(a)})
	return nil
}

type loggedOn struct {
	UserID string `json:"userId"`
	At     string `json:"lastLogOn,omitempty"`
}

func (p *parser) loggedOn(m *record.Members) error {
	l := entity.List{Attr: p.kind.loggedOn, Complete: true}
	reader := record.Shapes{Seen: p.in.Seen}
	for i, o := range reader.Objects(m.Get("usersLoggedOn"), "usersLoggedOn") {
		reader.Single(fmt.Sprintf("usersLoggedOn[%d].", i), o, "userId", "lastLogOnDateTime")
		p.in.Seen.Use("usersLoggedOn.", o, graphLoggedOnFields)
		id, ok := record.AsGUID(o.Known("userId"))
		if !ok {
			// A security identifier of the device's own, or none: nobody can be found by it.
			p.in.Tally.Unnamed++
			l.Complete = l.Complete && !record.IsEmpty(o.Get("userId"))
			continue
		}
		u := loggedOn{UserID: id}
		if at, ok := record.ParseTime(o.Text("lastLogOnDateTime")); ok && !at.IsZero() {
			u.At = record.WholeSeconds(at)
		}
		l.Put(entity.Item{Key: id, Value: schemas.JSON(u), Person: id}) // of two the later one
	}
	if len(l.Items) > 0 {
		p.Lists = append(p.Lists, l)
	}
	return reader.Err
}
