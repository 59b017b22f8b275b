package record

import (
	"encoding/json"
	"testing"
)

func TestNamesThatASourceDecidesAreShownOnlyIfTheyAreNames(t *testing.T) {
	seen := &Seen{}
	m := ReadMembers(json.RawMessage(`{"Known":1,"Weather":"rain","anna@contoso.example":1,"Empty":"","Null":null,
		"Never":"0001-01-01T00:00:00Z","x@odata.type":"#x"}`))
	seen.Use("properties.", m, NamesOf("Known"))
	if len(seen.Unknown) != 2 || seen.Unknown["properties.Weather"] != 1 || seen.Unknown["(unusual name)"] != 1 {
		t.Errorf("counted %v", seen.Unknown)
	}
}
