//go:build bench && linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/ledger/intake"
)

var (
	appDevices = flag.Int("app-devices", 600, "devices with long lists of apps")
	appsEach   = flag.Int("apps-each", 20_000, "apps of each, about")
	memoryDir  = flag.String("memory-dir", "", "folder for records and ledger; a temporary one where empty")
)

// What an import of devices with very long lists of apps has resident at most, under a limit for
// Go's heap: new devices, and the same ones once more.
func TestImportMemory(t *testing.T) {
	const limit = "GOMEMLIMIT=512MiB"
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
		sum, peak, live, took := n.importWithin(limit, "Apps", records)
		fmt.Printf("import-%s-%s.peak %.0f MiB\n", of, which, peak)
		fmt.Printf("import-%s-%s.live %d MiB\n", of, which, live)
		fmt.Printf("import-%s-%s.read %d records\n", of, which, sum.Read)
		fmt.Printf("import-%s-%s.appended %d events\n", of, which, sum.EventsAppended)
		fmt.Printf("import-%s-%s.text %.1f MiB/s\n", of, which, float64(sum.BytesTotal)/(1<<20)/took.Seconds())
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

// collected is a line of Go's collector, with the MiB that were live in the end.
var collected = regexp.MustCompile(`(?m)^gc \d+ .*->(\d+) MB, `)

// importWithin imports a folder in a process of its own with that further environment. It returns
// the most that the process had resident and that was live in its heap, in MiB, and how long it
// took.
func (n *node) importWithin(
	env, tenant, dir string,
) (sum intake.Summary, peak float64, live int, took time.Duration) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), n.patience)
	defer cancel()
	args := append([]string{"import", "--tenant", tenant, "--yes", "--output", "json"}, n.how...)
	cmd := n.command(ctx, []string{env, "GODEBUG=gctrace=1"}, append(args, dir)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	took = time.Since(began)
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 3 {
		n.dumpLog()
		n.t.Fatalf("import: %v\n%s", err, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), &sum); err != nil || !sum.Balanced() {
		n.t.Fatalf("import: %v\n%s", err, out.String())
	}
	// What VmHWM says, or what this process had when it began the other: some tens of MiB.
	used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	for _, m := range collected.FindAllStringSubmatch(errs.String(), -1) {
		if mib, err := strconv.Atoi(m[1]); err == nil {
			live = max(live, mib)
		}
	}
	return sum, float64(used.Maxrss) / 1024, live, took
}
