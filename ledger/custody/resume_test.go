package custody_test

import (
	"context"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/schemas"
)

// counting counts the events that are read of the ledger in its order.
type counting struct {
	*ledger.Ledger
	read int
}

func (c *counting) count(events iter.Seq2[schemas.Envelope, error]) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		for e, err := range events {
			if c.read++; !yield(e, err) {
				return
			}
		}
	}
}

func (c *counting) Events(ctx context.Context) iter.Seq2[schemas.Envelope, error] {
	return c.count(c.Ledger.Events(ctx))
}

func (c *counting) After(ctx context.Context, a *schemas.Anchor) iter.Seq2[schemas.Envelope, error] {
	return c.count(c.Ledger.After(ctx, a))
}

// Resuming reads what came since no erasure was pending, wherever the act was cut, and not the
// ledger before that.
func TestResumingDoesNotReadTheLedgerBefore(t *testing.T) {
	for _, point := range []string{custody.PointErasing, custody.PointOrdered, custody.PointDestroyed,
		custody.PointCompleted} {
		b := newBench(t)
		b.person("anna@contoso.example")
		for range 40 {
			b.request("access", "anna@contoso.example")
		}
		note := func() {
			t.Helper()
			var last schemas.Envelope
			for e, err := range b.ledger.Events(b.ctx) {
				if err != nil {
					t.Fatal(err)
				}
				last = e
			}
			if err := b.vault.SaveAnchor(b.ctx, last.Anchor(b.ledger.ID())); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.vault.Bind(b.ctx, b.ledger.ID()); err != nil {
			t.Fatal(err)
		}
		note()
		r := b.request("erasure", "anna@contoso.example")
		b.crashAt = point
		if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); err == nil {
			t.Fatal("the act was not cut")
		}
		b.crashAt = ""
		note() // while it is pending: what is to be read for it stays
		l := &counting{Ledger: b.ledger}
		c, err := custody.New(custody.Config{Ledger: l, Vault: b.vault, Logger: slog.New(slog.DiscardHandler),
			Clock: time.Now, Settle: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		completed, back, err := c.Resume(b.ctx)
		if err != nil || completed+back != 1 || (back == 1) != (point == custody.PointErasing) {
			t.Fatalf("cut at %q: %d completed, %d taken back: %v", point, completed, back, err)
		}
		if l.read == 0 || l.read > 4 {
			t.Errorf("cut at %q: %d events of 40 and more were read", point, l.read)
		}
		if after, found, err := b.vault.OrdersAfter(b.ctx); err != nil || !found || after.Seq < 40 {
			t.Errorf("what is pending comes after %d %v %v", after.Seq, found, err)
		}
	}
}
