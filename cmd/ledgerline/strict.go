package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/settings"
)

// strictly has every group of commands below root refuse a subcommand that it does not have, and
// every command arguments that it does not take.
func strictly(cmd *cobra.Command) {
	subs := cmd.Commands()
	for _, sub := range subs {
		strictly(sub)
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
			return usage("unknown command %q for %q: it has %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
		}
		return usage("unknown command %q for %q: it has %s; did you mean %s?", args[0], cmd.CommandPath(),
			strings.Join(names, ", "), meant)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}
