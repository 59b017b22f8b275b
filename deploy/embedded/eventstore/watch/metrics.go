// Package watch tells what one event store does: its metrics, statistics and health, and what its
// log says of connections and disks.
//
// It owns counters, and may lose them. It trusts the log for what it tells of itself, and names no
// stream and no type. See ../DESIGN.md, Watching it.
package watch

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// Metrics name neither streams nor event types: those may tell about persons,
// and there may be millions. Every label has a handful of values.

const (
	slowSync  = time.Second      // an fsync that takes longer is warned of
	warnEvery = 10 * time.Second // of one kind of warning
)

// outcomes of a write, as the label of that name has them.
const (
	outcomeWritten      = "written"
	outcomeRepeated     = "repeated" // it was there already
	outcomeWrongVersion = "wrong_version"
	outcomeDeleted      = "deleted" // refused, as its stream is deleted
	outcomeUnknown      = "unknown" // no answer: the caller left, or the store stopped
)

// Metrics counts what the server does. It is the log's Observer.
type Metrics struct {
	registry *prometheus.Registry
	process  *prometheus.Registry // of the Go runtime and the process, which may not be this server's alone
	logger   *slog.Logger
	started  time.Time

	writes      map[string]writeMetrics // by outcome; read only
	syncTook    prometheus.Histogram
	syncWrites  prometheus.Histogram
	syncEvents  prometheus.Histogram
	syncBytes   prometheus.Counter
	reads       [len(readKinds)]prometheus.Counter
	sentEvents  [len(readKinds)]prometheus.Counter
	sentBytes   [len(readKinds)]prometheus.Counter
	pageLag     prometheus.Histogram
	delivery    prometheus.Histogram
	connections prometheus.Gauge
	accepted    prometheus.Counter

	syncBegan    atomic.Int64 // nanoseconds since started, 0 where no fsync is under way
	lastSync     atomic.Pointer[eventlog.Sync]
	slowestSync  atomic.Int64 // nanoseconds
	slowSyncWarn occasionally
	corruptWarn  occasionally

	subscriptions subscriptions

	// mu guards what follows. Whoever reads the log's figures holds it.
	mu     sync.RWMutex
	log    *eventlog.Log // nil before the log is open and once it is to be closed
	failed bool          // the log had failed when it was closed
}

type writeMetrics struct {
	took                    prometheus.Observer
	requests, events, bytes prometheus.Counter
}

// ReadKind is what a Read call asks for.
type ReadKind int

const (
	ReadStream ReadKind = iota
	ReadAll
	SubscribeStream
	SubscribeAll
	SubscribeFiltered
)

// readKinds are the values of the label kind.
var readKinds = [...]string{"read_stream", "read_all", "subscription_stream", "subscription_all",
	"subscription_all_filtered"}

func (k ReadKind) String() string { return readKinds[k] }

// New returns metrics that have counted nothing.
func New(logger *slog.Logger) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), process: prometheus.NewRegistry(), logger: logger,
		started: time.Now(), writes: map[string]writeMetrics{}}
	m.slowSyncWarn.every, m.corruptWarn.every = warnEvery, warnEvery
	m.subscriptions.open = map[*Subscription]struct{}{}

	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "eventstore_write_duration_seconds", Help: "Time from a complete append, delete or tombstone to its " +
			"answer, by outcome.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 17),
	}, []string{"outcome"})
	requests := newCounters("eventstore_writes_total", "Appends, deletes and tombstones that reached the "+
		"writer, by outcome.", "outcome")
	events := newCounters("eventstore_write_events_total", "Events in them, by outcome.", "outcome")
	bytes := newCounters("eventstore_write_bytes_total", "Data and metadata of those events, by outcome.", "outcome")
	for _, o := range []string{outcomeWritten, outcomeRepeated, outcomeWrongVersion, outcomeDeleted, outcomeUnknown} {
		m.writes[o] = writeMetrics{took.WithLabelValues(o), requests.WithLabelValues(o), events.WithLabelValues(o),
			bytes.WithLabelValues(o)}
	}
	m.syncTook = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "eventstore_fsync_duration_seconds", Help: "Time from handing a group of writes to the " +
			"write ahead log " +
			"until it was durable.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 17),
	})
	m.syncWrites = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "eventstore_fsync_writes", Help: "Writes that shared one fsync.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 11),
	})
	m.syncEvents = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "eventstore_fsync_events", Help: "Events that one fsync made durable.",
		Buckets: prometheus.ExponentialBuckets(1, 4, 9),
	})
	m.syncBytes = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "eventstore_fsync_bytes_total", Help: "Bytes handed to the write ahead log, index and commit " +
			"records included.",
	})
	reads := newCounters("eventstore_reads_total", "Reads and subscriptions that began, by kind.", "kind")
	sentEvents := newCounters("eventstore_sent_events_total", "Events handed to connections, by kind of read.", "kind")
	sentBytes := newCounters("eventstore_sent_bytes_total", "Encoded bytes of events and checkpoints handed to "+
		"connections, by kind of read.", "kind")
	for k, name := range readKinds {
		m.reads[k], m.sentEvents[k], m.sentBytes[k] = reads.WithLabelValues(name), sentEvents.WithLabelValues(name),
			sentBytes.WithLabelValues(name)
	}
	m.pageLag = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "eventstore_subscription_page_lag_bytes", Help: "How far behind the end of the log a " +
			"subscription was, " +
			"in bytes of positions, after each page it was sent.",
		Buckets: append([]float64{0}, prometheus.ExponentialBuckets(1<<10, 8, 9)...),
	})
	m.delivery = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "eventstore_subscription_delivery_seconds", Help: "Age of the newest event of a page when a live " +
			"subscription's connection had taken it.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 17),
	})
	m.connections = prometheus.NewGauge(prometheus.GaugeOpts{Name: "eventstore_connections",
		Help: "Open connections, gRPC and HTTP."})
	m.accepted = prometheus.NewCounter(prometheus.CounterOpts{Name: "eventstore_connections_accepted_total",
		Help: "Connections accepted, gRPC and HTTP."})

	m.process.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(
		took, requests, events, bytes, m.syncTook, m.syncWrites, m.syncEvents, m.syncBytes,
		reads, sentEvents, sentBytes, m.pageLag, m.delivery, m.connections, m.accepted, logCollector{m},
	)
	return m
}

