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
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
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
		{&custody.Problem{Field: custody.FieldPurpose, Code: custody.ErrMissing}, exitUsage, "--purpose is required"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrMissing}, exitUsage,
			"`ledgerline ledger check`"},
		{&custody.Problem{Field: custody.FieldLoss, Code: custody.ErrMissing}, exitUsage, "leave out --accept-loss"},
		{&custody.Problem{Field: custody.FieldGround, Code: custody.ErrMissing, Known: custody.Grounds}, exitUsage,
			"--ground is required: one of no-longer-necessary"},
		{&custody.Problem{Field: custody.FieldMethod, Code: custody.ErrUnknown, Given: "x",
			Known: []string{"sign-in"}},
			exitUsage, `--identity-method "x" is not known: use one of sign-in`},
		{&custody.Problem{Field: custody.FieldPerson, Code: custody.ErrUnknown, Given: "3", Most: 2}, exitUsage,
			"--person 3 is none of those"},
		{&custody.Problem{Field: custody.FieldRight, Code: custody.ErrUnfit, Given: "access",
			Known: []string{"erasure"}},
			exitFailed, "`ledgerline dsar open --right erasure`"},
		{&custody.Problem{Field: custody.FieldBy, Code: custody.ErrUnfit}, exitFailed, "operator identifies nobody"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrTooMany, Given: "9", Most: 8}, exitUsage,
			"at most 8"},
		{&custody.Problem{Field: custody.FieldRequest, Code: custody.ErrNoRequest, Given: "N"}, exitUsage,
			"there is no request N: give the number that `ledgerline dsar open` printed"},
		{&custody.Problem{Field: custody.FieldSubject, Code: custody.ErrNoSuchPerson}, exitFailed, "give --subject"},
		{&custody.Problem{Field: custody.FieldPerson, Code: custody.ErrSeveralPersons}, exitUsage, "--person N"},
		{&custody.Problem{Field: custody.FieldSubject, Code: custody.ErrOwnRequest}, exitFailed, "another officer"},
		{&custody.Problem{Field: custody.FieldRequest, Code: custody.ErrUnderWay, Until: time.Now()}, exitFailed,
			"another call is at it"},
		{&custody.Problem{Field: custody.FieldRequest, Code: vault.ErrErased}, exitFailed, "erased before"},
		{&custody.Problem{Field: custody.FieldRequest, Code: vault.ErrHeld}, exitFailed, "until it is lifted"},
		{&custody.Problem{Field: custody.FieldTenant, Code: vault.ErrExists, Given: "Contoso"}, exitFailed,
			"`ledgerline tenant list`"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrOwnEvent, Given: "N", Seq: &seq}, exitFailed,
			"(sequence 7) is the ledger's own: leave it out"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrNoEvent, Given: "N"}, exitFailed, "in no view"},
		{&custody.Problem{Field: custody.FieldEvent, Code: custody.ErrNotTenants, Given: "N", Seq: &seq}, exitFailed,
			"without --tenant"},
		{&access.Denied{Code: access.NotSignedIn}, exitFailed, "--as NAME"},
		{&access.Denied{Code: access.NoRole, Roles: []access.Role{access.Officer}}, exitFailed,
			"it takes the role officer"},
		{&access.Denied{Code: access.NoRole, Roles: []access.Role{access.Viewer, access.Officer, access.Auditor}},
			exitFailed, "it takes one of the roles viewer, officer and auditor"},
		{&access.Denied{Code: access.NotTheirs}, exitFailed, "--tenant is not one of yours"},
		{&access.Denied{Code: access.NotAll}, exitFailed, "it concerns all tenants"},
		{&office.Problem{Field: office.FieldTenant, Code: office.ErrNone}, exitUsage, "`ledgerline tenant add NAME"},
		{&office.Problem{Field: office.FieldTenant, Code: office.ErrMissing, Known: []string{"A", "B"}}, exitUsage,
			`--tenant is required: one of "A", "B"`},
		{&office.Problem{Field: office.FieldTenant, Code: office.ErrUnknown, Given: "C", Known: []string{"A"}},
			exitUsage,
			`there is no tenant "C": --tenant is one of "A"`},
		{&accounts.Problem{Field: accounts.FieldRole, Code: accounts.ErrMissing, Known: []string{"viewer"}}, exitUsage,
			"--role is required: one or more of viewer"},
		{&accounts.Problem{Field: accounts.FieldTenant, Code: accounts.ErrMissing}, exitUsage, "--tenant is required"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrMissing}, exitUsage, "NAME is empty"},
		{&accounts.Problem{Field: accounts.FieldRole, Code: accounts.ErrUnknown, Given: "king",
			Known: []string{"dpo"}},
			exitUsage, `--role "king" is not known: use one of dpo`},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrUnfit}, exitUsage, "at most 256 bytes"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrExists}, exitFailed,
			"`ledgerline officer set`"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrNone}, exitUsage, "`ledgerline officer list`"},
		{&accounts.Problem{Field: accounts.FieldPassword, Code: accounts.ErrTooShort, Bound: 12}, exitUsage,
			"at least 12 characters"},
		{&accounts.Problem{Field: accounts.FieldPassword, Code: accounts.ErrTooMany, Bound: 256}, exitUsage,
			"at most 256 characters"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrTooMany, Bound: 1000}, exitFailed,
			"there are 1000 accounts"},
		{&accounts.Problem{Field: accounts.FieldRole, Code: accounts.ErrFirst}, exitUsage, "--role tenant-admin"},
		{&accounts.Problem{Field: accounts.FieldRole, Code: accounts.ErrLast}, exitFailed, "it is the last account"},
		{&accounts.Problem{Field: accounts.FieldPassword, Code: accounts.ErrWrong}, exitFailed, "is wrong"},
		{&accounts.Problem{Field: accounts.FieldPassword, Code: accounts.ErrLocked, Until: time.Now()}, exitFailed,
			"none is looked at before"},
		{&accounts.Problem{Field: accounts.FieldName, Code: accounts.ErrNobody}, exitUsage, "leave out --as"},
		{&datadir.Problem{Code: datadir.ErrAlreadyUp, Path: "/d"}, exitFailed,
			"use it, or stop it, or give another --data"},
		{&datadir.Problem{Code: datadir.ErrNoFolder, Path: "/d"}, exitFailed,
			"/d is no directory: give another --data"},
		{&datadir.Problem{Code: datadir.ErrOthersOwn, Path: "/d"}, exitFailed, "can read it: give another --data"},
		{&datadir.Problem{Code: datadir.ErrOthersReach, Path: "/d"}, exitFailed, "chmod 700 /d"},
		{&datadir.Problem{Code: datadir.ErrOthersWrite, Path: "/d/e", Above: "/d"}, exitFailed,
			"chmod o-w,g-w /d, or give another --data"},
		{&datadir.Problem{Code: datadir.ErrOthersAbove, Path: "/d/e", Above: "/d"}, exitFailed,
			"replace /d/e: give another --data"},
		{&report.Problem{Field: dsar.FieldSequence, Code: report.Ahead, Given: "9", Through: &seq}, exitFailed,
			"`ledgerline status`"},
		{&report.Problem{Field: dsar.FieldRequest, Code: report.Missing}, exitUsage, "REQUEST is missing"},
		{&report.Problem{Field: report.FieldAsOfSeq, Code: report.Ahead, Given: "9", Through: &seq}, exitUsage,
			"--as-of-seq 9 is ahead of the views, which are at 7"},
		{errors.Join(&report.Problem{Field: report.FieldTo, Code: report.NoTime, Given: "x"}, nil,
			&access.Denied{Code: access.NotTheirs}), exitFailed,
			"--to \"x\" is not a date or time: write 2026-03-01 " +
				"or 2026-03-01T09:30:00+01:00\nnot allowed"},
	} {
		err := inFlags(fmt.Errorf("act: %w", tc.err))
		var coded *exitError
		if !errors.As(err, &coded) || coded.code != tc.code || !strings.Contains(err.Error(), tc.says) ||
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
		if got := inFlags(err); got.Error() != err.Error() {
			t.Errorf("%v: said as %v", err, got)
		}
	}
	if err := inFlags(nil); err != nil {
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
	usual := d.desk.who
	for _, tc := range []struct {
		who  access.Principal
		args []string
		code int
		says string
	}{
		{usual, []string{"dsar", "export", missing}, exitUsage, "there is no request " + missing},
		{usual, []string{"dsar", "erase", forAccess, "--ground", "unlawful", "--yes"}, exitFailed,
			"the request asks for access: open one for it with `ledgerline dsar open --right erasure`"},
		{usual, []string{"dsar", "erase", forAccess, "--yes"}, exitUsage, "--ground is required: one of"},
		{usual, []string{"dsar", "open", "--person", "7"}, exitUsage, "--person 7 is none of those"},
		{usual, []string{"dsar", "open", "--subject", "nobody@contoso.example"}, exitFailed, "give --subject a UPN"},
		{self, []string{"dsar", "open"}, exitFailed, "nobody handles their own request"},
		{operator, []string{"dsar", "open"}, exitFailed, "it takes the role officer"},
		{other, []string{"dsar", "open"}, exitFailed, "--tenant is not one of yours"},
		{operator, []string{"report", "admin-actions", "--purpose", "x"}, exitFailed, "it takes the role officer"},
		{operator, []string{"report", "admin-actions", "--masked"}, exitFailed,
			"one of the roles viewer, officer and auditor"},
		{viewer, []string{"report", "admin-actions", "--purpose", "x"}, exitFailed, "it takes the role officer"},
		{viewer, []string{"import", "."}, exitFailed, "one of the roles tenant-admin and producer"},
		{viewer, []string{"tenant", "add", "Fabrikam", "--source-tenant", "any"}, exitFailed, "the role tenant-admin"},
		{usual, []string{"report", "admin-actions"}, exitUsage, "--purpose is required"},
		{usual, []string{"report", "admin-actions", "--purpose", "x", "--device", missing}, exitUsage,
			"--device: no such device: give its Intune"},
		{usual, []string{"report", "admin-actions", "--purpose", "x", "--actor", missing}, exitUsage,
			"--actor names nobody who acted"},
		{usual, []string{"ledger", "disown", own, "--ground", "test", "--yes"}, exitFailed, "is the ledger's own"},
		{usual, []string{"ledger", "disown", missing, "--ground", "test", "--yes"}, exitFailed,
			"is not in the ledger"},
		{usual, []string{"tenant", "add", "Contoso", "--source-tenant", "any"}, exitFailed,
			`tenant "Contoso" exists already`},
	} {
		d.desk.who = tc.who
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
		if code != exitFailed || !errors.Is(err, tc.code) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: exit %d, %v, want %q", strings.Join(tc.args, " "), code, err, tc.says)
		}
	}
}
