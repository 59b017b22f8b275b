package entity

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// A value may have the shape of what stands open and be somebody's all the same: "laptop van Anna"
// as a model, a telephone number as a carrier, a person's object id as an application's (FORMATS
// §4). A shape cannot see that; the record can, since it says elsewhere whose name, address,
// number or id it is. Closed vocabularies (enum, words, bool, our own) say nothing of a person and
// are left out: a person called Company does not seal a device's ownership.

// tells is what one record tells of the persons and devices in it. The zero value is ready.
type tells struct {
	words    []string // of names and addresses, folded
	numbers  []string // digits of telephone numbers
	ids      []string // native ids, folded, letters and digits
	literals []string // ids that dots belong to (IP addresses)
}

// name adds a person's name: each of its words, and how they are written together ("O'Neill",
// "Anna-Maria").
func (t *tells) name(names ...string) {
	for _, n := range names {
		if schemas.Nothing(n) {
			continue
		}
		t.word(wordsOf(n)...)
		for _, f := range append(strings.Fields(n), n) {
			t.word(compactFold(f))
		}
	}
}

// word adds what stands for a person where it has two letters or more, once.
func (t *tells) word(words ...string) {
	for _, w := range words {
		if len(w) > 1 && !slices.Contains(t.words, w) {
			t.words = append(t.words, w)
		}
	}
}

// address adds a UPN or e-mail address: the words of what stands before the @, and that as a
// whole. Of a guest's (anna_home.example#EXT#@contoso.example) the part before #EXT#.
func (t *tells) address(addresses ...string) {
	for _, a := range addresses {
		if schemas.Nothing(a) {
			continue
		}
		local, _, _ := strings.Cut(a, "@")
		if strings.Contains(local, "#") {
			if i := strings.Index(strings.ToUpper(local), "#EXT#"); i >= 0 {
				local = local[:i]
			}
		}
		t.word(wordsOf(local)...)
		t.word(compactFold(local))
	}
}

// minNumber is the fewest digits that are a telephone number, and suffixNumber how many of its
// last ones tell it, with or without a country's prefix.
const (
	minNumber    = 6
	suffixNumber = 8
)

// number adds a telephone number.
func (t *tells) number(numbers ...string) {
	for _, n := range numbers {
		d := digitsOf(n)
		if len(d) > suffixNumber {
			d = d[len(d)-suffixNumber:]
		}
		if len(d) >= minNumber {
			t.numbers = append(t.numbers, d)
		}
	}
}

// id adds a native id of a person or device: an object id, a device's id, a serial number, a MAC
// or IP address.
func (t *tells) id(ids ...string) {
	for _, id := range ids {
		switch {
		case schemas.Nothing(id):
		case strings.Contains(id, ".") && strings.Trim(id, "0123456789.") == "":
			t.literals = append(t.literals, id)
		default:
			if c := compactFold(id); c != "" && strings.Trim(c, "0") != "" {
				t.ids = append(t.ids, c)
			}
		}
	}
}

// minPart is how long a word or id must be to be found inside another word; a shorter one counts
// as a word of its own.
const minPart = 4

// openValue is a value that would stand open, as it is searched.
type openValue struct {
	text, whole, digits string
	words               []string // of a text
}

// searched returns a value as it is searched; ok is false for one that tells of nobody, whatever
// it is.
func searched(a *schemas.Attribute, plain json.RawMessage) (v openValue, ok bool) {
	if a.Shape == nil || len(plain) == 0 {
		return v, false
	}
	switch a.Shape.Kind {
	case "enum", "words", "bool", "own":
		return v, false
	}
	if v.text, ok = record.AsText(plain); !ok || a.Named(v.text) {
		return v, false
	}
	v.whole, v.digits = compactFold(v.text), digitsOf(v.text)
	if a.Type == "text" {
		v.words = wordsOf(v.text)
	}
	return v, true
}

// in reports whether a value that would stand open as the attribute's holds any of what was told,
// and therefore has to be sealed.
func (t *tells) in(a *schemas.Attribute, plain json.RawMessage) bool {
	v, ok := searched(a, plain)
	return ok && t.within(a, &v)
}

func (t *tells) within(a *schemas.Attribute, v *openValue) bool {
	for _, id := range t.ids {
		if v.whole == id || len(id) > minPart && strings.Contains(v.whole, id) {
			return true
		}
	}
	for _, n := range t.numbers {
		if strings.Contains(v.digits, n) {
			return true
		}
	}
	for _, l := range t.literals {
		if strings.Contains(v.text, l) {
			return true
		}
	}
	if a.Type != "text" {
		return false
	}
	for _, w := range t.words {
		if len(w) >= minPart && strings.Contains(v.whole, w) || slices.Contains(v.words, w) {
			return true
		}
	}
	return false
}

