package remoteaction

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

// telling is what one source tells of one action on one device, before anybody in it is known to
// us.
type telling struct {
	kind      *kind
	source    string
	form      string
	own       []string // ids of the source's own, each of this action on this device alone
	device    string   // its id in Intune, lower-case; "" where it is not told
	name      string   // what the device is called
	imei      string
	action    string // canonical, or as the source spells it
	requested time.Time
	observed  time.Time // when what it tells of its state was so
	completed time.Time // zero where it is not told
	state     string
	values    map[*schemas.Attribute]json.RawMessage // beside action, state and times
	group     groupOf
	actor     vault.PersonHint
	person    bool // the actor is one
	user      vault.PersonHint
	refused   []plan.Refusal
}

// groupOf names the request that an action was part of: an id that is random at the source.
type groupOf struct{ kind, namespace, id string }

// onDevice is what sources call a device that something is done to.
const onDevice = "ManagedDevice"

// operationOn returns what an operation's name says that was done to a device: "wipe" of "wipe
// ManagedDevice". "": it was done to something else.
func operationOn(operation string) string {
	what, is := strings.CutSuffix(strings.TrimSpace(operation), " "+onDevice)
	if !is {
		return ""
	}
	return strings.TrimSpace(what)
}

// asks reports whether the verb is one by which something is asked of a device.
func asks(verb string) bool {
	switch strings.ToLower(verb) {
	case "action", "3", "delete", "1":
		return true
	}
	return false
}

// graphOperation is what a Graph auditEvent calls what was done.
func graphOperation(m *record.Members) string {
	for _, name := range []string{"activityType", "displayName", "activity"} {
		if s := m.Known(name); s != "" {
			return s
		}
	}
	return ""
}

// isRemoteTask reports whether an audit event is of something that was asked of devices.
func isRemoteTask(m record.Record) bool {
	if p := m.Properties; p != nil {
		return asks(p.Known("ActivityType")) && operationOn(m.Known("operationName")) != ""
	}
	return asks(m.Known("activityOperationType")) && operationOn(graphOperation(m.Members)) != ""
}

// namespaceAudit names the system and kind of record of an audit event: of either form, the same.
const namespaceAudit = "intune/auditEvent"

// of returns a telling without what is told of its device.
func (k *kind) of(source, form string) *telling {
	return &telling{kind: k, source: source, form: form, values: map[*schemas.Attribute]json.RawMessage{}}
}

// auditEvent reads a Graph auditEvent of a remote task: an action for each device that it names.
func (k *kind) auditEvent(in plan.Parsing) ([]plan.Record, error) {
	m := in.Record
	sh := record.Shapes{Seen: &record.Seen{}}
	a := sh.Object(m.Get("actor"), "actor")
	resources := sh.Objects(m.Get("resources"), "resources")
	if sh.Err != nil {
		return nil, sh.Err
	}
	var on []target
	for _, r := range resources {
		typ := r.Known("auditResourceType")
		if typ == "" {
			typ = r.Known("type")
		}
		if typ = typ[strings.LastIndexAny(typ, " ./#")+1:]; typ == "" || strings.EqualFold(typ, onDevice) {
			on = append(on, target{r.Known("resourceId"), r.Known("displayName")})
		}
	}
	t := k.of(source.Graph, formAuditEvent)
	at := record.NamedText{Field: "activityDateTime", Value: m.Text("activityDateTime")}
	kind := a.Known("auditActorType")
	if kind == "" {
		kind = a.Known("type")
	}
	t.by(kind, a.Known("userId"), a.Known("userPrincipalName"), a.Known("servicePrincipalName"))
	return t.audited(in, m.Text("id"), graphOperation(m.Members), m.Get("activityResult"), on, at)
}

