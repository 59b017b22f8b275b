package projections

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Status says where a projector stands. It may be read while the projector runs.
type Status struct {
	Applied uint64 `json:"applied"` // sequences 0 to Applied-1 are in the views
	Ahead   int    `json:"ahead"`   // events applied above that, behind a gap
	// sequences 0 to Published-1 are in the topics, by the relay's own note
	Published   uint64    `json:"published"`
	PublishedAt time.Time `json:"publishedAt,omitzero"` // when that note was last read; zero: it was not yet
	Lag         uint64    `json:"lag"`                  // Published - Applied, 0 when the views are ahead of the note
	Partitions  int       `json:"partitions"`
	Rows        uint64    `json:"rows"` // written since start, repeats included
	Rate        float64   `json:"rate"` // rows a second over the last ten seconds
	SavedAt     time.Time `json:"savedAt"`
	LastError   string    `json:"lastError,omitempty"` // of what is failing now; "" once it works again
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	// Problem is what stands, for longer than a busy machine explains; "" while nothing does.
	Problem string    `json:"problem,omitempty"`
	Since   time.Time `json:"since,omitzero"` // of Problem

	// Foreign is what was skipped, by partition, over restarts: told, and no problem.
	Foreign []Foreign `json:"foreign,omitempty"`
	// Conflicts are partitions that go no further until their topics are made anew.
	Conflicts []Conflict `json:"conflicts,omitempty"`
	// Replaced counts rows that a topic made anew contradicted: reconcile finds what they left.
	Replaced uint64 `json:"replaced,omitempty"`
}

// Foreign counts the records of a partition that are none of the ledger's, with the first and last
// offset.
type Foreign struct {
	Partition string `json:"partition"` // as people know it; set by Status
	Count     uint64 `json:"count"`
	First     int64  `json:"first"`
	Last      int64  `json:"last"`
}

// Conflict is a record whose sequence another record has, with another leaf: one of the two is
// forged.
type Conflict struct {
	Seq       uint64 `json:"sequence"`
	Partition string `json:"partition"`
	Offset    int64  `json:"offset"`
	With      string `json:"with"` // the partition that the views' own row is from
}

// shown is a partition's name as people know it.
func shown(partition string) string {
	name, _, _ := strings.Cut(partition, "#")
	return name
}

// standsAfter is how long one act may take, its repetitions included, before it is a Problem. A
// heartbeat makes a store that takes nothing visible while there is nothing to write, too.
const standsAfter = 30 * time.Second

// Status returns a consistent copy.
func (p *Projector) Status() Status { return p.status.read(p.cfg.Now()) }

// rateWindow is the time over which Rate is taken.
const rateWindow = 10 * time.Second

type tick struct {
	at   time.Time
	rows int
}

// statusBoard is what the projector's goroutines tell of themselves.
type statusBoard struct {
	mu      sync.Mutex
	s       Status
	recent  []tick // within rateWindow, oldest first
	failing map[string]failure
	acts    map[string]time.Time // under way, since when
	skipped map[string]Foreign   // by the partition's full name, conflicts alike
	halts   map[string]Conflict
	busy    bool      // the applier holds rows that are not applied yet
	idle    time.Time // since when it does not, and something is published that has not come
}

// began says that an act is under way, until ended.
func (b *statusBoard) began(what string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.acts == nil {
		b.acts = map[string]time.Time{}
	}
	b.acts[what] = now
}

func (b *statusBoard) ended(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.acts, what)
}

// stands finds what has been under way, or missing, for too long, the longest first.
func (b *statusBoard) stands(s *Status, now time.Time) {
	for what, since := range b.acts {
		if now.Sub(since) < standsAfter || s.Problem != "" && !since.Before(s.Since) {
			continue
		}
		s.Problem, s.Since = what+" does not return", since
		if f, failed := b.failing[what]; failed {
			s.Problem = f.text
		}
	}
	if s.Problem == "" && s.Published > s.Applied && !b.busy && !b.idle.IsZero() && now.Sub(b.idle) >= 2*standsAfter {
		s.Problem, s.Since = fmt.Sprintf("sequence %d is published and does not come", s.Applied), b.idle
	}
}

// working says that the applier has rows in hand, until progress says that they are applied.
func (b *statusBoard) working() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = true
}

