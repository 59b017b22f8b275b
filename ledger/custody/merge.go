package custody

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file makes two persons one subject, and undoes that. Both are an officer's decision: no
// record merges anybody (FORMATS §1). The order of either: begun in the vault, where it counts for
// nothing yet; told in the ledger; settled in the vault by what the ledger tells. So what a crash
// leaves is settled by asking the merge's own stream.

const (
	subjectMerged   = "subject.merged.v1"
	subjectUnmerged = "subject.unmerged.v1"
)

// Crash points of a merge and of its undoing, in order.
const (
	PointMergeBegun = "merge: begun in the vault"
	PointMergeTold  = "merge: told in the ledger"
)

// maxReason is the longest reason that an officer may give, in bytes.
const maxReason = 1000

// NewMerge names two persons who are one: by what each is known, or by an alias of theirs, as
// reports show it. Where Other is empty, the two are those that Subject finds.
type NewMerge struct {
	Subject, Other string
	// Choose are the 1-based places of those meant, where a name finds several, as a Problem lists
	// them: of Subject alone, or of Subject and Other.
	Choose []int
	Reason string
}

// Merged is a merge that was told, or undone.
type Merged struct {
	ID       uuid.UUID
	Event    uuid.UUID
	Persons  int // of the subject afterwards; of an undone merge, of the first of the two
	Likeness string
}

// MergeSubjects makes two persons one subject.
func (c *Custody) MergeSubjects(
	ctx context.Context, p access.Principal, tenant uuid.UUID, n NewMerge,
) (Merged, error) {
	fail := func(err error) (Merged, error) { return Merged{}, fmt.Errorf("merge subjects: %w", err) }
	if err := p.Can(access.MergeSubjects, tenant); err != nil {
		return fail(err)
	}
	if err := CheckReason(n.Reason); err != nil {
		return fail(err)
	}
	m := Merged{ID: uuid.New()}
	stream := schemas.NewStream("subject", m.ID)
	var e schemas.Event
	var two []uuid.UUID
	err := c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) (err error) {
		if two, err = n.find(tx); err != nil {
			return err
		}
		d := c.draft(subjectMerged, tenant, stream)
		who, err := c.decides(tx, p, d.Occurred, two)
		if err != nil {
			return err
		}
		if m.Likeness, err = likeness(tx, two[0], two[1]); err != nil {
			return err
		}
		switch err := tx.BeginMerge(m.ID, two[0], two[1]); {
		case errors.Is(err, vault.ErrExists):
			return &Problem{Field: FieldSubject, Code: ErrOneSubject}
		case errors.Is(err, vault.ErrTooMany):
			return &Problem{Field: FieldSubject, Code: vault.ErrTooMany, Most: vault.MaxSubject}
		case errors.Is(err, vault.ErrErased):
			return &Problem{Field: FieldSubject, Code: ErrNoSuchPerson}
		case err != nil:
			return err
		}
		m.Persons, err = together(tx, two)
		if err != nil {
			return err
		}
		c.set(&d, "subject.likeness", m.Likeness, tenantOwner)
		e, err = c.tellMerge(tx, &d, m.Persons, n.Reason, who, two)
		return err
	})
	if err != nil {
		return fail(err)
	}
	m.Event = e.ID
	return m, c.carryOut(ctx, tenant, m.ID, two, ledger.NoStream, e)
}

// UnmergeSubjects undoes a merge: each person is again who they were. What was recorded in between
// stays under the key that sealed it, and so with whom the record named. vault.ErrNotFound in a
// Problem: there is no such merge that holds.
func (c *Custody) UnmergeSubjects(
	ctx context.Context, p access.Principal, tenant, merge uuid.UUID, reason string,
) (Merged, error) {
	fail := func(err error) (Merged, error) { return Merged{}, fmt.Errorf("undo a merge: %w", err) }
	if err := p.Can(access.MergeSubjects, tenant); err != nil {
		return fail(err)
	}
	if err := CheckReason(reason); err != nil {
		return fail(err)
	}
	_, told, expect, err := c.mergeTold(ctx, tenant, merge)
	if err != nil {
		return fail(err)
	}
	var e schemas.Event
	var of vault.Merge
	err = c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) (err error) {
		of, err = tx.BeginUnmerge(merge)
		switch {
		case errors.Is(err, vault.ErrNotFound), errors.Is(err, vault.ErrErasing):
			return &Problem{Field: FieldMerge, Code: ErrNoMerge, Given: merge.String()}
		case err != nil:
			return err
		}
		d := c.draft(subjectUnmerged, tenant, of.Stream())
		d.Causation = told
		who, err := c.decides(tx, p, d.Occurred, of.Persons)
		if err != nil {
			return err
		}
		all, err := tx.Subject(of.Persons[0])
		if err != nil {
			return err
		}
		e, err = c.tellMerge(tx, &d, len(all), reason, who, of.Persons)
		return err
	})
	if err != nil {
		return fail(err)
	}
	if err := c.carryOut(ctx, tenant, merge, of.Persons, expect, e); err != nil {
		return fail(err)
	}
	m := Merged{ID: merge, Event: e.ID}
	err = c.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
		all, err := tx.Subject(of.Persons[0])
		m.Persons = len(all)
		return err
	})
	return m, err
}

