// Package kinds lists the kinds of records that are taken in. It is the one place beside a kind's
// own folder that names it to the engine.
package kinds

import (
	"github.com/ledgerline/ledgerline/ledger/intake/account"
	"github.com/ledgerline/ledgerline/ledger/intake/adminaction"
	"github.com/ledgerline/ledgerline/ledger/intake/adminusage"
	"github.com/ledgerline/ledgerline/ledger/intake/alert"
	"github.com/ledgerline/ledgerline/ledger/intake/app"
	"github.com/ledgerline/ledgerline/ledger/intake/billing"
	"github.com/ledgerline/ledgerline/ledger/intake/configuration"
	"github.com/ledgerline/ledgerline/ledger/intake/connector"
	"github.com/ledgerline/ledgerline/ledger/intake/correspondence"
	"github.com/ledgerline/ledgerline/ledger/intake/counts"
	"github.com/ledgerline/ledgerline/ledger/intake/device"
	"github.com/ledgerline/ledgerline/ledger/intake/diagnostic"
	"github.com/ledgerline/ledgerline/ledger/intake/licence"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/platformid"
	"github.com/ledgerline/ledgerline/ledger/intake/registration"
	"github.com/ledgerline/ledgerline/ledger/intake/remoteaction"
	"github.com/ledgerline/ledgerline/ledger/intake/role"
	"github.com/ledgerline/ledgerline/ledger/intake/status"
	"github.com/ledgerline/ledgerline/ledger/intake/support"
	"github.com/ledgerline/ledgerline/ledger/intake/terms"
	"github.com/ledgerline/ledgerline/schemas"
)

// All returns every kind that is taken in, in the terms of the catalogue.
func All(c *schemas.Catalogue) []plan.Kind {
	return []plan.Kind{
		device.New(c),
		adminaction.New(c),
		account.New(c),
		remoteaction.New(c),
		app.New(c),
		alert.New(c),
		role.New(c),
		connector.New(c),
		configuration.New(c),
		counts.New(c),
		registration.New(c),
		status.New(c),
		terms.New(c),
		support.New(c),
		platformid.New(c),
		licence.New(c),
		diagnostic.New(c),
		correspondence.New(c),
		billing.New(c),
		adminusage.New(c),
	}
}
