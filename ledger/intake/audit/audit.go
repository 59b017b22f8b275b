// Package audit reads audit records, in which Intune tells what was done in it: those of Graph and
// those of Azure Monitor, into the same terms. Several kinds are told of by them; what one makes
// of what is read here is its own.
//
// It keeps nothing, and trusts no record.
package audit

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// The forms of an audit record, as they are counted and named.
const (
	FormEvent = "auditEvents" // Graph
	FormLog   = "AuditLogs"   // Azure Monitor, of the same
)

// Namespace names the system and kind of record that issued an id, so that both forms, and an
// Event Hubs copy of the second, are one. Its ids and correlation ids are random at the source.
const Namespace = "intune/auditEvent"

// Event is what an audit record says. Texts and values are as its source writes them.
type Event struct {
	Form, Origin string
	ID           record.NamedText
	At           []record.NamedText // the first that can be read is when it was
	Operation    json.RawMessage    // the name of what was done
	Verb, Result json.RawMessage
	Why          record.NamedText // why it failed, "" where that is not told
	Details      string
	Correlation  string
	Action       *record.Members // what tells of the action as a whole
	Actor        Actor
	Targets      []Target
	Withheld     int // names, ids and permissions that are secrets: they are left out
}

// Name is the operation's, as text.
func (e *Event) Name() string { return record.Known(e.Operation) }

// Actor is who acted.
type Actor struct {
	*record.Members
	Kind        json.RawMessage
	UserName    json.RawMessage // the UPN, as it is told
	ID          string          // a GUID in its one form, or ""
	UPN         string
	Person      bool // an application is none
	Permissions []string
}

// NewActor tells a person from an application. An actor whose kind is not told is a person where a
// user name or, without any service principal, an object id is given.
func NewActor(kind, objectID, upn, servicePrincipal string) Actor {
	a := Actor{UPN: upn}
	a.ID, _ = record.AsGUID(objectID)
	switch strings.ToLower(kind) {
	case "application", "5", "system", "3":
		return a
	}
	a.Person = upn != "" || a.ID != "" && servicePrincipal == ""
	return a
}

// Target is what something was done to.
type Target struct {
	Kind     string // as the target itself says; "" where it does not
	ID, Name string

	changes json.RawMessage
	as      *changeFields
}

// Change is one modified property of a target. nil is null at the source.
type Change struct {
	Name     string
	Old, New *string
}

// changeFields are how a source writes a changed property, and where.
type changeFields struct {
	field, name, old, new string
	known                 record.Names
}

var (
	logChanges = changeFields{"properties.Targets.ModifiedProperties", "Name", "Old", "New",
		record.NamesOf("Name", "Old", "New")}
	eventChanges = changeFields{"resources.modifiedProperties", "displayName", "oldValue", "newValue",
		record.NamesOf("displayName", "oldValue", "newValue")}
)

// Changes reads what was changed of the target. What is wrong there the reader has.
func (t *Target) Changes(reader *record.Shapes) []Change {
	if t.as == nil {
		return nil
	}
	raw := reader.Objects(t.changes, t.as.field)
	out := make([]Change, 0, len(raw))
	for _, o := range raw {
		reader.Seen.Use(t.as.field+".", o, t.as.known)
		reader.Single(t.as.field+".", o, t.as.name)
		out = append(out, Change{Name: o.Text(t.as.name), Old: o.Value(t.as.old), New: o.Value(t.as.new)})
	}
	return out
}

// LastName returns what comes last in a kind's or operation's name:
// "Microsoft.Management.Services.Api.ManagedDevice" and "Rename device ManagedDevice" are about a
// ManagedDevice.
func LastName(s string) string { return s[strings.LastIndexAny(s, " ./#")+1:] }

