package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cockroachdb/datadriven"
)

// TestScenarios runs the files in testdata/scenarios (rewrite them with -rewrite). Commands:
// import file=NAME takes its input in as a file and shows the summary and the new events; again
// imports all files so far anew, latest first, and must append nothing; reset begins anew.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		w, l, files := newWorld(t, false), newLabels(), map[string]string{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "reset":
				w, l, files = newWorld(t, false), newLabels(), map[string]string{}
				return "ok\n"
			case "import":
				var name string
				d.ScanArgs(t, "file", &name)
				files[name] = d.Input
				before := len(w.events())
				s := w.importFiles(map[string]string{name: d.Input})
				return shortSummary(s) + w.dumpFrom(l, before)
			case "again":
				names := slices.Sorted(func(yield func(string) bool) {
					for n := range files {
						if !yield(n) {
							return
						}
					}
				})
				slices.Reverse(names)
				fsys := fstest.MapFS{}
				for _, n := range names {
					fsys[n] = aFile(files[n])
				}
				s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: names, FS: fsys}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if s.EventsAppended != 0 {
					t.Errorf("%s: importing all again appended %d events", d.Pos, s.EventsAppended)
				}
				return shortSummary(s)
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

func shortSummary(s Summary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "read %d:", s.Read)
	count := func(n int, what string) {
		if n > 0 {
			fmt.Fprintf(&b, " %d %s", n, what)
		}
	}
	count(s.Recorded, "recorded")
	count(s.Unchanged, "unchanged")
	count(s.Superseded, "superseded")
	for _, k := range sortedKeys(s.Refused) {
		count(s.Refused[k], "refused by "+k)
	}
	for _, k := range sortedKeys(s.Unrecognised) {
		count(s.Unrecognised[k], "unrecognised "+k)
	}
	count(s.FailedCount, "failed")
	fmt.Fprintf(&b, "; %d events", s.EventsAppended)
	for _, name := range sortedKeys(s.Parts) {
		p := s.Parts[name]
		count(p.Read, "read as "+name)
		count(p.Unchanged, "of them unchanged")
		count(p.Superseded, "of them superseded")
		count(p.Refused, "of them refused")
		count(p.Failed, "of them failed")
	}
	count(s.ListItemsKept, "apps kept")
	for _, k := range sortedKeys(s.ListItemsRefused) {
		count(s.ListItemsRefused[k], "apps refused by "+k)
	}
	count(s.ListItemsUnnamed, "list entries without id")
	count(s.ValuesWithheld, "values withheld")
	count(s.ValuesOmitted, "values omitted")
	b.WriteByte('\n')
	for _, f := range s.Failed {
		fmt.Fprintf(&b, "failed at line %d, record %d, field %q: %s\n", f.Line, f.Record, f.Field, f.Reason)
	}
	for _, k := range sortedKeys(s.UnknownFields) {
		fmt.Fprintf(&b, "unknown field %s: %d\n", k, s.UnknownFields[k])
	}
	return b.String()
}