func newCounters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
}

// Adopt makes the log's own figures part of the metrics.
func (m *Metrics) Adopt(l *eventlog.Log) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = l
}

// Retire takes them away, before the log is closed; it waits for whoever reads them.
func (m *Metrics) Retire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = m.log.Failure() != nil
	m.log = nil
}

// hasFailed tells whether the log has failed, or had when it was closed.
func (m *Metrics) hasFailed() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.failed || m.log != nil && m.log.Failure() != nil
}

// withLog calls read with the log while that is open, and tells whether it is.
func (m *Metrics) withLog(read func(*eventlog.Log)) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.log == nil {
		return false
	}
	read(m.log)
	return true
}

// Answered implements eventlog.Observer.
func (m *Metrics) Answered(r *eventlog.Request, res eventlog.Result, err error, took time.Duration) {
	w := m.writes[outcomeOf(res, err)]
	bytes := 0
	for i := range r.Events {
		bytes += len(r.Events[i].Data) + len(r.Events[i].Meta)
	}
	w.took.Observe(took.Seconds())
	w.requests.Inc()
	w.events.Add(float64(len(r.Events)))
	w.bytes.Add(float64(bytes))
}

func outcomeOf(res eventlog.Result, err error) string {
	switch {
	case err != nil:
		return outcomeUnknown
	case res.Outcome == eventlog.OutcomeWrongVersion:
		return outcomeWrongVersion
	case res.Outcome == eventlog.OutcomeDeleted:
		return outcomeDeleted
	case res.Repeated:
		return outcomeRepeated
	}
	return outcomeWritten
}

// Syncing implements eventlog.Observer.
func (m *Metrics) Syncing() { m.syncBegan.Store(max(1, int64(time.Since(m.started)))) }

// Synced implements eventlog.Observer.
func (m *Metrics) Synced(s eventlog.Sync) {
	m.syncBegan.Store(0)
	m.lastSync.Store(&s)
	if int64(s.Took) > m.slowestSync.Load() {
		m.slowestSync.Store(int64(s.Took)) // one syncer
	}
	m.syncTook.Observe(s.Took.Seconds())
	m.syncWrites.Observe(float64(s.Requests))
	m.syncEvents.Observe(float64(s.Events))
	m.syncBytes.Add(float64(s.Bytes))
	if s.Took < slowSync {
		return
	}
	if unsaid, ok := m.slowSyncWarn.now(); ok {
		m.logger.Warn("slow fsync", "took", s.Took, "writes", s.Requests, "events", s.Events, "bytes", s.Bytes,
			"unreported", unsaid)
	}
}

// syncPending is how long the fsync under way has taken so far, 0 for none: a
// disk that hangs shows here and nowhere else.
func (m *Metrics) syncPending() time.Duration {
	began := m.syncBegan.Load()
	if began == 0 {
		return 0
	}
	return time.Since(m.started) - time.Duration(began)
}

// FailureLogGap is how often, at most, a kind of failure of clients is logged.
const FailureLogGap = 10 * time.Second

// RareLog logs the first of many like messages, then one in a while with how
// many there were.
type RareLog struct {
	Gap   time.Duration
	mu    sync.Mutex
	last  time.Time
	since int
}

// Log logs the message, or counts it.
func (l *RareLog) Log(logger *slog.Logger, message string, args ...any) {
	l.mu.Lock()
	l.since++
	n := l.since
	if now := time.Now(); l.last.IsZero() || now.Sub(l.last) >= l.Gap {
		l.last, l.since = now, 0
	} else {
		n = 0
	}
	l.mu.Unlock()
	if n > 0 {
		logger.Warn(message, append(args, "times", n)...)
	}
}

// occasionally lets something be said once in a while.
type occasionally struct {
	every time.Duration

	mu     sync.Mutex
	next   time.Time
	unsaid int
}

// now tells whether to speak, and how often it said no since the last time.
func (o *occasionally) now() (unsaid int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at := time.Now(); at.After(o.next) {
		unsaid, o.unsaid, o.next = o.unsaid, 0, at.Add(o.every)
		return unsaid, true
	}
	o.unsaid++
	return 0, false
}

// Gatherer gives the store's own metrics, all named eventstore_*; those of the process
// and the Go runtime are not among them.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }
