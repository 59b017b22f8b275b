package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"
)

// forms are the canonical forms of texts (FORMATS §2). Every text attribute declares one, unless
// its shape is one already; bools, numbers and times have the one that JSON and RFC 3339 give
// them.
//
// Canonical rewrites what is only notation. Where a spelling may be the owner's own (an address, a
// product's name) it stays as first told, and Same alone compares without it.
var forms = map[string]struct {
	canonical func(string) string    // nil: blanks at the ends are cut
	same      func(x, y string) bool // of two canonical texts that differ; nil: they are two values
}{
	"text":    {},
	"name":    {canonical: oneBlank},
	"product": {canonical: oneBlank, same: strings.EqualFold},
	"version": {canonical: canonicalVersion, same: sameVersion},
	"address": {same: strings.EqualFold},
	"code":    {canonical: noBlanks, same: strings.EqualFold},
	"digits":  {canonical: canonicalDigits},
	"hex":     {canonical: canonicalHex},
	"mac":     {canonical: canonicalMAC},
	"guid":    {canonical: canonicalGUID},
	"ip":      {canonical: canonicalIP},
	"phone":   {canonical: canonicalPhone, same: samePhone},
}

// Canonical returns a text of the attribute in its canonical form. A text that is none of the
// form's stays as it is but for blanks: it is then what the source told, and nothing else.
func (a *Attribute) Canonical(text string) string {
	text = strings.TrimSpace(text)
	if a.Shape != nil && a.Shape.Kind == "enum" {
		c, _ := a.Shape.Canonical(text)
		return c
	}
	if f := forms[a.Form].canonical; f != nil {
		text = f(text)
	}
	if len(a.spelling) > 0 {
		if known, ok := a.spelling[strings.ToLower(text)]; ok {
			return known
		}
	}
	return text
}

// Named reports whether the text is one of the names that the catalogue itself lists for the
// attribute.
func (a *Attribute) Named(text string) bool {
	known, ok := a.spelling[strings.ToLower(text)]
	return ok && known == text
}

// Same reports whether two JSON values of the attribute, each in canonical form, are one value: a
// change from one to the other is none.
func (a *Attribute) Same(x, y json.RawMessage) bool {
	if bytes.Equal(x, y) {
		return true
	}
	same := forms[a.Form].same
	if a.Shape != nil && a.Shape.Kind == "enum" {
		same = sameWord
	}
	if same == nil || len(x) == 0 || len(y) == 0 || x[0] != '"' || y[0] != '"' {
		return false
	}
	var s, t string
	if json.Unmarshal(x, &s) != nil || json.Unmarshal(y, &t) != nil {
		return false
	}
	return same(s, t)
}

// Round brings a number to the attribute's step, downwards: what is coarser cannot join two
// records.
func (a *Attribute) Round(n float64) float64 {
	if a.Step == 0 {
		return n
	}
	q := n / a.Step
	if q < 0 {
		return n // misses its shape, and is sealed for that
	}
	return float64(int64(q)) * a.Step
}

// validateForm checks that exactly one form is declared, by the form itself or by type and shape.
func (a *Attribute) validateForm() error {
	needed := a.Type == "text" && (a.Shape == nil || a.Shape.Kind == "product" || a.Shape.Kind == "version")
	_, known := forms[a.Form]
	switch {
	case needed && !known:
		return fmt.Errorf("form %q is none of the canonical forms", a.Form)
	case !needed && a.Form != "":
		return fmt.Errorf("form %q beside a type or shape that is one already", a.Form)
	case a.Step < 0 || a.Step > 0 && a.Type != "bytes" && a.Type != "number":
		return fmt.Errorf("step %v of what is no number", a.Step)
	case len(a.Names) > 0 && a.Form != "product":
		return fmt.Errorf("names of a form that is no product")
	}
	a.spelling = map[string]string{}
	for name, others := range a.Names {
		for _, s := range append(slices.Clone(others), name) {
			key := strings.ToLower(s)
			if a.spelling[key] != "" {
				return fmt.Errorf("names: %q stands twice", s)
			}
			a.spelling[key] = name
		}
	}
	return nil
}

// oneBlank makes every run of blanks one space: sources differ in U+00A0 and U+202F.
func oneBlank(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || c < ' ' || c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			return strings.Join(strings.Fields(s), " ")
		}
	}
	return s
}

func noBlanks(s string) string { return strings.Join(strings.Fields(s), "") }

// sameWord compares what an enum does not know: without case and separators.
func sameWord(x, y string) bool { return strings.EqualFold(squash.Replace(x), squash.Replace(y)) }

var (
	squash   = strings.NewReplacer(" ", "", "_", "", "-", "")
	notation = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", "-", "", "\u2010", "", "\u2011", "",
		"\u2013", "", ":", "", ".", "", "/", "")
	onlyHex   = regexp.MustCompile(`^[0-9A-Fa-f]+$`)
	onlyDigit = regexp.MustCompile(`^[0-9]+$`)
	// A number that went through a spreadsheet or a float: 350000000000001.0,
	// 3.50000000000001E+14.
	floatForm = regexp.MustCompile(`^([0-9]{1,24})(?:\.([0-9]{1,24}))?(?:[eE]\+?([0-9]{1,2}))?$`)
)

