package document_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/projections/report/document"
)

// String is what a parser of JSON says, by the short way too.
func TestStringIsWhatAParserSays(t *testing.T) {
	same := func(t interface{ Errorf(string, ...any) }, raw []byte) {
		var want string
		err := json.Unmarshal(raw, &want)
		if got, ok := document.String(raw); got != want || ok != (err == nil) {
			t.Errorf("%q reads %q, %t; a parser says %q, %v", raw, got, ok, want, err)
		}
	}
	for _, raw := range []string{`"a"`, `""`, `"a\"b"`, `"\u00e9"`, "\"\xff\"", "null", "1", "true", `["a"]`,
		`{"a":"b"}`,
		` "a" `} {
		same(t, []byte(raw))
	}
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(rapid.String().Draw(t, "text"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, raw)
	})
}
