package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
)

// page is a page of everything, with statuses that a test turns.
type page struct {
	*Metrics
	t         testing.TB
	relay     relay.Status
	views     projections.Status
	vault     vault.Observer
	projector projections.Observer
	intake    intake.Observer
}

func newPage(t testing.TB) *page {
	p := &page{Metrics: NewMetrics(), t: t}
	p.vault, p.projector, p.intake = p.Vault(), p.Projector(), p.Intake()
	p.Relay(func() relay.Status { return p.relay })
	p.Views(func() projections.Status { return p.views })
	other := prometheus.NewRegistry()
	other.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "eventstore_connections", Help: "Another part's own."}))
	p.Merge(other)
	return p
}

// samples returns what Prometheus would read, by name and labels; of a histogram count and sum.
func (p *page) samples() map[string]float64 {
	p.t.Helper()
	families, err := p.pages.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += fmt.Sprintf(",%s=%s", l.GetName(), l.GetValue())
			}
			if h := m.GetHistogram(); h != nil {
				out[key+":count"], out[key+":sum"] = float64(h.GetSampleCount()), h.GetSampleSum()
				continue
			}
			out[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

// ours are the samples of the ledger's own parts.
func (p *page) ours() map[string]float64 {
	p.t.Helper()
	out := p.samples()
	maps.DeleteFunc(out, func(name string, _ float64) bool { return !strings.HasPrefix(name, "ledgerline_") })
	return out
}

// work has every part do something, so that each metric moves.
func (p *page) work() {
	at := time.Date(2026, 11, 24, 9, 0, 0, 500e6, time.UTC)
	p.relay = relay.Status{State: relay.StateFollowing, Lag: 7, Published: 4000, Rounds: 3, NotedAt: at, Failures: 2,
		Foreign: []consumers.Foreign{{Topic: "ledger.device", Count: 2}, {Topic: "ledger.position", Count: 3}},
		Forged:  []consumers.Foreign{{Topic: "ledger.device", Count: 1}}}
	p.views = projections.Status{Applied: 3990, Ahead: 4, Lag: 10, Rows: 4100, SavedAt: at,
		Foreign: []projections.Foreign{{Partition: "ledger.device/0", Count: 5},
			{Partition: "ledger.device/1", Count: 4}},
		Conflicts: []projections.Conflict{{Seq: 1, Partition: "ledger.device/1"}}}
	p.projector.Inserted(100, 250*time.Millisecond, nil)
	p.projector.Inserted(100, time.Second, errors.New("no answer"))
	for _, kind := range vault.TxKinds {
		for _, err := range []error{nil, errors.New("rolled back"), nil} {
			p.vault.Began(kind)
			p.vault.Ended(kind, 500*time.Millisecond, err)
		}
		p.vault.Began(kind)
	}
	for i, outcome := range intake.Outcomes {
		for range i + 1 {
			p.intake.Took(outcome)
		}
	}
	p.intake.Appended(5, 250*time.Millisecond, nil)
	p.intake.Appended(6, 250*time.Millisecond, fmt.Errorf("append: %w", ledger.ErrConflict))
	p.intake.Appended(7, 500*time.Millisecond, errors.New("no answer"))
}

// Every promised metric is on the page from the start, tells of no work where none was done, and
// moves with the work.
func TestMetricsTellOfTheWork(t *testing.T) {
	want := map[string]float64{
		"ledgerline_relay_published_events_total":                         4000,
		"ledgerline_relay_rounds_total":                                   3,
		"ledgerline_relay_publish_failures_total":                         2,
		"ledgerline_relay_lag_events":                                     7,
		"ledgerline_relay_last_round_timestamp_seconds":                   1795510800.5,
		"ledgerline_relay_state,state=following":                          1,
		"ledgerline_relay_state,state=stopped":                            0,
		"ledgerline_relay_state,state=recovering":                         0,
		"ledgerline_relay_state,state=refilling":                          0,
		"ledgerline_relay_foreign_records":                                5,
		"ledgerline_relay_forged_records":                                 1,
		"ledgerline_projector_foreign_records":                            9,
		"ledgerline_projector_conflicts":                                  1,
		"ledgerline_projector_applied_rows_total":                         4100,
		"ledgerline_projector_applied_events":                             3990,
		"ledgerline_projector_ahead_events":                               4,
		"ledgerline_projector_lag_events":                                 10,
		"ledgerline_projector_last_saved_timestamp_seconds":               1795510800.5,
		"ledgerline_projector_batch_duration_seconds:count":               1,
		"ledgerline_projector_batch_duration_seconds:sum":                 0.25,
		"ledgerline_projector_insert_failures_total":                      1,
		"ledgerline_intake_records_total,outcome=recorded":                1,
		"ledgerline_intake_records_total,outcome=unchanged":               2,
		"ledgerline_intake_records_total,outcome=superseded":              3,
		"ledgerline_intake_records_total,outcome=refused":                 4,
		"ledgerline_intake_records_total,outcome=unrecognised":            5,
		"ledgerline_intake_records_total,outcome=failed":                  6,
		"ledgerline_intake_appends_total,outcome=done":                    1,
		"ledgerline_intake_appends_total,outcome=conflict":                1,
		"ledgerline_intake_appends_total,outcome=failed":                  1,
		"ledgerline_intake_appended_events_total":                         5,
		"ledgerline_intake_append_duration_seconds:count":                 3,
		"ledgerline_intake_append_duration_seconds:sum":                   1,
		"ledgerline_vault_transactions_total,kind=update,outcome=done":    2,
		"ledgerline_vault_transactions_total,kind=update,outcome=failed":  1,
		"ledgerline_vault_transactions_total,kind=view,outcome=done":      2,
		"ledgerline_vault_transactions_total,kind=view,outcome=failed":    1,
		"ledgerline_vault_transactions_total,kind=scrub,outcome=done":     2,
		"ledgerline_vault_transactions_total,kind=scrub,outcome=failed":   1,
		"ledgerline_vault_transaction_duration_seconds,kind=update:count": 3,
		"ledgerline_vault_transaction_duration_seconds,kind=update:sum":   1.5,
		"ledgerline_vault_transaction_duration_seconds,kind=view:count":   3,
		"ledgerline_vault_transaction_duration_seconds,kind=view:sum":     1.5,
		"ledgerline_vault_transaction_duration_seconds,kind=scrub:count":  3,
		"ledgerline_vault_transaction_duration_seconds,kind=scrub:sum":    1.5,
		"ledgerline_vault_open_transactions,kind=update":                  1,
		"ledgerline_vault_open_transactions,kind=view":                    1,
		"ledgerline_vault_open_transactions,kind=scrub":                   1,
	}
	p := newPage(t)
	for name, v := range p.ours() {
		if _, promised := want[name]; !promised {
			t.Errorf("%s is on the page and not in this test", name)
		}
		if v != 0 {
			t.Errorf("%s is %v before any work", name, v)
		}
	}
	p.work()
	if got := p.ours(); !maps.Equal(got, want) {
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if v, there := got[name]; !there || v != want[name] {
				t.Errorf("%s is %v (on the page: %v), want %v", name, v, there, want[name])
			}
		}
	}
	all := p.samples()
	for _, name := range []string{"eventstore_connections", "go_goroutines", "process_start_time_seconds"} {
		if _, there := all[name]; !there {
			t.Errorf("%s is not on the page", name)
		}
	}
}

