package watch

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// logCollector reads the figures of the log, its files and the subscriptions
// when somebody asks, so that they cost nothing otherwise.
type logCollector struct{ m *Metrics }

// figure is one that the storage engine keeps.
type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*pebble.Metrics) float64
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("eventstore_"+name, help, labels, nil)
}

var (
	descFailed = describe("failed", "1 once the store has failed: it answers nothing any more, and "+
		"the server ends.")
	descQueue       = describe("write_queue_length", "Writes that wait for the writer.")
	descPosition    = describe("log_end_position", "Position after the last durable event, in bytes of the log.")
	descEvents      = describe("log_events", "Durable events in the log.")
	descSyncPending = describe("fsync_pending_seconds", "How long the fsync under way has taken so far, 0 for none.")
	descSubs        = describe("subscriptions", "Open subscriptions, by kind and by whether they were level with the "+
		"log when they last read.", "kind", "state")
	descMaxLag = describe("subscription_max_lag_bytes", "How far the subscription furthest behind is from the end of "+
		"the log, in bytes of positions; for one stream those of other streams count too.")
)

var fileFigures = []figure{
	{describe("files_bytes", "Bytes of all files on disk."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { return float64(p.DiskSpaceUsage()) }},
	{describe("files_tables", "Tables on disk."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { t := p.Total(); return float64(t.TablesCount) }},
	{describe("files_read_amplification", "Sorted runs that one lookup may have to visit."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { return float64(p.ReadAmp()) }},
	{describe("wal_bytes", "Live bytes of the write ahead log."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { return float64(p.WAL.Size) }},
	{describe("wal_written_bytes_total", "Bytes written to the write ahead log."), prometheus.CounterValue,
		func(p *pebble.Metrics) float64 { return float64(p.WAL.BytesWritten) }},
	{describe("memtable_bytes", "Bytes of the tables in memory."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { return float64(p.MemTable.Size) }},
	{describe("memtables", "Tables in memory, those that are being written out included."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { return float64(p.MemTable.Count) }},
	{describe("flushes_total", "Tables in memory written out."), prometheus.CounterValue,
		func(p *pebble.Metrics) float64 { return float64(p.Flush.Count) }},
	{describe("compactions_total", "Compactions that have ended."), prometheus.CounterValue,
		func(p *pebble.Metrics) float64 { return float64(p.Compact.Count) }},
	{describe("compactions_in_progress", "Compactions under way."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { return float64(p.Compact.NumInProgress) }},
	{describe("compaction_debt_bytes", "Estimate of the bytes that are still to be compacted."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { return float64(p.Compact.EstimatedDebt) }},
	{describe("block_cache_bytes", "Bytes in the cache of blocks."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { return float64(p.BlockCache.Size) }},
	{describe("block_cache_hits_total", "Blocks found in the cache."), prometheus.CounterValue,
		func(p *pebble.Metrics) float64 { return float64(p.BlockCache.Hits) }},
	{describe("block_cache_misses_total", "Blocks read from disk."), prometheus.CounterValue,
		func(p *pebble.Metrics) float64 { return float64(p.BlockCache.Misses) }},
	{describe("snapshots", "Views of the log that somebody holds."), prometheus.GaugeValue,
		func(p *pebble.Metrics) float64 { return float64(p.Snapshots.Count) }},
}

// Describe implements prometheus.Collector.
func (c logCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descFailed, descQueue, descPosition, descEvents, descSyncPending,
		descSubs, descMaxLag} {
		ch <- d
	}
	for _, f := range fileFigures {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c logCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	failed := 0.0
	if c.m.hasFailed() {
		failed = 1
	}
	gauge(descFailed, failed)
	gauge(descSyncPending, c.m.syncPending().Seconds())
	c.m.withLog(func(l *eventlog.Log) {
		end, events := LogEnd(l)
		gauge(descQueue, float64(l.QueueLength()))
		gauge(descPosition, float64(end))
		gauge(descEvents, float64(events))
		counts, lag := c.m.subscriptions.look(end)
		gauge(descMaxLag, float64(lag))
		for kind := SubscribeStream; kind < ReadKind(len(readKinds)); kind++ {
			gauge(descSubs, float64(counts[kind].live), kind.String(), "live")
			gauge(descSubs, float64(counts[kind].behind), kind.String(), "behind")
		}
		files := l.FilesMetrics()
		for _, f := range fileFigures {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(files))
		}
	})
}

// LogEnd is the durable end of the log and the number of events before it.
func LogEnd(l *eventlog.Log) (position, events uint64) {
	v := l.Acquire()
	position, events = v.End(), v.Events()
	_ = v.Release() // closing a snapshot of an open log does not fail
	return position, events
}
