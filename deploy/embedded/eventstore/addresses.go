package eventstore

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"
)

// Addr is the address that the server listens on, host:port.
func (s *Server) Addr() string { return s.addr }

// ConnectionString is what the official clients on this machine dial, without
// credentials. It names CAFile where there is one.
func (s *Server) ConnectionString() string { return s.connectionString(s.localAddr()) }

// AdvertisedConnectionString is what clients elsewhere dial, with their copy of
// CAFile: the advertised address, or else ConnectionString's.
func (s *Server) AdvertisedConnectionString() string {
	if s.cfg.Advertise != "" {
		return s.connectionString(s.cfg.Advertise)
	}
	return s.ConnectionString()
}

func (s *Server) connectionString(addr string) string {
	switch {
	case s.certs == nil:
		return "esdb://" + addr + "?tls=false"
	case s.certs.CAFile() == "":
		return "esdb://" + addr + "?tls=true"
	}
	return "esdb://" + addr + "?tls=true&tlsCAFile=" + url.QueryEscape(s.certs.CAFile())
}

// localAddr is what this machine's own clients reach, under a name that the certificate has.
func (s *Server) localAddr() string {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return s.addr // cannot be: a listener's address has a port
	}
	if isWildcard(host) {
		host = "127.0.0.1"
	}
	if s.certs != nil {
		host = s.certs.NameFor(host)
	}
	return net.JoinHostPort(host, port)
}

// CAFile is the PEM file by which clients trust the server, their tlsCAFile; ""
// without TLS, and where they know its authority.
func (s *Server) CAFile() string {
	if s.certs == nil {
		return ""
	}
	return s.certs.CAFile()
}

// reachedBy is the address by which the client of a call reaches this server:
// the one that it dialled, where the host is ours; otherwise the advertised one,
// or the one that this machine's own clients dial.
func (s *Server) reachedBy(ctx context.Context) (host string, port uint16, err error) {
	own, advertised := s.localAddr(), s.cfg.Advertise
	if advertised != "" {
		own = advertised
	}
	if host, port, err = splitAdvertised(own); err != nil {
		return "", 0, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, authority := range md.Get(":authority") {
		dialled, at, err := splitAdvertised(authority)
		if err != nil || !s.answersTo(dialled) || advertised != "" && strings.EqualFold(dialled, host) {
			continue
		}
		return dialled, at, nil // with its port, which may be a tunnel's
	}
	return host, port, nil
}

// answersTo tells whether the server is to be reached under the host: one that
// its certificate names, or without TLS a name of this machine's loopback.
func (s *Server) answersTo(host string) bool {
	if s.certs != nil {
		return s.certs.Names(host) == nil
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// splitAdvertised is the host and port of an advertised address.
func splitAdvertised(addr string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(addr)
	n, parsed := strconv.ParseUint(text, 10, 16)
	if err != nil || parsed != nil || n == 0 || isWildcard(host) {
		return "", 0, fmt.Errorf("advertise %q is not a host:port that a client can dial", addr)
	}
	return host, uint16(n), nil
}

// BeyondLoopback tells whether other machines can reach a server that listens
// on addr, host:port.
func BeyondLoopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, fmt.Errorf("addr: %w", err)
	}
	ip := net.ParseIP(host)
	return host != "localhost" && (ip == nil || !ip.IsLoopback()), nil
}

// isWildcard tells whether a listen host means every address of the machine.
func isWildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
