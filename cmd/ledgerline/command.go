package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// command is a command that does something. Its long text stands in help/.
type command struct {
	use, short string
	args       cobra.PositionalArgs // none where nil
	flags      func(flags)
	run        func(c *call) error
}

// call is one call of a command: what was typed, and the ends that it reads and writes.
type call struct {
	*app
	ctx            context.Context
	typed          *pflag.FlagSet
	args           []string
	tenant, output string
	in             io.Reader
	out, err       io.Writer
}

// command makes a command of its description.
func (a *app) command(d command) *cobra.Command {
	c := &call{app: a}
	cmd := &cobra.Command{Use: d.use, Short: d.short, Args: d.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.ctx, c.typed, c.args = cmd.Context(), cmd.Flags(), args
			c.in, c.out, c.err = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return d.run(c)
		}}
	if d.flags != nil {
		d.flags(flags{cmd, cmd.Flags(), c})
	}
	return cmd
}

// group is a command that does nothing but hold others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(subs...)
	return cmd
}

// flags are those of a command.
type flags struct {
	cmd *cobra.Command
	*pflag.FlagSet
	c *call
}

// require has the command refuse to begin without the flag, which has just been added.
func (f flags) require(name string) {
	if err := f.cmd.MarkFlagRequired(name); err != nil {
		panic(err)
	}
}

// tenant adds the flag that names one.
func (f flags) tenant() {
	f.StringVar(&f.c.tenant, "tenant", "", "the tenant; may be left out where there is only one")
}

// output adds the flag that print obeys.
func (f flags) output() {
	f.choice(&f.c.output, "output", "o", "text", "text or json", "text", "json")
}

// choice adds a flag whose value is one of a few. initial may be "", for none given.
func (f flags) choice(to *string, name, short, initial, help string, of ...string) {
	*to = initial
	f.VarP(choice{to, of}, name, short, help)
}

// choice is the value of such a flag; any other is refused before the command begins.
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

// print writes what an act came to, as indented JSON or as text, unless the act failed.
func (c *call) print(doc interface{ WriteText(io.Writer) }, err error) error {
	if err != nil {
		return err
	}
	return c.write(doc, doc.WriteText)
}

// write writes doc as indented JSON, or else its text.
func (c *call) write(doc any, text func(io.Writer)) error {
	if c.output != "json" { // the flag took no other
		text(c.out)
		return nil
	}
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// tell writes a line.
func (c *call) tell(format string, args ...any) error {
	fmt.Fprintf(c.out, format+"\n", args...)
	return nil
}

// progress shows how far long work is, beside what the command prints.
func (c *call) progress() *terminal.Progress { return terminal.NewProgress(c.err) }

// at has an act done at a desk, and gives back what that opened.
func (c *call) at(
	open func(desk.Config, context.Context) (*desk.Desk, error), act func(*desk.Desk) error,
) (err error) {
	if err := c.signIn(); err != nil {
		return err
	}
	d, err := open(c.desk(), c.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return act(d)
}

// forTenant has an act done for the tenant that was named.
func (c *call) forTenant(act func(*desk.Desk) error) error {
	return c.at(desk.Config.Acts, func(d *desk.Desk) error {
		if err := d.Choose(c.ctx, c.tenant); err != nil {
			return err
		}
		return act(d)
	})
}

// desk is that of this machine, for whom the settings name.
func (c *call) desk() desk.Config {
	return desk.Config{Node: c.node(nil), Who: c.who(), Warnings: c.err, Places: c.places}
}

// signIn reads the password of the account that is to act. It comes before all else that a command
// reads from standard input.
func (c *call) signIn() error {
	if err := c.who().Check(c.cfg.AsPasswordFile); err != nil || c.cfg.As == "" || c.asPassword != "" {
		return wrong(err)
	}
	var err error
	c.asPassword, err = c.who().ReadPassword(c.ctx, c.in, c.err, c.cfg.AsPasswordFile)
	return wrong(err)
}

// secret returns a value, or for "-" the first line of standard input, so that shells keep no
// names.
func (c *call) secret(flag, value string) (string, error) {
	if value != "-" {
		return value, nil
	}
	line, err := terminal.Name(c.in, c.err, flag)
	if errors.Is(err, terminal.ErrNoName) {
		return "", usage("--%s -: %w", flag, err)
	} else if err != nil {
		return "", fmt.Errorf("--%s -: %w", flag, err)
	}
	return line, nil
}

// target makes the file that a result goes to, which a flag names.
func target(flag, path string) (*answer.File, error) {
	to, err := answer.NewTarget(path)
	if err != nil {
		return nil, usage("--%s: %w", flag, err)
	}
	return to, nil
}
