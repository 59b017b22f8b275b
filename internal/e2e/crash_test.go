//go:build crash

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/projections"
)

var (
	rounds    = flag.Int("rounds", 20, "rounds of killing")
	crashSeed = flag.Uint64("seed", 0, "seed of the random kills; 0 takes one from the clock and prints it")
)

// crashPoint is where a process kills itself: in `import`, or in `up`. It is passed at least so
// many times while a small fleet is fed.
type crashPoint struct {
	inImport bool
	name     string
	times    int
}

// crashPoints are all named points that feeding and following passes; each is hit once
// before random kills come.
var crashPoints = []crashPoint{
	{true, intake.PointPlanned, 3}, {true, intake.PointCommitted, 3}, {true, intake.PointRefused, 1},
	{true, intake.PointAppended, 20}, {true, intake.PointDone, 3},
	{false, relay.PointRecovered, 1}, {false, relay.PointPublish, 3}, {false, relay.PointPublished, 3},
	{false, relay.PointAcked, 2}, {false, relay.PointNoted, 2},
	{false, projections.HookBeforeInsert, 2}, {false, projections.HookAfterInsert, 2},
	{false, projections.HookAfterSave, 2},
}

// What was told to a ledger that was killed again and again is in the end what was told to one
// that was not: in the ledger, the topics, the views and the vault.
func TestCrash(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (repeat with -seed %d)", seed, seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	ctx := context.Background()
	dir, gen := smallFleet(t, 40, 3)

	calm := newCrashNode(t)
	calmStart := time.Now()
	want := feedWithoutKills(t, ctx, calm, gen, dir)
	calm.stop()
	took := time.Since(calmStart)
	t.Logf("undisturbed: %d lines of state, %.1f s", len(want), took.Seconds())

	for round := range *rounds {
		t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) {
			n := newCrashNode(t)
			kills := n.feedUnderKills(rnd, round, gen, dir)
			if strings.Contains(kills[0], "not passed") {
				t.Errorf("%s: a point that is never passed tests nothing", kills[0])
			}
			if err := n.start(); err != nil {
				t.Fatal(err)
			}
			n.importJSON("Contoso", dir)
			if again := n.importJSON("Contoso", dir); again.EventsAppended != 0 {
				t.Errorf("importing again appended %d events", again.EventsAppended)
			}
			f := check(t, n)
			sameState(t, want, canonical(t, ctx, n.connect(ctx), f))
			n.stop()
			if t.Failed() {
				n.dumpLog()
			}
			t.Logf("killed %v", kills)
		})
	}
}

// newCrashNode imports in small batches, so that even a small fleet passes each point of a
// batch several times. Undisturbed or not, they must be of one size: what differs then
// would not come from the kills.
func newCrashNode(t *testing.T) *node {
	n := newNode(t)
	n.how = []string{"--batch", "32"}
	return n
}

func feedWithoutKills(t *testing.T, ctx context.Context, n *node, gen fleet.Summary, dir string) []string {
	t.Helper()
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	n.importJSON("Contoso", dir)
	return canonical(t, ctx, n.connect(ctx), check(t, n))
}

// feedUnderKills feeds and kills the whole tree several times, at this round's named points and at
// random moments, and leaves it dead.
func (n *node) feedUnderKills(rnd *rand.Rand, round int, gen fleet.Summary, dir string) (kills []string) {
	n.t.Helper()
	// the last is a random moment
	points := []crashPoint{crashPoints[round%len(crashPoints)], crashPoints[(round+7)%len(crashPoints)], {}}
	registered := false
	for _, p := range points {
		hit := "at random"
		var upEnv, importEnv []string
		if p.name != "" {
			hit = fmt.Sprintf("%s#%d", p.name, 1+rnd.IntN(p.times))
			if p.inImport {
				importEnv = []string{"LEDGERLINE_CRASH_AT=" + hit}
			} else {
				upEnv = []string{"LEDGERLINE_CRASH_AT=" + hit}
			}
		}
		if err := n.start(upEnv...); err != nil {
			kills = append(kills, hit+" in its start")
			continue
		}
		if !registered {
			r := n.run("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
			registered = r.code == 0
		}
		died := n.importAndKill(rnd, importEnv, dir, p.name == "")
		if p.name != "" && !died {
			hit += " not passed: all was in the ledger already"
		}
		kills = append(kills, hit)
	}
	if !registered {
		if err := n.start(); err != nil {
			n.t.Fatal(err)
		}
		// may be known already: the answer was killed
		n.run("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
		n.kill()
	}
	return kills
}

// importAndKill tells whether a crash point was passed. It imports until the import has ended by
// itself, by its crash point or because `up` died at its own, or until a random moment; then
// everything is killed, and the import with it.
func (n *node) importAndKill(rnd *rand.Rand, env []string, dir string, atRandom bool) (died bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := n.command(ctx, env, append(append([]string{"import", "--tenant", "Contoso", "--yes"}, n.how...), dir)...)
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan struct{})
	// killed, or failed because the ledger died: both are what is tested
	go func() { defer close(ended); cmd.Wait() }()
	moment := time.NewTimer(time.Duration(rnd.Int64N(int64(3 * time.Second))))
	defer moment.Stop()
	var random <-chan time.Time
	if atRandom {
		random = moment.C
	}
	select {
	case <-ended:
		died = killedItself(cmd) || n.awaitSilence(ctx)
	case <-random:
	case err := <-n.exit:
		n.exit <- err
		died = true
	}
	n.kill()
	if cmd.Process.Kill() == nil {
		<-ended
	}
	return died
}

func killedItself(cmd *exec.Cmd) bool {
	ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled()
}

// awaitSilence gives relay and projector the time to pass their points: until `up` dies, which it
// tells, or the views hold what the ledger holds.
func (n *node) awaitSilence(ctx context.Context) (died bool) {
	for range 250 {
		select {
		case err := <-n.exit:
			n.exit <- err
			return true
		default:
		}
		if r := n.run("", "status", "--output", "json"); r.code == 0 && settled(r.stdout) {
			return false
		}
		if retry.Wait(ctx, poll) != nil {
			return false
		}
	}
	return false
}

func settled(status string) bool {
	var s struct {
		Relay struct{ Events, Lag uint64 }
		Views struct{ Applied uint64 }
	}
	return json.Unmarshal([]byte(status), &s) == nil && s.Relay.Lag == 0 && s.Views.Applied == s.Relay.Events
}
