package custody_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
)

const (
	anna = "anna@contoso.example"
	bram = "bram@contoso.example"
)

func annaAndBram() custody.NewMerge {
	return custody.NewMerge{Subject: anna, Other: bram, Reason: "HR confirms: Anna is Bram"}
}

func (b *bench) merge() custody.Merged {
	b.t.Helper()
	m, err := b.custody.MergeSubjects(b.ctx, officer, b.tenant.ID, annaAndBram())
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// persons returns how many persons are one with whoever is known by that name.
func (b *bench) persons(name string) (n int) {
	b.t.Helper()
	err := b.vault.View(b.ctx, b.tenant.ID, func(tx *vault.Tx) error {
		found, err := tx.FindPersons(name)
		if err != nil || len(found) == 0 {
			return err
		}
		all, err := tx.Subject(found[0].ID)
		n = len(all)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// Two persons are one once an officer says so: the event names both by alias, the officer and why,
// and nothing native; undone, each is again who they were.
func TestAMergeIsAnEventAndCanBeUndone(t *testing.T) {
	b := newBench(t)
	sealed := []vault.Sealed{b.person(anna), b.person(bram)}
	m := b.merge()
	if m.Persons != 2 || b.persons(anna) != 2 || b.persons(bram) != 2 || b.count("subject.merged.v1") != 1 {
		t.Fatalf("after the merge: %+v, %d and %d persons", m, b.persons(anna), b.persons(bram))
	}
	for _, e := range b.store.Events() {
		text := string(e.Data) + string(e.Metadata) + string(e.Stream)
		if e.Type == "subject.merged.v1" && (strings.Contains(text, "contoso") || strings.Contains(text, "HR")) {
			t.Errorf("something native or sealed stands open: %s", text)
		}
	}
	if _, err := b.custody.MergeSubjects(b.ctx, officer, b.tenant.ID, annaAndBram()); !errors.Is(err,
		custody.ErrOneSubject) {
		t.Errorf("merged twice: %v", err)
	}
	r := b.request("access", anna)
	if r.Person == uuid.Nil {
		t.Error("a request of either finds nobody")
	}
	told, err := b.custody.SubjectHistory(b.ctx, officer, b.tenant.ID, bram)
	if err != nil || len(told) != 1 || !told[0].Holds || told[0].ID != m.ID || told[0].Events[0].Likeness != "none" {
		t.Errorf("its history is %+v, %v", told, err)
	}
	undone, err := b.custody.UnmergeSubjects(b.ctx, officer, b.tenant.ID, m.ID, "two employees after all")
	if err != nil || undone.Persons != 1 || b.persons(anna) != 1 || b.persons(bram) != 1 {
		t.Fatalf("after its undoing: %+v, %v", undone, err)
	}
	for _, s := range sealed {
		if _, err := b.open(s); err != nil {
			t.Errorf("what was sealed opens no more: %v", err)
		}
	}
	if _, err := b.custody.UnmergeSubjects(b.ctx, officer, b.tenant.ID, m.ID, "again"); !errors.Is(err,
		custody.ErrNoMerge) {
		t.Errorf("undone twice: %v", err)
	}
	told, err = b.custody.SubjectHistory(b.ctx, officer, b.tenant.ID, anna)
	if err != nil || len(told) != 1 || told[0].Holds || len(told[0].Events) != 2 {
		t.Errorf("its history is %+v, %v", told, err)
	}
	err = b.ledger.Check(b.ctx, []uuid.UUID{b.tenant.ID}, b.owners, func(f ledger.Found) error {
		if f.Verdict != ledger.Genuine || len(f.Naming.Missing) > 0 {
			t.Errorf("a %s is %s and does not name the person of %v", f.Type, f.Verdict, f.Naming.Missing)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever a crash cuts, a merge or its undoing has happened in the ledger and in the vault, or in
// neither, once the next start has resumed.
func TestAMergeCutAtAnyPointIsToldAndCountsOrNeither(t *testing.T) {
	for point, told := range map[string]bool{custody.PointMergeBegun: false, custody.PointMergeTold: true} {
		b := newBench(t)
		b.person(anna)
		b.person(bram)
		resume := func() {
			t.Helper()
			b.crashAt = ""
			if _, _, err := b.custody.Resume(b.ctx); err != nil {
				t.Fatal(err)
			}
		}
		cut := func(act func() error) {
			t.Helper()
			b.crashAt = point
			if err := act(); !errors.Is(err, errCrash) {
				t.Fatalf("not cut at %q: %v", point, err)
			}
		}
		one := func(what string, is bool) {
			t.Helper()
			if got := b.persons(anna) == 2; got != is {
				t.Errorf("%s, cut at %q: they are one: %t", what, point, got)
			}
		}
		cut(func() error {
			_, err := b.custody.MergeSubjects(b.ctx, officer, b.tenant.ID, annaAndBram())
			return err
		})
		one("before the next start", false)
		resume()
		one("merged", told)
		if got := b.count("subject.merged.v1") == 1; got != told {
			t.Errorf("cut at %q: told %t", point, got)
		}
		if !told {
			b.merge()
		}
		h, err := b.custody.SubjectHistory(b.ctx, officer, b.tenant.ID, anna)
		if err != nil || len(h) != 1 {
			t.Fatalf("%+v, %v", h, err)
		}
		cut(func() error {
			_, err := b.custody.UnmergeSubjects(b.ctx, officer, b.tenant.ID, h[0].ID, "two employees")
			return err
		})
		one("before the next start", true)
		resume()
		one("undone", !told)
	}
}

// An erasure of either erases both; nobody who is erased can be merged, and of their merge nothing
// is left to undo.
func TestAnErasureTakesAllPersonsOfASubject(t *testing.T) {
	b := newBench(t)
	sealed := []vault.Sealed{b.person(anna), b.person(bram)}
	m := b.merge()
	if _, err := b.custody.Erase(b.ctx, officer, b.request("erasure", bram), "unlawful", nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range sealed {
		if _, err := b.open(s); !errors.Is(err, vault.ErrErased) {
			t.Errorf("what was sealed of them opens: %v", err)
		}
	}
	if _, err := b.custody.MergeSubjects(b.ctx, officer, b.tenant.ID, annaAndBram()); !errors.Is(err,
		custody.ErrNoSuchPerson) {
		t.Errorf("a merge of who is erased: %v", err)
	}
	if _, err := b.custody.UnmergeSubjects(b.ctx, officer, b.tenant.ID, m.ID, "x"); !errors.Is(err,
		custody.ErrNoMerge) {
		t.Errorf("an undoing of who is erased: %v", err)
	}
}

// Who merges gives a reason, has the right, chooses where a name finds several, and is not one of
// them.
func TestWhatAMergeNeeds(t *testing.T) {
	b := newBench(t)
	for range 3 {
		b.person(anna)
	}
	b.person(bram)
	b.person("carla@contoso.example")
	for what, tc := range map[string]struct {
		with func(n *custody.NewMerge, who *access.Principal)
		code error
	}{
		"no reason": {func(n *custody.NewMerge, _ *access.Principal) {
			n.Reason = "  "
		}, custody.ErrMissing},
		"a long one": {func(n *custody.NewMerge, _ *access.Principal) {
			n.Reason = strings.Repeat("x", 1001)
		}, custody.ErrTooMany},
		"nobody": {func(n *custody.NewMerge, _ *access.Principal) {
			n.Other = "x@contoso.example"
		}, custody.ErrNoSuchPerson},
		"one of three": {func(*custody.NewMerge, *access.Principal) {}, custody.ErrSeveralPersons},
		"none chosen": {func(n *custody.NewMerge, _ *access.Principal) {
			n.Other = ""
		}, custody.ErrSeveralPersons},
		"one alone": {func(n *custody.NewMerge, _ *access.Principal) {
			n.Subject, n.Other = bram, ""
		}, custody.ErrMissing},
		"the fourth": {func(n *custody.NewMerge, _ *access.Principal) {
			n.Choose = []int{4, 1}
		}, custody.ErrUnknown},
		"one before the first": {func(n *custody.NewMerge, _ *access.Principal) {
			n.Choose = []int{-1, 1}
		}, custody.ErrUnknown},
		"the same": {func(n *custody.NewMerge, _ *access.Principal) {
			n.Subject = bram
		}, custody.ErrOneSubject},
		"oneself": {func(n *custody.NewMerge, p *access.Principal) {
			n.Subject, p.Login = "carla@contoso.example", "carla@contoso.example"
		}, custody.ErrOwnSubject},
	} {
		n, who := annaAndBram(), officer
		tc.with(&n, &who)
		if _, err := b.custody.MergeSubjects(b.ctx, who, b.tenant.ID, n); !errors.Is(err, tc.code) {
			t.Errorf("%s: %v, want %v", what, err, tc.code)
		}
	}
	viewer := access.Principal{Login: "v@contoso.example", Roles: []access.Role{access.Auditor}, All: true}
	var denied *access.Denied
	if _, err := b.custody.MergeSubjects(b.ctx, viewer, b.tenant.ID, annaAndBram()); !errors.As(err, &denied) {
		t.Errorf("without the right: %v", err)
	}
	if b.count("subject.merged.v1") != 0 {
		t.Error("something was told")
	}
	n := annaAndBram()
	n.Other, n.Choose = "", []int{1, 3}
	if _, err := b.custody.MergeSubjects(b.ctx, officer, b.tenant.ID, n); err != nil {
		t.Error(err)
	}
	n = annaAndBram()
	n.Choose = []int{2, 0}
	if _, err := b.custody.MergeSubjects(b.ctx, officer, b.tenant.ID, n); err != nil {
		t.Error(err)
	}
}

// Candidates are listed by aliases, which the merge takes; they name nobody.
func TestACandidateIsMergedByItsAliases(t *testing.T) {
	b := newBench(t)
	err := b.vault.Update(b.ctx, b.tenant.ID, func(tx *vault.Tx) error {
		_, _, err := tx.Person(vault.PersonHint{UPN: anna, At: time.Now().Add(-time.Hour)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.request("access", anna) // seals something of the person known by name
	b.person(anna)            // whom the directory knows
	all, more, err := b.custody.MergeCandidates(b.ctx, officer, b.tenant.ID)
	if err != nil || more || len(all) != 1 || all[0].Aliases[0] == uuid.Nil || all[0].Aliases[1] == uuid.Nil ||
		all[0].Likeness[0].Kind != "upn" {
		t.Fatalf("candidates are %+v, %v", all, err)
	}
	m, err := b.custody.MergeSubjects(b.ctx, officer, b.tenant.ID, custody.NewMerge{
		Subject: all[0].Aliases[0].String(), Other: all[0].Aliases[1].String(), Reason: "one employee"})
	if err != nil || m.Likeness != "upn" {
		t.Fatalf("%+v, %v", m, err)
	}
	if all, _, err := b.custody.MergeCandidates(b.ctx, officer, b.tenant.ID); err != nil || len(all) != 0 {
		t.Errorf("afterwards: %+v, %v", all, err)
	}
}

// A vault restored from before a merge knows it again from the ledger, with those persons whom it
// knows.
func TestARestoredVaultKnowsMergesAgain(t *testing.T) {
	b := newBench(t)
	b.person(anna)
	b.person(bram)
	b.request("access", anna) // this month's aliases of the class are known to the copy
	b.request("access", bram)
	before := b.backup()
	b.merge()
	b.restore(before)
	if b.persons(anna) != 1 {
		t.Fatal("the copy knows of the merge")
	}
	if r := b.replay(); r.Apart != 0 || b.persons(anna) != 2 {
		t.Errorf("after the replay %d are one: %+v", b.persons(anna), r)
	}
}
