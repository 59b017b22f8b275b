package remoteaction

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/audit"
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

// isRemoteTask reports whether an audit event is of something that was asked of devices.
func isRemoteTask(m record.Record) bool {
	verb, operation := audit.Task(m)
	return asks(verb) && operationOn(operation) != ""
}

// of returns a telling without what is told of its device.
func (k *kind) of(source, form string) *telling {
	return &telling{kind: k, source: source, form: form, values: map[*schemas.Attribute]json.RawMessage{}}
}

// task reads an audit record of a remote task: an action for each device that it names.
func (k *kind) task(in plan.Parsing) (out []plan.Record, err error) {
	sh := record.Shapes{Seen: &record.Seen{}} // its own form tells what is not known
	e := audit.Read(in.Record, &sh)
	if e == nil {
		return nil, sh.Err
	}
	id, ok := record.AsGUID(e.ID.Value)
	if !ok {
		return nil, nil // its own form says what is wrong with it
	}
	t := k.of(e.Origin, e.Form)
	if t.requested, err = record.FirstTime(e.At...); err != nil || t.requested.IsZero() {
		return nil, err
	}
	t.by(e.Actor)
	for _, name := range []string{"servicePrincipalName", "Name"} {
		if text := e.Actor.Known(name); text != "" {
			t.tell(k.actorName, schemas.JSON(text))
		}
	}
	if err := t.does("operation", operationOn(e.Name())); err != nil {
		return nil, err
	}
	t.state, t.observed = stateRequested, t.requested
	if k.refused(e.Result) {
		t.state, t.completed = stateFailed, t.requested
		if e.Why.Value != "" {
			t.told(in, k.failure, e.Why.Field, e.Why.Value)
		}
	}
	t.group = groupOf{streamOfAudit, audit.Namespace, id}
	return t.each(id, e.Targets)
}

// refused reports whether an audit event's result says that the request was not taken, however it
// is spelled: the catalogue knows the words.
func (k *kind) refused(result json.RawMessage) bool {
	said, _, err := record.Normalise(k.outcome, result, 1)
	if err != nil || said == nil {
		return false
	}
	text, _ := record.AsText(said)
	return slices.Contains([]string{"failure", "timeout", "client-error"}, text)
}

// each returns what an audit event of that id tells of each device among its targets, once.
func (t *telling) each(id string, targets []audit.Target) (out []plan.Record, err error) {
	k := t.kind
	if len(targets) > plan.MaxParts {
		return nil, &record.FieldError{Field: "resources",
			Reason: fmt.Sprintf("has more than %d entries", plan.MaxParts)}
	}
	seen := map[string]bool{}
	for _, d := range targets {
		if d.Kind != "" && !strings.EqualFold(d.Kind, onDevice) {
			continue
		}
		one := *t
		one.device, _ = record.AsGUID(d.ID)
		one.called(d.Name, "")
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
		one.own = []string{string(schemas.LP(schemas.LP(schemas.LP(nil, audit.Namespace), id), of))}
		one.values = make(map[*schemas.Attribute]json.RawMessage, len(t.values)+1)
		for a, v := range t.values {
			one.values[a] = v
		}
		if d.Name != "" {
			one.tell(k.deviceName, schemas.JSON(d.Name))
		}
		out = append(out, &one)
	}
	return out, nil
}

// by says who acted. An application is no person.
func (t *telling) by(a audit.Actor) {
	if t.person = a.Person; t.person {
		t.actor = vault.PersonHint{ObjectID: a.ID, UPN: a.UPN}
	}
	if a.ID != "" {
		t.tell(t.kind.actorID, schemas.JSON(a.ID))
	}
	if a.UPN != "" {
		t.tell(t.kind.actorUPN, schemas.JSON(a.UPN))
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
	t.by(audit.NewActor("", "", m.Known("initiatedByUserPrincipalName"), ""))
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
