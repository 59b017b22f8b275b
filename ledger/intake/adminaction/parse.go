package adminaction

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// namespaceAudit names the issuing system and record kind of an admin action, so that its Graph
// form, its Azure Monitor form and an Event Hubs copy of that are one fact. Its ids and
// correlation ids are random at the source.
const namespaceAudit = "intune/auditEvent"

// fact is an admin action as its source tells it, before anybody in it is known to us.
type fact struct {
	kind        *kind
	source      string
	form        string // the kind of the record
	id          string // lower-case GUID
	occurred    time.Time
	correlation string
	open        map[string]json.RawMessage // attribute id → source value, of the action as a whole
	actor       actor
	targets     []target
	details     string
	named       map[string]bool // ids that the record gives to persons and devices beside actor and targets
	withheld    int             // secrets and scripts that were present and are not kept
	cut         int             // values that were no secrets, and too long or too many
	refused     []plan.Refusal  // what is never collected, and was in it
}

type actor struct {
	objectID, upn string
	person        bool                       // an application is none, and gets no subject entry
	values        map[string]json.RawMessage // attribute id → source value
}

type target struct {
	kind     string // as the target itself says; "" where it does not
	about    string // what kind of thing the operation is about, by its name: that says nothing of one target
	id, name string
	changes  []KeptChange
}

// targetKind is what the ledger makes of a target's id.
type targetKind int

const (
	targetOther    targetKind = iota // sealed
	targetResource                   // a thing that is neither person nor device: its id stands open
	targetDevice
	targetUser
)

// resourceWords are what the name of a resource kind may end in for its id to stand open: each is
// a thing that administrators make. What assigns or sorts persons and devices (…Assignment,
// …Profile, …Category) may carry theirs.
var resourceWords = regexp.MustCompile(`(?i)(App|Application|Policy|Configuration|Script|` +
	`Filter|Baseline|Intent|Template|Setting|` +
	`SettingInstance|RoleDefinition|ScopeTag|Rule|Restriction|Catalog|Connector|ContentFile|ContentVersion|` +
	`NotificationMessageTemplate|LocalizedNotificationMessage|TermsAndConditions|ManagedEBook|PolicySet|` +
	`UpdateRing|SecurityTemplate)s?$`)

// lastName returns what comes last in a kind's or operation's name:
// "Microsoft.Management.Services.Api.ManagedDevice" and "Rename device ManagedDevice" are about a
// ManagedDevice.
func lastName(s string) string {
	return s[strings.LastIndexAny(s, " ./#")+1:]
}

func kindOfTarget(kind string) targetKind {
	switch strings.ToLower(lastName(kind)) {
	case "manageddevice", "manageddevices", "windowsmanageddevice", "device", "devices":
		return targetDevice
	case "user", "users":
		return targetUser
	}
	if resourceWords.MatchString(kind) {
		return targetResource
	}
	return targetOther
}

// verbOf returns the verb of an action, as JSON. The sources have no operation type for assigning;
// the operation's name tells it.
func verbOf(raw json.RawMessage, operation string) json.RawMessage {
	first, second, _ := strings.Cut(strings.ToLower(operation), " ")
	if strings.HasPrefix(first, "assign") || first == "create" && strings.HasSuffix(second, "assignment") {
		return json.RawMessage(`"assign"`)
	}
	return raw
}

