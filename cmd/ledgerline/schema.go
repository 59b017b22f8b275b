package main

import (
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/schemas"
)

func newSchema(a *app) *cobra.Command {
	return group("schema", "JSON Schemas of the events, for programs that read the topics", newSchemaExport(a))
}

func newSchemaExport(a *app) *cobra.Command {
	var dir string
	return a.command(command{use: "export", short: "Write the JSON Schema of each event type",
		flags: func(f flags) {
			f.StringVar(&dir, "dir", "", "directory for the schemas; it is made where it is missing")
			f.output()
		},
		run: func(c *call) error {
			if dir == "" {
				return usage("--dir is missing: it names the directory for the schemas")
			}
			doc, err := answer.ExportSchemas(schemas.Default(), dir)
			return c.print(doc, err)
		}})
}
