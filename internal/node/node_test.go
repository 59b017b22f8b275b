package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/ledger"
)

// offlineConfig is a node on free ports in a directory of its own.
func offlineConfig(t *testing.T) Config {
	t.Helper()
	c, err := configured("data="+filepath.Join(t.TempDir(), "data"), "embedded.eventstore-addr=127.0.0.1:0",
		"embedded.kafka-addr=127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What works on a directory alone has its servers, keeps others out, gives all of it back, and is
// taken for no run.
func TestOfflineHasTheServersAndTheDirectoryForItself(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := offlineConfig(t)
	failed := errors.New("the act failed")
	for round, want := range []error{nil, failed, nil} {
		acts := 0
		err := Offline(ctx, c, false, func(n *Node) error {
			acts++
			if err := n.Follow(ctx, nil, false); !errors.Is(err, ledger.ErrNoLedger) {
				t.Errorf("round %d: the event store: %v, want that it holds no ledger", round, err)
			}
			client, err := n.Services().OpenKafka(datadir.Reader)
			if err != nil {
				return err
			}
			if _, err := client.Partitions().List(ctx); err != nil {
				t.Errorf("round %d: the broker: %v", round, err)
			}
			if _, err := New(c); !errors.Is(err, datadir.ErrAlreadyUp) {
				t.Errorf("round %d: somebody else beside it: %v", round, err)
			}
			return want
		})
		if !errors.Is(err, want) || want == nil && err != nil || acts != 1 {
			t.Errorf("round %d: %v after %d acts, want %v", round, err, acts, want)
		}
		if _, err := c.Dir().Running(); !errors.Is(err, datadir.ErrNotUp) {
			t.Errorf("round %d: commands find it: %v", round, err)
		}
	}
	lock, err := c.Dir().Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if clean, err := lock.Begin(); clean || err != nil {
		t.Errorf("no run began, and one is said to have ended in order: %t, %v", clean, err)
	}
}

// A node whose start fails gives everything back: the directory can be taken again, and what was
// made in vain beside a vault of another ledger is gone.
func TestAStartThatFailsGivesEverythingBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := offlineConfig(t)
	c.Settings.Embedded.StatusAddr = "192.0.2.1:0" // not of this machine: refused before a server starts
	for round := range 2 {
		n, err := New(c)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := n.Start(ctx); err == nil {
			t.Fatalf("round %d: it started", round)
		}
	}
	if left, err := os.ReadDir(c.EventStoreDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an event store was made: %v, %v", left, err)
	}
}
