package front

import (
	"net"
	"net/http"
	"strings"
)

// trustedHost says that the request was meant for this server: any other name was made to point
// here by somebody else's name server. Its names are loopback addresses and localhost; beyond
// loopback, under TLS, also what the certificate names and the address that was dialled.
func (f *Front) trustedHost(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost") ||
		f.certifies != nil && (f.certifies(host) || ip != nil && dialled(r, ip))
}

// dialled says whether the request came to this address.
func dialled(r *http.Request, ip net.IP) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && a.IP.Equal(ip)
}
