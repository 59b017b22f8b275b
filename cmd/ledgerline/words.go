package main

import (
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// The rooms say what is wrong with what was asked by a code and a field. This file alone puts that
// into the words of the command line, with the flag and the way out.

// worded says an error in the words of the command line.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.err }

// inFlags puts what is wrong with what was asked into words. An error that holds anything else
// stays.
func inFlags(err error) error {
	all, only := problemsIn(err)
	if !only || len(all) == 0 {
		return err
	}
	var texts []string
	code := exitUsage
	for _, p := range all {
		texts = append(texts, p.text)
		if p.code != exitUsage {
			code = p.code
		}
	}
	return &exitError{code, &worded{strings.Join(texts, "\n"), err}}
}

// problem is one thing that is wrong, in words, and the exit code for it.
type problem struct {
	text string
	code int
}

// problemsIn returns the problems in err, and whether it holds nothing else.
func problemsIn(err error) (all []problem, only bool) {
	switch e := err.(type) {
	case nil:
		return nil, true
	case *report.Problem:
		code := exitUsage
		if e.Field == dsar.FieldSequence { // nobody gave it
			code = exitFailed
		}
		return []problem{{reportText(e), code}}, true
	case *custody.Problem:
		text, code := custodyText(e)
		return []problem{{text, code}}, true
	case *access.Denied:
		return []problem{{deniedText(e), exitFailed}}, true
	case *node.Problem:
		return []problem{{directoryText(e), exitFailed}}, true
	case interface{ Unwrap() []error }:
		only = true
		for _, sub := range e.Unwrap() {
			found, alone := problemsIn(sub)
			all, only = append(all, found...), only && alone
		}
		return all, only
	case interface{ Unwrap() error }:
		if sub := e.Unwrap(); sub != nil {
			return problemsIn(sub)
		}
	}
	return nil, false
}

// flagOf is what a field is called on the command line.
func flagOf(field string) string {
	switch field {
	case report.FieldAsOf:
		return "--as-of"
	case report.FieldAsOfSeq:
		return "--as-of-seq"
	case custody.FieldMethod:
		return "--identity-method"
	case custody.FieldBy:
		return "operator"
	case custody.FieldRequest:
		return "REQUEST"
	case dsar.FieldDevices:
		return "a device of the person"
	}
	return "--" + field
}

const purposeText = "--purpose is required to see protected values; it is recorded in the ledger (or use --masked)"

func reportText(p *report.Problem) string {
	flags := func(names []string) string {
		out := make([]string, len(names))
		for i, n := range names {
			out[i] = flagOf(n)
		}
		return strings.Join(out, ", ")
	}
	flag, given := flagOf(p.Field), fmt.Sprintf(" %q", p.Given)
	if p.Filter {
		given = "" // it may name a person, and standard error is kept by many
	}
	switch p.Code {
	case report.Missing:
		switch {
		case p.Field == report.FieldPurpose:
			return purposeText
		case p.Field == report.FieldBy:
			return "who runs the report is not known: set operator"
		case p.Filters != nil:
			return flag + " is missing: " + p.Filters.Help(words.Default().Base())
		}
		return flag + " is missing"
	case report.Empty:
		return flag + " is empty: leave it out or give a value"
	case report.Unknown:
		return fmt.Sprintf("%s%s is not known: use one of %s", flag, given, strings.Join(p.Known, ", "))
	case report.NoValue:
		if len(p.Known) == 0 {
			return fmt.Sprintf("%s%s: no device has a value here", flag, given)
		}
		return fmt.Sprintf("%s%s: no device has one that begins so; there are %s", flag, given,
			strings.Join(p.Known, ", "))
	case report.Unfit:
		return fmt.Sprintf("%s%s cannot be such a value: give it as the ledger writes it", flag, given)
	case report.NotHere:
		return fmt.Sprintf("%s does not fit this report: it has %s", flag, flags(p.Known))
	case report.Backward:
		return fmt.Sprintf("%s %s is not after %s: the period ends before it", flag, p.Given, flagOf(p.Other))
	case report.TooMany:
		if p.Most > 0 {
			return fmt.Sprintf("%s %s is too many: at most %d", flag, p.Given, p.Most)
		}
		return flag + " takes one value at a time"
	case report.Negative:
		return fmt.Sprintf("%s %s is negative", flag, p.Given)
	case report.Alone:
		return fmt.Sprintf("%s is given without %s", flag, flagOf(p.Other))
	case report.NoTime:
		return fmt.Sprintf("%s %q is not a date or time: write 2026-03-01 or 2026-03-01T09:30:00+01:00", flag, p.Given)
	case report.Skipped:
		return fmt.Sprintf("%s %s does not exist in %s, where the clock skips it: give it with an offset, as in "+
			"2026-03-29T03:30:00+02:00", flag, p.Given, p.Zone)
	case report.Twice:
		return fmt.Sprintf("%s %s happens twice in %s: write %s", flag, p.Given, p.Zone, strings.Join(p.Known, " or "))
	case report.Ahead:
		if p.Field == dsar.FieldSequence {
			return fmt.Sprintf("the views have not reached sequence %s yet, through which a package is made: run it "+
				"again, and see `ledgerline status` where they stay behind", p.Given)
		}
		if p.Through == nil {
			return fmt.Sprintf("%s %s: the views are empty", flag, p.Given)
		}
		return fmt.Sprintf("%s %s is ahead of the views, which are at %d: wait for them, or give a lower sequence",
			flag, p.Given, *p.Through)
	case report.Nobody:
		return flag + " names nobody who acted: give a UPN, an e-mail address or a directory object id (- reads it " +
			"from standard input)"
	case report.NoDevice:
		return flag + ": no such device: give its Intune or directory id, or its stream as a report prints it"
	case report.NoName:
		return fmt.Sprintf("%s%s is not in the catalogue: give an attribute id, as in device.os-version", flag, given)
	}
	return fmt.Sprintf("%s: %s", flag, p.Code)
}

// custodyText is what is wrong with an act, and the exit code for it.
func custodyText(p *custody.Problem) (text string, code int) {
	flag := flagOf(p.Field)
	switch p.Code {
	case custody.ErrMissing:
		switch p.Field {
		case custody.FieldPurpose:
			return purposeText, exitUsage
		case custody.FieldEvent:
			return "name the events to disown, as `ledgerline ledger check` prints them", exitUsage
		case custody.FieldLoss:
			return "nothing is lost: leave out --accept-loss", exitUsage
		}
		return fmt.Sprintf("%s is required: one of %s", flag, strings.Join(p.Known, ", ")), exitUsage
	case custody.ErrUnknown:
		if p.Field == custody.FieldPerson {
			return fmt.Sprintf("%s %s is none of those who held that identifier: they count from 1 to %d", flag,
				p.Given, p.Most), exitUsage
		}
		return fmt.Sprintf("%s %q is not known: use one of %s", flag, p.Given, strings.Join(p.Known, ", ")), exitUsage
	case custody.ErrUnfit:
		if p.Field == custody.FieldRight {
			return fmt.Sprintf("the request asks for %s: open one for it with `ledgerline dsar open %s %s`", p.Given,
				flag, strings.Join(p.Known, "|")), exitFailed
		}
		return flag + " identifies nobody: set it to the UPN or account of who acts", exitFailed
	case custody.ErrTooMany:
		return fmt.Sprintf("%s events, or places where they stand, are too many: at most %d at once", p.Given,
			p.Most), exitUsage
	case custody.ErrNoRequest:
		return fmt.Sprintf("there is no request %s: give the number that `ledgerline dsar open` printed, and its tenant "+
			"by --tenant", p.Given), exitUsage
	case custody.ErrNoSuchPerson:
		return fmt.Sprintf("nobody is known under that identifier: give %s a UPN, an e-mail address or a directory "+
			"object id of the tenant", flag), exitFailed
	case custody.ErrSeveralPersons:
		return "several persons held that identifier: choose one with " + flag + " N", exitUsage
	case custody.ErrOwnRequest:
		return "nobody handles their own request: another officer does", exitFailed
	case custody.ErrUnderWay:
		return fmt.Sprintf("the erasure is under way: another call is at it; ask again after %s, which says whether "+
			"it was done or carries it on", p.Until.Local().Format("15:04:05")), exitFailed
	case vault.ErrErased:
		return "the person of this request was erased before, and nothing was done now", exitFailed
	case vault.ErrHeld:
		return "the person of this request is under a hold, which forbids to erase them until it is lifted", exitFailed
	case vault.ErrExists:
		return fmt.Sprintf("tenant %q exists already: `ledgerline tenant list` shows it", p.Given), exitFailed
	case custody.ErrOwnEvent:
		return fmt.Sprintf("event %s (sequence %d) is the ledger's own: leave it out", p.Given, *p.Seq), exitFailed
	case custody.ErrNoEvent:
		return fmt.Sprintf("event %s is not in the ledger: it has no sequence, and is in no view. Leave it out",
			p.Given), exitFailed
	case custody.ErrNotTenants:
		return fmt.Sprintf("event %s (sequence %d) does not name this tenant: only the operator of the whole ledger "+
			"can disown it, without --tenant", p.Given, *p.Seq), exitFailed
	}
	return flag + ": " + p.Code.Error(), exitFailed
}

func deniedText(d *access.Denied) string {
	switch d.Code {
	case access.NotSignedIn:
		return "not allowed: who acts is not known: set operator"
	case access.NoRole:
		return fmt.Sprintf("not allowed: it takes the role %s", d.Role)
	case access.NotTheirs:
		return "not allowed: --tenant is not one of yours"
	}
	return d.Error()
}

// directoryText adds to what is wrong with the data directory how another is given, where another
// would do.
func directoryText(p *node.Problem) string {
	switch p.Code {
	case node.ErrOthersReach:
		return p.Error()
	case node.ErrAlreadyUp, node.ErrOthersWrite:
		return p.Error() + ", or give another --data"
	}
	return p.Error() + ": give another --data"
}
