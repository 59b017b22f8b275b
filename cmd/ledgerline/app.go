package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/cmd/ledgerline/tenants"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/internal/signin"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// app is what the commands share: the settings once they are loaded.
type app struct {
	configFile string
	overrides  map[string]*string
	cfg        settings.Settings
	log        *slog.Logger
	places     desk.Places
	asPassword string          // of cfg.As, once it is read
	words      *words.Language // of the answer, nil until a tenant or a flag says which
}

// in is the language in which the command answers: that of the command line until it is known.
func (a *app) in() *words.Language {
	if a.words == nil {
		return words.Default().Base()
	}
	return a.words
}

// print writes what an act for a tenant came to: for programs, or for people in their language.
func (a *app) print(c *cli.Call, doc answer.Doc, err error) error {
	if err != nil {
		return err
	}
	return c.Write(doc, func(w io.Writer) { doc.WriteText(w, a.in()) })
}

// flags adds those settings that are flags too; they win over the environment and the file.
func (a *app) flags(root *cobra.Command) {
	a.overrides = map[string]*string{}
	f := root.PersistentFlags()
	f.StringVar(&a.configFile, "config", "", "YAML file; every key is also an environment variable LEDGERLINE_…")
	for _, s := range new(settings.Settings).All() {
		if s.Key != "data" && s.Key != "log.level" && s.Key != "as" {
			continue
		}
		v := new(string)
		a.overrides[s.Key] = v
		f.StringVar(v, strings.ReplaceAll(s.Key, ".", "-"), s.Initial, strings.ReplaceAll(s.Help, "`", "\""))
	}
}

func (a *app) load(cmd *cobra.Command) error {
	c, err := settings.Load(cmp.Or(a.configFile, os.Getenv(settings.FileVariable)), os.Environ(),
		node.TestVariables()...)
	if err != nil {
		return err
	}
	for _, s := range c.All() {
		flag := strings.ReplaceAll(s.Key, ".", "-")
		if v := a.overrides[s.Key]; v != nil && cmd.Flags().Changed(flag) {
			if *v == "" {
				return cli.Usage("--%s is empty: give it a value, or leave it out", flag)
			}
			if err := s.Set(*v); err != nil {
				return cli.Usage("--%s (%s): %w", flag, s.Key, err)
			}
		}
	}
	a.cfg = c
	log, err := c.Logger(os.Stderr)
	if err != nil {
		return err
	}
	a.log = log
	return a.node(nil).Validate()
}

// node is this machine's part of the ledger; what it tells goes to out.
func (a *app) node(out io.Writer) node.Config {
	c := node.Config{Settings: a.cfg, Log: a.log, Command: a.commandLine, Console: terminal.NewProgress(out)}
	if self, err := os.Executable(); err == nil {
		c.Engine = []string{self, engineCommand}
	}
	return c
}

// commandLine is how a command of this program is typed for this data directory.
func (a *app) commandLine(command string) string {
	line := terminal.Word(os.Args[0]) + " " + command
	if a.cfg.Data != settings.DefaultData() {
		line += " --data " + terminal.Word(a.cfg.Data)
	}
	return line
}

// who says who acts, as flags and settings have it.
func (a *app) who() signin.Who {
	return signin.Who{As: a.cfg.As, Password: a.asPassword, Operator: a.cfg.Operator}
}

// signIn reads the password of the account that is to act. It comes before all else that a command
// reads from standard input.
func (a *app) signIn(c *cli.Call) error {
	if err := a.who().Check(a.cfg.AsPasswordFile); err != nil || a.cfg.As == "" || a.asPassword != "" {
		return cli.Exit(cli.Wrong, err)
	}
	var err error
	a.asPassword, err = a.who().ReadPassword(c.Ctx, c.In, c.Err, a.cfg.AsPasswordFile)
	return cli.Exit(cli.Wrong, err)
}

// at has an act done at a desk, and gives back what that opened.
func (a *app) at(
	c *cli.Call, open func(desk.Config, context.Context) (*desk.Desk, error), act func(*desk.Desk) error,
) (err error) {
	if err := a.signIn(c); err != nil {
		return err
	}
	d, err := open(desk.Config{Node: a.node(nil), Who: a.who(), Warnings: c.Err, Words: a.in, Places: a.places}, c.Ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return act(d)
}

// forTenant has an act done for the tenant of that name, "" for the only one, and answers in the
// language of that code, or in the tenant's. What is wrong with what was typed, whatever the
// tenant, ends it before the act, and is said even where no tenant can be asked for its language.
func (a *app) forTenant(c *cli.Call, tenant, lang string, wrong error, act func(*desk.Desk) error) error {
	a.speak(lang)
	err := a.at(c, desk.Config.Acts, func(d *desk.Desk) error {
		if err := d.Choose(c.Ctx, tenant); err != nil {
			return err
		}
		a.speak(cmp.Or(lang, d.Tenant.Language))
		if wrong != nil {
			return wrong
		}
		return act(d)
	})
	return cmp.Or(wrong, err)
}

// host is what commands in packages of their own need of the program.
func (a *app) host() tenants.Host {
	return tenants.Host{At: a.at, ForTenant: a.forTenant, Words: a.in, Speak: a.speak}
}

// speak has the command answer in the language of that code; "" leaves it unknown.
func (a *app) speak(lang string) { a.words, _ = words.Default().Language(lang) }

// secret is c.Secret, asked for and refused in the language of the answer.
func (a *app) secret(c *cli.Call, flag, value, asks string) (string, error) {
	given, err := c.Secret(value, a.in().Text(asks))
	if errors.Is(err, terminal.ErrNoName) {
		return "", &refusal.Typed{Key: "name-missing", Args: words.Args{"flag": "--" + flag}}
	}
	return given, err
}

// tenantFlag adds the flag that names a tenant.
func tenantFlag(f cli.Flags, to *string) {
	f.StringVar(to, "tenant", "", "the tenant; may be left out where there is only one")
}
