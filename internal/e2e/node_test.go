package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
)

var binaryPath = flag.String("binary", "",
	"the ledgerline binary; built by the test where empty, so that it can be disturbed and killed at named points")

var buildOnce = sync.OnceValues(func() (string, error) {
	if *binaryPath != "" {
		return *binaryPath, nil
	}
	dir, err := os.MkdirTemp("", "ledgerline-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ledgerline")
	cmd := exec.Command("go", "build", "-tags", "crash,disturb", "-o", path,
		"github.com/ledgerline/ledgerline/cmd/ledgerline")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *binaryPath == "" {
		if path, err := buildOnce(); err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
	}
	os.Exit(code)
}

// node is a data directory and the processes that work on it.
type node struct {
	t      testing.TB
	dir    string
	env    []string             // further environment of every process
	how    []string             // further flags of every import
	flags  []string             // further flags of up
	path   string               // of the binary; built where empty
	user   *syscall.SysProcAttr // who runs every process; nil: who runs the test
	topics *kafka.Config        // of a broker that is not embedded
	// How long a start, and a command, may take; what a test of ordinary size needs where zero.
	patience time.Duration
	up       *exec.Cmd
	exit     chan error
	log      *os.File
}

func newNode(t testing.TB, env ...string) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), env: append([]string{"LEDGERLINE_EMBEDDED_EVENTSTORE_ADDR=127.0.0.1:0",
		"LEDGERLINE_EMBEDDED_KAFKA_ADDR=127.0.0.1:0",
		"LEDGERLINE_EMBEDDED_CLICKHOUSE_ADDR=127.0.0.1:0", "LEDGERLINE_OPERATOR=operator@test.example",
		"LEDGERLINE_LOG_LEVEL=debug"}, env...)}
	t.Cleanup(n.kill)
	return n
}

func (n *node) command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	path := n.path
	if path == "" {
		var err error
		if path, err = buildOnce(); err != nil {
			n.t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.SysProcAttr = n.user
	cmd.Env = append(append(append(os.Environ(), "LEDGERLINE_DATA="+n.dir+"/data"), n.env...), env...)
	return cmd
}

// start runs `up` and waits until it serves, or until it has ended: a crash
// point may lie in its start.
func (n *node) start(env ...string) error {
	n.t.Helper()
	logPath := filepath.Join(n.dir, "up.log")
	f, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	n.log = f
	n.up = n.command(context.Background(), env, append([]string{"up"}, n.flags...)...)
	n.up.Stdout, n.up.Stderr = f, f
	if err := n.up.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.exit = make(chan error, 1)
	go func(cmd *exec.Cmd, exit chan error) { exit <- cmd.Wait() }(n.up, n.exit)
	deadline := time.After(cmp.Or(n.patience, 90*time.Second))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-n.exit:
			n.exit <- err
			n.up = nil
			return fmt.Errorf("up ended: %w", errors.Join(err, errEnded))
		case <-deadline:
			n.dumpLog()
			n.t.Fatal("up does not serve")
		case <-tick.C:
			if n.pid() == n.up.Process.Pid {
				return nil
			}
		}
	}
}

// anyUUID finds ids in what a command printed.
var anyUUID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

var errEnded = errors.New("the process has ended")

func (n *node) dumpLog() {
	raw, err := os.ReadFile(filepath.Join(n.dir, "up.log"))
	if err == nil {
		n.t.Logf("log of up:\n%s", raw[max(0, len(raw)-8000):])
	}
}

// pid is the process of the `up` that says it serves, 0 for none.
func (n *node) pid() int {
	var r struct{ PID int }
	raw, err := os.ReadFile(filepath.Join(n.dir, "data", "run.json"))
	if err != nil || json.Unmarshal(raw, &r) != nil {
		return 0
	}
	return r.PID
}

// door is where a server is and how one logs in there, as `connect` says it.
type door struct{ URL, Brokers, User, Password, CA, CAFile string }

func (n *node) door(server, account string) door {
	n.t.Helper()
	var d door
	if err := json.Unmarshal([]byte(n.must("", "connect", server, "--account", account, "--output", "json")),
		&d); err != nil {
		n.t.Fatal(err)
	}
	return d
}

// address is the host and port.
func (d door) address() string {
	if d.Brokers != "" {
		return d.Brokers
	}
	_, rest, _ := strings.Cut(d.URL, "://")
	host, _, _ := strings.Cut(rest, "?")
	return host
}

// esdb is the connection string with the account.
func (d door) esdb(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(d.User, d.Password)
	return u.String()
}

// tls trusts the door's authority; nil where the door speaks plaintext.
func (d door) tls(t testing.TB) *tls.Config {
	t.Helper()
	if d.CA == "" {
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(d.CA)) {
		t.Fatal("the authority is no certificate")
	}
	return &tls.Config{RootCAs: roots}
}

