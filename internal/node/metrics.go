package node

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
)

// Limits of the page: who scrapes more often at once, or waits longer, is refused.
const (
	maxScrapes    = 4
	scrapeTimeout = 10 * time.Second
)

// Metrics is a page that Prometheus reads, of the parts that run in this process; those it is not
// given are not on it. The rooms know no library: they tell an observer, or a status that is read
// when somebody scrapes. No metric names a tenant, a stream, a topic or anybody, and each label
// has a handful of values that are fixed from the start.
type Metrics struct {
	registry *prometheus.Registry
	pages    prometheus.Gatherers // of parts that have their own; added to before Handler
}

// NewMetrics returns a page that tells of the process and the Go runtime only.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.pages = prometheus.Gatherers{m.registry}
	return m
}

// Merge puts another part's own metrics on the page, under its own names.
func (m *Metrics) Merge(g prometheus.Gatherer) { m.pages = append(m.pages, g) }

// Handler answers with the page. It asks nobody for a password: Guard does.
func (m *Metrics) Handler(logger *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.pages, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn)})
}

// figure is one number of a status.
type figure[S any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(S) float64
}

// statusCollector reads a status once a scrape, so that its figures agree.
type statusCollector[S any] struct {
	status  func() S
	figures []figure[S]
}

// add takes a figure without labels, labelled one with labels that are always the same.
func (c *statusCollector[S]) add(kind prometheus.ValueType, name, help string, value func(S) float64) {
	c.labelled(kind, name, help, nil, value)
}

func (c *statusCollector[S]) labelled(kind prometheus.ValueType, name, help string, labels prometheus.Labels,
	value func(S) float64) {
	c.figures = append(c.figures, figure[S]{prometheus.NewDesc(name, help, nil, labels), kind, value})
}

// Describe implements prometheus.Collector.
func (c *statusCollector[S]) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range c.figures {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c *statusCollector[S]) Collect(ch chan<- prometheus.Metric) {
	s := c.status()
	for _, f := range c.figures {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(s))
	}
}

// timestamp is in seconds since 1970, 0 for no time.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// Relay puts the relay's figures on the page. Its counters begin at 0 where the process does.
func (m *Metrics) Relay(status func() relay.Status) {
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	c := &statusCollector[relay.Status]{status: status}
	c.add(counter, "ledgerline_relay_published_events_total", "Events published and noted.",
		func(s relay.Status) float64 { return float64(s.Published) })
	c.add(counter, "ledgerline_relay_rounds_total", "Rounds published and noted.",
		func(s relay.Status) float64 { return float64(s.Rounds) })
	c.add(counter, "ledgerline_relay_publish_failures_total",
		"Attempts to publish, to make a topic or to note a round that the broker did not acknowledge.",
		func(s relay.Status) float64 { return float64(s.Failures) })
	c.add(gauge, "ledgerline_relay_lag_events", "Events of the ledger that are not noted as published.",
		func(s relay.Status) float64 { return float64(s.Lag) })
	c.add(gauge, "ledgerline_relay_last_round_timestamp_seconds",
		"When this process last noted a round, in seconds since 1970; 0 where it has noted none.",
		func(s relay.Status) float64 { return timestamp(s.NotedAt) })
	c.add(gauge, "ledgerline_relay_foreign_records", "Records in the topics that are none of the ledger's.",
		func(s relay.Status) float64 { return foreign(s.Foreign) })
	c.add(gauge, "ledgerline_relay_forged_records",
		"Records in the topics with the form of the ledger's that are not its.",
		func(s relay.Status) float64 { return foreign(s.Forged) })
	for _, state := range relay.States {
		c.labelled(gauge, "ledgerline_relay_state", "1 for the state in which the relay is, 0 for the others.",
			prometheus.Labels{"state": string(state)}, func(s relay.Status) float64 { return truth(s.State == state) })
	}
	m.registry.MustRegister(c)
}

func foreign(list []consumers.Foreign) (n float64) {
	for _, f := range list {
		n += float64(f.Count)
	}
	return n
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// Views puts the projector's figures on the page.
func (m *Metrics) Views(status func() projections.Status) {
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	c := &statusCollector[projections.Status]{status: status}
	c.add(counter, "ledgerline_projector_applied_rows_total",
		"Rows written to the views, those written again included.",
		func(s projections.Status) float64 { return float64(s.Rows) })
	c.add(gauge, "ledgerline_projector_applied_events",
		"Events that the views hold without a gap: the sequences below this number.",
		func(s projections.Status) float64 { return float64(s.Applied) })
	c.add(gauge, "ledgerline_projector_ahead_events", "Events applied behind a gap in the sequence.",
		func(s projections.Status) float64 { return float64(s.Ahead) })
	c.add(gauge, "ledgerline_projector_lag_events",
		"Events that the relay noted as published and the views do not hold.",
		func(s projections.Status) float64 { return float64(s.Lag) })
	c.add(gauge, "ledgerline_projector_foreign_records", "Records skipped in the topics, as none of the ledger's.",
		func(s projections.Status) (n float64) {
			for _, f := range s.Foreign {
				n += float64(f.Count)
			}
			return n
		})
	c.add(gauge, "ledgerline_projector_conflicts",
		"Partitions that go no further, since a record in them contradicts another.",
		func(s projections.Status) float64 { return float64(len(s.Conflicts)) })
	c.add(gauge, "ledgerline_projector_last_saved_timestamp_seconds",
		"When the projector last saved its position, in seconds since 1970; 0 before.",
		func(s projections.Status) float64 { return timestamp(s.SavedAt) })
	m.registry.MustRegister(c)
}

// durations are buckets from a millisecond to a minute.
var durations = prometheus.ExponentialBucketsRange(0.001, 60, 17)

func newHistogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: durations})
}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// projectorObserver counts inserts.
type projectorObserver struct {
	took     prometheus.Observer
	failures prometheus.Counter
}

