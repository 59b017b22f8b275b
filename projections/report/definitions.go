package report

import (
	"slices"

	"github.com/ledgerline/ledgerline/projections/report/estate"
)

// Definitions returns every report there is, in the order of the officer's page.
func Definitions() []Definition {
	out := []Definition{adminActions, remoteActions, deviceInventory, deviceHistory, personOverview,
		estate.AdminRights, estate.PolicyChanges, complianceStatus, alerts, leavers, deviceExposure,
		estate.AppInventory, refusedCollection, dataAccess, requestRegister, sourceDisagreements, processingRecord}
	for i, d := range out {
		out[i].Filters = slices.Clone(d.Filters)
		for k := range out[i].Filters {
			out[i].Filters[k].Report = d.ID
		}
	}
	return out
}

// Find returns the report of that id.
func Find(id string) (*Definition, bool) {
	for _, d := range Definitions() {
		if d.ID == id {
			return &d, true
		}
	}
	return nil, false
}
