//go:build bench && linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/ledger/intake"
)

var (
	appDevices = flag.Int("app-devices", 600, "devices with long lists of apps")
	appsEach   = flag.Int("apps-each", 20_000, "apps of each, about")
	ofPerson   = flag.Int("person-events", 100_000, "events of the person whose package is made")
	memoryDir  = flag.String("memory-dir", "", "folder for records and ledger; a temporary one where empty")
)

// limit is for Go's heap of the processes that are measured.
const limit = "GOMEMLIMIT=512MiB"

// What an import of devices with very long lists of apps has resident at most, under a limit for
// Go's heap: new devices, and the same ones once more.
func TestImportMemory(t *testing.T) {
	n := newNode(t, "LEDGERLINE_LOG_LEVEL=warn")
	n.patience = 6 * time.Hour
	if *memoryDir != "" {
		dir, err := os.MkdirTemp(*memoryDir, "memory-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		n.dir = dir
	}
	cfg := withApps(*appDevices, *appsEach)
	records := filepath.Join(n.dir, "records")
	if _, err := fleet.Write(context.Background(), cfg, records, nil); err != nil {
		t.Fatal(err)
	}
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Apps", "--source-tenant", cfg.Tenant)
	of := fmt.Sprintf("%dx%d", *appDevices, *appsEach)
	for _, which := range []string{"new", "known"} {
		sum, took := n.importWithin(limit, "Apps", records)
		fmt.Printf("import-%s-%s.peak %.0f MiB\n", of, which, took.peak)
		fmt.Printf("import-%s-%s.live %d MiB\n", of, which, took.live)
		fmt.Printf("import-%s-%s.read %d records\n", of, which, sum.Read)
		fmt.Printf("import-%s-%s.appended %d events\n", of, which, sum.EventsAppended)
		fmt.Printf("import-%s-%s.text %.1f MiB/s\n", of, which, float64(sum.BytesTotal)/(1<<20)/took.wall.Seconds())
	}
	n.stop()
}

// withApps is a fleet of company devices of one day, each of which is read singly with its apps.
func withApps(devices, apps int) fleet.Config {
	cfg := fleet.Sized(devices)
	cfg.Tenant, cfg.Days, cfg.PersonalShare, cfg.AppsPerDevice = "7e2e6b8d-1111-4b1b-9b57-8d0a5d1f2a06", 1, 0, apps
	cfg.DetailPerDay = 12 * devices // drawn with repetition: none is left out to speak of
	return cfg
}

// What `tail` of a whole ledger and the package of a person have resident at most, under a limit
// for the heap: with a quarter of the person's events, and with all.
func TestReadingMemory(t *testing.T) {
	n := newNode(t, "LEDGERLINE_LOG_LEVEL=warn")
	n.patience = 6 * time.Hour
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Person", "--source-tenant", "7e2e6b8d-1111-4b1b-9b57-8d0a5d1f2a07")
	s := &scaled{node: n}
	for _, events := range []int{*ofPerson / 4, *ofPerson} {
		dir := t.TempDir()
		s.actions(filepath.Join(dir, "actions.json"), events)
		n.importJSON("Person", dir)
		n.must("", "report", "refused-collection", "--wait", "30m", "--output", "json")
		for _, m := range []struct {
			name string
			args []string
		}{
			{"tail", []string{"tail", "--from-start", "--until-end", "--output", "json"}},
			{"package", []string{"dsar", "export", s.request(), "--dir", t.TempDir()}},
		} {
			got := n.within(limit, m.args...)
			fmt.Printf("%s-%d.peak %.0f MiB\n", m.name, events, got.peak)
			fmt.Printf("%s-%d.live %d MiB\n", m.name, events, got.live)
			fmt.Printf("%s-%d.cpu %.1f s\n", m.name, events, got.cpu.Seconds())
			fmt.Printf("%s-%d.wrote %.1f MiB\n", m.name, events, float64(got.wrote)/(1<<20))
		}
	}
	n.stop()
}

// collected is a line of Go's collector, with the MiB that were live in the end.
var collected = regexp.MustCompile(`(?m)^gc \d+ .*->(\d+) MB, `)

// taken is what a process took.
type taken struct {
	peak      float64 // MiB that were resident at most
	live      int     // MiB that were live in its heap at most
	cpu, wall time.Duration
	wrote     int64 // bytes of its output
}

// importWithin imports a folder in a process of its own with that further environment.
func (n *node) importWithin(env, tenant, dir string) (sum intake.Summary, took taken) {
	n.t.Helper()
	var out bytes.Buffer
	took = n.withinTo(&out, env, append(append([]string{"import", "--tenant", tenant, "--yes", "--output", "json"},
		n.how...), dir)...)
	if err := json.Unmarshal(out.Bytes(), &sum); err != nil || !sum.Balanced() {
		n.t.Fatalf("import: %v\n%s", err, out.String())
	}
	return sum, took
}

// within runs a command with that further environment, and keeps nothing of what it writes.
func (n *node) within(env string, args ...string) taken {
	n.t.Helper()
	return n.withinTo(io.Discard, env, args...)
}

func (n *node) withinTo(out io.Writer, env string, args ...string) (took taken) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), n.patience)
	defer cancel()
	cmd := n.command(ctx, []string{env, "GODEBUG=gctrace=1"}, args...)
	var errs bytes.Buffer
	to := &counted{to: out}
	cmd.Stdout, cmd.Stderr = to, &errs
	began := time.Now()
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() { took.peak = highWater(cmd.Process.Pid, ended) })
	err := cmd.Wait()
	close(ended)
	looking.Wait()
	took.wall, took.wrote = time.Since(began), to.n
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 3 {
		n.dumpLog()
		n.t.Fatalf("%s: %v\n%s", args[0], err, errs.String())
	}
	took.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	for _, m := range collected.FindAllStringSubmatch(errs.String(), -1) {
		if mib, err := strconv.Atoi(m[1]); err == nil {
			took.live = max(took.live, mib)
		}
	}
	return took
}

// highWater is the most MiB that a process had resident, as it says itself now and then until it
// has ended. What the system says of a process that has ended is not less than its parent had.
func highWater(pid int, ended <-chan struct{}) (peak float64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if most, _, err := resident(strconv.Itoa(pid)); err == nil { // else the process has ended
			peak = max(peak, most)
		}
		select {
		case <-tick.C:
		case <-ended:
			return peak
		}
	}
}

// counted counts what is written to it.
type counted struct {
	to io.Writer
	n  int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}
