//go:build crash

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/projections"
)

var (
	rounds    = flag.Int("rounds", 20, "rounds of killing")
	crashSeed = flag.Uint64("seed", 0, "seed of the random kills; 0 takes one from the clock and prints it")
)

// crashPoint is where a process kills itself: in `import`, or in `up`.
type crashPoint struct {
	inImport bool
	name     string
}

// crashPoints are all named points that feeding and following passes; each is hit once before random kills come.
var crashPoints = []crashPoint{
	{true, intake.PointPlanned}, {true, intake.PointCommitted}, {true, intake.PointRefused}, {true, intake.PointAppended}, {true, intake.PointDone},
	{false, relay.PointRecovered}, {false, relay.PointPublish}, {false, relay.PointPublished}, {false, relay.PointAcked}, {false, relay.PointNoted},
	{false, projections.HookBeforeInsert}, {false, projections.HookAfterInsert}, {false, projections.HookAfterSave},
}

// What was told to a ledger that was killed again and again is in the end what was told to one that was not: in the ledger, the topics,
// the views and the vault.
func TestCrash(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (repeat with -seed %d)", seed, seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	ctx := context.Background()
	dir, gen := smallFleet(t, 40, 3)

	calm := newNode(t)
	calmStart := time.Now()
	want := feedWithoutKills(t, ctx, calm, gen, dir)
	calm.stop()
	took := time.Since(calmStart)
	t.Logf("undisturbed: %d lines of state, %.1f s", len(want), took.Seconds())

	for round := range *rounds {
		t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) {
			n := newNode(t)
			kills := n.feedUnderKills(rnd, round, gen, dir)
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

func feedWithoutKills(t *testing.T, ctx context.Context, n *node, gen fleet.Summary, dir string) []string {
	t.Helper()
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	n.importJSON("Contoso", dir)
	return canonical(t, ctx, n.connect(ctx), check(t, n))
}

// feedUnderKills feeds and kills the whole tree several times, at this round's named points and at random moments, and leaves it dead.
func (n *node) feedUnderKills(rnd *rand.Rand, round int, gen fleet.Summary, dir string) (kills []string) {
	n.t.Helper()
	points := []crashPoint{crashPoints[round%len(crashPoints)], crashPoints[(round+7)%len(crashPoints)], {}} // the last is a random moment
	registered := false
	for _, p := range points {
		hit := fmt.Sprintf("%s#%d", p.name, 1+rnd.IntN(3))
		var upEnv, importEnv []string
		switch {
		case p.name == "":
			hit = "at random"
		case p.inImport:
			importEnv = []string{"LEDGERLINE_CRASH_AT=" + hit}
		default:
			upEnv = []string{"LEDGERLINE_CRASH_AT=" + hit}
		}
		if err := n.start(upEnv...); err != nil {
			kills = append(kills, hit+" in its start")
			continue
		}
		if !registered {
			r := n.run("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
			registered = r.code == 0
		}
		kills = append(kills, hit)
		n.importAndKill(rnd, importEnv, dir, p.name == "")
	}
	if !registered {
		if err := n.start(); err != nil {
			n.t.Fatal(err)
		}
		n.run("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant) // may be known already: the answer was killed
		n.kill()
	}
	return kills
}

// importAndKill imports until the import has ended by itself, by its crash point or because `up` died at its own, or until a random moment; then everything is
// killed, and the import with it.
func (n *node) importAndKill(rnd *rand.Rand, env []string, dir string, atRandom bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := n.command(ctx, env, "import", "--tenant", "Contoso", dir)
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); cmd.Wait() }() // killed, or failed because the ledger died: both are what is tested
	moment := time.NewTimer(time.Duration(rnd.Int64N(int64(3 * time.Second))))
	defer moment.Stop()
	var random <-chan time.Time
	if atRandom {
		random = moment.C
	}
	select {
	case <-ended:
		n.awaitSilence(ctx)
	case <-random:
	case err := <-n.exit:
		n.exit <- err
	}
	n.kill()
	if cmd.Process.Kill() == nil {
		<-ended
	}
}

// awaitSilence gives relay and projector the time to pass their points: until `up` dies or the views hold what the ledger holds.
func (n *node) awaitSilence(ctx context.Context) {
	for range 250 {
		select {
		case err := <-n.exit:
			n.exit <- err
			return
		default:
		}
		if r := n.run("", "status", "--output", "json"); r.code != 0 || settled(r.stdout) {
			return
		}
		if pause(ctx) != nil {
			return
		}
	}
}

func settled(status string) bool {
	var s struct {
		Relay struct{ Events, Lag uint64 }
		Views struct{ Applied uint64 }
	}
	return json.Unmarshal([]byte(status), &s) == nil && s.Relay.Lag == 0 && s.Views.Applied == s.Relay.Events
}