// parseAzureMonitor reads an Azure Monitor record of category AuditLogs.
func (k *kind) parseAzureMonitor(in plan.Parsing) (plan.Record, error) {
	m, seen, p := in.Record, in.Seen, in.Properties
	seen.Use("", m.Members, azureFields)
	seen.Use("properties.", p, azurePropertyFields)
	f := &fact{kind: k, refused: in.Never, source: source.AzureMonitor, form: kindAuditLog,
		correlation: m.Known("correlationId")}
	sh := record.Shapes{Seen: seen}
	sh.Single("", m.Members, "time", "identity", "operationName", "correlationId", "resultType")
	sh.Single("properties.", p, "AuditEventId", "ActivityDate", "ActivityResultStatus", "ActivityType",
		"AdditionalDetails", "Category")
	a := sh.Object(p.Get("Actor"), "properties.Actor")
	ids := sh.Words(p.Get("TargetObjectIds"), "properties.TargetObjectIds")
	targets := sh.Objects(p.Get("Targets"), "properties.Targets")
	names := sh.Texts(p.Get("TargetDisplayNames"), "properties.TargetDisplayNames", max(len(ids), len(targets)) < 2)
	sh.Single("properties.Actor.", a, "ActorType", "Application", "ApplicationName", "IsDelegatedAdmin", "ObjectId",
		"PartnerTenantId", "UPN", "Name")
	permissions := sh.Words(a.Get("UserPermissions"), "properties.Actor.UserPermissions")
	if sh.Err != nil {
		return nil, sh.Err
	}
	var err error
	if f.id, err = factID(p.Text("AuditEventId"), "properties.AuditEventId"); err != nil {
		return nil, err
	}
	if f.occurred, err = record.FirstTime(record.NamedText{Field: "time", Value: m.Text("time")},
		record.NamedText{Field: "properties.ActivityDate", Value: p.Text("ActivityDate")}); err != nil {
		return nil, err
	}
	operation := m.Known("operationName")
	f.open = mapped(p, azureAction)
	f.open["action.verb"] = verbOf(p.Get("ActivityType"), operation)
	f.open["action.operation"] = m.Get("operationName")
	if s := p.Text("ActivityResultStatus"); s != "1" && m.Known("resultType") != "" &&
		m.Known("resultType") != "None" {
		f.open["action.result"] = m.Get("resultType") // the number's other values are not documented
	}
	seen.Use("properties.Actor.", a, azureActorFields)
	upn := a.Get("UPN")
	if record.IsEmpty(upn) {
		upn = nil
		if strings.Contains(m.Known("identity"), "@") {
			upn = m.Get("identity")
		}
	}
	f.actor = newActor(a.Text("ActorType"), a.Known("ObjectId"), record.Known(upn), "")
	f.actor.values = mapped(a, azureActor)
	f.actor.values["action.actor-upn"] = upn
	f.actor.values["action.actor-permissions"] = f.permissions(permissions)
	f.setDetails(p.Known("AdditionalDetails"))
	about := lastName(operation)
	for i := range max(len(ids), len(names), len(targets)) {
		t := target{about: about, id: knownAt(ids, i), name: knownAt(names, i)}
		if i < len(targets) {
			o := targets[i]
			seen.Use("properties.Targets.", o, azureTargetFields)
			if sh.Single("properties.Targets.", o, "Name"); t.name == "" {
				t.name = o.Known("Name")
			}
			changed := sh.Objects(o.Get("ModifiedProperties"), "properties.Targets.ModifiedProperties")
			f.change(&t, changed, azureChanges, &sh)
		}
		f.targets = append(f.targets, t)
	}
	in.Tally.Withheld = f.withheld
	return f, sh.Err
}

// parseGraph reads a Graph auditEvent.
func (k *kind) parseGraph(in plan.Parsing) (plan.Record, error) {
	m, seen := in.Record, in.Seen
	seen.Use("", m.Members, graphFields)
	f := &fact{kind: k, refused: in.Never, source: source.Graph, form: kindAuditEvent,
		correlation: m.Known("correlationId")}
	sh := record.Shapes{Seen: seen}
	sh.Single("", m.Members, "id", "displayName", "componentName", "activity", "activityDateTime", "activityType",
		"activityOperationType", "activityResult", "correlationId", "category")
	a := sh.Object(m.Get("actor"), "actor")
	sh.Single("actor.", a, "type", "auditActorType", "applicationId", "applicationDisplayName", "userPrincipalName",
		"servicePrincipalName",
		"ipAddress", "userId", "remoteTenantId")
	permissions := sh.Words(a.Get("userPermissions"), "actor.userPermissions")
	resources := sh.Objects(m.Get("resources"), "resources")
	if sh.Err != nil {
		return nil, sh.Err
	}
	var err error
	if f.id, err = factID(m.Text("id"), "id"); err != nil {
		return nil, err
	}
	if f.occurred, err = record.FirstTime(record.NamedText{Field: "activityDateTime",
		Value: m.Text("activityDateTime")}); err != nil {
		return nil, err
	}
	operation := m.Get("activityType")
	for _, other := range []string{"displayName", "activity"} {
		if record.IsEmpty(operation) {
			operation = m.Get(other)
		}
	}
	name, _ := record.AsText(operation)
	f.open = mapped(m.Members, graphAction)
	f.open["action.verb"] = verbOf(m.Get("activityOperationType"), name)
	f.open["action.operation"] = operation
	if display := m.Known("displayName"); !strings.EqualFold(display, name) {
		f.open["action.display-name"] = m.Get("displayName")
	}
	seen.Use("actor.", a, graphActorFields)
	kind := a.Get("auditActorType")
	if record.IsEmpty(kind) {
		kind = a.Get("type")
	}
	kindName, _ := record.AsText(kind)
	f.actor = newActor(kindName, a.Known("userId"), a.Known("userPrincipalName"), a.Known("servicePrincipalName"))
	f.actor.values = mapped(a, graphActor)
	f.actor.values["action.actor-type"] = kind
	f.actor.values["action.actor-permissions"] = f.permissions(permissions)
	for _, o := range resources {
		seen.Use("resources.", o, graphResourceFields)
		sh.Single("resources.", o, "displayName", "type", "auditResourceType", "resourceId")
		t := target{kind: lastName(o.Known("auditResourceType")), id: o.Known("resourceId"),
			name: o.Known("displayName"), about: lastName(name)}
		if t.kind == "" {
			t.kind = lastName(o.Known("type"))
		}
		changed := sh.Objects(o.Get("modifiedProperties"), "resources.modifiedProperties")
		f.change(&t, changed, graphChanges, &sh)
		f.targets = append(f.targets, t)
	}
	in.Tally.Withheld = f.withheld
	return f, sh.Err
}

