package refusal

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas/words"
	"github.com/ledgerline/ledgerline/schemas/words/wordstest"
)

// reportCodes, custodyCodes and officeFields are all that there are: the tests walk them.
var (
	reportCodes = []define.Code{define.Missing, define.Empty, define.Unknown, define.Unfit, define.NotHere,
		define.Backward, define.TooMany, define.Negative, define.Alone, define.Masked, define.NoTime, define.Skipped,
		define.Twice, define.Ahead, define.Nobody, define.NoDevice, define.Several, define.NoValue, define.NoName}
	custodyCodes = []error{custody.ErrMissing, custody.ErrUnknown, custody.ErrUnfit, custody.ErrTooMany,
		custody.ErrNoRequest, custody.ErrNoSuchPerson, custody.ErrSeveralPersons, custody.ErrOwnRequest,
		custody.ErrUnderWay, custody.ErrOwnEvent, custody.ErrNoEvent, custody.ErrNotTenants, vault.ErrErased,
		vault.ErrHeld, vault.ErrExists, custody.ErrOneSubject, custody.ErrOwnSubject, custody.ErrNoMerge,
		vault.ErrTooMany}
	custodyFields = []string{custody.FieldTenant, custody.FieldBy, custody.FieldPurpose, custody.FieldWords,
		custody.FieldRequest,
		custody.FieldRight, custody.FieldSubject, custody.FieldPerson, custody.FieldMethod, custody.FieldGround,
		custody.FieldEvent, custody.FieldLoss, custody.FieldWith, custody.FieldPersons, custody.FieldReason,
		custody.FieldMerge}
	officeCodes = []error{office.ErrMissing, office.ErrUnknown, office.ErrNone, office.ErrUnfit, office.ErrFuture}
)

// problems are every code of every room that acts are refused by, with every field that may change
// what is said.
func problems() (all []error) {
	seq := uint64(7)
	var filters []report.Filter
	for _, d := range report.Definitions() {
		filters = append(filters, d.Filters...)
	}
	for _, code := range reportCodes {
		p := report.Problem{Field: define.FieldTo, Code: code, Given: "GIVEN", Known: []string{"K1", "K2"},
			Other: define.FieldFrom, Zone: "Europe/Amsterdam"}
		for _, of := range []func(*report.Problem){func(*report.Problem) {},
			func(p *report.Problem) { p.Field = define.FieldPurpose },
			func(p *report.Problem) { p.Field = define.FieldWords },
			func(p *report.Problem) { p.Field = define.FieldBy },
			func(p *report.Problem) { p.Field, p.Filter, p.Known = "device", true, nil },
			func(p *report.Problem) { p.Filters = &filters[0] },
			func(p *report.Problem) { p.Most = 12345 },
			func(p *report.Problem) { p.Field = define.FieldAsOfSeq },
			func(p *report.Problem) { p.Field, p.Through = define.FieldAsOfSeq, &seq },
			func(p *report.Problem) { p.Field = define.FieldSample },
			func(p *report.Problem) { p.Field = dsar.FieldSequence },
			func(p *report.Problem) { p.Field = dsar.FieldDevices }} {
			q := p
			if of(&q); q.Code == define.Twice {
				q.Known = []string{"K1", "K2"}
			}
			all = append(all, &q)
		}
	}
	for _, code := range custodyCodes {
		for _, field := range custodyFields {
			all = append(all, &custody.Problem{Field: field, Code: code, Given: "access", Known: []string{"erasure"},
				Most: 2, Seq: &seq, Until: time.Unix(0, 0)})
		}
	}
	for why := range policyKeys {
		all = append(all, &policy.Error{Field: policy.FieldItem, Given: "GIVEN", Reason: why})
	}
	for field := range officeKeys {
		for _, code := range officeCodes {
			all = append(all, &office.Problem{Field: field, Code: code, Given: "GIVEN", Known: []string{"K1", "K2"}})
		}
	}
	for _, d := range []access.Denied{{Code: access.NotSignedIn}, {Code: access.NotTheirs}, {Code: access.NotAll},
		{Code: access.NoRole, Roles: []access.Role{access.Officer}},
		{Code: access.NoRole, Roles: []access.Role{access.Officer, access.Auditor}}} {
		all = append(all, &d)
	}
	for _, key := range []string{"standard-input", "name-missing", "erase-yes", "file-exists", "no-folder", "no-file",
		"file"} {
		all = append(all, &Typed{key, words.Args{"flag": "--file", "given": "GIVEN", "why": "full"}})
	}
	return all
}

