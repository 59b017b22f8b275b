package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/schemas"
)

func newSchema() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "JSON Schemas of the events, for programs that read the topics",
	}
	cmd.AddCommand(newSchemaExport())
	return cmd
}

func newSchemaExport() *cobra.Command {
	var dir, output string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the JSON Schema of each event type",
		Long: `Each event type has a JSON Schema (draft 2020-12) of its data: its members, and of each the form of what
may stand open and of the sealed token that may stand there instead. export writes one file a type, <type>.json.

A message in Kafka names its type's schema in the header ce_dataschema; the file's "$id" is the same name. It is a
name and no address: put the files where your programs find them. Metadata and headers have one form each, for every
type; docs/FORMATS.md describes them.

It needs no node and no vault. The same program writes the same bytes. A file of that name that holds something else
is replaced; other files stay. A newer program may know more event types, and more values of a closed list: export
again after an upgrade.`,
		Example: `  ledgerline schema export --dir ./schemas
  check-jsonschema --schemafile ./schemas/device.enrolled.v1.json event.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usage("--dir is missing: it names the directory for the schemas")
			}
			doc, err := exportSchemas(schemas.Default(), dir)
			if err != nil {
				return err
			}
			return writeOutput(cmd.OutOrStdout(), output, doc, func(w io.Writer) {
				fmt.Fprintf(w, "wrote the schemas of %s event types into %s: %s were new or changed\n",
					terminal.Count(len(doc.Schemas)), doc.Dir, terminal.Count(doc.Changed))
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory for the schemas; it is made where it is missing")
	outputFlag(cmd, &output)
	return cmd
}

// exported is what export wrote.
type exported struct {
	Dir     string           `json:"dir"`
	Changed int              `json:"changed"` // files that were not there, or held something else
	Schemas []exportedSchema `json:"schemas"`
}

type exportedSchema struct {
	Type string `json:"type"`
	ID   string `json:"id"` // as ce_dataschema has it
	File string `json:"file"`
}

func exportSchemas(c *schemas.Catalogue, dir string) (exported, error) {
	doc := exported{Dir: dir}
	fail := func(err error) (exported, error) { return doc, fmt.Errorf("export schemas: %w", err) }
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	for _, t := range c.Types() {
		name, schema := t.Name+".json", t.JSONSchema()
		path := filepath.Join(dir, name)
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, schema) {
			if err := os.WriteFile(path, schema, 0o644); err != nil {
				return fail(err)
			}
			doc.Changed++
		}
		doc.Schemas = append(doc.Schemas, exportedSchema{t.Name, schemas.SchemaURI(t.Name), name})
	}
	return doc, nil
}
