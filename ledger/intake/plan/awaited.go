package plan

import (
	"sync"

	"github.com/google/uuid"
)

// maxAwaited bounds the persons and devices of whom is noted that no action waits for them.
const maxAwaited = 1 << 16

// awaited notes for whom no action waits: once known, an id is waited for no more. It holds uuids
// of ours only.
type awaited struct {
	mu   sync.Mutex // guards what follows
	none map[uuid.UUID]bool
}

func newAwaited() *awaited { return &awaited{none: map[uuid.UUID]bool{}} }

func (a *awaited) has(person, device uuid.UUID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.none[person] || a.none[device]
}

// clear forgets what was noted.
func (a *awaited) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.none)
}

func (a *awaited) add(person, device uuid.UUID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.none) >= maxAwaited {
		clear(a.none)
	}
	a.none[person], a.none[device] = true, true
	delete(a.none, uuid.Nil)
}
