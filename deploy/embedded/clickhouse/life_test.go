//go:build unix

package clickhouse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/confine"
)

func start(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Start(t.Context(), testConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil && s.Err() == nil {
			t.Error(err)
		}
	})
	return s
}

// What an insert acknowledged is there after a kill -9; the parent learns of the end.
func TestKilledChild(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	c := open(t, s, nil)
	mustExec(t, c, "CREATE DATABASE d ENGINE = Atomic", "CREATE TABLE d.t (n UInt64) ENGINE = ReplacingMergeTree "+
		"ORDER BY n SETTINGS fsync_after_insert = 1, fsync_part_directory = 1")
	acknowledged := uint64(0)
	insert := func(n uint64) error {
		batch, err := c.PrepareBatch(t.Context(), "INSERT INTO d.t")
		if err == nil {
			err = batch.Append(n)
		}
		if err == nil {
			err = batch.Send()
		}
		return err
	}
	killed := make(chan struct{})
	for n := uint64(0); ; n++ {
		if n == 20 {
			go func() { _ = syscall.Kill(s.PID(), syscall.SIGKILL); close(killed) }()
		}
		if err := insert(n); err != nil {
			if n < 20 {
				t.Fatal(err)
			}
			break
		}
		acknowledged++
	}
	<-killed
	<-s.Done()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the server's end: %v", err)
	}
	if err := s.Stop(t.Context()); err == nil {
		t.Error("stopping a crashed server says nothing of the crash")
	}
	c = open(t, start(t, dir), nil)
	// One insert was under way: it may or may not be there, anything else may not be missing.
	if got := scalar[uint64](t, c, "SELECT count() FROM d.t FINAL WHERE n < {n:UInt64}",
		named("n", acknowledged)); got != acknowledged {
		t.Errorf("%d rows of %d acknowledged", got, acknowledged)
	}
}

func TestSecondStartIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	if _, err := Start(t.Context(), testConfig(dir)); !errors.Is(err, ErrLocked) ||
		!strings.Contains(err.Error(), dir) {
		t.Errorf("second start: %v", err)
	}
	if v := scalar[uint8](t, open(t, s, nil), "SELECT 1"); v != 1 {
		t.Error("the first does not answer any more")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	start(t, dir)
}

// Stop lets a statement that runs come to its end.
func TestStopDrains(t *testing.T) {
	s := start(t, t.TempDir())
	answer := make(chan string, 1)
	go func() {
		resp, err := rawQuery(t.Context(), s, "SELECT sum(sleepEachRow(0.01)) FROM numbers(50) SETTINGS "+
			"max_block_size = 10", "drained")
		if err != nil {
			answer <- err.Error()
			return
		}
		line, _ := bufio.NewReader(resp.Body).ReadString('\n')
		_ = resp.Body.Close()
		answer <- line
	}()
	c := open(t, s, nil)
	for scalar[uint64](t, c, "SELECT count() FROM system.processes WHERE Settings['log_comment'] LIKE "+
		"'query_id=drained %'") == 0 {
		if t.Context().Err() != nil {
			t.Fatal("never started")
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got != "0\n" {
		t.Errorf("the running statement got %q", got)
	}
}

// A statement without an end does not keep Stop: it is killed once DrainTimeout has passed.
func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.DrainTimeout = 100 * time.Millisecond
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := rawQuery(t.Context(), s, "SELECT count() FROM numbers(1000000000000) WHERE NOT "+
			"ignore(cityHash64(number))", "endless"); err == nil {
			_ = resp.Body.Close()
		}
	}()
	c := open(t, s, nil)
	for scalar[uint64](t, c, "SELECT count() FROM system.processes WHERE Settings['log_comment'] LIKE "+
		"'query_id=endless %'") == 0 {
		if t.Context().Err() != nil {
			t.Fatal("never started")
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
}

// The child goes when its parent is killed, and gives the directory free.
func TestKilledParent(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), exe, parentArgument, dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		t.Fatal(err)
	}
	idle, err := net.Dial("tcp", addr) // its end is the child's end
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close() }()
	if _, err := io.WriteString(idle, "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(idle)
	if resp, err := http.ReadResponse(answers, nil); err != nil {
		t.Fatal(err)
	} else if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // "signal: killed"
	if _, err := answers.ReadByte(); err == nil {
		t.Error("the child wrote to an idle connection")
	}
	for {
		s, err := Start(t.Context(), testConfig(dir))
		if err == nil {
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			return
		}
		if !errors.Is(err, ErrLocked) {
			t.Fatal(err)
		}
	}
}

// runParent is the process that TestKilledParent kills.
func runParent(dir string) int {
	s, err := Start(context.Background(), testConfig(dir))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.Addr())
	<-s.Done()
	return 0
}

