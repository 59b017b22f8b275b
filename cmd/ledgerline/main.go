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
	"embed"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/cmd/ledgerline/alone"
	"github.com/ledgerline/ledgerline/cmd/ledgerline/subject"
	"github.com/ledgerline/ledgerline/cmd/ledgerline/tenants"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/heap"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// texts are the long texts of commands, each in a file of its own, where it is read and wrapped as
// prose.
//
//go:embed help
var texts embed.FS

func main() {
	if len(os.Args) == 2 && os.Args[1] == engineCommand {
		os.Exit(runEngine())
	}
	datadir.KeepPrivate()
	heap.Roomy()
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

// execute runs the command and returns the exit code. Whatever goes wrong before the command
// itself begins is a wrong command line.
func (a *app) execute(ctx context.Context, root *cobra.Command) (int, error) {
	err := root.ExecuteContext(ctx)
	err = inFlags(a.in(), err)
	var coded *cli.Error
	var wrong *settings.Error
	if err != nil && !errors.As(err, &coded) && (errors.As(err, &wrong) || a.log == nil) {
		err = cli.Exit(cli.Wrong, err)
	}
	return cli.Code(err), err
}

// inFlags says what the rooms refuse in the words of the command line, in that language.
func inFlags(in *words.Language, err error) error {
	switch verdict, err := refusal.Said(in, err); verdict {
	case refusal.Wrong:
		return cli.Exit(cli.Wrong, err)
	case refusal.Refused:
		return cli.Exit(cli.Failed, err)
	default:
		return err
	}
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
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return cli.Exit(cli.Wrong, err) })
	a.flags(root)
	root.AddCommand(newUp(a), tenants.Commands(a.host()), newImport(a), newTail(a), newStatus(a), newReport(a),
		newDSAR(a), newViews(a), newRelay(a), newLedger(a), newEventStore(a), newConnect(a), alone.Fleet(),
		newRestore(a), newReindex(a), newOfficer(a), alone.Schema(), subject.New(subject.Door{ForTenant: a.forTenant,
			Secret: a.secret, Print: a.print, In: a.in, Tenant: tenantFlag}))
	cli.Explain(root, texts)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, sub := range root.Commands() {
		if sub.Name() == "help" {
			sub.Args = func(_ *cobra.Command, args []string) error {
				if c, rest, err := root.Find(args); c == nil || err != nil || len(rest) > 0 {
					return cli.Usage("there is no help on %q: `ledgerline --help` lists what there is",
						strings.Join(args, " "))
				}
				return nil
			}
		}
	}
	cli.Strictly(root)
	return root
}
