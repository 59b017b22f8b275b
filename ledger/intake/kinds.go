package intake

import "github.com/ledgerline/ledgerline/schemas"

// AllKinds returns every kind that is taken in, in the terms of the catalogue.
func AllKinds(c *schemas.Catalogue) []Kind {
	return []Kind{NewDeviceKind(c), NewActionKind(c), NewAccountKind(c)}
}
