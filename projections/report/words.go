package report

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// say returns the text in the language, "nl" or any other for English.
func say(lang, en, nl string) string { return schemas.Label{EN: en, NL: nl}.In(lang) }

// words are the values of closed vocabularies as people read them. Machine CSV and JSON keep the value itself.
// A wipe of a device is never "gegevenswissing", which is the erasure of Art. 17, nor is "voldoet" ever "compatibel".
var words = map[string]map[string]schemas.Label{
	"action.verb": {
		"create": {EN: "create", NL: "aanmaken"}, "delete": {EN: "delete", NL: "verwijderen"}, "update": {EN: "update", NL: "wijzigen"},
		"assign": {EN: "assign", NL: "toewijzen"}, "action": {EN: "action", NL: "actie"}, "get": {EN: "view", NL: "opvragen"},
		"search": {EN: "search", NL: "zoeken"}, "set-reference": {EN: "set link", NL: "koppeling leggen"},
		"remove-reference": {EN: "remove link", NL: "koppeling verwijderen"},
	},
	"action.category": {
		"other": {EN: "other", NL: "overig"}, "application": {EN: "apps", NL: "apps"}, "compliance": {EN: "compliance", NL: "naleving"},
		"conditionalAccess": {EN: "conditional access", NL: "voorwaardelijke toegang"}, "device": {EN: "device", NL: "apparaat"},
		"deviceConfiguration":      {EN: "device configuration", NL: "apparaatconfiguratie"},
		"deviceSetupConfiguration": {EN: "device set-up", NL: "apparaatinrichting"}, "enrollment": {EN: "enrolment", NL: "inschrijving"},
		"role": {EN: "roles", NL: "rollen"}, "softwareUpdates": {EN: "software updates", NL: "software-updates"},
		"eBookManagement": {EN: "e-books", NL: "e-books"}, "onPremAccess": {EN: "on-premises access", NL: "toegang op locatie"},
		"deviceIntent": {EN: "security baselines", NL: "beveiligingsbasislijnen"},
	},
	"action.result": {
		"success": {EN: "succeeded", NL: "geslaagd"}, "failure": {EN: "failed", NL: "mislukt"}, "timeout": {EN: "timed out", NL: "geen antwoord op tijd"},
		"client-error": {EN: "rejected", NL: "afgewezen"},
	},
	"action.actor-type": {
		"it-pro": {EN: "administrator", NL: "beheerder"}, "application": {EN: "application", NL: "toepassing"}, "partner": {EN: "partner", NL: "partner"},
		"system": {EN: "system", NL: "systeem"}, "guest": {EN: "guest", NL: "gast"},
	},
	"device.compliance-state": {
		"compliant": {EN: "compliant", NL: "voldoet"}, "noncompliant": {EN: "not compliant", NL: "voldoet niet"},
		"conflict": {EN: "conflicting policies", NL: "tegenstrijdig beleid"}, "error": {EN: "could not be checked", NL: "kon niet worden gecontroleerd"},
		"inGracePeriod": {EN: "in grace period", NL: "in respijtperiode"},
		"configManager": {EN: "checked by Configuration Manager", NL: "gecontroleerd door Configuration Manager"},
	},
	"device.ownership": {
		"company": {EN: "owned by the organisation", NL: "van de organisatie"}, "personal": {EN: "personal", NL: "privé"},
	},
	"device.management-state": {
		"managed": {EN: "managed", NL: "beheerd"}, "retirePending": {EN: "retire asked", NL: "buiten gebruik stellen gevraagd"},
		"retireFailed": {EN: "retire failed", NL: "buiten gebruik stellen mislukt"}, "retireIssued": {EN: "retire sent", NL: "buiten gebruik stellen verstuurd"},
		"retireCanceled": {EN: "retire cancelled", NL: "buiten gebruik stellen geannuleerd"},
		"wipePending":    {EN: "wipe asked", NL: "op afstand wissen gevraagd"}, "wipeFailed": {EN: "wipe failed", NL: "op afstand wissen mislukt"},
		"wipeIssued": {EN: "wipe sent", NL: "op afstand wissen verstuurd"}, "wipeCanceled": {EN: "wipe cancelled", NL: "op afstand wissen geannuleerd"},
		"unhealthy": {EN: "unhealthy", NL: "niet in orde"}, "deletePending": {EN: "removal from management asked", NL: "verwijderen uit beheer gevraagd"},
		"discovered": {EN: "discovered", NL: "gevonden"},
	},
	"device.registration-state": {
		"notRegistered": {EN: "not registered", NL: "niet geregistreerd"}, "registered": {EN: "registered", NL: "geregistreerd"},
		"revoked": {EN: "revoked", NL: "ingetrokken"}, "keyConflict": {EN: "key conflict", NL: "sleutelconflict"},
		"approvalPending": {EN: "approval pending", NL: "wacht op goedkeuring"}, "certificateReset": {EN: "certificate reset", NL: "certificaat vernieuwd"},
		"notRegisteredPendingEnrollment": {EN: "not registered, enrolment pending", NL: "niet geregistreerd, inschrijving loopt"},
	},
	"device.enrolment-type": {
		"userEnrollment": {EN: "by the user", NL: "door de gebruiker"}, "deviceEnrollmentManager": {EN: "by an enrolment manager", NL: "door een inschrijvingsbeheerder"},
		"appleBulkWithUser": {EN: "Apple, in bulk, with a user", NL: "Apple, in bulk, met gebruiker"}, "appleBulkWithoutUser": {EN: "Apple, in bulk, without a user", NL: "Apple, in bulk, zonder gebruiker"},
		"windowsAzureADJoin": {EN: "Windows, joined to Entra ID", NL: "Windows, gekoppeld aan Entra ID"}, "windowsAutoEnrollment": {EN: "Windows, automatically", NL: "Windows, automatisch"},
		"windowsBulkUserless": {EN: "Windows, in bulk, without a user", NL: "Windows, in bulk, zonder gebruiker"}, "windowsCoManagement": {EN: "Windows, managed by two systems", NL: "Windows, beheerd door twee systemen"},
	},
	"device.management-agent": {
		"mdm": {EN: "mobile device management (MDM)", NL: "beheer van mobiele apparaten (MDM)"}, "eas": {EN: "Exchange ActiveSync", NL: "Exchange ActiveSync"},
		"easMdm": {EN: "MDM and Exchange ActiveSync", NL: "MDM en Exchange ActiveSync"}, "intuneClient": {EN: "Intune client", NL: "Intune-client"},
		"configurationManagerClient": {EN: "Configuration Manager", NL: "Configuration Manager"}, "configurationManagerClientMdm": {EN: "Configuration Manager and MDM", NL: "Configuration Manager en MDM"},
	},
	"device.lost-mode": {"disabled": {EN: "off", NL: "uit"}, "enabled": {EN: "on", NL: "aan"}},
	"device.join-type": {
		"azureADJoined": {EN: "joined to Entra ID", NL: "gekoppeld aan Entra ID"}, "azureADRegistered": {EN: "registered in Entra ID", NL: "geregistreerd in Entra ID"},
		"hybridAzureADJoined": {EN: "joined to Entra ID and a local domain", NL: "gekoppeld aan Entra ID en een lokaal domein"},
	},
	"device.chassis": {
		"desktop": {EN: "desktop", NL: "desktop"}, "laptop": {EN: "laptop", NL: "laptop"}, "worksWorkstation": {EN: "workstation", NL: "werkstation"},
		"enterpriseServer": {EN: "server", NL: "server"}, "phone": {EN: "phone", NL: "telefoon"}, "tablet": {EN: "tablet", NL: "tablet"},
		"mobileOther": {EN: "other mobile device", NL: "ander mobiel apparaat"}, "mobileUnknown": {EN: "mobile device", NL: "mobiel apparaat"},
	},
	"device.threat-state": {
		"activated": {EN: "protection on", NL: "bescherming aan"}, "deactivated": {EN: "protection off", NL: "bescherming uit"}, "secured": {EN: "secure", NL: "veilig"},
		"lowSeverity": {EN: "low threat", NL: "lage dreiging"}, "mediumSeverity": {EN: "medium threat", NL: "gemiddelde dreiging"},
		"highSeverity": {EN: "high threat", NL: "hoge dreiging"}, "unresponsive": {EN: "no answer", NL: "geen antwoord"},
		"compromised": {EN: "compromised", NL: "aangetast"}, "misconfigured": {EN: "wrongly configured", NL: "verkeerd ingesteld"},
	},
	"policy.personal-apps": {"refused": {EN: "refused", NL: "geweigerd"}, "managed-only": {EN: "managed apps only", NL: "alleen beheerde apps"}, "kept": {EN: "kept", NL: "bewaard"}},
	"policy.location":      {"refused": {EN: "refused", NL: "geweigerd"}, "lost-devices": {EN: "lost devices only", NL: "alleen verloren apparaten"}},
	"policy.diagnostics":   {"refused": {EN: "refused", NL: "geweigerd"}, "kept": {EN: "kept", NL: "bewaard"}},
	"request.right": {
		"access": {EN: "access", NL: "inzage"}, "erasure": {EN: "erasure", NL: "gegevenswissing"}, "rectification": {EN: "rectification", NL: "rectificatie"},
		"restriction": {EN: "restriction", NL: "beperking"}, "portability": {EN: "portability", NL: "overdraagbaarheid"}, "objection": {EN: "objection", NL: "bezwaar"},
	},
	"request.identity-method": {
		"sign-in": {EN: "by signing in", NL: "door in te loggen"}, "call-back": {EN: "by calling back", NL: "door terug te bellen"},
		"in-person": {EN: "in person", NL: "aan de balie"}, "other": {EN: "in another way", NL: "op een andere manier"},
	},
	"refusal.rule": {
		"apps-on-personal-device": {EN: "apps of a personal device", NL: "apps van een privéapparaat"}, "location": {EN: "location of a device", NL: "locatie van een apparaat"},
		"never-collected": {EN: "content that is never collected", NL: "inhoud die nooit wordt verzameld"},
		"sealed-prefix":   {EN: "value in the form of a sealed value", NL: "waarde in de vorm van een verzegelde waarde"},
		"erased-subject":  {EN: "record from before an erasure", NL: "gegevens van vóór een gegevenswissing"}, "retention-expired": {EN: "record older than its retention period", NL: "gegevens ouder dan de bewaartermijn"},
	},
	"refusal.category": {
		"apps": {EN: "apps", NL: "apps"}, "location": {EN: "location", NL: "locatie"}, "content": {EN: "personal content", NL: "persoonlijke inhoud"},
		"record": {EN: "whole record", NL: "heel gegeven"}, "device": {EN: "device", NL: "apparaat"},
	},
	"source": {
		"graph": {EN: "Microsoft Intune (Graph)", NL: "Microsoft Intune (Graph)"}, "azure-monitor": {EN: "Microsoft Intune (Azure Monitor)", NL: "Microsoft Intune (Azure Monitor)"},
		"custody": {EN: "this ledger", NL: "dit grootboek"}, "ledger": {EN: "this ledger", NL: "dit grootboek"},
	},
}

