package node

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Guard lets h answer whoever brings the account's password by HTTP Basic, under a name of this
// machine, and no page of another site: a browser would send what its user once typed.
func Guard(h http.Handler, account, password string) http.Handler {
	want := sha256.Sum256([]byte(account + ":" + password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		if site != "" && site != "none" && site != "same-origin" || !loopbackHost(r.Host) {
			http.Error(w, "this port answers no other site's pages, and under a loopback address only",
				http.StatusForbidden)
			return
		}
		user, given, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(user + ":" + given))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="ledgerline", charset="UTF-8"`)
			http.Error(w, "this port asks for the account "+account+": `ledgerline connect status` says its password",
				http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// LoopbackAddr returns nil where addr is a host:port that Guard answers
// under: of this machine alone.
func LoopbackAddr(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%q is not host:port: %w", addr, err)
	}
	if !loopbackHost(addr) {
		return fmt.Errorf("%q is not a loopback address, such as 127.0.0.1:9464: what listens there has no TLS", addr)
	}
	return nil
}

func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}
