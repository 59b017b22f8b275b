package report_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas/words/wordstest"
)

// told are what a report repeats of the story, of the request, and the ids of what was asked.
var told = []string{
	// the request, and the report's id
	"admin-actions", "device-inventory", "device-history", "remote-actions", "device-exposure", "refused-collection",
	"requests", "data-access", "compliance-status", "leavers", "person-overview", "processing-record",
	"Voorbeeld B.V.", "incident", "officer@example.test", "Europe/Paris", "UTC",
	// values that are names, or that have no word
	"anna@example.test", "fatima@example.test", "iPhone of Fatima", "Intune portal", "lost on the train",
	`Wi-Fi "guests"`, "guest", "ssid", "psk", "hidden", "Apple", "iPhone", "MacBook Pro", "macOS", "iOS", "MAC-0042",
	"WIPE", "192.0.2", "train",
	`=HYPERLINK("http://evil")`, "SERIAL", "Worn phone", "Tablet of the shop",
	"bob@example.test", "answered@example.test", "overdue@example.test", "gone@example.test", "waits@example.test",
	"false", "true", "ios",
}

// A language is a file: in one that the program does not have, every report says everything from
// it, in each form that people read.
func TestAReportInAThirdLanguageSaysNothingInAnother(t *testing.T) {
	set, err := wordstest.Marked()
	if err != nil {
		t.Fatal(err)
	}
	s := theStory(t)
	db := s.Load()
	for name, req := range theReports(wordstest.Code) {
		req.Words = set
		for _, form := range []string{"table", "csv-people", "html"} {
			rep, err := report.Run(t.Context(), db, s, req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var b bytes.Buffer
			if err := render.Write(form, &b, rep.Document(), 0); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			text := strings.ReplaceAll(b.String(), `""`, `"`)
			if form == "html" {
				text = textOf(t, b.String())
			}
			outside, err := wordstest.Outside(uuids.ReplaceAllString(text, ""), told...)
			if err != nil {
				t.Errorf("%s as %s: %v\n%s", name, form, err, text)
			}
			if len(outside) > 0 {
				t.Errorf("%s as %s says %q outside the language's file\n%s", name, form, outside, text)
			}
		}
	}
}

// textOf returns what is read on a page: its texts and what is said of marks.
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
		for _, a := range n.Attr {
			if a.Key == "aria-label" || a.Key == "title" {
				b.WriteString(a.Val + "\n")
			}
		}
	}
	return b.String()
}
