// Package kafka runs a Kafka-protocol broker inside the process: franz-go's
// kfake, on a loopback port, persistent, with one fsync per record batch
// before the answer.
//
// It owns one directory, and one process owns that directory at a time. It may
// lose that directory: whoever runs it must be able to fill the topics again
// from elsewhere. Short of that it loses no acknowledged record to kill -9.
// It knows nothing about what the topics carry and trusts every program that
// can reach the loopback port, but lets none of them bring the process down
// with bytes that are not Kafka's protocol.
//
// What it promises, and how kfake's own behaviour is fenced, is in DESIGN.md.
// The protocol: https://kafka.apache.org/protocol.
package kafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// ErrUnreadable is returned by Start when the directory holds files that this
// version cannot read, or that are damaged. The directory is untouched; the
// caller decides whether to move it aside and fill a new one.
var ErrUnreadable = errors.New("the embedded broker cannot read its directory")

// ErrInUse is returned by Start when another process owns the directory.
var ErrInUse = errors.New("another process runs a broker on this directory")

// Config says where the broker lives and where it listens.
type Config struct {
	// Dir holds everything the broker keeps. It is created with mode 0700.
	Dir string
	// Addr is "127.0.0.1:port"; port 0 picks a free one. Clients are told
	// this very address, so a given port stays right across restarts.
	Addr string
	// Logger receives the broker's own messages.
	Logger *slog.Logger
}

// Validate returns every fault of the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("kafka: Dir is empty"))
	}
	if _, err := c.port(); err != nil {
		errs = append(errs, err)
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("kafka: Logger is nil"))
	}
	return errors.Join(errs...)
}

func (c Config) port() (int, error) {
	host, p, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return 0, fmt.Errorf("kafka: Addr: %w", err)
	}
	// kfake advertises the address it listens on and has no authentication
	// here, so it is kept on the loopback interface.
	if host != "127.0.0.1" {
		return 0, fmt.Errorf("kafka: Addr: host is %q, it must be 127.0.0.1", host)
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("kafka: Addr: port: %w", err)
	}
	return int(port), nil
}

// A Server is a running broker.
type Server struct {
	addr    string
	cluster *kfake.Cluster
	ln      *guardedListener
	log     *faultLog
	lock    *os.File

	stop    sync.Once
	stopped chan struct{} // closed after stopErr is set
	stopErr error
}

// Start opens or creates the directory and listens. When it returns, the broker
// answers. ctx bounds the start only; opening reads every record, to check
// its sum, and is not interrupted half-way. The error is ErrInUse or
// ErrUnreadable where the caller can do something about it.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("kafka: start: %w", err)
	}
	port, err := cfg.port()
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, cfg, port)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lock = lock
	return s, nil
}

func start(ctx context.Context, cfg Config, port int) (*Server, error) {
	data := filepath.Join(cfg.Dir, "data")
	if err := checkLayout(cfg.Dir, data); err != nil {
		return nil, err
	}
	ln, err := listen(ctx, port)
	if err != nil {
		return nil, err
	}
	log := &faultLog{logger: cfg.Logger}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, errors.Join(fmt.Errorf("kafka: cluster id: %w", err), ln.Close())
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(ln.Addr().(*net.TCPAddr).Port),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return ln, nil }),
		kfake.DataDir(data),
		kfake.SyncWrites(),
		// Only for a new directory; an old one keeps the id it has.
		kfake.ClusterID(base64.RawURLEncoding.EncodeToString(id[:])),
		kfake.BrokerConfigs(map[string]string{
			// kfake compacts by deleting a partition's files and then
			// writing them anew: a kill in between would lose the
			// topic. Its cleaner therefore never runs.
			"log.cleaner.backoff.ms": strconv.FormatInt(never.Milliseconds(), 10),
		}),
		kfake.WithLogger(log),
	)
	if err != nil {
		return nil, errors.Join(classify(err), ln.Close())
	}
	s := &Server{addr: ln.Addr().String(), cluster: cluster, ln: ln, log: log, stopped: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		s.close()
		return nil, errors.Join(fmt.Errorf("kafka: start: %w", err), s.stopErr)
	}
	return s, nil
}

// Addr is the address the broker listens on and tells its clients, "127.0.0.1:port".
func (s *Server) Addr() string { return s.addr }

// Stop closes the listener, ends every connection, writes what makes the next
// start quick, and gives the directory free. A request in flight may go
// unanswered, as in a crash; stop the clients first. It returns the first write
// that failed since the start, if any: kfake itself only logs those. If ctx ends
// first Stop returns its error while the closing goes on; a further Stop waits
// for it again.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() { go s.close() })
	select {
	case <-s.stopped:
		return s.stopErr
	case <-ctx.Done():
		return fmt.Errorf("kafka: stop: %w", ctx.Err())
	}
}

func (s *Server) close() {
	defer close(s.stopped)
	s.cluster.Close()
	s.ln.wait()
	var unlock error
	if s.lock != nil {
		unlock = s.lock.Close()
	}
	s.stopErr = errors.Join(s.log.firstFault(), unlock)
}
