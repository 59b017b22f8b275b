package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
)

func TestMemoryKeepsTheStoresPromises(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) ledger.Store { return ledgertest.NewMemory() })
}

func TestTheLedgerKeepsItsPromisesOnMemory(t *testing.T) {
	ledgertest.RunLedger(t, func(*testing.T) ledger.Store { return ledgertest.NewMemory() })
}

func TestAppendRefusesWhatBreaksALimitBeforeItIsSent(t *testing.T) {
	store := ledgertest.NewMemory()
	l, _ := ledgertest.Create(t, store)
	name := ledgertest.NewStream()
	good := ledgertest.Event(t, name, 1)
	big := good
	big.ID, big.Data = schemas.NewID(), schemas.JSON(string(make([]byte, schemas.MaxEventBytes)))
	heavy := make([]schemas.Event, 5)
	for i := range heavy {
		heavy[i] = good
		heavy[i].ID, heavy[i].Data = schemas.NewID(), append([]byte(`"`), append(make([]byte, 200<<10), '"')...)
	}
	noMetadata := good
	noMetadata.ID, noMetadata.Metadata = schemas.NewID(), []byte(`{}`)
	foreign, noID := good, good
	foreign.Stream, noID.ID = "orders-1", uuid.Nil
	for what, events := range map[string][]schemas.Event{
		"no events": nil, "an event of another stream": {foreign}, "an event without id": {noID}, "one id twice": {good, good},
		"metadata that nobody can read": {noMetadata},
		"an event over 256 KiB":         {big}, "an append over 768 KiB": heavy,
	} {
		if _, err := l.Append(context.Background(), name, ledger.NoStream, events); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	if n := len(store.Events()); n != 1 {
		t.Errorf("%d events in the store, want the ledger's own", n)
	}
}

func TestAnUnknownOutcomeIsRepeatedWithTheSameIDsAndAppendsOnce(t *testing.T) {
	store := ledgertest.NewMemory()
	l, _ := ledgertest.Create(t, store)
	failures := 2
	store.After = func(schemas.Stream, []schemas.Event) error {
		if failures--; failures >= 0 {
			return fmt.Errorf("connection cut: %w", ledger.ErrUnknownOutcome)
		}
		return nil
	}
	ledgertest.Append(t, l, 1)
	if n := len(store.Events()); n != 2 {
		t.Errorf("%d events in the store, want 2", n)
	}
}

func TestFollowStopsWhereAnEventWasReplaced(t *testing.T) {
	store := ledgertest.NewMemory()
	l, index := ledgertest.Create(t, store)
	ledgertest.Append(t, l, 10)
	got, err := ledgertest.Take(l, nil, 11)
	if err != nil {
		t.Fatal(err)
	}
	a := ledgertest.Anchor(t, l, got[5])
	l.Close()
	store.Corrupt(5)
	if err := os.Remove(index); err != nil {
		t.Fatal(err)
	}
	l, err = ledger.Open(context.Background(), ledgertest.Config(store, index))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := ledgertest.Take(l, a, 1); !errors.Is(err, ledger.ErrDiverged) {
		t.Errorf("a replaced event: %v, want ErrDiverged", err)
	}
}
