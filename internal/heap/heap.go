// Package heap lets a small heap grow before it is collected. By default Go collects when as much
// garbage has gathered as there is live data, so that a process with 50 MiB of it, which an import
// has, collects twenty times a second and spends a quarter of its time on that.
//
// It keeps nothing. GOGC and GOMEMLIMIT stand above it.
package heap

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// room is how much garbage may gather where less is live; where more is, as much as that.
	room = 256 << 20
	// most is the percentage above which a larger one saves nothing worth its memory.
	most = 800
)

// Roomy has the garbage collector leave room, from now on and as the heap grows and shrinks.
// Where GOGC is set it does nothing; GOMEMLIMIT is kept as without it.
func Roomy() {
	if os.Getenv("GOGC") == "" {
		p := &pace{}
		p.set()
		p.await()
	}
}

// pace is the percentage that stands.
type pace struct{ percent int }

// await sets the pace after each collection: what nothing reaches is cleaned up then.
func (p *pace) await() {
	sentinel := new([16]*byte)
	runtime.AddCleanup(sentinel, func(p *pace) {
		p.set()
		p.await()
	}, p)
}

// set is called by one goroutine at a time. To change the percentage stops the world for some
// microseconds, so it is left alone where little would change.
func (p *pace) set() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	percent := percentFor(sample[0].Value.Uint64())
	if percent*10 < p.percent*9 || percent*10 > p.percent*11 {
		p.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentFor is by how many percent of it a live heap of so many bytes may grow.
func percentFor(live uint64) int {
	return int(min(max(room*100/max(live, 1), 100), most))
}