// Tables are copied to the configured directory and back, and to no other place.
func TestBackup(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.BackupDir = t.TempDir()
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	c := open(t, s, nil)
	mustExec(t, c, "CREATE DATABASE d ENGINE = Atomic", "CREATE TABLE d.t (n UInt8) ENGINE = MergeTree ORDER BY n",
		"INSERT INTO d.t VALUES (7)",
		"BACKUP TABLE d.t TO File('"+cfg.BackupDir+"/one.tar.zst')", "DROP TABLE d.t SYNC",
		"RESTORE TABLE d.t FROM File('"+cfg.BackupDir+"/one.tar.zst')")
	if n := scalar[uint8](t, c, "SELECT n FROM d.t"); n != 7 {
		t.Errorf("restored %d", n)
	}
	for _, place := range []string{"File('" + t.TempDir() + "/two.tar.zst')", "File('../three')",
		"Disk('default', 'x')", "S3('http://127.0.0.1:1/')", "URL('http://127.0.0.1:1/')", "Memory('x')",
		"File('" + cfg.BackupDir + "/four') SETTINGS base_backup = File('/tmp/x')",
		"File('" + cfg.BackupDir + "/five' || 'x')"} {
		if err := c.Exec(t.Context(), "BACKUP TABLE d.t TO "+place); err == nil {
			t.Errorf("a backup to %s", place)
		}
	}
}

func TestStartFailures(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no such program": {func(c *Config) { c.Command = []string{"/no/such/program"} }, "no such file"},
		"not our program": {func(c *Config) { c.Command = []string{"/bin/sh", "-c", "echo last words >&2; exit 3"} },
			"exit status 3; its last words: last words"},
		"not a library":     {func(c *Config) { c.LibPath = "/etc/hostname" }, "load /etc/hostname"},
		"no library":        {func(c *Config) { c.LibPath = "/no/such/library" }, "the configured engine library"},
		"a foreign library": {func(c *Config) { c.LibPath = foreignLibrary(t) }, "not a libchdb this front knows"},
		"address in use":    {func(c *Config) { c.Addr = shared.Addr() }, "address already in use"},
		"a file":            {func(c *Config) { c.DataDir = "/etc/hostname" }, "not a directory"},
	} {
		cfg := testConfig(t.TempDir())
		c.change(&cfg)
		if s, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				_ = s.Stop(t.Context())
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	cfg := testConfig(t.TempDir())
	cfg.Command = []string{"/bin/sh", "-c", "exec sleep 1000"}
	if _, err := Start(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a child that says nothing: %v", err)
	}
}

// foreignLibrary finds a shared library that is not the engine.
func foreignLibrary(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if i := strings.Index(line, "/"); i >= 0 && strings.Contains(line, "libc.so") {
			return line[i:]
		}
	}
	t.Fatal("this process has no libc")
	return ""
}

func TestValidate(t *testing.T) {
	err := Config{Addr: "0.0.0.0:80", MaxConcurrent: -1, Accounts: []Account{{}, {Name: "a"}, {Name: "a"}},
		MaxMemory: -1, DrainTimeout: -1, BackupDir: "x"}.Validate()
	for _, want := range []string{"DataDir", "Command", "loopback", "MaxConcurrent", "MaxMemory", "DrainTimeout",
		"BackupDir", "no Name", "no Password", "two accounts"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s: %v", want, err)
		}
	}
	if _, err := Start(t.Context(), Config{}); err == nil {
		t.Error("an empty configuration starts")
	}
	if err := (Config{DataDir: "x", Command: []string{"y"}, Open: true}).Validate(); err != nil {
		t.Error(err)
	}
	for want, c := range map[string]Config{
		"name Accounts, or set Open": {},
		"Accounts must be empty":     {Open: true, Accounts: []Account{{Name: "a", Password: [32]byte{1}}}},
		"ReaderConcurrent": {MaxConcurrent: 1, Accounts: []Account{{Name: "a", Password: [32]byte{1},
			ReadOnly: true}}},
	} {
		c.DataDir, c.Command = "x", []string{"y"}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	t.Setenv(confine.PlanEnv, "")
	if _, err := ChildConfigFromEnv(); err == nil {
		t.Error("a child without a parent")
	}
}

// The child leaves the Go runtime's signal handlers in place: a nil dereference in Go, after the
// engine was opened and used, is a panic that can be recovered, not the process's end.
func TestSignalHandlersSurvive(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	libPath, err := Fetch(t.Context(), testConfig(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, panicArgument, libPath, t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "recovered\n") {
		t.Errorf("%v: %s", err, out)
	}
}

func runPanic(libPath, dir string) int {
	e, err := openEngine(ChildConfig{DataDir: dir, LibPath: libPath, MaxConcurrent: 1})
	if err == nil {
		defer e.anchor.Close()
		_, _, err = e.anchor.Exec("SELECT count() FROM numbers(1000000)", "TSV", nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if recover() != nil {
			fmt.Println("recovered")
		}
	}()
	var nothing *http.Request
	fmt.Println(nothing.Method)
	return 0
}
