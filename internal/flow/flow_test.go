package flow

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func length(s string) int { return len(s) }

// Whoever puts in waits while the bytes or the number are reached, and goes on when something is
// taken.
func TestAQueueIsBoundedByBytesAndByNumber(t *testing.T) {
	for name, tc := range map[string]struct {
		bytes, items int
		put          []string
		fit          int
	}{
		"bytes":                     {10, 100, []string{"12345", "12345", "1"}, 2},
		"number":                    {100, 2, []string{"1", "1", "1"}, 2},
		"one that is larger":        {10, 100, []string{"123456789012345", "1"}, 1},
		"one that is larger, later": {10, 100, []string{"1", "123456789012345"}, 1},
		"nothing weighs nothing":    {1, 100, []string{"", "", "1", "1"}, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := New(tc.bytes, tc.items, length)
			put := 0
			go func() {
				for _, s := range tc.put {
					if err := q.Put(t.Context(), s); err != nil {
						t.Error(err)
					}
					put++
				}
				q.Close()
			}()
			synctest.Wait()
			if put != tc.fit {
				t.Errorf("%s: %d were put in, want %d", name, put, tc.fit)
			}
			taken := 0
			for s := range q.Items() {
				if s != tc.put[taken] {
					t.Errorf("%s: item %d is %q, want %q", name, taken, s, tc.put[taken])
				}
				taken++
				q.Took(s)
			}
			if taken != len(tc.put) {
				t.Errorf("%s: %d were taken, want %d", name, taken, len(tc.put))
			}
		})
	}
}

// A wait for room ends with its context, and takes no room.
func TestAWaitForRoomEndsWithItsContext(t *testing.T) {
	for name, q := range map[string]*Queue[string]{"bytes": New(3, 9, length), "number": New(9, 1, length)} {
		if err := q.Put(t.Context(), "123"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := q.Put(ctx, "123"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		q.Took(<-q.Items())
		if err := q.Put(t.Context(), "123"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever several put in comes out, each one's in order, and never more waits than fits.
func TestSeveralShareAQueue(t *testing.T) {
	type item struct{ from, n, size int }
	const writers, each, most = 4, 500, 100
	q := New(most, 50, func(i item) int { return i.size })
	var wg sync.WaitGroup
	for from := range writers {
		wg.Go(func() {
			for n := range each {
				if err := q.Put(t.Context(), item{from, n, rand.IntN(60)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { wg.Wait(); q.Close() }()
	next := [writers]int{}
	for i := range q.Items() {
		if i.n != next[i.from] {
			t.Fatalf("item %d of %d came in place of %d", i.n, i.from, next[i.from])
		}
		next[i.from]++
		q.Took(i)
	}
	if next != [writers]int{each, each, each, each} {
		t.Errorf("taken: %v", next)
	}
}
