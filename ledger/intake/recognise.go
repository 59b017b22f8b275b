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
	r.properties = r.object("properties")
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

// recognise tells the kind of a record by what it holds. taken is false for one that the ledger does not take in; its kind is then only counted.
func recognise(m sourceRecord, context string) (kind string, taken bool) {
	if m.members == nil {
		return "no object", false
	}
	if category := m.known("category"); category != "" && len(m.members["properties"]) > 0 {
		switch {
		case m.properties == nil:
			return safeKind(category), false // a text that holds JSON, as some exports have it
		case strings.EqualFold(category, kindAuditLog):
			return kindAuditLog, true
		case strings.EqualFold(category, kindDevice) && m.properties.has("Stats") && !m.properties.has("DeviceId"):
			return kindDevice + "/summary", false // how many devices the export holds; not a device
		case strings.EqualFold(category, kindDevice):
			return kindDevice, true
		}
		return safeKind(category), false
	}
	if context == "" {
		context = m.text("@odata.context")
	}
	odata := strings.TrimPrefix(strings.TrimPrefix(m.text("@odata.type"), "#"), "microsoft.graph.")
	collection := contextPath(context)
	last := collection[strings.LastIndexByte(collection, '/')+1:]
	switch {
	case odata == "managedDevice", odata == "windowsManagedDevice", odata == "" && last == kindManagedDevice:
		return kindManagedDevice, true
	case odata == "auditEvent", odata == "" && last == kindAuditEvent:
		return kindAuditEvent, true
	case collection != "":
		return safeKind(collection), false
	case odata != "":
		return safeKind(odata), false
	case m.has("id", "activityDateTime", "actor", "resources"):
		return kindAuditEvent, true
	case m.has("id", "enrolledDateTime", "managementAgent"), m.has("id", "managedDeviceOwnerType", "lastSyncDateTime"):
		return kindManagedDevice, true
	}
	return "unnamed", false
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
