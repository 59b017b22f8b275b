package answer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/intake"
)

// Import is a summary, and whether it is of everything that was named.
type Import struct {
	intake.Summary
	Complete bool `json:"complete"` // false: the import ended early, and this is how far it came
}

// WriteText tells of an import, ended early or not. An error of w stays in w.
func (d Import) WriteText(w io.Writer) error {
	var failed error
	if !d.Complete {
		_, failed = fmt.Fprintln(w, "The import ended early. So far:")
	}
	return errors.Join(failed, d.Summary.WriteText(w))
}

// Problem is what an import ends with that ended with an error, or nil. partial: it is done, but
// not all of it could be taken.
func (d Import) Problem(ended error) (_ error, partial bool) {
	switch {
	case errors.Is(ended, context.Canceled):
		return errors.New("the import was stopped: importing the same again completes the rest"), false
	case ended != nil:
		return ended, false
	case d.FailedCount > 0:
		return errors.New(importFailed(d.Summary)), true
	case !d.OK():
		return errors.New(importUnknown(d.Summary)), true
	}
	return nil, false
}

// importFailed says how many records failed, and what to do about a source tenant that is not
// declared.
func importFailed(sum intake.Summary) string {
	text := fmt.Sprintf("%s of %s records failed", terminal.Count(sum.FailedCount), terminal.Count(sum.Read))
	if sum.DryRun {
		text = fmt.Sprintf("%s of %s records would fail", terminal.Count(sum.FailedCount), terminal.Count(sum.Read))
	}
	if sum.HeldBack > 0 {
		text += fmt.Sprintf("; %s of them name no source tenant, beside others that name one that is not declared. "+
			"--dry-run names it. Should it be this tenant's too: `ledgerline tenant set`. Should only the records "+
			"that name none be this tenant's: --yes", terminal.Count(sum.HeldBack))
	}
	if sum.UnknownCount > 0 {
		text += "; " + importUnknown(sum)
	}
	return text
}

// importUnknown says how many files hold no record of a known name.
func importUnknown(sum intake.Summary) string {
	return fmt.Sprintf("in %s files no record has a known name", terminal.Count(sum.UnknownCount))
}

// ImportShown shows how far an import is.
func ImportShown(p *terminal.Progress) func(intake.Summary) {
	var began time.Time // of taking records
	return func(s intake.Summary) {
		if s.Looked > 0 {
			p.Show("looking whose records they are: %s of %s", terminal.Bytes(s.Looked), terminal.Bytes(s.BytesTotal))
			return
		}
		if began.IsZero() {
			began = time.Now()
		}
		p.Show("%s", importProgress(s, time.Since(began)))
	}
}

// importProgress says how far an import is after it has taken records for so long.
func importProgress(s intake.Summary, took time.Duration) string {
	line := fmt.Sprintf("%s of %s, %s records read, %s events appended", terminal.Bytes(s.Bytes),
		terminal.Bytes(s.BytesTotal),
		terminal.Count(s.Read), terminal.Count(s.EventsAppended))
	if took < time.Second { // a rate of less is noise
		return line
	}
	return line + fmt.Sprintf(", %.0f records/s", float64(s.Read)/took.Seconds()) +
		terminal.Remaining(s.Bytes, s.BytesTotal, took)
}
