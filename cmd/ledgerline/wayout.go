package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/restore"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// What the rooms below the commands find wrong, in the words of the command line.

// inFlags adds what is to be typed to errors that a room says by a code.
func (a *app) inFlags(err error) error {
	var unfit *restore.Problem
	switch {
	case errors.Is(err, datadir.ErrNotUp):
		return fmt.Errorf("%w: start it with `ledgerline up`, name its directory with --data, or configure "+
			"eventstore.address, kafka.brokers and clickhouse.address", err)
	case errors.Is(err, office.ErrViewsBehind):
		return fmt.Errorf("%w (--no-wait reports on what they hold)", err)
	case errors.Is(err, terminal.ErrShort), errors.Is(err, terminal.ErrDifferent):
		return &exitError{exitUsage, err}
	case errors.As(err, &unfit):
		return restoreText(unfit)
	}
	return err
}

// inFlags says what the rooms refuse in the words of the command line. An error that holds anything
// else stays.
func inFlags(err error) error {
	text, wrong, ok := refusal.In(err)
	if !ok {
		return err
	}
	code := exitFailed
	if wrong {
		code = exitUsage
	}
	return &exitError{code, &worded{text, err}}
}

// worded says an error in the words of the command line.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.err }

// restoreText says why nothing is restored.
func restoreText(p *restore.Problem) error {
	switch p.Code {
	case restore.ErrNoLedger:
		return usage("there is no ledger in %s (no %s at %s): name the right directory with --data, or make a ledger "+
			"with `ledgerline up`", p.Path, p.Lacks, p.At)
	case restore.ErrNoVault:
		return fmt.Errorf("there is no vault in %s. Put a copy of %s and %s there, or name the folder of one with "+
			"--from. Without any copy there is no way to make it again: its keys were random, and what is sealed "+
			"under them can be read by nobody", p.Path, p.Files[0], p.Files[1])
	case restore.ErrNoCopy:
		return usage("--from: a copy of the vault is two files, %s and %s: %w", p.Files[0], p.Files[1], p.Cause)
	case restore.ErrInTheWay:
		aside := terminal.Word(filepath.Join(p.Path, "aside-vault"))
		return usage("%s is there, and nothing is replaced. Move it aside first, with all that goes with it: "+
			"mkdir %s && mv %s/vault.* %s/", p.At, aside, terminal.Word(p.Path), aside)
	}
	return p
}