// unfloat returns the whole number that a text writes as a float, with all its digits; ok is false
// where it is none, or where digits were lost.
func unfloat(s string) (digits string, ok bool) {
	if !strings.ContainsAny(s, ".eE") {
		return "", false
	}
	m := floatForm.FindStringSubmatch(s)
	if m == nil || m[2] == "" && m[3] == "" {
		return "", false
	}
	exponent := 0
	for _, d := range m[3] {
		exponent = exponent*10 + int(d-'0')
	}
	if exponent > len(m[2]) {
		return "", false
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok || !r.IsInt() {
		return "", false
	}
	return r.Num().String(), true
}

func canonicalDigits(s string) string {
	s = strings.TrimPrefix(s, "'") // a spreadsheet's mark for a text
	if d, ok := unfloat(s); ok {
		return d
	}
	d := notation.Replace(s)
	if body := strings.TrimRight(d, "fF"); len(body) >= 18 && len(d)-len(body) <= 1 {
		d = body // the filler of an ICCID of 19 digits
	}
	if !onlyDigit.MatchString(d) {
		return s
	}
	return d
}

func canonicalHex(s string) string {
	s = strings.TrimPrefix(s, "'")
	if d, ok := unfloat(s); ok && !strings.ContainsAny(s, "eE") {
		return d
	}
	d := notation.Replace(s)
	if !onlyHex.MatchString(d) {
		return s
	}
	return strings.ToUpper(d)
}

// canonicalMAC writes a MAC address of 48 or 64 bits in small digits without separators, as the
// sources mostly do.
func canonicalMAC(s string) string {
	d := notation.Replace(s)
	if len(d) != 12 && len(d) != 16 || !onlyHex.MatchString(d) {
		return s
	}
	return strings.ToLower(d)
}

// canonicalGUID writes a GUID in small digits and four dashes, whether it came so, in braces or
// without dashes.
func canonicalGUID(s string) string {
	if len(s) != 36 && len(s) != 38 && len(s) != 32 {
		return s // uuid.Parse takes a urn too
	}
	u, err := uuid.Parse(s)
	if err != nil {
		return s
	}
	return u.String()
}

func canonicalIP(s string) string {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().String()
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.String()
	}
	return s
}

var buildBlank = regexp.MustCompile(`\s*\(\s*([^()]*?)\s*\)`)

// canonicalVersion writes "14.6.1(23G93)" as "14.6.1 (23G93)".
func canonicalVersion(s string) string {
	if !strings.Contains(s, "(") {
		return oneBlank(s)
	}
	return strings.TrimSpace(buildBlank.ReplaceAllString(oneBlank(s), " ($1)"))
}

// sameVersion: 15 and 15.0 are one version.
func sameVersion(x, y string) bool {
	return strings.EqualFold(withoutZeroParts(x), withoutZeroParts(y))
}

func withoutZeroParts(s string) string {
	number, build, _ := strings.Cut(s, " ")
	for strings.HasSuffix(number, ".0") {
		number = strings.TrimSuffix(number, ".0")
	}
	return number + " " + build
}

// canonicalPhone keeps the digits, the stars that hide some, and the + of an international number.
func canonicalPhone(s string) string {
	if d, ok := unfloat(s); ok {
		s = d
	}
	plain := strings.ReplaceAll(s, "(0)", "")
	var b strings.Builder
	for _, r := range plain {
		switch {
		case r >= '0' && r <= '9', r == '*', r == '+' && b.Len() == 0:
			b.WriteRune(r)
		case unicode.IsLetter(r), r == '@', r == '#', r == ',', r == ';', r == '+':
			return s // an extension, two numbers, or none
		}
	}
	d := b.String()
	if rest, ok := strings.CutPrefix(d, "00"); ok && len(rest) >= 8 {
		d = "+" + rest
	}
	if len(strings.Trim(d, "+*")) < 3 {
		return s
	}
	return d
}

// samePhone compares numbers as one is dialled from here and from abroad, and as sources hide
// their digits.
func samePhone(x, y string) bool {
	x, y = strings.TrimPrefix(x, "+"), strings.TrimPrefix(y, "+")
	if len(x) == 0 || len(y) == 0 || strings.Trim(x+y, "0123456789*") != "" {
		return false
	}
	if strings.Contains(x+y, "*") {
		shown := min(len(x)-1-strings.LastIndexByte(x, '*'), len(y)-1-strings.LastIndexByte(y, '*'))
		return shown >= 2 && x[len(x)-shown:] == y[len(y)-shown:]
	}
	national := func(long, short string) bool {
		rest, ok := strings.CutPrefix(short, "0")
		cc := len(long) - len(rest)
		return ok && len(rest) >= 8 && cc >= 1 && cc <= 3 && strings.HasSuffix(long, rest)
	}
	return x == y || national(x, y) || national(y, x)
}
