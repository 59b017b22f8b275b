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

	"github.com/ledgerline/ledgerline/projections/report"
)

// What is checked before a command does anything that cannot be undone: the command's own name, its
// flags, and the place where its result goes.

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
		return fmt.Errorf("%q is not %s", s, alternatives(c.of))
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
		meant := nearest(args[0], names)
		if distance(args[0], meant) > len(meant)/3 { // like none of them
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
	f, err := os.CreateTemp(filepath.Dir(path), ".ledgerline-*") // its mode is 0600
	if err != nil {
		return nil, usage("--%s: no file can be made in %s: %w", flag, filepath.Dir(path), cause(err))
	}
	return &target{path, f}, nil
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

// flagOf is what a field of a report's request is called on the command line.
func flagOf(p *report.Problem) string { return "--" + flagNamed(p.Field) }

func flagNamed(field string) string {
	switch field {
	case report.FieldAsOf:
		return "as-of"
	case report.FieldAsOfSeq:
		return "as-of-seq"
	}
	return field
}

// inFlags puts what is wrong with a report's request into the words of the command line; another
// error stays.
func inFlags(err error) error {
	problems, only := report.Problems(err)
	if err == nil || !only {
		return err
	}
	var errs []error
	for _, p := range problems {
		errs = append(errs, errors.New(problemText(p)))
	}
	return &exitError{exitUsage, errors.Join(errs...)}
}

func problemText(p *report.Problem) string {
	flags := func(names []string) string {
		out := make([]string, len(names))
		for i, n := range names {
			out[i] = "--" + flagNamed(n)
		}
		return strings.Join(out, ", ")
	}
	flag, given := flagOf(p), fmt.Sprintf(" %q", p.Given)
	if p.Filter {
		given = "" // it may name a person, and standard error is kept by many
	}
	switch p.Code {
	case report.Missing:
		switch {
		case p.Field == report.FieldPurpose:
			return "--purpose is required to see protected values; it is recorded in the ledger (or use --masked)"
		case p.Field == report.FieldBy:
			return "who runs the report is not known: set operator"
		case p.Filters != nil:
			return flag + " is missing: " + p.Filters.Help.EN
		}
		return flag + " is missing"
	case report.Empty:
		return flag + " is empty: leave it out or give a value"
	case report.Unknown:
		return fmt.Sprintf("%s%s is not known: use one of %s", flag, given, strings.Join(p.Known, ", "))
	case report.NoValue:
		if len(p.Known) == 0 {
			return fmt.Sprintf("%s%s: no device has a value here", flag, given)
		}
		return fmt.Sprintf("%s%s: no device has one that begins so; there are %s", flag, given,
			strings.Join(p.Known, ", "))
	case report.Unfit:
		return fmt.Sprintf("%s%s cannot be such a value: give it as the ledger writes it", flag, given)
	case report.NotHere:
		return fmt.Sprintf("%s does not fit this report: it has %s", flag, flags(p.Known))
	case report.Backward:
		return fmt.Sprintf("%s %s is not after --%s: the period ends before it", flag, p.Given, flagNamed(p.Other))
	case report.TooMany:
		if p.Most > 0 {
			return fmt.Sprintf("%s %s is too many: at most %d", flag, p.Given, p.Most)
		}
		return flag + " takes one value at a time"
	case report.Negative:
		return fmt.Sprintf("%s %s is negative", flag, p.Given)
	case report.Alone:
		return fmt.Sprintf("%s is given without --%s", flag, flagNamed(p.Other))
	case report.NoTime:
		return fmt.Sprintf("%s %q is not a date or time: write 2026-03-01 or 2026-03-01T09:30:00+01:00", flag, p.Given)
	case report.Skipped:
		return fmt.Sprintf("%s %s does not exist in %s, where the clock skips it: give it with an offset, as in "+
			"2026-03-29T03:30:00+02:00", flag, p.Given, p.Zone)
	case report.Twice:
		return fmt.Sprintf("%s %s happens twice in %s: write %s", flag, p.Given, p.Zone, strings.Join(p.Known, " or "))
	case report.Ahead:
		if p.Through == nil {
			return fmt.Sprintf("%s %s: the views are empty", flag, p.Given)
		}
		return fmt.Sprintf("%s %s is ahead of the views, which are at %d: wait for them, or give a lower sequence",
			flag, p.Given, *p.Through)
	case report.Nobody:
		return flag + " names nobody who acted: give a UPN, an e-mail address or a directory object id"
	case report.NoDevice:
		return flag + ": no such device: give its Intune or directory id, or its stream as a report prints it"
	case report.NoName:
		return fmt.Sprintf("%s%s is not in the catalogue: give an attribute id, as in device.os-version", flag, given)
	}
	return fmt.Sprintf("%s: %s", flag, p.Code)
}
