package dsar_test

import (
	"archive/zip"
	"bytes"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas/words"
	"github.com/ledgerline/ledgerline/schemas/words/wordstest"
)

// told are what the page repeats of the story, and the names of files and of what has no language.
var told = []string{
	"Voorbeeld B.V.", "Fatima el Amrani", "fatima@example.test", "f.elamrani@example.test", "Europe/Amsterdam",
	"iPhone <b>van</b> Fatima & co", "iPhone van Fatima", "iPhone", "Apple", "iOS", "SERIAL", "MacBook Pro", "macOS",
	"MAC-0042", "FAKE", "02:00:00:aa:bb:cc", "GB", "MB", "Microsoft Excel", "Microsoft Corporation",
	"Zoom Video Communications", "Zoom", "Signal Messenger", "Signal", "DeviceActionState", "none", "pending", "PIN",
	"device.exploded.v9",
	"devices.csv", "apps.csv", "actions-about.csv", "actions-by.csv", "refusals.csv", "requests.csv", "views.csv",
	"other.csv",
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// A language is a file: in one that the program does not have, the package's page says everything
// from it, and the package tells of it wherever it tells of languages.
func TestAPackageInAThirdLanguageSaysNothingInAnother(t *testing.T) {
	set, err := wordstest.Marked()
	if err != nil {
		t.Fatal(err)
	}
	s := fatimasStory(t)
	db := s.Load()
	nobody := dsar.Person{Request: aRequest, Tenant: id("tenant"), TenantName: "Voorbeeld B.V.", Seq: 3}
	for _, p := range []dsar.Person{fatima(s), nobody} {
		c := config(db, s, wordstest.Code)
		c.Owners, c.Words = owners, set
		m, files, raw := build(t, c, p)
		page := string(files["02-marked.html"])
		if !strings.Contains(page, `<html lang="`+wordstest.Code+`">`) || m.Language != wordstest.Code {
			t.Errorf("the page or the manifest is not in %s", wordstest.Code)
		}
		for _, text := range []string{textOf(t, page), string(files["VERIFY.txt"])} {
			text, _, _ = strings.Cut(text, strings.Repeat("-", 80)) // VERIFY.txt says it in the others below
			outside, err := wordstest.Outside(uuids.ReplaceAllString(text, ""), told...)
			if err != nil || len(outside) > 0 {
				t.Errorf("%q stands outside the language's file, %v\n%s", outside, err, text)
			}
		}
		z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if first := z.File[0].Name; first != "02-marked.html" {
			t.Errorf("%s comes first", first)
		}
		for name, says := range map[string]string{
			"data/dictionary.json": `"fy": "⟦Your devices⟧"`, "data/schema.json": `"fy": {"type": "string"}`,
			"VERIFY.txt": "02-marked.html, 02-your-data.html, 02-uw-gegevens.html"} {
			if !strings.Contains(string(files[name]), says) {
				t.Errorf("%s does not say %s", name, says)
			}
		}
	}
}

// Each language has a page of its own name, which says nothing but that.
func TestPagesHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range words.Default().Languages() {
		name := l.Text("dsar.file")
		if seen[name] || !regexp.MustCompile(`^02-[a-z-]+\.html$`).MatchString(name) {
			t.Errorf("the page in %s is called %q", l.Code(), name)
		}
		seen[name] = true
	}
}

// textOf returns what is read on a page.
func textOf(t *testing.T, page string) string {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			b.WriteString(n.Data + "\n")
		}
	}
	return b.String()
}
