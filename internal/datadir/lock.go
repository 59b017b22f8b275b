package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// The files by which an `up` and the commands beside it find each other.
const (
	lockFile = "up.lock"  // held by the one `up` of the directory
	runFile  = "run.json" // where its servers are; removed when it ends
)

// ErrNotUp says that no process holds the directory.
var ErrNotUp = errors.New("no ledger runs here")

// Running is what a running `up` tells the commands of its user: addresses, and no secret.
type Running struct {
	PID        int       `json:"pid"`
	Process    string    `json:"process"` // when that process began, in the kernel's words
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
	dir  Dir
	f    *os.File
	info os.FileInfo // of f: which file it is, by whatever name
}

// own are the holds of this process: it may not open their files again, for closing one of them
// anywhere would drop the record lock.
var (
	ownMu sync.Mutex
	own   []*Lock
)

// ownHold is this process's hold on the directory, nil where it has none.
func (d Dir) ownHold() (*Lock, error) {
	info, err := os.Stat(d.Path(lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ownMu.Lock()
	defer ownMu.Unlock()
	for _, l := range own {
		if os.SameFile(l.info, info) {
			return l, nil
		}
	}
	return nil, nil
}

// Lock takes the directory, making it where it is missing, or returns a Problem: ErrAlreadyUp.
//
// There are two locks on one file. flock keeps a second holder out, also within a process. The
// record lock is what other processes ask the kernel about: it alone names the holder's process.
func (d Dir) Lock() (*Lock, error) {
	if err := d.Make(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.Path(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := exclude(f); err != nil {
		if !errors.Is(err, ErrAlreadyUp) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		p := &Problem{Code: ErrAlreadyUp, Path: string(d)}
		if r, err := d.readRunning(); err == nil {
			p.Holder = &r
		}
		return nil, errors.Join(p, f.Close())
	}
	// A killed holder's addresses may be a stranger's by now. They go before the kernel names this
	// process, which may have been given the killed one's number.
	if err := os.Remove(d.Path(runFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, f.Close())
	}
	if err := hold(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l := &Lock{dir: d, f: f, info: info}
	ownMu.Lock()
	defer ownMu.Unlock()
	own = append(own, l)
	return l, nil
}

// Announce says where this process's servers are.
func (l *Lock) Announce(r Running) error {
	r.PID = os.Getpid()
	r.Process = processStart(r.PID)
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
func (l *Lock) Close() error {
	err := errors.Join(l.Retract(), l.f.Close())
	ownMu.Lock()
	defer ownMu.Unlock()
	own = slices.DeleteFunc(own, func(o *Lock) bool { return o == l })
	return err
}

// Running returns where the servers of the directory's `up` are, or ErrNotUp. The kernel says
// that the process which wrote the addresses holds the directory now: so its ports are its own,
// and a secret may be sent there. What a killed `up` wrote does not count, whoever has its number
// by now.
func (d Dir) Running() (Running, error) {
	switch err := d.Private(); {
	case errors.Is(err, fs.ErrNotExist):
		return Running{}, ErrNotUp
	case err != nil:
		return Running{}, err
	}
	r, err := d.readRunning()
	if err != nil {
		return Running{}, err
	}
	holder, err := d.holder()
	if err != nil {
		return Running{}, err
	}
	if holder == 0 || holder != r.PID || r.Process != processStart(holder) {
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
	l, err := d.ownHold()
	if err != nil {
		return 0, err
	}
	if l != nil {
		return os.Getpid(), nil
	}
	f, err := os.Open(d.Path(lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return holderOf(f)
}