// What is read of a record and of what it holds, by its own names.
var (
	logFields = record.NamesOf("category", "properties", "time", "tenantId", "identity", "operationName",
		"correlationId", "resultType", "resultDescription")
	logPropertyFields = record.NamesOf("AuditEventId", "ActivityDate", "ActivityResultStatus", "ActivityType",
		"Actor", "AdditionalDetails", "Category", "TargetDisplayNames", "TargetObjectIds", "Targets",
		"IntuneAccountId", "AADTenantId")
	logActorFields = record.NamesOf("ActorType", "Application", "ApplicationName", "IsDelegatedAdmin", "ObjectId",
		"PartnerTenantId", "UPN", "UserPermissions", "Name")
	logTargetFields = record.NamesOf("Name", "ModifiedProperties")

	eventFields = record.NamesOf("id", "displayName", "componentName", "actor", "activity", "activityDateTime",
		"activityType", "activityOperationType", "activityResult", "correlationId", "resources", "category")
	eventActorFields = record.NamesOf("type", "auditActorType", "userPermissions", "applicationId",
		"applicationDisplayName", "userPrincipalName", "servicePrincipalName", "ipAddress", "userId",
		"remoteTenantId")
	eventResourceFields = record.NamesOf("displayName", "modifiedProperties", "type", "auditResourceType",
		"resourceId")
)

// operationOf is what a Graph auditEvent calls what was done.
func operationOf(m *record.Members) json.RawMessage {
	for _, name := range []string{"activityType", "displayName", "activity"} {
		if m.Known(name) != "" {
			return m.Get(name)
		}
	}
	return nil
}

// Task returns the verb and the name of what was done, looking at little.
func Task(m record.Record) (verb, operation string) {
	if p := m.Properties; p != nil {
		return p.Known("ActivityType"), m.Known("operationName")
	}
	return m.Known("activityOperationType"), record.Known(operationOf(m.Members))
}

// Read reads an audit record of either form. What is wrong with it the reader has, and the event
// is nil; which members are not known, and are read all the same, its Seen has.
func Read(m record.Record, reader *record.Shapes) *Event {
	var e *Event
	if m.Properties != nil {
		e = readLog(m, reader)
	} else {
		e = readEvent(m, reader)
	}
	if reader.Err != nil {
		return nil
	}
	e.withhold()
	return e
}

// withhold leaves out what is a secret among the texts that an event tells beside its members.
func (e *Event) withhold() {
	secret := func(text string) bool {
		is := record.Secretive("", text)
		if is {
			e.Withheld++
		}
		return is
	}
	e.Actor.Permissions = slices.DeleteFunc(e.Actor.Permissions, secret)
	for i := range e.Targets {
		for _, text := range []*string{&e.Targets[i].ID, &e.Targets[i].Name} {
			if secret(*text) {
				*text = ""
			}
		}
	}
}

