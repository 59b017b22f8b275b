// Package configuration is the kind of what devices are given: configuration profiles, compliance
// policies, policies of the settings catalog, administrative templates and scripts, with their
// settings and to whom they are assigned. It says how Graph writes one; what becomes of it is
// package resource.
//
// It keeps nothing, trusts no record, and takes in no script.
package configuration

import (
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/schemas"
)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	return resource.New(c, resource.Declaration{
		Observed: "configuration.observed.v1", Changed: "configuration.changed.v1",
		Restated: "configuration.restated.v1", Identity: "configuration.id", Sources: sources,
	})
}