// tasks are the remote tasks among operations, by their first word, lower-cased.
var tasks = map[string]schemas.Label{
	"wipe": {EN: "wipe", NL: "op afstand wissen"}, "retire": {EN: "retire", NL: "buiten gebruik stellen"}, "syncdevice": {EN: "synchronise", NL: "synchroniseren"},
	"rebootnow": {EN: "restart", NL: "herstarten"}, "remotelock": {EN: "lock remotely", NL: "op afstand vergrendelen"},
	"resetpasscode": {EN: "reset the passcode", NL: "toegangscode opnieuw instellen"}, "locatedevice": {EN: "locate", NL: "lokaliseren"},
	"shutdown": {EN: "shut down", NL: "uitschakelen"}, "setdevicename": {EN: "rename", NL: "naam wijzigen"}, "cleanwindowsdevice": {EN: "fresh start", NL: "schone start"},
}

// verbs begin other operations, alone or joined with the resource: "Create MobileApp", "createMobileApp MobileApp".
var verbs = []struct {
	prefix string
	word   schemas.Label
}{
	{"create", schemas.Label{EN: "create", NL: "aanmaken"}}, {"delete", schemas.Label{EN: "delete", NL: "verwijderen"}},
	{"patch", schemas.Label{EN: "update", NL: "wijzigen"}}, {"update", schemas.Label{EN: "update", NL: "wijzigen"}},
	{"assign", schemas.Label{EN: "assign", NL: "toewijzen"}}, {"get", schemas.Label{EN: "view", NL: "opvragen"}},
}

