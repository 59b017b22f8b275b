package record

import (
	"encoding/json"
	"testing"
)

func TestNamesThatASourceDecidesAreShownOnlyIfTheyAreNames(t *testing.T) {
	seen := &Seen{}
	m := Members{"Known": json.RawMessage(`1`), "Weather": json.RawMessage(`"rain"`)}
	m["anna@contoso.example"] = json.RawMessage(`1`)
	for name, nothing := range map[string]string{"Empty": `""`, "Null": `null`, "Never": `"0001-01-01T00:00:00Z"`,
		"x@odata.type": `"#x"`} {
		m[name] = json.RawMessage(nothing)
	}
	seen.Use("properties.", m, "Known")
	if len(seen.Unknown) != 2 || seen.Unknown["properties.Weather"] != 1 || seen.Unknown["(unusual name)"] != 1 {
		t.Errorf("counted %v", seen.Unknown)
	}
}
