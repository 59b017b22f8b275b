package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

// SchemaURI returns the name of a type's JSON Schema: its $id, and ce_dataschema of the messages
// of its events (FORMATS §8). It locates nothing: where the schemas lie is whoever's that
// exported them.
func SchemaURI(typ string) string { return "urn:ledgerline:schema:" + typ }

// JSONSchema returns the JSON Schema (draft 2020-12) of the data of a type's events, indented and
// always the same bytes. Whatever Encode writes is valid under it. It says less than the catalogue
// in three things that no schema can say: that a text is made of known words, that it tells no
// number or date of a person, and that a token's event is its own.
func JSONSchema(t *Type) []byte {
	type role struct {
		Role  string `json:"role"`
		Class string `json:"class"`
	}
	roles := make([]role, len(t.Roles))
	for i, r := range t.Roles {
		roles[i] = role(r)
	}
	s := factSchema(t.Root(), 0)
	if t.Form == FormState {
		s = stateSchema(t)
	}
	s["$schema"], s["$id"], s["title"] = "https://json-schema.org/draft/2020-12/schema", SchemaURI(t.Name), t.Name
	s["x-ledgerline-form"], s["x-ledgerline-roles"] = t.Form, roles
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		panic(fmt.Sprintf("schemas: JSON Schema of %s: %v", t.Name, err)) // maps of text cannot fail
	}
	return b.Bytes()
}

// object is a JSON object; its members are written in the order of their names.
type object = map[string]any

// closed is the schema of an object that has these members and no others.
func closed(properties object) object {
	return object{"type": "object", "properties": properties, "additionalProperties": false}
}

// factSchema is the schema below a node of a fact's pointers, that many array levels deep.
func factSchema(n *catalogue.Node, levels int) object {
	if n.Attr != nil {
		return valueSchema(n.Attr, strings.Repeat(`~(0|[1-9][0-9]{0,9})`, levels))
	}
	if element := n.Children["*"]; element != nil {
		return object{"type": "array", "items": factSchema(element, levels+1)}
	}
	properties := object{}
	for name, child := range n.Children {
		properties[name] = factSchema(child, levels)
	}
	return closed(properties)
}

// stateSchema is the schema of {"set","unset","lists","observed","silent"} (FORMATS §2).
func stateSchema(t *Type) object {
	set, lists, names := object{}, object{}, []string{}
	for _, name := range t.Child("set").Order {
		set[name] = valueSchema(t.Child("set").Children[name].Attr, "")
		names = append(names, name)
	}
	unset := object{"type": "array", "items": object{"enum": names}, "uniqueItems": true}
	element := object{"type": "string", "pattern": "^" + uuidPattern + "$"}
	for _, name := range t.Child("lists").Order {
		entry := t.Child("lists").Children[name].Children["set"].Children["*"].Attr
		lists[name] = closed(object{
			"set": object{"type": "object", "additionalProperties": false,
				"patternProperties": object{"^" + uuidPattern + "$": valueSchema(entry, "~"+uuidPattern)}},
			"unset": object{"type": "array", "items": element, "uniqueItems": true},
		})
		names = append(names, name)
	}
	properties := object{
		"observed": object{"type": "object", "propertyNames": object{"enum": names},
			"additionalProperties": object{"type": "string", "pattern": timePattern}},
		"silent": object{"type": "array", "items": object{"type": "string", "pattern": memberPattern},
			"uniqueItems": true},
	}
	if len(set) > 0 {
		properties["set"], properties["unset"] = closed(set), unset
	}
	if len(lists) > 0 {
		properties["lists"] = closed(lists)
	}
	return closed(properties)
}

// Patterns, as both RE2 and ECMA-262 read them.
const (
	uuidPattern   = `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`
	timePattern   = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`
	b64UUID       = `[A-Za-z0-9_-]{21}[AQgw]` // 16 bytes: four spare bits, which are zero
	memberPattern = `^[A-Za-z0-9]{1,64}$`     // of a state's member
	namePattern   = `^[A-Za-z0-9]+( [A-Za-z0-9]+){0,2}$`
)

// valueSchema is the schema of a value of the attribute: what may stand open, or a token. path is
// the pattern of what follows the attribute's id in a token.
func valueSchema(a *Attribute, path string) object {
	body := (minTokenBody*8 + 5) / 6
	token := object{"type": "string", "pattern": fmt.Sprintf(`^sealed:v1:%s:%s\.[0-9]{6}:%s:%s%s:[A-Za-z0-9_-]{%d,}$`,
		b64UUID, regexp.QuoteMeta(a.Class), b64UUID, regexp.QuoteMeta(a.ID), path, body)}
	s := token
	if a.Shape != nil {
		s = object{"anyOf": []object{shapeSchema(a.Shape), token}}
	}
	s["title"] = a.ID
	return s
}

func shapeSchema(s *Shape) object {
	switch s.Kind {
	case "bool":
		return object{"type": "boolean"}
	case "number":
		return object{"type": "number", "minimum": s.Min, "maximum": s.Max}
	case "enum":
		return object{"enum": s.Values}
	case "words":
		return object{"type": "string", "maxLength": 128, "pattern": namePattern}
	case "version":
		return object{"type": "string", "maxLength": 48, "pattern": looks.VersionPattern}
	case "product":
		return object{"type": "string", "pattern": looks.ProductPattern}
	case "date":
		return object{"type": "string", "pattern": catalogue.DatePattern}
	case "time":
		return object{"type": "string", "pattern": timePattern}
	case "uuid":
		return object{"type": "string", "pattern": "^" + uuidPattern + "$"}
	}
	return object{"type": "string", "pattern": s.Pattern()}
}
