package main

import "github.com/ledgerline/ledgerline/internal/refusal"

// inFlags says what the rooms refuse in the words of the command line. An error that holds
// anything else stays, with its way out where there is one.
func inFlags(err error) error {
	if err == nil {
		return nil
	}
	err, mistyped := refusal.WayOut(err)
	if mistyped {
		return wrong(err)
	}
	text, mistyped, ok := refusal.In(err)
	switch {
	case !ok:
		return err
	case mistyped:
		return wrong(&worded{text, err})
	}
	return &exitError{exitFailed, &worded{text, err}}
}

// worded says an error in the words of the command line.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }

func (w *worded) Unwrap() error { return w.err }
