//go:build bench && linux

package e2e

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/ledger/intake"
)

var (
	scaleEvents = flag.Int("events", 1_000_000, "events that the ledger is to hold")
	scaleDir    = flag.String("scale-dir", "", "folder in which the ledger is kept for later runs")
)

const (
	bytesAnEvent  = 12 << 10 // over the three servers and the vault, with room
	scaleTenant   = "Scale"
	scaleDevices  = 7_000 // of one generated fleet: about 51,000 events
	subjectEvents = 1_000
	subjectName   = "one.subject@scale.example"
	deviceEvents  = 200
)

// scaleState is what a kept ledger holds and what was measured on it, by how many events it held.
type scaleState struct {
	Fleets   int
	Events   int
	Device   string // the one with a long history, by its id in Intune
	Measured map[string]figures
}

// figures are what was measured, by name with unit.
type figures map[string]float64

// scaled is a ledger that is built up, and stays for the next run.
type scaled struct {
	*node
	path  string
	state scaleState
}

// What a ledger of a million events costs whoever asks it the same questions as one of ten
// thousand: built through vault, event store, topics and views by the commands that a user types.
func TestScale(t *testing.T) {
	s := openScaled(t)
	first := max(2_500, *scaleEvents/100)
	steps := []int{first, *scaleEvents}
	steps = slices.DeleteFunc(steps, func(n int) bool { return n < s.state.Events*49/50 })
	if len(steps) == 0 {
		t.Fatalf("the ledger holds %d events already: ask for more, or remove %s", s.state.Events, *scaleDir)
	}
	s.needs(steps[len(steps)-1])
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	s.subject()
	for _, n := range steps {
		s.build(n)
		if s.state.Measured[strconv.Itoa(s.state.Events)] != nil && n < *scaleEvents {
			continue
		}
		got := s.measure()
		s.state.Measured[strconv.Itoa(s.state.Events)] = got
		s.save()
		for _, name := range slices.Sorted(maps.Keys(got)) {
			fmt.Printf("at-%d.%s %.3f\n", s.state.Events, strings.Replace(name, " ", "_", 1), got[name])
		}
	}
	s.stop()
	s.compare()
}

