package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/confine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/front"
)

// Account is somebody who may use the server.
type Account = front.Account

// Confinement says what keeps the engine's process from the rest of the machine.
type Confinement = confine.Confinement

// Config says how to run the engine. The zero value of an optional field means its default.
type Config struct {
	DataDir string   // where tables live; created if missing
	Addr    string   // IP address and port to listen on; default 127.0.0.1:0, which picks a free port
	Command []string // program and arguments that end up in RunChild, e.g. {os.Executable(), "embedded-clickhouse"}
	Logger  *slog.Logger

	// CertFile and KeyFile are a PEM certificate chain and its key: with them the server speaks
	// TLS. An address beyond loopback needs them. They are read again when they change.
	CertFile, KeyFile string

	LibPath  string // an existing libchdb; default: Fetch's
	CacheDir string // where Fetch keeps libraries; default: ledgerline/libchdb under the user's cache directory
	Progress func(FetchProgress)

	Accounts []Account // who may use the server; see Account
	Open     bool      // nobody is asked for a password, which is for tests; then Accounts must be empty

	MaxConcurrent    int           // statements that run at a time, others wait; default 32
	ReaderConcurrent int           // of them, those of ReadOnly accounts; default a quarter of MaxConcurrent
	MaxExecutionTime time.Duration // upper bound of max_execution_time; default 1 h
	MaxMemory        int64         // bytes the engine may use; default: the engine's own, 90 % of the machine
	BackupDir        string        // absolute directory that BACKUP and RESTORE may use; default none
	DrainTimeout     time.Duration // how long running statements may go on after Stop; default 10 s

	// Unconfined leaves the engine's process all that its OS user may do. For measuring, and for a
	// machine on which confining it fails.
	Unconfined bool
}

func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxConcurrent == 0 {
		c.MaxConcurrent = 32
	}
	if c.ReaderConcurrent == 0 {
		c.ReaderConcurrent = max(1, c.MaxConcurrent/4)
	}
	if c.MaxExecutionTime == 0 {
		c.MaxExecutionTime = time.Hour
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 10 * time.Second
	}
	return c
}

// Validate returns everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("no DataDir"))
	}
	if len(c.Command) == 0 || c.Command[0] == "" {
		errs = append(errs, errors.New("no Command: the program that runs RunChild"))
	}
	errs = append(errs, c.validateAddr())
	if err := front.ValidateAccounts(c.Accounts, c.Open); err != nil {
		errs = append(errs, err)
	}
	if c.MaxConcurrent < 0 || c.ReaderConcurrent < 0 {
		errs = append(errs, errors.New("MaxConcurrent and ReaderConcurrent must not be negative"))
	}
	if d := c.withDefaults(); d.ReaderConcurrent >= d.MaxConcurrent &&
		slices.ContainsFunc(c.Accounts, func(a Account) bool { return a.ReadOnly }) {
		errs = append(errs, errors.New("ReaderConcurrent must be less than MaxConcurrent, or readers could hold "+
			"every statement"))
	}
	if c.MaxExecutionTime < 0 || c.DrainTimeout < 0 {
		errs = append(errs, errors.New("MaxExecutionTime and DrainTimeout must not be negative"))
	}
	if c.MaxMemory < 0 {
		errs = append(errs, errors.New("MaxMemory is negative"))
	}
	if c.BackupDir != "" && !filepath.IsAbs(c.BackupDir) {
		errs = append(errs, fmt.Errorf("BackupDir %q is not absolute", c.BackupDir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("embedded clickhouse: %w", err)
	}
	return nil
}

// Server is a running child process.
type Server struct {
	gate    *gate
	control *control // its end tells the child to stop
	held    Confinement
	cmd     *exec.Cmd
	tail    *tail
	logger  *slog.Logger
	done    chan struct{}

	mu       sync.Mutex
	stopping bool
	err      error // set before done closes
}

// Start runs the engine in a child process and returns when it answers a query, or with an error:
// ErrLocked where another process has the data directory open. ctx bounds the start only; the
// child ends with Stop or with this process.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := supported(); err != nil {
		return nil, fmt.Errorf("start clickhouse: %w", err)
	}
	cfg = cfg.withDefaults()
	libPath, err := Fetch(ctx, cfg)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("start clickhouse: %w", err)
	}
	// The folders must be there before the child is confined to them.
	write := []string{dir}
	if cfg.BackupDir != "" {
		write = append(write, cfg.BackupDir)
	}
	for _, d := range write {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("start clickhouse: %w", err)
		}
	}
	s := &Server{tail: &tail{logger: cfg.Logger}, logger: cfg.Logger, done: make(chan struct{})}
	if s.gate, err = openGate(cfg); err != nil {
		return nil, fmt.Errorf("start clickhouse: %w", err)
	}
	said, err := s.spawn(cfg, confine.Plan{
		Confine: !cfg.Unconfined, Write: write, Read: []string{libPath}, Beside: filepath.Dir(dir),
	}, ChildConfig{
		DataDir: dir, LibPath: libPath, Accounts: cfg.Accounts, Open: cfg.Open,
		MaxConcurrent: cfg.MaxConcurrent, ReaderConcurrent: cfg.ReaderConcurrent,
		MaxExecutionTime: cfg.MaxExecutionTime,
		MaxMemory:        cfg.MaxMemory, BackupDir: cfg.BackupDir, DrainTimeout: cfg.DrainTimeout,
		Certificate: s.gate.pair(),
	})
	if err != nil {
		return nil, fmt.Errorf("start clickhouse: %w", errors.Join(err, s.gate.close()))
	}
	if err := s.await(ctx, said); err != nil {
		s.setStopping()
		_ = s.cmd.Process.Kill() // it may have ended by itself
		<-s.done
		return nil, fmt.Errorf("start clickhouse on %s: %w", dir, errors.Join(err, s.gate.close()))
	}
	if s.gate.certs != nil {
		go s.watchCertificate()
	}
	if s.held.Complete() {
		s.logger.Info("the engine's process is confined", "by", s.held.String())
	} else {
		s.logger.Warn("the engine's process is not confined as it should be", "by", s.held.String())
	}
	return s, nil
}

