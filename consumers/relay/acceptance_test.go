//go:build acceptance

package relay_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
)

// onApacheKafka needs LEDGERLINE_KAFKA, which names what consumers/kafka/kafkatest/apache-kafka.sh
// wrote about its node: the relay has the rights of its own account there, the checks those of the
// administrator.
func onApacheKafka(tb testing.TB, seed uint64) *rig {
	tb.Helper()
	k := kafkatest.FindApacheKafka(tb)
	r := &rig{access: k.Logins(), ledger: newLedger(), gen: kafkatest.NewGenerator(seed),
		admin: []kgo.Opt{kgo.SeedBrokers(k.SASL),
			kgo.SASL(scram.Auth{User: "admin", Pass: k.Accounts["admin"]}.AsSha256Mechanism())}}
	r.wipe(tb)
	r.redial(tb)
	return r
}

func TestPublishesEverythingToApacheKafka(t *testing.T) { publishesEverything(t, onApacheKafka) }
func TestCrashAtEveryPointOnApacheKafka(t *testing.T)   { crashAtEveryPoint(t, onApacheKafka) }
func TestDataLossAndRefillOnApacheKafka(t *testing.T)   { dataLossAndRefill(t, onApacheKafka) }
func TestForeignRecordsOnApacheKafka(t *testing.T)      { foreignRecordsStopNothing(t, onApacheKafka) }
func TestALossWhileIdleOnApacheKafka(t *testing.T)      { lossIsNoticedWhileIdle(t, onApacheKafka) }

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
