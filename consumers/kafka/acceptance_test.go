//go:build acceptance

package kafka_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
)

// TestConformanceOnApacheKafka needs LEDGERLINE_KAFKA, the addresses of brokers whose ledger topics may be deleted;
// kafkatest/apache-kafka.sh starts one.
func TestConformanceOnApacheKafka(t *testing.T) {
	brokers := os.Getenv("LEDGERLINE_KAFKA")
	if brokers == "" {
		t.Fatal("LEDGERLINE_KAFKA is not set")
	}
	addrs := strings.Split(brokers, ",")
	kafkatest.Run(t, addrs, witness{addrs})
}
