package vault

import (
	"strings"

	"github.com/ledgerline/ledgerline/schemas"
)

// normalise gives a native value the form that is looked up: without surrounding blanks and, as
// every kind so far compares without case, with A to Z lower-cased.
func normalise(kind, value string) string {
	switch kind {
	case kindObjectID, kindUPN, kindEmail, kindIntuneUserID, kindIntuneID, kindDirectoryID:
		return schemas.LowerASCII(strings.TrimSpace(value))
	}
	panic("vault: lookup kind " + kind + " has no normalisation")
}

// identifier returns the normalised value, or "" for one that identifies nothing.
func identifier(kind, value string) string {
	if schemas.Junk(value) {
		return ""
	}
	return normalise(kind, value)
}
