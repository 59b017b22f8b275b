//go:build acceptance

package relay_test

import (
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

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
	r := &rig{brokers: strings.Split(brokers, ","), ledger: newLedger(), gen: kafkatest.NewGenerator(seed)}
	r.wipe(tb)
	r.redial(tb)
	return r
}

func TestPublishesEverythingToApacheKafka(t *testing.T) { publishesEverything(t, onApacheKafka) }
func TestCrashAtEveryPointOnApacheKafka(t *testing.T)   { crashAtEveryPoint(t, onApacheKafka) }
func TestDataLossAndRefillOnApacheKafka(t *testing.T)   { dataLossAndRefill(t, onApacheKafka) }

// wipe deletes every topic of the ledger and returns when they are gone.
func (r *rig) wipe(tb testing.TB) {
	tb.Helper()
	for {
		res := r.request(tb, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse)
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis = 5000
		for _, have := range res.Topics {
			if strings.HasPrefix(*have.Topic, "ledger.") {
				t := kmsg.NewDeleteTopicsRequestTopic()
				t.Topic = have.Topic
				req.Topics, req.TopicNames = append(req.Topics, t), append(req.TopicNames, *have.Topic)
			}
		}
		if len(req.TopicNames) == 0 {
			return
		}
		r.request(tb, req)
	}
}
