package report_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// What a program gets of each report stands in the documentation, and nothing else does.
func TestReportsAreDocumented(t *testing.T) {
	const path = "../../docs/REPORTS.md"
	want := documentation(t)
	if *rewrite {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
		t.Errorf("docs/REPORTS.md does not say what the reports are: run this test with -rewrite (%v)", err)
	}
}

// forms are how programs read a column of each type.
var forms = map[document.Type]string{
	document.Text: "string", document.Boolean: "true or false", document.Number: "number",
	document.Bytes: "number of bytes", document.Sequence: "ledger sequence, a whole number from 0",
	document.Instant:  "time: `local` with its offset and `utc`; in CSV two columns, the second `…Utc`",
	document.Reported: "time as the source reported it, RFC 3339 in UTC", document.Object: "JSON",
	document.Changes: "list of `name`, `old`, `new`, or `withheld`, `cut`, `more`; in CSV a line each",
	document.Mixed:   "whatever the attribute holds",
}

// folded breaks a text into lines that a page may have.
func folded(text string) string {
	const most = 116
	var b strings.Builder
	at := 0
	for _, word := range strings.Fields(text) {
		switch {
		case at == 0:
		case at+1+len(word) > most:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	return b.String()
}

func documentation(t *testing.T) []byte {
	var b bytes.Buffer
	en := words.Default().Base()
	b.WriteString("# Reports, for programs\n\n" + strings.ReplaceAll(strings.TrimSpace(`
Why: what reads a report by program breaks where a column changes its name. So names are never translated, never
changed and never used for something else; a new column may come. The obvious way, the titles that people read, differs
by language. This page is made of the definitions, and a test holds it to them.

JSON ('--output json') is exact: a value is there as the ledger has it, and one that is not shown is
'{"state":"masked"}', or 'erased', 'expired', 'lost', 'not-genuine'. A column that may be a list is one where it holds
several values. CSV ('--output csv') has no JSON in it: several values of a cell are lines of it, and what is not shown
reads '(masked)'. Where that could be a value too, read JSON.`), "'", "`") + "\n")
	for _, d := range report.Definitions() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| column | title | holds |\n|---|---|---|\n", d.ID, folded(d.About(en)))
		for _, c := range d.Columns {
			form, ok := forms[c.Type]
			if !ok {
				t.Fatalf("%s.%s: a type that has no description", d.ID, c.ID)
			}
			if c.List {
				form += "; may be a list"
			}
			if c.Machine {
				form += "; for programs alone"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.ID, en.Text("column."+c.ID), form)
		}
		b.WriteString("\n| filter | narrows to |\n|---|---|\n")
		for _, f := range d.Filters {
			fmt.Fprintf(&b, "| `--%s` | %s |\n", f.ID, f.Help(en))
		}
	}
	return b.Bytes()
}
