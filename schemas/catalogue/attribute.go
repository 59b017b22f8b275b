package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Whose key seals a value of an attribute (FORMATS §4). The event's subjects and the device's
// ownership turn the rule into one key.
const (
	// the person concerned: the subject in the attribute's role; the tenant where unknown
	KeyPerson = "person"
	// the owning person of a personal or unknown device, else the device's own generation
	KeyDeviceOwner = "device-owner"
	KeyDevice      = "device" // the device's own generation alone: of what is kept of no other device
	KeyTenant      = "tenant" // the tenant
)

// Roles is the closed list of subject roles.
var Roles = []string{"actor", "target", "user", "owner", "contact", "requester", "representative", "officer"}

// Attribute classifies one thing the ledger can hold, once, for sealing, projecting, schemas and
// access packages.
type Attribute struct {
	ID string `yaml:"id"` // never renamed, never reused
	// row of a list of data items (docs/DESIGN.md §3), "" for our own bookkeeping
	Item            string `yaml:"item"`
	Identifiability string `yaml:"identifiability"` // identified, pseudonymous, non-personal
	Key             string `yaml:"key"`             // KeyPerson, KeyDeviceOwner, KeyDevice or KeyTenant
	// with KeyPerson: the subject role meant ("user", "actor", "target")
	Role  string `yaml:"role"`
	Class string `yaml:"class"` // retention class
	Type  string `yaml:"type"`  // text, bool, number, time, bytes, object: the JSON of a value
	Shape *Shape `yaml:"shape"` // present only where a value of that shape may stand open
	Form  string `yaml:"form"`  // the canonical form of a text, where its shape is none
	// of form product: the names known, each with its other spellings
	Names        Names    `yaml:"names"`
	Step         float64  `yaml:"step"`         // of numbers: they are kept in whole steps
	Placeholders []string `yaml:"placeholders"` // beside the universal ones; mean "not reported"
	EmptyIsNone  bool     `yaml:"emptyIsNone"`  // present and empty means there is none (a device without user)
	// it tells persons or devices apart, or who acted on what: no policy can refuse it
	Needed   bool `yaml:"needed"`
	Volatile bool `yaml:"volatile"` // alone causes at most one event a UTC day
	// state: which change event reports it (inventory, compliance, ownership, security, setup,
	// apps)
	Group string `yaml:"group"`
	Label Label  `yaml:"-"` // what people read

	spelling map[string]string // lower-cased spelling → name
}

// Names are a source's own names for things, each with the spellings that mean the same.
type Names map[string][]string

// Label is what people read of something in the catalogue: a key of schemas/words, where a file
// holds the texts of each language.
type Label string

// In returns the label in that language, in English where schemas/words has no such language.
// What has no text there is shown by its id.
func (l Label) In(lang string) string {
	w, ok := words.Default().Language(lang)
	if !ok {
		w = words.Default().Base()
	}
	return l.Of(w)
}

// Of returns the label in the language, its id where that has no text for it.
func (l Label) Of(w *words.Language) string {
	if s, ok := w.Find(string(l)); ok {
		return s
	}
	_, id, _ := strings.Cut(string(l), ".")
	return id
}

// Shape is the declared form of an open value. A value that misses it is sealed, not failed.
type Shape struct {
	Kind string `yaml:"kind"` // enum, words, bool, version, number, date, time, product, own, uuid
	// enum: the values, canonical; words: the words a name may be made of, lower-case
	Values     []string          `yaml:"values"`
	Aliases    map[string]string `yaml:"aliases"` // enum: other spellings and codes, lower-cased, to a canonical value
	Min        float64           `yaml:"min"`     // number
	Max        float64           `yaml:"max"`     // number
	Match      string            `yaml:"match"`   // own: a regular expression, anchored
	matchRE    *regexp.Regexp    // compiled Match
	valueIndex map[string]string // lower-cased → canonical
}

