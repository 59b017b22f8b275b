package intake

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// namespaceAudit names the issuing system and record kind of an admin action, so that its Graph form, its Azure Monitor form and an Event Hubs
// copy of that are one fact. Its ids and correlation ids are random at the source.
const namespaceAudit = "intune/auditEvent"

// fact is an admin action as its source tells it, before anybody in it is known to us.
type fact struct {
	source      string
	id          string // lower-case GUID
	occurred    time.Time
	correlation string
	open        map[string]json.RawMessage // attribute id → source value, of the action as a whole
	actor       actor
	targets     []target
	details     string
	withheld    int // values that were present and are not kept
}

type actor struct {
	objectID, upn string
	person        bool                       // an application is none, and gets no subject entry
	values        map[string]json.RawMessage // attribute id → source value
}

type target struct {
	kind, id, name string
	changes        json.RawMessage // sealable
}

// targetKind is what the ledger makes of a target's id.
type targetKind int

const (
	targetOther    targetKind = iota // sealed
	targetResource                   // a thing that is neither person nor device: its id stands open
	targetDevice
	targetUser
)

// resourceWords are what the name of a resource kind may end in for its id to stand open: each is a thing that administrators make.
var resourceWords = regexp.MustCompile(`(?i)(App|Application|Policy|PolicyAssignment|Configuration|Assignment|Script|Filter|Profile|Baseline|Intent|Template|Setting|SettingInstance|` +
	`Category|RoleDefinition|ScopeTag|Rule|Restriction|Catalog|Connector|ContentFile|ContentVersion|NotificationMessageTemplate|LocalizedNotificationMessage|TermsAndConditions|` +
	`ManagedEBook|PolicySet|UpdateRing|SecurityTemplate)s?$`)

func kindOfTarget(kind string) targetKind {
	switch strings.ToLower(kind) {
	case "manageddevice", "manageddevices", "windowsmanageddevice", "device":
		return targetDevice
	case "user", "users":
		return targetUser
	}
	if resourceWords.MatchString(kind) {
		return targetResource
	}
	return targetOther
}

// verbAssign: the sources have no operation type for assigning; the operation's name tells it (item 17).
func verbOf(raw json.RawMessage, operation string) json.RawMessage {
	first, second, _ := strings.Cut(strings.ToLower(operation), " ")
	if strings.HasPrefix(first, "assign") || first == "create" && strings.HasSuffix(second, "assignment") {
		return json.RawMessage(`"assign"`)
	}
	return raw
}

// parseAuditLog reads an Azure Monitor record of category AuditLogs.
func parseAuditLog(m sourceRecord, seen *fields) (*fact, error) {
	p := m.properties
	seen.use("", m.members, "category", "properties", "time", "tenantId", "identity", "operationName", "correlationId", "resultType")
	seen.use("properties.", p, "AuditEventId", "ActivityDate", "ActivityResultStatus", "ActivityType", "Actor", "AdditionalDetails", "Category",
		"TargetDisplayNames", "TargetObjectIds", "Targets", "IntuneAccountId", "AADTenantId")
	f := &fact{source: sourceAzureMonitor, correlation: m.known("correlationId")}
	var err error
	if f.id, err = factID(p.text("AuditEventId"), "properties.AuditEventId"); err != nil {
		return nil, err
	}
	if f.occurred, err = firstTime(named{"time", m.text("time")}, named{"properties.ActivityDate", p.text("ActivityDate")}); err != nil {
		return nil, err
	}
	operation := m.known("operationName")
	f.open = map[string]json.RawMessage{
		"action.verb": verbOf(p["ActivityType"], operation), "action.operation": m.members["operationName"], "action.category": p["Category"], "action.result": p["ActivityResultStatus"],
	}
	if s := p.text("ActivityResultStatus"); s != "1" && m.known("resultType") != "" && m.known("resultType") != "None" {
		f.open["action.result"] = m.members["resultType"] // the number's other values are not documented
	}
	a := p.object("Actor")
	seen.use("properties.Actor.", a, "ActorType", "Application", "ApplicationName", "IsDelegatedAdmin", "ObjectId", "PartnerTenantId", "UPN", "UserPermissions", "Name")
	upn := a["UPN"]
	if isEmpty(upn) {
		upn = nil
		if strings.Contains(m.known("identity"), "@") {
			upn = m.members["identity"]
		}
	}
	f.actor = newActor(a.text("ActorType"), a.known("ObjectId"), members{"upn": upn}.known("upn"), "")
	f.actor.values = map[string]json.RawMessage{
		"action.actor-type": a["ActorType"], "action.delegated": a["IsDelegatedAdmin"], "action.actor-id": a["ObjectId"], "action.actor-upn": upn,
		"action.actor-name": a["Name"], "action.actor-permissions": a["UserPermissions"], "action.partner-tenant": a["PartnerTenantId"],
		"action.application-id": a["Application"], "action.application-name": a["ApplicationName"],
	}
	f.setDetails(p.known("AdditionalDetails"))
	_, kind, _ := strings.Cut(operation, " ")
	ids, names, targets := p.array("TargetObjectIds"), p.array("TargetDisplayNames"), p.array("Targets")
	for i := range max(len(ids), len(names), len(targets)) {
		t := target{kind: kind, id: knownAt(ids, i), name: knownAt(names, i)}
		if i < len(targets) {
			var o members
			if json.Unmarshal(targets[i], &o) != nil {
				return nil, &fieldError{"properties.Targets", "holds something that is no object"}
			}
			seen.use("properties.Targets.", o, "Name", "ModifiedProperties")
			if t.name == "" {
				t.name = o.known("Name")
			}
			if err := f.change(&t, o.array("ModifiedProperties"), "Name", "Old", "New", "properties.Targets.ModifiedProperties", seen); err != nil {
				return nil, err
			}
		}
		f.targets = append(f.targets, t)
	}
	return f, nil
}

