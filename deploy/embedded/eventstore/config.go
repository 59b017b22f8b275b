package eventstore

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	defaultMaxAppend = 1 << 20
	maxMessage       = 16 << 20
	defaultCache     = 64 << 20
)

// Config says where a server keeps its events and where it listens.
type Config struct {
	// Dir is the directory of the store; it is created where it is missing. Required.
	Dir string
	// Addr is the loopback host:port to listen on; port 0 takes a free one. Required.
	Addr string
	// ProtectStreams names streams whose deletion, tombstoning and metadata
	// writes are answered with PermissionDenied. Nil protects none.
	ProtectStreams *regexp.Regexp
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
	// Disturb makes the node behave as badly as a real one can; nil, as it must be outside tests, does nothing.
	Disturb *Disturbance

	fs       vfs.FS // tests put the store on a file system that fails or crashes
	memTable uint64 // tests make it small, so that logs rotate and tables are compacted

	minPing time.Duration // tests ping without waiting
	sniff   time.Duration // tests keep silent connections longer
}

// Validate returns every error of the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir is empty"))
	}
	if err := loopback(c.Addr); err != nil {
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
	errs = append(errs, c.Disturb.validate())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("event store configuration: %w", err)
	}
	return nil
}

// loopback refuses every address that another machine could reach: this server
// has neither TLS nor credentials.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("addr: %w", err)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("addr %q is not a loopback address", addr)
	}
	return nil
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
	if c.fs == nil {
		c.fs = vfs.Default
	}
	return c
}
