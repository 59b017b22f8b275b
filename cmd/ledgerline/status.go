package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
)

func newStatus(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say where each part stands: sequence, relay, views, lag",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc, err := node.AskStatus(cmd.Context(), a.node(nil))
			if err != nil {
				return err
			}
			if err := writeOutput(cmd.OutOrStdout(), output, doc, doc.WriteText); err != nil {
				return err
			}
			if n := len(doc.Problems); n > 0 {
				return fmt.Errorf("%d problems stand", n)
			}
			return nil
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// tellProblems warns of what stands in the running ledger: an answer that is made meanwhile counts
// forged events as true, and lacks what is lost. A ledger on servers of its own is not asked.
func (a *app) tellProblems(ctx context.Context, w io.Writer) {
	doc, err := node.AskStatus(ctx, a.node(nil))
	if errors.Is(err, datadir.ErrNotUp) {
		return
	}
	if err != nil {
		fmt.Fprintf(w, "warning: whether a problem stands in the ledger could not be asked: %v\n", err)
	}
	for _, p := range doc.Problems {
		fmt.Fprintf(w, "warning: this is made while a problem stands: %s\n", p)
	}
}

func outputFlag(cmd *cobra.Command, output *string) {
	choiceFlag(cmd, output, "output", "o", "text", "text or json", "text", "json")
}

// writeOutput writes doc as indented JSON, or as text.
func writeOutput(w io.Writer, output string, doc any, text func(io.Writer)) error {
	if output == "json" { // the flag took no other
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(doc)
	}
	text(w)
	return nil
}