// tellMerge encodes an event of a merge: how many persons it concerns, who they are by aliases
// alone, and why, under the key of whoever decided.
func (c *Custody) tellMerge(
	tx *vault.Tx, d *schemas.Draft, persons int, reason string, who uuid.UUID, two []uuid.UUID,
) (schemas.Event, error) {
	c.set(d, "subject.persons", persons, tenantOwner)
	c.set(d, "subject.reason", strings.TrimSpace(reason), personOwner(who))
	for _, p := range two {
		d.Subjects = append(d.Subjects, schemas.SubjectRef{Role: "target", Person: p})
	}
	d.Subjects = append(d.Subjects, schemas.SubjectRef{Role: "officer", Person: who})
	return c.sealAndEncode(tx, d)
}

// carryOut tells what the vault has begun, and settles it.
func (c *Custody) carryOut(
	ctx context.Context, tenant, merge uuid.UUID, persons []uuid.UUID, expect ledger.Expect, e schemas.Event,
) error {
	if err := c.hook(PointMergeBegun); err != nil {
		return err
	}
	_, appendErr := c.appendBehind(ctx, e.Stream, expect, e)
	if errors.Is(appendErr, ledger.ErrUnknownOutcome) || appendErr != nil && ctx.Err() != nil {
		return fmt.Errorf("whether it was told is not known; the next start finds out: %w", appendErr)
	}
	if appendErr == nil {
		if err := c.hook(PointMergeTold); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	return errors.Join(appendErr, c.settleMerge(ctx, tenant, merge, persons))
}

// settleMerge makes what the ledger tells of a merge count.
func (c *Custody) settleMerge(ctx context.Context, tenant, merge uuid.UUID, persons []uuid.UUID) error {
	state, _, _, err := c.mergeTold(ctx, tenant, merge)
	if err != nil {
		return err
	}
	return c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error {
		if state == vault.MergeUntold {
			return tx.SettleMerge(merge, state)
		}
		return tx.RestoreMerge(merge, persons, state)
	})
}

// mergeTold reads what the ledger tells of a merge last, and by which event, and where an append
// behind it goes.
func (c *Custody) mergeTold(
	ctx context.Context, tenant, merge uuid.UUID,
) (state vault.MergeState, by uuid.UUID, expect ledger.Expect, err error) {
	reading, err := c.read(ctx, schemas.NewStream("subject", merge), tenant, func(own ledger.Own) error {
		switch own.Type {
		case subjectMerged:
			state, by = vault.MergeHolds, own.ID
		case subjectUnmerged:
			state, by = vault.MergeUndone, own.ID
		}
		return nil
	})
	return state, by, reading.Expect(), err
}

// resumeMerges settles what a crash left of merges, of all tenants: one that was told counts, one
// that was not has not begun.
func (c *Custody) resumeMerges(ctx context.Context) error {
	tenants, err := c.cfg.Vault.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		var pending []vault.Merge
		err := c.cfg.Vault.View(ctx, t.ID, func(tx *vault.Tx) (err error) {
			pending, err = tx.PendingMerges()
			return err
		})
		for _, m := range pending {
			err = errors.Join(err, c.settleMerge(ctx, t.ID, m.ID, m.Persons))
		}
		if err != nil {
			return fmt.Errorf("settle merges that were begun: %w", err)
		}
	}
	return nil
}

