package main

import (
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/schemas"
)

func newSchema() *cobra.Command {
	return cli.Group("schema", "JSON Schemas of the events, for programs that read the topics", newSchemaExport())
}

func newSchemaExport() *cobra.Command {
	var dir string
	return cli.New(cli.Command{Use: "export", Short: "Write the JSON Schema of each event type",
		Flags: func(f cli.Flags) {
			f.StringVar(&dir, "dir", "", "directory for the schemas; it is made where it is missing")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			if dir == "" {
				return cli.Usage("--dir is missing: it names the directory for the schemas")
			}
			doc, err := answer.ExportSchemas(schemas.Default(), dir)
			return c.Print(doc, err)
		}})
}
