package vault

import (
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// normalise gives a native value the form that is looked up: without surrounding blanks and, as
// every kind so far compares without case, with A to Z lower-cased.
func normalise(kind, value string) string {
	switch kind {
	case kindObjectID, kindUPN, kindEmail, kindIntuneID, kindDirectoryID, kindTenantName:
		return schemas.LowerASCII(strings.TrimSpace(value))
	}
	panic("vault: lookup kind " + kind + " has no normalisation")
}

// junk is what sources write where they know nothing, normalised. None of it
// identifies anybody or anything.
var junk = map[string]bool{
	"": true, "<null>": true, "null": true, "nil": true, "(null)": true, "undefined": true, "unknown": true,
	"none": true, "n/a": true, "na": true, "-": true, "not available": true, "not applicable": true,
	"not specified": true, "invalid": true, "empty": true, "redacted": true, "[redacted]": true, "<redacted>": true,
	"redacted@email.com": true, "unknown@unknown.com": true, "default": true,
	// Serials that boards carry before anybody gave them one.
	"default string": true, "default_string": true, "to be filled by o.e.m.": true, "to be filled by oem": true,
	"system serial number": true, "chassis serial number": true, "base board serial number": true,
	"serial number": true, "system product name": true, "123456789": true, "0123456789": true, "1234567890": true,
	"n0t s3t": true, "xxxxxxxx": true, "oem": true, "o.e.m.": true, "systemserialnumb": true,
}

// Junk reports whether a value, of whatever kind, is one that sources write for "not known": it
// must never identify a person or device and never overwrite a value.
func Junk(value string) bool {
	v := schemas.LowerASCII(strings.TrimSpace(value))
	if junk[v] {
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

// identifier returns the normalised value, or "" for one that identifies nothing.
func identifier(kind, value string) string {
	if Junk(value) {
		return ""
	}
	return normalise(kind, value)
}

// cut brings a time to the precision in which the vault keeps it: milliseconds, UTC, cut.
func cut(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}
