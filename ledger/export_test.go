package ledger

// Batches makes batches that small, and has the notes saved after so many sequences, until restore
// is called.
func Batches(events int, every uint64) (restore func()) {
	m, j := maxBatch, judgedEvery
	maxBatch, judgedEvery = events, every
	return func() { maxBatch, judgedEvery = m, j }
}

// ForgetNames makes a naming remember that many owners and values until restore is called.
func ForgetNames(owners, values int) (restore func()) {
	o, v := maxNamedOwners, maxNamedValues
	maxNamedOwners, maxNamedValues = owners, values
	return func() { maxNamedOwners, maxNamedValues = o, v }
}

// Abandon leaves the ledger as a kill would.
func (l *Ledger) Abandon() error { return l.index.close() }
