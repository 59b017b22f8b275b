// Command ledgerline is the whole of Ledgerline in one binary: `up` runs a ledger with
// its three servers on one machine, and the other commands feed it, follow it, report
// from it and answer data subjects.
//
// It reads flags, asks package office for what people want and package node for what this
// machine runs, and prints what they return. It decides and keeps nothing. It trusts whoever
// may read the data directory, as far as accounts do not say otherwise.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/settings"
)

// Exit codes, as the help of every command promises them.
const (
	exitOK      = 0
	exitFailed  = 1 // the command could not do what was asked
	exitUsage   = 2 // the command line or the configuration is wrong
	exitPartial = 3 // done, but some records failed or were refused for an error; the output names them
)

// exitError carries an exit code other than exitFailed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == engineCommand {
		os.Exit(runEngine())
	}
	keepPrivate()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	a := &app{}
	root := newRoot(a)
	root.SetArgs(args)
	code, err := a.execute(ctx, root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ledgerline: "+err.Error())
	}
	return code
}

// execute runs the command and returns the exit code; what is wrong with what was asked is said in
// flags.
func (a *app) execute(ctx context.Context, root *cobra.Command) (int, error) {
	err := inFlags(a.inFlags(root.ExecuteContext(ctx)))
	if err == nil {
		return exitOK, nil
	}
	return a.exitCode(err), err
}

// exitCode returns the code that err carries; whatever went wrong before the command itself
// began is a wrong command line.
func (a *app) exitCode(err error) int {
	var coded *exitError
	var wrong *settings.Error
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &wrong), a.log == nil:
		return exitUsage
	}
	return exitFailed
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "ledgerline",
		Short:         "An event-sourced audit and compliance ledger for device management",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.load(cmd)
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{exitUsage, err} })
	a.flags(root)
	root.AddCommand(newUp(a), newTenant(a), newImport(a), newTail(a), newStatus(a), newReport(a), newDSAR(a),
		newViews(a), newRelay(a),
		newLedger(a), newEventStore(a), newConnect(a), newFleet(), newRestore(a), newReindex(a), newOfficer(a),
		newSchema())
	explain(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, sub := range root.Commands() {
		if sub.Name() == "help" {
			sub.Args = func(_ *cobra.Command, args []string) error {
				if c, rest, err := root.Find(args); c == nil || err != nil || len(rest) > 0 {
					return usage("there is no help on %q: `ledgerline --help` lists what there is",
						strings.Join(args, " "))
				}
				return nil
			}
		}
	}
	strictly(root)
	return root
}
