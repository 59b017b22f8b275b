package authority

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func testConfig(t testing.TB, c *clock) Config {
	return Config{Dir: filepath.Join(t.TempDir(), "tls"), Logger: slog.New(slog.DiscardHandler), Now: c.now}
}

func open(t testing.TB, cfg Config) *Authority {
	t.Helper()
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var testHosts = []string{"localhost", "127.0.0.1", "::1", "ledger.example"}

func issue(t testing.TB, a *Authority, hosts ...string) (file string) {
	t.Helper()
	certFile, keyFile, err := a.Issue("server", hosts)
	if err != nil {
		t.Fatal(err)
	}
	if certFile != keyFile {
		t.Fatal("certificate and key are in two files: a crash could part them")
	}
	return certFile
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func leaf(t testing.TB, file string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// verify is what a client does that trusts the authority's file.
func verify(t testing.TB, a *Authority, cert *x509.Certificate, host string, at time.Time) error {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(readFile(t, a.CAFile())) {
		t.Fatal("the authority's file holds no certificate")
	}
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// The authority is made at the first start and stays; every file is its owner's alone.
func TestAuthorityStays(t *testing.T) {
	c := newClock()
	cfg := testConfig(t, c)
	a := open(t, cfg)
	file := issue(t, a, testHosts...)
	before, cert := readFile(t, a.CAFile()), readFile(t, file)
	c.at = c.at.AddDate(0, 3, 0)
	a = open(t, cfg)
	again := issue(t, a, testHosts...)
	if !bytes.Equal(readFile(t, a.CAFile()), before) || !bytes.Equal(readFile(t, again), cert) {
		t.Error("a restart made another authority or certificate")
	}
	err := filepath.WalkDir(cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = fmt.Errorf("%s: %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if !filepath.IsAbs(a.CAFile()) || !filepath.IsAbs(file) {
		t.Error("files are not named in full: a client that runs elsewhere would not find them")
	}
}

// What strict clients ask of an authority and of a server's certificate.
func TestExtensions(t *testing.T) {
	c := newClock()
	a := open(t, testConfig(t, c))
	ca, err := parseCertificate(readFile(t, a.CAFile()))
	if err != nil {
		t.Fatal(err)
	}
	if !ca.IsCA || !ca.BasicConstraintsValid || ca.MaxPathLen != 0 || !ca.MaxPathLenZero ||
		ca.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("the authority may do more or less than sign servers' certificates: %+v", ca)
	}
	if len(ca.SubjectKeyId) == 0 || !bytes.Equal(ca.SubjectKeyId, ca.AuthorityKeyId) {
		t.Errorf("key id %x of %x", ca.SubjectKeyId, ca.AuthorityKeyId)
	}
	if !ca.NotAfter.Equal(c.at.AddDate(10, 0, 0)) || !ca.NotBefore.Before(c.at) {
		t.Errorf("from %s to %s", ca.NotBefore, ca.NotAfter)
	}
	cert := leaf(t, issue(t, a, testHosts...))
	if cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage != x509.KeyUsageDigitalSignature ||
		!slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Errorf("the server's certificate may do more or less than serve: %+v", cert)
	}
	if !bytes.Equal(cert.AuthorityKeyId, ca.SubjectKeyId) || len(cert.SubjectKeyId) == 0 ||
		bytes.Equal(cert.SubjectKeyId, ca.SubjectKeyId) {
		t.Errorf("key ids: %x by %x", cert.SubjectKeyId, cert.AuthorityKeyId)
	}
	if life := cert.NotAfter.Sub(cert.NotBefore) + time.Second; life > 397*24*time.Hour || life < 390*24*time.Hour {
		t.Errorf("it lives %s", life)
	}
	for _, c := range []*x509.Certificate{ca, cert} {
		for _, e := range c.Extensions {
			if id := e.Id.String(); (id == "2.5.29.19" || id == "2.5.29.15") && !e.Critical {
				t.Errorf("extension %s of %s is not critical", id, c.Subject)
			}
		}
	}
	for _, host := range testHosts {
		if err := verify(t, a, cert, host, c.at); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	other := open(t, testConfig(t, c))
	if verify(t, a, cert, "other.example", c.at) == nil || verify(t, other, cert, "localhost", c.at) == nil {
		t.Error("another name, or another authority, does as well")
	}
}

// A certificate is made anew where it is no longer good, and never otherwise. The authority is
// the same all along.
func TestReissue(t *testing.T) {
	c := newClock()
	cfg := testConfig(t, c)
	a := open(t, cfg)
	ca := readFile(t, a.CAFile())
	first := c.at
	var last []byte
	other := open(t, testConfig(t, c))
	write := func(content []byte) func(string) error {
		return func(file string) error { return os.WriteFile(file, content, 0o600) }
	}
	block := func(raw []byte, kind string) []byte {
		der, err := findBlock(raw, kind)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	theirs := func() []byte { return readFile(t, issue(t, other, testHosts...)) }
	twoThirds := first.Add(leafLife * 2 / 3)
	for _, step := range []struct {
		name    string
		hosts   []string
		at      time.Time
		prepare func(file string) error
		anew    bool
	}{
		{name: "first", hosts: testHosts, at: first, anew: true},
		{name: "again", hosts: testHosts, at: first},
		{name: "in another order, twice, in capitals", at: first,
			hosts: []string{"LEDGER.example", "0:0:0:0:0:0:0:1", "127.0.0.1", "localhost", "localhost"}},
		{name: "two thirds later", hosts: testHosts, at: twoThirds.Add(-2 * time.Hour)},
		{name: "a third is left", hosts: testHosts, at: twoThirds.Add(time.Hour), anew: true},
		{name: "the clock was ahead", hosts: testHosts, at: first, anew: true},
		{name: "one host less", hosts: testHosts[:3], at: first, anew: true},
		{name: "one host more", hosts: testHosts, at: first, anew: true},
		{name: "removed", hosts: testHosts, at: first, prepare: os.Remove, anew: true},
		{name: "half a file", hosts: testHosts, at: first, anew: true, prepare: func(file string) error {
			return write(last[:len(last)/2])(file)
		}},
		{name: "no key", hosts: testHosts, at: first, anew: true, prepare: func(file string) error {
			return write(block(last, "CERTIFICATE"))(file)
		}},
		{name: "another key", hosts: testHosts, at: first, anew: true, prepare: func(file string) error {
			return write(append(block(last, "CERTIFICATE"), block(theirs(), "PRIVATE KEY")...))(file)
		}},
		{name: "another authority's", hosts: testHosts, at: first, anew: true, prepare: func(file string) error {
			return write(theirs())(file)
		}},
		{name: "a key for others", hosts: testHosts, at: first, anew: true, prepare: func(file string) error {
			return os.Chmod(file, 0o640)
		}},
		{name: "the end of all", hosts: testHosts, at: first},
	} {
		c.at = step.at
		a = open(t, cfg)
		if step.prepare != nil {
			if err := step.prepare(filepath.Join(cfg.Dir, "server.pem")); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
		}
		file := issue(t, a, step.hosts...)
		got := readFile(t, file)
		if bytes.Equal(got, last) == step.anew {
			t.Errorf("%s: made anew is %v, want %v", step.name, !step.anew, step.anew)
		}
		last = got
		if err := verify(t, a, leaf(t, file), step.hosts[len(step.hosts)-1], c.at); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", step.name, info.Mode(), err)
		}
	}
	if !bytes.Equal(readFile(t, a.CAFile()), ca) {
		t.Error("the authority has changed")
	}
}

// A certificate does not outlive its authority, and one that has ended signs nothing.
func TestEndOfTheAuthority(t *testing.T) {
	c := newClock()
	cfg := testConfig(t, c)
	a := open(t, cfg)
	end := a.cert.NotAfter
	c.at = end.Add(-30 * 24 * time.Hour)
	cert := leaf(t, issue(t, a, testHosts...))
	if !cert.NotAfter.Equal(end) {
		t.Errorf("the certificate ends %s, its authority %s", cert.NotAfter, end)
	}
	c.at = end.Add(time.Second)
	before := readFile(t, filepath.Join(cfg.Dir, "server.pem"))
	if err := a.Renew(); !errors.Is(err, ErrUnusable) {
		t.Errorf("renewed after the end: %v", err)
	}
	if !bytes.Equal(before, readFile(t, filepath.Join(cfg.Dir, "server.pem"))) {
		t.Error("the certificate has changed")
	}
	if _, err := Open(cfg); !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("opened after the end: %v", err)
	}
}

// spoiler makes an authority that was just made, or the time, unfit.
type spoiler func(t *testing.T, dir string, c *clock) error

// An authority that cannot be used is refused, with what to do, and stays as it was: clients
// trust it.
func TestUnusableAuthority(t *testing.T) {
	remove := func(name string) spoiler {
		return func(_ *testing.T, dir string, _ *clock) error { return os.Remove(filepath.Join(dir, name)) }
	}
	truncate := func(name string, size int64) spoiler {
		return func(_ *testing.T, dir string, _ *clock) error { return os.Truncate(filepath.Join(dir, name), size) }
	}
	chmod := func(name string, mode fs.FileMode) spoiler {
		return func(_ *testing.T, dir string, _ *clock) error { return os.Chmod(filepath.Join(dir, name), mode) }
	}
	for name, tc := range map[string]struct {
		spoil spoiler
		wrong string
	}{
		"no certificate":    {remove(caCertFile), "no such file"},
		"no key":            {remove(caKeyFile), "no such file"},
		"empty certificate": {truncate(caCertFile, 0), "no PEM block"},
		"half a key":        {truncate(caKeyFile, 60), "no PEM block"},
		"another's key": {func(t *testing.T, dir string, c *clock) error {
			other := open(t, testConfig(t, c)).cfg.Dir
			return os.Rename(filepath.Join(other, caKeyFile), filepath.Join(dir, caKeyFile))
		}, "is not the key of"},
		"a server's certificate": {func(t *testing.T, dir string, c *clock) error {
			cfg := testConfig(t, c)
			cfg.Dir = dir
			both := readFile(t, issue(t, open(t, cfg), testHosts...))
			return errors.Join(os.WriteFile(filepath.Join(dir, caCertFile), both, 0o600),
				os.WriteFile(filepath.Join(dir, caKeyFile), both, 0o600))
		}, "no authority's certificate"},
		"a directory for others": {chmod("", 0o750), "chmod 700"},
		"a key for others":       {chmod(caKeyFile, 0o604), "chmod 600"},
		"a key that is a link": {func(t *testing.T, dir string, _ *clock) error {
			key := filepath.Join(dir, caKeyFile)
			away := filepath.Join(t.TempDir(), "key")
			return errors.Join(os.Rename(key, away), os.Symlink(away, key))
		}, "not what it is to be"},
		"a clock that is behind": {func(_ *testing.T, _ string, c *clock) error {
			c.at = c.at.AddDate(-20, 0, 0)
			return nil
		}, "set the clock"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			cfg := testConfig(t, c)
			open(t, cfg)
			if err := tc.spoil(t, cfg.Dir, c); err != nil {
				t.Fatal(err)
			}
			before := contents(t, cfg.Dir)
			_, err := Open(cfg)
			if !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("got %v, want %q", err, tc.wrong)
			}
			if after := contents(t, cfg.Dir); after != before {
				t.Errorf("the directory was\n%s\nand is\n%s", before, after)
			}
		})
	}
}

// contents is every file of the directory, for comparing.
func contents(t testing.TB, dir string) string {
	t.Helper()
	var out strings.Builder
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		fmt.Fprintf(&out, "%s %x\n", e.Name(), readFile(t, filepath.Join(dir, e.Name())))
	}
	return out.String()
}

