package answer

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/schemas"
)

// Schemas are the JSON Schemas that were written into a folder.
type Schemas struct {
	Dir     string   `json:"dir"`
	Changed int      `json:"changed"` // files that were not there, or held something else
	Schemas []Schema `json:"schemas"`
}

// Schema is that of an event type.
type Schema struct {
	Type string `json:"type"`
	ID   string `json:"id"` // as ce_dataschema has it
	File string `json:"file"`
}

// ExportSchemas writes the schema of each type into a folder, which is made where it is missing.
// Other files there stay.
func ExportSchemas(c *schemas.Catalogue, dir string) (Schemas, error) {
	doc := Schemas{Dir: dir}
	fail := func(err error) (Schemas, error) { return doc, fmt.Errorf("export schemas: %w", err) }
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	for _, t := range c.Types() {
		name, schema := t.Name+".json", schemas.JSONSchema(t)
		path := filepath.Join(dir, name)
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, schema) {
			if err := os.WriteFile(path, schema, 0o644); err != nil {
				return fail(err)
			}
			doc.Changed++
		}
		doc.Schemas = append(doc.Schemas, Schema{t.Name, schemas.SchemaURI(t.Name), name})
	}
	return doc, nil
}

// WriteText says how many there are, and how many of them are new.
func (d Schemas) WriteText(w io.Writer) {
	fmt.Fprintf(w, "wrote the schemas of %s event types into %s: %s were new or changed\n",
		terminal.Count(len(d.Schemas)), d.Dir, terminal.Count(d.Changed))
}
