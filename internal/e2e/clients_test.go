//go:build clients

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/schemas"
)

// clientDirs are where fetch.sh put each part's client; a part that is not named is not run.
var clientDirs = map[string]*string{
	"python": flag.String("python", "", "folder of Python's packages"),
	"node":   flag.String("node", "", "folder of Node's packages"),
	"java":   flag.String("java", "", "folder of the JDBC driver"),
	"kafka":  flag.String("kafka", "", "folder with kafka-topics.sh and kafka-get-offsets.sh"),
	"go":     flag.String("go", "", "folder of the Go client of the event store"),
	"kcat":   flag.String("kcat", "", "kcat"),
}

// attached is a ledger at which clients knock, and what they must find there.
type attached struct {
	*node
	events  []schemas.Envelope
	devices []schemas.Envelope // in streams of devices
	stream  schemas.Stream     // of a device, with more than one event
	topics  map[string]int     // how many events each topic of events has
	doors   []byte             // what `connect` says, for a client's standard input
}

// Other people's clients do with a ledger what README.md of deploy/clients says, and
// find exactly what it holds.
func TestClients(t *testing.T) {
	a := attach(t)
	ran := 0
	for part, run := range map[string]func(t *testing.T, dir string){
		"python": a.python, "node": a.nodeJS, "java": a.java, "kafka": a.kafkaTools, "go": a.goClient, "kcat": a.kcat,
	} {
		if dir := *clientDirs[part]; dir != "" {
			ran++
			t.Run(part, func(t *testing.T) { run(t, dir) })
		}
	}
	if ran == 0 {
		t.Fatal("no client was named: run make clients")
	}
}

func attach(t *testing.T) *attached {
	t.Helper()
	dir, gen := smallFleet(t, 20, 3)
	// An address of every interface: ClickHouse speaks TLS there.
	a := &attached{node: newNode(t, "LEDGERLINE_EMBEDDED_CLICKHOUSE_ADDR=0.0.0.0:0"), topics: map[string]int{}}
	writer := rand.Text()
	a.must(writer+"\n", "eventstore", "user", "add", "writer", "--groups", "writers")
	if err := a.start(); err != nil {
		a.dumpLog()
		t.Fatal(err)
	}
	a.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	a.importJSON("Contoso", dir)
	a.events = check(t, a.node).events
	of := map[schemas.Stream]int{}
	for _, e := range a.events {
		a.topics[consumers.TopicOfKind(e.Stream.Kind())]++
		if e.Stream.Kind() == "device" {
			a.devices = append(a.devices, e)
			if of[e.Stream]++; of[e.Stream] > of[a.stream] || a.stream == "" {
				a.stream = e.Stream
			}
		}
	}
	if of[a.stream] < 2 {
		t.Fatalf("%d events of devices, none with two in its stream", len(a.devices))
	}
	var doors map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.must("", "connect", "--output", "json")), &doors); err != nil {
		t.Fatal(err)
	}
	doors["consumer"] = json.RawMessage(a.must("", "connect", "kafka", "--account", "consumer", "--output", "json"))
	doors["writer"] = json.RawMessage(fmt.Sprintf(`{"user":"writer","password":%q}`, writer))
	var err error
	if a.doors, err = json.Marshal(doors); err != nil {
		t.Fatal(err)
	}
	return a
}

// digest says how many events there are, and which, as the clients say it.
func digest(events []schemas.Envelope) string {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID.String()
	}
	return fmt.Sprintf("%d events, %x", len(events), sha256.Sum256([]byte(strings.Join(ids, "\n"))))
}

// said is what a client's run came to.
type said struct{ stdout, stderr string }

func (s said) String() string { return "it said\n" + s.stdout + s.stderr }

// client runs one to its end, within a minute. Secrets come in by standard input or by
// files that it is told of; its home directory is empty, so that no configuration of
// this machine's user helps it.
func (a *attached) client(t *testing.T, input []byte, env []string, command ...string) (said, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &errs
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8"}, env...)
	start := time.Now()
	err := cmd.Run()
	t.Logf("%s: %.1f s", filepath.Base(command[0]), time.Since(start).Seconds())
	return said{out.String(), errs.String()}, errors.Join(err, ctx.Err())
}

// promises runs a client and compares what it says, line by line, with what
// is so: no more and no less.
func (a *attached) promises(t *testing.T, input []byte, env, want []string, command ...string) {
	t.Helper()
	s, err := a.client(t, input, env, command...)
	if err != nil {
		t.Fatalf("%v: %v", err, s)
	}
	got := strings.Split(strings.TrimSuffix(s.stdout, "\n"), "\n")
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("it never said %q", want[i])
		case i >= len(want):
			t.Errorf("it said beside that %q", got[i])
		case got[i] != want[i]:
			t.Errorf("it said %q, want %q", got[i], want[i])
		default:
			t.Log(got[i])
		}
	}
	if t.Failed() {
		t.Log(s.stderr)
	}
}