// Every code of every room has a sentence in every language, with nothing left to fill in; each
// language says the same of it, and in words of its own.
func TestEveryProblemHasItsSentenceInEveryLanguage(t *testing.T) {
	left := regexp.MustCompile(`\{\w+\}|%!`)
	mine := regexp.MustCompile("`[^`]*`|--[a-z-]+|GIVEN|K[12]")
	for _, p := range problems() {
		var first string
		var typed []string
		for _, in := range words.Default().Languages() {
			_, err := Said(in, fmt.Errorf("act: %w", p))
			text := err.Error()
			if left.MatchString(text) || strings.HasPrefix(text, "act") || !errors.Is(err, p) {
				t.Errorf("%s: %v reads %q", in.Code(), p, text)
			}
			// What is typed, and what was given, stands in each.
			has := mine.FindAllString(strings.ReplaceAll(text, "NAAM", "NAME"), -1)
			slices.Sort(has)
			if has = slices.Compact(has); first == "" {
				first, typed = text, has
				continue
			}
			if text == first && !strings.Contains(text, p.Error()) && !codeAlone(p) {
				t.Errorf("%s: %v reads as in English: %q", in.Code(), p, text)
			}
			if !slices.Equal(has, typed) {
				t.Errorf("%s: %v names %q, and English %q", in.Code(), p, has, typed)
			}
		}
	}
}

// codeAlone reports whether a sentence is no more than what was typed.
func codeAlone(p error) bool {
	var typed *Typed
	return errors.As(p, &typed) && typed.Key == "file"
}

// Nothing of a refusal stands in code: in a language that nobody wrote, none of it is outside that
// language's file.
func TestNothingIsRefusedOutsideTheLanguage(t *testing.T) {
	set, err := wordstest.Marked()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := set.Language(wordstest.Code)
	for _, p := range problems() {
		_, said := Said(in, p)
		if outside, err := wordstest.Outside(said.Error()); err != nil || len(outside) > 0 {
			t.Errorf("%v: %q stand in no file of words (%v): %s", p, outside, err, said)
		}
	}
}

// Every sentence is one that some problem is said by.
func TestEverySentenceIsSaid(t *testing.T) {
	said := map[string]bool{"refusal.code": true} // of a code that nobody has yet
	english := words.Default().Base()
	var texts []string
	for _, p := range problems() {
		_, err := Said(english, p)
		texts = append(texts, err.Error())
	}
	_, behind := Said(english, fmt.Errorf("%w: %w", office.ErrViewsBehind, context.DeadlineExceeded))
	texts = append(texts, behind.Error())
	place := regexp.MustCompile(`\\\{\w+\\\}`)
	for _, key := range words.Default().Keys("refusal.") {
		is := regexp.MustCompile("^" + place.ReplaceAllString(regexp.QuoteMeta(english.Text(key)), ".*") + "$")
		if !said[key] && !slices.ContainsFunc(texts, is.MatchString) && key != "refusal.device-of-person" {
			t.Errorf("no problem is said by %s", key)
		}
	}
	if p := (&report.Problem{Field: dsar.FieldDevices, Code: define.Missing}); !strings.Contains(
		acts{english}.report(p), english.Text("refusal.device-of-person")) {
		t.Error("a device of the person is not called so")
	}
}

// Whoever stands in a filter is not repeated, in any language.
func TestAFiltersValueIsNotRepeated(t *testing.T) {
	for _, code := range reportCodes {
		for _, in := range words.Default().Languages() {
			p := &report.Problem{Field: "actor", Filter: true, Code: code, Given: "anna@contoso.example"}
			if text := (acts{in}).report(p); strings.Contains(text, "anna") {
				t.Errorf("%s: %s repeats it: %q", in.Code(), code, text)
			}
		}
	}
}
