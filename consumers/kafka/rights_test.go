package kafka_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
)

const deployDir = "../../deploy/kafka/"

// The documented commands give what the table says, no more and no less, in its order.
func TestDocumentedACLs(t *testing.T) {
	raw, err := os.ReadFile(deployDir + "acls.sh")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(strings.ReplaceAll(string(raw), "\\\n\t", "")) {
		if rest, ok := strings.CutPrefix(line, "give "); ok {
			got = append(got, strings.TrimSpace(rest))
		}
	}
	var want []string
	for _, role := range kafka.Roles {
		for _, r := range kafka.Rights(role) {
			words := []string{"--allow-principal", "User:" + string(role), "--" + r.Resource, r.Name}
			if r.Name == "*" {
				words[3] = "'*'"
			}
			if r.Prefix {
				words = append(words, "--resource-pattern-type", "prefixed")
			}
			for _, op := range r.Operations {
				words = append(words, "--operation", op)
			}
			want = append(want, strings.Join(words, " "))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("acls.sh gives\n%s\nand the table has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	const give = `give() { kafka-acls.sh --bootstrap-server "$BROKERS" --command-config admin.properties --add "$@"; }`
	if !strings.Contains(string(raw), give) {
		t.Error("acls.sh gives by another command")
	}
}

// Who writes what (FORMATS §8): event topics, the position and checkpoints by the relay's account
// alone, dead letters by consumers'. Nobody has a right beyond the ledger's topics but consumers
// their groups.
func TestWhoWritesWhat(t *testing.T) {
	may := func(role kafka.Role, op, topic string) bool {
		return slices.ContainsFunc(kafka.Rights(role), func(r kafka.Right) bool {
			return r.Resource == "topic" && slices.Contains(r.Operations, op) &&
				(r.Name == topic || r.Prefix && strings.HasPrefix(topic, r.Name))
		})
	}
	topics := []string{consumers.PositionTopic, consumers.CheckpointTopic, consumers.DeadLetterTopic, "ledger.other"}
	for _, kind := range consumers.Kinds {
		topics = append(topics, "ledger."+kind)
	}
	for _, topic := range topics {
		for _, op := range []string{"Write", "Create", "Delete", "Read"} {
			for role, want := range map[kafka.Role]bool{
				kafka.RoleRelay:    true,
				kafka.RoleConsumer: op == "Read" || op == "Write" && topic == consumers.DeadLetterTopic,
				kafka.RoleReader:   op == "Read",
			} {
				if got := may(role, op, topic); got != want {
					t.Errorf("%s may %s %s: %v, want %v", role, op, topic, got, want)
				}
			}
		}
	}
	for _, role := range kafka.Roles {
		for _, r := range kafka.Rights(role) {
			if r.Resource == "topic" && !strings.HasPrefix(r.Name, "ledger.") || r.Resource == "cluster" ||
				r.Resource == "group" && role != kafka.RoleConsumer {
				t.Errorf("%s has %+v", role, r)
			}
			for _, op := range r.Operations {
				if slices.Contains([]string{"All", "Alter", "AlterConfigs", "ClusterAction", "IdempotentWrite"}, op) {
					t.Errorf("%s may %s %s", role, op, r.Name)
				}
			}
		}
	}
}
