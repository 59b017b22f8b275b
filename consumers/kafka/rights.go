package kafka

import (
	"slices"

	"github.com/ledgerline/ledgerline/consumers"
)

// Role is what a program is to the ledger's topics. Each has an account of its own.
type Role string

// The roles (FORMATS §8 says who writes what).
const (
	// RoleRelay fills the topics: the relay, refill, and the log that publishes checkpoints.
	RoleRelay Role = "relay"
	// RoleConsumer follows the ledger in a group and parks what it cannot handle.
	RoleConsumer Role = "consumer"
	// RoleReader reads, without a group.
	RoleReader Role = "reader"
)

// Roles lists them.
var Roles = []Role{RoleRelay, RoleConsumer, RoleReader}

// Right lets operations be done on a topic or group, or on all whose names begin with Name.
// Operations are named as kafka-acls.sh names them; Read, Write and Delete include Describe. "*"
// without Prefix is every name.
type Right struct {
	Resource   string // "topic" or "group"
	Name       string
	Prefix     bool
	Operations []string
}

// ledgerTopics is what the names of the ledger's topics begin with.
const ledgerTopics = "ledger."

// The relay creates and, for a refill, deletes and describes the topics, notes its position, and
// reads what is there when it starts. Consumers may write dead letters and nothing else.
// DescribeConfigs lets Java's tools describe a topic.
var rights = map[Role][]Right{
	RoleRelay: {
		{"topic", ledgerTopics, true, []string{"Create", "Delete", "Describe", "DescribeConfigs", "Read", "Write"}},
	},
	RoleConsumer: {
		{"topic", ledgerTopics, true, []string{"Describe", "DescribeConfigs", "Read"}},
		{"topic", consumers.DeadLetterTopic, false, []string{"Write"}},
		{"group", "*", false, []string{"Describe", "Read"}},
	},
	RoleReader: {
		{"topic", ledgerTopics, true, []string{"Describe", "DescribeConfigs", "Read"}},
	},
}

// Rights returns what a role may do. It is the one table: the embedded broker's accounts, the
// acceptance on Apache Kafka and the documentation of deploy/kafka all follow it.
func Rights(role Role) []Right {
	out := slices.Clone(rights[role])
	for i := range out {
		out[i].Operations = slices.Clone(out[i].Operations)
	}
	return out
}
