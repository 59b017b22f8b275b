package record

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/schemas"
)

// planted are members that hold what is never collected, and as what.
var planted = map[string]struct{ member, value string }{
	"calls":     {"callHistory", `[{"number":"PLANTED"}]`},
	"browsing":  {"webHistory", `{"PLANTED":1}`},
	"email":     {"note", `"From: a@example.com\nTo: b@example.com\nSubject: PLANTED"`},
	"messages":  {"sms_messages", `["PLANTED"]`},
	"contacts":  {"note", `"x BEGIN:VCARD PLANTED"`},
	"passwords": {"SavedPasswords", `"PLANTED"`},
	"calendar":  {"any", `{"contentType":"text/calendar","body":"PLANTED"}`},
	"photos":    {"any", `{"@odata.type":"x","mimeType":"image/png","value":"PLANTED"}`},
	"files":     {"attachments", `[{"name":"PLANTED"}]`},
	"location":  {"where", `"PLANTED 52.370216, 4.895168"`},
}

// anyJSON is any JSON that holds nothing of it.
func anyJSON(t *rapid.T, depth int) any {
	kinds := []string{"text", "number", "bool", "null"}
	if depth < 3 {
		kinds = append(kinds, "object", "list", "object")
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "text":
		return rapid.SampledFrom([]string{"", "a", `b"c`, "10.0.19045.3803, 10.0.22621.2428", "é:",
			"2026-09-04T08:00:00Z",
			"{", "x: y"}).Draw(t, "text")
	case "number":
		return rapid.Float64Range(-90, 90).Draw(t, "number")
	case "bool":
		return rapid.Bool().Draw(t, "bool")
	case "object":
		o := map[string]any{}
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			name := rapid.SampledFrom([]string{"id", "displayName", "name", "Contact", "value", "é\"", "type"})
			o[name.Draw(t, "name")] = anyJSON(t, depth+1)
		}
		return o
	case "list":
		l := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "elements") {
			l = append(l, anyJSON(t, depth+1))
		}
		return l
	}
	return nil
}

// TestWhatIsNeverCollectedIsTakenOutWhereverItStands: at any depth, in lists, in JSON in a text;
// what stands around it stays byte for byte, and a record without any is not touched.
func TestWhatIsNeverCollectedIsTakenOutWhereverItStands(t *testing.T) {
	categories := slices.Sorted(maps.Keys(planted))
	rapid.Check(t, func(t *rapid.T) {
		clean := schemas.JSON(map[string]any{"id": "1", "around": anyJSON(t, 0)})
		r, err := ReadRecord(clean)
		if err != nil {
			t.Fatal(err)
		}
		counts, whole := r.DropNever(nil)
		if len(counts) != 0 || whole != "" || string(schemas.JSON(r.Members)) != string(clean) {
			t.Fatalf("%s became %s, %v", clean, schemas.JSON(r.Members), counts)
		}
		category := rapid.SampledFrom(categories).Draw(t, "category")
		p := planted[category]
		var bearer any = map[string]json.RawMessage{"kept": json.RawMessage(`1`), p.member: json.RawMessage(p.value)}
		for range rapid.IntRange(0, 4).Draw(t, "depth") {
			switch rapid.SampledFrom([]string{"in an object", "in a list", "in a text"}).Draw(t, "where") {
			case "in an object":
				bearer = map[string]any{"inner": bearer}
			case "in a list":
				bearer = []any{bearer, 2}
			case "in a text":
				if _, is := bearer.(string); !is {
					bearer = string(schemas.JSON(bearer))
				}
			}
		}
		dirty := schemas.JSON(map[string]any{"id": "1", "around": json.RawMessage(clean), "bearer": bearer})
		if r, err = ReadRecord(dirty); err != nil {
			t.Fatal(err)
		}
		counts, whole = r.DropNever(nil)
		text := string(schemas.JSON(r.Members))
		if counts[category] != 1 || len(counts) != 1 || whole != "" {
			t.Fatalf("%s: counted %v, whole %q", dirty, counts, whole)
		}
		if strings.Contains(text, "PLANTED") || !strings.Contains(text, "kept") ||
			!strings.Contains(text, string(clean)) {
			t.Fatalf("%s became %s", dirty, text)
		}
	})
}

// A switch about such a thing is a setting, the picture of an app is no photo, the region of
// Azure's own servers is nobody's location, and a property is known by its name beside it.
func TestWhatLooksLikeItIsKept(t *testing.T) {
	for _, text := range []string{`{"id":"1","photos":false,"location":true}`,
		`{"id":"1","largeIcon":{"type":"image/png","value":"AAAA"}}`,
		`{"category":"AuditLogs","location":"westeurope","properties":{"a":1}}`, `{"id":"1","contacts":[]}`,
		`{"detectedApps":[{"displayName":"Photos","version":"1.0"}]}`} {
		r, err := ReadRecord([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r.Properties = r.Object("properties")
		before := string(schemas.JSON(r.Members))
		counts, whole := r.DropNever(nil)
		if after := string(schemas.JSON(r.Members)); len(counts) > 0 || whole != "" || after != before {
			t.Errorf("%s became %s, %v, %q", text, after, counts, whole)
		}
	}
	r, _ := ReadRecord([]byte(`{"p":[{"displayName":"Last-Known Location","oldValue":null,"newValue":"here"},` +
		`{"displayName":"Name","newValue":"n"}]}`))
	counts, _ := r.DropNever(nil)
	if text := string(schemas.JSON(r.Members)); counts[CategoryLocation] != 1 || strings.Contains(text, "here") ||
		!strings.Contains(text, `"n"`) {
		t.Errorf("%v: %s", counts, text)
	}
	r, _ = ReadRecord([]byte(`{"id":"1","contentType":"image/jpeg","contentBytes":"AAAA"}`))
	if _, whole := r.DropNever(nil); whole != "photos" {
		t.Errorf("a picture is refused as %q", whole)
	}
}

func BenchmarkDropNever(b *testing.B) {
	one := map[string]any{}
	for i := range 60 {
		one["someFieldName"+string(rune('A'+i%26))+string(rune('a'+i/26))] = "a value of 2026-09-04T08:00:00Z"
	}
	raw := schemas.JSON(one)
	r, err := ReadRecord(raw)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if counts, _ := r.DropNever(nil); len(counts) > 0 {
			b.Fatal(counts)
		}
	}
}
