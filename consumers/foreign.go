package consumers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// RefillCommand is what fills topics again from the ledger, after which nothing foreign is in
// them.
const RefillCommand = "ledgerline relay refill"

// RefillAllCommand does so with all topics, and gives up what only they hold.
const RefillAllCommand = "ledgerline relay refill --everything"

// Refill returns the command that fills the topics named again from the ledger, each once and in
// order.
func Refill(topics ...string) string {
	topics = slices.Compact(slices.Sorted(slices.Values(topics)))
	return strings.Join(append([]string{RefillCommand}, topics...), " ")
}

// Foreign counts the records of a partition that are none of the ledger's and were skipped, since
// the process began.
type Foreign struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Count     uint64 `json:"count"`
	First     int64  `json:"first"` // offset of the first counted and of the last
	Last      int64  `json:"last"`
}

// String says where they are and how they go away.
func (f Foreign) String() string {
	where := fmt.Sprintf("%s/%d@%d", f.Topic, f.Partition, f.First)
	if f.Count > 1 {
		where = fmt.Sprintf("%s to %d", where, f.Last)
	}
	return fmt.Sprintf("%s (%d), removed by `%s`", where, f.Count, Refill(f.Topic))
}

// maxForeign bounds how many partitions are told apart.
const maxForeign = 1024

// ForeignCount counts foreign records by partition. The zero value is ready; it is safe for
// concurrent use.
type ForeignCount struct {
	mu sync.Mutex
	at map[partition]*Foreign
}

// Add counts the record at an offset, unless it lies where one was counted already, and reports
// whether it is the first of its partition.
func (c *ForeignCount) Add(topic string, number int, offset int64) (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := partition{topic, number}
	f := c.at[p]
	switch {
	case f == nil && len(c.at) < maxForeign:
		if c.at == nil {
			c.at = map[partition]*Foreign{}
		}
		c.at[p] = &Foreign{Topic: topic, Partition: number, Count: 1, First: offset, Last: offset}
		return true
	case f != nil && offset > f.Last:
		f.Count++
		f.Last = offset
	}
	return false
}

// Forget drops the counts of a topic that was made anew.
func (c *ForeignCount) Forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.at {
		if p.topic == topic {
			delete(c.at, p)
		}
	}
}

// List returns the counts, by topic and partition.
func (c *ForeignCount) List() []Foreign {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Foreign, 0, len(c.at))
	for _, f := range c.at {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Foreign) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}
