//go:build unix

package intake

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/cputime"
)

// BenchmarkAged imports snapshots of the same devices when their streams have 5 events, and 400.
func BenchmarkAged(b *testing.B) {
	const devices, young, old = 60, 5, 400
	snapshots := func(n int) map[string]string {
		var all strings.Builder
		for i := range devices {
			at := propertyStart.Add(time.Duration(3*n) * time.Hour).Format(time.RFC3339)
			all.WriteString(device(i, at, map[string]any{
				"managedDeviceOwnerType": "company", "userId": guid(10, i), "osVersion": fmt.Sprint("1.", n),
				"userPrincipalName": fmt.Sprintf("user%d@contoso.example", i), "deviceName": fmt.Sprint("PC-", i, n),
				"userDisplayName": fmt.Sprint("User ", i), "serialNumber": fmt.Sprint("SN-", i), "model": "Latitude",
				"wiFiMacAddress": fmt.Sprintf("a0b1c2d3%04x", i), "complianceState": "compliant",
				"detectedApps": appList(2, 20)}))
		}
		return map[string]string{"a": all.String()}
	}
	take := func(w *world, n int) {
		if s := w.importFiles(snapshots(n)); s.Recorded != devices {
			b.Fatal(asJSON(b, s))
		}
	}
	type spent struct {
		wall, cpu time.Duration
		times     int
	}
	rate := func(b *testing.B, w *world, from int) spent {
		const times = keepEvery // so that each is remembered once
		wall, cpu := time.Now(), cputime.Used()
		for n := range times {
			take(w, from+n)
		}
		return spent{time.Since(wall), cputime.Used() - cpu, times}
	}
	perRecord := func(s spent) float64 { return float64(s.cpu.Microseconds()) / float64(s.times*devices) }
	for b.Loop() {
		w := newWorld(b, false)
		w.keepEvery = keepEvery
		for n := range young {
			take(w, n)
		}
		first := rate(b, w, young)
		for n := young + first.times; n < old; n++ {
			take(w, n)
		}
		last := rate(b, w, old)
		b.ReportMetric(float64(last.times*devices)/last.wall.Seconds(), "records/s")
		b.ReportMetric(perRecord(first), "young-cpu-µs/record")
		b.ReportMetric(perRecord(last), "old-cpu-µs/record")
		b.ReportMetric(perRecord(first)/perRecord(last), "ratio")
	}
}
