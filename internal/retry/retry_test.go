package retry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Each pause lies below its bound, and the bounds double up to the longest.
func TestPausesGrowUpToTheLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Policy{First: 10 * time.Millisecond, Longest: 70 * time.Millisecond}.Begin()
		for i, most := range []time.Duration{10, 20, 40, 70, 70} {
			most *= time.Millisecond
			if p.Most() != most {
				t.Errorf("pause %d is at most %s, want %s", i, p.Most(), most)
			}
			began := time.Now()
			if err := p.Wait(t.Context()); err != nil || time.Since(began) > most {
				t.Errorf("pause %d took %s, %v", i, time.Since(began), err)
			}
		}
		if p.Reset(); p.Most() != 10*time.Millisecond {
			t.Errorf("after Reset the pause is at most %s", p.Most())
		}
	})
}

// Pauses differ: clients that failed together do not come back together.
func TestPausesAreSpreadOverTheirWholeBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = time.Second
		early, late := 0, 0
		for range 200 {
			began := time.Now()
			if err := (Policy{First: bound, Longest: bound}).Begin().Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			switch took := time.Since(began); {
			case took < bound/4:
				early++
			case took > bound*3/4:
				late++
			}
		}
		if early == 0 || late == 0 {
			t.Errorf("%d pauses in the first quarter, %d in the last", early, late)
		}
	})
}

// A wait ends with its context.
func TestAContextEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		pauses := Policy{First: time.Hour, Longest: time.Hour}.Begin()
		for range 1000 { // pauses are random: some of these together are longer than a minute
			if err := pauses.Wait(ctx); err != nil {
				break
			}
		}
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("%v after %s", ctx.Err(), time.Since(began))
		}
		if err := Wait(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait after the end: %v", err)
		}
	})
}
