package eventstore

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/disturb"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
)

// Bounds of the server. Those of one append stand in package protocol, of passwords in guard, of
// connections before their first byte in doors.go.
const (
	defaultMaxAppend = 1 << 20
	maxMessage       = 16 << 20
	defaultCache     = 64 << 20

	// The official Go client has one connection for all its calls, and a call
	// beyond the bound waits in the client for another to end.
	maxStreams     = 2048
	maxConnections = 1024
)

// Config says where a server keeps its events and where it listens.
type Config struct {
	// Dir is the directory of the store; it is created where it is missing. Required.
	Dir string
	// Addr is the host:port to listen on; port 0 takes a free one. Required.
	Addr string
	// Advertise is the host:port by which clients elsewhere reach Addr, where
	// that is another: behind NAT, in a container. Empty: there is no other.
	Advertise string
	// TLS is how the port speaks TLS; nil is plaintext, which takes Open.
	TLS *guard.TLSConfig
	// Users are those who may log in; they take TLS. Required, unless Open.
	Users []guard.User
	// Open lets everybody who reaches the port do everything, and asks nobody.
	// Every user and every program of this machine is among them; other
	// machines are not, as it takes a loopback Addr.
	Open bool
	// ProtectStreams names streams whose deletion, tombstoning and metadata
	// writes are answered with PermissionDenied. Nil protects none.
	ProtectStreams *regexp.Regexp
	// ProtectedWriters are the roles, users or groups, that may write to the
	// streams that ProtectStreams names, and that alone may, beside "$admins":
	// whatever access control lists say. Empty: whom those let.
	ProtectedWriters []string
	// AllReaders are roles that may read $all whatever its access control list
	// says; "$admins" always may.
	AllReaders []string
	// ReadOnlyRoles are users or groups whose members read everything, streams,
	// $all, metrics and backups, whatever access control lists say, and write,
	// delete and set the metadata of nothing at all.
	ReadOnlyRoles []string
	// Logger receives what an operator should know; never event data. Required.
	Logger *slog.Logger
	// MaxAppend is the largest append in bytes, events together; 0 is 1 MiB.
	// Messages of more than 16 MiB are refused whatever it says.
	MaxAppend int
	// CacheBytes bounds the cache of blocks read from disk; 0 is 64 MiB.
	CacheBytes int64
	// Uncompressed stores blocks as they are, so that the files can be searched for text.
	Uncompressed bool
	// Now is the clock; nil is time.Now. Events' times never go back even where it does.
	Now func() time.Time
	// Disturb makes the node behave as badly as a real one can; nil, as it must be
	// outside tests, does nothing.
	Disturb *disturb.Disturbance

	fs       vfs.FS // tests put the store on a file system that fails or crashes
	memTable uint64 // tests make it small, so that logs rotate and tables are compacted

	minPing time.Duration // tests ping without waiting
	sniff   time.Duration // tests keep silent connections longer
	hearOut time.Duration // and refused appends; 0 is a second
	recheck time.Duration // and see changed certificates sooner; 0 is a second

	connections int    // tests reach the bound of connections sooner
	streams     uint32 // and that of calls on one

	paged func(reader any, events, bytes int) // tests count the pages that subscriptions read
}

// Validate returns every error of the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir is empty"))
	}
	if err := c.validateAccess(); err != nil {
		errs = append(errs, err)
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("logger is nil"))
	}
	if c.MaxAppend < 0 || c.MaxAppend > maxMessage {
		errs = append(errs, fmt.Errorf("max append %d is not between 0 and %d", c.MaxAppend, maxMessage))
	}
	if c.CacheBytes < 0 {
		errs = append(errs, fmt.Errorf("cache bytes %d is negative", c.CacheBytes))
	}
	errs = append(errs, c.Disturb.Validate())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("event store configuration: %w", err)
	}
	return nil
}

// validateAccess refuses a server that asks nobody and does not say so,
// passwords in plaintext, and an address that other machines can reach without
// TLS or for everybody.
func (c Config) validateAccess() error {
	var errs []error
	if c.TLS != nil {
		errs = append(errs, c.TLS.Validate())
	}
	errs = append(errs, guard.Validate(c.Users, c.ReadOnlyRoles, c.TLS != nil && c.TLS.ClientCAFile != ""))
	switch {
	case len(c.Users) == 0 && !c.Open:
		errs = append(errs, errors.New("users is empty: give at least one, "+
			"or set open to let everybody on this machine do everything"))
	case len(c.Users) > 0 && c.Open:
		errs = append(errs, errors.New("users and open exclude each other: an open server asks nobody"))
	case len(c.Users) > 0 && c.TLS == nil:
		errs = append(errs, errors.New("users take TLS: passwords are not sent in plaintext"))
	}
	beyond, err := BeyondLoopback(c.Addr)
	if err != nil {
		errs = append(errs, err)
	}
	if beyond && (c.TLS == nil || len(c.Users) == 0) {
		errs = append(errs, fmt.Errorf("addr %q is not a loopback address: that takes TLS and users", c.Addr))
	}
	if c.Advertise != "" {
		if _, _, err := splitAdvertised(c.Advertise); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.MaxAppend == 0 {
		c.MaxAppend = defaultMaxAppend
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCache
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.minPing == 0 {
		c.minPing = keepaliveMinTime
	}
	if c.sniff == 0 {
		c.sniff = sniffTimeout
	}
	if c.connections == 0 {
		c.connections = maxConnections
	}
	if c.streams == 0 {
		c.streams = maxStreams
	}
	if c.fs == nil {
		c.fs = vfs.Default
	}
	return c
}