// resources are what an operation is done on, where that has a word.
var resources = map[string]schemas.Label{
	"ManagedDevice": {EN: "device", NL: "apparaat"}, "DeviceConfiguration": {EN: "device configuration", NL: "apparaatconfiguratie"},
	"DeviceCompliancePolicy": {EN: "compliance policy", NL: "nalevingsbeleid"}, "DeviceComplianceScript": {EN: "compliance script", NL: "nalevingsscript"},
	"DeviceManagementScript": {EN: "script", NL: "script"}, "DeviceHealthScript": {EN: "remediation script", NL: "herstelscript"},
	"DeviceCategory": {EN: "device category", NL: "apparaatcategorie"}, "MobileApp": {EN: "app", NL: "app"},
	"MobileAppAssignment": {EN: "assignment of an app", NL: "toewijzing van een app"}, "RoleAssignment": {EN: "assignment of a role", NL: "toewijzing van een rol"},
	"RoleDefinition": {EN: "role", NL: "rol"},
}

// operation writes an operation of the source, "<what> <resource>", in words; one that has none is returned as it is.
func operation(lang, value string) string {
	what, resource, _ := strings.Cut(value, " ")
	what = strings.ToLower(what)
	r, known := resources[resource]
	if l, ok := tasks[what]; ok {
		if resource == "" || resource == "ManagedDevice" {
			return l.In(lang)
		}
		return value
	}
	if !known {
		return value
	}
	for _, v := range verbs {
		if rest, ok := strings.CutPrefix(what, v.prefix); ok && (rest == "" || rest == strings.ToLower(resource)) {
			return v.word.In(lang) + ": " + r.In(lang)
		}
	}
	return value
}

