// Package refusal owns the words of the command line for what the rooms refuse: they say it by a
// code and a field, and this is the one place that knows the flag and the way out.
//
// It keeps no state. It trusts the rooms that a code names nobody.
package refusal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/restore"
	"github.com/ledgerline/ledgerline/internal/signin"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Verdict says whose fault an error was.
type Verdict int

// Verdicts.
const (
	Broken  Verdict = iota // nobody's that asked
	Refused                // what was asked can be, and is not to be done here and now
	Wrong                  // what was asked cannot be
)

// Said says what a room refuses in the words of the command line. An error that holds anything
// else stays as it is, with its way out where there is one.
func Said(err error) (Verdict, error) {
	if err == nil {
		return Broken, nil
	}
	err, mistyped := wayOut(err)
	if mistyped {
		return Wrong, err
	}
	all, only := problemsIn(err)
	if !only || len(all) == 0 {
		return Broken, err
	}
	var texts []string
	whose := Wrong
	for _, p := range all {
		texts = append(texts, p.text)
		whose = min(whose, p.whose)
	}
	return whose, &said{strings.Join(texts, "\n"), err}
}

// said is an error in the words of the command line.
type said struct {
	text string
	err  error
}

func (s *said) Error() string { return s.text }

func (s *said) Unwrap() error { return s.err }

// wayOut adds what is to be typed to errors that a room says in words, and tells whether the
// command line was wrong.
func wayOut(err error) (said error, mistyped bool) {
	switch {
	case errors.Is(err, datadir.ErrNotUp):
		return fmt.Errorf("%w: start it with `ledgerline up`, name its directory with --data, or configure "+
			"eventstore.address, kafka.brokers and clickhouse.address", err), false
	case errors.Is(err, office.ErrViewsBehind):
		return fmt.Errorf("%w (--no-wait reports on what they hold)", err), false
	case errors.Is(err, signin.ErrNoName):
		return fmt.Errorf("%w: --as NAME", err), true
	case errors.Is(err, terminal.ErrShort), errors.Is(err, terminal.ErrDifferent):
		return err, true
	}
	return err, false
}

// problem is one thing that is wrong, in words.
type problem struct {
	text  string
	whose Verdict
}

// problemsIn returns the problems in err, and whether it holds nothing else.
func problemsIn(err error) (all []problem, only bool) {
	switch e := err.(type) {
	case nil:
		return nil, true
	case *report.Problem:
		whose := Wrong
		if e.Field == dsar.FieldSequence { // nobody gave it
			whose = Refused
		}
		return []problem{{reportText(e), whose}}, true
	case *custody.Problem:
		text, whose := custodyText(e)
		return []problem{{text, whose}}, true
	case *access.Denied:
		return []problem{{deniedText(e), Refused}}, true
	case *office.Problem:
		return []problem{{officeText(e), Wrong}}, true
	case *accounts.Problem:
		text, whose := accountText(e)
		return []problem{{text, whose}}, true
	case *restore.Problem:
		text, whose := restoreText(e)
		return []problem{{text, whose}}, true
	case *datadir.Problem:
		return []problem{{directoryText(e), Refused}}, true
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

// purposeText says which purposes there are.
func purposeText(known []string) string {
	return "--purpose is required to see protected values (or use --masked): one of " + strings.Join(known, ", ") +
		"; words of your own go behind a colon, as in \"security-incident: INC-42\"; it is recorded in the ledger"
}

const purposeWords = "--purpose other says too little: tell it in words, as in \"other: what for\""

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
			return purposeText(p.Known)
		case p.Field == report.FieldWords:
			return purposeWords
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
	case report.Masked:
		return flag + " and --masked do not go together: masked, nothing is unsealed and no purpose is recorded"
	case report.Negative:
		if p.Field == report.FieldAsOfSeq {
			return fmt.Sprintf("%s %s is no ledger sequence: they count from 0", flag, p.Given)
		}
		if p.Field == report.FieldSample {
			return fmt.Sprintf("%s %s draws nothing: give at least 1", flag, p.Given)
		}
		return fmt.Sprintf("%s %s is negative", flag, p.Given)
	case report.Alone:
		if p.Field == report.FieldSample {
			return flag + " needs " + flagOf(p.Other) + ", so that an auditor can draw the same rows again"
		}
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
		return flag + " names nobody: give a UPN, an e-mail address or a directory object id (- reads it " +
			"from standard input)"
	case report.NoDevice:
		return flag + ": no such device: give its Intune or directory id, or its stream as a report prints it; its " +
			"name or serial number where the report unseals, since they are protected"
	case report.Several:
		return fmt.Sprintf("%s: several devices are called so: give one of %s", flag, strings.Join(p.Known, ", "))
	case report.NoName:
		return fmt.Sprintf("%s%s is not in the catalogue: give an attribute id, as in device.os-version", flag, given)
	}
	return fmt.Sprintf("%s: %s", flag, p.Code)
}

