package retry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errFails = errors.New("it fails")

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

func TestDoEndsWhereItShould(t *testing.T) {
	for _, tc := range []struct {
		name     string
		attempts int
		answers  []error // the last is repeated
		tries    int
		want     error
	}{
		{"at once", 0, []error{nil}, 1, nil},
		{"after failures", 0, []error{errFails, errFails, nil}, 3, nil},
		{"a final error", 0, []error{errFails, Final(errFails), nil}, 2, errFails},
		{"as often as it may", 4, []error{errFails}, 4, errFails},
	} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			err := Policy{First: time.Second, Longest: time.Minute, Attempts: tc.attempts}.Do(t.Context(),
				func(context.Context) error {
					tries++
					return tc.answers[min(tries, len(tc.answers))-1]
				})
			if err != tc.want || tries != tc.tries {
				t.Errorf("%s: %v after %d tries, want %v after %d", tc.name, err, tries, tc.want, tc.tries)
			}
		})
	}
	if Final(nil) != nil {
		t.Error("no error is marked final")
	}
}

// A wait ends with its context, and Do tells why it had to go on.
func TestAContextEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := Policy{First: time.Hour, Longest: time.Hour}.Do(ctx, func(context.Context) error { return errFails })
		if err == nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if !errors.Is(err, errFails) || time.Since(began) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if err := Wait(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait after the end: %v", err)
		}
	})
}