var (
	dateForm = regexp.MustCompile(DatePattern)
	wordForm = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}$`)
	ownForm  = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,63}$`)
)

func (s *Shape) compile() error {
	switch s.Kind {
	case "enum":
		if len(s.Values) == 0 {
			return fmt.Errorf("shape enum without values")
		}
		s.valueIndex = map[string]string{}
		for _, v := range s.Values {
			s.valueIndex[strings.ToLower(v)] = v
		}
		for k, v := range s.Aliases {
			if !slices.Contains(s.Values, v) {
				return fmt.Errorf("shape enum: alias %q names %q, which is no value", k, v)
			}
			s.valueIndex[strings.ToLower(k)] = v
		}
	case "words":
		s.valueIndex = map[string]string{}
		for _, v := range s.Values {
			if !wordForm.MatchString(v) {
				return fmt.Errorf("shape words: %q is not one lower-case word", v)
			}
			s.valueIndex[v] = v
		}
		if len(s.Values) == 0 {
			return fmt.Errorf("shape words without values")
		}
	case "bool", "version", "date", "time", "product", "uuid":
	case "number":
		if s.Max <= s.Min {
			return fmt.Errorf("shape number needs min < max")
		}
	case "own":
		pattern := s.Match
		if pattern == "" {
			pattern = ownForm.String()
		}
		re, err := regexp.Compile("^(?:" + strings.TrimSuffix(strings.TrimPrefix(pattern, "^"), "$") + ")$")
		if err != nil {
			return fmt.Errorf("shape %s: %w", s.Kind, err)
		}
		s.matchRE = re
	default:
		return fmt.Errorf("unknown shape %q", s.Kind)
	}
	return nil
}