// Word returns a value of a closed vocabulary as people read it; a value that has no word is returned as it is.
func Word(lang, attr, value string) string {
	if l, ok := words[attr][value]; ok {
		return l.In(lang)
	}
	switch attr {
	case nameOfAttribute:
		return attributeName(lang, value)
	case nameOfType:
		return typeName(lang, value)
	}
	if attr == "action.operation" || attr == "action.activity-type" || attr == "action.display-name" {
		return operation(lang, value)
	}
	if attr == "action.target-type" {
		if l, ok := resources[value]; ok {
			return l.In(lang)
		}
	}
	return value
}

// Bullets stand for a value that is masked.
const Bullets = "●●●"

// Word returns how a state is written where the value would be.
func (s State) Word(lang string) string {
	switch s {
	case Erased:
		return say(lang, "erased", "gewist")
	case Expired:
		return say(lang, "expired", "verlopen")
	case Withheld:
		return say(lang, "withheld", "achtergehouden")
	case Lost:
		return say(lang, "lost", "verloren")
	case NotGenuine:
		return say(lang, "not genuine", "niet echt")
	}
	return Bullets
}

// LocalTime writes an instant in a zone, with its offset: the double hour at the end of summer time stays two hours.
func LocalTime(t time.Time, loc *time.Location) string {
	return t.In(loc).Format("2006-01-02 15:04:05 -07:00")
}