// The page is as Prometheus wants it, and work adds no samples to it.
func TestMetricsAreNamedAsPrometheusWantsThemAndBounded(t *testing.T) {
	p := newPage(t)
	before := len(p.samples())
	p.work()
	if after := len(p.samples()); after != before {
		t.Errorf("%d samples became %d", before, after)
	}
	w := httptest.NewRecorder()
	p.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("the page answers %d: %s", w.Code, w.Body)
	}
	problems, err := promlint.New(w.Body).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range problems {
		t.Errorf("%s: %s", l.Metric, l.Text)
	}
}

// A part that this process does not run is not on the page: a 0 there would be taken for a fact.
func TestMetricsOfPartsThatDoNotRunAreNotOnThePage(t *testing.T) {
	p := &page{Metrics: NewMetrics(), t: t}
	if got := p.ours(); len(got) > 0 {
		t.Errorf("a page without parts has %v", got)
	}
	p.Vault()
	for name := range p.ours() {
		if !strings.HasPrefix(name, "ledgerline_vault_") {
			t.Errorf("the vault's page has %s", name)
		}
	}
}

func TestMetricsAreReadByTheOperatorAlone(t *testing.T) {
	p := newPage(t)
	p.work()
	s := httptest.NewServer(Guard(p.Handler(slog.New(slog.DiscardHandler)), datadir.Operator, "secret"))
	defer s.Close()
	ask := func(password string) (status int, body string) {
		r, err := http.NewRequest(http.MethodGet, s.URL+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			r.SetBasicAuth(datadir.Operator, password)
		}
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(raw)
	}
	const sample = "ledgerline_relay_rounds_total 3"
	if status, body := ask("secret"); status != http.StatusOK || !strings.Contains(body, sample) {
		t.Errorf("the operator gets %d", status)
	}
	for _, password := range []string{"", "wrong"} {
		if status, body := ask(password); status != http.StatusUnauthorized || strings.Contains(body, "ledgerline_") {
			t.Errorf("by the password %q: %d, %q", password, status, body)
		}
	}
}

func TestTheStatusPortListensOnLoopbackAlone(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:0": true, "127.0.0.1:9464": true, "[::1]:9464": true, "localhost:0": true,
		"0.0.0.0:9464": false, ":9464": false, "[::]:0": false, "192.0.2.1:1": false, "example.org:1": false,
		"127.0.0.1": false, "": false,
	} {
		if err := LoopbackAddr(addr); (err == nil) != ok {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
