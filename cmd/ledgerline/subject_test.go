package main

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/ledger/vault"
)

// knownByName makes somebody known by Anna's name alone, before the directory named her.
func (d *desktop) knownByName() {
	d.t.Helper()
	err := d.vault.Update(context.Background(), d.desk.Tenant.ID, func(tx *vault.Tx) error {
		_, _, err := tx.Person(vault.PersonHint{UPN: annaLogin, At: time.Now().Add(-time.Hour)})
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// An officer finds who may be one, merges them by a name alone, sees that it holds, and undoes it,
// in the tenant's language.
func TestAnOfficerMergesTwoPersonsAndUndoesIt(t *testing.T) {
	for lang, said := range map[string][]string{
		"en": {"1 pair of persons who may be one", "one subject of 2 persons", "merged by", "undone"},
		"nl": {"1 paar personen", "één betrokkene van 2 personen", "samengevoegd door", "ongedaan gemaakt"},
	} {
		d := newDesktopIn(t, lang)
		d.knownByName()
		run := func(want, input string, args ...string) string {
			t.Helper()
			out, code, err := d.run(input, append([]string{"subject"}, args...)...)
			if code != cli.OK || err != nil || !strings.Contains(out, want) {
				t.Fatalf("%s: %v: %d, %v\n%s", lang, args, code, err, out)
			}
			if strings.Contains(out, annaLogin) {
				t.Errorf("%s: %v shows a name:\n%s", lang, args, out)
			}
			return out
		}
		run(said[0], "", "candidates")
		merged := run(said[1], annaLogin+"\n", "merge", "--reason", "one employee")
		merge := regexp.MustCompile(`[0-9a-f-]{36}`).FindString(merged)
		run(said[2], annaLogin+"\n", "history")
		run(said[3], "", "unmerge", merge, "--reason", "two employees")
		var told []struct{ Holds bool }
		out := run("", annaLogin+"\n", "history", "--output", "json")
		if err := json.Unmarshal([]byte(out), &told); err != nil || len(told) != 1 || told[0].Holds {
			t.Errorf("%s: %v: %s", lang, err, out)
		}
	}
}

// What a merge lacks is said before anything is done; several holders are listed and two are to be
// chosen.
func TestWhatAMergeLacksIsSaid(t *testing.T) {
	d, stranger := newDesktop(t), uuid.NewString()
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"--reason", []string{"merge"}},
		{"--reason", []string{"unmerge", stranger}},
		{"not a uuid", []string{"unmerge", "x", "--reason", "x"}},
		{"no merge " + stranger, []string{"unmerge", stranger, "--reason", "x"}},
		{"--with", []string{"merge", "--reason", "x"}},
	} {
		_, code, err := d.run(annaLogin+"\n", append([]string{"subject"}, tc.args...)...)
		if code != cli.Wrong || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %d, %v", tc.args, code, err)
		}
	}
}
