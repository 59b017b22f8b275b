package answer

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// WriteReport writes a report in one of the forms of package render, and warns of values that are
// not genuine.
func WriteReport(out, warnings io.Writer, in *words.Language, form string, r *report.Report) error {
	w := bufio.NewWriter(out)
	err := render.Write(form, w, r.Document(), terminal.Width(out))
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	t, _ := r.Totals()
	if text := notGenuine(in, "answer.not-genuine", int(t.NotGenuine)); text != "" {
		fmt.Fprintln(warnings, text)
	}
	return nil
}