// parseAuditEvent reads a Graph auditEvent.
func parseAuditEvent(m sourceRecord, seen *fields) (*fact, error) {
	seen.use("", m.members, "id", "displayName", "componentName", "actor", "activity", "activityDateTime", "activityType", "activityOperationType", "activityResult",
		"correlationId", "resources", "category")
	f := &fact{source: sourceGraph, correlation: m.known("correlationId")}
	var err error
	if f.id, err = factID(m.text("id"), "id"); err != nil {
		return nil, err
	}
	if f.occurred, err = firstTime(named{"activityDateTime", m.text("activityDateTime")}); err != nil {
		return nil, err
	}
	operation := m.members["activityType"]
	for _, other := range []string{"displayName", "activity"} {
		if isEmpty(operation) {
			operation = m.members[other]
		}
	}
	name, _ := asText(operation)
	f.open = map[string]json.RawMessage{
		"action.verb": verbOf(m.members["activityOperationType"], name), "action.operation": operation, "action.activity-type": m.members["activity"],
		"action.component": m.members["componentName"], "action.category": m.members["category"], "action.result": m.members["activityResult"],
	}
	a := m.object("actor")
	seen.use("actor.", a, "type", "auditActorType", "userPermissions", "applicationId", "applicationDisplayName", "userPrincipalName", "servicePrincipalName",
		"ipAddress", "userId", "remoteTenantId")
	kind := a["auditActorType"]
	if isEmpty(kind) {
		kind = a["type"]
	}
	kindName, _ := asText(kind)
	f.actor = newActor(kindName, a.known("userId"), a.known("userPrincipalName"), a.known("servicePrincipalName"))
	f.actor.values = map[string]json.RawMessage{
		"action.actor-type": kind, "action.actor-id": a["userId"], "action.actor-upn": a["userPrincipalName"], "action.actor-name": a["servicePrincipalName"],
		"action.actor-ip": a["ipAddress"], "action.actor-permissions": a["userPermissions"], "action.partner-tenant": a["remoteTenantId"],
		"action.application-id": a["applicationId"], "action.application-name": a["applicationDisplayName"],
	}
	for _, raw := range m.array("resources") {
		var o members
		if json.Unmarshal(raw, &o) != nil {
			return nil, &fieldError{"resources", "holds something that is no object"}
		}
		seen.use("resources.", o, "displayName", "modifiedProperties", "type", "auditResourceType", "resourceId")
		t := target{kind: o.known("auditResourceType"), id: o.known("resourceId"), name: o.known("displayName")}
		if t.kind == "" {
			t.kind = o.known("type")
		}
		if err := f.change(&t, o.array("modifiedProperties"), "displayName", "oldValue", "newValue", "resources.modifiedProperties", seen); err != nil {
			return nil, err
		}
		f.targets = append(f.targets, t)
	}
	return f, nil
}

// newActor tells a person from an application. An actor whose kind is not told is a person where a user name or, without any
// service principal, an object id is given.
func newActor(kind, objectID, upn, servicePrincipal string) actor {
	a := actor{upn: upn}
	a.objectID, _ = asGUID(objectID)
	switch strings.ToLower(kind) {
	case "application", "5", "system", "3":
		return a
	}
	a.person = upn != "" || a.objectID != "" && servicePrincipal == ""
	return a
}

func (f *fact) setDetails(s string) {
	if secretive("", s) || len(s) > maxText {
		f.withheld++
		return
	}
	f.details = s
}

func (f *fact) change(t *target, raw []json.RawMessage, name, old, new, field string, seen *fields) error {
	var changes []change
	for _, r := range raw {
		var o members
		if json.Unmarshal(r, &o) != nil {
			return &fieldError{field, "holds something that is no object"}
		}
		seen.use(field+".", o, name, old, new)
		c := change{name: o.text(name), old: o.value(old), new: o.value(new)}
		changes = append(changes, c)
	}
	var n int
	t.changes, n = sealable(changes)
	f.withheld += n
	return nil
}

// value returns a property's value as text, nil where it is null, absent or the text "<null>".
func (m members) value(name string) *string {
	raw := m[name]
	if len(raw) == 0 || raw[0] == 'n' {
		return nil
	}
	s, ok := asText(raw)
	if !ok {
		s = string(raw)
	}
	if s == "<null>" {
		return nil
	}
	return &s
}

func knownAt(a []json.RawMessage, i int) string {
	if i >= len(a) {
		return ""
	}
	return members{"v": a[i]}.known("v")
}

func factID(s, field string) (string, error) {
	id, ok := asGUID(s)
	if !ok {
		return "", &fieldError{field, "is missing or no id of the source's form, so that the record cannot be told from another"}
	}
	return id, nil
}

type named struct{ field, value string }

// firstTime returns the first of the values that is a time, unknown where that one says so. No readable one is a fault of the first.
func firstTime(values ...named) (time.Time, error) {
	for _, v := range values {
		if at, ok := parseTime(v.value); ok {
			return at, nil
		}
	}
	return time.Time{}, &fieldError{values[0].field, "is not a time that can be read"}
}