// readLog reads an Azure Monitor record of category AuditLogs.
func readLog(m record.Record, sh *record.Shapes) *Event {
	p := m.Properties
	sh.Seen.Use("", m.Members, logFields)
	sh.Seen.Use("properties.", p, logPropertyFields)
	sh.Single("", m.Members, "time", "identity", "operationName", "correlationId", "resultType", "resultDescription")
	sh.Single("properties.", p, "AuditEventId", "ActivityDate", "ActivityResultStatus", "ActivityType",
		"AdditionalDetails", "Category")
	a := sh.Object(p.Get("Actor"), "properties.Actor")
	ids := sh.Words(p.Get("TargetObjectIds"), "properties.TargetObjectIds")
	targets := sh.Objects(p.Get("Targets"), "properties.Targets")
	names := sh.Texts(p.Get("TargetDisplayNames"), "properties.TargetDisplayNames", max(len(ids), len(targets)) < 2)
	sh.Seen.Use("properties.Actor.", a, logActorFields)
	sh.Single("properties.Actor.", a, "ActorType", "Application", "ApplicationName", "IsDelegatedAdmin", "ObjectId",
		"PartnerTenantId", "UPN", "Name")
	e := &Event{Form: FormLog, Origin: source.AzureMonitor, Action: p, Correlation: m.Known("correlationId"),
		ID: record.NamedText{Field: "properties.AuditEventId", Value: p.Text("AuditEventId")},
		At: []record.NamedText{{Field: "time", Value: m.Text("time")},
			{Field: "properties.ActivityDate", Value: p.Text("ActivityDate")}},
		Operation: m.Get("operationName"), Verb: p.Get("ActivityType"), Result: p.Get("ActivityResultStatus"),
		Details: p.Known("AdditionalDetails")}
	// Of the number, no value but that of success is documented; the text says what it is.
	if text := m.Known("resultType"); record.Known(e.Result) != "1" && text != "" && text != "None" {
		e.Result = m.Get("resultType")
	}
	if why := m.Known("resultDescription"); why != "None" {
		e.Why = record.NamedText{Field: "resultDescription", Value: why}
	}
	upn := a.Get("UPN")
	if record.IsEmpty(upn) {
		upn = nil
		if strings.Contains(m.Known("identity"), "@") {
			upn = m.Get("identity")
		}
	}
	e.Actor = NewActor(a.Known("ActorType"), a.Known("ObjectId"), record.Known(upn), "")
	e.Actor.Members, e.Actor.Kind, e.Actor.UserName = a, a.Get("ActorType"), upn
	e.Actor.Permissions = sh.Words(a.Get("UserPermissions"), "properties.Actor.UserPermissions")
	for i := range max(len(ids), len(names), len(targets)) {
		t := Target{ID: knownAt(ids, i), Name: knownAt(names, i)}
		if i < len(targets) {
			o := targets[i]
			sh.Seen.Use("properties.Targets.", o, logTargetFields)
			if sh.Single("properties.Targets.", o, "Name"); t.Name == "" {
				t.Name = o.Known("Name")
			}
			t.changes, t.as = o.Get("ModifiedProperties"), &logChanges
		}
		e.Targets = append(e.Targets, t)
	}
	return e
}

// readEvent reads a Graph auditEvent.
func readEvent(m record.Record, sh *record.Shapes) *Event {
	sh.Seen.Use("", m.Members, eventFields)
	sh.Single("", m.Members, "id", "displayName", "componentName", "activity", "activityDateTime", "activityType",
		"activityOperationType", "activityResult", "correlationId", "category")
	a := sh.Object(m.Get("actor"), "actor")
	sh.Seen.Use("actor.", a, eventActorFields)
	sh.Single("actor.", a, "type", "auditActorType", "applicationId", "applicationDisplayName", "userPrincipalName",
		"servicePrincipalName", "ipAddress", "userId", "remoteTenantId")
	resources := sh.Objects(m.Get("resources"), "resources")
	e := &Event{Form: FormEvent, Origin: source.Graph, Action: m.Members, Correlation: m.Known("correlationId"),
		ID:        record.NamedText{Field: "id", Value: m.Text("id")},
		At:        []record.NamedText{{Field: "activityDateTime", Value: m.Text("activityDateTime")}},
		Operation: operationOf(m.Members), Verb: m.Get("activityOperationType"), Result: m.Get("activityResult")}
	kind := a.Get("auditActorType")
	if record.IsEmpty(kind) {
		kind = a.Get("type")
	}
	e.Actor = NewActor(record.Known(kind), a.Known("userId"), a.Known("userPrincipalName"),
		a.Known("servicePrincipalName"))
	e.Actor.Members, e.Actor.Kind, e.Actor.UserName = a, kind, a.Get("userPrincipalName")
	e.Actor.Permissions = sh.Words(a.Get("userPermissions"), "actor.userPermissions")
	for _, o := range resources {
		sh.Seen.Use("resources.", o, eventResourceFields)
		sh.Single("resources.", o, "displayName", "type", "auditResourceType", "resourceId")
		t := Target{Kind: LastName(o.Known("auditResourceType")), ID: o.Known("resourceId"),
			Name: o.Known("displayName"), changes: o.Get("modifiedProperties"), as: &eventChanges}
		if t.Kind == "" {
			t.Kind = LastName(o.Known("type"))
		}
		e.Targets = append(e.Targets, t)
	}
	return e
}

func knownAt(a []string, i int) string {
	if i >= len(a) || schemas.Nothing(a[i]) {
		return ""
	}
	return a[i]
}
