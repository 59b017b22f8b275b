//go:build unix && acceptance

package e2e

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/internal/retry"
)

// records is the folder of real Intune records; the test fails without it, since this target is
// theirs.
func records(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LEDGERLINE_RECORDS")
	if _, err := os.Stat(filepath.Join(dir, "graph", "managedDevices.json")); err != nil {
		t.Fatalf("LEDGERLINE_RECORDS must name the folder of real records: %v", err)
	}
	return dir
}

// Real records through the real binary: all accounted for, those in two folders once, apps of the
// personal phone refused and of the corporate Mac kept, nothing new in another order; and the
// phone's user gets a package, and is forgotten.
func TestAcceptanceRealRecords(t *testing.T) {
	dir := records(t)
	folders := []string{filepath.Join(dir, "azure-monitor"), filepath.Join(dir, "event-hubs"),
		filepath.Join(dir, "graph")}
	n := newNode(t)
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Acceptance", "--source-tenant", "any")
	s := n.importJSON("Acceptance", folders...)
	if s.FailedCount != 0 {
		t.Errorf("failed: %+v", s.Failed)
	}
	if s.ListItemsKept != 326 || s.ListItemsRefused["apps-on-personal-device"] != 87 {
		t.Errorf("%d apps kept and %v refused, want 326 and 87", s.ListItemsKept, s.ListItemsRefused)
	}
	if s.Unchanged < 5 {
		t.Errorf("%d records unchanged, want at least the 5 admin actions that stand in two folders", s.Unchanged)
	}
	slices.Reverse(folders)
	for _, order := range [][]string{folders, {folders[1], folders[0], folders[2]}} {
		if again := n.importJSON("Acceptance", order...); again.EventsAppended != 0 {
			t.Errorf("importing again in another order appended %d events", again.EventsAppended)
		}
	}
	before := check(t, n)

	user := phoneUser(t, dir)
	var opened struct{ Request string }
	if err := json.Unmarshal([]byte(n.must(user+"\n", "dsar", "open", "--subject", "-", "--right", "erasure",
		"--output", "json")), &opened); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	n.must("", "dsar", "export", opened.Request, "--dir", out)
	if page := readPackage(t, out, opened.Request, "02-your-data.html"); !strings.Contains(page, user) {
		t.Error("the person's page does not hold their address")
	}
	n.must("", "dsar", "erase", opened.Request, "--ground", "no-longer-necessary", "--yes")
	empty := t.TempDir()
	n.must("", "dsar", "export", opened.Request, "--dir", empty)
	for _, name := range []string{"02-your-data.html", "data/devices.json", "data/identity.json"} {
		if page := readPackage(t, empty, opened.Request, name); strings.Contains(page, user) ||
			strings.Contains(page, "iPhone") {
			t.Errorf("after erasure, %s still shows the person", name)
		}
	}
	after := check(t, n)
	for i, leaf := range before.leaves {
		if after.leaves[i] != leaf {
			t.Errorf("the leaf of sequence %d has changed", i)
		}
	}
	erased := 0
	for _, p := range after.plain {
		if p == "erased" {
			erased++
		}
	}
	if erased == 0 {
		t.Error("no value is erased")
	}
	n.stop()
}

// phoneUser returns the address of the personal iPhone's user, read from the records.
func phoneUser(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "graph", "managedDevice-*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var d struct{ OwnerType, UserPrincipalName string }
		if err := json.Unmarshal(raw, &d); err != nil {
			t.Fatal(err)
		}
		if d.OwnerType == "personal" {
			return d.UserPrincipalName
		}
	}
	t.Fatal("there is no personal device among the records")
	return ""
}

func readPackage(t *testing.T, dir, request, name string) string {
	t.Helper()
	z, err := zip.OpenReader(filepath.Join(dir, "dsar-"+request+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// The same binary with another address: relay and projector against Apache Kafka itself, over TLS
// and by an account that may do no more than deploy/kafka says, killed in between.
func TestAcceptanceApacheKafka(t *testing.T) {
	k := startApacheKafka(t)
	dir, gen := smallFleet(t, 60, 4)
	password := filepath.Join(t.TempDir(), "relay")
	if err := os.WriteFile(password, []byte(k.Accounts["relay"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, "LEDGERLINE_KAFKA_BROKERS="+k.SASLTLS, "LEDGERLINE_KAFKA_CA="+k.CA, "LEDGERLINE_KAFKA_USER=relay",
		"LEDGERLINE_KAFKA_PASSWORD_FILE="+password)
	topics := k.Config("relay", kafka.ScramSHA256)
	n.topics = &topics
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	half, err := filepath.Glob(filepath.Join(dir, "*-01"))
	if err != nil || len(half) == 0 {
		t.Fatalf("the fleet's first day is not there: %v", err)
	}
	n.importJSON("Contoso", half...)
	n.kill()
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.importJSON("Contoso", dir)
	check(t, n)
	client := n.connect(context.Background()).kafka
	n.stop()

	// A topic that somebody deleted from a broker elsewhere is data loss: up goes on, publishes
	// nothing, and status says what to do; that does it.
	if err := client.Drop(context.Background(), "ledger.device"); err != nil {
		t.Fatal(err)
	}
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	said := n.run("", "status")
	for try := 0; try < 600 && said.code == 0 && retry.Wait(t.Context(), poll) == nil; try++ { // the relay looks
		said = n.run("", "status")
	}
	if said.code != 1 || !strings.Contains(said.stdout, "relay refill") {
		t.Errorf("status, exit code %d, does not say how to repair it:\n%s", said.code, said.stdout)
	}
	n.stop()
	if out := n.must("", "relay", "refill"); !strings.Contains(out, "ledger.device") {
		t.Errorf("refill said %q", out)
	}
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	check(t, n)
	n.stop()
}

var startedKafka = regexp.MustCompile(`pid=(\d+) kafka=(\S+)`)

// startApacheKafka starts one node for the test. Its jars are fetched once into the user's cache
// directory.
func startApacheKafka(t *testing.T) (k kafkatest.ApacheKafka) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "kafka")
	cmd := exec.CommandContext(context.Background(), "sh", "../../consumers/kafka/kafkatest/apache-kafka.sh",
		filepath.Join(cache, "ledgerline", "apache-kafka"), data, freePorts(t), "../../deploy/kafka")
	out, err := cmd.CombinedOutput()
	m := startedKafka.FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("start Apache Kafka: %v\n%s", err, out)
	}
	pid, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	raw, err := os.ReadFile(string(m[2]))
	if err == nil {
		err = json.Unmarshal(raw, &k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// freePorts returns the first of five ports in a row that are free.
func freePorts(t *testing.T) string {
	t.Helper()
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port, held := first.Addr().(*net.TCPAddr).Port, []net.Listener{first}
		for len(held) < 5 && err == nil {
			var l net.Listener
			if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+len(held))); err == nil {
				held = append(held, l)
			}
		}
		for _, l := range held {
			l.Close()
		}
		if err == nil {
			return strconv.Itoa(port)
		}
	}
	t.Fatal("no five free ports in a row")
	return ""
}
