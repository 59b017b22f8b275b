package refusal

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Typed is what the command line itself finds wrong with what was typed for an act: the key of a
// sentence of words, below "refusal.", and what stands in its places.
type Typed struct {
	Key  string
	Args words.Args
}

// Error says it in the command line's own language.
func (t *Typed) Error() string { return acts{words.Default().Base()}.say(t.Key, t.Args) }

// acts says what an act is refused for, in a language.
type acts struct{ in *words.Language }

func (a acts) say(key string, args words.Args) string { return a.in.Text("refusal."+key, args) }

// flag is what a field is called on the command line.
func (a acts) flag(field string) string {
	switch field {
	case define.FieldAsOf:
		return "--as-of"
	case define.FieldAsOfSeq:
		return "--as-of-seq"
	case custody.FieldMethod:
		return "--identity-method"
	case custody.FieldBy:
		return "operator"
	case custody.FieldRequest:
		return "REQUEST"
	case custody.FieldMerge:
		return "MERGE"
	case dsar.FieldDevices:
		return a.say("device-of-person", nil)
	}
	return "--" + field
}

// listed names things that are typed as they stand.
func listed(known []string) string { return strings.Join(known, ", ") }

// vocabularies are the attributes whose values fields take.
var vocabularies = sync.OnceValue(func() map[string]string {
	out := map[string]string{define.FieldPurpose: "access.purpose-code", custody.FieldRight: "request.right",
		custody.FieldMethod: "request.identity-method", custody.FieldGround: "request.ground"}
	for _, d := range report.Definitions() {
		for _, f := range d.Filters {
			if f.Attr != "" {
				out[f.ID] = f.Attr
			}
		}
	}
	return out
})

// known lists what a field takes, as it is typed; in a language that is not the command line's,
// with what each means.
func (a acts) known(field string, known []string) string {
	attr := vocabularies()[field]
	if attr == "" || a.in == words.Default().Base() {
		return listed(known)
	}
	out := make([]string, len(known))
	for i, value := range known {
		out[i] = value
		if word := content.Word(a.in, attr, value); word != value {
			out[i] += " (" + word + ")"
		}
	}
	return listed(out)
}

// quoted are names, each in quotation marks.
func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return listed(out)
}

// reportKeys are the sentences of those codes that have one, whatever the field.
var reportKeys = map[define.Code]string{define.Empty: "empty", define.Unknown: "unknown", define.Unfit: "unfit",
	define.Backward: "backward", define.Masked: "purpose-masked", define.NoTime: "no-time", define.Skipped: "skipped",
	define.Twice: "twice", define.Nobody: "nobody", define.NoDevice: "no-device", define.NoName: "no-attribute",
	define.NotHere: "not-here", define.Several: "several-devices"}