// auditLog reads the same in Azure Monitor's form.
func (k *kind) auditLog(in plan.Parsing) ([]plan.Record, error) {
	m, p := in.Record, in.Properties
	sh := record.Shapes{Seen: &record.Seen{}}
	a := sh.Object(p.Get("Actor"), "properties.Actor")
	ids := sh.Words(p.Get("TargetObjectIds"), "properties.TargetObjectIds")
	targets := sh.Objects(p.Get("Targets"), "properties.Targets")
	names := sh.Texts(p.Get("TargetDisplayNames"), "properties.TargetDisplayNames", max(len(ids), len(targets)) < 2)
	if sh.Err != nil {
		return nil, sh.Err
	}
	on := make([]target, max(len(ids), len(names), len(targets)))
	for i := range on {
		if i < len(ids) && !schemas.Nothing(ids[i]) {
			on[i].id = ids[i]
		}
		if i < len(names) && !schemas.Nothing(names[i]) {
			on[i].name = names[i]
		} else if i < len(targets) {
			on[i].name = targets[i].Known("Name")
		}
	}
	t := k.of(source.AzureMonitor, formAuditLog)
	upn := a.Known("UPN")
	if identity := m.Known("identity"); upn == "" && strings.Contains(identity, "@") {
		upn = identity
	}
	t.by(a.Known("ActorType"), a.Known("ObjectId"), upn, "")
	if name := a.Known("Name"); name != "" {
		t.tell(k.actorName, schemas.JSON(name))
	}
	result := p.Get("ActivityResultStatus")
	if text := m.Known("resultType"); record.Known(result) != "1" && text != "" && text != "None" {
		result = m.Get("resultType")
	}
	if why := m.Known("resultDescription"); why != "" && why != "None" {
		t.told(in, k.failure, "resultDescription", why)
	}
	return t.audited(in, p.Text("AuditEventId"), m.Known("operationName"), result, on,
		record.NamedText{Field: "time", Value: m.Text("time")},
		record.NamedText{Field: "properties.ActivityDate", Value: p.Text("ActivityDate")})
}

// refused reports whether an audit event's result says that the request was not taken.
func refused(result string) bool {
	switch strings.ToLower(blanks.Replace(result)) {
	case "failure", "fail", "failed", "0", "timeout", "clienterror":
		return true
	}
	return false
}

// blanks are what sources put between the words of a name, or not.
var blanks = strings.NewReplacer(" ", "", "-", "", "_", "")

// target is what an audit event names as a device.
type target struct{ id, name string }

// audited returns what an audit event tells, of each device.
func (t *telling) audited(
	in plan.Parsing, id, operation string, result json.RawMessage, on []target, at ...record.NamedText,
) (out []plan.Record, err error) {
	k := t.kind
	guid, ok := record.AsGUID(id)
	if !ok {
		return nil, nil // its own form says what is wrong with it
	}
	if t.requested, err = record.FirstTime(at...); err != nil || t.requested.IsZero() {
		return nil, err
	}
	if err := t.does("operation", operationOn(operation)); err != nil {
		return nil, err
	}
	t.state, t.observed = stateRequested, t.requested
	if refused(record.Known(result)) {
		t.state, t.completed = stateFailed, t.requested
	} else {
		delete(t.values, k.failure) // it was accepted
	}
	t.group = groupOf{streamOfAudit, namespaceAudit, guid}
	if len(on) > plan.MaxParts {
		return nil, &record.FieldError{Field: "resources",
			Reason: fmt.Sprintf("has more than %d entries", plan.MaxParts)}
	}
	seen := map[string]bool{}
	for _, d := range on {
		one := *t
		one.device, _ = record.AsGUID(d.id)
		one.called(d.name, "")
		if one.device == "" && one.name == "" {
			continue
		}
		of := one.device
		if of == "" {
			of = "name " + one.name
		}
		if seen[of] { // told twice
			continue
		}
		seen[of] = true
		one.own = []string{string(schemas.LP(schemas.LP(schemas.LP(nil, namespaceAudit), guid), of))}
		one.values = make(map[*schemas.Attribute]json.RawMessage, len(t.values)+1)
		for a, v := range t.values {
			one.values[a] = v
		}
		if d.name != "" {
			one.tell(k.deviceName, schemas.JSON(d.name))
		}
		out = append(out, &one)
	}
	return out, nil
}

// by says who acted. An application is no person.
func (t *telling) by(kind, objectID, upn, servicePrincipal string) {
	id, _ := record.AsGUID(objectID)
	application := false
	switch strings.ToLower(kind) {
	case "application", "5", "system", "3":
		application = true
	}
	t.person = !application && (upn != "" || id != "" && servicePrincipal == "")
	t.actor = vault.PersonHint{ObjectID: id, UPN: upn}
	if !t.person {
		t.actor = vault.PersonHint{}
	}
	if id != "" {
		t.tell(t.kind.actorID, schemas.JSON(id))
	}
	if upn != "" {
		t.tell(t.kind.actorUPN, schemas.JSON(upn))
	}
	if servicePrincipal != "" {
		t.tell(t.kind.actorName, schemas.JSON(servicePrincipal))
	}
}