// restoreMerge has a restored vault know a merge that the ledger tells of. It reports false where
// the vault knows fewer than two of its persons, who then stay apart: an officer can merge them
// anew.
func (c *Custody) restoreMerge(ctx context.Context, e schemas.Envelope) (known bool, err error) {
	meta := e.Meta()
	if has, err := c.cfg.Vault.HasTenant(ctx, meta.Tenant); err != nil || !has {
		return false, err
	}
	if verdict, err := c.cfg.Ledger.Judge(ctx, e); err != nil || verdict != ledger.Genuine {
		return false, err
	}
	var persons []uuid.UUID
	err = c.cfg.Vault.View(ctx, meta.Tenant, func(tx *vault.Tx) error {
		persons = nil
		for _, s := range meta.Subjects {
			if owner, err := tx.AliasOwner(s.ID); err == nil && s.Role == "target" {
				persons = append(persons, owner.ID)
			} else if err != nil && !namesNobody(err) {
				return err
			}
		}
		return nil
	})
	if err != nil || len(persons) < 2 {
		return false, err
	}
	return true, c.settleMerge(ctx, meta.Tenant, e.Stream.UUID(), persons)
}

// CheckReason returns the Problem with a reason that is missing or too long.
func CheckReason(reason string) error {
	switch n := len(strings.TrimSpace(reason)); {
	case n == 0:
		return &Problem{Field: FieldReason, Code: ErrMissing}
	case n > maxReason:
		return &Problem{Field: FieldReason, Code: ErrTooMany, Most: maxReason}
	}
	return nil
}

// decides returns who acts, who may not be one of those concerned.
func (c *Custody) decides(
	tx *vault.Tx, p access.Principal, at time.Time, concerned []uuid.UUID,
) (uuid.UUID, error) {
	who, err := officer(tx, p, at)
	if err != nil {
		return uuid.Nil, err
	}
	for _, of := range concerned {
		if own, err := isOf(tx, who, of); err != nil || own {
			return uuid.Nil, cmp.Or[error](err, &Problem{Field: FieldSubject, Code: ErrOwnSubject})
		}
	}
	return who, nil
}

// isOf reports whether somebody is of the subject that a person is.
func isOf(tx *vault.Tx, who, person uuid.UUID) (bool, error) {
	all, err := tx.Subject(person)
	return slices.Contains(all, who), err
}

// together returns how many persons the subject is of which the two are.
func together(tx *vault.Tx, two []uuid.UUID) (int, error) {
	a, err := tx.Subject(two[0])
	if err != nil {
		return 0, err
	}
	b, err := tx.Subject(two[1])
	return len(a) + len(b), err
}

// likeness says in our own word what two persons share.
func likeness(tx *vault.Tx, a, b uuid.UUID) (string, error) {
	kinds, err := tx.Likeness(a, b)
	switch {
	case err != nil:
		return "", err
	case len(kinds) == 0:
		return "none", nil
	case len(kinds) > 1:
		return "several", nil
	}
	return kinds[0], nil
}

