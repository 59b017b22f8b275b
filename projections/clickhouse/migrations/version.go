package migrations

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
)

// Version is which of a view's tables one is: x_v2 is made by a migration, x_v2r1,
// x_v2r2 … are rebuilt from the same definition, so that a rebuild never takes the name
// that a later migration needs.
type Version struct{ migration, rebuild uint64 }

// Suffix is how the table's name ends.
func (v Version) Suffix() string {
	if v.rebuild == 0 {
		return fmt.Sprintf("_v%d", v.migration)
	}
	return fmt.Sprintf("_v%dr%d", v.migration, v.rebuild)
}

// Compare is negative where v is older than o, and zero where they are one.
func (v Version) Compare(o Version) int {
	return cmp.Or(cmp.Compare(v.migration, o.migration), cmp.Compare(v.rebuild, o.rebuild))
}

// VersionForm finds the names of tables that have a version.
var VersionForm = regexp.MustCompile(`\b([a-z_]+)_v([0-9]+)(?:r([0-9]+))?(_mv)?\b`)

// ParseVersion reads the name of a view's table, or with mv of what fills it.
func ParseVersion(name string) (view string, v Version, mv, ok bool) {
	m := VersionForm.FindStringSubmatch(name)
	if m == nil || m[0] != name {
		return "", Version{}, false, false
	}
	v.migration, _ = strconv.ParseUint(m[2], 10, 64)
	v.rebuild, _ = strconv.ParseUint(m[3], 10, 64)
	return m[1], v, m[4] != "", true
}

// Base is the version as the migration made it: a rebuilt table has its definition.
func (v Version) Base() Version { return Version{migration: v.migration} }

// Rebuilt is the version after it that a rebuild makes.
func (v Version) Rebuilt() Version { return Version{v.migration, v.rebuild + 1} }
