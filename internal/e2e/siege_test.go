//go:build unix && siege

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	engine "github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
)

// Two users of one machine. Neither has a name: rights are the number's.
const (
	ownerID    = 64101 // runs `up`
	strangerID = 64102 // attacks it
)

// attackEnv makes the test binary the attacker: it holds the target as JSON. The attacks run in a
// process of the other user, which was told addresses and the passwords of one account, or none.
const attackEnv = "LEDGERLINE_SIEGE_TARGET"

func init() {
	raw, ok := os.LookupEnv(attackEnv)
	if !ok {
		return
	}
	var to target
	if err := json.Unmarshal([]byte(raw), &to); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := to.attackAll(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(0)
}

// camp is where the siege takes place: what both users may read, and a folder of each.
type camp struct {
	t       *testing.T
	dir     string
	attacks string // the test binary, where the stranger may run it
	library string
}

func newCamp(t *testing.T) *camp {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the siege needs root: it runs the ledger as one user and attacks it as another (a user namespace " +
			"is no stranger)")
	}
	dir, err := os.MkdirTemp("", "siege-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &camp{t: t, dir: dir, attacks: filepath.Join(dir, "attacks"), library: filepath.Join(dir, "libchdb.so")}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	library, err := engine.Fetch(t.Context(), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	binary, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{self: c.attacks, binary: filepath.Join(dir, "ledgerline"),
		library: c.library} {
		if out, err := exec.Command("cp", "--reflink=auto", from, to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.Chmod(to, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, id := range map[string]int{"owner": ownerID, "stranger": strangerID} {
		home := filepath.Join(dir, name)
		if err := errors.Join(os.Mkdir(home, 0o700), os.Chown(home, id, id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

func as(id int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}}
}

// ledger is a node of the owner's.
func (c *camp) ledger(env ...string) *node {
	home := filepath.Join(c.dir, "owner")
	n := newNode(c.t, append([]string{"HOME=" + home, "TMPDIR=" + home, "LEDGERLINE_EMBEDDED_LIBRARY=" + c.library},
		env...)...)
	n.dir, n.user, n.path = home, as(ownerID), filepath.Join(c.dir, "ledgerline")
	return n
}

// attacked is what one attack came to.
type attacked struct{ Name, Outcome string }

// assault runs every attack as the stranger and returns what each came to.
func (c *camp) assault(to target) map[string]string {
	c.t.Helper()
	raw, err := json.Marshal(to)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.attacks)
	cmd.Dir, cmd.SysProcAttr, cmd.Stderr = filepath.Join(c.dir, "stranger"), as(strangerID), os.Stderr
	cmd.Env = []string{attackEnv + "=" + string(raw), "PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir}
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	outcomes := map[string]string{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a attacked
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			c.t.Fatalf("%v: %s", err, lines.Text())
		}
		outcomes[a.Name] = a.Outcome
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		c.t.Fatalf("the attacker: %v", err)
	}
	return outcomes
}

// bait listens where attacks try to send data, and counts who comes.
type bait struct {
	net.Listener
	came atomic.Int64
}

func setBait(t *testing.T) *bait {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bait{Listener: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.came.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return b
}

// Another user of the machine without any account, and then with each account that may not do
// everything, gets exactly what it may and nothing else; and the ledger goes on meanwhile, whole.
func TestSiege(t *testing.T) {
	c := newCamp(t)
	dir, gen := smallFleet(t, 10, 2)
	if out, err := exec.Command("chmod", "-R", "a+rX", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	openPath(t, dir)
	n := c.ledger()
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	n.importJSON("Contoso", dir)
	n.must("", "report", "admin-actions", "--masked", "--output", "json") // waits until the views hold everything
	before := len(check(t, n).events)

	b := setBait(t)
	to := target{Bait: b.Addr().String(), Data: filepath.Join(n.dir, "data"), PID: n.pid(),
		Children:   children(t, n.pid()),
		EventStore: n.door("eventstore", "reader"), Kafka: n.door("kafka", "reader"),
		ClickHouse: n.door("clickhouse", "reader"), Status: n.door("status", "operator")}
	for _, role := range []string{"stranger", "reader", "consumer", "ledger"} {
		t.Run(role, func(t *testing.T) {
			to := to
			to.Role = role
			for _, d := range []*door{&to.EventStore, &to.Kafka, &to.ClickHouse, &to.Status} {
				if role == "stranger" || role == "consumer" || d == &to.Status { // a consumer has no account elsewhere
					d.User, d.Password = "", ""
				}
			}
			switch role {
			case "consumer":
				to.Kafka = n.door("kafka", "consumer")
			case "ledger":
				to.ClickHouse = n.door("clickhouse", "ledger")
			}
			outcomes := c.assault(to)
			for _, a := range attacks(to) {
				got, done := outcomes[a.name]
				want, ok := a.want[role]
				if !ok {
					if done {
						t.Errorf("%s: was done, and is no attack of this role", a.name)
					}
					continue
				}
				if !done || !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("%s: %q, want %s", a.name, got, want)
				}
			}
			t.Logf("%d attacks", len(outcomes))
			if came := b.came.Load(); came > 0 {
				t.Errorf("%d connections reached the attacker's port: data can be sent out", came)
			}
			left, err := filepath.Glob(filepath.Join(c.dir, "*", "stolen*"))
			if err != nil || len(left) > 0 {
				t.Errorf("a statement wrote %v, %v", left, err)
			}
			if now := len(check(t, n).events); now != before {
				t.Errorf("the ledger has %d events, it had %d", now, before)
			}
			n.must("", "views", "reconcile", "--deep")
		})
	}
	t.Run("crowds", func(t *testing.T) { c.crowds(t, n, dir) })
	n.stop()
}

// crowds hold all that they can of every server while the ledger does its main job.
func (c *camp) crowds(t *testing.T, n *node, dir string) {
	ctx, release := context.WithCancel(t.Context())
	var held []net.Conn
	for _, d := range []door{n.door("clickhouse", "reader"), n.door("eventstore", "reader"), n.door("kafka", "reader"),
		n.door("status", "operator")} {
		address := d.address()
		for i := range 100 {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, conn)
			begun := []string{"", "POST /?query=SELECT+1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
				"9000000\r\n\r\nS", "GET /?query=SELECT+1 HTTP/1.1\r\nHost: localhost\r\nX"}[i%3]
			if _, err := io.WriteString(conn, begun); err != nil {
				t.Fatal(err)
			}
		}
	}
	var statements sync.WaitGroup
	var early atomic.Int64
	reader := n.door("clickhouse", "reader")
	for range 40 {
		statements.Go(func() {
			to := target{ClickHouse: reader}
			answer := to.sql(ctx, http.MethodPost, endless, nil)
			if ctx.Err() == nil {
				early.Add(1)
				t.Logf("a statement that was to hold a slot ended: %s", answer)
			}
		})
	}
	n.must("", "report", "device-inventory", "--masked")
	if again := n.importJSON("Contoso", dir); again.EventsAppended != 0 {
		t.Errorf("importing again appended %d events", again.EventsAppended)
	}
	n.must("", "tail", "--from-start", "--until-end")
	n.must("", "status")
	n.must("", "views", "reconcile", "--deep")
	if ended := early.Load(); ended > 32 {
		t.Errorf("%d of 40 statements ended before the ledger's did: they held nothing", ended)
	}
	release()
	statements.Wait()
	for _, conn := range held {
		_ = conn.Close()
	}
}

// The stranger takes the ports of a ledger that was killed. Whatever the owner then
// runs sends nothing there.
func TestSiegeOfTheLostPorts(t *testing.T) {
	c := newCamp(t)
	n := c.ledger()
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", "any")
	doors := []door{n.door("eventstore", "ledger"), n.door("kafka", "relay"), n.door("clickhouse", "ledger"),
		n.door("status", "operator")}
	n.must("", "status")
	n.kill()
	var taken []*bait
	for _, d := range doors {
		address := d.address()
		b := &bait{}
		var err error
		for range 100 { // the engine's process ends a moment after its parent
			if b.Listener, err = net.Listen("tcp", address); err == nil {
				break
			}
			waitBriefly(t)
		}
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		go func() {
			for {
				conn, err := b.Accept()
				if err != nil {
					return
				}
				b.came.Add(1)
				_, _ = io.Copy(io.Discard, conn)
			}
		}()
		t.Cleanup(func() { _ = b.Close() })
		taken = append(taken, b)
	}
	for _, args := range [][]string{{"status"}, {"connect"}, {"tail", "--until-end"},
		{"tenant", "add", "Other", "--source-tenant", "any"},
		{"report", "admin-actions", "--masked"}, {"views", "reconcile"},
		{"dsar", "open", "--subject", "x@contoso.example"}} {
		if r := n.run("", args...); r.code == 0 || !strings.Contains(r.stderr, "ledgerline up") {
			t.Errorf("%s: exit %d, %s", args[0], r.code, r.stderr)
		}
	}
	for i, b := range taken {
		if came := b.came.Load(); came > 0 {
			t.Errorf("port %d: %d connections of the owner's commands", i, came)
		}
	}
}

// A data directory that the stranger can reach is not served from.
func TestSiegeOfAnOpenDirectory(t *testing.T) {
	c := newCamp(t)
	n := c.ledger()
	data := filepath.Join(n.dir, "data")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Chown(data, ownerID, ownerID)); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o755, 0o711, 0o770, 0o702} {
		if err := os.Chmod(data, mode); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"up"}, {"status"}, {"connect"}, {"tenant", "list"}} {
			if r := n.run("", args...); r.code == 0 || !strings.Contains(r.stderr, "chmod 700 ") {
				t.Errorf("%s with mode %04o: exit %d, %s", args[0], mode, r.code, r.stderr)
			}
		}
	}
	if left, err := os.ReadDir(data); err != nil || len(left) > 0 {
		t.Errorf("something was written: %v, %v", left, err)
	}
}

// openPath lets everybody pass through the folders above a file.
func openPath(t *testing.T, path string) {
	t.Helper()
	for dir := path; strings.HasPrefix(dir, os.TempDir()) && dir != os.TempDir(); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil {
			err = os.Chmod(dir, info.Mode().Perm()|0o055)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func waitBriefly(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test has ended")
	}
}
