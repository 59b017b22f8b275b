package intake

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// What is read ahead of a batch, while the one before it is planned and appended, changes nothing:
// batches come to what as many imports come to.
func TestReadingAheadChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		apart, ahead := newWorld(t, false), newWorld(t, false)
		rt.Cleanup(apart.close)
		rt.Cleanup(ahead.close)
		apart.ignorant, ahead.ignorant = true, true
		records := anyRecords(rt)
		records = append(records, rapid.Permutation(records).Draw(rt, "again")...)
		var sum Summary
		together := map[string]string{}
		for n, r := range records {
			s, err := run(rt, apart, map[string]string{"a": r})
			if err != nil {
				rt.Fatal(err)
			}
			sum.Recorded += s.Recorded
			sum.Unchanged += s.Unchanged
			sum.Superseded += s.Superseded
			sum.EventsAppended += s.EventsAppended
			together[fmt.Sprintf("%03d", n)] = r
		}
		ahead.config.BatchSize = 1
		s, err := run(rt, ahead, together)
		if err != nil {
			rt.Fatal(err)
		}
		of := func(s Summary) string {
			return fmt.Sprint(s.Recorded, s.Unchanged, s.Superseded, s.EventsAppended)
		}
		if of(s) != of(sum) {
			rt.Errorf("recorded, unchanged, superseded, events: %s in batches, %s in imports", of(s), of(sum))
		}
		if got, want := ahead.canonical(), apart.canonical(); got != want {
			rt.Errorf("in batches:\n%s\nin imports:\n%s", got, want)
		}
	})
}
