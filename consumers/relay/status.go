package relay

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/schemas"
)

// State says what the relay is doing.
type State string

// States of a relay.
const (
	StateStopped    State = "stopped"
	StateRecovering State = "recovering"
	StateFollowing  State = "following"
	StateRefilling  State = "refilling"
)

// States are all of them.
var States = []State{StateStopped, StateRecovering, StateFollowing, StateRefilling}

// Status is where the relay stands.
type Status struct {
	State     State
	Through   schemas.Anchor // of the last noted round
	Any       bool           // whether anything was ever noted; Through is zero otherwise
	Lag       uint64         // ledger events not yet noted
	Published uint64         // events noted since the start of this process
	Rounds    uint64         // noted likewise
	NotedAt   time.Time      // when the last of them was; zero: none was
	Failures  uint64         // attempts likewise that the broker did not acknowledge
	Rate      float64        // events per second noted over the last ten seconds
	Err       error          // why the last attempt failed; nil after one that succeeded

	// Foreign is what lies in ledger.position, or after the noted ends when the relay starts, and
	// has not the form of a record of this ledger: told, and no problem. Forged has its form and
	// is not the ledger's. Both are counted since the start of this process.
	Foreign, Forged []consumers.Foreign
	// Problem is what somebody should do something about, "" for nothing.
	Problem string
}

const rateWindow = 10 * time.Second

type sample struct {
	at time.Time
	n  int
}

// status is what Status reports; all of it is guarded by mu.
type status struct {
	mu      sync.Mutex
	s       Status
	head    uint64 // the newest sequence handed over
	hasHead bool
	samples []sample // of the last rateWindow, oldest first

	unreadable map[string]string // topics whose unnoted part cannot be read, and why: as good as lost

	forged  consumers.ForeignCount // has a mutex of its own
	skipped atomic.Int64           // newest positions that are not the ledger's, when that was last looked at
}

// Status returns where the relay stands. It may be called at any time.
func (r *Relay) Status() Status {
	head, ok := uint64(0), false
	if r.cfg.Head != nil {
		head, ok = r.cfg.Head()
	}
	st := &r.status
	st.mu.Lock()
	defer st.mu.Unlock()
	out := st.s
	if out.State == "" {
		out.State = StateStopped
	}
	if !ok {
		head, ok = st.head, st.hasHead
	}
	switch {
	case !ok:
	case !out.Any:
		out.Lag = head + 1
	case head > out.Through.Seq:
		out.Lag = head - out.Through.Seq
	}
	out.Foreign, out.Forged = r.cfg.Foreign.List(), st.forged.List()
	out.Problem = problem(out, st.skipped.Load())
	now := r.cfg.Clock()
	st.prune(now)
	if len(st.samples) > 0 {
		n := 0
		for _, s := range st.samples {
			n += s.n
		}
		// A single burst is spread over at least a second, or one round would look like any rate.
		out.Rate = float64(n) / max(now.Sub(st.samples[0].at), time.Second).Seconds()
	}
	return out
}

func problem(s Status, skipped int64) string {
	var out []string
	if s.Err != nil {
		out = append(out, s.Err.Error())
	}
	for _, f := range s.Forged {
		out = append(out, "a record that is not the ledger's was published by somebody else: "+f.String())
	}
	if skipped > 0 {
		out = append(out, fmt.Sprintf("%d positions in %s were written by somebody else, removed by `%s`", skipped,
			consumers.PositionTopic, consumers.Refill(consumers.PositionTopic)))
	}
	return strings.Join(out, "; ")
}

// setUnreadable notes why a topic cannot be read, "" for that it can; without a topic, of all.
func (st *status) setUnreadable(topic, why string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case topic == "":
		st.unreadable = nil
	case why == "":
		delete(st.unreadable, topic)
	default:
		if st.unreadable == nil {
			st.unreadable = map[string]string{}
		}
		st.unreadable[topic] = why
	}
}

func (st *status) allUnreadable() map[string]string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return maps.Clone(st.unreadable)
}

func (st *status) begin(s State) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.s.State = s
}

func (st *status) failed(err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.s.Err = err
}

// refused counts an attempt that is repeated, or was the last.
func (st *status) refused(err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.s.Err = err
	st.s.Failures++
}

func (st *status) recovered() { st.failed(nil) }

func (st *status) start(through schemas.Anchor) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.s.Through, st.s.Any = through, true
}

func (st *status) received(batch []schemas.Envelope) {
	if len(batch) == 0 {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.head, st.hasHead = max(st.head, batch[len(batch)-1].Seq), true
}

func (st *status) noted(through schemas.Anchor, n int, now time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.s.Through, st.s.Any, st.s.Err = through, true, nil
	st.s.Published += uint64(n)
	st.s.Rounds, st.s.NotedAt = st.s.Rounds+1, now
	st.samples = append(st.samples, sample{now, n})
	st.prune(now)
}

func (st *status) prune(now time.Time) {
	i := 0
	for i < len(st.samples) && now.Sub(st.samples[i].at) > rateWindow {
		i++
	}
	st.samples = st.samples[i:]
}
