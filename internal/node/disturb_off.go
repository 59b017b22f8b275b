//go:build !disturb

package node

import "github.com/ledgerline/ledgerline/deploy/embedded/eventstore/disturb"

// disturbVariables are none: only a program that is built with the tag disturb, for tests,
// disturbs its clients.
var disturbVariables []string

func disturbance() (*disturb.Disturbance, error) { return nil, nil }
