package ledger

// ForgetNames makes a naming remember that many owners and values until restore is called.
func ForgetNames(owners, values int) (restore func()) {
	o, v := maxNamedOwners, maxNamedValues
	maxNamedOwners, maxNamedValues = owners, values
	return func() { maxNamedOwners, maxNamedValues = o, v }
}
