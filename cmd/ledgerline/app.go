package main

import (
	"cmp"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// app is what the commands share: the settings once they are loaded.
type app struct {
	configFile string
	overrides  map[string]*string
	cfg        settings.Settings
	log        *slog.Logger
	places     places
	asPassword string // of cfg.As, once it is read
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
				return usage("--%s is empty: give it a value, or leave it out", flag)
			}
			if err := s.Set(*v); err != nil {
				return usage("--%s (%s): %w", flag, s.Key, err)
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
