package reconcile_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/reconcile"
	"github.com/ledgerline/ledgerline/schemas"
)

// views are rows in memory, with one view of two portions that is compared as the test says.
type views struct {
	mu          sync.Mutex
	through     int64
	rows        []projections.Mark
	broken      []uint64
	compared    map[uuid.UUID]projections.Compared // by the portion's tenant
	fingerprint string
	disowned    map[uuid.UUID]bool
	state       map[string][]byte
	fail        func(act string) error
	widest      int      // how many sequences one question for marks named
	asked       []uint64 // from where digests were asked for
}

var tenants = []uuid.UUID{chtest.ID("one"), chtest.ID("two")}

func newViews(rows []projections.Mark, through int64) *views {
	return &views{rows: rows, through: through, fingerprint: "a", compared: map[uuid.UUID]projections.Compared{},
		disowned: map[uuid.UUID]bool{}, state: map[string][]byte{}}
}

func (v *views) act(name string) error {
	if v.fail != nil {
		return v.fail(name)
	}
	return nil
}

func (v *views) Through(context.Context) (uint64, bool, error) {
	return uint64(max(v.through, 0)), v.through >= 0, v.act("through")
}

func (v *views) Shape(context.Context) (projections.Shape, error) {
	return projections.Shape{Views: []string{"state"}, Plain: []string{"state"},
		Fingerprint: v.fingerprint}, v.act("shape")
}

func (v *views) Portions(context.Context, string) ([]projections.Portion, error) {
	return []projections.Portion{{Tenants: tenants[:1]}, {Tenants: tenants[1:]}}, v.act("portions")
}

func (v *views) CompareView(_ context.Context, _ string, p projections.Portion) (projections.Compared, error) {
	return v.compared[p.Tenants[0]], v.act("compare")
}