func script(name string) string { return filepath.Join("..", "..", "deploy", "clients", name) }

// ofTheStore is what each client of the event store must say; the names of
// refusals are the client's own.
func (a *attached) ofTheStore(denied, unauthenticated, untrusted string) []string {
	var stream []schemas.Envelope
	for _, e := range a.devices {
		if e.Stream == a.stream {
			stream = append(stream, e)
		}
	}
	return []string{
		"stream: " + digest(stream),
		"$all, filtered: " + digest(a.devices),
		"subscription until caught up: " + digest(a.devices),
		"append by an account that may only read: " + denied,
		"append by a writer: revision 0",
		"wrong password: " + unauthenticated,
		"without the authority: " + untrusted,
	}
}

// counted is what clients of ClickHouse must say of all events.
func (a *attached) counted() string {
	n := len(a.events)
	return fmt.Sprintf("%d events, sequences sum to %d", n, n*(n-1)/2)
}

func (a *attached) python(t *testing.T, dir string) {
	env := []string{"PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1"}
	// Which one python3 is may depend on the home directory, and the packages are one version's.
	path, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatal(err)
	}
	python := strings.TrimSpace(string(path))
	t.Run("clickhouse-connect", func(t *testing.T) {
		a.promises(t, a.doors, env, []string{
			"query_df: " + a.counted(),
			"query_df: types u, M",
			fmt.Sprintf("parameters: %d events", len(a.devices)),
			"session: [(0,), (1,), (2,)]",
			"insert by an account that may only read: READONLY",
			"error in the middle of a result: FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
			"wrong password: AUTHENTICATION_FAILED",
			"without the authority: CERTIFICATE_VERIFY_FAILED",
		}, python, script("python/clickhouse.py"))
	})
	t.Run("cloudevents", func(t *testing.T) {
		a.promises(t, a.doors, env, []string{
			"ledger.device: " + digest(a.devices),
			fmt.Sprintf("every topic of events, %d: %s", len(consumers.EventTopics()), digest(a.events)),
			"ledger.device in a group: " + digest(a.devices),
			"a group by an account that may only read: GroupAuthorizationFailedError",
			"wrong password: KafkaTimeoutError",
			"wrong password, said by the broker: Authentication failed: the name or the password is not right " +
				"(SCRAM-SHA-256)",
		}, python, script("python/cloudevents_kafka.py"))
	})
	t.Run("kurrentdbclient", func(t *testing.T) {
		a.promises(t, a.doors, env, a.ofTheStore("AccessDeniedError", "UnauthenticatedError", "SSLError"),
			python, script("python/eventstore.py"), string(a.stream))
	})
}

func (a *attached) nodeJS(t *testing.T, dir string) {
	env := []string{"NODE_PATH=" + dir}
	t.Run("@clickhouse/client", func(t *testing.T) {
		a.promises(t, a.doors, env, []string{
			"query: " + a.counted(),
			"stream: 200000 rows",
			fmt.Sprintf("parameters: %d events", len(a.devices)),
			"error: UNKNOWN_IDENTIFIER",
			"error in the middle of a result: FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
			"insert by an account that may only read: READONLY",
			"wrong password: AUTHENTICATION_FAILED",
			"without the authority: UNABLE_TO_VERIFY_LEAF_SIGNATURE",
		}, "node", script("node/clickhouse.js"))
	})
	t.Run("@kurrent/kurrentdb-client", func(t *testing.T) {
		a.promises(t, a.doors, env, a.ofTheStore("AccessDeniedError", "AccessDeniedError", "UnavailableError"),
			"node", script("node/eventstore.js"), string(a.stream))
	})
}

func (a *attached) goClient(t *testing.T, dir string) {
	a.promises(t, a.doors, nil, a.ofTheStore("ErrorCodeAccessDenied", "ErrorCodeUnauthenticated", "ErrorUnavailable"),
		filepath.Join(dir, "eventstore"), string(a.stream))
}

func (a *attached) java(t *testing.T, dir string) {
	d := a.door("clickhouse", "reader")
	input := fmt.Sprintf("url=%s\nuser=%s\npassword=%s\ncaFile=%s\n", d.URL, d.User, d.Password, d.CAFile)
	a.promises(t, []byte(input), nil, []string{
		"query: " + a.counted(),
		fmt.Sprintf("PreparedStatement: %d events", len(a.devices)),
		"insert by an account that may only read: READONLY",
		"cancel: QUERY_WAS_CANCELLED",
		"wrong password: AUTHENTICATION_FAILED",
		"without the authority: SunCertPathBuilderException",
	}, "java", "-cp", filepath.Join(dir, "*"), script("java/Jdbc.java"))
}

