package eventlog

import (
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Observer is told what the log does. Its methods are called on the data path,
// by several goroutines at once: they must be quick, and must not block.
type Observer interface {
	// Answered is called when a request has ended; took is from its submission
	// on. Where err is not nil the outcome is unknown and res means nothing.
	Answered(r *Request, res Result, err error, took time.Duration)
	// Syncing is called when a group's fsync begins, and Synced when it has ended.
	Syncing()
	Synced(Sync)
}

// Sync is one group that an fsync has made durable. One that fails is never
// reported: it ends the log.
type Sync struct {
	Requests int           // answered together
	Events   int           // written
	Bytes    int           // of the batch, index and heads included
	Took     time.Duration // from handing the batch to the write ahead log until its fsync has ended
}

// silent is the Observer of who wants none.
type silent struct{}

func (silent) Answered(*Request, Result, error, time.Duration) {}
func (silent) Syncing()                                        {}
func (silent) Synced(Sync)                                     {}

func observerOf(o Options) Observer {
	if o.Observer == nil {
		return silent{}
	}
	return o.Observer
}

// observeSyncing reports that the group's fsync begins.
func (w *writer) observeSyncing(g *group) {
	g.applied, g.bytes = time.Now(), g.batch.Len()
	w.s.observer.Syncing()
}

// observeSynced reports that it has ended.
func (s *Log) observeSynced(g *group) {
	s.observer.Synced(Sync{
		Requests: len(g.requests), Events: int(g.events), Bytes: g.bytes, Took: time.Since(g.applied),
	})
}

// QueueLength is the number of requests that the writer has not taken yet.
func (s *Log) QueueLength() int { return len(s.queue) }

// FilesMetrics are the storage engine's own figures. Not to be called after Close.
func (s *Log) FilesMetrics() *pebble.Metrics { return s.db.Metrics() }
