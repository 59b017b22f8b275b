package cli

import (
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/settings"
)

// Strictly has every group of commands below root refuse a subcommand that it does not have, and
// every command arguments that it does not take.
func Strictly(cmd *cobra.Command) {
	subs := cmd.Commands()
	for _, sub := range subs {
		Strictly(sub)
	}
	if cmd.Runnable() || len(subs) == 0 {
		if cmd.Args == nil {
			cmd.Args = cobra.NoArgs
		}
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		meant, letters := settings.Nearest(args[0], names)
		if letters > len(meant)/3 { // like none of them
			return Usage("unknown command %q for %q: it has %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
		}
		return Usage("unknown command %q for %q: it has %s; did you mean %s?", args[0], cmd.CommandPath(),
			strings.Join(names, ", "), meant)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// Explain gives a command and those below it their long texts: that of "eventstore user add"
// stands in help/eventstore-user-add.txt, its examples behind a line that says so.
func Explain(cmd *cobra.Command, texts fs.FS) {
	path := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
	raw, err := fs.ReadFile(texts, "help/"+strings.ReplaceAll(path, " ", "-")+".txt")
	if err == nil { // Short is enough for the others
		long, examples, _ := strings.Cut(string(raw), "\nExamples:\n")
		cmd.Long, cmd.Example = strings.TrimRight(long, "\n"), strings.TrimRight(examples, "\n")
	}
	for _, sub := range cmd.Commands() {
		Explain(sub, texts)
	}
}
