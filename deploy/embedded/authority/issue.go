package authority

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// renewEvery is how often Keep looks whether a certificate is to be renewed: a server has a third
// of a certificate's life, more than four months, for a renewal that fails at first.
const renewEvery = 24 * time.Hour

// Bounds of what one certificate names.
const (
	maxHosts = 256
	maxName  = 32
)

var serverName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// Issue returns the PEM files of a server's certificate and of its key, which is one file with
// both: so they fit each other at every moment. The certificate is valid under the hosts, names
// or IP addresses. It is made anew where there is none, where the hosts are others, where less
// than a third of its life is left, or where it cannot be used; otherwise it stays as it is.
//
// name is the server's and the file's: small letters, digits and hyphens.
func (a *Authority) Issue(name string, hosts []string) (certFile, keyFile string, err error) {
	if !serverName.MatchString(name) || len(name) > maxName {
		return "", "", fmt.Errorf("issue certificate: a server cannot be called %q", name)
	}
	if hosts, err = canonicalHosts(hosts); err != nil {
		return "", "", fmt.Errorf("issue certificate of %s: %w", name, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ensure(name, hosts); err != nil {
		return "", "", fmt.Errorf("issue certificate of %s: %w", name, err)
	}
	a.issued[name] = hosts
	return a.leafFile(name), a.leafFile(name), nil
}

func (a *Authority) leafFile(name string) string { return filepath.Join(a.cfg.Dir, name+".pem") }

// Renew makes those certificates anew that were issued by this Authority and are due. Their files
// change in place; a server that reads changed files needs no restart.
func (a *Authority) Renew() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(a.issued)) {
		if err := a.ensure(name, a.issued[name]); err != nil {
			errs = append(errs, fmt.Errorf("renew certificate of %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Keep renews certificates, looking once a day, until ctx ends. A renewal that fails is logged and
// tried again the next day.
func (a *Authority) Keep(ctx context.Context) {
	tick := time.NewTicker(a.cfg.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.Renew(); err != nil {
				a.cfg.Logger.Error("a certificate could not be renewed; it is tried again tomorrow", "error", err)
			}
		}
	}
}

// ensure leaves the server with a certificate that is good for a while. a.mu is held.
func (a *Authority) ensure(name string, hosts []string) error {
	path := a.leafFile(name)
	why, err := a.unfit(path, hosts)
	if err != nil || why == "" {
		return err
	}
	now := a.cfg.Now()
	if !now.Before(a.cert.NotAfter) {
		return fmt.Errorf("%w: it has ended %s", ErrUnusable, stamp(a.cert.NotAfter))
	}
	content, cert, err := a.newLeaf(name, hosts, now)
	if err != nil {
		return err
	}
	if err := a.disk.replace(path, content); err != nil {
		return err
	}
	a.cfg.Logger.Info("a server's certificate was made", "server", name, "why", why, "until", cert.NotAfter)
	return nil
}

// unfit tells why the certificate in path is to be made anew, "" where it is not. What is there
// and may not be read is an error: nothing is put in the place of what somebody hides from us.
func (a *Authority) unfit(path string, hosts []string) (why string, err error) {
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there was none", nil
	case err != nil:
		return "", err
	}
	if private(path, 0) != nil {
		return "others could read its key", nil
	}
	cert, err := parseCertificate(content)
	if err != nil {
		return "it cannot be read", nil
	}
	key, err := parseKey(content)
	now := a.cfg.Now()
	switch life := cert.NotAfter.Sub(cert.NotBefore); {
	case err != nil || !key.PublicKey.Equal(cert.PublicKey):
		return "its key is not with it", nil
	case cert.CheckSignatureFrom(a.cert) != nil:
		return "another authority signed it", nil
	case now.Before(cert.NotBefore):
		return "it has not begun", nil
	case cert.NotAfter.Sub(now) < life/3:
		return "it ends soon", nil
	}
	have := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		have = append(have, ip.String())
	}
	if slices.Sort(have); !slices.Equal(have, hosts) {
		return "the hosts have changed", nil
	}
	return "", nil
}
