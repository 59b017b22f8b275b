// Package render writes documents: for a terminal, for a spreadsheet, for a browser, for a
// program. Each form is one file and a line in Forms, and sees nothing of a report but its
// document.
//
// It owns no state and may lose nothing: an error of the document's rows or of the writer ends
// the output early, without totals. It trusts the document for who may see what; it trusts no
// value: what steers a terminal, a spreadsheet or a browser is written so that it does not. Rows
// pass in constant memory.
package render

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/projections/report/document"
)

// Form is one way of writing a document.
type Form struct {
	Name  string
	For   string // whom it is for, where the name does not say it
	write func(w io.Writer, d *document.Document, width int) error
}

// Forms returns every form there is, the one for a terminal first.
func Forms() []Form {
	plain := func(write func(io.Writer, *document.Document) error) func(io.Writer, *document.Document, int) error {
		return func(w io.Writer, d *document.Document, _ int) error { return write(w, d) }
	}
	return []Form{
		{Name: "table", write: Table},
		{Name: "csv", For: "exact, for machines", write: plain(MachineCSV)},
		{Name: "csv-people", For: "for a spreadsheet of the language", write: plain(PeopleCSV)},
		{Name: "html", For: "one page, to read and to print", write: plain(HTML)},
		{Name: "json", write: plain(JSON)},
	}
}

// Names returns the names of the forms, in their order.
func Names() []string {
	var out []string
	for _, f := range Forms() {
		out = append(out, f.Name)
	}
	return out
}

// ForPeople reports whether the form leaves out what only programs get.
func ForPeople(form string) bool {
	return slices.Contains([]string{"table", "csv-people", "html"}, form)
}

// Help names the forms in a sentence of English, with whom each is for.
func Help() string {
	names := Names()
	for i, f := range Forms() {
		if f.For != "" {
			names[i] += " (" + f.For + ")"
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Write writes the document in the form of that name. Width is that of the terminal, in columns;
// ≤ 0 is as wide as needed.
func Write(form string, w io.Writer, d *document.Document, width int) error {
	forms := Forms()
	i := slices.IndexFunc(forms, func(f Form) bool { return f.Name == form })
	if i < 0 {
		return fmt.Errorf("there is no form %q of a document", form)
	}
	return forms[i].write(w, d, width)
}

// goOn returns err, or the error of a writer that takes no more: no more is asked for then. What a
// report opens ahead is one portion at most.
func goOn(b *bufio.Writer, err error) error {
	if err != nil {
		return err
	}
	_, err = b.Write(nil)
	return err
}

// said returns the facts that people read.
func said(facts []document.Fact) []document.Fact {
	var out []document.Fact
	for _, f := range facts {
		if f.Label != "" {
			out = append(out, f)
		}
	}
	return out
}
