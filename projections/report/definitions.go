package report

import "slices"

// Definitions returns every report there is, in the order of the officer's page.
func Definitions() []Definition {
	out := []Definition{adminActions, remoteActions, deviceInventory, deviceHistory, personOverview, complianceStatus,
		leavers, deviceExposure, refusedCollection, dataAccess, requestRegister, processingRecord}
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
