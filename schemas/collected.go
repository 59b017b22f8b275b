package schemas

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed collected.yaml
var collectedFile []byte

// collected is what is told apart by a value or a field's name alone, whatever the attribute.
type collected struct {
	nothing, junk map[string]bool
	never         map[string]string // category by field, lower-cased
	longest       int               // of nothing, in bytes
}

var readCollected = sync.OnceValue(func() *collected {
	var file struct {
		Nothing      []string            `yaml:"nothing"`
		Junk         []string            `yaml:"junk"`
		UnsetSerials []string            `yaml:"unset-serials"`
		Never        map[string][]string `yaml:"never-collected"`
	}
	if err := strictYAML(collectedFile, &file); err != nil {
		panic("schemas: collected.yaml: " + err.Error()) // a test excludes it
	}
	c := &collected{nothing: map[string]bool{}, junk: map[string]bool{}, never: map[string]string{}}
	for _, s := range file.Nothing {
		c.nothing[s] = true
		c.longest = max(c.longest, len(s))
	}
	for _, s := range append(file.Junk, file.UnsetSerials...) {
		c.junk[s] = true
	}
	for category, fields := range file.Never {
		for _, f := range fields {
			c.never[f] = category
		}
	}
	return c
})

// Nothing reports whether a text means "there is no value" in any field.
func Nothing(text string) bool {
	c := readCollected()
	text = strings.TrimSpace(text)
	return len(text) <= c.longest && c.nothing[strings.ToLower(text)]
}

// Junk reports whether a value, of whatever kind, is one that sources write for "not known": it
// must never identify a person or device and never overwrite a value.
func Junk(value string) bool {
	v := LowerASCII(strings.TrimSpace(value))
	if readCollected().junk[v] {
		return true
	}
	digits := strings.Map(func(r rune) rune {
		switch r {
		case '-', '{', '}', ':', '.', ' ':
			return -1
		}
		return r
	}, v)
	if strings.Trim(digits, "0") == "" {
		return true // "0", all zeros, the zero GUID, a zero MAC
	}
	return len(digits) == 32 && strings.Trim(digits, "f") == ""
}

// NeverCollected returns the category of what a field of that name holds, where no record may
// bring it into the ledger; "" for any other field.
func NeverCollected(field string) (category string) {
	return readCollected().never[strings.ToLower(field)]
}
