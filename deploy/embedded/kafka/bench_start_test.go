package kafka

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// BenchmarkStart starts a broker that holds so many records of a device's usual size, after a stop
// and after a kill: how long until it answers, the processor time of that, and the most memory
// that it was resident in (where the system tells it).
func BenchmarkStart(b *testing.B) {
	for _, records := range []int{100_000, 300_000} {
		dir := filepath.Join(b.TempDir(), "broker")
		c := startChild(b, dir, "127.0.0.1:0")
		fill(b, c.addr, records)
		c.stop(b)
		for _, after := range []string{"stop", "kill"} {
			b.Run(fmt.Sprintf("records=%d/after=%s", records, after), func(b *testing.B) {
				b.StopTimer()
				c := startChild(b, dir, "127.0.0.1:0")
				var peak, used float64
				for range b.N {
					if after == "kill" {
						fill(b, c.addr, 1000) // what no snapshot knows
						c.kill(b)
					} else {
						c.stop(b)
					}
					b.StartTimer()
					c = startChild(b, dir, "127.0.0.1:0")
					b.StopTimer()
					peak = max(peak, resident(c.cmd.Process.Pid))
					used += processor(c.cmd.Process.Pid)
				}
				b.ReportMetric(peak, "peak-MiB")
				b.ReportMetric(used*1e3/float64(b.N), "cpu-ms/op")
				c.stop(b)
			})
		}
	}
}

// fill writes records in batches of 250 into a topic of four partitions.
func fill(b *testing.B, addr string, records int) {
	b.Helper()
	client := newClient(b, addr)
	if _, err := produce(b.Context(), client, "ledger.device", 0, []byte("is it there")); err != nil {
		createTopics(b, client, ledgerTopic("ledger.device", 4))
	}
	body := make([]byte, 750)
	if _, err := rand.Read(body); err != nil {
		b.Fatal(err)
	}
	value := fmt.Appendf(nil, "%x", body)
	batch := make([][]byte, 250)
	for i := range batch {
		batch[i] = value
	}
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			for range records / len(batch) / 4 {
				if _, err := produce(b.Context(), client, "ledger.device", p, batch...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// resident is the most memory of a process in MiB, 0 where the system does not tell.
func resident(pid int) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(raw) {
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			if err == nil {
				return kib / 1024
			}
		}
	}
	return 0
}

// processor is the CPU time of a process in seconds, 0 where the system does not tell.
func processor(pid int) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	f := strings.Fields(rest) // from the third field on; ticks are a hundredth of a second
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}
