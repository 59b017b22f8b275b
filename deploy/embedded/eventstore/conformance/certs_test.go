//go:build conformance

package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/authority"
)

// The client's tests read certificates from fixed places. What each is for:
//
//	ca/ca.{crt,key}                      signed the node: an authority as the servers have it
//	node/node.{crt,key}                  the server, by that authority; clients trust it, too
//	users-ca/ca.{crt,key}                signs the users
//	untrusted-ca/ca.{crt,key}            a CA that did not sign the server
//	user-admin/user-admin.{crt,key}      a user that the server has
//	user-invalid/user-invalid.{crt,key}  signed as well, but the server has no such user

// writeCertificates makes all of them under dir.
func writeCertificates(dir string) error {
	if err := writeNode(dir); err != nil {
		return err
	}
	users, err := newCertificate("Users' CA", nil)
	if err != nil {
		return err
	}
	untrusted, err := newCertificate("Untrusted CA", nil)
	if err != nil {
		return err
	}
	admin, err := newCertificate("admin", users)
	if err != nil {
		return err
	}
	invalid, err := newCertificate("invalid", users)
	if err != nil {
		return err
	}
	return errors.Join(
		users.write(dir, "users-ca", "ca"),
		untrusted.write(dir, "untrusted-ca", "ca"),
		admin.write(dir, "user-admin", "user-admin"),
		invalid.write(dir, "user-invalid", "user-invalid"),
	)
}

// writeNode has an authority issue the server's certificate, as `up` does.
func writeNode(dir string) error {
	a, err := authority.Open(authority.Config{Dir: filepath.Join(dir, "ca"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	hosts, err := authority.Hosts("127.0.0.1:0")
	if err != nil {
		return err
	}
	certFile, keyFile, err := a.Issue("node", hosts)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "node"), 0o700); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	return errors.Join(os.Symlink(certFile, filepath.Join(dir, "node", "node.crt")),
		os.Symlink(keyFile, filepath.Join(dir, "node", "node.key")))
}

type certificate struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newCertificate makes a certificate that identifies the user of the name,
// signed by the signer; without one, a CA.
func newCertificate(name string, signer *certificate) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make serial number of %s: %w", name, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		BasicConstraintsValid: true,
	}
	parent, signing := template, key
	if signer == nil {
		template.IsCA = true
		template.KeyUsage = x509.KeyUsageCertSign
	} else {
		template.KeyUsage = x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		parent, signing = signer.cert, signer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signing)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back certificate of %s: %w", name, err)
	}
	return &certificate{cert: cert, key: key}, nil
}

func (c *certificate) write(dir, folder, name string) error {
	key, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		return fmt.Errorf("encode key of %s: %w", name, err)
	}
	base := filepath.Join(dir, folder, name)
	if err := os.MkdirAll(filepath.Dir(base), 0o700); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	for file, block := range map[string]*pem.Block{
		base + ".crt": {Type: "CERTIFICATE", Bytes: c.cert.Raw},
		base + ".key": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	return nil
}
