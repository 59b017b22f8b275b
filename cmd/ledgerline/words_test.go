package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/restore"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Each code has words of its own: what the room calls the field and the code stays there. The
// error that was found can still be branched on.
func TestEachCodeHasItsWords(t *testing.T) {
	seq := uint64(7)
	for _, tc := range []struct {
		err  error
		code int
		says string
	}{
		{&custody.Problem{Field: custody.FieldPurpose, Code: custody.ErrMissing}, cli.Wrong, "--purpose is required"},
		{&custody.Problem{Field: custody.FieldWords, Code: custody.ErrTooMany, Most: 2000}, cli.Wrong,
			"have at most 2,000 bytes"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrMissing}, cli.Wrong,
			"`ledgerline ledger check`"},
		{&custody.Problem{Field: custody.FieldLoss, Code: custody.ErrMissing}, cli.Wrong, "leave out --accept-loss"},
		{&custody.Problem{Field: custody.FieldGround, Code: custody.ErrMissing, Known: custody.Grounds}, cli.Wrong,
			"--ground is required: one of no-longer-necessary"},
		{&custody.Problem{Field: custody.FieldMethod, Code: custody.ErrUnknown, Given: "x",
			Known: []string{"sign-in"}},
			cli.Wrong, `--identity-method "x" is not known: use one of sign-in`},
		{&custody.Problem{Field: custody.FieldPerson, Code: custody.ErrUnknown, Given: "3", Most: 2}, cli.Wrong,
			"--person 3 is none of those"},
		{&custody.Problem{Field: custody.FieldRight, Code: custody.ErrUnfit, Given: "access",
			Known: []string{"erasure"}},
			cli.Failed, "`ledgerline dsar open --right erasure`"},
		{&custody.Problem{Field: custody.FieldBy, Code: custody.ErrUnfit}, cli.Failed, "operator identifies nobody"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrTooMany, Given: "9", Most: 8}, cli.Wrong,
			"at most 8"},
		{&custody.Problem{Field: custody.FieldRequest, Code: custody.ErrNoRequest, Given: "N"}, cli.Wrong,
			"there is no request N: give the number that `ledgerline dsar open` printed"},
		{&custody.Problem{Field: custody.FieldSubject, Code: custody.ErrNoSuchPerson}, cli.Failed, "give --subject"},
		{&custody.Problem{Field: custody.FieldPerson, Code: custody.ErrSeveralPersons}, cli.Wrong, "--person N"},
		{&custody.Problem{Field: custody.FieldSubject, Code: custody.ErrOwnRequest}, cli.Failed, "another officer"},
		{&custody.Problem{Field: custody.FieldRequest, Code: custody.ErrUnderWay, Until: time.Now()}, cli.Failed,
			"another call is at it"},
		{&custody.Problem{Field: custody.FieldRequest, Code: vault.ErrErased}, cli.Failed, "erased before"},
		{&custody.Problem{Field: custody.FieldRequest, Code: vault.ErrHeld}, cli.Failed, "until it is lifted"},
		{&custody.Problem{Field: custody.FieldTenant, Code: vault.ErrExists, Given: "Contoso"}, cli.Failed,
			"`ledgerline tenant list`"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrOwnEvent, Given: "N", Seq: &seq}, cli.Failed,
			"(sequence 7) is the ledger's own: leave it out"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrNoEvent, Given: "N"}, cli.Failed, "in no view"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrNotTenants, Given: "N", Seq: &seq}, cli.Failed,
			"without --tenant"},
		{&access.Denied{Code: access.NotSignedIn}, cli.Failed, "--as NAME"},
		{&access.Denied{Code: access.NoRole, Roles: []access.Role{access.Officer}}, cli.Failed,
			"it takes the role officer"},
		{&access.Denied{Code: access.NoRole, Roles: []access.Role{access.Viewer, access.Officer, access.Auditor}},
			cli.Failed, "it takes one of the roles viewer, officer and auditor"},
		{&access.Denied{Code: access.NotTheirs}, cli.Failed, "--tenant is not one of yours"},
		{&access.Denied{Code: access.NotAll}, cli.Failed, "it concerns all tenants"},
		{&office.Problem{Field: office.FieldTenant, Code: office.ErrNone}, cli.Wrong, "`ledgerline tenant add NAME"},
		{&office.Problem{Field: office.FieldTenant, Code: office.ErrMissing, Known: []string{"A", "B"}}, cli.Wrong,
			`--tenant is required: one of "A", "B"`},
		{&office.Problem{Field: office.FieldTenant, Code: office.ErrUnknown, Given: "C", Known: []string{"A"}},
			cli.Wrong,
			`there is no tenant "C": --tenant is one of "A"`},
		{&office.Problem{Field: office.FieldSources, Code: office.ErrMissing}, cli.Wrong,
			"--source-tenant is required: the source's tenant id, or any"},
		{&office.Problem{Field: office.FieldTenants, Code: office.ErrUnfit}, cli.Wrong,
			"--tenant all names all tenants: leave out the others"},
		{&office.Problem{Field: office.FieldReceived, Code: office.ErrUnfit, Given: "soon"}, cli.Wrong,
			`--received "soon" is not a day in the form 2026-03-01`},
		{&office.Problem{Field: office.FieldPerson, Code: office.ErrUnfit, Given: "-1"}, cli.Wrong,
			"--person -1 is none of those listed: they count from 1"},
		{&office.Problem{Field: office.FieldObserved, Code: office.ErrUnfit, Given: "x"}, cli.Wrong,
			"--observed wants a time with its zone"},
		{&office.Problem{Field: office.FieldObserved, Code: office.ErrUnknown, Given: "x"}, cli.Wrong,
			"--observed x is of a year that means unknown"},
		{&office.Problem{Field: office.FieldObserved, Code: office.ErrFuture, Given: "x"}, cli.Wrong,
			"--observed x is in the future"},
		{&office.Problem{Field: office.FieldPace, Code: office.ErrUnfit}, cli.Wrong,
			"--workers and --batch count from 1"},
		{&office.Problem{Field: office.FieldWait, Code: office.ErrUnfit, Given: "0s"}, cli.Wrong,
			"--wait 0s is not longer than nothing: --no-wait does not wait"},
		{&office.Problem{Field: office.FieldRequest, Code: office.ErrUnfit, Given: "x"}, cli.Wrong,
			"request \"x\" is not a uuid, as `ledgerline dsar open` printed it"},
		{&office.Problem{Field: office.FieldEvent, Code: office.ErrUnfit, Given: "x"}, cli.Wrong,
			"event \"x\" is not a uuid, as `ledgerline ledger check` prints it"},
		{&office.Problem{Field: office.FieldPath, Code: office.ErrMissing}, cli.Wrong,
			"name at least one file or folder"},
		{&office.Problem{Field: office.FieldPath, Code: office.ErrUnfit, Given: "x is not there"}, cli.Wrong,
			"cannot import: x is not there"},
		{&report.Problem{Field: define.FieldPurpose, Code: define.Masked}, cli.Wrong,
			"--purpose and --masked do not go together"},
		{&report.Problem{Field: define.FieldSample, Code: define.Alone, Other: define.FieldSeed}, cli.Wrong,
			"--sample needs --seed, so that an auditor can draw the same rows again"},
		{&report.Problem{Field: define.FieldAsOfSeq, Code: define.Negative, Given: "-3"}, cli.Wrong,
			"--as-of-seq -3 is no ledger sequence: they count from 0"},
		{&restore.Problem{Code: restore.ErrNoTopic, At: "orders"}, cli.Wrong, `"orders" is not a topic of the ledger`},
		{&restore.Problem{Code: restore.ErrAllTopics}, cli.Wrong, "--everything names every topic"},
		{&restore.Problem{Code: restore.ErrMissing, Missing: 1200, Again: "l restore eventstore --data d"}, cli.Failed,
			"1,200 events more than the topics hold. If a newer"},
		{&restore.Problem{Code: restore.ErrMissing, Again: "l restore eventstore --data d"}, cli.Failed,
			"`l restore eventstore --data d --accept-loss --yes`"},
		{&restore.Problem{Code: restore.ErrOlder, Again: "l restore vault"}, cli.Failed,
			"`l restore vault --accept-loss --yes`"},
		{&accounts.Problem{Field: accounts.FieldRole, Code: accounts.ErrMissing, Known: []string{"viewer"}}, cli.Wrong,
			"--role is required: one or more of viewer"},
		{&accounts.Problem{Field: accounts.FieldTenant, Code: accounts.ErrMissing}, cli.Wrong, "--tenant is required"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrMissing}, cli.Wrong, "NAME is empty"},
		{&accounts.Problem{Field: accounts.FieldRole, Code: accounts.ErrUnknown, Given: "king",
			Known: []string{"dpo"}},
			cli.Wrong, `--role "king" is not known: use one of dpo`},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrUnfit}, cli.Wrong, "at most 256 bytes"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrExists}, cli.Failed,
			"`ledgerline officer set`"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrNone}, cli.Wrong, "`ledgerline officer list`"},
		{&accounts.Problem{Field: accounts.FieldPassword, Code: accounts.ErrTooShort, Bound: 12}, cli.Wrong,
			"at least 12 characters"},
		{&accounts.Problem{Field: accounts.FieldPassword, Code: accounts.ErrTooMany, Bound: 256}, cli.Wrong,
			"at most 256 characters"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrTooMany, Bound: 1000}, cli.Failed,
			"there are 1000 accounts"},
		{&accounts.Problem{Field: accounts.FieldRole, Code: accounts.ErrFirst}, cli.Wrong, "--role tenant-admin"},
		{&accounts.Problem{Field: accounts.FieldRole, Code: accounts.ErrLast}, cli.Failed, "it is the last account"},
		{&accounts.Problem{Field: accounts.FieldPassword, Code: accounts.ErrWrong}, cli.Failed, "is wrong"},
		{&accounts.Problem{Field: accounts.FieldPassword, Code: accounts.ErrLocked, Until: time.Now()}, cli.Failed,
			"none is looked at before"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrNobody}, cli.Wrong, "leave out --as"},
		{&datadir.Problem{Code: datadir.ErrAlreadyUp, Path: "/d"}, cli.Failed,
			"use it, or stop it, or give another --data"},
		{&datadir.Problem{Code: datadir.ErrNoFolder, Path: "/d"}, cli.Failed,
			"/d is no directory: give another --data"},
		{&datadir.Problem{Code: datadir.ErrOthersOwn, Path: "/d"}, cli.Failed, "can read it: give another --data"},
		{&datadir.Problem{Code: datadir.ErrOthersReach, Path: "/d"}, cli.Failed, "chmod 700 /d"},
		{&datadir.Problem{Code: datadir.ErrOthersWrite, Path: "/d/e", Above: "/d"}, cli.Failed,
			"chmod o-w,g-w /d, or give another --data"},
		{&datadir.Problem{Code: datadir.ErrOthersAbove, Path: "/d/e", Above: "/d"}, cli.Failed,
			"replace /d/e: give another --data"},
		{&report.Problem{Field: dsar.FieldSequence, Code: define.Ahead, Given: "9", Through: &seq}, cli.Failed,
			"`ledgerline status`"},
		{&report.Problem{Field: dsar.FieldRequest, Code: define.Missing}, cli.Wrong, "REQUEST is missing"},
		{&report.Problem{Field: define.FieldAsOfSeq, Code: define.Ahead, Given: "9", Through: &seq}, cli.Wrong,
			"--as-of-seq 9 is ahead of the views, which are at 7"},
		{errors.Join(&report.Problem{Field: define.FieldTo, Code: define.NoTime, Given: "x"}, nil,
			&access.Denied{Code: access.NotTheirs}), cli.Failed,
			"--to \"x\" is not a date or time: write 2026-03-01 " +
				"or 2026-03-01T09:30:00+01:00\nnot allowed"},
	} {
		err := inFlags(words.Default().Base(), fmt.Errorf("act: %w", tc.err))
		var coded *cli.Error
		if !errors.As(err, &coded) || coded.Code != tc.code || !strings.Contains(err.Error(), tc.says) ||
			strings.HasPrefix(err.Error(), "act") {
			t.Errorf("%v: said as %v, want exit %d and %q", tc.err, err, tc.code, tc.says)
		}
		if !errors.Is(err, tc.err) {
			t.Errorf("%v is not to be found in what is said", tc.err)
		}
	}
}

