//go:build conformance

package conformance

import (
	"path/filepath"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
)

// secure gives the server its certificate, the authority of its users', and the
// administrator that the client's tests sign in as.
func secure(cfg *eventstore.Config, certs string) error {
	hash, err := eventstore.HashPassword("changeit")
	if err != nil {
		return err
	}
	cfg.TLS = &eventstore.TLSConfig{
		CertFile: filepath.Join(certs, "node", "node.crt"), KeyFile: filepath.Join(certs, "node", "node.key"),
		CAFile: filepath.Join(certs, "ca", "ca.crt"), ClientCAFile: filepath.Join(certs, "users-ca", "ca.crt"),
	}
	cfg.Users = []eventstore.User{{Name: "admin", PasswordHash: hash, Groups: []string{"$admins"}}}
	return nil
}
