//go:build unix

package clickhouse

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/confine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
)

// mainThread gets what the child's main thread must do: its stack is found in another way than the
// others'.
var mainThread = make(chan func())

func init() {
	if len(os.Args) > 1 && os.Args[1] == rawArgument {
		runtime.LockOSThread() // the main goroutine to the main thread
	}
}

// runRaw is RunChild without a front. It leaves the main thread to the engine.
func runRaw(cfg ChildConfig) error {
	ended := make(chan error, 1)
	go func() { ended <- runChild(context.Background(), cfg, rawEngine) }()
	for {
		select {
		case do := <-mainThread:
			do()
		case err := <-ended:
			return err
		}
	}
}

// rawEngine hands each statement to the engine as it stands: what it cannot do, the process cannot
// do.
func rawEngine(dial func() (*engine.Conn, error), _ http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ping" {
			_, _ = io.WriteString(w, "Ok.\n")
			return
		}
		statement, err := io.ReadAll(r.Body)
		var out []byte
		if err == nil {
			var c *engine.Conn
			if c, err = dial(); err == nil {
				defer c.Close()
				done := make(chan struct{})
				mainThread <- func() {
					defer close(done)
					out, _, err = c.Exec(string(statement), "TSV", nil)
				}
				<-done
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(out)
	})
}

// startRaw runs such a child. Its data directory lies beside a secret, as the ledger's lies beside
// keys and vault.
func startRaw(t *testing.T, unconfined bool) (s *Server, home string) {
	t.Helper()
	home = t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "kek"), []byte(theSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(filepath.Join(home, "clickhouse"))
	cfg.Command[1], cfg.Unconfined, cfg.BackupDir = rawArgument, unconfined, filepath.Join(home, "backups")
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, home
}

const theSecret = "the key of all keys"

func raw(t *testing.T, s *Server, statement string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Addr()+"/", strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", b)
	}
	return string(b), err
}

// elsewhere is a listener that nobody may reach; it counts who does. UDP datagrams count, too.
type elsewhere struct {
	tcp   net.Listener
	udp   net.PacketConn
	calls atomic.Int32
}

func listenElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &elsewhere{tcp: tcp, udp: udp}
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			s.calls.Add(1)
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = c.Close()
		}
	}()
	go func() {
		for {
			if _, _, err := udp.ReadFrom(make([]byte, 1<<10)); err != nil {
				return
			}
			s.calls.Add(1)
		}
	}()
	t.Cleanup(func() { _ = tcp.Close(); _ = udp.Close() })
	return s
}

