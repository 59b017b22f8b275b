package answer

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
	"github.com/ledgerline/ledgerline/schemas/words/wordstest"
)

// everySummary is an import to which everything happened.
func everySummary(dry bool) intake.Summary {
	const file = "f.1"
	counts := map[string]int{"erased-subject": 1, "never-collected": 2}
	return intake.Summary{Read: 1234, Recorded: 3, Unchanged: 4, Superseded: 5, Refused: counts,
		Unrecognised: map[string]int{"no object": 2}, FailedCount: 9, SameMoment: 1, Undated: 1, EventsAppended: 7,
		ListItemsKept: 1, ListItemsRefused: counts, ListItemsUnnamed: 1, ValuesOmitted: 1, ValuesWithheld: 1,
		ValuesCut: 1, Supplemented: 1, Disputed: 1, UnknownFields: map[string]int{"(other names)": 1},
		EventsLeftOut: map[string]int{"foreign": 1, "forged": 1, "unfitting": 1, "disowned": 1,
			"another tenant's": 1}, LeftOutInMore: true, DryRun: dry, Decoded: 1,
		Kinds: map[string]*intake.KindSummary{"unnamed": {Read: 6, Recorded: 1, Unchanged: 1, Superseded: 1,
			Refused: 1, Unrecognised: 1, Failed: 1}},
		SourceTenants: map[string]int{"declared": 1, "not declared": 1, "(no id of a tenant)": 1}, NamesNoTenant: 1,
		HeldBack: 1, PartsFailed: 1,
		Parts: map[string]*intake.PartSummary{"parts": {Read: 5, Recorded: 1, Unchanged: 1, Superseded: 1, Refused: 1,
			Failed: 1}},
		Failures: []intake.FailureGroup{
			{Failure: intake.Failure{File: file, Line: 1, Record: 2, Reason: "malformed JSON at byte 7 of the line"},
				Count: 1, Files: 1},
			{Failure: intake.Failure{File: file, Line: 1, Part: "parts", Reason: "cannot be understood"}, Count: 3,
				Files: 1},
			{Failure: intake.Failure{File: file, Reason: "is no whole number"}, Count: 3, Files: 2}},
		Notices: []intake.Notice{{File: file, Line: 3, What: "a comma is missing between records"},
			{File: file, What: "a comma stands behind the last record"},
			{File: file, What: "a comma stands behind the last record"}},
		NoticeCount: 9, UnknownCount: 9, UnknownFiles: []intake.UnknownFile{
			{File: file, LooksLike: "zip archive", Help: "unpack it first: what it holds may be understood"},
			{File: file, LooksLike: "zip archive", Help: "unpack it first: what it holds may be understood"}}}
}

// Nothing that a command answers to whoever acts for a tenant stands in code: in a language that
// nobody wrote, none of it is outside that language's file.
func TestNothingIsAnsweredOutsideTheLanguage(t *testing.T) {
	set, err := wordstest.Marked()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := set.Language(wordstest.Code)
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	texts := map[string]string{"settling": Settling(in, 30*time.Second),
		"declared":  Declared(in, vault.Tenant{ID: uuid.New()}),
		"takes any": Takes(in, vault.Tenant{AnySource: true}),
		"genuine":   notGenuine(in, "answer.not-genuine", 2),
		"progress":  importProgress(in, intake.Summary{Bytes: 1 << 20, BytesTotal: 4 << 20, Read: 7}, time.Minute)}
	var b bytes.Buffer
	tell := func(name string) { texts[name] = b.String(); b.Reset() }
	for _, right := range []string{"access", "erasure"} {
		RequestOf(custody.Request{ID: uuid.New(), Right: right, Received: at, Due: at}).WriteText(&b, in)
		tell("request for " + right)
	}
	for _, kind := range []string{"upn", "email", "object-id"} {
		WriteMatches(&b, in, [][]vault.PersonMatch{{{Kind: kind, From: at, To: at}, {Kind: kind, From: at,
			Current: true}}})
		tell("a match by " + kind)
	}
	m := dsar.Manifest{Sequence: 7, Events: map[dsar.Category]int{}}
	for _, c := range []dsar.Category{dsar.Devices, dsar.Apps, dsar.ActionsAbout, dsar.ActionsBy, dsar.Refusals,
		dsar.Requests, dsar.Views, dsar.Other} {
		m.Events[c] = 2
	}
	m.Values.Lost, m.Values.NotGenuine = 1, 1
	Package{File: "f.1", Package: m}.WriteText(&b, in)
	tell("package")
	Erasure{Keys: 2}.WriteText(&b, in)
	tell("erasure")
	for _, dry := range []bool{false, true} {
		doc := Import{Summary: everySummary(dry)}
		if err := doc.WriteText(&b, in); err != nil {
			t.Fatal(err)
		}
		problem, _ := doc.Problem(in, nil)
		b.WriteString(problem.Error())
		stopped, _ := doc.Problem(in, context.Canceled)
		b.WriteString(stopped.Error())
		name := fmt.Sprintf("import, dry %v", dry)
		if tell(name); !strings.Contains(texts[name], "⟦PROBLEM: ") {
			t.Error("a problem of an import is not told")
		}
	}
	through := uint64(7)
	for _, start := range []bool{false, true} {
		e := Events{Out: &b, Notes: &b, In: in, Zone: time.UTC, Start: start}
		e.Begun(nil)
		e.Begun(&through)
		e.Waiting()
		tell(fmt.Sprintf("tail, from the start %v", start))
	}
	c := schemas.Default()
	for _, typ := range c.Types() {
		var values []projections.Value
		for _, id := range typ.Leads {
			values = append(values, projections.Value{Attribute: id, Text: "1"}, projections.Value{Attribute: id,
				Removed: true}, projections.Value{Attribute: id, Text: schemas.SealedPrefix + "v1:x"})
		}
		texts[typ.Name] = told(in, typ.Name, values) + schemas.Label("type."+typ.Name).Of(in)
	}
	ids := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)
	for name, text := range texts {
		outside, err := wordstest.Outside(ids.ReplaceAllString(text, ""), "SHA", "JSON", "MiB")
		if err != nil || len(outside) > 0 {
			t.Errorf("%s: %q stand in no file of words (%v): %s", name, outside, err, text)
		}
	}
	if len(texts) < 30 {
		t.Errorf("%d texts were looked at", len(texts))
	}
}

// What is asked of a person's identifiers has its kinds in every language.
func TestMatchesAreToldByTheirKind(t *testing.T) {
	nl, _ := words.Default().Language("nl")
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var b bytes.Buffer
	WriteMatches(&b, nl, [][]vault.PersonMatch{{{Kind: "upn", From: at, To: at}}, {{Kind: "email", From: at,
		Current: true}}})
	want := "  1  aanmeldnaam (UPN), bekend van 2 maart 2026 tot 2 maart 2026\n" +
		"  2  e-mailadres, bekend van 2 maart 2026 tot nu\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