// ask sends one HTTP request as the account, and returns the answer's
// body. The answer must be 200.
func (d door) ask(t testing.TB, ctx context.Context, method, path, body string) []byte {
	t.Helper()
	status, answer := d.send(t, ctx, method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d\n%s", method, path, status, answer)
	}
	return answer
}

// status is what a GET as the account is answered with.
func (d door) status(t testing.TB, ctx context.Context, path string) int {
	t.Helper()
	status, _ := d.send(t, ctx, http.MethodGet, path, "")
	return status
}

func (d door) send(t testing.TB, ctx context.Context, method, path, body string) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, d.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(d.User, d.Password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, err = io.ReadAll(res.Body); err != nil {
		t.Fatalf("%s %s: %s %v", method, path, res.Status, err)
	}
	return res.StatusCode, answer
}

func (d door) scram() kafka.SASL {
	return kafka.SASL{Mechanism: kafka.ScramSHA256, User: d.User, Password: d.Password}
}

// kill ends the whole tree at once, as the loss of power would; the engine's
// child dies with its parent.
func (n *node) kill() {
	if n.up == nil {
		return
	}
	n.up.Process.Kill()
	<-n.exit
	n.up = nil
	n.log.Close()
}

// stop ends `up` as an operator would, and fails the test where that is not clean.
func (n *node) stop() {
	n.t.Helper()
	if n.up == nil {
		return
	}
	if err := n.up.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	if err := <-n.exit; err != nil {
		n.dumpLog()
		n.t.Errorf("up did not stop cleanly: %v", err)
	}
	n.up = nil
	n.log.Close()
}

// result of a command that was run to its end.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a command to its end, with input on standard input.
func (n *node) run(input string, args ...string) result { return n.runEnv(nil, input, args...) }

func (n *node) runEnv(env []string, input string, args ...string) result {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(n.patience, 5*time.Minute))
	defer cancel()
	cmd := n.command(ctx, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		n.t.Fatalf("ledgerline %s: %v", args[0], err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// must runs a command that has to succeed and returns its output.
func (n *node) must(input string, args ...string) string {
	n.t.Helper()
	r := n.run(input, args...)
	if r.code != 0 {
		n.dumpLog()
		n.t.Fatalf("ledgerline %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// importJSON imports paths for a tenant and returns the summary, which must balance.
func (n *node) importJSON(tenant string, paths ...string) intake.Summary {
	n.t.Helper()
	r := n.run("", append(append([]string{"import", "--tenant", tenant, "--yes", "--output", "json"}, n.how...),
		paths...)...)
	if r.code != 0 && r.code != 3 {
		n.dumpLog()
		n.t.Fatalf("import: exit %d\n%s", r.code, r.stderr)
	}
	var s intake.Summary
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		n.t.Fatalf("import: %v\n%s", err, r.stdout)
	}
	if !s.Balanced() {
		n.t.Errorf("the summary does not account for every record: %+v", s)
	}
	return s
}

// parts are connections to everything a node has.
type parts struct {
	ledger *ledger.Ledger
	kafka  *kafka.Client
	views  *clickhouse.DB
	vault  *vault.Vault
}

func (n *node) connect(ctx context.Context) parts {
	n.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	must := func(err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatal(err)
		}
	}
	var p parts
	store, err := eventstore.Open(eventstore.Config{Address: n.door("eventstore", "ledger").esdb(n.t), Logger: quiet})
	must(err)
	n.t.Cleanup(func() { store.Close() })
	topics := n.topics
	if topics == nil {
		d := n.door("kafka", "reader")
		topics = &kafka.Config{Brokers: []string{d.Brokers}, SASL: d.scram()}
	}
	p.kafka, err = kafka.New(*topics)
	must(err)
	n.t.Cleanup(func() { p.kafka.Close() })
	views := n.door("clickhouse", "reader")
	p.views, err = clickhouse.Open(ctx, clickhouse.Config{Addrs: []string{views.address()}, Username: views.User,
		Password: views.Password, TLS: views.tls(n.t)})
	must(err)
	n.t.Cleanup(func() { p.views.Close() })
	db, err := sqlite.Open(ctx, filepath.Join(n.dir, "data", "vault.db"))
	must(err)
	kek, err := vault.OpenFileKEK(filepath.Join(n.dir, "data", "keys", "kek"))
	must(err)
	p.vault, err = vault.Open(ctx, vault.Config{Store: db, KEK: kek, Clock: time.Now, Logger: quiet})
	must(err)
	n.t.Cleanup(func() { p.vault.Close() })
	p.ledger, err = ledger.Open(ctx, ledger.Config{Store: store, Origin: p.vault.OriginKey,
		Logger: quiet, Clock: time.Now})
	must(err)
	return p
}
