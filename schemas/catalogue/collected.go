package catalogue

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

//go:embed collected.yaml
var collectedFile []byte

// collected is what is told apart by a value or a field's name alone, whatever the attribute.
type collected struct {
	nothing, junk map[string]bool
	longest       int // of nothing, in bytes
	never         never
}

var readCollected = sync.OnceValue(func() *collected {
	var file struct {
		Nothing      []string             `yaml:"nothing"`
		Junk         []string             `yaml:"junk"`
		UnsetSerials []string             `yaml:"unset-serials"`
		Never        map[string]neverFile `yaml:"never-collected"`
	}
	if err := strictYAML(collectedFile, &file); err != nil {
		panic("catalogue: collected.yaml: " + err.Error()) // a test excludes it
	}
	c := &collected{nothing: map[string]bool{}, junk: map[string]bool{}}
	for _, s := range file.Nothing {
		c.nothing[s] = true
		c.longest = max(c.longest, len(s))
	}
	for _, s := range append(file.Junk, file.UnsetSerials...) {
		c.junk[s] = true
	}
	var err error
	if c.never, err = readNever(file.Never); err != nil {
		panic("catalogue: collected.yaml: " + err.Error())
	}
	return c
})

// Nothing reports whether a text means "there is no value" in any field.
func Nothing(text string) bool {
	c := readCollected()
	if text = strings.TrimSpace(text); len(text) > c.longest {
		return false
	}
	var room [inPlace]byte
	if lower, ok := lowered(&room, text); ok {
		return c.nothing[string(lower)]
	}
	return c.nothing[strings.ToLower(text)]
}

// Junk reports whether a value, of whatever kind, is one that sources write for "not known": it
// must never identify a person or device and never overwrite a value.
func Junk(value string) bool {
	v := strings.TrimSpace(value)
	var room [inPlace]byte
	lower, ok := lowered(&room, v)
	if !ok {
		lower = []byte(looks.LowerASCII(v))
	}
	if readCollected().junk[string(lower)] {
		return true
	}
	zeros, fs := 0, 0
	for _, c := range lower {
		switch c {
		case '-', '{', '}', ':', '.', ' ':
		case '0':
			zeros++
		case 'f':
			fs++
		default:
			return false
		}
	}
	return fs == 0 || zeros == 0 && fs == 32 // "0", all zeros, the zero GUID, a zero MAC; the GUID of all f
}

// inPlace is how long a text may be to be put into small letters without a copy on the heap.
const inPlace = 64

// lowered puts a short ASCII text into small letters; false for any other.
func lowered(room *[inPlace]byte, s string) ([]byte, bool) {
	if len(s) > inPlace {
		return nil, false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 0x80 {
			return nil, false
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		room[i] = c
	}
	return room[:len(s)], true
}
