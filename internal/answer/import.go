package answer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Import is a summary, and whether it is of everything that was named.
type Import struct {
	intake.Summary
	Complete bool `json:"complete"` // false: the import ended early, and this is how far it came
}

// WriteText tells of an import, ended early or not. An error of w stays in w.
func (d Import) WriteText(w io.Writer, in *words.Language) error {
	var failed error
	if !d.Complete {
		_, failed = fmt.Fprintln(w, in.Text("answer.import.ended-early"))
	}
	return errors.Join(failed, d.Summary.WriteText(w, in))
}

// Problem is what an import ends with that ended with an error, or nil. partial: it is done, but
// not all of it could be taken.
func (d Import) Problem(in *words.Language, ended error) (_ error, partial bool) {
	switch {
	case errors.Is(ended, context.Canceled):
		return errors.New(in.Text("answer.import.stopped")), false
	case ended != nil:
		return ended, false
	case d.FailedCount > 0:
		return errors.New(importFailed(in, d.Summary)), true
	case !d.OK():
		return errors.New(importUnknown(in, d.Summary)), true
	}
	return nil, false
}

// importFailed says how many records failed, and what to do about a source tenant that is not
// declared.
func importFailed(in *words.Language, sum intake.Summary) string {
	args := words.Args{"count": sum.FailedCount, "failed": in.Count(sum.FailedCount), "read": in.Count(sum.Read)}
	text := in.Text("answer.import.failed", args)
	if sum.DryRun {
		text = in.Text("answer.import.would-fail", args)
	}
	if sum.HeldBack > 0 {
		text += "; " + in.Text("answer.import.held-back", words.Args{"number": in.Count(sum.HeldBack)})
	}
	if sum.UnknownCount > 0 {
		text += "; " + importUnknown(in, sum)
	}
	return text
}

// importUnknown says how many files hold no record of a known name.
func importUnknown(in *words.Language, sum intake.Summary) string {
	n := sum.UnknownCount
	return in.Text("answer.import.no-known-name", words.Args{"count": n, "number": in.Count(n)})
}

// ImportShown shows how far an import is.
func ImportShown(p *terminal.Progress, in *words.Language) func(intake.Summary) {
	var began time.Time // of taking records
	return func(s intake.Summary) {
		if s.Looked > 0 {
			p.Show("%s", in.Text("answer.import.looking", words.Args{"done": terminal.Bytes(s.Looked),
				"all": terminal.Bytes(s.BytesTotal)}))
			return
		}
		if began.IsZero() {
			began = time.Now()
		}
		p.Show("%s", importProgress(in, s, time.Since(began)))
	}
}

// importProgress says how far an import is after it has taken records for so long.
func importProgress(in *words.Language, s intake.Summary, took time.Duration) string {
	line := in.Text("answer.import.progress", words.Args{"done": terminal.Bytes(s.Bytes),
		"all": terminal.Bytes(s.BytesTotal), "read": in.Count(s.Read), "events": in.Count(s.EventsAppended)})
	if took < time.Second { // a rate of less is noise
		return line
	}
	line = in.Text("answer.import.progress-rate", words.Args{"progress": line,
		"rate": in.Count(int(float64(s.Read) / took.Seconds()))})
	if left, ok := terminal.Ahead(s.Bytes, s.BytesTotal, took); ok {
		line = in.Text("answer.import.progress-left", words.Args{"progress": line, "left": left})
	}
	return line
}