// custodyText is what is wrong with an act, and whether the command line was wrong.
func custodyText(p *custody.Problem) (text string, whose Verdict) {
	flag := flagOf(p.Field)
	switch p.Code {
	case custody.ErrMissing:
		switch p.Field {
		case custody.FieldPurpose:
			return purposeText(p.Known), Wrong
		case custody.FieldWords:
			return purposeWords, Wrong
		case custody.FieldEvent:
			return "name the events to disown, as `ledgerline ledger check` prints them", Wrong
		case custody.FieldLoss:
			return "nothing is lost: leave out --accept-loss", Wrong
		}
		return fmt.Sprintf("%s is required: one of %s", flag, strings.Join(p.Known, ", ")), Wrong
	case custody.ErrUnknown:
		if p.Field == custody.FieldPerson {
			return fmt.Sprintf("%s %s is none of those who held that identifier: they count from 1 to %d", flag,
				p.Given, p.Most), Wrong
		}
		return fmt.Sprintf("%s %q is not known: use one of %s", flag, p.Given, strings.Join(p.Known, ", ")), Wrong
	case custody.ErrUnfit:
		if p.Field == custody.FieldRight {
			return fmt.Sprintf("the request asks for %s: open one for it with `ledgerline dsar open %s %s`", p.Given,
				flag, strings.Join(p.Known, "|")), Refused
		}
		return flag + " identifies nobody: set it to the UPN or account of who acts", Refused
	case custody.ErrTooMany:
		return fmt.Sprintf("%s events, or places where they stand, are too many: at most %d at once", p.Given,
			p.Most), Wrong
	case custody.ErrNoRequest:
		return fmt.Sprintf("there is no request %s: give the number that `ledgerline dsar open` printed, and its "+
			"tenant by --tenant", p.Given), Wrong
	case custody.ErrNoSuchPerson:
		return fmt.Sprintf("nobody is known under that identifier: give %s a UPN, an e-mail address or a directory "+
			"object id of the tenant", flag), Refused
	case custody.ErrSeveralPersons:
		return "several persons held that identifier: choose one with " + flag + " N", Wrong
	case custody.ErrOwnRequest:
		return "nobody handles their own request: another officer does", Refused
	case custody.ErrUnderWay:
		return fmt.Sprintf("the erasure is under way: another call is at it; ask again after %s, which says whether "+
			"it was done or carries it on", p.Until.Local().Format("15:04:05")), Refused
	case vault.ErrErased:
		return "the person of this request was erased before, and nothing was done now", Refused
	case vault.ErrHeld:
		return "the person of this request is under a hold, which forbids to erase them until it is lifted", Refused
	case vault.ErrExists:
		return fmt.Sprintf("tenant %q exists already: `ledgerline tenant list` shows it", p.Given), Refused
	case custody.ErrOwnEvent:
		return fmt.Sprintf("event %s (sequence %d) is the ledger's own: leave it out", p.Given, *p.Seq), Refused
	case custody.ErrNoEvent:
		return fmt.Sprintf("event %s is not in the ledger: it has no sequence, and is in no view. Leave it out",
			p.Given), Refused
	case custody.ErrNotTenants:
		return fmt.Sprintf("event %s (sequence %d) does not name this tenant: only the operator of the whole ledger "+
			"can disown it, without --tenant", p.Given, *p.Seq), Refused
	}
	return flag + ": " + p.Code.Error(), Refused
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

// officeText is what is wrong with what was asked of a use case.
func officeText(p *office.Problem) string {
	switch p.Field {
	case office.FieldZone:
		return fmt.Sprintf("--time-zone %q is not an IANA name such as Europe/Amsterdam", p.Given)
	case office.FieldSources:
		return "--source-tenant is required: the source's tenant id, or " + office.AnySource
	case office.FieldTenants:
		return "--tenant " + office.AllTenants + " names all tenants: leave out the others"
	case office.FieldPerson:
		return fmt.Sprintf("--person %s is none of those listed: they count from 1", p.Given)
	case office.FieldRequest:
		return fmt.Sprintf("request %q is not a uuid, as `ledgerline dsar open` printed it", p.Given)
	case office.FieldEvent:
		return fmt.Sprintf("event %q is not a uuid, as `ledgerline ledger check` prints it", p.Given)
	case office.FieldPath:
		if p.Code == office.ErrMissing {
			return "name at least one file or folder to import"
		}
		return "cannot import: " + p.Given
	case office.FieldPace:
		return "--workers and --batch count from 1; 0 is the default"
	case office.FieldWait:
		return fmt.Sprintf("--wait %s is not longer than nothing: --no-wait does not wait", p.Given)
	case office.FieldObserved:
		switch p.Code {
		case office.ErrFuture:
			return fmt.Sprintf("--observed %s is in the future: nothing was observed then", p.Given)
		case office.ErrUnknown:
			return fmt.Sprintf("--observed %s is of a year that means unknown", p.Given)
		}
		return "--observed wants a time with its zone: 2026-09-04T08:00:00Z or 2026-09-04T10:00:00+02:00"
	case office.FieldReceived:
		if p.Code == office.ErrUnfit {
			return fmt.Sprintf("--received %q is not a day in the form 2026-03-01", p.Given)
		}
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
func accountText(p *accounts.Problem) (text string, whose Verdict) {
	switch p.Code {
	case accounts.ErrMissing:
		switch p.Field {
		case accounts.FieldRole:
			return "--role is required: one or more of " + strings.Join(p.Known, ", "), Wrong
		case accounts.FieldTenant:
			return "--tenant is required: the tenants the account acts for, or all", Wrong
		}
		return "NAME is empty: name who signs in, best by their UPN", Wrong
	case accounts.ErrUnknown:
		return fmt.Sprintf("--role %q is not known: use one of %s", p.Given, strings.Join(p.Known, ", ")), Wrong
	case accounts.ErrUnfit:
		return "NAME cannot be one: it has at most 256 bytes of printable text, and no blank at its ends", Wrong
	case accounts.ErrExists:
		return "there is an account of that name: `ledgerline officer set` changes its roles, `ledgerline officer " +
			"passwd` its password", Refused
	case accounts.ErrNone:
		return "there is no account of that name: `ledgerline officer list` shows them", Wrong
	case accounts.ErrTooShort:
		return fmt.Sprintf("a password has at least %d characters", p.Bound), Wrong
	case accounts.ErrTooMany:
		if p.Field == accounts.FieldPassword {
			return fmt.Sprintf("a password has at most %d characters", p.Bound), Wrong
		}
		return fmt.Sprintf("there are %d accounts, and no more are kept: remove one first", p.Bound), Refused
	case accounts.ErrFirst:
		return "the first account must be able to make the others: give it --role tenant-admin (beside others) and " +
			"--tenant all", Wrong
	case accounts.ErrLast:
		return "it is the last account with the role tenant-admin for all tenants: nobody could manage accounts " +
			"after that. Give another that role first", Refused
	case accounts.ErrWrong:
		return "name or password is wrong", Refused
	case accounts.ErrLocked:
		return fmt.Sprintf("too many wrong passwords: none is looked at before %s",
			p.Until.Local().Format("15:04:05")), Refused
	case accounts.ErrNobody:
		return "nobody has an account yet: leave out --as, or make one with `ledgerline officer add NAME`", Wrong
	}
	return p.Error(), Refused
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
func restoreText(p *restore.Problem) (string, Verdict) {
	switch p.Code {
	case restore.ErrOlder:
		return fmt.Sprintf("this copy of the vault is older than the ledger: %s. Nothing was changed. Put back a "+
			"newer copy and run this again; or, where there is none, declare that what is sealed under those keys "+
			"is lost: `%s --accept-loss --yes`", restore.LostText(p.Unknown), p.Again), Refused
	case restore.ErrMissing:
		return fmt.Sprintf("the vault has noted %s events more than the topics hold. If a newer copy of the event "+
			"store or of the topics is to be had, put it back and run this again. Otherwise `%s --accept-loss --yes` "+
			"declares that they are lost", terminal.Count(p.Missing), p.Again), Refused
	case restore.ErrNoTopic:
		return fmt.Sprintf("%q is not a topic of the ledger, such as ledger.device", p.At), Wrong
	case restore.ErrAllTopics:
		return "--everything names every topic: name none beside it", Wrong
	case restore.ErrNoLedger:
		return fmt.Sprintf("there is no ledger in %s (no %s at %s): name the right directory with --data, or make a "+
			"ledger with `ledgerline up`", p.Path, p.Lacks, p.At), Wrong
	case restore.ErrNoVault:
		return fmt.Sprintf("there is no vault in %s. Put a copy of %s and %s there, or name the folder of one with "+
			"--from. Without any copy there is no way to make it again: its keys were random, and what is sealed "+
			"under them can be read by nobody", p.Path, p.Files[0], p.Files[1]), Refused
	case restore.ErrNoCopy:
		return fmt.Sprintf("--from: a copy of the vault is two files, %s and %s: %v", p.Files[0], p.Files[1],
			p.Cause), Wrong
	case restore.ErrInTheWay:
		aside := terminal.Word(filepath.Join(p.Path, "aside-vault"))
		return fmt.Sprintf("%s is there, and nothing is replaced. Move it aside first, with all that goes with it: "+
			"mkdir %s && mv %s/vault.* %s/", p.At, aside, terminal.Word(p.Path), aside), Wrong
	}
	return p.Error(), Refused
}
