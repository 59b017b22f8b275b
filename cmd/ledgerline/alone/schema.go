// Package alone has the commands that need neither ledger nor data directory: what the program
// itself knows, for programs and people, and records to try it with.
//
// It keeps nothing, and writes where it is told to and nowhere else.
package alone

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Schema returns the commands that print what the catalogue knows.
func Schema() *cobra.Command {
	return cli.Group("schema", "What the ledger knows of data items and of events, for people and programs",
		newCatalogue(), newExport())
}

func newCatalogue() *cobra.Command {
	var lang string
	return cli.New(cli.Command{Use: "catalogue",
		Short: "Print each data item: where it stands, whose key seals it, by which rule it is kept out",
		Flags: func(f cli.Flags) {
			f.Choice(&lang, "lang", "", words.Base, strings.Join(words.Languages(), " or "), words.Languages()...)
			f.Form("table", render.Help(), render.Names()...)
		},
		Run: func(c *cli.Call) error {
			l, _ := words.Default().Language(lang)
			return answer.WriteCatalogue(c.Out, catalogue.Default(), l, c.Output, terminal.Width(c.Out))
		}})
}

func newExport() *cobra.Command {
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
