// Package cli owns how a command line is described and answered: a command as one literal, flags
// that take a few values, groups that refuse what they do not have, long texts in files, exit
// codes, and results as text or JSON.
//
// It knows no ledger and keeps nothing but what one call was given. It trusts nobody who types.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// Exit codes, as the help of every command promises them.
const (
	OK      = 0
	Failed  = 1 // the command could not do what was asked
	Wrong   = 2 // the command line or the configuration is wrong
	Partial = 3 // done, but some records failed or were refused for an error; the output names them
)

// Error carries the exit code that a command ends with.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *Error) Unwrap() error { return e.Err }

// Exit has an error, where it is one, end the command with a code.
func Exit(code int, err error) error {
	if err == nil {
		return nil
	}
	return &Error{code, err}
}

// Code returns the code that err carries, Failed where it carries none.
func Code(err error) int {
	var coded *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &coded):
		return coded.Code
	}
	return Failed
}

// Usage says what is wrong with what was typed.
func Usage(format string, args ...any) error { return Exit(Wrong, fmt.Errorf(format, args...)) }

// Command is a command that does something. Its long text stands in a file (Explain).
type Command struct {
	Use, Short string
	Args       cobra.PositionalArgs // none where nil
	Flags      func(Flags)
	Run        func(c *Call) error
}

// Call is one call of a command: what was typed, and the ends that it reads and writes.
type Call struct {
	Ctx      context.Context
	Args     []string
	In       io.Reader
	Out, Err io.Writer
	Output   string // the form of what is printed
	typed    *pflag.FlagSet
}

// New makes a command of its description.
func New(d Command) *cobra.Command {
	c := &Call{}
	cmd := &cobra.Command{Use: d.Use, Short: d.Short, Args: d.Args,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Ctx, c.typed, c.Args = cmd.Context(), cmd.Flags(), args
			c.In, c.Out, c.Err = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return d.Run(c)
		}}
	if d.Flags != nil {
		d.Flags(Flags{cmd.Flags(), c})
	}
	return cmd
}

// Group is a command that does nothing but hold others.
func Group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(subs...)
	return cmd
}

// Flags are those of a command.
type Flags struct {
	*pflag.FlagSet
	call *Call
}

// Output adds the flag that Print obeys.
func (f Flags) Output() { f.Form("text", "text or json", "text", "json") }

// Form adds the flag that says in which of these forms the result is printed.
func (f Flags) Form(initial, help string, of ...string) {
	f.Choice(&f.call.Output, "output", "o", initial, help, of...)
}

// Choice adds a flag whose value is one of a few. initial may be "", for none given.
func (f Flags) Choice(to *string, name, short, initial, help string, of ...string) {
	*to = initial
	f.VarP(choice{to, of}, name, short, help)
}

// choice is the value of a flag that takes a few; any other is refused before the command begins.
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

// Changed reports whether a flag was typed.
func (c *Call) Changed(flag string) bool { return c.typed.Changed(flag) }

// Print writes what an act came to, as indented JSON or as text, unless the act failed.
func (c *Call) Print(doc interface{ WriteText(io.Writer) }, err error) error {
	if err != nil {
		return err
	}
	return c.Write(doc, doc.WriteText)
}

// Write writes doc as indented JSON, or else its text.
func (c *Call) Write(doc any, text func(io.Writer)) error {
	if c.Output != "json" { // the flag took no other
		text(c.Out)
		return nil
	}
	enc := json.NewEncoder(c.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// Tell writes a line about what an act came to, unless the act failed.
func (c *Call) Tell(err error, format string, args ...any) error {
	if err == nil {
		fmt.Fprintf(c.Out, format+"\n", args...)
	}
	return err
}

// Progress shows how far long work is, beside what the command prints.
func (c *Call) Progress() *terminal.Progress { return terminal.NewProgress(c.Err) }

// Secret returns a value, or for "-" the first line of standard input, so that shells keep no
// names. At a terminal it asks for it by what it is. It errs with terminal.ErrNoName.
func (c *Call) Secret(value, what string) (string, error) {
	if value != "-" {
		return value, nil
	}
	return terminal.Name(c.In, c.Err, what)
}
