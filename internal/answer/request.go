package answer

import (
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
)

// Request is a request that was opened.
type Request struct {
	Request  uuid.UUID `json:"request"`
	Right    string    `json:"right"`
	Received string    `json:"received"`
	Due      string    `json:"due"`
}

// RequestOf is what is said of a request.
func RequestOf(r custody.Request) Request {
	return Request{r.ID, r.Right, r.Received.Format(time.DateOnly), r.Due.Format(time.DateOnly)}
}

// WriteText writes it for a person.
func (r Request) WriteText(w io.Writer) {
	fmt.Fprintf(w, "request   %s\nright     %s\nreceived  %s\nanswer by %s (public holidays not counted)\n",
		r.Request, r.Right, r.Received, r.Due)
}

// WriteMatches lists persons who held an identifier, without naming them, to choose one of.
func WriteMatches(w io.Writer, persons [][]vault.PersonMatch) {
	for i, matches := range persons {
		for _, m := range matches {
			to := "now"
			if !m.Current {
				to = m.To.Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%3d  known by it as %s from %s to %s\n", i+1, m.Kind, m.From.Format(time.DateOnly), to)
		}
	}
}

// Package is an access package that was made.
type Package struct {
	File     string        `json:"file"`
	Manifest string        `json:"manifestSHA256"`
	Package  dsar.Manifest `json:"package"`
}

// WriteText says what was looked for, and what was found.
func (d Package) WriteText(w io.Writer) {
	fmt.Fprintf(w, "package   %s\nmanifest  SHA-256 %s\n", d.File, d.Manifest)
	fmt.Fprintf(w, "searched  what this ledger links to the person, through sequence %d; not texts that others "+
		"wrote\n",
		d.Package.Sequence)
	for _, c := range []dsar.Category{dsar.Devices, dsar.Apps, dsar.ActionsAbout, dsar.ActionsBy, dsar.Refusals,
		dsar.Requests, dsar.Views, dsar.Other} {
		if n := d.Package.Events[c]; n > 0 {
			fmt.Fprintf(w, "%10s  events: %s\n", terminal.Count(n), c)
		}
	}
	v := d.Package.Values
	fmt.Fprintf(w, "values: %s shown, %s withheld (05-withheld.csv says why), %s erased, %s expired\n",
		terminal.Count(v.Shown), terminal.Count(v.Withheld), terminal.Count(v.Erased), terminal.Count(v.Expired))
	if v.Lost > 0 {
		fmt.Fprintf(w, "%s values are lost: their keys went with a part of the vault\n", terminal.Count(v.Lost))
	}
	if v.NotGenuine > 0 {
		fmt.Fprintf(w, "%s values are not genuine: %s\n", terminal.Count(v.NotGenuine), refusal.FindsOut)
	}
}

// Erasure is an erasure that is done.
type Erasure struct {
	Request    uuid.UUID `json:"request"`
	Keys       int       `json:"keysDestroyed"`
	Order      uuid.UUID `json:"order"`
	Completion uuid.UUID `json:"completion"`
	Completed  time.Time `json:"completed"`
}

// WriteText writes it for a person.
func (e Erasure) WriteText(w io.Writer) {
	fmt.Fprintf(w, "erased: %d keys destroyed\norder      %s\ncompletion %s\n", e.Keys, e.Order, e.Completion)
}
