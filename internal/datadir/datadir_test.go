//go:build unix

package datadir

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// holdEnv makes the test binary a process that holds the directory it names until its standard
// input ends.
const holdEnv = "NODE_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		os.Exit(holdDirectory(Dir(dir)))
	}
	os.Exit(m.Run())
}

func holdDirectory(d Dir) int {
	l, err := d.Lock()
	if err == nil {
		err = l.Announce(Running{Kafka: "127.0.0.1:9"})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0 // without Close, as a process that is killed ends
}

// holder is another process that holds the directory; end ends it as a kill would.
func holder(t *testing.T, d Dir) (pid int, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+string(d))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			_ = in.Close()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(end)
	return cmd.Process.Pid, end
}

// isProblem reports whether err is a Problem of that code, and names no flag.
func isProblem(err, code error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Code == code && errors.Is(err, code) && p.Path != "" &&
		!strings.Contains(err.Error(), " --")
}

func TestADirectoryThatOthersReachIsRefusedByNameAndMode(t *testing.T) {
	top := t.TempDir()
	for _, mode := range []os.FileMode{0o701, 0o704, 0o702, 0o710, 0o740, 0o720, 0o755, 0o750, 0o777,
		0o777 | os.ModeSticky} {
		path := filepath.Join(top, mode.String())
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Dir(path).Private(); err != nil {
			t.Fatalf("mode 0700: %v", err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for what, try := range map[string]func() error{
			"Private": Dir(path).Private, "Make": Dir(path).Make,
			"Lock": func() error { _, err := Dir(path).Lock(); return err },
			"Running": func() error {
				_, err := Dir(path).Running()
				return err
			},
			"Secrets":     func() error { _, err := Dir(path).Secrets(); return err },
			"MakeSecrets": func() error { _, err := Dir(path).MakeSecrets(); return err },
		} {
			err := try()
			if !isProblem(err, ErrOthersReach) || errors.Is(err, ErrNotUp) ||
				!strings.Contains(err.Error(), "chmod 700 "+path) {
				t.Errorf("%s with mode %v: %v, want it refused with the way out", what, mode, err)
			}
		}
		if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
			t.Errorf("a refused directory was written to: %v, %v", entries, err)
		}
	}
}

func TestADirectoryThatOthersCanReplaceIsRefused(t *testing.T) {
	for _, tc := range []struct {
		mode    os.FileMode
		refused bool
	}{{0o755, false}, {0o777, true}, {0o777 | os.ModeSticky, false}, {0o757, true}} {
		parent := filepath.Join(t.TempDir(), "parent")
		path := filepath.Join(parent, "between", "data")
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(parent, tc.mode); err != nil {
			t.Fatal(err)
		}
		if err := Dir(path).Private(); (err != nil) != tc.refused || err != nil && !(isProblem(err, ErrOthersWrite) &&
			strings.Contains(err.Error(), "chmod o-w,g-w "+parent)) {
			t.Errorf("below a folder of mode %v: %v", tc.mode, err)
		}
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		if err := Dir(link).Private(); (err != nil) != tc.refused {
			t.Errorf("by a link, below a folder of mode %v: %v", tc.mode, err)
		}
	}
}

func TestADirectoryOfAnotherUserIsRefused(t *testing.T) {
	dir := "/" // root's
	if os.Geteuid() == 0 {
		dir = filepath.Join(t.TempDir(), "data")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 12345, 12345)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Dir(dir).Private(); !isProblem(err, ErrOthersOwn) || !strings.Contains(err.Error(), "belongs to user") {
		t.Errorf("%v", err)
	}
	if os.Geteuid() == 0 {
		below := filepath.Join(dir, "below")
		if err := os.Mkdir(below, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Dir(below).Private(); !isProblem(err, ErrOthersAbove) || !strings.Contains(err.Error(), "replace") {
			t.Errorf("below another user's: %v", err)
		}
	}
}

func TestAFileIsNoDataDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Dir(path).Private(); !isProblem(err, ErrNoFolder) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

func TestOneProcessHoldsADirectoryAndOnlyItsAddressesCount(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "data"))
	if _, err := d.Running(); !errors.Is(err, ErrNotUp) {
		t.Errorf("no directory: %v", err)
	}
	pid, end := holder(t, d)
	if _, err := d.Lock(); !isProblem(err, ErrAlreadyUp) || !strings.Contains(err.Error(), strconv.Itoa(pid)) {
		t.Errorf("a second lock: %v, want it to name process %d", err, pid)
	}
	if r, err := d.Running(); err != nil || r.PID != pid || r.Kafka != "127.0.0.1:9" {
		t.Errorf("%+v, %v", r, err)
	}
	// Addresses that the holder did not write: of one that was killed, whose ports may be a
	// stranger's.
	write := func(r Running) {
		t.Helper()
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := WritePrivate(d.Path(runFile), raw); err != nil {
			t.Fatal(err)
		}
	}
	for _, stale := range []int{os.Getppid(), 1, 1 << 30, 0, -1} {
		write(Running{PID: stale, Kafka: "127.0.0.1:6"})
		if r, err := d.Running(); !errors.Is(err, ErrNotUp) {
			t.Errorf("addresses of process %d while %d holds the directory: %+v, %v", stale, pid, r, err)
		}
	}
	end()
	for _, gone := range []int{pid, 0} {
		write(Running{PID: gone})
		if _, err := d.Running(); !errors.Is(err, ErrNotUp) {
			t.Errorf("nobody holds the directory, and the addresses are of process %d: %v", gone, err)
		}
	}
	l, err := d.Lock()
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	if _, err := os.Stat(d.Path(runFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a killed holder's addresses are still there: %v", err)
	}
	if _, err := d.Lock(); !errors.Is(err, ErrAlreadyUp) {
		t.Errorf("a second lock in the same process: %v", err)
	}
	if err := l.Announce(Running{Kafka: "127.0.0.1:7"}); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Running(); err != nil || r.Kafka != "127.0.0.1:7" {
		t.Errorf("%+v, %v", r, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Running(); !errors.Is(err, ErrNotUp) {
		t.Errorf("closed: %v", err)
	}
}

func TestSecretsAreMadeOnceAndAreTheirOwnersAlone(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "data"))
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Secrets(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before they are made: %v", err)
	}
	first, err := d.MakeSecrets()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.SecretsFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("their file: %v, %v", info, err)
	}
	seen := map[string]bool{}
	for _, server := range []Server{EventStore, Kafka, ClickHouse, Status} {
		for _, account := range Accounts(server) {
			p, err := first.Password(server, account)
			if err != nil || len(p) != 43 || seen[p] {
				t.Errorf("%s at %s: %d characters, %v, or another's", account, server, len(p), err)
			}
			seen[p] = true
			for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
				if strings.Contains(fmt.Sprintf(format, first), p) ||
					strings.Contains(fmt.Sprintf(format, &first), p) {
					t.Errorf("printing secrets by %s shows one", format)
				}
			}
		}
	}
	for _, server := range []Server{EventStore, "mongodb"} {
		if p, err := first.Password(server, "admin"); err == nil {
			t.Errorf("an account that is not there has the password of %d characters", len(p))
		}
	}

	// One that is missing is made; the others stay.
	delete(first.passwords[Kafka], Consumer)
	raw, err := json.Marshal(first.passwords)
	if err != nil {
		t.Fatal(err)
	}
	if err := WritePrivate(d.SecretsFile(), raw); err != nil {
		t.Fatal(err)
	}
	if read, err := d.Secrets(); err != nil {
		t.Error(err)
	} else if _, err := read.Password(Kafka, Consumer); err == nil {
		t.Error("a password that is missing was returned")
	}
	again, err := d.MakeSecrets()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := again.Password(Kafka, Consumer); err != nil || seen[p] {
		t.Errorf("a missing password was not made: %v", err)
	}
	if a, _ := again.Password(EventStore, Ledger); a != first.passwords[EventStore][Ledger] {
		t.Error("a password changed")
	}

	// A file that others could have read, or that is broken, is refused, and never quoted.
	if err := os.Chmod(d.SecretsFile(), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := d.MakeSecrets(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("mode 0640: %v", err)
	}
	for _, broken := range []string{`{"kafka":{"relay":17}}`, `"hunter22"`, `{"kafka":{"relay":"hunter22`, ``} {
		if err := WritePrivate(d.SecretsFile(), []byte(broken)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.MakeSecrets(); err == nil || strings.Contains(err.Error(), "hunter22") ||
			!strings.Contains(err.Error(), "remove it") {
			t.Errorf("%q: %v", broken, err)
		}
	}
}

// A killed `up` leaves its addresses behind. They do not count, whatever has become of its number:
// it is this very process's, a process's that holds the directory, or that of a zombie.
func TestAKilledHoldersAddressesDoNotCountWhoeverHasItsNumber(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "data"))
	write := func(r Running) {
		t.Helper()
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := WritePrivate(d.Path(runFile), raw); err != nil {
			t.Fatal(err)
		}
	}
	stale := func(what string) {
		t.Helper()
		if r, err := d.Running(); !errors.Is(err, ErrNotUp) {
			t.Errorf("%s: %+v, %v, want that no ledger runs", what, r, err)
		}
	}
	pid, end := holder(t, d)
	announced, err := d.Running()
	if err != nil || announced.Process == "" {
		t.Fatalf("a running holder: %+v, %v", announced, err)
	}
	write(Running{PID: pid, Process: "another boot 17", Kafka: "127.0.0.1:6"})
	stale("the number is that of a later holder")
	write(Running{PID: os.Getpid(), Process: processStart(os.Getpid()), Kafka: "127.0.0.1:6"})
	stale("the number is this process's, another holds the directory")
	write(announced)
	if _, err := d.Running(); err != nil {
		t.Errorf("the holder's own: %v", err)
	}
	end()
	write(Running{PID: os.Getpid(), Process: announced.Process, Kafka: "127.0.0.1:6"})
	stale("the number is this process's, nobody holds the directory")

	zombie, kill := killed(t, d)
	left, err := d.readRunning()
	if err != nil || left.PID != zombie {
		t.Fatalf("the killed holder left %+v, %v", left, err)
	}
	stale("the holder was killed and is not waited for")
	kill()
	stale("the holder was killed and is waited for")
	l, err := d.Lock()
	if err != nil {
		t.Fatalf("the next holder: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// killed is a holder that was killed and that nobody has waited for, until bury.
func killed(t *testing.T, d Dir) (pid int, bury func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+string(d))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = said.ReadString('\n') // its end: the kernel has closed its files
	return cmd.Process.Pid, func() { _ = in.Close(); _ = cmd.Wait() }
}
