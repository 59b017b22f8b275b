package schemas

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// tester is a test or a property.
type tester interface {
	Helper()
	Fatal(args ...any)
}

// validator compiles a type's schema as a program of somebody else would.
func validator(t tester, typ *Type) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema(typ)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertVocabs()
	if err := c.AddResource(SchemaURI(typ.Name), doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(SchemaURI(typ.Name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func goldenData(t tester, typ *Type) json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "golden", typ.Name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var f fixture
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	return f.Data
}

func parsed(t tester, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The fixture of each type is valid under its schema, and under no other type's that has other
// attributes.
func TestEachGoldenFixtureIsValidUnderTheSchemaOfItsType(t *testing.T) {
	for _, typ := range Default().Types() {
		if err := validator(t, typ).Validate(parsed(t, goldenData(t, typ))); err != nil {
			t.Errorf("%s: %v", typ.Name, err)
		}
		if again := JSONSchema(typ); !bytes.Equal(again, JSONSchema(typ)) {
			t.Errorf("%s: two schemas of one type", typ.Name)
		}
	}
}

// Whatever the shapes of the catalogue let stand open, a schema takes.
func TestASchemaTakesWhateverMayStandOpen(t *testing.T) {
	candidates := []string{`true`, `false`, `0`, `7`, `7.5`, `100000`, `"14.4.1"`, `"10.0.22631.3155"`,
		`"2.1 (21A5b)"`,
		`"Microsoft Corporation"`, `"Überg 5 (x/y)"`, `"2026-03-01"`, `"2016-02-29"`, `"2026-03-01T00:00:00Z"`,
		`"0aaaaaaa-1111-4222-8333-444444444444"`, `"personal-apps"`, `"createVPPToken"`, `"Europe/Amsterdam"`,
		`"` + strings.Repeat("ab", 32) + `"`, `"delete ManagedDevice"`}
	taken := 0
	for _, a := range Default().Attributes() {
		if a.Shape == nil {
			continue
		}
		values := candidates
		for _, v := range a.Shape.Values {
			values = append(values, string(JSON(v)))
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSON(valueSchema(a, ""))))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("urn:x", schema); err != nil {
			t.Fatal(err)
		}
		s, err := c.Compile("urn:x")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if !a.MayStandOpen([]byte(v)) {
				continue
			}
			taken++
			if err := s.Validate(parsed(t, []byte(v))); err != nil {
				t.Errorf("%s: %s may stand open: %v", a.ID, v, err)
			}
		}
	}
	if taken < 100 {
		t.Errorf("only %d values were tried", taken)
	}
}

// place is one value of a document, and how to put another there.
type place struct {
	value any
	put   func(any)
}

// places returns every value below v, deepest first, in a fixed order.
func places(v any, put func(any)) (out []place) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, places(v[name], func(x any) { v[name] = x })...)
		}
	case []any:
		for i := range v {
			out = append(out, places(v[i], func(x any) { v[i] = x })...)
		}
	}
	return append(out, place{v, put})
}

// A fixture in which one value is another is not valid: what a schema lets through is what its
// type holds.
func TestAnAlteredFixtureIsNotValid(t *testing.T) {
	types := Default().Types()
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		root := []any{parsed(t, goldenData(t, typ))}
		all := places(root[0], func(x any) { root[0] = x })
		at := all[rapid.IntRange(0, len(all)-1).Draw(t, "place")]
		what := alter(t, at)
		if err := validator(t, typ).Validate(root[0]); err == nil {
			t.Fatalf("%s: %s of %v is valid: %s", typ.Name, what, at.value, JSON(root[0]))
		}
	})
}

// alter puts into a place what no value of any attribute may be.
func alter(t *rapid.T, at place) string {
	text, isText := at.value.(string)
	if isText && IsSealed(text) && rapid.Bool().Draw(t, "in the token") {
		parts := strings.Split(text, ":")
		switch what := rapid.SampledFrom([]string{"version", "alias", "class", "event", "attribute", "element", "body",
			"end"}).Draw(t, "part"); what {
		case "version":
			parts[1] = "v2"
		case "alias":
			parts[2] = parts[2][1:]
		case "class":
			parts[3] = "x" + parts[3]
		case "event":
			parts[4] = parts[4][:21] + "B" // a spare bit is set
		case "attribute":
			parts[5] = "x" + parts[5]
		case "element":
			parts[5] += "~x"
		case "body":
			parts[6] = parts[6][:40]
		case "end":
			parts[6] += "="
		}
		at.put(strings.Join(parts, ":"))
		return "another token instead"
	}
	if members, ok := at.value.(map[string]any); ok && rapid.Bool().Draw(t, "another member") {
		members["notAMember"] = "x"
		return "a further member"
	}
	others := []string{"null", "mail", "sealed", "object", "list", "number"}
	switch rapid.SampledFrom(others).Draw(t, "what") {
	case "null":
		at.put(nil)
	case "mail":
		at.put("anna.devries@contoso.example")
	case "sealed":
		at.put("sealed:v1:")
	case "object":
		at.put(map[string]any{"notAMember": true})
	case "list":
		at.put([]any{"Anna de Vries"})
	case "number":
		at.put(json.Number("1e300")) // beyond every shape
	}
	return "something else instead"
}
