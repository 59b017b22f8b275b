//go:build unix && bench

package eventstore

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/authority"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
)

// The report runs each server in a process of its own, so that its processor
// time and its memory can be told from the client's.

const (
	envBenchServer = "EVENTSTORE_BENCH_SERVER" // kind of server
	envBenchDir    = "EVENTSTORE_BENCH_DIR"
	envBenchFrames = "EVENTSTORE_BENCH_FRAMES"
	envBenchCPU    = "BENCH_PROFILES" // a directory for processor profiles of the servers
)

// Kinds of servers.
const (
	kindOurs    = "ours"
	kindSecure  = "secure"  // ours, over TLS and with an account
	kindDurable = "durable" // writes each append with an fsync and decides nothing
	kindFrames  = "frames"  // sends events that were encoded beforehand
)

// benchAddress is the line with which a server process says that it serves.
type benchAddress struct {
	Conn   string
	Opened time.Duration // how long Start took
}

// init turns the process into a server where the environment says so.
func init() {
	kind := os.Getenv(envBenchServer)
	if kind == "" {
		return
	}
	if err := benchServer(kind); err != nil {
		fmt.Fprintln(os.Stderr, "bench server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func benchServer(kind string) (err error) {
	if dir := os.Getenv(envBenchCPU); dir != "" {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", kind, os.Getpid())))
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, f.Close())
		}()
	}
	began := time.Now()
	var conn string
	switch kind {
	case kindOurs, kindSecure:
		cfg, secret := testConfig(filepath.Join(os.Getenv(envBenchDir), "store")), ""
		if kind == kindSecure {
			if secret, err = secureBench(&cfg); err != nil {
				return err
			}
		}
		s, err := Start(context.Background(), cfg)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Stop(context.Background())) }()
		conn = s.ConnectionString()
		if secret != "" {
			conn = strings.Replace(conn, "esdb://", "esdb://"+benchAccount+":"+secret+"@", 1)
		}
	default:
		b := &baseline{}
		if kind == kindDurable {
			if b.db, err = openDurable(os.Getenv(envBenchDir)); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, b.db.Close()) }()
		} else {
			n, err := strconv.Atoi(os.Getenv(envBenchFrames))
			if err != nil {
				return err
			}
			b.read = preparedFrames(n)
		}
		var stop func()
		if conn, stop, err = b.serve(); err != nil {
			return err
		}
		defer stop()
	}
	line, err := json.Marshal(benchAddress{Conn: conn, Opened: time.Since(began)})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	_, err = io.Copy(io.Discard, os.Stdin) // until the parent goes
	return err
}

const benchAccount = "bench"

// secureBench has the server ask as an embedded one does: over TLS, for a program's secret.
func secureBench(cfg *Config) (secret string, err error) {
	secret = rand.Text() + rand.Text()
	digest, err := guard.DigestSecret(secret)
	if err != nil {
		return "", err
	}
	a, err := authority.Open(authority.Config{Dir: cfg.Dir + "-tls", Logger: cfg.Logger})
	if err != nil {
		return "", err
	}
	hosts, err := authority.Hosts(cfg.Addr)
	if err != nil {
		return "", err
	}
	certFile, keyFile, err := a.Issue("eventstore", hosts)
	if err != nil {
		return "", err
	}
	cfg.Open, cfg.TLS = false, &guard.TLSConfig{CertFile: certFile, KeyFile: keyFile, CAFile: a.CAFile()}
	cfg.Users = []guard.User{{Name: benchAccount, SecretSHA256: digest, Groups: []string{"ledger"}}}
	cfg.ProtectedWriters, cfg.AllReaders = []string{"ledger"}, []string{"ledger"}
	return secret, nil
}

// benchProcess is a server in a process of its own.
type benchProcess struct {
	benchAddress
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.Closer
}

func startProcess(t testing.TB, kind, dir string, frames int) *benchProcess {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &benchProcess{t: t, cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), envBenchServer+"="+kind, envBenchDir+"="+dir,
		envBenchFrames+"="+strconv.Itoa(frames))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.benchAddress)
	}
	if err != nil {
		t.Fatalf("server process %s said %q: %v", kind, line, err)
	}
	return p
}

// stop ends the process and waits for it; a second call does nothing.
func (p *benchProcess) stop() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.stdin.Close()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("server process: %v", err)
	}
}

// cpu is the processor time that the server process has used.
func (p *benchProcess) cpu() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] { // user and system time, in hundredths of a second
		n, err := strconv.Atoi(f)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// memory returns the process's resident bytes now and at most so far.
func (p *benchProcess) memory() (now, peak int64) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			now = kib << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			peak = kib << 10
		}
	}
	return now, peak
}
