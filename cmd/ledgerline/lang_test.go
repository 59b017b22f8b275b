package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/office"
)

// A command answers in the language of the tenant for which it acts: what it did, what it needs to
// be told, what it refuses. Programs get the same, whatever the language.
func TestACommandAnswersInTheTenantsLanguage(t *testing.T) {
	dir := t.TempDir()
	devices := `{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#deviceManagement/managedDevices",` +
		`"value":[{"id":"none"},{"id":"` + uuid.NewString() + `"}]}`
	if err := os.WriteFile(filepath.Join(dir, "bad.json"), []byte(devices), 0o600); err != nil {
		t.Fatal(err)
	}
	stranger := uuid.NewString()
	desks := map[string]*desktop{"en": newDesktopIn(t, "en"), "nl": newDesktopIn(t, "nl")}
	requests := map[string]string{}
	for lang, d := range desks {
		d.now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		requests[lang] = d.openRequest("erasure")
	}
	for _, tc := range []struct {
		name     string
		args     []string
		code     int
		en, nl   string // what is printed, on either end, or refused
		standard bool   // the same in every language
	}{
		{"a request", []string{"dsar", "open"}, cli.OK, "received   2 March 2026\nanswer by  2 April 2026 (weekends",
			"ontvangen  2 maart 2026\nuiterlijk  2 april 2026 (met weekenden", false},
		{"a request, for programs", []string{"dsar", "open", "--output", "json"}, cli.OK, `"received": "2026-03-02"`,
			`"received": "2026-03-02"`, true},
		{"a request of nobody", []string{"dsar", "open", "--subject", "nobody@contoso.example"}, cli.Failed,
			"nobody is known under that identifier", "onder deze aanduiding is niemand bekend", false},
		{"a request of no name", []string{"dsar", "open", "--subject", "-"}, cli.Wrong,
			"--subject -: standard input holds no name", "--subject -: op de standaardinvoer staat geen naam", false},
		{"a day that is none", []string{"dsar", "open", "--received", "soon"}, cli.Wrong,
			`--received "soon" is not a day`, `--received "soon" is geen dag`, false},
		{"a package of no request", []string{"dsar", "export", stranger}, cli.Wrong, "there is no request " + stranger,
			"er is geen verzoek " + stranger, false},
		{"an erasure that is not meant", []string{"dsar", "erase", "REQUEST", "--ground", "unlawful"}, cli.Wrong,
			"erasing cannot be undone: add --yes",
			"gegevenswissing kan niet ongedaan worden gemaakt: voeg --yes toe", false},
		{"an erasure", []string{"dsar", "erase", "REQUEST", "--ground", "unlawful", "--yes"}, cli.OK, "erased: ",
			"gegevenswissing uitgevoerd: ", false},
		{"an erasure again", []string{"dsar", "erase", "REQUEST", "--ground", "unlawful", "--yes"}, cli.Failed,
			"was erased before", "zijn eerder gewist", false},
		{"a filter that does not fit", []string{"report", "admin-actions", "--masked", "--verb", "fly"}, cli.Wrong,
			"--verb is not known: use one of", "--verb is niet bekend: kies uit", false},
		{"in another language", []string{"report", "admin-actions", "--masked", "--verb", "fly", "--lang", "nl"},
			cli.Wrong, "--verb is niet bekend", "--verb is niet bekend", true},
		{"no purpose", []string{"report", "admin-actions"}, cli.Wrong, "--purpose is required", "--purpose ontbreekt",
			false},
		{"a filter that is missing", []string{"report", "device-history", "--masked"}, cli.Wrong,
			"--device is missing: ", "--device ontbreekt: ", false},
		{"what a value means", []string{"report", "admin-actions", "--masked", "--verb", "fly"}, cli.Wrong,
			"action, assign, create", "action (actie), assign (toewijzen), create (aanmaken)", false},
		{"views that stay behind", []string{"report", "admin-actions", "--masked", "--wait", "1ms"}, cli.Failed,
			"the views had not reached the ledger's end in time", "de overzichten waren niet op tijd", false},
		{"a file in the way", []string{"report", "refused-collection", "--file", filepath.Join(dir, "bad.json")},
			cli.Wrong, "exists: move it away", "bestaat al: verplaats het", false},
		{"a bad record", []string{"import", dir}, cli.Partial,
			"id is missing or no id of the source's form", "id ontbreekt of is geen id in de vorm van de bron", false},
		{"what failed", []string{"import", dir}, cli.Partial, "1 of 2 records failed",
			"1 van 2 records is mislukt", false},
		{"an import of nothing", []string{"import", filepath.Join(dir, "none")}, cli.Wrong, "cannot import",
			"kan niet importeren", false},
		{"a tenant", []string{"tenant", "set", "Contoso", "--source-tenant", "any"}, cli.OK,
			`tenant "Contoso" takes records of: any source tenant`,
			`tenant "Contoso" neemt records van: elke brontenant`,
			false},
		{"sources that are none", []string{"tenant", "set", "Contoso", "--source-tenant", "contoso.example"},
			cli.Wrong, "and no name or domain", "en geen naam of domein", false},
		{"what cannot be typed", []string{"dsar", "open", "--right", "oblivion"}, cli.Wrong,
			"is not access or erasure", "is not access or erasure", true}, // no tenant is known yet
	} {
		t.Run(tc.name, func(t *testing.T) {
			for lang, d := range desks {
				args := strings.Split(strings.ReplaceAll(strings.Join(tc.args, "\n"), "REQUEST", requests[lang]), "\n")
				input := annaLogin + "\n"
				if tc.name == "a request of no name" {
					input = "\n"
				}
				views := d.views
				if tc.name == "views that stay behind" {
					d.views = behindViews{views}
				}
				out, code, err := d.run(input, args...)
				d.views = views
				all := out + d.told.String()
				if err != nil {
					all += err.Error()
				}
				want, other := tc.en, tc.nl
				if lang == "nl" {
					want, other = tc.nl, tc.en
				}
				if code != tc.code || !strings.Contains(all, want) || !tc.standard && strings.Contains(all, other) {
					t.Errorf("%s: exit %d, want %d and %q: %s", lang, code, tc.code, want, all)
				}
				if unfilled := regexp.MustCompile(`\{\w+\}|%!|answer\.|refusal\.`).FindString(all); unfilled != "" {
					t.Errorf("%s: %s stands unfilled: %s", lang, unfilled, all)
				}
			}
		})
	}
	for _, lang := range []string{"en", "nl"} { // what is declared speaks the language that it is declared with
		out, _, err := desks["en"].run("", "tenant", "add", "T"+lang, "--source-tenant", "any", "--language", lang)
		if want := map[string]string{"en": "is declared", "nl": "is opgegeven"}[lang]; !strings.Contains(out, want) {
			t.Errorf("%s: %q, %v", lang, out, err)
		}
	}
}

// behindViews do not reach the ledger's end.
type behindViews struct{ office.Views }

func (behindViews) WaitThrough(ctx context.Context, _ uint64) error {
	<-ctx.Done()
	return ctx.Err()
}
