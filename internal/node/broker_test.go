package node

import (
	"testing"

	"github.com/ledgerline/ledgerline/consumers"
	broker "github.com/ledgerline/ledgerline/deploy/embedded/kafka"
)

// The projector, the relay and several who follow the whole ledger at once, under one account,
// have their connections, however many kinds of events there are: each holds one a partition.
func TestSeveralFollowersFitOneAccountOfTheBroker(t *testing.T) {
	const partitions, followers = 4, 6
	if each := partitions * len(consumers.EventTopics()); followers*each > broker.MaxOfAccount {
		t.Errorf("%d followers hold %d connections each, and an account may have %d: raise kafka.MaxOfAccount",
			followers, each, broker.MaxOfAccount)
	}
}
