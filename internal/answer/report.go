package answer

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/render"
)

// WriteReport writes a report in one of the forms of package render, and warns of values that are
// not genuine.
func WriteReport(out, warnings io.Writer, form string, r *report.Report) error {
	w := bufio.NewWriter(out)
	err := render.Write(form, w, r.Document(), terminal.Width(out))
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	if t, _ := r.Totals(); t.NotGenuine > 0 {
		fmt.Fprintf(warnings, "warning: %s values are not genuine: %s\n", terminal.Count(t.NotGenuine),
			refusal.FindsOut)
	}
	return nil
}
