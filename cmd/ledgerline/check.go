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

// target is where a command's result goes: a file that appears whole, or not at all. It is made
// before the first act, so that an act is not recorded for a result that cannot be kept.
type target struct {
	path string
	f    *os.File
}

// newTarget refuses a file that exists, and a folder in which none can be made.
func newTarget(flag, path string) (*target, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, usage("--%s: %s exists: move it away, or name another", flag, path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, usage("--%s: %w", flag, err)
	}
	t, err := makeTarget(path)
	if err != nil {
		return nil, usage("--%s: no file can be made in %s: %w", flag, filepath.Dir(path), cause(err))
	}
	return t, nil
}

func makeTarget(path string) (*target, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".ledgerline-*") // its mode is 0600
	return &target{path, f}, err
}

// cause is an error of the file system without the path.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// finish puts the file in its place where err is nil, and otherwise removes it. It replaces no
// other, but on a file system without links one that came since newTarget looked.
func (t *target) finish(err error) error {
	if t.f == nil {
		return err
	}
	f := t.f
	t.f = nil
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		if err = os.Link(f.Name(), t.path); err != nil && !errors.Is(err, fs.ErrExist) {
			return os.Rename(f.Name(), t.path) // a file system without links
		}
	}
	return errors.Join(err, os.Remove(f.Name()))
}
