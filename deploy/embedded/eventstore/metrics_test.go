package eventstore

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/watch"
)

// gathered is every sample of the server's metrics by its name and labels;
// histograms count as name_count and name_sum.
func gathered(t testing.TB, s *Server) map[string]float64 {
	t.Helper()
	families, err := s.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += "," + l.GetName() + "=" + l.GetValue()
			}
			switch name := f.GetName(); {
			case m.GetCounter() != nil:
				out[name+labels] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				out[name+labels] = m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				out[name+"_count"+labels] = float64(m.GetHistogram().GetSampleCount())
				out[name+"_sum"+labels] = m.GetHistogram().GetSampleSum()
			}
		}
	}
	return out
}

func wantSamples(t testing.TB, got, want map[string]float64) {
	t.Helper()
	for key, v := range want {
		if g, ok := got[key]; !ok || g != v {
			t.Errorf("%s is %v (there: %v), want %v", key, g, ok, v)
		}
	}
}

// Each outcome of a write is counted once, with its events and bytes.
func TestMetricsOfWrites(t *testing.T) {
	f := newFixture(t)
	first := events(3)
	f.append("s", esdb.NoStream{}, first...)
	f.append("s", esdb.NoStream{}, first...) // a repetition
	_ = f.appendError("s", esdb.Revision(17), event(`{}`))
	if _, err := f.c.TombstoneStream(f.ctx, "gone", esdb.TombstoneStreamOptions{
		ExpectedRevision: esdb.Any{},
	}); err != nil {
		t.Fatal(err)
	}
	_ = f.appendError("gone", esdb.Any{}, event(`{}`))
	size := 0
	for _, e := range first {
		size += len(e.Data) + len(e.Metadata)
	}
	got := gathered(t, f.s)
	wantSamples(t, got, map[string]float64{
		"eventstore_writes_total,outcome=written":                       2,
		"eventstore_writes_total,outcome=repeated":                      1,
		"eventstore_writes_total,outcome=wrong_version":                 1,
		"eventstore_writes_total,outcome=deleted":                       1,
		"eventstore_writes_total,outcome=unknown":                       0,
		"eventstore_write_events_total,outcome=written":                 3,
		"eventstore_write_events_total,outcome=repeated":                3,
		"eventstore_write_bytes_total,outcome=written":                  float64(size),
		"eventstore_write_duration_seconds_count,outcome=written":       2,
		"eventstore_write_duration_seconds_count,outcome=wrong_version": 1,
		"eventstore_fsync_events_sum":                                   4, // the tombstone too
		"eventstore_log_events":                                         4,
		"eventstore_failed":                                             0,
		"eventstore_write_queue_length":                                 0,
		"eventstore_fsync_pending_seconds":                              0,
		"eventstore_connections":                                        1,
	})
	end, _ := watch.LogEnd(f.s.store)
	wantSamples(t, got, map[string]float64{"eventstore_log_end_position": float64(end)})
	for _, key := range []string{"eventstore_files_bytes", "eventstore_memtable_bytes", "eventstore_wal_bytes",
		"eventstore_fsync_bytes_total"} {
		if got[key] <= 0 {
			t.Errorf("%s is %v", key, got[key])
		}
	}
	if syncs := got["eventstore_fsync_duration_seconds_count"]; syncs < 2 || syncs > 5 {
		t.Errorf("%v fsyncs for two groups that wrote", syncs)
	}
}