// report is what is wrong with a report that was asked for.
func (a acts) report(p *report.Problem) string {
	args := words.Args{"flag": a.flag(p.Field), "other": a.flag(p.Other), "given": p.Given, "zone": p.Zone,
		"known": a.known(p.Field, p.Known), "most": a.in.Count(p.Most)}
	quotes := slices.Contains([]define.Code{define.Unknown, define.NoValue, define.Unfit, define.NoName}, p.Code)
	switch { // a filter may name a person, and standard error is kept by many
	case quotes && p.Filter:
		args["given"] = ""
	case quotes:
		args["given"] = " " + strconv.Quote(p.Given)
	case p.Filter:
		args["given"] = "…"
	}
	switch p.Code {
	case define.Missing:
		switch {
		case p.Field == define.FieldPurpose:
			return a.say("purpose-missing", args)
		case p.Field == define.FieldWords:
			return a.say("purpose-words", nil)
		case p.Field == define.FieldBy:
			return a.say("operator-missing", nil)
		case p.Filters != nil:
			args["help"] = p.Filters.Help(a.in)
			return a.say("missing-filter", args)
		}
		return a.say("missing", args)
	case define.NoValue:
		if len(p.Known) == 0 {
			return a.say("no-value", args)
		}
		return a.say("no-value-so", args)
	case define.NotHere:
		flags := make([]string, len(p.Known))
		for i, n := range p.Known {
			flags[i] = a.flag(n)
		}
		args["known"] = listed(flags)
	case define.Twice:
		if len(p.Known) == 2 {
			args["first"], args["second"] = p.Known[0], p.Known[1]
		}
	case define.TooMany:
		if p.Most > 0 {
			return a.say("too-many", args)
		}
		return a.say("one-value", args)
	case define.Negative:
		switch p.Field {
		case define.FieldAsOfSeq:
			return a.say("no-sequence", args)
		case define.FieldSample:
			return a.say("draws-nothing", args)
		}
		return a.say("negative", args)
	case define.Alone:
		if p.Field == define.FieldSample {
			return a.say("alone-sample", args)
		}
		return a.say("alone", args)
	case define.Ahead:
		switch {
		case p.Field == dsar.FieldSequence:
			return a.say("package-ahead", args)
		case p.Through == nil:
			return a.say("views-empty", args)
		}
		args["most"] = *p.Through
		return a.say("ahead", args)
	}
	if key := reportKeys[p.Code]; key != "" {
		return a.say(key, args)
	}
	return a.code(p.Field, string(p.Code))
}

// code says a code that has no sentence.
func (a acts) code(field, code string) string {
	return a.say("code", words.Args{"flag": a.flag(field), "code": code})
}

// custodyKeys are the sentences of those codes that have one, whatever the field, and whose fault
// each is.
var custodyKeys = map[error]struct {
	key   string
	whose Verdict
}{
	custody.ErrTooMany: {"events-too-many", Wrong}, custody.ErrNoRequest: {"no-request", Wrong},
	custody.ErrNoSuchPerson: {"no-person", Refused}, custody.ErrSeveralPersons: {"several-persons", Wrong},
	custody.ErrOwnRequest: {"own-request", Refused}, custody.ErrUnderWay: {"under-way", Refused},
	vault.ErrErased: {"erased", Refused}, vault.ErrHeld: {"held", Refused},
	vault.ErrExists: {"tenant-exists", Refused}, custody.ErrOwnEvent: {"own-event", Refused},
	custody.ErrNoEvent: {"no-event", Refused}, custody.ErrNotTenants: {"not-tenants", Refused},
	custody.ErrOneSubject: {"one-subject", Refused}, custody.ErrOwnSubject: {"own-subject", Refused},
	custody.ErrNoMerge: {"no-merge", Wrong}, vault.ErrTooMany: {"subject-large", Refused},
}

// custody is what is wrong with an act, and whether the command line was wrong.
func (a acts) custody(p *custody.Problem) (text string, whose Verdict) {
	args := words.Args{"flag": a.flag(p.Field), "given": p.Given, "known": a.known(p.Field, p.Known),
		"most": a.in.Count(p.Most)}
	if p.Seq != nil {
		args["sequence"] = *p.Seq
	}
	switch p.Code {
	case custody.ErrMissing:
		key := "required"
		switch p.Field {
		case custody.FieldWith:
			key = "with-missing"
		case custody.FieldPurpose:
			key = "purpose-missing"
		case custody.FieldWords:
			key = "purpose-words"
		case custody.FieldEvent:
			key = "events-missing"
		case custody.FieldLoss:
			key = "nothing-lost"
		}
		return a.say(key, args), Wrong
	case custody.ErrUnknown:
		if p.Field == custody.FieldPerson || p.Field == custody.FieldPersons {
			return a.say("none-of-them", args), Wrong
		}
		args["given"] = " " + strconv.Quote(p.Given)
		return a.say("unknown", args), Wrong
	case custody.ErrUnfit:
		if p.Field == custody.FieldRight {
			args["known"] = strings.Join(p.Known, "|")
			if right, ok := a.in.Find("enum.request.right." + p.Given); ok {
				args["given"] = right
			}
			return a.say("other-right", args), Refused
		}
		return a.say("acts-unnamed", nil), Refused
	case custody.ErrTooMany:
		switch p.Field {
		case custody.FieldWords:
			return a.say("purpose-long", args), Wrong
		case custody.FieldReason:
			return a.say("reason-long", args), Wrong
		}
	case custody.ErrSeveralPersons:
		if p.Field == custody.FieldPersons {
			return a.say("several-subjects", args), Wrong
		}
	case custody.ErrUnderWay:
		args["clock"] = p.Until.In(a.in.Location()).Format("15:04:05 -07:00")
	}
	if s, ok := custodyKeys[p.Code]; ok {
		return a.say(s.key, args), s.whose
	}
	return a.code(p.Field, p.Code.Error()), Refused
}

