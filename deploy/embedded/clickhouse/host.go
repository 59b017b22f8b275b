package clickhouse

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// ownHost refuses what a web page could make a browser send here: a name that was rebound to this address, or a request
// from another origin. This machine's own names are loopback addresses and localhost; beyond loopback, under TLS, also
// what the certificate names and the address that was dialled.
func (f *front) ownHost(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	switch {
	case ip != nil && ip.IsLoopback(), strings.EqualFold(host, "localhost"):
	case f.cert == nil:
		return false
	case f.cert.names(host):
	case ip == nil || !dialled(r, ip):
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		return err == nil && strings.EqualFold(u.Host, r.Host)
	}
	return true
}

// dialled says whether the request came to this address.
func dialled(r *http.Request, ip net.IP) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && a.IP.Equal(ip)
}
