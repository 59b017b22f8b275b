package node

import (
	"log/slog"
	"slices"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// Config is what this machine's part of a ledger is told.
type Config struct {
	Settings settings.Settings
	Log      *slog.Logger

	// Console is told what whoever starts something should read: what was made or mended, and how
	// far long work is.
	Console *terminal.Progress

	// Command says how a command of this program, as in "restore vault", is typed for this data
	// directory.
	Command func(command string) string

	// Engine is the command line by which this program runs as the child that holds ClickHouse's
	// engine.
	Engine []string
}

// Dir is the data directory.
func (c Config) Dir() datadir.Dir { return datadir.Dir(c.Settings.Data) }

// TestVariables are the environment variables by which tests have this program misbehave; there
// are some only where it is built for that.
func TestVariables() []string { return slices.Concat(crashVariables, disturbVariables) }