// find returns the two persons.
func (n NewMerge) find(tx *vault.Tx) ([]uuid.UUID, error) {
	first, err := known(tx, FieldSubject, n.Subject)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(n.Other) == "" {
		switch {
		case len(first) == 2 && len(n.Choose) == 0:
			return []uuid.UUID{first[0][0].ID, first[1][0].ID}, nil
		case len(first) == 1:
			return nil, &Problem{Field: FieldWith, Code: ErrMissing}
		case len(n.Choose) != 2:
			return nil, several(FieldPersons, first)
		}
		a, errA := at(FieldPersons, first, n.Choose[0])
		b, errB := at(FieldPersons, first, n.Choose[1])
		return []uuid.UUID{a, b}, cmp.Or(errA, errB)
	}
	second, err := known(tx, FieldWith, n.Other)
	if err != nil {
		return nil, err
	}
	choose := n.Choose
	if len(choose) == 0 {
		choose = []int{0, 0}
	}
	if len(choose) != 2 {
		return nil, several(FieldPersons, first)
	}
	out := make([]uuid.UUID, 2)
	for i, of := range [][][]vault.PersonMatch{first, second} {
		if out[i], err = chosen(FieldPersons, of, choose[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// known returns the subjects that are known by a name, or the person whom an alias names.
func known(tx *vault.Tx, field, given string) ([][]vault.PersonMatch, error) {
	matches, err := tx.FindPersons(given)
	if err != nil {
		return nil, err
	}
	if of := byPerson(matches); len(of) > 0 {
		return of, nil
	}
	if alias, err := uuid.Parse(strings.TrimSpace(given)); err == nil {
		owner, err := tx.AliasOwner(alias)
		switch {
		case err == nil && owner.Kind == schemas.OwnerPerson:
			return [][]vault.PersonMatch{{{ID: owner.ID}}}, nil
		case err != nil && !namesNobody(err):
			return nil, err
		}
	}
	return nil, &Problem{Field: field, Code: ErrNoSuchPerson}
}

// namesNobody reports whether an alias has no owner any more, or never had one: any other error is
// the vault's, and says nothing of the alias.
func namesNobody(err error) bool {
	return errors.Is(err, vault.ErrNotFound) || errors.Is(err, vault.ErrErased) || errors.Is(err, vault.ErrExpired)
}

// Candidate is two persons who may be one subject, each by an alias of theirs; uuid.Nil where
// nothing was recorded of them.
type Candidate struct {
	Aliases  [2]uuid.UUID
	Likeness []vault.Likeness
	Undone   bool
}

// maxCandidates bounds how many candidates are listed at once.
const maxCandidates = 1000

// MergeCandidates lists who may be one subject and is not; more says that there are others beyond
// the most that are listed. It names nobody, and merges nobody.
func (c *Custody) MergeCandidates(
	ctx context.Context, p access.Principal, tenant uuid.UUID,
) (out []Candidate, more bool, err error) {
	if err := p.Can(access.ReadSubjects, tenant); err != nil {
		return nil, false, fmt.Errorf("candidates of merges: %w", err)
	}
	const atOnce = 256
	for after, first := uuid.Nil, true; first || after != uuid.Nil; first = false {
		err := c.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
			found, next, err := tx.Candidates(after, atOnce)
			if err != nil {
				return err
			}
			for _, f := range found {
				of := Candidate{Likeness: f.Likeness, Undone: f.Undone}
				for i, p := range f.Persons {
					if of.Aliases[i], err = lastAlias(tx, p); err != nil {
						return err
					}
				}
				out = append(out, of)
			}
			after = next
			return nil
		})
		if err != nil {
			return nil, false, fmt.Errorf("candidates of merges: %w", err)
		}
		if len(out) > maxCandidates {
			return out[:maxCandidates], true, nil
		}
	}
	return out, false, nil
}

// lastAlias returns an alias of the person's latest month, uuid.Nil where there is none.
func lastAlias(tx *vault.Tx, person uuid.UUID) (uuid.UUID, error) {
	all, err := tx.Aliases(person)
	if err != nil || len(all) == 0 {
		return uuid.Nil, err
	}
	return slices.MaxFunc(all, func(a, b vault.Alias) int { return strings.Compare(a.Month, b.Month) }).ID, nil
}

// MergeTold is what the ledger tells of a merge.
type MergeTold struct {
	ID     uuid.UUID
	Holds  bool
	Events []MergeEvent // in order
}

// MergeEvent is one event of a merge.
type MergeEvent struct {
	ID       uuid.UUID
	Undone   bool // it tells that the merge was undone
	At       time.Time
	Likeness string
	Officer  uuid.UUID // an alias
}

// SubjectHistory returns the merges of whoever is known by that name or alias, those undone too,
// in the order in which they were told. A Problem: nobody is, or several are.
func (c *Custody) SubjectHistory(
	ctx context.Context, p access.Principal, tenant uuid.UUID, given string,
) ([]MergeTold, error) {
	fail := func(err error) ([]MergeTold, error) { return nil, fmt.Errorf("a subject's merges: %w", err) }
	if err := p.Can(access.ReadSubjects, tenant); err != nil {
		return fail(err)
	}
	var merges []vault.Merge
	err := c.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
		merges = nil
		of, err := known(tx, FieldSubject, given)
		if err != nil {
			return err
		}
		for _, matches := range of {
			more, err := tx.MergesOf(matches[0].ID)
			if err != nil {
				return err
			}
			for _, m := range more {
				if !slices.ContainsFunc(merges, func(o vault.Merge) bool { return o.ID == m.ID }) {
					merges = append(merges, m)
				}
			}
		}
		return nil
	})
	if err != nil {
		return fail(err)
	}
	var out []MergeTold
	for _, m := range merges {
		told := MergeTold{ID: m.ID}
		_, err := c.read(ctx, m.Stream(), tenant, func(own ledger.Own) error {
			if own.Type != subjectMerged && own.Type != subjectUnmerged {
				return nil
			}
			e := MergeEvent{ID: own.ID, Undone: own.Type == subjectUnmerged, At: own.Draft.Occurred}
			for _, v := range own.Draft.Values {
				if v.Attr.ID == "subject.likeness" {
					e.Likeness = v.Text()
				}
			}
			for _, s := range own.Draft.Subjects {
				if s.Role == "officer" {
					e.Officer = s.Alias
				}
			}
			told.Events, told.Holds = append(told.Events, e), !e.Undone
			return nil
		})
		if err != nil {
			return fail(err)
		}
		if len(told.Events) > 0 {
			out = append(out, told)
		}
	}
	slices.SortFunc(out, func(a, b MergeTold) int { return a.Events[0].At.Compare(b.Events[0].At) })
	return out, nil
}
