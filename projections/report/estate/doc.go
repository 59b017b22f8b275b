// Package estate has the reports on what is the tenant's own rather than a device's or a person's:
// its apps, the rights of its administrators, its policies.
//
// It keeps nothing between reports. What it looks into to tell that two ids are one is not shown.
package estate

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
)

// atOnce is how many values are looked into by one question, and aliases resolved.
const atOnce = 1000

// look returns the texts of values of an attribute, "" for one that does not open or where all is
// masked.
func look(ctx context.Context, q *define.Question, attr string, values []projections.Text) ([]string, error) {
	looked := make([]content.Value, len(values))
	all := make([]*content.Value, len(values))
	for i, v := range values {
		looked[i] = content.ValueOf(attr, v, uuid.Nil)
		all[i] = &looked[i]
	}
	if q.Look != nil {
		if err := q.Look(ctx, all); err != nil {
			return nil, err
		}
	}
	out := make([]string, len(values))
	for i, v := range looked {
		if v.State != document.Shown || json.Unmarshal(v.JSON, &out[i]) == nil {
			continue
		}
		var entry struct{ ID string }
		if json.Unmarshal(v.JSON, &entry) == nil {
			out[i] = entry.ID
		}
	}
	return out, nil
}

// aliasOf is whom a value is sealed under, uuid.Nil where it is open.
func aliasOf(t projections.Text) uuid.UUID {
	token, sealed := t.Token()
	if !sealed {
		return uuid.Nil
	}
	h, _, err := token.Parse()
	if err != nil {
		return uuid.Nil
	}
	return h.Alias
}

// personsOf tells whom aliases name, so many at a time; nobody where nobody can tell.
func personsOf(ctx context.Context, q *define.Question, aliases []uuid.UUID) (map[uuid.UUID]uuid.UUID, error) {
	out := map[uuid.UUID]uuid.UUID{}
	for len(aliases) > 0 && q.Owners != nil {
		n := min(atOnce, len(aliases))
		found, err := q.Owners(ctx, aliases[:n])
		if err != nil {
			return nil, err
		}
		for alias, person := range found {
			out[alias] = person
		}
		aliases = aliases[n:]
	}
	return out, nil
}
