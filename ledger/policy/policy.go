// Package policy owns what a tenant chose to hold: its collection policy, version by version.
//
// A policy is a value. It keeps nothing, knows neither vault nor ledger, and is judged by the
// catalogue alone: what is never collected, and what tells things apart, no policy can let in or
// keep out.
package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// What a policy may say of data that is kept out by default.
const (
	Refused = "refused"
	Kept    = "kept"
)

// Policy is one version of a tenant's collection policy.
type Policy struct {
	Number       uint64 `json:"number"` // from 1; every event names that under which it was judged
	PersonalApps string `json:"personalApps"`
	Diagnostics  string `json:"diagnostics"`
	// Items are those that the tenant refuses beside what is never collected, by their number in
	// the catalogue, in its order.
	Items []string `json:"refusedItems,omitempty"`
	// Retention holds the classes that are kept for another time than the catalogue says.
	Retention map[string]Retention `json:"retention,omitempty"`
}

// Retention says how long a class is kept, and on which ground: words of the tenant's own.
type Retention struct {
	Keep   string `json:"keep"` // as catalogue.ParsePeriod reads it
	Ground string `json:"ground"`
}

// Default is the policy that a tenant begins with: what is optional stays out.
func Default() Policy { return Policy{Number: 1, PersonalApps: Refused, Diagnostics: Refused} }

// Fields of a policy, as errors name them.
const (
	FieldPersonalApps = "personal-apps"
	FieldDiagnostics  = "diagnostics"
	FieldItem         = "refuse-item"
	FieldRetention    = "retention"
	FieldGround       = "retention-ground"
)

// Error says what is wrong with one field of a policy.
type Error struct {
	Field, Given string
	Reason       error
}

func (e *Error) Error() string { return fmt.Sprintf("policy: %s %q: %v", e.Field, e.Given, e.Reason) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }

// Why a field is refused.
var (
	ErrChoice   = errors.New("is neither refused nor kept")
	ErrItem     = errors.New("is no item of the catalogue")
	ErrNeeded   = errors.New("holds what tells persons or devices apart, or who acted: the ledger cannot do without")
	ErrNever    = errors.New("is never collected: there is nothing to refuse")
	ErrClass    = errors.New("is no retention class")
	ErrPeriod   = errors.New("is no period: write 24m for months or 90d for days")
	ErrNoGround = errors.New("has no ground: each period needs one")
	ErrGround   = errors.New("is too long, or of a class whose period the policy does not set")
)

// maxGround is how many characters a ground has at most.
const maxGround = 500

// Validate joins all that is wrong with the policy, each an *Error.
func (p Policy) Validate(c *catalogue.Catalogue) error {
	var errs []error
	bad := func(field, given string, why error) { errs = append(errs, &Error{field, given, why}) }
	for field, v := range map[string]string{FieldPersonalApps: p.PersonalApps, FieldDiagnostics: p.Diagnostics} {
		if v != Refused && v != Kept {
			bad(field, v, ErrChoice)
		}
	}
	items := map[string]*catalogue.Item{}
	for _, i := range c.Items() {
		items[i.ID] = i
	}
	for _, id := range p.Items {
		switch i := items[id]; {
		case i == nil:
			bad(FieldItem, id, ErrItem)
		case i.Rule == catalogue.RuleNever:
			bad(FieldItem, id, ErrNever)
		case needed(i):
			bad(FieldItem, id, ErrNeeded)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(p.Retention)) {
		r := p.Retention[class]
		_, err := catalogue.ParsePeriod(r.Keep)
		switch {
		case !slices.ContainsFunc(c.Classes(), func(k catalogue.Class) bool { return k.Name == class }):
			bad(FieldRetention, class, ErrClass)
		case r.Keep == "" || len(r.Ground) > maxGround:
			bad(FieldGround, class, ErrGround)
		case err != nil:
			bad(FieldRetention, class+"="+r.Keep, ErrPeriod)
		case strings.TrimSpace(r.Ground) == "":
			bad(FieldGround, class, ErrNoGround)
		}
	}
	return errors.Join(errs...)
}

// needed reports whether the ledger cannot do without the item: the catalogue says so of an
// attribute of it, or it is one value of an attribute of another item.
func needed(i *catalogue.Item) bool {
	return slices.ContainsFunc(i.Attributes(), func(a *catalogue.Attribute) bool {
		return a.Needed || a.Item != i.ID
	})
}

// Refuses reports whether the policy keeps the attribute's values out.
func (p Policy) Refuses(a *catalogue.Attribute) bool {
	return a.Item != "" && slices.Contains(p.Items, a.Item)
}

// Keep returns how long a class is kept under the policy, and on which ground: in the tenant's own
// words, "" where the catalogue's period holds.
func (p Policy) Keep(c catalogue.Class) (catalogue.Period, string) {
	if r, ok := p.Retention[c.Name]; ok {
		if period, err := catalogue.ParsePeriod(r.Keep); err == nil {
			return period, r.Ground
		}
	}
	return c.Keep, ""
}

// Settled returns the policy in the one form in which it is kept: items in the catalogue's order,
// each once, and no class that there is none of.
func (p Policy) Settled(c *catalogue.Catalogue) Policy {
	out := p
	out.Items, out.Retention = nil, nil
	for _, i := range c.Items() {
		if slices.Contains(p.Items, i.ID) {
			out.Items = append(out.Items, i.ID)
		}
	}
	for _, class := range c.Classes() {
		r, ok := p.Retention[class.Name]
		if !ok {
			continue
		}
		r.Ground = strings.TrimSpace(r.Ground)
		if out.Retention == nil {
			out.Retention = map[string]Retention{}
		}
		out.Retention[class.Name] = r
	}
	return out
}

// Same reports whether two policies say the same, whatever their numbers.
func (p Policy) Same(o Policy) bool {
	return p.PersonalApps == o.PersonalApps && p.Diagnostics == o.Diagnostics && slices.Equal(p.Items, o.Items) &&
		maps.Equal(p.Retention, o.Retention)
}

// Periods writes the retention that differs from the catalogue's: "apps=30d support=6m".
func (p Policy) Periods() string {
	var out []string
	for class, r := range p.Retention {
		out = append(out, class+"="+r.Keep)
	}
	slices.SortFunc(out, cmp.Compare)
	return strings.Join(out, " ")
}