// People writes the value for people: words of the language, local times, sizes with a unit.
func (v Value) People(lang string, loc *time.Location) string {
	if v.State != Shown {
		return v.State.Word(lang)
	}
	if !v.Time.IsZero() {
		return LocalTime(v.Time, loc)
	}
	if v.Attr == "action.changes" {
		return changesText(v.JSON, lang)
	}
	a := schemas.Default().Attribute(v.Attr)
	var s string
	if json.Unmarshal(v.JSON, &s) == nil {
		if a != nil && a.Type == "time" {
			if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
				return LocalTime(t, loc)
			}
		}
		return Word(lang, v.Attr, s)
	}
	switch {
	case string(v.JSON) == "true":
		return say(lang, "yes", "ja")
	case string(v.JSON) == "false":
		return say(lang, "no", "nee")
	case a != nil && a.Type == "bytes":
		if n, err := strconv.ParseFloat(string(v.JSON), 64); err == nil {
			return size(n, lang)
		}
	case a != nil && a.Type == "object":
		return objectText(v.JSON)
	}
	return string(v.JSON)
}

// size writes a number of bytes with a decimal unit, as device makers do.
func size(n float64, lang string) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for n >= 1000 && i < len(units)-1 {
		n /= 1000
		i++
	}
	s := strconv.FormatFloat(n, 'f', 1, 64)
	if i == 0 {
		s = strconv.FormatFloat(n, 'f', 0, 64)
	}
	if lang == "nl" {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s + " " + units[i]
}

// objectText writes an object by the members that people know it by, else as JSON.
func objectText(raw json.RawMessage) string {
	var o struct{ Name, DisplayName, Version string }
	if json.Unmarshal(raw, &o) == nil && o.Name+o.DisplayName != "" {
		return strings.TrimSpace(o.Name + o.DisplayName + " " + o.Version)
	}
	return string(raw)
}

// ChangedProperty is one entry of action.changes.
type ChangedProperty struct {
	Name     string          `json:"name"`
	Old      json.RawMessage `json:"old"`
	New      json.RawMessage `json:"new"`
	Withheld bool            `json:"withheld"` // present at the source and not kept: a secret or a script
	Cut      bool            `json:"cut"`      // it or its name was too long to be kept whole
	More     int             `json:"more"`     // of the last entry: how many further properties had no room
}

// People writes what changed: the value before and after, or that it was not kept.
func (c ChangedProperty) People(lang string) string {
	switch {
	case c.Withheld:
		return say(lang, "(not kept)", "(niet bewaard)")
	case c.More > 0:
		return fmt.Sprintf(say(lang, "(and %d more, too many to be kept)", "(en nog %d, te veel om te bewaren)"), c.More)
	case c.Cut && len(c.Old)+len(c.New) == 0:
		return say(lang, "(too long to be kept)", "(te lang om te bewaren)")
	}
	return Plain(c.Old, lang) + " → " + Plain(c.New, lang)
}

// Line writes a changed property with its name.
func (c ChangedProperty) Line(lang string) string {
	if c.Name == "" {
		return c.People(lang)
	}
	return c.Name + ": " + c.People(lang)
}

// Changes reads the value of action.changes; nil where it is not of that form.
func Changes(raw json.RawMessage) []ChangedProperty {
	var cs []ChangedProperty
	if json.Unmarshal(raw, &cs) != nil {
		return nil
	}
	return cs
}

// Plain writes any JSON for people: a string without quotes, nothing for null.
func Plain(raw json.RawMessage, lang string) string {
	var s string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return say(lang, "(none)", "(geen)")
	case json.Unmarshal(raw, &s) == nil:
		if s == "" {
			return say(lang, "(empty)", "(leeg)")
		}
		return s
	}
	return string(raw)
}

func changesText(raw json.RawMessage, lang string) string {
	cs := Changes(raw)
	if cs == nil {
		return string(raw)
	}
	parts := make([]string, len(cs))
	for i, c := range cs {
		parts[i] = c.Line(lang)
	}
	return strings.Join(parts, "; ")
}

// exact writes the value for machines: a string as it is, anything else as its JSON, an instant in UTC.
func (v Value) exact() string {
	var s string
	switch {
	case v.State != Shown:
		return v.State.code()
	case !v.Time.IsZero():
		return schemas.Time(v.Time)
	case json.Unmarshal(v.JSON, &s) == nil:
		return s
	}
	return string(v.JSON)
}

// code is a state as machines read it, in every language.
func (s State) code() string {
	return [...]string{"", "(masked)", "(erased)", "(expired)", "(withheld)", "(lost)", "(not-genuine)"}[s]
}