func openScaled(t *testing.T) *scaled {
	dir := *scaleDir
	if dir == "" {
		t.Fatal("-scale-dir names the folder in which the ledger is kept")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &scaled{node: newNode(t, "LEDGERLINE_LOG_LEVEL=warn"), path: filepath.Join(dir, "scale.json")}
	s.node.dir, s.node.patience = dir, 2*time.Hour
	s.state.Measured = map[string]figures{}
	raw, err := os.ReadFile(s.path)
	if err == nil {
		err = json.Unmarshal(raw, &s.state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return s
}

func (s *scaled) save() {
	raw, err := json.MarshalIndent(s.state, "", "  ")
	if err == nil {
		err = os.WriteFile(s.path, raw, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// needs says what disk the ledger will take, and ends the run where there is less.
func (s *scaled) needs(events int) {
	need := uint64(max(0, events-s.state.Events)) * bytesAnEvent
	var disk syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &disk); err != nil {
		s.t.Fatal(err)
	}
	free := disk.Bavail * uint64(disk.Bsize)
	fmt.Printf("disk.needed %.1f GiB\ndisk.free %.1f GiB\n", float64(need)/(1<<30), float64(free)/(1<<30))
	if need > free {
		s.t.Fatalf("%d more events need about %d GiB, and %d are free", events-s.state.Events, need>>30, free>>30)
	}
}

// take imports a folder and counts what it came to. What was taken before changes nothing.
func (s *scaled) take(dir string) intake.Summary {
	s.t.Helper()
	sum := s.importJSON(scaleTenant, dir)
	s.state.Events += int(sum.EventsAppended)
	s.save()
	return sum
}

// subject makes the tenant, and in it one person with 1,000 events and one device with a long
// history.
func (s *scaled) subject() {
	if s.state.Device != "" {
		return
	}
	s.must("", "tenant", "add", scaleTenant, "--source-tenant", s.fleet(0).Tenant)
	dir := s.t.TempDir()
	s.actions(filepath.Join(dir, "actions.json"), subjectEvents)
	device, at := "00d0d0d0-0000-4000-8000-000000000001", subjectFrom
	for i := range deviceEvents {
		when := at.AddDate(0, 0, i/4).Add(time.Duration(i%4) * 6 * time.Hour)
		s.write(filepath.Join(dir, fmt.Sprintf("device-%03d.json", i)), map[string]any{
			"@odata.type": "#microsoft.graph.managedDevice", "id": device, "deviceName": "SCALE-1",
			"operatingSystem": "Windows", "osVersion": fmt.Sprintf("10.0.19045.%d", 1000+i),
			"managedDeviceOwnerType": "company", "lastSyncDateTime": when.Format(time.RFC3339),
			"serialNumber": "SCALE0001"}, when)
	}
	if sum := s.take(dir); sum.EventsAppended < subjectEvents+deviceEvents {
		s.t.Fatalf("the person and the device came to %d events", sum.EventsAppended)
	}
	s.state.Device = device
	s.save()
}

// subjectFrom is when the subject acted first.
var subjectFrom = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// actions writes n actions of the subject: the first of them are the same of each n.
func (s *scaled) actions(path string, n int) {
	s.t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	id := func() string {
		var u uuid.UUID
		binary.BigEndian.PutUint64(u[:8], rnd.Uint64())
		binary.BigEndian.PutUint64(u[8:], rnd.Uint64())
		u[6], u[8] = 0x40|u[6]&0x0f, 0x80|u[8]&0x3f // of version 4
		return u.String()
	}
	person := id()
	actions := make([]map[string]any, n)
	for i := range actions {
		actions[i] = map[string]any{"id": id(), "displayName": "Patch DeviceConfiguration",
			"activityDateTime": subjectFrom.Add(time.Duration(i) * 2 * time.Minute).Format(time.RFC3339),
			"activityType":     "Patch DeviceConfiguration", "activityOperationType": "Patch",
			"activityResult": "Success", "correlationId": id(), "category": "DeviceConfiguration",
			"componentName": "DeviceConfiguration",
			"actor": map[string]any{"type": "ItPro", "userPermissions": []string{"*"}, "userId": person,
				"userPrincipalName": subjectName},
			"resources": []map[string]any{{"displayName": "Kiosk mode", "type": "DeviceConfiguration",
				"resourceId": id(), "modifiedProperties": []map[string]any{}}}}
	}
	s.write(path, map[string]any{"value": actions,
		"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#deviceManagement/auditEvents"}, subjectFrom)
}

func (s *scaled) write(path string, v any, at time.Time) {
	s.t.Helper()
	raw, err := json.Marshal(v)
	if err == nil {
		err = errors.Join(os.WriteFile(path, raw, 0o600), os.Chtimes(path, at, at))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// fleet is the k-th of the fleets that fill the ledger: of one source tenant, with people of its
// own.
func (s *scaled) fleet(k int) fleet.Config {
	cfg := fleet.Sized(scaleDevices)
	cfg.Seed, cfg.Tenant = uint64(k+1), "7e2e6b8d-1111-4b1b-9b57-8d0a5d1f2a05"
	cfg.Domain = fmt.Sprintf("fleet%d.example", k)
	return cfg
}

// build imports fleets until the ledger holds about n events, and waits for the views.
func (s *scaled) build(n int) {
	const eventsADevice = 7 // of thirty days
	for s.state.Events < n-n/50 {
		cfg := s.fleet(s.state.Fleets)
		if missing := (n - s.state.Events) / eventsADevice; missing < cfg.Devices {
			small := fleet.Sized(max(missing, 20))
			small.Seed, small.Tenant, small.Domain = cfg.Seed, cfg.Tenant, cfg.Domain
			cfg = small
		}
		dir, err := os.MkdirTemp(s.dir, "fleet-")
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := fleet.Write(context.Background(), cfg, dir, nil); err != nil {
			s.t.Fatal(err)
		}
		began := time.Now()
		sum := s.take(dir)
		s.state.Fleets++
		s.save()
		if err := os.RemoveAll(dir); err != nil {
			s.t.Fatal(err)
		}
		fmt.Printf("built-%d.import %.0f records/s\n", s.state.Events, float64(sum.Read)/time.Since(began).Seconds())
	}
	// A report waits for the views to reach the ledger's end.
	s.must("", "report", "refused-collection", "--wait", "30m", "--output", "json")
}

// timed is the median of the milliseconds that a command took, start of the process included. Each
// run is given a folder of its own where an argument is an empty one.
func (s *scaled) timed(runs int, input string, args ...string) float64 {
	s.t.Helper()
	took := make([]float64, runs)
	for i := range took {
		own := slices.Clone(args)
		for k := range own {
			if own[k] == "" {
				own[k] = s.t.TempDir()
			}
		}
		began := time.Now()
		s.must(input, own...)
		took[i] = float64(time.Since(began).Microseconds()) / 1e3
	}
	slices.Sort(took)
	return took[runs/2]
}

// measure asks what users ask, and starts and ends the ledger as machines do.
func (s *scaled) measure() figures {
	s.t.Helper()
	f := figures{}
	f["command-alone ms"] = s.timed(5, "", "status")
	f["history-first-page ms"] = s.timed(5, s.state.Device+"\n", "report", "device-history", "--all", "--device", "-",
		"--masked", "--no-wait", "--output", "json", "--from", "2026-01-05", "--to", "2026-01-10")
	f["package ms"] = s.timed(3, "", "dsar", "export", s.request(), "--dir", "")
	f["tail.peak MiB"] = s.within(limit, "tail", "--from-start", "--until-end", "--output", "json").peak
	f["reconcile events/s"] = s.rate("views", "reconcile")
	f["rebuild events/s"] = s.rate("views", "rebuild", "all")
	f["up.peak MiB"], f["up.resident MiB"] = s.memory()
	s.stop()
	began := time.Now()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
	f["start-after-stop s"] = time.Since(began).Seconds()
	s.kill()
	began = time.Now()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
	f["start-after-kill s"] = time.Since(began).Seconds()
	f["start-after-kill.peak MiB"], f["start-after-kill.resident MiB"] = s.memory()
	return f
}

// request opens a request of the subject's.
func (s *scaled) request() string {
	s.t.Helper()
	var opened struct{ Request string }
	if err := json.Unmarshal([]byte(s.must(subjectName+"\n", "dsar", "open", "--subject", "-", "--right", "access",
		"--output", "json")), &opened); err != nil {
		s.t.Fatal(err)
	}
	return opened.Request
}

// rate is how many of the ledger's events a second a command went through.
func (s *scaled) rate(args ...string) float64 {
	s.t.Helper()
	return float64(s.state.Events) / (s.timed(1, "", args...) / 1e3)
}

var memoryLine = regexp.MustCompile(`(?m)^(VmHWM|VmRSS):\s+(\d+) kB$`)

// memory is the most that `up` and the engine under it have had resident, together, and what they
// have now, in MiB.
func (s *scaled) memory() (peak, now float64) {
	s.t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.up.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	all := []string{strconv.Itoa(s.up.Process.Pid)}
	for _, thread := range threads {
		children, err := os.ReadFile(thread) // of a thread that has ended there is none
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.t.Fatal(err)
		}
		all = append(all, strings.Fields(string(children))...)
	}
	for _, pid := range all {
		most, has, err := resident(pid)
		if err != nil {
			s.t.Fatal(err)
		}
		peak, now = peak+most, now+has
	}
	return peak, now
}

// resident is the most that a process has had resident, and what it has now, in MiB.
func resident(pid string) (peak, now float64, err error) {
	raw, err := os.ReadFile("/proc/" + pid + "/status")
	for _, m := range memoryLine.FindAllStringSubmatch(string(raw), -1) {
		kib, wrong := strconv.ParseFloat(m[2], 64)
		if err = errors.Join(err, wrong); m[1] == "VmHWM" {
			peak = kib / 1024
		} else {
			now = kib / 1024
		}
	}
	return peak, now, err
}

// compare prints each figure of the largest ledger beside that of each smaller one.
func (s *scaled) compare() {
	var sizes []int
	for n := range s.state.Measured {
		size, err := strconv.Atoi(n)
		if err != nil {
			s.t.Fatal(err)
		}
		sizes = append(sizes, size)
	}
	slices.Sort(sizes)
	last := sizes[len(sizes)-1]
	of := s.state.Measured[strconv.Itoa(last)]
	for _, n := range sizes[:len(sizes)-1] {
		before := s.state.Measured[strconv.Itoa(n)]
		for _, name := range slices.Sorted(maps.Keys(of)) {
			if before[name] > 0 {
				what, _, _ := strings.Cut(name, " ")
				fmt.Printf("%d-to-%d.%s %.2f ratio\n", last, n, what, of[name]/before[name])
			}
		}
	}
}
