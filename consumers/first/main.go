// Command first is a first consumer: it prints every admin action once and goes on where it left off.
//
// It owns nothing. What a crash leaves is a repetition. It trusts no broker: package consumers checks
// each message, as docs/FORMATS.md §8 says. README.md shows this text.
package main

import (
	"context"
	"fmt"
	"log"
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
	client, err := kafka.New(kafka.Config{Brokers: []string{"127.0.0.1:9092"}, SASL: sasl})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	group, err := client.Group(kafka.GroupConfig{Group: "first", Topics: []string{"ledger.adminaction"}})
	if err != nil {
		log.Fatal(err)
	}
	defer group.Close()
	// Handled twice after a crash at worst; what cannot be handled is parked, and the rest goes on.
	if err := consumers.Run(ctx, consumers.Config{Source: group, DeadLetter: client, Handler: show}); err != nil {
		log.Print(err)
	}
}

func show(_ context.Context, events []schemas.Recorded) error {
	for _, e := range events {
		if e.Type == "adminaction.recorded.v1" { // one an action; further types tell more of it
			fmt.Printf("%d %s %s\n", e.Seq, e.ID, e.Data) // protected values are tokens
		}
	}
	return nil
}
