package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// scrape reads the page as Prometheus does, and adds up what is of one name, whatever its labels.
func (d door) scrape(t testing.TB, ctx context.Context) (page []byte, sums map[string]float64) {
	t.Helper()
	page = d.ask(t, ctx, http.MethodGet, "/metrics", "")
	sums = map[string]float64{}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			t.Fatalf("%q is no sample", line)
		}
		name, _, _ := strings.Cut(line[:at], "{")
		v, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sums[name] += v
	}
	return page, sums
}

// scrapeUntil scrapes until the page is as it should be.
func (d door) scrapeUntil(t testing.TB, ctx context.Context, done func(map[string]float64) bool) (
	page []byte, sums map[string]float64) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for page, sums = d.scrape(t, ctx); !done(sums); page, sums = d.scrape(t, ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it did not come to that:\n%s", page)
		}
	}
	return page, sums
}

// The status port tells Prometheus of every part that runs there, as many as there are events,
// under the names that Prometheus wants, to the operator alone, and of no tenant and nobody.
func TestMetricsOfARunningLedger(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, "LEDGERLINE_EMBEDDED_STATUS_ADDR="+addr)
	n.flags = []string{"--fleet", "10", "--fleet-days", "2"}
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	d := n.door("status", "operator")
	if d.URL != "http://"+addr {
		t.Errorf("the status port is %s, want %s as configured", d.URL, addr)
	}
	page, got := d.scrapeUntil(t, ctx, func(m map[string]float64) bool {
		applied := m["ledgerline_projector_applied_events"]
		return m["ledgerline_intake_records_total"] > 0 && applied > 0 && applied == m["eventstore_log_events"]
	})
	all := got["eventstore_log_events"]
	for name, want := range map[string]float64{
		"ledgerline_relay_published_events_total": all, "ledgerline_projector_applied_rows_total": all,
		"ledgerline_projector_lag_events": 0, "ledgerline_relay_state": 1,
		"ledgerline_intake_appends_total":     got["ledgerline_intake_append_duration_seconds_count"],
		"ledgerline_vault_transactions_total": got["ledgerline_vault_transaction_duration_seconds_count"],
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, name := range []string{"ledgerline_relay_rounds_total", "ledgerline_projector_batch_duration_seconds_count",
		"ledgerline_vault_transactions_total", "ledgerline_intake_appended_events_total",
		"process_resident_memory_bytes",
		"go_goroutines"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	problems, err := promlint.New(bytes.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	tenants := n.must("", "tenant", "list")
	for _, name := range []string{"Demo", "demo", "operator@test.example"} {
		if strings.Contains(string(page), name) {
			t.Errorf("the page names %q; tenants: %s", name, tenants)
		}
	}

	wrong := d
	wrong.Password = "wrong"
	if status := wrong.status(t, ctx, "/metrics"); status != http.StatusUnauthorized {
		t.Errorf("a wrong password is answered with %d", status)
	}
	var files struct{ Files map[string]string }
	if err := json.Unmarshal([]byte(n.must("", "connect", "status", "--output", "json")), &files); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(files.Files["prometheus"])
	if err != nil || !strings.Contains(string(raw), addr) || !strings.Contains(string(raw), d.Password) {
		t.Errorf("Prometheus's configuration, of %d bytes, names no address or no password: %v", len(raw), err)
	}
	says := n.must("", "connect", "status")
	if !strings.Contains(says, "/metrics") || !strings.Contains(says, files.Files["prometheus"]) {
		t.Errorf("connect does not say how to scrape:\n%s", says)
	}

	// What another process does shows where it was done: at the event store, and not here.
	n.must("", "tenant", "add", "Canary-Tenant-7431", "--source-tenant", "any")
	page, _ = d.scrapeUntil(t, ctx, func(m map[string]float64) bool {
		return m["ledgerline_projector_applied_events"] > all
	})
	if strings.Contains(string(page), "Canary") {
		t.Error("the page names a tenant")
	}
	n.stop()
}
