package consumers_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/schemas"
)

// A run drops what comes twice, hands over the rest in order, and commits after the handler. Here
// the messages stand in memory; consumers/first reads them from Kafka.
func ExampleRun() {
	events := kafkatest.Numbered(0, kafkatest.NewGenerator(1).Events(1))
	m := consumers.Encode(uuid.MustParse("0f8fad5b-d9cb-469f-a165-70867728950e"), events[0])
	again := m
	again.Offset++ // the relay's repetition of the same event

	ctx, cancel := context.WithCancel(context.Background())
	source := &script{batches: [][]consumers.Message{{m}, {again}}, end: cancel}
	err := consumers.Run(ctx, consumers.Config{Source: source, Logger: slog.New(slog.DiscardHandler),
		Handler: func(_ context.Context, events []schemas.Envelope) error {
			for _, e := range events {
				fmt.Println(e.Seq, e.Type)
			}
			return nil
		}})
	fmt.Println(len(source.committed), "committed,", err)
	// Output:
	// 0 ledger.created.v1
	// 2 committed, <nil>
}
