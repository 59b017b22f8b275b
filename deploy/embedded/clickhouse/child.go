package clickhouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
)

// ErrLocked says that another process has the data directory open.
var ErrLocked = errors.New("the data directory is in use by another process")

// ChildConfig is what Start tells the child process. A program does not fill it in: its hidden subcommand
// calls ChildConfigFromEnv.
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
	control     *os.File      // gets one line of JSON once it serves or has failed; its end means that the parent is gone
	messages    *json.Decoder // of control
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

// RunChild is the whole life of the child process: it opens the engine, serves until ctx ends, SIGTERM
// arrives or the parent goes, then stops accepting, lets running statements end for DrainTimeout, kills
// what still runs, and closes the engine. The process must exit soon after it returns.
func RunChild(ctx context.Context, cfg ChildConfig) error {
	return runChild(ctx, cfg, func(f *front) http.Handler { return f })
}

// runChild takes the handler apart from the rest, so that a test can reach the engine below the front.
func runChild(ctx context.Context, cfg ChildConfig, handler func(*front) http.Handler) error {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	err := serveChild(ctx, cfg, handler)
	if err != nil {
		// The parent may be gone, or have read its line already: then stderr and the exit code speak.
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

func serveChild(ctx context.Context, cfg ChildConfig, handler func(*front) http.Handler) error {
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
	l, anchor, f, err := openEngine(cfg, tmp)
	if err != nil {
		return err
	}
	f.cert = cert
	ln, err := inheritedListener()
	if err != nil {
		anchor.close()
		return fmt.Errorf("listen: %w", err)
	}
	// Go's default would let a write of the engine's into a closed pipe end the process.
	signal.Ignore(syscall.SIGPIPE)
	// Not derived from ctx: statements outlive the wish to stop by DrainTimeout.
	statements, kill := context.WithCancelCause(context.Background())
	defer kill(nil)
	f.stopping = statements
	srv := &http.Server{
		Handler: handler(f), ConnContext: remember, BaseContext: func(net.Listener) context.Context { return statements },
		ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 10 * time.Minute, MaxHeaderBytes: 1 << 20,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(secure(greet(f.door.listen(ln), cert != nil), cert)) }()
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
		// A killed statement ends within the engine's next block. One that does not must not keep the
		// process, and with it the lock, alive; what is on disk is consistent at any time.
		last := time.AfterFunc(cfg.DrainTimeout, func() {
			cfg.Logger.Error("a statement could not be stopped, leaving without it")
			os.Exit(1)
		})
		defer last.Stop()
	}
	f.running.Wait()
	f.guard.close()
	f.sessions.close()
	anchor.close() // the engine crashes when a process exits with an open connection
	if l.shutdown() != 0 {
		cfg.Logger.Warn("the engine has threads left at its end")
	}
	return err
}

func openEngine(cfg ChildConfig, tmp string) (*lib, *conn, *front, error) {
	signals, err := saveSignalHandlers()
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := openLib(cfg.LibPath)
	if err != nil {
		return nil, nil, nil, err
	}
	args := []string{"--path=" + filepath.Join(cfg.DataDir, "engine")}
	if cfg.MaxMemory > 0 {
		args = append(args, "--max_server_memory_usage="+strconv.FormatInt(cfg.MaxMemory, 10))
	}
	if cfg.BackupDir != "" {
		args = append(args, "--backups.allowed_path="+cfg.BackupDir)
	}
	anchor, err := l.dial(args) // keeps the engine open between requests
	if err != nil {
		return nil, nil, nil, fmt.Errorf("open %s: %w", cfg.DataDir, err)
	}
	if err := signals.restore(); err != nil {
		anchor.close()
		return nil, nil, nil, err
	}
	b, _, err := anchor.exec("SELECT version(), timezone()", "TSV", nil)
	version, timezone, ok := strings.Cut(strings.TrimSpace(string(b)), "\t")
	if err == nil && !ok {
		err = fmt.Errorf("unexpected answer %q", b)
	}
	if err != nil {
		anchor.close()
		return nil, nil, nil, fmt.Errorf("ask the engine for its version: %w", err)
	}
	return l, anchor, &front{
		lib: l, args: args, info: engineInfo{version, timezone}, slots: newSlots(cfg.MaxConcurrent, cfg.ReaderConcurrent),
		readerMemory: readerShare(cfg.memory(), cfg.ReaderConcurrent),
		limit:        cfg.MaxExecutionTime, tmp: tmp, logger: cfg.Logger, door: newDoor(), ongoing: newRunning(),
		passports: &passports{accounts: cfg.Accounts, open: cfg.Open,
			failed: rareLog{logger: cfg.Logger, text: "requests without an account's name and password were turned away"}},
		guard:    newGuard(func() (*conn, error) { return l.dial(args) }, cfg.BackupDir != ""),
		sessions: newSessions(),
	}, nil
}

// leaveForNowhere makes an empty directory the working one: the local engine takes the name of a table that
// it does not have for a file there.
func leaveForNowhere(cfg *ChildConfig, dir string) error {
	lib, err := filepath.Abs(cfg.LibPath)
	if err != nil {
		return err
	}
	cfg.LibPath = lib
	return errors.Join(os.Mkdir(dir, 0o500), os.Chdir(dir))
}
