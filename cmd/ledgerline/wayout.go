package main

import (
	"errors"
	"fmt"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// What the rooms below the commands find wrong, in the words of the command line.

// inFlags adds what is to be typed to errors that a room says by a code.
func (a *app) inFlags(err error) error {
	switch {
	case errors.Is(err, datadir.ErrNotUp):
		return fmt.Errorf("%w: start it with `ledgerline up`, name its directory with --data, or configure "+
			"eventstore.address, kafka.brokers and clickhouse.address", err)
	case errors.Is(err, office.ErrViewsBehind):
		return fmt.Errorf("%w (--no-wait reports on what they hold)", err)
	case errors.Is(err, terminal.ErrShort), errors.Is(err, terminal.ErrDifferent):
		return &exitError{exitUsage, err}
	}
	return err
}

// inFlags says what the rooms refuse in the words of the command line. An error that holds
// anything else stays.
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
