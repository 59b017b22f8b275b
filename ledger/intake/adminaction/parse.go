package adminaction

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/audit"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

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
	reason      string          // of its result
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

func kindOfTarget(kind string) targetKind {
	switch strings.ToLower(audit.LastName(kind)) {
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

// parse reads an audit record of either form.
func (k *kind) parse(in plan.Parsing) (plan.Record, error) {
	sh := record.Shapes{Seen: in.Seen}
	e := audit.Read(in.Record, &sh)
	if e == nil {
		return nil, sh.Err
	}
	f := &fact{kind: k, refused: in.Never, source: e.Origin, form: e.Form, correlation: e.Correlation}
	var err error
	if f.id, err = factID(e.ID); err != nil {
		return nil, err
	}
	if f.occurred, err = record.FirstTime(e.At...); err != nil {
		return nil, err
	}
	name := e.Name()
	f.open = mapped(e.Action, actionOf[e.Form])
	f.open["action.verb"] = verbOf(e.Verb, name)
	f.open["action.operation"] = e.Operation
	f.open["action.result"] = e.Result
	if e.Form == audit.FormEvent && !strings.EqualFold(e.Action.Known("displayName"), name) {
		f.open["action.display-name"] = e.Action.Get("displayName")
	}
	f.actor = actor{objectID: e.Actor.ID, upn: e.Actor.UPN, person: e.Actor.Person,
		values: mapped(e.Actor.Members, actorOf[e.Form])}
	f.actor.values["action.actor-type"] = e.Actor.Kind
	f.actor.values["action.actor-upn"] = e.Actor.UserName
	f.actor.values["action.actor-permissions"] = f.permissions(e.Actor.Permissions)
	f.details, f.reason = f.text("", e.Details), f.text(e.Why.Field, e.Why.Value)
	for i := range e.Targets {
		told := &e.Targets[i]
		t := target{kind: told.Kind, id: told.ID, name: told.Name, about: audit.LastName(name)}
		f.change(&t, told.Changes(&sh))
		f.targets = append(f.targets, t)
	}
	in.Tally.Withheld = f.withheld + e.Withheld
	return f, sh.Err
}

// parseAuditList refuses a row of the portal's list of actions. It has no id, and what it has (a
// second, what was done, a name) two actions may share: taken, it would be a second action beside
// the one that Graph or Azure Monitor tells, or hide one.
func parseAuditList(plan.Parsing) (plan.Record, error) {
	return nil, &record.FieldError{Field: "Id", Reason: "is not in the portal's list of audit logs, so that the " +
		"action cannot be told from another: export auditEvents through Graph, or send AuditLogs to Azure Monitor"}
}

// maxFactText bounds what one text of an action keeps, so that the action fits an event whatever
// it says.
const maxFactText = 4 << 10

// text returns what is kept of a text that somebody wrote, "" of a secret.
func (f *fact) text(field, s string) string {
	if record.Secretive(field, s) {
		f.withheld++
		return ""
	}
	kept := record.Clip(s, maxChangeText)
	if kept != s {
		f.cut++
	}
	return kept
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

func (f *fact) change(t *target, all []audit.Change) {
	changes := make([]change, 0, len(all))
	for _, c := range all {
		changes = append(changes, change{name: c.Name, old: c.Old, new: c.New})
		for _, v := range []*string{c.Old, c.New} {
			if v == nil {
				continue
			}
			if id, ok := record.AsGUID(*v); ok && concerning.MatchString(c.Name) {
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

func factID(told record.NamedText) (string, error) {
	id, ok := record.AsGUID(told.Value)
	if !ok {
		return "", &record.FieldError{Field: told.Field,
			Reason: "is missing or no id of the source's form, so that the record cannot be told from another"}
	}
	return id, nil
}
