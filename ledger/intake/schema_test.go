package intake

import (
	"bytes"
	"context"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/schemas"
)

// What intake writes of a fleet is valid under the schemas that are given to whoever reads it.
func TestWhatIsImportedIsValidUnderTheSchemasOfItsTypes(t *testing.T) {
	cfg := fleet.Sized(40)
	cfg.Days, cfg.Tenant, cfg.GraphShare = 5, sourceTenant, 0.5
	dir := t.TempDir() + "/fleet"
	if _, err := fleet.Write(context.Background(), cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, false)
	if _, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{dir}}, nil); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	for _, typ := range schemas.Default().Types() {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemas.JSONSchema(typ)))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(schemas.SchemaURI(typ.Name), doc); err != nil {
			t.Fatal(err)
		}
	}
	types := map[string]int{}
	for _, e := range w.own() {
		schema, err := c.Compile(schemas.SchemaURI(e.Type))
		if err != nil {
			t.Fatal(err)
		}
		data, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(data); err != nil {
			t.Fatalf("%s: %v\n%s", e.Type, err, e.Data)
		}
		types[e.Type]++
	}
	if len(types) < 6 {
		t.Errorf("only %v were imported", types)
	}
}
