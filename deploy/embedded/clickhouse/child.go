package clickhouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/confine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/front"
)

// ErrLocked says that another process has the data directory open.
var ErrLocked = errors.New("the data directory is in use by another process")

// ChildConfig is what Start tells the child process. A program does not fill it in: its hidden
// subcommand calls ChildConfigFromEnv.
type ChildConfig struct {
	DataDir, LibPath string
	Accounts         []Account // with digests of their passwords
	Open             bool
	MaxConcurrent    int
	ReaderConcurrent int
	MaxExecutionTime time.Duration
	MaxMemory        int64
	BackupDir        string
	DrainTimeout     time.Duration
	Certificate      *keyPair     // nil: plain HTTP
	Logger           *slog.Logger `json:"-"`

	confinement Confinement
	// gets one line of JSON once it serves or has failed; its end means that the parent is gone
	control  *os.File
	messages *json.Decoder // of control
}

// ChildConfigFromEnv returns what Start tells this process. It confines the process first, and for
// that executes the program again with the same arguments: call it at the very start, before
// anything is done that must not happen twice.
func ChildConfigFromEnv() (ChildConfig, error) {
	v := os.Getenv(confine.PlanEnv)
	if v == "" {
		return ChildConfig{}, errors.New("this command is started by the embedded ClickHouse's parent, not by hand")
	}
	if err := supported(); err != nil {
		return ChildConfig{}, err
	}
	var p confine.Plan
	if err := json.Unmarshal([]byte(v), &p); err != nil {
		return ChildConfig{}, fmt.Errorf("read the child's environment: %w", err)
	}
	control := os.NewFile(confine.ControlFD, "control")
	held := Confinement{Missing: []string{"it was not asked for"}}
	if p.Confine {
		var err error
		if held, err = confine.Enter(p); err != nil {
			err = fmt.Errorf("confine the engine's process: %w", err)
			// The parent may be gone: then stderr and the exit code speak.
			_ = json.NewEncoder(control).Encode(ready{Error: err.Error()})
			return ChildConfig{}, err
		}
	}
	cfg := ChildConfig{confinement: held, control: control, messages: json.NewDecoder(control)}
	if err := cfg.messages.Decode(&cfg); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the parent is gone")
		}
		return ChildConfig{}, fmt.Errorf("read the child's configuration: %w", err)
	}
	return cfg, nil
}

// memory is what the engine may take: bytes, 0 where nobody knows.
func (cfg ChildConfig) memory() int64 {
	if cfg.MaxMemory > 0 {
		return cfg.MaxMemory
	}
	return machineMemory()
}

// ready is the one line that the child sends its parent.
type ready struct {
	Confinement Confinement `json:"confinement"`
	Error       string      `json:"error,omitempty"`
	Locked      bool        `json:"locked,omitempty"`
}

// RunChild is the whole life of the child process: it opens the engine, serves until ctx
// ends, SIGTERM arrives or the parent goes, then stops accepting, lets running statements
// end for DrainTimeout, kills what still runs, and closes the engine. The process must
// exit soon after it returns.
func RunChild(ctx context.Context, cfg ChildConfig) error {
	return runChild(ctx, cfg, func(_ func() (*engine.Conn, error), h http.Handler) http.Handler { return h })
}

// handlerOf returns what serves, of the front or of the engine below it, which tests reach so.
type handlerOf func(dial func() (*engine.Conn, error), front http.Handler) http.Handler

// runChild takes the handler apart from the rest.
func runChild(ctx context.Context, cfg ChildConfig, handler handlerOf) error {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	err := serveChild(ctx, cfg, handler)
	if err != nil {
		// The parent may be gone, or have read its line already: then
		// stderr and the exit code speak.
		_ = json.NewEncoder(cfg.control).Encode(ready{Error: err.Error(), Locked: errors.Is(err, ErrLocked)})
	}
	return err
}

// follow reads what the parent sends after the configuration, until it is gone.
func (cfg ChildConfig) follow(cert *certificate) {
	for {
		var m message
		if cfg.messages.Decode(&m) != nil {
			return
		}
		if m.Certificate != nil && cert != nil {
			if err := cert.set(m.Certificate); err != nil {
				cfg.Logger.Warn("the last certificate stays", "error", err)
			}
		}
	}
}