// tell takes in a value, in the catalogue's form.
func (t *telling) tell(a *schemas.Attribute, raw json.RawMessage) {
	if v, found, err := record.Normalise(a, raw, 1); err == nil && found == record.Reported {
		t.values[a] = v
	}
}

// maxFailure bounds what is kept of why an action failed, in bytes.
const maxFailure = 4 << 10

// told takes in a text that somebody wrote: one that is a secret is withheld, a long one is cut.
func (t *telling) told(in plan.Parsing, a *schemas.Attribute, field, text string) {
	if record.Secretive(field, text) {
		in.Tally.Withheld++
		return
	}
	kept := record.Clip(text, maxFailure)
	if kept != text {
		in.Tally.Cut++
	}
	t.tell(a, schemas.JSON(kept))
}

// does says what was asked.
func (t *telling) does(field, action string) error {
	v, found, err := record.Normalise(t.kind.action, schemas.JSON(action), 1)
	if t.action, _ = record.AsText(v); err != nil || found != record.Reported {
		return &record.FieldError{Field: field, Reason: "is missing, so that nothing says what was asked"}
	}
	return nil
}

// called says what tells the device apart beside its id.
func (t *telling) called(name, imei string) {
	if !schemas.Junk(name) {
		t.name = strings.ToLower(strings.Join(strings.Fields(name), " "))
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, imei)
	if len(digits) >= minIMEI && !schemas.Junk(digits) && strings.Trim(digits, "*") != "" {
		t.imei = digits
	}
}

// minIMEI is how many digits an IMEI or MEID has at least.
const minIMEI = 14

// date checks the times and settles when the state was so: as told, else as the file is dated.
func (t *telling) date(in plan.Parsing, requested, updated record.NamedText) (err error) {
	if t.requested, err = record.FirstTime(requested); err != nil {
		return err
	}
	if t.requested.IsZero() {
		return &record.FieldError{Field: requested.Field, Reason: "is of a year that means unknown"}
	}
	var at time.Time
	if updated.Value != "" {
		if at, err = record.FirstTime(updated); err != nil {
			return err
		}
	}
	if err := entity.NotAhead(requested.Field, t.requested, in.Now); err != nil {
		return err
	}
	if err := entity.NotAhead(updated.Field, at, in.Now); err != nil {
		return err
	}
	if ended(t.state) {
		t.completed = at
	}
	if t.observed = at; at.IsZero() {
		t.observed = in.File.At
	}
	if t.observed.Before(t.requested) || t.state == stateRequested {
		t.observed = t.requested
	}
	return nil
}

// states reads how far the action has come, in the catalogue's words.
func (t *telling) states(raw json.RawMessage) {
	v, found, err := record.Normalise(t.kind.state, raw, 1)
	if t.state, _ = record.AsText(v); err != nil || found != record.Reported {
		t.state = stateRequested
	}
}

var auditFields = []string{"id", "deviceDisplayName", "userName", "initiatedByUserPrincipalName", "action",
	"requestDateTime", "deviceOwnerUserPrincipalName", "deviceIMEI", "actionState", "managedDeviceId",
	"deviceActionId", "bulkDeviceActionId", "deviceActionCategory"}

var auditNames = record.NamesOf(auditFields...)