// Whoever may send the engine any statement reaches no file, no address and no program beyond the
// engine's own directories. The same statements succeed, or arrive, where the process is not
// confined: so it is the process's wall that is seen, neither the front's nor the engine's own.
func TestConfinement(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Fatal("this test needs Linux: run the others with -skip TestConfinement")
	}
	confined, home := startRaw(t, false)
	if held := confined.Confinement(); !held.Complete() {
		t.Fatalf("this kernel offers too little for this test: %s", held)
	}
	open, openHome := startRaw(t, true)
	if held := open.Confinement(); held.Files || held.Syscalls || len(held.Missing) == 0 {
		t.Errorf("an engine that is not confined says %s", held)
	}
	for _, dir := range []string{home, openHome} {
		inside := filepath.Join(dir, "clickhouse", "engine", "user_files")
		if err := os.MkdirAll(inside, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(dir, "kek"), filepath.Join(inside, "link")); err != nil {
			t.Fatal(err)
		}
		scripts := filepath.Join(dir, "clickhouse", "engine", "user_scripts")
		if err := os.MkdirAll(scripts, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{
			inside + "/own": "own\n", scripts + "/run": "#!/bin/sh\necho ran\n",
		} {
			if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("files", func(t *testing.T) {
		for _, c := range []struct{ name, statement string }{
			{"a system's file", "SELECT * FROM file('/etc/passwd', 'LineAsString')"},
			{"the function", "SELECT file('/etc/passwd')"},
			{"a secret beside the data", "SELECT * FROM file('HOME/kek', 'RawBLOB')"},
			{"the same by a relative path", "SELECT * FROM file('HOME/clickhouse/engine/../../kek', 'RawBLOB')"},
			{"the same by a link inside", "SELECT * FROM file('HOME/clickhouse/engine/user_files/link', 'RawBLOB')"},
			{"a listing", "SELECT _path FROM file('HOME/k*', 'RawBLOB')"},
			{"the parent's environment", fmt.Sprintf("SELECT * FROM file('/proc/%d/environ', 'RawBLOB')",
				os.Getpid())},
			{"the parent's maps", fmt.Sprintf("SELECT * FROM file('/proc/%d/maps', 'LineAsString')", os.Getpid())},
			{"the parent's descriptors", fmt.Sprintf("SELECT * FROM file('/proc/%d/fdinfo/0', 'LineAsString')",
				os.Getpid())},
			{"its own environment", "SELECT * FROM file('/proc/self/environ', 'RawBLOB')"},
			{"writing a file", "INSERT INTO FUNCTION file('HOME/written', 'LineAsString', 's String') SELECT 'x'"},
			{"writing by OUTFILE", "SELECT 1 INTO OUTFILE 'HOME/outfile' FORMAT TSV"},
			{"a table over a file", "CREATE TABLE default.passwd (s String) ENGINE = File('LineAsString', " +
				"'/etc/passwd')"},
			{"a database in another place", "CREATE DATABASE elsewhere ENGINE = SQLite('HOME/other.db')"},
			{"a backup elsewhere", "BACKUP DATABASE default TO File('HOME/elsewhere.tar')"},
		} {
			in := func(home string) string { return strings.ReplaceAll(c.statement, "HOME", home) }
			if out, err := raw(t, open, in(openHome)); err != nil && c.name != "a backup elsewhere" {
				t.Errorf("%s: without confinement: %v", c.name, err)
			} else if strings.Contains(c.statement, "kek") && !strings.Contains(out, theSecret) {
				t.Errorf("%s: without confinement: %q", c.name, out)
			}
			out, err := raw(t, confined, in(home))
			if c.name == "a table over a file" && err == nil { // made without a look at the file
				out, err = raw(t, confined, "SELECT * FROM default.passwd")
			}
			if err == nil && strings.TrimSpace(out) != "" || strings.Contains(out, theSecret) {
				t.Errorf("%s: %q, %v", c.name, out, err)
			}
			t.Logf("%s: %v", c.name, err)
		}
		entries, err := os.ReadDir(home)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.Contains("clickhouse kek backups", e.Name()) {
				t.Errorf("%s was made outside", e.Name())
			}
		}
		// What is the engine's own is open to it: that the rest is not is not for want of trying.
		own := home + "/clickhouse/engine/user_files/own"
		if out, err := raw(t, confined, "SELECT * FROM file('"+own+"', 'LineAsString')"); err != nil ||
			out != "own\n" {
			t.Errorf("its own file: %q, %v", out, err)
		}
	})
	t.Run("the parent's messages", func(t *testing.T) {
		for _, fd := range []int{confine.ControlFD, confine.ListenerFD} {
			for _, name := range []string{"/dev/fd/%d", "/proc/self/fd/%d"} {
				out, err := raw(t, confined, fmt.Sprintf("SELECT * FROM file('"+name+"', 'RawBLOB')", fd))
				if err == nil {
					t.Errorf("descriptor %d can be opened: %q", fd, out)
				}
			}
		}
	})
	t.Run("network", func(t *testing.T) {
		there := listenElsewhere(t)
		arrived := func(s *Server, statement string) bool {
			before := there.calls.Load()
			_, err := raw(t, s, statement+" SETTINGS http_max_tries = 1, s3_retry_attempts = 0")
			t.Logf("%.80s: %v", statement, err)
			return err == nil || there.calls.Load() > before
		}
		a := there.tcp.Addr().String()
		for _, statement := range []string{
			"SELECT * FROM url('http://" + a + "/', 'LineAsString')",
			"INSERT INTO FUNCTION url('http://" + a + "/', 'LineAsString', 's String') SELECT 'x' AS s",
			"SELECT * FROM remote('" + a + "', system.one)",
			"DESCRIBE TABLE s3('http://" + a + "/bucket/x.csv', 'CSV')",
			"SELECT * FROM postgresql('" + a + "', 'd', 't', 'u', 'p')",
			"SELECT * FROM mysql('" + a + "', 'd', 't', 'u', 'p')",
			"SELECT * FROM mongodb('" + a + "', 'd', 't', 'u', 'p', 's String')",
			"SELECT * FROM redis('" + a + "', 'k', 'k String, v String')",
		} {
			if arrived(confined, statement) {
				t.Errorf("%s reached the listener", statement)
			}
			if !arrived(open, statement) {
				t.Errorf("%s reaches nothing without confinement: it proves nothing", statement)
			}
		}
		if n := there.calls.Load(); n == 0 {
			t.Error("the listener does not count")
		}
	})
	t.Run("names", func(t *testing.T) {
		// A name would be asked of a server by UDP: no socket, no question.
		_, err := raw(t, confined,
			"SELECT * FROM url('http://leak.ledgerline.invalid/', 'LineAsString') SETTINGS http_max_tries = 1")
		if err == nil || !strings.Contains(err.Error(), "leak.ledgerline.invalid") {
			t.Errorf("a DNS name: %v", err)
		}
		t.Log(err)
	})
	t.Run("its own work", func(t *testing.T) {
		backup := " File('" + home + "/backups/d.tar.zst')"
		for _, statement := range []string{
			"CREATE DATABASE d ENGINE = Atomic",
			"CREATE TABLE d.t (n UInt64, s String) ENGINE = ReplacingMergeTree ORDER BY n SETTINGS " +
				"fsync_after_insert = 1",
			"INSERT INTO d.t SELECT number, 'x' FROM numbers(1000)",
			"INSERT INTO d.t SELECT number, 'y' FROM numbers(2000)",
			"OPTIMIZE TABLE d.t FINAL",
			"ALTER TABLE d.t UPDATE s = 'z' WHERE n < 10 SETTINGS mutations_sync = 2",
			"BACKUP DATABASE d TO" + backup, "DROP DATABASE d SYNC", "RESTORE DATABASE d FROM" + backup,
			"SELECT throwIf(count() != 2000 OR countIf(s = 'z') != 10) FROM d.t FINAL", "DROP TABLE d.t SYNC",
			`SELECT count() FROM numbers(10000000) GROUP BY number % 1000000
				SETTINGS max_bytes_before_external_group_by = 1000000 FORMAT Null`,
		} {
			if _, err := raw(t, confined, statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
	t.Run("programs", func(t *testing.T) {
		const statement = "SELECT * FROM executable('run', 'TSV', 's String')"
		if out, err := raw(t, open, statement); err != nil || out != "ran\n" {
			t.Errorf("without confinement: %q, %v", out, err)
		}
		// The engine finds no error in a program without output.
		if out, err := raw(t, confined, statement); strings.Contains(out, "ran") {
			t.Errorf("a program was run: %q, %v", out, err)
		}
	})
}
