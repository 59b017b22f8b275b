//go:build conformance

package conformance

import (
	"path/filepath"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
)

// secure gives the server its certificate, the authority of its users', and the
// administrator that the client's tests sign in as.
func secure(cfg *eventstore.Config, certs string) error {
	hash, err := guard.HashPassword("changeit")
	if err != nil {
		return err
	}
	cfg.TLS = &guard.TLSConfig{
		CertFile: filepath.Join(certs, "node", "node.crt"), KeyFile: filepath.Join(certs, "node", "node.key"),
		CAFile: filepath.Join(certs, "ca", "ca.crt"), ClientCAFile: filepath.Join(certs, "users-ca", "ca.crt"),
	}
	cfg.Users = []guard.User{{Name: "admin", PasswordHash: hash, Groups: []string{"$admins"}}}
	return nil
}
