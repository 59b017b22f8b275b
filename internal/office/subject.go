package office

import (
	"context"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger/custody"
)

// MergeCandidates lists which persons of the tenant may be one subject and are not; more says that
// there are others beyond those. It names nobody.
func (o *Office) MergeCandidates(
	ctx context.Context, p access.Principal, tenant uuid.UUID,
) (all []custody.Candidate, more bool, err error) {
	if err := p.Can(access.ReadSubjects, tenant); err != nil {
		return nil, false, err
	}
	_, c, err := o.acts()
	if err != nil {
		return nil, false, err
	}
	return c.MergeCandidates(ctx, p, tenant)
}

// MergeSubjects makes two persons of the tenant one subject.
func (o *Office) MergeSubjects(
	ctx context.Context, p access.Principal, tenant uuid.UUID, n custody.NewMerge,
) (custody.Merged, error) {
	if err := p.Can(access.MergeSubjects, tenant); err != nil {
		return custody.Merged{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return custody.Merged{}, err
	}
	return c.MergeSubjects(ctx, p, tenant, n)
}

// UnmergeSubjects undoes a merge of the tenant's.
func (o *Office) UnmergeSubjects(
	ctx context.Context, p access.Principal, tenant, merge uuid.UUID, reason string,
) (custody.Merged, error) {
	if err := p.Can(access.MergeSubjects, tenant); err != nil {
		return custody.Merged{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return custody.Merged{}, err
	}
	return c.UnmergeSubjects(ctx, p, tenant, merge, reason)
}

// SubjectHistory returns the merges of whoever is known by that name or alias in the tenant.
func (o *Office) SubjectHistory(
	ctx context.Context, p access.Principal, tenant uuid.UUID, given string,
) ([]custody.MergeTold, error) {
	if err := p.Can(access.ReadSubjects, tenant); err != nil {
		return nil, err
	}
	_, c, err := o.acts()
	if err != nil {
		return nil, err
	}
	return c.SubjectHistory(ctx, p, tenant, given)
}
