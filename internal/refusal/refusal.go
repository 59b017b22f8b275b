// Package refusal owns the words of the command line for what the rooms refuse: they say it by a
// code and a field, and this is the one place that knows the flag and the way out. What an act for
// a tenant is refused for is said in the language of the answer; what is about this machine, its
// accounts and its stores, in that of the command line.
//
// It keeps no state. It trusts the rooms that a code names nobody.
package refusal

import (
	"context"
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
	"github.com/ledgerline/ledgerline/ledger/policy"
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

// Said says what a room refuses in the words of the command line, in that language. An error that
// holds anything else stays as it is, with its way out where there is one.
func Said(in *words.Language, err error) (Verdict, error) {
	if err == nil {
		return Broken, nil
	}
	err, mistyped := wayOut(in, err)
	if mistyped {
		return Wrong, err
	}
	all, only := problemsIn(in, err)
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
func wayOut(in *words.Language, err error) (_ error, mistyped bool) {
	switch {
	case errors.Is(err, datadir.ErrNotUp):
		return fmt.Errorf("%w: start it with `ledgerline up`, name its directory with --data, or configure "+
			"eventstore.address, kafka.brokers and clickhouse.address", err), false
	case errors.Is(err, office.ErrViewsBehind) && errors.Is(err, context.DeadlineExceeded):
		return &said{in.Text("refusal.views-behind"), err}, false
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
func problemsIn(in *words.Language, err error) (all []problem, only bool) {
	acts := acts{in}
	switch e := err.(type) {
	case nil:
		return nil, true
	case *Typed:
		return []problem{{acts.say(e.Key, e.Args), Wrong}}, true
	case *report.Problem:
		whose := Wrong
		if e.Field == dsar.FieldSequence { // nobody gave it
			whose = Refused
		}
		return []problem{{acts.report(e), whose}}, true
	case *custody.Problem:
		text, whose := acts.custody(e)
		return []problem{{text, whose}}, true
	case *access.Denied:
		return []problem{{acts.denied(e), Refused}}, true
	case *policy.Error:
		return []problem{{acts.policy(e), Wrong}}, true
	case *office.Problem:
		return []problem{{acts.office(e), Wrong}}, true
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
			found, alone := problemsIn(in, sub)
			all, only = append(all, found...), only && alone
		}
		return all, only
	case interface{ Unwrap() error }:
		if sub := e.Unwrap(); sub != nil {
			return problemsIn(in, sub)
		}
	}
	return nil, false
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

// NoStatus says why there is nobody to ask where a ledger stands. up is how one in the data
// directory is started; there: one lies in it.
func NoStatus(data, up string, there bool) string {
	if there {
		return fmt.Sprintf("the ledger in %s is stopped: nothing of it is published or brought into views, and there "+
			"is nobody to ask where it stands. `%s` starts it", data, up)
	}
	return fmt.Sprintf("there is no ledger in %s: name its directory with --data, or make one there with `%s`", data,
		up)
}
