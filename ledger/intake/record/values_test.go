package record

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/schemas"
)

func TestValuesAreNormalised(t *testing.T) {
	for _, c := range []struct {
		attr, in string
		unit     int64
		want     string // JSON, or unreported, none, error
	}{
		{"device.compliance-state", `"Compliant"`, 1, `"compliant"`},
		{"device.compliance-state", `"compliant"`, 1, `"compliant"`},
		{"device.compliance-state", `1`, 1, `"compliant"`},
		{"device.compliance-state", `"1"`, 1, `"compliant"`},
		{"device.compliance-state", `"In Grace Period"`, 1, `"inGracePeriod"`},
		{"device.compliance-state", `"unknown"`, 1, "unreported"},
		{"device.compliance-state", `77`, 1, `"77"`},
		{"device.compliance-state", `"something new"`, 1, `"something new"`},
		{"device.ownership", `"Corporate"`, 1, `"company"`},
		{"device.ownership", `"company"`, 1, `"company"`},
		{"device.ownership", `"Personal"`, 1, `"personal"`},
		{"device.ownership", `"Unknown"`, 1, "unreported"},
		{"device.join-type", `"Azure AD joined"`, 1, `"azureADJoined"`},
		{"device.management-state", `"Retire Pending"`, 1, `"retirePending"`},
		{"action.verb", `0`, 1, `"create"`},
		{"action.verb", `"Create"`, 1, `"create"`},
		{"action.verb", `"Patch"`, 1, `"update"`},
		{"action.verb", `"SetReference"`, 1, `"set-reference"`},
		{"action.category", `"DeviceConfiguration"`, 1, `"deviceConfiguration"`},
		{"action.category", `3`, 1, `"deviceConfiguration"`},
		{"action.category", `27`, 1, `"27"`},
		{"action.actor-type", `5`, 1, `"application"`},
		{"action.actor-type", `"ItPro"`, 1, `"it-pro"`},
		{"action.actor-type", `0`, 1, "unreported"},
		{"device.encrypted", `"True"`, 1, `true`},
		{"device.encrypted", `false`, 1, `false`},
		{"device.jail-broken", `"Unknown"`, 1, "unreported"},
		{"device.storage-total", `243406`, 1 << 20, `255229689856`},
		{"device.storage-total", `68719476736`, 1, `68719476736`},
		{"device.storage-total", `"243406"`, 1 << 20, `255229689856`},
		{"device.storage-total", `1e300`, 1, `"1e300"`}, // misses its shape, and is sealed for that
		{"device.storage-total", `"much"`, 1, `"much"`},
		{"device.storage-total", `"+31612345678"`, 1, `"+31612345678"`},
		{"device.storage-total", `{"value":1}`, 1, "error"},
		{"device.storage-free", `215217078272`, 1, `214748364800`}, // whole GiB
		{"device.storage-free", `205247`, 1 << 20, `214748364800`},
		{"device.management-state", `"unknownFutureValue"`, 1, "unreported"},
		{"device.encrypted", `"Unknown"`, 1, "unreported"},
		{"device.last-contact", `"2026-03-02 05:58:14.6829201"`, 1, `"2026-03-02T05:58:14Z"`},
		{"device.grace-until", `"9999-12-31 23:59:59.9999999"`, 1, "unreported"},
		{"device.retire-after", `"0001-01-01T00:00:00Z"`, 1, "unreported"},
		{"device.last-contact", `"lately"`, 1, "error"},
		{"device.serial-number", `"0"`, 1, "unreported"},
		{"device.serial-number", `"To be filled by O.E.M."`, 1, "unreported"},
		{"device.serial-number", `"[REDACTED]"`, 1, "unreported"},
		{"device.serial-number", `"<null>"`, 1, "unreported"},
		{"device.serial-number", `" PF0X1 "`, 1, `"PF0X1"`},
		{"device.serial-number", `["a"]`, 1, "error"},
		{"device.serial-number", `[]`, 1, "unreported"},
		{"device.serial-number", `"` + strings.Repeat("x", maxText+1) + `"`, 1, "error"},
		{"device.directory-id", `"00000000-0000-0000-0000-000000000000"`, 1, "unreported"},
		{"device.user-email", `"redacted@email.com"`, 1, "unreported"},
		{"device.user-email", `""`, 1, "none"},
		{"device.user-email", `null`, 1, "unreported"},
		{"device.user-id", `"00000000-0000-0000-0000-000000000000"`, 1, "unreported"},
		{"device.name", `""`, 1, "unreported"},
		{"device.name", `"<Anna> & co"`, 1, `"<Anna> & co"`},
		{"device.security-patch-level", `"2026-01-01"`, 1, `"2026-01-01"`},
		{"device.notes", `"unknown"`, 1, `"unknown"`},
	} {
		a := schemas.Default().MustAttribute(c.attr)
		v, found, err := Normalise(a, json.RawMessage(c.in), c.unit)
		got := string(v)
		switch {
		case err != nil:
			got = "error"
			if strings.Contains(err.Error(), "much") || strings.Contains(err.Error(), "lately") {
				t.Errorf("%s: the error tells content: %v", c.attr, err)
			}
		case found == Unreported:
			got = "unreported"
		case found == Emptied:
			got = "none"
		}
		if got != c.want {
			t.Errorf("%s of %.60s is %s, want %s", c.attr, c.in, got, c.want)
		}
	}
}
