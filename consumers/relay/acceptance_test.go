//go:build acceptance

package relay_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/consumers/consumerstest"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
)

// onApacheKafka needs LEDGERLINE_KAFKA, the addresses of brokers whose ledger topics may be deleted;
// consumers/kafka/kafkatest/apache-kafka.sh starts one.
func onApacheKafka(tb testing.TB, seed uint64) *rig {
	tb.Helper()
	brokers := os.Getenv("LEDGERLINE_KAFKA")
	if brokers == "" {
		tb.Fatal("LEDGERLINE_KAFKA is not set")
	}
	r := &rig{brokers: strings.Split(brokers, ","), ledger: newLedger(), gen: consumerstest.NewGenerator(seed)}
	kafkatest.Wipe(tb, r.brokers)
	r.redial(tb)
	return r
}

func TestPublishesEverythingToApacheKafka(t *testing.T) { publishesEverything(t, onApacheKafka) }
func TestCrashAtEveryPointOnApacheKafka(t *testing.T)   { crashAtEveryPoint(t, onApacheKafka) }
func TestDataLossAndRefillOnApacheKafka(t *testing.T)   { dataLossAndRefill(t, onApacheKafka) }