// audit reads a Graph remoteActionAudit: one action on one device. It names the device by what it
// is called, and says nothing of when its state was so: its file dates it.
func (k *kind) audit(in plan.Parsing) (plan.Record, error) {
	m := in.Members
	t := k.of(source.Graph, formAudit)
	t.refused = in.Never
	in.Seen.Use("", m, auditNames)
	sh := record.Shapes{Seen: in.Seen}
	if sh.Single("", m, auditFields...); sh.Err != nil {
		return nil, sh.Err
	}
	id, ok := record.AsGUID(m.Text("id"))
	if !ok {
		return nil, &record.FieldError{Field: "id",
			Reason: "is missing or no id of the source's form, so that the record cannot be told from another"}
	}
	t.own = []string{string(schemas.LP(schemas.LP(nil, "intune/remoteActionAudit"), id))}
	if id, ok := record.AsGUID(m.Text("deviceActionId")); ok {
		t.own = append(t.own, string(schemas.LP(schemas.LP(nil, "intune/deviceAction"), id)))
	}
	if id, ok := record.AsGUID(m.Text("bulkDeviceActionId")); ok {
		t.group = groupOf{k.Stream(), "intune/bulkDeviceAction", id}
	}
	if err := t.does("action", m.Known("action")); err != nil {
		return nil, err
	}
	t.states(m.Get("actionState"))
	t.device, _ = record.AsGUID(m.Known("managedDeviceId"))
	t.called(m.Known("deviceDisplayName"), m.Known("deviceIMEI"))
	err := t.date(in, record.NamedText{Field: "requestDateTime", Value: m.Text("requestDateTime")},
		record.NamedText{Field: "requestDateTime"})
	if err != nil {
		return nil, err
	}
	t.by("", "", m.Known("initiatedByUserPrincipalName"), "")
	t.tell(k.actorName, m.Get("userName"))
	t.tell(k.deviceName, m.Get("deviceDisplayName"))
	t.tell(k.userUPN, m.Get("deviceOwnerUserPrincipalName"))
	t.user = vault.PersonHint{UPN: m.Known("deviceOwnerUserPrincipalName")}
	in.Tally.Undated = !in.File.Proven
	return t, nil
}

// What is read of an entry of deviceActionResults, of whichever type it is; secrets and where the
// device is are among what is known, and not kept.
var resultNames = record.NamesOf("actionName", "actionState", "startDateTime", "lastUpdatedDateTime", "errorCode",
	"passcode", "unlockPin", "unlockCode", "recoveryKey", "deviceLocation", "userPrincipalName", "scanType",
	"quickScan", "keepUserData", "bulkDeviceActionId", "deviceActionId", "failedCount", "succeededCount")

// result reads an entry of a Graph managedDevice's deviceActionResults: the last action of its
// name on that device.
func (k *kind) result(in plan.Parsing) ([]plan.Record, error) {
	m, d := in.Members, in.Around
	t := k.of(source.Graph, formResult)
	in.Seen.Use(formResult+".", m, resultNames)
	fail := func(err error) ([]plan.Record, error) { return nil, record.Within(formResult+".", err) }
	sh := record.Shapes{Seen: in.Seen}
	if sh.Single("", m, "actionName", "actionState", "startDateTime", "lastUpdatedDateTime"); sh.Err != nil {
		return fail(sh.Err)
	}
	var ok bool
	if t.device, ok = record.AsGUID(d.Text("id")); !ok {
		return nil, nil // the device's own form says so
	}
	none := record.IsEmpty(m.Get("actionState")) || strings.EqualFold(m.Text("actionState"), "none")
	if none && record.IsEmpty(m.Get("startDateTime")) {
		return nil, nil // nothing was asked, or nothing says when
	}
	if err := t.does("actionName", m.Known("actionName")); err != nil {
		return fail(err)
	}
	t.states(m.Get("actionState"))
	err := t.date(in, record.NamedText{Field: "startDateTime", Value: m.Text("startDateTime")},
		record.NamedText{Field: "lastUpdatedDateTime", Value: m.Text("lastUpdatedDateTime")})
	if err != nil {
		return fail(err)
	}
	at := record.WholeSeconds(t.requested)
	t.own = []string{string(schemas.LP(schemas.LP(schemas.LP(schemas.LP(nil, formResult), t.device), t.action), at))}
	if id, ok := record.AsGUID(m.Text("deviceActionId")); ok {
		t.own = append(t.own, string(schemas.LP(schemas.LP(nil, "intune/deviceAction"), id)))
	}
	// What the device is called and who uses it, its own form tells: here it finds the action.
	t.called(d.Known("deviceName"), d.Known("imei"))
	withheld := 0
	for name, raw := range m.All {
		text, single := record.AsText(raw)
		if !single {
			text = string(raw)
		}
		if !record.IsEmpty(raw) && record.Secretive(name, text) {
			withheld++
		}
	}
	if withheld > 0 {
		in.Tally.Withheld += withheld
		t.values[k.withheld] = schemas.JSON(withheld)
	}
	if code := m.Known("errorCode"); code != "" && code != "0" {
		t.tell(k.errorCode, schemas.JSON(code))
	}
	return []plan.Record{t}, nil
}
