//go:build conformance

package conformance

import (
	"errors"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
)

// secure gives the server its certificate and the user of the client's tests.
func secure(*eventstore.Config, string) error {
	return errors.New("the server has no TLS")
}
