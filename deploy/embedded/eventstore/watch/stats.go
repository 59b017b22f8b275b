package watch

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// Help is what a path that is not there is answered with.
const Help = "this node answers GET /health/live, /metrics, /stats, /stats/<path>, /info and /admin/backup over " +
	"HTTP; events are read and written over gRPC\n"

// operations are the answers over HTTP of a node that says it is of the version.
type operations struct {
	m       *Metrics
	version string
}

// Operations serves what operators and their tools ask over HTTP, from a node that
// says it is of the version. None of it shows events or names streams.
func (m *Metrics) Operations(version string) http.Handler {
	o := operations{m, version}
	scrape := promhttp.HandlerFor(prometheus.Gatherers{m.registry, m.process},
		promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(m.logger.Handler(), slog.LevelWarn)})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimSuffix(r.URL.Path, "/")
		section, isStats := strings.CutPrefix(path, "/stats")
		isStats = isStats && (section == "" || section[0] == '/')
		switch {
		case path != "/metrics" && path != "/info" && path != "/health/live" && !isStats:
			http.Error(w, Help, http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, Help, http.StatusMethodNotAllowed)
		case path == "/metrics":
			scrape.ServeHTTP(w, r)
		case path == "/info":
			writeJSON(w, o.info())
		case isStats:
			o.serveStats(w, strings.TrimPrefix(section, "/"))
		default: // a trailing slash too many
			http.Error(w, Help, http.StatusNotFound)
		}
	})
}

// serveStats answers with all of the stats, or with what is at a path of them
// such as es/queue, as a real server does.
func (o operations) serveStats(w http.ResponseWriter, path string) {
	var at any = o.stats()
	if path != "" {
		for name := range strings.SplitSeq(path, "/") {
			m, _ := at.(map[string]any)
			if at = m[name]; at == nil {
				http.Error(w, Help, http.StatusNotFound)
				return
			}
		}
	}
	writeJSON(w, at)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // a client that has left
}

// info is what a real server's /info says, as far as it is true here.
func (o operations) info() map[string]any {
	return map[string]any{
		"esVersion": o.version,
		"state":     "leader",
		"features":  map[string]any{"projections": false, "userManagement": false, "atomPub": false},
	}
}

// stats has the shape of a real server's /stats for what exists here, under
// the same names, and this node's own figures in es.node. Times of fsyncs are
// in milliseconds, sizes in bytes, positions in bytes of the log.
//
//	proc.startTime, proc.id, proc.mem (resident), proc.tcp.connections
//	es.checksum                        position after the last durable event
//	es.queue["Storage Writer"].length  writes that wait
//	es.writer.{lastFlushSize,lastFlushDelayMs,maxFlushDelayMs,queuedFlushMessages}
//	es.node                            id, version, failed, uptimeSeconds, events, position,
//	                                   filesBytes, walBytes, readAmplification, fsyncPendingMs,
//	                                   subscriptions.{live,behind,maxLagBytes}
func (o operations) stats() map[string]any {
	m := o.m
	figures := m.processFigures()
	writer := map[string]any{"lastFlushSize": 0, "lastFlushDelayMs": 0.0,
		"maxFlushDelayMs": milliseconds(time.Duration(m.slowestSync.Load()))}
	if last := m.lastSync.Load(); last != nil {
		writer["lastFlushSize"], writer["lastFlushDelayMs"] = last.Bytes, milliseconds(last.Took)
	}
	node := map[string]any{
		"version": o.version, "failed": m.hasFailed(), "uptimeSeconds": int64(time.Since(m.started).Seconds()),
		"fsyncPendingMs": milliseconds(m.syncPending()),
	}
	es := map[string]any{"writer": writer, "node": node}
	m.withLog(func(l *eventlog.Log) {
		end, events := LogEnd(l)
		queued := l.QueueLength()
		counts, lag := m.subscriptions.look(end)
		var all subscriptionCount
		for _, c := range counts {
			all.live += c.live
			all.behind += c.behind
		}
		files := l.FilesMetrics()
		node["id"], node["events"], node["position"] = uuid.UUID(l.ID()).String(), events, end
		node["filesBytes"], node["walBytes"], node["readAmplification"] = files.DiskSpaceUsage(),
			files.WAL.Size, files.ReadAmp()
		node["subscriptions"] = map[string]any{"live": all.live, "behind": all.behind, "maxLagBytes": lag}
		writer["queuedFlushMessages"] = queued
		es["checksum"] = end
		es["queue"] = map[string]any{"Storage Writer": map[string]any{"queueName": "Storage Writer", "length": queued}}
	})
	return map[string]any{
		"proc": map[string]any{
			"startTime": m.started.UTC().Format(time.RFC3339Nano), "id": os.Getpid(),
			"mem": int64(figures["process_resident_memory_bytes"]),
			"tcp": map[string]any{"connections": int64(figures["eventstore_connections"])},
		},
		"es": es,
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// processFigures are the gauges without labels among the metrics, by name.
func (m *Metrics) processFigures() map[string]float64 {
	families, _ := prometheus.Gatherers{m.registry, m.process}.Gather() // what could be gathered
	out := map[string]float64{}
	for _, f := range families {
		if ms := f.GetMetric(); len(ms) == 1 && ms[0].GetGauge() != nil {
			out[f.GetName()] = ms[0].GetGauge().GetValue()
		}
	}
	return out
}

// Health answers 204 while the store works and 503 after it has failed, without
// asking who wants to know.
func Health(failure func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failure() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// LogStarted and LogStopped say what an operator looks for first.
func (m *Metrics) LogStarted(addr string, l *eventlog.Log) {
	end, events := LogEnd(l)
	m.logger.Info("event store serves", "addr", addr, "id", uuid.UUID(l.ID()), "events", events, "position", end,
		"took", time.Since(m.started))
}

// LogStopped says where the log of that id ended, and err why it did, nil for a stop.
func (m *Metrics) LogStopped(addr string, id uuid.UUID, end, events uint64, err error) {
	level, attrs := slog.LevelInfo, []any{"addr", addr, "id", id, "events", events, "position", end, "served",
		time.Since(m.started)}
	if err != nil {
		level, attrs = slog.LevelError, append(attrs, "error", err)
	}
	m.logger.Log(context.Background(), level, "event store has stopped", attrs...)
}