// Reads, what they sent, and subscriptions are counted by kind; a live
// subscription is level with the log, whatever it filters out.
func TestMetricsOfReadersAndTheirLag(t *testing.T) {
	f := newFixture(t)
	f.append("s", nil, events(5)...)
	if got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 3); err != nil || len(got) != 3 {
		t.Fatal(len(got), err)
	}
	if got, err := f.readAll(esdb.Backwards, esdb.End{}, 100); err != nil || len(got) != 5 {
		t.Fatal(len(got), err)
	}
	all := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	filtered := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{},
		Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"nothing"}}})
	stream := f.subscribeStream("s", esdb.End{})
	for _, sub := range []*esdb.Subscription{all, filtered, stream} {
		trace(t, sub)
	}
	f.append("s", nil, events(2)...)
	for range 2 {
		next(t, stream)
	}
	eventually(t, func() bool {
		got := gathered(t, f.s)
		return got["eventstore_sent_events_total,kind=subscription_all"] == 7 &&
			got["eventstore_subscription_max_lag_bytes"] == 0
	})
	got := gathered(t, f.s)
	wantSamples(t, got, map[string]float64{
		"eventstore_reads_total,kind=read_stream":                              1,
		"eventstore_reads_total,kind=read_all":                                 1,
		"eventstore_reads_total,kind=subscription_stream":                      1,
		"eventstore_sent_events_total,kind=read_stream":                        3,
		"eventstore_sent_events_total,kind=read_all":                           5,
		"eventstore_sent_events_total,kind=subscription_all":                   7,
		"eventstore_sent_events_total,kind=subscription_stream":                2,
		"eventstore_sent_events_total,kind=subscription_all_filtered":          0,
		"eventstore_subscriptions,kind=subscription_all,state=live":            1,
		"eventstore_subscriptions,kind=subscription_all_filtered,state=live":   1,
		"eventstore_subscriptions,kind=subscription_stream,state=live":         1,
		"eventstore_subscriptions,kind=subscription_all,state=behind":          0,
		"eventstore_subscriptions,kind=subscription_all_filtered,state=behind": 0,
	})
	if got["eventstore_subscription_delivery_seconds_count"] < 2 ||
		got["eventstore_subscription_page_lag_bytes_count"] < 4 {
		t.Errorf("deliveries %v, pages %v", got["eventstore_subscription_delivery_seconds_count"],
			got["eventstore_subscription_page_lag_bytes_count"])
	}
	for _, sub := range []*esdb.Subscription{all, filtered, stream} {
		_ = sub.Close()
	}
	eventually(t, func() bool {
		got := gathered(t, f.s)
		return got["eventstore_subscriptions,kind=subscription_all,state=live"]+
			got["eventstore_subscriptions,kind=subscription_stream,state=live"] == 0
	})
}

// A subscriber that takes nothing lags by what it has not been sent.
func TestMetricsShowASubscriberThatLags(t *testing.T) {
	f := newFixture(t)
	payload := `{"d":"` + strings.Repeat("x", 900<<10) + `"}`
	for range 64 { // far more than windows and buffers hold
		f.append("s", nil, event(payload))
	}
	f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	eventually(t, func() bool {
		got := gathered(t, f.s)
		return got["eventstore_sent_events_total,kind=subscription_all"] > 0 &&
			got["eventstore_subscription_max_lag_bytes"] > 1<<20 &&
			got["eventstore_subscriptions,kind=subscription_all,state=behind"] == 1
	})
}

// No metric names a stream, a type, or anything of an event, and there are as
// many after a thousand streams as after one.
func TestMetricsStayBounded(t *testing.T) {
	f := newFixture(t)
	e := event(`{}`)
	e.EventType = "canary-type"
	f.append("canary-0", nil, e)
	before := len(gathered(t, f.s))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 10 {
				e := event(`{}`)
				e.EventType = "canary-" + uuid.NewString()
				_, _ = f.c.AppendToStream(f.ctx, "canary-"+uuid.NewString(),
					esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, e)
			}
		})
	}
	wg.Wait()
	got := gathered(t, f.s)
	if got["eventstore_log_events"] != 201 {
		t.Errorf("%v events", got["eventstore_log_events"])
	}
	if after := len(got); after != before {
		t.Errorf("%d samples became %d", before, after)
	}
	if body := get(t, f.s, "/metrics", http.StatusOK); strings.Contains(body, "canary") {
		t.Error("a metric names a stream or a type")
	}
	families, err := f.s.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "eventstore_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// A failed store says so in its metrics, during and after its end, and
// gathering after the end touches no closed file.
func TestMetricsOfAFailedStore(t *testing.T) {
	s := failingServer(t)
	if s.Wait() == nil {
		t.Fatal("the store has not failed")
	}
	got := gathered(t, s)
	wantSamples(t, got, map[string]float64{"eventstore_failed": 1, "eventstore_writes_total,outcome=unknown": 1})
	if _, there := got["eventstore_files_bytes"]; there {
		t.Error("figures of closed files")
	}
}

// eventually waits until is says yes.
func eventually(t testing.TB, is func() bool) {
	t.Helper()
	ctx := testContext(t)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it never came")
		}
	}
}