// Projector returns the observer of this process's projector, and puts what it hears on the page.
// Call it once.
func (m *Metrics) Projector() projections.Observer {
	took := newHistogram("ledgerline_projector_batch_duration_seconds",
		"Time in which a batch of rows became durable in every view, of each insert that succeeded.")
	failures := newCounter("ledgerline_projector_insert_failures_total",
		"Inserts of a batch that failed; each is made again.")
	m.registry.MustRegister(took, failures)
	return &projectorObserver{took, failures}
}

// Inserted implements projections.Observer.
func (o *projectorObserver) Inserted(_ int, took time.Duration, err error) {
	if err != nil {
		o.failures.Inc()
		return
	}
	o.took.Observe(took.Seconds())
}

// Outcomes of a vault's transaction, and what became of an append.
const (
	done     = "done"
	failed   = "failed"
	conflict = "conflict" // somebody else had written to the stream: planned anew
)

// vaultKind is what is counted of one kind of transaction.
type vaultKind struct {
	open         prometheus.Gauge
	took         prometheus.Observer
	done, failed prometheus.Counter
}

// vaultObserver counts transactions; the map is read only.
type vaultObserver map[vault.TxKind]vaultKind

// Vault returns the observer of this process's vault, and puts what it hears on the page. Call it
// once. Other processes open the same vault: theirs are not counted here.
func (m *Metrics) Vault() vault.Observer {
	ended := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ledgerline_vault_transactions_total",
		Help: "Transactions of this process on the vault that ended, by kind and outcome."},
		[]string{"kind", "outcome"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ledgerline_vault_transaction_duration_seconds",
		Help: "Time of a transaction, waiting for its turn included, by kind.", Buckets: durations}, []string{"kind"})
	open := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ledgerline_vault_open_transactions",
		Help: "Transactions of this process on the vault that are under way or wait for their turn, by kind.",
	}, []string{"kind"})
	m.registry.MustRegister(ended, took, open)
	o := vaultObserver{}
	for _, k := range vault.TxKinds {
		kind := string(k)
		o[k] = vaultKind{open.WithLabelValues(kind), took.WithLabelValues(kind),
			ended.WithLabelValues(kind, done), ended.WithLabelValues(kind, failed)}
	}
	return o
}

// Began implements vault.Observer.
func (o vaultObserver) Began(kind vault.TxKind) { o[kind].open.Inc() }

// Ended implements vault.Observer.
func (o vaultObserver) Ended(kind vault.TxKind, took time.Duration, err error) {
	k := o[kind]
	k.open.Dec()
	k.took.Observe(took.Seconds())
	if err != nil {
		k.failed.Inc()
	} else {
		k.done.Inc()
	}
}

// intakeObserver counts records and appends; the map is read only.
type intakeObserver struct {
	records                  map[string]prometheus.Counter // by outcome
	took                     prometheus.Observer
	events                   prometheus.Counter
	done, conflicts, failure prometheus.Counter
}

// Intake returns the observer of an intake of this process, and puts what it hears on the page.
// Call it once, and only where records are taken in: an import is a process of its own, too short
// to be scraped, and its summary is for whoever started it.
func (m *Metrics) Intake() intake.Observer {
	records := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ledgerline_intake_records_total",
		Help: "Records that this process took in, by outcome."}, []string{"outcome"})
	appends := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ledgerline_intake_appends_total",
		Help: "Appends to the ledger, by outcome; what found a conflict is planned anew."}, []string{"outcome"})
	took := newHistogram("ledgerline_intake_append_duration_seconds",
		"Time of an append until its answer, whatever that was.")
	events := newCounter("ledgerline_intake_appended_events_total",
		"Events in the appends that the store acknowledged.")
	m.registry.MustRegister(records, appends, took, events)
	o := &intakeObserver{records: map[string]prometheus.Counter{}, took: took, events: events,
		done: appends.WithLabelValues(done), conflicts: appends.WithLabelValues(conflict),
		failure: appends.WithLabelValues(failed)}
	for _, outcome := range intake.Outcomes {
		o.records[outcome] = records.WithLabelValues(outcome)
	}
	return o
}

// Took implements intake.Observer.
func (o *intakeObserver) Took(outcome string) { o.records[outcome].Inc() }

// Appended implements intake.Observer.
func (o *intakeObserver) Appended(events int, took time.Duration, err error) {
	o.took.Observe(took.Seconds())
	switch {
	case err == nil:
		o.done.Inc()
		o.events.Add(float64(events))
	case errors.Is(err, ledger.ErrConflict):
		o.conflicts.Inc()
	default:
		o.failure.Inc()
	}
}
