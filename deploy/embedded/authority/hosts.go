package authority

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Hosts are the names and addresses by which clients reach a server that listens on addr,
// host:port: loopback, this machine's name, the host of addr, all the machine's addresses where
// that means every one, and more, such as an advertised name.
func Hosts(addr string, more ...string) ([]string, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("hosts of a server: %w", err)
	}
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, more...)
	// The machine may be called what no certificate can name.
	if name, err := os.Hostname(); err == nil && checkHost(strings.ToLower(name)) == nil {
		hosts = append(hosts, name)
	}
	ip := net.ParseIP(host)
	if host != "" && (ip == nil || !ip.IsUnspecified()) {
		return canonicalHosts(append(hosts, host))
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("hosts of a server: %w", err)
	}
	for _, a := range addrs {
		// A link-local address is reached with a zone, which certificates do not have.
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() && len(hosts) < maxHosts {
			hosts = append(hosts, n.IP.String())
		}
	}
	return canonicalHosts(hosts)
}

// canonicalHosts are the hosts as certificates write them, sorted, each once.
func canonicalHosts(hosts []string) ([]string, error) {
	var errs []error
	out := make([]string, 0, len(hosts))
	for _, h := range hosts {
		h = strings.ToLower(h)
		if ip := net.ParseIP(h); ip != nil {
			h = ip.String()
		}
		errs = append(errs, checkHost(h))
		out = append(out, h)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) == 0 || len(out) > maxHosts {
		errs = append(errs, fmt.Errorf("a certificate names 1 to %d hosts, not %d", maxHosts, len(out)))
	}
	return out, errors.Join(errs...)
}

// A name is as DNS and certificates have it; an underscore is what containers are called with.
var dnsName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

func checkHost(h string) error {
	ip := net.ParseIP(h)
	switch {
	case ip != nil && ip.IsUnspecified():
		return fmt.Errorf("host %q means every address and names none", h)
	case ip == nil && (!dnsName.MatchString(h) || len(h) > 253):
		return fmt.Errorf("host %q is neither an IP address nor a name of DNS", h)
	}
	return nil
}
