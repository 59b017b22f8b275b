package clickhouse_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

// TestValuesReachStatementsAsTheyAre sends text that would end a literal, a parameter or a
// statement, and reads it back.
func TestValuesReachStatementsAsTheyAre(t *testing.T) {
	db := chtest.Start(t)
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.Custom(func(rt *rapid.T) string {
			var b []byte
			for range rapid.IntRange(0, 8).Draw(rt, "pieces") {
				b = append(b, rapid.SampledFrom([]string{"'", `\`, "\t", "\n", "\r", "\x00", "\x00\x00", `\N`, `\'`,
					"]", ",", "{x:String}", "%27", "+", "&", "é",
					"\xff", "NULL", "--", "/*", "; DROP TABLE events", " ", "", `"`, "`", "\b\f"}).Draw(rt,
					"piece")...)
			}
			return string(b)
		})
		one := text.Draw(rt, "text")
		list := rapid.SliceOfN(text, 0, 5).Draw(rt, "list")
		gotOne, gotList, err := db.Echo(t.Context(), one, list)
		if err != nil {
			rt.Fatalf("%q, %q: %v", one, list, err)
		}
		if gotOne != one || len(gotList) != len(list) {
			rt.Fatalf("sent %q, %q; came back %q, %q", one, list, gotOne, gotList)
		}
		for i := range list {
			if gotList[i] != list[i] {
				rt.Fatalf("sent %q, came back %q", list, gotList)
			}
		}
	})
}

// The bounds of a comparison's statements reach the server.
func TestAComparisonIsBounded(t *testing.T) {
	db := chtest.Start(t)
	for setting, want := range map[string]string{"max_threads": "1", "max_memory_usage": "2147483648"} {
		if got, err := db.Heavily(t.Context(), setting); err != nil || got != want {
			t.Errorf("%s is %s, want %s: %v", setting, got, want, err)
		}
	}
}
