package answer

import (
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Request is a request that was opened.
type Request struct {
	Request  uuid.UUID `json:"request"`
	Right    string    `json:"right"`
	Received string    `json:"received"`
	Due      string    `json:"due"`

	of custody.Request
}

// RequestOf is what is said of a request.
func RequestOf(r custody.Request) Request {
	return Request{r.ID, r.Right, r.Received.Format(time.DateOnly), r.Due.Format(time.DateOnly), r}
}

// WriteText writes it for a person.
func (r Request) WriteText(w io.Writer, in *words.Language) {
	right, ok := in.Find("enum.request.right." + r.Right)
	if !ok {
		right = r.Right
	}
	writeFacts(w, []fact{{in.Text("answer.request.number"), r.Request.String()},
		{in.Text("answer.request.right"), right},
		{in.Text("answer.request.received"), in.Date(r.of.Received)},
		{in.Text("answer.request.due"), in.Text("answer.request.due.value", words.Args{"date": in.Date(r.of.Due)})}})
}

// WriteMatches lists persons who held an identifier, without naming them, to choose one of.
func WriteMatches(w io.Writer, in *words.Language, persons [][]vault.PersonMatch) {
	for i, matches := range persons {
		for _, m := range matches {
			args := words.Args{"kind": in.Text("answer.request.kind." + m.Kind), "from": in.Date(m.From),
				"to": in.Date(m.To)}
			key := "answer.request.match"
			if m.Current {
				key = "answer.request.match-now"
			}
			fmt.Fprintf(w, "%3d  %s\n", i+1, in.Text(key, args))
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
func (d Package) WriteText(w io.Writer, in *words.Language) {
	searched := in.Text("answer.package.searched.value", words.Args{"sequence": d.Package.Sequence})
	writeFacts(w, []fact{{in.Text("answer.package.file"), d.File},
		{in.Text("answer.package.manifest"), "SHA-256 " + d.Manifest}, {in.Text("answer.package.searched"), searched}})
	for _, c := range []dsar.Category{dsar.Devices, dsar.Apps, dsar.ActionsAbout, dsar.ActionsBy, dsar.Refusals,
		dsar.Requests, dsar.Views, dsar.Other} {
		if n := d.Package.Events[c]; n > 0 {
			what := in.Text("answer.package."+string(c), words.Args{"count": n})
			fmt.Fprintf(w, "%10s  %s\n", in.Count(n), what)
		}
	}
	v := d.Package.Values
	fmt.Fprintln(w, in.Text("answer.package.values", words.Args{"shown": in.Count(v.Shown),
		"withheld": in.Count(v.Withheld), "erased": in.Count(v.Erased), "expired": in.Count(v.Expired)}))
	if v.Lost > 0 {
		fmt.Fprintln(w, in.Text("answer.package.lost", words.Args{"count": v.Lost, "number": in.Count(v.Lost)}))
	}
	if text := notGenuine(in, "answer.package.genuine", v.NotGenuine); text != "" {
		fmt.Fprintln(w, text)
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
func (e Erasure) WriteText(w io.Writer, in *words.Language) {
	fmt.Fprintln(w, in.Text("answer.erasure.done", words.Args{"count": e.Keys, "number": in.Count(e.Keys)}))
	writeFacts(w, []fact{{in.Text("answer.erasure.order"), e.Order.String()},
		{in.Text("answer.erasure.completion"), e.Completion.String()}})
}

// Settling says for how long an erasure waits, once its keys are destroyed.
func Settling(in *words.Language, wait time.Duration) string {
	return in.Text("answer.erasure.settling", words.Args{"count": int(wait.Round(time.Second).Seconds())})
}
