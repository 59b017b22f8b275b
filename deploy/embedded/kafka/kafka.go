// Package kafka runs a Kafka-protocol broker inside the process: franz-go's
// kfake, on a loopback port, persistent, with one fsync per record batch
// before the answer.
//
// It owns one directory, and one process owns that directory at a time. It may
// lose that directory: whoever runs it must be able to fill the topics again
// from elsewhere. Short of that it loses no acknowledged record to kill -9.
// It knows nothing about what the topics carry. Whoever reaches the loopback
// port is a stranger until they have logged in to one of the configured
// accounts, and then may do what the account's rules allow: nobody is trusted
// with more, and nobody brings the process down with bytes that are not Kafka's
// protocol. The directory is closed to the machine's other users.
//
// What it promises, and how kfake's own behaviour is fenced, is in DESIGN.md.
// The protocol: https://kafka.apache.org/protocol.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
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
	// Accounts may log in, by SCRAM-SHA-256, and do what their rules allow. Nobody else may do
	// anything.
	Accounts []Account
	// MaxOfAccount is how many connections each account may have at once; default MaxOfAccount.
	MaxOfAccount int
	// Open lets every program on the machine do everything, without an account. It is for tests
	// and benchmarks.
	Open bool
	// Progress, where set, is told while Start reads what is there: of how many bytes of records
	// how many have been checked. It is called from several goroutines.
	Progress func(done, total int64)
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
	switch {
	case c.Open && len(c.Accounts) > 0:
		errs = append(errs, errors.New("kafka: Open and Accounts: an open broker asks nobody for an account; "+
			"set one of them"))
	case !c.Open && len(c.Accounts) == 0:
		errs = append(errs, errors.New("kafka: Accounts is empty: nobody could log in; "+
			"name accounts, or set Open to let every program on the machine in"))
	}
	errs = append(errs, checkAccounts(c.Accounts)...)
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
	// kfake advertises the address it listens on, and what it sends is not
	// encrypted, so it is kept on the loopback interface.
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
	guard   *guard
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
	progress := cfg.Progress
	if progress == nil {
		progress = func(int64, int64) {}
	}
	logs, err := checkLayout(cfg.Dir, data, progress)
	if err != nil {
		return nil, err
	}
	for _, l := range logs { // all of them can be read
		if err := l.settle(); err != nil {
			return nil, fmt.Errorf("kafka: partition %s: %w", filepath.Base(l.dir), err)
		}
	}
	var l *logins
	if !cfg.Open {
		if l, err = newLogins(cfg.Accounts); err != nil {
			return nil, err
		}
	}
	if err := writeRights(data, cfg.Accounts); err != nil {
		return nil, err
	}
	log := &faultLog{logger: cfg.Logger}
	g, err := listen(ctx, port, l, cfg)
	if err != nil {
		return nil, err
	}
	opts := []kfake.Opt{
		kfake.Ports(g.port()),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return g, nil }),
		kfake.DataDir(data),
		kfake.SyncWrites(),
		kfake.MaxVersions(maxVersions()),
		kfake.WithLogger(log),
	}
	if !cfg.Open {
		opts = append(opts, kfake.EnableACLs())
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, errors.Join(classify(err), g.shut())
	}
	s := &Server{addr: g.Addr().String(), cluster: cluster, guard: g, log: log, stopped: make(chan struct{})}
	cluster.ControlKey(int16(kmsg.Produce), s.checkProduce)
	if err := ctx.Err(); err != nil {
		s.close()
		return nil, errors.Join(fmt.Errorf("kafka: start: %w", err), s.stopErr)
	}
	return s, nil
}

// Addr is the address the broker listens on and tells its clients, "127.0.0.1:port".
func (s *Server) Addr() string { return s.addr }

// Trim removes the records of a partition before an offset, for topics that would grow without
// end: the broker does not compact. Clients cannot ask for it. On disk whole segments go
// (segment.bytes of the topic), oldest first; after a kill what was left of a segment is there
// again. The records from that offset on are not touched.
func (s *Server) Trim(ctx context.Context, topic string, partition int, before int64) error {
	done := make(chan error, 1)
	go func() { done <- s.cluster.DeleteRecords(topic, int32(partition), before) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("kafka: trim %s/%d before %d: %w", topic, partition, before, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("kafka: trim %s/%d: %w", topic, partition, ctx.Err())
	}
}

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
	shut := s.guard.shut()
	var unlock error
	if s.lock != nil {
		unlock = s.lock.Close()
	}
	s.stopErr = errors.Join(s.log.firstFault(), shut, unlock)
}