// stalled returns the sequence that is missing, and whether it was published and
// nothing has come for so long.
func (b *statusBoard) stalled(now time.Time, after time.Duration) (next uint64, yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.s.Applied, b.s.Published > b.s.Applied && !b.busy && len(b.halts) == 0 && now.Sub(b.idle) >= after
}

// foreign counts a record that is skipped, unless it was counted when the partition was read
// before, and reports whether it is its partition's first.
func (b *statusBoard) foreign(partition string, offset int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.skipped == nil {
		b.skipped = map[string]Foreign{}
	}
	f, ok := b.skipped[partition]
	switch {
	case !ok:
		f = Foreign{Count: 1, First: offset, Last: offset}
	case offset > f.Last:
		f.Count++
		f.Last = offset
	}
	b.skipped[partition] = f
	return !ok
}

// skippedBefore takes what an earlier process counted.
func (b *statusBoard) skippedBefore(counts map[string]Foreign) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.skipped = maps.Clone(counts)
}

// skippedSoFar returns a copy of the counts, by the partition's full name.
func (b *statusBoard) skippedSoFar() map[string]Foreign {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.skipped)
}

// anew drops the counts of a partition that is read from its first message.
func (b *statusBoard) anew(partition string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.skipped, partition)
}

func (b *statusBoard) halt(c Conflict, partition string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.halts == nil {
		b.halts = map[string]Conflict{}
	}
	b.halts[partition] = c
}

func (b *statusBoard) halted(partition string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, yes := b.halts[partition]
	return yes
}

func (b *statusBoard) replaced() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.Replaced++
}

type failure struct {
	text  string
	at    time.Time
	until time.Time // zero: until it has recovered
}

func (b *statusBoard) progress(a *applied, rows int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.Applied, b.s.Ahead, b.s.SavedAt = a.next, a.ahead(), now
	b.s.Rows += uint64(rows)
	b.busy, b.idle = false, now
	if rows > 0 {
		b.recent = append(b.recent, tick{now, rows})
	}
	b.prune(now)
}

func (b *statusBoard) prune(now time.Time) {
	i := 0
	for i < len(b.recent) && now.Sub(b.recent[i].at) > rateWindow {
		i++
	}
	b.recent = append(b.recent[:0], b.recent[i:]...)
}

func (b *statusBoard) listed(partitions int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.Partitions = partitions
}

// noted takes what the relay noted. Partitions that it no longer names are gone, and what was in
// them.
func (b *statusBoard) noted(n *Noted, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.s.Published <= b.s.Applied && n.Through >= b.s.Applied {
		b.idle = now // until now there was nothing to wait for
	}
	b.s.Published, b.s.PublishedAt = n.Through+1, now
	gone := func(partition string) bool { _, there := n.Ends[partition]; return !there }
	maps.DeleteFunc(b.halts, func(p string, _ Conflict) bool { return gone(p) })
	maps.DeleteFunc(b.skipped, func(p string, _ Foreign) bool { return gone(p) })
}

func (b *statusBoard) failed(what string, err error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing == nil {
		b.failing = map[string]failure{}
	}
	b.failing[what] = failure{text: what + ": " + err.Error(), at: now}
}

// failedOnce notes the failure of a reader, which cannot tell an idle partition from one that
// works again: the note goes by itself after a while in which it did not fail again.
func (b *statusBoard) failedOnce(what string, err error, now time.Time, keep time.Duration) {
	b.failed(what, err, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.failing[what]
	f.until = now.Add(keep)
	b.failing[what] = f
}

func (b *statusBoard) recovered(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.failing, what)
}

func (b *statusBoard) read(now time.Time) Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prune(now)
	s := b.s
	for _, t := range b.recent {
		s.Rate += float64(t.rows) / rateWindow.Seconds()
	}
	for _, name := range slices.Sorted(maps.Keys(b.skipped)) {
		f := b.skipped[name]
		f.Partition = shown(name)
		s.Foreign = append(s.Foreign, f)
	}
	for _, name := range slices.Sorted(maps.Keys(b.halts)) {
		s.Conflicts = append(s.Conflicts, b.halts[name])
	}
	s.Lag = s.Published - min(s.Published, s.Applied)
	for what, f := range b.failing {
		if !f.until.IsZero() && now.After(f.until) {
			delete(b.failing, what)
			continue
		}
		if s.LastErrorAt.Before(f.at) {
			s.LastError, s.LastErrorAt = f.text, f.at
		}
	}
	b.stands(&s, now)
	return s
}