var errKilled = errors.New("killed")

// killedAt makes the n-th step on the disk, from 0, the last that a process reaches; reached tells
// whether there was one.
func killedAt(n int) (step func(string) error, reached *bool) {
	reached = new(bool)
	return func(string) error {
		if n--; n < 0 {
			*reached = true
			return errKilled
		}
		return nil
	}, reached
}

// A process that is killed at any step of the first start leaves nothing or a whole authority;
// the next start goes on.
func TestKilledWhileTheAuthorityIsMade(t *testing.T) {
	for _, exists := range []bool{false, true} {
		for n, more := 0, true; more; n++ {
			c := newClock()
			cfg := testConfig(t, c)
			if exists {
				if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			killed := cfg
			var reached *bool
			killed.step, reached = killedAt(n)
			_, err := Open(killed)
			if more = *reached; more != errors.Is(err, errKilled) {
				t.Fatalf("step %d: %v", n, err)
			}
			made, _ := os.ReadFile(filepath.Join(cfg.Dir, caCertFile)) // missing: not made yet
			a := open(t, cfg)
			if made != nil && !bytes.Equal(made, readFile(t, a.CAFile())) {
				t.Errorf("step %d: an authority that was there was replaced", n)
			}
			if err := verify(t, a, leaf(t, issue(t, a, testHosts...)), "localhost", c.at); err != nil {
				t.Errorf("step %d: %v", n, err)
			}
			if left, err := filepath.Glob(cfg.Dir + ".*"); err != nil || len(left) > 0 {
				t.Errorf("step %d: left over: %v, %v", n, left, err)
			}
		}
	}
}

// At every step of a renewal the file holds the old certificate or the new one, with its key.
func TestKilledWhileACertificateIsRenewed(t *testing.T) {
	for n, more := 0, true; more; n++ {
		c := newClock()
		cfg := testConfig(t, c)
		a := open(t, cfg)
		file := issue(t, a, testHosts...)
		old := readFile(t, file)
		var reached *bool
		a.disk.step, reached = killedAt(n)
		c.at = c.at.AddDate(0, 0, 300)
		err := a.Renew()
		if more = *reached; more != errors.Is(err, errKilled) {
			t.Fatalf("step %d: %v", n, err)
		}
		if err := verify(t, a, leaf(t, file), "localhost", c.at); err != nil {
			t.Errorf("step %d: %v", n, err)
		}
		a = open(t, cfg)
		if issue(t, a, testHosts...); bytes.Equal(readFile(t, file), old) {
			t.Errorf("step %d: the next start did not renew it", n)
		}
		if left, err := filepath.Glob(filepath.Join(cfg.Dir, "*"+newSuffix)); err != nil || len(left) > 0 {
			t.Errorf("step %d: left over: %v, %v", n, left, err)
		}
	}
}

// Keep renews what was issued when it is due, goes on after a failure, and ends with its context.
func TestKeep(t *testing.T) {
	c := newClock()
	cfg := testConfig(t, c)
	a := open(t, cfg)
	file := issue(t, a, testHosts...)
	old := readFile(t, file)
	c.at = c.at.AddDate(0, 0, 300)
	a.cfg.every = time.Millisecond
	failures := 0
	a.disk.step = func(string) error {
		if failures++; failures < 3 {
			return errKilled
		}
		return nil
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Keep(ctx)
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for bytes.Equal(readFile(t, file), old) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it was not renewed")
		}
	}
	stop()
	<-ended
	if err := verify(t, a, leaf(t, file), "localhost", c.at); err != nil || failures < 3 {
		t.Errorf("after %d steps: %v", failures, err)
	}
}