// configured returns the file that `connect` wrote for the program, and a
// copy with another password.
func (a *attached) configured(t *testing.T, program string) (right, wrong, brokers string) {
	var d struct {
		Brokers, Password string
		Files             map[string]string
	}
	if err := json.Unmarshal([]byte(a.must("", "connect", "kafka", "--output", "json")), &d); err != nil {
		t.Fatal(err)
	}
	right, wrong = d.Files[program], filepath.Join(t.TempDir(), "wrong")
	info, err := os.Stat(right)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", right, info.Mode())
	}
	raw, err := os.ReadFile(right)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wrong, bytes.ReplaceAll(raw, []byte(d.Password), []byte("wrong")), 0o600); err != nil {
		t.Fatal(err)
	}
	return right, wrong, d.Brokers
}

// refused runs a client that must fail and say why.
func (a *attached) refused(t *testing.T, why string, command ...string) {
	t.Helper()
	s, err := a.client(t, nil, nil, command...)
	if err == nil {
		t.Errorf("%s was let in: %v", command[0], s)
	}
	if !strings.Contains(s.stdout+s.stderr, why) {
		t.Errorf("it does not say %q: %v", why, s)
	}
}

func (a *attached) kcat(t *testing.T, kcat string) {
	right, wrong, brokers := a.configured(t, "kcat")
	s, err := a.client(t, nil, nil, kcat, "-F", right, "-L", "-J")
	if err != nil {
		t.Fatalf("%v: %v", err, s)
	}
	var list struct{ Topics []struct{ Topic string } }
	if err := json.Unmarshal([]byte(s.stdout), &list); err != nil {
		t.Fatalf("%v: %v", err, s)
	}
	listed := map[string]bool{}
	for _, topic := range list.Topics {
		listed[topic.Topic] = true
	}
	for _, topic := range consumers.EventTopics() {
		if !listed[topic] {
			t.Errorf("it does not list %s: %v", topic, list.Topics)
		}
	}
	s, err = a.client(t, nil, nil, kcat, "-F", right, "-C", "-t", "ledger.device", "-o", "beginning", "-e", "-q", "-J")
	if err != nil {
		t.Fatalf("%v: %v", err, s)
	}
	ids := map[string]bool{}
	for line := range strings.Lines(s.stdout) {
		var m struct{ Headers []string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for i := 0; i+1 < len(m.Headers); i += 2 {
			if m.Headers[i] == "ce_id" {
				ids[m.Headers[i+1]] = true
			}
		}
	}
	for _, e := range a.devices {
		if !ids[e.ID.String()] {
			t.Errorf("it did not read event %s of %s", e.ID, e.Stream)
		}
	}
	if len(ids) != len(a.devices) {
		t.Errorf("it read %d events of devices, there are %d", len(ids), len(a.devices))
	}
	a.refused(t, "broker might require SASL authentication", kcat, "-b", brokers, "-L", "-m", "2")
	a.refused(t, "the name or the password is not right", kcat, "-F", wrong, "-L", "-m", "2")
}

func (a *attached) kafkaTools(t *testing.T, bin string) {
	right, wrong, brokers := a.configured(t, "java")
	topics := []string{filepath.Join(bin, "kafka-topics.sh"), "--bootstrap-server", brokers, "--command-config",
		right, "--describe"}
	s, err := a.client(t, nil, nil, topics...)
	if err != nil {
		t.Fatalf("%v: %v", err, s)
	}
	partitions := map[string]int{}
	line := regexp.MustCompile(`(?m)^\tTopic: (\S+)\tPartition: \d+\tLeader: \d+\t`)
	for _, m := range line.FindAllStringSubmatch(s.stdout, -1) {
		partitions[m[1]]++
	}
	for topic := range a.topics {
		if !strings.Contains(s.stdout, fmt.Sprintf("Topic: %s\tTopicId: ", topic)) || partitions[topic] != 4 {
			t.Errorf("%s is described with %d partitions, it has 4: %v", topic, partitions[topic], s)
		}
	}
	s, err = a.client(t, nil, nil, filepath.Join(bin, "kafka-get-offsets.sh"), "--bootstrap-server", brokers,
		"--command-config", right)
	if err != nil {
		t.Fatalf("%v: %v", err, s)
	}
	ends := map[string]int{}
	for line := range strings.Lines(s.stdout) {
		var partition, end int
		topic, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		if _, err := fmt.Sscanf(rest, "%d:%d", &partition, &end); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		ends[topic] += end
	}
	for topic, n := range a.topics {
		if ends[topic] != n {
			t.Errorf("%s ends after %d events, the ledger has %d", topic, ends[topic], n)
		}
	}
	topics[4] = wrong
	a.refused(t, "the name or the password is not right", topics...)
}
