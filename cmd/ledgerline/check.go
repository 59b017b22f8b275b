package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/settings"
)

// What is checked before a command does anything that cannot be undone: the command's own name,
// its flags, and the place where its result goes.

// choice is a flag whose value is one of a few; cobra refuses any other before the command begins.
type choice struct {
	value *string
	of    []string
}

func (c choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (choice) Type() string { return "string" }

func (c choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("%q is not %s", s, settings.Alternatives(c.of))
	}
	*c.value = s
	return nil
}

// choiceFlag adds such a flag. initial may be "", for none given.
func choiceFlag(cmd *cobra.Command, to *string, name, short, initial, help string, of ...string) {
	*to = initial
	cmd.Flags().VarP(choice{to, of}, name, short, help)
}

// group is a command that does nothing but hold others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(subs...)
	return cmd
}

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

// newTarget refuses a file that exists, and a folder in which none can be made.
func newTarget(flag, path string) (*answer.File, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, usage("--%s: %s exists: move it away, or name another", flag, path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, usage("--%s: %w", flag, err)
	}
	t, err := answer.NewFile(path)
	if err != nil {
		return nil, usage("--%s: no file can be made in %s: %w", flag, filepath.Dir(path), answer.Cause(err))
	}
	return t, nil
}
