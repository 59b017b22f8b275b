#!/bin/sh
# Gives the ledger's three accounts their rights on a Kafka cluster. BROKERS is the cluster's
# address; admin.properties in the current directory is how the administrator logs in. Rights that
# are there already stay as they are.
#
# These lines follow from the table in consumers/kafka/rights.go: a test compares them.
set -eu
give() { kafka-acls.sh --bootstrap-server "$BROKERS" --command-config admin.properties --add "$@"; }

# The relay, refill, and the log that publishes checkpoints: the only account that writes events
# and the position.
give --allow-principal User:relay --topic ledger. --resource-pattern-type prefixed \
	--operation Create --operation Delete --operation Describe --operation DescribeConfigs \
	--operation Read --operation Write

# Programs that follow the ledger in a group: they read, keep offsets, and park what they cannot
# handle.
give --allow-principal User:consumer --topic ledger. --resource-pattern-type prefixed \
	--operation Describe --operation DescribeConfigs --operation Read
give --allow-principal User:consumer --topic ledger.dead-letter --operation Write
give --allow-principal User:consumer --group '*' --operation Describe --operation Read

# Programs that only read, without a group: the projector, kcat, kafka-console-consumer.sh
# --partition.
give --allow-principal User:reader --topic ledger. --resource-pattern-type prefixed \
	--operation Describe --operation DescribeConfigs --operation Read
