package projections

import (
	"fmt"
	"sync"
	"time"
)

// Status says where a projector stands. It may be read while the projector runs.
type Status struct {
	Applied     uint64    `json:"applied"`              // sequences 0 to Applied-1 are in the views
	Ahead       int       `json:"ahead"`                // events applied above that, behind a gap
	Published   uint64    `json:"published"`            // sequences 0 to Published-1 are in the topics, by the relay's own note
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
}

// standsAfter is how long one act may take, its repetitions included, before it is a Problem. A heartbeat makes a store
// that takes nothing visible while there is nothing to write, too.
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
	busy    bool                 // the applier holds rows that are not applied yet
	idle    time.Time            // since when it does not
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

// stalled returns the sequence that is missing, and whether it was published and nothing has come for so long.
func (b *statusBoard) stalled(now time.Time, after time.Duration) (next uint64, yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.s.Applied, b.s.Published > b.s.Applied && !b.busy && now.Sub(b.idle) >= after
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

func (b *statusBoard) published(seq uint64, ok bool, partitions int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.Partitions, b.s.PublishedAt = partitions, now
	if ok {
		b.s.Published = seq + 1
	}
}

func (b *statusBoard) failed(what string, err error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing == nil {
		b.failing = map[string]failure{}
	}
	b.failing[what] = failure{text: what + ": " + err.Error(), at: now}
}

// failedOnce notes the failure of a reader, which cannot tell an idle partition from one that works again: the note
// goes by itself after a while in which it did not fail again.
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