// spawn starts the child and sends it its configuration, which may hold secrets and so goes
// neither into the environment nor into the arguments. The returned channel gets the child's one
// line, or is closed without it.
func (s *Server) spawn(cfg Config, p confine.Plan, child ChildConfig) (<-chan ready, error) {
	env, err := confine.ChildEnviron(p, child.DataDir)
	if err != nil {
		return nil, err
	}
	ln, err := s.gate.file()
	if err != nil {
		return nil, err
	}
	defer func() { _ = ln.Close() }() // the child has its own
	var theirs *os.File
	if s.control, theirs, err = newControl(); err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	s.cmd = exec.Command(cfg.Command[0], cfg.Command[1:]...)
	if s.cmd.Path, err = filepath.Abs(s.cmd.Path); err != nil {
		return nil, errors.Join(err, s.control.close())
	}
	s.cmd.Env = env
	s.cmd.Dir = child.DataDir // the engine looks for a configuration in its working directory
	s.cmd.ExtraFiles = []*os.File{confine.ControlFD - 3: theirs, confine.ListenerFD - 3: ln}
	s.cmd.Stderr = s.tail
	s.cmd.WaitDelay = 5 * time.Second // a process that the engine started may hold its stderr open
	s.cmd.SysProcAttr = childAttr()
	started := make(chan error, 1)
	go func() {
		// The parent-death signal belongs to the thread that started the
		// child: it must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		unblocked := s.gate.unblock()
		started <- err
		if err != nil {
			return
		}
		if unblocked != nil {
			s.logger.Warn("the listener may not close when the engine ends", "error", unblocked)
		}
		s.ended(s.cmd.Wait())
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(err, s.control.close())
	}
	// A child that does not take it has ended, or will be given up: both are told by its end.
	_ = s.control.send(child)
	said := make(chan ready, 1)
	go func() {
		defer close(said)
		if r, ok := s.control.receive(); ok {
			said <- r
		}
	}()
	return said, nil
}

// watchCertificate sends the child each certificate that replaces the one
// in use, until it has ended.
func (s *Server) watchCertificate() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-s.done; cancel() }()
	s.gate.certs.watch(ctx, s.logger, func(p *keyPair) error { return s.control.send(message{Certificate: p}) })
}

func (s *Server) ended(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail.end()
	if !s.stopping {
		if err == nil {
			err = errors.New("exited without being asked to")
		}
		s.err = fmt.Errorf("embedded clickhouse ended: %w%s", err, s.tail.text())
		s.gate.refuse()
	}
	_ = s.control.close() // nobody is at its other end
	close(s.done)
}

func (s *Server) setStopping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
}

func (s *Server) await(ctx context.Context, said <-chan ready) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case r, ok := <-said:
		switch {
		case r.Locked:
			return ErrLocked
		case r.Error != "":
			return errors.New(r.Error)
		case !ok:
			select {
			case <-s.done:
				return s.Err()
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		s.held = r.Confinement
	}
	return s.gate.check(ctx)
}

// Addr is the host and port of the HTTP interface.
func (s *Server) Addr() string { return s.gate.addr() }

// URL is where clients find the HTTP interface: http:// on a loopback address, https:// with a
// certificate, and then under a name that the certificate holds.
func (s *Server) URL() string { return s.gate.url() }

// Confinement says what keeps the engine's process from the rest of the machine.
func (s *Server) Confinement() Confinement { return s.held }

// PID is the child's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Done is closed when the child has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is nil while the child runs and after Stop; otherwise it says how the child ended, with the
// last lines it wrote to stderr.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Stop tells the child to end and waits for it. When ctx ends first the child is killed,
// which loses nothing that was acknowledged and synced. Stopping an ended server returns
// its Err. The address belongs to this process until Stop: nobody else can listen there
// and be taken for the server.
func (s *Server) Stop(ctx context.Context) error {
	defer func() { _ = s.gate.close() }() // once; a listener that does not close has no use for anybody
	select {
	case <-s.done:
		return s.Err()
	default:
	}
	s.setStopping()
	_ = s.control.close() // a child that is gone already has closed it
	select {
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill clickhouse: %w", err)
	}
	<-s.done
	return fmt.Errorf("stop clickhouse: killed: %w", context.Cause(ctx))
}

// tail logs what the child writes to stderr and keeps the end of it.
type tail struct {
	logger *slog.Logger
	mu     sync.Mutex
	kept   []byte
	line   []byte
}

const tailBytes = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if n := len(t.kept) - tailBytes; n > 0 {
		t.kept = append(t.kept[:0], t.kept[n:]...)
	}
	t.line = append(t.line, p...)
	for {
		line, rest, found := strings.Cut(string(t.line), "\n")
		if !found && len(t.line) < tailBytes {
			break
		}
		t.logger.Info("embedded clickhouse", "stderr", line)
		t.line = []byte(rest)
	}
	return len(p), nil
}

func (t *tail) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.line) > 0 {
		t.logger.Info("embedded clickhouse", "stderr", string(t.line))
		t.line = nil
	}
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.kept) == 0 {
		return ""
	}
	return "; its last words: " + strings.TrimSpace(string(t.kept))
}
