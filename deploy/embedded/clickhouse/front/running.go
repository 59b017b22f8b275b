package front

import "sync"

// running are the statements that run or wait for their turn: whose they are, what their client
// calls them, and how they are stopped. The engine's own query ids are not the clients'.
type running struct {
	mu   sync.Mutex
	next uint64
	all  map[uint64]*runningStatement
}

type runningStatement struct {
	account, id, text string
	cancel            func(error)
	gone              chan struct{} // closed when it has ended
}

func newRunning() *running { return &running{all: make(map[uint64]*runningStatement)} }

// add notes a statement. The returned function takes it off.
func (r *running) add(account, id, text string, cancel func(error)) (remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	key, s := r.next, &runningStatement{account, id, text, cancel, make(chan struct{})}
	r.all[key] = s
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.all, key)
		close(s.gone)
	}
}

// find returns the statements with a client's id: the account's own, or with "" everybody's.
func (r *running) find(account string, ids map[string]bool) (found []*runningStatement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.all {
		if ids[s.id] && (account == "" || s.account == account) {
			found = append(found, s)
		}
	}
	return found
}