// wordsOf returns a text's words of two letters or more, folded: runs of letters, and the parts
// that capitals make of them ("LaptopBo").
func wordsOf(s string) (out []string) {
	if isASCII(s) {
		return wordsOfASCII(s)
	}
	for _, run := range strings.FieldsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) &&
			!unicode.Is(unicode.Mn, r)
	}) {
		parts := capitals(run)
		if len(parts) > 1 {
			parts = append(parts, run)
		}
		for _, p := range parts {
			if w := fold(p); len(w) > 1 {
				out = append(out, w)
			}
		}
	}
	return out
}

// wordsOfASCII is wordsOf for what most names and values are.
func wordsOfASCII(s string) (out []string) {
	low := strings.ToLower(s) // as long as s
	add := func(from, to int) {
		if to-from > 1 {
			out = append(out, low[from:to])
		}
	}
	for i := 0; i < len(s); i++ {
		if !isLetter(s[i]) {
			continue
		}
		run, part := i, i
		for i++; i < len(s) && isLetter(s[i]); i++ {
			if s[i] <= 'Z' && s[i-1] >= 'a' {
				add(part, i)
				part = i
			}
		}
		add(part, i)
		if part > run {
			add(run, i)
		}
	}
	return out
}

func isLetter(c byte) bool { return c|' ' >= 'a' && c|' ' <= 'z' }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// capitals splits a run of letters before each capital that follows a small letter.
func capitals(run string) (out []string) {
	start, before := 0, rune(0)
	for i, r := range run {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			out = append(out, run[start:i])
			start = i
		}
		before = r
	}
	return append(out, run[start:])
}

func digitsOf(s string) string {
	b := make([]byte, 0, 64)
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// compactFold returns a text's letters and digits alone, folded.
func compactFold(s string) string {
	b := make([]byte, 0, 64)
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 0x80:
			return compactFoldAny(s)
		case isLetter(c):
			b = append(b, c|' ')
		case c >= '0' && c <= '9':
			b = append(b, c)
		}
	}
	return string(b)
}

func compactFoldAny(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, fold(s))
}

// letters that no decomposition brings to the ones people write for them.
var letters = strings.NewReplacer("ß", "ss", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "æ", "ae", "œ",
	"oe", "ı", "i")

// fold returns a text without case and accents, as addresses are made of names.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	folded := foldedRunes()
	b := make([]byte, 0, 64)
	for _, r := range s {
		if int(r) >= len(folded) { // which includes what is no UTF-8
			return foldAny(s)
		}
		b = append(b, folded[r]...)
	}
	return string(b)
}

// foldedRunes is foldAny of each of the first runes. None of them is a mark, which may move.
var foldedRunes = sync.OnceValue(func() *[0x180]string {
	out := new([0x180]string)
	for r := range out {
		out[r] = foldAny(string(rune(r)))
	}
	return out
})

func foldAny(s string) string {
	return letters.Replace(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(strings.ToLower(s))))
}

// entityTells is what snapshots tell of an entity's persons and of the entity itself.
type entityTells struct{ persons, entity tells }

// add takes in values of an entity, by the catalogue: what never stands open there names somebody
// or something.
func (t *entityTells) add(a *schemas.Attribute, plain json.RawMessage) {
	if a.Shape != nil || a.Form == "" {
		return
	}
	text, ok := record.AsText(plain)
	if !ok {
		return
	}
	of := &t.entity
	if OfUser(a) {
		of = &t.persons
	}
	switch a.Form {
	case "name":
		if OfUser(a) { // a device's name is nobody's
			of.name(text)
		}
	case "address":
		of.address(text)
	case "phone":
		of.number(text)
	case "guid", "code", "digits", "hex", "mac", "ip":
		of.id(text)
	}
}

// tellsOf is what a snapshot tells, and what the ledger says already: a snapshot need not tell all
// of it.
func tellsOf(s *Snapshot, st *State) *entityTells {
	t := &entityTells{}
	for a, v := range s.Values {
		t.add(a, v)
	}
	for _, l := range s.Lists {
		for _, item := range l.Items {
			if strings.Contains(item.Person, "@") {
				t.persons.address(item.Person)
			} else {
				t.persons.id(item.Person)
			}
		}
	}
	if st != nil {
		for a, h := range st.values {
			if !h.None && string(h.Plain) != string(s.Values[a]) { // else it is taken in already
				t.add(a, h.Plain)
			}
		}
	}
	return t
}

// protection says that a value is sealed although its shape fits, and under whose key.
type protection uint8

const (
	protectNot      protection = iota
	protectAsOwn               // under the attribute's own key
	protectAsPerson            // under the user's, of whom it tells
)

// Protect settles which values of the difference may not stand open, by what the record tells,
// with all that may not be kept of it, and by what the ledger says already.
func (d Difference) Protect(told *Snapshot, st *State) {
	t := tellsOf(told, st)
	for _, deltas := range [][]Delta{d.deltas, d.restated} {
		for i := range deltas {
			c := &deltas[i]
			v, ok := searched(c.Attr, c.Plain)
			switch {
			case c.Removed, !ok:
			case t.persons.within(c.Attr, &v):
				c.protect = protectAsPerson
			case t.entity.within(c.Attr, &v):
				c.protect = protectAsOwn
			}
		}
	}
}
