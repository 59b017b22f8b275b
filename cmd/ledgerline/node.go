package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A data directory is one node's: its folders are owned by the servers, the files named here by ledgerline itself.
const (
	lockFile  = "up.lock"        // held by the one `up` of the directory
	runFile   = "run.json"       // addresses of the running `up`, removed when it ends
	indexFile = "sequence.index" // the ledger's sequence index
	vaultFile = "vault.db"       // persons, devices, keys
)

// running is what a running `up` tells the other commands.
type running struct {
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	EventStore string    `json:"eventstore"`
	Kafka      string    `json:"kafka"`
	ClickHouse string    `json:"clickhouse"`
	Status     string    `json:"status"` // address of the status endpoint

	EventStoreAccount bool `json:"eventstoreAccount,omitempty"` // the event store takes this machine's own account, whose password stands elsewhere
}

var errAlreadyUp = errors.New("another `ledgerline up` runs on this directory")

// lockNode takes the directory for one `up`.
func lockNode(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if r, rerr := readRunning(dir); rerr == nil {
			return nil, fmt.Errorf("%w (process %d, since %s): use it, stop it, or give another --data", errAlreadyUp, r.PID, r.Started.Local().Format(time.DateTime))
		}
		return nil, fmt.Errorf("%w: use it, stop it, or give another --data", errAlreadyUp)
	}
	return f, nil
}

func writeRunning(dir string, r running) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, runFile+".tmp")
	if err := os.WriteFile(tmp, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, runFile))
}

var errNotUp = errors.New("no ledger runs here")

// readRunning returns the addresses of the `up` that runs on the directory. A file left by a killed one does not count.
func readRunning(dir string) (running, error) {
	var r running
	raw, err := os.ReadFile(filepath.Join(dir, runFile))
	if errors.Is(err, os.ErrNotExist) {
		return r, errNotUp
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("%s: %w", runFile, err)
	}
	if err := unix.Kill(r.PID, 0); errors.Is(err, unix.ESRCH) {
		return r, errNotUp
	}
	return r, nil
}
