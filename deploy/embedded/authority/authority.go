// Package authority is one machine's own certificate authority and the certificates that it signs
// for this machine's servers, so that clients trust one file for as long as the machine's data
// lives.
//
// It owns one directory. It may lose the servers' certificates, which it makes again; it may lose
// nothing of the authority itself, which clients were told to trust: where that cannot be read it
// refuses, and makes no other in its place. It trusts whoever may read the directory, which is
// its owner alone, and the caller to be the directory's only user. See DESIGN.md.
package authority

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Files of the authority itself; a server's are NAME.pem.
const (
	caCertFile = "ca.crt"
	caKeyFile  = "ca.key"
)

// Config says where an authority is kept.
type Config struct {
	// Dir is the authority's directory, private to its owner; it is made where it is missing.
	// Required.
	Dir string
	// Logger receives what an operator should know: certificates made and about to end. Required.
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	step  func(name string) error // tests fail before a step on the disk, as a killed process does
	every time.Duration           // tests renew sooner
}

// Validate returns every error of the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir is empty"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("logger is nil"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("authority configuration: %w", err)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.step == nil {
		c.step = func(string) error { return nil }
	}
	if c.every == 0 {
		c.every = renewEvery
	}
	return c
}

// Authority signs the certificates of this machine's servers.
type Authority struct {
	cfg  Config
	disk disk
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	mu     sync.Mutex
	issued map[string][]string // hosts by server, for renewal
}

// ErrUnusable is of an authority that is there and cannot be used. Clients trust it, so nothing
// replaces it by itself.
var ErrUnusable = errors.New("the certificate authority cannot be used")

// Open opens the authority in cfg.Dir, and makes it where the directory is missing or empty. It
// returns ErrUnusable for one that is incomplete, damaged, open to others, or has ended.
func Open(cfg Config) (*Authority, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	dir, err := filepath.Abs(cfg.Dir) // files are named to clients, who may run elsewhere
	if err != nil {
		return nil, fmt.Errorf("open certificate authority: %w", err)
	}
	cfg.Dir = dir
	a := &Authority{cfg: cfg, disk: disk{step: cfg.step}, issued: map[string][]string{}}
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(entries) == 0:
		if err := a.create(); err != nil {
			return nil, fmt.Errorf("make certificate authority: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("open certificate authority: %w", err)
	}
	if err := a.load(); err != nil {
		return nil, fmt.Errorf("%w: %w; bring the directory back from a backup, or move it aside to have "+
			"another made, whose %s clients must then be given", ErrUnusable, err, caCertFile)
	}
	if now := cfg.Now(); now.Add(warnBefore).After(a.cert.NotAfter) {
		cfg.Logger.Warn("the certificate authority ends soon: move its directory aside to have another made, "+
			"and give clients its certificate", "dir", dir, "until", a.cert.NotAfter)
	}
	return a, nil
}

// CAFile is the PEM file of the certificate that clients trust.
func (a *Authority) CAFile() string { return filepath.Join(a.cfg.Dir, caCertFile) }

// create makes the authority whole or not at all: its directory appears by a rename.
func (a *Authority) create() error {
	certPEM, keyPEM, cert, err := newCA(a.cfg.Now())
	if err != nil {
		return err
	}
	files := []file{{caKeyFile, keyPEM}, {caCertFile, certPEM}}
	if err := a.disk.createDir(a.cfg.Dir, files); err != nil {
		return err
	}
	a.cfg.Logger.Info("a certificate authority was made: clients trust this machine's servers by its certificate",
		"certificate", a.CAFile(), "until", cert.NotAfter)
	return nil
}

func (a *Authority) load() error {
	if err := private(a.cfg.Dir, fs.ModeDir); err != nil {
		return err
	}
	certPEM, err := os.ReadFile(a.CAFile())
	if err != nil {
		return err
	}
	keyFile := filepath.Join(a.cfg.Dir, caKeyFile)
	if err := private(keyFile, 0); err != nil {
		return err
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	if a.cert, err = parseCertificate(certPEM); err != nil {
		return fmt.Errorf("%s: %w", a.CAFile(), err)
	}
	if a.key, err = parseKey(keyPEM); err != nil {
		return fmt.Errorf("%s: %w", keyFile, err)
	}
	now := a.cfg.Now()
	switch {
	case !a.cert.IsCA:
		return fmt.Errorf("%s is no authority's certificate", a.CAFile())
	case !a.key.PublicKey.Equal(a.cert.PublicKey):
		return fmt.Errorf("%s is not the key of %s", keyFile, a.CAFile())
	case now.Before(a.cert.NotBefore):
		return fmt.Errorf("%s begins %s and the clock says %s: set the clock",
			a.CAFile(), stamp(a.cert.NotBefore), stamp(now))
	case now.After(a.cert.NotAfter):
		return fmt.Errorf("%s has ended %s", a.CAFile(), stamp(a.cert.NotAfter))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