func (a acts) denied(d *access.Denied) string {
	switch d.Code {
	case access.NotSignedIn:
		return a.say("not-signed-in", nil)
	case access.NoRole:
		if len(d.Roles) == 1 {
			return a.say("no-role", words.Args{"role": d.Roles[0]})
		}
		return a.say("no-roles", words.Args{"roles": Roles(a.in, d.Roles)})
	case access.NotTheirs:
		return a.say("not-theirs", nil)
	case access.NotAll:
		return a.say("not-all", nil)
	}
	return d.Error()
}

// officeKeys are the sentences of those fields that have one, by what is wrong with them; "" is
// for all that is not named.
var officeKeys = map[string]map[error]string{
	office.FieldZone: {nil: "zone"}, office.FieldSources: {office.ErrUnfit: "sources-unfit", nil: "sources"},
	office.FieldName: {nil: "name"}, office.FieldTenants: {nil: "all-tenants"},
	office.FieldPerson: {nil: "person"}, office.FieldRequest: {nil: "request"}, office.FieldMerge: {nil: "merge"},
	office.FieldEvent: {nil: "event"},
	office.FieldPath:  {office.ErrMissing: "path-missing", office.ErrUnknown: "path-unknown", nil: "path"},
	office.FieldPace:  {nil: "pace"}, office.FieldPolicy: {nil: "policy.nothing"},
	office.FieldWait: {nil: "wait"},
	office.FieldObserved: {office.ErrFuture: "observed-future", office.ErrUnknown: "observed-unknown",
		nil: "observed"},
	office.FieldReceived: {office.ErrUnfit: "received", nil: "received-future"},
	office.FieldTenant:   {office.ErrNone: "no-tenant", office.ErrMissing: "tenant-missing", nil: "tenant"},
}

// office is what is wrong with what was asked of a use case.
func (a acts) office(p *office.Problem) string {
	of := officeKeys[p.Field]
	key, ok := of[p.Code]
	if !ok {
		key = of[nil]
	}
	if key == "" {
		return a.code(p.Field, p.Code.Error())
	}
	args := words.Args{"given": p.Given, "known": quoted(p.Known), "any": office.AnySource, "all": office.AllTenants}
	if p.Field == office.FieldReceived && len(p.Known) == 2 {
		args["today"], args["zone"] = p.Known[0], p.Known[1]
	}
	return a.say(key, args)
}

// policyKeys are the sentences of what a policy may not say.
var policyKeys = map[error]string{
	policy.ErrChoice: "policy.choice", policy.ErrItem: "policy.item", policy.ErrNever: "policy.never",
	policy.ErrNeeded: "policy.needed", policy.ErrClass: "policy.class", policy.ErrPeriod: "policy.period",
	policy.ErrNoGround: "policy.no-ground", policy.ErrGround: "policy.ground",
}

// policy is what is wrong with a field of a tenant's policy.
func (a acts) policy(e *policy.Error) string {
	return a.say(policyKeys[e.Reason], words.Args{"flag": a.flag(e.Field), "given": e.Given})
}

// Roles names roles in a sentence of that language: they are typed as they stand.
func Roles(in *words.Language, roles []access.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return in.List(names)
}
