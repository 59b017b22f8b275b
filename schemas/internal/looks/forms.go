package looks

import (
	"strings"

	"github.com/google/uuid"
)

// SealedPrefix begins every sealed value. What stands open never does.
const SealedPrefix = "sealed:"

// IsClass reports whether the text has the form of a retention class (FORMATS §5).
func IsClass(s string) bool {
	return len(s) >= 1 && len(s) <= 16 && Only(s, func(c byte) bool { return c >= 'a' && c <= 'z' || c == '-' })
}

// IsAttributeID reports whether the text has the form of an attribute's id (FORMATS §5).
func IsAttributeID(s string) bool {
	return len(s) >= 1 && len(s) <= 64 &&
		Only(s, func(c byte) bool { return c >= 'a' && c <= 'z' || IsDigit(c) || c == '.' || c == '-' })
}

// IsDigit reports whether the byte is a decimal digit.
func IsDigit(c byte) bool { return c >= '0' && c <= '9' }

// Only reports whether each byte of the text is one of those.
func Only(s string, of func(byte) bool) bool {
	for i := range len(s) {
		if !of(s[i]) {
			return false
		}
	}
	return true
}

// UUID reads the 36-character lower-case form in which the ledger writes uuids, and no other.
func UUID[T string | []byte](s T) (u uuid.UUID, ok bool) {
	if len(s) != 36 {
		return u, false
	}
	n := 0
	for i := 0; i < 36; {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return u, false
			}
			i++
			continue
		}
		high, low := HexDigit(s[i]), HexDigit(s[i+1])
		if high > 15 || low > 15 {
			return u, false
		}
		u[n] = high<<4 | low
		n++
		i += 2
	}
	return u, true
}

// HexDigit returns what a lower-case hexadecimal digit says, 0xff for any other byte.
func HexDigit(c byte) byte {
	switch {
	case IsDigit(c):
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// LowerASCII lower-cases A to Z only; other letters keep their case (FORMATS, head).
func LowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
