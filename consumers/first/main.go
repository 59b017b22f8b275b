// Command first is a first consumer: it prints every admin action once, and goes on where it left
// off.
//
// It owns nothing. What a crash leaves is a repetition. It trusts no broker: package consumers
// checks each message, as docs/FORMATS.md §8 says. README.md shows this text.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/schemas"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	sasl := kafka.SASL{Mechanism: kafka.ScramSHA256, User: "consumer", Password: os.Getenv("LEDGER_PASSWORD")}
	if err := follow(ctx, kafka.Config{Brokers: []string{"127.0.0.1:9092"}, SASL: sasl}, show); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// follow hands over each action's events, in order of the tenant. What cannot be handled is
// parked.
func follow(ctx context.Context, broker kafka.Config, handle consumers.Handler) error {
	client, err := kafka.New(broker)
	if err != nil {
		return err
	}
	defer client.Close()
	group, err := client.Group(kafka.GroupConfig{Group: "first", Topics: []string{"ledger.adminaction"}})
	if err != nil {
		return err
	}
	defer group.Close()
	return consumers.Run(ctx, consumers.Config{Source: group, Handler: handle, DeadLetter: client,
		Logger: slog.Default()})
}

func show(_ context.Context, events []schemas.Envelope) error {
	for _, e := range events {
		if e.Type == "adminaction.recorded.v1" { // one an action; further types tell more of it
			fmt.Printf("%d %s %s\n", e.Seq, e.ID, e.Data) // protected values are tokens
		}
	}
	return nil
}
