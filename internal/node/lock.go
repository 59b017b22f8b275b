package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The files by which an `up` and the commands beside it find each other.
const (
	lockFile = "up.lock"  // held by the one `up` of the directory
	runFile  = "run.json" // where its servers are; removed when it ends
)

// ErrAlreadyUp says that another process holds the directory.
var ErrAlreadyUp = errors.New("another `ledgerline up` runs on this directory")

// ErrNotUp says that no process holds the directory.
var ErrNotUp = errors.New("no ledger runs here")

// Running is what a running `up` tells the commands of its user: addresses, and no secret.
type Running struct {
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	EventStore string    `json:"eventstore"`           // connection string without credentials
	Advertised string    `json:"advertised,omitempty"` // the event store's for clients elsewhere, where it is another
	Kafka      string    `json:"kafka"`                // host:port
	ClickHouse string    `json:"clickhouse"`           // URL without a trailing slash
	Status     string    `json:"status"`               // URL without a trailing slash
	CAFile     string    `json:"caFile,omitempty"`     // this machine's own authority (PEM) of those that speak TLS
}

// Lock is the hold of one process on a directory. It ends with Close, or with the process.
type Lock struct {
	dir Dir
	f   *os.File
}

// Lock takes the directory, making it where it is missing, or returns ErrAlreadyUp.
//
// There are two locks on one file. flock keeps a second holder out, also within a process. The record lock is what
// other processes ask the kernel about: it alone names the holder's process.
func (d Dir) Lock() (*Lock, error) {
	if err := d.Make(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.Path(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		err = fmt.Errorf("%w: use it, stop it, or give another --data", ErrAlreadyUp)
		if r, rerr := d.readRunning(); rerr == nil {
			err = fmt.Errorf("%w (process %d, since %s): use it, stop it, or give another --data",
				ErrAlreadyUp, r.PID, r.Started.Local().Format(time.DateTime))
		}
		return nil, errors.Join(err, f.Close())
	}
	record := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &record); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	// A killed holder's addresses may be a stranger's by now.
	if err := os.Remove(d.Path(runFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{d, f}, nil
}

// Announce says where this process's servers are.
func (l *Lock) Announce(r Running) error {
	r.PID = os.Getpid()
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return WritePrivate(l.dir.Path(runFile), append(raw, '\n'))
}

// Retract takes back what Announce said, before the servers stop.
func (l *Lock) Retract() error {
	if err := os.Remove(l.dir.Path(runFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Close gives the directory free.
func (l *Lock) Close() error { return errors.Join(l.Retract(), l.f.Close()) }

// Running returns where the servers of the directory's `up` are, or ErrNotUp. The kernel says that the process which
// wrote the addresses holds the directory now: so its ports are its own, and a secret may be sent there.
func (d Dir) Running() (Running, error) {
	switch err := d.Private(); {
	case errors.Is(err, fs.ErrNotExist):
		return Running{}, ErrNotUp
	case err != nil:
		return Running{}, err
	}
	r, err := d.readRunning()
	if err != nil || r.PID == os.Getpid() { // closing the lock's file would drop our own record lock
		return r, err
	}
	holder, err := d.holder()
	if err != nil {
		return Running{}, err
	}
	if holder == 0 || holder != r.PID {
		return Running{}, ErrNotUp
	}
	return r, nil
}

func (d Dir) readRunning() (Running, error) {
	var r Running
	raw, err := os.ReadFile(d.Path(runFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, ErrNotUp
	}
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", d.Path(runFile), err)
	}
	return r, nil
}

// holder is the process that holds the directory, 0 for none.
func (d Dir) holder() (int, error) {
	f, err := os.Open(d.Path(lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	ask := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &ask); err != nil {
		return 0, fmt.Errorf("who holds %s: %w", f.Name(), err)
	}
	if ask.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(ask.Pid), nil
}
