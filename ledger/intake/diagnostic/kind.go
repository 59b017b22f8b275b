// Package diagnostic is the kind of optional diagnostic data: how apps are used, their errors, how
// fast they are, and other telemetry. No source of Intune tells of it: a CloudEvent does. What
// becomes of it is package occurrence.
//
// It keeps nothing, and trusts no event. It is taken only where the tenant's policy takes it, and
// of whose it is an alias of one month says and nothing else.
package diagnostic

import (
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/occurrence"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return occurrence.New(c, occurrence.Declaration{Recorded: "diagnostic.recorded.v1", Sources: sources,
		Optional: func(p policy.Policy) bool { return p.Diagnostics == policy.Kept }, Category: "diagnostic"})
}

var sources = []occurrence.Source{
	telemetry("usage", "diagnostic.feature", entity.Mapping{Field: "feature", Attr: "diagnostic.feature", Unit: 1},
		entity.Mapping{Field: "uses", Attr: "diagnostic.uses", Unit: 1}),
	telemetry("error", "diagnostic.error-code",
		entity.Mapping{Field: "errorCode", Attr: "diagnostic.error-code", Unit: 1},
		entity.Mapping{Field: "component", Attr: "diagnostic.error-component", Unit: 1},
		entity.Mapping{Field: "errors", Attr: "diagnostic.errors", Unit: 1}),
	telemetry("performance", "diagnostic.metric",
		entity.Mapping{Field: "metric", Attr: "diagnostic.metric", Unit: 1},
		entity.Mapping{Field: "milliseconds", Attr: "diagnostic.milliseconds", Unit: 1}),
	telemetry("other", "diagnostic.signal", entity.Mapping{Field: "signal", Attr: "diagnostic.signal", Unit: 1},
		entity.Mapping{Field: "value", Attr: "diagnostic.value", Unit: 1}),
}

// telemetry is the source of one category. needs is what it tells of.
func telemetry(category, needs string, table ...entity.Mapping) occurrence.Source {
	return occurrence.Source{
		Form: source.OfEvent("diagnostic."+category+".v1", nil),
		Says: []occurrence.Constant{{Attr: "diagnostic.category", Value: category}},
		Table: append([]entity.Mapping{{Field: "app", Attr: "diagnostic.app", Unit: 1},
			{Field: "appVersion", Attr: "diagnostic.app-version", Unit: 1}}, table...),
		Whose: occurrence.Whose{ID: "userId", UPN: "userPrincipalName"},
		Needs: []string{needs},
	}
}
