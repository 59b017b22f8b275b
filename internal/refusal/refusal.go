// Package refusal owns the words of the command line for what the rooms refuse: they say it by a
// code and a field, and this is the one place that knows the flag and the way out.
//
// It keeps no state. It trusts the rooms that a code names nobody.
package refusal

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/restore"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// In says what err refuses, a line for each, and whether the command line was all that was wrong.
// ok is false for an error that holds anything else: that is to be said as it is.
func In(err error) (text string, usage, ok bool) {
	all, only := problemsIn(err)
	if !only || len(all) == 0 {
		return "", false, false
	}
	var texts []string
	usage = true
	for _, p := range all {
		texts = append(texts, p.text)
		usage = usage && p.code == wrong
	}
	return strings.Join(texts, "\n"), usage, true
}

// kind says whose fault it was.
type kind bool

const (
	wrong   kind = true  // what was asked cannot be
	refused kind = false // it can be, and is not to be done here and now
)

// problem is one thing that is wrong, in words.
type problem struct {
	text string
	code kind
}

// problemsIn returns the problems in err, and whether it holds nothing else.
func problemsIn(err error) (all []problem, only bool) {
	switch e := err.(type) {
	case nil:
		return nil, true
	case *report.Problem:
		code := wrong
		if e.Field == dsar.FieldSequence { // nobody gave it
			code = refused
		}
		return []problem{{reportText(e), code}}, true
	case *custody.Problem:
		text, code := custodyText(e)
		return []problem{{text, code}}, true
	case *access.Denied:
		return []problem{{deniedText(e), refused}}, true
	case *office.Problem:
		return []problem{{officeText(e), wrong}}, true
	case *accounts.Problem:
		text, code := accountText(e)
		return []problem{{text, code}}, true
	case *restore.Problem:
		text, code := restoreText(e)
		return []problem{{text, code}}, true
	case *datadir.Problem:
		return []problem{{directoryText(e), refused}}, true
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

// custodyText is what is wrong with an act, and whether the command line was wrong.
func custodyText(p *custody.Problem) (text string, code kind) {
	flag := flagOf(p.Field)
	switch p.Code {
	case custody.ErrMissing:
		switch p.Field {
		case custody.FieldPurpose:
			return purposeText, wrong
		case custody.FieldEvent:
			return "name the events to disown, as `ledgerline ledger check` prints them", wrong
		case custody.FieldLoss:
			return "nothing is lost: leave out --accept-loss", wrong
		}
		return fmt.Sprintf("%s is required: one of %s", flag, strings.Join(p.Known, ", ")), wrong
	case custody.ErrUnknown:
		if p.Field == custody.FieldPerson {
			return fmt.Sprintf("%s %s is none of those who held that identifier: they count from 1 to %d", flag,
				p.Given, p.Most), wrong
		}
		return fmt.Sprintf("%s %q is not known: use one of %s", flag, p.Given, strings.Join(p.Known, ", ")), wrong
	case custody.ErrUnfit:
		if p.Field == custody.FieldRight {
			return fmt.Sprintf("the request asks for %s: open one for it with `ledgerline dsar open %s %s`", p.Given,
				flag, strings.Join(p.Known, "|")), refused
		}
		return flag + " identifies nobody: set it to the UPN or account of who acts", refused
	case custody.ErrTooMany:
		return fmt.Sprintf("%s events, or places where they stand, are too many: at most %d at once", p.Given,
			p.Most), wrong
	case custody.ErrNoRequest:
		return fmt.Sprintf("there is no request %s: give the number that `ledgerline dsar open` printed, and its "+
			"tenant by --tenant", p.Given), wrong
	case custody.ErrNoSuchPerson:
		return fmt.Sprintf("nobody is known under that identifier: give %s a UPN, an e-mail address or a directory "+
			"object id of the tenant", flag), refused
	case custody.ErrSeveralPersons:
		return "several persons held that identifier: choose one with " + flag + " N", wrong
	case custody.ErrOwnRequest:
		return "nobody handles their own request: another officer does", refused
	case custody.ErrUnderWay:
		return fmt.Sprintf("the erasure is under way: another call is at it; ask again after %s, which says whether "+
			"it was done or carries it on", p.Until.Local().Format("15:04:05")), refused
	case vault.ErrErased:
		return "the person of this request was erased before, and nothing was done now", refused
	case vault.ErrHeld:
		return "the person of this request is under a hold, which forbids to erase them until it is lifted", refused
	case vault.ErrExists:
		return fmt.Sprintf("tenant %q exists already: `ledgerline tenant list` shows it", p.Given), refused
	case custody.ErrOwnEvent:
		return fmt.Sprintf("event %s (sequence %d) is the ledger's own: leave it out", p.Given, *p.Seq), refused
	case custody.ErrNoEvent:
		return fmt.Sprintf("event %s is not in the ledger: it has no sequence, and is in no view. Leave it out",
			p.Given), refused
	case custody.ErrNotTenants:
		return fmt.Sprintf("event %s (sequence %d) does not name this tenant: only the operator of the whole ledger "+
			"can disown it, without --tenant", p.Given, *p.Seq), refused
	}
	return flag + ": " + p.Code.Error(), refused
}

func deniedText(d *access.Denied) string {
	switch d.Code {
	case access.NotSignedIn:
		return "not allowed: this ledger has accounts, and nobody is signed in: --as NAME (or LEDGERLINE_AS) does; " +
			"its password is asked for"
	case access.NoRole:
		if len(d.Roles) == 1 {
			return fmt.Sprintf("not allowed: it takes the role %s", d.Roles[0])
		}
		return fmt.Sprintf("not allowed: it takes one of the roles %s", Roles(d.Roles))
	case access.NotTheirs:
		return "not allowed: --tenant is not one of yours"
	case access.NotAll:
		return "not allowed: it concerns all tenants, and your account is for some: where there is --tenant, name one"
	}
	return d.Error()
}

// officeText is what is wrong with a tenant, a time zone or a day that was named.
func officeText(p *office.Problem) string {
	switch p.Field {
	case office.FieldZone:
		return fmt.Sprintf("--time-zone %q is not an IANA name such as Europe/Amsterdam", p.Given)
	case office.FieldReceived:
		return fmt.Sprintf("--received %q is not a day up to today (%s)", p.Given, strings.Join(p.Known, " in "))
	}
	var names []string
	for _, n := range p.Known {
		names = append(names, fmt.Sprintf("%q", n))
	}
	switch p.Code {
	case office.ErrNone:
		return "there is no tenant yet: add one with `ledgerline tenant add NAME --source-tenant ID|any`"
	case office.ErrMissing:
		return fmt.Sprintf("--tenant is required: one of %s", strings.Join(names, ", "))
	}
	return fmt.Sprintf("there is no tenant %q: --tenant is one of %s", p.Given, strings.Join(names, ", "))
}

// accountText is what is wrong with an account or with signing in, and whether the command line
// was wrong.
func accountText(p *accounts.Problem) (text string, code kind) {
	switch p.Code {
	case accounts.ErrMissing:
		switch p.Field {
		case accounts.FieldRole:
			return "--role is required: one or more of " + strings.Join(p.Known, ", "), wrong
		case accounts.FieldTenant:
			return "--tenant is required: the tenants the account acts for, or all", wrong
		}
		return "NAME is empty: name who signs in, best by their UPN", wrong
	case accounts.ErrUnknown:
		return fmt.Sprintf("--role %q is not known: use one of %s", p.Given, strings.Join(p.Known, ", ")), wrong
	case accounts.ErrUnfit:
		return "NAME cannot be one: it has at most 256 bytes of printable text, and no blank at its ends", wrong
	case accounts.ErrExists:
		return "there is an account of that name: `ledgerline officer set` changes its roles, `ledgerline officer " +
			"passwd` its password", refused
	case accounts.ErrNone:
		return "there is no account of that name: `ledgerline officer list` shows them", wrong
	case accounts.ErrTooShort:
		return fmt.Sprintf("a password has at least %d characters", p.Bound), wrong
	case accounts.ErrTooMany:
		if p.Field == accounts.FieldPassword {
			return fmt.Sprintf("a password has at most %d characters", p.Bound), wrong
		}
		return fmt.Sprintf("there are %d accounts, and no more are kept: remove one first", p.Bound), refused
	case accounts.ErrFirst:
		return "the first account must be able to make the others: give it --role tenant-admin (beside others) and " +
			"--tenant all", wrong
	case accounts.ErrLast:
		return "it is the last account with the role tenant-admin for all tenants: nobody could manage accounts " +
			"after that. Give another that role first", refused
	case accounts.ErrWrong:
		return "name or password is wrong", refused
	case accounts.ErrLocked:
		return fmt.Sprintf("too many wrong passwords: none is looked at before %s",
			p.Until.Local().Format("15:04:05")), refused
	case accounts.ErrNobody:
		return "nobody has an account yet: leave out --as, or make one with `ledgerline officer add NAME`", wrong
	}
	return p.Error(), refused
}

// directoryText adds to what is wrong with the data directory how another is given, where another
// would do.
func directoryText(p *datadir.Problem) string {
	switch p.Code {
	case datadir.ErrOthersReach:
		return p.Error()
	case datadir.ErrAlreadyUp, datadir.ErrOthersWrite:
		return p.Error() + ", or give another --data"
	}
	return p.Error() + ": give another --data"
}

// Roles names roles in a sentence.
func Roles(roles []access.Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// FindsOut says of a value that was not sealed for its place how to learn why, and how to end it.
const FindsOut = "`ledgerline ledger check` names forged events, `ledgerline ledger disown` takes them out, and " +
	"`ledgerline views reconcile --deep` names what differs in the views"

// restoreText says why nothing is restored.
func restoreText(p *restore.Problem) (string, kind) {
	switch p.Code {
	case restore.ErrNoLedger:
		return fmt.Sprintf("there is no ledger in %s (no %s at %s): name the right directory with --data, or make a "+
			"ledger with `ledgerline up`", p.Path, p.Lacks, p.At), wrong
	case restore.ErrNoVault:
		return fmt.Sprintf("there is no vault in %s. Put a copy of %s and %s there, or name the folder of one with "+
			"--from. Without any copy there is no way to make it again: its keys were random, and what is sealed "+
			"under them can be read by nobody", p.Path, p.Files[0], p.Files[1]), refused
	case restore.ErrNoCopy:
		return fmt.Sprintf("--from: a copy of the vault is two files, %s and %s: %v", p.Files[0], p.Files[1],
			p.Cause), wrong
	case restore.ErrInTheWay:
		aside := terminal.Word(filepath.Join(p.Path, "aside-vault"))
		return fmt.Sprintf("%s is there, and nothing is replaced. Move it aside first, with all that goes with it: "+
			"mkdir %s && mv %s/vault.* %s/", p.At, aside, terminal.Word(p.Path), aside), wrong
	}
	return p.Error(), refused
}