func serveChild(ctx context.Context, cfg ChildConfig, handler handlerOf) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	// The parent directs the shutdown; a Ctrl-C that reaches the whole group must not overtake it.
	signal.Ignore(syscall.SIGINT)
	var cert *certificate
	if cfg.Certificate != nil {
		cert = new(certificate)
		if err := cert.set(cfg.Certificate); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Ends with the socket, that is with the parent or with this process.
	go func() { cfg.follow(cert); cancel() }()

	lock, err := lockFile(filepath.Join(cfg.DataDir, "lock"))
	if err != nil {
		return fmt.Errorf("open %s: %w", cfg.DataDir, err)
	}
	defer func() { _ = lock.Close() }()
	tmp := filepath.Join(cfg.DataDir, "tmp")
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o700)); err != nil {
		return fmt.Errorf("prepare %s: %w", tmp, err)
	}
	if err := leaveForNowhere(&cfg, filepath.Join(tmp, "nowhere")); err != nil {
		return fmt.Errorf("prepare %s: %w", tmp, err)
	}
	e, err := openEngine(cfg)
	if err != nil {
		return err
	}
	ln, err := inheritedListener()
	if err != nil {
		e.anchor.Close()
		return fmt.Errorf("listen: %w", err)
	}
	// Go's default would let a write of the engine's into a closed pipe end the process.
	signal.Ignore(syscall.SIGPIPE)
	// Not derived from ctx: statements outlive the wish to stop by DrainTimeout.
	statements, kill := context.WithCancelCause(context.Background())
	defer kill(nil)
	of := front.Config{
		Dial: e.dial, Version: e.version, Timezone: e.timezone, Accounts: cfg.Accounts, Open: cfg.Open,
		MaxConcurrent: cfg.MaxConcurrent, ReaderConcurrent: cfg.ReaderConcurrent,
		MaxExecutionTime: cfg.MaxExecutionTime, ReaderMemory: front.ReaderShare(cfg.memory(), cfg.ReaderConcurrent),
		Backups: cfg.BackupDir != "", Tmp: tmp, Stopping: statements, Logger: cfg.Logger,
	}
	if cert != nil {
		of.Certifies = cert.names
	}
	f := front.New(of)
	srv := &http.Server{
		Handler: handler(e.dial, f), ConnContext: front.Remember,
		BaseContext:       func(net.Listener) context.Context { return statements },
		ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 10 * time.Minute, MaxHeaderBytes: 1 << 20,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(secure(greet(f.Listen(ln), cert != nil), cert)) }()
	err = json.NewEncoder(cfg.control).Encode(ready{Confinement: cfg.confinement})
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-served:
		}
	}
	drain, cancelDrain := context.WithTimeout(context.Background(), cfg.DrainTimeout)
	defer cancelDrain()
	if srv.Shutdown(drain) != nil {
		kill(errors.New("the server is shutting down"))
		_ = srv.Close() // ends what waits for a client
		// A killed statement ends within the engine's next block. One that does not must not keep
		// the process, and with it the lock, alive; what is on disk is consistent at any time.
		last := time.AfterFunc(cfg.DrainTimeout, func() {
			cfg.Logger.Error("a statement could not be stopped, leaving without it")
			os.Exit(1)
		})
		defer last.Stop()
	}
	f.Close()
	e.anchor.Close() // the engine crashes when a process exits with an open connection
	if !e.lib.Shutdown() {
		cfg.Logger.Warn("the engine has threads left at its end")
	}
	return err
}

// openedEngine is the engine on its data directory.
type openedEngine struct {
	lib               *engine.Library
	args              []string     // for further connections to the open path
	anchor            *engine.Conn // keeps the engine open between requests
	version, timezone string
}

func (e *openedEngine) dial() (*engine.Conn, error) { return e.lib.Dial(e.args) }

func openEngine(cfg ChildConfig) (_ *openedEngine, err error) {
	signals, err := engine.SaveHandlers()
	if err != nil {
		return nil, err
	}
	e := &openedEngine{args: []string{"--path=" + filepath.Join(cfg.DataDir, "engine")}}
	if e.lib, err = engine.Load(cfg.LibPath); err != nil {
		return nil, err
	}
	if cfg.MaxMemory > 0 {
		e.args = append(e.args, "--max_server_memory_usage="+strconv.FormatInt(cfg.MaxMemory, 10))
	}
	if cfg.BackupDir != "" {
		e.args = append(e.args, "--backups.allowed_path="+cfg.BackupDir)
	}
	if e.anchor, err = e.dial(); err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.DataDir, err)
	}
	if err := signals.Restore(); err != nil {
		e.anchor.Close()
		return nil, err
	}
	b, _, err := e.anchor.Exec("SELECT version(), timezone()", "TSV", nil)
	var ok bool
	e.version, e.timezone, ok = strings.Cut(strings.TrimSpace(string(b)), "\t")
	if err == nil && !ok {
		err = fmt.Errorf("unexpected answer %q", b)
	}
	if err != nil {
		e.anchor.Close()
		return nil, fmt.Errorf("ask the engine for its version: %w", err)
	}
	return e, nil
}

// leaveForNowhere makes an empty directory the working one: the local engine takes the name of a
// table that it does not have for a file there.
func leaveForNowhere(cfg *ChildConfig, dir string) error {
	lib, err := filepath.Abs(cfg.LibPath)
	if err != nil {
		return err
	}
	cfg.LibPath = lib
	return errors.Join(os.Mkdir(dir, 0o500), os.Chdir(dir))
}