// DatePattern is the expression of a shape that is a date.
const DatePattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`

// Pattern returns the anchored expression of a shape that has one of its own.
func (s *Shape) Pattern() string { return s.matchRE.String() }

// Canonical returns the enum's own spelling of v ("Compliant", "1", "In grace period" →
// "compliant", "inGracePeriod") and whether it knows it. What it does not know stays as it is,
// and is sealed.
func (s *Shape) Canonical(v string) (string, bool) {
	if s == nil || s.Kind != "enum" {
		return v, false
	}
	v = strings.TrimSpace(v)
	if c, ok := s.valueIndex[strings.ToLower(v)]; ok {
		return c, true
	}
	if c, ok := s.valueIndex[strings.ToLower(squash.Replace(v))]; ok {
		return c, true
	}
	return v, false
}

// Fits reports whether the JSON value may stand open under this shape. The nil shape fits nothing.
func (s *Shape) Fits(value json.RawMessage) bool {
	if s == nil {
		return false
	}
	switch s.Kind {
	case "bool":
		return string(value) == "true" || string(value) == "false"
	case "number":
		n, err := strconv.ParseFloat(string(value), 64)
		return err == nil && !math.IsInf(n, 0) && n >= s.Min && n <= s.Max
	}
	v, ok := Text(value)
	if !ok || !utf8.ValidString(v) || strings.HasPrefix(v, looks.SealedPrefix) {
		return false
	}
	switch s.Kind {
	case "enum":
		return slices.Contains(s.Values, v)
	case "words":
		return s.madeOfWords(v)
	case "version":
		return looks.IsVersion(v)
	case "product":
		return looks.IsProduct(v)
	case "date":
		at, err := time.Parse("2006-01-02", v)
		return err == nil && dateForm.MatchString(v) && float64(at.Year()) >= s.Min
	case "time":
		_, err := time.Parse("2006-01-02T15:04:05Z", v)
		return err == nil
	case "uuid":
		_, ok := looks.UUID(v)
		return ok
	default:
		return s.matchRE != nil && s.matchRE.MatchString(v)
	}
}

// Text returns what a JSON string says, false for what is none. One of plain ASCII
// without escapes is its own text.
func Text(raw json.RawMessage) (s string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	special := func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
	if inner := raw[1 : len(raw)-1]; raw[len(raw)-1] == '"' && !bytes.ContainsFunc(inner, special) {
		return string(inner), true
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// madeOfWords reports whether v is one to three names in camel case, apart by single spaces,
// whose every word is known: a source's own vocabulary ("createDeviceHealthScript
// DeviceHealthScript") is open, a name that somebody gave is not.
func (s *Shape) madeOfWords(v string) bool {
	names := strings.Split(v, " ")
	if len(names) > 3 || len(v) > 128 {
		return false
	}
	for _, name := range names {
		words := camelWords(name)
		if len(words) == 0 {
			return false
		}
		for _, w := range words {
			if _, known := s.valueIndex[strings.ToLower(w)]; !known {
				return false
			}
		}
	}
	return true
}

// camelWords splits "createVPPToken" into create, VPP, Token: before a capital that follows a
// small letter or digit, and before the last of several capitals where a small letter comes next.
func camelWords(name string) []string {
	var out []string
	start := 0
	upper := func(i int) bool { return name[i] >= 'A' && name[i] <= 'Z' }
	for i := 1; i < len(name); i++ {
		if upper(i) && (!upper(i-1) || i+1 < len(name) && !upper(i+1) && name[i+1] >= 'a') {
			out = append(out, name[start:i])
			start = i
		}
	}
	if start < len(name) {
		out = append(out, name[start:])
	}
	return out
}

// KeyKind says what kind of owner a key has.
type KeyKind string

// Kinds of key owners.
const (
	OwnerPerson KeyKind = "person"
	OwnerDevice KeyKind = "device"
	OwnerTenant KeyKind = "tenant"
)

// sealers are the kinds of owners whose key may seal a value, by the attribute's rule.
var sealers = map[string][]KeyKind{
	KeyPerson:      {OwnerPerson, OwnerTenant},
	KeyDeviceOwner: {OwnerPerson, OwnerDevice, OwnerTenant},
	KeyDevice:      {OwnerDevice},
	KeyTenant:      {OwnerTenant},
}

// SealedBy reports whether the key of such an owner may seal a value of the attribute.
func (a *Attribute) SealedBy(kind KeyKind) bool { return slices.Contains(sealers[a.Key], kind) }

// MayStandOpen reports whether a value of the attribute may be stored without sealing.
func (a *Attribute) MayStandOpen(value json.RawMessage) bool { return a.Shape.Fits(value) }

// validate checks the declaration against the closed lists and forms; its error names the
// attribute and the fault.
func (a *Attribute) validate() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("attribute %q: "+format, append([]any{a.ID}, args...)...)
	}
	switch {
	case !looks.IsAttributeID(a.ID):
		return fail("id must be 1 to 64 of a-z, 0-9, dot and hyphen")
	case !looks.IsClass(a.Class):
		return fail("class %q must be 1 to 16 of a-z and hyphen", a.Class)
	case len(sealers[a.Key]) == 0:
		return fail("key %q is not person, device-owner, device or tenant", a.Key)
	case a.Key == KeyPerson && !slices.Contains(Roles, a.Role):
		return fail("role %q is not a subject role", a.Role)
	case !slices.Contains([]string{"text", "bool", "number", "time", "bytes", "object"}, a.Type):
		return fail("type %q is not text, bool, number, time, bytes or object", a.Type)
	case !slices.Contains([]string{"identified", "pseudonymous", "non-personal"}, a.Identifiability):
		return fail("identifiability %q is not identified, pseudonymous or non-personal", a.Identifiability)
	case a.Shape != nil && a.Identifiability != "non-personal":
		return fail("only a non-personal attribute may have an open shape")
	}
	if a.Shape != nil {
		if err := a.Shape.compile(); err != nil {
			return fail("%w", err)
		}
	}
	if err := a.validateForm(); err != nil {
		return fail("%w", err)
	}
	return nil
}