// The hosts by which a listener is reached.
func TestHosts(t *testing.T) {
	for addr, want := range map[string][]string{
		"127.0.0.1:0":         {"localhost", "127.0.0.1", "::1"},
		"192.0.2.7:2113":      {"localhost", "127.0.0.1", "192.0.2.7"},
		"ledger.example:2113": {"localhost", "ledger.example"},
		"[2001:db8::1]:0":     {"2001:db8::1"},
	} {
		got, err := Hosts(addr, "adv.example")
		if err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		for _, h := range append(want, "adv.example") {
			if !slices.Contains(got, h) {
				t.Errorf("%s: %v lacks %s", addr, got, h)
			}
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, wildcard := range []string{":2113", "0.0.0.0:0", "[::]:0"} {
		got, err := Hosts(wildcard)
		if err != nil || slices.Contains(got, "0.0.0.0") || slices.Contains(got, "::") {
			t.Errorf("%s: %v, %v", wildcard, got, err)
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() && !slices.Contains(got, n.IP.String()) {
				t.Errorf("%s: %v lacks %s", wildcard, got, n.IP)
			}
		}
	}
	for _, wrong := range []string{"", "localhost", "a b:1", "-x.example:1"} {
		if got, err := Hosts(wrong); err == nil {
			t.Errorf("%q: %v", wrong, got)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	a := open(t, testConfig(t, newClock()))
	before := contents(t, a.cfg.Dir)
	for _, tc := range []struct {
		name  string
		hosts []string
	}{
		{"", testHosts}, {"../x", testHosts}, {"ca.crt", testHosts}, {"A", testHosts},
		{strings.Repeat("a", maxName+1), testHosts},
		{"server", nil}, {"server", []string{""}}, {"server", []string{"a b"}}, {"server", []string{"*.example"}},
		{"server", []string{"0.0.0.0"}}, {"server", []string{strings.Repeat("a.", 130) + "a"}},
	} {
		if _, _, err := a.Issue(tc.name, tc.hosts); err == nil {
			t.Errorf("issued for %q, %q", tc.name, tc.hosts)
		}
	}
	if after := contents(t, a.cfg.Dir); after != before {
		t.Error("what was refused left something behind")
	}
	for _, want := range []string{"dir is empty", "logger is nil"} {
		if err := (Config{}).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
