package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/retry"
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
		"no events": nil, "an event of another stream": {foreign}, "an event without id": {noID},
		"one id twice":                  {good, good},
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

// dead is a store that never says what became of an append; each takes so long.
type dead struct {
	*ledgertest.Memory
	takes    time.Duration
	attempts atomic.Int64
}

func (d *dead) Append(ctx context.Context, s schemas.Stream, e ledger.Expect, events []schemas.Event) (uint64, error) {
	if s == schemas.LedgerStream {
		return d.Memory.Append(ctx, s, e, events)
	}
	d.attempts.Add(1)
	return 0, errors.Join(ledger.ErrUnknownOutcome, retry.Wait(ctx, d.takes))
}

// One layer repeats an append of unknown outcome, for ten seconds after the first attempt, and
// then says so.
func TestADeadStoreIsGivenUpInABoundedTime(t *testing.T) {
	for _, takes := range []time.Duration{0, time.Second, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			store := &dead{Memory: ledgertest.NewMemory(), takes: takes}
			l, _ := ledgertest.Create(t, store)
			begun := time.Now()
			name := ledgertest.NewStream()
			_, err := l.Append(t.Context(), name, ledger.NoStream, []schemas.Event{ledgertest.Event(t, name, 1)})
			if !errors.Is(err, ledger.ErrUnknownOutcome) || !strings.Contains(err.Error(), "given up") {
				t.Errorf("%v, want that it was given up", err)
			}
			if took := time.Since(begun); took > takes+10*time.Second {
				t.Errorf("attempts of %s: %s until it was given up", takes, took)
			}
			if n := store.attempts.Load(); n < 2 || n > 60 { // pauses of a second on average
				t.Errorf("attempts of %s: %d were sent", takes, n)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begun = time.Now()
			if _, err := l.Append(ctx, name, ledger.NoStream,
				[]schemas.Event{ledgertest.Event(t, name, 1)}); !errors.Is(err, ledger.ErrUnknownOutcome) {
				t.Errorf("a caller that leaves: %v", err)
			}
			if took := time.Since(begun); took > 1100*time.Millisecond {
				t.Errorf("a caller that leaves is let go after %s", took)
			}
		})
	}
}