func (v *views) within(from, to uint64) (out []projections.Mark) {
	for _, m := range v.rows {
		if m.Seq >= from && m.Seq <= to {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b projections.Mark) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

func (v *views) Marks(_ context.Context, from, to uint64) (projections.Marks, error) {
	v.asked = append(v.asked, from)
	out := projections.NewMarks()
	for _, m := range v.within(from, to) {
		out.Add(m)
	}
	return out, v.act("marks")
}

func (v *views) MarksOf(_ context.Context, from, to uint64, limit int) ([]projections.Mark, error) {
	v.widest = max(v.widest, int(to-from)+1)
	out := v.within(from, to)
	return out[:min(limit, len(out))], v.act("marks of")
}

func (v *views) MarksAbove(_ context.Context, seq uint64, limit int) (uint64, []projections.Mark, error) {
	out := v.within(seq+1, 1<<62)
	slices.Reverse(out)
	return uint64(len(out)), out[:min(limit, len(out))], v.act("above")
}

func (v *views) BrokenLeaves(_ context.Context, from, to uint64, _ int) (out []projections.Difference, _ error) {
	for _, seq := range v.broken {
		if seq >= from && seq <= to {
			out = append(out, projections.Difference{Seq: seq})
		}
	}
	return out, v.act("leaves")
}

func (v *views) Disowned(_ context.Context, _, event uuid.UUID, _ uint64) (bool, error) {
	return v.disowned[event], v.act("disowned")
}

func (v *views) LoadState(_ context.Context, name string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state[name], v.act("load")
}

func (v *views) SaveState(_ context.Context, name string, state []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.act("save"); err != nil {
		return err
	}
	v.state[name] = state
	return nil
}

func marksOf(t rapid.TB, events []chtest.Event) (out []projections.Mark) {
	rows := chtest.Rows(events...)
	for i := range rows {
		out = append(out, projections.MarkOf(&rows[i]))
	}
	return out
}

func events(of []chtest.Event) func(context.Context, uint64) iter.Seq2[schemas.Envelope, error] {
	return func(_ context.Context, from uint64) iter.Seq2[schemas.Envelope, error] {
		return func(yield func(schemas.Envelope, error) bool) {
			for _, e := range of[from:] {
				if !yield(e.Envelope, nil) {
					return
				}
			}
		}
	}
}

func reconciler(
	t rapid.TB, v reconcile.Views, of []chtest.Event, change func(*reconcile.Config),
) *reconcile.Reconciler {
	cfg := reconcile.Config{Name: "test", Ledger: chtest.ID("ledger"), Views: v, Events: events(of),
		Log: slog.New(slog.DiscardHandler), Portion: 16}
	if change != nil {
		change(&cfg)
	}
	r, err := reconcile.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEveryRowOfEventsIsHeldAgainstTheLedger changes rows at random, below and above what is
// through, and expects exactly those to be named; it is interrupted at random and called again.
func TestEveryRowOfEventsIsHeldAgainstTheLedger(t *testing.T) {
	all := chtest.NewLedger(7, 2, 3).Events(120)
	whole := marksOf(t, all)
	rapid.Check(t, func(t *rapid.T) {
		through := rapid.IntRange(0, 119).Draw(t, "through")
		v := newViews(nil, int64(through))
		want := map[string]bool{}
		forged := map[uint64]bool{}
		for _, m := range whole {
			what := rapid.SampledFrom([]string{"", "", "", "", "", "", "", "", "missing", "extra", "other", "event",
				"catalogue", "origin", "disowned"}).Draw(t, "what")
			switch {
			case what == "disowned":
				forged[m.Seq], v.disowned[m.EventID] = true, true
			case what == "origin" && m.Seq > uint64(through):
			case what == "origin":
				forged[m.Seq] = true
			}
			if what == "missing" && m.Seq <= uint64(through) || what != "" && what != "missing" &&
				what != "disowned" && what != "origin" {
				want[fmt.Sprint(m.Seq, what)] = true
			}
			changed := m
			switch what {
			case "missing":
				continue
			case "extra":
				changed.Tenant, changed.Stream = uuid.Max, "device-x"
				v.rows = append(v.rows, m)
			case "other":
				changed.Sum[3]++
			case "event":
				changed.EventID[0]++
				changed.Leaf[0]++
				changed.Sum[0]++
			case "catalogue":
				changed.Catalogue[0]++
				changed.Sum[1]++
			}
			v.rows = append(v.rows, changed)
		}
		for _, seq := range rapid.SliceOfNDistinct(rapid.Uint64Range(120, 1<<40), 0, 3, rapid.ID).Draw(t, "beyond") {
			v.rows = append(v.rows, projections.Mark{Seq: seq})
			want[fmt.Sprint(seq, "extra")] = true
		}
		last := uint64(through) // up to which the ledger is read
		for _, m := range v.rows {
			last = max(last, m.Seq)
		}
		for seq := range forged {
			if seq <= last && !v.disowned[whole[seq].EventID] {
				want[fmt.Sprint(seq, "origin")] = true
			}
		}
		left := rapid.IntRange(0, 40).Draw(t, "acts before it is interrupted")
		v.fail = func(string) error {
			if left--; left == 0 {
				return errors.New("interrupted")
			}
			return nil
		}
		r := reconciler(t, v, all, func(c *reconcile.Config) {
			c.Judge = func(_ context.Context, r schemas.Envelope) (bool, error) { return !forged[r.Seq], nil }
		})
		res, err := r.Run(t.Context())
		for err != nil {
			res, err = r.Run(t.Context())
		}
		got := map[string]bool{}
		for _, f := range res.Findings {
			if f.View != "events" {
				t.Fatalf("%+v", f)
			}
			got[fmt.Sprint(f.Seq, f.What)] = true
		}
		for k := range want {
			if !got[k] && res.Differing["events"] <= reconcile.PerView {
				t.Errorf("not found: %s", k)
			}
		}
		for k := range got {
			if !want[k] {
				t.Errorf("found, and not there: %s", k)
			}
		}
		if int(res.Differences) != len(want) || res.Events != uint64(through)+1 || !res.Origins {
			t.Errorf("%d differences, want %d; %d events compared through %d",
				res.Differences, len(want), res.Events, through)
		}
	})
}

// TestAnInterruptedRunGoesOnWhereItWas counts what is asked twice, and begins anew behind a
// rebuild, another mode, or a day.
func TestAnInterruptedRunGoesOnWhereItWas(t *testing.T) {
	all := chtest.NewLedger(7, 2, 3).Events(100)
	for _, tc := range []struct {
		name   string
		change func(v *views, c *reconcile.Config)
		anew   bool
	}{
		{"the same", func(*views, *reconcile.Config) {}, false},
		{"a view was made anew", func(v *views, _ *reconcile.Config) { v.fingerprint = "b" }, true},
		{"deep", func(_ *views, c *reconcile.Config) { c.Deep = true }, true},
		{"another ledger", func(_ *views, c *reconcile.Config) { c.Ledger = chtest.ID("other") }, true},
		{"another name", func(_ *views, c *reconcile.Config) { c.Name = "other" }, true},
		{"a day later", func(_ *views, c *reconcile.Config) {
			c.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
		}, true},
		{"kept in part", func(v *views, _ *reconcile.Config) {
			v.state["progress test"] = v.state["progress test"][:40]
		}, true},
		{"fewer are through", func(v *views, _ *reconcile.Config) { v.through = 50 }, true},
	} {
		v := newViews(marksOf(t, all), 99)
		v.fail = func(act string) error {
			if act == "marks" && len(v.asked) == 4 {
				return errors.New("interrupted")
			}
			return nil
		}
		if _, err := reconciler(t, v, all, nil).Run(t.Context()); err == nil {
			t.Fatal("it was not interrupted")
		}
		v.fail, v.asked = nil, nil
		var res reconcile.Result
		var err error
		r := reconciler(t, v, all, func(c *reconcile.Config) { tc.change(v, c) })
		if res, err = r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if res.Resumed == tc.anew || (v.asked[0] == 0) != tc.anew || res.Differences > 0 ||
			res.Events != uint64(v.through)+1 {
			t.Errorf("%s: digests asked from %v, %+v", tc.name, v.asked, res)
		}
		if len(v.state["progress test"]) > 0 && tc.name != "another name" {
			t.Errorf("%s: progress is still kept", tc.name)
		}
	}
}

// TestWhatIsHeldIsBounded differs everywhere, and looks at how much is asked
// for at once and listed.
func TestWhatIsHeldIsBounded(t *testing.T) {
	all := chtest.NewLedger(7, 2, 3).Events(20_000)
	v := newViews(marksOf(t, all), 19_999)
	for i := range v.rows {
		v.rows[i].Sum[0]++
	}
	v.compared[tenants[0]] = projections.Compared{Rows: 10, Count: 500,
		Findings: slices.Repeat([]projections.Finding{{View: "state"}}, 90)}
	v.compared[tenants[1]] = projections.Compared{Rows: 5, Count: 1,
		Findings: []projections.Finding{{View: "state"}}, Unsettled: 2}
	res, err := reconciler(t, v, all, func(c *reconcile.Config) { c.Portion = 0 }).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v.widest > 8192 || len(res.Findings) != 2*reconcile.PerView || res.Differences != 20_501 ||
		res.Differing["state"] != 501 || res.Unsettled != 2 || res.Views[0].Rows != 15 {
		t.Errorf("widest %d, %d findings, %d differences, %v, %+v",
			v.widest, len(res.Findings), res.Differences, res.Differing, res.Views)
	}
	for name, state := range v.state {
		if len(state) > 64<<10 {
			t.Errorf("%s: %d bytes are kept", name, len(state))
		}
	}
}

// TestDailyComparesAfterAnUncleanStopAndOnceADay runs days in the bubble's time.
func TestDailyComparesAfterAnUncleanStopAndOnceADay(t *testing.T) {
	all := chtest.NewLedger(7, 2, 3).Events(40)
	for _, unclean := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			v := newViews(marksOf(t, all), -1)
			r := reconciler(t, v, all, func(c *reconcile.Config) { c.Gentle = true })
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			runs := func(after time.Duration, want int) {
				t.Helper()
				time.Sleep(after)
				synctest.Wait()
				n := 0
				for _, from := range v.asked {
					if from == 0 {
						n++
					}
				}
				if n != want {
					t.Errorf("unclean %t: %d runs, want %d", unclean, n, want)
				}
			}
			go func() { done <- r.Daily(ctx, unclean) }()
			runs(time.Hour, 0) // the views hold nothing yet
			if s := r.Status(); s.Last != nil || s.LastError != "" {
				t.Errorf("while there is nothing: %+v", s)
			}
			v.through = 39
			runs(2*time.Minute, 1)
			runs(23*time.Hour, 1)
			runs(2*time.Hour, 2)
			if s := r.Status(); s.Last == nil || s.Last.Events != 40 || s.Running != nil {
				t.Errorf("%+v", s)
			}
			v.fail = func(act string) error {
				if act == "compare" {
					return errors.New("no answer")
				}
				return nil
			}
			runs(23*time.Hour, 3)
			if s := r.Status(); !strings.Contains(s.LastError, "no answer") || s.Last.Events != 40 {
				t.Errorf("a failure is not told: %+v", s)
			}
			v.fail = nil
			time.Sleep(2 * time.Hour) // it goes on where it was
			if s := r.Status(); s.LastError != "" {
				t.Errorf("a failure is told though it works again: %+v", s)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			// A restart on the same views: what was found stands, and it compares
			// only where the stop was unclean.
			again := reconciler(t, v, all, nil)
			ctx, cancel = context.WithCancel(t.Context())
			v.asked = nil
			go func() { done <- again.Daily(ctx, unclean) }()
			want := 0
			if unclean {
				want = 1
			}
			runs(2*time.Minute, want)
			if s := again.Status(); s.Last == nil {
				t.Error("the last result is not told after a restart")
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAConfigurationThatLacksSomethingIsRefused(t *testing.T) {
	_, err := reconcile.New(reconcile.Config{})
	for _, part := range []string{"name", "id", "events", "views", "logger"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
}
