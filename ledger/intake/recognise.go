package intake

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

// The kinds of records that are taken in. The names are the sources' own.
const (
	kindManagedDevice = "managedDevices" // Graph, a state
	kindAuditEvent    = "auditEvents"    // Graph, a fact
	kindAuditLog      = "AuditLogs"      // Azure Monitor, the same fact
	kindDevice        = "Devices"        // Azure Monitor, a state
)

// The closed vocabulary of an event's source: the issuing interface, never the transport.
const (
	sourceGraph        = "graph"
	sourceAzureMonitor = "azure-monitor"
)

// sourceRecord is one record, decoded one level deep, and its properties where it has them.
type sourceRecord struct {
	members
	properties members
	decoded    bool   // a text in it held JSON
	table      string // of Log Analytics, for a row of it
}

// decodeRecord reads the text of a record. One that is valid JSON and no object has no members.
func decodeRecord(raw []byte) (sourceRecord, error) {
	var r sourceRecord
	if len(raw) == 0 || raw[0] != '{' {
		if !json.Valid(raw) {
			return r, errors.New("malformed JSON")
		}
		return r, nil
	}
	if err := json.Unmarshal(raw, &r.members); err != nil {
		return r, errors.New("malformed JSON") // the error's own text quotes the content
	}
	r.settle()
	return r, nil
}

// members is a record's own members, by name.
type members map[string]json.RawMessage

// text returns a member as text, "" where it is absent, null or no single value.
func (m members) text(name string) string {
	s, _ := asText(m[name])
	return s
}

// known returns a member as text, "" also for a placeholder.
func (m members) known(name string) string {
	if s := m.text(name); !isNothing(s) {
		return s
	}
	return ""
}

// object returns a member that is an object, else nil.
func (m members) object(name string) members {
	var o members
	if raw := m[name]; len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &o) == nil {
		return o
	}
	return nil
}

// array returns a member that is an array, else nil.
func (m members) array(name string) []json.RawMessage {
	var a []json.RawMessage
	if raw := m[name]; len(raw) > 0 && raw[0] == '[' && json.Unmarshal(raw, &a) == nil {
		return a
	}
	return nil
}

func (m members) has(names ...string) bool {
	for _, n := range names {
		if _, ok := m[n]; !ok {
			return false
		}
	}
	return true
}

var (
	kindForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}(/[A-Za-z][A-Za-z0-9_.-]{0,63}){0,5}$`)
	nameForm = regexp.MustCompile(`^@?[A-Za-z][A-Za-z0-9_]{0,63}(@?\.[A-Za-z][A-Za-z0-9_]{0,63}){0,3}$`)
)

// safeKind returns a kind's name as it may be shown: a source decides it, so it could be anything.
func safeKind(s string) string {
	if kindForm.MatchString(s) {
		return s
	}
	return "unnamed"
}

// safeName does so for a field.
func safeName(s string) string {
	if nameForm.MatchString(s) {
		return s
	}
	return "(unusual name)"
}

// verdict is what a record says of its kind.
type verdict int

const (
	unnamed verdict = iota // nothing: its kind is not known
	byName                 // a kind that the ledger does not take in
	taken                  // one of the four
)

// recognise tells the kind of a record by what it holds. taken is false for one that the ledger does
// not take in; its kind is then only counted.
func recognise(m sourceRecord, context string) (kind string, take bool) {
	kind, v := m.kind(context)
	return kind, v == taken
}

// kind is recognise's, and says too whether a kind that is not taken in is named at all. context is
// that of the page it stands in; its own goes before.
func (m sourceRecord) kind(context string) (string, verdict) {
	if m.members == nil {
		return "no object", unnamed
	}
	if kind, v := m.monitorKind(); v != unnamed {
		return kind, v
	}
	if own := m.text("@odata.context"); own != "" {
		context = own
	}
	odata := strings.TrimPrefix(strings.TrimPrefix(m.text("@odata.type"), "#"), "microsoft.graph.")
	collection := contextPath(context)
	last := collection[strings.LastIndexByte(collection, '/')+1:]
	switch {
	case odata == "managedDevice", odata == "windowsManagedDevice", odata == "" && last == kindManagedDevice:
		return kindManagedDevice, taken
	case odata == "auditEvent", odata == "" && last == kindAuditEvent:
		return kindAuditEvent, taken
	case collection != "":
		return nameOf(collection)
	case odata != "":
		return nameOf(odata)
	case m.has("id", "activityDateTime", "actor", "resources"):
		return kindAuditEvent, taken
	case m.has("id", "enrolledDateTime", "managementAgent"), m.has("id", "managedDeviceOwnerType", "lastSyncDateTime"):
		return kindManagedDevice, taken
	}
	return "unnamed", unnamed
}

func nameOf(kind string) (string, verdict) {
	if safe := safeKind(kind); safe == kind {
		return kind, byName
	}
	return "unnamed", unnamed
}

// monitorKind tells the kind of a record of Azure Monitor, which names a category and holds
// properties, or of a row of Log Analytics. Categories are each service's own: Entra has an
// AuditLogs too, and Azure Monitor puts both into one hub.
func (m sourceRecord) monitorKind() (string, verdict) {
	category := m.known("category")
	if category == "" || len(m.members["properties"]) == 0 {
		if m.table != "" {
			return nameOf(m.table)
		}
		return "", unnamed
	}
	p := m.properties
	switch provider := m.provider(); {
	case provider != "":
		return nameOf(provider + "/" + category)
	case strings.EqualFold(category, kindAuditLog):
		return kindAuditLog, taken
	case strings.EqualFold(category, kindDevice) && p.has("Stats") && !p.has("DeviceId"):
		return kindDevice + "/summary", byName // how many devices the export holds; not a device
	case strings.EqualFold(category, kindDevice):
		return kindDevice, taken
	}
	return nameOf(category)
}

var resourceProvider = regexp.MustCompile(`(?i)/providers/([a-z]+\.[a-z0-9.]+)`)

// provider returns the service that a record of Azure Monitor is of, "" for Intune: by its resource,
// or by what only the directory's audit logs hold.
func (m sourceRecord) provider() string {
	if f := resourceProvider.FindStringSubmatch(m.text("resourceId")); f != nil {
		if strings.EqualFold(f[1], "microsoft.intune") {
			return ""
		}
		return strings.ToLower(f[1])
	}
	if p := m.properties; !p.has("AuditEventId") && p.has("activityDisplayName", "loggedByService") {
		return "microsoft.aadiam"
	}
	return ""
}

// contextPath returns the collection that an @odata.context names, without the ids in it:
// "deviceManagement/deviceConfigurations/deviceStatuses".
func contextPath(context string) string {
	_, path, ok := strings.Cut(context, "$metadata#")
	if !ok {
		return ""
	}
	var b strings.Builder
	depth := 0
	for _, r := range path {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return strings.Trim(strings.TrimSuffix(b.String(), "/$entity"), "/")
}
