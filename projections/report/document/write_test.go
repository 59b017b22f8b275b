package document_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas/words"
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

// Nobody reads JSON: what has parts is told part by part, in words where there are some.
func TestPeopleReadNoJSON(t *testing.T) {
	amsterdam, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ json, en, nl string }{
		{`{"userId":"u-1","lastLogOn":"2026-03-01T08:00:00Z"}`,
			"last signed in: 2026-03-01 09:00:00 +01:00; user id: u-1",
			"laatst aangemeld: 2026-03-01 09:00:00 +01:00; gebruikers-id: u-1"},
		{`{"displayName":"Teams","version":"2.1"}`, "Teams 2.1", "Teams 2.1"},
		{`{"skuPartNumber":"E5","plans":[{"enabled":true},{"enabled":null}]}`,
			"plans: enabled: yes, enabled: (none); sku part number: E5",
			"plans: enabled: ja, enabled: (geen); sku part number: E5"},
		{`["a","b"]`, "a, b", "a, b"}, {`17`, "17", "17"}, {`{}`, "", ""},
	} {
		for lang, want := range map[string]string{"en": c.en, "nl": c.nl} {
			l, _ := words.Default().Language(lang)
			v := document.Value{Type: document.Object, JSON: json.RawMessage(c.json)}
			if got := v.People(l, amsterdam); got != want {
				t.Errorf("%s in %s: %q, want %q", c.json, lang, got, want)
			}
		}
	}
}
