package clickhouse

import (
	"net"
	"net/http"
	"strings"
)

// ownNames are the names of this server beyond loopback's, as far as this request uses one: under
// TLS what the certificate holds, and the address that was dialled.
func (f *front) ownNames(r *http.Request) []string {
	if f.cert == nil {
		return nil
	}
	host := hostOf(r)
	if f.cert.names(host) || dialled(r, net.ParseIP(host)) {
		return []string{host}
	}
	return nil
}

// hostOf is the Host header without its port.
func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.Trim(host, "[]")
}

// dialled says whether the request came to this address.
func dialled(r *http.Request, ip net.IP) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && ip != nil && a.IP.Equal(ip)
}
