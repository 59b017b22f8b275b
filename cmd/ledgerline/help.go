package main

import (
	"embed"
	"strings"

	"github.com/spf13/cobra"
)

// Each command's long text stands in a file of its own, where it is read and wrapped as prose:
// that of "eventstore user add" in help/eventstore-user-add.txt, its examples behind a line that
// says so.
//
//go:embed help
var helpTexts embed.FS

// explain gives a command and those below it their texts.
func explain(cmd *cobra.Command) {
	path := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
	raw, err := helpTexts.ReadFile("help/" + strings.ReplaceAll(path, " ", "-") + ".txt")
	if err == nil { // Short is enough for the others
		long, examples, _ := strings.Cut(string(raw), "\nExamples:\n")
		cmd.Long, cmd.Example = strings.TrimRight(long, "\n"), strings.TrimRight(examples, "\n")
	}
	for _, sub := range cmd.Commands() {
		explain(sub)
	}
}
