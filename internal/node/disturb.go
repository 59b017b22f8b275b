//go:build disturb

package node

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/disturb"
	"github.com/ledgerline/ledgerline/internal/settings"
)

// disturbVariable is how tests ask for it.
const disturbVariable = settings.EnvPrefix + "DISTURB"

var disturbVariables = []string{disturbVariable}

// disturbance returns what tests ask of the embedded event store: LEDGERLINE_DISTURB is a seed,
// and has it do all that a real server does to its clients. Without it, there is none.
func disturbance() (*disturb.Disturbance, error) {
	v, ok := os.LookupEnv(disturbVariable)
	if !ok {
		return nil, nil
	}
	seed, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", disturbVariable, err)
	}
	return &disturb.Disturbance{
		Seed: seed, SystemEvents: true, StatsEvery: 10, LinksEvery: 8, ForeignEvery: 8, MetadataEvery: 20,
		DeletesEvery: 20, TombstonesEvery: 20,
		NotReadyFirst: 2, NotReadyEvery: 40, NotLeaderEvery: 30, TimeoutsEvery: 30, LostAnswersEvery: 30,
		DropsEvery: 15, CutsEvery: 40,
		CaughtUpDelay: 10 * time.Millisecond,
	}, nil
}