// What is more than a problem with what was asked is not hidden behind one.
func TestAFailureIsNotHiddenByAProblem(t *testing.T) {
	p := &custody.Problem{Field: custody.FieldSubject, Code: custody.ErrNoSuchPerson}
	for _, err := range []error{errors.Join(p, fs.ErrPermission), fmt.Errorf("x: %w", fs.ErrPermission)} {
		if got := inFlags(words.Default().Base(), err); got.Error() != err.Error() {
			t.Errorf("%v: said as %v", err, got)
		}
	}
	if err := inFlags(words.Default().Base(), nil); err != nil {
		t.Errorf("nothing wrong: %v", err)
	}
}

// What a room refuses is said with the flag and the way out, whichever command asked it.
func TestCommandsSayWhatARoomRefuses(t *testing.T) {
	d := newDesktop(t)
	forAccess, missing := d.openRequest("access"), uuid.NewString()
	own := d.store.Events()[0].ID.String()
	operator := access.Principal{Login: "officer@contoso.example", Roles: []access.Role{access.Operator}, All: true}
	other := access.Principal{Login: "officer@contoso.example",
		Roles: []access.Role{access.Operator, access.Officer}, Tenants: []uuid.UUID{uuid.New()}}
	viewer := access.Principal{Login: "viewer@contoso.example", Roles: []access.Role{access.Viewer}, All: true}
	self := access.Principal{Login: annaLogin, Roles: operator.Roles, All: true}
	self.Roles = append([]access.Role{access.Officer}, self.Roles...)
	usual := d.desk.Who
	for _, tc := range []struct {
		who  access.Principal
		args []string
		code int
		says string
	}{
		{usual, []string{"dsar", "export", missing}, cli.Wrong, "there is no request " + missing},
		{usual, []string{"dsar", "erase", forAccess, "--ground", "unlawful", "--yes"}, cli.Failed,
			"the request asks for access: open one for it with `ledgerline dsar open --right erasure`"},
		{usual, []string{"dsar", "erase", forAccess, "--yes"}, cli.Wrong, "--ground is required: one of"},
		{usual, []string{"dsar", "open", "--person", "7"}, cli.Wrong, "--person 7 is none of those"},
		{usual, []string{"dsar", "open", "--subject", "nobody@contoso.example"}, cli.Failed, "give --subject a UPN"},
		{self, []string{"dsar", "open"}, cli.Failed, "nobody handles their own request"},
		{operator, []string{"dsar", "open"}, cli.Failed, "it takes the role officer"},
		{other, []string{"dsar", "open"}, cli.Failed, "--tenant is not one of yours"},
		{operator, []string{"report", "admin-actions", "--purpose", "audit"}, cli.Failed, "it takes the role officer"},
		{operator, []string{"report", "admin-actions", "--masked"}, cli.Failed,
			"one of the roles viewer, officer and auditor"},
		{viewer, []string{"report", "admin-actions", "--purpose", "audit"}, cli.Failed, "it takes the role officer"},
		{viewer, []string{"import", "."}, cli.Failed, "one of the roles tenant-admin and producer"},
		{viewer, []string{"tenant", "add", "Fabrikam", "--source-tenant", "any"}, cli.Failed, "the role tenant-admin"},
		{usual, []string{"report", "admin-actions"}, cli.Wrong, "--purpose is required"},
		{usual, []string{"report", "admin-actions", "--purpose", "audit", "--device", missing}, cli.Wrong,
			"--device: no such device: give its Intune"},
		{usual, []string{"report", "admin-actions", "--purpose", "audit", "--actor", missing}, cli.Wrong,
			"--actor names nobody"},
		{usual, []string{"ledger", "disown", own, "--ground", "test", "--yes"}, cli.Failed, "is the ledger's own"},
		{usual, []string{"ledger", "disown", missing, "--ground", "test", "--yes"}, cli.Failed,
			"is not in the ledger"},
		{usual, []string{"tenant", "add", "Contoso", "--source-tenant", "any"}, cli.Failed,
			`tenant "Contoso" exists already`},
	} {
		d.desk.Who = tc.who
		_, code, err := d.run(annaLogin+"\n", tc.args...)
		if err == nil || code != tc.code || !strings.Contains(err.Error(), tc.says) ||
			strings.Contains(err.Error(), "@contoso") {
			t.Errorf("%s: exit %d, %v, want exit %d and %q", strings.Join(tc.args, " "), code, err, tc.code, tc.says)
		}
	}
}

func TestADataDirectoryThatCannotBeUsedIsSaidWithItsFlag(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := dataDir(t)
	lock, err := datadir.Dir(dir).Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lock.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, tc := range []struct {
		args []string
		code error
		says string
	}{
		{[]string{"status", "--data", file}, datadir.ErrNoFolder, "give another --data"},
		{[]string{"eventstore", "restore", "-", "--data", dir}, datadir.ErrAlreadyUp,
			"use it, or stop it, or give another --data"},
	} {
		_, code, err := runCommand(t, "", tc.args...)
		if code != cli.Failed || !errors.Is(err, tc.code) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: exit %d, %v, want %q", strings.Join(tc.args, " "), code, err, tc.says)
		}
	}
}