// parseAuditList refuses a row of the portal's list of actions. It has no id, and what it has (a
// second, what was done, a name) two actions may share: taken, it would be a second action beside
// the one that Graph or Azure Monitor tells, or hide one.
func parseAuditList(plan.Parsing) (plan.Record, error) {
	return nil, &record.FieldError{Field: "Id", Reason: "is not in the portal's list of audit logs, so that the " +
		"action cannot be told from another: export auditEvents through Graph, or send AuditLogs to Azure Monitor"}
}

// newActor tells a person from an application. An actor whose kind is not told is a person where a
// user name or, without any service principal, an object id is given.
func newActor(kind, objectID, upn, servicePrincipal string) actor {
	a := actor{upn: upn}
	a.objectID, _ = record.AsGUID(objectID)
	switch strings.ToLower(kind) {
	case "application", "5", "system", "3":
		return a
	}
	a.person = upn != "" || a.objectID != "" && servicePrincipal == ""
	return a
}

// maxFactText bounds what one text of an action keeps, so that the action fits an event whatever
// it says.
const maxFactText = 4 << 10

func (f *fact) setDetails(s string) {
	if record.Secretive("", s) {
		f.withheld++
		return
	}
	if f.details = record.Clip(s, maxChangeText); f.details != s {
		f.cut++
	}
}

// permissions bounds the list of what the actor may do.
func (f *fact) permissions(all []string) json.RawMessage {
	size := 0
	for i, p := range all {
		if size += len(p) + 3; size > maxChangeText {
			f.cut += len(all) - i
			all = all[:i]
			break
		}
	}
	if len(all) == 0 {
		return nil
	}
	return schemas.JSON(all)
}

// concerning are names of properties whose values are ids of persons or devices.
var concerning = regexp.MustCompile(`(?i)(user|owner|member|device|person|principal|admin)s?` +
	`(id|ids|identifier|objectid)?(\[\d+\])?$`)

// changeFields are how a source writes a changed property, and where.
type changeFields struct {
	field, name, old, new string
	known                 record.Names
}

var (
	azureChanges = changeFields{"properties.Targets.ModifiedProperties", "Name", "Old", "New",
		record.NamesOf("Name", "Old", "New")}
	graphChanges = changeFields{"resources.modifiedProperties", "displayName", "oldValue", "newValue",
		record.NamesOf("displayName", "oldValue", "newValue")}
)

func (f *fact) change(t *target, raw []*record.Members, as changeFields, sh *record.Shapes) {
	changes := make([]change, 0, len(raw))
	for _, o := range raw {
		sh.Seen.Use(as.field+".", o, as.known)
		sh.Single(as.field+".", o, as.name)
		c := change{name: o.Text(as.name), old: o.Value(as.old), new: o.Value(as.new)}
		changes = append(changes, c)
		for _, v := range []*string{c.old, c.new} {
			if v == nil {
				continue
			}
			if id, ok := record.AsGUID(*v); ok && concerning.MatchString(c.name) {
				if f.named == nil {
					f.named = map[string]bool{}
				}
				f.named[id] = true
			}
		}
	}
	var withheld, cut int
	t.changes, withheld, cut = sealable(changes)
	f.withheld += withheld
	f.cut += cut
}

func knownAt(a []string, i int) string {
	if i >= len(a) || schemas.Nothing(a[i]) {
		return ""
	}
	return a[i]
}

func factID(s, field string) (string, error) {
	id, ok := record.AsGUID(s)
	if !ok {
		return "", &record.FieldError{Field: field,
			Reason: "is missing or no id of the source's form, so that the record cannot be told from another"}
	}
	return id, nil
}
